//! The templates of a message of results: which of them it has room for, and which it has.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

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

/// The templates of one message.
pub struct Templates {
    /// Whether templates that are equal on the wire are one.
    equal_are_one: bool,
    /// By address.
    known: HashMap<usize, Known>,
    /// By the template on the wire: whether its bytes are counted, and its index.
    equal: HashMap<Vec<u8>, (bool, Option<i32>)>,
}

impl Templates {
    pub fn new(equal_are_one: bool) -> Self {
        Templates {
            equal_are_one,
            known: HashMap::new(),
            equal: HashMap::new(),
        }
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.equal.clear();
    }

    fn get(&self, template: &Bound<'_, PyAny>) -> Option<&Known> {
        self.known.get(&(template.as_ptr() as usize))
    }

    pub fn is_reserved(&self, template: &Bound<'_, PyAny>) -> bool {
        self.get(template).is_some_and(|known| known.reserved)
    }

    pub fn index(&self, template: &Bound<'_, PyAny>) -> Option<i32> {
        self.get(template)?.index
    }

    /// Returns a template on the wire, and what it counts for; None if the message does not know it.
    pub fn encoded<'py>(&self, template: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyBytes>, i64)> {
        let (message, counted_bytes) = &self.get(template)?.encoded;
        Some((message.bind(template.py()).clone(), *counted_bytes))
    }

    /// Takes a template to know. encoded: as `encoded` returns it from now on.
    pub fn learn(&mut self, template: &Bound<'_, PyAny>, encoded: (Py<PyBytes>, i64)) {
        let known = Known {
            _template: template.clone().unbind(),
            encoded,
            reserved: false,
            index: None,
        };
        self.known.insert(template.as_ptr() as usize, known);
    }

    /// Returns whether an equal template is one with this one, and is counted. message: on the wire.
    pub fn is_equal_reserved(&self, message: &[u8]) -> bool {
        self.equal
            .get(message)
            .is_some_and(|(reserved, _)| *reserved)
    }

    /// Returns the index of an equal template that is one with this one. message: on the wire.
    pub fn equal_index(&self, message: &[u8]) -> Option<i32> {
        self.equal.get(message)?.1
    }

    /// Notes that the bytes of a known template are counted. message: the template on the wire.
    pub fn note_reserved(&mut self, template: &Bound<'_, PyAny>, message: &[u8]) {
        if self.equal_are_one {
            self.equal.entry(message.to_vec()).or_default().0 = true;
        }
        if let Some(known) = self.known.get_mut(&(template.as_ptr() as usize)) {
            known.reserved = true;
        }
    }

    /// Notes where a known template is written. message: the template on the wire.
    pub fn note_index(&mut self, template: &Bound<'_, PyAny>, message: &[u8], index: i32) {
        if self.equal_are_one {
            self.equal.entry(message.to_vec()).or_default().1 = Some(index);
        }
        if let Some(known) = self.known.get_mut(&(template.as_ptr() as usize)) {
            known.index = Some(index);
        }
    }
}
