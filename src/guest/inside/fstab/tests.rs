use super::super::super::fs::memory::Memory;
use super::super::super::tree::testing::{tree_on, volume};
use super::super::super::volumes::Volume;
use super::super::testing::{codes, judged, judged_in};
use super::*;
use proptest::prelude::*;

pub(super) fn found_in(init: Option<Init>, memory: Memory) -> Vec<(Code, Option<String>, String)> {
    let (found, _) = judged(vec![memory, Memory::new()], |case| {
        case.known.init = init;
        case.inside.root = Some(0);
        judge(case)
    });
    found
}

#[test]
fn the_subvolume_of_a_line_has_to_be_there() {
    let btrfs = Volume { holds: Holds::Btrfs, ..volume(1) };
    let found = |options: &str| {
        let line = format!("UUID={} / btrfs {options} 0 0\n", btrfs.uuid.as_deref().unwrap());
        let memory = Memory::new().with(FSTAB, line);
        let tree = tree_on(Vec::new(), vec![(btrfs.clone(), Some(memory))]);
        let (found, _) = judged_in(tree, |case| {
            case.known.init = Some(Init::Systemd);
            case.inside.root = Some(0);
            judge(case)
        });
        codes(&found)
    };
    assert_eq!(found("subvol=@"), ["fstab-subvolume-missing"]);
    assert_eq!(found("noatime"), Vec::<&str>::new());
}

fn with(fstab: impl AsRef<[u8]>) -> Vec<&'static str> {
    codes(&found_in(Some(Init::Systemd), Memory::new().with(FSTAB, fstab)))
}

#[test]
fn what_is_on_the_disk_is_in_order() {
    for text in [
        "",
        "# comment\n\nUUID=00000000-0000-0000-0000-000000000001 / ext4 rw,discard,errors=remount-ro 0 1\n",
        "UUID=00000000-0000-0000-0000-000000000001\t/\text4\r\n",
        "/dev/disk/by-uuid/00000000-0000-0000-0000-000000000002 /boot ext4 defaults 0 2\n",
        "PARTUUID=12345678-02 /boot auto defaults 0 2\n/dev/vda2 /srv ext4\n",
        "tmpfs /tmp tmpfs defaults 0 0\nproc /proc proc\noverlay /x overlay\nrpool/home /home zfs\n",
        "UUID=dead /data ext4 nofail\nUUID=dead /data ext4 noauto\n/dev/sdb1 /x ext4 defaults,x-systemd.automount\n",
        "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n",
        "/etc /mnt none bind\n/run/x /mnt none bind\n/srv/data /mnt none bind\n",
        "/dev/zram0 none swap sw\n",
        "\u{feff}#\n",
    ] {
        assert_eq!(with(text), [""; 0], "{text}");
    }
    assert!(found_in(None, Memory::new()).is_empty());
}

#[test]
fn slips_in_a_line_are_found() {
    let volume = "00000000-0000-0000-0000-000000000002";
    assert_eq!(with(format!("UUID={volume} /data ext4 default 0 0\n")), ["fstab-mount-fails"]);
    let fat = |uuid: &str| Volume {
        uuid: Some(uuid.into()),
        holds: Holds::Vfat,
        ..super::super::super::tree::testing::volume(2)
    };
    let found = |line: &str| {
        let volumes = vec![
            (super::super::super::tree::testing::volume(1), Some(Memory::new().with(FSTAB, line))),
            (fat("1A2B-3C4D"), None),
        ];
        let (found, _) = judged_in(tree_on(Vec::new(), volumes), |case| {
            case.known.init = Some(Init::Systemd);
            case.inside.root = Some(0);
            judge(case)
        });
        codes(&found).join(" ")
    };
    assert_eq!(found("UUID=1A2B-3C4D /boot/efi vfat defaults 0 0\n"), "");
    assert_eq!(found("UUID=1a2b-3c4d /boot/efi vfat defaults 0 0\n"), "fstab-source-missing");
}

#[test]
fn what_is_not_on_the_disk_is_found() {
    for (text, wanted) in [
        ("UUID=deadbeef /data ext4 defaults 0 2\n", "fstab-source-missing"),
        ("LABEL=data /data ext4 defaults 0 2\n", "fstab-source-missing"),
        ("LABEL=my\\040data /data ext4\n", "fstab-source-missing"),
        ("PARTUUID=12345678-07 /data ext4\n", "fstab-source-missing"),
        ("PARTLABEL=data /data ext4\n", "fstab-source-missing"),
        ("UUID=deadbeef / ext4\n", "fstab-source-missing"),
        ("/dev/vda9 /data ext4\n", "fstab-source-missing"),
        ("/dev/mapper/vg-data /data ext4\n", "fstab-source-missing"),
        ("/dev/vg/data /data ext4\n", "fstab-source-missing"),
        ("/dev/md0 /data ext4\n", "fstab-source-missing"),
        ("/data.img /data ext4 loop\n", "fstab-source-missing"),
        ("vagrant /vagrant vboxsf defaults\n", "fstab-source-missing"),
        ("/dev/sdb1 /data ext4\n", "fstab-device-name"),
        ("/dev/sda1 /boot ext4\n", "fstab-device-name"),
        ("/dev/nvme0n1p1 /boot ext4\n", "fstab-device-name"),
        ("/dev/xvda1 /boot ext4\n", "fstab-device-name"),
        ("/dev/vdc /data ext4\n", "fstab-device-name"),
        ("/dev/disk/by-id/ata-VBOX_HARDDISK_1-part1 /boot ext4\n", "fstab-device-name"),
        ("/dev/sda1 / ext4\n", "fstab-root-differs"),
        ("/dev/vda1 / xfs\n", "fstab-root-differs"),
        ("/dev/vda2 / ext4\n", "fstab-root-differs"),
        ("/dev/vdb /data ext4\n", "fstab-config-drive"),
        ("/dev/vda2 /data xfs\n", "fstab-type-wrong"),
        ("/dev/vda2 /data ext3\n", "fstab-type-wrong"),
        ("/dev/vda2 /data vfat umask=0077\n", "fstab-type-wrong"),
        ("UUID=deadbeef none swap sw 0 0\n", "fstab-swap-missing"),
        ("/dev/sda2 none swap sw 0 0\n", "fstab-swap-missing"),
        ("/swapfile none swap sw 0 0\n", "fstab-swap-missing"),
        ("/dev/vda2 none swap sw 0 0\n", "fstab-swap-missing"),
        ("10.0.0.1:/srv /srv nfs defaults\n", "fstab-remote"),
        ("//nas/x /srv cifs credentials=/x\n", "fstab-remote"),
        ("/dev/sdb1 /data ext4 _netdev\n", "fstab-remote"),
    ] {
        assert_eq!(with(text), [wanted], "{text}");
    }
}

#[test]
fn findings_name_the_line_and_the_volumes() {
    let text = "# c\nUUID=dead\u{1b}beef /data ext4 defaults 0 2\n";
    let found = found_in(Some(Init::Systemd), Memory::new().with(FSTAB, text));
    assert_eq!(found[0].1.as_deref(), Some("/etc/fstab:2"));
    for part in
        ["UUID=dead\\u{1b}beef", "partition 1 (ext4, UUID=00000000-0000-0000-0000-000000000001)"]
    {
        assert!(found[0].2.contains(part), "{}", found[0].2);
    }
}

#[test]
fn only_systemd_stops_there() {
    let memory = || Memory::new().with(FSTAB, "UUID=deadbeef /data ext4\n");
    for init in [None, Some(Init::OpenRc), Some(Init::SysV)] {
        assert_eq!(codes(&found_in(init, memory())), ["fstab-mount-fails"]);
    }
    let bsd = |text: &str| codes(&found_in(Some(Init::Bsd), Memory::new().with(FSTAB, text)));
    assert_eq!(bsd("/dev/vtbd0p2 / ufs rw 1 1\n/dev/ufs/root / ufs rw 1 1\n"), [""; 0]);
    assert_eq!(bsd("/dev/ada0p2 / ufs rw 1 1\n"), ["fstab-mount-fails"]);
    assert_eq!(bsd("/dev/gpt/rootfs / ufs rw 1 1\n"), ["fstab-mount-fails"]);
}

proptest! {
    #[test]
    fn any_table_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), tail in "[a-z/=\\\\0-9 \t\n,#]{0,80}") {
        for memory in [Memory::new().with(FSTAB, &bytes), Memory::new().with(FSTAB, &tail), Memory::new().with("/etc/crypttab", &tail)] {
            found_in(Some(Init::Systemd), memory);
        }
    }
}
