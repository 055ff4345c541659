//! How a disk boots, against the programs that make it boot: GRUB and SYSLINUX as Debian has them, and what packs an
//! initramfs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tidegate::inspect::bodies;

use crate::disks::{done, is_there, mke2fs, partitioned, plant, program};

/// Where the root begins, in bytes.
const ROOT: u64 = 4 << 20;

/// What a program makes of an input.
fn piped(program: &[&str], input: &Path) -> Option<Vec<u8>> {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdin(File::open(input).unwrap()).stderr(Stdio::null());
    let output = command.output().ok();
    is_there(program[0], output.is_some());
    let output = output?;
    assert!(output.status.success(), "{program:?}");
    Some(output.stdout)
}

/// A cpio archive of a tree with these files, made by cpio.
fn archive(folder: &Path, files: &[(&str, usize)]) -> Option<PathBuf> {
    let tree = folder.join("tree");
    plant(&tree, files.iter().map(|&(path, size)| (path, crate::ext::pattern(size, size as u64))));
    let made = folder.join("archive");
    let found = Command::new("cpio").arg("--version").output().is_ok();
    if !is_there("cpio", found) {
        return None;
    }
    let command = format!("cd {} && find . | cpio -o -H newc 2>/dev/null", tree.display());
    let mut shell = Command::new("sh");
    done(shell.args(["-c", &command]).stdout(File::create(&made).unwrap()));
    fs::remove_dir_all(tree).unwrap();
    Some(made)
}

#[test]
fn an_initramfs_is_read_however_it_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let modules = "usr/lib/modules/6.1/kernel/drivers";
    let files = ["block/virtio_blk.ko", "net/virtio_net.ko.zst", "virtio/virtio-pci.ko.xz"];
    let mut named: Vec<(String, usize)> = files
        .iter()
        .zip([70_001, 3, 0])
        .map(|(name, size)| (format!("{modules}/{name}"), size))
        .collect();
    named.push(("init".to_owned(), 1_000_000));
    let listed: Vec<(&str, usize)> = named.iter().map(|(name, size)| (&name[..], *size)).collect();
    let Some(plain) = archive(folder.path(), &listed) else { return };
    let main = fs::read(&plain).unwrap();
    let microcode = [("kernel/x86/microcode/AuthenticAMD.bin", 30_001)];
    let Some(early) = archive(&folder.path().join("early"), &microcode) else { return };
    let early = fs::read(early).unwrap();
    fs::write(&plain, &main).unwrap();
    let programs: [&[&str]; 9] = [
        &["cat"],
        &["gzip", "-9"],
        &["zstd", "-19"],
        &["zstd", "-1", "--no-check"],
        &["xz", "--check=crc32"],
        &["xz", "--format=lzma"],
        &["bzip2"],
        &["lz4", "-l", "-9"],
        &["lz4", "-l", "-1"],
    ];
    for program in programs {
        let Some(packed) = piped(program, &plain) else { continue };
        for bytes in [packed.clone(), [&early[..], &packed].concat()] {
            let (modules, entries, wrong) = bodies::initramfs_modules(&bytes);
            let modules: Vec<&str> =
                modules.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
            assert_eq!(modules, ["virtio_blk", "virtio_net", "virtio_pci"], "{program:?}");
            assert_eq!(wrong, None, "{program:?}");
            assert!(entries >= 4, "{program:?}: {entries}");
        }
        let (_, _, wrong) = bodies::initramfs_modules(&packed[..packed.len() / 2]);
        assert!(wrong.is_some(), "{program:?}");
    }
    for (program, said) in [
        (&["lzop"][..], "LZO"),
        (&["lz4"], "nothing that Linux"),
        (&["zstd", "-19", "--long=27"], "larger window"),
    ] {
        let Some(packed) = piped(program, &plain) else { continue };
        let (_, _, wrong) = bodies::initramfs_modules(&packed);
        let wrong = wrong.unwrap_or_default();
        assert!(wrong.contains(said), "{program:?}: {wrong}");
    }
}

/// A disk with a partition table and a root, of which what boots is up to whoever asked.
struct Disk {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Disk {
    /// `script` is sfdisk's; the root is put at [`ROOT`].
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let tree = folder.path().join("tree");
        for name in ["etc", "usr/bin", "usr/sbin", "boot/grub", "var"] {
            fs::create_dir_all(tree.join(name)).unwrap();
        }
        plant(&tree, [("etc/os-release", "ID=debian\n"), ("etc/fstab", "")]);
        let root = folder.path().join("root");
        mke2fs(&root, &tree, "-t ext4", "16M");
        partitioned(&path, 24 << 20, script);
        let disk = File::options().write(true).open(&path).unwrap();
        disk.write_all_at(&fs::read(root).unwrap(), ROOT).unwrap();
        Disk { folder, path }
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        File::options().write(true).open(&self.path).unwrap().write_all_at(bytes, at).unwrap();
    }

    /// What a BIOS starts by the report, and the codes of findings about what starts.
    fn loader(&self) -> (String, Vec<String>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let output = command.args(["check", "--format", "json"]).arg(&self.path).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let image = &report["images"][0];
        let codes = image["findings"].as_array().unwrap().iter();
        let codes = codes.map(|finding| finding["code"].as_str().unwrap().to_owned());
        const LOADERS: [&str; 5] = [
            "boot-no-loader",
            "boot-uefi-only",
            "boot-grub-not-installed",
            "boot-loader-unknown",
            "boot-syslinux-incomplete",
        ];
        let codes = codes.filter(|code| LOADERS.contains(&&code[..])).collect();
        (image["guest"]["boot"]["bios"].as_str().unwrap_or_default().to_owned(), codes)
    }
}

/// GRUB's first sector and its core, for a core that begins at this sector.
fn grub(disk: &Disk, sector: u32) -> Option<(Vec<u8>, Vec<u8>)> {
    let modules = Path::new("/usr/lib/grub/i386-pc");
    if !is_there("grub-pc-bin", modules.join("boot.img").exists()) {
        return None;
    }
    let made = disk.folder.path().join("core.img");
    let mut mkimage = program("grub-mkimage");
    mkimage.args(["-O", "i386-pc", "-p", "/boot/grub", "-o"]).arg(&made);
    done(mkimage.args(["biosdisk", "part_msdos", "part_gpt", "ext2", "normal"]));
    let (mut boot, mut core) =
        (fs::read(modules.join("boot.img")).unwrap(), fs::read(made).unwrap());
    // The number of the core's first sector, and that of its second one in the list at the end of the first.
    boot[0x5c..0x60].copy_from_slice(&sector.to_le_bytes());
    boot[0x64] = 0xff;
    core[0x1f4..0x1f8].copy_from_slice(&(sector + 1).to_le_bytes());
    Some((boot, core))
}

fn is(disk: &Disk, bios: &str, codes: &[&str]) {
    let (found, found_codes) = disk.loader();
    assert_eq!(
        (&found[..], &found_codes.iter().map(|code| &code[..]).collect::<Vec<_>>()[..]),
        (bios, codes)
    );
}

#[test]
fn grub_is_found_in_the_gap_before_the_first_partition() {
    let disk = Disk::new("label: dos\nstart=8192, type=83\n");
    is(&disk, "", &["boot-no-loader"]);
    let Some((boot, core)) = grub(&disk, 1) else { return };
    disk.put(0, &boot[..440]);
    is(&disk, "", &["boot-grub-not-installed"]);
    disk.put(512, &core);
    is(&disk, "GRUB 2", &[]);
    // A core of which the first sector alone is there.
    disk.put(1024, &vec![0; core.len() - 512]);
    is(&disk, "", &["boot-grub-not-installed"]);
}

#[test]
fn grub_is_found_in_the_boot_partition_of_a_gpt() {
    let disk = Disk::new(
        "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\nstart=8192, type=L\n",
    );
    is(&disk, "", &["boot-grub-not-installed"]);
    let Some((boot, core)) = grub(&disk, 2048) else { return };
    disk.put(0, &boot[..440]);
    is(&disk, "", &["boot-grub-not-installed"]);
    disk.put(1 << 20, &core);
    is(&disk, "GRUB 2", &[]);
}

#[test]
fn syslinux_is_found_in_the_active_partition() {
    let code = |name: &str| {
        let places =
            ["/usr/lib/SYSLINUX", "/usr/lib/syslinux/mbr"].map(|place| Path::new(place).join(name));
        let code = places.iter().find_map(|path| fs::read(path).ok());
        is_there("syslinux-common", code.is_some());
        code
    };
    let found = Command::new("syslinux").arg("--version").output().is_ok();
    let (true, Some(mbr), Some(gpt)) =
        (is_there("syslinux", found), code("mbr.bin"), code("gptmbr.bin"))
    else {
        return;
    };
    let volume = |disk: &Disk| {
        let path = disk.folder.path().join("volume");
        File::create(&path).unwrap().set_len(2 << 20).unwrap();
        done(program("mkfs.vfat").arg(&path));
        done(Command::new("syslinux").arg("--install").arg(&path));
        fs::read(path).unwrap()
    };
    let table = "label: dos\nstart=2048, size=4096, type=6";
    let disk = Disk::new(&format!("{table}, bootable\nstart=8192, type=83\n"));
    disk.put(0, &mbr);
    is(&disk, "", &["boot-no-loader"]);
    disk.put(1 << 20, &volume(&disk));
    is(&disk, "SYSLINUX", &[]);
    let inactive = Disk::new(&format!("{table}\nstart=8192, type=83\n"));
    inactive.put(0, &mbr);
    inactive.put(1 << 20, &volume(&inactive));
    is(&inactive, "", &["boot-no-loader"]);
    let active = Disk::new(
        "label: gpt\nstart=2048, size=4096, type=L, attrs=LegacyBIOSBootable\nstart=8192, type=L\n",
    );
    active.put(0, &gpt);
    active.put(1 << 20, &volume(&active));
    is(&active, "SYSLINUX", &[]);
}

#[test]
fn what_partitioning_tools_write_starts_nothing() {
    let disk = Disk::new("label: dos\nstart=8192, type=83\n");
    let other = disk.folder.path().join("other");
    File::create(&other).unwrap().set_len(1 << 20).unwrap();
    let parted = program("parted").arg("--version").output().is_ok();
    if !is_there("parted", parted) {
        return;
    }
    done(program("parted").args(["-s"]).arg(&other).args(["mklabel", "msdos"]));
    disk.put(0, &fs::read(other).unwrap()[..440]);
    is(&disk, "", &["boot-no-loader"]);
}
