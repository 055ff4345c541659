//! For how long it is looked for what was asked for and not answered: it may come about late. The same patience holds
//! for images, keys, objects and uploads.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::journal::now;
use super::state::State;
use super::world::World;
use crate::digitalocean::wait::Patience;

/// How long one run looks at most, whatever the rest of the time is.
const ONE_RUN: Duration = Duration::from_secs(60);

/// A look that goes on for a while.
pub(super) struct Looking {
    until: Instant,
    /// Whether there is nothing if nothing was found by then.
    pub(super) enough: bool,
    pause: Duration,
    patience: Patience,
}

impl Looking {
    /// Looks for what was asked for at this time, in seconds since 1970 by the clock here, as it was then. What is asked
    /// for may take so long to come about.
    pub(super) fn new(
        world: &World,
        state: &State,
        asked: u64,
        long: Duration,
        patience: &Patience,
    ) -> Self {
        let left = long.saturating_sub(since(world, state, asked));
        Looking::most(left.min(ONE_RUN), left <= ONE_RUN, patience)
    }

    /// Looks once.
    pub(super) fn once(patience: &Patience) -> Self {
        Looking::most(Duration::ZERO, true, patience)
    }

    /// Looks for so long.
    pub(super) fn most(most: Duration, enough: bool, patience: &Patience) -> Self {
        let until = Instant::now() + most;
        Looking { until, enough, pause: patience.first, patience: *patience }
    }

    /// How long is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Waits until it is time to look again; whether there is such a time.
    pub(super) async fn again(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = self.patience.after(self.pause);
        true
    }
}

/// How long ago something was. Both times are by the API's clock where it is known: the one here may have been set
/// since.
pub(super) fn since(world: &World, state: &State, then: u64) -> Duration {
    let then = i64::try_from(then).unwrap_or(i64::MAX);
    let seconds = |time: std::time::SystemTime| {
        i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
    };
    let there = world.api.time().ok().and_then(seconds);
    let since = match (state.ahead, there) {
        (Some(ahead), Some(there)) => there.saturating_sub(then.saturating_sub(ahead)),
        _ => i64::try_from(now()).unwrap_or(i64::MAX).saturating_sub(then),
    };
    Duration::from_secs(u64::try_from(since).unwrap_or(0))
}

/// By how many seconds the clock here is ahead of the API's.
pub(super) fn ahead(world: &World) -> Option<i64> {
    let there = world.api.time().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(now()).ok()? - i64::try_from(there).ok()?)
}
