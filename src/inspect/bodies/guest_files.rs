//! File systems of guests from end to end: every name, inode, content and target, as tests hold them against what other
//! programs say of them.

use std::collections::HashSet;

use super::edits::{self, Seed};
use super::{ext_seeds, fat_seeds};
use crate::formats::{Disk, Got, Halt, MemoryImage, Place, Run};
use crate::guest::fs::ext::Ext;
use crate::guest::fs::fat::Fat;
use crate::guest::fs::{Area, FileSystem, Inode, Kind, Node, Trouble};

/// Bytes of a file that a listing has at most, where nothing else is said.
const MOST: usize = 64 << 10;

/// Files that a listing has at most.
pub(super) const MOST_FILES: usize = 1 << 16;

/// The same of fuzzing, which is to try many images.
const MOST_FUZZED: usize = 4 << 10;
const MOST_FUZZED_FILES: usize = 1 << 10;

/// Bytes of a disk that is fuzzed at most, and that may be read of it.
const LARGEST: u64 = 1 << 32;
const MOST_READ: u64 = 2 << 30;

/// Levels of directories that are listed at most.
const DEEPEST: usize = 64;

/// A file of a guest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuestFile {
    /// Its path, without a slash before it; that of the root is empty.
    pub path: Vec<u8>,
    /// The number of its inode.
    pub number: u64,
    /// `-`, `d`, `l` or `s`, for what is no file, directory or link.
    pub kind: char,
    /// Permissions.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes of its contents.
    pub size: u64,
    /// When it was changed last, in seconds since 1970.
    pub modified: Option<i64>,
    /// Disk offset of its inode.
    pub at: Option<u64>,
    /// The first bytes of a file, or the target of a link; or why there are none. Of a directory, whether its names were read.
    pub contents: Result<Vec<u8>, String>,
}

/// A file system of a guest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuestFiles {
    /// In which state it was left.
    pub state: String,
    /// Bytes, free bytes, inodes and free inodes; or why that is not known.
    pub space: Result<[u64; 4], String>,
    /// All files, with the root.
    pub files: Vec<GuestFile>,
}

/// A disk that a function reads.
pub(super) struct Reads<F>(pub(super) F, pub(super) u64);

impl<F: FnMut(u64, &mut [u8]) -> usize> Disk for Reads<F> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        Ok(Got::Bytes((self.0)(at, buf)))
    }

    fn run(&mut self, at: u64) -> Result<Run, Halt> {
        Ok(Run { len: self.1 - at, place: Place::Stored(at) })
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.1))
    }
}

pub(super) fn said(trouble: Trouble) -> String {
    match trouble {
        Trouble::Halt(_) => "halt".to_owned(),
        Trouble::Left(why) => format!("{why:?}"),
    }
}

/// Lists the file system of a disk of `size` bytes, which `read` reads, with at most `most` bytes of each file.
///
/// # Errors
/// If it cannot be opened.
pub fn guest_files(
    read: impl FnMut(u64, &mut [u8]) -> usize,
    size: u64,
    most: usize,
) -> Result<GuestFiles, String> {
    listed(read, size, most, MOST_FILES)
}

fn listed(
    read: impl FnMut(u64, &mut [u8]) -> usize,
    size: u64,
    most: usize,
    most_files: usize,
) -> Result<GuestFiles, String> {
    let mut disk = Reads(read, size);
    let area = Area::whole(&mut disk, size);
    // The mark of ext2, which has no boot sector of FAT unless somebody put it there.
    if area.array(0x438).is_ok_and(|mark| mark == [0x53, 0xef]) {
        return Ok(walked(&mut Ext::open(area).map_err(said)?, most, most_files));
    }
    Ok(walked(&mut Fat::open(area).map_err(said)?, most, most_files))
}

/// Lists the file system that these bytes are, with the first bytes of each file.
///
/// # Errors
/// If it cannot be opened.
pub fn guest_file_systems(image: &[u8]) -> Result<GuestFiles, String> {
    let read = |at: u64, buf: &mut [u8]| {
        let rest = usize::try_from(at).ok().and_then(|at| image.get(at..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        count
    };
    guest_files(read, image.len() as u64, MOST)
}

/// Lists what edits make of one of these seeds.
fn fuzzed(seeds: &[Seed], input: &[u8]) {
    let image: MemoryImage<'_> = edits::decode(seeds, input, LARGEST, edits::as_it_is);
    let (size, mut all) = (image.len(), 0);
    let read = |at: u64, buf: &mut [u8]| {
        let count = image.read(at, buf);
        all += count as u64;
        count
    };
    // What it makes of a damaged one is its matter; that it ends is ours.
    let _ = listed(read, size, MOST_FUZZED, MOST_FUZZED_FILES);
    assert!(all <= MOST_READ, "{all} bytes were read");
}

/// ext2, ext3 and ext4 with and without a journal in use, as edits over valid ones: all of it is listed, however it is
/// damaged, in a bounded number of steps.
pub fn ext(input: &[u8]) {
    fuzzed(ext_seeds(), input);
}

/// FAT12, FAT16 and FAT32, in the same way.
pub fn fat(input: &[u8]) {
    fuzzed(fat_seeds(), input);
}

pub(super) fn walked(system: &mut dyn FileSystem, most: usize, most_files: usize) -> GuestFiles {
    let space = match system.space() {
        Ok(Some(space)) => {
            let inodes = [space.inodes, space.free_inodes].map(Option::unwrap_or_default);
            Ok([space.bytes, space.free, inodes[0], inodes[1]])
        }
        Ok(None) => Err("none".to_owned()),
        Err(trouble) => Err(said(trouble)),
    };
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut todo = vec![(Vec::new(), system.root(), 0)];
    while let Some((path, node, depth)) = todo.pop() {
        let file = match system.inode(node) {
            Ok(inode) => {
                let mut names = Vec::new();
                let contents = contents(system, node, inode, most, most_files, &mut names);
                let is_new = inode.kind == Kind::Directory && seen.insert(node);
                let room = most_files.saturating_sub(files.len() + todo.len());
                if is_new && depth < DEEPEST {
                    todo.extend(names.into_iter().take(room).map(|(name, node)| {
                        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                        ([&path, slash, &name].concat(), node, depth + 1)
                    }));
                }
                let at = system.place(node);
                file(path, node, &inode, at, contents)
            }
            Err(trouble) => {
                let kind = Kind::Special;
                let none = Inode { kind, mode: 0, uid: 0, gid: 0, size: 0, modified: None };
                file(path, node, &none, None, Err(said(trouble)))
            }
        };
        files.push(file);
    }
    GuestFiles { state: format!("{:?}", system.state()), space, files }
}

fn file(
    path: Vec<u8>,
    node: Node,
    inode: &Inode,
    at: Option<u64>,
    contents: Result<Vec<u8>, String>,
) -> GuestFile {
    GuestFile {
        path,
        number: node.number,
        kind: match inode.kind {
            Kind::Regular => '-',
            Kind::Directory => 'd',
            Kind::Link => 'l',
            Kind::Special => 's',
        },
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        size: inode.size,
        modified: inode.modified,
        at,
        contents,
    }
}

/// The first bytes of a file, the target of a link, or the names in a directory.
fn contents(
    system: &mut dyn FileSystem,
    node: Node,
    inode: Inode,
    most: usize,
    most_files: usize,
    names: &mut Vec<(Vec<u8>, Node)>,
) -> Result<Vec<u8>, String> {
    match inode.kind {
        Kind::Special => Ok(Vec::new()),
        Kind::Link => system.target(node).map_err(said),
        Kind::Directory => {
            let listed = system.list(node, &mut |name, node| {
                names.push((name.to_vec(), node));
                names.len() < most_files
            });
            listed.map(|()| Vec::new()).map_err(said)
        }
        Kind::Regular => {
            let mut bytes = vec![0; inode.size.min(most as u64) as usize];
            // In odd pieces, so that some begin in the middle of a block.
            let piece = 37_000;
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes.len().min(at + piece);
                let count = system.read(node, at as u64, &mut bytes[at..end]).map_err(said)?;
                assert_eq!(count, end - at, "less than there is");
                at = end;
            }
            assert_eq!(system.read(node, inode.size, &mut [0; 8]).map_err(said)?, 0);
            Ok(bytes)
        }
    }
}
