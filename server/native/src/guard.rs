//! No panic leaves this module: it becomes a RuntimeError, which costs one batch its results.
//!
//! PyO3 alone raises a PanicException, a BaseException, which passes every `except Exception`.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use pyo3::PyResult;
use pyo3::exceptions::PyRuntimeError;

thread_local! {
    /// Where the last panic of this thread was: "src/leaves/times.rs:12".
    static PLACE: Cell<String> = const { Cell::new(String::new()) };
}

/// Keeps the place of a panic for `guard`, and prints nothing: its message can quote an event.
///
/// The hook belongs to this module alone, as the standard library is linked into it.
pub fn silence_panics() {
    set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()))
            .unwrap_or_default();
        PLACE.set(place);
    }));
}

/// Runs the body of a function that Python calls; a panic in it is a RuntimeError.
pub fn guard<T>(body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    guard_or(body, || ())
}

/// Does the same, and calls `on_panic` after a panic: what the body worked on may be in any state.
pub fn guard_or<T>(body: impl FnOnce() -> PyResult<T>, on_panic: impl FnOnce()) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        on_panic();
        Err(error_of(panic))
    })
}

#[cold]
fn error_of(panic: Box<dyn Any + Send>) -> pyo3::PyErr {
    // Its payload is dropped unread, for the same reason as its message.
    drop(panic);
    PyRuntimeError::new_err(format!("ciosidecar_native panicked at {}", PLACE.take()))
}
