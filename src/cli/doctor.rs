//! `tidegate doctor`: whether token, network, clock and bucket are right, before an image waits for them.

mod bucket;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::json;

use self::bucket::bucket;
use super::args::{DoctorArgs, Format};
use super::image::connect::{self, Teller};
use super::push::{absolute, state_folder};
use super::{ACCEPTED, INTERRUPTED, REFUSED, Usage, output};
use crate::bytes::{Command, Given, Hostile, Options};
use crate::digitalocean::credentials::{self, Places, VARIABLES};
use crate::digitalocean::{Client, Error, Filter, Kind, PUBLISHED};
use crate::net::{self, Address, Called, Method};
use crate::push::unfinished;

/// Clocks that are further apart are worth a word…
const SKEWED: Duration = Duration::from_secs(60);

/// …and S3 refuses signatures of clocks that are further apart than this (Amazon S3, `RequestTimeTooSkewed`).
const REFUSED_SKEW: Duration = Duration::from_secs(15 * 60);

/// More than this of an answer is not read.
const LARGEST: usize = 1 << 20;

/// Scopes that only a call which changes something can show.
const UNSEEN: &str = "image:create, image:update, image:delete, tag:create";

/// How a part of the way is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
    Unknown,
}

/// What was looked at, how it is, and what to do.
#[derive(Serialize)]
struct Check {
    id: &'static str,
    state: State,
    said: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    fix: String,
}

/// All that was looked at.
#[derive(Default)]
struct Chart(Vec<Check>);

impl Chart {
    fn add(&mut self, id: &'static str, state: State, said: impl AsRef<str>, fix: &str) {
        let said = Hostile::message(said.as_ref()).to_string();
        self.0.push(Check { id, state, said, fix: fix.to_owned() });
    }
}

/// Which bucket is meant, for the next command.
fn named(args: &DoctorArgs) -> Options {
    let said = [("--bucket", &args.bucket), ("--spaces-region", &args.spaces_region)];
    let said = said.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    said.fold(Options::default(), |options, (name, value)| options.value(name, value))
}

/// This very command.
fn again(args: &DoctorArgs) -> Command {
    let mut options = named(args);
    if args.probe {
        options = options.flag("--probe");
    }
    Command::new("tidegate doctor").with(&args.api.given()).with(&options)
}

pub(super) fn run(args: &DoctorArgs) -> Result<u8, Usage> {
    let mut given = Given { api: args.api.given(), bucket: named(args), ..Given::default() };
    if let Some(state) = absolute(args.state.clone())? {
        given.journals = given.journals.file("--state", &state);
    }
    given.tell();
    let mut chart = Chart::default();
    let variable = |name: &str| std::env::var(name).ok();
    let place = variable(connect::PLACE).filter(|place| !place.trim().is_empty());
    let base = Address::parse(place.as_deref().unwrap_or(PUBLISHED).trim());
    match &base {
        Ok(base) => network(args, base, &mut chart),
        Err(why) => {
            chart.add(
                "network",
                State::Fail,
                format!("{}: {why}", connect::PLACE),
                "Set it to an https URL, or unset it.",
            );
        }
    }
    let has_token = token(args, &mut chart);
    if has_token && base.is_ok() {
        match connect::client_at(&args.api, &Teller::new(true)) {
            Ok((client, _)) => account(&client, &mut chart),
            Err(Usage(why)) => {
                chart.add("token-accepted", State::Fail, why, "Use https, or a loopback address.")
            }
        }
    } else {
        chart.add("token-accepted", State::Unknown, "it was not tried", "");
    }
    journals(args, &mut chart);
    let interrupted = bucket(args, &mut chart);
    let failed = chart.0.iter().any(|check| check.state == State::Fail);
    let text = match args.api.format {
        Format::Json => {
            let document =
                json!({"schema": "tidegate.doctor/1", "healthy": !failed, "checks": chart.0});
            format!("{document:#}\n")
        }
        _ => text(&chart, failed.then(|| again(args))),
    };
    output::write(&mut None, &text)?;
    Ok(match interrupted {
        true => INTERRUPTED,
        false if failed => REFUSED,
        false => ACCEPTED,
    })
}

/// The chart for people. `again` is what to do once more where something is wrong.
fn text(chart: &Chart, again: Option<Command>) -> String {
    let mut out = String::new();
    for check in &chart.0 {
        let state = match check.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
            State::Unknown => "unknown",
        };
        out += &format!("{state:<8} {:<15} {}\n", check.id, check.said);
        if !check.fix.is_empty() {
            out += &format!("{:24} Fix: {}\n", "", check.fix);
        }
    }
    out + &match again {
        Some(again) => format!("\nsomething is wrong; mend it and run {again} again\n"),
        None => {
            "\nnothing is wrong, as far as it can be seen; next: push an image with --dry-run\n"
                .into()
        }
    }
}

/// Whether the API can be reached, through what, and what its clock says. No token goes along.
fn network(args: &DoctorArgs, base: &Address, chart: &mut Chart) {
    let options = net::Options {
        cacert: args.api.cacert.clone(),
        insecure_http: base.is_loopback(),
        // As the client of the API has it: nothing of this machine goes through a proxy.
        only: base.is_loopback().then(Vec::new),
        idle_timeout: Duration::from_secs(u64::from(args.api.timeout)),
        connect_timeout: Duration::from_secs(u64::from(args.api.timeout.min(15))),
        log: args.api.verbose.then(|| crate::net::Log::new(output::log)),
        ..net::Options::default()
    };
    let client = match net::Client::new(options) {
        Ok(client) => client,
        Err(why) => return chart.add("network", State::Fail, why, "Look at --cacert."),
    };
    let proxied = client.is_proxied(base);
    match proxied {
        true => chart.add(
            "proxy",
            State::Ok,
            format!("a proxy of the environment stands before {base}"),
            "",
        ),
        false => chart.add("proxy", State::Ok, format!("none stands before {base}"), ""),
    }
    let asked = Instant::now();
    let answer = base.below("v2/regions").map_err(|why| (why, None)).and_then(|address| {
        let call = client.call(Method::GET, &address, None, LARGEST);
        client.wait(call).map_err(|failure| (failure.to_string(), Some(failure.kind)))
    });
    match answer {
        Ok(called) => {
            let millis = asked.elapsed().as_millis();
            let said = format!("{base} answered {} in {millis} ms", called.status);
            match called.status {
                404 | 405 | 501 => chart.add(
                    "network",
                    State::Fail,
                    said,
                    "Look at DIGITALOCEAN_API_URL: who answers there does not have this API.",
                ),
                500.. => chart.add(
                    "network",
                    State::Warn,
                    said,
                    "Wait: the API has troubles of its own.",
                ),
                _ => chart.add("network", State::Ok, said, ""),
            }
            clock(&called, chart);
        }
        Err((why, kind)) => {
            let fix = match (kind, proxied) {
                (Some(net::Kind::Tls), _) => {
                    "Trust the authority by --cacert FILE, or look who answers there."
                }
                _ if base.is_loopback() => {
                    "Start what is to listen there, or unset DIGITALOCEAN_API_URL."
                }
                (_, true) => {
                    "Look at https_proxy and no_proxy, and whether the proxy lets the host through."
                }
                (_, false) => {
                    "Look at the network, the name server, and whether https_proxy has to be set."
                }
            };
            chart.add("network", State::Fail, why, fix);
            chart.add("clock", State::Unknown, "nobody said what time it is", "");
        }
    }
}

/// How far the clock of this machine is from that of the API.
fn clock(called: &Called, chart: &mut Chart) {
    let date = called.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    let Some(date) = date else {
        return chart.add("clock", State::Unknown, "the API does not say what time it is", "");
    };
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let skew = since(SystemTime::now()).abs_diff(since(date));
    // Dates have whole seconds.
    let said = format!("{} s from that of the API", skew.as_secs());
    const FIX: &str =
        "Set the clock, or have it set by NTP: signatures and certificates depend on it.";
    match skew {
        skew if skew >= REFUSED_SKEW => chart.add("clock", State::Fail, said, FIX),
        skew if skew >= SKEWED => chart.add("clock", State::Warn, said, FIX),
        _ => chart.add("clock", State::Ok, said, ""),
    }
}

/// Whether there is a token, and where.
fn token(args: &DoctorArgs, chart: &mut Chart) -> bool {
    let variable = |name: &str| std::env::var(name).ok();
    let set = |name: &&&str| variable(name).is_some_and(|value| !value.trim().is_empty());
    let places = Places { file: args.api.token_file.clone(), context: args.api.context.clone() };
    match credentials::find(&places, variable) {
        Ok(_) => {
            let from = match (&places.file, VARIABLES.iter().find(set)) {
                (Some(file), _) => format!("in {}", Hostile::from_os(file.as_os_str())),
                (None, Some(name)) if places.context.is_none() => format!("in {name}"),
                _ => "in doctl's configuration".to_owned(),
            };
            chart.add("token", State::Ok, format!("found {from}"), "");
            true
        }
        Err(why) => {
            chart.add("token", State::Fail, why, "Make one at cloud.digitalocean.com/account/api/tokens, and set DIGITALOCEAN_TOKEN.");
            false
        }
    }
}

/// Whether the token is accepted, and which scopes it shows.
fn account(client: &Client, chart: &mut Chart) {
    let images = client.wait(client.images().list(&Filter::default()).page()).map(|_| ());
    let regions = client.wait(client.regions().once()).map(|_| ());
    let keys = client.wait(client.keys().list()).map(|_| ());
    let seen = [("image:read", &images), ("regions:read", &regions), ("spaces_key:read", &keys)];
    let works = |result: &Result<(), Error>| result.is_ok();
    let refused = seen.iter().find_map(|(_, result)| match result {
        Err(error) if matches!(error.kind, Kind::Unauthorized) => Some(error.to_string()),
        _ => None,
    });
    if let Some(why) = refused {
        chart.add(
            "token-accepted",
            State::Fail,
            why,
            "Make a new token: this one is wrong, expired or revoked.",
        );
        return chart.add("scopes", State::Unknown, "the token is not accepted", "");
    }
    let forbidden = |result: &Result<(), Error>| matches!(result, Err(error) if matches!(error.kind, Kind::Forbidden { .. }));
    match seen.iter().find(|(_, result)| works(result) || forbidden(result)) {
        Some(_) => chart.add("token-accepted", State::Ok, "the API takes it", ""),
        None => {
            let why = images.as_ref().err().map(ToString::to_string).unwrap_or_default();
            chart.add("token-accepted", State::Unknown, why, "");
        }
    }
    let names = |wanted: &dyn Fn(&Result<(), Error>) -> bool| {
        let names: Vec<&str> =
            seen.iter().filter(|(_, result)| wanted(result)).map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let open = |result: &Result<(), Error>| !works(result) && !forbidden(result);
    let said: Vec<String> = [
        names(&works).map(|names| format!("has {names}")),
        names(&forbidden).map(|names| format!("lacks {names}")),
        names(&open).map(|names| format!("{names}: unknown, the API did not say")),
        Some(format!("{UNSEEN}: unknown, only a change would tell")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let said = said.join("; ");
    match &images {
        Err(_) if forbidden(&images) => {
            chart.add(
                "scopes",
                State::Fail,
                said,
                "Give the token the scopes image:create and image:read.",
            );
        }
        Err(_) => chart.add("scopes", State::Unknown, said, ""),
        Ok(()) => chart.add("scopes", State::Ok, said, ""),
    }
}

/// Whether something is left of earlier pushes of this machine, as far as their journals tell.
fn journals(args: &DoctorArgs, chart: &mut Chart) {
    if let Some(state) = args.state.as_ref().filter(|state| !state.is_dir()) {
        let said = format!("there is no folder {}", Hostile::from_os(state.as_os_str()));
        return chart.add("journals", State::Unknown, said, "Look at --state.");
    }
    let (state, said, fix) = match state_folder(args.state.clone()).map(|folder| {
        let shown = Hostile::from_os(folder.join("pushes").as_os_str()).to_string();
        (unfinished(&folder).map(|unfinished| unfinished.said(&Command::sweep())), shown)
    }) {
        Ok((Ok(None), folder)) => (
            State::Ok,
            format!("nothing is left of earlier pushes, by the journals in {folder}"),
            "",
        ),
        Ok((Ok(Some(said)), _)) => (State::Warn, said, "Run it, and see what it says."),
        Ok((Err(error), _)) => {
            (State::Unknown, error.to_string(), "Look at the folder, or at --state.")
        }
        Err(Usage(why)) => (State::Unknown, why, "Name a folder by --state, or set HOME."),
    };
    chart.add("journals", state, said, fix);
}
