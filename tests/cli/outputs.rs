//! What a command writes is never written over somebody's file, and is there in full or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::*;

/// Runs the program in a folder.
fn run(scratch: &Scratch, arguments: &[&str]) -> Output {
    tidegate().current_dir(scratch.path("")).args(arguments).output().unwrap()
}

fn image(scratch: &Scratch) {
    scratch.write("a.raw", &disk());
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What is there is told by what it is, never by a word or a first letter in it.
#[test]
fn nothing_but_an_earlier_report_is_replaced() {
    let scratch = Scratch::new();
    image(&scratch);
    let push = run(&scratch, &["config", "--format", "json"]);
    assert!(stdout(&push).contains("\"schema\": \"tidegate."), "{push:?}");
    for theirs in [
        "#!/bin/sh\ntidegate check \"$1\"\n",
        "all:\n\ttidegate push disk.raw\n",
        "error: disk full\nmy log\n",
        "error: disk full\n",
        "ERROR   disk full\n",
        "REJECT  mine\n",
        "ACCEPTANCE tests of mine\n",
        "ACCEPT  a.raw\nand mine\n",
        "::error::mine\n",
        "{\"tool\": \"tidegate\", \"schema\": \"mine/1\"}\n",
        "<!DOCTYPE html>\n<title>About tidegate</title>\n",
        "<?xml version=\"1.0\"?>\n<testsuites name=\"mine\"><!-- tidegate --></testsuites>\n",
        stdout(&push),
    ] {
        let path = scratch.write("theirs", theirs.as_bytes());
        let output = run(&scratch, &["check", "-q", "--output", "theirs", "a.raw"]);
        assert_eq!(exit_code(&output), 2, "{theirs:?}: {output:?}");
        assert!(stderr(&output).contains("name another file"), "{output:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    }
    // Of those who merge, what `check` wrote is theirs too: a pattern of the shell put it there.
    for name in ["1", "2", "3"] {
        fs::copy(scratch.path("a.raw"), scratch.path(format!("{name}.raw"))).unwrap();
        let report = format!("r{name}.json");
        let image = format!("{name}.raw");
        let output = run(&scratch, &["check", "--format", "json", "--output", &report, &image]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
    }
    let before = fs::read(scratch.path("r1.json")).unwrap();
    let merge = ["report", "merge", "--format", "json", "--output"];
    let output = run(&scratch, &[&merge[..], &["r1.json", "r2.json", "r3.json"]].concat());
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert_eq!(fs::read(scratch.path("r1.json")).unwrap(), before);
    for _ in 0..2 {
        let output = run(&scratch, &[&merge[..], &["all.json", "r2.json", "r3.json"]].concat());
        assert_eq!(exit_code(&output), 0, "{output:?}");
    }
    let output = run(&scratch, &["check", "--format", "json", "--output", "all.json", "a.raw"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
}

#[test]
fn what_is_no_file_is_not_written() {
    let scratch = Scratch::new();
    image(&scratch);
    fs::create_dir(scratch.path("folder")).unwrap();
    symlink("nowhere", scratch.path("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.path("socket")).unwrap();
    let mut all = vec![("folder", "folder"), ("link", "leads nowhere"), ("socket", "socket")];
    // A device that nobody has: to open it fails too, but says something else.
    let device = scratch.path("device");
    match Command::new("mknod").arg(&device).args(["b", "240", "250"]).output() {
        Ok(made) if made.status.success() => all.push(("device", "block device")),
        _ => eprintln!("SKIPPED: only root makes a block device"),
    }
    for (name, said) in all {
        let mut runs = vec![
            vec!["check", "-q", "--output", name, "a.raw"],
            vec!["check", "-q", "--receipt", name, "a.raw"],
        ];
        if cfg!(feature = "simulator") {
            runs.push(vec!["simulate", "--log", name]);
            runs.push(vec!["simulate", "--env-file", name]);
        }
        for arguments in runs {
            let output = run(&scratch, &arguments);
            assert_eq!(exit_code(&output), 2, "{arguments:?}: {output:?}");
            let is_receipt = arguments.contains(&"--receipt");
            assert!(is_receipt || stderr(&output).contains(said), "{arguments:?}: {output:?}");
        }
        let output = tidegate()
            .current_dir(scratch.path(""))
            .env("GITHUB_STEP_SUMMARY", name)
            .args(["check", "--format", "github", "a.raw"])
            .output()
            .unwrap();
        assert_eq!(exit_code(&output), 2, "{name}: {output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
    assert!(!scratch.path("nowhere").exists());
}

/// An earlier report is there until there is a whole new one.
#[test]
fn a_run_that_comes_to_nothing_leaves_the_earlier_report() {
    let scratch = Scratch::new();
    image(&scratch);
    let output = run(&scratch, &["check", "--format", "json", "--output", "r", "a.raw"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let before = fs::read(scratch.path("r")).unwrap();
    let held = |what: &str| assert_eq!(fs::read(scratch.path("r")).unwrap(), before, "{what}");
    // A summary that cannot be.
    let output = tidegate()
        .current_dir(scratch.path(""))
        .env("GITHUB_STEP_SUMMARY", "a.raw")
        .args(["check", "--format", "github", "--output", "r", "a.raw"])
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    held("a wrong summary");
    // A file that may not grow.
    let limited = format!(
        "ulimit -f 1; exec {} check --format html --output r a.raw",
        env!("CARGO_BIN_EXE_tidegate")
    );
    let mut shell = Command::new("sh");
    let output = shell.current_dir(scratch.path("")).args(["-c", &limited]).output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    held("a write that fails");
    // A signal, while a pipe is read: its writer is there when its reader is.
    mkfifo(&scratch.path("pipe"));
    let mut child = tidegate();
    child
        .current_dir(scratch.path(""))
        .args(["check", "--format", "json", "--output", "r", "pipe"]);
    let child = child.spawn().unwrap();
    let pipe = OpenOptions::new().write(true).open(scratch.path("pipe")).unwrap();
    let kill = ["-s", "TERM", &child.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(exit_code(&output), 130, "{output:?}");
    held("a signal");
    drop(pipe);
    let mut names: Vec<_> = fs::read_dir(scratch.path("")).unwrap().collect();
    names.retain(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tidegate-")
    });
    assert!(names.is_empty(), "{names:?}");
}

/// Somebody may put something where the report is to be, or take the old one away, while images are read.
#[test]
fn what_comes_in_the_meantime_is_held() {
    let scratch = Scratch::new();
    image(&scratch);
    mkfifo(&scratch.path("pipe"));
    let checked = |before: Option<&str>, meanwhile: &dyn Fn(&Path)| {
        let path = scratch.path("r");
        let _ = fs::remove_file(&path);
        if let Some(before) = before {
            scratch.write("r", before.as_bytes());
        }
        let mut child = tidegate();
        child.current_dir(scratch.path("")).args(["check", "-q", "--output", "r", "pipe"]);
        let child = child.spawn().unwrap();
        let mut pipe = OpenOptions::new().write(true).open(scratch.path("pipe")).unwrap();
        meanwhile(&path);
        pipe.write_all(&disk()).unwrap();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        (exit_code(&output), fs::read_to_string(&path).unwrap())
    };
    let mine = |path: &Path| fs::write(path, "mine").unwrap();
    let other = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "ACCEPT  another\n").unwrap();
    };
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    let new = "ACCEPT  pipe\n".to_owned();
    assert_eq!(checked(None, &|_| ()), (0, new.clone()));
    assert_eq!(checked(Some("ACCEPT  old\n"), &|_| ()), (0, new.clone()));
    assert_eq!(checked(Some("ACCEPT  old\n"), &gone), (0, new));
    assert_eq!(checked(None, &mine), (2, "mine".into()));
    assert_eq!(checked(Some("ACCEPT  old\n"), &mine), (2, "mine".into()));
    assert_eq!(checked(Some("ACCEPT  old\n"), &other), (2, "ACCEPT  another\n".into()));
}

#[test]
fn two_outputs_are_two_files_whatever_they_are_called() {
    let scratch = Scratch::new();
    image(&scratch);
    fs::create_dir(scratch.path("sub")).unwrap();
    symlink("r", scratch.path("link")).unwrap();
    symlink(".", scratch.path("here")).unwrap();
    for spelling in ["r", "./r", "sub/../r", "here/r", "link"] {
        let arguments = ["check", "-q", "--receipt", "r", "--output", spelling, "a.raw"];
        let output = run(&scratch, &arguments);
        assert_eq!(exit_code(&output), 2, "{spelling}: {output:?}");
        assert!(stderr(&output).contains("where a receipt goes"), "{output:?}");
        assert!(!scratch.path("r").exists());
        if cfg!(feature = "simulator") {
            let output = run(&scratch, &["simulate", "--env-file", "r", "--log", spelling]);
            assert_eq!(exit_code(&output), 2, "{spelling}: {output:?}");
            assert!(!scratch.path("r").exists());
        }
    }
}

/// What is open already is written where it stands, and nothing before it is lost.
#[test]
fn an_open_descriptor_is_written_itself() {
    let scratch = Scratch::new();
    image(&scratch);
    let shell = |line: &str| {
        let line =
            line.replace("CHECK", &format!("{} check -q a.raw", env!("CARGO_BIN_EXE_tidegate")));
        let mut shell = Command::new("sh");
        shell.current_dir(scratch.path("")).args(["-c", &line]).output().unwrap()
    };
    for path in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        scratch.write("log", b"mine\n");
        let output = shell(&format!("CHECK --output {path} >> log"));
        assert_eq!(exit_code(&output), 0, "{path}: {output:?}");
        assert_eq!(fs::read_to_string(scratch.path("log")).unwrap(), "mine\nACCEPT  a.raw\n");
        let output = shell(&format!("CHECK --output {path} | cat"));
        assert_eq!(stdout(&output), "ACCEPT  a.raw\n", "{path}");
    }
    let output = shell("{ echo a >&3; CHECK --output /dev/fd/3; echo b >&3; } 3> log");
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(fs::read_to_string(scratch.path("log")).unwrap(), "a\nACCEPT  a.raw\nb\n");
    for (line, said) in [
        ("CHECK --output /dev/fd/7", "not open"),
        ("CHECK --output /dev/stdin < log", "reading alone"),
        ("CHECK --receipt -", "name a file"),
        ("CHECK --receipt /dev/stdout", "name a file"),
    ] {
        let output = shell(line);
        assert_eq!(exit_code(&output), 2, "{line}: {output:?}");
        assert!(stderr(&output).contains(said), "{output:?}");
    }
    // The image itself may be what is open.
    let output = tidegate()
        .current_dir(scratch.path(""))
        .args(["check", "--output", "-", "a.raw"])
        .stdout(Stdio::from(OpenOptions::new().append(true).open(scratch.path("a.raw")).unwrap()))
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert_eq!(fs::read(scratch.path("a.raw")).unwrap(), disk());
    assert!(!scratch.path("-").exists());
}

/// A report keeps its file's rights, and of a link the link stays.
#[test]
fn a_report_takes_the_place_of_the_earlier_one_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    image(&scratch);
    let path = scratch.write("r", b"ACCEPT  old\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("r", scratch.path("link")).unwrap();
    fs::hard_link(&path, scratch.path("kept")).unwrap();
    let output = run(&scratch, &["check", "-q", "--output", "link", "a.raw"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "ACCEPT  a.raw\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(scratch.path("link").is_symlink());
    assert_eq!(fs::read_to_string(scratch.path("kept")).unwrap(), "ACCEPT  old\n");
    // A pipe and a terminal have nothing to be lost.
    mkfifo(&scratch.path("pipe"));
    let mut child = tidegate();
    child.current_dir(scratch.path("")).args(["check", "-q", "--output", "pipe", "a.raw"]);
    let child = child.spawn().unwrap();
    let read = std::io::read_to_string(File::open(scratch.path("pipe")).unwrap()).unwrap();
    assert_eq!(
        (exit_code(&child.wait_with_output().unwrap()), read.as_str()),
        (0, "ACCEPT  a.raw\n")
    );
    let output = run(&scratch, &["check", "-q", "--output", "/dev/null", "a.raw"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
}

/// Whoever takes the right to write from a report means to keep it.
#[test]
fn a_report_that_may_not_be_written_to_is_kept() {
    let scratch = Scratch::new();
    image(&scratch);
    let report = ["check", "-q", "--output", "report", "a.raw"];
    assert_eq!(exit_code(&run(&scratch, &report)), 0);
    let path = scratch.path("report");
    let (before, inode) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().ino());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let output = run(&scratch, &report);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("make it writable"), "{output:?}");
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().ino()), (before, inode));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(exit_code(&run(&scratch, &report)), 0);
}

/// What came through a pipe is there no more when a command is pasted.
#[test]
fn no_command_names_a_pipe() {
    let scratch = Scratch::new();
    scratch.write("zeros.gz", &[gzip(&disk()), vec![0; 700]].concat());
    mkfifo(&scratch.path("pipe"));
    let json = ["check", "--format", "json"];
    let feeding = File::open(scratch.path("zeros.gz")).unwrap();
    let stdin = tidegate()
        .current_dir(scratch.path(""))
        .args([&json[..], &["/dev/stdin"]].concat())
        .stdin(feeding)
        .output()
        .unwrap();
    let path = scratch.path("pipe");
    let bytes = fs::read(scratch.path("zeros.gz")).unwrap();
    let feeder = std::thread::spawn(move || fs::write(path, bytes).unwrap());
    let pipe = run(&scratch, &[&json[..], &["pipe"]].concat());
    feeder.join().unwrap();
    let file = run(&scratch, &[&json[..], &["zeros.gz"]].concat());
    for (output, commands) in [(stdin, 0), (pipe, 0), (file, 1)] {
        let report = &images(&output)[0];
        let finding = &report["findings"][0];
        assert_eq!(finding["code"], "gzip-trailing-zeros", "{report:#}");
        assert_eq!(finding["commands"].as_array().map_or(0, Vec::len), commands, "{finding:#}");
    }
}
