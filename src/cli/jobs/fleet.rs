//! What is under way while several images are checked: a bar on a terminal, lines elsewhere.
//!
//! Lines are said of the image that is due. Those about others are kept until these are due, so that no image's text
//! stands within that of another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output;
use super::super::progress::{BAR_AFTER, LINE_EVERY, Mode, line, no_writer, shortened};
use crate::bytes::Hostile;
use crate::inspect::Event;

/// Bytes of lines of one image that are kept.
const MOST_KEPT: usize = 64 << 10;

/// How often the bar is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// How often the time goes on.
const TICK: Duration = Duration::from_millis(250);

/// Columns beside the name of the slowest image.
const BESIDE_NAME: usize = 56;

const TEMPLATE: &str = "{pos}/{len} [{bar:16}] {prefix}";

/// How far the images of a call are.
pub(in crate::cli) struct Fleet {
    mode: Mode,
    state: Mutex<State>,
}

struct State {
    count: usize,
    /// The image that is told of next.
    due: usize,
    /// Those that are under way.
    running: BTreeMap<usize, Running>,
    /// Lines about images that are not due.
    kept: BTreeMap<usize, Kept>,
    done: usize,
    started: Instant,
    drawn: Instant,
    bar: Option<ProgressBar>,
    /// Something is written.
    hidden: bool,
    closed: bool,
}

struct Running {
    source: String,
    size: Option<u64>,
    bytes: u64,
    started: Instant,
    said: Instant,
    on_disk: bool,
}

#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    bytes: usize,
    left_out: usize,
}

impl Fleet {
    /// Of so many images.
    pub(in crate::cli) fn new(quiet: bool, count: usize) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            count,
            due: 0,
            running: BTreeMap::new(),
            kept: BTreeMap::new(),
            done: 0,
            started: now,
            drawn: now,
            bar: None,
            hidden: false,
            closed: false,
        };
        let fleet = Arc::new(Fleet { mode: Mode::of(quiet), state: Mutex::new(state) });
        if fleet.mode == Mode::Bar {
            let watched = Arc::downgrade(&fleet);
            // Without the thread, the time stands still where nothing comes.
            let _ = thread::Builder::new().spawn(move || {
                while let Some(fleet) = watched.upgrade().filter(|fleet| !fleet.lock().closed) {
                    fleet.lock().draw(false);
                    drop(fleet);
                    thread::sleep(TICK);
                }
            });
        }
        fleet
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This image is told of next: what was said of it so far comes out, and the rest as it comes.
    pub(super) fn is_due(&self, image: usize) {
        let mut state = self.lock();
        state.due = image;
        if let Some(kept) = state.kept.remove(&image) {
            state.aside(|| {
                kept.lines.iter().for_each(|line| output::log(line));
                if kept.left_out > 0 {
                    output::log(&format!("({} more lines are left out)", kept.left_out));
                }
            });
        }
    }

    /// Does something that writes, without the bar. Whoever reads it may take their time, and an interrupt does not wait.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        state.hidden = true;
        state.clear();
        drop(state);
        let written = write();
        let mut state = self.lock();
        state.hidden = false;
        if self.mode == Mode::Bar {
            state.draw(true);
        }
        written
    }

    /// Leaves the terminal as it was, and shows nothing more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.clear();
    }
}

impl Fleet {
    /// A line about an image.
    pub(super) fn log(&self, image: usize, line: &str) {
        self.lock().say(image, line);
    }

    /// Something came of an image.
    pub(super) fn done(&self, image: usize) {
        let mut state = self.lock();
        state.running.remove(&image);
        state.done += 1;
        if self.mode == Mode::Bar {
            state.draw(true);
        }
    }

    /// Something happens while an image is checked.
    pub(super) fn event(&self, image: usize, event: Event<'_>) {
        let mut state = self.lock();
        if let Event::NoWriter { source } = event {
            return state.say(image, &format!("tidegate: {}", no_writer(source)));
        }
        if self.mode == Mode::Quiet {
            return;
        }
        match event {
            Event::Started { source, size } => {
                state.running.insert(image, Running::new(source, size));
            }
            Event::Disk { bytes, size } => {
                if let Some(running) = state.running.get_mut(&image) {
                    running.on_disk(size);
                    running.bytes = bytes;
                }
                state.progress(image, self.mode);
            }
            Event::Progress { bytes } => {
                match state.running.get_mut(&image) {
                    Some(running) if !running.on_disk => running.bytes = bytes,
                    _ => return,
                }
                state.progress(image, self.mode);
            }
            Event::Retry { source, attempt, wait, said } if self.mode == Mode::Lines => {
                let (said, wait) = (Hostile::from(said), wait.as_secs_f64());
                let line = format!("{source}: {said}; trying again in {wait:.1} s ({attempt})");
                state.say(image, &line);
            }
            _ => {}
        }
    }
}

impl Running {
    fn new(source: &str, size: Option<u64>) -> Self {
        let now = Instant::now();
        let source = source.to_owned();
        Running { source, size, bytes: 0, started: now, said: now, on_disk: false }
    }

    /// The file is done, or nearly, and its disk is read.
    fn on_disk(&mut self, size: u64) {
        if !self.on_disk {
            let source = format!("{} (disk)", self.source);
            let started = self.started;
            *self = Running { on_disk: true, started, ..Running::new(&source, Some(size)) };
        }
    }
}

impl State {
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&mut self, image: usize, line: &str) {
        if self.closed {
            return;
        }
        if image == self.due {
            return self.aside(|| output::log(line));
        }
        let kept = self.kept.entry(image).or_default();
        match kept.bytes < MOST_KEPT {
            true => {
                kept.bytes += line.len();
                kept.lines.push(line.to_owned());
            }
            false => kept.left_out += 1,
        }
    }

    fn progress(&mut self, image: usize, mode: Mode) {
        if mode == Mode::Bar {
            return self.draw(false);
        }
        // How far another one is would be of yesterday when it is due.
        if self.closed || image != self.due {
            return;
        }
        let Some(running) = self.running.get_mut(&image) else { return };
        if running.said.elapsed() >= LINE_EVERY {
            running.said = Instant::now();
            let elapsed = running.started.elapsed();
            output::log(&line(&running.source, running.bytes, running.size, elapsed));
        }
    }

    fn draw(&mut self, now: bool) {
        let soon = self.started.elapsed() < BAR_AFTER
            || !now && self.bar.is_some() && self.drawn.elapsed() < DRAWN_EVERY;
        if self.closed || self.hidden || soon {
            return;
        }
        self.drawn = Instant::now();
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let said = self.said(width.saturating_sub(BESIDE_NAME).clamp(8, 40));
        let bar = self.bar.get_or_insert_with(|| bar(self.count));
        bar.set_position(self.done as u64);
        bar.set_prefix(said);
        bar.tick();
    }

    /// The time so far, and the image that takes the longest, with a name of so many columns.
    fn said(&self, room: usize) -> String {
        let elapsed = self.started.elapsed().as_secs();
        let mut said = format!("{elapsed} s");
        if let Some(slowest) = self.running.values().min_by_key(|running| running.started) {
            let name = shortened(&slowest.source, room);
            let took = slowest.started.elapsed().as_secs();
            said += &format!(", slowest {name} {took} s");
            if let Some(size) = slowest.size {
                said += &format!(" ({:.0}%)", 100.0 * slowest.bytes as f64 / size.max(1) as f64);
            }
        }
        said
    }
}

fn bar(count: usize) -> ProgressBar {
    // The test below holds the template against indicatif.
    let style =
        ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(count as u64);
    bar.set_style(style.progress_chars("=> "));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
    }

    #[test]
    fn the_slowest_is_the_one_that_began_first() {
        let fleet = Fleet::new(false, 40);
        for (image, source) in [(3, "c.raw"), (1, "a/b.raw")] {
            let mut running = Running::new(source, Some(200));
            running.bytes = 90;
            running.started -= Duration::from_secs(4 - image as u64);
            fleet.lock().running.insert(image, running);
        }
        assert_eq!(fleet.lock().said(40), "0 s, slowest a/b.raw 3 s (45%)");
        assert_eq!(fleet.lock().said(3), "0 s, slowest …aw 3 s (45%)");
    }

    #[test]
    fn lines_of_others_wait_and_are_bounded() {
        let fleet = Fleet::new(true, 3);
        (0..2000).for_each(|_| fleet.log(2, &"x".repeat(99)));
        let state = fleet.lock();
        assert!(state.kept[&2].bytes < MOST_KEPT + 100);
        assert_eq!(state.kept[&2].lines.len() + state.kept[&2].left_out, 2000);
        assert!(!state.kept.contains_key(&0));
    }
}
