use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bytes::guid;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView};

/// Bytes before the signature: text for people.
const TEXT_LENGTH: u64 = 64;

/// The four bytes after the text.
const SIGNATURE: u32 = 0xbeda_107f;

/// Version 1.1, the only one in use since 2006.
const VERSION: u32 = 0x0001_0001;

/// The header says its length from this image offset on.
const LENGTH_FROM: u64 = 0x48;

/// The shortest header of version 1.1; newer VirtualBox adds a second geometry (0x190).
const SHORTEST: u32 = 0x180;

// Image offsets of the fields.
const SIGNATURE_AT: u64 = 0x40;
const VERSION_AT: u64 = 0x44;
const LENGTH_AT: u64 = 0x48;
const TYPE_AT: u64 = 0x4c;
pub(super) const MAP_AT: u64 = 0x154;
pub(super) const DATA_AT: u64 = 0x158;
const SECTOR_SIZE_AT: u64 = 0x168;
pub(super) const DISK_SIZE_AT: u64 = 0x170;
pub(super) const BLOCK_SIZE_AT: u64 = 0x178;
pub(super) const BLOCK_EXTRA_AT: u64 = 0x17c;
pub(super) const BLOCKS_AT: u64 = 0x180;
pub(super) const ALLOCATED_AT: u64 = 0x184;
const LINK_AT: u64 = 0x1a8;
const PARENT_AT: u64 = 0x1b8;

/// The header from the signature on.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Fields {
    signature: U32,
    version: U32,
    length: U32,
    kind: U32,
    flags: U32,
    comment: [u8; 256],
    map_offset: U32,
    data_offset: U32,
    geometry: [U32; 3],
    sector_size: U32,
    unused: U32,
    disk_size: U64,
    block_size: U32,
    block_extra: U32,
    blocks: U32,
    allocated: U32,
    uuid: [u8; 16],
    snapshot_uuid: [u8; 16],
    link_uuid: [u8; 16],
    parent_uuid: [u8; 16],
}

/// A header that says where everything is. Its numbers are what the image says; `tables` checks
/// where they point.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Image offset of the first byte after the header.
    pub(super) end: u64,
    /// Whether all blocks were meant to be allocated from the beginning.
    pub(super) fixed: bool,
    /// Image offset of the block map.
    pub(super) map_at: u64,
    /// Image offset of the first block.
    pub(super) data_at: u64,
    /// Bytes of the disk, rounded up to whole sectors.
    pub(super) size: u64,
    /// Bytes of the disk in a block.
    pub(super) block_size: u64,
    /// Bytes before each block that belong to it.
    pub(super) block_extra: u32,
    /// Entries of the block map.
    pub(super) blocks: u32,
    /// Blocks that are stored.
    pub(super) allocated: u32,
}

/// Reads the header. `None` if nothing can be found with it.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Header>, Halt> {
    let mut bytes = [0; size_of::<Fields>()];
    if !view.need(TEXT_LENGTH, &mut bytes, notebook, "the VDI header")? {
        return Ok(None);
    }
    let Ok(fields) = Fields::read_from_bytes(&bytes) else { return Ok(None) };
    if fields.signature.get() != SIGNATURE {
        notebook.image(
            Code::VdiHeaderInvalid,
            SIGNATURE_AT,
            format!(
                "The signature is {:#010x} in place of {SIGNATURE:#010x}.",
                fields.signature.get()
            ),
        );
        return Ok(None);
    }
    let version = fields.version.get();
    if version != VERSION {
        notebook.image(
            Code::VdiVersionUnsupported,
            VERSION_AT,
            format!(
                "The VDI version is {}.{}; only 1.1 can be read.",
                version >> 16,
                version & 0xffff
            ),
        );
        return Ok(None);
    }
    let length = fields.length.get();
    if length < SHORTEST {
        notebook.image(
            Code::VdiHeaderInvalid,
            LENGTH_AT,
            format!("The header says that it has {length} bytes; version 1.1 has {SHORTEST}."),
        );
        return Ok(None);
    }
    let kind = fields.kind.get();
    check_kind(kind, &fields, notebook);
    if fields.sector_size.get() != 512 {
        notebook.image(
            Code::VdiSectorSizeInvalid,
            SECTOR_SIZE_AT,
            format!("Sectors have {} bytes; only 512 can be read.", fields.sector_size.get()),
        );
    }
    Ok(Some(Header {
        end: LENGTH_FROM + u64::from(length),
        fixed: kind == 2,
        map_at: u64::from(fields.map_offset.get()),
        data_at: u64::from(fields.data_offset.get()),
        size: whole_sectors(fields.disk_size.get(), notebook),
        block_size: u64::from(fields.block_size.get()),
        block_extra: fields.block_extra.get(),
        blocks: fields.blocks.get(),
        allocated: fields.allocated.get(),
    }))
}

/// A differencing image says so by its type, by the image it is linked to, and by its parent. They are
/// one cause, whichever of them are there.
fn check_kind(kind: u32, fields: &Fields, notebook: &Notebook<'_>) {
    let name = match kind {
        1 => "dynamic",
        2 => "static",
        3 => "undo",
        4 => "differencing",
        _ => "unknown",
    };
    let uuids = [("link", LINK_AT, fields.link_uuid), ("parent", PARENT_AT, fields.parent_uuid)];
    let set: Vec<_> = uuids.into_iter().filter(|(_, _, uuid)| *uuid != [0; 16]).collect();
    if let [(_, at, _), ..] = set[..] {
        let named: Vec<String> =
            set.iter().map(|(name, _, uuid)| format!("{name} UUID {}", guid(*uuid))).collect();
        notebook.image(Code::VdiParent, at, format!(
            "The image holds only the differences to another image: it is of type {kind} ({name}) and has the {}.",
            named.join(" and the ")));
    } else if !matches!(kind, 1 | 2) {
        notebook.image(
            Code::VdiTypeUnsupported,
            TYPE_AT,
            format!(
                "The image type is {kind} ({name}); 1 (dynamic) and 2 (static) hold a whole disk."
            ),
        );
    }
}

/// QEMU rounds up to whole sectors, so the guest sees more bytes than the header says.
fn whole_sectors(size: u64, notebook: &Notebook<'_>) -> u64 {
    if size == 0 {
        notebook.image(
            Code::DiskEmpty,
            DISK_SIZE_AT,
            "The header says that the disk has no bytes.",
        );
    } else if !size.is_multiple_of(512) {
        notebook.image(
            Code::VdiSizeUnaligned,
            DISK_SIZE_AT,
            format!("The disk has {size} bytes, which is not a multiple of 512; QEMU rounds up."),
        );
    }
    // What cannot be rounded is larger than any number of blocks.
    size.checked_next_multiple_of(512).unwrap_or(size)
}
