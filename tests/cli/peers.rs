//! The script that measures against other programs takes any image. What it measures is no matter of a test.

use std::path::Path;
use std::process::Command;

use crate::common::*;

#[test]
fn the_table_of_peers_takes_any_image() {
    let scratch = Scratch::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = scratch.path("out");
    let output = Command::new(root.join("benches/peers.sh"))
        .arg(&out)
        .arg("1")
        .args(
            ["gpt.raw", "gpt.raw.gz", "truncated.raw.gz"]
                .map(|name| root.join("testdata").join(name)),
        )
        .env("TIDEGATE", env!("CARGO_BIN_EXE_tidegate"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let tables = stdout(&output);
    for (row, peer) in [
        ("`check gpt.raw`", "`openssl dgst -sha256`"),
        ("`check gpt.raw.gz`", "`igzip -dc`"),
        ("`check gpt.raw.gz`", "`rapidgzip -P 2 -dc`"),
        ("`check --digest image gpt.raw.gz`", "`igzip -dc \\| openssl dgst -sha256`"),
    ] {
        let measured = |line: &str| line.starts_with(&format!("| {row} |")) && line.contains(peer);
        let left_out = |line: &str| {
            line.starts_with(&format!("- {row} against ")) && line.contains("not installed")
        };
        assert!(tables.lines().any(|line| measured(line) || left_out(line)), "{row}: {tables}");
    }
    assert!(tables.contains("\n- truncated.raw.gz: the check refuses it\n"), "{tables}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "it leaves nothing behind");
}
