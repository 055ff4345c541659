use super::header::Span;
use crate::formats::{Got, Halt, ImageView};

/// Sectors whose bits fit into one sector-bitmap block (MS-VHDX 2.5).
pub(super) const SECTORS_OF_A_BITMAP: u64 = 1 << 23;

/// Bytes of a BAT entry.
pub(super) const ENTRY_LENGTH: u64 = 8;

/// Bytes of the largest BAT that QEMU reads: it takes all of the region at once (`vhdx_open`,
/// `BDRV_REQUEST_MAX_BYTES`).
pub(super) const LARGEST_BAT: u64 = 0x7fff_fe00;

/// The part of the BAT that is kept. QEMU places the BAT before the metadata, so a stream has to
/// take it along before it is known how much of it matters; this maps 64 GB in blocks of 8 MiB.
const KEPT: u64 = 1 << 20;

/// Bits 0 to 2 of an entry: the state of the block.
pub(super) const STATE: u64 = 0b111;
/// Bits 3 to 19 of an entry, which have to be zero (MS-VHDX 2.5.1).
pub(super) const RESERVED: u64 = ((1 << 20) - 1) & !STATE;
/// Bits 20 to 63 of an entry: the image offset of the block, which begins at a MiB.
pub(super) const OFFSET: u64 = !((1 << 20) - 1);

/// The states of a payload block (MS-VHDX 2.5.1.1), and that which version 0.95 had for an unmapped
/// one.
pub(super) const NOT_PRESENT: u64 = 0;
pub(super) const UNDEFINED: u64 = 1;
pub(super) const ZERO: u64 = 2;
pub(super) const UNMAPPED: u64 = 3;
pub(super) const UNMAPPED_BEFORE_1: u64 = 5;
pub(super) const FULLY_PRESENT: u64 = 6;
pub(super) const PARTIALLY_PRESENT: u64 = 7;

/// The first bytes of the BAT; the rest is read when it is wanted.
#[derive(Default)]
pub(super) struct Kept(pub(super) Vec<u8>);

impl Kept {
    /// Reads the beginning of a BAT. What cannot be read is missed by whoever needs it.
    pub(super) fn read(view: &mut dyn ImageView, bat: Span) -> Result<Kept, Halt> {
        let mut bytes = vec![0; bat.len.min(KEPT) as usize];
        let count = match view.read_at(bat.at, &mut bytes)? {
            Got::Bytes(count) => count,
            Got::Missing(_) => 0,
        };
        bytes.truncate(count);
        Ok(Kept(bytes))
    }

    /// The entry that lies `offset` bytes into the BAT.
    pub(super) fn entry(&self, offset: u64) -> Option<u64> {
        let bytes = self.0.get(usize::try_from(offset).ok()?..)?;
        Some(u64::from_le_bytes(*bytes.first_chunk()?))
    }
}
