use std::collections::VecDeque;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::clock;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// How many requests a token may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Rates {
    /// In an hour.
    pub hourly: usize,
    /// In a minute.
    pub burst: usize,
}

impl Default for Rates {
    /// As DigitalOcean publishes: 5,000 an hour and 250 a minute.
    fn default() -> Self {
        Rates { hourly: 5000, burst: 250 }
    }
}

impl FromStr for Rates {
    type Err = String;

    /// `HOURLY/BURST`, such as `5000/250`.
    fn from_str(text: &str) -> Result<Rates, String> {
        let wrong = || format!("{text:?} is not HOURLY/BURST, such as 5000/250");
        let (hourly, burst) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse().ok().filter(|n| *n > 0).ok_or_else(wrong);
        Ok(Rates { hourly: number(hourly)?, burst: number(burst)? })
    }
}

/// Requests of the last hour; each expires by itself.
#[derive(Debug)]
pub(super) struct Limits {
    rates: Rates,
    made: VecDeque<Instant>,
}

/// What the headers of an answer say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) limit: usize,
    pub(super) remaining: usize,
    /// When the oldest request expires, in seconds since 1970.
    pub(super) reset: u64,
}

/// A request too many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// Seconds, if it is the limit of a minute; for that of an hour the API does not say.
    pub(super) retry_after: Option<u64>,
}

impl Limits {
    pub(super) fn new(rates: Rates) -> Limits {
        Limits { rates, made: VecDeque::new() }
    }

    /// Counts a request that is made now.
    pub(super) fn count(&mut self, now: Instant) -> Result<(), Exceeded> {
        self.forget(now);
        if self.made.len() >= self.rates.hourly {
            return Err(Exceeded { retry_after: None });
        }
        let recent = self.made.partition_point(|made| now.duration_since(*made) >= MINUTE);
        if self.made.len() - recent >= self.rates.burst {
            let wait = MINUTE.saturating_sub(now.duration_since(self.made[recent]));
            return Err(Exceeded { retry_after: Some(wait.as_secs() + 1) });
        }
        self.made.push_back(now);
        Ok(())
    }

    /// What is left.
    pub(super) fn left(&mut self, now: Instant) -> Left {
        self.forget(now);
        let wait = self.made.front().map_or(HOUR, |oldest| HOUR - now.duration_since(*oldest));
        Left {
            limit: self.rates.hourly,
            remaining: self.rates.hourly.saturating_sub(self.made.len()),
            reset: (clock::now() + wait).as_secs(),
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.made.front().is_some_and(|oldest| now.duration_since(*oldest) >= HOUR) {
            self.made.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_expire_one_by_one() {
        let mut limits = Limits::new(Rates { hourly: 5, burst: 2 });
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limits.count(at(0)), Ok(()));
        assert_eq!(limits.count(at(30)), Ok(()));
        assert_eq!(limits.count(at(40)), Err(Exceeded { retry_after: Some(21) }));
        assert_eq!(limits.count(at(60)), Ok(()));
        assert_eq!(limits.count(at(90)), Ok(()));
        assert_eq!(limits.count(at(150)), Ok(()));
        assert_eq!(limits.left(at(150)).remaining, 0);
        assert_eq!(limits.count(at(300)), Err(Exceeded { retry_after: None }));
        assert_eq!(limits.count(at(3600)), Ok(()));
        assert_eq!((limits.left(at(3600)).limit, limits.left(at(3600)).remaining), (5, 0));
    }

    #[test]
    fn rates_are_two_numbers() {
        assert_eq!("5000/250".parse(), Ok(Rates::default()));
        for text in ["", "5", "0/1", "1/0", "a/b", "1/2/3"] {
            assert!(text.parse::<Rates>().is_err(), "{text}");
        }
    }
}
