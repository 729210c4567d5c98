//! Times that are JSON numbers: seconds, milliseconds, microseconds or nanoseconds, by their size.

/// Returns whole milliseconds of an integer, rounded down, or None if it is no time.
pub fn millis_of_integer(number: i128) -> Option<i64> {
    let millis = match number.unsigned_abs().checked_ilog10()? {
        8..=10 => number * 1000,
        11..=13 => number,
        14..=16 => number.div_euclid(1000),
        17..=19 => number.div_euclid(1_000_000),
        _ => return None,
    };
    i64::try_from(millis).ok()
}

/// Returns whole milliseconds of a JSON number, rounded down, or None if it is no time.
///
/// By its digits: a double does not hold all of them, and there may be a million.
pub fn millis_of_decimal(text: &[u8]) -> Option<i64> {
    let (minus, rest) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, rest) = split_digits(rest);
    if whole.is_empty() {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => split_digits(rest),
        None => (&rest[..0], rest),
    };
    if fraction.is_empty() && text.contains(&b'.') {
        return None;
    }
    let exponent = exponent(rest)?;
    let mut digits = whole
        .iter()
        .chain(fraction)
        .skip_while(|digit| **digit == b'0');
    let significant = digits.clone().count();
    if significant == 0 {
        return None;
    }
    // The number is 0.d1d2d3… times ten to the power of `size`.
    let zeros = whole.len() + fraction.len() - significant;
    let size = whole.len() as i64 - zeros as i64 + exponent;
    // From one unit to the next are three digits: seconds below 1e11, milliseconds below 1e14, and so on.
    let length = match size {
        9..=11 => size + 3,
        12..=14 => size,
        15..=17 => size - 3,
        18..=20 => size - 6,
        _ => return None,
    };
    let millis = (0..length).fold(0, |sum, _| {
        sum * 10 + digits.next().map_or(0, |digit| i64::from(digit - b'0'))
    });
    if minus {
        return Some(-millis - i64::from(digits.any(|digit| *digit != b'0')));
    }
    Some(millis)
}

/// Returns the power of ten of an exponent, 0 if there is none, or None if it is none or vast.
fn exponent(text: &[u8]) -> Option<i64> {
    let Some(rest) = text.strip_prefix(b"e").or_else(|| text.strip_prefix(b"E")) else {
        return text.is_empty().then_some(0);
    };
    let (sign, rest) = match rest.first()? {
        b'-' => (-1, &rest[1..]),
        b'+' => (1, &rest[1..]),
        _ => (1, rest),
    };
    let (digits, rest) = split_digits(rest);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let mut power = 0_i64;
    for digit in digits {
        power = power * 10 + i64::from(digit - b'0');
        if power > 999_999_999 {
            return None;
        }
    }
    Some(sign * power)
}

/// Returns the ASCII digits at the start, and the rest.
pub fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}
