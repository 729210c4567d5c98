//! Dates and times of day, as Python's `datetime` has them.

/// The parts of a time as its text has them. A missing month or day is the first.
pub struct Parts<'a> {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    /// None: the text has no seconds.
    pub second: Option<i64>,
    /// The digits after the point, of any number.
    pub fraction: &'a [u8],
    /// AM is Some(false), PM is Some(true).
    pub afternoon: Option<bool>,
    /// Unit: seconds east of UTC. None: the text has an offset that does not exist.
    pub offset_s: Option<i64>,
}

impl Parts<'_> {
    /// A day at midnight, in UTC.
    pub fn of_day(year: i64, month: i64, day: i64) -> Self {
        Parts {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: None,
            fraction: b"",
            afternoon: None,
            offset_s: Some(0),
        }
    }

    /// Returns milliseconds since 1970, rounded down, or None if there is no such time.
    pub fn unix_millis(&self) -> Option<i64> {
        let second = self.second.unwrap_or(0);
        let mut hour = self.hour;
        if let Some(afternoon) = self.afternoon {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        } else if hour == 24 {
            // The end of a day, which must have its seconds.
            self.second?;
            if self.minute != 0 || second != 0 || self.fraction.iter().any(|digit| *digit != b'0') {
                return None;
            }
        }
        if hour > 24 || self.minute > 59 || second > 59 {
            return None;
        }
        if !(1..=12).contains(&self.month) || !(1..=self.days_of_month()).contains(&self.day) {
            return None;
        }
        let seconds =
            self.days() * 86_400 + hour * 3600 + self.minute * 60 + second - self.offset_s?;
        let millis = (0..3).fold(0, |sum, at| {
            sum * 10
                + self
                    .fraction
                    .get(at)
                    .map_or(0, |digit| i64::from(digit - b'0'))
        });
        Some(seconds * 1000 + millis)
    }

    fn days_of_month(&self) -> i64 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 31,
        }
    }

    /// Returns the days since 1970 in the Gregorian calendar, which has a year 0 here.
    fn days(&self) -> i64 {
        // Years begin in March, so that the leap day is the last of a year. 719,468 days are from
        // then in the year 0 to 1970.
        let year = if self.month <= 2 {
            self.year - 1
        } else {
            self.year
        };
        let month = (self.month + 9) % 12;
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        year * 365 + leap_days + (month * 153 + 2) / 5 + self.day - 1 - 719_468
    }
}
