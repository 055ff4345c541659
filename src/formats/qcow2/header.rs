use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::extensions::{self, Context, Extensions};
use crate::bytes::{Hostile, human_size};
use crate::facts::{Code, Notebook};
use crate::formats::tail::between;
use crate::formats::view::not_examined;
use crate::formats::{Got, Halt, ImageView};

/// The part of the header that versions 2 and 3 share, from image offset 0.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Fixed {
    magic: [u8; 4],
    version: U32,
    backing_file_offset: U64,
    backing_file_size: U32,
    cluster_bits: U32,
    size: U64,
    crypt_method: U32,
    l1_size: U32,
    l1_table_offset: U64,
    refcount_table_offset: U64,
    refcount_table_clusters: U32,
    nb_snapshots: U32,
    snapshots_offset: U64,
}

/// What version 3 adds, from image offset 72.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Added {
    incompatible_features: U64,
    compatible_features: U64,
    autoclear_features: U64,
    refcount_order: U32,
    header_length: U32,
}

const V2_LENGTH: u32 = 72;
const V3_LENGTH: u32 = 104;

/// Cluster sizes that QEMU opens: 512 bytes to 2 MiB (`MIN_CLUSTER_BITS`, `MAX_CLUSTER_BITS`).
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// A backing file name is at most this long (`header.backing_file_size`, QEMU).
const LONGEST_BACKING_NAME: u32 = 1023;

/// Encryption method of which there is a header.
const LUKS: u32 = 2;

const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// How compressed clusters are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Zstd,
}

/// A header that says where everything is. Its numbers are what the image says; `tables` checks
/// where they point.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    pub(super) l1_entries: u32,
    pub(super) l1_offset: u64,
    pub(super) refcount_offset: u64,
    pub(super) refcount_clusters: u32,
    pub(super) refcount_order: u32,
    pub(super) snapshots: u32,
    pub(super) snapshots_offset: u64,
    pub(super) extended_l2: bool,
    pub(super) compression: Compression,
    /// Whether the data of the disk is in another file, which the L2 entries refer to.
    pub(super) data_file: bool,
    pub(super) extensions: Extensions,
}

/// Autoclear bit of the bitmaps extension: without it readers ignore the bitmaps.
const BITMAPS_VALID: u64 = 1;

/// Autoclear bit of an external data file that can be read as a raw image.
const DATA_FILE_RAW: u64 = 1 << 1;

impl Header {
    /// Bytes in a cluster.
    pub(super) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes in an entry of an L2 table.
    pub(super) fn l2_entry_size(&self) -> u64 {
        if self.extended_l2 { 16 } else { 8 }
    }

    /// Bytes of the disk that one L2 table maps.
    pub(super) fn l2_covers(&self) -> u64 {
        // At most 2^21 / 8 entries of 2^21 bytes.
        self.cluster_size() / self.l2_entry_size() * self.cluster_size()
    }
}

/// Reads the header. `None` if nothing can be found with it.
pub(super) fn read(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Header>, Halt> {
    let mut bytes = [0; V2_LENGTH as usize];
    if !view.need(0, &mut bytes, notebook, "the qcow2 header")? {
        return Ok(None);
    }
    // 72 bytes are exactly what `Fixed` takes.
    let Ok((fixed, _)) = Fixed::read_from_prefix(&bytes) else { return Ok(None) };
    let version = fixed.version.get();
    if !(2..=3).contains(&version) {
        notebook.image(
            Code::Qcow2VersionUnsupported,
            4,
            format!("The qcow2 version is {version}; 2 and 3 exist."),
        );
        return Ok(None);
    }
    let cluster_bits = fixed.cluster_bits.get();
    if !CLUSTER_BITS.contains(&cluster_bits) {
        notebook.image(
            Code::Qcow2ClusterSizeInvalid,
            20,
            format!(
                "The header says clusters of 2^{cluster_bits} bytes; 2^9 to 2^21 are possible."
            ),
        );
        return Ok(None);
    }
    let cluster_size = 1u64 << cluster_bits;

    let (added, header_length) = if version == 3 {
        let mut bytes = [0; (V3_LENGTH - V2_LENGTH) as usize];
        if !view.need(u64::from(V2_LENGTH), &mut bytes, notebook, "the qcow2 header")? {
            return Ok(None);
        }
        let Ok((added, _)) = Added::read_from_prefix(&bytes) else { return Ok(None) };
        let length = added.header_length.get();
        if length < V3_LENGTH || u64::from(length) > cluster_size || length % 8 != 0 {
            notebook.image(Code::Qcow2HeaderInvalid, 100, format!(
                "The header says that it is {length} bytes long; 104 to {cluster_size} in steps of 8 are possible."));
            return Ok(None);
        }
        (Some(added), length)
    } else {
        (None, V2_LENGTH)
    };

    let features = added.as_ref().map_or(0, |added| added.incompatible_features.get());
    let compression = compression(view, notebook, features, header_length)?;
    let mut header = Header {
        version,
        cluster_bits,
        size: whole_sectors(fixed.size.get(), notebook),
        l1_entries: fixed.l1_size.get(),
        l1_offset: fixed.l1_table_offset.get(),
        refcount_offset: fixed.refcount_table_offset.get(),
        refcount_clusters: fixed.refcount_table_clusters.get(),
        // Version 2 always has 16-bit refcounts.
        refcount_order: added.as_ref().map_or(4, |added| added.refcount_order.get()),
        snapshots: fixed.nb_snapshots.get(),
        snapshots_offset: fixed.snapshots_offset.get(),
        extended_l2: features & EXTENDED_L2 != 0,
        compression,
        data_file: features & DATA_FILE != 0,
        extensions: Extensions::default(),
    };
    check_features(features, cluster_bits, notebook);
    let autoclear = added.as_ref().map_or(0, |added| added.autoclear_features.get());
    if autoclear & DATA_FILE_RAW != 0 && features & DATA_FILE == 0 {
        notebook.image(Code::Qcow2HeaderInvalid, 88, format!(
            "The autoclear features {autoclear:#x} say that the external data file is raw (bit 1), but incompatible feature bit 2 does not announce one; QEMU refuses the image."));
    }
    check_encryption(fixed.crypt_method.get(), notebook);
    check_backing(view, notebook, &fixed, header_length, cluster_size)?;
    let end = match fixed.backing_file_offset.get() {
        0 => cluster_size,
        backing => backing.min(cluster_size),
    };
    let context = Context {
        start: u64::from(header_length),
        end,
        cluster_size,
        luks: fixed.crypt_method.get() == LUKS,
        bitmaps_valid: autoclear & BITMAPS_VALID != 0,
    };
    header.extensions = extensions::read(view, notebook, &context)?;
    // QEMU has made images of version 2 with what version 3 adds to the header.
    let behind = match version {
        2 => header.extensions.end.max(u64::from(V3_LENGTH) + 8),
        _ => header.extensions.end,
    };
    let name = (fixed.backing_file_offset.get(), fixed.backing_file_size.get().into());
    check_rest(view, notebook, behind, name, cluster_size)?;
    Ok(Some(header))
}

/// Looks at what the first cluster has behind the extensions but for the name of a backing file: QEMU fills it with zeros
/// (`qcow2_update_header`, `block/qcow2.c`).
fn check_rest(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    from: u64,
    (name, name_len): (u64, u64),
    to: u64,
) -> Result<(), Halt> {
    // What is odd in the header may be why it seems to end here.
    if notebook.doomed() || notebook.has(Code::Qcow2ExtensionInvalid) {
        return Ok(());
    }
    let parts = match name {
        0 => [(from, to), (to, to)],
        _ => [(from, name), (name.saturating_add(name_len), to)],
    };
    for (from, to) in parts {
        match between(view, from, to)? {
            Ok(None) => {}
            Ok(Some((at, begins))) => {
                let len = to.saturating_sub(at);
                notebook.image(Code::Qcow2SpaceUnused, at, format!(
                    "In the first cluster, behind the header and its extensions, {len} bytes ({}) from byte {at} on belong to nothing{begins}.",
                    human_size(len)));
            }
            Err((at, missing)) => not_examined(notebook, at, "the cluster of the header", missing),
        }
    }
    Ok(())
}

/// QEMU drops what lies after the last whole sector, so the guest sees fewer bytes than the header says.
fn whole_sectors(size: u64, notebook: &Notebook<'_>) -> u64 {
    if size == 0 {
        notebook.image(Code::DiskEmpty, 24, "The header says that the disk has no bytes.");
    } else if size < 512 {
        notebook.image(
            Code::DiskEmpty,
            24,
            format!("The header says that the disk has {size} bytes, which is not a whole sector."),
        );
    } else if !size.is_multiple_of(512) {
        notebook.image(Code::Qcow2SizeUnaligned, 24, format!(
            "The disk has {size} bytes, which is not a multiple of 512; the last {} bytes are lost.", size % 512));
    }
    size - size % 512
}

fn compression(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    features: u64,
    header_length: u32,
) -> Result<Compression, Halt> {
    let mut kind = [0];
    if header_length > V3_LENGTH {
        view.need(u64::from(V3_LENGTH), &mut kind, notebook, "the qcow2 header")?;
    }
    let announced = features & COMPRESSION_TYPE != 0;
    match (kind[0], announced) {
        (0, false) => Ok(Compression::Zlib),
        (1, true) => {
            notebook.image(Code::Qcow2Zstd, 104, "Compressed clusters are packed with zstd.");
            Ok(Compression::Zstd)
        }
        (kind, _) => {
            let bit = if announced { "is set" } else { "is not set" };
            notebook.image(
                Code::Qcow2CompressionTypeInvalid,
                104,
                format!("The compression type is {kind}, but incompatible feature bit 3 {bit}."),
            );
            Ok(if kind == 1 { Compression::Zstd } else { Compression::Zlib })
        }
    }
}

fn check_features(features: u64, cluster_bits: u32, notebook: &Notebook<'_>) {
    const AT: u64 = 72;
    let known = DIRTY | CORRUPT | DATA_FILE | COMPRESSION_TYPE | EXTENDED_L2;
    if features & DIRTY != 0 {
        notebook.image(
            Code::Qcow2Dirty,
            AT,
            "The dirty bit is set: the image was not closed, its refcounts may be stale.",
        );
    }
    if features & CORRUPT != 0 {
        notebook.image(
            Code::Qcow2Corrupt,
            AT,
            "The corrupt bit is set: QEMU found the image damaged and marked it.",
        );
    }
    if features & DATA_FILE != 0 {
        notebook.image(
            Code::Qcow2DataFile,
            AT,
            "The disk's data is in another file (external data file).",
        );
    }
    if features & EXTENDED_L2 != 0 {
        notebook.image(
            Code::Qcow2ExtendedL2,
            AT,
            "The image uses extended L2 entries (subclusters).",
        );
        if cluster_bits < 14 {
            notebook.image(Code::Qcow2ClusterSizeInvalid, 20, format!(
                "Extended L2 entries need clusters of at least 16 KiB; the header says 2^{cluster_bits} bytes."));
        }
    }
    if features & !known != 0 {
        notebook.image(
            Code::Qcow2FeatureUnknown,
            AT,
            format!("Unknown incompatible features are set: {:#x}.", features & !known),
        );
    }
}

fn check_encryption(method: u32, notebook: &Notebook<'_>) {
    let name = match method {
        0 => return,
        1 => "AES",
        LUKS => "LUKS",
        _ => "an unknown method",
    };
    notebook.image(
        Code::Qcow2Encrypted,
        32,
        format!("The disk is encrypted with {name} (method {method})."),
    );
}

fn check_backing(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    fixed: &Fixed,
    header_length: u32,
    cluster_size: u64,
) -> Result<(), Halt> {
    let (at, len) = (fixed.backing_file_offset.get(), fixed.backing_file_size.get());
    if at == 0 {
        if len != 0 {
            notebook.image(Code::Qcow2BackingNameWithoutOffset, 16, format!(
                "The header gives a backing file name of {len} bytes but no place for it; QEMU ignores it."));
        }
        return Ok(());
    }
    let end = at.saturating_add(u64::from(len));
    if len > LONGEST_BACKING_NAME || at < u64::from(header_length) || end > cluster_size {
        notebook.image(Code::Qcow2HeaderInvalid, 8, format!(
            "The backing file name takes bytes {at} to {end}; it has to lie in the first cluster after the header and have at most 1023 bytes."));
        notebook.image(
            Code::Qcow2BackingFile,
            8,
            "The image needs a backing file whose name cannot be read.",
        );
        return Ok(());
    }
    let mut name = vec![0; len as usize];
    let name = match view.read_at(at, &mut name)? {
        Got::Bytes(count) => Hostile::new(&name[..count]),
        Got::Missing(_) => Hostile::from(""),
    };
    notebook.image(
        Code::Qcow2BackingFile,
        at,
        format!("The image needs the backing file \"{name}\"."),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::facts::{Code, DiskFormat};
    use crate::formats::testing::codes;

    /// Version 3, nothing allocated, with some bytes changed.
    fn with(changes: &[(usize, &[u8])]) -> Vec<Code> {
        const CLUSTER: usize = 1 << 16;
        let mut image = vec![0; 4 * CLUSTER];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"QFI\xfb\0\0\0\x03");
        put(23, &[16]);
        put(24, &(1u64 << 20).to_be_bytes());
        put(39, &[1]);
        put(40, &(3 * CLUSTER as u64).to_be_bytes());
        put(48, &(CLUSTER as u64).to_be_bytes());
        put(59, &[1]);
        put(99, &[4]);
        put(103, &[104]);
        put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
        put(2 * CLUSTER, &[0, 1, 0, 1, 0, 1, 0, 1]);
        for &(at, bytes) in changes {
            put(at, bytes);
        }
        codes(DiskFormat::Qcow2, image)
    }

    #[test]
    fn a_disk_without_a_whole_sector_is_empty() {
        assert_eq!(with(&[]), []);
        for (size, code) in [
            (0, Code::DiskEmpty),
            (1, Code::DiskEmpty),
            (511, Code::DiskEmpty),
            (513, Code::Qcow2SizeUnaligned),
        ] {
            assert_eq!(with(&[(24, &u64::to_be_bytes(size))]), [code], "{size}");
        }
    }

    #[test]
    fn the_end_mark_ends_in_the_first_cluster_too() {
        let rest = (1u32 << 16) - 112;
        assert_eq!(with(&[(108, &rest.to_be_bytes())]), []);
        assert_eq!(with(&[(108, &(rest + 1).to_be_bytes())]), [Code::Qcow2ExtensionInvalid]);
    }

    #[test]
    fn a_raw_data_file_is_an_external_one() {
        assert_eq!(with(&[(95, &[2])]), [Code::Qcow2HeaderInvalid]);
        assert_eq!(with(&[(95, &[2]), (79, &[4])]), [Code::Qcow2DataFile]);
    }

    #[test]
    fn no_snapshots_have_a_possible_place_too() {
        let with = |at: u64| with(&[(64, &at.to_be_bytes())]);
        assert_eq!(with(512), [Code::Qcow2SnapshotTableInvalid]);
        assert_eq!(with(1 << 63), [Code::Qcow2SnapshotTableInvalid]);
        assert_eq!(with(1 << 16), []);
    }
}
