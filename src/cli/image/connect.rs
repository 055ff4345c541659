//! The client of the API, as the arguments and the environment want it, and what it says while it waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::ApiArgs;
use crate::bytes::{Command, Hostile};
use crate::cli::signals::LastWords;
use crate::cli::{Usage, output};
use crate::digitalocean::credentials::{self, Places};
use crate::digitalocean::{Client, Event, Listener, Options, PUBLISHED};
use crate::net::{self, Address};

/// Another place of the API, as doctl and Terraform's provider name it.
pub(in crate::cli) const PLACE: &str = "DIGITALOCEAN_API_URL";

/// How often a line is written where there is no terminal, if nothing changes.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// A client that tells `teller` what it waits for.
pub(super) fn client(args: &ApiArgs, teller: &Arc<Teller>) -> Result<Client, Usage> {
    client_at(args, teller).map(|(client, _)| client)
}

/// Tells `teller` what a client waits for.
pub(in crate::cli) fn listener(teller: &Arc<Teller>) -> Listener {
    let told = Arc::clone(teller);
    Arc::new(move |event: &Event<'_>| told.event(event))
}

/// The same client, and where it looks for the API.
pub(in crate::cli) fn client_at(
    args: &ApiArgs,
    teller: &Arc<Teller>,
) -> Result<(Client, String), Usage> {
    let variable = |name: &str| std::env::var(name).ok();
    let place = variable(PLACE).filter(|place| !place.trim().is_empty());
    let place = place.as_deref().unwrap_or(PUBLISHED).trim();
    let base = Address::parse(place).map_err(|why| Usage(format!("{PLACE}: {why}")))?;
    let places = Places { file: args.token_file.clone(), context: args.context.clone() };
    let token = credentials::find(&places, variable)
        .map_err(|why| Usage(format!("{why}; {} says what is found", doctor(args))))?;
    let shown = base.to_string();
    let options = Options {
        base,
        net: net::Options {
            cacert: args.cacert.clone(),
            idle_timeout: Duration::from_secs(u64::from(args.timeout)),
            connect_timeout: Duration::from_secs(u64::from(args.timeout.min(15))),
            retries: u32::from(args.retries),
            log: args.verbose.then(|| net::Log::new(output::log)),
            ..net::Options::default()
        },
        listener: Some(listener(teller)),
    };
    let client = Client::new(&token, options);
    let client = client.map_err(|why| Usage(format!("{PLACE}: {why}")))?;
    Ok((client, shown))
}

/// The command that looks at what these arguments lead to.
fn doctor(args: &ApiArgs) -> Command {
    Command::new("tidegate doctor").with(&args.given())
}

/// How often the line on a terminal moves.
const TICK: Duration = Duration::from_millis(250);

/// Says on standard error what is waited for: a line that moves on a terminal, lines elsewhere.
pub(in crate::cli) struct Teller {
    quiet: bool,
    /// What an interrupted run says at last.
    pub(super) words: LastWords,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    /// What the bar shows.
    shown: Option<Told>,
    /// What was said last of each thing, and when.
    said: Vec<(String, String, Instant)>,
}

/// Something to say that changes with time.
struct Told {
    /// What it is about.
    what: String,
    /// What is said of it; if this is new, it is said at once.
    key: String,
    text: String,
    /// Since when that is so.
    since: Option<Instant>,
    /// When something is done again, and what.
    due: Option<(&'static str, Instant)>,
}

impl Told {
    fn line(&self) -> String {
        let mut line = format!("{}: {}", self.what, self.text);
        if let Some(since) = self.since {
            line += &format!(" for {}", span(since.elapsed()));
        }
        if let Some((what, due)) = self.due {
            match due.saturating_duration_since(Instant::now()) {
                Duration::ZERO => line += &format!("; {what} now"),
                left => line += &format!("; {what} in {}", span(left)),
            }
        }
        line
    }
}

impl Teller {
    pub(in crate::cli) fn new(quiet: bool) -> Arc<Self> {
        Arc::new(Teller { quiet, words: LastWords::default(), state: Mutex::default() })
    }

    /// Clears the line.
    pub(in crate::cli) fn close(&self) {
        let mut state = self.state();
        state.shown = None;
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(self: &Arc<Self>, event: &Event<'_>) {
        if let Event::Unread(unread) = event {
            let said =
                format!("warning: {} cannot be read, and is left out: {}", unread.what, unread.why);
            self.above(|| output::warn(&said));
            return;
        }
        if self.quiet {
            return;
        }
        let now = Instant::now();
        let api = || "the API".to_owned();
        self.say(match event {
            Event::Retry(retry) => {
                let said = Hostile::message(&retry.said);
                let text = format!("{said} ({})", retry.attempt);
                let due = Some(("trying again", now + retry.wait));
                Told { what: api(), key: text.clone(), text, since: None, due }
            }
            Event::Limited(wait) => {
                let text = "the rate limit is used up".to_owned();
                let due = Some(("going on", now + *wait));
                Told { what: api(), key: text.clone(), text, since: None, due }
            }
            Event::Waiting { what, status, remark, trouble, elapsed, next } => {
                let mut status = Hostile::from(*status).to_string();
                if let Some(remark) = remark {
                    status += &format!(" ({})", Hostile::message(remark));
                }
                let (text, key) = match trouble {
                    None => (status.clone(), status),
                    // Times in it change, which is nothing new.
                    Some(error) => (
                        format!("{status}, and the API does not show it now ({error})"),
                        format!("{status} {:?}", error.status),
                    ),
                };
                let (since, due) =
                    (now.checked_sub(*elapsed), Some(("looking again", now + *next)));
                Told { what: (*what).to_owned(), key, text, since, due }
            }
            Event::Settling { because, elapsed, most } => {
                let text =
                    format!("{because}; looking whether it was made (at most {})", span(*most));
                let since = now.checked_sub(*elapsed);
                Told {
                    what: "the new image".into(),
                    key: "settling".into(),
                    text,
                    since,
                    due: None,
                }
            }
            Event::Unread(_) => return,
            Event::CreateWaits(wait) => {
                let text = "it takes no calls; the create waits for that".to_owned();
                let due = Some(("going on", now + *wait));
                Told { what: api(), key: text.clone(), text, since: None, due }
            }
            Event::PostingAgain { looked } => {
                let looked = span(*looked);
                self.line(&format!("the new image: not found after {looked}; posting again"));
                return;
            }
        });
    }

    /// Says something that stays, above the line that moves.
    fn line(&self, text: &str) {
        self.above(|| output::log(text));
    }

    fn above(&self, write: impl FnOnce()) {
        match &self.state().bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn say(self: &Arc<Self>, told: Told) {
        let mut state = self.state();
        if output::is_drawn() {
            if state.bar.is_none() {
                let bar = ProgressBar::new_spinner();
                let style = ProgressStyle::with_template("{spinner} {wide_msg}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                state.bar = Some(bar);
                let weak = Arc::downgrade(self);
                std::thread::spawn(move || {
                    while weak.upgrade().is_some_and(|teller| teller.tick()) {
                        std::thread::sleep(TICK);
                    }
                });
            }
            state.shown = Some(told);
            return;
        }
        let known = state.said.iter().position(|(known, ..)| *known == told.what);
        if let Some(at) = known {
            let (_, said, when) = &state.said[at];
            if *said == told.key && when.elapsed() < LINE_EVERY {
                return;
            }
            state.said.remove(at);
        }
        // Nothing can be done if nobody reads it.
        output::log(&told.line().to_string());
        state.said.push((told.what, told.key, Instant::now()));
    }

    /// Draws the line as it is now; whether there is one.
    fn tick(&self) -> bool {
        let state = self.state();
        if let (Some(bar), Some(told)) = (&state.bar, &state.shown) {
            bar.set_message(told.line());
            bar.tick();
        }
        state.bar.is_some()
    }
}

/// A time for people.
pub(in crate::cli) fn span(time: Duration) -> String {
    // Rounded: 4.999 s are 5 s.
    let millis = time.as_micros().saturating_add(500) / 1000;
    match millis.saturating_add(500) / 1000 {
        _ if millis < 950 => format!("{millis} ms"),
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        assert_eq!(span(Duration::from_millis(20)), "20 ms");
        assert_eq!(span(Duration::from_secs(119)), "119 s");
        // What is left of a pause a moment after it began.
        assert_eq!(span(Duration::from_micros(4_999_600)), "5 s");
        assert_eq!(span(Duration::from_micros(999_600)), "1 s");
        assert_eq!(span(Duration::from_micros(99_900)), "100 ms");
        assert_eq!(span(Duration::from_millis(119_600)), "2 min 0 s");
        assert_eq!(span(Duration::from_secs(200)), "3 min 20 s");
    }
}
