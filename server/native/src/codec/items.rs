//! The fields of an ordinary batch and of its items, by the numbers of event.proto.
//!
//! Ordinary: canonical, each field at most once, each item with JSON. For anything else these
//! functions return None, and the protobuf library reads the message, so that there is one reader of
//! odd messages. They must never accept what the library reads otherwise.

use super::wire::{BYTES, Cursor, VARINT};

/// An item, with the defaults of its fields.
#[derive(Default)]
pub struct Item<'a> {
    pub json: &'a [u8],
    pub destination: i32,
    pub connection: i32,
    pub source_type: &'a str,
    pub ordering_key: &'a str,
    pub attempt: i32,
    pub dont_batch: bool,
    pub traceparent: &'a str,
    pub tag: &'a [u8],
    /// Whether the item has JSON alone.
    pub is_plain: bool,
}

/// The fields of a batch beside its items, and what its items have.
#[derive(Default)]
pub struct Fields<'a> {
    pub batch_id: i64,
    pub destination: i32,
    pub connection: i32,
    /// Seconds and nanoseconds.
    pub timeout: Option<(i64, i32)>,
    pub traceparent: &'a str,
    pub item_count: usize,
    pub has_tags: bool,
    pub has_traceparents: bool,
}

/// Which fields a message has had.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// Notes a field whose number is below 32; returns None if it was there before.
    fn note(&mut self, number: u64) -> Option<()> {
        let bit = 1u32.checked_shl(u32::try_from(number).ok()?)?;
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new.then_some(())
    }
}

/// Returns an ordinary item of these bytes.
pub fn read_item(bytes: &[u8]) -> Option<Item<'_>> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut item = Item::default();
    let mut seen = Seen::default();
    while !cursor.is_at_end() {
        let (number, wire_type) = cursor.field()?;
        seen.note(number)?;
        match (number, wire_type) {
            (1, BYTES) => item.json = cursor.bytes()?,
            (4, VARINT) => item.destination = cursor.natural()?,
            (5, VARINT) => item.connection = cursor.natural()?,
            (6, BYTES) => item.source_type = cursor.text()?,
            (7, BYTES) => item.ordering_key = cursor.text()?,
            (8, VARINT) => item.attempt = cursor.natural()?,
            (9, VARINT) => item.dont_batch = cursor.boolean()?,
            (10, BYTES) => item.traceparent = cursor.text()?,
            (11, BYTES) => item.tag = cursor.bytes()?,
            _ => return None,
        }
    }
    item.is_plain = seen.0 == 1 << 1;
    (!item.json.is_empty()).then_some(item)
}

/// Returns the fields of an ordinary batch of these bytes. Every item is checked.
pub fn read_batch(bytes: &[u8]) -> Option<Fields<'_>> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut fields = Fields::default();
    let mut seen = Seen::default();
    while !cursor.is_at_end() {
        let (number, wire_type) = cursor.field()?;
        if (number, wire_type) == (2, BYTES) {
            let item = read_item(cursor.bytes()?)?;
            fields.item_count += 1;
            fields.has_tags |= !item.tag.is_empty();
            fields.has_traceparents |= !item.traceparent.is_empty();
            continue;
        }
        seen.note(number)?;
        match (number, wire_type) {
            (1, VARINT) => fields.batch_id = cursor.varint()? as i64,
            (3, VARINT) => fields.destination = cursor.natural()?,
            (4, VARINT) => fields.connection = cursor.natural()?,
            (5, BYTES) => fields.timeout = Some(read_duration(cursor.bytes()?)?),
            (6, BYTES) => fields.traceparent = cursor.text()?,
            _ => return None,
        }
    }
    Some(fields)
}

fn read_duration(bytes: &[u8]) -> Option<(i64, i32)> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut seen = Seen::default();
    let (mut seconds, mut nanos) = (0, 0);
    while !cursor.is_at_end() {
        let (number, wire_type) = cursor.field()?;
        seen.note(number)?;
        match (number, wire_type) {
            (1, VARINT) => seconds = cursor.varint()? as i64,
            (2, VARINT) => nanos = cursor.natural()?,
            _ => return None,
        }
    }
    Some((seconds, nanos))
}

/// Returns the next item, and moves the cursor behind it; None after the last one.
///
/// The cursor is in the bytes of a batch that `read_batch` has accepted.
pub fn next_item<'a>(cursor: &mut Cursor<'a>) -> Option<Item<'a>> {
    while !cursor.is_at_end() {
        let (number, wire_type) = cursor.field()?;
        if number == 2 {
            return read_item(cursor.bytes()?);
        }
        if wire_type == BYTES {
            cursor.bytes()?;
        } else {
            cursor.varint()?;
        }
    }
    None
}

/// Returns where the only batch of a message is, if the message has nothing beside it.
///
/// number: of the field that holds the batch.
pub fn only_batch(bytes: &[u8], number: u64) -> Option<std::ops::Range<usize>> {
    let mut cursor = Cursor::new(bytes, 0);
    if cursor.field()? != (number, BYTES) {
        return None;
    }
    let length = cursor.bytes()?.len();
    let end = cursor.at();
    cursor.is_at_end().then_some(end - length..end)
}

/// Returns where the only batch of a message is, and the field that holds it, with its tag and length.
///
/// The other fields of the message have any numbers, and are not looked into.
pub fn batch_among_others(
    bytes: &[u8],
    number: u64,
) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut found = None;
    while !cursor.is_at_end() {
        let start = cursor.at();
        let (field, wire_type) = cursor.field()?;
        if wire_type != BYTES {
            return None;
        }
        let length = cursor.bytes()?.len();
        let end = cursor.at();
        if field == number && found.replace((end - length..end, start..end)).is_some() {
            return None;
        }
    }
    found
}
