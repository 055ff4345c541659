//! The client of the API, as the arguments and the environment want it, and what it says while it waits.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::ApiArgs;
use crate::bytes::Hostile;
use crate::cli::{Usage, output};
use crate::digitalocean::credentials::{self, Places};
use crate::digitalocean::{Client, Event, Listener, Options, PUBLISHED};
use crate::net::{self, Address};

/// Another place of the API, as doctl and Terraform's provider name it.
const PLACE: &str = "DIGITALOCEAN_API_URL";

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
    let token = credentials::find(&places, variable).map_err(Usage)?;
    let shown = base.to_string();
    let options = Options {
        base,
        net: net::Options {
            cacert: args.cacert.clone(),
            idle_timeout: Duration::from_secs(u64::from(args.timeout)),
            connect_timeout: Duration::from_secs(u64::from(args.timeout.min(15))),
            retries: u32::from(args.retries),
            log: args.verbose.then_some(output::log as fn(&str)),
            ..net::Options::default()
        },
        listener: Some(listener(teller)),
    };
    let client = Client::new(&token, options);
    let client = client.map_err(|why| Usage(format!("{PLACE}: {why}")))?;
    Ok((client, shown))
}

/// Says on standard error what is waited for: a line that changes on a terminal, lines elsewhere.
pub(in crate::cli) struct Teller {
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    /// What was said last of each thing, and when.
    said: Vec<(String, String, Instant)>,
}

impl Teller {
    pub(in crate::cli) fn new(quiet: bool) -> Arc<Self> {
        Arc::new(Teller { quiet, state: Mutex::default() })
    }

    /// Clears the line.
    pub(super) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn event(&self, event: &Event<'_>) {
        if self.quiet {
            return;
        }
        let seconds = |time: &Duration| span(*time);
        match event {
            Event::Retry(retry) => {
                let said = Hostile::from(retry.said.as_str());
                let wait = retry.wait.as_secs_f64();
                let line = format!("{said}; trying again in {wait:.1} s ({})", retry.attempt);
                self.say("the API", &line, &line);
            }
            Event::Limited(wait) => {
                let line = format!("the rate limit is used up; going on in {}", seconds(wait));
                self.say("the API", "limit", &line);
            }
            Event::Waiting { what, status, elapsed, next } => {
                let status = Hostile::from(*status).to_string();
                let line = format!(
                    "{status} for {}; looking again in {}",
                    seconds(elapsed),
                    seconds(next)
                );
                self.say(what, &status, &line);
            }
            Event::Settling { because, elapsed, most } => {
                let line = format!(
                    "{because}; looking whether it was made, for {} of {}",
                    seconds(elapsed),
                    seconds(most)
                );
                self.say("the new image", "settling", &line);
            }
        }
    }

    /// `key` tells whether there is something new to say of `what`.
    fn say(&self, what: &str, key: &str, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if stderr().is_terminal() {
            let bar = state.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new_spinner();
                let style = ProgressStyle::with_template("{spinner} {wide_msg}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.enable_steady_tick(Duration::from_millis(250));
                bar
            });
            bar.set_message(format!("{what}: {line}"));
            return;
        }
        let known = state.said.iter().position(|(known, ..)| known == what);
        if let Some(at) = known {
            let (_, said, when) = &state.said[at];
            if said == key && when.elapsed() < LINE_EVERY {
                return;
            }
            state.said.remove(at);
        }
        state.said.push((what.to_owned(), key.to_owned(), Instant::now()));
        // Nothing can be done if nobody reads it.
        let _ = writeln!(stderr(), "{what}: {line}");
    }
}

/// A time for people.
pub(in crate::cli) fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
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
        assert_eq!(span(Duration::from_secs(200)), "3 min 20 s");
    }
}
