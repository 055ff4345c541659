//! Journals that were not replayed: what is read has to be what is there after `e2fsck -E journal_only` of a copy.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::debugfs::{agree_on, by_path, debugfs, edit, read};
use crate::disks::{have, mke2fs, program};
use crate::ext::pattern;
use crate::log::{Log, Shape, Sums};

/// A file system, and what became of it in steps.
struct Steps {
    folder: tempfile::TempDir,
    block_size: usize,
    /// Each with all blocks.
    images: Vec<PathBuf>,
}

impl Steps {
    /// Makes the first image by these arguments, and others by edits of it.
    fn new(arguments: &str, block_size: usize, edits: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        for index in 0..6 {
            fs::write(root.join(format!("file-{index}")), pattern(9000, index)).unwrap();
        }
        // Its first bytes are those of a block of the journal.
        let magic = [&[0xc0, 0x3b, 0x39, 0x98][..], &pattern(5000, 77)].concat();
        fs::write(folder.path().join("magic"), magic).unwrap();
        fs::write(folder.path().join("new"), pattern(20_000, 78)).unwrap();
        let first = folder.path().join("image-0");
        mke2fs(&first, &root, &format!("{arguments} -b {block_size}"), "24M");
        let mut images = vec![first];
        for (number, commands) in (1..).zip(edits) {
            let next = folder.path().join(format!("image-{number}"));
            fs::copy(images.last().unwrap(), &next).unwrap();
            edit(&next, &commands.replace("DIR", folder.path().to_str().unwrap()));
            images.push(next);
        }
        Steps { folder, block_size, images }
    }

    /// The blocks that a step changed, as they are after it.
    fn changed(&self, step: usize) -> Vec<(u64, Vec<u8>)> {
        let [before, after] = [step, step + 1].map(|index| fs::read(&self.images[index]).unwrap());
        let blocks = before.chunks(self.block_size).zip(after.chunks(self.block_size));
        let changed = (0..).zip(blocks).filter(|(_, (before, after))| before != after);
        changed.map(|(number, (_, after))| (number, after.to_vec())).collect()
    }

    fn copy(&self) -> PathBuf {
        let path = self.folder.path().join("dirty");
        fs::copy(&self.images[0], &path).unwrap();
        path
    }
}

const EDITS: [&str; 3] = [
    "mkdir /directory\nwrite DIR/magic /directory/magic\nsymlink /link target\nrm /file-0\n",
    "write DIR/new /file-0\nsif /file-1 size 5000\nwrite DIR/magic /again\n",
    "rm /directory/magic\nrmdir /directory\nmkdir /directory\nwrite DIR/new /directory/other\nrm /file-2\n",
];

const KINDS: [(&str, usize); 5] = [
    ("-t ext3", 1024),
    ("-t ext3 -I 128", 4096),
    ("-t ext4 -O ^64bit,^metadata_csum", 2048),
    ("-t ext4 -O 64bit,metadata_csum", 1024),
    ("-t ext4 -O 64bit,metadata_csum,metadata_csum_seed", 4096),
];

/// The image after its journal was replayed by e2fsck.
fn replayed(image: &Path) -> PathBuf {
    let copy = image.with_extension("replayed");
    fs::copy(image, &copy).unwrap();
    let output = program("e2fsck").args(["-y", "-E", "journal_only"]).arg(&copy).output().unwrap();
    assert!(output.status.code() <= Some(1), "{output:?}");
    copy
}

/// Holds what is read of a dirty image against both what it was made from and what e2fsck makes of it.
fn agree_after_replay(dirty: &Path, last: &Path, what: &str) {
    let ours = read(dirty).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(ours.state, "Replayed", "{what}");
    agree_on(&ours, last);
    agree_on(&ours, &replayed(dirty));
}

#[test]
fn journals_of_debugfs_are_replayed() {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return;
    }
    for (arguments, block_size) in KINDS {
        let steps = Steps::new(arguments, block_size, &EDITS);
        for options in ["", "-c -v 2", "-c -v 3"] {
            let dirty = steps.copy();
            let mut commands = format!("jo {options}\n");
            for step in 0..EDITS.len() {
                let changed = steps.changed(step);
                let file = steps.folder.path().join(format!("blocks-{step}"));
                let bytes: Vec<&[u8]> = changed.iter().map(|(_, block)| &block[..]).collect();
                fs::write(&file, bytes.concat()).unwrap();
                let numbers: Vec<String> =
                    changed.iter().map(|(number, _)| number.to_string()).collect();
                commands += &format!("jw -b {} {}\n", numbers.join(","), file.display());
            }
            // What is not committed does not count.
            let first = steps.folder.path().join("blocks-0");
            let number = steps.changed(0)[0].0;
            commands += &format!("jw -c -b {number} {}\njc\n", first.display());
            debugfs(&dirty, &commands);
            let what = format!("{arguments} {block_size} {options}");
            agree_after_replay(&dirty, steps.images.last().unwrap(), &what);
        }
    }
}

/// All shapes of a journal, for a block size.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for sums in [Sums::None, Sums::Commits, Sums::V2, Sums::V3] {
        for has_64_bits in [false, true] {
            // At its beginning, and where the first, a later or the last transaction goes on at the beginning.
            for (before_end, sequence) in [(1023, 1), (1, 77), (4, u32::MAX), (31, u32::MAX - 1)] {
                shapes.push(Shape { sums, has_64_bits, before_end, sequence, features: 0 });
            }
        }
    }
    shapes
}

#[test]
fn journals_of_all_shapes_are_replayed() {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return;
    }
    for (arguments, block_size) in [KINDS[0], KINDS[4]] {
        let arguments = format!("{arguments} -J size={}", block_size >> 10);
        let steps = Steps::new(&arguments, block_size, &EDITS);
        let changed: Vec<_> = (0..EDITS.len()).map(|step| steps.changed(step)).collect();
        // A block that only the last step changes, so that a stale copy of it shows.
        let stale = changed[1][0].0;
        for shape in shapes() {
            let dirty = steps.copy();
            let mut log = Log::new(&dirty, block_size, shape);
            assert_eq!(log.length(), 1024);
            let garbage = vec![0xee; block_size];
            // A block that no step changes has an older copy, which is revoked later, and once in the same transaction.
            let untouched = untouched(&steps);
            log.copies(&[(untouched[0], garbage.clone()), (stale, garbage.clone())]);
            log.commit();
            log.copies(&changed[0]);
            log.revoke(&untouched[..1]);
            log.commit();
            log.copies(&[(untouched[1], garbage.clone())]);
            log.revoke(&[1 << 20, untouched[1], 3]);
            log.copies(&changed[1]);
            log.commit();
            // A revocation is of what is older than it, so that a newer copy counts.
            log.revoke(&changed[2].iter().map(|(number, _)| *number).take(9).collect::<Vec<_>>());
            log.commit();
            log.copies(&changed[2]);
            log.commit();
            log.copies(&[(stale, garbage.clone())]);
            log.revoke(&[stale]);
            let what = format!("{arguments} {shape:?}");
            agree_after_replay(&dirty, steps.images.last().unwrap(), &what);
        }
    }
}

/// Two blocks in use that no step changes: the contents of files.
fn untouched(steps: &Steps) -> Vec<u64> {
    let said =
        String::from_utf8(debugfs(&steps.images[3], "blocks /file-4\nblocks /file-5\n")).unwrap();
    let lines = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

const PLAIN: Shape =
    Shape { sums: Sums::V3, has_64_bits: true, before_end: 1000, sequence: 9, features: 0 };

/// What a journal that is damaged, or that is of a kind that nothing here replays, leaves of a file system.
#[test]
fn journals_that_cannot_be_replayed_are_named() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let steps = Steps::new("-t ext4 -O 64bit,metadata_csum -J size=4", 4096, &EDITS);
    let changed = steps.changed(0);
    let state = |shape: Shape, then: &dyn Fn(&mut Log)| {
        let dirty = steps.copy();
        let mut log = Log::new(&dirty, 4096, shape);
        log.copies(&changed);
        log.commit();
        then(&mut log);
        let ours = read(&dirty).unwrap();
        // The rest is read as it is.
        assert!(ours.files.len() > 6);
        (ours.state.clone(), by_path(&ours).contains_key(&b"directory/magic"[..]))
    };
    let unused =
        |said: &str| (format!("NotReplayed(\"its journal cannot be replayed: {said}\")"), false);
    let used = || ("Replayed".to_owned(), true);
    assert_eq!(state(PLAIN, &|_| {}), used());
    let wrong = "a check sum of transaction 9 is wrong";
    assert_eq!(state(PLAIN, &|log| log.damage(1, 60)), unused(wrong));
    let back = changed.len() as u32 + 2;
    assert_eq!(state(PLAIN, &|log| log.damage(back, 100)), unused(wrong));
    // Nothing tells a damaged descriptor from an old block if no commit follows.
    let again = |log: &mut Log| {
        log.copies(&changed);
        log.damage(back - 1, 100);
    };
    assert_eq!(state(PLAIN, &again), used());
    for sums in [Sums::Commits, Sums::V2] {
        let shape = Shape { sums, ..PLAIN };
        let commit = |log: &mut Log| log.commit_with(1);
        let said = "a check sum of transaction 10 is wrong";
        assert_eq!(state(shape, &commit), unused(said), "{sums:?}");
        // A commit that may be written before its copies is the last one then.
        assert_eq!(state(Shape { features: 4, ..shape }, &commit), used(), "{sums:?}");
    }
    let beyond = |log: &mut Log| {
        log.copies(&[(1 << 33, vec![0; 4096])]);
        log.commit();
    };
    let said = "it has a copy of block 8589934592, which its volume does not have";
    assert_eq!(state(PLAIN, &beyond), unused(said));
    assert_eq!(
        state(Shape { features: 0x40, ..PLAIN }, &|_| {}),
        unused("it has incompatible features 0x40")
    );
    assert_eq!(state(PLAIN, &|log| log.put(0, &[0; 64])), unused("it has no superblock"));
}

/// A copy with a wrong sum makes what is in it unreadable, and nothing else.
#[test]
fn copies_with_wrong_sums_are_damaged() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let steps = Steps::new("-t ext4 -O 64bit,metadata_csum -J size=4", 4096, &[]);
    let blocks = untouched_of(&steps.images[0]);
    for sums in [Sums::V2, Sums::V3] {
        let dirty = steps.copy();
        let mut log = Log::new(&dirty, 4096, Shape { sums, ..PLAIN });
        log.copies(&blocks.iter().map(|&number| (number, vec![7; 4096])).collect::<Vec<_>>());
        log.damage(1, 0);
        log.commit();
        let ours = read(&dirty).unwrap();
        let files = by_path(&ours);
        assert_eq!(files[&b"file-4"[..]].contents.as_ref().unwrap()[..4096], [7; 4096]);
        let error = files[&b"file-5"[..]].contents.as_ref().unwrap_err();
        assert!(error.contains("the check sum of the copy of block"), "{error}");
    }
}

fn untouched_of(image: &Path) -> Vec<u64> {
    let said = String::from_utf8(debugfs(image, "blocks /file-4\nblocks /file-5\n")).unwrap();
    let lines = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

/// Fast commits are not replayed, and that they are there is seen by their first tag.
#[test]
fn fast_commits_are_noticed() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let steps = Steps::new("-t ext4 -O 64bit,metadata_csum -J size=8", 4096, &EDITS);
    for (number, has_any) in [(10u32, true), (9, false)] {
        let dirty = steps.copy();
        let mut log = Log::new(&dirty, 4096, Shape { features: 0x20, ..PLAIN });
        log.copies(&steps.changed(0));
        log.commit();
        let mut head = vec![9, 0, 8, 0, 0, 0, 0, 0];
        head.extend_from_slice(&number.to_le_bytes());
        log.put(log.length() - 256, &head);
        let ours = read(&dirty).unwrap();
        let said = "NotReplayed(\"its journal ends with fast commits, which are not replayed\")";
        assert_eq!(ours.state, if has_any { said } else { "Replayed" });
        assert!(by_path(&ours).contains_key(&b"directory/magic"[..]));
    }
}

#[test]
fn states_are_those_of_the_superblock() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let steps = Steps::new("-t ext4", 4096, &[]);
    let state = |commands: &str| {
        let image = steps.copy();
        edit(&image, commands);
        read(&image).unwrap().state
    };
    assert_eq!(state("ssv state 1\n"), "Clean");
    assert_eq!(state("ssv state 3\n"), "Errors");
    assert!(state("ssv state 0\n").starts_with("NotReplayed(\"it was not unmounted"));
    let elsewhere = "ssv journal_inum 0\nssv journal_dev 0x801\nfeature needs_recovery\n";
    assert_eq!(state(elsewhere), "NotReplayed(\"its journal is on another device\")");
    // What a journal says of errors counts as well.
    let dirty = steps.copy();
    let log = Log::new(&dirty, 4096, PLAIN);
    drop(log);
    assert_eq!(read(&dirty).unwrap().state, "Replayed");
    let file = File::options().write(true).open(&dirty).unwrap();
    file.write_all_at(&[0; 2], 1024 + 0x38).unwrap();
    assert!(read(&dirty).is_err());
}
