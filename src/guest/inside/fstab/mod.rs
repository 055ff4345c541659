//! What the guest's fstab and crypttab mount and open at boot: whether it is there on a Droplet, which has this disk, as
//! /dev/vda, and a config drive, as /dev/vdb.
//!
//! systemd waits for what is missing, and then goes to a shell on the console instead of the network and sshd.

mod crypttab;
mod source;

use super::super::fs::{Trouble, Why};
use super::super::tree::Text;
use super::super::volumes::Holds;
use super::services::Init;
use super::{Case, shown};
use crate::facts::Code;

use source::{Source, found, listed};

const FSTAB: &str = "/etc/fstab";

/// Lines of a table that tidegate reads at most.
const MOST_LINES: usize = 1000;

/// Types of what comes over a network.
const REMOTE: [&[u8]; 9] = [
    b"nfs",
    b"nfs4",
    b"cifs",
    b"smb3",
    b"smbfs",
    b"fuse.sshfs",
    b"glusterfs",
    b"ceph",
    b"fuse.s3fs",
];

/// Types of folders that another hypervisor shares with its guests.
const SHARED: [&[u8]; 6] =
    [b"vboxsf", b"9p", b"virtiofs", b"prl_fs", b"vmhgfs", b"fuse.vmhgfs-fuse"];

/// A line of fstab.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    number: u32,
    source: Vec<u8>,
    /// Where it is mounted; `none` or `swap` for swap.
    at: Vec<u8>,
    kind: Vec<u8>,
    options: Vec<u8>,
}

impl Line {
    fn has(&self, option: &[u8]) -> bool {
        self.options.split(|&byte| byte == b',').any(|other| other == option)
    }

    /// Whether the boot does not depend on it.
    fn is_optional(&self) -> bool {
        let on_demand: [&[u8]; 4] =
            [b"noauto", b"nofail", b"x-systemd.automount", b"comment=systemd.automount"];
        on_demand.iter().any(|option| self.has(option))
    }

    fn is_swap(&self) -> bool {
        self.kind == b"swap"
    }

    fn is_root(&self) -> bool {
        self.at == b"/"
    }

    fn subvolume(&self) -> Option<&[u8]> {
        let mut options = self.options.split(|&byte| byte == b',');
        options.find(|option| option.starts_with(b"subvol=") || option.starts_with(b"subvolid="))
    }
}

/// Looks at what is mounted and opened at boot.
///
/// # Errors
/// If the tables cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let opened = crypttab::crypttab(case)?;
    let Some(text) = case.tree.text(FSTAB)? else { return Ok(()) };
    for line in lines(&text)? {
        if case.known.init == Some(Init::Bsd) {
            of_bsd(case, &line);
        } else if !line.is_optional() {
            examine(case, &line, &opened)?;
        }
    }
    Ok(())
}

/// The lines of a table that have a source and a place.
fn lines(text: &Text) -> Result<Vec<Line>, Trouble> {
    let mut lines = Vec::new();
    for (number, bytes) in text.lines() {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut fields = bytes.split(blank).filter(|field| !field.is_empty());
        let Some(source) = fields.next().filter(|source| !source.starts_with(b"#")) else {
            continue;
        };
        let mut next = || unescaped(fields.next().unwrap_or_default());
        let (at, kind, options) = (next(), next(), next());
        if lines.len() == MOST_LINES {
            return Err(Why::Limit("fstab or crypttab has more lines than tidegate reads").into());
        }
        lines.push(Line { number, source: unescaped(source), at, kind, options });
    }
    Ok(lines)
}

/// Blanks in a field are written as their number in octal.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn examine(case: &mut Case<'_, '_>, line: &Line, opened: &[Vec<u8>]) -> Result<(), Trouble> {
    let source = shown(&line.source);
    let at = shown(&line.at);
    let is_remote = REMOTE.contains(&&line.kind[..]) || line.has(b"_netdev");
    if is_remote {
        let said =
            format!("{at} is mounted from {source} over a network, and the boot waits for it.");
        case.book.found_in(Code::FstabRemote, FSTAB, line.number, said);
        return Ok(());
    }
    if SHARED.contains(&&line.kind[..]) {
        let said = format!(
            "{at} is a folder that another hypervisor shares ({}), which a Droplet does not have.",
            shown(&line.kind)
        );
        fails(case, Code::FstabSourceMissing, line, said);
        return Ok(());
    }
    if line.source.starts_with(b"/") && !line.source.starts_with(b"/dev/") {
        return of_path(case, line);
    }
    if line.has(b"default") && !line.is_swap() {
        let said =
            format!("{at} has the option default, which no file system takes: it is defaults.");
        case.book.found_in(Code::FstabMountFails, FSTAB, line.number, said);
    }
    match found(&case.tree, &line.source, opened) {
        Source::Other => {}
        Source::Volume(volume) => of_volume(case, line, volume)?,
        Source::ConfigDrive => {
            let said = format!(
                "{at} is mounted from {source}, which is the config drive of a Droplet: a small ISO 9660 volume, read-only."
            );
            case.book.found_in(Code::FstabConfigDrive, FSTAB, line.number, said);
        }
        Source::Elsewhere if line.is_root() => {
            let said = format!(
                "The root is called {source}, a name that no disk of a Droplet has. It is mounted already when this line is read, by what the kernel was given."
            );
            case.book.found_in(Code::FstabRootDiffers, FSTAB, line.number, said);
        }
        Source::Elsewhere if !line.is_swap() => {
            let said = format!(
                "{at} is mounted from {source}, a name that no disk of a Droplet has: its disk is /dev/vda."
            );
            fails(case, Code::FstabDeviceName, line, said);
        }
        Source::Elsewhere | Source::Missing if line.is_swap() => {
            let said = format!(
                "Swap is on {source}, which is not there; there are {}.",
                listed(case.tree.volumes())
            );
            case.book.found_in(Code::FstabSwapMissing, FSTAB, line.number, said);
        }
        Source::Elsewhere | Source::Missing => {
            let said = format!(
                "{at} is mounted from {source}, which is not on this disk; there are {}.",
                listed(case.tree.volumes())
            );
            fails(case, Code::FstabSourceMissing, line, said);
        }
    }
    Ok(())
}

/// A mount that fails. Only systemd takes that for a reason to stop.
fn fails(case: &Case<'_, '_>, code: Code, line: &Line, said: String) {
    let code = if case.known.init == Some(Init::Systemd) { code } else { Code::FstabMountFails };
    case.book.found_in(code, FSTAB, line.number, said);
}

/// A file or directory that is mounted or swapped to.
fn of_path(case: &mut Case<'_, '_>, line: &Line) -> Result<(), Trouble> {
    let made_at_boot: [&[u8]; 5] = [b"/run/", b"/tmp/", b"/var/run/", b"/proc/", b"/sys/"];
    // systemd makes the directory that is to be seen elsewhere.
    let is_bound = line.has(b"bind") || line.has(b"rbind");
    if is_bound && case.known.init == Some(Init::Systemd)
        || made_at_boot.iter().any(|start| line.source.starts_with(start))
        || case.tree.exists(&line.source)?
    {
        return Ok(());
    }
    let source = shown(&line.source);
    if line.is_swap() {
        let said = format!("Swap is in the file {source}, which is not there.");
        case.book.found_in(Code::FstabSwapMissing, FSTAB, line.number, said);
    } else {
        let said = format!("{} is mounted from {source}, which is not there.", shown(&line.at));
        fails(case, Code::FstabSourceMissing, line, said);
    }
    Ok(())
}

/// A volume that is there: whether it is what the line says.
fn of_volume(case: &mut Case<'_, '_>, line: &Line, volume: usize) -> Result<(), Trouble> {
    let Some(found) = case.tree.volumes().get(volume) else { return Ok(()) };
    let (name, holds) = (found.name(), found.holds);
    let holds_it = can_mount(&line.kind, holds);
    let uuid = line.source.strip_prefix(b"UUID=");
    if let Some((asked, uuid)) = uuid.zip(found.uuid.as_deref())
        && asked != uuid.as_bytes()
        && asked.eq_ignore_ascii_case(uuid.as_bytes())
        && !line.is_root()
        && !line.is_swap()
    {
        let said = format!(
            "{} is mounted from {}, and the UUID of {name} is {uuid}: capital letters count.",
            shown(&line.at),
            shown(&line.source)
        );
        fails(case, Code::FstabSourceMissing, line, said);
        return Ok(());
    }
    if line.is_swap() {
        if holds_it == Some(false) {
            let said = format!(
                "Swap is on {}, which is {name} and holds {}.",
                shown(&line.source),
                holds.as_str()
            );
            case.book.found_in(Code::FstabSwapMissing, FSTAB, line.number, said);
        }
        return Ok(());
    }
    if line.is_root() && case.inside.root.is_some_and(|root| root != volume) {
        let said = format!(
            "The root is {} here, which is {name}, and that is not where the system lies.",
            shown(&line.source)
        );
        case.book.found_in(Code::FstabRootDiffers, FSTAB, line.number, said);
        return Ok(());
    }
    if holds_it == Some(false) {
        let said = format!(
            "{} is mounted as {} from {}, which is {name} and holds {}.",
            shown(&line.at),
            shown(&line.kind),
            shown(&line.source),
            holds.as_str()
        );
        match line.is_root() {
            true => case.book.found_in(Code::FstabRootDiffers, FSTAB, line.number, said),
            false => fails(case, Code::FstabTypeWrong, line, said),
        }
        return Ok(());
    }
    let Some(option) = line.subvolume().filter(|_| holds == Holds::Btrfs) else { return Ok(()) };
    let Some(system) = case.tree.system(volume) else { return Ok(()) };
    if system.subvolume(option)?.is_none() {
        let said = format!(
            "{} is mounted from {} of {name}, which is not there.",
            shown(&line.at),
            shown(option)
        );
        fails(case, Code::FstabSubvolumeMissing, line, said);
    }
    Ok(())
}

/// Whether a volume that holds this can be mounted as this type; `None` where nothing is known of the type.
fn can_mount(kind: &[u8], holds: Holds) -> Option<bool> {
    use Holds::{Btrfs, Exfat, Ext2, Ext3, Ext4, Swap, Unknown, Vfat, Xfs, Zeros};
    let can = match kind {
        b"ext4" => matches!(holds, Ext2 | Ext3 | Ext4),
        // The drivers' features decide: ext4 can have what these do not know.
        b"ext3" | b"ext2" => matches!(holds, Ext2 | Ext3),
        b"xfs" => holds == Xfs,
        b"btrfs" => holds == Btrfs,
        b"vfat" | b"msdos" => holds == Vfat,
        b"exfat" => holds == Exfat,
        b"swap" => holds == Swap,
        b"auto" => !matches!(holds, Zeros | Swap),
        _ => return None,
    };
    // What has no mark that is known may be anything.
    (can || holds != Unknown).then_some(can)
}

/// A line of a BSD's fstab, whose disk is vtbd0 on a Droplet.
fn of_bsd(case: &Case<'_, '_>, line: &Line) {
    let options: [&[u8]; 3] = [b"noauto", b"late", b"failok"];
    if options.iter().any(|option| line.has(option)) || line.is_swap() {
        return;
    }
    let Some(device) = line.source.strip_prefix(b"/dev/") else { return };
    let label = device.strip_prefix(b"gpt/");
    let is_there = |label: &[u8]| {
        case.tree.volumes().iter().any(|volume| volume.partlabel.as_deref() == Some(label))
    };
    let others: [&[u8]; 6] = [b"ada", b"da", b"nda", b"nvd", b"ad", b"xbd"];
    let is_other = others.iter().any(|start| {
        device.strip_prefix(*start).is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
    });
    let (at, source) = (shown(&line.at), shown(&line.source));
    if is_other {
        let said = format!(
            "{at} is mounted from {source}, a name that no disk of a Droplet has: its disk is vtbd0."
        );
        case.book.found_in(Code::FstabMountFails, FSTAB, line.number, said);
    } else if label.is_some_and(|label| !is_there(label)) {
        let said = format!("{at} is mounted from {source}, and no partition has that name.");
        case.book.found_in(Code::FstabMountFails, FSTAB, line.number, said);
    }
}

#[cfg(test)]
mod tests;
