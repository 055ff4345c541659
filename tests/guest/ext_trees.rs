//! Trees of extents that mke2fs does not make: deep ones, and ones that would keep a reader busy for ever.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use tidegate::inspect::bodies;

use crate::debugfs::{agree, by_path, debugfs, read};
use crate::disks::{have, mke2fs};
use crate::ext::pattern;

const BLOCK: u64 = 4096;

/// Entries of a node that is a block.
const MOST: u16 = 340;

/// An image with a file `tree` of 40 blocks, whose map is to be replaced.
struct Forest {
    /// Goes away with it.
    _folder: tempfile::TempDir,
    image: PathBuf,
    /// Disk offset of the inode.
    inode: u64,
    blocks: Vec<u64>,
}

impl Forest {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("tree"), pattern(40 * BLOCK as usize, 1)).unwrap();
        let image = folder.path().join("image");
        mke2fs(&image, &root, "-t ext4 -b 4096 -O ^metadata_csum,^has_journal", "16M");
        let files = read(&image).unwrap();
        let inode = by_path(&files)[&b"tree"[..]].at.unwrap();
        let said = String::from_utf8(debugfs(&image, "blocks /tree\n")).unwrap();
        let numbers = said.lines().find(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let blocks = numbers.unwrap().split_whitespace().map(|number| number.parse().unwrap());
        let blocks = blocks.collect();
        Forest { _folder: folder, image, inode, blocks }
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let file = File::options().write(true).open(&self.image).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    /// The root of the tree, in the inode.
    fn root(&self, depth: u16, entries: &[[u8; 12]]) {
        self.write(self.inode + 0x28, &node(4, depth, entries));
    }

    fn node(&self, block: u64, depth: u16, entries: &[[u8; 12]]) {
        self.write(block * BLOCK, &node(MOST, depth, entries));
    }

    /// What is said of the file, and how many bytes were read.
    fn said(&self) -> (Result<Vec<u8>, String>, u64) {
        let file = File::open(&self.image).unwrap();
        let count = Cell::new(0);
        let read = |at: u64, buf: &mut [u8]| {
            count.set(count.get() + buf.len() as u64);
            file.read_at(buf, at).unwrap()
        };
        let files = bodies::guest_files(read, 16 << 20, 1 << 20).unwrap();
        (by_path(&files)[&b"tree"[..]].contents.clone(), count.get())
    }
}

fn node(most: u16, depth: u16, entries: &[[u8; 12]]) -> Vec<u8> {
    let header = [0xf30a, entries.len() as u16, most, depth, 0, 0];
    let header = header.iter().flat_map(|number| number.to_le_bytes());
    header.chain(entries.iter().flatten().copied()).collect()
}

fn index(first: u32, child: u64) -> [u8; 12] {
    let mut entry = [0; 12];
    entry[..4].copy_from_slice(&first.to_le_bytes());
    entry[4..10].copy_from_slice(&child.to_le_bytes()[..6]);
    entry
}

fn extent(first: u32, len: u16, place: u64) -> [u8; 12] {
    let mut entry = [0; 12];
    entry[..4].copy_from_slice(&first.to_le_bytes());
    entry[4..6].copy_from_slice(&len.to_le_bytes());
    entry[6..8].copy_from_slice(&((place >> 32) as u16).to_le_bytes());
    entry[8..].copy_from_slice(&(place as u32).to_le_bytes());
    entry
}

fn damaged(said: &Result<Vec<u8>, String>) -> bool {
    said.as_ref().is_err_and(|error| error.contains("the extents of inode 12 are damaged"))
}

#[test]
fn deep_trees_are_read_as_debugfs_reads_them() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let forest = Forest::new();
    let [a, b, c, d, e, f, g, h] = *forest.blocks[..8].as_array::<8>().unwrap();
    let data = |index: usize| forest.blocks[10 + index];
    forest.root(5, &[index(0, a)]);
    forest.node(a, 4, &[index(0, b)]);
    forest.node(b, 3, &[index(0, c), index(9, d)]);
    forest.node(c, 2, &[index(0, e)]);
    forest.node(e, 1, &[index(0, f), index(4, g)]);
    forest.node(f, 0, &[extent(0, 1, data(5)), extent(2, 32768 + 2, data(0))]);
    forest.node(g, 0, &[extent(4, 3, data(7)), extent(8, 1, data(2))]);
    forest.node(d, 2, &[index(9, h)]);
    forest.node(h, 1, &[index(9, forest.blocks[8]), index(30, forest.blocks[9])]);
    forest.node(forest.blocks[8], 0, &[extent(11, 2, data(20))]);
    forest.node(forest.blocks[9], 0, &[extent(33, 4, data(11))]);
    let ours = agree(&forest.image);
    let bytes = by_path(&ours)[&b"tree"[..]].contents.clone().unwrap();
    let part = |first: usize, len: usize| &bytes[first * BLOCK as usize..][..len * BLOCK as usize];
    let all = pattern(40 * BLOCK as usize, 1);
    assert_eq!(part(4, 3), &all[17 * BLOCK as usize..][..3 * BLOCK as usize]);
    assert!(part(2, 2).iter().chain(part(13, 20)).all(|&byte| byte == 0));
}

/// 340 to the fifth power leaves without a block in them.
#[test]
fn trees_of_extents_without_blocks_end_at_once() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let forest = Forest::new();
    let nodes = &forest.blocks[..5];
    let many =
        |child: u64| (0..u32::from(MOST)).map(|first| index(first, child)).collect::<Vec<_>>();
    forest.root(5, &many(nodes[0])[..4]);
    for level in 0..4 {
        forest.node(nodes[level], 4 - level as u16, &many(nodes[level + 1]));
    }
    let none: Vec<_> = (0..u32::from(MOST)).map(|first| extent(first, 0, nodes[0])).collect();
    forest.node(nodes[4], 0, &none);
    let (said, read) = forest.said();
    assert!(damaged(&said), "{said:?}");
    assert!(read < 2 << 20, "{read} bytes were read");
    // Without an entry at all it is a hole, which is as long as its nodes say.
    forest.node(nodes[4], 0, &[]);
    let (said, read) = forest.said();
    assert!(said.unwrap().iter().all(|&byte| byte == 0));
    assert!(read < 2 << 20, "{read} bytes were read");
}

#[test]
fn trees_that_lead_nowhere_are_damaged() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let forest = Forest::new();
    let [a, b] = *forest.blocks[..2].as_array::<2>().unwrap();
    let leaf = |entries: &[[u8; 12]]| {
        forest.root(0, entries);
        damaged(&forest.said().0)
    };
    assert!(leaf(&[extent(0, 4, a), extent(3, 1, b)]), "extents that lie over each other");
    assert!(leaf(&[extent(5, 1, a), extent(0, 1, b)]), "extents in no order");
    assert!(leaf(&[extent(u32::MAX, 2, a)]), "an extent past the last block");
    assert!(!leaf(&[extent(0, 32768, a)]), "a block past the end is another matter");
    assert!(forest.said().0.unwrap_err().contains("which the file system does not have"));
    // A node that is its own child, and depths that do not go down by one.
    forest.root(2, &[index(0, a)]);
    forest.node(a, 1, &[index(0, a)]);
    assert!(damaged(&forest.said().0));
    for depth in [0, 2, 3] {
        forest.node(a, depth, &[index(0, b)]);
        assert!(damaged(&forest.said().0), "{depth}");
    }
    forest.root(6, &[index(0, a)]);
    assert!(damaged(&forest.said().0));
    forest.root(1, &[]);
    assert!(damaged(&forest.said().0));
    forest.root(1, &[index(0, 1 << 40)]);
    assert!(forest.said().0.unwrap_err().contains("a node of extents is at block"));
}
