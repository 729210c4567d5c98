//! Leaves of the transform: functions that decide nothing and call nothing of Python's.

use pyo3::prelude::*;

/// Adds the leaves to the module.
pub fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
