//! What lies behind all that an image uses.

use super::{Got, Halt, ImageView};
use crate::bytes::human_size;
use crate::codec::{Packing, sniff};
use crate::facts::{Code, Notebook};
use crate::formats::{MemoryImage, detect};

/// Bytes behind the end that are looked at.
const SAMPLE: u64 = 512;

/// Bytes of them that are shown if they are nothing known.
const SHOWN: usize = 16;

/// The end of what an image uses.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    end: u64,
    code: Code,
}

impl Tail {
    /// The view keeps what comes at `end`, so that a stream can still show it when its size is known.
    pub(super) fn after(view: &mut dyn ImageView, end: u64, code: Code) -> Self {
        view.keep(end, SAMPLE);
        Tail { end, code }
    }

    pub(super) fn judge(
        &self,
        view: &mut dyn ImageView,
        size: u64,
        notebook: &Notebook<'_>,
    ) -> Result<(), Halt> {
        let len = size.saturating_sub(self.end);
        // A table that is broken uses less than it should.
        if len == 0 || notebook.doomed() {
            return Ok(());
        }
        let mut sample = [0; SAMPLE as usize];
        let sample = match view.read_at(self.end, &mut sample[..len.min(SAMPLE) as usize])? {
            Got::Bytes(count) => &sample[..count],
            Got::Missing(_) => &[],
        };
        notebook.image(
            self.code,
            self.end,
            format!(
                "The image is complete at byte {}, but {len} bytes ({}) follow that belong to nothing{}.",
                self.end,
                human_size(len),
                begin_with(sample)?
            ),
        );
        Ok(())
    }
}

/// What bytes are, as the end of a sentence.
pub(in crate::formats) fn begin_with(sample: &[u8]) -> Result<String, Halt> {
    if sample.is_empty() {
        return Ok(String::new());
    }
    if sample.iter().all(|&byte| byte == 0) {
        return Ok("; the first of them are zeros".into());
    }
    let known = match sniff(sample) {
        Packing::Plain => {
            let candidates = detect(&mut MemoryImage::from(sample))?;
            candidates.containers.first().map(|found| found.format.as_str())
        }
        packing => Some(packing.compression().as_str()),
    };
    let shown = sample.get(..SHOWN).unwrap_or(sample).escape_ascii();
    Ok(match known {
        Some(name) => format!("; they begin as a {name} file does, with \"{shown}\""),
        None => format!("; they begin with \"{shown}\""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Reach;

    fn said(tail: &[u8]) -> Option<String> {
        let image = [&[7; 1000][..], tail].concat();
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut view = MemoryImage::from(image.as_slice());
        let mut reach = Reach::default();
        reach.ends_at(&mut view, 1000, Code::VdiTrailingBytes);
        reach.judge_tail(&mut view, image.len() as u64, &notebook).unwrap();
        notebook.close().pop().map(|anomaly| anomaly.said)
    }

    #[test]
    fn says_what_follows() {
        assert_eq!(said(b""), None);
        for (tail, expected) in [
            (
                &[0; 5][..],
                "5 bytes (5 B) follow that belong to nothing; the first of them are zeros.",
            ),
            (b"PK\x03\x04\x1b[m", "as a zip file does, with \"PK\\x03\\x04\\x1b[m\"."),
            (b"QFI\xfb\0\0\0\x03", "as a qcow2 file does, with \"QFI\\xfb\\x00\\x00\\x00\\x03\"."),
            (b"noise", "they begin with \"noise\"."),
        ] {
            let said = said(tail).unwrap();
            assert!(said.ends_with(expected), "{said}");
        }
    }
}
