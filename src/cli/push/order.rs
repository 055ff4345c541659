//! The order that the arguments make.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::args::{self, PushArgs, StageArgs};
use super::view::View;
use super::world;
use crate::bytes::{Hostile, human_size};
use crate::cli::args::{GuestArg, NetArgs};
use crate::cli::check::size;
use crate::cli::image::args::one_region;
use crate::cli::image::naming::{Naming, S3};
use crate::cli::image::warn_distribution;
use crate::cli::threads::threads;
use crate::cli::{Usage, checksums, net};
use crate::digitalocean::{Distribution, RegionSlug};
use crate::inspect::{self, Digested, Expected, Guest};
use crate::push::{Event, NewImage, Order, Repack, Route, fingerprint, stem};
use crate::rules::{Policy, SIZE_LIMIT, Severity};
use crate::source::{self, is_url, shown};
use crate::spaces::Key;
use crate::spaces::limits::{
    LARGEST_OBJECT, LARGEST_PART, LONGEST_PRESIGNED, MOST_PARTS, SMALLEST_PART, holds,
};

/// Where a rehearsal has its image.
const REHEARSED_REGION: &str = "nyc3";

pub(super) fn order(args: &PushArgs, view: &Arc<View>) -> Result<Order, Usage> {
    args.new.without_marks()?;
    let object = object(args, view)?;
    let why = match object {
        Some(_) => None,
        None => why_staged(args)?,
    };
    let staged = object.is_some()
        || !is_url(&args.image)
        || args.stage.stage
        || is_rehearsal(args)
        || why.is_some();
    let source = match &object {
        Some(object) => object.url.clone().into(),
        None => args.image.clone(),
    };
    let naming = Naming::of(&args.image, args.build.as_deref());
    let (shown, whole) = described(&args.image);
    let region = args.region.as_deref().unwrap_or(REHEARSED_REGION);
    let region = one_region(region).map_err(|why| Usage(format!("--region: {why}")))?;
    let distribution = args.new.distribution.as_deref().map(Distribution::from);
    distribution.iter().for_each(warn_distribution);
    let mut transfer: Vec<RegionSlug> = Vec::new();
    for slug in args.transfer.iter().map(|slug| RegionSlug::from(slug.trim())) {
        if slug != region && !transfer.contains(&slug) {
            transfer.push(slug);
        }
    }
    let part_size = args.stage.part_size.as_deref().map(part_size).transpose()?;
    if staged {
        fits(&source, part_size)?;
    }
    let route = match staged {
        true => Route::Staged {
            stem: stem(naming.file().unwrap_or_default()),
            at_once: usize::from(args.stage.uploads),
            part_size,
            keep_object: args.stage.keep_object,
            read_back: args.stage.read_back,
            repack: match args.stage.repack {
                args::Repack::Auto => Repack::Auto,
                args::Repack::Never => Repack::Never,
                args::Repack::Always => Repack::Always,
            },
        },
        false => Route::Url(args.image.to_string_lossy().into_owned()),
    };
    let check = check(args, &source, object.is_some_and(|object| object.plain), !staged)?;
    if let Some(why) = &why {
        view.event(&Event::Note(&format!("the image goes through the bucket: {why}")));
    }
    if !staged && args.stage.read_back {
        let why =
            "the URL is handed over, so --read-back finds no object to read; --stage makes one";
        view.event(&Event::Note(why));
    }
    Ok(Order {
        check,
        source,
        shown,
        fingerprint: fingerprint(&whole),
        resume: args.resume,
        strict: args.check.strict,
        route,
        image: NewImage {
            name: naming.name(&args.new)?,
            region,
            distribution,
            description: args.new.description.clone(),
            describe: args.new.describe,
            tags: args.new.tag.clone(),
        },
        tag: !args.new.no_mark_tag,
        transfer,
        convert: args.convert,
        settle: args.new.settle,
        patience: args.patience.patience(),
    })
}

pub(super) fn is_rehearsal(args: &PushArgs) -> bool {
    #[cfg(feature = "simulator")]
    return args.rehearse;
    #[cfg(not(feature = "simulator"))]
    {
        let _ = args;
        false
    }
}

/// The finding that an object behind a URL cannot be told from another one.
const UNPINNED: &str = "url-unpinned";

/// How the image is checked. What is staged need not be fit for the importer where it is now.
fn check(
    args: &PushArgs,
    source: &OsStr,
    plain: bool,
    handed_over: bool,
) -> Result<inspect::Options, Usage> {
    let check = &args.check;
    let mut policy = Policy::default();
    if handed_over {
        // Nobody could tell whether the importer gets what was checked.
        policy.set(UNPINNED, Severity::Reject).map_err(|e| Usage(e.to_string()))?;
    }
    for (codes, severity) in [
        (&check.allow, Severity::Note),
        (&check.warn, Severity::Warn),
        (&check.reject, Severity::Reject),
    ] {
        for code in codes {
            policy.set(code, severity).map_err(|e| Usage(e.to_string()))?;
        }
    }
    let guest = GuestArg::option(check.guest);
    if guest == Guest::Require {
        policy.require_guest();
    }
    let expected = match &check.sha256 {
        None => Vec::new(),
        Some(hex) => {
            let sha256 = checksums::sha256(hex)
                .ok_or_else(|| Usage("--sha256 takes 64 hexadecimal digits".into()))?;
            vec![Expected { of: Digested::File, sha256, origin: "--sha256".into() }]
        }
    };
    let insecure_http = plain || check.insecure_http || check.no_url_rules;
    let net = NetArgs {
        header: check.header.clone(),
        cacert: args.api.cacert.clone(),
        insecure_http,
        reach: check.reach.clone(),
        connections: 4,
        timeout: args.api.timeout,
        retries: args.api.retries,
        verbose: args.api.verbose,
        direct: is_rehearsal(args),
    };
    Ok(inspect::Options {
        spool: check.spool,
        guest,
        expected,
        policy,
        limit: check.max_size.as_deref().map_or(Ok(SIZE_LIMIT), size)?,
        threads: threads()?,
        url_rules: handed_over && !check.no_url_rules,
        client: net::client(&net, insecure_http, [source], None)?,
        ..inspect::Options::default()
    })
}

/// An object that is fetched with the key of the bucket.
struct Object {
    /// Where it is for whoever has this URL, which is a secret.
    url: String,
    /// Whether that is plain http on this machine.
    plain: bool,
}

/// The object that `s3://bucket/key` means: it is where the bucket is, and the key of the bucket opens it.
fn object(args: &PushArgs, view: &Arc<View>) -> Result<Option<Object>, Usage> {
    let Some(rest) = args.image.to_str().and_then(|image| image.strip_prefix(S3)) else {
        return Ok(None);
    };
    if is_rehearsal(args) {
        let why = "a rehearsal uses no credentials, so it cannot fetch from a bucket; give a file or a URL";
        return Err(Usage(why.into()));
    }
    if args.stage.mint_key {
        return Err(Usage("--mint-key makes no key to fetch s3:// with; give one".into()));
    }
    let (bucket, key) = rest
        .split_once('/')
        .ok_or_else(|| Usage("an object is named as s3://BUCKET/KEY".into()))?;
    let stage = StageArgs { bucket: Some(bucket.to_owned()), ..args.stage.clone() };
    let bucket = world::bucket(&stage, &args.api, args.region.as_deref(), None, view)?;
    let key = Key::parse(key).map_err(Usage)?;
    let url = bucket.presigned(&key, LONGEST_PRESIGNED).map_err(Usage)?;
    Ok(Some(Object { url, plain: bucket.endpoint().address().is_loopback() }))
}

/// Why DigitalOcean's importer cannot be given this URL, as far as the URL itself tells.
fn why_staged(args: &PushArgs) -> Result<Option<String>, Usage> {
    if !is_url(&args.image) {
        return Ok(None);
    }
    let address = source::address(&args.image).map_err(Usage)?;
    let why = if args.stage.repack == args::Repack::Always {
        "it is to be packed anew"
    } else if !args.check.header.is_empty() {
        "the importer sends no headers"
    } else if address.has_query() || address.has_credentials() {
        "the importer takes no URL with a query or a password"
    } else if !address.is_https() && !args.check.no_url_rules {
        "the importer is given no plain http"
    } else {
        return Ok(None);
    };
    Ok(Some(why.to_owned()))
}

/// What is pushed: for people, and as what tells it from everything else. URLs go without their secrets, which
/// are others tomorrow for the same object.
fn described(image: &OsStr) -> (String, Vec<u8>) {
    let as_given = || image.as_encoded_bytes().to_vec();
    if image.to_str().is_some_and(|image| image.starts_with(S3)) {
        return (Hostile::from_os(image).to_string(), as_given());
    }
    if is_url(image) {
        let whole = source::address(image).map(|address| address.to_string().into_bytes());
        return (shown(image).to_string(), whole.unwrap_or_else(|_| as_given()));
    }
    match Path::new(image).canonicalize() {
        Ok(path) if image != "-" => {
            (shown(path.as_os_str()).to_string(), path.into_os_string().into_encoded_bytes())
        }
        _ => (shown(image).to_string(), as_given()),
    }
}

/// Whether an object can take the file, as far as its size is known before it is read.
fn fits(source: &OsStr, part_size: Option<u64>) -> Result<(), Usage> {
    let size = std::fs::metadata(source).ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
    let Some(size) = size else { return Ok(()) };
    if size > LARGEST_OBJECT {
        return Err(Usage(format!(
            "the file has {}, and an object {} at most",
            human_size(size),
            human_size(LARGEST_OBJECT)
        )));
    }
    match part_size {
        Some(part_size) if size > holds(part_size) => Err(Usage(format!(
            "--part-size: {MOST_PARTS} parts of {} hold {}, and the file has {}; give {} or more, or leave it out",
            human_size(part_size),
            human_size(holds(part_size)),
            human_size(size),
            size.div_ceil(MOST_PARTS.into()),
        ))),
        _ => Ok(()),
    }
}

fn part_size(text: &str) -> Result<u64, Usage> {
    let bytes = size(text)
        .map_err(|_| Usage(format!("--part-size: {} is no size", Hostile::from(text))))?;
    match (SMALLEST_PART..=LARGEST_PART).contains(&bytes) {
        true => Ok(bytes),
        false => Err(Usage(format!(
            "--part-size is {SMALLEST_PART} to {LARGEST_PART} bytes, as S3 has it"
        ))),
    }
}
