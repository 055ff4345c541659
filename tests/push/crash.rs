//! A push that is killed at each line of its journal, and what a sweep finds of it.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use crate::common::*;
use crate::disks::*;
use crate::rig::*;

/// The library that kills, built once. `None` if there is no C compiler.
pub(crate) fn killer() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(Scratch, PathBuf)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let scratch = Scratch::new();
        let library = scratch.path("killer.so");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library);
        let output = gcc.arg(root().join("tests/push/killer.c")).arg("-ldl").output().ok()?;
        assert!(output.status.success(), "{output:?}");
        Some((scratch, library))
    });
    if built.is_none() {
        missing("gcc is not there, which builds what kills a push at each line of its journal");
    }
    built.as_ref().map(|(_, library)| library.as_path())
}

/// How a push is swept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweep {
    /// By its journal.
    Journal,
    /// Without it.
    Remote,
}

/// Sweeps what a killed push left, and finds nothing to do the second time.
pub(crate) fn swept(rig: &Rig, sweep: Sweep, what: &str) {
    swept_at_last(rig, sweep, 1, what);
}

/// As [`swept`], but so many sweeps may meet something that keeps them from ending it, which they say.
pub(crate) fn swept_at_last(rig: &Rig, sweep: Sweep, tries: usize, what: &str) {
    let arguments: &[&str] = match sweep {
        Sweep::Journal => &[],
        Sweep::Remote => {
            let _ = std::fs::remove_dir_all(rig.scratch.path("state/pushes"));
            &["--remote", "--older-than", "1ms"]
        }
    };
    rig.quiet();
    let before = rig.state();
    for attempt in 1..=tries {
        let (code, document) = rig.sweep(arguments);
        if code == 0 {
            break;
        }
        let pushes = document["pushes"].as_array().unwrap();
        let left = pushes.iter().any(|push| push["state"] == "left");
        assert!(code == 4 && left, "{what}: {document:#}\n{before:#}");
        assert!(attempt < tries, "{what}: {document:#}\n{before:#}");
    }
    let (code, again) = rig.sweep(arguments);
    assert_eq!((code, &again["pushes"]), (0, &json!([])), "{what}: {before:#}");
    assert!(rig.journals().is_empty(), "{what}");
}

/// An import that has not begun to read when the sweep comes: it fails if its object is gone then.
pub(crate) const UNHURRIED: [&str; 2] = ["--pace", "0.5"];

/// Where a line is cut by the kill.
const HOW: [(&str, Option<&str>); 3] =
    [("after", None), ("within", Some("PUSH_KILL_TORN")), ("before", Some("PUSH_KILL_NONE"))];

/// Kills at each line: the file, whether the check takes it, and further arguments.
fn kill_at_each(sweep: Sweep, bytes: &[u8], good: bool, arguments: &[&str]) {
    kill_at_each_with(sweep, bytes, good, arguments, |_, _| ());
}

/// As [`kill_at_each`], with something more to hold after each sweep.
pub(crate) fn kill_at_each_with(
    sweep: Sweep,
    bytes: &[u8],
    good: bool,
    arguments: &[&str],
    holds: impl Fn(&Rig, &str) + Sync,
) {
    let Some(killer) = killer() else { return };
    let start = |at: usize, how: Option<&str>| {
        let rig = Rig::with("", &UNHURRIED);
        rig.scratch.write("disk.raw.gz", bytes);
        let mut push = rig.push(&["disk.raw.gz"]);
        push.args(arguments).env("LD_PRELOAD", killer).env("PUSH_KILL_COUNT", "count");
        push.env("PUSH_KILL_AT", at.to_string());
        if let Some(how) = how {
            push.env(how, "1");
        }
        let output = push.output().unwrap();
        (rig, output)
    };
    let (rig, output) = start(0, None);
    assert_eq!(exit_code(&output), i32::from(!good), "{output:?}");
    let count = std::fs::read_to_string(rig.scratch.path("count")).unwrap();
    let count: usize = count.trim().parse().unwrap();
    assert!(count >= if good { 18 } else { 8 }, "{count} lines");
    rig.assert_clean(usize::from(good)..=usize::from(good), "no kill");

    let all: Vec<_> = (1..=count).flat_map(|at| HOW.map(|how| (at, how))).collect();
    // Without a journal there is no difference.
    let all: Vec<_> = match sweep {
        Sweep::Remote => all.into_iter().filter(|(_, how)| how.0 == "after").collect(),
        Sweep::Journal => all,
    };
    each(&all, |(at, (how, variable))| {
        let (rig, output) = start(*at, *variable);
        let what = format!("killed {how} {at} of {count}, swept by {sweep:?}");
        assert_eq!(output.status.signal(), Some(9), "{what}: {output:?}");
        swept(&rig, sweep, &what);
        // An image that was begun is brought to its end: its object was not taken from it.
        let begun = rig.creates();
        assert!(good || begun == 0, "{what}: {:?}", rig.log());
        rig.assert_clean(begun..=begun, &what);
        holds(&rig, &what);
        assert!(good || rig.asked("complete-multipart-upload").is_empty(), "{what}");
    });
}

#[test]
fn killed_at_each_line_and_swept() {
    kill_at_each(Sweep::Journal, &gzip(&disk()), true, &["--transfer", "fra1"]);
}

#[test]
fn killed_at_each_line_and_swept_without_its_journal() {
    kill_at_each(Sweep::Remote, &gzip(&disk()), true, &[]);
}

#[test]
fn killed_at_each_line_of_what_is_refused() {
    let file = gzip(&big_disk(6 * MIB));
    let cut = &file[..file.len() - 6];
    kill_at_each(Sweep::Journal, cut, false, &PARTS);
    kill_at_each(Sweep::Remote, cut, false, &PARTS);
}
