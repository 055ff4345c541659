//! A remedy is code: for every finding there is an image, its report is taken, and what that says is pasted into a shell
//! as it is printed. What comes out is checked again, and no file that was there before may change.

#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test
#![allow(clippy::print_stderr)] // what is skipped is for people

#[path = "../common/mod.rs"]
mod common;
mod containers;
#[path = "../partitions/disk.rs"]
#[allow(dead_code)] // of what the tests of partition tables need
mod disk;
mod disks;
mod files;
mod folder;
mod guest;
mod judged;
mod paste;
mod samples;
#[path = "../common/vmdk.rs"]
mod vmdk;
mod words;

use folder::{Folder, Made};
use tidegate::facts::Code;
use tidegate::rules::row;

/// Makes an image in a folder, under a name that begins with this stem.
type Make = fn(&Folder, &str) -> Option<Made>;

/// How a finding is met.
enum How {
    /// It takes judgement: there are no commands, whatever the image is.
    Judged,
    /// Images with the finding, each with what its remedy promises.
    Run(Vec<(Make, Promise)>),
}

/// What is so after the commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// There is a new file without the finding, and it is accepted.
    Mended,
    /// Something was shown.
    Shown,
}

fn entry(code: Code) -> Option<How> {
    let name = code.as_str();
    let all = files::ENTRIES.iter().chain(containers::ENTRIES).chain(disks::ENTRIES);
    let ways: Vec<_> =
        all.filter(|(of, _, _)| *of == name).map(|(_, make, promise)| (*make, *promise)).collect();
    let run = (!ways.is_empty()).then_some(How::Run(ways));
    let elsewhere = judged::codes().any(|code| code == name) || guest::is_inside(code);
    let judged = elsewhere.then_some(How::Judged);
    assert!(run.is_none() || judged.is_none(), "{name} has two entries");
    run.or(judged)
}

#[test]
fn every_finding_has_an_entry_that_its_remedy_keeps_to() {
    for &code in Code::ALL {
        let runs = row(code).remedy.has_command();
        match entry(code) {
            Some(How::Run(..)) => assert!(runs, "{} takes judgement", code.as_str()),
            Some(How::Judged) => assert!(!runs, "{} has a command", code.as_str()),
            None => panic!("{} has no entry in tests/remedies", code.as_str()),
        }
    }
}

/// Pastes the remedies of all findings whose number has this remainder, so that several threads share them.
fn paste(remainder: usize) {
    let mut failed = Vec::new();
    for &code in Code::ALL.iter().skip(remainder).step_by(4) {
        let Some(How::Run(ways)) = entry(code) else { continue };
        for (make, promise) in ways {
            let name = code.as_str();
            if std::panic::catch_unwind(|| paste::all(name, make, promise)).is_err() {
                failed.push(name);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn remedies_work_as_they_are_printed_1() {
    paste(0);
}

#[test]
fn remedies_work_as_they_are_printed_2() {
    paste(1);
}

#[test]
fn remedies_work_as_they_are_printed_3() {
    paste(2);
}

#[test]
fn remedies_work_as_they_are_printed_4() {
    paste(3);
}
