//! Leaves of the transform: functions that decide nothing and call nothing of Python's.

use pyo3::prelude::*;

mod bodies;
mod calendar;
mod decimal;
mod event_id;
mod sizes;
mod time_reader;
mod time_text;
mod times;
mod utf8;

/// Adds the leaves to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(times::unix_millis, module)?)?;
    module.add_function(wrap_pyfunction!(event_id::hashed_ulid, module)?)?;
    module.add_function(wrap_pyfunction!(sizes::any_longer, module)?)?;
    module.add_function(wrap_pyfunction!(bodies::event_body, module)?)?;
    module.add_function(wrap_pyfunction!(bodies::event_item, module)?)?;
    module.add_function(wrap_pyfunction!(utf8::is_utf8, module)?)
}
