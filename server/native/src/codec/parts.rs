//! The bytes of a message of results, by the fields of result.proto.

use super::wire::{
    field_len, packed_len, put_field, put_head, put_packed, put_varint, varint_len, wire_int32,
};

const BATCH_ID: u8 = 1;
const FIRST_POSITION: u8 = 2;
const POSITIONS: u8 = 3;
const STATUSES: u8 = 4;
const DETAILS: u8 = 5;
const TEMPLATES: u8 = 6;
const REQUESTS: u8 = 7;
const BATCH_COMPLETE: u8 = 8;

const REQUEST_TEMPLATE: u8 = 1;
const REQUEST_PATH: u8 = 2;
const REQUEST_BODY: u8 = 3;
const REQUEST_POSITIONS: u8 = 4;

/// What a message of results consists of so far.
#[derive(Default)]
pub struct Parts {
    pub statuses: Vec<i32>,
    pub positions: Vec<i32>,
    details: Vec<u8>,
    templates: Vec<u8>,
    template_count: i32,
    requests: Vec<u8>,
}

impl Parts {
    pub fn add_detail(&mut self, message: &[u8]) {
        put_field(&mut self.details, DETAILS, message);
    }

    /// Writes a template. Returns its index.
    pub fn add_template(&mut self, message: &[u8]) -> i32 {
        put_field(&mut self.templates, TEMPLATES, message);
        self.template_count += 1;
        self.template_count - 1
    }

    pub fn add_request(&mut self, template: i32, path: &str, body: &[u8], positions: &[i32]) {
        let template = wire_int32(template);
        let positions_len = packed_len(positions);
        let bytes_len = |length| if length == 0 { 0 } else { field_len(length) };
        let length = if template == 0 {
            0
        } else {
            1 + varint_len(template)
        } + bytes_len(path.len())
            + bytes_len(body.len())
            + bytes_len(positions_len);
        let to = &mut self.requests;
        to.reserve(field_len(length));
        put_head(to, REQUESTS, length);
        put_integer(to, REQUEST_TEMPLATE, template);
        if !path.is_empty() {
            put_field(to, REQUEST_PATH, path.as_bytes());
        }
        if !body.is_empty() {
            put_field(to, REQUEST_BODY, body);
        }
        put_packed(to, REQUEST_POSITIONS, positions, positions_len);
    }

    /// Returns the response on the wire.
    ///
    /// number: of the field of the response that holds the results.
    pub fn message(&self, number: u8, batch_id: i64, complete: bool) -> Vec<u8> {
        let batch_id = batch_id as u64;
        let first = self.positions.first().copied().unwrap_or_default();
        let last = self.positions.last().copied().unwrap_or_default();
        let positions = match i64::from(last) - i64::from(first) + 1 == self.positions.len() as i64
        {
            true => &[],
            false => self.positions.as_slice(),
        };
        let first = if positions.is_empty() {
            wire_int32(first)
        } else {
            0
        };
        let (positions_len, statuses_len) = (packed_len(positions), packed_len(&self.statuses));
        let integer_len = |value| if value == 0 { 0 } else { 1 + varint_len(value) };
        let packed_field_len = |length| if length == 0 { 0 } else { field_len(length) };
        let length = integer_len(batch_id)
            + integer_len(first)
            + packed_field_len(positions_len)
            + packed_field_len(statuses_len)
            + self.details.len()
            + self.templates.len()
            + self.requests.len()
            + if complete { 2 } else { 0 };
        let mut to = Vec::with_capacity(field_len(length));
        put_head(&mut to, number, length);
        put_integer(&mut to, BATCH_ID, batch_id);
        put_integer(&mut to, FIRST_POSITION, first);
        put_packed(&mut to, POSITIONS, positions, positions_len);
        put_packed(&mut to, STATUSES, &self.statuses, statuses_len);
        to.extend_from_slice(&self.details);
        to.extend_from_slice(&self.templates);
        to.extend_from_slice(&self.requests);
        put_integer(&mut to, BATCH_COMPLETE, u64::from(complete));
        to
    }
}

/// Writes an integer, unless it is 0, the default.
fn put_integer(to: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        to.push(number << 3);
        put_varint(to, value);
    }
}
