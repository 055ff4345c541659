//! What comes, held against a least rate: a server that sends a byte now and then is never silent, and never ends.

use std::time::Duration;

/// Bytes that came from one connection, and how long they were waited for.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Bytes a second; none is no rate.
    least: u64,
    /// Time of waiting after which it is looked at.
    window: Duration,
    came: u64,
    waited: Duration,
}

impl Flow {
    pub(super) fn new(least: u64, window: Duration) -> Flow {
        Flow { least, window, came: 0, waited: Duration::ZERO }
    }

    /// Notes that so many bytes came after so long. Only time that is waited counts: whoever takes his time with what
    /// came is not slowed down by the server.
    ///
    /// # Errors
    /// Says how little came, if it is less than the rate over a whole window.
    pub(super) fn note(&mut self, bytes: usize, waited: Duration) -> Result<(), String> {
        self.came += bytes as u64;
        self.waited += waited;
        if self.least == 0 || self.waited < self.window {
            return Ok(());
        }
        let (came, seconds) = (self.came, self.waited.as_secs_f64());
        (self.came, self.waited) = (0, Duration::ZERO);
        match (came as f64) < self.least as f64 * seconds {
            false => Ok(()),
            true => Err(format!(
                "only {came} bytes came in {seconds:.0} s, less than {} a second",
                self.least
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn little_over_a_whole_window_is_too_little() {
        let mut flow = Flow::new(100, 10 * SECOND);
        assert!((0..9).all(|_| flow.note(1, SECOND).is_ok()));
        let said = flow.note(1, SECOND).unwrap_err();
        assert!(said.contains("only 10 bytes") && said.contains("10 s"), "{said}");
    }

    #[test]
    fn windows_begin_anew_and_only_waiting_counts() {
        let mut flow = Flow::new(100, 10 * SECOND);
        for _ in 0..3 {
            assert!((0..9).all(|_| flow.note(0, SECOND).is_ok()));
            assert!(flow.note(1000, SECOND).is_ok());
        }
        assert!((0..1000).all(|_| flow.note(1, Duration::ZERO).is_ok()));
        // One burst does not pay for silence ever after.
        assert!(flow.note(1 << 30, 10 * SECOND).is_ok());
        assert!(flow.note(1, 10 * SECOND).is_err());
        assert!(Flow::new(0, SECOND).note(0, 100 * SECOND).is_ok());
    }
}
