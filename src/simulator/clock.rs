use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) use crate::bytes::rfc3339 as written;

/// Since the beginning of 1970, UTC.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The present second as the API writes it: `2018-09-20T19:28:00Z`.
pub(super) fn stamp() -> String {
    written(now().as_secs())
}

/// The seconds since 1970 of a time as signatures have it: `20130524T000000Z`.
pub(super) fn read(text: &str) -> Option<u64> {
    let form = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 16 || !text.bytes().enumerate().all(form) {
        return None;
    }
    let part = |from, to| text.get(from..to);
    let date = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let clock = format!("{}:{}:{}", part(9, 11)?, part(11, 13)?, part(13, 15)?);
    let time = crate::net::time(&format!("{date}T{clock}Z"))?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}
