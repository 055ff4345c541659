//! ext2, ext3 and ext4 of all kinds, against debugfs.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::debugfs::{agree, by_path, debugfs, done, edit, have, mke2fs, name, program, read};

/// Arguments of mke2fs, and the size of the image.
const KINDS: [(&str, &str); 24] = [
    ("-t ext2", "48M"),
    ("-t ext2 -r 0 -b 1024", "16M"),
    ("-t ext2 -b 1024 -I 128 -O ^filetype,^dir_index", "48M"),
    ("-t ext3 -b 1024", "64M"),
    ("-t ext3 -b 4096 -I 128", "64M"),
    ("-t ext4", "64M"),
    ("-t ext4 -b 1024 -O ^64bit,^metadata_csum,uninit_bg", "64M"),
    ("-t ext4 -b 2048 -O 64bit,metadata_csum", "64M"),
    ("-t ext4 -b 4096 -O ^64bit,metadata_csum", "64M"),
    ("-t ext4 -b 4096 -O metadata_csum,metadata_csum_seed", "64M"),
    ("-t ext4 -b 4096 -O ^extent,^64bit,metadata_csum", "64M"),
    ("-t ext4 -b 4096 -O inline_data", "64M"),
    ("-t ext4 -b 1024 -O inline_data,^metadata_csum -I 512", "64M"),
    ("-t ext4 -b 4096 -I 1024 -O inline_data,metadata_csum_seed", "64M"),
    ("-t ext4 -b 4096 -O bigalloc -C 65536", "128M"),
    ("-t ext4 -b 1024 -O bigalloc -C 16384", "64M"),
    ("-t ext4 -b 1024 -O meta_bg,^resize_inode", "160M"),
    ("-t ext4 -b 1024 -O meta_bg,^resize_inode,bigalloc -C 4096", "160M"),
    ("-t ext4 -b 1024 -O meta_bg,^resize_inode,^sparse_super,^flex_bg,^64bit -g 256", "48M"),
    ("-t ext4 -b 1024 -O sparse_super2,meta_bg,^resize_inode -g 256 -E num_backup_sb=1", "48M"),
    ("-t ext4 -b 4096 -O ^flex_bg,^sparse_super,large_dir,mmp,quota", "64M"),
    ("-t ext4 -b 65536", "96M"),
    ("-t ext4 -b 65536 -O ^metadata_csum,^extent,^64bit,^has_journal", "96M"),
    ("-t ext4 -b 4096 -O orphan_file,verity,ea_inode,project,casefold,encrypt", "64M"),
];

/// Bytes that tell where in a file they are.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A tree with files of all sizes at which something changes; `large` is a number of names, and of bytes a few times.
fn plant(root: &Path, large: usize) {
    let sizes = [0, 1, 59, 60, 61, 100, 155, 156, 157, 160, 300, 700, 1000, 1023, 1024, 1025];
    let sizes = sizes.into_iter().chain([4095, 4096, 12 << 10, 49_153, 70_000, 300_000, 5_000_000]);
    for size in sizes {
        fs::write(root.join(format!("file-{size}")), pattern(size, size as u64)).unwrap();
    }
    fs::create_dir_all(root.join("a/b/c/d")).unwrap();
    fs::write(root.join("a/b/c/d/deep"), "deep").unwrap();
    fs::hard_link(root.join("a/b/c/d/deep"), root.join("a/again")).unwrap();
    fs::write(root.join(name(b"\xff\xfe caf\xc3\xa9 \x1b[31m")), "odd").unwrap();
    fs::write(root.join("n".repeat(255)), "long").unwrap();
    fs::set_permissions(root.join("file-1"), fs::Permissions::from_mode(0o6751)).unwrap();
    for len in [1, 58, 59, 60, 61, 120, 155, 156, 400, 1000] {
        symlink("t".repeat(len), root.join(format!("link-{len}"))).unwrap();
    }
    symlink("../a/b", root.join("a/up")).unwrap();
    done(std::process::Command::new("mkfifo").arg(root.join("pipe")));
    // Holes, and blocks that the map of ext2 reaches by three tables where they have 1 KiB.
    let sparse = File::create(root.join("sparse")).unwrap();
    for at in [0, 5 << 10, 13 << 10, 280 << 10, 8 << 20, 70 << 20] {
        sparse.write_all_at(&pattern(3000, at), at).unwrap();
    }
    let holes = File::create(root.join("holes")).unwrap();
    for at in 0..200 {
        holes.write_all_at(&[at as u8; 100], at * 12_288).unwrap();
    }
    File::create(root.join("nothing-but-a-hole")).unwrap().set_len(9_000_001).unwrap();
    let small = root.join("small-directory");
    fs::create_dir(&small).unwrap();
    for index in 0..3 {
        fs::write(small.join(format!("{index}")), format!("{index}")).unwrap();
    }
    let many = root.join("many");
    fs::create_dir(&many).unwrap();
    for index in 0..large {
        fs::write(many.join(format!("{index:05}-{}", "x".repeat(index % 60))), "").unwrap();
    }
}

#[test]
fn all_kinds_are_read_as_debugfs_reads_them() {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    plant(&root, 400);
    for (arguments, size) in KINDS {
        let image = folder.path().join("image");
        // Holes that are as long as this take no clusters, but their files have no blocks elsewhere either.
        mke2fs(&image, &root, arguments, size);
        edit(&image, "sif /file-1024 uid 70000\nsif /file-1024 gid 4000000000\n");
        eprintln!("{arguments}");
        let ours = agree(&image);
        assert_eq!(ours.state, "Clean", "{arguments}");
        assert!(ours.files.len() > 440, "{arguments}");
        fs::remove_file(&image).unwrap();
    }
}
