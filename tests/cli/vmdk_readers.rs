//! VMDK images of which one well-known reader would see another disk than the next, or something that nobody is shown.

use crate::common::*;

use super::vmdk::{Image, everywhere, sparse, stream, told};

fn only(code: &str) -> Vec<String> {
    vec![code.to_owned()]
}

#[test]
fn create_type_and_header_have_to_agree_whether_grains_are_compressed() {
    for (image, from, to) in [
        (stream(), "streamOptimized", "monolithicSparse"),
        (stream(), "streamOptimized", "streamoptimized"),
        (sparse(), "monolithicSparse", "streamOptimized"),
        (sparse(), "createType", "createType=\"streamOptimized\"\ncreateType"),
    ] {
        for told in everywhere(&image.with(from, to)) {
            assert_eq!(told, (1, only("vmdk-create-type-mismatch")), "{from} {to}");
        }
    }
    // Markers before grains that are not compressed.
    let image = sparse().patched(10, &[2]);
    assert_eq!(told(&image), (1, only("vmdk-compression-invalid")));
}

#[test]
fn other_capitals_are_a_warning_where_the_disk_is_the_same() {
    for (image, from, to) in [
        (sparse(), "monolithicSparse", "MONOLITHICsPARSE"),
        (sparse(), "createType", "CreateType"),
        (stream(), "createType", "CREATETYPE"),
    ] {
        assert_eq!(told(&image.with(from, to)), (0, only("vmdk-create-type-case")), "{to}");
    }
}

/// An image whose header gives the descriptor so many sectors, which are full, and this text behind them.
fn short(sectors: usize, rest: &str) -> Image {
    let text = sparse().text();
    let filler = ".".repeat(512 * sectors - text.len() - 2);
    let image = sparse().with(&text, &format!("{text}#{filler}\n{rest}"));
    image.patched(36, &[sectors as u8])
}

#[test]
fn the_descriptor_is_judged_as_far_as_any_reader_reads_it() {
    let overlong = "vmdk-descriptor-overlong";
    for sectors in [1, 2, 4] {
        for told in everywhere(&short(sectors, "")) {
            assert_eq!(told, (0, vec![]), "{sectors}");
        }
        for told in everywhere(&short(sectors, "ddb.toolsVersion = \"0\"\n")) {
            assert_eq!(told, (0, only(overlong)), "{sectors}");
        }
        for (rest, code) in [
            ("ddb.uuid.parent=\"6fbd2c41-0001-4c3c-8000-0123456789ab\"", "vmdk-parent"),
            ("ddb.nativeParentHint=\"other.vmdk\"", "vmdk-parent"),
            ("parentFileNameHint=\"other.vmdk\"", "vmdk-parent"),
            ("isNativeSnapshot=\"yes\"", "vmdk-parent"),
            ("encryption.keySafe=\"vmware:key/list/x\"", "vmdk-encrypted"),
            ("RW 2048 FLAT \"other\" 0", "vmdk-extents-invalid"),
            ("createType=\"streamOptimized\"", "vmdk-create-type-mismatch"),
        ] {
            for (exit, codes) in everywhere(&short(sectors, &format!("{rest}\n"))) {
                assert!(
                    exit == 1 && codes.contains(&code.to_owned()),
                    "{sectors} {rest} {codes:?}"
                );
            }
        }
    }
    // Behind a NUL nobody reads on.
    let behind = short(1, "\0RW 2048 FLAT \"other\" 0\n");
    assert_eq!(told(&behind), (0, only("vmdk-space-unused")));
}

/// A zip file in all but its table.
fn zip(len: usize) -> Vec<u8> {
    let mut zip = b"PK\x03\x04".to_vec();
    zip.resize(len, 20);
    zip
}

#[test]
fn what_stands_before_the_first_grain_and_belongs_to_nothing_is_told() {
    // Behind the text of the descriptor, between the descriptor and its directory, between tables and the first grain.
    for (image, at) in [
        (sparse(), 10 * 512),
        (stream(), 4 * 512),
        (sparse(), 60 * 512),
        (stream(), 21 * 512),
        (stream(), 100 * 512),
    ] {
        for (exit, codes) in everywhere(&image.patched(at, &zip(1000))) {
            assert_eq!((exit, codes), (0, only("vmdk-space-unused")), "{at}");
        }
    }
    // Behind the fields of the header, or of its copy in the footer.
    let copy = stream().bytes.len() - 2 * 512;
    for at in [79, 100, 511] {
        for image in [
            sparse().patched(at, &[7]),
            stream().patched(at, &[7]),
            stream().patched(copy + at, &[7]),
        ] {
            for told in everywhere(&image) {
                assert_eq!(told, (0, only("vmdk-space-unused")), "{at}");
            }
        }
    }
    let short = sparse().patched(36, &[2]).patched(5 * 512, b"noise");
    assert_eq!(told(&short), (0, only("vmdk-space-unused")));
    // VMware leaves a second directory in a stream, which the header does not name.
    let second = |sector: u8| sparse().patched(26 * 512, &[sector]);
    assert_eq!(told(&second(27)), (0, vec![]));
    assert_eq!(told(&second(28)), (0, only("vmdk-space-unused")));
    // Much of it, in an image whose data begins later.
    let far = 8 << 20;
    for (bytes, codes) in [(zip(far), only("vmdk-space-unused")), (vec![0; far], vec![])] {
        for told in everywhere(&sparse().later(&bytes)) {
            assert_eq!(told, (0, codes.clone()));
        }
    }
    let scratch = Scratch::new();
    let path = scratch.write("far.vmdk", &sparse().later(&zip(far)).bytes);
    let found = report(&[path]).1;
    let said = found["findings"][0]["message"].as_str().unwrap();
    assert!(said.contains("8388608 bytes") && said.contains("as a zip file does"), "{said}");
}

#[test]
fn the_name_of_an_image_may_be_what_its_file_may_be_called() {
    let scratch = Scratch::new();
    let raw = scratch.write("raw", &disk());
    for (name, expected) in [
        ("a\"b.vmdk", only("vmdk-extent-name")),
        ("\".vmdk", only("vmdk-extent-name")),
        ("a\\b.vmdk", only("vmdk-extent-name")),
        ("a b'c.vmdk", vec![]),
    ] {
        let path = scratch.path(name);
        let Some(made) = qemu_img(&["convert", "-f", "raw", "-O", "vmdk"], &[&raw, &path]) else {
            return;
        };
        assert!(made.status.success());
        let (exit, found) = report(&[path]);
        assert_eq!(
            (exit, codes(&found)),
            (0, expected.iter().map(String::as_str).collect()),
            "{name}"
        );
    }
}

#[test]
fn no_more_than_a_usual_grain_comes_from_rounding() {
    // Grains of 8 MiB, of which the disk fills one.
    const GRAIN: u64 = 16_384;
    for (missing, expected) in [
        (0, (0, vec![])),
        (127, (0, only("vmdk-size-rounded"))),
        (128, (1, only("vmdk-descriptor-mismatch"))),
        (GRAIN - 4096, (1, only("vmdk-descriptor-mismatch"))),
    ] {
        let sectors = GRAIN - missing;
        let image = sparse().with("RW 8192 SPARSE", &format!("RW {sectors} SPARSE"));
        let mut image = image.patched(12, &GRAIN.to_le_bytes()).patched(20, &GRAIN.to_le_bytes());
        // The table names the place of the disk's first grain only.
        let whole = disk();
        image.bytes.truncate(128 * 512);
        image.bytes.extend(&whole);
        image.bytes.resize(128 * 512 + GRAIN as usize * 512, 0);
        let image = image.patched(22 * 512 + 4, &[0; 2044]);
        let (exit, codes) = told(&image);
        let codes: Vec<String> =
            codes.into_iter().filter(|code| code.starts_with("vmdk-")).collect();
        assert_eq!((exit, codes), expected, "{missing}");
    }
}
