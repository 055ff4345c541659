//! Findings that take judgement: an image with each of them, and why there is none of the others.

use serde_json::Value;

use crate::common::{Scratch, bzip2, disk, exit_code, gzip, images, tidegate};
use crate::disk::{Disk, LAST};
use crate::samples::*;

/// What makes an image.
type Make = fn() -> Vec<u8>;

/// What the check of a file says.
pub(crate) const CHECKED: &[(&str, Make)] = &[
    ("gzip-header-invalid", || with(packed("gpt.raw.gz"), &[(3, b"\xe8")])),
    ("gzip-truncated", || packed("truncated.raw.gz")),
    ("gzip-damaged", || with(gzip(&disk()), &[(10, b"\x07")])),
    ("gzip-crc-mismatch", || packed("crc.raw.gz")),
    ("gzip-size-mismatch", || {
        let bytes = gzip(&disk());
        let end = bytes.len() - 4;
        with(bytes, &[(end, b"\x01\x02\x03\x04")])
    }),
    ("bzip2-truncated", || packed("truncated.raw.bz2")),
    ("bzip2-damaged", || with(bzip2(&disk()), &[(10, b"\xff\xff\xff\xff")])),
    ("compression-lrzip", || marked(0, b"LRZI\0\x06")),
    ("compression-other", || marked(0, b"BZ3v1")),
    ("archive-zip-at-end", || {
        let mut end = [&b"PK\x01\x02"[..], &[0; 42], b"PK\x05\x06", &[0; 18]].concat();
        end[54..58].copy_from_slice(&[1, 0, 1, 0]);
        end[58] = 46;
        let disk = Disk::mbr(&[(0x83, 2048, 100)]).0;
        let at = disk.len() - end.len();
        with(disk, &[(at, &end)])
    }),
    ("archive-rar", || marked(0, b"Rar!\x1a\x07\0")),
    ("archive-cpio", || marked(0, b"070701000000")),
    ("archive-ar", || marked(0, b"!<arch>\n")),
    ("archive-rpm", || marked(0, b"\xed\xab\xee\xdb\x03\0")),
    ("archive-cab", || marked(0, b"MSCF")),
    ("archive-xar", || marked(0, b"xar!")),
    ("archive-wim", || marked(0, b"MSWIM\0\0\0\xd0\0")),
    ("archive-other", || marked(0, b"zPQ\x01")),
    ("disk-tiny", || qcow2(24, &512u64.to_be_bytes())),
    ("disk-empty", || vhdx(&[(3_211_272, &[0; 8])])),
    ("image-truncated", || packed("truncated.qcow2")),
    // A disk that ends 512 bytes into its last cluster, in an image that has all but 512 bytes of that.
    ("image-end-unusual", || {
        let mut bytes = qcow2(24, &127_488u64.to_be_bytes());
        bytes.truncate(bytes.len() - 512);
        bytes
    }),
    ("image-zeros-behind", || [plain("gpt.qcow2"), vec![0; 1460]].concat()),
    ("image-padded", || [plain("gpt.qcow2"), vec![0; 2 << 20]].concat()),
    // One cluster more, 8 MiB behind the others.
    ("image-tail-zeros", || {
        let entry = (1u64 << 63 | 8_192_000).to_be_bytes();
        let end = 8_192_000 + 4095;
        with(plain("gpt.qcow2"), &[(8192 + 4000, b"\0\x01"), (16_384 + 80, &entry), (end, b"\0")])
    }),
    ("image-offset-impossible", || vhdx(&[(2 << 20, &(!0xf_ffffu64 | 6).to_le_bytes())])),
    ("structure-unexaminable", || gzip(&crate::common::backward_chain(56))),
    ("format-polyglot", || packed("polyglot.qcow2")),
    ("iso-hybrid", || iso(2000)),
    ("iso-shell", || iso(24)),
    ("format-luks", || marked(0, b"LUKS\xba\xbe\0\x01")),
    ("format-dmg", || marked((1 << 16) - 512, b"koly\0\0\0\x04\0\0\x02\0")),
    ("format-iso9660", || marked(0x8000, b"\x01CD001\x01")),
    ("format-cowd", || marked(0, b"COWD\x01")),
    ("format-sesparse", || marked(0, b"\xbe\xba\xfe\xca\0\0\0\0")),
    ("format-ewf", || marked(0, b"EVF\x09\x0d\x0a\xff\0")),
    ("format-bochs", || marked(0, b"Bochs Virtual HD Image")),
    ("format-cloop", || marked(0, b"#!/bin/sh\n#V2.0 Format\n")),
    ("format-other", || marked(0, b"QEVM")),
    ("content-elf", || marked(0, b"\x7fELF\x02\x01\x01")),
    ("content-html", || packed("page.html")),
    ("content-git-lfs-pointer", || packed("pointer.img")),
    ("content-pointer", || b"/annex/objects/SHA256E-s8--ab\n".to_vec()),
    ("content-empty", Vec::new),
    ("content-unknown", || marked(0, b"\x89PNG\r\n\x1a\n")),
    ("raw-no-partition-table", || packed("blank.raw")),
    ("qcow2-version-unsupported", || qcow2(4, b"\x01")),
    ("qcow2-header-invalid", || qcow2(95, b"\x02")),
    ("qcow2-backing-name-without-offset", || qcow2(16, b"\x01")),
    ("qcow2-cluster-size-invalid", || qcow2(16, &[0; 8])),
    ("qcow2-encrypted", || packed("encrypted.qcow2")),
    ("qcow2-l1-table-invalid", || qcow2(27, b"\x01")),
    ("qcow2-refcount-table-invalid", || qcow2(54, b"\x00")),
    ("qcow2-snapshot-table-invalid", || qcow2(60, b"\x01")),
    ("qcow2-corrupt", || qcow2(79, b"\x02")),
    ("qcow2-feature-unknown", || qcow2(72, b"\x01")),
    ("qcow2-compression-type-invalid", || qcow2(104, b"\x01")),
    ("qcow2-extension-invalid", || qcow2(116, b"\x01")),
    ("qcow2-table-entry-invalid", || qcow2(12_288, b"\x01")),
    ("qcow2-cluster-damaged", || qcow2(16_384, b"\x40")),
    ("qcow2-refcount-too-low", || qcow2(8193, b"\x00")),
    ("qcow2-clusters-overlap", || qcow2(54, b"\x40")),
    // The extension of bitmaps, and none of them.
    ("qcow2-bitmaps-invalid", || {
        let extension = [&b"\x23\x85\x28\x75\0\0\0\x18"[..], &[0; 24], &[0; 8]].concat();
        with(qcow2(95, b"\x01"), &[(112, &extension)])
    }),
    ("qcow2-clusters-zeroed", || qcow2(16_431, b"\x01")),
    ("vhdx-no-valid-header", || vhdx_headers(0, b"xxxx")),
    ("vhdx-headers-conflict", || vhdx_headers(8, &[0; 8])),
    ("vhdx-version-unsupported", || vhdx_headers(66, b"\x02")),
    ("vhdx-log-dirty", vhdx_logged),
    ("vhdx-log-invalid", || vhdx_headers(68, b"\x01\0\0\0")),
    ("vhdx-first-region-table-damaged", || vhdx(&[(192 << 10, b"reg_")])),
    ("vhdx-no-region-table", || vhdx_tables(&[(0, b"reg_")])),
    ("vhdx-region-invalid", || vhdx_tables(&[(16, &[7; 16])])),
    ("vhdx-region-unknown", || {
        let region = [&[7; 16][..], b"\0\0\x80\0\0\0\0\0\0\0\x10\0\x01\0\0\0"].concat();
        vhdx_tables(&[(8, b"\x03"), (80, &region)])
    }),
    ("vhdx-metadata-invalid", || vhdx(&[(3 << 20, b"meta____")])),
    ("vhdx-metadata-unknown", || vhdx(&[((3 << 20) + 32, &[7; 16])])),
    ("vhdx-metadata-missing", || vhdx(&[((3 << 20) + 32, &[7; 16]), ((3 << 20) + 56, b"\0")])),
    ("vhdx-parent", || vhdx(&[(3_211_268, b"\x02")])),
    ("vhdx-block-size-invalid", || vhdx(&[(3_211_264, &[0; 4])])),
    ("vhdx-sector-size", || vhdx(&[(3_211_296, &4096u32.to_le_bytes())])),
    ("vhdx-size-invalid", || vhdx(&[(3_211_272, b"\x01\0\0\0")])),
    ("vhdx-bat-invalid", || vhdx(&[(3_211_272, &(160u64 << 37).to_le_bytes())])),
    ("vhdx-bat-entry-invalid", || vhdx(&[(2 << 20, b"\x04")])),
    ("vhdx-blocks-overlap", || {
        let second = b"\x06\0\x80\0\0\0\0\0";
        vhdx(&[(3_211_272, b"\0\0\0\x01\0\0\0\0"), ((2 << 20) + 8, second)])
    }),
    ("vhdx-blocks-unmapped", || vhdx(&[(2 << 20, b"\x03")])),
    ("vdi-version-unsupported", || vdi(68, b"\0")),
    ("vdi-header-invalid", || vdi(72, b"\0")),
    ("vdi-type-unsupported", || vdi(76, b"\0")),
    ("vdi-parent", || vdi(424, b"\x01")),
    ("vdi-sector-size-invalid", || vdi(360, b"\x01")),
    ("vdi-block-size", || vdi(378, b"\x02")),
    ("vdi-block-size-invalid", || vdi(376, b"\x01")),
    ("vdi-block-map-invalid", || vdi(72, b"\xff")),
    ("vdi-block-count-mismatch", || vdi(370, b"\xff")),
    ("vdi-block-map-entry-invalid", || vdi(512, b"\x01")),
    ("vdi-blocks-overlap", || with(vdi(384, b"\x02"), &[])),
    ("vmdk-version-unsupported", || vmdk(4, b"\0")),
    ("vmdk-newlines-broken", || vmdk(73, b"\0")),
    ("vmdk-unclean", || vmdk(72, b"\x01")),
    ("vmdk-capacity-zero", || vmdk(13, b"\0")),
    ("vmdk-header-invalid", || vmdk(64, b"\0")),
    ("vmdk-descriptor-misplaced", || vmdk(28, b"\x02")),
    ("vmdk-descriptor-invalid", || vmdk(36, b"\0")),
    ("vmdk-descriptor-mismatch", || described("RW 256", "RW 999")),
    ("vmdk-create-type", || described("monolithicSparse", "vmfs")),
    ("vmdk-create-type-mismatch", || described("monolithicSparse", "streamOptimized")),
    ("vmdk-extents-invalid", || described("RW 256", "RW 256 ZERO\nRW 256")),
    ("vmdk-encrypted", || described("version=1", "encryption.keySafe = \"vmware:key\"\nversion=1")),
    ("vmdk-grain-size-invalid", || vmdk(20, b"\0")),
    ("vmdk-grain-table-invalid", || vmdk(44, b"\x01")),
    ("vmdk-grains-zeroed", || {
        with(vmdk(8, b"\x07"), &[(22 * 512, &[1, 0, 0, 0]), (27 * 512, &[1, 0, 0, 0])])
    }),
    ("vmdk-feature-unknown", || vmdk(10, b"\x04")),
    ("vmdk-compression-invalid", || vmdk(10, b"\x01")),
    ("vmdk-footer-invalid", || footed(512, b"XXXX")),
    ("vmdk-footer-mismatch", || footed(512 + 12, b"\x01")),
    ("vmdk-table-entry-invalid", || vmdk(64, b"\xff")),
    ("vmdk-grain-damaged", || with(plain("gpt.stream.vmdk"), &[(65_550, b"\0")])),
    ("vmdk-grains-overlap", || vmdk(48, b"\xff")),
    ("vmdk-table-copies-differ", || vmdk(48, b"\x40")),
    ("vmdk-markers-mismatch", || with(plain("gpt.stream.vmdk"), &[(65_545, b"\xff")])),
    ("vmdk-cid-invalid", || described("CID=", "CID=zz")),
    ("vmdk-extent-line-invalid", || described("RW 256 SPARSE", "RW SPARSE")),
    ("vmdk-size-rounded", || described("RW 256", "RW 255")),
    ("disk-no-partition-table", || packed("blank.qcow2")),
    ("disk-member-signature", || mbr(&[(0x83, 2048, 100)], &[(536, b"LVM2 001")])),
    ("disk-file-system", || mbr(&[(0x83, 2048, 100)], &[(0x8000, b"JFS1")])),
    ("disk-file-system-left-over", || mbr(&[(0x83, 2048, 100)], &[(0, b"-rom1fs-\0\0\x10\0")])),
    ("partition-table-empty", || {
        let mut disk = Disk::gpt_of(128);
        disk.repair();
        disk.0
    }),
    ("mbr-invalid", || mbr(&[(0x83, 2048, 100), (0x83, 4096, 100)], &[(446, b"\x12")])),
    ("mbr-partition-past-end", || packed("mbr-past-end.raw")),
    ("mbr-partitions-overlap", || mbr(&[(0x83, 2048, 100), (0x83, 2100, 100)], &[])),
    ("mbr-extended-invalid", || mbr(&[(0x83, 2048, 100), (0x05, 0, 2000)], &[])),
    ("mbr-entry-ambiguous", || mbr(&[(0x83, 2048, 100), (0, 4096, 100)], &[])),
    ("mbr-partition-over-table", || mbr(&[(0x83, 0, LAST)], &[])),
    ("mbr-active-twice", || {
        mbr(&[(0x83, 2048, 100), (0x83, 2148, 100)], &[(446, b"\x80"), (462, b"\x80")])
    }),
    ("mbr-extended-ambiguous", || logical(2100, 1, (0x05, 152, 101))),
    ("mbr-extended-unusual", || {
        let mut disk = Disk::logical();
        disk.entry(2100, 0, (0x05, 152, 100));
        disk.entry(2100, 1, (0, 0, 0));
        disk.0
    }),
    ("mbr-in-volume", || {
        let boot = b"\xeb\x3c\x90mkfs.fat\0\x02\x04\x01\0\x02\0\x02\0\x40\xf8";
        mbr(&[(0x0c, 0, LAST)], &[(0, boot)])
    }),
    ("mbr-partition-divided", || {
        mbr(&[(0xa5, 2048, 100)], &[(2049 * 512, &[0x57, 0x45, 0x56, 0x82])])
    }),
    ("partition-table-second", || mbr(&[(0x83, 2048, 100)], &[(4, b"IPL1")])),
    ("partitions-too-many", || {
        let mut disk = Disk::gpt_of(512);
        (0..300).for_each(|index| disk.partition(index, 2048 + 2 * index, 2));
        disk.repair();
        disk.0
    }),
    ("gpt-missing", || mbr(&[(0xee, 1, LAST)], &[])),
    ("gpt-damaged", || gpt_headers(48, &33u64.to_le_bytes())),
    ("gpt-sector-size", || {
        let disk = Disk::gpt().0;
        let header = disk[512..1024].to_vec();
        with(disk, &[(512, &[0; 512]), (4096, &header)])
    }),
    ("gpt-entry-invalid", || gpt(|disk| disk.partition(0, 3000, 0))),
    ("gpt-partitions-overlap", || gpt(|disk| disk.partition(1, 2500, 1000))),
    ("gpt-duplicate-guid", || {
        gpt(|disk| {
            let entries = [1024, LAST as usize * 512 - 32 * 512];
            entries.iter().for_each(|at| disk.put(at + 128 + 16, &1u128.to_le_bytes()));
        })
    }),
    ("gpt-copies-differ", || gpt(|disk| disk.put(LAST as usize * 512 + 40, &35u64.to_le_bytes()))),
    ("gpt-entry-size", || {
        gpt(|disk| {
            disk.copies(|header| header[84..88].copy_from_slice(&256u32.to_le_bytes()));
            disk.copies(|header| header[80..84].copy_from_slice(&4u32.to_le_bytes()));
        })
    }),
    ("gpt-revision", || gpt_headers(8, &0x2_0000u32.to_le_bytes())),
    ("gpt-over-itself", || gpt_headers(40, &33u64.to_le_bytes())),
];

/// What a check says with these options.
pub(crate) const ASKED: &[(&str, &[&str], Make)] =
    &[("digest-mismatch", &["--sha256", ZEROS], || packed("gpt.raw.gz"))];

/// A SHA-256 that no file has.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What only a repack gets to see, as a check refuses the file by what is around it.
pub(crate) const UNPACKED: &[(&str, Make)] = &[
    ("xz-truncated", || half(packed("gpt.raw.xz"))),
    ("xz-damaged", || with(packed("gpt.raw.xz"), &[(40, b"\xff\xff\xff\xff")])),
    ("xz-window-too-large", || xz(4, b"\x28")),
    ("xz-unsupported", || xz(2, b"\x05")),
    ("zstd-truncated", || half(packed("gpt.raw.zst"))),
    ("zstd-damaged", || with(packed("gpt.raw.zst"), &[(20, b"\xff\xff\xff\xff\xff\xff\xff\xff")])),
    // A frame that wants a dictionary.
    ("zstd-unsupported", || b"\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00".to_vec()),
    ("tar-truncated", || half(tar(&[("disk.raw", b'0', &disk())]))),
    ("tar-damaged", || with(tar(&[("disk.raw", b'0', &disk())]), &[(124, b"xyz")])),
    ("tar-unsupported", || tar(&[("disk.raw", b'M', &disk())])),
    ("tar-no-image", || tar(&[("notes.txt", b'0', b"there is no disk in it\n")])),
    ("tar-several-images", || tar(&[("a.raw", b'0', &disk()), ("b.raw", b'0', &disk())])),
    ("vpc-header-invalid", || with(plain("gpt.vhd.gz"), &[(600, b"\x01")])),
    ("vpc-table-invalid", || with(plain("gpt.vhd.gz"), &[(1536, b"\x80")])),
    ("qcow1-header-invalid", || with(plain("gpt.qcow.gz"), &[(15, b"\x01")])),
    ("qcow1-table-invalid", || with(plain("gpt.qcow.gz"), &[(40, b"\x7f")])),
];

/// Findings that no file has by itself: why, and the test that has one of them.
pub(crate) const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("url-not-https", URL, "web/rules.rs"),
    ("url-credentials", URL, "web/rules.rs"),
    ("url-query", URL, "web/rules.rs"),
    ("url-no-file-name", URL, "web/rules.rs"),
    ("url-private-host", URL, "web/rules.rs"),
    ("url-head-refused", URL, "web/rules.rs"),
    ("url-head-differs", URL, "web/rules.rs"),
    ("url-login-page", URL, "web/rules.rs"),
    ("url-no-length", URL, "web/rules.rs"),
    ("url-content-encoding", URL, "web/rules.rs"),
    ("url-redirected", URL, "web/redirects.rs"),
    ("url-unpinned", URL, "web/rules.rs"),
    ("image-digest-mismatch", "a list of digests names the image", "cli/integrity.rs"),
    ("file-too-large", "only a pipe or a URL may be without end", "web/early.rs"),
    ("structure-not-examined", "a pipe cannot be read twice", "cli/closed.rs"),
    ("disk-not-examined", "the disk is in other files", "cli/closed.rs"),
];

/// Why it takes a server.
const URL: &str = "it is about a URL";

/// The record of a root directory at block 15.
const ROOT: &[u8] =
    b"\x22\0\x0f\0\0\0\0\0\0\x0f\0\x08\0\0\0\0\x08\0\0\0\0\0\0\0\0\x02\0\0\x01\0\0\x01\x01\0";

/// A disk with an optical disc of so many blocks before its partitions.
fn iso(blocks: u32) -> Vec<u8> {
    with(
        disk(),
        &[
            (0x8000, b"\x01CD001\x01"),
            (0x8050, &blocks.to_le_bytes()),
            (0x8054, &blocks.to_be_bytes()),
            (0x8080, &[0, 8, 8, 0]),
            (0x8800, b"\xffCD001\x01"),
            // The root directory, which is empty, at block 15.
            (0x809c, ROOT),
            (15 * 2048, ROOT),
            (15 * 2048 + 34, ROOT),
            (15 * 2048 + 67, b"\x01"),
        ],
    )
}

/// All codes of this file.
pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
    let elsewhere = ELSEWHERE.iter().map(|(code, ..)| *code);
    let asked = ASKED.iter().map(|(code, ..)| *code);
    CHECKED.iter().chain(UNPACKED).map(|(code, _)| *code).chain(asked).chain(elsewhere)
}

/// Why the remedy of a finding in a report is not words alone, if so.
fn wrong(report: &Value, code: &str) -> Option<String> {
    let findings = report["findings"].as_array().unwrap();
    let Some(found) = findings.iter().find(|found| found["code"] == code) else {
        let codes: Vec<_> = findings.iter().map(|found| found["code"].as_str().unwrap()).collect();
        return Some(format!("{code} is not among {codes:?}"));
    };
    let remedy = found["remedy"].as_str().unwrap();
    crate::words::assert_plain(remedy, code);
    let words = found.get("commands").is_none() && !remedy.contains('`') && remedy.ends_with('.');
    (!words).then(|| format!("{code}: {found:#}"))
}

#[test]
fn what_takes_judgement_is_said_in_words() {
    let scratch = Scratch::new();
    let mut failed = Vec::new();
    let none: &[&str] = &[];
    let checked = CHECKED.iter().map(|(code, make)| (*code, none, *make));
    for (code, options, make) in checked.chain(ASKED.iter().copied()) {
        let path = scratch.write("server.image", &make());
        let output =
            tidegate().args(["check", "--format", "json"]).args(options).arg(path).output();
        failed.extend(wrong(&images(&output.unwrap())[0], code));
    }
    for (code, make) in UNPACKED {
        let path = scratch.write("server.image", &make());
        let mut repack = tidegate();
        let output =
            repack.args(["repack", "--format", "json"]).arg(path).arg(scratch.path("new.gz"));
        let output = output.output().unwrap();
        assert_eq!(exit_code(&output), 1, "{code}: {output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        failed.extend(wrong(&document["report"], code));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_no_file_has_by_itself_is_met_by_another_test() {
    for (code, why, test) in ELSEWHERE {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(test);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("\"{code}\"")), "{code} ({why}) is not in tests/{test}");
    }
}
