//! The written forms of a time, each of them one of the patterns of times.py.

use super::calendar::Parts;
use super::time_reader::Reader;

/// The zones of mail, obsolete ones too, and their hours (RFC 2822, 4.3). UTC stands before UT.
const ZONES: [(&str, i64); 12] = [
    ("z", 0),
    ("utc", 0),
    ("ut", 0),
    ("gmt", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
];

/// Returns the milliseconds of a text; Some(None) if it has the form of a time that does not exist.
///
/// Returns None if it has no such form.
pub fn millis_of_text(text: &[u8]) -> Option<Option<i64>> {
    [
        iso,
        with_slashes,
        month_first,
        day_first,
        rfc_2822,
        javascript,
    ]
    .into_iter()
    .find_map(|form| {
        let mut reader = Reader(text);
        form(&mut reader).filter(|_| reader.0.is_empty())
    })
    .map(|parts| parts.unix_millis())
}

/// 2024, 2024-01, 2024-01-02 or 2024/1/2, with T03:04:05.678Z, a zone as Go prints it, or less.
fn iso<'a>(text: &mut Reader<'a>) -> Option<Parts<'a>> {
    let mut parts = Parts::of_day(text.number(4, 4)?, 1, 1);
    if let Some(separator) = text.one_of(b"-/") {
        parts.month = text.number(1, 2)?;
        if text.one_of(&[separator]).is_some() {
            parts.day = text.number(1, 2)?;
        }
    }
    if text.one_of(b"Tt ").is_none() {
        return Some(parts);
    }
    text.time_of_day(&mut parts, 2)?;
    if parts.second.is_some() && text.one_of(b".").is_some() {
        parts.fraction = text.digits()?;
    }
    if text.0.is_empty() {
        return Some(parts);
    }
    text.one_of(b" ");
    if text.one_of(b"Zz").is_none() {
        match [&b"UTC"[..], b"GMT"]
            .into_iter()
            .find_map(|zone| text.0.strip_prefix(zone))
        {
            Some(rest) => text.0 = rest,
            None => parts.offset_s = text.offset()?,
        }
    }
    go_tail(text)?;
    Some(parts)
}

/// Takes what Go prints after an offset: the zone's name, or the offset again, and the monotonic clock.
fn go_tail(text: &mut Reader) -> Option<()> {
    if text.one_of(b" ").is_none() {
        return Some(());
    }
    let letters = text
        .0
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    if letters > 0 {
        if !(3..=5).contains(&letters) {
            return None;
        }
        text.0 = &text.0[letters..];
    } else {
        text.one_of(b"+-")?;
        text.number(2, 2)?;
        text.number(2, 2);
    }
    if let Some(rest) = text.0.strip_prefix(b" m=") {
        text.0 = rest;
        text.one_of(b"+-")?;
        text.digits()?;
        text.one_of(b".")?;
        text.digits()?;
    }
    Some(())
}

/// 1/2/2024, with a time of day.
fn with_slashes<'a>(text: &mut Reader<'a>) -> Option<Parts<'a>> {
    let month = text.number(1, 2)?;
    text.one_of(b"/")?;
    let day = text.number(1, 2)?;
    text.one_of(b"/")?;
    let year = text.number(4, 4)?;
    let mut parts = Parts::of_day(year, month, day);
    text.clock(&mut parts)?;
    Some(parts)
}

/// January 2, 2024, with a time of day.
fn month_first<'a>(text: &mut Reader<'a>) -> Option<Parts<'a>> {
    let month = text.month()?;
    text.one_of(b" ")?;
    let day = text.number(1, 2)?;
    text.one_of(b",");
    text.one_of(b" ")?;
    let year = text.number(4, 4)?;
    let mut parts = Parts::of_day(year, month, day);
    text.clock(&mut parts)?;
    Some(parts)
}

/// 2 January 2024, with a time of day.
fn day_first<'a>(text: &mut Reader<'a>) -> Option<Parts<'a>> {
    let day = text.number(1, 2)?;
    text.one_of(b" ")?;
    let month = text.month()?;
    text.one_of(b" ")?;
    let year = text.number(4, 4)?;
    let mut parts = Parts::of_day(year, month, day);
    text.clock(&mut parts)?;
    Some(parts)
}

/// Tue, 02 Jan 2024 03:04:05 GMT, as mail and HTTP have it.
fn rfc_2822<'a>(text: &mut Reader<'a>) -> Option<Parts<'a>> {
    if text.weekday().is_some() {
        text.one_of(b",")?;
        text.one_of(b" ");
    }
    let day = text.number(1, 2)?;
    text.one_of(b" ")?;
    let month = text.short_month()?;
    text.one_of(b" ")?;
    let year = text.number(4, 4)?;
    text.one_of(b" ")?;
    let mut parts = Parts::of_day(year, month, day);
    text.time_of_day(&mut parts, 2)?;
    if text.0.is_empty() {
        return Some(parts);
    }
    text.one_of(b" ");
    parts.offset_s = match ZONES.iter().find(|(name, _)| text.word(name).is_some()) {
        Some((_, hours)) => Some(hours * 3600),
        None => text.offset()?,
    };
    text.comment();
    Some(parts)
}

/// Tue Jan 02 2024 03:04:05 GMT+0100 (CET), as JavaScript prints it, or the date alone.
fn javascript<'a>(text: &mut Reader<'a>) -> Option<Parts<'a>> {
    text.weekday()?;
    text.one_of(b" ")?;
    let month = text.short_month()?;
    text.one_of(b" ")?;
    let day = text.number(2, 2)?;
    text.one_of(b" ")?;
    let year = text.number(4, 4)?;
    let mut parts = Parts::of_day(year, month, day);
    if text.0.is_empty() {
        return Some(parts);
    }
    text.one_of(b" ")?;
    text.time_of_day(&mut parts, 2)?;
    parts.second?;
    text.word(" gmt")?;
    if text
        .0
        .get(1..5)
        .is_none_or(|digits| !digits.iter().all(u8::is_ascii_digit))
    {
        return None;
    }
    parts.offset_s = text.offset()?;
    text.comment();
    Some(parts)
}
