use std::time::SystemTime;

/// A time as `2026-01-02T03:04:05.678Z`; fractions of a second do not count.
#[must_use]
pub fn time(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let (date, clock) = text.trim().strip_suffix('Z')?.split_once('T')?;
    let clock = clock.split('.').next()?;
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    // The day of the week has to be right, and one of them is.
    DAYS.iter().find_map(|name| {
        httpdate::parse_http_date(&format!("{name}, {day} {month} {year} {clock} GMT")).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let seconds = |text| {
            let time = time(text).unwrap();
            time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
        };
        assert_eq!(seconds("2026-12-31T23:59:59.123Z"), 1_798_761_599);
        assert_eq!(seconds("2024-02-29T12:00:00Z"), 1_709_208_000);
        for bad in ["", "Z", "2026-13-01T00:00:00Z", "2026-01-01", "2026-00-01T00:00:00Z"] {
            assert_eq!(super::time(bad), None, "{bad}");
        }
    }
}
