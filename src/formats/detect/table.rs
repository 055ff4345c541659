//! The table of every mark by which a well-known program takes an image for something.
//!
//! The marks are those of QEMU 10.0 (`.bdrv_probe` of each driver in `block/`), libblkid 2.41
//! (`superblocks/`), libmagic 5.46 (`magic/Magdir`), `format_inspector` of oslo.utils 10.2, and the
//! openers of VirtualBox 7. A rule that wants more than the mark is taken as if it wanted the mark alone.

use super::descriptor;
use crate::facts::{Code, DiskFormat, Known, Mark};

/// What an image is that bears a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// A format that DigitalOcean takes.
    Taken(DiskFormat),
    /// A format that is refused, and the anomaly that says so.
    Refused(DiskFormat, Code),
    /// An optical disc, which may be a disk at the same time.
    Optical,
    /// A document or program, no disk.
    Content(DiskFormat, Code),
}

const fn other() -> Is {
    Is::Refused(DiskFormat::Other, Code::FormatOther)
}

const fn document() -> Is {
    Is::Content(DiskFormat::Unknown, Code::ContentUnknown)
}

const ALL: &str = "QEMU, libmagic, oslo.utils, VirtualBox";
const LIBMAGIC: &str = "libmagic";

/// What QEMU knows a compressed loop device by; it is a script as well.
const CLOOP: &[u8] = b"#!/bin/sh\n#V2.0 Format\n";

/// Offset of the first volume descriptor of an optical disc.
const VOLUME_DESCRIPTOR: usize = 0x8000;

/// Every format that is known by a mark.
pub const FORMATS: &[Known<Is>] = &[
    Known::new("a VHDX image", ALL, &[Mark::At(0, b"vhdxfile")], Is::Taken(DiskFormat::Vhdx)),
    Known::new("a VMDK extent", ALL, &[Mark::At(0, b"KDMV")], Is::Taken(DiskFormat::Vmdk)),
    Known::new(
        "a VDI image",
        ALL,
        &[Mark::At(0x40, b"\x7f\x10\xda\xbe")],
        Is::Taken(DiskFormat::Vdi),
    ),
    Known::new(
        "a VHD image",
        "QEMU, libmagic, oslo.utils (at 0), VirtualBox (at the end too)",
        &[Mark::At(0, b"conectix"), Mark::End(512, b"conectix"), Mark::End(511, b"conectix")],
        Is::Refused(DiskFormat::Vpc, Code::FormatVpc),
    ),
    Known::new(
        "a QED image",
        ALL,
        &[Mark::At(0, b"QED\0")],
        Is::Refused(DiskFormat::Qed, Code::FormatQed),
    ),
    Known::new(
        "a Parallels image",
        "QEMU, libmagic, VirtualBox",
        &[Mark::At(0, b"WithoutFreeSpace"), Mark::At(0, b"WithouFreSpacExt")],
        Is::Refused(DiskFormat::Parallels, Code::FormatParallels),
    ),
    Known::new(
        "a LUKS volume",
        "QEMU, libblkid, libmagic, oslo.utils",
        &[Mark::At(0, b"LUKS\xba\xbe")],
        Is::Refused(DiskFormat::Luks, Code::FormatLuks),
    ),
    Known::new(
        "a COWD extent",
        "QEMU, libmagic",
        &[Mark::At(0, b"COWD")],
        Is::Refused(DiskFormat::Cowd, Code::FormatCowd),
    ),
    Known::new(
        "a seSparse extent",
        "QEMU",
        &[Mark::At(0, b"\xbe\xba\xfe\xca\0\0\0\0")],
        Is::Refused(DiskFormat::Sesparse, Code::FormatSesparse),
    ),
    Known::new(
        "an Expert Witness image",
        LIBMAGIC,
        &[
            Mark::At(0, b"EVF\x09\x0d\x0a\xff\0"),
            Mark::At(0, b"EVF2\x0d\x0a\x81\0"),
            Mark::At(0, b"LVF\x09\x0d\x0a\xff\0"),
        ],
        Is::Refused(DiskFormat::Ewf, Code::FormatEwf),
    ),
    Known::new(
        "a Bochs image",
        "QEMU, libmagic",
        &[Mark::At(0, b"Bochs Virtual HD Image"), Mark::At(0, b"\xce\x8a\x46\x02")],
        Is::Refused(DiskFormat::Bochs, Code::FormatBochs),
    ),
    Known::new(
        "a cloop image",
        "QEMU",
        &[Mark::At(0, CLOOP)],
        Is::Refused(DiskFormat::Cloop, Code::FormatCloop),
    ),
    Known::new(
        "an Apple disk image",
        "libmagic, VirtualBox (QEMU goes by the name alone)",
        &[
            Mark::At(0, b"koly"),
            Mark::At(0, b"encrcdsa"),
            Mark::At(0, b"sprs"),
            Mark::End(512, b"koly"),
        ],
        Is::Refused(DiskFormat::Dmg, Code::FormatDmg),
    ),
    Known::new(
        "a VMDK descriptor",
        "QEMU, oslo.utils, VirtualBox",
        &[
            Mark::Rule("comments and blank lines, then a line version=1, 2 or 3, in 512 bytes", {
                descriptor::by_version
            }),
            Mark::Rule("# Disk DescriptorFile at 0, with any blanks", descriptor::by_title),
            Mark::Rule("512 bytes of text, then createType=\" before a NUL", {
                descriptor::by_create_type
            }),
        ],
        Is::Refused(DiskFormat::Vmdk, Code::FormatVmdkDescriptor),
    ),
    Known::new(
        "a VISO, which names files",
        "VirtualBox",
        &[Mark::Rule("white space, then --iprt-iso-maker-file-marker", descriptor::viso)],
        other(),
    ),
    Known::new("a VMDK extent, its mark reversed", LIBMAGIC, &[Mark::At(0, b"VMDK")], other()),
    Known::new(
        "a qcow image of version 1",
        ALL,
        &[Mark::At(0, b"QFI\xfb\0\0\0\x01")],
        Is::Refused(DiskFormat::Qcow, Code::FormatQcow1),
    ),
    Known::new(
        "a qcow2 image",
        ALL,
        &[Mark::Rule("\"QFI\" fb at 0, and no version 1", qcow2)],
        Is::Taken(DiskFormat::Qcow2),
    ),
    Known::new(
        "an Android sparse image",
        LIBMAGIC,
        &[Mark::At(0, b"\x3a\xff\x26\xed")],
        Is::Refused(DiskFormat::AndroidSparse, Code::FormatAndroidSparse),
    ),
    Known::new(
        "a saved virtual machine",
        LIBMAGIC,
        &[
            Mark::At(0, b"QEVM"),
            Mark::At(0, b"LibvirtQemudSave"),
            Mark::At(0, b"LibvirtQemudPart"),
            Mark::At(0, b"LinuxGuestRecord"),
        ],
        other(),
    ),
    Known::new(
        "a copy-on-write file of User-Mode Linux",
        LIBMAGIC,
        &[Mark::At(0, b"OOOM")],
        other(),
    ),
    Known::new("a copy by partclone", LIBMAGIC, &[Mark::At(0, b"partclone-image")], other()),
    Known::new("a copy by ntfsclone", LIBMAGIC, &[Mark::At(0, b"\0ntfsclone-image")], other()),
    Known::new(
        "an Acronis backup",
        LIBMAGIC,
        &[Mark::At(0, b"\xce\x24\xb9\xa2\x20\0\0\0")],
        other(),
    ),
    Known::new(
        "a Norton Ghost image",
        LIBMAGIC,
        &[Mark::Rule("fe ef 01 at 0, then a byte from 0 to 8", ghost)],
        other(),
    ),
    Known::new(
        "a Proxmox backup",
        LIBMAGIC,
        &[
            Mark::At(0, b"VMA\0"),
            Mark::At(0, b"\x42\xab\x38\x07\xbe\x83\x70\xa1"),
            Mark::At(0, b"\x31\xb9\x58\x42\x6f\xb6\xa3\x7f"),
            Mark::At(0, b"\x7b\x67\x85\xbe\x22\x2d\x4c\xf0"),
            Mark::At(0, b"\xe6\x59\x1b\xbf\x0b\xbf\xd8\x0b"),
            Mark::At(0, b"\x2f\x7f\x41\xed\x91\xfd\x0f\xcd"),
        ],
        other(),
    ),
    Known::new("a PowerISO image", LIBMAGIC, &[Mark::At(0, b"DAA\0\0\0\0\0")], other()),
    Known::new("a delta ISO", LIBMAGIC, &[Mark::At(0, b"DISO")], other()),
    Known::new(
        "a copy by HDD Raw Copy",
        LIBMAGIC,
        &[Mark::At(0, b"\x11HDD Raw Copy Tool")],
        other(),
    ),
    Known::new("a Norton disc image", LIBMAGIC, &[Mark::At(0, b"PNCIHISK\0")], other()),
    Known::new("a btrfs stream", LIBMAGIC, &[Mark::At(0, b"btrfs-stream")], other()),
    Known::new("an XFS metadata dump", LIBMAGIC, &[Mark::At(0, b"XFSM")], other()),
    Known::new("a CROMFS image", LIBMAGIC, &[Mark::At(0, b"CROMFS")], other()),
    Known::new("an e2fsck undo file", LIBMAGIC, &[Mark::At(0, b"E2UNDO02")], other()),
    Known::new(
        "a U-Boot image",
        LIBMAGIC,
        &[Mark::At(0, b"\x27\x05\x19\x56"), Mark::At(0, b"\xd0\x0d\xfe\xed")],
        other(),
    ),
    Known::new("a copy by PartImage", LIBMAGIC, &[Mark::At(0, b"PaRtImAgE-VoLuMe")], other()),
    Known::new("a backup by Smart Boot Manager", LIBMAGIC, &[Mark::At(0, b"SBMBAKUP_")], other()),
    Known::new(
        "an error correction file of dvdisaster",
        LIBMAGIC,
        &[Mark::At(0, b"*dvdisaster*")],
        other(),
    ),
    Known::new("a dump of a kernel", LIBMAGIC, &[Mark::At(0, b"minidump FreeBSD/")], other()),
    Known::new(
        "a VDI image, by its text alone",
        LIBMAGIC,
        &[Mark::Rule("\"innotek VirtualBox Disk Image\" at 4, and no mark of VDI at 64", old_vdi)],
        other(),
    ),
    Known::new(
        "a disk or tape of a home computer",
        LIBMAGIC,
        &[
            Mark::At(0, b"ACT\x10Apricot\x10disk\x10image\x1a\x04"),
            Mark::At(0, b"<CPM_Disk>"),
            Mark::At(0, b"MV - CPCEMU Disk-Fil"),
            Mark::At(0, b"C64-TAPE-RAW"),
        ],
        other(),
    ),
    Known::new(
        "a disc of a game console",
        LIBMAGIC,
        &[
            Mark::At(1, b"*NINTENDO-HVC*"),
            Mark::At(0, b"SEGADISCSYSTEM  "),
            Mark::At(16, b"SEGADISCSYSTEM  "),
            Mark::At(0, b"SEGABOOTDISC    "),
            Mark::At(16, b"SEGABOOTDISC    "),
            Mark::At(0, b"SEGA SEGASATURN "),
            Mark::At(16, b"SEGA SEGASATURN "),
            Mark::At(0, b"SEGA SEGAKATANA "),
            Mark::At(16, b"SEGA SEGAKATANA "),
        ],
        other(),
    ),
    Known::new("an Android boot image", LIBMAGIC, &[Mark::At(0, b"ANDROID!")], other()),
    Known::new(
        "an optical disc (ISO 9660, UDF)",
        "libblkid, libmagic, oslo.utils (QEMU has it for raw)",
        &[
            Mark::At(VOLUME_DESCRIPTOR + 1, b"CD001"),
            Mark::At(VOLUME_DESCRIPTOR + 9, b"CDROM"),
            Mark::At(VOLUME_DESCRIPTOR + 1, b"BEA01"),
            Mark::At(VOLUME_DESCRIPTOR + 1, b"BOOT2"),
            Mark::At(VOLUME_DESCRIPTOR + 1, b"CDW02"),
            Mark::At(VOLUME_DESCRIPTOR + 1, b"TEA01"),
            Mark::At(VOLUME_DESCRIPTOR + 1, b"NSR02"),
            Mark::At(VOLUME_DESCRIPTOR + 1, b"NSR03"),
        ],
        Is::Optical,
    ),
    Known::new(
        "an optical disc with its raw sectors",
        LIBMAGIC,
        &[Mark::At(0x9209, b"CD001"), Mark::At(0x9311, b"CD001"), Mark::At(0x9319, b"CD001")],
        other(),
    ),
    Known::new(
        "a program (ELF)",
        LIBMAGIC,
        &[Mark::At(0, b"\x7fELF")],
        Is::Content(DiskFormat::Elf, Code::ContentElf),
    ),
    Known::new(
        "a program for Windows or UEFI (PE)",
        LIBMAGIC,
        &[Mark::Rule("MZ at 0, and PE 00 00 at the place that 60 names", pe)],
        document(),
    ),
    Known::new(
        "a script",
        "Linux, libmagic",
        &[
            Mark::Rule("#! at 0, and no mark of cloop", script),
            Mark::At(0, b"%!PS"),
            Mark::At(0, b"<?php"),
        ],
        Is::Content(DiskFormat::Text, Code::ContentText),
    ),
    Known::new("a PNG picture", LIBMAGIC, &[Mark::At(0, b"\x89PNG\r\n\x1a\n")], document()),
    Known::new("a GIF picture", LIBMAGIC, &[Mark::At(0, b"GIF8")], document()),
    Known::new("a PDF document", LIBMAGIC, &[Mark::At(0, b"%PDF-")], document()),
    Known::new("an SQLite database", LIBMAGIC, &[Mark::At(0, b"SQLite format 3\0")], document()),
    Known::new("a key or certificate", LIBMAGIC, &[Mark::At(0, b"-----BEGIN ")], document()),
];

/// Versions 1 and 2 share the magic and little else.
fn qcow2(head: &[u8]) -> Option<usize> {
    let version = head.strip_prefix(b"QFI\xfb")?;
    (!version.starts_with(b"\0\0\0\x01")).then_some(0)
}

/// Who goes by the text takes it for a VDI image; what is one has both.
fn old_vdi(head: &[u8]) -> Option<usize> {
    let text = head.get(4..)?.starts_with(b"innotek VirtualBox Disk Image");
    let mark = head.get(0x40..)?.starts_with(b"\x7f\x10\xda\xbe");
    (text && !mark).then_some(4)
}

/// The kernel and shells run what follows, whatever is behind the text.
fn script(head: &[u8]) -> Option<usize> {
    (head.starts_with(b"#!") && !head.starts_with(CLOOP)).then_some(0)
}

fn pe(head: &[u8]) -> Option<usize> {
    let place = u32::from_le_bytes(*head.strip_prefix(b"MZ")?.get(58..)?.first_chunk()?);
    let header = head.get(usize::try_from(place).ok()?..)?;
    header.starts_with(b"PE\0\0").then_some(0)
}

fn ghost(head: &[u8]) -> Option<usize> {
    matches!(head, [0xfe, 0xef, 0x01, 0..=8, ..]).then_some(0)
}
