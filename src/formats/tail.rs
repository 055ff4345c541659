//! What lies behind the end of a container, and in gaps before it.

use super::view::{End, Got, Halt, ImageView, MemoryImage, Missing, not_examined};
use super::zeros::{PIECE, ZEROS, first_used};
use super::{DiskFormat, detect};
use crate::bytes::human_size;
use crate::codec::{Packing, sniff};
use crate::facts::{Code, Notebook};

/// What lengths of images are multiples of, and of images that somebody has padded.
const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;

/// Bytes that are shown.
const SHOWN: usize = 16;

/// Writes down what is behind the end of a container. Preallocated space and the rest of a block device hold zeros, in
/// lengths that are theirs; other lengths come from bytes that a transfer has doubled.
///
/// # Errors
/// If the image cannot be read further.
pub(super) fn judge(
    view: &mut dyn ImageView,
    end: End,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    // A table that is broken uses less than it should.
    if notebook.doomed() {
        return Ok(());
    }
    let at = match first_used(view, end.at, u64::MAX)? {
        Ok(Some(at)) => at,
        Ok(None) => return zeros(view, end, notebook),
        Err((at, missing)) => {
            not_examined(notebook, at, "what follows the image", missing);
            return Ok(());
        }
    };
    let mut bytes = vec![0; PIECE];
    let Some(first) = read(view, at, &mut bytes, notebook)? else { return Ok(()) };
    let begins = begin_with(first)?;
    let Some(size) = view.size()? else { return Ok(()) };
    let len = size.saturating_sub(at);
    let End { at: end, code, .. } = end;
    notebook.image(code, at, format!(
        "The image ends at byte {end}, but {len} bytes ({}) from byte {at} on belong to nothing{begins}.",
        human_size(len)));
    Ok(())
}

/// Writes down the zeros behind the end of a container.
fn zeros(
    view: &mut dyn ImageView,
    End { at: end, unit, spare, freed, .. }: End,
    notebook: &Notebook<'_>,
) -> Result<(), Halt> {
    let Some(size) = view.size()?.filter(|&size| size > end) else { return Ok(()) };
    let len = size - end;
    let padded = len.is_multiple_of(unit.max(SECTOR)) || size.is_multiple_of(MIB) || len > MIB;
    let in_sectors = size.is_multiple_of(SECTOR);
    if in_sectors && len <= spare {
        return Ok(());
    }
    let (code, whose) = if padded && in_sectors {
        (Code::ImagePadded, "as preallocation and block devices leave them")
    } else if len > freed {
        (Code::ImagePadded, "as a snapshot that was deleted leaves them")
    } else {
        let whose =
            "which is no length that writers leave: bytes before them may stand there twice";
        (Code::ImageZerosBehind, whose)
    };
    notebook.image(
        code,
        end,
        format!(
            "The image ends at byte {end}, and {len} bytes ({}) of zeros follow, {whose}.",
            human_size(len)
        ),
    );
    Ok(())
}

/// Bytes that are no zeros: where the first of them is, and what they are, as the end of a sentence.
pub(super) type Found = (u64, String);

/// What lies from `from` to `to` where nothing of a container is, unless it is zeros: the first byte that is none, and what
/// the bytes from there on are, as the end of a sentence; or what cannot be read, and why.
///
/// # Errors
/// If the image cannot be read further.
pub(super) fn between(
    view: &mut dyn ImageView,
    from: u64,
    to: u64,
) -> Result<Result<Option<Found>, (u64, Missing)>, Halt> {
    let at = match first_used(view, from, to)? {
        Ok(Some(at)) => at,
        Ok(None) => return Ok(Ok(None)),
        Err(missing) => return Ok(Err(missing)),
    };
    let mut bytes = vec![0; to.saturating_sub(at).min(PIECE as u64) as usize];
    Ok(match view.read_at(at, &mut bytes)? {
        Got::Bytes(count) => Ok(Some((at, begin_with(bytes.get(..count).unwrap_or_default())?))),
        Got::Missing(missing) => Err((at, missing)),
    })
}

fn read<'b>(
    view: &mut dyn ImageView,
    at: u64,
    bytes: &'b mut [u8],
    notebook: &Notebook<'_>,
) -> Result<Option<&'b [u8]>, Halt> {
    match view.read_at(at, bytes)? {
        Got::Bytes(count) => Ok(Some(&bytes[..count])),
        Got::Missing(missing) => {
            not_examined(notebook, at, "what follows the image", missing);
            Ok(None)
        }
    }
}

/// What bytes are, as the end of a sentence.
///
/// # Errors
/// None, as memory can be read.
pub fn begin_with(bytes: &[u8]) -> Result<String, Halt> {
    if bytes.is_empty() {
        return Ok(String::new());
    }
    if bytes == &ZEROS[..bytes.len().min(PIECE)] {
        return Ok("; the first of them are zeros".into());
    }
    let shown = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
    Ok(match known(bytes)? {
        Some(name) => format!("; they begin as a {name} file does, with \"{shown}\""),
        None => format!("; they begin with \"{shown}\""),
    })
}

/// Which format bytes begin like.
fn known(bytes: &[u8]) -> Result<Option<&'static str>, Halt> {
    let packing = sniff(bytes);
    if !matches!(packing, Packing::Plain) {
        return Ok(Some(packing.compression().as_str()));
    }
    let found = detect(&mut MemoryImage::from(bytes))?;
    let known = found.containers.first().or(found.iso9660.as_ref()).or(found.content.as_ref());
    let known = known.filter(|known| known.format != DiskFormat::Unknown);
    Ok(known.map(|known| known.format.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tail: &[u8]) -> Option<(Code, String)> {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryImage::new([&[7; 4096][..], tail].concat());
        let end = End {
            at: 4096,
            code: Code::Qcow2TrailingBytes,
            unit: 4096,
            spare: 0,
            freed: 2 * PIECE as u64,
        };
        judge(&mut view, end, &notebook).unwrap();
        notebook.close().pop().map(|anomaly| (anomaly.code, anomaly.said))
    }

    #[test]
    fn zeros_have_lengths_that_writers_leave_and_the_rest_is_named() {
        assert_eq!(found(&[]), None);
        for (len, code) in [
            (1, Code::ImageZerosBehind),
            (512, Code::ImageZerosBehind),
            (1460, Code::ImageZerosBehind),
            (2 * PIECE, Code::ImagePadded),
            (2 * PIECE - 5, Code::ImageZerosBehind),
            (2 * PIECE + 5, Code::ImagePadded),
            (3 * PIECE, Code::ImagePadded),
            ((1 << 20) - 4096, Code::ImagePadded),
            ((3 << 20) + 512, Code::ImagePadded),
        ] {
            assert_eq!(found(&vec![0; len]).unwrap().0, code, "{len}");
        }
        let mut far = vec![0; 2 * PIECE + 700];
        far.extend(b"PK\x03\x04\x1b[m");
        let (_, said) = found(&far).unwrap();
        assert!(said.contains("7 bytes (7 B) from byte 135868 on"), "{said}");
        assert!(said.ends_with("as a zip file does, with \"PK\\x03\\x04\\x1b[m\"."), "{said}");
        for (tail, expected) in [
            (
                &b"QFI\xfb\0\0\0\x03"[..],
                "as a qcow2 file does, with \"QFI\\xfb\\x00\\x00\\x00\\x03\".",
            ),
            (b"\x9e\x01noise", "they begin with \"\\x9e\\x01noise\"."),
        ] {
            let (_, said) = found(tail).unwrap();
            assert!(said.ends_with(expected), "{said}");
        }
    }
}
