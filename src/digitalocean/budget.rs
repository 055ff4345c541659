use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::{reset, until};
use crate::net::Called;

/// How many calls are left, as the last answer said: 5,000 an hour and 250 a minute for each token
/// (DigitalOcean's API description, "Rate Limit").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Calls in an hour.
    pub limit: Option<u64>,
    /// Calls that are left; those under way are taken off.
    pub remaining: Option<u64>,
    /// When the oldest call of the hour no longer counts.
    pub reset: Option<SystemTime>,
    /// No call is made before, because one was refused.
    pub closed_until: Option<SystemTime>,
}

impl Budget {
    /// When the next call is taken, if that is not now.
    #[must_use]
    pub fn opens(&self) -> Option<SystemTime> {
        let now = SystemTime::now();
        let coming = |time: Option<SystemTime>| time.filter(|time| *time > now);
        coming(self.closed_until).or_else(|| match (self.closed_until, self.remaining) {
            // The server said when to come back, and that is over.
            (Some(_), _) => None,
            (None, Some(0)) => coming(self.reset),
            (None, _) => None,
        })
    }
}

/// The one budget of all who use a client.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    budget: Budget,
    under_way: u64,
}

/// A call under way.
pub(super) struct Taken<'a>(&'a Shared);

impl Shared {
    pub(super) fn get(&self) -> Budget {
        self.lock().budget
    }

    /// Takes one call out, or says how long to wait and until when.
    pub(super) fn take(&self) -> Result<Taken<'_>, (Duration, SystemTime)> {
        let now = SystemTime::now();
        let mut state = self.lock();
        let budget = &mut state.budget;
        let left = |until: Option<SystemTime>| {
            until.and_then(|until| Some((until.duration_since(now).ok()?, until)))
        };
        if let Some(wait) = left(budget.closed_until) {
            return Err(wait);
        }
        if budget.closed_until.take().is_some() && budget.remaining == Some(0) {
            // The server said when to come back; that counts more than the hour, which may end later.
            budget.remaining = None;
        }
        match (budget.remaining, left(budget.reset)) {
            (Some(0), Some(wait)) => return Err(wait),
            // The oldest call has left the hour, so there is room, and the answer says how much.
            (Some(0), None) => budget.remaining = None,
            (Some(remaining), _) => budget.remaining = Some(remaining - 1),
            (None, _) => {}
        }
        state.under_way += 1;
        Ok(Taken(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// Learns from the answer.
    pub(super) fn answered(self, called: &Called) {
        let number = |name| called.header(name).and_then(|value| value.trim().parse::<u64>().ok());
        let mut state = self.0.lock();
        // The server has not counted the others that are under way, or not all of them.
        let others = state.under_way.saturating_sub(1);
        let budget = &mut state.budget;
        budget.limit = number("ratelimit-limit").or(budget.limit);
        budget.reset = reset(called).or(budget.reset);
        if let Some(remaining) = number("ratelimit-remaining") {
            budget.remaining = Some(remaining.saturating_sub(others));
        }
        if called.status == 429 {
            budget.closed_until = until(called).or(budget.closed_until);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_share_a_budget_do_not_overdraw_it() {
        let shared = Shared::default();
        let hour = SystemTime::now() + Duration::from_secs(3600);
        shared.lock().budget =
            Budget { remaining: Some(2), reset: Some(hour), ..Budget::default() };
        let (first, second) = (shared.take(), shared.take());
        assert!(first.is_ok() && second.is_ok());
        let (wait, until) = shared.take().err().unwrap();
        assert!(wait > Duration::from_secs(3590) && until == hour);
        assert_eq!(shared.get().opens(), Some(hour));
        shared.lock().budget.reset = Some(SystemTime::UNIX_EPOCH);
        assert_eq!(shared.get().opens(), None);
        assert!(shared.take().is_ok());
        shared.lock().budget.closed_until = Some(hour);
        assert!(shared.take().is_err());
        assert_eq!(shared.get().opens(), Some(hour));
        let passed = Some(SystemTime::now() - Duration::from_secs(1));
        shared.lock().budget = Budget {
            remaining: Some(0),
            reset: Some(hour),
            closed_until: passed,
            ..Budget::default()
        };
        assert_eq!(shared.get().opens(), None);
        assert!(shared.take().is_ok());
    }
}
