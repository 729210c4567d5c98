//! The compiled parts of ciosidecar. Each has a twin in Python, which is the reference.

use pyo3::prelude::*;

mod codec;
mod guard;
mod leaves;

/// Changes whenever a function is added or changed: `ciosidecar_transform.native` needs this very number.
const INTERFACE: u32 = 4;

#[pymodule]
fn ciosidecar_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    guard::silence_panics();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("INTERFACE", INTERFACE)?;
    codec::register(module)?;
    leaves::register(module)
}
