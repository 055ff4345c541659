//! A whole guest that boots, and what is found when one thing of it is broken.

use super::super::super::fs::memory::Memory;
use super::super::super::tree::testing::{tree_on, volume};
use super::super::super::volumes::{Holds, Volume};
use super::super::testing::{codes, judged_in};
use super::super::{Inside, testing};
use super::cpio::testing::archive;
use super::judge;
use super::kernel::testing::kernel;
use crate::facts::Code;

const VERSION: &str = "6.1.0-57-cloud-amd64";
const UUID: &str = "00000000-0000-0000-0000-000000000001";
const MODULES: &str = "/lib/modules/6.1.0-57-cloud-amd64";

/// Sectors with GRUB and its core.
fn grub() -> Vec<(u64, Vec<u8>)> {
    let (mut boot, mut core) = (vec![0; 512], vec![0; 512]);
    (boot[0x5c], boot[0x64]) = (1, 0xff);
    boot[0x180..0x185].copy_from_slice(b"GRUB ");
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    core[..4].copy_from_slice(&[0x52, 0x56, 0xbe, 0x1b]);
    core[500..].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0x20, 8]);
    vec![(0, boot), (512, core), (1024, vec![9; 512])]
}

fn menu(kernel: &str, options: &str) -> String {
    format!(
        "set default=\"0\"\nmenuentry 'Debian' --id d {{\n\tsearch --no-floppy --fs-uuid --set=root {UUID}\n\
         \tlinux\t/boot/{kernel}-{VERSION} {options}\n\tinitrd\t/boot/initrd.img-{VERSION}\n}}\n"
    )
}

fn modules_in_initramfs() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("usr/lib/modules/6.1.0-57-cloud-amd64/kernel/drivers/block/virtio_blk.ko", b"x"),
        ("usr/lib/modules/6.1.0-57-cloud-amd64/kernel/fs/ext4/ext4.ko", b"x"),
        ("usr/lib/modules/6.1.0-57-cloud-amd64/kernel/fs/jbd2/jbd2.ko", b"x"),
        ("init", b"x"),
    ]
}

/// Debian, as far as it boots.
fn debian() -> Memory {
    let mut memory = Memory::new()
        .with("/boot/grub/grub.cfg", menu("vmlinuz", &format!("root=UUID={UUID} ro console=tty0")))
        .with(&format!("/boot/vmlinuz-{VERSION}"), kernel(VERSION))
        .with(&format!("/boot/initrd.img-{VERSION}"), archive(&modules_in_initramfs()))
        .with(&format!("/boot/config-{VERSION}"), "CONFIG_MODULES=y\nCONFIG_INITRAMFS_SOURCE=\"\"\nCONFIG_PACKET=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_NET=m\nCONFIG_EXT4_FS=m\nCONFIG_ISO9660_FS=m\n")
        .with(&format!("{MODULES}/modules.builtin"), "kernel/drivers/virtio/virtio_pci.ko\nkernel/net/packet/af_packet.ko\n")
        .with(
            &format!("{MODULES}/modules.dep"),
            "kernel/drivers/block/virtio_blk.ko:\nkernel/drivers/net/virtio_net.ko:\nkernel/fs/isofs/isofs.ko:\n\
             kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko\nkernel/fs/jbd2/jbd2.ko:\n",
        );
    for module in
        ["drivers/block/virtio_blk", "drivers/net/virtio_net", "fs/isofs/isofs", "fs/ext4/ext4"]
    {
        memory = memory.with(&format!("{MODULES}/kernel/{module}.ko"), "x");
    }
    memory
}

type Found = Vec<(Code, Option<String>, String)>;

fn judged_on(
    sectors: Vec<(u64, Vec<u8>)>,
    volumes: Vec<(Volume, Option<Memory>)>,
) -> (Found, Inside) {
    judged_in(tree_on(sectors, volumes), judge)
}

fn judged(memory: Memory) -> (Found, Inside) {
    judged_on(grub(), vec![(volume(1), Some(memory))])
}

#[test]
fn a_sound_guest_has_no_finding() {
    let (found, inside) = judged(debian());
    assert_eq!(found, []);
    let boot = inside.boot.unwrap();
    assert_eq!(boot.bios.as_deref(), Some("GRUB 2"));
    assert_eq!(boot.entry.as_deref(), Some("/boot/grub/grub.cfg:4"));
    assert_eq!(boot.command_line.unwrap(), format!("root=UUID={UUID} ro console=tty0"));
    assert!(boot.initramfs.is_some());
    assert_eq!((&inside.kernels[0].version[..], inside.kernels[0].boots), (VERSION, true));
    assert_eq!(inside.kernels.len(), 1);
}

#[test]
fn each_break_is_found() {
    let at = |path: &str| format!("{path}-{VERSION}");
    let initrd = |names: &[&str]| {
        let left = modules_in_initramfs()
            .into_iter()
            .filter(|(name, _)| !names.iter().any(|other| name.contains(other)));
        archive(&left.collect::<Vec<_>>())
    };
    let options = |options: &str| debian().with("/boot/grub/grub.cfg", menu("vmlinuz", options));
    let root = format!("root=UUID={UUID}");
    let dep = |without: &str| {
        let lines = [
            "drivers/block/virtio_blk",
            "drivers/net/virtio_net",
            "fs/isofs/isofs",
            "fs/ext4/ext4",
        ];
        let lines = lines
            .iter()
            .filter(|line| **line != without)
            .map(|line| format!("kernel/{line}.ko:\n"));
        debian().with(&format!("{MODULES}/modules.dep"), lines.collect::<String>())
    };
    let without_initrd = || {
        let menu = menu("vmlinuz", &root);
        debian().with("/boot/grub/grub.cfg", menu.replace("initrd", "# initrd"))
    };
    for (memory, expected) in [
        (debian().without(&at("/boot/vmlinuz")), vec!["boot-kernel-missing"]),
        (debian().with(&at("/boot/vmlinuz"), ""), vec!["boot-kernel-missing"]),
        (debian().with(&at("/boot/vmlinuz"), vec![7; 4096]), vec!["kernel-invalid"]),
        (debian().with(&at("/boot/vmlinuz"), &kernel(VERSION)[..2000]), vec!["kernel-invalid"]),
        (debian().without(&at("/boot/initrd.img")), vec!["boot-initrd-missing"]),
        (debian().with(&at("/boot/initrd.img"), ""), vec!["boot-initrd-missing"]),
        (
            debian().with(&at("/boot/initrd.img"), &archive(&modules_in_initramfs())[..300]),
            vec!["boot-initramfs-damaged"],
        ),
        (
            debian().with(&at("/boot/initrd.img"), initrd(&["virtio_blk"])),
            vec!["boot-driver-not-in-initramfs"],
        ),
        (
            debian().with(&at("/boot/initrd.img"), initrd(&["ext4.ko"])),
            vec!["boot-driver-not-in-initramfs"],
        ),
        (
            debian().with(&at("/boot/initrd.img"), initrd(&["jbd2"])),
            vec!["boot-driver-not-in-initramfs"],
        ),
        (
            debian().with(&at("/boot/initrd.img"), b"\x89LZO\0\r\n\x1a\n"),
            vec!["guest-not-examined"],
        ),
        (debian().without("/boot/grub/grub.cfg"), vec!["boot-no-menu"]),
        (debian().with("/boot/grub/grub.cfg", "set default=0\n"), vec!["boot-no-menu"]),
        (options("root=UUID=1234"), vec!["boot-root-missing"]),
        (options("root=/dev/sda1"), vec!["boot-root-device"]),
        (options(&format!("{root} console=ttyS0")), vec!["boot-serial-console-only"]),
        (options(&format!("{root} resume=UUID=12")), vec!["boot-resume-missing"]),
        (
            options(&format!("{root} modprobe.blacklist=virtio-net")),
            vec!["kernel-module-blacklisted"],
        ),
        (
            without_initrd(),
            vec![
                "boot-driver-not-in-initramfs",
                "boot-driver-not-in-initramfs",
                "boot-root-needs-initramfs",
            ],
        ),
        (debian().without(&format!("{MODULES}/modules.dep")), vec!["kernel-no-modules"]),
        (dep("drivers/block/virtio_blk"), vec!["kernel-no-virtio-disk"]),
        (dep("drivers/net/virtio_net"), vec!["kernel-no-virtio-net"]),
        (dep("fs/isofs/isofs"), vec!["kernel-no-isofs"]),
        (dep("fs/ext4/ext4"), vec!["kernel-no-root-driver"]),
        (
            debian().without(&format!("{MODULES}/kernel/drivers/net/virtio_net.ko")),
            vec!["kernel-no-virtio-net"],
        ),
        (
            debian().with("/etc/modprobe.d/x.conf", "install virtio-net /bin/true\n"),
            vec!["kernel-module-disabled"],
        ),
        (
            debian().with("/etc/modprobe.d/x.conf", "# x\nblacklist isofs\r\n"),
            vec!["kernel-module-blacklisted"],
        ),
    ] {
        let (found, _) = judged(memory);
        let mut found_codes = codes(&found);
        found_codes.sort_unstable();
        assert_eq!(found_codes, expected, "{found:?}");
    }
}

#[test]
fn what_has_no_say_is_no_finding() {
    for memory in [
        debian().with("/etc/modprobe.d/x.conf", "blacklist virtio_pci\nblacklist floppy\ninstall cramfs /bin/false\noptions virtio_net x=1\n"),
        debian().with("/etc/modprobe.d/x", "blacklist virtio_net\n"),
        debian().with("/usr/lib/modprobe.d/x.conf", "blacklist virtio_net\n").link("/etc/modprobe.d/x.conf", "/dev/null"),
        debian().with("/boot/vmlinuz-5.0", "not one that boots"),
    ] {
        let (found, _) = judged(memory);
        assert_eq!(found, []);
    }
}

#[test]
fn modules_for_another_kernel_are_of_no_use() {
    let initrd = archive(&[("lib/modules/5.10/kernel/drivers/block/virtio_blk.ko", b"x")]);
    let (found, _) = judged(debian().with(&format!("/boot/initrd.img-{VERSION}"), initrd));
    assert_eq!(found.len(), 2);
    assert!(found[0].2.contains("for the kernel 5.10"), "{}", found[0].2);
}

#[test]
fn the_subvolume_of_the_root_has_to_be_there() {
    let found = |options: &str| {
        let btrfs = Volume { holds: Holds::Btrfs, ..volume(1) };
        let grub_cfg = menu("vmlinuz", &format!("root=UUID={UUID} {options}"));
        let memory = debian().with("/boot/grub/grub.cfg", grub_cfg);
        let (found, _) = judged_on(grub(), vec![(btrfs, Some(memory))]);
        codes(&found)
    };
    assert!(found("rootflags=subvol=@").contains(&"boot-root-subvolume"));
    assert!(!found("rootflags=noatime").contains(&"boot-root-subvolume"));
}

#[test]
fn a_kernel_without_raw_packets_has_no_dhcp() {
    let builtin = format!("{MODULES}/modules.builtin");
    let config = "CONFIG_MODULES=y\nCONFIG_INITRAMFS_SOURCE=\"\"\nCONFIG_VIRTIO_PCI=y\n# CONFIG_PACKET is not set\n";
    let memory = debian()
        .with(&builtin, "kernel/drivers/virtio/virtio_pci.ko\n")
        .with(&format!("/boot/config-{VERSION}"), config);
    assert_eq!(codes(&judged(memory).0), ["kernel-no-packet"]);
}

#[test]
fn a_kernel_alone_finds_its_root_by_its_partition() {
    let config = "CONFIG_VIRTIO_BLK=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_NET=y\nCONFIG_EXT4_FS=y\nCONFIG_ISO9660_FS=y\nCONFIG_PACKET=y\nCONFIG_INITRAMFS_SOURCE=\"\"\n";
    let menu = |root: &str| menu("vmlinuz", root).replace("initrd", "# initrd");
    let guest = |root: &str| {
        Memory::new()
            .with("/boot/grub/grub.cfg", menu(root))
            .with(&format!("/boot/vmlinuz-{VERSION}"), kernel(VERSION))
            .with(&format!("/boot/config-{VERSION}"), config)
    };
    assert_eq!(judged(guest("root=/dev/vda1")).0, []);
    assert_eq!(judged(guest("root=PARTUUID=12345678-01")).0, []);
    let (found, _) = judged(guest(&format!("root=UUID={UUID}")));
    assert_eq!(codes(&found), ["boot-root-needs-initramfs"]);
}

#[test]
fn loaders() {
    let esp = |memory: Memory| {
        let mut volume = volume(2);
        volume.kind = Some("C12A7328-F81F-11D2-BA4B-00A0C93EC93B".to_owned());
        (volume, Some(memory))
    };
    let root = || (volume(1), Some(debian()));
    let empty = || vec![(0, [vec![0; 510], vec![0x55, 0xaa]].concat())];
    let (found, _) = judged_on(empty(), vec![root()]);
    assert_eq!(codes(&found), ["boot-no-loader"]);
    let loader = Memory::new().with("/EFI/BOOT/BOOTX64.EFI", "MZ");
    let (found, inside) = judged_on(empty(), vec![root(), esp(loader)]);
    assert_eq!(codes(&found), ["boot-uefi-only"]);
    assert_eq!(inside.boot.unwrap().uefi.as_deref(), Some("/EFI/BOOT/BOOTX64.EFI"));
    let (found, _) = judged_on(empty(), vec![root(), esp(Memory::new())]);
    assert_eq!(codes(&found), ["boot-no-loader"]);
    let (found, _) = judged_on(empty(), vec![root(), (esp(Memory::new()).0, None)]);
    assert_eq!(codes(&found), ["boot-uefi-only"]);
    let (found, _) = judged_on(grub()[..2].to_vec(), vec![root()]);
    assert_eq!(codes(&found), ["boot-grub-not-installed"]);
    let unknown = vec![(0, [vec![1; 440], vec![0; 70], vec![0x55, 0xaa]].concat())];
    let (found, _) = judged_on(unknown, vec![root()]);
    assert_eq!(codes(&found), ["boot-loader-unknown"]);
}

#[test]
fn freebsd_is_left_to_its_loader() {
    let sector = [&b"\xfcMissing boot loader"[..], &[0; 490], &[0x55, 0xaa]].concat();
    let mut boot = volume(2);
    boot.kind = Some("83BD6B9D-7F41-11DC-BE0B-001560B84F0F".to_owned());
    let volumes =
        vec![(volume(1), Some(Memory::new().with("/boot/kernel/kernel", "x"))), (boot, None)];
    let (found, inside) = judged_on(vec![(0, sector), (2 << 20, vec![1; 512])], volumes);
    assert_eq!(found, []);
    assert_eq!(inside.boot.unwrap().bios.as_deref(), Some("FreeBSD's loader"));
}

#[test]
fn a_guest_with_nothing_of_it_does_no_harm() {
    let (found, _) = testing::judged(vec![Memory::new()], judge);
    assert_eq!(codes(&found), ["boot-no-loader"]);
}
