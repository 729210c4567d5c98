//! Times in the forms that RudderStack's sources send. Rule 2.4; twin: times.py.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use super::decimal::{millis_of_decimal, millis_of_integer};
use super::time_text::millis_of_text;
use crate::guard::guard;

pyo3::import_exception!(ciosidecar_transform.times, UnusableTime);

/// What a JSON value is as a time.
pub enum Time {
    Absent,
    /// Whole milliseconds since 1970, rounded down.
    Millis(i64),
    /// The value is present but is no time.
    Unusable,
}

impl From<Option<i64>> for Time {
    fn from(millis: Option<i64>) -> Self {
        millis.map_or(Time::Unusable, Time::Millis)
    }
}

/// Returns whole milliseconds since 1970, rounded down, or None if the value is absent.
#[pyfunction]
#[pyo3(signature = (json_value, /))]
pub fn unix_millis(json_value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    guard(|| match read_time(json_value)? {
        Time::Absent => Ok(None),
        Time::Millis(millis) => Ok(Some(millis)),
        Time::Unusable => Err(UnusableTime::new_err(())),
    })
}

/// Returns what a JSON value, as Python has it, is as a time.
pub fn read_time(json_value: &Bound<'_, PyAny>) -> PyResult<Time> {
    if let Ok(text) = json_value.cast::<PyString>() {
        return of_text(text);
    }
    if json_value.is_none() {
        return Ok(Time::Absent);
    }
    if let Ok(truth) = json_value.cast::<PyBool>() {
        return Ok(if truth.is_true() {
            Time::Unusable
        } else {
            Time::Absent
        });
    }
    if let Ok(number) = json_value.cast::<PyInt>() {
        // Beyond 128 bits it is no time.
        return Ok(match number.extract::<i128>() {
            Ok(0) => Time::Absent,
            Ok(number) => millis_of_integer(number).into(),
            Err(_) => Time::Unusable,
        });
    }
    if let Ok(number) = json_value.cast::<PyFloat>() {
        let number = number.value();
        if number == 0.0 {
            return Ok(Time::Absent);
        }
        // The shortest decimal, as Python's repr.
        return Ok(millis_of_decimal(format!("{number:e}").as_bytes()).into());
    }
    // A number that no double holds is a VastNumber of json_text.py.
    match json_value.getattr("literal") {
        Ok(literal) => {
            Ok(millis_of_decimal(literal.cast::<PyString>()?.to_str()?.as_bytes()).into())
        }
        Err(_) => Ok(Time::Unusable),
    }
}

fn of_text(text: &Bound<'_, PyString>) -> PyResult<Time> {
    if let Ok(text) = text.to_str()
        && text.is_ascii()
    {
        return Ok(of_stripped(text.trim_matches(is_space).as_bytes()));
    }
    // White space beyond ASCII is Python's to tell. A comment may have any character, half of a pair too.
    let bytes = text
        .call_method0("strip")?
        .call_method1("encode", ("utf-8", "surrogatepass"))?;
    Ok(of_stripped(bytes.extract()?))
}

/// Tells the white space of ASCII as `str.strip` does.
fn is_space(character: char) -> bool {
    matches!(character, '\t'..='\r' | '\x1c'..=' ')
}

fn of_stripped(text: &[u8]) -> Time {
    if text.is_empty() || text == b"0" {
        return Time::Absent;
    }
    match millis_of_text(text) {
        Some(millis) => millis.into(),
        None => millis_of_decimal(text).into(),
    }
}
