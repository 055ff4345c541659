//! However many threads decompress, it comes to the same.

use crate::common::*;
use crate::limits::watched_with;

/// What a check may take with as many threads as anybody has (DESIGN: 256 MiB resident at 64 threads).
const MOST_RESIDENT_KB: u64 = 256 << 10;

/// A disk of which little can be compressed.
pub(crate) fn dense(len: usize) -> Vec<u8> {
    let mut bytes = disk();
    let mut state = 88_172_645_463_325_252u64;
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state & 0x7f7f_7f7f_7f7f_7f7f).to_le_bytes());
    }
    bytes
}

fn with_threads(threads: &str, path: &std::path::Path) -> (i32, String) {
    let mut command = tidegate();
    command
        .env("TIDEGATE_THREADS", threads)
        .args(["check", "--format", "json", "--digest", "image"]);
    let output = command.arg(path).output().unwrap();
    let mut report = images(&output)[0].clone();
    report.as_object_mut().unwrap().remove("checked_at");
    (exit_code(&output), report.to_string())
}

#[test]
fn a_report_does_not_depend_on_threads() {
    let scratch = Scratch::new();
    let disk = dense(3_000_000);
    for (mut file, ending) in [(bzip2(&disk), "bz2"), (gzip(&disk), "gz")] {
        let good = scratch.write(format!("good.raw.{ending}"), &file);
        let middle = file.len() / 2;
        file[middle] ^= 1;
        let damaged = scratch.write(format!("damaged.raw.{ending}"), &file);
        let cut = scratch.write(format!("cut.raw.{ending}"), &file[..middle - 7]);
        for (path, code) in [(&good, 0), (&damaged, 1), (&cut, 1)] {
            let alone = with_threads("1", path);
            assert_eq!(alone.0, code, "{alone:?}");
            for threads in ["2", "8", "64"] {
                assert_eq!(with_threads(threads, path), alone, "{threads} {ending}");
            }
        }
    }
}

#[test]
fn many_threads_stay_within_their_memory() {
    let scratch = Scratch::new();
    let path = scratch.write("dense.raw.bz2", &bzip2(&dense(30_000_000)));
    let (output, peak) = watched_with("64", &[path.as_os_str()]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(peak < MOST_RESIDENT_KB, "{peak} kB");
    let (output, peak) = watched_with("2", &[path.as_os_str()]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(peak < MOST_RESIDENT_KB / 4, "{peak} kB");
}

#[test]
fn an_impossible_number_of_threads_is_refused() {
    let scratch = Scratch::new();
    let good = scratch.write("good.raw", &disk());
    for threads in ["0", "1025", "-1", "two", "1.5"] {
        let output =
            tidegate().env("TIDEGATE_THREADS", threads).arg("check").arg(&good).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{threads}");
        assert!(stdout(&output).is_empty(), "{threads}");
        assert!(stderr(&output).contains("TIDEGATE_THREADS"), "{output:?}");
    }
    let output = tidegate().env("TIDEGATE_THREADS", "").arg("check").arg(&good).output().unwrap();
    assert_eq!(exit_code(&output), 0, "{output:?}");
}
