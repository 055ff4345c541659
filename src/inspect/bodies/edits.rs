//! Small inputs that become images: a seed, a size and changes at places where structures are.

use std::ops::Range;

use crate::formats::MemoryImage;

/// Changes that are made at most; what follows in the input is left.
const MOST_CHANGES: usize = 48;

/// Bytes of a structure at most between two sectors that are all zeros; longer ones are cut.
const ISLAND: usize = 4096;

/// The image was cut or made longer.
const RESIZED: u8 = 1;
/// Check sums stay as they are, so that the image is found damaged.
const UNREPAIRED: u8 = 2;

/// The bytes of an input, and zeros after them.
pub(super) struct Input<'b>(pub(super) &'b [u8]);

impl<'b> Input<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Input(bytes)
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn number(&mut self, bytes: u32) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// A valid image, and where in it there is anything.
pub(super) struct Seed {
    pub(super) bytes: Vec<u8>,
    islands: Vec<Range<usize>>,
}

impl Seed {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut islands: Vec<Range<usize>> = Vec::new();
        for (index, sector) in bytes.chunks(512).enumerate() {
            // Slices, because a loop over bytes is slow where every branch is counted.
            if *sector == [0; 512][..sector.len()] {
                continue;
            }
            let start = index * 512;
            match islands.last_mut() {
                Some(last) if last.end == start && last.len() < ISLAND => {
                    last.end += sector.len();
                }
                _ => islands.push(start..start + sector.len()),
            }
        }
        if islands.is_empty() {
            islands.push(0..bytes.len().min(512));
        }
        Seed { bytes, islands }
    }

    fn place(&self, input: &mut Input<'_>, mode: u8, size: u64) -> u64 {
        match mode {
            0 => input.number(2),
            1 => {
                let island = &self.islands[usize::from(input.byte()) % self.islands.len()];
                // Also what follows it: a table's unused entries are zeros.
                island.start as u64 + input.number(2) % (2 * island.len() as u64 + 64)
            }
            2 => input.number(5),
            _ => size.saturating_sub(input.number(2)),
        }
    }
}

/// Values at which arithmetic breaks.
fn boundary(index: u8, size: u64, place: u64) -> u64 {
    let values = [
        0,
        1,
        2,
        u64::MAX,
        u64::MAX - 1,
        1 << 63,
        (1 << 63) - 1,
        1 << 32,
        (1 << 32) - 1,
        1 << 31,
        (1 << 31) - 1,
        (1 << 56) - 1,
        0xffff,
        512,
        4096,
        1 << 16,
        1 << 20,
        size,
        size.wrapping_sub(1),
        size + 1,
        size / 512,
        size.next_multiple_of(1 << 16),
        place,
        place / 512,
        place & !511,
        place & !0xffff,
        place >> 20 << 20,
        1 << 63 | (place & !511),
        1 << 62 | (place & !511),
        3 << 62 | (place & !511),
        u64::MAX - 511,
        1 << 40,
    ];
    values[usize::from(index) % values.len()]
}

/// The image that an input describes: one of `seeds`, changed, of at most `most` bytes. `repair` makes
/// check sums right after that, so that what lies behind them is reached.
pub(super) fn decode<'s>(
    seeds: &'s [Seed],
    input: &[u8],
    most: u64,
    repair: fn(&mut MemoryImage<'_>),
) -> MemoryImage<'s> {
    let mut input = Input(input);
    let seed = &seeds[usize::from(input.byte()) % seeds.len()];
    let mut image = MemoryImage::from(&seed.bytes);
    let flags = input.byte();
    if flags & RESIZED != 0 {
        let shift = u32::from(input.byte() % 40);
        image.resize((input.number(3) << shift).min(most));
    }
    for _ in 0..MOST_CHANGES {
        if input.0.is_empty() {
            break;
        }
        change(&mut image, seed, &mut input);
    }
    if flags & UNREPAIRED == 0 {
        repair(&mut image);
    }
    image
}

/// Makes one change: the lowest two bits of its first byte say where, the next three what.
fn change(image: &mut MemoryImage<'_>, seed: &Seed, input: &mut Input<'_>) {
    let kind = input.byte();
    let place = seed.place(input, kind & 3, image.len());
    let little = kind & 0x20 != 0;
    let in_order = |value: u64, width: usize| match little {
        true => value.to_le_bytes()[..width].to_vec(),
        false => value.to_be_bytes()[8 - width..].to_vec(),
    };
    let width = if kind & 0x40 != 0 { 8 } else { 4 };
    match kind >> 2 & 7 {
        0 | 1 => {
            let count = usize::from(input.byte() % 64) + 1;
            image.patch(place, input.bytes(count));
        }
        2 => {
            let value = boundary(input.byte(), image.len(), place);
            image.patch(place, in_order(value, width));
        }
        // A little more or less than it was.
        3 => {
            let mut old = [0; 8];
            image.read(place, &mut old[..width]);
            let number = match little {
                true => u64::from_le_bytes(old),
                false => u64::from_be_bytes(old) >> (64 - 8 * width),
            };
            let changed = number.wrapping_add_signed(i64::from(input.byte() as i8));
            image.patch(place, in_order(changed, width));
        }
        4 => {
            let byte = input.byte();
            image.patch(place, vec![byte; input.number(2) as usize + 1]);
        }
        // What is somewhere else: duplicates and references to oneself.
        5 => {
            let from = seed.place(input, 1, image.len());
            let mut bytes = vec![0; 8 * (usize::from(input.byte()) + 1)];
            let count = image.read(from, &mut bytes);
            bytes.truncate(count);
            image.patch(place, bytes);
        }
        // A table of one entry, again and again.
        6 => {
            let entry = in_order(input.number(width as u32), width);
            image.patch(place, entry.repeat(8 * (usize::from(input.byte()) + 1)));
        }
        // A table of entries in arithmetic order.
        _ => {
            let first = input.number(width as u32);
            let step = input.number(3);
            let entries = 0..8 * (u64::from(input.byte()) + 1);
            image.patch(
                place,
                entries
                    .flat_map(|index| in_order(first.wrapping_add(step.wrapping_mul(index)), width))
                    .collect(),
            );
        }
    }
}

/// The input that changes a seed by writing these bytes at these offsets.
#[must_use]
pub fn encode(seed: u8, changes: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut input = vec![seed, 0];
    for (at, bytes) in changes {
        for (index, piece) in (0..).zip(bytes.chunks(64)) {
            input.push(2);
            input.extend(&(at + 64 * index).to_be_bytes()[3..]);
            input.push(piece.len() as u8 - 1);
            input.extend(piece);
        }
    }
    input
}

/// Repairs nothing.
pub(super) fn as_it_is(_: &mut MemoryImage<'_>) {}

/// Makes the check sums of a VHDX image's headers and region tables right.
pub(super) fn repair_vhdx(image: &mut MemoryImage<'_>) {
    for (at, len) in
        [(64 << 10, 4 << 10), (128 << 10, 4 << 10), (192 << 10, 64 << 10), (256 << 10, 64 << 10)]
    {
        let mut bytes = vec![0; len];
        if image.read(at, &mut bytes) == len {
            bytes[4..8].fill(0);
            image.patch(at + 4, crc32c::crc32c(&bytes).to_le_bytes().to_vec());
        }
    }
}

/// Makes the check sums of a VHD right, as far as its structures lie where programs put them, and both footers the same.
pub(super) fn repair_vpc(image: &mut MemoryImage<'_>) {
    let end = image.len().saturating_sub(512);
    for (at, len, sum_at) in [(0, 512, 64), (512, 1024, 36), (end, 512, 64)] {
        let mut bytes = vec![0; len];
        let marks = [b"conectix", b"cxsparse"];
        if image.read(at, &mut bytes) < len || !marks.iter().any(|mark| bytes.starts_with(*mark)) {
            continue;
        }
        bytes[sum_at..sum_at + 4].fill(0);
        let sum = !bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
        bytes[sum_at..sum_at + 4].copy_from_slice(&sum.to_be_bytes());
        image.patch(at, bytes.clone());
        if at == 0 {
            image.patch(end, bytes);
        }
    }
}

/// Makes the check sums of both copies of a GPT right, as far as they lie at either end of the disk.
pub(super) fn repair_gpt(disk: &mut MemoryImage<'_>) {
    for at in [512, disk.len().saturating_sub(512)] {
        let mut header = [0; 512];
        if disk.read(at, &mut header) < 512 || !header.starts_with(b"EFI PART") {
            continue;
        }
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let len = (number(12) as usize).clamp(92, 512);
        let mut entries =
            vec![0; (u64::from(number(80)) * u64::from(number(84))).min(1 << 20) as usize];
        let start = u64::from(number(72)) | u64::from(number(76)) << 32;
        let count = disk.read(start.saturating_mul(512), &mut entries);
        header[88..92].copy_from_slice(&crc32fast::hash(&entries[..count]).to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32fast::hash(&header[..len]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk.patch(at, header.to_vec());
    }
}
