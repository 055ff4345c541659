//! Writes journals as Linux would: of all versions, at any place of their ring, with what debugfs does not write.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::debugfs::debugfs;

const MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];

/// Which check sums there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    None,
    Commits,
    V2,
    V3,
}

/// What a journal is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) sums: Sums,
    pub(crate) has_64_bits: bool,
    /// Where its log begins, counted back from its end.
    pub(crate) before_end: u32,
    pub(crate) sequence: u32,
    /// More incompatible features.
    pub(crate) features: u32,
}

/// A journal that is being written.
pub(crate) struct Log {
    image: File,
    shape: Shape,
    block_size: usize,
    /// The blocks of the journal.
    places: Vec<u64>,
    next: u32,
    pub(crate) sequence: u32,
    /// The sum of the blocks of this transaction.
    sum: u32,
    seed: u32,
    time: u64,
}

fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

fn crc32_be(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

impl Log {
    /// Begins an empty log in an image whose journal is clean, and has the superblock say that it is needed.
    pub(crate) fn new(path: &Path, block_size: usize, shape: Shape) -> Self {
        let image = File::options().read(true).write(true).open(path).unwrap();
        let said = String::from_utf8(debugfs(path, "blocks <8>\n")).unwrap();
        let numbers = said.lines().find(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let mut places: Vec<u64> =
            numbers.unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect();
        let mut superblock = [0; 1024];
        // With a map of blocks the tables are among them, and lie behind the first block of the journal.
        image.read_exact_at(&mut superblock, places[0] * block_size as u64).unwrap();
        let length = u32::from_be_bytes(superblock[16..20].try_into().unwrap());
        if places.len() > length as usize {
            let said = String::from_utf8(debugfs(path, &every_block(length))).unwrap();
            let lines = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
            places = lines.map(|line| line.trim().parse().unwrap()).collect();
        }
        assert_eq!(places.len(), length as usize);
        let seed = crc32c(!0, &superblock[0x30..0x40]);
        let next = length - shape.before_end;
        let sequence = shape.sequence;
        let log = Log {
            image,
            shape,
            block_size,
            places,
            next,
            sequence,
            sum: !0,
            seed,
            time: 1_700_000_000,
        };
        log.begin(superblock);
        log
    }

    fn begin(&self, mut superblock: [u8; 1024]) {
        let mut put = |at: usize, number: u32| {
            superblock[at..at + 4].copy_from_slice(&number.to_be_bytes());
        };
        put(4, 4);
        put(0x18, self.shape.sequence);
        put(0x1c, self.next);
        put(0x24, u32::from(self.shape.sums == Sums::Commits));
        let sums = match self.shape.sums {
            Sums::None | Sums::Commits => 0,
            Sums::V2 => 8,
            Sums::V3 => 16,
        };
        put(0x28, 1 | u32::from(self.shape.has_64_bits) << 1 | sums | self.shape.features);
        superblock[0x50] = if sums == 0 { 0 } else { 4 };
        superblock[0xfc..0x100].fill(0);
        if sums != 0 {
            let sum = crc32c(!0, &superblock);
            superblock[0xfc..0x100].copy_from_slice(&sum.to_be_bytes());
        }
        self.image.write_all_at(&superblock, self.places[0] * self.block_size as u64).unwrap();
        set_needs_recovery(&self.image);
    }

    fn has_tails(&self) -> bool {
        matches!(self.shape.sums, Sums::V2 | Sums::V3)
    }

    fn first(&self, kind: u32) -> Vec<u8> {
        let mut block = vec![0; self.block_size];
        block[..4].copy_from_slice(&MAGIC);
        block[4..8].copy_from_slice(&kind.to_be_bytes());
        block[8..12].copy_from_slice(&self.sequence.to_be_bytes());
        block
    }

    fn push(&mut self, block: &[u8]) {
        let place = self.places[self.next as usize];
        self.image.write_all_at(block, place * self.block_size as u64).unwrap();
        self.next += 1;
        if self.next as usize == self.places.len() {
            self.next = 1;
        }
    }

    fn push_with_tail(&mut self, mut block: Vec<u8>) {
        if self.has_tails() {
            let sum = crc32c(self.seed, &block).to_be_bytes();
            let end = block.len();
            block[end - 4..].copy_from_slice(&sum);
        }
        self.push(&block);
    }

    /// Writes copies of blocks, in as many descriptors as they need.
    pub(crate) fn copies(&mut self, copies: &[(u64, Vec<u8>)]) {
        let size = match (self.shape.sums, self.shape.has_64_bits) {
            (Sums::V3, _) => 16,
            (Sums::V2, wide) => 10 + 4 * usize::from(wide),
            (_, wide) => 8 + 4 * usize::from(wide),
        };
        let room = self.block_size - 12 - 16 - if self.has_tails() { 4 } else { 0 };
        for copies in copies.chunks(room / size) {
            let mut descriptor = self.first(1);
            let mut at = 12;
            let mut blocks = Vec::new();
            for (index, (number, block)) in copies.iter().enumerate() {
                let mut block = block.clone();
                let mut flags = if index == 0 { 0u32 } else { 2 };
                if index + 1 == copies.len() {
                    flags |= 8;
                }
                if block[..4] == MAGIC {
                    flags |= 1;
                    block[..4].fill(0);
                }
                let sum = crc32c(crc32c(self.seed, &self.sequence.to_be_bytes()), &block);
                let mut tag = [0; 16];
                tag[..4].copy_from_slice(&(*number as u32).to_be_bytes());
                tag[4..8].copy_from_slice(&flags.to_be_bytes());
                if self.shape.sums == Sums::V2 {
                    tag[4..6].copy_from_slice(&(sum as u16).to_be_bytes());
                }
                if self.shape.has_64_bits {
                    tag[8..12].copy_from_slice(&((number >> 32) as u32).to_be_bytes());
                }
                if self.shape.sums == Sums::V3 {
                    tag[12..16].copy_from_slice(&sum.to_be_bytes());
                }
                descriptor[at..at + size].copy_from_slice(&tag[..size]);
                at += size + if index == 0 { 16 } else { 0 };
                blocks.push(block);
            }
            self.sum = crc32_be(self.sum, &descriptor);
            self.push_with_tail(descriptor);
            for block in blocks {
                self.sum = crc32_be(self.sum, &block);
                self.push(&block);
            }
        }
    }

    /// Writes that older copies of these blocks do not count.
    pub(crate) fn revoke(&mut self, numbers: &[u64]) {
        let mut block = self.first(5);
        let mut at = 16;
        for number in numbers {
            let bytes = number.to_be_bytes();
            let bytes = if self.shape.has_64_bits { &bytes[..] } else { &bytes[4..] };
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        }
        block[12..16].copy_from_slice(&(at as u32).to_be_bytes());
        self.push_with_tail(block);
    }

    /// Ends a transaction.
    pub(crate) fn commit(&mut self) {
        self.commit_with(0);
    }

    /// The same, with its check sum changed by these bits.
    pub(crate) fn commit_with(&mut self, bits: u32) {
        let mut block = self.first(2);
        self.time += 5;
        block[48..56].copy_from_slice(&self.time.to_be_bytes());
        let sum = match self.shape.sums {
            Sums::None => 0,
            Sums::Commits => {
                (block[12], block[13]) = (1, 4);
                self.sum
            }
            Sums::V2 | Sums::V3 => crc32c(self.seed, &block),
        };
        block[16..20].copy_from_slice(&(sum ^ bits).to_be_bytes());
        self.push(&block);
        self.sum = !0;
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Changes a byte of the block of the journal that is so many blocks before the next one.
    pub(crate) fn damage(&self, back: u32, byte: usize) {
        let at = self.places[(self.next - back) as usize] * self.block_size as u64 + byte as u64;
        let mut old = [0];
        self.image.read_exact_at(&mut old, at).unwrap();
        self.image.write_all_at(&[old[0] ^ 0x40], at).unwrap();
    }

    /// Writes a block of the journal itself.
    pub(crate) fn put(&self, index: u32, bytes: &[u8]) {
        let place = self.places[index as usize];
        self.image.write_all_at(bytes, place * self.block_size as u64).unwrap();
    }

    pub(crate) fn length(&self) -> u32 {
        self.places.len() as u32
    }
}

fn every_block(length: u32) -> String {
    (0..length).map(|block| format!("bmap <8> {block}\n")).collect()
}

/// Has the superblock say that the journal was in use, and its check sum be right.
fn set_needs_recovery(image: &File) {
    let mut superblock = [0; 1024];
    image.read_exact_at(&mut superblock, 1024).unwrap();
    superblock[0x60] |= 4;
    if superblock[0x65] & 4 != 0 {
        let sum = crc32c(!0, &superblock[..0x3fc]);
        superblock[0x3fc..].copy_from_slice(&sum.to_le_bytes());
    }
    image.write_all_at(&superblock, 1024).unwrap();
}
