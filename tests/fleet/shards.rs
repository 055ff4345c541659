use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate::project::Shard;

use crate::common::Scratch;
use crate::{at, run, sources, testdata};

const IMAGES: usize = 1000;
const SHARDS: usize = 8;
/// Those that are killed.
const KILLED: [usize; 3] = [1, 4, 6];

const KINDS: [&str; 5] =
    ["gpt.qcow2.gz", "gpt.vdi.bz2", "truncated.raw.gz", "backing.qcow2", "mbr.raw"];

/// How an image was read, which is not the same in every run; all else is.
const OF_THE_RUN: [&str; 5] = ["checked_at", "receipt", "bytes_read", "requests", "spooled_bytes"];

fn shard(folder: &Path, index: usize) -> Child {
    at(folder)
        .env("XDG_CACHE_HOME", folder.join(format!("cache-{index}")))
        .args(["check", "--images-from", "list", "--cache", "--format", "json"])
        .args(["--shard", &format!("{index}/{SHARDS}"), "--output", &format!("shard-{index}.json")])
        .spawn()
        .unwrap()
}

fn receipts(folder: &Path, index: usize) -> usize {
    let there = std::fs::read_dir(folder.join(format!("cache-{index}/tidegate")));
    let json = |path: PathBuf| path.extension() == Some(OsStr::new("json"));
    there.into_iter().flatten().filter(|entry| json(entry.as_ref().unwrap().path())).count()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Eight processes check a thousand images; some are killed and run again; the merged report is that of one run.
#[test]
fn shards_that_are_killed_and_run_again_make_the_report_of_a_single_run() {
    let scratch = Scratch::new();
    let here = scratch.path("");
    let mut names: Vec<String> = (0..IMAGES).map(|n| format!("image-{n:03}.img")).collect();
    for (n, name) in names.iter().enumerate() {
        std::fs::copy(testdata(KINDS[n % KINDS.len()]), scratch.path(name)).unwrap();
    }
    // One that cannot be read has no verdict, and is in the report too.
    names.push("image-none.img".into());
    scratch.write("list", names.join("\n").as_bytes());

    // A shard that is to be killed is held at its middle, by a pipe that nobody writes to.
    let mut held = BTreeMap::new();
    for index in KILLED {
        let shard: Shard = format!("{index}/{SHARDS}").parse().unwrap();
        let own: Vec<&String> = names.iter().filter(|name| shard.takes(OsStr::new(name))).collect();
        let middle = own.len() / 2;
        let path = scratch.path(own[middle]);
        std::fs::rename(&path, path.with_extension("aside")).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        held.insert(index, (path, middle));
    }
    // No receipt is made of what changed less than 2 s before.
    std::thread::sleep(Duration::from_millis(2100));

    let mut children: Vec<Child> = (0..SHARDS).map(|index| shard(&here, index)).collect();
    for (&index, (path, middle)) in &held {
        let since = Instant::now();
        while receipts(&here, index) < *middle {
            assert!(since.elapsed() < Duration::from_secs(120), "shard {index} gets nowhere");
            assert!(children[index].try_wait().unwrap().is_none(), "shard {index} was not held");
            std::thread::sleep(Duration::from_millis(10));
        }
        children[index].kill().unwrap();
        std::fs::rename(path.with_extension("aside"), path).unwrap();
    }
    let codes: Vec<Option<i32>> =
        children.iter_mut().map(|child| child.wait().unwrap().code()).collect();
    for (index, code) in codes.iter().enumerate() {
        match KILLED.contains(&index) {
            true => assert_eq!(*code, None, "shard {index}"),
            false => assert!(matches!(code, Some(1 | 3)), "shard {index}: {code:?}"),
        }
    }

    let reports: Vec<String> = (0..SHARDS).map(|index| format!("shard-{index}.json")).collect();
    let mut merge = vec!["report", "merge", "--images-from", "list"];
    merge.extend(reports.iter().map(String::as_str));
    // What was killed left no report, and nobody takes the others for the whole.
    let (code, out, err) = run(&here, &merge);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("shard-1.json: No such file"), "{err}");

    for index in KILLED {
        assert!(shard(&here, index).wait().unwrap().code().is_some());
        let again = read(&scratch.path(format!("shard-{index}.json")));
        let images = again["images"].as_array().unwrap();
        let unread = images.iter().filter(|image| image["receipt"]["state"] == "unchanged");
        // All that was done before is not done again, nor what another job had done.
        assert!(unread.count() >= held[&index].1, "shard {index}");
    }

    let (merged_code, merged, err) = run(&here, &merge);
    assert_eq!(err, "");
    let (code, single, _) = run(&here, &["check", "--images-from", "list", "--format", "json"]);
    assert_eq!((code, merged_code), (3, 3));
    let reduced = |text: &str| {
        let mut report: Value = serde_json::from_str(text).unwrap();
        for image in report["images"].as_array_mut().unwrap() {
            OF_THE_RUN.iter().for_each(|key| drop(image.as_object_mut().unwrap().remove(*key)));
        }
        report
    };
    let (merged, single) = (reduced(&merged), reduced(&single));
    assert_eq!(sources(&merged).len(), IMAGES + 1);
    assert_eq!(merged, single);
}

/// Without receipts it is the same to the byte.
#[test]
fn a_merged_report_is_that_of_a_single_run_to_the_byte() {
    let scratch = Scratch::new();
    let here = scratch.path("");
    let names: Vec<String> = (0..20).map(|n| format!("{}.img", n * 7919 % 1000)).collect();
    for (n, name) in names.iter().enumerate() {
        std::fs::copy(testdata(KINDS[n % KINDS.len()]), scratch.path(name)).unwrap();
    }
    scratch.write("list", names.join("\n").as_bytes());
    for shard in ["0/3", "1/3", "2/3"] {
        let output = format!("{}.json", &shard[..1]);
        let check = ["check", "--images-from", "list", "--format", "json", "--shard", shard];
        let (code, ..) = run(&here, &[&check[..], &["--output", &output]].concat());
        assert_eq!(code, 1);
    }
    let (code, merged, _) = run(&here, &["report", "merge", "2.json", "0.json", "1.json"]);
    let (_, single, _) = run(&here, &["check", "--images-from", "list", "--format", "json"]);
    assert_eq!(code, 1);
    assert_eq!(merged, single);
    scratch.write("single.json", single.as_bytes());
    assert_eq!(run(&here, &["report", "merge", "single.json"]).1, single);
}
