//! Kernels: what a file says of itself, and which ones there are.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::{Found, Tree};
use super::super::{Kernel, shown};
use super::menu::newer;

/// Kernels that are listed.
const MOST_KERNELS: usize = 32;

/// Where a bzImage has its fields (Linux, Documentation/arch/x86/boot.rst).
const SETUP_SECTORS: usize = 0x1f1;
const SYSTEM_SIZE: usize = 0x1f4;
const BOOT_FLAG: usize = 0x1fe;
const MAGIC: usize = 0x202;
const PROTOCOL: usize = 0x206;
const VERSION: usize = 0x20e;
const HEADER: usize = 0x210;

/// Bytes of a version that are read.
const LONGEST_VERSION: usize = 256;

/// What a kernel's file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Its version, such as `6.1.0-40-cloud-amd64`.
    pub(super) version: Option<Vec<u8>>,
    /// Why a Droplet cannot start it, as the end of a sentence.
    pub(super) fault: Option<String>,
}

/// Reads the header of a kernel.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(tree: &mut Tree<'_>, found: &Found) -> Result<Image, Trouble> {
    let mut header = [0; HEADER];
    let count = tree.read_at(found, 0, &mut header)?;
    if count < HEADER {
        let fault = format!("has only {count} bytes");
        return Ok(Image { version: None, fault: Some(fault) });
    }
    if header[MAGIC..MAGIC + 4] != *b"HdrS" || header[BOOT_FLAG..BOOT_FLAG + 2] != [0x55, 0xaa] {
        let fault = match () {
            () if header[0x38..0x3c] == *b"ARMd" => Some("is a kernel for ARM64"),
            // A kernel for Xen or multiboot; which loaders start it depends on more.
            () if header.starts_with(b"\x7fELF") => None,
            () if header.starts_with(b"\x1f\x8b") => Some("is gzip data, and no kernel of x86-64"),
            () if header.iter().all(|&byte| byte == 0) => Some("begins with nothing but zeros"),
            () => Some("has no header of a Linux kernel for x86"),
        };
        return Ok(Image { version: None, fault: fault.map(str::to_owned) });
    }
    let little = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let sectors = match header[SETUP_SECTORS] {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let paragraphs = u64::from(little(SYSTEM_SIZE)) | u64::from(little(SYSTEM_SIZE + 2)) << 16;
    // What is read of the last paragraph may be less than all of it.
    let least = (sectors + 1) * 512 + paragraphs.saturating_sub(1) * 16;
    let size = found.inode.size;
    let fault = (little(PROTOCOL) >= 0x204 && least > size).then(|| {
        format!("is truncated: it has {size} bytes, and its header says at least {least}")
    });
    let mut version = None;
    if little(VERSION) != 0 {
        let mut text = [0; LONGEST_VERSION];
        let count = tree.read_at(found, 0x200 + u64::from(little(VERSION)), &mut text)?;
        let end = text[..count].iter().position(|&byte| byte <= b' ').unwrap_or(count);
        version = (end > 0 && !text[..end].contains(&b'/')).then(|| text[..end].to_vec());
    }
    Ok(Image { version, fault })
}

/// The version in the name of a kernel: what follows the first dash.
pub(super) fn version_in(path: &[u8]) -> Option<Vec<u8>> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    let dash = name.iter().position(|&byte| byte == b'-')?;
    let version = &name[dash + 1..];
    version.first()?.is_ascii_digit().then(|| version.to_vec())
}

/// The kernels of the guest, the newest first, but for the one that boots.
///
/// # Errors
/// If they cannot be read.
pub(super) fn others(tree: &mut Tree<'_>, boots: Option<&[u8]>) -> Result<Vec<Kernel>, Trouble> {
    const NAMES: [&[u8]; 3] = [b"vmlinuz", b"bzImage", b"kernel-"];
    let mut paths: Vec<Vec<u8>> = Vec::new();
    for entry in tree.list("/boot")?.unwrap_or_default() {
        if NAMES.iter().any(|name| entry.name.starts_with(name)) && entry.kind == Kind::Regular {
            paths.push([b"/boot/", &entry.name[..]].concat());
        }
    }
    for entry in tree.list("/lib/modules")?.unwrap_or_default() {
        paths.push([b"/lib/modules/", &entry.name[..], b"/vmlinuz"].concat());
    }
    let mut kernels: Vec<(Vec<u8>, Kernel)> = Vec::new();
    for path in paths.into_iter().take(2 * MOST_KERNELS) {
        let Some(found) = tree.stat(&path)?.filter(|found| found.inode.kind == Kind::Regular)
        else {
            continue;
        };
        let Some(version) = read(tree, &found)?.version else { continue };
        if boots == Some(&version) || kernels.iter().any(|(known, _)| *known == version) {
            continue;
        }
        let (shown_version, path) = (shown(&version).to_string(), shown(&path).to_string());
        kernels.push((version, Kernel { version: shown_version, path, boots: false }));
    }
    kernels.sort_by(|(one, _), (other, _)| newer(one, other));
    kernels.truncate(MOST_KERNELS);
    Ok(kernels.into_iter().map(|(_, kernel)| kernel).collect())
}

#[cfg(test)]
pub(super) mod testing {
    /// A kernel of this version, as far as tidegate reads it.
    pub(in super::super) fn kernel(version: &str) -> Vec<u8> {
        let mut kernel = vec![0; 5 * 512 + 1600];
        kernel[super::SETUP_SECTORS] = 4;
        kernel[super::SYSTEM_SIZE] = 100;
        kernel[super::BOOT_FLAG..super::BOOT_FLAG + 2].copy_from_slice(&[0x55, 0xaa]);
        kernel[super::MAGIC..super::MAGIC + 4].copy_from_slice(b"HdrS");
        kernel[super::PROTOCOL..super::PROTOCOL + 2].copy_from_slice(&0x20fu16.to_le_bytes());
        kernel[super::VERSION..super::VERSION + 2].copy_from_slice(&0x300u16.to_le_bytes());
        let text = format!("{version} (someone@somewhere) #1 SMP");
        kernel[0x500..0x500 + text.len()].copy_from_slice(text.as_bytes());
        kernel
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::*;

    fn image(bytes: &[u8]) -> Image {
        let mut tree = tree(vec![Memory::new().with("/k", bytes)]);
        let found = tree.stat("/k").unwrap().unwrap();
        read(&mut tree, &found).unwrap()
    }

    #[test]
    fn a_kernel_says_its_version() {
        let kernel = testing::kernel("6.1.0-57-cloud-amd64");
        let version = Some(b"6.1.0-57-cloud-amd64".to_vec());
        assert_eq!(image(&kernel), Image { version, fault: None });
        let fault = |bytes: &[u8]| image(bytes).fault.unwrap();
        assert!(fault(&kernel[..2000]).contains("truncated"));
        assert!(fault(&kernel[..100]).contains("only 100 bytes"));
        assert!(fault(&[0; 4096]).contains("zeros"));
        assert!(fault(&[7; 4096]).contains("no header"));
        let mut arm = vec![0; 4096];
        arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert!(fault(&arm).contains("ARM64"));
    }

    #[test]
    fn a_version_past_the_end_or_with_a_slash_is_none() {
        let mut kernel = testing::kernel("../../etc");
        assert_eq!(image(&kernel).version, None);
        kernel[VERSION..VERSION + 2].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(image(&kernel).version, None);
    }

    #[test]
    fn kernels_are_listed_once_and_the_newest_first() {
        let memory = Memory::new()
            .with("/boot/vmlinuz-6.9.1", testing::kernel("6.9.1"))
            .with("/boot/vmlinuz-6.10.0", testing::kernel("6.10.0"))
            .with("/boot/vmlinuz-6.2.0", testing::kernel("6.2.0"))
            .with("/boot/config-6.2.0", "x")
            .with("/lib/modules/6.10.0/vmlinuz", testing::kernel("6.10.0"));
        let listed = others(&mut tree(vec![memory]), Some(b"6.2.0")).unwrap();
        let versions: Vec<&str> = listed.iter().map(|kernel| &kernel.version[..]).collect();
        assert_eq!(versions, ["6.10.0", "6.9.1"]);
    }

    #[test]
    fn names_have_versions() {
        assert_eq!(version_in(b"/boot/vmlinuz-6.1-x").unwrap(), b"6.1-x");
        assert_eq!(version_in(b"/boot/vmlinuz-virt"), None);
        assert_eq!(version_in(b"/vmlinuz"), None);
    }
}
