//! Which files the hooks of pre-commit look at, by the expressions that they give it, read as pre-commit reads them.

use std::process::Command;

const LOOKED_AT: [&str; 20] = [
    "a.img",
    "b/A.RAW",
    "a.qcow2.gz",
    "a.vhd",
    "a.vhdx.zst",
    "a.vmdk",
    "box.ova",
    "BOX.OVA.gz",
    "debian.iso",
    "disk.tar",
    "disk.raw.tar.gz",
    "disk.tgz",
    "disk.zip",
    "a.img.zip",
    "a.7z",
    "a.dmg",
    "a.simg",
    "a.txz",
    "a.img.xz",
    "-a.vdi",
];

const PASSED_OVER: [&str; 7] =
    ["notes.txt", "img", "a.gz", "a.image", "zip/readme", "a.iso.sha256", "raw.rs"];

/// Prints each name that the expression of the second argument finds, as `re.search` does.
const SEARCH: &str =
    "import re, sys\nfor name in sys.argv[2:]:\n    if re.search(sys.argv[1], name): print(name)";

#[test]
fn the_hooks_look_at_what_is_committed_for_an_image() {
    let manifest = include_str!("../../.pre-commit-hooks.yaml");
    let expressions: Vec<&str> =
        manifest.lines().filter_map(|line| line.trim().strip_prefix("files: ")).collect();
    assert_eq!(expressions.len(), 2);
    for expression in expressions {
        let found = Command::new("python3")
            .args(["-c", SEARCH, expression])
            .args(LOOKED_AT)
            .args(PASSED_OVER)
            .output();
        let Ok(found) = found else {
            assert!(std::env::var_os("CI").is_none(), "python3 is missing");
            return;
        };
        let found = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found.lines().collect::<Vec<_>>(), LOOKED_AT);
    }
}
