//! A push of an image of the project: what `tidegate.toml` says of it, where the arguments say nothing.

use super::args::PushArgs;
use super::order::is_rehearsal;
use crate::bytes::{Hostile, hex};
use crate::cli::args::Format;
use crate::cli::project::{self, Subject};
use crate::cli::{Usage, packer};
use crate::project::Image;
use crate::rules::Severity;

/// The arguments, with all that the project says of the image.
pub(super) fn completed(mut args: PushArgs) -> Result<PushArgs, Usage> {
    let subject = match &args.packer_manifest {
        Some(manifest) => {
            let document = args.api.format == Format::Json;
            let (argument, build) = packer::image(manifest, document)?;
            args.build = Some(build);
            Subject { argument, image: None }
        }
        None => match &args.named {
            None => only()?,
            // As of a variable that is not set.
            Some(image) if image.is_empty() => {
                return Err(Usage(
                    "IMAGE is empty: name a file, a URL, or an image of tidegate.toml".into(),
                ));
            }
            Some(image) => project::subject(image)?,
        },
    };
    args.image = subject.argument;
    if let Some(image) = &subject.image {
        fill(&mut args, image);
    }
    if args.region.is_none() && !is_rehearsal(&args) {
        return Err(Usage(
            "there is no region: give --region, such as --region fra1, or write regions into tidegate.toml".into(),
        ));
    }
    Ok(args)
}

/// The image of a project that has one.
fn only() -> Result<Subject, Usage> {
    let mut subjects = project::all()?;
    match (subjects.pop(), subjects.is_empty()) {
        (Some(subject), true) => Ok(subject),
        (last, _) => {
            let names: Vec<String> = subjects
                .iter()
                .chain(&last)
                .filter_map(|subject| subject.image.as_ref())
                .map(|image| Hostile::from(image.name.value.as_str()).to_string())
                .collect();
            Err(Usage(format!(
                "tidegate.toml has several images, and one is pushed at a time: name one of {}",
                names.join(", ")
            )))
        }
    }
}

fn fill(args: &mut PushArgs, image: &Image) {
    let text =
        |set: &Option<crate::project::Set<String>>| set.as_ref().map(|set| set.value.clone());
    args.new.name = args.new.name.take().or_else(|| Some(image.name.value.clone()));
    args.new.distribution = args.new.distribution.take().or_else(|| text(&image.distribution));
    args.new.description = args.new.description.take().or_else(|| text(&image.description));
    args.new.describe |= image.describe.as_ref().is_some_and(|describe| describe.value);
    if let (true, Some(tags)) = (args.new.tag.is_empty(), &image.tags) {
        args.new.tag.clone_from(&tags.value);
    }
    // A region of the command line is all of the place: copies elsewhere are asked for there too.
    if let (None, Some(regions)) = (&args.region, &image.regions) {
        let mut regions = regions.value.iter().cloned();
        args.region = regions.next();
        if args.transfer.is_empty() {
            args.transfer = regions.collect();
        }
    }
    let check = &mut args.check;
    check.strict |= image.strict.as_ref().is_some_and(|strict| strict.value);
    check.guest = check.guest.or_else(|| Some(image.guest.as_ref()?.value.into()));
    check.boot |= image.boot.as_ref().is_some_and(|boot| boot.value);
    check.sha256 = check.sha256.take().or_else(|| Some(hex(&image.sha256.as_ref()?.value)));
    check.max_size =
        check.max_size.take().or_else(|| Some(image.max_size.as_ref()?.value.to_string()));
    for (code, severity) in image.policy.iter().map(|set| set.value) {
        let name = code.as_str().to_owned();
        if [&check.reject, &check.warn, &check.allow].iter().any(|codes| codes.contains(&name)) {
            continue;
        }
        match severity {
            Severity::Reject => check.reject.push(name),
            Severity::Warn => check.warn.push(name),
            Severity::Note => check.allow.push(name),
        }
    }
    let by_environment = std::env::var("SPACES_BUCKET").is_ok_and(|name| !name.trim().is_empty());
    if let (None, Some(bucket), false) = (&args.stage.bucket, &image.bucket, by_environment) {
        args.stage.bucket = Some(bucket.value.clone());
    }
}
