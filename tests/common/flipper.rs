//! Somebody who changes a file while others read it, and leaves no time stamp.

#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A page that is mapped into memory and dirty is written without a new time stamp: on tmpfs for as long as it is
/// mapped, elsewhere until the kernel has written it back.
const FLIP: &str = r#"
import mmap, os, sys, time
path, pause, parent, places = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
places = [tuple(map(int, place.split(":"))) for place in places]
memory = mmap.mmap(os.open(path, os.O_RDWR), 0)
for at, good, bad in places:
    memory[at] = good
print("ready", flush=True)
while os.getppid() == parent:
    for at, good, bad in places:
        memory[at] = bad
    time.sleep(pause)
    for at, good, bad in places:
        memory[at] = good
    time.sleep(pause)
"#;

/// Ends when it is dropped.
pub(crate) struct Flipper(Child);

impl Flipper {
    /// Changes the byte at an offset from the first value to the second and back, with this pause between; `None` if
    /// there is nobody who could.
    pub(crate) fn start(path: &Path, at: u64, values: [u8; 2], pause: Duration) -> Option<Self> {
        let mut python = Command::new("python3");
        python.args(["-c", FLIP]).arg(path).arg(pause.as_secs_f64().to_string());
        python.arg(std::process::id().to_string()).arg(format!("{at}:{}:{}", values[0], values[1]));
        let Ok(mut child) = python.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() else {
            assert!(std::env::var_os("CI").is_none(), "python3 is not there, which maps files");
            eprintln!("skipped: python3 is not there, which maps files");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Flipper(child))
    }
}

impl Drop for Flipper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory whose files are in memory, if there is one.
pub(crate) fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A qcow2 image of noise in clusters of 4 KiB, and the place of a byte of the last L2 entry with a value that
/// leads past the image's end; `None` if there is nobody who makes one.
pub(crate) fn qcow2(folder: &Path, disk: &[u8]) -> Option<(PathBuf, u64, [u8; 2])> {
    let (raw, path) = (folder.join("source.raw"), folder.join("disk.qcow2"));
    std::fs::write(&raw, disk).unwrap();
    let options = ["convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k"];
    let output = crate::common::qemu_img(&options, &[&raw, &path])?;
    assert!(output.status.success(), "{output:?}");
    std::fs::remove_file(raw).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let word = |at| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_be_bytes(bytes)
    };
    let offset = |entry: u64| entry & 0x00ff_ffff_ffff_fe00;
    let (entries, l1) = (word(32) & 0xffff_ffff, word(40));
    let table = offset(word(l1 + (entries - 1) * 8));
    let at =
        (0..512).map(|index| table + index * 8).rfind(|&at| offset(word(at)) != 0).unwrap() + 2;
    let good = (word(at - 2) >> 40) as u8;
    Some((path, at, [good, good ^ 0x40]))
}
