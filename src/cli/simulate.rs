use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::{ActionShape, SimulateArgs};
use super::{ACCEPTED, Usage, output};
use crate::simulator::{Options, Plan, Shape, Simulator};
use crate::source::shown;

/// The longest step, in seconds.
const SLOWEST: f64 = 86_400.0;

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
    let mut signals = Signals::new([SIGINT, SIGTERM])
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
    let text = fs::read_to_string(path)
        .map_err(|e| Usage(format!("cannot read the fault plan {name}: {e}")))?;
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

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => fs::remove_file(path),
        // It might be a device, or lead to somebody else's file.
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, "it is there and no regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn env_file(path: &Path, error: &io::Error) -> Usage {
    Usage(format!("cannot write {}: {error}", shown(path.as_os_str())))
}
