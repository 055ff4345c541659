use std::ffi::OsStr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::CreateArgs;
use super::connect::Teller;
use super::naming::Naming;
use super::{Stop, connect, show, told, unfulfilled, warn_distribution, warn_region};
use crate::bytes::{Command, Hostile, Options};
use crate::cli::args::{Format, NetArgs};
use crate::cli::clock::Clock;
use crate::cli::progress::Progress;
use crate::cli::threads::threads;
use crate::cli::{ACCEPTED, IMPORT_FAILED, REFUSED, Usage, check, net, output};
use crate::digitalocean::wait::{self, WaitError};
use crate::digitalocean::{
    Client, CreateError, Created, Distribution, Error, Image, ImageNewCustom, Kind, PushId,
    Settling,
};
use crate::inspect::{self, Guest, Identity, Report, inspect};
use crate::net::Address;
use crate::push::within;
use crate::render::text;
use crate::source::is_url;

/// What came of a create, for its document.
#[derive(Default)]
struct Outcome {
    /// The mark, once something was posted.
    mark: Option<String>,
    /// The check, if it was made.
    report: Option<Report>,
    adopted: bool,
    others: Vec<u64>,
    image: Option<Image>,
    /// An image that was made by a refused create.
    stray: Option<Image>,
    /// A stable name of what went wrong, and the same for people.
    error: Option<(&'static str, String)>,
}

impl Outcome {
    /// Writes the image as text, or the document.
    fn write(&self, format: Format) -> Result<(), Usage> {
        let image = |image: &Option<Image>| image.as_ref().map(show::value).transpose();
        let error = self.error.as_ref();
        let document = json!({
            "schema": "tidegate.create/1",
            "mark": self.mark,
            "adopted": self.adopted,
            "others": self.others,
            "image": image(&self.image)?,
            "error": error.map_or(Value::Null, |(kind, said)| json!({"kind": kind, "message": said})),
            "stray": image(&self.stray)?,
            "report": self.report.as_ref().map(show::value).transpose()?,
        });
        let text = self.image.as_ref().map(show::image).unwrap_or_default();
        show::write(format, &text, &document)
    }
}

pub(super) fn run(
    args: &CreateArgs,
    teller: &Arc<Teller>,
    progress: &Arc<Progress>,
) -> Result<u8, Stop> {
    let mut image = request(args)?;
    let clock = Clock::new()?;
    // Before the check, which may take minutes.
    let client = connect::client(&args.api, teller)?;
    warn_region(&image.region, client.wait(client.regions().once()).ok().as_deref());
    let mut outcome = Outcome::default();
    let mut seen = None;
    if !args.unchecked {
        let options = options(args)?;
        let report = checked(args, &options, progress, clock);
        let code = check::exit_code(&report);
        if code != 0 {
            outcome.error = Some(match &report.error {
                Some(error) => ("unread", error.message.clone()),
                None => ("rejected", "the check does not accept the image".into()),
            });
            outcome.report = Some(report);
            outcome.write(args.api.format)?;
            return Ok(code);
        }
        let look = Look { url: args.url.clone(), options, checked: report.identity.clone() };
        let named = within::distribution(image.distribution.as_ref(), Some(&report));
        named.note.iter().filter(|_| !args.api.quiet).for_each(|note| output::log(note));
        named.warning.iter().for_each(|said| output::warn(said));
        image.distribution = named.distribution;
        if args.new.describe {
            let described = within::described(image.description.as_deref(), Some(&report));
            described.warning.iter().for_each(|said| output::warn(said));
            image.description = described.text;
        }
        outcome.report = Some(report);
        if let Err(why) = look.still_the_same(progress) {
            output::complain(&format!("{why}; nothing was created"));
            outcome.error = Some(("changed", why));
            outcome.write(args.api.format)?;
            return Ok(IMPORT_FAILED);
        }
        seen = Some(look);
    }
    let push = PushId::random();
    outcome.mark = Some(push.tag());
    if !args.api.quiet {
        // A run that is interrupted leaves its user with what the image can be found by.
        let mark = if args.new.no_mark_tag { push.note() } else { push.tag() };
        output::log(&format!("creating the image, marked {mark}"));
    }
    let how = Settling {
        push: push.clone(),
        tag: !args.new.no_mark_tag,
        settle: args.new.settle,
        post_again: args.retry_create,
        patience: args.patience.patience(),
    };
    teller.words.put(format!(
        "the outcome is unknown: the image may have been made, or may still appear; look with {} before you \
         create it again",
        look(args, &push)
    ));
    let created = client.wait(client.images().create_settled(&image, &how));
    teller.close();
    match &created {
        Ok(created) => {
            let id = created.image.id;
            let wait = Command::image("wait").number(id);
            let uncompared = if seen.is_some() { UNCOMPARED } else { "" };
            teller.words.put(format!(
                "image {id} was created, and its import goes on; {wait} waits for it{uncompared}"
            ));
        }
        // What is known is said below.
        Err(_) => teller.words.clear(),
    }
    match created {
        Ok(created) => {
            let same = || seen.as_ref().map_or(Ok(()), |look| look.still_the_same(progress));
            finish(args, &client, &push, created, outcome, (teller, &same))
        }
        Err(error) => {
            refused(args, error, &mut outcome);
            // What is known was said; a document that cannot be written is one more thing to say.
            told(outcome.write(args.api.format), "nothing more is known")?;
            Ok(REFUSED)
        }
    }
}

/// What another command does not do that waits for the image.
const UNCOMPARED: &str = ", and does not look whether the URL still leads to what was checked: an image that has to be \
     made of that is created anew";

/// What was checked, to be held against what the URL leads to later.
struct Look {
    url: String,
    options: inspect::Options,
    checked: Option<Identity>,
}

impl Look {
    /// Makes sure that the URL still leads to what was checked.
    ///
    /// # Errors
    /// Says what is different, or why nobody knows.
    fn still_the_same(&self, progress: &Progress) -> Result<(), String> {
        let now = inspect::identity(OsStr::new(&self.url), &self.options, progress);
        progress.close();
        let unknown = |why: &str| {
            Err(format!("nobody knows whether the URL leads to what was checked: {why}"))
        };
        match (&self.checked, now) {
            (Some(checked), Ok(now)) => match checked.difference(&now) {
                None => Ok(()),
                Some(why) => Err(format!(
                    "the URL leads to another object than the one that was checked: {why}"
                )),
            },
            (None, _) => unknown("the check did not see what identifies it"),
            (_, Err(error)) => {
                unknown(&Hostile::message(&inspect::Error::from(&error).message).to_string())
            }
        }
    }
}

/// Waits if that is wanted, and shows the image. `same` tells whether what was imported is what was checked.
fn finish(
    args: &CreateArgs,
    client: &Client,
    push: &PushId,
    created: Created,
    outcome: Outcome,
    (teller, same): (&Arc<Teller>, &dyn Fn() -> Result<(), String>),
) -> Result<u8, Stop> {
    for other in &created.others {
        output::complain(&format!(
            "there are two images with the same mark: {} and {other}",
            created.image.id
        ));
    }
    if created.posts > 1 && created.others.is_empty() {
        output::complain(&format!(
            "it was posted twice, so there may be another image with the same mark, which no list shows yet: look \
             with {}",
            look(args, push)
        ));
    }
    if let Some(because) = &created.adopted {
        output::complain(&format!(
            "the create was not answered ({because}), but image {} was made and is adopted",
            created.image.id
        ));
    }
    let (id, mut seen) = (created.image.id, None);
    let (image, error) = match args.wait {
        // An import may have failed before the create was answered.
        false if created.image.is_gone() => {
            let failed = WaitError::Failed(Box::new(created.image.clone()));
            (created.image, Some(failed))
        }
        false => (created.image, None),
        true => {
            let patience = args.patience.patience();
            let waited = client.wait(wait::image(client, id, Some(push), patience, &mut seen));
            teller.close();
            teller.words.clear();
            match waited {
                Ok(image) => (image, None),
                Err(error) => (seen.unwrap_or(created.image), Some(error)),
            }
        }
    };
    // Before the end of the import there is nothing to compare.
    let same = if args.wait && error.is_none() { same() } else { Ok(()) };
    let (said, code, kind) = match (&error, same) {
        (None, Ok(())) => (None, ACCEPTED, ""),
        (None, Err(why)) => {
            let id = image.id;
            let said = format!(
                "image {id} is available, and not known to be made of what was checked: {why}; \
                 {} removes it",
                Command::image("delete").number(id)
            );
            (Some(said), IMPORT_FAILED, "changed")
        }
        (Some(error), _) => {
            let (mut said, code) = unfulfilled(id, error);
            let may_be_made = !matches!(error, WaitError::Failed(_) | WaitError::NoSuch { .. });
            if may_be_made && !args.unchecked {
                said += "; it was not compared with what was checked";
            }
            let kind = if code == IMPORT_FAILED { "import-failed" } else { "import-wait" };
            (Some(said), code, kind)
        }
    };
    let outcome = Outcome {
        adopted: created.adopted.is_some(),
        others: created.others,
        image: Some(image),
        error: said.clone().map(|said| (kind, said)),
        ..outcome
    };
    let written = told(outcome.write(args.api.format), &format!("image {id} was created"));
    match said {
        Some(said) => {
            output::complain(&said);
            Ok(code)
        }
        None => {
            let login = within::login(outcome.report.as_ref()).filter(|_| !args.api.quiet);
            login.iter().for_each(|said| output::log(said));
            written.map(|()| code)
        }
    }
}

fn request(args: &CreateArgs) -> Result<ImageNewCustom, Usage> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if !is_url(OsStr::new(&args.url)) || args.url.contains(odd) {
        return Err(Usage(
            "an image is imported from an http or https URL; a push brings a file to one".into(),
        ));
    }
    Address::parse(&args.url).map_err(|why| Usage(format!("the URL: {why}")))?;
    args.new.without_marks()?;
    let naming = Naming::of(OsStr::new(&args.url), None);
    let distribution = args.new.distribution.as_deref().map(Distribution::from);
    distribution.iter().for_each(warn_distribution);
    Ok(ImageNewCustom {
        name: naming.name(&args.new)?,
        url: args.url.clone(),
        region: args.region.clone(),
        distribution,
        description: args.new.description.clone(),
        tags: args.new.tag.clone(),
    })
}

/// How the URL is checked.
fn options(args: &CreateArgs) -> Result<inspect::Options, Usage> {
    let insecure_http = args.insecure_http || args.no_url_rules;
    let net = NetArgs {
        header: Vec::new(),
        cacert: args.api.cacert.clone(),
        insecure_http,
        reach: args.reach.clone(),
        connections: 4,
        timeout: args.api.timeout,
        retries: args.api.retries,
        verbose: args.api.verbose,
        direct: false,
    };
    let url = OsStr::new(&args.url);
    Ok(inspect::Options {
        threads: threads()?,
        guest: Guest::Auto,
        url_rules: !args.no_url_rules,
        client: net::client_of_urls(&net, insecure_http, [url], None)?,
        ..inspect::Options::default()
    })
}

/// The check of the URL.
fn checked(
    args: &CreateArgs,
    options: &inspect::Options,
    progress: &Arc<Progress>,
    clock: Clock,
) -> Report {
    let date = clock.now();
    let mut report = inspect(OsStr::new(&args.url), options, &**progress);
    report.checked_at = Some(date);
    report.strict = args.strict;
    progress.close();
    let code = check::exit_code(&report);
    let style = crate::render::Style::default();
    // The result of this command is the image; the report is what was said on the way to it.
    let said = match code {
        ACCEPTED => text::line(&report, style),
        _ => text::render(&report, style),
    };
    output::log(said.trim_end());
    if code != ACCEPTED {
        output::complain("nothing was created");
    }
    report
}

/// How its user looks for an image that bears its mark in its description.
pub(in crate::cli) fn described(push: &PushId) -> String {
    // A table has no room for descriptions.
    let list = Command::image("list --private --format json");
    format!("{list} for one described as {}", push.note())
}

/// The same of one that has its mark as a tag too.
pub(in crate::cli) fn tagged(push: &PushId) -> String {
    let tag = Options::default().value("--tag", push.tag());
    Command::image("list").with(&tag).to_string()
}

/// How its user looks for an image with these marks.
fn look(args: &CreateArgs, push: &PushId) -> String {
    match args.new.no_mark_tag {
        true => described(push),
        false => tagged(push),
    }
}

/// Says what a user has to know of a create that failed.
fn refused(args: &CreateArgs, error: CreateError, outcome: &mut Outcome) {
    let said = error.to_string();
    let (error, unknown) = match error {
        CreateError::Refused(error) => (error, None),
        CreateError::Unknown { because, push, .. } => (*because, Some(push)),
    };
    let forbidden = match &error.kind {
        // Where the API names the scope, it is this one; otherwise it may be.
        Kind::Forbidden { missing: Some(scope), .. } => scope,
        Kind::Forbidden { needed: Some(_), .. } => "tag:create",
        _ => "",
    };
    if forbidden == "tag:create" && !args.new.no_mark_tag {
        output::complain(
            "the image is marked with a tag, which needs the scope tag:create; --no-mark-tag does without",
        );
    }
    if let Error { kind: Kind::Invalid { stray: Some(stray) }, .. } = &error {
        output::complain(&format!(
            "DigitalOcean refused, and made an image all the same: {} \"{}\"; {} removes it",
            stray.id,
            Hostile::from(stray.name.as_str()),
            Command::image("delete").number(stray.id)
        ));
        outcome.stray = Some((**stray).clone());
    }
    match unknown {
        None => {
            output::complain(&format!("DigitalOcean: {said}"));
            outcome.error = Some(("api", said));
        }
        Some(push) => {
            output::complain(&said);
            let how = look(args, &push);
            output::complain(&format!(
                "it may still appear: look with {how} before you create it again"
            ));
            outcome.error = Some(("unknown-outcome", said));
        }
    }
}
