//! Durations and sizes as operators write them: `90s`, `15m`, `128KiB`.

use std::time::Duration;

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`. More than zero.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// Reads a size in bytes: a whole number and `B`, `KiB`, `MiB`, `GiB` (or `kB`, `MB`, `GB` of 1000). More than zero.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok().filter(|number| *number > 0)?, unit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, size};

    #[test]
    fn quantities_have_a_number_and_a_unit() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("15m"), Some(Duration::from_secs(900)));
        assert_eq!(size("128KiB"), Some(131_072));
        assert_eq!(size("1MB"), Some(1_000_000));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "5 s",
            "5sec",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        for wrong in ["", "5", "0B", "5k", "5 KiB", "-1B", "18446744073709551615GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
