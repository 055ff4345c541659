use super::SECTOR;
use super::header::{Header, check_rest};
use super::markers::{Kind, Marker};
use crate::facts::{Code, Notebook};
use crate::formats::tail::begin_with;
use crate::formats::{Got, Halt, ImageView};

/// Marker, header copy and end-of-stream marker, one sector each (VMware Virtual Disk Format 1.1,
/// stream-optimized compressed sparse extents).
pub(super) const LENGTH: u64 = 3 * SECTOR;

/// Bytes at the end in which a footer is looked for: those that a stream keeps.
const LOOKED_AT: u64 = 64 << 10;

/// What the end of an image says.
pub(super) enum Footer {
    /// The copy of the header with the places of the grain directories.
    Found(Header),
    /// The end of the image is not read in this check.
    NotRead,
    /// There is none that can be used; the notebook has the reason.
    Broken,
}

/// Reads the footer that the header announces and compares the two. `marker` is the place of its marker,
/// if a walk over all markers found it; else it is looked for at the end of the image.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
    marker: Option<u64>,
) -> Result<Footer, Halt> {
    let found = match marker {
        Some(at) => at_marker(view, at)?,
        None => None,
    };
    let Some(size) = view.size()? else { return Ok(Footer::NotRead) };
    let found = match found {
        Some(found) => Some(found),
        None => match at_end(view, notebook, size)? {
            Some(found) => found,
            None => return Ok(Footer::Broken),
        },
    };
    let last = size.saturating_sub(LENGTH);
    let Some(Copy { header: footer, sector, after }) = found else {
        notebook.image(Code::VmdkFooterInvalid, last,
            "The header announces a footer with the place of the grain directory, but the image does not end with one.");
        return Ok(Footer::Broken);
    };
    let end = footer.at.saturating_add(2 * SECTOR);
    if end < size {
        notebook.image(Code::VmdkTrailingBytes, end, format!(
            "The stream ends at byte {end}, but {} bytes follow{}. QEMU looks for the footer in the last {LENGTH} bytes of the file.",
            size - end, begin_with(&after)?));
    }
    if footer.has_footer() {
        notebook.image(
            Code::VmdkFooterInvalid,
            footer.at.saturating_add(56),
            "The header copy in the footer does not say where the grain directory is.",
        );
        return Ok(Footer::Broken);
    }
    if footer.unclean != 0 && !notebook.has(Code::VmdkUnclean) {
        notebook.image(
            Code::VmdkUnclean,
            footer.at.saturating_add(72),
            "The footer says that the last writer did not close the image.",
        );
    }
    check_rest(&sector, footer.at, notebook)?;
    compare(header, &footer, notebook);
    Ok(Footer::Found(footer))
}

/// A header copy with its sector, and the beginning of what stands behind the footer.
struct Copy {
    header: Header,
    sector: Vec<u8>,
    after: Vec<u8>,
}

/// The footer at a marker, if it is whole.
fn at_marker(view: &mut dyn ImageView, at: u64) -> Result<Option<Copy>, Halt> {
    let mut bytes = vec![0; (LENGTH + SECTOR) as usize];
    let Got::Bytes(count) = view.read_at(at, &mut bytes)? else { return Ok(None) };
    bytes.truncate(count);
    Ok(footer(&bytes, at.saturating_add(SECTOR)))
}

/// The last footer of an image of `size` bytes. `None` if its end cannot be read, and the notebook has
/// the reason.
fn at_end(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    size: u64,
) -> Result<Option<Option<Copy>>, Halt> {
    let start = size.saturating_sub(LOOKED_AT).max(SECTOR).min(size);
    let mut tail = vec![0; size.saturating_sub(start).min(LOOKED_AT) as usize];
    Ok(view.need(start, &mut tail, notebook, "the footer")?.then(|| find(&tail, start, size)))
}

/// The header copy of the last footer in `tail`, which reaches from image offset `start` to `size`.
fn find(tail: &[u8], start: u64, size: u64) -> Option<Copy> {
    // QEMU takes a sector that is cut for a whole one; footers begin where sectors do.
    let mut at = size.checked_sub(LENGTH)?.div_ceil(SECTOR) * SECTOR;
    loop {
        let from = usize::try_from(at.checked_sub(start)?).ok()?;
        let sectors = tail.get(from..)?;
        if let Some(copy) = footer(sectors, at.saturating_add(SECTOR)) {
            return Some(copy);
        }
        at = at.checked_sub(SECTOR)?;
    }
}

/// The header copy, if footer marker, header copy and end-of-stream marker stand here; of what follows, a sector at most.
fn footer(bytes: &[u8], header_at: u64) -> Option<Copy> {
    let sector = SECTOR as usize;
    let is = |at, kind| Marker::parse(bytes.get(at..)?).filter(|m| m.kind() == Some(kind));
    is(0, Kind::Footer)?;
    is(2 * sector, Kind::EndOfStream).filter(|marker| marker.value.get() == 0)?;
    let copy = bytes.get(sector..2 * sector)?;
    let after = bytes.get(LENGTH as usize..).unwrap_or_default();
    Some(Copy {
        header: Header::parse(copy, header_at)?,
        sector: copy.to_vec(),
        after: after.iter().copied().take(sector).collect(),
    })
}

/// QEMU believes the footer, others the header: they have to say the same. The places of the grain
/// directories are why there is a footer, and a stream is unclean until it is written.
fn compare(header: &Header, footer: &Header, notebook: &Notebook<'_>) {
    let newlines = |header: &Header| u64::from(u32::from_le_bytes(header.newlines));
    let fields: [(&str, u64, u64, u64); 10] = [
        ("version", 4, header.version.into(), footer.version.into()),
        ("flags", 8, header.flags.into(), footer.flags.into()),
        ("capacity", 12, header.capacity, footer.capacity),
        ("grain size", 20, header.grain_size, footer.grain_size),
        ("descriptor offset", 28, header.descriptor_offset, footer.descriptor_offset),
        ("descriptor size", 36, header.descriptor_size, footer.descriptor_size),
        (
            "number of entries per grain table",
            44,
            header.entries_per_table.into(),
            footer.entries_per_table.into(),
        ),
        ("overhead", 64, header.overhead, footer.overhead),
        ("line end test", 73, newlines(header), newlines(footer)),
        ("compression algorithm", 77, header.compression.into(), footer.compression.into()),
    ];
    for (name, at, first, second) in fields {
        if first != second {
            notebook.image(
                Code::VmdkFooterMismatch,
                footer.at.saturating_add(at),
                format!("The {name} is {first} in the header and {second} in the footer."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, codes};
    use super::*;

    #[test]
    fn a_whole_footer_raises_nothing() {
        assert_eq!(codes(&Sample::stream(3).image), []);
    }

    #[test]
    fn a_footer_that_differs_is_told_by_field() {
        let sample = Sample::stream(3);
        let copy = sample.image.len() - 1024;
        for at in [4, 8, 12, 20, 28, 36, 44, 64, 74, 77] {
            let mut image = sample.image.clone();
            image[copy + at] ^= 0x10;
            assert_eq!(codes(&image), [Code::VmdkFooterMismatch], "byte {at}");
        }
        assert_eq!(codes(&sample.patched(copy + 72, &[1])), [Code::VmdkUnclean]);
    }

    #[test]
    fn a_footer_that_is_missing_or_malformed_is_told() {
        let sample = Sample::stream(3);
        let end = sample.image.len();
        for at in [end - 1536 + 8, end - 1536 + 12, end - 1024, end - 512, end - 504, end - 500] {
            let mut image = sample.image.clone();
            image[at] ^= 0x55;
            // The markers may lead elsewhere as well.
            assert!(codes(&image).contains(&Code::VmdkFooterInvalid), "byte {at}");
        }
        assert_eq!(codes(&sample.image[..end - 1536]), [Code::VmdkFooterInvalid]);
        assert_eq!(codes(&sample.image[..end - 100]), [Code::ImageTruncated]);
        assert_eq!(codes(&sample.patched(end - 1024 + 56, &[0xff; 8])), [Code::VmdkFooterInvalid]);
    }

    #[test]
    fn padding_behind_the_stream_is_told() {
        for padding in [1, 511, 512, 4096, 60_000, 1 << 20] {
            let mut image = Sample::stream(3).image;
            image.resize(image.len() + padding, 0);
            assert_eq!(codes(&image), [Code::VmdkTrailingBytes], "{padding}");
        }
    }
}
