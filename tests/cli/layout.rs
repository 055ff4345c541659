//! qcow2 images that are laid out piece by piece.

use std::io::Write as _;

use super::qcow2;

/// A qcow2 image of version 3 that is laid out piece by piece, and sound in the end.
pub(super) struct Layout {
    bits: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) counts: Vec<u16>,
}

impl Layout {
    /// A disk of `guest` clusters.
    pub(super) fn new(bits: u32, guest: u64) -> Self {
        let mut layout = Layout { bits, bytes: Vec::new(), counts: Vec::new() };
        layout.take(1);
        layout.put(0, b"QFI\xfb\0\0\0\x03");
        layout.put(20, &bits.to_be_bytes());
        layout.long(24, guest << bits);
        layout.put(96, &4u32.to_be_bytes());
        layout.put(100, &104u32.to_be_bytes());
        layout
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn long(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_be_bytes());
    }

    /// The next clusters, each used once.
    pub(super) fn take(&mut self, clusters: usize) -> usize {
        let at = self.bytes.len();
        self.counts.resize(self.counts.len() + clusters, 1);
        self.bytes.resize(self.counts.len() << self.bits, 0);
        at
    }

    /// An L1 table of so many entries.
    pub(super) fn l1(&mut self, entries: usize) -> usize {
        let at = self.take((entries * 8).div_ceil(1 << self.bits));
        self.put(36, &(entries as u32).to_be_bytes());
        self.long(40, at as u64);
        at
    }

    /// The disk's first cluster, with a partition table.
    pub(super) fn first(&mut self) -> usize {
        let at = self.take(1);
        let partition = [0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
        self.put(at + 446, &partition);
        self.put(at + 510, &[0x55, 0xaa]);
        at
    }

    /// An entry of a table that leads to something that only it uses.
    pub(super) fn map(&mut self, entry: usize, at: usize) {
        self.long(entry, qcow2::COPIED | at as u64);
    }

    /// An L2 entry of a compressed cluster of `len` bytes at `at`, whose image clusters were taken.
    pub(super) fn compressed(&mut self, entry: usize, at: usize, len: usize) {
        let (first, last) = (at / 512, (at + len - 1) / 512);
        let shift = 62 - (self.bits - 8);
        self.long(entry, 1 << 62 | ((last - first) as u64) << shift | at as u64);
        for cluster in (first * 512) >> self.bits..=(last * 512) >> self.bits {
            self.counts[cluster] += 1;
        }
    }

    /// The image, with a refcount table and its blocks behind it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let per_block = 1 << (self.bits - 1);
        let (mut table, mut blocks) = (1, 1);
        while blocks * per_block < self.counts.len() + table + blocks {
            blocks += 1;
            table = (blocks * 8).div_ceil(1 << self.bits);
        }
        let at = self.take(table);
        self.long(48, at as u64);
        self.put(56, &(table as u32).to_be_bytes());
        let first = self.take(blocks);
        for block in 0..blocks {
            self.long(at + 8 * block, (first + (block << self.bits)) as u64);
        }
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        self.put(first, &counts);
        self.bytes
    }
}

/// Clusters of 512 bytes, of which the first of the disk are in reverse order and so far apart that a stream holds no two.
pub(super) fn scattered() -> Vec<u8> {
    const MOST: usize = 300;
    let mut image = Layout::new(9, 8192);
    let l1 = image.l1(128);
    let l2 = image.take(MOST.div_ceil(64));
    (0..MOST.div_ceil(64)).for_each(|table| image.map(l1 + 8 * table, l2 + 512 * table));
    for number in (0..MOST).rev() {
        let free = image.take(300);
        image.counts[free >> 9..].fill(0);
        let at = match number {
            0 => image.first(),
            _ => image.take(1),
        };
        image.map(l2 + 8 * number, at);
        image.put(at, &[7; 9]);
    }
    image.finish()
}

pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(bytes).unwrap();
    deflate.finish().unwrap()
}

/// An image whose tables lie before more compressed clusters than a stream lets wait; one of the last may be damaged.
pub(super) fn many_packed(damaged: bool) -> Vec<u8> {
    const MOST: usize = 1 << 18;
    let bytes = deflated(&[0; 512]);
    let tables = MOST / 64 + 2;
    let mut image = Layout::new(9, 64 * tables as u64);
    let l1 = image.l1(tables);
    let l2 = image.take(tables);
    (0..tables).for_each(|table| image.map(l1 + 8 * table, l2 + 512 * table));
    let first = image.first();
    image.map(l2, first);
    let data = image.take(((MOST + 10) * bytes.len()).div_ceil(512));
    image.counts[data >> 9..].fill(0);
    for number in 0..MOST + 10 {
        let at = data + number * bytes.len();
        image.put(at, &bytes);
        image.compressed(l2 + 8 + 8 * number, at, bytes.len());
    }
    if damaged {
        // A block of the type that there is none of.
        image.put(data + (MOST + 5) * bytes.len(), &[7]);
    }
    image.finish()
}
