//! Many images at once: the same output, in the same order, within the same memory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;

/// Bytes of which little can be compressed.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len / 8).flat_map(|_| next().to_le_bytes()).collect()
}

/// Images of all kinds, good and bad, of which the first take the longest.
fn images(scratch: &Scratch) -> Vec<PathBuf> {
    let mut big = disk();
    big.extend(noise(1 << 20));
    let size = big.len() / 512 * 512;
    let mut files = vec![
        scratch.write("big.raw.bz2", &bzip2(&big[..size])),
        scratch.write("big.raw.gz", &gzip(&big[..size])),
    ];
    for at in 0..12 {
        let disk = disk_named(&format!("disk {at}"));
        files.push(match at % 6 {
            0 => scratch.write(format!("{at}.raw"), &disk),
            1 => scratch.write(format!("{at}.raw.gz"), &gzip(&disk)),
            2 => scratch.write(format!("{at}.raw.gz"), &gzip(&disk)[..99]),
            3 => scratch.write(format!("{at}.raw"), b"not found\n"),
            4 => scratch.path(format!("{at}.missing")),
            _ => scratch.write(format!("{at}.qcow2"), &qcow2_with_backing(b"\x1b[2J/etc/passwd")),
        });
    }
    files
}

fn check(threads: &str, arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = tidegate();
    command.env("SOURCE_DATE_EPOCH", "1700000000").env("TIDEGATE_THREADS", threads);
    command.arg("check").args(arguments).args(files).output().unwrap()
}

/// Standard output without what a clock says.
fn timeless(output: &Output) -> String {
    let text = stdout(output);
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(" time=\"") {
        let (before, after) = rest.split_at(at + 7);
        out += before;
        rest = &after[after.find('"').unwrap()..];
    }
    out + rest
}

#[test]
fn every_report_is_the_same_whatever_the_number_of_jobs() {
    let scratch = Scratch::new();
    let files = images(&scratch);
    for format in ["text", "json", "junit", "sarif", "github", "html"] {
        let alone = check("8", &["--jobs", "1", "--format", format], &files);
        assert_eq!(exit_code(&alone), 3, "{alone:?}");
        for jobs in ["2", "1024"] {
            let many = check("8", &["--jobs", jobs, "--format", format], &files);
            assert_eq!(exit_code(&many), 3);
            assert_eq!(timeless(&many), timeless(&alone), "{format} {jobs}");
            assert_eq!(stderr(&many), stderr(&alone), "{format} {jobs}");
        }
    }
    let alone = check("1", &["-q"], &files);
    assert_eq!(stdout(&check("64", &["-q", "--jobs", "64"], &files)), stdout(&alone));
    assert_eq!(stdout(&check("2", &["-q"], &files)), stdout(&alone));
}

#[test]
fn those_that_were_refused_are_named_again_at_the_end() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let folder = format!("{}/", scratch.path("").display()).replace("//", "/");
    let told = |arguments: &[&str], count: usize| {
        let mut files = vec![good.clone()];
        files.extend(vec![bad.clone(); count]);
        let output = check("2", arguments, &files);
        stdout(&output).replace(&folder, "")
    };
    let line = "  REJECT  bad.raw: raw-no-partition-table\n";
    let two = told(&[], 2);
    let end = format!("\n\n{line}{line}3 images: 1 accepted, 2 rejected\n");
    assert!(two.ends_with(&end), "{two}");
    let many = told(&[], 103);
    let end = format!("{line}  and 3 more\n104 images: 1 accepted, 103 rejected\n");
    assert!(many.ends_with(&end), "{many}");
    assert_eq!(many.matches(line).count(), 100);
    let two = told(&["-q"], 2);
    let named = "bad.raw (raw-no-partition-table)";
    assert_eq!(two.lines().last(), Some(format!("refused 2 of 3: {named}, {named}").as_str()));
    let many = told(&["-q"], 103);
    assert!(many.ends_with(", and 3 more\n") && many.matches(named).count() == 100, "{many}");
    // Nothing is named again where nothing is refused, or of one image.
    assert_eq!(stdout(&check("2", &["-q"], &[good.clone(), good.clone()])).lines().count(), 2);
    assert_eq!(stdout(&check("2", &["-q"], &[bad])).lines().count(), 1);
}

#[test]
fn after_the_first_reject_nothing_more_is_checked() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let missing = scratch.path("missing");
    let files = [good.clone(), missing, bad.clone(), good.clone(), bad];
    let output = check("2", &["--fail-fast", "--jobs", "1", "--format", "json"], &files);
    let report: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    let told: Vec<(&str, Option<&str>)> = report["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (image["verdict"].as_str().unwrap(), image["error"]["kind"].as_str()))
        .collect();
    let unchecked = ("error", Some("not-checked"));
    let expected =
        [("accept", None), ("error", Some("not-found")), ("reject", None), unchecked, unchecked];
    assert_eq!(told, expected);
    // An image that cannot be read is no reject, and ends nothing.
    assert_eq!(exit_code(&output), 3);
    let output = check("2", &["--fail-fast", "--jobs", "1"], &files[2..]);
    assert_eq!(exit_code(&output), 1);
    assert!(
        stdout(&output).contains("3 images: 0 accepted, 1 rejected, 2 not checked"),
        "{output:?}"
    );
}

#[test]
fn a_reject_ends_a_call_whose_other_images_never_end() {
    let scratch = Scratch::new();
    let pipe = scratch.path("pipe.raw");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bad = scratch.write("bad.raw", &[0; 4096]);
    let good = scratch.write("good.raw", &disk());
    let output = check("4", &["--fail-fast", "--jobs", "2", "-q"], &[pipe.clone(), bad, good]);
    assert_eq!(exit_code(&output), 1, "{output:?}");
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert!(lines[0].contains("pipe.raw: it was not checked: --fail-fast"), "{lines:?}");
    assert!(lines[1].starts_with("REJECT"), "{lines:?}");
}

#[test]
fn an_impossible_number_of_jobs_is_refused() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    for jobs in ["0", "1025", "-1", "two", "1.5", ""] {
        let output = check("2", &[&format!("--jobs={jobs}")], std::slice::from_ref(&good));
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{jobs}");
        assert!(stderr(&output).contains("--jobs"), "{output:?}");
    }
    for jobs in ["1", "1024"] {
        let output = check("2", &["--jobs", jobs], &[good.clone(), good.clone(), good.clone()]);
        assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
    }
    let output = check("2", &["-v", "--jobs", "64"], &[good.clone(), good.clone(), good]);
    assert_eq!(stderr(&output), "tidegate: 2 jobs instead of 64: more do not fit into memory\n");
}

/// Sends the signal to the check of images that never end.
#[test]
fn all_jobs_are_interrupted_at_once() {
    let scratch = Scratch::new();
    let pipes: Vec<PathBuf> = (0..4).map(|at| scratch.path(format!("{at}.raw"))).collect();
    assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
    for signal in ["INT", "TERM"] {
        let mut command = tidegate();
        command.env("TIDEGATE_THREADS", "4").args(["check", "--jobs", "4", "-q", "-"]).args(&pipes);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        wait_until("signals are caught", || {
            let caught = status(&child, "SigCgt").unwrap_or_default();
            u64::from_str_radix(&caught, 16).is_ok_and(|mask| mask & 0x4002 == 0x4002)
        });
        let sent = Instant::now();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(sent.elapsed() < Duration::from_secs(4), "{:?}", sent.elapsed());
        assert_eq!((exit_code(&output), stdout(&output)), (130, ""), "{output:?}");
        drop(stdin);
    }
}

#[test]
fn lines_about_an_image_stand_before_what_came_of_it() {
    let scratch = Scratch::new();
    let pipes = ["a.raw", "b.raw"].map(|name| scratch.path(name));
    assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
    let mut command = tidegate();
    command.env("TIDEGATE_THREADS", "2").args(["check", "-q", "--jobs", "2"]).args(&pipes);
    let mut child = command.spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        line
    };
    // The second one is opened when it is due: another program may wait for what comes of the first one.
    assert!(line().contains("a.raw is a named pipe"));
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(&pipes[0], disk()).unwrap();
    assert!(line().contains("b.raw is a named pipe"));
    std::fs::write(&pipes[1], disk()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((exit_code(&output), stdout(&output).lines().count()), (0, 2), "{output:?}");
}

#[test]
fn standard_input_is_one_of_many() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let mut command = tidegate();
    command.env("TIDEGATE_THREADS", "2").args(["check", "-q"]).arg(&good).arg("-").arg(&good);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&disk()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = stdout(&output).lines().nth(1).unwrap().to_owned();
    assert_eq!((exit_code(&output), told.as_str()), (0, "ACCEPT  -"), "{output:?}");
}

/// Runs a program on a terminal of its own, and gives what was on it.
const TERMINAL: &str = r"
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 120, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
sys.stdout.buffer.write(seen)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn a_bar_shows_how_many_are_done_and_which_is_the_slowest() {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing");
        eprintln!("SKIPPED: python3 is missing, so there is no terminal");
        return;
    }
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    let pipe = scratch.path("pipe.raw");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL]).arg(tidegate().get_program()).arg("check");
    command.env("TERM", "xterm").env("TIDEGATE_THREADS", "2").stdin(Stdio::null());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut pipe = std::fs::File::create(pipe).unwrap();
            pipe.write_all(&disk()).unwrap();
            std::thread::sleep(Duration::from_millis(1500));
        }
    });
    let output = command.args([&good, &pipe, &good]).output().unwrap();
    writer.join().unwrap();
    let screen = stdout(&output);
    assert_eq!(exit_code(&output), 0, "{screen}");
    assert!(screen.contains("/3 ["), "{screen}");
    assert!(screen.contains("1 s, slowest ") && screen.contains("pipe.raw 1 s"), "{screen}");
    assert!(screen.contains("3 images: 3 accepted"), "{screen}");
}

/// A qcow2 image of clusters of 4 KiB whose tables lead all over a disk of nearly 90 GB, so that as much is counted of
/// it as of any.
fn hostile(path: &Path) {
    use std::os::unix::fs::FileExt;
    const CLUSTER: u64 = 4096;
    const SIZE: u64 = 90_000_000_000 / 512 * 512;
    let l1 = SIZE.div_ceil(CLUSTER * 512);
    let first = 3 + (l1 * 8).div_ceil(CLUSTER);
    let mut header = b"QFI\xfb\0\0\0\x02".to_vec();
    header.extend([0; 12]);
    header.extend(12u32.to_be_bytes());
    header.extend(SIZE.to_be_bytes());
    header.extend(0u32.to_be_bytes());
    header.extend((l1 as u32).to_be_bytes());
    header.extend((3 * CLUSTER).to_be_bytes());
    header.extend(CLUSTER.to_be_bytes());
    header.extend(1u32.to_be_bytes());
    header.extend([0; 12]);
    let file = std::fs::File::create(path).unwrap();
    file.write_all_at(&header, 0).unwrap();
    let flag = 1u64 << 63;
    // Every 40th table is there, which is one for each page of counts and more.
    let places =
        (0..l1).map(|at| if at % 40 == 0 { flag | ((first + at / 40) * CLUSTER) } else { 0 });
    let places: Vec<u8> = places.flat_map(u64::to_be_bytes).collect();
    file.write_all_at(&places, 3 * CLUSTER).unwrap();
    for table in 0..l1.div_ceil(40) {
        let cluster =
            |entry: u64| (table * 40 * 512 + entry * 40 + first + l1).min(SIZE / CLUSTER - 1);
        let entries: Vec<u8> =
            (0..512).flat_map(|entry| (flag | (cluster(entry) * CLUSTER)).to_be_bytes()).collect();
        file.write_all_at(&entries, (first + table) * CLUSTER).unwrap();
    }
    file.set_len((first + l1 / 40 + 2) * CLUSTER).unwrap();
}

/// What a call may take (DESIGN: 64 MiB resident on 2 cores, 256 MiB at 64 threads), in kB.
const BOUNDS: [(&str, &str, u64); 2] = [("2", "64", 64 << 10), ("64", "64", 256 << 10)];

fn peak_of(threads: &str, jobs: &str, arguments: &[&str], files: &[PathBuf]) -> (i32, u64) {
    let mut command = tidegate();
    command.env("TIDEGATE_THREADS", threads).args(["check", "-q", "--jobs", jobs]).args(arguments);
    let mut child =
        command.args(files).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let peak = peak_of_all(&mut child);
    (child.wait().unwrap().code().unwrap(), peak)
}

/// As [`peak`], of a program that takes its time where the machine has other work.
fn peak_of_all(child: &mut std::process::Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let now = status(child, "VmHWM");
        let now = now.and_then(|kb| kb.trim_end_matches("kB").trim().parse().ok());
        peak = now.unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(peak > 0, "nothing was measured");
    peak
}

#[test]
fn many_jobs_stay_within_the_memory_of_one_call() {
    let scratch = Scratch::new();
    let mut files = Vec::new();
    for at in 0..6 {
        let path = scratch.path(format!("{at}.qcow2"));
        hostile(&path);
        files.push(path);
    }
    let noise = noise(1 << 20);
    let packed = [
        scratch.write("noise.raw.bz2", &bzip2(&noise)),
        scratch.write("noise.raw.gz", &gzip(&noise)),
        scratch.write("zeros.raw.bz2", &bzip2(&vec![0; 45 << 20])),
    ];
    for _ in 0..4 {
        files.extend(packed.clone());
    }
    files.push(scratch.sparse("disk.raw", 2_000_000_000));
    for (threads, jobs, most) in BOUNDS {
        let (code, peak) = peak_of(threads, jobs, &["--keep-going", "--max-size", "99GB"], &files);
        assert_eq!(code, 1);
        assert!(peak < most, "{threads} threads, {jobs} jobs: {peak} kB");
    }
}

#[test]
fn ten_thousand_images_stay_within_the_memory_of_one_call() {
    let scratch = Scratch::new();
    scratch.write("some.raw", &[7; 4096]);
    let list = scratch.write("list", "some.raw\n".repeat(10_000).as_bytes());
    scratch.write("good.raw", &disk());
    let links: Vec<String> =
        (0..10_000).map(|at| format!("./{}some.raw\n", "./".repeat(at % 30))).collect();
    std::fs::write(&list, links.concat()).unwrap();
    for (threads, jobs, most) in BOUNDS {
        let mut command = tidegate();
        command.env("TIDEGATE_THREADS", threads).args(["check", "-q", "--jobs", jobs]);
        command.args(["--format", "json", "--images-from", "list"]).current_dir(scratch.path(""));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let peak = peak_of_all(&mut child);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(peak < most, "{threads} threads, {jobs} jobs: {peak} kB");
    }
}
