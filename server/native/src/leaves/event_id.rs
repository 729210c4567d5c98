//! The id of an event as a ULID. Rule 5.6; twin: event_id.py.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use sha2::{Digest, Sha256};

use super::times::{Time, read_time};
use crate::guard::guard;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SEPARATOR: [u8; 1] = [0x1f];

/// Returns the ULID of the first usable of two times, and of the hash of the other arguments.
#[pyfunction]
#[pyo3(signature = (time, other_time, message_id, kind, name, addressed, properties, /))]
pub fn hashed_ulid(
    time: &Bound<'_, PyAny>,
    other_time: &Bound<'_, PyAny>,
    message_id: &str,
    kind: &str,
    name: &str,
    addressed: &str,
    properties: &Bound<'_, PyAny>,
) -> PyResult<Py<PyString>> {
    guard(|| {
        let mut hash = Sha256::new();
        for part in [message_id, kind, name, addressed] {
            hash.update(part);
            hash.update(SEPARATOR);
        }
        if let Ok(bytes) = properties.cast::<PyBytes>() {
            hash.update(bytes.as_bytes());
        } else {
            // The JSON text of an event's member, a msgspec.Raw.
            hash.update(PyBuffer::<u8>::get(properties)?.to_vec(properties.py())?);
        }
        let id = ulid(first_millis(time, other_time)?, &hash.finalize().into());
        Ok(PyString::new(
            properties.py(),
            std::str::from_utf8(&id).expect("base 32 is ASCII"),
        )
        .unbind())
    })
}

/// Returns the first usable time in milliseconds, 0 if there is none from 1970 on.
fn first_millis(time: &Bound<'_, PyAny>, other_time: &Bound<'_, PyAny>) -> PyResult<i64> {
    for json_value in [time, other_time] {
        if let Time::Millis(millis) = read_time(json_value)? {
            return Ok(millis.max(0));
        }
    }
    Ok(0)
}

/// Returns a time of 50 bits, of which a ULID uses 48, and 10 bytes of a digest in Crockford's base 32.
fn ulid(millis: i64, digest: &[u8; 32]) -> [u8; 26] {
    let mut entropy = [0; 16];
    entropy[6..].copy_from_slice(&digest[..10]);
    let entropy = u128::from_be_bytes(entropy);
    let time = (0..10).rev().map(|at| (millis >> (at * 5)) as usize & 31);
    let random = (0..16).rev().map(|at| (entropy >> (at * 5)) as usize & 31);
    let mut id = [0; 26];
    for (character, five_bits) in id.iter_mut().zip(time.chain(random)) {
        *character = ALPHABET[five_bits];
    }
    id
}
