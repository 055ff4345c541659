//! Which system is on the disk, what DigitalOcean calls it, and which processor it is for.

mod distribution;

use super::super::fs::{Kind, Trouble};
use super::super::tree::{Text, Tree};
use super::super::volumes::{Holds, Volume};
use super::{Case, System, sh, shown};
use crate::facts::Code;

/// Where os-release lies: the first that is there counts, and no other. The last is that of a NixOS which was not started
/// yet.
const OS_RELEASE: [&str; 3] =
    ["/etc/os-release", "/usr/lib/os-release", "/nix/var/nix/profiles/system/etc/os-release"];

/// Programs that every system starts, or that load them.
const PROGRAMS: [&str; 9] = [
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/bin/sh",
    "/usr/bin/sh",
    "/lib64/ld-linux-x86-64.so.2",
    "/nix/var/nix/profiles/system/systemd/lib/systemd/systemd",
    "/nix/var/nix/profiles/system/sw/bin/sh",
    "/rescue/sh",
];

/// No Windows that has drivers for a Droplet fits into less.
const SMALLEST_WINDOWS: u64 = 4 << 30;

/// The type of the partition that Windows reserves for itself.
const RESERVED: &str = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE";

/// Says which system it is.
///
/// # Errors
/// If what names it cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let architecture = judge_architecture(case)?;
    let named = match of_os_release(&mut case.tree)? {
        Some(named) => Some(named),
        None => match of_freebsd(&mut case.tree)? {
            Some(named) => Some(named),
            None => of_older_files(&mut case.tree)?,
        },
    };
    let Some(named) = named else {
        case.book.found(
            Code::SystemUnknown,
            "There is no os-release, and no file of another system names what is on the disk.",
        );
        let distribution = "Unknown".to_owned();
        let name = "unknown".to_owned();
        case.inside.system = Some(System { name, distribution, architecture, ..System::default() });
        return Ok(());
    };
    let (distribution, by_family) = named.distribution();
    case.inside.system = Some(System {
        name: shown(&named.name).to_string(),
        id: shown(&named.id).to_string(),
        version: named.version.map(|version| shown(version).to_string()),
        distribution: distribution.to_owned(),
        by_family,
        architecture,
    });
    Ok(())
}

/// Says what a disk without a system's root is, as far as that is known.
///
/// # Errors
/// If a volume cannot be read.
pub(super) fn judge_without_root(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let volumes = case.tree.volumes().to_vec();
    let reserved = volumes.iter().find(|volume| {
        volume.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(RESERVED))
    });
    // A disk for data alone is formatted in the same way.
    let is_large = |volume: &&Volume| volume.size >= SMALLEST_WINDOWS;
    for volume in volumes.iter().filter(|volume| volume.holds == Holds::Ntfs).filter(is_large) {
        let area = case.tree.disk().part(volume.start, volume.size);
        let boots = area.array::<512>(0).is_ok_and(|sector| {
            [&b"BOOTMGR"[..], b"NTLDR"]
                .iter()
                .any(|name| sector.windows(name.len()).any(|at| at == *name))
        });
        let why = match reserved {
            Some(reserved) => format!("{} is the reserved partition of Windows", reserved.name()),
            None if boots => "its boot sector starts Windows".to_owned(),
            None => continue,
        };
        let said = format!("Windows is on the disk: {} holds NTFS, and {why}.", volume.name());
        case.book.found(Code::SystemWindows, said);
        return Ok(());
    }
    const INSTALLERS: [(&[&[u8]], &str); 4] = [
        (&[b"casper"], "casper"),
        (&[b".disk", b"info"], ".disk/info"),
        (&[b"LiveOS"], "LiveOS"),
        (&[b"images", b"install.img"], "images/install.img"),
    ];
    for number in case.tree.opened() {
        let Some(system) = case.tree.system(number) else { continue };
        for (path, shown_path) in INSTALLERS {
            let mut at = Some(system.root());
            for name in path {
                at = match at {
                    Some(node) if system.inode(node)?.kind == Kind::Directory => {
                        system.find(node, name)?
                    }
                    _ => None,
                };
            }
            if at.is_some() {
                let name = volumes.get(number).map(|volume| volume.name()).unwrap_or_default();
                let said = format!(
                    "{name} has {shown_path}, which is of an installer or a live system. No volume has a system's root."
                );
                case.book.found(Code::SystemInstaller, said);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What a system calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    name: Vec<u8>,
    /// In lower case.
    id: Vec<u8>,
    /// In lower case, separated by blanks.
    like: Vec<u8>,
    version: Option<Vec<u8>>,
    variant: Vec<u8>,
}

fn of_os_release(tree: &mut Tree<'_>) -> Result<Option<Named>, Trouble> {
    for path in OS_RELEASE {
        // A link that leads nowhere at rest is none: FreeBSD writes the file when it starts.
        if let Some(text) = tree.text(path)? {
            return Ok(Some(parsed(&text)));
        }
    }
    Ok(None)
}

fn parsed(text: &Text) -> Named {
    let get = |name| sh::value(text, name).filter(|value| !value.is_empty());
    let lower = |name| get(name).unwrap_or_default().to_ascii_lowercase();
    let id = match lower("ID") {
        // What os-release(5) says for want of one.
        id if id.is_empty() => b"linux".to_vec(),
        id => id,
    };
    let name = get("PRETTY_NAME").or_else(|| {
        let name = get("NAME")?;
        Some(match get("VERSION").or_else(|| get("VERSION_ID")) {
            Some(version) => [&name[..], b" ", &version].concat(),
            None => name,
        })
    });
    Named {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        like: lower("ID_LIKE"),
        version: get("VERSION_ID"),
        variant: lower("VARIANT_ID"),
    }
}

fn of_freebsd(tree: &mut Tree<'_>) -> Result<Option<Named>, Trouble> {
    let Some(text) = tree.text("/bin/freebsd-version")? else { return Ok(None) };
    let version = sh::value(&text, "USERLAND_VERSION");
    let (mut id, mut name) = ("freebsd", "FreeBSD");
    for (path, of, called) in [
        ("/usr/local/opnsense", "opnsense", "OPNsense"),
        ("/usr/local/sbin/pfSsh.php", "pfsense", "pfSense"),
        ("/etc/pfSense-rc", "pfsense", "pfSense"),
    ] {
        if tree.exists(path)? {
            (id, name) = (of, called);
        }
    }
    let mut name = name.as_bytes().to_vec();
    if let Some(version) = version.as_ref().filter(|_| id == "freebsd") {
        name = [&name[..], b" ", version].concat();
    }
    Ok(Some(Named { name, id: id.into(), version, ..Named::default() }))
}

/// Reads what systems had before os-release.
fn of_older_files(tree: &mut Tree<'_>) -> Result<Option<Named>, Trouble> {
    if let Some(text) = tree.text_of("/etc/lsb-release", 4096)?
        && let Some(id) = sh::value(&text, "DISTRIB_ID").filter(|id| !id.is_empty())
    {
        let name = sh::value(&text, "DISTRIB_DESCRIPTION").unwrap_or_else(|| id.clone());
        let version = sh::value(&text, "DISTRIB_RELEASE");
        return Ok(Some(Named { name, id: id.to_ascii_lowercase(), version, ..Named::default() }));
    }
    for (path, id) in [
        ("/etc/centos-release", "centos"),
        ("/etc/redhat-release", "rhel"),
        ("/etc/system-release", "amzn"),
        ("/etc/SuSE-release", "sles"),
        ("/etc/debian_version", "debian"),
        ("/etc/alpine-release", "alpine"),
        ("/etc/gentoo-release", "gentoo"),
        ("/etc/arch-release", "arch"),
        ("/etc/slackware-version", "slackware"),
    ] {
        let Some(text) = tree.text_of(path, 4096)? else { continue };
        let first =
            text.lines().next().map(|(_, line)| line.trim_ascii().to_vec()).unwrap_or_default();
        let has = |name: &str| {
            first.windows(name.len()).any(|at| at.eq_ignore_ascii_case(name.as_bytes()))
        };
        let others = [
            ("CentOS", "centos"),
            ("Fedora", "fedora"),
            ("Rocky", "rocky"),
            ("AlmaLinux", "almalinux"),
            ("openSUSE", "opensuse"),
            ("Oracle", "ol"),
            ("Scientific", "scientific"),
        ];
        let other = others.iter().find(|(name, _)| has(name)).map(|(_, id)| *id);
        let id = other.unwrap_or(id);
        let is_number = |word: &&[u8]| word.first().is_some_and(u8::is_ascii_digit);
        let version = first.split(|&byte| byte == b' ').find(is_number).map(<[u8]>::to_vec);
        let name = match path {
            "/etc/debian_version" => [b"Debian GNU/Linux ", &first[..]].concat(),
            "/etc/alpine-release" => [b"Alpine Linux ", &first[..]].concat(),
            _ if first.is_empty() => id.as_bytes().to_vec(),
            _ => first,
        };
        return Ok(Some(Named { name, id: id.into(), version, ..Named::default() }));
    }
    Ok(None)
}

/// Says which processor the system's programs are for.
fn judge_architecture(case: &mut Case<'_, '_>) -> Result<Option<String>, Trouble> {
    for path in PROGRAMS {
        let Some(found) = case.tree.stat(path)?.filter(|found| found.inode.kind == Kind::Regular)
        else {
            continue;
        };
        let mut head = [0; 20];
        if case.tree.read_at(&found, 0, &mut head)? < head.len() || !head.starts_with(b"\x7fELF") {
            continue;
        }
        let machine = [head[18], head[19]];
        let machine = match head[5] {
            2 => u16::from_be_bytes(machine),
            _ => u16::from_le_bytes(machine),
        };
        let name = match machine {
            62 if head[4] == 1 => "x32",
            62 => "x86-64",
            3 => "i386",
            183 => "AArch64",
            40 => "ARM",
            243 => "RISC-V",
            20 => "PowerPC",
            21 => "PowerPC64",
            22 => "s390",
            8 => "MIPS",
            258 => "LoongArch",
            _ => return Ok(None),
        };
        match machine {
            62 => {}
            3 => case.book.found_at(
                Code::System32Bit,
                found.path,
                "This program is for i386, and so is the system.",
            ),
            _ => case.book.found_at(
                Code::SystemArchitecture,
                found.path,
                format!("This program is for {name}, and a Droplet's processor is x86-64: the system cannot boot."),
            ),
        }
        return Ok(Some(name.to_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
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
        let hostile =
            system(Memory::new().with("/etc/os-release", "ID=\"\x1b[31m\"\nNAME='a\x07b'\n"));
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
            (
                "/etc/lsb-release",
                "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\n",
                "ubuntu",
                Some("10.04"),
            ),
            (
                "/bin/freebsd-version",
                "#!/bin/sh\nUSERLAND_VERSION=\"14.1-RELEASE-p5\"\n",
                "freebsd",
                Some("14.1-RELEASE-p5"),
            ),
        ] {
            // As FreeBSD has it at rest.
            let root =
                Memory::new().with(path, text).link("/etc/os-release", "../var/run/os-release");
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
}
