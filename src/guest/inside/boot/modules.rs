//! What a kernel has built in and as modules, by its lists and its configuration.

use std::collections::BTreeMap;

use super::super::super::fs::Trouble;
use super::super::super::tree::{Found, Text, Tree};

/// Bytes of a list of modules that are read; those of distributions have about 1 MiB.
const LONGEST_LIST: usize = 8 << 20;

/// Modules that another one needs, at most.
const MOST_NEEDS: usize = 64;

/// A driver: the name of its module, and of the option of the kernel that builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Driver {
    pub(super) module: &'static str,
    pub(super) option: &'static str,
}

const fn driver(module: &'static str, option: &'static str) -> Driver {
    Driver { module, option }
}

pub(super) const VIRTIO_PCI: Driver = driver("virtio_pci", "CONFIG_VIRTIO_PCI");
pub(super) const VIRTIO_BLK: Driver = driver("virtio_blk", "CONFIG_VIRTIO_BLK");
pub(super) const VIRTIO_NET: Driver = driver("virtio_net", "CONFIG_VIRTIO_NET");
pub(super) const ISOFS: Driver = driver("isofs", "CONFIG_ISO9660_FS");
pub(super) const AF_PACKET: Driver = driver("af_packet", "CONFIG_PACKET");
pub(super) const DM_MOD: Driver = driver("dm_mod", "CONFIG_BLK_DEV_DM");
pub(super) const EXT4: Driver = driver("ext4", "CONFIG_EXT4_FS");
pub(super) const EXT3: Driver = driver("ext3", "CONFIG_EXT3_FS");
pub(super) const EXT2: Driver = driver("ext2", "CONFIG_EXT2_FS");
pub(super) const XFS: Driver = driver("xfs", "CONFIG_XFS_FS");
pub(super) const BTRFS: Driver = driver("btrfs", "CONFIG_BTRFS_FS");
pub(super) const F2FS: Driver = driver("f2fs", "CONFIG_F2FS_FS");
pub(super) const JFS: Driver = driver("jfs", "CONFIG_JFS_FS");
pub(super) const REISERFS: Driver = driver("reiserfs", "CONFIG_REISERFS_FS");
pub(super) const EROFS: Driver = driver("erofs", "CONFIG_EROFS_FS");
pub(super) const SQUASHFS: Driver = driver("squashfs", "CONFIG_SQUASHFS");

/// All of them.
const DRIVERS: [Driver; 16] = [
    VIRTIO_PCI, VIRTIO_BLK, VIRTIO_NET, ISOFS, AF_PACKET, DM_MOD, EXT4, EXT3, EXT2, XFS, BTRFS,
    F2FS, JFS, REISERFS, EROFS, SQUASHFS,
];

/// Whether a kernel has a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Have {
    BuiltIn,
    /// As a module, which needs these others.
    Module(Vec<Vec<u8>>),
    Absent,
    Unknown,
}

/// What a kernel has.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// The folder of its modules.
    pub(super) folder: Option<Vec<u8>>,
    /// Of the drivers, those that are built in by the list of these, if there is one.
    built_in: Option<Vec<&'static str>>,
    /// The same of those that are modules, with what they need.
    listed: Option<BTreeMap<&'static str, Vec<Vec<u8>>>>,
    /// The drivers that `modules.dep` lists, and whose file is not there.
    pub(super) without_file: Vec<(&'static str, Vec<u8>)>,
    config: Option<Config>,
}

/// What is of interest in the configuration of a kernel.
#[derive(Debug, Default)]
struct Config {
    /// `y` or `m` for each option that is set.
    options: BTreeMap<&'static str, u8>,
    has_modules: bool,
    has_initramfs: bool,
}

/// The name of a module in a path to it: a dash in it is the same as an underscore.
pub(super) fn module_name(path: &[u8]) -> Option<Vec<u8>> {
    const ENDINGS: [&[u8]; 4] = [b".ko", b".ko.xz", b".ko.zst", b".ko.gz"];
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(*ending))?;
    Some(stem.iter().map(|&byte| if byte == b'-' { b'_' } else { byte }).collect())
}

fn driver_named(name: &[u8]) -> Option<&'static str> {
    DRIVERS.iter().map(|driver| driver.module).find(|module| module.as_bytes() == name)
}

impl Modules {
    /// What the kernel of this version has; its configuration may lie beside its file.
    ///
    /// # Errors
    /// If the lists cannot be read.
    pub(super) fn read(
        tree: &mut Tree<'_>,
        version: &[u8],
        kernel: Option<&Found>,
        options: &[u8],
    ) -> Result<Self, Trouble> {
        let mut modules = Modules::default();
        let mut parents = vec![b"/lib/modules/".to_vec(), b"/usr/lib/modules/".to_vec()];
        // NixOS has them beside the system that is started.
        let words = options.split(u8::is_ascii_whitespace);
        let mut init = words.rev().filter_map(|word| word.strip_prefix(b"init=/nix/store/"));
        let init = init.next();
        if let Some(system) = init.and_then(|path| path.strip_suffix(b"/init")) {
            parents.push([b"/nix/store/", system, b"/kernel-modules/lib/modules/"].concat());
        }
        for parent in parents {
            let folder = [&parent[..], version].concat();
            if modules.folder.is_none() && tree.is_directory(&folder)? {
                modules.folder = Some(folder);
            }
        }
        if let Some(folder) = modules.folder.clone() {
            modules.read_lists(tree, &folder)?;
        }
        modules.read_config(tree, version, kernel)?;
        Ok(modules)
    }

    fn read_lists(&mut self, tree: &mut Tree<'_>, folder: &[u8]) -> Result<(), Trouble> {
        let path = [folder, b"/modules.builtin"].concat();
        if let Some(list) = tree.text_of(&path, LONGEST_LIST)?.filter(|list| !list.cut) {
            let names = list.lines().filter_map(|(_, line)| module_name(line.trim_ascii()));
            self.built_in = Some(names.filter_map(|name| driver_named(&name)).collect());
        }
        let path = [folder, b"/modules.dep"].concat();
        let Some(list) = tree.text_of(&path, LONGEST_LIST)?.filter(|list| !list.cut) else {
            return Ok(());
        };
        let mut listed = BTreeMap::new();
        for (_, line) in list.lines() {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let file = line[..colon].trim_ascii();
            let Some(driver) = module_name(file).and_then(|name| driver_named(&name)) else {
                continue;
            };
            let whole = match file.first() {
                Some(b'/') => file.to_vec(),
                _ => [folder, b"/", file].concat(),
            };
            if !tree.is_regular(&whole)? {
                self.without_file.push((driver, whole));
                continue;
            }
            let needs = line[colon + 1..].split(u8::is_ascii_whitespace).filter_map(module_name);
            listed.insert(driver, needs.take(MOST_NEEDS).collect());
        }
        self.listed = Some(listed);
        Ok(())
    }

    fn read_config(
        &mut self,
        tree: &mut Tree<'_>,
        version: &[u8],
        kernel: Option<&Found>,
    ) -> Result<(), Trouble> {
        let mut paths = vec![[b"/boot/config-", version].concat()];
        if let Some(folder) = &self.folder {
            paths.extend([&b"/config"[..], b"/build/.config"].map(|name| [folder, name].concat()));
        }
        for path in paths {
            if let Some(text) = tree.text(&path)?.filter(|text| !text.cut) {
                self.config = Config::parse(&text);
                return Ok(());
            }
        }
        // The volume of the kernel need not be mounted.
        if let Some(kernel) = kernel {
            let folder = kernel.path.rsplitn(2, |&byte| byte == b'/').nth(1).unwrap_or_default();
            let path = [folder, b"/config-", version].concat();
            if let Some(found) = tree.within(kernel.volume, None, &path)?
                && let Some(text) = tree.text_at(&found, &path, LONGEST_LIST)?
            {
                self.config = Config::parse(&text);
            }
        }
        Ok(())
    }

    /// Whether the kernel has a driver.
    pub(super) fn have(&self, driver: Driver) -> Have {
        let option = self.config.as_ref().map(|config| config.options.get(driver.option).copied());
        let is_built_in = self.built_in.as_ref().map(|names| names.contains(&driver.module));
        if is_built_in == Some(true) || option == Some(Some(b'y')) {
            return Have::BuiltIn;
        }
        if let Some(needs) = self.listed.as_ref().and_then(|listed| listed.get(driver.module)) {
            return Have::Module(needs.clone());
        }
        match (is_built_in, &self.listed, option) {
            // Both lists are there, and neither has it; or the configuration leaves it out.
            (Some(false), Some(_), _) | (_, _, Some(None)) => Have::Absent,
            // It is a module by the configuration, and there is a list without it.
            (_, Some(_), Some(Some(_))) => Have::Absent,
            _ => Have::Unknown,
        }
    }

    /// Whether the kernel can load modules at all; `None` if that is not known.
    pub(super) fn loads_modules(&self) -> Option<bool> {
        self.config.as_ref().map(|config| config.has_modules)
    }

    /// Whether an initramfs is built into the kernel; `None` if that is not known.
    pub(super) fn has_initramfs(&self) -> Option<bool> {
        self.config.as_ref().map(|config| config.has_initramfs)
    }

    /// Whether there is a list of its modules that modprobe can use.
    pub(super) fn has_list(&self) -> bool {
        self.listed.is_some()
    }
}

impl Config {
    /// `None` if it is no configuration.
    fn parse(text: &Text) -> Option<Self> {
        let mut config = Config::default();
        let mut any = false;
        for (_, line) in text.lines() {
            let Some(at) = line.iter().position(|&byte| byte == b'=') else { continue };
            let (name, value) = (&line[..at], &line[at + 1..]);
            any |= name.starts_with(b"CONFIG_");
            match name {
                b"CONFIG_MODULES" => config.has_modules = value == b"y",
                b"CONFIG_INITRAMFS_SOURCE" => config.has_initramfs = value != b"\"\"",
                _ => {
                    let driver = DRIVERS.iter().find(|driver| driver.option.as_bytes() == name);
                    if let (Some(driver), b"y" | b"m") = (driver, value) {
                        config.options.insert(driver.option, value[0]);
                    }
                }
            }
        }
        any.then_some(config)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::*;

    fn read(memory: Memory) -> Modules {
        Modules::read(&mut tree(vec![memory]), b"6.1", None, b"ro init=/nix/store/x-nixos/init")
            .unwrap()
    }

    #[test]
    fn lists_say_what_is_built_in_and_what_is_a_module() {
        let modules = read(
            Memory::new()
                .with("/lib/modules/6.1/modules.builtin", "kernel/drivers/virtio/virtio-pci.ko\n")
                .with(
                    "/lib/modules/6.1/modules.dep",
                    "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n\
                     kernel/fs/xfs/xfs.ko: \n",
                )
                .with("/lib/modules/6.1/kernel/fs/ext4/ext4.ko.xz", "x"),
        );
        assert_eq!(modules.have(VIRTIO_PCI), Have::BuiltIn);
        assert_eq!(modules.have(EXT4), Have::Module(vec![b"jbd2".to_vec(), b"crc16".to_vec()]));
        assert_eq!(modules.have(XFS), Have::Absent);
        assert_eq!(modules.without_file[0].0, "xfs");
        assert_eq!(modules.have(VIRTIO_BLK), Have::Absent);
    }

    #[test]
    fn a_configuration_says_what_lists_do_not() {
        let config = "CONFIG_VIRTIO_BLK=y\nCONFIG_EXT4_FS=m\n# CONFIG_XFS_FS is not set\n\
                      CONFIG_MODULES=y\nCONFIG_INITRAMFS_SOURCE=\"\"\n";
        let modules = read(Memory::new().with("/boot/config-6.1", config));
        assert_eq!(modules.have(VIRTIO_BLK), Have::BuiltIn);
        assert_eq!(modules.have(EXT4), Have::Unknown);
        assert_eq!(modules.have(XFS), Have::Absent);
        assert_eq!((modules.loads_modules(), modules.has_initramfs()), (Some(true), Some(false)));
        let listed =
            Memory::new().with("/boot/config-6.1", config).with("/lib/modules/6.1/modules.dep", "");
        assert_eq!(read(listed).have(EXT4), Have::Absent);
    }

    #[test]
    fn nixos_has_them_beside_its_system() {
        let folder = "/nix/store/x-nixos/kernel-modules/lib/modules/6.1";
        let modules = read(Memory::new().with(&format!("{folder}/modules.dep"), ""));
        assert_eq!(modules.folder.as_deref(), Some(folder.as_bytes()));
    }

    #[test]
    fn nothing_is_known_of_a_kernel_without_lists_and_configuration() {
        let modules = read(Memory::new());
        assert_eq!(modules.have(VIRTIO_BLK), Have::Unknown);
        assert_eq!(modules.folder, None);
        assert_eq!((modules.loads_modules(), modules.has_initramfs()), (None, None));
    }

    #[test]
    fn modules_are_told_by_their_names() {
        assert_eq!(module_name(b"a/virtio-pci.ko.zst").unwrap(), b"virtio_pci");
        assert_eq!(module_name(b"ext4.ko").unwrap(), b"ext4");
        assert_eq!(module_name(b"ext4.conf"), None);
    }
}
