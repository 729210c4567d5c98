//! One message of results for Python, written as its items are answered.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use super::parts::Parts;
use super::templates::Templates;
use crate::guard::guard_or;

/// A message of results. `ResultsMessage` in results_message.py says what each method does.
///
/// After a panic in one of them, the message takes no item any more and is never closed.
#[pyclass(module = "ciosidecar_native")]
pub struct ResultsMessage {
    number: u8,
    batch_id: i64,
    max_bytes: i64,
    per_event_bytes: i64,
    owner: Option<Py<PyAny>>,
    made: Py<PyAny>,
    #[pyo3(get, set)]
    size: i64,
    #[pyo3(get)]
    has_room: bool,
    parts: Parts,
    templates: Templates,
    /// Whether a method panicked: the parts may be of any length.
    is_broken: bool,
}

#[pymethods]
impl ResultsMessage {
    /// Begins an empty message.
    ///
    /// number: of the field of the response that holds the results. per_event_bytes: what each item
    /// counts for. made: makes the result of `close`, of the bytes, the number of items and `complete`.
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        number: u8,
        batch_id: i64,
        max_bytes: i64,
        owner: Py<PyAny>,
        equal_templates: bool,
        per_event_bytes: i64,
        made: Py<PyAny>,
    ) -> Self {
        ResultsMessage {
            number,
            batch_id,
            max_bytes,
            per_event_bytes,
            owner: Some(owner),
            made,
            size: 0,
            has_room: false,
            parts: Parts::default(),
            templates: Templates::new(equal_templates),
            is_broken: false,
        }
    }

    #[getter]
    fn answered(&self) -> usize {
        self.parts.positions.len()
    }

    fn begin(&mut self) {
        self.size = 0;
        self.has_room = false;
        self.parts = Parts::default();
        self.templates.clear();
    }

    fn reserve(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>, size: i64) -> PyResult<()> {
        Self::guard(slf, || {
            let is_reserved = slf.borrow().templates.is_reserved(template);
            let needed = match is_reserved {
                true => size + slf.borrow().per_event_bytes,
                false => Self::needed(slf, template, size)?,
            };
            let room = slf.borrow().max_bytes - slf.borrow().size;
            if needed > room {
                let owner = slf.borrow().owner(slf.py())?;
                let name = intern!(slf.py(), "reserve_beyond");
                return owner.call_method1(name, (template, size)).map(drop);
            }
            if !is_reserved {
                Self::note_reserved(slf, template)?;
            }
            slf.borrow_mut().take(needed);
            Ok(())
        })
    }

    fn needed(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>, size: i64) -> PyResult<i64> {
        Self::guard(slf, || {
            let size = size + slf.borrow().per_event_bytes;
            if slf.borrow().templates.is_reserved(template) {
                return Ok(size);
            }
            let (message, counted_bytes) = Self::encoded(slf, template)?;
            let is_counted = slf.borrow().templates.is_equal_reserved(message.as_bytes());
            Ok(if is_counted {
                size
            } else {
                size + counted_bytes
            })
        })
    }

    fn take_room(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>, needed: i64) -> PyResult<()> {
        Self::guard(slf, || {
            Self::note_reserved(slf, template)?;
            slf.borrow_mut().take(needed);
            Ok(())
        })
    }

    fn add(
        slf: &Bound<'_, Self>,
        request: &Bound<'_, PyAny>,
        position: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Self::guard(slf, || {
            let py = slf.py();
            let template = request.getattr(intern!(py, "template"))?;
            let path = request.getattr(intern!(py, "path"))?;
            let body = request.getattr(intern!(py, "body"))?;
            let path = path.cast::<PyString>()?.to_str()?;
            let body = body.cast::<PyBytes>()?.as_bytes();
            let index = slf.borrow().templates.index(&template);
            let index = match index {
                Some(index) => index,
                None => Self::add_template(slf, &template)?,
            };
            if position.is_instance_of::<PyInt>() {
                let positions = [position.extract::<i32>()?];
                let parts = &mut slf.borrow_mut().parts;
                parts.add_request(index, path, body, &positions);
            } else {
                let positions = position.cast::<PyList>()?.extract::<Vec<i32>>()?;
                let parts = &mut slf.borrow_mut().parts;
                parts.add_request(index, path, body, &positions);
            }
            Ok(())
        })
    }

    fn answer(
        slf: &Bound<'_, Self>,
        position: i32,
        status: i32,
        detail_bytes: i64,
    ) -> PyResult<()> {
        Self::guard(slf, || {
            let mut this = slf.borrow_mut();
            this.require_whole()?;
            if this.has_room {
                this.size += detail_bytes;
            } else {
                let size = this.per_event_bytes + detail_bytes;
                if this.size + size <= this.max_bytes {
                    this.size += size;
                } else {
                    let owner = this.owner(slf.py())?;
                    // The owner begins another message in here.
                    drop(this);
                    owner.call_method1(intern!(slf.py(), "make_room"), (size,))?;
                    this = slf.borrow_mut();
                }
            }
            this.has_room = false;
            this.parts.statuses.push(status);
            this.parts.positions.push(position);
            Ok(())
        })
    }

    fn accept(
        slf: &Bound<'_, Self>,
        item: &Bound<'_, PyAny>,
        outcome: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Self::guard(slf, || {
            let py = slf.py();
            let status = outcome.getattr(intern!(py, "status"))?.extract::<i32>()?;
            if status != 200 || outcome.getattr(intern!(py, "warnings"))?.is_truthy()? {
                let owner = slf.borrow().owner(py)?;
                return owner
                    .call_method1(intern!(py, "answer"), (item, outcome))
                    .map(drop);
            }
            let position = item.getattr(intern!(py, "position"))?.extract()?;
            Self::answer(slf, position, status, 0)
        })
    }

    fn add_detail(slf: &Bound<'_, Self>, detail: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::guard(slf, || {
            let message = detail.call_method0(intern!(slf.py(), "SerializeToString"))?;
            let message = message.cast::<PyBytes>()?.as_bytes();
            slf.borrow_mut().parts.add_detail(message);
            Ok(())
        })
    }

    #[pyo3(signature = (*, complete))]
    fn close<'py>(slf: &Bound<'py, Self>, complete: bool) -> PyResult<Bound<'py, PyAny>> {
        Self::guard(slf, || {
            let py = slf.py();
            let this = slf.borrow();
            this.require_whole()?;
            let message = this.parts.message(this.number, this.batch_id, complete);
            let items = this.parts.positions.len();
            let made = this.made.bind(py);
            made.call1((PyBytes::new(py, &message), items, complete))
        })
    }

    fn release(&mut self) {
        self.owner = None;
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.owner)
    }

    fn __clear__(&mut self) {
        self.owner = None;
    }
}

impl ResultsMessage {
    /// Runs the body of a method; a panic in it is a RuntimeError, and breaks the message.
    fn guard<T>(slf: &Bound<'_, Self>, body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        guard_or(body, || slf.borrow_mut().is_broken = true)
    }

    fn require_whole(&self) -> PyResult<()> {
        if self.is_broken {
            return Err(PyRuntimeError::new_err("the message is broken"));
        }
        Ok(())
    }

    fn owner<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.owner {
            Some(owner) => Ok(owner.bind(py).clone()),
            None => Err(PyRuntimeError::new_err("the message is released")),
        }
    }

    fn take(&mut self, needed: i64) {
        self.size += needed;
        self.has_room = true;
    }

    /// Returns a template on the wire, and what it counts for. The message knows the template from now on.
    fn encoded<'py>(
        slf: &Bound<'py, Self>,
        template: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyBytes>, i64)> {
        if let Some(encoded) = slf.borrow().templates.encoded(template) {
            return Ok(encoded);
        }
        let py = slf.py();
        let owner = slf.borrow().owner(py)?;
        let encoded = owner.call_method1(intern!(py, "encoded"), (template,))?;
        let (message, counted_bytes): (Bound<'py, PyBytes>, i64) = encoded.extract()?;
        let known = (message.clone().unbind(), counted_bytes);
        slf.borrow_mut().templates.learn(template, known);
        Ok((message, counted_bytes))
    }

    fn note_reserved(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>) -> PyResult<()> {
        let (message, _) = Self::encoded(slf, template)?;
        let templates = &mut slf.borrow_mut().templates;
        templates.note_reserved(template, message.as_bytes());
        Ok(())
    }

    /// Writes a template unless an equal one is written. Returns its index.
    #[cold]
    fn add_template(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>) -> PyResult<i32> {
        let (message, _) = Self::encoded(slf, template)?;
        let message = message.as_bytes();
        let this = &mut *slf.borrow_mut();
        let index = match this.templates.equal_index(message) {
            Some(index) => index,
            None => this.parts.add_template(message),
        };
        this.templates.note_index(template, message, index);
        Ok(index)
    }
}
