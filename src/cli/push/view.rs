//! What a push says while it is under way: a line for each step that is done, and on a terminal one that
//! changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::bytes::{Hostile, human_size};
use crate::cli::image::connect::{Teller, span};
use crate::cli::output;
use crate::cli::progress::pace;
use crate::inspect;
use crate::push::{Event, Step};
use crate::spaces;

/// How often a plain line tells of bytes.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Says on standard error what happens.
pub(super) struct View {
    quiet: bool,
    /// Says what DigitalOcean is at, while it is.
    teller: Arc<Teller>,
    state: Mutex<State>,
}

struct State {
    bar: Option<ProgressBar>,
    /// What is being done.
    step: Option<(Step, Instant)>,
    /// When bytes were told of last.
    told: Instant,
    /// When the image began to be read: it is read on while other steps are taken.
    reading: Option<Instant>,
    /// Whether bytes are uploaded: then they are what is told of, not those that are checked.
    uploads: bool,
    size: Option<u64>,
    /// Bytes that were read, and of those that are packed on the way, bytes that have arrived.
    read: u64,
    arrived: Option<u64>,
    closed: bool,
}

impl View {
    pub(super) fn new(quiet: bool) -> Arc<Self> {
        let told = Instant::now();
        let state = State {
            bar: None,
            step: None,
            told,
            reading: None,
            uploads: false,
            size: None,
            read: 0,
            arrived: None,
            closed: false,
        };
        Arc::new(View { quiet, teller: Teller::new(quiet), state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who says what DigitalOcean is at.
    pub(super) fn teller(&self) -> &Arc<Teller> {
        &self.teller
    }

    /// Leaves the terminal as it was, and shows nothing more.
    pub(super) fn close(&self) {
        self.teller.close();
        let mut state = self.lock();
        state.closed = true;
        state.clear();
    }

    /// What is done now.
    pub(super) fn step(&self) -> Option<Step> {
        self.lock().step.map(|(step, _)| step)
    }

    /// A request to the bucket is made again.
    pub(super) fn retry(&self, event: &spaces::Event<'_>) {
        let spaces::Event::Retry { operation, part, retry } = event;
        if self.quiet {
            return;
        }
        let part = part.map_or(String::new(), |part| format!(" {part}"));
        let said = Hostile::from(retry.said.as_str());
        let wait = retry.wait.as_secs_f64();
        self.lock().line(&format!(
            "spaces: {operation}{part}: {said}; trying again in {wait:.1} s ({})",
            retry.attempt
        ));
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        let mut state = self.lock();
        match event {
            Event::Begun { step, what } => {
                state.step = Some((*step, Instant::now()));
                state.told = Instant::now();
                if *step == Step::Check {
                    state.reading.get_or_insert_with(Instant::now);
                }
                state.uploads = false;
                if self.quiet || state.closed {
                    return;
                }
                let waits =
                    matches!(step, Step::Create | Step::Import | Step::Transfer | Step::Convert);
                // Of what is done at once, the end is enough.
                let takes_long =
                    matches!(step, Step::Check | Step::ReadBack | Step::Import | Step::Transfer);
                match output::is_drawn() {
                    // The teller has the line then.
                    true if waits => state.clear(),
                    true => state.status(&format!("{}: {what}", step.as_str())),
                    false if takes_long => {
                        state.line(&format!("{}: {what}", step.as_str()));
                    }
                    false => {}
                }
            }
            Event::Done { step, what, took } => {
                state.step = None;
                state.clear();
                self.teller.close();
                if !self.quiet {
                    state.line(&format!("{}: {what} ({})", step.as_str(), span(*took)));
                }
            }
            Event::Uploaded { bytes, total } => {
                // Of what is packed on the way nobody knows how much it will be: then what is read tells more.
                state.uploads = total.is_some() || state.size.is_none();
                if self.quiet {
                    return;
                }
                match state.uploads {
                    true => state.bytes("upload", "sent", *bytes, *total),
                    false => {
                        state.arrived = Some(*bytes);
                        state.read();
                    }
                }
            }
            Event::ReadBack { bytes, total } => {
                if !self.quiet {
                    state.arrived = None;
                    state.bytes(Step::ReadBack.as_str(), "read again", *bytes, Some(*total));
                }
            }
            Event::Undo(what) => {
                self.teller.close();
                if !self.quiet {
                    state.line(&format!("clean up: {what}"));
                }
            }
            // What the user should know is said also when it is quiet.
            Event::Warning { code, what } => {
                self.teller.close();
                state.line(&format!("warning: {what} [{code}]"));
            }
            Event::Caution(what) => {
                self.teller.close();
                state.line(&format!("warning: {what}"));
            }
            Event::Note(what) => {
                self.teller.close();
                state.line(&format!("note: {what}"));
            }
        }
    }
}

impl inspect::Listener for View {
    fn event(&self, event: inspect::Event<'_>) {
        if let inspect::Event::NoWriter { source } = event {
            return self.lock().line(&super::super::progress::no_writer(source));
        }
        if self.quiet {
            return;
        }
        let mut state = self.lock();
        match event {
            inspect::Event::Started { size, .. } => state.size = size,
            inspect::Event::Progress { bytes } if !state.uploads => {
                state.read = bytes;
                state.read();
            }
            inspect::Event::Retry { source, attempt, wait, said } => {
                let said = Hostile::from(said);
                let wait = wait.as_secs_f64();
                state.line(&format!("{source}: {said}; trying again in {wait:.1} s ({attempt})"));
            }
            _ => {}
        }
    }
}

impl State {
    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// A line that stays.
    fn line(&mut self, line: &str) {
        match self.bar.as_ref().filter(|_| !self.closed) {
            Some(bar) => bar.suspend(|| output::log(line)),
            None => output::log(line),
        }
    }

    /// The line that changes, on a terminal.
    fn status(&mut self, line: &str) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        bar.set_message(line.to_owned());
    }

    /// Tells how much of the image was read, whatever else is done meanwhile.
    fn read(&mut self) {
        let Some(since) = self.reading else { return };
        let (read, size) = (self.read, self.size);
        let more = self
            .arrived
            .map_or_else(String::new, |arrived| format!(", {} sent, packed", human_size(arrived)));
        self.told(Step::Check.as_str(), "read", since, (read, size), &more);
    }

    /// Tells of the bytes of the step that is taken.
    fn bytes(&mut self, name: &str, did: &str, bytes: u64, total: Option<u64>) {
        let Some((_, since)) = self.step else { return };
        self.told(name, did, since, (bytes, total), "");
    }

    fn told(
        &mut self,
        name: &str,
        did: &str,
        since: Instant,
        (bytes, total): (u64, Option<u64>),
        more: &str,
    ) {
        let on_terminal = output::is_drawn();
        if self.closed || !on_terminal && self.told.elapsed() < LINE_EVERY {
            return;
        }
        self.told = Instant::now();
        let share = total.map_or_else(String::new, |total| {
            let share = 100.0 * bytes as f64 / total.max(1) as f64;
            format!(" of {} ({share:.0} %)", human_size(total))
        });
        // Of what is packed on the way, what is read waits for what is sent: so its pace is that of both.
        let line = format!(
            "{name}: {}{share} {did}{more}, {}",
            human_size(bytes),
            pace(bytes, total, since.elapsed())
        );
        match on_terminal {
            true => self.status(&line),
            false => self.line(&line),
        }
    }
}
