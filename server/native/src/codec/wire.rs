//! The wire format of protobuf: what a canonical message consists of.
//!
//! The cursor accepts what protobuf's own writers write, and nothing else: the shortest form of each
//! number, no groups. Whoever reads leaves everything else to the protobuf library.

/// Wire types: how the value of a field is written.
pub const VARINT: u8 = 0;
pub const BYTES: u8 = 2;

/// A place in the bytes of a message.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Returns the number and the wire type of the next field.
    pub fn field(&mut self) -> Option<(u64, u8)> {
        let tag = self.varint()?;
        Some((tag >> 3, (tag & 7) as u8))
    }

    /// Returns an integer; None if it is cut off, not in its shortest form, or beyond 64 bits.
    pub fn varint(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        if first < 0x80 {
            self.at += 1;
            return Some(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for index in 1..10 {
            let byte = *self.bytes.get(self.at + index)?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                let has_shorter_form = byte == 0;
                let is_too_large = index == 9 && byte > 1;
                if has_shorter_form || is_too_large {
                    return None;
                }
                self.at += index + 1;
                return Some(value);
            }
        }
        None
    }

    /// Returns an int32 that is not negative.
    pub fn natural(&mut self) -> Option<i32> {
        i32::try_from(self.varint()?).ok()
    }

    pub fn boolean(&mut self) -> Option<bool> {
        match self.varint()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Returns the bytes of a field with a length before it.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(length)?;
        let value = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(value)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Returns the number of bytes of an integer.
pub fn varint_len(value: u64) -> usize {
    // Seven bits a byte, and at least one byte.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Returns the bytes of a field whose number is below 16: its tag, its length and its value.
pub fn field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// Writes the tag and the length of a field whose number is below 16.
pub fn put_head(to: &mut Vec<u8>, number: u8, length: usize) {
    to.push(number << 3 | BYTES);
    put_varint(to, length as u64);
}

pub fn put_field(to: &mut Vec<u8>, number: u8, value: &[u8]) {
    put_head(to, number, value.len());
    to.extend_from_slice(value);
}

/// Returns the integer that an int32 is on the wire: a negative one has ten bytes.
pub fn wire_int32(value: i32) -> u64 {
    i64::from(value) as u64
}

/// Returns the bytes of the values of a packed field, without tag and length.
pub fn packed_len(values: &[i32]) -> usize {
    values
        .iter()
        .map(|value| varint_len(wire_int32(*value)))
        .sum()
}

/// Writes a packed field, unless it has no values. length: as `packed_len` returns it.
pub fn put_packed(to: &mut Vec<u8>, number: u8, values: &[i32], length: usize) {
    if values.is_empty() {
        return;
    }
    put_head(to, number, length);
    for value in values {
        put_varint(to, wire_int32(*value));
    }
}
