//! Which images a check is about: those that were named or listed, what Packer built, or those of the project; and
//! which of them fall to this shard.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::args::{CheckArgs, ReportFormat};
use super::folder::{self, Folder, Room};
use super::project::{self, Subject};
use super::{Usage, output, packer};
use crate::project::{Between, list};
use crate::source::{by_shown, closed, is_unconnected, is_url, shown};

/// The images of a check.
pub(super) struct Chosen {
    pub(super) subjects: Vec<Subject>,
    /// Entries of folders that are left out, if a folder was named.
    pub(super) left_out: Option<usize>,
}

pub(super) fn chosen(args: &CheckArgs) -> Result<Chosen, Usage> {
    // Where images are named, clap asks for no list, as both exclude each other.
    if args.null && args.images_from.is_none() {
        return Err(Usage("--null is about a list; name it with --images-from".into()));
    }
    let plain = |argument| Subject { argument, image: None };
    let mut left_out = None;
    let mut subjects = match (&args.packer_manifest, &args.images_from) {
        (Some(manifest), _) => vec![plain(packer::image(manifest, is_document(args))?.0)],
        (None, Some(from)) => {
            let takes = |image: &OsStr| args.shard.is_none_or(|shard| shard.takes(image));
            listed(from, between(args.null), &takes)?.into_iter().map(plain).collect()
        }
        (None, None) if args.images.is_empty() && args.paths.is_empty() => project::all()?,
        (None, None) => {
            let named = args.images.iter().map(|image| project::subject(image));
            let named = named.chain(args.paths.iter().map(|path| Ok(project::path(path))));
            let (mut subjects, mut room) = (Vec::new(), Room::default());
            for subject in named {
                let subject = subject?;
                match subject.image.is_none() && folder::is_folder(&subject.argument) {
                    true => {
                        let found = in_folder(&subject.argument, args, &mut room)?;
                        *left_out.get_or_insert(0) += found.left_out;
                        subjects.extend(found.images.into_iter().map(plain));
                    }
                    false => subjects.push(subject),
                }
            }
            subjects
        }
    };
    if args.offline {
        subjects = offline(subjects)?;
        if subjects.is_empty() {
            output::warn("nothing is checked: all images are URLs, and this check is --offline");
        }
    }
    if let Some(shard) = args.shard {
        subjects.retain(|subject| shard.takes(&subject.argument));
        if subjects.is_empty() {
            output::warn(&format!("none of the images falls to shard {shard}"));
        }
    }
    Ok(Chosen { subjects, left_out })
}

/// The images in a folder, of which there has to be one.
fn in_folder(folder: &OsStr, args: &CheckArgs, room: &mut Room) -> Result<Folder, Usage> {
    let tell = |path: &Path, what: &str| {
        if args.net.verbose {
            output::warn(&format!("{} is left out: it is {what}", shown(path.as_os_str())));
        }
    };
    let found = folder::images(folder, !args.no_recurse, room, &tell)?;
    if found.images.is_empty() {
        let (folder, count) = (shown(folder), found.left_out);
        let left_out = match count {
            0 => String::new(),
            1 => "; 1 entry of it is something else, which --verbose names".to_owned(),
            count => format!("; {count} entries of it are something else, which --verbose names"),
        };
        return Err(Usage(format!("there is no image in the folder {folder}{left_out}")));
    }
    Ok(found)
}

/// Whether standard output is for a document.
fn is_document(args: &CheckArgs) -> bool {
    args.format != ReportFormat::Text && args.output.is_none()
}

/// What `--null` says of a list.
pub(super) fn between(null: bool) -> Between {
    if null { Between::Nul } else { Between::Lines }
}

/// The images of a list that `takes` says yes to.
pub(super) fn listed(
    from: &OsStr,
    between: Between,
    takes: &dyn Fn(&OsStr) -> bool,
) -> Result<Vec<OsString>, Usage> {
    let read = || match from == "-" {
        true if is_unconnected(&std::io::stdin()) => Err(closed().into()),
        true => list(std::io::stdin().lock(), between, takes),
        false => list(BufReader::new(File::open(from)?), between, takes),
    };
    let mut images = read()
        .map_err(|e| Usage(format!("cannot use the list of images in {}: {e}", shown(from))))?;
    // As `report merge` has them.
    images.sort_unstable_by(|a, b| by_shown(a, b));
    Ok(images)
}

/// Those that are on this machine. What was asked for by its URL cannot be left out in silence.
fn offline(subjects: Vec<Subject>) -> Result<Vec<Subject>, Usage> {
    let (urls, files): (Vec<_>, Vec<_>) =
        subjects.into_iter().partition(|subject| is_url(&subject.argument));
    for url in urls {
        let address = shown(&url.argument);
        match &url.image {
            Some(image) => output::warn(&format!(
                "{} is not checked: {address} is a URL, which takes --online",
                crate::bytes::Hostile::from(image.name.value.as_str())
            )),
            None => {
                return Err(Usage(format!("{address} is a URL, and this check is --offline")));
            }
        }
    }
    Ok(files)
}
