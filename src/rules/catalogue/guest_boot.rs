use super::{Remedy::Judge, Row, Severity::*, in_guest, judged};
use crate::facts::Code;

const FIRMWARE: &str = "SMBIOS table of a Droplet: SeaBIOS, without the bit of UEFI (gist by DigitalOcean's Ben Howard, 2016); every image known to be importable boots by BIOS";
const GRUB: &str = "GRUB: grub-core/boot/i386/pc/{boot,diskboot}.S, include/grub/i386/pc/boot.h";
const LINUX: &str = "Linux: Documentation/admin-guide/kernel-parameters.txt, init/do_mounts.c";
const DRIVERS: &str = "A Droplet's disk is virtio-blk (/dev/vda), its network virtio-net; dracutdevs/dracut#205, systemd/mkosi#56";
const MODPROBE: &str = "modprobe.d(5)";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::BootNoLoader,
        Reject,
        "nothing on the disk boots",
        "There is no boot loader that the BIOS of a Droplet could start, and none for UEFI.",
        Judge(
            "Install the boot loader to the disk in the build, such as GRUB for i386-pc, and make sure that no later step overwrites the first sectors.",
        ),
        FIRMWARE,
    ),
    judged(
        Code::BootUefiOnly,
        Warn,
        "the disk boots by UEFI only",
        "The firmware of a Droplet is a BIOS as far as is known, and the disk has a boot loader for UEFI only. DigitalOcean documents nothing of UEFI, and no image without a boot loader for BIOS is known to work.",
        Judge(
            "Install a boot loader for BIOS beside it: with a GPT, GRUB for i386-pc needs a BIOS boot partition of 1 MiB.",
        ),
        FIRMWARE,
    ),
    judged(
        Code::BootGrubNotInstalled,
        Reject,
        "GRUB is not installed in full",
        "The first sector of GRUB loads its core from a place where it is not, or the BIOS boot partition, which is made for it, is empty. A Droplet stops before it boots.",
        Judge(
            "Run grub-install (grub2-install) with --target=i386-pc for the disk in the build, after its partitions have their final places.",
        ),
        GRUB,
    ),
    judged(
        Code::BootLoaderUnknown,
        Note,
        "the boot loader is not known",
        "The first sector has code that is none of the boot loaders known here, so nobody looked whether what it starts is there.",
        Judge(
            "Nothing is wrong if the disk boots by BIOS elsewhere; try it with QEMU's default firmware.",
        ),
        "tidegate: what was not read is never judged",
    ),
    judged(
        Code::BootSyslinuxIncomplete,
        Warn,
        "SYSLINUX is not installed in full",
        "The boot sector of SYSLINUX loads the file ldlinux.sys, which is not where its installers put it.",
        Judge(
            "Run extlinux --install (or syslinux --install) for the file system in the build, and leave ldlinux.sys where it is.",
        ),
        "SYSLINUX: doc/extlinux.txt, doc/syslinux.txt",
    ),
    judged(
        Code::BootNoMenu,
        Warn,
        "the boot loader has no menu",
        "The file that the boot loader takes its entries from is not in any of the usual places, or has none. It stops at a prompt then, unless it has a configuration built in.",
        Judge(
            "Write the menu in the build: update-grub on Debian, grub2-mkconfig -o /boot/grub2/grub.cfg elsewhere, and see that a kernel is installed.",
        ),
        "GNU GRUB manual, 6.1; SYSLINUX: doc/syslinux.txt",
    ),
    judged(
        Code::BootKernelMissing,
        Reject,
        "the kernel that boots is not there",
        "The entry that the boot loader starts by itself names a kernel that is missing or empty.",
        Judge(
            "Install the kernel again and write the menu anew in the build; an empty file is what a full /boot leaves.",
        ),
        "virt-v2v: convert/linux_kernels.ml; GNU GRUB manual: linux",
    ),
    judged(
        Code::BootInitrdMissing,
        Reject,
        "the initramfs that boots is not there",
        "The entry that the boot loader starts by itself names an initramfs that is missing or empty.",
        Judge(
            "Make it anew in the build: update-initramfs -u -k all on Debian, dracut --regenerate-all --force elsewhere; an empty file is what a full /boot leaves.",
        ),
        "virt-v2v: convert/linux_bootloaders.ml; GNU GRUB manual: initrd",
    ),
    judged(
        Code::BootInitramfsDamaged,
        Warn,
        "the initramfs is damaged",
        "What the boot loader gives to the kernel is truncated, or no archive that Linux unpacks. The kernel goes on without what is behind the damage.",
        Judge(
            "Make it anew in the build: update-initramfs -u -k all on Debian, dracut --regenerate-all --force elsewhere; see that /boot is not full.",
        ),
        "Linux: Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c",
    ),
    judged(
        Code::BootDriverNotInInitramfs,
        Reject,
        "the initramfs lacks a driver that the root needs",
        "A Droplet's disk is virtio-blk. A driver for it, or for the file system of the root, is a module that can only be loaded from an initramfs, and is not in it. The kernel does not find its root.",
        Judge(
            "Make an initramfs for any machine in the build. Debian: MODULES=most in /etc/initramfs-tools/initramfs.conf, then update-initramfs -u -k all. dracut: hostonly=no in /etc/dracut.conf.d, then dracut --regenerate-all --force.",
        ),
        DRIVERS,
    ),
    judged(
        Code::BootNoInitramfs,
        Warn,
        "the kernel gets no initramfs",
        "The root is named in a way that only an initramfs understands, and the boot loader loads none. The kernel finds its root only if an initramfs is built into it.",
        Judge(
            "Make an initramfs and write the menu anew in the build, or give the kernel root=PARTUUID=… of the partition.",
        ),
        LINUX,
    ),
    judged(
        Code::BootRootMissing,
        Reject,
        "the root that the kernel looks for is not on the disk",
        "The command line of the kernel names the root by a UUID, a label or a device that nothing on the disk has. A Droplet stops before its services start.",
        Judge(
            "Write the menu anew in the build, after the file systems have their final UUIDs and labels.",
        ),
        LINUX,
    ),
    judged(
        Code::BootRootDevice,
        Reject,
        "the root is on a device that a Droplet does not have",
        "The command line of the kernel names the root as a device of another machine, such as /dev/sda1. A Droplet's disk is /dev/vda.",
        Judge(
            "Name the root by its UUID in the menu of the boot loader, as grub-mkconfig does unless GRUB_DISABLE_LINUX_UUID is set.",
        ),
        "digitalocean/DOKS#27: the disk is /dev/vda; AWS VM Import/Export renames such roots",
    ),
    judged(
        Code::BootRootSubvolume,
        Reject,
        "the subvolume of the root is not there",
        "The command line of the kernel mounts the root with a subvolume that its btrfs does not have.",
        Judge("Write the menu anew in the build, after the subvolumes have their final names."),
        "btrfs(5): subvol, subvolid",
    ),
    judged(
        Code::BootRootNeedsInitramfs,
        Reject,
        "the kernel cannot find its root without an initramfs",
        "The root is named by UUID, label or another way that only an initramfs understands; the boot loader loads none, and by the configuration of the kernel none is built in.",
        Judge(
            "Make an initramfs and write the menu anew in the build, or give the kernel root=PARTUUID=… of the partition.",
        ),
        "Linux: init/do_mounts.c, block/early-lookup.c; Zakkaus/gentoo-install#511",
    ),
    judged(
        Code::BootResumeMissing,
        Warn,
        "the device to resume from is not on the disk",
        "The initramfs waits for the device that resume= names, half a minute or more at each boot.",
        Judge(
            "Remove resume= from the command line in the build; on Debian, RESUME=none in /etc/initramfs-tools/conf.d/resume, too.",
        ),
        "initramfs-tools(7): resume; dracut.cmdline(7)",
    ),
    judged(
        Code::BootSerialConsoleOnly,
        Note,
        "the console of a Droplet will show nothing",
        "The kernel writes to a serial console only, and a Droplet's console in the panel is its screen.",
        in_guest(
            "Add the screen as a console, where grubby is",
            "grubby --update-kernel=ALL --args=console=tty0",
            "Elsewhere, put console=tty0 into GRUB_CMDLINE_LINUX in /etc/default/grub.",
        ),
        "networkupstools/nut#2192",
    ),
    judged(
        Code::KernelInvalid,
        Reject,
        "the kernel that boots is no kernel for a Droplet",
        "The file that the boot loader starts is not a Linux kernel for x86, or only the beginning of one.",
        Judge(
            "Install the kernel for x86-64 again in the build; a truncated file is what a full /boot leaves.",
        ),
        "Linux: Documentation/arch/x86/boot.rst",
    ),
    judged(
        Code::KernelNoModules,
        Warn,
        "the modules of the kernel that boots are not there",
        "Without the folder of its modules and their list, the kernel gets no driver that is not built in or in the initramfs.",
        Judge(
            "Install the package of the modules of this kernel in the build, or run depmod -a with its version, or boot another kernel.",
        ),
        "modprobe(8), depmod(8)",
    ),
    judged(
        Code::KernelNoVirtioDisk,
        Reject,
        "the kernel has no driver for a Droplet's disk",
        "A Droplet's disk is virtio-blk on PCI, and the kernel that boots has no such driver.",
        Judge(
            "Boot a kernel with CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_BLK: the kernels that distributions make for servers and clouds have them.",
        ),
        DRIVERS,
    ),
    judged(
        Code::KernelNoVirtioNet,
        Reject,
        "the kernel has no driver for a Droplet's network",
        "A Droplet's network is virtio-net, and the kernel that boots has no such driver.",
        Judge("Boot a kernel with CONFIG_VIRTIO_NET, and install all of its modules."),
        DRIVERS,
    ),
    judged(
        Code::KernelNoRootDriver,
        Reject,
        "the kernel has no driver for the root",
        "The kernel that boots has no driver for the file system or the logical volume of its root.",
        Judge("Boot a kernel that has it, and install all of its modules."),
        LINUX,
    ),
    judged(
        Code::KernelNoIsofs,
        Warn,
        "the kernel cannot read the config drive",
        "A Droplet's config drive is an ISO 9660 file system, and the kernel that boots has no isofs. Who takes keys and network from there gets none.",
        Judge(
            "Boot a kernel with CONFIG_ISO9660_FS, and install all of its modules; metadata over the network is the other way.",
        ),
        "noteed.com/not-os/digital-ocean.html; canonical/cloud-init#4787",
    ),
    judged(
        Code::KernelNoPacket,
        Warn,
        "the kernel has no packet sockets",
        "Most clients of DHCP need packet sockets (af_packet), and the kernel that boots has none.",
        Judge("Boot a kernel with CONFIG_PACKET, and install all of its modules."),
        "noteed.com/not-os/digital-ocean.html",
    ),
    judged(
        Code::KernelModuleDisabled,
        Reject,
        "the driver of a Droplet's network is kept from being loaded",
        "A line of modprobe.d runs a command that does nothing in the place of loading virtio_net.",
        Judge("Remove the line in the build."),
        MODPROBE,
    ),
    judged(
        Code::KernelModuleBlacklisted,
        Warn,
        "a driver that a Droplet needs is not loaded by itself",
        "A module that a Droplet needs is on a list of those that are not loaded, or its place is taken by a command that does nothing. It is missing unless something loads it by name, or the initramfs has another list.",
        Judge("Remove it from the list in the build, and make the initramfs anew."),
        MODPROBE,
    ),
];
