use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Bytes that are sent at once where nothing holds the rate.
const PIECE: u64 = 64 << 10;

/// The smallest piece: less is more packets than data.
const SMALLEST: u64 = 512;

/// A rate that all who hold a clone share, in bytes a second. It is kept from one small piece to the
/// next, so that many senders make no bursts.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rate: u64,
    /// When the next piece may go.
    next: Mutex<Instant>,
}

impl Pace {
    /// A rate of so many bytes a second, one at least.
    #[must_use]
    pub fn new(rate: u64) -> Pace {
        Pace(Arc::new(Shared { rate: rate.max(1), next: Mutex::new(Instant::now()) }))
    }

    /// As much as a twentieth of a second lets through.
    fn piece(&self) -> u64 {
        (self.0.rate / 20).clamp(SMALLEST, PIECE)
    }

    /// When so many bytes may go; they count as sent.
    fn take(&self, bytes: u64) -> Instant {
        let mut next = lock(&self.0.next);
        let start = (*next).max(Instant::now());
        *next = start + Duration::from_secs_f64(bytes as f64 / self.0.rate as f64);
        start
    }
}

/// When a request last got on.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(super) fn new() -> Self {
        Progress(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn note(&self, when: Instant) {
        *lock(&self.0) = when;
    }

    /// Comes when nothing has got on for so long.
    pub(super) async fn stalled(&self, idle: Duration) {
        loop {
            let until = *lock(&self.0) + idle;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that is sent in small pieces.
pub(super) struct Pieces {
    left: Bytes,
    pace: Option<Pace>,
    /// Until when the next piece waits: it has been taken out of the rate.
    wait: Option<Pin<Box<Sleep>>>,
    progress: Progress,
}

impl Pieces {
    pub(super) fn new(body: Bytes, pace: Option<Pace>, progress: Progress) -> Self {
        Pieces { left: body, pace, wait: None, progress }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        let size = this.pace.as_ref().map_or(PIECE, Pace::piece).min(this.left.len() as u64);
        if let Some(pace) = &this.pace {
            let wait = this.wait.get_or_insert_with(|| {
                let start = pace.take(size);
                // Whoever is held back has not stalled.
                this.progress.note(start);
                Box::pin(tokio::time::sleep_until(start))
            });
            ready!(wait.as_mut().poll(cx));
            this.wait = None;
        }
        this.progress.note(Instant::now());
        // No more than is left, so it fits.
        let piece = this.left.split_to(size as usize);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.left.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_share_one_rate() {
        let pace = Pace::new(1_000_000);
        let began = Instant::now();
        let mut last = began;
        for sender in [pace.clone(), pace.clone(), pace.clone()] {
            for _ in 0..10 {
                last = sender.take(50_000);
            }
        }
        // The thirtieth piece goes when those before it have gone.
        let waited = last - began;
        assert!(
            waited >= Duration::from_millis(1440) && waited < Duration::from_secs(3),
            "{waited:?}"
        );
    }

    #[test]
    fn pieces_are_small() {
        assert_eq!(Pace::new(0).piece(), SMALLEST);
        assert_eq!(Pace::new(200_000).piece(), 10_000);
        assert_eq!(Pace::new(u64::MAX).piece(), PIECE);
        // Time that was not used is not made up for.
        let pace = Pace::new(1000);
        std::thread::sleep(Duration::from_millis(60));
        let now = Instant::now();
        assert!(pace.take(1) >= now && pace.take(1) > now);
    }
}
