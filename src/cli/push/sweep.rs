//! `tidegate sweep`: ends what killed runs left.

use std::ffi::OsStr;
use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::args::StageArgs;
use super::view::View;
use super::world;
use super::{absolute, state_folder, watch};
use crate::bytes::{Command, Hostile, Options};
use crate::cli::args::time;
use crate::cli::args::{NetArgs, ReachArgs};
use crate::cli::image::args::{ApiArgs, PatienceArgs};
use crate::cli::image::connect;
use crate::cli::image::show;
use crate::cli::{ACCEPTED, INTERRUPTED, REFUSED, Usage, net, output};
use crate::push::{
    Cancel, Canceller, Started, StepOutcome, Sweep, Swept, SweptState, Temporary, World, alive,
    sweep, sweep_remote,
};
use crate::source;
use crate::spaces::Keys;

/// `tidegate sweep`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SweepArgs {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask.
    #[arg(short, long, overrides_with = "yes")]
    yes: bool,

    /// Without any journal: everything of pushes that is old enough, in the bucket and by the marks of images.
    #[arg(long)]
    remote: bool,

    /// How old it has to be, so that nothing of a run that lives elsewhere is touched.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time, requires = "remote")]
    older_than: Duration,

    /// Where the journals are; otherwise in XDG_STATE_HOME/tidegate, or ~/.local/state/tidegate.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Make a key for the bucket by DigitalOcean's API, and delete it at the end. It has full access to
    /// all buckets for that time. With --remote also for --dry-run, which could not see the bucket otherwise.
    #[arg(long)]
    mint_key: bool,

    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    patience: PatienceArgs,

    #[command(flatten)]
    api: ApiArgs,
}

/// Where the bucket is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bucket, with --remote")]
struct PlaceArgs {
    /// The bucket; otherwise SPACES_BUCKET.
    #[arg(long, value_name = "NAME", requires = "remote")]
    bucket: Option<String>,

    /// The region of Spaces that it is in; otherwise SPACES_REGION.
    #[arg(long, value_name = "SLUG", requires = "remote")]
    spaces_region: Option<String>,

    /// Another server that speaks S3; otherwise SPACES_ENDPOINT_URL.
    #[arg(long, value_name = "URL", requires = "remote")]
    spaces_endpoint: Option<String>,
}

pub(in crate::cli) fn run(mut args: SweepArgs) -> Result<u8, Usage> {
    args.state = absolute(args.state)?;
    args.state.as_deref().map(is_folder).transpose()?;
    let args = &args;
    if !args.yes && !args.dry_run && !stdin().is_terminal() {
        return Err(Usage(
            "standard input is no terminal, so tidegate cannot ask; --yes sweeps without asking, --dry-run says what it would do"
                .into(),
        ));
    }
    if args.mint_key && !args.yes && !args.dry_run {
        let why = "a key is not made to wait for an answer: --mint-key goes with --yes";
        return Err(Usage(why.into()));
    }
    world::given(&args.api, &stage(args), args.state.as_deref(), None).tell();
    let view = View::new(args.api.quiet);
    if !args.mint_key || args.dry_run && !args.remote {
        if !args.yes && !args.dry_run {
            let (_canceller, cancel) = Canceller::new();
            let planned = swept(args, &view, None, true, &cancel)?;
            match &planned {
                Some(planned) if is_something(planned) => {
                    if !is_wanted(args, planned) {
                        output::complain("nothing was done");
                        return Ok(INTERRUPTED);
                    }
                }
                _ => return write(args, &view, planned),
            }
        }
        let cancel = cancelled_by_signals(args, &view);
        let swept = swept(args, &view, None, args.dry_run, &cancel)?;
        return write(args, &view, swept);
    }
    let (api, place) = connect::client_at(&args.api, view.teller())?;
    if args.remote {
        // Without a bucket no key is needed.
        world::mint(&stage(args), &args.api, None, &view)?;
    }
    let folder = state_folder(args.state.clone())?;
    let cancel = cancelled_by_signals(args, &view);
    let key = match api.wait(Temporary::mint(&api, place, &folder)) {
        Ok(key) => key,
        Err(why) => {
            let sweep = Command::sweep_by_api();
            output::complain(&format!("--mint-key: {why}"));
            output::complain(&format!(
                "nothing was swept; {sweep} deletes a key that was made all the same"
            ));
            return Ok(REFUSED);
        }
    };
    output::complain("a key with full access to all buckets is made, and deleted at the end");
    let mut swept = swept(args, &view, Some(&key), args.dry_run, &cancel);
    let push = key.push().as_str().to_owned();
    match api.wait(key.end(&api)) {
        Ok(said) => said.iter().for_each(|said| output::complain(said)),
        Err(why) => {
            output::complain(&format!("the temporary key is left: {why}"));
            if let Ok(Some(swept)) = &mut swept {
                let step = "delete the temporary key of this sweep".to_owned();
                swept.pushes.push(Swept {
                    steps: vec![step.clone()],
                    outcomes: vec![StepOutcome { step, done: false }],
                    left: vec![why],
                    ..Swept::new(push, SweptState::Left)
                });
            }
        }
    }
    write(args, &view, swept?)
}

/// Makes sure that a folder of journals that is named is one: nothing is in one that is not there.
fn is_folder(state: &Path) -> Result<(), Usage> {
    let shown = Hostile::from_os(state.as_os_str());
    let entries = std::fs::read_dir(state).map_err(|e| Usage(format!("--state {shown}: {e}")))?;
    let is_journal = |path: PathBuf| path.extension().is_some_and(|ending| ending == "journal");
    match entries.flatten().any(|entry| is_journal(entry.path())) {
        true => Err(Usage(format!(
            "--state {shown}: this folder has the journals themselves; name the one that it is in"
        ))),
        false => Ok(()),
    }
}

/// The first signal ends the sweep where it is, the second one the program. Before there is anything to be ended,
/// signals end the program by themselves.
fn cancelled_by_signals(args: &SweepArgs, view: &Arc<View>) -> Cancel {
    let (canceller, cancel) = Canceller::new();
    let again = match args.remote {
        true => {
            let age = format!("{}ms", args.older_than.as_millis());
            Command::sweep_remote().with(&Options::default().value("--older-than", age))
        }
        false => Command::sweep(),
    };
    watch(canceller, view, again);
    cancel
}

fn is_something(planned: &Sweep) -> bool {
    planned.pushes.iter().any(|swept| swept.state == SweptState::Planned)
}

/// Says what would be done, and asks.
fn is_wanted(args: &SweepArgs, planned: &Sweep) -> bool {
    output::log(lines(args, planned).trim_end());
    // Nothing can be done if nobody reads it: then nobody answers either.
    let _ = write!(stderr(), "Go on? [y/N] ");
    let mut answer = String::new();
    let _ = stdin().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Writes what became of all of it.
fn write(args: &SweepArgs, view: &View, swept: Option<Sweep>) -> Result<u8, Usage> {
    view.close();
    let Some(swept) = swept else {
        output::complain("the sweep is not at its end; the next one goes on with what is left");
        return Ok(INTERRUPTED);
    };
    let unlisted = swept.unlisted.iter();
    let unlisted = unlisted.map(|why| json!({"kind": why.kind(), "message": why.to_string()}));
    let document = json!({
        "schema": "tidegate.sweep/1",
        "dry_run": args.dry_run,
        "unlisted": unlisted.collect::<Vec<_>>(),
        "looked": swept.looked,
        "younger": swept.younger,
        "pushes": show::value(&swept.pushes)?,
    });
    let Err(Usage(why)) = show::write(args.api.format, &lines(args, &swept), &document) else {
        return Ok(code(&swept));
    };
    // Whoever reads 2 as "nothing was done" must not do it again.
    output::complain(&why);
    Ok(REFUSED)
}

/// Where the bucket is, as a push has it.
fn stage(args: &SweepArgs) -> StageArgs {
    StageArgs {
        bucket: args.place.bucket.clone(),
        spaces_region: args.place.spaces_region.clone(),
        spaces_endpoint: args.place.spaces_endpoint.clone(),
        mint_key: args.mint_key,
        ..StageArgs::default()
    }
}

/// Sweeps; what could not be looked through is said then. `None` if it is interrupted.
fn swept(
    args: &SweepArgs,
    view: &Arc<View>,
    key: Option<&Temporary>,
    dry: bool,
    cancel: &Cancel,
) -> Result<Option<Sweep>, Usage> {
    let keys = key.map(|key| &key.keys);
    let patience = args.patience.patience();
    if args.remote {
        let stage = stage(args);
        let (api, place) = connect::client_at(&args.api, view.teller())?;
        let bucket = match keys.is_some() || world::names_bucket(&stage) {
            true => Some(world::bucket(&stage, &args.api, None, keys.cloned(), view)?),
            false => {
                output::log(
                    "note: no bucket is named, so only images and temporary keys are looked for; \
                     --bucket or SPACES_BUCKET names one",
                );
                None
            }
        };
        let mut world = world::assemble(api, place, bucket, view);
        world.fresh_key = keys.is_some();
        // Without a place for journals there are none of runs that live.
        let alive = state_folder(args.state.clone()).ok().map(|folder| alive(&folder));
        let alive = alive.transpose().map_err(|e| Usage(e.to_string()))?.unwrap_or_default();
        let work = sweep_remote(&world, args.older_than, &alive, patience, dry);
        let Ok(swept) = world.api.wait(cancel.unless(work)) else { return Ok(None) };
        swept.unlisted.iter().for_each(|why| output::complain(&why.to_string()));
        return Ok(Some(swept));
    }
    let folder = state_folder(args.state.clone())?;
    let connect = |started: &Started| connected(args, started, keys, view);
    let runtime = crate::net::Client::new(crate::net::Options::default()).map_err(Usage)?;
    let work = cancel.unless(sweep(&folder, &connect, &patience, dry));
    let Ok(swept) = runtime.wait(work) else { return Ok(None) };
    let mut pushes = swept.map_err(|e| Usage(e.to_string()))?;
    // The key that is in use is no push that lives.
    pushes.retain(|swept| key.is_none_or(|key| swept.push != key.push().as_str()));
    let looked = Hostile::from_os(folder.join("pushes").as_os_str()).to_string();
    Ok(Some(Sweep { pushes, unlisted: Vec::new(), looked: vec![looked], younger: Vec::new() }))
}

/// The world of a push, which has to be the one that the environment opens.
fn connected(
    args: &SweepArgs,
    started: &Started,
    keys: Option<&Keys>,
    view: &Arc<View>,
) -> Result<World, String> {
    let (api, place) = connect::client_at(&args.api, view.teller()).map_err(|usage| usage.0)?;
    if place != started.api {
        return Err(format!(
            "it was pushed by the API at {}, and DIGITALOCEAN_API_URL leads to {place}",
            started.api
        ));
    }
    let bucket = match &started.bucket {
        None => None,
        Some((endpoint, region, bucket)) => {
            let stage = StageArgs {
                bucket: Some(bucket.clone()),
                spaces_region: Some(region.clone()),
                spaces_endpoint: Some(endpoint.clone()),
                ..StageArgs::default()
            };
            // Without it, all is done that needs none.
            let bucket = world::bucket(&stage, &args.api, None, keys.cloned(), view);
            bucket.map_err(|usage| output::complain(&usage.0)).ok()
        }
    };
    let mut world = world::assemble(api, place, bucket, view);
    world.fresh_key = keys.is_some();
    if let Some(url) = &started.url {
        world.look.client = client(args, url).map_err(|usage| usage.0)?;
        // What the importer makes of the way there was judged before it was handed over.
        world.look.url_rules = false;
    }
    Ok(world)
}

/// What looks at a URL that was handed over. If that is plain http, the push was told to fetch it.
fn client(args: &SweepArgs, url: &str) -> Result<Option<source::Client>, Usage> {
    let net = NetArgs {
        header: Vec::new(),
        cacert: args.api.cacert.clone(),
        insecure_http: url.starts_with("http:"),
        reach: ReachArgs::default(),
        connections: 1,
        timeout: args.api.timeout,
        retries: args.api.retries,
        verbose: args.api.verbose,
        direct: false,
    };
    net::client_of_urls(&net, net.insecure_http, [OsStr::new(url)], None)
}

/// What is said of things that are too young.
fn young(args: &SweepArgs, sweep: &Sweep) -> Vec<String> {
    let things = match sweep.younger.len() {
        0 => return Vec::new(),
        1 => "1 thing of pushes is younger than".to_owned(),
        many => format!("{many} things of pushes are younger than"),
    };
    let older = age(args.older_than);
    let mut all = vec![format!("{things} {older}, and left:")];
    all.extend(sweep.younger.iter().map(|one| format!("  {}", Hostile::message(one))));
    let command = Command::sweep_remote().with(&Options::default().value("--older-than", "1s"));
    all.push(format!(
        "once no push to this bucket or account runs, on this machine or another, {command} sweeps what is older than a second"
    ));
    all
}

/// A time as the option has it.
fn age(time: Duration) -> String {
    match (time.as_millis(), time.as_secs()) {
        (millis, _) if millis % 1000 != 0 => format!("{millis} ms"),
        (_, secs) if secs % 3600 == 0 => format!("{} h", secs / 3600),
        (_, secs) if secs % 60 == 0 => format!("{} min", secs / 60),
        (_, secs) => format!("{secs} s"),
    }
}

/// What is said if nothing was found, with where it was looked.
fn nothing(args: &SweepArgs, sweep: &Sweep) -> String {
    let looked = sweep.looked.join(", ");
    if !args.remote {
        return format!("there is nothing to sweep: no journals in {looked}\n");
    }
    let found = if sweep.unlisted.is_empty() && sweep.younger.is_empty() {
        "there is nothing to sweep"
    } else {
        "nothing else is found to sweep"
    };
    let older = age(args.older_than);
    format!("{found} that is {older} old or older; looked through: {looked}\n")
}

fn lines(args: &SweepArgs, sweep: &Sweep) -> String {
    let mut out = String::new();
    if sweep.pushes.is_empty() {
        out += &nothing(args, sweep);
    }
    for one in &sweep.pushes {
        let state = match one.state {
            SweptState::Alive => "its run lives, and is left alone",
            SweptState::Planned => "to be done",
            SweptState::Ended => "done",
            SweptState::Left => "not done",
        };
        let source = one.source.as_ref().map_or(String::new(), |source| format!(" of {source}"));
        out += &format!("push {}{source}: {state}\n", one.push);
        match one.outcomes.as_slice() {
            [] => one.steps.iter().for_each(|step| out += &format!("  {step}\n")),
            outcomes => outcomes.iter().for_each(|outcome| {
                let done = if outcome.done { "done" } else { "not done" };
                out += &format!("  {done}: {}\n", outcome.step);
            }),
        }
        one.left.iter().for_each(|left| out += &format!("  left: {left}\n"));
        if let Some(journal) = &one.journal {
            out += &format!("  its journal: {journal}\n");
        }
    }
    young(args, sweep).iter().for_each(|line| out += &format!("{line}\n"));
    out
}

fn code(sweep: &Sweep) -> u8 {
    let left = sweep.pushes.iter().any(|one| one.state == SweptState::Left);
    match left || !sweep.unlisted.is_empty() || !sweep.younger.is_empty() {
        true => REFUSED,
        false => ACCEPTED,
    }
}
