//! What the tests of the program share: running it, and disks to run it on.

// Every test binary has its own copy of this module and none uses all of it.
#![allow(dead_code, clippy::print_stderr)]
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Size of the disk that most tests use.
pub(crate) const DISK: u64 = 4 << 20;

/// The program, with nothing of the terminal and environment of whoever runs the tests.
pub(crate) fn tidegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    for name in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "TIDEGATE_CACHE",
        "TIDEGATE_RECEIPT_KEY",
    ] {
        command.env_remove(name);
    }
    // The same images have the same document, whenever they are checked.
    command.env("SOURCE_DATE_EPOCH", "1782864000");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The commands that a text shows: what is between back ticks and has more than one word.
pub(crate) fn commands(text: &str) -> Vec<String> {
    let shown = text.split('`').skip(1).step_by(2).filter(|shown| shown.contains(' '));
    shown.map(str::to_owned).collect()
}

/// Pastes a command into a shell that has the folder and the environment of a run of the program.
pub(crate) fn pasted(run: &mut Command, command: &str) -> Output {
    let own = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(own).chain(std::env::split_paths(&path));
    let mut shell = Command::new("bash");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .env("PATH", std::env::join_paths(path).unwrap());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = run.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.output().unwrap()
}

/// Runs `tidegate check` with these arguments.
pub(crate) fn check<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    tidegate().arg("check").args(arguments).output().unwrap()
}

/// The exit code; a process that was killed by a signal has none.
pub(crate) fn exit_code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Runs `tidegate check --format json`: the exit code and the reports.
pub(crate) fn reports<S: AsRef<OsStr>>(arguments: &[S]) -> (i32, Vec<Value>) {
    let output = tidegate().args(["check", "--format", "json"]).args(arguments).output().unwrap();
    (exit_code(&output), images(&output))
}

/// The reports in a JSON document on standard output.
pub(crate) fn images(output: &Output) -> Vec<Value> {
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    document["images"].as_array().unwrap().clone()
}

/// As [`reports`], of one image.
pub(crate) fn report<S: AsRef<OsStr>>(arguments: &[S]) -> (i32, Value) {
    let (code, mut images) = reports(arguments);
    assert_eq!(images.len(), 1);
    (code, images.remove(0))
}

/// The codes of a report's findings.
pub(crate) fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// Runs `qemu-img`; `None` if it is not installed, which is said, and is a failure in CI.
pub(crate) fn qemu_img<P: AsRef<OsStr>>(arguments: &[&str], paths: &[P]) -> Option<Output> {
    let done = Command::new("qemu-img").args(arguments).args(paths).output();
    if done.is_err() {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is not installed");
        eprintln!("SKIPPED: qemu-img is not installed");
    }
    done.ok()
}

/// Feeds `bytes` to the program's standard input through a pipe.
pub(crate) fn piped<S: AsRef<OsStr>>(arguments: &[S], bytes: &[u8]) -> Output {
    // What is inside is not examined then, which would be said of each image that could be.
    piped_to(tidegate().args(["check", "--guest", "never"]).args(arguments), bytes)
}

/// Runs a command with these bytes on its standard input.
pub(crate) fn piped_to(command: &mut Command, bytes: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The program may end before it has read all of it.
        scope.spawn(move || drop(stdin.write_all(bytes)));
        child.wait_with_output().unwrap()
    })
}

/// A directory for one test.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Scratch(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.path().join(name.as_ref())
    }

    pub(crate) fn write(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A sparse file of `size` bytes that is a disk with a GPT.
    pub(crate) fn sparse(&self, name: &str, size: u64) -> PathBuf {
        let path = self.path(name);
        let file = File::create(&path).unwrap();
        file.set_len(size).unwrap();
        for (at, bytes) in gpt_parts(size, "root") {
            file.write_all_at(&bytes, at).unwrap();
        }
        path
    }
}

/// A disk with a GPT of one partition and something in it.
pub(crate) fn disk() -> Vec<u8> {
    disk_named("root")
}

/// As [`disk`], with a name for the partition.
pub(crate) fn disk_named(name: &str) -> Vec<u8> {
    let mut disk = vec![0; DISK as usize];
    for (at, bytes) in gpt_parts(DISK, name) {
        disk[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
    }
    disk[1 << 20..(1 << 20) + 9].copy_from_slice(b"some data");
    disk
}

/// The parts of a disk of `size` bytes that a GPT takes, with their offsets.
pub(crate) fn gpt_parts(size: u64, name: &str) -> Vec<(u64, Vec<u8>)> {
    const SECTOR: u64 = 512;
    let last = size / SECTOR - 1;
    let mut mbr = vec![0; 512];
    mbr[446 + 2] = 2;
    mbr[446 + 4] = 0xee;
    mbr[446 + 8] = 1;
    mbr[446 + 12..446 + 16].copy_from_slice(&(last.min(0xffff_ffff) as u32).to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);

    let mut entries = vec![0; 128 * 128];
    // Linux file system data, 0fc63daf-8483-4772-8e79-3d69d8477de4, as it lies on a disk.
    entries[..16]
        .copy_from_slice(b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4");
    entries[16..32].fill(7);
    entries[32..40].copy_from_slice(&2048u64.to_le_bytes());
    entries[40..48].copy_from_slice(&(last - 2048).to_le_bytes());
    for (unit, place) in name.encode_utf16().zip(entries[56..128].chunks_mut(2)) {
        place.copy_from_slice(&unit.to_le_bytes());
    }

    let header = |at: u64, other: u64, array: u64| {
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..12].copy_from_slice(&0x1_0000u32.to_le_bytes());
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        for (field, value) in [(24, at), (32, other), (40, 34), (48, last - 33), (72, array)] {
            header[field..field + 8].copy_from_slice(&value.to_le_bytes());
        }
        header[56..72].fill(9);
        header[80..84].copy_from_slice(&128u32.to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let crc = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        header
    };
    vec![
        (0, [mbr, header(1, last, 2), entries.clone()].concat()),
        ((last - 32) * SECTOR, [entries.clone(), header(last, 1, last - 32)].concat()),
    ]
}

/// A disk with so many logical partitions whose records lie each before the last one, so that a stream has to be read
/// once for each.
pub(crate) fn backward_chain(records: u32) -> Vec<u8> {
    const STEP: u32 = 2048;
    let extended = STEP;
    let mut disk = vec![0; 512 * (extended + (records + 1) * STEP) as usize];
    let mut entry = |sector: u32, slot: usize, kind: u8, start: u32, len: u32| {
        let record = &mut disk[512 * sector as usize..][..512];
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        let entry = &mut record[446 + 16 * slot..][..16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..].copy_from_slice(&len.to_le_bytes());
    };
    entry(0, 0, 5, extended, (records + 1) * STEP);
    let place = |number: u32| if number == 0 { 0 } else { (records - number) * STEP };
    for number in 0..records {
        entry(extended + place(number), 0, 0x83, 64, STEP - 64);
        if number + 1 < records {
            entry(extended + place(number), 1, 5, place(number + 1), STEP);
        }
    }
    disk
}

/// A qcow2 image of version 2 with nothing allocated and a backing file of this name.
pub(crate) fn qcow2_with_backing(name: &[u8]) -> Vec<u8> {
    const CLUSTER: u64 = 1 << 16;
    let mut image = vec![0; 4 * CLUSTER as usize];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(8, &256u64.to_be_bytes());
    put(16, &(name.len() as u32).to_be_bytes());
    put(20, &16u32.to_be_bytes());
    put(24, &(1u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &(3 * CLUSTER).to_be_bytes());
    put(48, &CLUSTER.to_be_bytes());
    put(56, &1u32.to_be_bytes());
    put(256, name);
    put(CLUSTER as usize, &(2 * CLUSTER).to_be_bytes());
    put(2 * CLUSTER as usize, &[0, 1, 0, 1, 0, 1, 0, 1]);
    image
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until `ready`, which other processes bring about.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !ready() {
        assert!(start.elapsed().as_secs() < 30, "waited in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Whether the process has the file open.
pub(crate) fn has_open(child: &Child, path: &Path) -> bool {
    let path = path.canonicalize().unwrap();
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fd", child.id())) else {
        return false;
    };
    descriptors.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path))
}

/// Waits for the process to end and gives its peak of resident memory in kB.
pub(crate) fn peak(child: &mut Child) -> u64 {
    let mut peak = 0;
    wait_until("the program ends", || {
        let now =
            status(child, "VmHWM").and_then(|kb| kb.trim_end_matches("kB").trim().parse().ok());
        peak = now.unwrap_or(0).max(peak);
        child.try_wait().unwrap().is_some()
    });
    assert!(peak > 0, "nothing was measured");
    peak
}

/// A field of the process's `/proc/PID/status`.
pub(crate) fn status(child: &Child, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}
