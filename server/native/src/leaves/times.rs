//! Times in the forms that RudderStack's sources send. Rule 2.4; twin: times.py.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use super::decimal::{millis_of_decimal, millis_of_integer};
use super::time_text::millis_of_text;
use crate::guard::guard;

pyo3::import_exception!(ciosidecar_transform.times, UnusableTime);

/// Returns whole milliseconds since 1970, rounded down, or None if the value is absent.
#[pyfunction]
#[pyo3(signature = (json_value, /))]
pub fn unix_millis(json_value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    guard(|| {
        if let Ok(text) = json_value.cast::<PyString>() {
            return of_text(text);
        }
        if json_value.is_none() {
            return Ok(None);
        }
        if let Ok(truth) = json_value.cast::<PyBool>() {
            return if truth.is_true() {
                unusable()
            } else {
                Ok(None)
            };
        }
        if let Ok(number) = json_value.cast::<PyInt>() {
            // Beyond 128 bits it is no time.
            return match number.extract::<i128>() {
                Ok(0) => Ok(None),
                Ok(number) => {
                    millis_of_integer(number).map_or_else(unusable, |millis| Ok(Some(millis)))
                }
                Err(_) => unusable(),
            };
        }
        if let Ok(number) = json_value.cast::<PyFloat>() {
            let number = number.value();
            if number == 0.0 {
                return Ok(None);
            }
            // The shortest decimal, as Python's repr.
            return of_decimal(format!("{number:e}").as_bytes());
        }
        // A number that no double holds is a VastNumber of json_text.py.
        match json_value.getattr("literal") {
            Ok(literal) => of_decimal(literal.cast::<PyString>()?.to_str()?.as_bytes()),
            Err(_) => unusable(),
        }
    })
}

fn of_text(text: &Bound<'_, PyString>) -> PyResult<Option<i64>> {
    if let Ok(text) = text.to_str()
        && text.is_ascii()
    {
        return of_stripped(text.trim_matches(is_space).as_bytes());
    }
    // White space beyond ASCII is Python's to tell. A comment may have any character, half of a pair too.
    let bytes = text
        .call_method0("strip")?
        .call_method1("encode", ("utf-8", "surrogatepass"))?;
    of_stripped(bytes.extract()?)
}

/// Tells the white space of ASCII as `str.strip` does.
fn is_space(character: char) -> bool {
    matches!(character, '\t'..='\r' | '\x1c'..=' ')
}

fn of_stripped(text: &[u8]) -> PyResult<Option<i64>> {
    if text.is_empty() || text == b"0" {
        return Ok(None);
    }
    match millis_of_text(text) {
        Some(Some(millis)) => Ok(Some(millis)),
        Some(None) => unusable(),
        None => of_decimal(text),
    }
}

fn of_decimal(text: &[u8]) -> PyResult<Option<i64>> {
    millis_of_decimal(text).map_or_else(unusable, |millis| Ok(Some(millis)))
}

#[cold]
fn unusable() -> PyResult<Option<i64>> {
    Err(UnusableTime::new_err(()))
}
