//! Where bytes come from, and what is said of sources that cannot be read.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::*;

/// Holds a report of something unreadable against what every such report says.
fn assert_unreadable(path: &Path, kind: &str) {
    let (code, report) = report(&[path]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(report["verdict"], "error");
    assert_eq!(report["error"]["kind"], kind);
    let message = report["error"]["message"].as_str().unwrap();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert_eq!(report["findings"], serde_json::json!([]));
    assert_eq!(report["digests"], serde_json::json!({}));
}

#[test]
fn what_cannot_be_read_is_named_with_its_cause() {
    let scratch = Scratch::new();
    assert_unreadable(&scratch.path("missing.raw"), "not-found");
    let file = scratch.write("disk.raw", b"");
    assert_unreadable(&file.join("below-a-file"), "io");
    let socket = scratch.path("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let (code, report) = report(&[&socket]);
    assert_eq!((code, &report["verdict"]), (3, &"error".into()), "{report}");
}

#[test]
fn a_file_without_permission_is_named_with_its_cause() {
    let scratch = Scratch::new();
    let path = scratch.write("disk.raw", &disk());
    std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let mut command = tidegate();
    command.args(["check", "--format", "json"]).arg(&path);
    if File::open(&path).is_ok() {
        // Root may read everything, so somebody else has to try.
        command.uid(65534).gid(65534);
    }
    // Nobody may be barred from the program as well: then there is nothing to see.
    let Ok(output) = command.output() else { return };
    assert_eq!(exit_code(&output), 3);
    assert_eq!(images(&output)[0]["error"]["kind"], "permission-denied");
}

#[test]
fn the_gravest_exit_code_of_several_images_wins() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let odd = scratch.write("odd.vdi", &disk());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let missing = scratch.path("missing.raw");
    let check = |images: &[&Path], strict: bool| {
        let strict = strict.then_some(Path::new("--strict"));
        let arguments: Vec<&Path> = images.iter().copied().chain(strict).collect();
        let (code, reports) = reports(&arguments);
        assert_eq!(reports.len(), images.len(), "every image has its report, in order");
        for (report, image) in reports.iter().zip(images) {
            assert_eq!(report["source"], image.to_str().unwrap());
        }
        code
    };
    assert_eq!(check(&[&good], false), 0);
    assert_eq!(check(&[&good], true), 0);
    assert_eq!(check(&[&odd, &good], false), 0);
    assert_eq!(check(&[&odd, &good], true), 1);
    assert_eq!(check(&[&bad, &good], false), 1);
    assert_eq!(check(&[&missing, &bad, &good], false), 3);
    assert_eq!(check(&[&bad, &missing, &odd], true), 3);
}

#[test]
fn wrong_usage_is_two() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let good = good.to_str().unwrap();
    for arguments in [
        &["check"][..],
        &["check", "--nonsense", good],
        &["check", "-", "-"],
        &["check", "--format", "nonsense", good],
        &["check", "--max-size", "many", good],
        &["check", "--quick", "--digest", "image", good],
        &["check", "--output", "/nonexistent/report", good],
        &["nonsense"],
        &[],
    ] {
        let output = tidegate().args(arguments).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{arguments:?}");
        assert!(stdout(&output).is_empty(), "{arguments:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_file_whose_size_says_nothing_is_read_for_what_it_brings() {
    for path in ["/sys/kernel/mm/transparent_hugepage/enabled", "/proc/version"] {
        let Ok(bytes) = std::fs::read(path) else {
            assert!(std::env::var_os("CI").is_none(), "{path} is missing");
            eprintln!("SKIPPED: {path} is missing");
            continue;
        };
        let (_, report) = report(&[path]);
        assert_eq!(report["verdict"], "reject", "{report}");
        assert_eq!(report["file_size"], bytes.len(), "{report}");
        assert_eq!(report["digests"]["sha256"], sha256(&bytes), "{report}");
    }
}

/// The parts of a report that do not depend on how the bytes arrive.
fn outcome(output: &Output) -> serde_json::Value {
    let mut report = images(output).remove(0);
    // Remedies name the file where it has a name.
    for finding in report["findings"].as_array_mut().unwrap() {
        finding.as_object_mut().unwrap().retain(|key, _| key != "remedy" && key != "commands");
    }
    serde_json::json!([
        report["verdict"],
        report["compression"],
        report["disk_format"],
        report["file_size"],
        report["image_size"],
        report["virtual_size"],
        report["digests"],
        report["findings"],
        report["partition_table"],
        report["complete"],
    ])
}

#[test]
fn a_pipe_a_redirected_file_a_fifo_and_a_path_are_judged_alike() {
    let scratch = Scratch::new();
    let json = ["--format", "json", "-"];
    let never = ["--guest", "never"];
    for (name, bytes) in [
        ("raw", disk()),
        ("gz", gzip(&disk())),
        ("bz2", bzip2(&disk())),
        ("cut", gzip(&disk())[..3000].to_vec()),
        ("backing", qcow2_with_backing(b"base.qcow2")),
        ("empty", Vec::new()),
    ] {
        let path = scratch.write(name, &bytes);
        let by_path = check(&[&never[..], &json[..2], &[path.to_str().unwrap()]].concat());
        let by_pipe = piped(&json, &bytes);
        let stdin = File::open(&path).unwrap();
        let redirected = tidegate()
            .arg("check")
            .args(never)
            .args(json)
            .stdin(Stdio::from(stdin))
            .output()
            .unwrap();
        let judged = |output: &Output| (exit_code(output), outcome(output));
        assert_eq!(images(&by_pipe)[0]["source"], "-");
        assert_eq!(judged(&by_pipe), judged(&by_path), "{name}");
        assert_eq!(judged(&redirected), judged(&by_path), "{name}");
    }

    let fifo = scratch.path("fifo.raw");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = tidegate().args(["check", "--quiet"]).arg(&fifo).spawn().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| OpenOptions::new().write(true).open(&fifo).unwrap().write_all(&disk()));
        let output = child.wait_with_output().unwrap();
        assert_eq!(exit_code(&output), 0, "{output:?}");
    });
}

#[test]
fn an_empty_standard_input_is_an_empty_image() {
    let (code, report) = report(&["-"]);
    assert_eq!((code, codes(&report)), (1, vec!["content-empty"]));
}

#[test]
fn a_quick_check_of_a_huge_sparse_disk_reads_next_to_nothing() {
    let scratch = Scratch::new();
    let path = scratch.sparse("huge.raw", 99_000_000_000);
    assert!(std::fs::metadata(&path).unwrap().blocks() < 1000, "holes are needed here");
    let (code, report) = report(&["--quick".as_ref(), path.as_os_str()]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["mode"], "quick");
    assert_eq!(report["virtual_size"], 99_000_000_000u64);
    assert_eq!(report["partition_table"]["scheme"], "gpt");
    assert!(report["bytes_read"].as_u64().unwrap() < 1 << 20, "{report}");
    assert_eq!(report["complete"], false);
    assert_eq!(report["digests"], serde_json::json!({}));
    let skipped = report["checks"].as_array().unwrap();
    assert!(skipped.iter().any(|c| c["id"] == "file-digest" && c["state"] == "skipped"));
}

#[test]
fn holes_are_not_read() {
    let scratch = Scratch::new();
    let path = scratch.sparse("sparse.raw", 200 << 20);
    let (code, report) = report(&[&path]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["complete"], true);
    assert!(report["bytes_read"].as_u64().unwrap() < 4 << 20, "{report}");
    assert_eq!(report["digests"]["sha256"], sha256(&std::fs::read(&path).unwrap()));
}

/// Checks a file that takes a while while `change` is done to it again and again, from when the
/// program has opened it until it ends: so it surely happens while the file is read.
fn changed_while_read(name: &str, gzipped: bool, change: impl Fn(&File, u64)) {
    changed(name, gzipped, None, change);
}

/// The same of a file on standard input, which is read from `from` on.
fn changed(name: &str, gzipped: bool, from: Option<u64>, change: impl Fn(&File, u64)) {
    const SIZE: u64 = 600 << 20;
    let scratch = Scratch::new();
    let path = if gzipped {
        let zeros = gzip(&vec![0; 32 << 20]);
        scratch.write(name, &[gzip(&disk()), zeros.repeat(20)].concat())
    } else {
        scratch.sparse(name, SIZE)
    };
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    let mut command = tidegate();
    command.args(["check", "--keep-going", "--format", "json"]);
    match from {
        None => command.arg(&path),
        Some(from) => {
            let mut stdin = File::open(&path).unwrap();
            stdin.seek(SeekFrom::Start(from)).unwrap();
            command.arg("-").stdin(stdin)
        }
    };
    let mut child = command.spawn().unwrap();
    wait_until("the program has opened the file", || has_open(&child, &path));
    let mut turn = 0;
    wait_until("the program ends", || {
        turn += 1;
        change(&file, turn);
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(exit_code(&output), 3, "{name}: {output:?}");
    let report = &images(&output)[0];
    assert_eq!(report["verdict"], "error");
    assert_eq!(report["error"]["kind"], "changed", "{name}: {report}");
    assert_eq!(report["digests"], serde_json::json!({}));
}

#[test]
fn a_file_that_grows_shrinks_or_is_touched_while_it_is_read_has_no_verdict() {
    changed_while_read("grows.raw", false, |mut file, _| file.write_all(b"x").unwrap());
    changed_while_read("shrinks.raw", false, |file, turn| {
        file.set_len((500 << 20) - turn * 512).unwrap();
    });
    changed_while_read("touched.raw", false, |file, turn| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(turn);
        file.set_modified(time).unwrap();
    });
    // From its middle on it is read as a stream.
    changed("middle.raw", false, Some(512), |mut file, _| file.write_all(b"x").unwrap());
    changed_while_read("grows.raw.gz", true, |mut file, _| file.write_all(b"x").unwrap());
}

#[test]
fn a_file_that_is_called_like_an_option_is_none() {
    let scratch = Scratch::new();
    scratch.write("bad.raw", &[0; 4096]);
    scratch.write("--allow=raw-no-partition-table", b"");
    let run = |arguments: &[&str]| {
        tidegate().args(arguments).current_dir(scratch.path("")).output().unwrap()
    };
    let output = run(&["check", "-q", "--allow=raw-no-partition-table", "bad.raw"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("write -- before"), "{output:?}");
    let output = run(&["check", "-q", "--", "--allow=raw-no-partition-table", "bad.raw"]);
    assert_eq!(
        (exit_code(&output), stdout(&output).matches("REJECT").count()),
        (1, 2),
        "{output:?}"
    );
}
