//! qcow2 images that end inside a cluster: of the cluster in which the disk ends, old writers wrote no more than the disk has.

use crate::common::*;
use crate::packed_clusters::every_way;
use crate::qcow2::{COPIED, Image, L2};

/// A disk that ends 1024 bytes into a cluster.
const DISK_SIZE: u64 = (3 << 20) + 1024;

/// An image of this version that ends with a cluster of sevens, which is this one of the disk.
fn image(version: u8, number: usize) -> (Vec<u8>, usize) {
    let mut image = Image::new();
    image.put(7, &[version]);
    image.long(24, DISK_SIZE);
    let place = image.cluster();
    image.bytes[place..].fill(7);
    image.long(L2 + 8 * number, COPIED | place as u64);
    (image.bytes, place)
}

#[test]
fn an_image_that_ends_inside_a_cluster_of_the_disk_is_truncated() {
    let scratch = Scratch::new();
    for version in [2, 3] {
        let (bytes, place) = image(version, 20);
        assert_eq!(every_way(&scratch, &bytes), "accept ", "version {version}");
        for cut in [&bytes[..bytes.len() - 1], &bytes[..place + 512]] {
            assert_eq!(every_way(&scratch, cut), "reject image-truncated", "version {version}");
        }
        let output = tidegate().arg("map").arg(scratch.path("image.qcow2")).output().unwrap();
        assert_ne!(exit_code(&output), 0, "{output:?}");
    }
}

#[test]
fn behind_the_end_of_the_disk_its_last_cluster_may_be_missing() {
    let scratch = Scratch::new();
    for version in [2, 3] {
        let (bytes, place) = image(version, 48);
        let short = &bytes[..place + 1024];
        assert_eq!(every_way(&scratch, short), "accept ", "version {version}");
        let path = scratch.write("short.qcow2", short);
        if let Some(done) = qemu_img(&["check", "-f", "qcow2"], &[&path]) {
            assert!(done.status.success(), "{done:?}");
        }
        let (whole, cut) = (scratch.write("whole.qcow2", &bytes), &bytes[..place + 1023]);
        let output = tidegate().arg("compare").args([&whole, &path]).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert_eq!(every_way(&scratch, cut), "reject image-truncated", "version {version}");
    }
}
