use super::super::super::fs::memory::Memory;
use super::super::super::tree::testing::{tree_on, volume};
use super::super::testing::{codes, judged, judged_in};
use super::distribution::{EXACT, FAMILIES};
use super::*;

fn system(memory: Memory) -> System {
    let (_, inside) = judged(vec![memory], judge);
    inside.system.unwrap()
}

fn elf(class: u8, order: u8, machine: u16) -> Vec<u8> {
    let mut head = b"\x7fELF".to_vec();
    head.extend([class, order]);
    head.resize(18, 0);
    head.extend(if order == 2 { machine.to_be_bytes() } else { machine.to_le_bytes() });
    head.resize(64, 0);
    head
}

#[test]
fn systems_get_the_value_that_digitalocean_has_for_them() {
    for (text, value, by_family) in [
        ("ID=arch\nNAME=\"Arch Linux\"\nBUILD_ID=rolling\n", "Arch Linux", false),
        ("ID=manjaro\nID_LIKE=arch\n", "Arch Linux", true),
        ("ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"9\"\n", "CentOS", false),
        ("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n", "CentOS", true),
        ("ID=\"rhel\"\nID_LIKE=\"fedora\"\n", "CentOS", true),
        ("ID=\"ol\"\nID_LIKE=\"fedora\"\n", "CentOS", true),
        ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "Rocky Linux", false),
        ("ID=\"amzn\"\nVERSION_ID=\"2\"\nID_LIKE=\"centos rhel fedora\"\n", "CentOS", true),
        ("ID=\"amzn\"\nVERSION_ID=\"2018.03\"\n", "CentOS", true),
        ("ID=\"amzn\"\nVERSION_ID=\"2023\"\nID_LIKE=\"fedora\"\n", "Fedora", true),
        ("ID=fedora\nVARIANT_ID=coreos\n", "CoreOS", false),
        ("ID=fedora\nVARIANT_ID=cloud\n", "Fedora", false),
        ("ID=fedora\nVARIANT_ID=silverblue\n", "Fedora Atomic", true),
        ("ID=fedora\nVARIANT_ID=atomic.host\n", "Fedora Atomic", false),
        ("ID=flatcar\nID_LIKE=coreos\n", "CoreOS", false),
        ("ID=debian\nVERSION_ID=\"12\"\n", "Debian", false),
        ("ID=kali\nID_LIKE=debian\n", "Debian", true),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n", "Ubuntu", false),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "Ubuntu", true),
        ("ID=pop\nID_LIKE=\"ubuntu debian\"\n", "Ubuntu", true),
        ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "openSUSE", false),
        ("ID=\"sles\"\nID_LIKE=\"suse\"\n", "openSUSE", true),
        ("ID=gentoo\n", "Gentoo", false),
        ("ID=rancheros\n", "RancherOS", false),
        ("ID=freebsd\n", "FreeBSD", false),
        ("ID=alpine\n", "Unknown", false),
        ("ID=nixos\n", "Unknown", false),
        ("ID=mageia\nID_LIKE=\"mandriva fedora\"\n", "Unknown", false),
        ("ID=\"openEuler\"\n", "Unknown", false),
        ("ID=mine\nID_LIKE=\"other debian\"\n", "Debian", true),
        ("ID=mine\n", "Unknown", false),
        ("NAME=x\n", "Unknown", false),
        ("ID=arch\r\n#ID=debian\r\nID='ubuntu'\r\n", "Ubuntu", false),
        ("\u{feff}ID=debian\n", "Debian", false),
    ] {
        let system = system(Memory::new().with("/etc/os-release", text));
        assert_eq!((&system.distribution[..], system.by_family), (value, by_family), "{text}");
    }
}

/// The strings here are those that the API's client has.
#[cfg(feature = "net")]
#[test]
fn every_value_is_one_of_the_api() {
    let tables = EXACT.iter().map(|(value, _)| *value);
    let values = tables.chain(FAMILIES.iter().map(|(value, _)| *value));
    for value in values.chain(["Fedora Atomic", "Unknown"]) {
        assert!(crate::digitalocean::Distribution::from(value).is_known(), "{value}");
    }
    for known in crate::digitalocean::Distribution::KNOWN {
        let is_here = EXACT.iter().any(|(value, _)| value == known);
        assert!(is_here || ["Fedora Atomic", "Unknown"].contains(known), "{known}");
    }
}

#[test]
fn one_os_release_counts() {
    let root = Memory::new()
        .with(
            "/usr/lib/os-release",
            "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n",
        )
        .link("/etc/os-release", "../usr/lib/os-release");
    let found = system(root);
    assert_eq!(found.name, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!((&found.id[..], found.version.as_deref()), ("debian", Some("12")));
    let both = Memory::new()
        .with("/usr/lib/os-release", "ID=debian\nVERSION_ID=12\n")
        .with("/etc/os-release", "ID=arch\nNAME=Arch\nVERSION=x\n");
    let found = system(both);
    assert_eq!((&found.name[..], found.version), ("Arch x", None));
    let nixos = Memory::new()
        .link("/etc/os-release", "/etc/static/os-release")
        .link("/etc/static", "/nix/store/a-etc/etc")
        .with("/nix/store/a-etc/etc/os-release", "ID=nixos\n");
    assert_eq!(system(nixos).id, "nixos");
    let hostile = system(Memory::new().with("/etc/os-release", "ID=\"\x1b[31m\"\nNAME='a\x07b'\n"));
    assert!(!hostile.id.contains('\x1b') && !hostile.name.contains('\x07'));
}

#[test]
fn systems_without_os_release_are_known_by_other_files() {
    for (path, text, id, version) in [
        ("/etc/centos-release", "CentOS release 6.10 (Final)\n", "centos", Some("6.10")),
        (
            "/etc/redhat-release",
            "Red Hat Enterprise Linux Server release 6.5 (Santiago)\n",
            "rhel",
            Some("6.5"),
        ),
        ("/etc/redhat-release", "Fedora release 20 (Heisenbug)\n", "fedora", Some("20")),
        ("/etc/debian_version", "6.0.10\n", "debian", Some("6.0.10")),
        ("/etc/alpine-release", "3.4.0\n", "alpine", Some("3.4.0")),
        ("/etc/arch-release", "", "arch", None),
        ("/etc/gentoo-release", "Gentoo Base System release 2.2\n", "gentoo", Some("2.2")),
        ("/etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\n", "ubuntu", Some("10.04")),
        (
            "/bin/freebsd-version",
            "#!/bin/sh\nUSERLAND_VERSION=\"14.1-RELEASE-p5\"\n",
            "freebsd",
            Some("14.1-RELEASE-p5"),
        ),
    ] {
        // As FreeBSD has it at rest.
        let root = Memory::new().with(path, text).link("/etc/os-release", "../var/run/os-release");
        let found = system(root);
        assert_eq!((&found.id[..], found.version.as_deref()), (id, version), "{path} {text}");
    }
    let pfsense = Memory::new()
        .with("/bin/freebsd-version", "USERLAND_VERSION=\"14.0\"\n")
        .with("/etc/pfSense-rc", "");
    let found = system(pfsense);
    assert_eq!((&found.distribution[..], found.by_family), ("FreeBSD", true));
    let (found, inside) = judged(vec![Memory::new()], judge);
    assert_eq!(codes(&found), ["system-unknown"]);
    assert_eq!(inside.system.unwrap().distribution, "Unknown");
}

#[test]
fn programs_for_other_processors_are_refused() {
    let root = |program: Vec<u8>| {
        Memory::new()
            .with("/etc/os-release", "ID=debian\n")
            .with("/usr/lib/systemd/systemd", program)
            .link("/sbin/init", "/lib/systemd/systemd")
            .link("/lib", "usr/lib")
    };
    for (program, name, code) in [
        (elf(2, 1, 62), Some("x86-64"), None),
        (elf(1, 1, 3), Some("i386"), Some("system-32-bit")),
        (elf(2, 1, 183), Some("AArch64"), Some("system-architecture")),
        (elf(2, 2, 22), Some("s390"), Some("system-architecture")),
        (elf(2, 1, 243), Some("RISC-V"), Some("system-architecture")),
        (elf(2, 1, 999), None, None),
        (b"#!/bin/sh\n".to_vec(), None, None),
        (b"\x7fELF".to_vec(), None, None),
    ] {
        let (found, inside) = judged(vec![root(program)], judge);
        assert_eq!(codes(&found), Vec::from_iter(code));
        assert_eq!(inside.system.unwrap().architecture.as_deref(), name);
    }
    // The first program that says it counts.
    let root = root(b"#!/bin/sh\n".to_vec()).with("/bin/sh", elf(2, 1, 183));
    assert_eq!(codes(&judged(vec![root], judge).0), ["system-architecture"]);
}

#[test]
fn windows_is_known_by_its_partitions() {
    let ntfs = Volume { holds: Holds::Ntfs, size: SMALLEST_WINDOWS, ..volume(2) };
    let reserved = Volume { kind: Some(RESERVED.to_owned()), holds: Holds::Zeros, ..volume(1) };
    let found = |volumes: Vec<Volume>, sectors: Vec<(u64, Vec<u8>)>| {
        let volumes = volumes.into_iter().map(|volume| (volume, None)).collect();
        let (found, _) = judged_in(tree_on(sectors, volumes), judge_without_root);
        codes(&found)
    };
    assert_eq!(found(vec![reserved.clone(), ntfs.clone()], Vec::new()), ["system-windows"]);
    let boots = vec![(ntfs.start, b"\xebR\x90NTFS    BOOTMGR".to_vec())];
    assert_eq!(found(vec![ntfs.clone()], boots), ["system-windows"]);
    let small = Volume { size: SMALLEST_WINDOWS - 1, ..ntfs.clone() };
    assert_eq!(found(vec![reserved, small], Vec::new()), Vec::<&str>::new());
    assert_eq!(found(vec![ntfs], Vec::new()), Vec::<&str>::new());
}

#[test]
fn installers_are_known_by_their_directories() {
    for (path, is_installer) in [
        ("/casper/vmlinuz", true),
        ("/.disk/info", true),
        ("/LiveOS/squashfs.img", true),
        ("/images/install.img", true),
        ("/images/other.img", false),
        ("/.disk", false),
    ] {
        let (found, _) = judged(vec![Memory::new().with(path, "")], judge_without_root);
        let expected = is_installer.then_some("system-installer");
        assert_eq!(codes(&found), Vec::from_iter(expected), "{path}");
    }
}
