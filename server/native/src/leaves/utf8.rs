//! Whether bytes are UTF-8. Rule 1.1; twin: event.py.

use pyo3::exceptions::PyUnicodeDecodeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::guard::guard;

/// Returns whether bytes, or those of another buffer, are UTF-8.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn is_utf8(data: &Bound<'_, PyAny>) -> PyResult<bool> {
    guard(|| match data.cast::<PyBytes>() {
        Ok(bytes) => Ok(std::str::from_utf8(bytes.as_bytes()).is_ok()),
        Err(_) => is_utf8_buffer(data),
    })
}

/// Reads a bytearray or a memoryview, which no event of a caller is, as the twin does.
#[cold]
fn is_utf8_buffer(data: &Bound<'_, PyAny>) -> PyResult<bool> {
    match PyString::from_encoded_object(data, Some(c"utf-8"), None) {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_instance_of::<PyUnicodeDecodeError>(data.py()) => Ok(false),
        Err(fault) => Err(fault),
    }
}
