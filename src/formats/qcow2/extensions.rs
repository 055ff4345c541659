//! The header extensions, held against all that QEMU wants of them (`qcow2_read_extensions`,
//! `block/qcow2.c`) and what the format says of each.

use std::collections::BTreeSet;

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView};

const END: u32 = 0;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const FEATURE_NAMES: u32 = 0x6803_f857;
const BITMAPS: u32 = 0x2385_2875;
const ENCRYPTION: u32 = 0x0537_be77;

/// A name of a format is shorter (`backing_format`, `include/block/block_int-common.h`).
const BACKING_FORMAT_END: u32 = 16;

/// An entry of the table of feature names: kind, bit, and 46 bytes of a name.
const FEATURE_NAME: usize = 48;

/// Kinds of features: incompatible, compatible, autoclear.
const FEATURE_KINDS: u8 = 3;

/// `QCOW2_MAX_BITMAPS` and `QCOW2_MAX_BITMAP_DIRECTORY_SIZE`.
const MOST_BITMAPS: u32 = 65535;
const LARGEST_DIRECTORY: u64 = 1024 * MOST_BITMAPS as u64;

/// More than this no writer makes; bounds the walk.
const MOST: usize = 256;

/// What the header says that its extensions depend on.
pub(super) struct Context {
    /// Image offset of the first extension, and of the byte behind all of them.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) cluster_size: u64,
    pub(super) luks: bool,
    /// Whether an autoclear bit says that the bitmaps are up to date.
    pub(super) bitmaps_valid: bool,
}

/// What the extensions name.
#[derive(Clone, Debug, Default)]
pub(super) struct Extensions {
    pub(super) bitmaps: Option<Bitmaps>,
    /// The header of the encryption.
    pub(super) encryption: Option<Encryption>,
    /// Image offset behind them.
    pub(super) end: u64,
}

/// Where the directory of persistent bitmaps is.
#[derive(Clone, Debug)]
pub(super) struct Bitmaps {
    pub(super) count: u32,
    pub(super) size: u64,
    pub(super) offset: u64,
    /// Image offset of the extension.
    pub(super) named_at: u64,
}

/// Where the header of the encryption is.
#[derive(Clone, Debug)]
pub(super) struct Encryption {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Image offset of the extension.
    pub(super) named_at: u64,
}

/// Reads the extensions up to the end mark. Those of no interest are stepped over.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    context: &Context,
) -> Result<Extensions, Halt> {
    #[derive(FromBytes, KnownLayout, Immutable)]
    #[repr(C)]
    struct Head {
        kind: U32,
        len: U32,
    }
    let invalid = |at, said: String| notebook.image(Code::Qcow2ExtensionInvalid, at, said);
    let mut found = Extensions::default();
    let mut seen = BTreeSet::new();
    let mut at = context.start;
    while at < context.end {
        let mut bytes = [0; 8];
        // Behind the end of an image QEMU reads zeros, which are the end mark.
        let whole = view.read_at(at, &mut bytes)? == Got::Bytes(8);
        let Some(head) = Head::read_from_bytes(&bytes).ok().filter(|_| whole) else { break };
        let (kind, len) = (head.kind.get(), head.len.get());
        let data = at + 8;
        // The end mark has no data, but QEMU looks at its length before it knows that it is one.
        if data > context.end || u64::from(len) > context.end - data {
            invalid(
                at,
                format!(
                    "The header extension {kind:#010x} says {len} bytes of data, more than is left for extensions."
                ),
            );
            break;
        }
        if kind == END {
            at = data;
            break;
        }
        if seen.len() >= MOST {
            invalid(at, format!("There are more than {MOST} header extensions."));
            break;
        }
        if !seen.insert(kind) {
            invalid(
                at,
                format!(
                    "The header extension {kind:#010x} is there twice; readers may take either."
                ),
            );
        }
        match kind {
            BACKING_FORMAT if len >= BACKING_FORMAT_END => invalid(at, format!(
                "The name of the backing file's format has {len} bytes; 15 are the most.")),
            FEATURE_NAMES => {
                let mut table = vec![0; len as usize];
                view.read_at(data, &mut table)?;
                if let Err(said) = feature_names(&table) {
                    invalid(at, said);
                }
            }
            ENCRYPTION => match encryption(view, context, at, len)? {
                Ok(header) => found.encryption = Some(header),
                Err(said) => invalid(at, said),
            },
            BITMAPS => match bitmaps(view, context, at, len)? {
                Ok(Some(bitmaps)) => found.bitmaps = Some(bitmaps),
                Ok(None) => notebook.image(
                    Code::Qcow2BitmapsStale,
                    at,
                    "The image has persistent bitmaps, but autoclear bit 0 does not say that they are valid.",
                ),
                Err(said) => notebook.image(Code::Qcow2BitmapsInvalid, at, said),
            },
            _ => {}
        }
        at = data + u64::from(len).next_multiple_of(8);
    }
    found.end = at;
    Ok(found)
}

/// Names of features; empty entries fill the table up.
fn feature_names(table: &[u8]) -> Result<(), String> {
    if !table.len().is_multiple_of(FEATURE_NAME) {
        return Err(format!(
            "The table of feature names has {} bytes, which is not a multiple of {FEATURE_NAME}.",
            table.len()
        ));
    }
    let wrong = |entry: &&[u8]| entry[0] >= FEATURE_KINDS || entry[1] > 63;
    match table.chunks_exact(FEATURE_NAME).find(wrong) {
        Some(entry) => Err(format!(
            "The table of feature names has a feature of kind {} with bit {}; kinds 0 to 2 and bits 0 to 63 exist.",
            entry[0], entry[1]
        )),
        None => Ok(()),
    }
}

fn encryption(
    view: &mut dyn ImageView,
    context: &Context,
    at: u64,
    len: u32,
) -> Result<Result<Encryption, String>, Halt> {
    #[derive(FromBytes, KnownLayout, Immutable)]
    #[repr(C)]
    struct Raw {
        offset: U64,
        len: U64,
    }
    if !context.luks {
        let said = "There is an encryption header, but the encryption method is not LUKS.";
        return Ok(Err(said.into()));
    }
    if len as usize != size_of::<Raw>() {
        return Ok(Err(format!(
            "The extension for the encryption header has {len} bytes instead of 16."
        )));
    }
    let mut bytes = [0; size_of::<Raw>()];
    let whole = view.read_at(at + 8, &mut bytes)? == Got::Bytes(bytes.len());
    let Some(raw) = Raw::read_from_bytes(&bytes).ok().filter(|_| whole) else {
        return Ok(Err("A header extension cannot be read: the image ends inside it.".into()));
    };
    let (offset, len) = (raw.offset.get(), raw.len.get());
    if !offset.is_multiple_of(context.cluster_size) {
        return Ok(Err(format!(
            "The encryption header is at byte {offset}, which is not the beginning of a cluster."
        )));
    }
    Ok(Ok(Encryption { offset, len, named_at: at }))
}

fn bitmaps(
    view: &mut dyn ImageView,
    context: &Context,
    at: u64,
    len: u32,
) -> Result<Result<Option<Bitmaps>, String>, Halt> {
    #[derive(FromBytes, KnownLayout, Immutable)]
    #[repr(C)]
    struct Raw {
        count: U32,
        reserved: U32,
        size: U64,
        offset: U64,
    }
    if len as usize != size_of::<Raw>() {
        return Ok(Err(format!("The bitmaps extension has {len} bytes instead of 24.")));
    }
    if !context.bitmaps_valid {
        return Ok(Ok(None));
    }
    let mut bytes = [0; size_of::<Raw>()];
    let whole = view.read_at(at + 8, &mut bytes)? == Got::Bytes(bytes.len());
    let Some(raw) = Raw::read_from_bytes(&bytes).ok().filter(|_| whole) else {
        return Ok(Err("A header extension cannot be read: the image ends inside it.".into()));
    };
    let (count, size, offset) = (raw.count.get(), raw.size.get(), raw.offset.get());
    if raw.reserved.get() != 0 {
        return Ok(Err("The reserved field of the bitmaps extension is not zero.".into()));
    }
    if count == 0 || count > MOST_BITMAPS {
        return Ok(Err(format!(
            "The image has {count} bitmaps; 1 to {MOST_BITMAPS} are possible."
        )));
    }
    if offset == 0 || !offset.is_multiple_of(context.cluster_size) {
        return Ok(Err(format!(
            "The directory of {count} bitmaps is at byte {offset}, which is impossible."
        )));
    }
    if size == 0 || size > LARGEST_DIRECTORY {
        return Ok(Err(format!(
            "The directory of bitmaps has {size} bytes; 1 to {LARGEST_DIRECTORY} are possible."
        )));
    }
    Ok(Ok(Some(Bitmaps { count, size, offset, named_at: at })))
}
