//! `tidegate image`: the commands of the images API.

pub(super) mod args;
pub(super) mod connect;
pub(super) mod create;
pub(super) mod naming;
pub(super) mod show;
mod transfer;

use std::io::{IsTerminal, Write, stderr, stdin};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use self::args::{
    ActionsArgs, ConvertArgs, DeleteArgs, GetArgs, ImageArgs, ImageCommand, ListArgs, UpdateArgs,
    WaitCommand,
};
use self::connect::Teller;
use super::progress::Progress;
use super::{ACCEPTED, IMPORT_FAILED, INTERRUPTED, REFUSED, Usage, output, signals};
use crate::bytes::{Command, Given, Hostile};
use crate::digitalocean::wait::{self, WaitError};
use crate::digitalocean::{
    Deleted, Distribution, Error, Filter, Image, ImageKey, ImageUpdate, QueryType, Region,
    RegionSlug, nearest, unknown_start,
};

/// Why a command ends before its result.
enum Stop {
    /// It was called in a wrong way.
    Usage(Usage),
    /// DigitalOcean refused or failed.
    Api(Error),
    /// The same, of this image.
    Image(ImageKey, Box<Error>),
    /// Waiting for this image brought nothing.
    Wait(u64, Box<WaitError>),
    /// All is said.
    Code(u8),
}

impl From<Usage> for Stop {
    fn from(usage: Usage) -> Self {
        Stop::Usage(usage)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Api(error)
    }
}

pub(super) fn run(args: &ImageArgs) -> Result<u8, Usage> {
    let api = match &args.command {
        ImageCommand::Create(args) => &args.api,
        ImageCommand::List(args) => &args.api,
        ImageCommand::Get(args) => &args.api,
        ImageCommand::Wait(args) => &args.api,
        ImageCommand::Update(args) => &args.api,
        ImageCommand::Delete(args) => &args.api,
        ImageCommand::Convert(args) => &args.api,
        ImageCommand::Transfer(args) => &args.api,
        ImageCommand::Actions(args) => &args.api,
    };
    Given { api: api.given(), ..Given::default() }.tell();
    let (teller, progress) = (Teller::new(api.quiet), Progress::new(api.quiet));
    let (told, checked) = (Arc::clone(&teller), Arc::clone(&progress));
    signals::watch_with(move || {
        checked.close();
        told.close();
        told.words.take()
    });
    let result = match &args.command {
        ImageCommand::Create(args) => create::run(args, &teller, &progress),
        ImageCommand::List(args) => list(args, &teller),
        ImageCommand::Get(args) => get(args, &teller),
        ImageCommand::Wait(args) => wait(args, &teller),
        ImageCommand::Update(args) => update(args, &teller),
        ImageCommand::Delete(args) => delete(args, &teller),
        ImageCommand::Convert(args) => convert(args, &teller),
        ImageCommand::Transfer(args) => transfer::run(args, &teller),
        ImageCommand::Actions(args) => actions(args, &teller),
    };
    teller.close();
    match result {
        Ok(code) | Err(Stop::Code(code)) => Ok(code),
        Err(Stop::Usage(usage)) => Err(usage),
        Err(Stop::Api(error)) => {
            output::complain(&format!("DigitalOcean: {error}"));
            Ok(REFUSED)
        }
        Err(Stop::Image(image, error)) => {
            output::complain(&format!("DigitalOcean: image {image}: {error}"));
            Ok(REFUSED)
        }
        Err(Stop::Wait(id, error)) => {
            let (said, code) = unfulfilled(id, &error);
            output::complain(&said);
            Ok(code)
        }
    }
}

/// What DigitalOcean says of an image, which it does not name.
fn of(image: u64) -> impl FnOnce(Error) -> Stop {
    move |error| Stop::Image(ImageKey::Id(image), Box::new(error))
}

/// A result that cannot be written is no wrong usage where something was done: it is said on standard error.
fn told(written: Result<(), Usage>, done: &str) -> Result<(), Stop> {
    written.map_err(|Usage(why)| {
        output::complain(&format!("{why}; {done}"));
        Stop::Code(REFUSED)
    })
}

/// Why waiting brought nothing, and the exit code.
fn unfulfilled(id: u64, error: &WaitError) -> (String, u8) {
    if let WaitError::Failed(image) = error {
        let why = match image.failure() {
            Some(why) => Hostile::message(why).to_string(),
            None => "DigitalOcean does not say why".into(),
        };
        let status = image.status.as_ref().map_or("(none)", |status| status.as_str());
        let status = Hostile::from(status);
        return (format!("the import of image {id} failed ({status}): {why}"), IMPORT_FAILED);
    }
    match error {
        // It names the image itself.
        WaitError::NoSuch { .. } => (error.to_string(), REFUSED),
        _ => (format!("image {id}: {error}"), REFUSED),
    }
}

/// Says that a region is not known: to the API, or where it cannot be asked, to its description. The API decides.
pub(super) fn warn_region(region: &RegionSlug, known: Option<&[Region]>) {
    let names: Vec<&str> = match known {
        Some(regions) => regions.iter().map(|known| known.slug.as_str()).collect(),
        None => RegionSlug::KNOWN.to_vec(),
    };
    warn_name("region", region.as_str(), names.contains(&region.as_str()), &names);
}

/// Says that a distribution is not known; the API stores another.
pub(super) fn warn_distribution(name: &Distribution) {
    warn_name("distribution", name.as_str(), name.is_known(), Distribution::KNOWN);
}

fn warn_name(what: &str, given: &str, known: bool, names: &[&str]) {
    if known {
        return;
    }
    let hint = match nearest(given, names.iter().copied()) {
        Some(name) => format!("; did you mean \"{}\"?", Hostile::from(name)),
        None => format!("; known are {}", Hostile::message(&names.join(", "))),
    };
    let given = Hostile::from(given);
    output::warn(&format!("warning: \"{given}\" is no known {what}{hint}"));
}

/// Shows one image.
fn shown(image: &Image, format: super::args::Format) -> Result<u8, Usage> {
    let document = json!({"schema": "tidegate.image/1", "image": show::value(image)?});
    show::write(format, &show::image(image), &document)?;
    Ok(ACCEPTED)
}

fn list(args: &ListArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let kind = args.kind.as_deref().map(QueryType::from);
    if let Some(kind) = kind.as_ref().filter(|kind| !kind.is_known()) {
        warn_name("type", kind.as_str(), false, QueryType::KNOWN);
    }
    let filter = Filter { private: args.private, kind, tag: args.tag.clone() };
    let client = connect::client(&args.api, teller)?;
    let images = client.wait(client.images().list(&filter).all())?;
    let document = json!({"schema": "tidegate.images/1", "images": show::value(&images)?});
    show::write(args.api.format, &show::images(&images), &document)?;
    Ok(ACCEPTED)
}

fn get(args: &GetArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let key = ImageKey::parse(&args.image).map_err(|why| Usage(why.into()))?;
    let client = connect::client(&args.api, teller)?;
    let image =
        client.wait(client.images().get(&key)).map_err(|e| Stop::Image(key, Box::new(e)))?;
    Ok(shown(&image, args.api.format)?)
}

fn wait(args: &WaitCommand, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let client = connect::client(&args.api, teller)?;
    let waited =
        client.wait(wait::image(&client, args.image, None, args.patience.patience(), &mut None));
    teller.close();
    match waited {
        Ok(image) => Ok(shown(&image, args.api.format)?),
        Err(error) => Err(Stop::Wait(args.image, Box::new(error))),
    }
}

fn update(args: &UpdateArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let distribution = args.distribution.as_deref().map(Distribution::from);
    distribution.iter().for_each(warn_distribution);
    let update = ImageUpdate {
        name: args.name.clone(),
        distribution,
        description: args.description.clone(),
    };
    let client = connect::client(&args.api, teller)?;
    let image = client.wait(client.images().update(args.image, &update)).map_err(of(args.image))?;
    let written = shown(&image, args.api.format).map(drop);
    told(written, &format!("image {} was changed", args.image))?;
    Ok(ACCEPTED)
}

fn delete(args: &DeleteArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    if !args.yes && !stdin().is_terminal() {
        return Err(Usage(
            "standard input is no terminal, so tidegate cannot ask; --yes deletes without asking"
                .into(),
        )
        .into());
    }
    let client = connect::client(&args.api, teller)?;
    if !args.yes {
        let image = client.wait(client.images().get(&ImageKey::Id(args.image)));
        let image = image.map_err(of(args.image))?;
        let name = Hostile::from(image.name.as_str());
        teller.close();
        // Nothing can be done if nobody reads it: then nobody answers either.
        let _ = write!(stderr(), "Delete image {} \"{name}\" for good? [y/N] ", image.id);
        let mut answer = String::new();
        let _ = stdin().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            output::complain("nothing was deleted");
            return Ok(INTERRUPTED);
        }
    }
    let look = format!(
        "{} tells whether image {} is still there",
        Command::image("get").number(args.image),
        args.image
    );
    teller.words.put(format!("the outcome is unknown; {look}"));
    let deleted = client.wait(client.images().delete_settled(args.image));
    teller.close();
    teller.words.clear();
    match deleted {
        Ok(Deleted::Answered) => {}
        Ok(Deleted::Found(because)) => output::complain(&format!(
            "the deletion was not answered ({because}), but image {} is gone",
            args.image
        )),
        Err(error) => {
            if error.is_ambiguous() {
                output::complain(&format!("the outcome is unknown; {look}"));
            }
            return Err(of(args.image)(error));
        }
    }
    let document = json!({"schema": "tidegate.deleted/1", "image": args.image});
    let written =
        show::write(args.api.format, &format!("deleted image {}\n", args.image), &document);
    told(written, &format!("image {} was deleted", args.image))?;
    Ok(ACCEPTED)
}

/// What is left to whoever interrupts an action.
fn actions_tell(image: u64) -> String {
    format!("what was begun goes on; {} shows it", Command::image("actions").number(image))
}

fn convert(args: &ConvertArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let client = connect::client(&args.api, teller)?;
    teller.words.put(actions_tell(args.image));
    let began = Instant::now();
    let patience = args.wait.then(|| args.patience.patience());
    let starter = patience.map_or_else(|| client.clone(), |patience| patience.bound(&client));
    let started = client.wait(starter.images().actions(args.image).convert());
    let started = started.inspect_err(|error| {
        teller.close();
        if error.is_ambiguous() {
            output::complain(&unknown_start(args.image));
        }
    });
    let mut action = started.map_err(of(args.image))?;
    if let Some(patience) = patience {
        let waiting = wait::action(&client, args.image, action, None, patience.since(began));
        action = client.wait(waiting).map_err(|error| Stop::Wait(args.image, Box::new(error)))?;
    }
    teller.close();
    let document = json!({"schema": "tidegate.actions/1", "actions": [show::value(&action)?]});
    let mut done = format!("the conversion of image {} was begun", args.image);
    if let Some(id) = action.id {
        done += &format!(" as action {id}");
    }
    told(show::write(args.api.format, &show::actions(&[action]), &document), &done)?;
    Ok(ACCEPTED)
}

fn actions(args: &ActionsArgs, teller: &Arc<Teller>) -> Result<u8, Stop> {
    let client = connect::client(&args.api, teller)?;
    let actions = client.images().actions(args.image);
    let actions = match args.action {
        Some(id) => client.wait(actions.get(id)).map(|action| vec![action]),
        None => client.wait(actions.list().all()),
    };
    let actions = actions.map_err(of(args.image))?;
    let document = json!({"schema": "tidegate.actions/1", "actions": show::value(&actions)?});
    show::write(args.api.format, &show::actions(&actions), &document)?;
    Ok(ACCEPTED)
}
