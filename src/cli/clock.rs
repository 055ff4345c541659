//! The date that reports bear.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Usage;
use crate::bytes::{Hostile, rfc3339};

/// A date for all reports, in seconds since the beginning of 1970, so that the same images have the same document. The
/// name and its meaning are those of reproducible-builds.org.
const FIXED: &str = "SOURCE_DATE_EPOCH";

/// What tells the time of reports.
#[derive(Clone, Copy)]
pub(super) struct Clock(Option<u64>);

impl Clock {
    /// The machine's clock, unless the environment has a date.
    pub(super) fn new() -> Result<Clock, Usage> {
        let Some(fixed) = std::env::var_os(FIXED).filter(|fixed| !fixed.is_empty()) else {
            return Ok(Clock(None));
        };
        // The year 9999 is the last that RFC 3339 has.
        let seconds = fixed.to_str().and_then(|text| text.parse().ok());
        match seconds.filter(|seconds| *seconds < 253_402_300_800) {
            Some(seconds) => Ok(Clock(Some(seconds))),
            None => Err(Usage(format!(
                "{FIXED} is \"{}\", and has to be a number of seconds since 1970; correct or unset it",
                Hostile::from_os(&fixed)
            ))),
        }
    }

    /// The moment, as RFC 3339 has it in UTC.
    pub(super) fn now(self) -> String {
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        rfc3339(self.0.unwrap_or_else(since))
    }
}
