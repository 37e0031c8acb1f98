//! Time and randomness as parameters.
//!
//! Nothing but the application's one clock module reads a clock or draws random bytes; everything else
//! takes these traits, so that tests decide what time it is.

use std::fmt;
use std::time::Duration;

/// A moment on the wall clock: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment moved into the future; saturates at the end of time.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Hour of the day in UTC, 0 to 23: the fact `context.time.hour`.
    pub fn hour(self) -> u8 {
        u8::try_from(self.0.rem_euclid(86_400_000) / 3_600_000).unwrap_or(0)
    }

    /// Day of the week in UTC, Monday 1 to Sunday 7: the fact `context.time.weekday`.
    pub fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday (4).
        u8::try_from((self.0.div_euclid(86_400_000) + 3).rem_euclid(7) + 1).unwrap_or(1)
    }

    /// Reads the form that [`fmt::Display`] writes (RFC 3339, UTC, three decimals).
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shape = b"dddd-dd-ddTdd:dd:dd.dddZ";
        if bytes.len() != shape.len() {
            return None;
        }
        let fits = bytes.iter().zip(shape).all(|(b, s)| if *s == b'd' { b.is_ascii_digit() } else { b == s });
        if !fits {
            return None;
        }
        let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<i64>().ok());
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second, millis) =
            (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        Some(Self((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second, millis) =
            (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

// Days since the epoch to a date and back, in the proleptic Gregorian calendar, with the year taken to
// start in March so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Time since the machine booted, sleep included; nobody can set it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootInstant(Duration);

impl BootInstant {
    /// From the time since boot.
    pub fn new(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// The time since boot.
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// This moment moved into the future.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clocks of this machine.
pub trait Clock: Send + Sync {
    /// Wall clock: for people, audit entries and certificates.
    fn now(&self) -> Timestamp;
    /// Boot clock: for deadlines and durations.
    fn boot(&self) -> BootInstant;
    /// The id of this boot: a deadline of another boot has passed.
    fn boot_id(&self) -> &str;
}

/// Where unpredictable bytes come from.
pub trait Entropy: Send + Sync {
    /// Fills `out` with random bytes fit for secrets.
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The system gave no random bytes; whatever needed them must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoEntropy;

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn timestamps_are_written_and_read_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_774_780_200_123, "2026-03-29T10:30:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_millis(millis)));
        }
        for wrong in ["", "2026-03-28", "2026-13-01T00:00:00.000Z", "2026-03-28T10:30:00.123+"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hour_and_weekday_are_facts_in_utc() {
        let friday_noon = Timestamp::parse("2026-11-20T12:30:00.000Z").unwrap();
        assert_eq!((friday_noon.hour(), friday_noon.weekday()), (12, 5));
    }
}
