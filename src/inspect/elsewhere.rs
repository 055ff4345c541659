//! Whether a file that lies in a folder is positively no image: text, a program, an archive without a disk. Whatever is
//! not certain is one, so that the check says what it is.

use std::path::Path;

use super::unwrap::{Depth, unwrapped};
use crate::bytes::{Pool, Segment};
use crate::codec::{Packing, ZIP_TAIL, sniff, zip_members};
use crate::facts::endings::Parts;
use crate::facts::{Code, Compression, DiskFormat};
use crate::formats::{self, candidates};
use crate::guest;
use crate::rules::SIZE_LIMIT;
use crate::source::{LocalFile, Read, Source};

/// A member of an archive without any name of an image is one from this size on, as for who unpacks it: less than any
/// disk with a system has.
const SMALLEST_IMAGE: u64 = 1 << 20;

/// Bytes at the end of a text that have to be text too.
const LAST: usize = 4096;

/// What a file is, with its article, if it is positively no image.
#[must_use]
pub fn elsewhere(path: &Path) -> Option<&'static str> {
    // What cannot be opened is for the check to tell.
    let Ok(Source::File(file)) = Source::open(path.as_os_str()) else { return None };
    let ends = |from: u64, len: usize| {
        let mut bytes = vec![0; len.min(usize::try_from(file.size()).unwrap_or(usize::MAX))];
        let at = if from == 0 { 0 } else { file.size() - bytes.len() as u64 };
        file.offsets().read_at(at, &mut bytes).ok().map(|_| bytes)
    };
    let head = ends(0, formats::LOOKED_AT)?;
    let last = ends(1, ZIP_TAIL)?;
    if formats::trailer(&last).is_some() {
        return None;
    }
    match sniff(&head) {
        Packing::Plain => no_disk(&head, &last),
        Packing::Foreign(Compression::Rpm | Compression::Ar, _) => Some("a package"),
        Packing::Foreign(Compression::Zip, _) => {
            let members = zip_members(&last, file.size())?;
            members
                .iter()
                .all(|(name, size)| *size < SMALLEST_IMAGE && !may_hold_disk(name))
                .then_some("an archive without a disk")
        }
        Packing::Gzip
        | Packing::Bzip2
        | Packing::Foreign(Compression::Xz | Compression::Zstd | Compression::Tar, _) => {
            inside(&file)
        }
        Packing::Foreign(..) => None,
    }
}

/// Whether a name is that of an image, packed or not.
#[must_use]
pub fn is_named_image(name: &[u8]) -> bool {
    !Parts::of(name).ending.is_empty() || name.to_ascii_lowercase().ends_with(b".ova")
}

/// The same of what is in an archive: what is packed in it is not looked into.
fn may_hold_disk(name: &[u8]) -> bool {
    is_named_image(name) || Parts::of(name).stem != name
}

/// What is in something packed.
fn inside(file: &LocalFile) -> Option<&'static str> {
    let mut inner = unwrapped(file.reader(), SIZE_LIMIT, Depth::Glance).ok()?;
    let after = inner.aftermath();
    if let Some(fault) = after.fault() {
        return (fault.code == Code::TarNoImage).then_some("an archive without a disk");
    }
    let mut pool = Pool::new(2, 64 << 10);
    let mut head = Vec::new();
    while head.len() < formats::LOOKED_AT {
        match inner.next(&mut pool).ok()? {
            Some(Segment::Data(chunk)) => head.extend_from_slice(&chunk),
            Some(Segment::Zeros(_)) => return None,
            None => break,
        }
    }
    // Of what is damaged nobody knows what it was.
    match after.fault().is_none() && !head.is_empty() {
        true => no_disk(&head, &head),
        false => None,
    }
}

/// What bytes are that begin and end so, if that is no disk, in whatever container.
fn no_disk(head: &[u8], last: &[u8]) -> Option<&'static str> {
    let found = candidates(head);
    let may_be = !found.containers.is_empty() || found.iso9660.is_some();
    if may_be || guest::has_partition_table(head) {
        return None;
    }
    if let Some(document) = found.documents.first() {
        return Some(document.what);
    }
    let content = found.content?;
    match content.format {
        DiskFormat::Empty | DiskFormat::Unknown => Some(content.what),
        // A disk may begin with a few words.
        DiskFormat::Text | DiskFormat::Html | DiskFormat::Xml | DiskFormat::Json => {
            (!last[last.len().saturating_sub(LAST)..].contains(&0)).then_some(content.what)
        }
        // A pointer stands for what may be an image, and a descriptor for a disk.
        _ => None,
    }
}
