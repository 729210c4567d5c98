//! One message of results for Python, written as its items are answered.

use std::collections::HashMap;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use super::parts::Parts;
use crate::guard::guard;

/// A template of which a message has requests.
struct Known {
    /// Keeps the object, whose address is the key, alive.
    _template: Py<PyAny>,
    /// The template on the wire, and what it counts for.
    encoded: (Py<PyBytes>, i64),
    /// Whether its bytes are counted.
    reserved: bool,
    /// Its index among the templates of the message, once it is written.
    index: Option<i32>,
}

/// A message of results. `ResultsMessage` in results_message.py says what each method does.
#[pyclass(module = "ciosidecar_native")]
pub struct ResultsMessage {
    number: u8,
    batch_id: i64,
    max_bytes: i64,
    per_event_bytes: i64,
    equal_templates: bool,
    owner: Option<Py<PyAny>>,
    made: Py<PyAny>,
    #[pyo3(get, set)]
    size: i64,
    #[pyo3(get)]
    has_room: bool,
    parts: Parts,
    /// By address.
    known: HashMap<usize, Known>,
    /// By the template on the wire: whether its bytes are counted, and its index.
    equal: HashMap<Vec<u8>, (bool, Option<i32>)>,
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
            equal_templates,
            owner: Some(owner),
            made,
            size: 0,
            has_room: false,
            parts: Parts::default(),
            known: HashMap::new(),
            equal: HashMap::new(),
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
        self.known.clear();
        self.equal.clear();
    }

    fn reserve(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>, size: i64) -> PyResult<()> {
        guard(|| {
            let is_reserved = slf.borrow().is_reserved(template);
            let needed = match is_reserved {
                true => size + slf.borrow().per_event_bytes,
                false => Self::needed(slf, template, size)?,
            };
            let has_room = {
                let this = slf.borrow();
                this.size + needed <= this.max_bytes
            };
            if !has_room {
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
        guard(|| {
            let size = size + slf.borrow().per_event_bytes;
            if slf.borrow().is_reserved(template) {
                return Ok(size);
            }
            let (message, counted_bytes) = Self::encoded(slf, template)?;
            let this = slf.borrow();
            let equal = this.equal.get(message.as_bytes());
            let is_counted = this.equal_templates && equal.is_some_and(|(reserved, _)| *reserved);
            Ok(if is_counted {
                size
            } else {
                size + counted_bytes
            })
        })
    }

    fn take_room(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>, needed: i64) -> PyResult<()> {
        guard(|| {
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
        guard(|| {
            let py = slf.py();
            let template = request.getattr(intern!(py, "template"))?;
            let path = request.getattr(intern!(py, "path"))?;
            let body = request.getattr(intern!(py, "body"))?;
            let path = path.cast::<PyString>()?.to_str()?;
            let body = body.cast::<PyBytes>()?.as_bytes();
            let index = slf.borrow().index(&template);
            let index = match index {
                Some(index) => index,
                None => Self::add_template(slf, &template)?,
            };
            if position.is_instance_of::<PyInt>() {
                let positions = [position.extract::<i32>()?];
                slf.borrow_mut()
                    .parts
                    .add_request(index, path, body, &positions);
            } else {
                let positions = position.cast::<PyList>()?.extract::<Vec<i32>>()?;
                slf.borrow_mut()
                    .parts
                    .add_request(index, path, body, &positions);
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
        guard(|| {
            let mut this = slf.borrow_mut();
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
        guard(|| {
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
        guard(|| {
            let message = detail.call_method0(intern!(slf.py(), "SerializeToString"))?;
            let message = message.cast::<PyBytes>()?.as_bytes();
            slf.borrow_mut().parts.add_detail(message);
            Ok(())
        })
    }

    #[pyo3(signature = (*, complete))]
    fn close<'py>(&self, py: Python<'py>, complete: bool) -> PyResult<Bound<'py, PyAny>> {
        guard(|| {
            let message = PyBytes::new(
                py,
                &self.parts.message(self.number, self.batch_id, complete),
            );
            self.made
                .bind(py)
                .call1((message, self.parts.positions.len(), complete))
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
    fn owner<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.owner {
            Some(owner) => Ok(owner.bind(py).clone()),
            None => Err(pyo3::exceptions::PyRuntimeError::new_err(
                "the message is released",
            )),
        }
    }

    fn known(&self, template: &Bound<'_, PyAny>) -> Option<&Known> {
        self.known.get(&(template.as_ptr() as usize))
    }

    fn is_reserved(&self, template: &Bound<'_, PyAny>) -> bool {
        self.known(template).is_some_and(|known| known.reserved)
    }

    fn index(&self, template: &Bound<'_, PyAny>) -> Option<i32> {
        self.known(template)?.index
    }

    fn take(&mut self, needed: i64) {
        self.size += needed;
        self.has_room = true;
    }

    /// Returns a template on the wire, and what it counts for.
    fn encoded<'py>(
        slf: &Bound<'py, Self>,
        template: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyBytes>, i64)> {
        let py = slf.py();
        if let Some(known) = slf.borrow().known(template) {
            let (message, counted_bytes) = &known.encoded;
            return Ok((message.bind(py).clone(), *counted_bytes));
        }
        let owner = slf.borrow().owner(py)?;
        let encoded = owner.call_method1(intern!(py, "encoded"), (template,))?;
        let (message, counted_bytes): (Bound<'py, PyBytes>, i64) = encoded.extract()?;
        let known = Known {
            _template: template.clone().unbind(),
            encoded: (message.clone().unbind(), counted_bytes),
            reserved: false,
            index: None,
        };
        let address = template.as_ptr() as usize;
        slf.borrow_mut().known.insert(address, known);
        Ok((message, counted_bytes))
    }

    fn note_reserved(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>) -> PyResult<()> {
        let (message, _) = Self::encoded(slf, template)?;
        let mut this = slf.borrow_mut();
        if this.equal_templates {
            let message = message.as_bytes().to_vec();
            this.equal.entry(message).or_default().0 = true;
        }
        if let Some(known) = this.known.get_mut(&(template.as_ptr() as usize)) {
            known.reserved = true;
        }
        Ok(())
    }

    /// Writes a template unless an equal one is written. Returns its index.
    #[cold]
    fn add_template(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>) -> PyResult<i32> {
        let (message, _) = Self::encoded(slf, template)?;
        let message = message.as_bytes();
        let mut this = slf.borrow_mut();
        let equal = this.equal.get(message).and_then(|(_, index)| *index);
        let index = match equal {
            Some(index) if this.equal_templates => index,
            _ => this.parts.add_template(message),
        };
        if this.equal_templates {
            this.equal.entry(message.to_vec()).or_default().1 = Some(index);
        }
        if let Some(known) = this.known.get_mut(&(template.as_ptr() as usize)) {
            known.index = Some(index);
        }
        Ok(index)
    }
}
