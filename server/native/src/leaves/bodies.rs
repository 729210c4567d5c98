//! Events as Customer.io takes them. Rules 5.1, 10; twins: track_v1.py and track_v2.py.
//!
//! Joined from slices of the received event: a value that is not parsed cannot be damaged.

use std::io::Write;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::guard::guard;

/// What a body has beside its texts and its data, at most. A larger one is only slower.
const FRAME_BYTES: usize = 160;

/// Returns the body of an event in v1.
#[pyfunction]
#[pyo3(signature = (name, kind_json, data, timestamp, event_id, anonymous_id, /))]
pub fn event_body<'py>(
    py: Python<'py>,
    name: &str,
    kind_json: &[u8],
    data: &[u8],
    timestamp: Option<i64>,
    event_id: Option<&str>,
    anonymous_id: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| {
        let mut json = Vec::with_capacity(FRAME_BYTES + name.len() + data.len());
        json.extend_from_slice(br#"{"name":"#);
        push_text(&mut json, name);
        json.extend_from_slice(br#","type":"#);
        json.extend_from_slice(kind_json);
        json.extend_from_slice(br#","data":"#);
        json.extend_from_slice(data);
        push_time_s(&mut json, timestamp);
        push_id(&mut json, event_id);
        if let Some(anonymous_id) = anonymous_id {
            json.extend_from_slice(br#","anonymous_id":"#);
            push_text(&mut json, anonymous_id);
        }
        json.push(b'}');
        Ok(PyBytes::new(py, &json))
    })
}

/// Returns the item of an event in v2.
#[pyfunction]
#[pyo3(signature = (opening, id_type, identifier, name, event_id, timestamp, data, /))]
#[expect(clippy::too_many_arguments, reason = "an event has so many parts")]
pub fn event_item<'py>(
    py: Python<'py>,
    opening: &[u8],
    id_type: &str,
    identifier: &str,
    name: &str,
    event_id: Option<&str>,
    timestamp: Option<i64>,
    data: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| {
        let texts = identifier.len() + name.len();
        let mut json = Vec::with_capacity(FRAME_BYTES + texts + data.len());
        json.extend_from_slice(opening);
        json.push(b'{');
        push_text(&mut json, id_type);
        json.push(b':');
        push_text(&mut json, identifier);
        json.extend_from_slice(br#"},"name":"#);
        push_text(&mut json, name);
        push_id(&mut json, event_id);
        push_time_s(&mut json, timestamp);
        json.extend_from_slice(br#","attributes":"#);
        json.extend_from_slice(data);
        json.push(b'}');
        Ok(PyBytes::new(py, &json))
    })
}

fn push_time_s(json: &mut Vec<u8>, timestamp: Option<i64>) {
    if let Some(seconds) = timestamp {
        // Writing to memory does not fail.
        let _ = write!(json, r#","timestamp":{seconds}"#);
    }
}

/// Adds the id of an event, which has no character that JSON escapes.
fn push_id(json: &mut Vec<u8>, event_id: Option<&str>) {
    if let Some(id) = event_id {
        json.extend_from_slice(br#","id":""#);
        json.extend_from_slice(id.as_bytes());
        json.push(b'"');
    }
}

/// Adds a text as msgspec writes it: only the characters that need it are escaped.
fn push_text(json: &mut Vec<u8>, text: &str) {
    json.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        json.extend_from_slice(&rest[..at]);
        push_escape(json, rest[at]);
        rest = &rest[at + 1..];
    }
    json.extend_from_slice(rest);
    json.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escape(json: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let _ = write!(json, "\\u{byte:04x}");
            return;
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}
