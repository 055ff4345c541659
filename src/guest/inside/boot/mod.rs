//! Whether a Droplet made from the disk boots: boot loader, menu, kernel, initramfs, root, drivers.
//!
//! The order is that of a boot, and each step is judged on its own: what one of them could not read does not keep the others
//! from being looked at. A Droplet's firmware is a BIOS, its disk virtio-blk.

mod bios;
mod cpio;
mod drivers;
mod grub_core;
mod initramfs;
mod kernel;
mod menu;
mod modules;
mod names;
mod root;
mod uefi;
mod unpack;

#[cfg(test)]
mod tests;

use super::super::fs::Trouble;
use super::super::tree::{Found, Tree};
use super::super::volumes::Holds;
use super::{Boot, Case, Kernel, NotExamined, shown};
use crate::facts::Code;
use bios::{Bios, Loader};
use drivers::Booted;
use initramfs::Look;
use menu::{Entry, Led, Menu};
use modules::Modules;
use root::Helped;

/// Names of the modules in an initramfs, how many entries it has, and what is wrong with it or was not examined.
#[doc(hidden)]
#[must_use]
pub fn initramfs(bytes: &[u8]) -> (Vec<Vec<u8>>, u64, Option<String>) {
    let mut source = |at: u64, buf: &mut [u8]| {
        let rest = &bytes[(at as usize).min(bytes.len())..];
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    match Look::through(&mut source, None) {
        Ok(look) => {
            (look.modules.into_iter().collect(), look.entries, look.damaged.or(look.incomplete))
        }
        Err(trouble) => (Vec::new(), 0, Some(format!("{trouble:?}"))),
    }
}

/// What was not read first, while the rest goes on.
#[derive(Default)]
struct Kept(Option<Trouble>);

impl Kept {
    /// What came of a step; nothing, if something could not be read.
    fn keep<T: Default>(&mut self, result: Result<T, Trouble>) -> Result<T, Trouble> {
        match result {
            Err(Trouble::Left(why)) => {
                self.0.get_or_insert(why.into());
                Ok(T::default())
            }
            other => other,
        }
    }
}

/// Judges how the disk boots.
///
/// # Errors
/// If something could not be read, when all else was judged.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let mut kept = Kept::default();
    case.inside.boot.get_or_insert_with(Boot::default);
    let loader = kept.keep(loader(case))?;
    if loader == Some(Loader::FreeBsd) {
        return kept.0.map_or(Ok(()), Err);
    }
    let menu = kept.keep(menu(case, loader))?;
    match menu.as_ref().and_then(|menu| Some((menu, menu.entry.as_ref()?))) {
        Some((menu, entry)) if entry.kernel.is_some() => entry_boots(case, menu, entry, &mut kept)?,
        _ => {
            let listed = kept.keep(kernel::others(&mut case.tree, None))?;
            case.inside.kernels.extend(listed);
        }
    }
    kept.0.map_or(Ok(()), Err)
}

/// What starts: judged, and which it is.
fn loader(case: &mut Case<'_, '_>) -> Result<Option<Loader>, Trouble> {
    let bios = bios::find(&case.tree)?;
    let uefi = uefi::find(&mut case.tree)?;
    let boot = case.inside.boot.get_or_insert_with(Boot::default);
    boot.uefi = uefi.loader.as_ref().map(|path| shown(path).to_string());
    let loader = match bios {
        Bios::Starts(loader) => loader,
        Bios::StartsSyslinux(volume) => {
            boot.bios = Some(Loader::Syslinux.as_str().to_owned());
            if bios::has_ldlinux(&mut case.tree, volume)? == Some(false) {
                let name = case.tree.volumes()[volume].name();
                let said = format!(
                    "The boot sector of {name} is SYSLINUX's, and ldlinux.sys, which it loads, is in none of the usual places there."
                );
                case.book.found(Code::BootSyslinuxIncomplete, said);
            }
            return Ok(Some(Loader::Syslinux));
        }
        Bios::Incomplete(said) => {
            case.book.found(Code::BootGrubNotInstalled, said);
            return Ok(Some(Loader::Grub));
        }
        Bios::Nothing(said) => {
            match uefi.loader {
                Some(path) => {
                    let path = shown(&path);
                    let said = format!("{said} UEFI firmware would start {path}.");
                    case.book.found(Code::BootUefiOnly, said);
                }
                None if uefi.unread => {
                    let said = format!("{said} The EFI system partition could not be looked into.");
                    case.book.found(Code::BootUefiOnly, said);
                }
                None => {
                    let said = format!("{said} There is no loader for UEFI either.");
                    case.book.found(Code::BootNoLoader, said);
                }
            }
            return Ok(None);
        }
    };
    boot.bios = Some(loader.as_str().to_owned());
    if loader == Loader::Unknown {
        case.book.found(
            Code::BootLoaderUnknown,
            "The first sector has code of a boot loader that tidegate does not know; what it starts was not examined.",
        );
    }
    Ok(Some(loader))
}

/// The menu that is read.
fn menu(case: &mut Case<'_, '_>, loader: Option<Loader>) -> Result<Option<Menu>, Trouble> {
    let menu = menu::find(&mut case.tree, loader)?;
    if menu.is_none()
        && matches!(loader, Some(Loader::Grub | Loader::GrubLegacy | Loader::Syslinux))
        && all_opened(&case.tree)
    {
        let name = loader.map_or("", Loader::as_str);
        let said =
            format!("No file that {name} reads its menu from is in any of the usual places.");
        case.book.found(Code::BootNoMenu, said);
    }
    let Some(found) = &menu else { return Ok(menu) };
    let Some(entry) = &found.entry else {
        if !found.goes_on {
            let said = "The menu has no entry.";
            case.book.found_at(Code::BootNoMenu, &found.path, said);
        }
        return Ok(menu);
    };
    let boot = case.inside.boot.get_or_insert_with(Boot::default);
    boot.entry = Some(format!("{}:{}", shown(&entry.path), entry.line));
    if entry.kernel.is_some() {
        boot.command_line = Some(shown(&entry.options).to_string());
        case.known.command_line = Some(entry.options.clone());
    }
    Ok(menu)
}

/// Whether nothing on the disk may have a menu and could not be looked into.
fn all_opened(tree: &Tree<'_>) -> bool {
    let opened = tree.opened();
    let mut volumes = tree.volumes().iter().enumerate();
    volumes.all(|(index, volume)| {
        opened.contains(&index)
            || matches!(volume.holds, Holds::Swap | Holds::Zeros)
            || volume.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(bios::BIOS_BOOT))
    })
}

/// Judges the entry that boots, and all that it loads.
fn entry_boots(
    case: &mut Case<'_, '_>,
    menu: &Menu,
    entry: &Entry,
    kept: &mut Kept,
) -> Result<(), Trouble> {
    let kernel =
        kept.keep(loads(case, menu, entry, entry.kernel.as_ref(), Code::BootKernelMissing))?;
    let mut initrds = Vec::new();
    for path in &entry.initrds {
        initrds.push(kept.keep(loads(case, menu, entry, Some(path), Code::BootInitrdMissing))?);
    }
    let version = kept.keep(version(case, entry, kernel.as_ref()))?;
    let listed = kept.keep(kernel::others(&mut case.tree, version.as_deref()))?;
    case.inside.kernels.extend(listed);
    let modules = match &version {
        Some(version) => {
            let tree = &mut case.tree;
            kept.keep(Modules::read(tree, version, kernel.as_ref(), &entry.options))?
        }
        None => Modules::default(),
    };
    let helped = match (entry.initrds.is_empty(), modules.has_initramfs()) {
        (false, _) | (_, Some(true)) => Helped::ByInitramfs,
        (true, Some(false)) => Helped::ByNothing,
        (true, None) => Helped::Perhaps,
    };
    kept.keep(root::judge(case, entry, helped))?;
    let Some(version) = version else { return Ok(()) };
    lists(case, entry, &version, &modules);
    let look = kept.keep(look(case, entry, &initrds, &version))?;
    let booted = Booted {
        version: &version,
        modules: &modules,
        look: look.as_ref(),
        without_initramfs: helped == Helped::ByNothing,
        initrd: entry
            .initrds
            .last()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .unwrap_or_default(),
        options: &entry.options,
    };
    kept.keep(drivers::judge(case, &booted))
}

/// What a path of the entry leads to; said if it is nothing that could be loaded.
fn loads(
    case: &mut Case<'_, '_>,
    menu: &Menu,
    entry: &Entry,
    path: Option<&Vec<u8>>,
    code: Code,
) -> Result<Option<Found>, Trouble> {
    let Some(path) = path else { return Ok(None) };
    let led = menu.lead(&mut case.tree, entry, path)?;
    if led.is_there() == Some(false) {
        let what = match &led {
            Led::To(found) if found.inode.size == 0 => "is empty",
            Led::To(_) => "is no file",
            _ => "is not there",
        };
        let said = format!(
            "The entry that boots, {}, loads {}, which {what}.",
            shown(&entry.title),
            shown(path)
        );
        case.book.found_in(code, &entry.path, entry.line, said);
        return Ok(None);
    }
    Ok(match led {
        Led::To(found) => Some(found),
        _ => None,
    })
}

/// The version of the kernel that boots; its file is judged and listed.
fn version(
    case: &mut Case<'_, '_>,
    entry: &Entry,
    kernel: Option<&Found>,
) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(path) = &entry.kernel else { return Ok(None) };
    let Some(found) = kernel else { return Ok(None) };
    let image = kernel::read(&mut case.tree, found)?;
    if let Some(fault) = &image.fault {
        let said = format!("The kernel that boots {fault}.");
        case.book.found_at(Code::KernelInvalid, path, said);
    }
    let version = image.version.or_else(|| kernel::version_in(&found.path));
    if let Some(version) = &version {
        let (version, path) = (shown(version).to_string(), shown(path).to_string());
        case.inside.kernels.insert(0, Kernel { version, path, boots: true });
    }
    Ok(version.filter(|_| image.fault.is_none()))
}

/// The kernel's modules have to be there.
fn lists(case: &mut Case<'_, '_>, entry: &Entry, version: &[u8], modules: &Modules) {
    let is_ostree = entry.options.windows(8).any(|window| window == b" ostree=")
        || entry.options.starts_with(b"ostree=");
    if modules.has_list() || modules.loads_modules() == Some(false) || is_ostree {
        return;
    }
    let version = shown(version);
    let said = match &modules.folder {
        None => {
            format!("The kernel that boots is {version}, and there is no /lib/modules/{version}.")
        }
        Some(_) => format!(
            "The kernel that boots is {version}, and /lib/modules/{version} has no modules.dep, so that no module is found."
        ),
    };
    case.book.found(Code::KernelNoModules, said);
}

/// Looks through what the entry loads besides the kernel; `None` if it loads nothing, or it is not there.
fn look(
    case: &mut Case<'_, '_>,
    entry: &Entry,
    initrds: &[Option<Found>],
    version: &[u8],
) -> Result<Option<Look>, Trouble> {
    let mut whole: Option<Look> = None;
    for (found, path) in initrds.iter().zip(&entry.initrds) {
        // What is missing was said, and what it would have had is not known.
        let Some(found) = found else { return Ok(None) };
        let look = Look::at(&mut case.tree, found, Some(version))?;
        if let Some(said) = &look.damaged {
            let said = format!("The initramfs is damaged. {said}");
            case.book.found_at(Code::BootInitramfsDamaged, path, said);
        } else if let Some(why) = &look.incomplete {
            let said = format!("The initramfs was not looked through: {why}.");
            case.book.found_at(Code::GuestNotExamined, path, said);
            let what = format!("the initramfs {}", shown(path));
            case.inside.not_examined.push(NotExamined { what, why: why.clone() });
        }
        match &mut whole {
            Some(whole) => whole.add(look),
            None => whole = Some(look),
        }
    }
    if let (Some(look), Some(boot)) = (&whole, &mut case.inside.boot) {
        boot.initramfs = Some(look.took);
    }
    Ok(whole)
}
