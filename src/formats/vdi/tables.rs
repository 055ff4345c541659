use super::header::{
    ALLOCATED_AT, BLOCK_EXTRA_AT, BLOCK_SIZE_AT, BLOCKS_AT, DATA_AT, DISK_SIZE_AT, Header, MAP_AT,
};
use crate::bytes::human_size;
use crate::facts::{Code, Notebook};
use crate::formats::Reach;

/// The block size that VirtualBox and QEMU write, and the only one that QEMU opens.
const USUAL_BLOCK: u64 = 1 << 20;

/// Most blocks that QEMU opens (`VDI_BLOCKS_IN_IMAGE_MAX`).
const MOST_BLOCKS: u32 = 0x1fff_ff80;

/// Checks blocks, map and data, without reading them. False if the disk cannot be found with them.
pub(super) fn check(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) -> bool {
    // The places are said to be wrong also where the sizes are.
    let sizes = check_block_size(header, notebook) && check_counts(header, notebook);
    let places = check_places(header, notebook, reach);
    sizes && places
}

fn check_block_size(header: &Header, notebook: &Notebook<'_>) -> bool {
    let size = header.block_size;
    if !size.is_power_of_two() || size < 512 {
        notebook.image(
            Code::VdiBlockSizeInvalid,
            BLOCK_SIZE_AT,
            format!("Blocks have {size} bytes; powers of two from 512 on are possible."),
        );
        return false;
    }
    if header.block_extra != 0 {
        notebook.image(Code::VdiBlockSizeInvalid, BLOCK_EXTRA_AT, format!(
            "Each block has {} extra bytes, which QEMU ignores and VirtualBox steps over: the disk depends on who reads it.",
            header.block_extra));
        return false;
    }
    if size != USUAL_BLOCK {
        notebook.image(
            Code::VdiBlockSize,
            BLOCK_SIZE_AT,
            format!("Blocks have {size} bytes; QEMU opens only images with 1 MiB."),
        );
    }
    true
}

fn check_counts(header: &Header, notebook: &Notebook<'_>) -> bool {
    let blocks = header.blocks;
    let mut usable = true;
    let mut mismatch = |at, said: String| {
        usable = false;
        notebook.image(Code::VdiBlockCountMismatch, at, said);
    };
    if blocks > MOST_BLOCKS {
        mismatch(
            BLOCKS_AT,
            format!("The image has {blocks} blocks; QEMU opens {MOST_BLOCKS} at most."),
        );
    }
    let mapped = u64::from(blocks).saturating_mul(header.block_size);
    if mapped < header.size {
        mismatch(
            DISK_SIZE_AT,
            format!(
                "The disk has {} bytes ({}), but the image has only {blocks} blocks of {} bytes.",
                header.size,
                human_size(header.size),
                header.block_size
            ),
        );
    }
    if header.allocated > blocks {
        mismatch(
            ALLOCATED_AT,
            format!("{} blocks are allocated, more than the {blocks} there are.", header.allocated),
        );
    }
    usable
}

fn check_places(header: &Header, notebook: &Notebook<'_>, reach: &mut Reach) -> bool {
    let mut usable = true;
    let mut invalid = |at, said: String| {
        usable = false;
        notebook.image(Code::VdiBlockMapInvalid, at, said);
    };
    let map_end = header.map_at + u64::from(header.blocks) * 4;
    for (at, name, offset) in
        [(MAP_AT, "block map", header.map_at), (DATA_AT, "data", header.data_at)]
    {
        if !offset.is_multiple_of(512) {
            invalid(at, format!("The {name} begins at byte {offset}, not at a multiple of 512."));
        }
    }
    if header.map_at < header.end {
        invalid(
            MAP_AT,
            format!(
                "The block map begins at byte {}, but the header reaches to byte {}.",
                header.map_at, header.end
            ),
        );
    }
    if header.data_at < map_end {
        invalid(
            DATA_AT,
            format!(
                "The data begins at byte {}, but the block map reaches to byte {map_end}.",
                header.data_at
            ),
        );
    }
    reach.include("the block map", header.map_at, map_end - header.map_at);
    // Writers store every block in full, the last one too.
    let data = u64::from(header.allocated).saturating_mul(header.block_size);
    reach.include("the last allocated block", header.data_at, data);
    usable
}
