//! What volumes hold, against blkid; XFS and btrfs, against the trees that they were made of; logical volumes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use tidegate::inspect::bodies::{self, GuestFile, GuestFiles, GuestVolumes};

use crate::disks::{done, have, program};
use crate::ext::pattern;

/// Bytes of a file that are compared.
const MOST: usize = 32 << 20;

fn volumes(image: &Path, paths: &[&str]) -> GuestVolumes {
    let file = File::open(image).unwrap();
    let size = file.metadata().unwrap().len();
    bodies::guest_volumes(|at, buf| file.read_at(buf, at).unwrap(), size, paths).unwrap()
}

fn files(kind: &str, image: &Path) -> GuestFiles {
    let file = File::open(image).unwrap();
    let size = file.metadata().unwrap().len();
    let read = |at: u64, buf: &mut [u8]| file.read_at(buf, at).unwrap();
    bodies::guest_file_system(kind, read, size, MOST).unwrap()
}

/// What blkid says of an image, by the names of its values.
fn blkid(image: &Path, arguments: &[&str]) -> BTreeMap<String, String> {
    let mut command = program("blkid");
    command.args(["-p", "-o", "export"]).args(arguments).arg(image);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    // Blanks are escaped for the shell.
    pairs.map(|(name, value)| (name.to_owned(), value.replace('\\', ""))).collect()
}

fn sparse(path: &Path, size: u64) {
    File::create(path).unwrap().set_len(size).unwrap();
}

/// Holds type, UUID and label of a volume against what blkid says of it.
fn agree(image: &Path, what: &str) {
    let theirs = blkid(image, &[]);
    let ours = volumes(image, &[]).volumes.remove(0);
    let get = |name: &str| theirs.get(name).cloned();
    assert_eq!(Some(ours.holds), get("TYPE"), "{what}: {theirs:?}");
    assert_eq!(ours.uuid, get("UUID"), "{what}: {theirs:?}");
    assert_eq!(ours.label, get("LABEL"), "{what}: {theirs:?}");
}

#[test]
fn every_kind_of_volume_is_known_as_blkid_knows_it() {
    if !have(&["blkid"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let makers: [(&str, &str, u64); 38] = [
        ("mke2fs", "-q -F -t ext2 -L one", 8 << 20),
        ("mke2fs", "-q -F -t ext3 -L two", 16 << 20),
        ("mke2fs", "-q -F -t ext4", 16 << 20),
        ("mke2fs", "-q -F -t ext4 -L a-label-of-16-by -O ^has_journal", 16 << 20),
        ("mke2fs", "-q -F -t ext3 -O extent", 16 << 20),
        ("mke2fs", "-q -F -t ext2 -O meta_bg,^resize_inode", 16 << 20),
        ("mke2fs", "-q -F -t ext2 -O metadata_csum", 16 << 20),
        ("mke2fs", "-q -F -t ext4 -b 1024 -O ^64bit,^metadata_csum", 16 << 20),
        ("mkfs.xfs", "-q -f -L xfs", 320 << 20),
        ("mkfs.xfs", "-q -f -m crc=0", 320 << 20),
        ("mkfs.xfs", "-q -f -s size=4096", 320 << 20),
        ("mkfs.btrfs", "-q -f -L btrfs", 256 << 20),
        ("mkfs.btrfs", "-q -f -M --csum sha256", 64 << 20),
        ("mkfs.btrfs", "-q -f -M --csum xxhash", 64 << 20),
        ("mkfs.vfat", "-F 12 -n FLOPPY", 1440 << 10),
        ("mkfs.vfat", "-F 16 -n SIXTEEN", 32 << 20),
        ("mkfs.vfat", "-F 32 -n ESP", 64 << 20),
        ("mkfs.vfat", "-F 32 -s 8", 512 << 20),
        ("mkfs.vfat", "-F 16 -S 4096", 128 << 20),
        ("mkfs.vfat", "-F 32 -i 0badf00d -n lower --mbr=n", 64 << 20),
        ("mkfs.exfat", "-L exfat", 32 << 20),
        ("mkfs.exfat", "", 64 << 20),
        ("mkfs.ntfs", "-q -F -f -L windows", 32 << 20),
        ("mkfs.ntfs", "-q -F -f -c 65536 -s 4096", 64 << 20),
        ("mkswap", "-L swap", 1 << 20),
        ("mkswap", "-p 8192", 1 << 20),
        ("mkswap", "-U clear", 1 << 20),
        ("mkfs.f2fs", "-q -f -l flash", 64 << 20),
        ("mkfs.f2fs", "-q -f", 64 << 20),
        ("mkfs.erofs", "-T0", 0),
        ("mkfs.erofs", "-U 7d4e0000-0000-4000-8000-000000000001", 0),
        ("mksquashfs", "-noappend -quiet -no-progress", 0),
        ("makefs", "-t ffs -s 4m -o version=1", 0),
        ("makefs", "-t ffs -s 4m -o version=2", 0),
        ("makefs", "-t ffs -s 4m -B be", 0),
        ("xorrisofs", "-quiet -V DISC", 0),
        ("xorrisofs", "-quiet -J -V A-Longer.Name_of_a_disc", 0),
        ("xorrisofs", "-quiet -J -V lower", 0),
    ];
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "contents").unwrap();
    for (maker, arguments, size) in makers {
        if !have(&[maker]) {
            continue;
        }
        let _ = fs::remove_file(&image);
        let mut command = program(maker);
        command.args(arguments.split_whitespace());
        match (maker, size) {
            ("mksquashfs", _) => {
                command.arg(&source).arg(&image).args(arguments.split_whitespace())
            }
            ("makefs" | "mkfs.erofs", _) => command.arg(&image).arg(&source),
            ("xorrisofs", _) => command.arg("-o").arg(&image).arg(&source),
            (_, size) => {
                sparse(&image, size);
                command.arg(&image)
            }
        };
        if maker == "mksquashfs" {
            command = program(maker);
            command.arg(&source).arg(&image).args(arguments.split_whitespace());
        }
        done(&mut command);
        agree(&image, &format!("{maker} {arguments}"));
    }
}

#[test]
fn encrypted_volumes_are_known_as_blkid_knows_them() {
    if !have(&["blkid", "cryptsetup"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (image, key) = (folder.path().join("image"), folder.path().join("key"));
    fs::write(&key, "key").unwrap();
    for arguments in ["--type luks1", "--type luks2 --label secret"] {
        sparse(&image, 32 << 20);
        let mut command = program("cryptsetup");
        command.args(["-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "luksFormat"]);
        command.args(arguments.split_whitespace()).arg("--key-file").arg(&key).arg(&image);
        done(&mut command);
        agree(&image, arguments);
    }
}

/// A superblock of metadata 1 of a Linux RAID.
fn raid_1(at: u64) -> Vec<u8> {
    let mut block = vec![0; 256];
    block[..8].copy_from_slice(b"\xfc\x4e\x2b\xa9\x01\0\0\0");
    (1..).zip(&mut block[16..32]).for_each(|(number, byte)| *byte = number);
    block[32..42].copy_from_slice(b"host:array");
    block[144..152].copy_from_slice(&(at / 512).to_le_bytes());
    let sum: u64 = block
        .chunks_exact(4)
        .map(|word| u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]])))
        .sum();
    block[216..220].copy_from_slice(&((sum >> 32) as u32).wrapping_add(sum as u32).to_le_bytes());
    block
}

#[test]
fn members_of_a_raid_are_known_as_blkid_knows_them() {
    if !have(&["blkid"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let size = (4 << 20) + 12_288u64;
    for at in [0, 4096, (size & !4095) - 8192] {
        sparse(&image, size);
        File::options().write(true).open(&image).unwrap().write_all_at(&raid_1(at), at).unwrap();
        agree(&image, &format!("metadata 1 at {at}"));
    }
    for swapped in [false, true] {
        let mut block = vec![0; 128];
        let words = [(0, 0xa92b_4efcu32), (8, 90), (20, 1), (32, 4000), (52, 2), (56, 3), (60, 4)];
        for (at, word) in words {
            let bytes = if swapped { word.to_be_bytes() } else { word.to_le_bytes() };
            block[at..at + 4].copy_from_slice(&bytes);
        }
        sparse(&image, size);
        let at = (size & !0xffff) - 0x1_0000;
        File::options().write(true).open(&image).unwrap().write_all_at(&block, at).unwrap();
        agree(&image, "metadata 0.90");
    }
}

#[test]
fn partitions_have_the_uuids_and_names_that_blkid_gives_them() {
    if !have(&["blkid", "sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let tables = [
        "label: dos\nlabel-id: 0x0badcafe\nunit: sectors\nstart=2048,size=4096,type=83\nstart=8192,size=20000,type=5\n\
         start=10240,size=2048,type=82\nstart=14336,size=2048,type=8e\n",
        "label: dos\nlabel-id: 0x0\nunit: sectors\nstart=2048,size=4096,type=c\n",
        "label: gpt\nunit: sectors\nstart=2048,size=4096,type=U,name=\"EFI system\"\n\
         start=8192,size=8192,type=L,name=\"räksmörgås\"\nstart=20480,size=2048,type=21686148-6449-6E6F-744E-656564454649\n",
    ];
    for table in tables {
        sparse(&image, 32 << 20);
        let script = folder.path().join("script");
        fs::write(&script, table).unwrap();
        let mut command = program("sfdisk");
        command.arg("-q").arg(&image).stdin(File::open(&script).unwrap());
        done(&mut command);
        // A file system in the first one.
        let inner = folder.path().join("inner");
        sparse(&inner, 4096 * 512);
        done(program("mke2fs").args(["-q", "-F", "-L", "inner"]).arg(&inner));
        let file = File::options().write(true).open(&image).unwrap();
        file.write_all_at(&fs::read(&inner).unwrap(), 2048 * 512).unwrap();
        let found = volumes(&image, &[]).volumes;
        assert!(!found.is_empty());
        for volume in found {
            let place = [volume.start.to_string(), volume.size.to_string()];
            let theirs = blkid(&image, &["-O", &place[0], "-S", &place[1]]);
            assert_eq!(volume.uuid.as_ref(), theirs.get("UUID"), "{volume:?}");
            // What blkid says of the entry, it says only of a device; the names of sfdisk are the same.
            let number = volume.partition.unwrap().to_string();
            let uuid =
                program("sfdisk").arg("--part-uuid").arg(&image).arg(&number).output().unwrap();
            let uuid = String::from_utf8(uuid.stdout).unwrap().trim().to_lowercase();
            if table.contains("gpt") {
                assert_eq!(volume.partuuid, Some(uuid));
                let name = program("sfdisk").arg("--part-label").arg(&image).arg(&number).output();
                let name = String::from_utf8(name.unwrap().stdout).unwrap();
                let name =
                    Some(name.trim_end_matches('\n').to_owned()).filter(|name| !name.is_empty());
                assert_eq!(volume.partlabel, name);
            } else if table.contains("0badcafe") {
                assert_eq!(volume.partuuid, Some(format!("0badcafe-0{number}")));
            } else {
                assert_eq!(volume.partuuid, None);
            }
        }
    }
}

/// A tree with files of sizes at which something changes, directories of all forms, and links.
fn plant(root: &Path) {
    for size in [0usize, 1, 100, 2047, 2048, 4095, 4096, 4097, 70_000, 5_000_000] {
        fs::write(root.join(format!("file-{size}")), pattern(size, size as u64)).unwrap();
    }
    for (name, count) in [("few", 3), ("block", 60), ("leaf", 700), ("node", 9000)] {
        let directory = root.join(name);
        fs::create_dir(&directory).unwrap();
        for number in 0..count {
            fs::write(directory.join(format!("an-entry-{number:05}")), "").unwrap();
        }
    }
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("a/b/c/deep"), "deep").unwrap();
    fs::write(root.join("n".repeat(255)), "long").unwrap();
    // mkfs.xfs 6.1 writes longer ones without the header that version 5 wants.
    for len in [1, 60, 300] {
        std::os::unix::fs::symlink("t".repeat(len), root.join(format!("link-{len}"))).unwrap();
    }
    let sparse = File::create(root.join("sparse")).unwrap();
    for at in [0u64, 5 << 12, 280 << 10, 8 << 20, 20 << 20] {
        sparse.write_all_at(&pattern(3000, at), at).unwrap();
    }
}

/// Holds all files against the tree that they were made of. Owners and modes are what `mkfs` was told.
fn same(ours: &GuestFiles, source: &Path, what: &str) {
    let by_path: BTreeMap<&[u8], &GuestFile> =
        ours.files.iter().map(|file| (&file.path[..], file)).collect();
    assert_eq!(by_path.len(), ours.files.len(), "{what}: a path comes twice");
    let mut count = 1;
    let mut todo = vec![source.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            count += 1;
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(source).unwrap().to_str().unwrap();
            let file = by_path.get(name.as_bytes());
            let file = file.unwrap_or_else(|| panic!("{what}: {name} is missing"));
            let contents = file.contents.as_ref().unwrap_or_else(|e| panic!("{what}: {name}: {e}"));
            if meta.is_dir() {
                assert_eq!(file.kind, 'd', "{what}: {name}");
                todo.push(path);
            } else if meta.is_symlink() {
                assert_eq!(file.kind, 'l', "{what}: {name}");
                let target = fs::read_link(&path).unwrap();
                assert!(contents == target.to_str().unwrap().as_bytes(), "{what}: {name}");
            } else {
                assert_eq!((file.kind, file.size), ('-', meta.size()), "{what}: {name}");
                assert!(*contents == fs::read(&path).unwrap(), "{what}: {name}");
            }
        }
    }
    assert_eq!(count, ours.files.len(), "{what}: there are other files");
}

/// A prototype of mkfs.xfs for a directory.
fn prototype(directory: &Path, out: &mut String) {
    use std::fmt::Write as _;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let meta = fs::symlink_metadata(&path).unwrap();
        let _ = if meta.is_dir() {
            writeln!(out, "{name} d--750 7 8").unwrap();
            prototype(&path, out);
            writeln!(out, "$")
        } else if meta.is_symlink() {
            writeln!(out, "{name} l--777 0 0 {}", fs::read_link(&path).unwrap().display())
        } else {
            writeln!(out, "{name} -u-640 1000 70000 {}", path.display())
        };
    }
}

#[test]
fn xfs_has_the_files_it_was_made_of() {
    if !have(&["mkfs.xfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, image, script) =
        (folder.path().join("source"), folder.path().join("image"), folder.path().join("proto"));
    fs::create_dir(&source).unwrap();
    plant(&source);
    let mut text = "/stand\n0 0\nd--755 0 0\n".to_owned();
    prototype(&source, &mut text);
    fs::write(&script, text + "$\n").unwrap();
    for arguments in [
        "",
        "-m crc=0",
        "-m crc=0 -n ftype=0 -i size=256",
        "-b size=1024 -n size=8192",
        "-b size=512 -m crc=0",
        "-b size=65536 -i size=2048",
        "-i size=1024,nrext64=1 -m bigtime=0",
        "-n size=65536 -s size=4096",
        "-d agcount=9",
    ] {
        sparse(&image, 1 << 30);
        let mut command = program("mkfs.xfs");
        command.args(["-q", "-f", "-p"]).arg(&script).args(arguments.split_whitespace());
        done(command.arg(&image));
        let ours = files("xfs", &image);
        assert_eq!(ours.state, "Clean", "{arguments}");
        same(&ours, &source, arguments);
        for file in ours.files.iter().filter(|file| !file.path.is_empty()) {
            let expected = match file.kind {
                'd' => (0o750, 7, 8),
                'l' => (0o777, 0, 0),
                _ => (0o4640, 1000, 70000),
            };
            assert_eq!((file.mode, file.uid, file.gid), expected, "{arguments}: {file:?}");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let age = now.as_secs().cast_signed() - file.modified.unwrap();
            assert!((0..100_000).contains(&age), "{arguments}: {age}");
        }
    }
}

#[test]
fn a_log_of_xfs_with_changes_is_said() {
    if !have(&["mkfs.xfs", "xfs_db"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    sparse(&image, 320 << 20);
    done(program("mkfs.xfs").args(["-q", "-f"]).arg(&image));
    assert_eq!(files("xfs", &image).state, "Clean");
    // Its log as it is after many rounds, with a record of the unmounting in the middle.
    for (arguments, state) in [("-c 3", "Clean"), ("-c 7 -s 8", "Clean")] {
        let words = arguments.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut command = program("xfs_db");
        done(command.args(["-x", "-c", &format!("logformat {words}")]).arg(&image));
        assert_eq!(files("xfs", &image).state, state, "{arguments}");
    }
    // A record of something else in the place of that one: its flag goes.
    let file = File::options().read(true).write(true).open(&image).unwrap();
    let mut superblock = [0; 512];
    file.read_exact_at(&mut superblock, 0).unwrap();
    let word = |at: usize| u64::from_be_bytes(superblock[at..at + 8].try_into().unwrap());
    let blocks = u64::from(u32::from_be_bytes(superblock[84..88].try_into().unwrap()));
    let (group, within) = (word(48) >> superblock[124], word(48) & ((1 << superblock[124]) - 1));
    let log = (group * blocks + within) * 4096;
    let mut all = vec![0; 64 << 10];
    file.read_exact_at(&mut all, log).unwrap();
    let at = all.chunks(512).position(|sector| sector.starts_with(b"\xfe\xed\xba\xbe")).unwrap();
    file.write_all_at(&[0], log + (at as u64 + 1) * 512 + 9).unwrap();
    let state = files("xfs", &image).state;
    assert_eq!(state, "NotReplayed(\"its log holds changes\")");
}

#[test]
fn btrfs_has_the_files_it_was_made_of() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, image) = (folder.path().join("source"), folder.path().join("image"));
    fs::create_dir(&source).unwrap();
    plant(&source);
    for arguments in [
        "",
        "-M",
        "-n 4096 -m single",
        "-n 65536 -O ^no-holes",
        "--csum sha256",
        "-s 4096 -n 32768 -d dup",
    ] {
        let _ = fs::remove_file(&image);
        sparse(&image, 400 << 20);
        let mut command = program("mkfs.btrfs");
        command.args(["-q", "--rootdir"]).arg(&source).args(arguments.split_whitespace());
        done(command.arg(&image));
        let ours = files("btrfs", &image);
        assert_eq!(ours.state, "Clean", "{arguments}");
        same(&ours, &source, arguments);
        for file in &ours.files {
            let path = source.join(str::from_utf8(&file.path).unwrap());
            let meta = fs::symlink_metadata(&path).unwrap();
            let theirs = (meta.mode() as u16 & 0o7777, meta.uid(), meta.gid());
            assert_eq!((file.mode, file.uid, file.gid), theirs, "{arguments}: {path:?}");
        }
    }
}

#[test]
fn a_logical_volume_in_many_pieces_is_read() {
    if !have(&["mke2fs", "pvck"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, inner) = (folder.path().join("source"), folder.path().join("inner"));
    fs::create_dir_all(source.join("etc")).unwrap();
    fs::create_dir_all(source.join("usr/bin")).unwrap();
    fs::write(source.join("etc/fstab"), "/dev/mapper/tide--vg-root / ext4 defaults 0 1\n").unwrap();
    fs::write(source.join("big"), pattern(3_000_000, 7)).unwrap();
    let mut command = program("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-d"]).arg(&source).arg(&inner).arg("8M");
    done(&mut command);
    let contents = fs::read(&inner).unwrap();
    let disk = bodies::lvm_disk(&[("root", &contents), ("empty", &[0; 70_000])]);
    let image = folder.path().join("image");
    fs::write(&image, &disk).unwrap();
    // The metadata is what LVM2 itself takes for sound.
    let output = program("pvck").args(["--dump", "headers"]).arg(&image).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    for good in ["label_header at 512", "mda_header_1 at 4096", "metadata text at"] {
        assert!(said.contains(good), "{said}");
    }
    for bad in ["CHECK", "incorrect", "bad"] {
        assert!(!said.contains(bad), "{said}");
    }
    agree(&image, "a physical volume");
    let found = volumes(&image, &["/big", "/etc", "/nothing"]);
    let shown: Vec<_> = found.volumes.iter().map(|v| (&v.name[..], &v.holds[..])).collect();
    assert_eq!(
        shown,
        [
            ("the whole disk", "LVM2_member"),
            ("tide-vg/root", "ext4"),
            ("tide-vg/empty", "zeros"),
            ("tide-vg/thin", "unknown"),
        ]
    );
    assert_eq!(found.volumes[1].mounted.as_deref(), Some("/"));
    let root = found.root.unwrap();
    assert_eq!(
        root,
        [
            ("/big".to_owned(), Some(3_000_000)),
            ("/etc".to_owned(), Some(1)),
            ("/nothing".to_owned(), None),
        ]
    );
}

#[test]
fn names_of_types_are_those_of_sfdisk() {
    if !have(&["sfdisk"]) {
        return;
    }
    for (label, odd) in [("gpt", "verity sign."), ("dos", "none")] {
        let output: std::process::Output =
            done(Command::new("sfdisk").args(["-T", "-X", label]).env("LC_ALL", "C"));
        let text = String::from_utf8(output.stdout).unwrap();
        let rows = text.lines().skip(2).filter_map(|line| line.trim().split_once(' '));
        for (kind, name) in rows {
            let kind = format!("{kind:0>2}");
            // A newer sfdisk may know more.
            let Some(ours) = tidegate::guest::volumes::type_name(&kind) else { continue };
            let name = name.trim().replace(odd, "verity signature");
            assert_eq!(ours, name, "{kind}");
        }
    }
}
