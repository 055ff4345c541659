//! Bytes behind the end of what an image uses.

use super::{Got, Halt, ImageView, detect};
use crate::codec::{Packing, sniff};
use crate::facts::{Code, Compression, Notebook};

/// Bytes that are looked at to say what follows.
const LOOKED_AT: usize = 512;

/// The place behind the end of an image, which has to be known before a stream passes it.
pub struct Tail {
    /// Image offset of the first byte that belongs to nothing.
    end: u64,
}

impl Tail {
    /// Asks the view to keep what stands behind `end`.
    #[must_use]
    pub fn watch(view: &mut dyn ImageView, end: u64) -> Tail {
        view.keep(end, LOOKED_AT as u64);
        Tail { end }
    }

    /// Writes down what follows in an image of `size` bytes.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub fn judge(
        &self,
        view: &mut dyn ImageView,
        size: u64,
        notebook: &Notebook<'_>,
    ) -> Result<(), Halt> {
        let count = size.saturating_sub(self.end);
        if count == 0 {
            return Ok(());
        }
        let mut first = [0; LOOKED_AT];
        let first = match view.read_at(self.end, &mut first)? {
            Got::Bytes(have) => describe(first.get(..have).unwrap_or_default()),
            Got::Missing(_) => "what passed unseen".into(),
        };
        notebook.image(Code::ImageTrailingBytes, self.end, format!(
            "What the image uses ends at byte {}, but {count} bytes follow, which begin with {first}.", self.end));
        Ok(())
    }
}

/// What bytes begin with, in a few words.
pub(super) fn describe(first: &[u8]) -> String {
    if first.iter().all(|&byte| byte == 0) {
        return "zeros".into();
    }
    let format = detect(&mut Bytes(first)).ok().and_then(|found| {
        found.containers.into_iter().chain(found.content).next().map(|found| found.format)
    });
    match (sniff(first), format) {
        (Packing::Plain, Some(format)) => format!("the mark of {}", format.as_str()),
        (packing, _) if packing.compression() != Compression::None => {
            format!("the mark of {}", packing.compression().as_str())
        }
        _ => {
            let shown: Vec<_> = first.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("{}", shown.join(" "))
        }
    }
}

/// Some bytes as an image of their own.
struct Bytes<'b>(&'b [u8]);

impl ImageView for Bytes<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let image = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let count = image.len().min(buf.len());
        buf[..count].copy_from_slice(&image[..count]);
        Ok(Got::Bytes(count))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.0.len() as u64))
    }
}
