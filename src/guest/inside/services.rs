//! Which services a guest starts.
//!
//! Only files count here: a service that a generator or another service starts by itself is not seen, so whoever asks says
//! what a No means.

mod asked;
#[cfg(test)]
mod oracle;
mod others;
mod overrides;
mod systemd;
mod text;

pub(in crate::guest) use overrides::Overrides;
pub(in crate::guest) use systemd::Systemd;

use super::super::fs::{Kind, Trouble};
use super::super::tree::Tree;
use super::{Case, shown};
use crate::facts::Code;

/// What starts the services of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Init {
    /// systemd.
    Systemd,
    /// OpenRC.
    OpenRc,
    /// Scripts in /etc/rc?.d.
    SysV,
    /// runit.
    Runit,
    /// rc.conf of a BSD.
    Bsd,
}

/// Whether a service starts at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) enum On {
    /// Something starts it.
    Yes,
    /// It is there, and nothing starts it.
    No,
    /// It is there, and is kept from starting by a mask.
    Masked,
    /// It is not there.
    Absent,
}

/// Directories that systemd reads units from, the first one first.
pub(in crate::guest) const UNIT_PATHS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Finds out what starts the services, and what a boot with systemd leads to.
///
/// # Errors
/// If the places of it cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    if !judge_command_line(case) {
        judge_first_program(case)?;
    }
    case.known.init = init(&mut case.tree)?;
    if case.known.init != Some(Init::Systemd) {
        return Ok(());
    }
    let systemd = Systemd::read(&mut case.tree, case.known.command_line.as_deref())?;
    let Some((asked, target)) = systemd.boots_into() else { return Ok(()) };
    let said = match &target[..] {
        b"rescue.target" | b"emergency.target" => {
            "a shell on the console for root, without network and without sshd"
        }
        b"poweroff.target" | b"halt.target" | b"reboot.target" | b"kexec.target" => {
            "it ends at once"
        }
        _ => return Ok(()),
    };
    let target = shown(target);
    match asked {
        Some(path) => case.book.found_at(
            Code::SystemDefaultTarget,
            path,
            format!("systemd boots into {target}: {said}."),
        ),
        None => case.book.found(
            Code::SystemDefaultTarget,
            format!("The command line of the kernel makes systemd boot into {target}: {said}."),
        ),
    }
    Ok(())
}

/// Judges what the command line of the kernel starts. Whether it names the first program.
fn judge_command_line(case: &Case<'_, '_>) -> bool {
    let line = case.known.command_line.as_deref().unwrap_or_default();
    let words = || line.split(u8::is_ascii_whitespace);
    let stops = |word: &&[u8]| {
        [&b"break"[..], b"rd.break"].iter().any(|stop| {
            word.strip_prefix(*stop).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
        })
    };
    if let Some(word) = words().find(stops) {
        let said = format!(
            "The command line of the kernel ({}) makes the initramfs stop in a shell on the console.",
            shown(word)
        );
        case.book.found(Code::SystemDefaultTarget, said);
    }
    let named = words().filter_map(|word| word.strip_prefix(b"init=")).next_back();
    if let Some(path) = named {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if [&b"sh"[..], b"bash", b"dash", b"ash", b"zsh"].contains(&name) {
            let said = format!(
                "The command line of the kernel starts {} in the place of an init: a shell on the console, without network and without sshd.",
                shown(path)
            );
            case.book.found(Code::SystemDefaultTarget, said);
        }
    }
    named.is_some()
}

/// Judges whether there is a first program that can be started.
fn judge_first_program(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    // The kernel's, and what initramfs of Debian and of dracut try besides.
    const FIRST: [&str; 6] = [
        "/sbin/init",
        "/etc/init",
        "/bin/init",
        "/init",
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
    ];
    let tree = &mut case.tree;
    // A directory that is not there may be on a volume that was not read, and NixOS names its init.
    let is_read = tree.is_directory("/sbin")? && tree.is_directory("/usr/bin")?;
    if !is_read || tree.is_directory("/nix/store")? {
        return Ok(());
    }
    let mut unusable = None;
    for path in FIRST {
        let Some(found) = tree.stat(path)? else { continue };
        if found.inode.kind == Kind::Regular && found.inode.is_executable() && found.inode.size > 0
        {
            return Ok(());
        }
        unusable = unusable.or(Some(found.path));
    }
    match unusable {
        Some(path) => {
            let said = "This would be the first program, but it is empty or not executable, and there is no other init.";
            case.book.found_at(Code::SystemNoInit, path, said);
        }
        None => {
            let said = "There is no init: neither /sbin/init nor /etc/init, /bin/init or systemd.";
            case.book.found(Code::SystemNoInit, said);
        }
    }
    Ok(())
}

/// What starts the services of a guest; `None` if it is nothing known.
///
/// # Errors
/// If the places of it cannot be read.
pub(in crate::guest) fn init(tree: &mut Tree<'_>) -> Result<Option<Init>, Trouble> {
    let first = tree.stat("/sbin/init")?.map(|found| found.path).unwrap_or_default();
    let first = first.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if first == b"systemd" {
        return Ok(Some(Init::Systemd));
    }
    // Busybox and sysvinit start whatever their inittab says, so what is there decides.
    let any = |tree: &mut Tree<'_>, paths: &[&str]| {
        for path in paths {
            if tree.exists(path)? {
                return Ok::<bool, Trouble>(true);
            }
        }
        Ok(false)
    };
    let openrc = ["/sbin/openrc", "/usr/sbin/openrc", "/usr/bin/openrc"];
    if first == b"openrc-init" || tree.is_directory("/etc/runlevels")? && any(tree, &openrc)? {
        return Ok(Some(Init::OpenRc));
    }
    if first == b"runit-init" || first == b"runit" {
        return Ok(Some(Init::Runit));
    }
    if tree.is_regular("/etc/rc")? && any(tree, &["/etc/defaults/rc.conf", "/etc/rc.conf"])? {
        return Ok(Some(Init::Bsd));
    }
    let levels =
        ["/etc/rc3.d", "/etc/rc2.d", "/etc/rc.d/rc3.d", "/etc/init.d/rcS", "/etc/rc.d/rc.M"];
    if !first.is_empty() && any(tree, &["/etc/inittab"])? && any(tree, &levels)? {
        return Ok(Some(Init::SysV));
    }
    // NixOS has no /sbin/init: its boot entry names one.
    let systemd = [
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
        "/nix/var/nix/profiles/system/systemd",
    ];
    if any(tree, &systemd)? {
        return Ok(Some(Init::Systemd));
    }
    if any(tree, &["/etc/runit/runsvdir"])? {
        return Ok(Some(Init::Runit));
    }
    Ok(any(tree, &levels)?.then_some(Init::SysV))
}

/// Whether a service starts at boot that has one of these names: of systemd with or without `.service`, or that of a
/// socket. The command line of the kernel is not read; [`Systemd::read`] does.
///
/// # Errors
/// If the places of it cannot be read.
pub(in crate::guest) fn is_on(
    tree: &mut Tree<'_>,
    init: Init,
    names: &[&str],
) -> Result<On, Trouble> {
    if init == Init::Systemd {
        return Systemd::read(tree, None)?.is_on(tree, names);
    }
    // Units of other types are systemd's alone.
    let names = names.iter().map(|name| name.strip_suffix(".service").unwrap_or(name));
    best(names.filter(|name| !name.contains('.')), |name| match init {
        Init::OpenRc => others::openrc(tree, name),
        Init::Runit => others::runit(tree, name),
        Init::Bsd => others::bsd(tree, name),
        Init::SysV | Init::Systemd => others::sysv(tree, name),
    })
}

/// Whether systemd's generator would make a service of a script in /etc/init.d that has no unit.
fn sysv_on(tree: &mut Tree<'_>, unit: &[u8]) -> Result<On, Trouble> {
    match unit.strip_suffix(b".service").and_then(|name| std::str::from_utf8(name).ok()) {
        Some(name) => others::sysv(tree, name),
        None => Ok(On::Absent),
    }
}

/// What holds of several names of one service.
fn best<'n>(
    names: impl Iterator<Item = &'n str>,
    mut each: impl FnMut(&str) -> Result<On, Trouble>,
) -> Result<On, Trouble> {
    let mut all = On::Absent;
    for name in names {
        all = match (all, each(name)?) {
            (_, On::Yes) => return Ok(On::Yes),
            (On::Absent, on) | (On::No, on @ On::Masked) => on,
            (all, _) => all,
        };
    }
    Ok(all)
}

#[cfg(test)]
pub(super) mod tests;
