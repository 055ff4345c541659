//! A bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;
use crate::bytes::{Hostile, human_size};
use crate::inspect::{Event, Listener};

/// How often a plain line is written. Short checks write none.
pub(super) const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar appears only for what takes longer.
pub(super) const BAR_AFTER: Duration = Duration::from_millis(300);

/// Shows how far a command is with an image.
pub(super) struct Progress {
    mode: Mode,
    state: Mutex<State>,
}

/// How what is under way is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Quiet,
    Lines,
    Bar,
}

impl Mode {
    pub(super) fn of(quiet: bool) -> Self {
        match (quiet, output::is_drawn()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Bar,
            (false, false) => Mode::Lines,
        }
    }
}

struct State {
    source: String,
    size: Option<u64>,
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
    /// The disk is digested; the file is done, or nearly.
    on_disk: bool,
    closed: bool,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Arc<Self> {
        let state = State::new("", None);
        Arc::new(Progress { mode: Mode::of(quiet), state: Mutex::new(state) })
    }

    /// Leaves the terminal as it was, and shows nothing more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Progress {
    fn event(&self, event: Event<'_>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if let Event::NoWriter { source } = event {
            state.clear();
            return output::warn(&no_writer(source));
        }
        if self.mode == Mode::Quiet {
            return;
        }
        match event {
            Event::Started { source, size } => {
                state.clear();
                *state = State::new(source, size);
            }
            Event::Disk { bytes, size } => {
                if !state.on_disk {
                    state.clear();
                    let source = format!("{} (disk)", state.source);
                    *state = State { on_disk: true, ..State::new(&source, Some(size)) };
                }
                match self.mode {
                    Mode::Bar => state.draw(bytes),
                    _ => state.line(bytes),
                }
            }
            Event::Progress { .. } if state.on_disk => {}
            Event::Progress { bytes } if self.mode == Mode::Bar => state.draw(bytes),
            Event::Progress { bytes } => state.line(bytes),
            Event::Retry { source, attempt, wait, said } => {
                let said =
                    format!("{said}; trying again in {:.1} s ({attempt})", wait.as_secs_f64());
                match self.mode {
                    Mode::Bar => state.say(source, &said),
                    _ => {
                        output::log(&format!("{source}: {}", Hostile::from(said.as_str())));
                    }
                }
            }
            Event::Settling { source, wait } if self.mode == Mode::Bar => {
                let wait = wait.as_secs_f64();
                state.say(source, &format!("changed just now; reading it in {wait:.1} s"));
            }
            Event::Settling { .. } | Event::NoWriter { .. } => {}
            Event::Finished => state.clear(),
        }
    }
}

/// What is said of a named pipe that no program writes to: nothing else says why nothing happens.
pub(super) fn no_writer(source: &str) -> String {
    format!("{source} is a named pipe; waiting for a program that writes to it (Ctrl-C ends this)")
}

impl State {
    fn new(source: &str, size: Option<u64>) -> Self {
        let now = Instant::now();
        let source = source.to_owned();
        State { source, size, started: now, said: now, bar: None, on_disk: false, closed: false }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self, bytes: u64) {
        if self.started.elapsed() < BAR_AFTER {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| bar(self.size, &self.source));
        bar.set_prefix(pace(bytes, self.size, self.started.elapsed()));
        bar.set_position(bytes);
    }

    /// Shows a sentence where the pace is.
    fn say(&mut self, source: &str, said: &str) {
        let bar = self.bar.get_or_insert_with(|| bar(self.size, source));
        bar.set_prefix(Hostile::from(said).to_string());
        bar.tick();
    }

    fn line(&mut self, bytes: u64) {
        if self.said.elapsed() < LINE_EVERY {
            return;
        }
        self.said = Instant::now();
        output::log(&line(&self.source, bytes, self.size, self.started.elapsed()));
    }
}

/// How far an image is.
pub(super) fn line(source: &str, bytes: u64, size: Option<u64>, elapsed: Duration) -> String {
    let pace = pace(bytes, size, elapsed);
    let share = size.map_or(String::new(), |size| {
        let share = 100.0 * bytes as f64 / size.max(1) as f64;
        format!(" of {} ({share:.0} %)", human_size(size))
    });
    format!("{source}: {}{share}, {pace}", human_size(bytes))
}

/// The end of a name that has more columns.
pub(super) fn shortened(source: &str, room: usize) -> String {
    match source.chars().count() {
        count if count <= room => source.to_owned(),
        count => std::iter::once('…').chain(source.chars().skip(count + 1 - room.max(1))).collect(),
    }
}

/// Speed since the beginning, and the time left at that speed.
pub(super) fn pace(bytes: u64, size: Option<u64>, elapsed: Duration) -> String {
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let speed = format!("{}/s", human_size(rate as u64));
    match size {
        Some(size) => {
            let left = (size.saturating_sub(bytes) as f64 / rate.max(1.0)).ceil() as u64;
            match left {
                0..120 => format!("{speed}, about {left} s left"),
                left => format!("{speed}, about {} min left", left.div_ceil(60)),
            }
        }
        None => speed,
    }
}

const WITH_SIZE: &str = "{msg} [{bar:16}] {percent}%, {prefix}";
/// A terminal of fewer columns would break the line.
const NARROW: usize = 68;

const WITHOUT_BAR: &str = "{percent}%, {prefix}";
const WITHOUT_SIZE: &str = "{msg} {spinner} {decimal_bytes}, {prefix}";

fn bar(size: Option<u64>, source: &str) -> ProgressBar {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    let template = match size {
        _ if width < NARROW => WITHOUT_BAR,
        Some(_) => WITH_SIZE,
        None => WITHOUT_SIZE,
    };
    // The test below holds the templates against indicatif.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = match size {
        Some(size) => ProgressBar::new(size),
        None => ProgressBar::new_spinner(),
    };
    // What stands beside the name takes about 58 columns.
    let room = width.saturating_sub(58).min(40);
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(shortened(source, room));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [WITH_SIZE, WITHOUT_SIZE, WITHOUT_BAR] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn the_pace_is_the_average_so_far() {
        let second = Duration::from_secs(1);
        assert_eq!(pace(1_000_000, Some(11_000_000), second), "1.0 MB/s, about 10 s left");
        assert_eq!(pace(1_000_000, Some(601_000_000), second), "1.0 MB/s, about 10 min left");
        assert_eq!(pace(0, Some(0), Duration::ZERO), "0 B/s, about 0 s left");
        assert_eq!(pace(5_000, None, second), "5.0 kB/s");
    }
}
