use super::super::edits::Input;
use super::{qcow2, vdi, vhdx, vmdk};
use crate::formats::MemoryImage;

/// A number in an image.
#[derive(Clone, Copy)]
pub(super) struct Number {
    pub(super) at: u64,
    pub(super) width: usize,
    pub(super) big: bool,
}

impl Number {
    pub(super) const fn big(at: u64, width: usize) -> Self {
        Number { at, width, big: true }
    }

    pub(super) const fn little(at: u64, width: usize) -> Self {
        Number { at, width, big: false }
    }

    /// What it says; zero where the image has ended.
    pub(super) fn read(&self, image: &MemoryImage<'_>) -> u64 {
        let mut bytes = [0; 8];
        image.read(self.at, &mut bytes[..self.width]);
        match self.big {
            true => u64::from_be_bytes(bytes) >> (64 - 8 * self.width),
            false => u64::from_le_bytes(bytes),
        }
    }

    pub(super) fn write(&self, image: &mut MemoryImage<'_>, value: u64) {
        let bytes = match self.big {
            true => value.to_be_bytes()[8 - self.width..].to_vec(),
            false => value.to_le_bytes()[..self.width].to_vec(),
        };
        image.patch(self.at, bytes);
    }
}

/// Records that follow one another.
#[derive(Default)]
pub(super) struct List {
    pub(super) name: &'static str,
    /// Image offset of the first; zero if there is none yet.
    pub(super) at: u64,
    /// Bytes that they can take.
    pub(super) room: u64,
    /// Bytes that they take.
    pub(super) length: usize,
    pub(super) records: Vec<Vec<u8>>,
    /// Records that could be there.
    pub(super) templates: Vec<Vec<u8>>,
    /// Records that every reader skips, what the image has to have for them, and how many records come
    /// after them.
    pub(super) harmless: Vec<Vec<u8>>,
    pub(super) harmless_room: Option<(u64, u64)>,
    pub(super) last: usize,
    /// What says how many there are.
    pub(super) counts: Vec<Number>,
    /// What says how many bytes they have.
    pub(super) bytes: Option<Number>,
    /// What says where they are.
    pub(super) place: Option<Number>,
    /// Image offset of a second copy.
    pub(super) copy: Option<u64>,
    /// Whether the image ends with them.
    pub(super) to_the_end: bool,
    /// What has to stand elsewhere for them to count.
    pub(super) also: Vec<(u64, Vec<u8>)>,
}

impl List {
    /// Records of `width` bytes each, `count` of them, at most 64.
    pub(super) fn table(name: &'static str, bytes: &[u8], at: u64, width: u64, count: u64) -> List {
        let count = count.min(64);
        let records: Vec<Vec<u8>> =
            (0..count).map(|index| slice(bytes, at + index * width, width)).collect();
        let length = records.concat().len();
        List { name, at, room: count * width, length, records, ..List::default() }
    }
}

/// A number that says where something is.
pub(super) struct Pointer {
    pub(super) name: &'static str,
    pub(super) number: Number,
    /// The bits of it that say so, and bytes that each counts.
    pub(super) mask: u64,
    pub(super) times: u64,
    /// Bytes of what is there.
    pub(super) object: u64,
}

/// The structures of an image.
pub(super) struct Model {
    pub(super) lists: Vec<List>,
    pub(super) pointers: Vec<Pointer>,
    /// What offsets are multiples of.
    pub(super) unit: u64,
    /// Whether structures have checksums.
    pub(super) sealed: bool,
}

impl Model {
    pub(super) fn of(bytes: &[u8]) -> Option<Model> {
        match bytes.get(..0x44)? {
            head if head.starts_with(b"QFI\xfb") => Some(qcow2::model(bytes)),
            head if head.starts_with(b"vhdxfile") => Some(vhdx::model(bytes)),
            head if head.starts_with(b"KDMV") => Some(vmdk::model(bytes)),
            head if head.ends_with(b"\x7f\x10\xda\xbe") => Some(vdi::model(bytes)),
            _ => None,
        }
    }

    pub(super) fn point(
        &mut self,
        name: &'static str,
        number: Number,
        (mask, times): (u64, u64),
        object: u64,
    ) {
        self.pointers.push(Pointer { name, number, mask, times, object });
    }
}

/// A number of the seed; zero where it has ended.
pub(super) fn number(bytes: &[u8], number: Number) -> u64 {
    number.read(&MemoryImage::from(bytes))
}

/// Bytes of the seed; fewer where it has ended.
pub(super) fn slice(bytes: &[u8], at: u64, len: u64) -> Vec<u8> {
    let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(bytes.len());
    bytes[start..end].to_vec()
}

impl Input<'_> {
    /// A number below `count`, or zero.
    pub(super) fn below(&mut self, count: usize) -> usize {
        self.number(2) as usize % count.max(1)
    }
}
