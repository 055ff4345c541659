//! The volumes of a disk and what is in them, as tests hold them against what other programs say; and fuzz bodies of the file
//! systems whose structures have check sums, which are made right after the changes.

use std::fmt::Write as _;

use super::edits::{self, Seed};
use super::guest_files::{GuestFiles, MOST_FILES, Reads, said, walked};
use super::{MemoryImage, Notebook, OnceLock, unpacked};
use crate::facts::Code;
use crate::formats::Disk;
use crate::guest::fs::Area;
use crate::guest::fs::btrfs::Btrfs;
use crate::guest::fs::xfs::Xfs;
use crate::guest::inside::VolumeInside;
use crate::guest::{self, Files};

/// Bytes of each file that are read of an input, and files of it.
const MOST: usize = 64 << 10;
const MOST_FUZZED: usize = 1 << 10;

/// A disk whose volumes tidegate examined.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuestVolumes {
    /// The volumes.
    pub volumes: Vec<VolumeInside>,
    /// Of the root, the names in it that the paths lead to which were asked for.
    pub root: Option<Vec<(String, Option<u64>)>>,
}

/// Looks at the volumes of a disk of `size` bytes, which `read` reads, and asks for paths below its root: of each that
/// leads to a file its size, of others the number of entries.
///
/// # Errors
/// If it cannot be read.
pub fn guest_volumes(
    read: impl FnMut(u64, &mut [u8]) -> usize,
    size: u64,
    paths: &[&str],
) -> Result<GuestVolumes, String> {
    volumes_of(&mut Reads(read, size), size, paths)
}

fn volumes_of(disk: &mut dyn Disk, size: u64, paths: &[&str]) -> Result<GuestVolumes, String> {
    let notebook = Notebook::new(&|_| false, u64::MAX);
    let table = guest::examine(disk, Code::RawNoPartitionTable, &notebook);
    let table = table.map_err(|_| "halt".to_owned())?;
    let mut files = Files::open(disk, size, &table).map_err(said)?;
    let volumes = files.volumes().to_vec();
    if files.begin(None).is_err() {
        return Ok(GuestVolumes { volumes, root: None });
    }
    let mut root = Vec::new();
    for path in paths {
        let count = match files.list(path.as_bytes()).map_err(said)? {
            Some(list) if list.len() == 1 && list[0].name == path.as_bytes() => {
                Some(list[0].inode.size)
            }
            Some(list) => Some(list.len() as u64),
            None => None,
        };
        root.push(((*path).to_owned(), count));
    }
    Ok(GuestVolumes { volumes, root: Some(root) })
}

/// Lists the XFS or btrfs file system of a disk of `size` bytes, which `read` reads, with at most `most` bytes of each
/// file.
///
/// # Errors
/// If it cannot be opened.
pub fn guest_file_system(
    kind: &str,
    read: impl FnMut(u64, &mut [u8]) -> usize,
    size: u64,
    most: usize,
) -> Result<GuestFiles, String> {
    listed(kind, read, size, most, MOST_FILES)
}

fn listed(
    kind: &str,
    read: impl FnMut(u64, &mut [u8]) -> usize,
    size: u64,
    most: usize,
    most_files: usize,
) -> Result<GuestFiles, String> {
    let mut disk = Reads(read, size);
    let area = Area::whole(&mut disk, size);
    match kind {
        "xfs" => Ok(walked(&mut Xfs::open(area).map_err(said)?, most, most_files)),
        _ => Ok(walked(&mut Btrfs::open(area).map_err(said)?, most, most_files)),
    }
}

fn read(image: MemoryImage<'_>) -> (impl FnMut(u64, &mut [u8]) -> usize, u64) {
    let len = image.len();
    (move |at, buf: &mut [u8]| image.read(at, buf), len)
}

macro_rules! seeds {
    ($name:ident: $($file:literal)*) => {
        fn $name() -> &'static [Seed] {
            static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
            SEEDS.get_or_init(|| vec![
                $(Seed::new(unpacked(include_bytes!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/testdata/", $file))))),*
            ])
        }
    };
}

seeds!(xfs_seeds: "guest/xfs-5.img.gz" "guest/xfs-4.img.gz");
seeds!(btrfs_seeds: "guest/btrfs.img.gz");

fn lvm_seeds() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let mut swap = vec![0; 128 << 10];
        swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
        (swap[1024], swap[1028]) = (1, 31);
        vec![Seed::new(lvm_disk(&[("swap", &swap), ("no-thing", &[0; 1000])]))]
    })
}

/// A disk that is a physical volume of LVM2, with logical volumes of these names and contents in the group `tide-vg`. No
/// program makes one without the device mapper. Each extent is a segment of its own, in the wrong order; the text of the
/// metadata goes around the end of its ring; there is a thin volume as well.
#[must_use]
pub fn lvm_disk(volumes: &[(&str, &[u8])]) -> Vec<u8> {
    const EXTENT: usize = 64 << 10;
    const START: usize = 1 << 20;
    const AREA: usize = 4096;
    const ID: &str = "TIDEga-te00-0000-0000-0000-0000-000000";
    let total: usize = volumes.iter().map(|(_, bytes)| bytes.len().div_ceil(EXTENT)).sum();
    let mut disk = vec![0; START + total * EXTENT];
    let mut logical = String::new();
    let mut next = total;
    for (index, (name, bytes)) in volumes.iter().enumerate() {
        let count = bytes.len().div_ceil(EXTENT);
        let _ = write!(
            logical,
            "{name} {{\nid = \"TIDEga-te00-0000-0000-0000-0000-00000{}\"\n\
             status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = {count}\n",
            index + 1
        );
        for (extent, piece) in bytes.chunks(EXTENT).enumerate() {
            next -= 1;
            let at = START + next * EXTENT;
            disk[at..at + piece.len()].copy_from_slice(piece);
            let _ = write!(
                logical,
                "segment{} {{\nstart_extent = {extent}\nextent_count = 1\ntype = \"striped\"\n\
                 stripe_count = 1\nstripes = [\n\"pv0\", {next}\n]\n}}\n",
                extent + 1
            );
        }
        logical.push_str("}\n");
    }
    let text = format!(
        "tide-vg {{\nid = \"{ID}\"\nseqno = 2\nformat = \"lvm2\" # informational\n\
         status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\nextent_size = {}\nmax_lv = 0\nmax_pv = 0\n\
         metadata_copies = 0\nphysical_volumes {{\npv0 {{\nid = \"{ID}\"\ndevice = \"/dev/vda\"\n\
         status = [\"ALLOCATABLE\"]\nflags = []\ndev_size = {}\npe_start = {}\npe_count = {total}\n}}\n}}\n\
         logical_volumes {{\n{logical}thin {{\nid = \"TIDEga-te00-0000-0000-0000-0000-00000t\"\n\
         status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\nsegment1 {{\nstart_extent = 0\n\
         extent_count = 1\ntype = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = 0\ndevice_id = 1\n}}\n}}\n}}\n}}\n\
         # Generated\ncontents = \"Text Format Volume Group\"\nversion = 1\ndescription = \"\"\n\0",
        EXTENT / 512,
        disk.len() / 512,
        START / 512
    );
    let size = START - AREA;
    let at = size - 512;
    let mut label = [0; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8] = 1;
    label[20] = 32;
    label[24..32].copy_from_slice(b"LVM2 001");
    let id: String = ID.chars().filter(|&c| c != '-').collect();
    label[32..64].copy_from_slice(id.as_bytes());
    let mut put = |at: usize, number: usize| {
        label[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
    };
    // Size; the place of data and the end of these; that of metadata.
    put(64, disk.len());
    put(72, START);
    put(104, AREA);
    put(112, size);
    disk[512..1024].copy_from_slice(&label);
    let (first, rest) = text.as_bytes().split_at(512.min(text.len()));
    disk[AREA + at..AREA + at + first.len()].copy_from_slice(first);
    disk[AREA + 512..AREA + 512 + rest.len()].copy_from_slice(rest);
    let mut header = [0; 512];
    header[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
    header[20] = 1;
    for (place, number) in [(24, AREA), (32, size), (40, at), (48, text.len())] {
        header[place..place + 8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    header[56..60].copy_from_slice(&lvm_sum(text.as_bytes()));
    let sum = lvm_sum(&header[4..]);
    header[..4].copy_from_slice(&sum);
    disk[AREA..AREA + 512].copy_from_slice(&header);
    let sum = lvm_sum(&disk[512 + 20..1024]);
    disk[512 + 16..512 + 20].copy_from_slice(&sum);
    disk
}

/// The check sum of LVM2: a CRC-32 that begins with another number and is not inverted.
fn lvm_sum(bytes: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    sum.update(bytes);
    (!sum.finalize()).to_le_bytes()
}

/// The valid images that inputs of these targets begin with.
pub(super) fn seeds(target: &str) -> Vec<&'static [u8]> {
    let seeds = match target {
        "xfs" => xfs_seeds(),
        "btrfs" => btrfs_seeds(),
        _ => lvm_seeds(),
    };
    seeds.iter().map(|seed| seed.bytes.as_slice()).collect()
}

/// Bytes that an image is made longer to.
const LARGEST: u64 = 1 << 36;

/// XFS, as changes to valid volumes.
pub fn xfs(input: &[u8]) {
    let (read, size) = read(edits::decode(xfs_seeds(), input, LARGEST, repair_xfs));
    let _ = listed("xfs", read, size, MOST, MOST_FUZZED);
}

/// btrfs, as changes to valid volumes.
pub fn btrfs(input: &[u8]) {
    let (read, size) = read(edits::decode(btrfs_seeds(), input, LARGEST, repair_btrfs));
    let _ = listed("btrfs", read, size, MOST, MOST_FUZZED);
}

/// LVM2, as changes to valid metadata; and whatever the superblocks of volumes are taken for.
pub fn lvm(input: &[u8]) {
    let (read, size) = read(edits::decode(lvm_seeds(), input, LARGEST, repair_lvm));
    let _ = guest_volumes(read, size, &["/", "/etc/fstab"]);
}

/// Makes the CRC-32C at `sum` of a structure right, which has zeros there when it is made.
fn seal(image: &mut MemoryImage<'_>, at: u64, len: usize, sum: usize) {
    let mut bytes = vec![0; len];
    if image.read(at, &mut bytes) == len {
        bytes[sum..sum + 4].fill(0);
        image.patch(at + sum as u64, crc32c::crc32c(&bytes).to_le_bytes().to_vec());
    }
}

/// Of the superblock, and of every sector of the sixth MiB, where mkfs.xfs puts all else that has one in these seeds. Inodes have 512 bytes, blocks
/// 4096.
fn repair_xfs(image: &mut MemoryImage<'_>) {
    seal(image, 0, 512, 224);
    for at in (5 << 20..image.len().min(6 << 20)).step_by(512) {
        let mut mark = [0; 6];
        if image.read(at, &mut mark) < 6 {
            return;
        }
        match &mark {
            [b'I', b'N', _, _, 3, _] => seal(image, at, 512, 100),
            [b'X', b'D', b'B' | b'D', b'3', ..] => seal(image, at, 4096, 4),
            _ => {}
        }
    }
}

/// Of the superblock, and of every node: it names the volume 32 bytes behind its beginning.
fn repair_btrfs(image: &mut MemoryImage<'_>) {
    const SUPER: u64 = 0x1_0000;
    let mut head = [0; 4096];
    if image.read(SUPER, &mut head) < head.len() {
        return;
    }
    let sum = |bytes: &[u8]| crc32c::crc32c(&bytes[32..]).to_le_bytes().to_vec();
    image.patch(SUPER, sum(&head));
    let size = u32::from_le_bytes([head[148], head[149], head[150], head[151]]).clamp(4096, 65536);
    for at in (0..image.len().min(64 << 20)).step_by(4096) {
        let mut id = [0; 16];
        if at == SUPER || image.read(at + 32, &mut id) < 16 || id != head[32..48] {
            continue;
        }
        let mut node = vec![0; size as usize];
        if image.read(at, &mut node) == node.len() {
            image.patch(at, sum(&node));
        }
    }
}

/// Of the label, the header of the area and its text, where pvcreate puts them.
fn repair_lvm(image: &mut MemoryImage<'_>) {
    const AREA: u64 = 4096;
    let mut sector = [0; 512];
    if image.read(512, &mut sector) == 512 {
        image.patch(512 + 16, lvm_sum(&sector[20..]).to_vec());
    }
    if image.read(AREA, &mut sector) < 512 {
        return;
    }
    let number = |at: usize| {
        sector[at..at + 8].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    };
    let (at, len) = (AREA.saturating_add(number(40)), number(48).min(1 << 16) as usize);
    let mut text = vec![0; len];
    let first = image.read(at, &mut text[..len.min(512)]);
    if len > first {
        image.read(AREA + 512, &mut text[first..]);
    }
    sector[56..60].copy_from_slice(&lvm_sum(&text));
    image.patch(AREA + 56, sector[56..60].to_vec());
    image.patch(AREA, lvm_sum(&sector[4..]).to_vec());
}
