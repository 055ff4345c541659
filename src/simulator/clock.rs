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
