//! Images of which a transfer lost bytes in the middle, doubled some, or never brought the end: tables and size of the disk are right.

use crate::common::*;

const FORMATS: [(&str, &str); 5] = [
    ("qcow2", "compat=1.1"),
    ("qcow2", "compat=0.10"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vhdx", "block_size=1M"),
    ("vdi", "static=off"),
];

/// What `qemu-img` makes of a disk that has something in each of its clusters; the last of them ends with zeros.
fn image(scratch: &Scratch, (format, options): (&str, &str), size: usize) -> Option<Vec<u8>> {
    let mut disk = vec![0; size];
    for at in ((1 << 20)..size).step_by(4096) {
        disk[at..at + 8].copy_from_slice(&(at as u64 * 0x9e37_79b9).to_le_bytes());
    }
    let end = size - size % 65_536;
    disk[end - 60_000..end].fill(0);
    disk[450] = 0x83;
    disk[454..458].copy_from_slice(&2048u32.to_le_bytes());
    disk[458..462].copy_from_slice(&(size as u32 / 512 - 2048).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let (raw, path) = (scratch.write("disk.raw", &disk), scratch.path("disk"));
    let arguments = ["convert", "-f", "raw", "-O", format, "-o", options];
    let done = qemu_img(&arguments, &[raw, path.clone()])?;
    assert!(done.status.success(), "{done:?}");
    Some(std::fs::read(path).unwrap())
}

/// Verdict and codes, which are the same of a file, of gzip and through a pipe.
fn told(scratch: &Scratch, bytes: &[u8]) -> String {
    let piped = piped(&["--format", "json", "-"], bytes);
    let reports = [
        report(&[scratch.write("image", bytes)]).1,
        report(&[scratch.write("image.gz", &gzip(bytes))]).1,
        images(&piped).remove(0),
    ];
    let said = reports.each_ref().map(|report| {
        format!("{} {}", report["verdict"].as_str().unwrap(), codes(report).join(" "))
    });
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    said[0].clone()
}

#[test]
fn bytes_that_were_lost_are_missed_at_the_end() {
    let scratch = Scratch::new();
    for format in FORMATS {
        let Some(image) = image(&scratch, format, (9 << 20) + 4096) else { return };
        assert_eq!(told(&scratch, &image), "accept ", "{format:?}");
        for lost in [1, 512, 4096] {
            let middle = image.len() / 2;
            let short = [&image[..middle], &image[middle + lost..]].concat();
            let expected = match lost {
                // All blocks of a VDI are whole.
                1 => "reject image-truncated",
                _ if format.0 == "vdi" => "reject image-truncated",
                _ => "warn image-end-unusual",
            };
            assert_eq!(told(&scratch, &short), expected, "{format:?} {lost}");
        }
    }
}

#[test]
fn bytes_that_were_doubled_leave_zeros_behind_the_image() {
    let scratch = Scratch::new();
    for format in FORMATS {
        let Some(image) = image(&scratch, format, 8 << 20) else { return };
        assert_eq!(told(&scratch, &image), "accept ", "{format:?}");
        for twice in [1, 512, 1460] {
            let middle = image.len() / 4 * 3;
            let long = [&image[..middle + twice], &image[middle..]].concat();
            assert_eq!(told(&scratch, &long), "warn image-zeros-behind", "{format:?} {twice}");
        }
        let padded = [&image[..], &vec![0; 3 << 20]].concat();
        assert_eq!(told(&scratch, &padded), "accept image-padded", "{format:?}");
    }
}

#[test]
fn a_snapshot_that_was_deleted_leaves_zeros() {
    let scratch = Scratch::new();
    for format in &FORMATS[..2] {
        let Some(image) = image(&scratch, *format, 8 << 20) else { return };
        let path = scratch.write("disk.qcow2", &image);
        for how in ["-c", "-d"] {
            let arguments = ["snapshot", how, "of today"];
            let done = qemu_img(&arguments, std::slice::from_ref(&path)).unwrap();
            assert!(done.status.success(), "{done:?}");
        }
        let image = std::fs::read(&path).unwrap();
        assert_ne!(image.len() % 512, 0);
        assert_eq!(told(&scratch, &image), "accept image-padded", "{format:?}");
    }
}

#[test]
fn an_end_that_never_came_is_told() {
    let scratch = Scratch::new();
    for format in FORMATS {
        let Some(mut image) = image(&scratch, format, 24 << 20) else { return };
        let middle = image.len() / 2;
        image[middle..].fill(0);
        assert_eq!(told(&scratch, &image), "accept image-tail-zeros", "{format:?}");
    }
}
