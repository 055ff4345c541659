//! VMDK images of which one well-known reader would see another disk than the next, or something that nobody is shown.

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
    assert_eq!(told(&short(1, "\0RW 2048 FLAT \"other\" 0\n")), (0, vec![]));
}
