//! An event whose scalars are read, and whose objects and arrays are made when they are asked for.
//!
//! Twin: event.py, whose `Event` and `Context` say what each field is.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyString, PyTuple, PyType};

use super::json_scanner::{Place, Scanner};
use crate::guard::guard;

/// Reads ordinary events, and leaves all others to the reference in Python.
#[pyclass(frozen, module = "ciosidecar_native")]
pub struct EventDecoder {
    /// Reads any event.
    reference: Py<PyAny>,
    /// Returns the Python value of a Raw.
    value: Py<PyAny>,
}

#[pymethods]
impl EventDecoder {
    #[new]
    #[pyo3(signature = (reference, value, /))]
    fn new(reference: Py<PyAny>, value: Py<PyAny>) -> Self {
        EventDecoder { reference, value }
    }

    /// Returns the event, and whether unpaired surrogates had to be repaired.
    #[pyo3(signature = (data, /))]
    fn decode<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        guard(|| {
            let py = data.py();
            if let Ok(message) = data.cast::<PyBytes>()
                && let Ok(text) = std::str::from_utf8(message.as_bytes())
                && let Some(places) = scan(text)
            {
                match self.build(message, text, &places) {
                    Ok(event) => return Ok(PyTuple::new(py, [event, false_of(py)])?.into_any()),
                    // Too deep for the stack that is left, say. The reference tells what it is.
                    Err(problem) if problem.is_instance_of::<PyException>(py) => {}
                    Err(problem) => return Err(problem),
                }
            }
            self.reference.bind(py).call1((data,))
        })
    }
}

impl EventDecoder {
    fn build<'py>(
        &self,
        message: &Bound<'py, PyBytes>,
        text: &str,
        places: &EventPlaces,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        let scalar = |place: Place| self.scalar(py, text, place);
        let context = Context {
            mapped_to_destination: scalar(places.context.mapped_to_destination)?,
            message: message.clone().unbind(),
            places: places.context,
        };
        let event = Event {
            kind: scalar(places.kind)?,
            message_id: scalar(places.message_id)?,
            user_id: scalar(places.user_id)?,
            anonymous_id: scalar(places.anonymous_id)?,
            previous_id: scalar(places.previous_id)?,
            group_id: scalar(places.group_id)?,
            event: scalar(places.event)?,
            name: scalar(places.name)?,
            channel: scalar(places.channel)?,
            timestamp: scalar(places.timestamp)?,
            original_timestamp: scalar(places.original_timestamp)?,
            action: scalar(places.action)?,
            context: Py::new(py, context)?.into_any(),
            message: message.clone().unbind(),
            traits: places.traits,
            properties: places.properties,
            identifiers: places.identifiers,
            user_properties: places.user_properties,
        };
        Ok(Bound::new(py, event)?.into_any())
    }

    /// Returns the Python value of a member, None if it is absent.
    fn scalar(&self, py: Python<'_>, text: &str, place: Place) -> PyResult<Py<PyAny>> {
        Ok(match place.of(text.as_bytes()) {
            [] | b"null" => py.None(),
            [b'"', string @ .., b'"'] if !place.is_escaped => {
                PyString::from_bytes(py, string)?.into_any().unbind()
            }
            json => self.value.call1(py, (raw(py, json)?,))?,
        })
    }
}

#[derive(Default)]
struct EventPlaces {
    kind: Place,
    message_id: Place,
    user_id: Place,
    anonymous_id: Place,
    previous_id: Place,
    group_id: Place,
    event: Place,
    name: Place,
    channel: Place,
    timestamp: Place,
    original_timestamp: Place,
    action: Place,
    traits: Place,
    properties: Place,
    identifiers: Place,
    user_properties: Place,
    context: ContextPlaces,
}

#[derive(Clone, Copy, Default)]
struct ContextPlaces {
    mapped_to_destination: Place,
    traits: Place,
    external_id: Place,
    device: Place,
    os: Place,
    app: Place,
    library: Place,
    page: Place,
    locale: Place,
    consent_management: Place,
    timestamp: Place,
}

/// Returns where the members of an ordinary event are. Of equal names the last one counts.
fn scan(text: &str) -> Option<EventPlaces> {
    let mut found = EventPlaces::default();
    let mut scanner = Scanner::new(text)?;
    scanner.object(|name, scanner| {
        let place = match name {
            b"type" => &mut found.kind,
            b"messageId" => &mut found.message_id,
            b"userId" => &mut found.user_id,
            b"anonymousId" => &mut found.anonymous_id,
            b"previousId" => &mut found.previous_id,
            b"groupId" => &mut found.group_id,
            b"event" => &mut found.event,
            b"name" => &mut found.name,
            b"channel" => &mut found.channel,
            b"timestamp" => &mut found.timestamp,
            b"originalTimestamp" => &mut found.original_timestamp,
            b"action" => &mut found.action,
            b"traits" => &mut found.traits,
            b"properties" => &mut found.properties,
            b"identifiers" => &mut found.identifiers,
            b"user_properties" => &mut found.user_properties,
            b"context" => {
                // Of a context that is no object, Python tells what it is.
                found.context = scanner.is_at_object().then(|| scan_context(scanner))??;
                return Some(());
            }
            _ => return scanner.value().map(drop),
        };
        *place = scanner.value()?;
        Some(())
    })?;
    scanner.is_at_end().then_some(found)
}

fn scan_context(scanner: &mut Scanner) -> Option<ContextPlaces> {
    let mut found = ContextPlaces::default();
    scanner.object(|name, scanner| {
        let place = match name {
            b"mappedToDestination" => &mut found.mapped_to_destination,
            b"traits" => &mut found.traits,
            b"externalId" => &mut found.external_id,
            b"device" => &mut found.device,
            b"os" => &mut found.os,
            b"app" => &mut found.app,
            b"library" => &mut found.library,
            b"page" => &mut found.page,
            b"locale" => &mut found.locale,
            b"consentManagement" => &mut found.consent_management,
            b"timestamp" => &mut found.timestamp,
            _ => return scanner.value().map(drop),
        };
        *place = scanner.value()?;
        Some(())
    })?;
    Some(found)
}

/// Returns JSON text as msgspec's Raw.
fn raw<'py>(py: Python<'py>, json: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    static RAW: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    RAW.import(py, "msgspec", "Raw")?
        .call1((PyBytes::new(py, json),))
}

/// Returns the JSON text of a member as msgspec's Raw, an empty one if it is absent.
fn raw_of<'py>(
    py: Python<'py>,
    message: &Py<PyBytes>,
    place: Place,
) -> PyResult<Bound<'py, PyAny>> {
    static ABSENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    guard(|| match place.of(message.as_bytes(py)) {
        [] => ABSENT
            .get_or_try_init(py, || raw(py, b"").map(Bound::unbind))
            .map(|absent| absent.bind(py).clone()),
        json => raw(py, json),
    })
}

fn false_of(py: Python<'_>) -> Bound<'_, PyAny> {
    PyBool::new(py, false).to_owned().into_any()
}

/// An event. A scalar is a field of it; JSON text is made when it is asked for.
#[pyclass(frozen, module = "ciosidecar_native")]
pub struct Event {
    #[pyo3(get, name = "type")]
    kind: Py<PyAny>,
    #[pyo3(get)]
    message_id: Py<PyAny>,
    #[pyo3(get)]
    user_id: Py<PyAny>,
    #[pyo3(get)]
    anonymous_id: Py<PyAny>,
    #[pyo3(get)]
    previous_id: Py<PyAny>,
    #[pyo3(get)]
    group_id: Py<PyAny>,
    #[pyo3(get)]
    event: Py<PyAny>,
    #[pyo3(get)]
    name: Py<PyAny>,
    #[pyo3(get)]
    channel: Py<PyAny>,
    #[pyo3(get)]
    timestamp: Py<PyAny>,
    #[pyo3(get)]
    original_timestamp: Py<PyAny>,
    #[pyo3(get)]
    action: Py<PyAny>,
    #[pyo3(get)]
    context: Py<PyAny>,
    message: Py<PyBytes>,
    traits: Place,
    properties: Place,
    identifiers: Place,
    user_properties: Place,
}

#[pymethods]
impl Event {
    #[getter]
    fn traits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.traits)
    }
    #[getter]
    fn properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.properties)
    }
    #[getter]
    fn identifiers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.identifiers)
    }
    #[getter]
    fn user_properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.user_properties)
    }
}

/// The context of an event.
#[pyclass(frozen, module = "ciosidecar_native")]
pub struct Context {
    #[pyo3(get)]
    mapped_to_destination: Py<PyAny>,
    message: Py<PyBytes>,
    places: ContextPlaces,
}

#[pymethods]
impl Context {
    #[getter]
    fn traits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.traits)
    }
    #[getter]
    fn external_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.external_id)
    }
    #[getter]
    fn device<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.device)
    }
    #[getter]
    fn os<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.os)
    }
    #[getter]
    fn app<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.app)
    }
    #[getter]
    fn library<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.library)
    }
    #[getter]
    fn page<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.page)
    }
    #[getter]
    fn locale<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.locale)
    }
    #[getter]
    fn consent_management<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.consent_management)
    }
    #[getter]
    fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        raw_of(py, &self.message, self.places.timestamp)
    }
}
