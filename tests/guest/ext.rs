//! ext2, ext3 and ext4 of all kinds, against debugfs.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::debugfs::{agree, by_path, debugfs, edit, name, read};
use crate::disks::{done, have, mke2fs, program};

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
    ("-t ext4 -b 4096 -O ^flex_bg,^sparse_super,^resize_inode,large_dir,mmp,quota", "64M"),
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

/// Directories as they are after a check that gives them an index: with inner nodes, and with a hole.
#[test]
fn directories_with_an_index_are_read() {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("many")).unwrap();
    for index in 0..3000 {
        let path = root.join("many").join(format!("{index:05}-{}", "y".repeat(20 + index % 90)));
        symlink("x", path).unwrap();
    }
    for arguments in [
        "-t ext4 -b 1024 -N 4096 -O metadata_csum",
        "-t ext4 -b 1024 -N 4096 -O ^metadata_csum,large_dir",
        "-t ext4 -b 4096 -N 4096 -O metadata_csum,metadata_csum_seed,^extent,^64bit",
        "-t ext4 -b 65536 -N 4096 -O metadata_csum",
        "-t ext3 -b 2048 -N 4096",
    ] {
        let image = folder.path().join("image");
        mke2fs(&image, &root, arguments, "64M");
        // Nothing has to be mended, so that it ends with 0, or with 1 because it changed something.
        let status = program("e2fsck").arg("-fyD").arg(&image).output().unwrap().status;
        assert!(status.code() <= Some(1), "{arguments}");
        let flags = String::from_utf8(debugfs(&image, "stat /many\n")).unwrap();
        assert!(flags.contains("Flags: 0x81000") || flags.contains("Flags: 0x1000"), "{flags}");
        let ours = agree(&image);
        assert!(ours.files.len() > 3000, "{arguments}");
        fs::remove_file(&image).unwrap();
    }
}

/// Makes an image of a directory that is empty but for these files.
fn with_files(
    folder: &Path,
    arguments: &str,
    size: &str,
    files: &[(&str, Vec<u8>)],
) -> std::path::PathBuf {
    let root = folder.join("root");
    fs::create_dir(&root).unwrap();
    for (name, bytes) in files {
        fs::write(root.join(name), bytes).unwrap();
    }
    let image = folder.join("image");
    mke2fs(&image, &root, arguments, size);
    image
}

/// A deleted file's bytes are where a file was allocated and never written: they are not that file's.
#[test]
fn what_was_never_written_reads_as_zeros() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    for arguments in [
        "-t ext4 -b 1024 -O ^has_journal",
        "-t ext4 -b 4096 -O ^has_journal",
        "-t ext4 -b 1024 -O ^has_journal,bigalloc -C 4096",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let stale = [("stale", pattern(3 << 20, 1)), ("written", pattern(40_000, 2))];
        let image = with_files(folder.path(), arguments, "8M", &stale);
        edit(
            &image,
            "rm /stale\nwrite /dev/null /allocated\nfallocate /allocated 0 900\n\
             sif /allocated size 20000\nfallocate /written 30 200\nsif /written size 150000\n\
             write /dev/null /gaps\nfallocate /gaps 3 5\nfallocate /gaps 9 9\nfallocate /gaps 100 400\n\
             sif /gaps size 500000\n",
        );
        let ours = agree(&image);
        let files = by_path(&ours);
        let allocated = files[&b"allocated"[..]].contents.as_ref().unwrap();
        assert!(allocated.len() == 20_000 && allocated.iter().all(|&byte| byte == 0));
        let written = files[&b"written"[..]].contents.as_ref().unwrap();
        assert!(written[..40_000] == pattern(40_000, 2) && written.len() == 150_000);
    }
}

/// A symbolic link that claims 64 GiB is damaged, and nothing of that size is asked for.
#[test]
fn links_are_no_longer_than_linux_has_them() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = with_files(folder.path(), "-t ext4 -b 4096", "8M", &[]);
    let long = "t".repeat(300);
    edit(
        &image,
        &format!(
            "symlink /slow {long}\nsymlink /fast target\nsymlink /cut {long}\nsymlink /none target\n"
        ),
    );
    edit(
        &image,
        "sif /slow size 0x1000000000\nsif /fast size 0x100000\nsif /cut size 4096\nsif /none size 0\n",
    );
    let ours = read(&image).unwrap();
    let files = by_path(&ours);
    for name in ["slow", "fast", "cut", "none"] {
        let error = files[name.as_bytes()].contents.as_ref().unwrap_err();
        assert!(error.contains("symbolic link") && error.contains("claims to have"), "{error}");
    }
}

/// Sizes that no disk has cost nothing until they are read.
#[test]
fn files_of_huge_sizes_are_read_where_they_are() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    for arguments in ["-t ext4 -b 4096", "-t ext3 -b 4096"] {
        let folder = tempfile::tempdir().unwrap();
        let image = with_files(folder.path(), arguments, "16M", &[("large", pattern(9000, 3))]);
        edit(&image, "sif /large size 0x3ffffffff00\n");
        let ours = read(&image).unwrap();
        let file = by_path(&ours)[&b"large"[..]].clone();
        assert_eq!(file.size, 0x3ff_ffff_ff00);
        let bytes = file.contents.unwrap();
        assert!(bytes[..9000] == pattern(9000, 3) && bytes[9000..].iter().all(|&byte| byte == 0));
    }
}

/// A byte that means nothing is changed in each kind of structure, so that nothing but a check sum can tell.
#[test]
fn structures_with_wrong_check_sums_are_damaged() {
    if !have(&["mke2fs", "debugfs", "e2fsck"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("many")).unwrap();
    for index in 0..200 {
        fs::write(root.join("many").join(format!("{index}-{}", "z".repeat(60))), "").unwrap();
    }
    let holes = File::create(root.join("holes")).unwrap();
    for at in 0..20 {
        holes.write_all_at(b"x", at * 4096).unwrap();
    }
    let image = folder.path().join("image");
    let arguments = "-t ext4 -b 1024 -O ^has_journal,metadata_csum,64bit";
    mke2fs(&image, &root, arguments, "8M");
    program("e2fsck").arg("-fyD").arg(&image).output().unwrap();
    let whole = agree(&image);
    let files = by_path(&whole);
    let inode = |path: &str| files[path.as_bytes()].at.unwrap();
    let number = |at: u64| {
        let mut bytes = [0; 4];
        File::open(&image).unwrap().read_exact_at(&mut bytes, at).unwrap();
        u64::from(u32::from_le_bytes(bytes))
    };
    // The block that the first entry of a map leads to: 20 bytes into it for extents, 16 for a tree of them.
    let first = |path: &str, at: u64| number(inode(path) + 0x28 + at) * 1024;
    let bmap = String::from_utf8(debugfs(&image, "bmap /many 1\n")).unwrap();
    let leaf: u64 = bmap.lines().last().unwrap().trim().parse().unwrap();
    let wrong = |at: u64, path: Option<&str>, what: &str| {
        let copy = folder.path().join("copy");
        fs::copy(&image, &copy).unwrap();
        let file = File::options().read(true).write(true).open(&copy).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let read = read(&copy);
        let error = match path {
            None => read.unwrap_err(),
            Some(path) => by_path(&read.unwrap())[path.as_bytes()].contents.clone().unwrap_err(),
        };
        assert!(error.contains(&format!("the check sum of {what}")), "{error}");
    };
    wrong(1024 + 0x3f0, None, "the superblock is wrong");
    wrong(2048 + 0x3c, Some(""), "the descriptor of group 0 is wrong");
    wrong(inode("holes") + 0x70, Some("holes"), "inode ");
    wrong(inode("holes") + 0xf0, Some("holes"), "inode ");
    wrong(first("holes", 16) + 8, Some("holes"), "a node of extents of inode ");
    wrong(first("many", 20) + 40, Some("many"), "block 0 of directory ");
    wrong(leaf * 1024 + 8, Some("many"), "block 1 of directory ");
}

#[test]
fn what_is_not_read_is_named() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = with_files(folder.path(), "-t ext4 -b 4096", "8M", &[("file", vec![1; 10])]);
    edit(
        &image,
        "mkdir /encrypted\nmkdir /casefolded\nsif /encrypted flags 0x80800\n\
         sif /casefolded flags 0x40080000\nsif /file flags 0x80800\n",
    );
    let files = read(&image).unwrap();
    for (path, said) in [
        ("encrypted", "is encrypted"),
        ("file", "is encrypted"),
        ("casefolded", "does not tell case apart"),
    ] {
        let error = by_path(&files)[path.as_bytes()].contents.clone().unwrap_err();
        assert!(error.starts_with("Unsupported") && error.contains(said), "{error}");
    }
    for (features, said) in [
        ("0x48", "a journal device"),
        ("0x1041", "compression and dirdata"),
        ("0x800040", "incompatible features 0x800000"),
    ] {
        edit(&image, "ssv state 1\n");
        let file = File::options().write(true).open(&image).unwrap();
        let features = u32::from_str_radix(&features[2..], 16).unwrap();
        file.write_all_at(&features.to_le_bytes(), 1024 + 0x60).unwrap();
        let error = read(&image).unwrap_err();
        assert!(error.starts_with("Unsupported") && error.contains(said), "{error}");
        file.write_all_at(&0x2c2u32.to_le_bytes(), 1024 + 0x60).unwrap();
    }
    // A volume that ends before its file system does.
    let file = File::options().write(true).open(&image).unwrap();
    file.set_len(8 << 20 >> 1).unwrap();
    let error = read(&image).unwrap_err();
    assert!(error.contains("has 2048 blocks of 4096 bytes"), "{error}");
}
