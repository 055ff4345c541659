//! Images as a fleet or a build has them: lists, shards, merged reports, and manifests of Packer.

#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

#[path = "../common/mod.rs"]
mod common;
mod lists;
mod merged;
mod packer;
mod shards;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program in a folder, with nothing of the environment that it could believe.
fn at(folder: &Path) -> Command {
    let mut command = common::tidegate();
    for name in ["XDG_CACHE_HOME", "TIDEGATE_CACHE", "PACKER_RUN_UUID", "PACKER_BUILD_NAME"] {
        command.env_remove(name);
    }
    command.env("HOME", folder).current_dir(folder);
    command
}

/// Exit code, standard output and standard error of the program with these arguments.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    ended(at(folder).args(arguments).output().unwrap())
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (common::exit_code(&output), text(&output.stdout), text(&output.stderr))
}

/// The names of the images of a report, in its order.
fn sources(report: &Value) -> Vec<&str> {
    let images = report["images"].as_array().unwrap();
    images.iter().map(|image| image["source"].as_str().unwrap()).collect()
}

/// A file of the test data.
fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}
