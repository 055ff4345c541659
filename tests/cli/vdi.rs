//! VDI is opened as QEMU opens it: for each error exit on its way, and each error that `qemu-img check` finds,
//! there is an image that `tidegate check` refuses too. `docs/open-like-qemu.md` has the table.

use crate::common::{Scratch, codes, disk, images, piped, qemu_img, report};

/// A place in the header or the map, a number for it, and what the image is refused for.
type Case = (&'static str, &'static [(usize, u32)], &'static str);

const CASES: &[Case] = &[
    (
        "a disk of more than QEMU has blocks for",
        &[(0x174, 0x0002_0000)],
        "vdi-block-count-mismatch",
    ),
    ("version 1.0", &[(0x44, 0x0001_0000)], "vdi-version-unsupported"),
    ("version 2.1", &[(0x44, 0x0002_0001)], "vdi-version-unsupported"),
    ("a block map between two sectors", &[(0x154, 513)], "vdi-block-map-invalid"),
    ("data between two sectors", &[(0x158, (1 << 20) + 1)], "vdi-block-map-invalid"),
    ("sectors of 4096 bytes", &[(0x168, 4096)], "vdi-sector-size-invalid"),
    ("blocks of 2 MiB", &[(0x178, 2 << 20)], "vdi-block-size"),
    ("blocks of 512 KiB", &[(0x178, 512 << 10)], "vdi-block-size"),
    ("blocks of 512 bytes", &[(0x178, 512), (0x180, 1 << 20)], "vdi-block-size"),
    ("blocks without bytes", &[(0x178, 0)], "vdi-block-size-invalid"),
    (
        "a disk that the blocks do not cover",
        &[(0x170, (4 << 20) + 512)],
        "vdi-block-count-mismatch",
    ),
    ("a link", &[(0x1a8, 1)], "vdi-parent"),
    ("a parent", &[(0x1b8, 1)], "vdi-parent"),
    ("a parent, by the last byte of its identifier", &[(0x1c4, 1 << 24)], "vdi-parent"),
    ("too many blocks", &[(0x180, 0x1fff_ff81)], "vdi-block-count-mismatch"),
    ("a wrong number of blocks", &[(0x184, 2)], "vdi-block-count-mismatch"),
    ("two entries of one block", &[(0x200, 1), (0x204, 1)], "vdi-blocks-overlap"),
    ("a block that cannot be", &[(0x200, 4)], "vdi-block-map-entry-invalid"),
];

fn base(scratch: &Scratch) -> Option<Vec<u8>> {
    let mut disk = disk();
    // Data in each of the four blocks.
    (0..4).for_each(|block| disk[(block << 20) + 100_000] = 7);
    let (raw, path) = (scratch.write("raw", &disk), scratch.path("base.vdi"));
    let made = qemu_img(&["convert", "-f", "raw", "-O", "vdi"], &[&raw, &path])?;
    assert!(made.status.success());
    Some(std::fs::read(path).unwrap())
}

fn changed(base: &[u8], changes: &[(usize, u32)]) -> Vec<u8> {
    let mut image = base.to_vec();
    for (at, value) in changes {
        image[*at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    image
}

#[test]
fn each_error_exit_of_qemu_is_a_reason_to_refuse() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    let path = scratch.write("case.vdi", &base);
    assert_eq!(report(&[path.as_os_str()]).1["findings"], serde_json::json!([]));
    for (name, changes, expected) in CASES {
        scratch.write("case.vdi", &changed(&base, changes));
        let checked = qemu_img(&["check", "-f", "vdi"], &[&path]).unwrap();
        assert!(!checked.status.success(), "qemu-img takes {name}");
        let (code, found) = report(&[path.as_os_str()]);
        assert_eq!(code, 1, "{name}: {found}");
        assert!(codes(&found).contains(expected), "{name}: {found}");
    }
}

#[test]
fn a_parent_is_one_finding() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    for changes in
        [&[(0x4c, 4), (0x1a8, 5), (0x1b8, 6)][..], &[(0x1a8, 5), (0x1b8, 6)], &[(0x1b8, 6)]]
    {
        let path = scratch.write("child.vdi", &changed(&base, changes));
        let (code, found) = report(&[path.as_os_str()]);
        assert_eq!((code, codes(&found)), (1, vec!["vdi-parent"]), "{found}");
    }
    // One that does not say whose child it is.
    let path = scratch.write("child.vdi", &changed(&base, &[(0x4c, 4)]));
    assert_eq!(codes(&report(&[path.as_os_str()]).1), ["vdi-type-unsupported"]);
}

#[test]
fn what_is_no_part_of_the_disk_is_said() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    let mut longer = base.clone();
    longer.extend(b"QFI\xfb\0\0\0\x03");
    let path = scratch.write("longer.vdi", &longer);
    let (code, found) = report(&[path.as_os_str()]);
    assert_eq!((code, codes(&found)), (0, vec!["vdi-trailing-bytes"]));
    let message = found["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("8 bytes") && message.contains("as a qcow2 file does"), "{message}");
    // A fifth block, behind the end of the disk.
    let mut past = changed(&base, &[(0x180, 5), (0x184, 5), (0x210, 4)]);
    past.extend(vec![1; 1 << 20]);
    let path = scratch.write("past.vdi", &past);
    let (code, found) = report(&[path.as_os_str()]);
    assert_eq!((code, codes(&found)), (0, vec!["vdi-blocks-unused"]), "{found}");
}

#[test]
fn what_stands_before_the_data_and_belongs_to_nothing_is_told() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    let data = u32::from_le_bytes(base[0x158..0x15c].try_into().unwrap());
    // The data begins 8 MiB later.
    let later = |between: &[u8]| {
        let mut image = changed(&base, &[(0x158, data + (8 << 20))]);
        let mut between = between.to_vec();
        between.resize(8 << 20, between.last().copied().unwrap_or(0));
        image.splice(data as usize..data as usize, between);
        image
    };
    // Between header and map, between map and data.
    let [mut gap, mut small] = [base.clone(), base.clone()];
    gap[0x1f0] = 1;
    small[0x300..0x304].copy_from_slice(b"PK\x03\x04");
    for (image, expected) in [
        (later(b"PK\x03\x04x"), vec!["vdi-space-unused"]),
        (later(&[]), vec![]),
        (gap, vec!["vdi-space-unused"]),
        (small, vec!["vdi-space-unused"]),
    ] {
        let path = scratch.write("gap.vdi", &image);
        let (code, found) = report(&[path.as_os_str()]);
        assert_eq!((code, codes(&found)), (0, expected.clone()), "{found}");
        let piped = &images(&piped(&["--format", "json", "-"], &image))[0];
        assert_eq!(codes(piped), expected);
    }
    let path = scratch.write("zip.vdi", &later(b"PK\x03\x04x"));
    let found = report(&[path]).1;
    let message = found["findings"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("8388608 bytes") && message.contains("as a zip file does"),
        "{message}"
    );
}

#[test]
fn a_child_with_holes_is_one_finding() {
    let scratch = Scratch::new();
    let Some(base) = base(&scratch) else { return };
    // A link, a block that is not in this image, and so one that nothing names.
    let image = changed(&base, &[(0x4c, 4), (0x1a8, 1), (0x204, u32::MAX)]);
    assert_eq!(codes(&report(&[scratch.write("child.vdi", &image)]).1), ["vdi-parent"]);
    // A broken map is no reason to doubt the header's count.
    let image = changed(&base, &[(0x200, 77)]);
    let path = scratch.write("broken.vdi", &image);
    assert!(!codes(&report(&[path]).1).contains(&"vdi-block-count-mismatch"));
}
