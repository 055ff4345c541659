//! What a repository says of its images, receipts of checks, and the help: through the program itself.

#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

#[path = "../common/mod.rs"]
mod common;
mod config;
#[cfg(feature = "simulator")]
mod doctor;
mod hooks;
mod ordered;
mod pasted;
mod receipts;
#[cfg(feature = "simulator")]
#[allow(dead_code)] // it is made for other tests
#[path = "../simulator/rig.rs"]
mod rig;
#[cfg(feature = "net")]
#[path = "../common/server.rs"]
mod server;
mod shell;
mod trust;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The program in a folder, with nothing of the environment that it could believe.
fn at(folder: impl Into<PathBuf>) -> Command {
    let folder = folder.into();
    let mut command = common::tidegate();
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if ["SPACES_", "DIGITALOCEAN_", "AWS_", "XDG_"].iter().any(|begin| shown.starts_with(begin))
        {
            command.env_remove(&name);
        }
    }
    command.env("HOME", &folder).current_dir(folder);
    command
}

/// A file of the test data.
fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

/// Whether a document holds to a published schema; what is wrong if it does not.
fn invalid(schema: &str, document: &Value) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{schema}.schema.json"));
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let said = validator.iter_errors(document);
    said.map(|error| format!("{error} at {}", error.instance_path())).collect()
}
