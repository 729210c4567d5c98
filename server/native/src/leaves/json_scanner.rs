//! Walks through JSON and says where its members are, without building anything.
//!
//! Ordinary JSON only: valid by RFC 8259, no unpaired surrogate, not deeply nested. For anything else these
//! functions return None, and Python reads the text. They must never accept what msgspec rejects.

/// How deep objects and arrays may be nested. Python's reader takes what is deeper.
const MAX_DEPTH: u32 = 64;

/// Where a value is, with its quotes or brackets. Empty: the member is absent.
#[derive(Clone, Copy, Default)]
pub struct Place {
    start: u32,
    end: u32,
    /// Whether it is a string with escapes.
    pub is_escaped: bool,
}

impl Place {
    /// Returns the JSON text of the value, nothing if it is absent.
    pub fn of(self, json: &[u8]) -> &[u8] {
        &json[self.start as usize..self.end as usize]
    }
}

/// A position in a text. Each method leaves it behind what it has read.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether the text has no backslash and no control character: a string ends at the next quote.
    is_plain: bool,
}

impl<'a> Scanner<'a> {
    /// Begins a text, which must have fewer than 2^32 bytes.
    pub fn new(text: &'a str) -> Option<Self> {
        u32::try_from(text.len()).ok()?;
        let bytes = text.as_bytes();
        // Without a branch for each byte: compilers turn this into vector instructions.
        let is_odd = |byte: &u8| (*byte < 0x20) | (*byte == b'\\');
        let has_odd = bytes.iter().fold(false, |found, byte| found | is_odd(byte));
        Some(Scanner {
            bytes,
            at: 0,
            is_plain: !has_odd,
        })
    }

    /// Returns whether nothing but white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.bytes.len()
    }

    /// Returns whether an object is next.
    pub fn is_at_object(&mut self) -> bool {
        self.skip_space();
        self.peek() == Some(b'{')
    }

    /// Reads an object. `member` gets each name, and reads the value of it. A name has no escapes.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.skip_space();
        self.expect(b'{')?;
        if self.takes(b'}') {
            return Some(());
        }
        loop {
            self.skip_space();
            let start = self.at + 1;
            let is_escaped = self.string()?;
            if is_escaped {
                return None;
            }
            let name = &self.bytes[start..self.at - 1];
            self.skip_space();
            self.expect(b':')?;
            member(name, self)?;
            if !self.takes(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads a value of any type.
    pub fn value(&mut self) -> Option<Place> {
        self.skip_space();
        let start = self.at;
        let is_escaped = match self.peek()? {
            b'"' => self.string()?,
            b'{' | b'[' => {
                self.container()?;
                false
            }
            _ => {
                self.literal()?;
                false
            }
        };
        Some(Place {
            start: start as u32,
            end: self.at as u32,
            is_escaped,
        })
    }

    /// Reads an object or array, without a call for each level of it.
    fn container(&mut self) -> Option<()> {
        // One bit for each level, the innermost is the lowest: whether it is an object.
        let (mut is_object, mut depth) = (0_u64, 0);
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    // Two bytes from the opening to the closing bracket, in ASCII.
                    if !self.takes(opening + 2) {
                        depth += 1;
                        if depth >= MAX_DEPTH {
                            return None;
                        }
                        is_object = is_object << 1 | u64::from(opening == b'{');
                        self.before_value(is_object & 1 == 1)?;
                        continue;
                    }
                }
                _ => self.literal()?,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                let in_object = is_object & 1 == 1;
                if self.takes(b',') {
                    self.before_value(in_object)?;
                    break;
                }
                self.expect(if in_object { b'}' } else { b']' })?;
                is_object >>= 1;
                depth -= 1;
            }
        }
    }

    /// Reads the name of a member, if there is one, and white space.
    fn before_value(&mut self, in_object: bool) -> Option<()> {
        self.skip_space();
        if in_object {
            self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
        }
        Some(())
    }

    /// Reads a string. Returns whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        if self.is_plain {
            return self.skip_to_quote().then_some(false);
        }
        let mut is_escaped = false;
        loop {
            match self.next()? {
                b'"' => return Some(is_escaped),
                b'\\' => {
                    is_escaped = true;
                    self.escape()?;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    /// Reads up to the next quote, and the quote. Returns whether there is one.
    fn skip_to_quote(&mut self) -> bool {
        while let Some(eight) = self.bytes[self.at..].first_chunk() {
            let quotes = quotes_in(u64::from_le_bytes(*eight));
            if quotes != 0 {
                self.at += quotes.trailing_zeros() as usize / 8 + 1;
                return true;
            }
            self.at += 8;
        }
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|byte| *byte == b'"') {
            Some(length) => {
                self.at += length + 1;
                true
            }
            None => false,
        }
    }

    #[cold]
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.four_hex_digits()? {
                0xd800..0xdc00 => {
                    self.expect(b'\\')?;
                    self.expect(b'u')?;
                    (0xdc00..0xe000)
                        .contains(&self.four_hex_digits()?)
                        .then_some(())
                }
                0xdc00..0xe000 => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn four_hex_digits(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, digit| {
            Some(sum * 16 + char::from(*digit).to_digit(16)?)
        })
    }

    /// Reads true, false, null or a number.
    fn literal(&mut self) -> Option<()> {
        let word: &[u8] = match self.peek()? {
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return self.number(),
        };
        self.bytes[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Reads digits, of which there is one at least.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Reads white space, and the byte if it is next. Returns whether it was.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads the byte, which must be next.
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

/// Returns the high bit of the first byte that is a quote; 0 if there is none.
///
/// Bits above that one may be set, too: a subtraction borrows from the next byte.
fn quotes_in(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let zero_at_quote = eight ^ (ONES * b'"' as u64);
    zero_at_quote.wrapping_sub(ONES) & !zero_at_quote & (ONES * 0x80)
}
