use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use signal_hook::iterator::Signals;

use super::target::{self, Appendix, Identity, Kind, Other, Place, ours};
use super::{ACCEPTED, Usage, output};
use crate::bytes::Small;
use crate::simulator::{Options, Plan, Shape, Simulator};
use crate::source::shown;

/// The longest step, in seconds.
const SLOWEST: f64 = 86_400.0;

/// What has some thousand faults.
const PLAN: Small = Small { what: "a plan of faults", most: 1 << 20 };

/// What a shell reads.
const ENV: Kind = Kind {
    option: "--env-file",
    what: "the environment",
    earlier: "an environment of tidegate simulate",
    is_ours: ours::is_environment,
    private: true,
};

/// What has a line for each request.
const LOG: Kind = Kind {
    option: "--log",
    what: "the log",
    earlier: "a log of requests of tidegate simulate",
    is_ours: ours::is_log,
    private: true,
};

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Address and port to listen on; this machine's own only. Port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) listen: std::net::SocketAddr,

    /// Keep images, actions and the bucket in this directory, and go on with what is there.
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,

    /// A plan of faults, in TOML; see docs/simulator.md.
    #[arg(long, value_name = "PLAN")]
    pub(super) faults: Option<PathBuf>,

    /// Append a JSON line for each request to this file, which is new or such a log.
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,

    /// Once it listens, write DIGITALOCEAN_API_URL, DIGITALOCEAN_TOKEN and SPACES_… to this file, as a
    /// shell reads them, instead of standard output. The file goes away at the end.
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,

    /// Fetch images from this host too, not only from this machine (may be repeated).
    #[arg(long, value_name = "HOST")]
    pub(super) allow_fetch: Vec<String>,

    /// Seconds that each step of an import or an action takes at least.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub(super) pace: f64,

    /// Requests in an hour and in a minute, as HOURLY/BURST.
    #[arg(long, value_name = "RATES", default_value = "5000/250")]
    pub(super) rate_limit: crate::simulator::Rates,

    /// How an action is answered: in `{"action": …}`, or bare.
    #[arg(long, value_name = "SHAPE", default_value = "wrapped")]
    pub(super) action_shape: ActionShape,

    /// Have some public images too, as every account of DigitalOcean has.
    #[arg(long)]
    pub(super) public_images: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ActionShape {
    /// As published.
    Wrapped,
    /// As the types of DigitalOcean's SDK for Gradient have it.
    Bare,
}

pub(super) fn run(args: &SimulateArgs) -> Result<u8, Usage> {
    let faults = args.faults.as_deref().map(plan).transpose()?.unwrap_or_default();
    let env_file =
        args.env_file.as_deref().map(|path| environment(path, args)).transpose()?.flatten();
    let log = args.log.as_deref().map(|path| log(path, args, env_file.is_none())).transpose()?;
    let opened = log.as_ref().map(Appendix::open).transpose()?.map(Arc::new);
    let options = Options {
        listen: args.listen,
        state: args.state.clone(),
        faults,
        log: opened,
        allow_fetch: args.allow_fetch.clone(),
        pace: pace(args.pace)?,
        rates: args.rate_limit,
        shape: match args.action_shape {
            ActionShape::Wrapped => Shape::Wrapped,
            ActionShape::Bare => Shape::Bare,
        },
        public_images: args.public_images,
        complain: output::complain,
    };
    // Before anybody can know that it listens, so that no signal ends it in another way.
    let mut signals = Signals::new(super::signals::heard(&super::signals::ENDS))
        .map_err(|e| Usage(format!("signals cannot be caught: {e}")))?;
    let simulator = Simulator::start(options).map_err(|why| {
        if let Some(log) = &log {
            log.undo();
        }
        Usage(why)
    })?;
    let assignments = assignments(&simulator);
    let written = match env_file {
        Some(place) => Some(write(place, &assignments)?),
        None => output::write(&mut None, &assignments).map(|()| None)?,
    };
    output::complain(&format!("the simulator listens on {}", simulator.url()));
    signals.forever().next();
    if let Some((path, file)) = written {
        // Another simulator may have its own there by now.
        target::remove(&path, &file)
            .map_err(|e| Usage(format!("cannot remove {}: {e}", shown(path.as_os_str()))))?;
    }
    Ok(ACCEPTED)
}

/// Where the environment goes, if not to standard output. Nothing is written before the simulator listens.
fn environment(path: &Path, args: &SimulateArgs) -> Result<Option<Place>, Usage> {
    match target::names_descriptor(path) {
        Some(1) => return Ok(None),
        Some(_) => return Err(ENV.wrong(path, "it goes away at the end, so it has to be a file")),
        None => {}
    }
    target::is_none_of(
        Identity::of(path).as_ref(),
        (path, ENV.option),
        "replace",
        &read_too(args),
    )?;
    let place = Place::look(path, ENV).map_err(|why| ENV.wrong(path, &why))?;
    // A folder that takes no file is known before anybody could have been served.
    place.draft().map_err(|why| ENV.wrong(path, &why))?;
    Ok(Some(place))
}

/// Where the log goes, which has to be elsewhere than the environment.
fn log(path: &Path, args: &SimulateArgs, env_on_stdout: bool) -> Result<Appendix, Usage> {
    if env_on_stdout && target::names_descriptor(path) == Some(1) {
        return Err(LOG.wrong(path, "standard output has the environment; name an --env-file too"));
    }
    let mut others = read_too(args);
    others.extend(
        args.env_file.iter().map(|file| (file.as_os_str().into(), "where the environment goes")),
    );
    Appendix::look(path, LOG, &others)
}

fn read_too(args: &SimulateArgs) -> Vec<Other<'_>> {
    args.faults.iter().map(|plan| (plan.as_os_str().into(), "the plan of faults")).collect()
}

/// Writes the file in one step: where it is, and which one.
fn write(place: Place, text: &str) -> Result<(PathBuf, File), Usage> {
    let draft = place.draft().map_err(|why| place.wrong(&why))?;
    let written = draft.file().write_all(text.as_bytes());
    written.map_err(|e| place.wrong(&e.to_string()))?;
    let path = place.path().to_owned();
    Ok((path, place.settle(draft)?))
}

/// What a shell has to set for clients to find the simulator.
fn assignments(simulator: &Simulator) -> String {
    let spaces = simulator.spaces();
    let all = [
        ("DIGITALOCEAN_API_URL", simulator.url()),
        ("DIGITALOCEAN_TOKEN", simulator.token()),
        ("SPACES_ENDPOINT_URL", spaces.endpoint_url),
        ("SPACES_ACCESS_KEY_ID", spaces.access_key_id),
        ("SPACES_SECRET_ACCESS_KEY", spaces.secret_access_key),
        ("SPACES_BUCKET", spaces.bucket),
        ("SPACES_REGION", spaces.region),
    ];
    all.map(|(name, value)| format!("{name}={value}\n")).concat()
}

fn plan(path: &Path) -> Result<Plan, Usage> {
    let name = shown(path.as_os_str());
    let text =
        PLAN.text(path).map_err(|e| Usage(format!("cannot read the fault plan {name}: {e}")))?;
    Plan::parse(&text).map_err(|why| Usage(format!("the fault plan {name}: {}", why.trim_end())))
}

fn pace(seconds: f64) -> Result<Duration, Usage> {
    match (0.0..=SLOWEST).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(Usage(format!("--pace is a number of seconds from 0 to {SLOWEST}"))),
    }
}
