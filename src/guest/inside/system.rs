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
mod tests;
