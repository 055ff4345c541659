//! The order that the arguments make.

use std::ffi::OsStr;
use std::path::Path;

use super::args::{self, PushArgs};
use crate::cli::args::NetArgs;
use crate::cli::check::size;
use crate::cli::image::warn_distribution;
use crate::cli::{Usage, checksums, net};
use crate::digitalocean::{Distribution, RegionSlug};
use crate::inspect::{self, Digested, Expected};
use crate::push::{NewImage, Order, Repack, Route, stem};
use crate::rules::{Policy, Severity};
use crate::source::{self, is_url, shown};
use crate::spaces::limits::{LARGEST_PART, SMALLEST_PART};

/// Where a rehearsal has its image.
const REHEARSED_REGION: &str = "nyc3";

pub(super) fn order(args: &PushArgs) -> Result<Order, Usage> {
    let url = is_url(&args.image);
    let staged = !url || args.stage.stage || is_rehearsal(args);
    let name = name(args)?;
    let region = args.region.as_deref().unwrap_or(REHEARSED_REGION);
    let region = RegionSlug::from(region);
    let distribution = args.distribution.as_deref().map(Distribution::from);
    distribution.iter().for_each(warn_distribution);
    let mut transfer: Vec<RegionSlug> = Vec::new();
    for slug in args.transfer.iter().map(|slug| RegionSlug::from(slug.trim())) {
        if slug != region && !transfer.contains(&slug) {
            transfer.push(slug);
        }
    }
    let route = match staged {
        true => Route::Staged {
            stem: stem(&file_name(&args.image).unwrap_or_default()),
            at_once: usize::from(args.stage.uploads),
            part_size: args.stage.part_size.as_deref().map(part_size).transpose()?,
            keep_object: args.stage.keep_object,
            repack: match args.stage.repack {
                args::Repack::Auto => Repack::Auto,
                args::Repack::Never => Repack::Never,
                args::Repack::Always => Repack::Always,
            },
        },
        false => Route::Url(args.image.to_string_lossy().into_owned()),
    };
    Ok(Order {
        source: args.image.clone(),
        shown: described(&args.image),
        resume: args.resume,
        check: check(args, !staged)?,
        strict: args.check.strict,
        route,
        image: NewImage {
            name,
            region,
            distribution,
            description: args.description.clone(),
            tags: args.tag.clone(),
        },
        tag: !args.no_mark_tag,
        transfer,
        convert: args.convert,
        settle: args.settle,
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

/// How the image is checked. What is staged need not be fit for the importer where it is now.
fn check(args: &PushArgs, handed_over: bool) -> Result<inspect::Options, Usage> {
    let check = &args.check;
    let mut policy = Policy::default();
    for (codes, severity) in [
        (&check.allow, Severity::Note),
        (&check.warn, Severity::Warn),
        (&check.reject, Severity::Reject),
    ] {
        for code in codes {
            policy.set(code, severity).map_err(|e| Usage(e.to_string()))?;
        }
    }
    let expected = match &check.sha256 {
        None => Vec::new(),
        Some(hex) => {
            let sha256 = checksums::sha256(hex)
                .ok_or_else(|| Usage("--sha256 takes 64 hexadecimal digits".into()))?;
            vec![Expected { of: Digested::File, sha256, origin: "--sha256".into() }]
        }
    };
    let insecure_http = check.insecure_http || check.no_url_rules;
    let net = NetArgs {
        header: check.header.clone(),
        cacert: args.api.cacert.clone(),
        insecure_http,
        connections: 4,
        timeout: args.api.timeout,
        retries: args.api.retries,
        verbose: args.api.verbose,
    };
    Ok(inspect::Options {
        spool: check.spool,
        expected,
        policy,
        limit: size(&check.max_size)?,
        url_rules: handed_over && !check.no_url_rules,
        client: net::client(&net, insecure_http, [args.image.as_os_str()], None)?,
        ..inspect::Options::default()
    })
}

/// The image's name.
fn name(args: &PushArgs) -> Result<String, Usage> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    file_name(&args.image).ok_or_else(|| {
        Usage("there is no file name that could be the image's name; give --name".into())
    })
}

/// The name of the file, without its folders.
fn file_name(image: &OsStr) -> Option<String> {
    match is_url(image) {
        true => source::address(image).ok()?.file_name().map(str::to_owned),
        false if image == "-" => None,
        false => Some(Path::new(image).file_name()?.to_string_lossy().into_owned()),
    }
}

/// What is pushed, for people and for the journal.
fn described(image: &OsStr) -> String {
    match Path::new(image).canonicalize() {
        Ok(path) if !is_url(image) && image != "-" => shown(path.as_os_str()).to_string(),
        _ => shown(image).to_string(),
    }
}

fn part_size(text: &str) -> Result<u64, Usage> {
    let bytes = size(text)?;
    match (SMALLEST_PART..=LARGEST_PART).contains(&bytes) {
        true => Ok(bytes),
        false => Err(Usage(format!(
            "--part-size is {SMALLEST_PART} to {LARGEST_PART} bytes, as S3 has it"
        ))),
    }
}
