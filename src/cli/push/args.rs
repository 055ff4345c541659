use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::{GuestArg, ReachArgs};
use crate::cli::image::args::{ApiArgs, NewArgs, PatienceArgs};

/// `tidegate push`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PushArgs {
    /// Image file or URL; `-` is standard input, and s3://BUCKET/KEY an object that the key of the bucket opens. The
    /// name of an image of tidegate.toml; may be left out if there is only one.
    #[arg(value_name = "IMAGE")]
    pub(super) named: Option<OsString>,

    /// What is pushed, by what was named and by the project.
    #[arg(skip)]
    pub(super) image: OsString,

    /// Push what a build of Packer made, by the manifest that its post-processor `manifest` wrote: the build of
    /// PACKER_RUN_UUID and PACKER_BUILD_NAME, or the last one. Progress goes to standard output, unless a document
    /// does.
    #[arg(long, value_name = "FILE", conflicts_with = "named")]
    pub(super) packer_manifest: Option<PathBuf>,

    /// The build of that manifest.
    #[arg(skip)]
    pub(super) build: Option<String>,

    /// The region that it is imported to, such as fra1. A rehearsal does without.
    #[arg(long, value_name = "SLUG")]
    pub(super) region: Option<String>,

    /// Other regions that it is copied to when it is available.
    #[arg(long, value_name = "SLUG,…", value_delimiter = ',')]
    pub(super) transfer: Vec<String>,

    #[command(flatten)]
    pub(super) new: NewArgs,

    /// Make a snapshot of the image when it is available.
    #[arg(long)]
    pub(super) convert: bool,

    /// Do all of it against a simulator on this machine: no account, no credentials, nothing leaves it.
    #[cfg(feature = "simulator")]
    #[arg(long, conflicts_with_all = ["dry_run", "mint_key"])]
    pub(super) rehearse: bool,

    /// Go on with the upload of the same file by an earlier run that was killed, or with the object of one that had
    /// --keep-object, if the API took no calls for its image. The file is read and checked again; parts that have
    /// arrived are not sent again. --part-size and --keep-object are those of
    /// that run, and must not be said otherwise.
    #[arg(long)]
    pub(super) resume: bool,

    /// Say what would be done, and do nothing but open the file, and look whether journal and --output-image-id could be
    /// written. Token and key have to be there, as for the push.
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Write the image's number to this file when it is available. A push that fails leaves the file as it is.
    #[arg(long, value_name = "FILE")]
    pub(super) output_image_id: Option<PathBuf>,

    #[command(flatten)]
    pub(super) check: CheckArgs,

    #[command(flatten)]
    pub(super) stage: StageArgs,

    /// Keep the journal here; otherwise in XDG_STATE_HOME/tidegate, or ~/.local/state/tidegate.
    #[arg(long, value_name = "DIR", help_heading = "Journal")]
    pub(super) state: Option<PathBuf>,

    #[command(flatten)]
    pub(super) patience: PatienceArgs,

    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// How the image is checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Check")]
pub(super) struct CheckArgs {
    /// Refuse an image with warnings too.
    #[arg(long)]
    pub(super) strict: bool,

    /// Start the image in QEMU before anything is uploaded, as `boot` does: it has to come up, and its owner be let in. What
    /// is pushed then has to be the same bytes.
    #[arg(long)]
    pub(super) boot: bool,

    /// The SHA-256 that the file has to have.
    #[arg(long, value_name = "HEX")]
    pub(super) sha256: Option<String>,

    /// Size that image and disk have to stay under, such as 20GiB [default: 100GB].
    #[arg(long, value_name = "SIZE")]
    pub(super) max_size: Option<String>,

    /// Treat a finding as a reject (may be repeated).
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(super) reject: Vec<String>,

    /// Treat a finding as a warning.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(super) warn: Vec<String>,

    /// Treat a finding as a note.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(super) allow: Vec<String>,

    /// Write a compressed or piped image to an unlinked temporary file (in TMPDIR) as it comes by, so
    /// that tidegate can go back to structures that lie behind what it has read.
    #[arg(long)]
    pub(super) spool: bool,

    /// Whether to examine what is inside the disk: whether a Droplet boots, gets a network and lets its owner in. `require`
    /// refuses what cannot be examined [default: auto].
    #[arg(long, value_name = "WHEN")]
    pub(super) guest: Option<GuestArg>,

    /// Do not ask whether DigitalOcean could fetch the URL; for simulators on this machine. Allows http.
    #[arg(long)]
    pub(super) no_url_rules: bool,

    /// Fetch an http URL, which anybody on the way can change.
    #[arg(long)]
    pub(super) insecure_http: bool,

    /// Send a header to the host of the URL, and to no other; @FILE reads headers from a file.
    #[arg(long, value_name = "HEADER")]
    pub(super) header: Vec<String>,

    #[command(flatten)]
    pub(super) reach: ReachArgs,
}

/// Whether a file may be packed otherwise on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Repack {
    /// Take it out of xz, Zstandard, tar or a second packing, and pack raw images as gzip.
    #[default]
    Auto,
    /// It goes as it is, or not at all.
    Never,
    /// Pack everything as gzip that is not packed, containers too.
    Always,
}

/// How the image is staged.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Staging")]
pub(super) struct StageArgs {
    /// The bucket; otherwise SPACES_BUCKET.
    #[arg(long, value_name = "NAME")]
    pub(super) bucket: Option<String>,

    /// The region of Spaces that it is in; otherwise SPACES_REGION, or that of the image.
    #[arg(long, value_name = "SLUG")]
    pub(super) spaces_region: Option<String>,

    /// Another server that speaks S3; otherwise SPACES_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    pub(super) spaces_endpoint: Option<String>,

    /// Whether the file may be packed otherwise on the way.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) repack: Repack,

    /// Stage a URL too, instead of handing it over.
    #[arg(long)]
    pub(super) stage: bool,

    /// Keep the object, private, after an import that succeeds.
    #[arg(long)]
    pub(super) keep_object: bool,

    /// Read the whole object again before it is made public: other bytes than were sent end the push. It is fetched
    /// once more for that. A URL that is handed over has no object.
    #[arg(long)]
    pub(super) read_back: bool,

    /// Make a key for the bucket by DigitalOcean's API, and delete it at the end. It has full access to
    /// all buckets for that time.
    #[arg(long)]
    pub(super) mint_key: bool,

    /// Parts that are uploaded at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub(super) uploads: u8,

    /// Size of the parts, from 5MiB; otherwise 8 MiB, or as much more as it takes for 10,000 of them.
    #[arg(long, value_name = "SIZE")]
    pub(super) part_size: Option<String>,

    /// Bytes a second that are uploaded at most, such as 10MB.
    #[arg(long, value_name = "SIZE")]
    pub(super) max_rate: Option<String>,
}
