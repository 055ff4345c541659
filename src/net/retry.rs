use std::time::{Duration, SystemTime};

use super::Failure;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);

/// The shortest wait.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest wait of our own accord.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait that a server may ask for.
pub const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// How often and after what time something is tried again.
#[derive(Clone, Debug)]
pub struct Backoff {
    most: u32,
    failed: u32,
}

/// Something that will be tried again, for people who wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Retry {
    /// How many failures there were in a row.
    pub attempt: u32,
    /// How long it waits.
    pub wait: Duration,
    /// What failed.
    pub said: String,
}

impl Backoff {
    /// Tries again at most so often in a row.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Backoff { most, failed: 0 }
    }

    /// Says that there was progress: the next failure is the first one of its row.
    pub fn succeeded(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next try.
    ///
    /// # Errors
    /// The failure, if another try is no use or there were enough of them.
    pub fn after(&mut self, failure: Failure) -> Result<Retry, Failure> {
        if !failure.kind.is_passing() || self.failed >= self.most {
            return Err(failure);
        }
        let wait = match failure.retry_after {
            Some(asked) if asked > LONGEST_ASKED => return Err(failure),
            // At once would be a way to be asked without end.
            Some(asked) => asked.max(SHORTEST),
            None => jitter(FIRST.saturating_mul(1 << self.failed.min(16)).min(LONGEST)),
        };
        self.failed += 1;
        Ok(Retry { attempt: self.failed, wait, said: failure.said })
    }
}

/// Between half of a wait and all of it, so that many clients do not come back at once.
fn jitter(wait: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(SystemTime::now());
    wait / 2 + wait.mul_f64(0.5 * (random % 1024) as f64 / 1024.0)
}

/// The time that a `Retry-After` header asks for: seconds, or a date (RFC 9110, 10.2.3).
#[must_use]
pub fn retry_after(value: &str) -> Option<Duration> {
    match value.trim().parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value.trim()).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Address, Kind};
    use super::*;

    fn failure(kind: Kind) -> Failure {
        Failure::new(kind, &Address::parse("http://h/").unwrap(), "x")
    }

    #[test]
    fn waits_grow_and_come_to_an_end() {
        let mut backoff = Backoff::new(8);
        let mut least = FIRST / 2;
        for _ in 0..8 {
            let wait = backoff.after(failure(Kind::Interrupted)).unwrap().wait;
            assert!(wait >= least && wait <= (least * 2).min(LONGEST), "{wait:?} {least:?}");
            least = (least * 2).min(LONGEST / 2);
        }
        assert!(backoff.after(failure(Kind::Interrupted)).is_err());
        backoff.succeeded();
        assert_eq!(backoff.after(failure(Kind::Status(503))).unwrap().attempt, 1);
        assert!(backoff.after(failure(Kind::Status(404))).is_err());
    }

    #[test]
    fn a_server_says_when_to_come_back() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = retry_after(&date).unwrap().as_secs();
        assert!((95..=100).contains(&wait), "{wait}");
        assert_eq!(retry_after("soon"), None);
        let mut backoff = Backoff::new(8);
        let asked = |seconds| Failure {
            retry_after: Some(Duration::from_secs(seconds)),
            ..failure(Kind::Status(429))
        };
        assert_eq!(backoff.after(asked(3)).unwrap().wait, Duration::from_secs(3));
        assert!(backoff.after(asked(3600)).is_err());
    }
}
