//! What lies behind the end of a container.

use super::view::{Got, Halt, ImageView, MemoryImage, not_examined};
use super::{DiskFormat, detect};
use crate::bytes::human_size;
use crate::codec::{Packing, sniff};
use crate::facts::{Code, Notebook};

/// Where a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Image offset of the first byte that belongs to nothing.
    pub at: u64,
    /// What it is if anything but zeros is there.
    pub trailing: Code,
}

/// Bytes that are looked at at a time, and that tell what they are.
const PIECE: usize = 64 << 10;

static ZEROS: [u8; PIECE] = [0; PIECE];

/// Writes down what is behind the end of a container, if that is more than zeros: preallocated space and
/// the rest of a block device hold those.
///
/// # Errors
/// If the image cannot be read further.
pub fn trailing(view: &mut dyn ImageView, end: End, notebook: &Notebook<'_>) -> Result<(), Halt> {
    let mut bytes = vec![0; PIECE];
    let mut at = end.at;
    loop {
        if let (len, true) = view.hole(at) {
            at = at.saturating_add(len.max(1));
        }
        let count = match view.read_at(at, &mut bytes)? {
            Got::Bytes(count) => count,
            Got::Missing(missing) => {
                not_examined(notebook, at, "what follows the end of the container", missing);
                return Ok(());
            }
        };
        let found = &bytes[..count];
        if found != &ZEROS[..count] {
            let zeros = found.iter().take_while(|&&byte| byte == 0).count();
            at = at.saturating_add(zeros as u64);
            let Got::Bytes(count) = view.read_at(at, &mut bytes)? else { return Ok(()) };
            let first = &bytes[..count];
            let Some(size) = view.size()? else { return Ok(()) };
            let (len, what) = (size.saturating_sub(at), what(first)?);
            notebook.image(end.trailing, at, format!(
                "The image ends at byte {}, and {len} bytes ({}) from byte {at} on belong to nothing; they begin {what}.",
                end.at, human_size(len)));
            return Ok(());
        }
        if count < PIECE {
            return Ok(());
        }
        at = at.saturating_add(count as u64);
    }
}

/// What bytes begin like.
fn what(bytes: &[u8]) -> Result<String, Halt> {
    if let packing @ (Packing::Gzip | Packing::Bzip2 | Packing::Foreign(..)) = sniff(bytes) {
        return Ok(format!("like {}", packing.compression().as_str()));
    }
    let found = detect(&mut MemoryImage::from(bytes))?;
    let known = found.containers.first().or(found.iso9660.as_ref()).or(found.content.as_ref());
    if let Some(known) = known.filter(|known| known.format != DiskFormat::Unknown) {
        return Ok(format!("like {}", known.format.as_str()));
    }
    let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("with the bytes {}", first.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{MemoryFeed, StreamView};

    fn found(tail: &[u8]) -> Option<String> {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryImage::new([&[7; 4096][..], tail].concat());
        let end = End { at: 4096, trailing: Code::Qcow2TrailingBytes };
        trailing(&mut view, end, &notebook).unwrap();
        notebook.close().pop().map(|anomaly| anomaly.said)
    }

    #[test]
    fn zeros_are_nothing_and_the_rest_is_named() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[0; 3 * PIECE + 5]), None);
        let mut far = vec![0; 2 * PIECE + 700];
        far.extend(b"PK\x03\x04 a zip");
        let said = found(&far).unwrap();
        assert!(said.contains("byte 135868 on") && said.contains("like zip"), "{said}");
        let said = found(b"QFI\xfb\0\0\0\x03and so on").unwrap();
        assert!(said.contains("like qcow2"), "{said}");
        let said = found(&[0x9e; 100]).unwrap();
        assert!(said.contains("100 bytes") && said.contains("9e 9e"), "{said}");
    }

    #[test]
    fn what_a_stream_has_passed_is_not_taken_for_nothing() {
        let image = MemoryImage::new(vec![7; 4 << 20]);
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = StreamView::new(Box::new(MemoryFeed::new(image)), None, &notebook, false);
        view.run_out().unwrap();
        let end = End { at: 2 << 20, trailing: Code::Qcow2TrailingBytes };
        trailing(&mut view, end, &notebook).unwrap();
        assert!(notebook.has(Code::StructureNotExamined));
    }
}
