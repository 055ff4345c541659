use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::bytes::Options;
use crate::cli::Usage;
use crate::cli::args::time;
use crate::cli::args::{Format, ReachArgs};
use crate::digitalocean::wait::Patience;
use crate::digitalocean::{PushId, RegionSlug};

/// `tidegate image`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImageArgs {
    #[command(subcommand)]
    pub(super) command: ImageCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Check the image behind a URL, and have DigitalOcean import it if it passes.
    ///
    /// Nothing is posted twice: after an answer that says neither yes nor no, the image is looked for by a
    /// tag and a mark in its description, and adopted if it is found.
    ///
    /// Exit codes: 0 created (with --wait: available), 1 the check rejects it, 2 wrong usage, 3 the URL could
    /// not be read, 4 DigitalOcean refused, failed or left the outcome unknown, or the result could not be
    /// written, 5 the import failed.
    Create(CreateArgs),
    /// List images. Those whose import failed are in no list; `get` still finds them.
    List(ListArgs),
    /// Show an image.
    Get(GetArgs),
    /// Wait until an image is available. Exit code 5 says that its import failed, 4 that there is no such image
    /// or that the time is over.
    Wait(WaitCommand),
    /// Change name, distribution or description of an image.
    Update(UpdateArgs),
    /// Delete an image.
    ///
    /// If the answer is lost, tidegate looks for the image, and deletes it again if it is still there.
    ///
    /// Exit codes: 0 deleted, 4 DigitalOcean refused, failed or left the outcome unknown, or the result could not
    /// be written, 130 interrupted, or the question was not answered with yes.
    Delete(DeleteArgs),
    /// Make a snapshot of an image, such as a backup.
    Convert(ConvertArgs),
    /// Copy an image to other regions, all at once. It cannot be removed from one again.
    Transfer(TransferArgs),
    /// Show what was done to an image.
    Actions(ActionsArgs),
}

/// How the API is reached, and how answers are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "API")]
pub(in crate::cli) struct ApiArgs {
    /// Read the token from a file. Otherwise it is DIGITALOCEAN_TOKEN, DIGITALOCEAN_ACCESS_TOKEN, or that of
    /// doctl.
    #[arg(long, value_name = "FILE", conflicts_with = "context")]
    pub(in crate::cli) token_file: Option<PathBuf>,

    /// Use the token of a context of doctl.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) context: Option<String>,

    /// Trust the certificate authorities in a PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) cacert: Option<PathBuf>,

    /// Seconds that a server may be silent. An answer of the API or a bucket has to be whole after twice as many.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(in crate::cli) timeout: u32,

    /// How often in a row a request that changes nothing is made again.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub(in crate::cli) retries: u8,

    /// How to show the result.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(in crate::cli) format: Format,

    /// No progress.
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,

    /// Say on standard error what is requested and what is answered.
    #[arg(short, long)]
    pub(in crate::cli) verbose: bool,
}

impl ApiArgs {
    /// What the next command needs to reach the same API as the same user.
    pub(in crate::cli) fn given(&self) -> Options {
        let mut given = Options::default();
        if let Some(file) = &self.token_file {
            given = given.file("--token-file", file);
        }
        if let Some(context) = &self.context {
            given = given.value("--context", context);
        }
        match &self.cacert {
            Some(file) => given.file("--cacert", file),
            None => given,
        }
    }
}

/// How long something is waited for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(in crate::cli) struct PatienceArgs {
    /// For how long, such as 90s, 60m or 2h.
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = time)]
    pub(in crate::cli) wait_timeout: Duration,

    /// The first pause between two looks; it grows to ten times as much.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = time)]
    pub(in crate::cli) interval: Duration,
}

impl PatienceArgs {
    pub(in crate::cli) fn patience(&self) -> Patience {
        Patience {
            first: self.interval,
            longest: self.interval.saturating_mul(10),
            most: self.wait_timeout,
            ..Patience::default()
        }
    }
}

/// What an image is to be, and how it is found again.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// The image's name; otherwise that of the file. {stem} stands for the file's name without its endings, {file} for
    /// all of it, {date} and {time} for now, in UTC, and {build} for Packer's build; {{ and }} are braces.
    #[arg(long, value_name = "TEXT", value_parser = line)]
    pub(in crate::cli) name: Option<String>,

    /// Its distribution, such as Debian.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) distribution: Option<String>,

    /// What is written about it.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) description: Option<String>,

    /// Write system and kernel of the image into its description, behind --description if that is given.
    #[arg(long)]
    pub(in crate::cli) describe: bool,

    /// Tags; they need the scope tag:create.
    #[arg(long, value_name = "TAG", value_delimiter = ',', value_parser = tag)]
    pub(in crate::cli) tag: Vec<String>,

    /// Mark the image in its description only, for tokens without the scope tag:create.
    #[arg(long)]
    pub(in crate::cli) no_mark_tag: bool,

    /// For how long the image is looked for after an answer that says neither yes nor no.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time, help_heading = "Waiting")]
    pub(in crate::cli) settle: Duration,
}

impl NewArgs {
    /// Makes sure that the image bears no mark of another push: a sweep would take it for that one's.
    ///
    /// # Errors
    /// If a description or a tag has one.
    pub(in crate::cli) fn without_marks(&self) -> Result<(), Usage> {
        let Some(mark) = PushId::foreign_mark(self.description.as_deref(), &self.tag) else {
            return Ok(());
        };
        Err(Usage(format!(
            "{mark} is the mark of another push, whose sweep could delete this image; take it out of --description \
             or --tag"
        )))
    }
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Where DigitalOcean fetches the image.
    #[arg(value_name = "URL")]
    pub(super) url: String,

    /// The region that it is imported to, such as fra1; `transfer` copies it to others.
    #[arg(long, value_name = "SLUG", value_parser = one_region)]
    pub(super) region: RegionSlug,

    #[command(flatten)]
    pub(super) new: NewArgs,

    /// Do not check the image first.
    #[arg(long, conflicts_with = "describe")]
    pub(super) unchecked: bool,

    /// Refuse an image with warnings too.
    #[arg(long, conflicts_with = "unchecked")]
    pub(super) strict: bool,

    /// Do not ask whether DigitalOcean could fetch the URL; for simulators on this machine. Allows http. Without
    /// the check nothing is asked anyway.
    #[arg(long)]
    pub(super) no_url_rules: bool,

    /// Fetch an http URL for the check, which anybody on the way can change.
    #[arg(long, conflicts_with = "unchecked")]
    pub(super) insecure_http: bool,

    #[command(flatten)]
    pub(super) reach: ReachArgs,

    /// If it is not found, say so and post again. There may be two images then.
    #[arg(long)]
    pub(super) retry_create: bool,

    /// Wait until the image is available, and make sure that the URL still leads to what was checked.
    #[arg(long)]
    pub(super) wait: bool,

    #[command(flatten)]
    pub(super) patience: PatienceArgs,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this account.
    #[arg(long)]
    pub(super) private: bool,

    /// Only of this kind: application or distribution.
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Option<String>,

    /// Only those with this tag.
    #[arg(long, value_name = "TAG", value_parser = line)]
    pub(super) tag: Option<String>,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// Its number; of a public image also its slug.
    #[arg(value_name = "ID")]
    pub(super) image: String,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct WaitCommand {
    /// Its number.
    #[arg(value_name = "ID")]
    pub(super) image: u64,

    #[command(flatten)]
    pub(super) patience: PatienceArgs,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["name", "distribution", "description"]))]
pub(super) struct UpdateArgs {
    /// Its number.
    #[arg(value_name = "ID")]
    pub(super) image: u64,

    /// Another name.
    #[arg(long, value_name = "TEXT")]
    pub(super) name: Option<String>,

    /// Another distribution.
    #[arg(long, value_name = "NAME")]
    pub(super) distribution: Option<String>,

    /// Another description.
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Its number.
    #[arg(value_name = "ID")]
    pub(super) image: u64,

    /// Do not ask.
    #[arg(short, long)]
    pub(super) yes: bool,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// Its number.
    #[arg(value_name = "ID")]
    pub(super) image: u64,

    /// Wait until it is done; the time counts from the call that begins it.
    #[arg(long)]
    pub(super) wait: bool,

    #[command(flatten)]
    pub(super) patience: PatienceArgs,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct TransferArgs {
    /// Its number.
    #[arg(value_name = "ID")]
    pub(super) image: u64,

    /// Where to. Regions where it is already are left out.
    #[arg(long, value_name = "SLUG,…", value_delimiter = ',', required = true)]
    pub(super) region: Vec<String>,

    /// Wait until it is everywhere; the time counts from the first call.
    #[arg(long)]
    pub(super) wait: bool,

    #[command(flatten)]
    pub(super) patience: PatienceArgs,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(super) struct ActionsArgs {
    /// Its number.
    #[arg(value_name = "ID")]
    pub(super) image: u64,

    /// One action only.
    #[arg(value_name = "ACTION")]
    pub(super) action: Option<u64>,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// The longest tag, in characters (DigitalOcean API, "Tags").
const LONGEST_TAG: usize = 255;

/// A tag: letters, digits, colons, dashes and underscores (DigitalOcean API, "Tags").
pub(in crate::cli) fn tag(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_');
    if text.is_empty() {
        return Err("a tag has a name");
    }
    match text.len() <= LONGEST_TAG && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("a tag has 255 letters, digits, colons, dashes and underscores at most"),
    }
}

/// The name of an image, or what is written about it: one line that shows something.
pub(in crate::cli) fn line(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("there is nothing in it");
    }
    match text.chars().any(char::is_control) {
        true => Err("it has a line break or another control character"),
        false => Ok(text.to_owned()),
    }
}

/// The region of a create.
pub(in crate::cli) fn one_region(text: &str) -> Result<RegionSlug, &'static str> {
    let slug = text.trim();
    match slug.is_empty() || slug.contains(',') {
        true => Err("an image is created in one region; a transfer copies it to others"),
        false => Ok(RegionSlug::from(slug)),
    }
}
