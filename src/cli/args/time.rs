//! Times as arguments.

use std::time::Duration;

/// A time such as 500ms, 90s, 60m or 2h; seconds where there is no unit.
pub(in crate::cli) fn time(text: &str) -> Result<Duration, &'static str> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let text = text.trim();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((text, 1000));
    let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse::<u64>().ok()?.checked_mul(unit))
        .filter(|millis| (1..=7 * 24 * 3_600_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or("a time is a number with ms, s, m or h, more than nothing and a week at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, millis) in [("500ms", 500), ("90", 90_000), ("90s", 90_000), ("60m", 3_600_000)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "0", "s", "-1s", "1.5h", "1d", "99999999999999999999h", "200h"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
