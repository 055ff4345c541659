use std::ffi::OsStr;
use std::sync::Arc;
use std::thread;

use reqwest::Method;

use super::model::{Fate, Status};
use super::server::Shared;
use crate::facts::Code;
use crate::inspect::{Deaf, Options, Report, Verdict, inspect};
use crate::net::Address;
use crate::rules::Severity;

/// What DigitalOcean says of a file that it cannot decompress, verbatim.
pub(super) const DECOMPRESSING: &str = "We had a problem decompressing your file. This typically happens if the archive is corrupt or contains multiple files. Please try decompressing the file locally and uploading the uncompressed image, or recompressing using gzip or bzip2.";
/// What DigitalOcean says of another compression, verbatim.
const COMPRESSION: &str = "We don't support the compression format of your image. Please try again with a supported format (gzip, bzip2) or an uncompressed image file.";
/// Stands before what the simulator says in its own words, because DigitalOcean's are not known.
const OWN_WORDS: &str = "[simulator]";

/// What an image that can be used is told to be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    /// Decimal gigabytes of the decompressed image, rounded up to a hundredth.
    size_gigabytes: f64,
    /// Gigabytes that a Droplet's disk has to have.
    min_disk_size: u64,
}

/// Imports an image on a thread of its own: `NEW`, then `pending`, then what comes out, with at least
/// the pace between them.
pub(super) fn start(shared: &Arc<Shared>, id: u64) {
    let on_thread = Arc::clone(shared);
    let spawned = thread::Builder::new().name("import".into()).spawn(move || run(&on_thread, id));
    if spawned.is_err() {
        end(shared, id, Fate::Open, Err(format!("{OWN_WORDS} There are too many imports.")));
    }
}

fn run(shared: &Arc<Shared>, id: u64) {
    thread::sleep(shared.pace);
    let (url, fate) = {
        let mut store = shared.store();
        let Some(record) = store.image_mut(id) else { return };
        record.image.status = Status::Pending;
        let known = (record.url.clone(), record.fate.clone());
        shared.save(&store);
        known
    };
    let outcome = match &fate {
        Fate::Hangs => return,
        Fate::Fails(message) => Err(message.clone()),
        Fate::Open | Fate::ChangesId => {
            // Each examination takes its share of memory.
            let _turn = shared.client.wait(shared.turns.acquire());
            examine(shared, &url)
        }
    };
    thread::sleep(shared.pace);
    end(shared, id, fate, outcome);
}

fn end(shared: &Shared, id: u64, fate: Fate, outcome: Result<Sizes, String>) {
    let mut store = shared.store();
    let changed = (fate == Fate::ChangesId).then(|| store.image_id());
    let Some(record) = store.image_mut(id) else { return };
    match outcome {
        Ok(sizes) => {
            let image = &mut record.image;
            image.status = Status::Available;
            image.regions = vec![record.region.clone()];
            image.size_gigabytes = Some(sizes.size_gigabytes);
            image.min_disk_size = Some(sizes.min_disk_size);
            image.id = changed.unwrap_or(id);
        }
        Err(message) => {
            record.image.status = Status::Deleted;
            record.image.error_message = message;
        }
    }
    shared.save(&store);
}

/// Fetches the URL as the importer does, HEAD and then GET, and examines what comes.
fn examine(shared: &Shared, url: &str) -> Result<Sizes, String> {
    let own = |said: &dyn std::fmt::Display| format!("{OWN_WORDS} {said}");
    let address = Address::parse(url).map_err(|e| own(&e))?;
    let head = shared.client.wait(shared.client.send(Method::HEAD, &address, &address, &[]));
    let head = head.map_err(|failure| own(&failure))?;
    if head.status != 200 {
        let status = head.status;
        return Err(own(&format!("The source URL answers a HEAD request with {status}.")));
    }
    let options = Options {
        url_rules: false,
        client: Some(Arc::clone(&shared.client)),
        ..Options::default()
    };
    outcome(&inspect(OsStr::new(url), &options, &Deaf))
}

/// What DigitalOcean would make of it, as far as anybody knows.
fn outcome(report: &Report) -> Result<Sizes, String> {
    if let Some(error) = &report.error {
        return Err(format!("{OWN_WORDS} {}", error.message));
    }
    let refused: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Reject)
        .map(|finding| (finding.code, finding.message.as_str()))
        .collect();
    if let Some(message) = message(&refused) {
        return Err(message);
    }
    match (report.verdict, report.image_size, report.virtual_size) {
        (Verdict::Accept | Verdict::Warn, Some(image), Some(disk)) => Ok(sizes(image, disk)),
        _ => Err(format!("{OWN_WORDS} The image was not read to its end.")),
    }
}

/// The message for what is wrong with an image; `None` if nothing is.
fn message(refused: &[(Code, &str)]) -> Option<String> {
    let (_, first) = refused.first()?;
    let any = |what: fn(Code) -> bool| refused.iter().any(|(code, _)| what(*code));
    Some(match () {
        () if any(is_foreign) => COMPRESSION.to_owned(),
        () if any(is_damaged) => DECOMPRESSING.to_owned(),
        () => format!("{OWN_WORDS} {first}"),
    })
}

/// An archive counts as a compression: so it was seen of an `.ova` and a `.tar.gz`.
fn is_foreign(code: Code) -> bool {
    let name = code.as_str();
    name.starts_with("archive-") || name.starts_with("compression-")
}

fn is_damaged(code: Code) -> bool {
    let name = code.as_str();
    name.starts_with("gzip-") || name.starts_with("bzip2-")
}

fn sizes(image: u64, disk: u64) -> Sizes {
    const GIGABYTE: u64 = 1_000_000_000;
    let hundredths = image.div_ceil(GIGABYTE / 100).max(1);
    Sizes {
        size_gigabytes: hundredths as f64 / 100.0,
        min_disk_size: disk.div_ceil(GIGABYTE).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        for (image, disk, expected) in [
            (1, 1, (0.01, 1)),
            (2_340_000_000, 20_000_000_000, (2.34, 20)),
            (2_340_000_001, 20_000_000_001, (2.35, 21)),
        ] {
            let Sizes { size_gigabytes, min_disk_size } = sizes(image, disk);
            assert_eq!((size_gigabytes, min_disk_size), expected);
        }
    }

    #[test]
    fn messages_are_verbatim_where_they_are_known() {
        let said = |codes: &[Code]| {
            let refused: Vec<_> = codes.iter().map(|code| (*code, "It is so.")).collect();
            message(&refused)
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[Code::GzipTruncated]).as_deref(), Some(DECOMPRESSING));
        assert_eq!(said(&[Code::ArchiveOva]).as_deref(), Some(COMPRESSION));
        assert_eq!(said(&[Code::CompressionXz]).as_deref(), Some(COMPRESSION));
        assert_eq!(said(&[Code::DiskTooLarge]).as_deref(), Some("[simulator] It is so."));
    }
}
