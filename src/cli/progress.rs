//! A bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::bytes::human_size;
use crate::inspect::{Event, Listener};

/// How often a plain line is written. Short checks write none.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar appears only for what takes longer.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// Shows how far a check is.
pub(super) struct Progress {
    mode: Mode,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Quiet,
    Lines,
    Bar,
}

struct State {
    source: String,
    size: Option<u64>,
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Arc<Self> {
        let mode = match (quiet, stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Bar,
            (false, false) => Mode::Lines,
        };
        let now = Instant::now();
        let state = State { source: String::new(), size: None, started: now, said: now, bar: None };
        Arc::new(Progress { mode, state: Mutex::new(state) })
    }

    /// Leaves the terminal as it was.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Progress {
    fn event(&self, event: Event<'_>) {
        if self.mode == Mode::Quiet {
            return;
        }
        let mut state = self.lock();
        match event {
            Event::Started { source, size } => {
                let now = Instant::now();
                *state =
                    State { source: source.to_owned(), size, started: now, said: now, bar: None };
            }
            Event::Progress { bytes } if self.mode == Mode::Bar => state.draw(bytes),
            Event::Progress { bytes } => state.line(bytes),
            Event::Finished => {
                if let Some(bar) = state.bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

impl State {
    fn draw(&mut self, bytes: u64) {
        if self.bar.is_none() && self.started.elapsed() >= BAR_AFTER {
            self.bar = Some(bar(self.size, &self.source, self.started.elapsed()));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    fn line(&mut self, bytes: u64) {
        if self.said.elapsed() < LINE_EVERY {
            return;
        }
        self.said = Instant::now();
        let elapsed = self.started.elapsed().as_secs_f64();
        let rate = bytes as f64 / elapsed;
        let mut line = format!("{}: {}", self.source, human_size(bytes));
        if let Some(size) = self.size {
            let left = size.saturating_sub(bytes) as f64 / rate;
            line.push_str(&format!(
                " of {} ({:.0} %), about {left:.0} s left",
                human_size(size),
                100.0 * bytes as f64 / size.max(1) as f64
            ));
        }
        let _ = writeln!(stderr(), "{line}, {}/s", human_size(rate as u64));
    }
}

fn bar(size: Option<u64>, source: &str, elapsed: Duration) -> ProgressBar {
    let template = match size {
        Some(_) => {
            "{msg} [{bar:24}] {percent}% of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left"
        }
        None => "{msg} {spinner} {decimal_bytes}, {decimal_bytes_per_sec}",
    };
    // The templates are constants that the tests draw with.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = match size {
        Some(size) => ProgressBar::new(size),
        None => ProgressBar::new_spinner(),
    };
    let shown: String = match source.chars().count() {
        0..=30 => source.to_owned(),
        count => std::iter::once('…').chain(source.chars().skip(count - 29)).collect(),
    };
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(shown);
    bar.with_elapsed(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for size in [Some(10), None] {
            let bar = bar(size, "disk", Duration::ZERO);
            bar.set_position(5);
            bar.finish_and_clear();
        }
        ProgressStyle::with_template("{msg} [{bar:24}] {percent}% of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left").unwrap();
        ProgressStyle::with_template("{msg} {spinner} {decimal_bytes}, {decimal_bytes_per_sec}")
            .unwrap();
    }
}
