//! Whether bytes are UTF-8. Rule 1.1; twin: event.py.

use pyo3::prelude::*;

use crate::guard::guard;

/// Returns whether bytes are UTF-8.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn is_utf8(data: &[u8]) -> PyResult<bool> {
    guard(|| Ok(std::str::from_utf8(data).is_ok()))
}
