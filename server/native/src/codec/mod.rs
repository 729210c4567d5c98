//! The wire codec: reads the batches of callers, and writes results. It knows no rule.

use pyo3::prelude::*;

mod batch;
mod items;
mod parts;
mod results;
mod templates;
mod wire;

/// Adds the codec to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<batch::Batch>()?;
    module.add_class::<results::ResultsMessage>()?;
    module.add_function(wrap_pyfunction!(batch::read_stream_batch, module)?)?;
    module.add_function(wrap_pyfunction!(batch::read_unary_batch, module)?)
}
