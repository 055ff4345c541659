//! `tidegate boot`, with QEMU. What takes minutes runs with TIDEGATE_BOOT_FULL=1, but for one disk that comes up.

#![allow(clippy::print_stderr)] // what is skipped is said
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect
#![cfg(feature = "boot")]

#[path = "../common/mod.rs"]
mod common;
mod debian;
#[allow(dead_code)] // what makes other disks is not needed here
#[path = "../common/disks.rs"]
mod disks;
mod killed;
mod quick;
#[path = "../common/sample.rs"]
mod sample;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Whether there is a QEMU, and what talks to its guest.
fn qemu() -> bool {
    disks::have(&["qemu-system-x86_64", "ssh", "ssh-keygen"])
}

/// Whether tests run that take minutes each.
fn full() -> bool {
    let full = std::env::var_os("TIDEGATE_BOOT_FULL").is_some_and(|value| value == "1");
    if !full {
        eprintln!("SKIPPED: TIDEGATE_BOOT_FULL=1 runs it");
    }
    full
}

/// A boot, with a folder for temporary files of its own.
fn boot(image: &Path, temporary: &Path) -> Command {
    let mut command = common::tidegate();
    // Whoever runs the tests has KVM or not; what is measured is an emulation.
    command.arg("boot").arg(image).arg("--no-kvm").env("TMPDIR", temporary);
    command
}

/// The report of one image.
fn report(output: &Output) -> Value {
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", common::stderr(output)));
    document["images"][0].clone()
}

/// The states of the stages, by their names.
fn stages(report: &Value) -> Vec<(String, String)> {
    let all = report["boot"]["stages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter().map(|one| (text(&one["stage"]), text(&one["state"]))).collect()
}

/// Whether a report has a picture of the screen.
fn has_picture(report: &Value) -> bool {
    let picture = report["boot"]["screenshot"]["base64"].as_str().unwrap_or_default();
    // The signature of a PNG.
    picture.starts_with("iVBORw0KGgo")
}

/// What is in a folder.
fn left(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
