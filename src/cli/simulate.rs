use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use signal_hook::iterator::Signals;

use super::{ACCEPTED, Usage, output};
use crate::bytes::Small;
use crate::simulator::{Options, Plan, Shape, Simulator};
use crate::source::shown;

/// The longest step, in seconds.
const SLOWEST: f64 = 86_400.0;

/// What has some thousand faults.
const PLAN: Small = Small { what: "a plan of faults", most: 1 << 20 };

/// What has seven lines.
const ENV: Small = Small { what: "the file for the environment", most: 64 << 10 };

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

    /// Append a JSON line for each request to this file.
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
    let options = Options {
        listen: args.listen,
        state: args.state.clone(),
        faults: args.faults.as_deref().map(plan).transpose()?.unwrap_or_default(),
        log: args.log.clone(),
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
    if let Some(path) = &args.env_file {
        // Whoever waits for the file must not find that of an earlier run.
        remove(path).map_err(|e| env_file(path, &e))?;
    }
    let simulator = Simulator::start(options).map_err(Usage)?;
    let assignments = assignments(&simulator);
    match &args.env_file {
        Some(path) => write(path, &assignments).map_err(|e| env_file(path, &e))?,
        None => output::write(&mut None, &assignments)?,
    }
    output::complain(&format!("the simulator listens on {}", simulator.url()));
    signals.forever().next();
    if let Some(path) = &args.env_file {
        remove(path).map_err(|e| env_file(path, &e))?;
    }
    Ok(ACCEPTED)
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

/// Writes the file in one step, readable by its owner only: it holds the token.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|e| e.error).map(drop)
}

/// What each line of the file begins with.
const NAMES: [&str; 7] = [
    "DIGITALOCEAN_API_URL=http://",
    "DIGITALOCEAN_TOKEN=",
    "SPACES_ENDPOINT_URL=http://",
    "SPACES_ACCESS_KEY_ID=",
    "SPACES_SECRET_ACCESS_KEY=",
    "SPACES_BUCKET=",
    "SPACES_REGION=",
];

/// Removes the file, if it is one that a simulator wrote.
fn remove(path: &Path) -> io::Result<()> {
    let taken = |why| Err(io::Error::new(ErrorKind::AlreadyExists, why));
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            let text = ENV.text(path).unwrap_or_else(|_| "?".into());
            let ours =
                text.lines().zip(NAMES).filter(|(line, name)| line.starts_with(name)).count();
            match text.is_empty() || ours == NAMES.len() && text.lines().count() == ours {
                true => fs::remove_file(path),
                false => taken("it is there already, and no simulator wrote it; name another file"),
            }
        }
        // It might be a device, or lead to somebody else's file.
        Ok(_) => taken("it is there and no regular file"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn env_file(path: &Path, error: &io::Error) -> Usage {
    Usage(format!("cannot write {}: {error}", shown(path.as_os_str())))
}
