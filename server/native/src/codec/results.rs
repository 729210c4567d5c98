//! One message of results, written as its items are answered. The fields are those of result.proto.

use std::collections::HashMap;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use super::wire::{
    field_len, packed_len, put_field, put_head, put_packed, put_varint, varint_len, wire_int32,
};
use crate::guard::guard;

const BATCH_ID: u8 = 1;
const FIRST_POSITION: u8 = 2;
const POSITIONS: u8 = 3;
const STATUSES: u8 = 4;
const DETAILS: u8 = 5;
const TEMPLATES: u8 = 6;
const REQUESTS: u8 = 7;
const BATCH_COMPLETE: u8 = 8;

const REQUEST_TEMPLATE: u8 = 1;
const REQUEST_PATH: u8 = 2;
const REQUEST_BODY: u8 = 3;
const REQUEST_POSITIONS: u8 = 4;

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

/// What a message of results consists of so far.
#[derive(Default)]
struct Parts {
    statuses: Vec<i32>,
    positions: Vec<i32>,
    details: Vec<u8>,
    templates: Vec<u8>,
    template_count: i32,
    requests: Vec<u8>,
    /// By address.
    known: HashMap<usize, Known>,
    /// By the template on the wire: the index of a template, and whether its bytes are counted.
    equal: HashMap<Vec<u8>, (bool, Option<i32>)>,
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
            let equal = this.parts.equal.get(message.as_bytes());
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
    }

    fn add_detail(slf: &Bound<'_, Self>, detail: &Bound<'_, PyAny>) -> PyResult<()> {
        guard(|| {
            let message = detail.call_method0(intern!(slf.py(), "SerializeToString"))?;
            let message = message.cast::<PyBytes>()?.as_bytes();
            put_field(&mut slf.borrow_mut().parts.details, DETAILS, message);
            Ok(())
        })
    }

    #[pyo3(signature = (*, complete))]
    fn close<'py>(&self, py: Python<'py>, complete: bool) -> PyResult<Bound<'py, PyAny>> {
        guard(|| {
            let message = PyBytes::new(py, &self.message(complete));
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
        self.parts.known.get(&(template.as_ptr() as usize))
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
        slf.borrow_mut().parts.known.insert(address, known);
        Ok((message, counted_bytes))
    }

    fn note_reserved(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>) -> PyResult<()> {
        let (message, _) = Self::encoded(slf, template)?;
        let mut this = slf.borrow_mut();
        if this.equal_templates {
            let message = message.as_bytes().to_vec();
            this.parts.equal.entry(message).or_default().0 = true;
        }
        if let Some(known) = this.parts.known.get_mut(&(template.as_ptr() as usize)) {
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
        let equal = this.parts.equal.get(message).and_then(|(_, index)| *index);
        let index = match equal {
            Some(index) if this.equal_templates => index,
            _ => this.parts.add_template(message),
        };
        if this.equal_templates {
            this.parts.equal.entry(message.to_vec()).or_default().1 = Some(index);
        }
        if let Some(known) = this.parts.known.get_mut(&(template.as_ptr() as usize)) {
            known.index = Some(index);
        }
        Ok(index)
    }

    /// Returns the response on the wire.
    fn message(&self, complete: bool) -> Vec<u8> {
        let parts = &self.parts;
        let batch_id = self.batch_id as u64;
        let first = parts.positions.first().copied().unwrap_or_default();
        let last = parts.positions.last().copied().unwrap_or_default();
        let positions = match i64::from(last) - i64::from(first) + 1 == parts.positions.len() as i64
        {
            true => &[],
            false => parts.positions.as_slice(),
        };
        let first = if positions.is_empty() {
            wire_int32(first)
        } else {
            0
        };
        let (positions_len, statuses_len) = (packed_len(positions), packed_len(&parts.statuses));
        let integer_len = |value| if value == 0 { 0 } else { 1 + varint_len(value) };
        let packed_field_len = |length| if length == 0 { 0 } else { field_len(length) };
        let length = integer_len(batch_id)
            + integer_len(first)
            + packed_field_len(positions_len)
            + packed_field_len(statuses_len)
            + parts.details.len()
            + parts.templates.len()
            + parts.requests.len()
            + if complete { 2 } else { 0 };
        let mut to = Vec::with_capacity(field_len(length));
        put_head(&mut to, self.number, length);
        put_integer(&mut to, BATCH_ID, batch_id);
        put_integer(&mut to, FIRST_POSITION, first);
        put_packed(&mut to, POSITIONS, positions, positions_len);
        put_packed(&mut to, STATUSES, &parts.statuses, statuses_len);
        to.extend_from_slice(&parts.details);
        to.extend_from_slice(&parts.templates);
        to.extend_from_slice(&parts.requests);
        put_integer(&mut to, BATCH_COMPLETE, u64::from(complete));
        to
    }
}

impl Parts {
    /// Writes a template. Returns its index.
    fn add_template(&mut self, message: &[u8]) -> i32 {
        put_field(&mut self.templates, TEMPLATES, message);
        self.template_count += 1;
        self.template_count - 1
    }

    fn add_request(&mut self, template: i32, path: &str, body: &[u8], positions: &[i32]) {
        let template = wire_int32(template);
        let positions_len = packed_len(positions);
        let bytes_len = |length| if length == 0 { 0 } else { field_len(length) };
        let length = if template == 0 {
            0
        } else {
            1 + varint_len(template)
        } + bytes_len(path.len())
            + bytes_len(body.len())
            + bytes_len(positions_len);
        let to = &mut self.requests;
        to.reserve(field_len(length));
        put_head(to, REQUESTS, length);
        put_integer(to, REQUEST_TEMPLATE, template);
        if !path.is_empty() {
            put_field(to, REQUEST_PATH, path.as_bytes());
        }
        if !body.is_empty() {
            put_field(to, REQUEST_BODY, body);
        }
        put_packed(to, REQUEST_POSITIONS, positions, positions_len);
    }
}

/// Writes an integer, unless it is 0, the default.
fn put_integer(to: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        to.push(number << 3);
        put_varint(to, value);
    }
}
