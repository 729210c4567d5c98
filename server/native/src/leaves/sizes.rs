//! The sizes of attributes. Rule 4.9; twin: limits.py.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::guard::guard;

/// Returns whether a name has more characters, or a value more bytes, than is given.
#[pyfunction]
#[pyo3(signature = (attributes, name_chars, value_bytes, /))]
pub fn any_longer(
    attributes: &Bound<'_, PyDict>,
    name_chars: usize,
    value_bytes: usize,
) -> PyResult<bool> {
    guard(|| {
        for (name, value) in attributes {
            if value.len()? > value_bytes || name.len()? > name_chars {
                return Ok(true);
            }
        }
        Ok(false)
    })
}
