//! What the written forms of a time are made of: numbers, names of months, offsets, clocks.

use super::calendar::Parts;
use super::decimal::split_digits;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What is left of a text. Each method takes what it finds, or leaves the text as it is.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Takes one of the bytes.
    pub fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Takes a word in any case.
    pub fn word(&mut self, word: &str) -> Option<()> {
        let (start, rest) = self.0.split_at_checked(word.len())?;
        start
            .eq_ignore_ascii_case(word.as_bytes())
            .then(|| self.0 = rest)
    }

    /// Takes `least` to `most` digits, as many as there are.
    pub fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let length = split_digits(self.0).0.len().min(most);
        if length < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')),
        )
    }

    /// Takes all digits, of which there is one at least.
    pub fn digits(&mut self) -> Option<&'a [u8]> {
        let (digits, rest) = split_digits(self.0);
        self.0 = rest;
        (!digits.is_empty()).then_some(digits)
    }

    /// Takes a month's name, the whole or three letters of it.
    pub fn month(&mut self) -> Option<i64> {
        let number = (1..)
            .zip(MONTHS)
            .find(|(_, name)| self.word(name).is_some());
        number
            .map(|(number, _)| number)
            .or_else(|| self.short_month())
    }

    pub fn short_month(&mut self) -> Option<i64> {
        (1..)
            .zip(MONTHS)
            .find(|(_, name)| self.word(&name[..3]).is_some())
            .map(|(number, _)| number)
    }

    pub fn weekday(&mut self) -> Option<()> {
        WEEKDAYS.iter().find_map(|name| self.word(name))
    }

    /// Takes +01, +0100 or +01:00. Returns the seconds; Some(None) if there is no such offset.
    pub fn offset(&mut self) -> Option<Option<i64>> {
        let start = self.0;
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let Some(hours) = self.number(2, 2) else {
            self.0 = start;
            return None;
        };
        let end = self.0;
        self.one_of(b":");
        let minutes = self.number(2, 2).unwrap_or_else(|| {
            self.0 = end;
            0
        });
        let exists = hours <= 23 && minutes <= 59;
        Some(exists.then_some(sign * (hours * 3600 + minutes * 60)))
    }

    /// Takes a comment in parentheses, if there is one.
    pub fn comment(&mut self) {
        if let Some(inside) = self.0.strip_prefix(b" (")
            && let Some(end) = inside.iter().position(|byte| b"()".contains(byte))
            && inside[end] == b')'
        {
            self.0 = &inside[end + 1..];
        }
    }

    /// Takes 3:04, 3:04:05 or 3:04 PM after a date, if it is there.
    pub fn clock(&mut self, parts: &mut Parts<'_>) -> Option<()> {
        if self.0.is_empty() {
            return Some(());
        }
        self.one_of(b",");
        self.one_of(b" ")?;
        self.time_of_day(parts, 1)?;
        if self.one_of(b" ").is_some() {
            parts.afternoon = Some(self.word("pm").is_some());
            if parts.afternoon == Some(false) {
                self.word("am")?;
            }
        }
        Some(())
    }

    /// Takes 03:04 or 03:04:05. least: the fewest digits of an hour.
    pub fn time_of_day(&mut self, parts: &mut Parts, least: usize) -> Option<()> {
        parts.hour = self.number(least, 2)?;
        self.one_of(b":")?;
        parts.minute = self.number(2, 2)?;
        if self.one_of(b":").is_some() {
            parts.second = Some(self.number(2, 2)?);
        }
        Some(())
    }
}
