//! What the tests of several formats share: views of images in memory, and QEMU as the oracle.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Command;

use super::{Disk as _, Feed, Got, ImageView, MappedDisk, StreamView, Walked, Wanted, examine};
use crate::facts::{Anomaly, Code, DiskFormat, Notebook};

/// No test reads more of a disk than this at once.
const MOST_READ: u64 = 64 << 20;

/// An image in memory, readable at any offset, and one that arrives in runs and cannot be read again.
pub(super) use super::{MemoryFeed as Forward, MemoryImage as MemoryView};

/// What an image gives when it is examined and its disk is read, each code once.
pub(super) fn codes(format: DiskFormat, image: Vec<u8>) -> Vec<Code> {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let mut view = MemoryView::new(image);
    if let Some(mut examined) = examine(format, &mut view, &notebook).unwrap() {
        let size = view.size().unwrap().unwrap();
        examined
            .layout
            .walk(&mut view, &notebook, &Wanted::default(), &mut examined.reach)
            .unwrap();
        examined.reach.judge_tail(&mut view, &notebook).unwrap();
        examined.reach.judge(size, &notebook);
        assert_eq!(examined.virtual_size, examined.layout.virtual_size());
        let mut bytes = vec![0; examined.virtual_size.min(MOST_READ) as usize];
        let mut disk = MappedDisk::new(&mut view, &mut *examined.layout, &notebook);
        for at in [0, examined.virtual_size.saturating_sub(512)] {
            disk.read_at(at, &mut bytes).unwrap();
        }
    }
    let mut codes: Vec<Code> = notebook.close().iter().map(|anomaly| anomaly.code).collect();
    codes.sort();
    codes.dedup();
    codes
}

/// The first and the last 64 KiB of the disk, its size and what was odd.
fn ends(
    format: DiskFormat,
    view: &mut dyn ImageView,
    notebook: Notebook<'_>,
) -> (u64, Vec<Vec<u8>>, Vec<Anomaly>) {
    let mut examined = examine(format, view, &notebook).unwrap().expect("it can be examined");
    let size = examined.virtual_size;
    let mut disk = MappedDisk::new(view, &mut *examined.layout, &notebook);
    let ends = [0, size.saturating_sub(64 << 10)].map(|at| {
        let mut bytes = vec![1; 64 << 10];
        assert_eq!(disk.read_at(at, &mut bytes).unwrap(), Got::Bytes(64 << 10), "at {at}");
        bytes
    });
    let image_size = view.size().unwrap().unwrap();
    examined.reach.judge(image_size, &notebook);
    (size, ends.to_vec(), notebook.close())
}

/// Converts a raw disk of `size` bytes with `qemu-img` and its `options`, and holds what is read of
/// the image, at any offset and as a stream, against the raw disk.
pub(super) fn agrees_with_qemu(format: DiskFormat, options: &str, size: usize) {
    // Data at both ends and nothing but zeros between them.
    let mut raw = vec![0; size];
    for at in (0..100_000).chain(size - 100_000..size) {
        raw[at] = (at / 512 + at % 251 + 1) as u8;
    }
    let Some(image) = converted(&raw, format, options) else { return };

    // QEMU rounds up to whole sectors.
    raw.resize(size.next_multiple_of(512), 0);
    let expected = vec![raw[..64 << 10].to_vec(), raw[raw.len() - (64 << 10)..].to_vec()];
    let notebook = || Notebook::new(&|_| false, 1 << 40);
    let stream_notebook = notebook();
    let feed = Box::new(Forward::new(&image));
    let mut stream = StreamView::new(feed, None, &stream_notebook, false);
    let mut memory = MemoryView::new(image.clone());
    let views: [&mut dyn ImageView; 2] = [&mut memory, &mut stream];
    for view in views {
        let (found, ends, anomalies) = ends(format, view, notebook());
        assert_eq!(found, raw.len() as u64, "{options}");
        assert!(ends == expected, "{options}");
        assert!(anomalies.is_empty(), "{options}: {anomalies:?}");
    }
}

/// Walks over the tables of an image that QEMU makes of a disk of `size` bytes, at any offset and as a
/// stream that cannot go back: nothing is odd, all is read, and both ends of the disk are still there
/// after the walk.
pub(super) fn walks_what_qemu_writes(format: DiskFormat, options: &str, size: u64) {
    let mut raw = vec![0; size as usize];
    // The last and the first block of the disk, and one between them.
    for at in [0, size as usize / 2, size as usize - 70_000] {
        raw[at..at + 70_000]
            .iter_mut()
            .zip(0..)
            .for_each(|(byte, at)| *byte = (at / 7 % 251) as u8);
    }
    let Some(image) = converted(&raw, format, options) else { return };
    let notebook = || Notebook::new(&|_| false, 1 << 40);
    let stream_notebook = notebook();
    let mut stream = StreamView::new(forward(&image), None, &stream_notebook, false);
    let mut memory = MemoryView::new(image.clone());
    let views: [&mut dyn ImageView; 2] = [&mut memory, &mut stream];
    let ends = [0..17 << 10, size - (64 << 10)..size];
    for view in views {
        let notebook = notebook();
        let mut examined = examine(format, view, &notebook).unwrap().expect("it can be examined");
        let wanted = Wanted(ends.to_vec());
        let walked = examined.layout.walk(view, &notebook, &wanted, &mut examined.reach).unwrap();
        assert_eq!(walked, Walked::Whole, "{options}");
        // Whatever else is wanted of a stream: it has reached its end.
        examined.reach.judge_tail(view, &notebook).unwrap();
        let image_size = view.size().unwrap().unwrap();
        examined.reach.judge(image_size, &notebook);
        for end in &ends {
            let expected = &raw[end.start as usize..end.end as usize];
            let mut bytes = vec![1; expected.len()];
            let mut disk = MappedDisk::new(view, &mut *examined.layout, &notebook);
            assert_eq!(disk.read_at(end.start, &mut bytes).unwrap(), Got::Bytes(bytes.len()));
            assert!(bytes == expected, "{options}: {end:?}");
        }
        let anomalies = notebook.close();
        assert!(anomalies.is_empty(), "{options}: {anomalies:?}");
    }
}

/// A stream of the image that cannot be read again.
pub(super) fn forward(image: &[u8]) -> Box<dyn Feed + '_> {
    Box::new(Forward::new(image))
}

/// Changes one number of `image` at a time and holds what is found against `qemu-img check`: what it
/// refuses, we refuse too. `change` makes the next change from a number that looks random.
pub(super) fn finds_what_qemu_finds(
    format: DiskFormat,
    image: &[u8],
    times: u64,
    change: impl Fn(&mut Vec<u8>, u64),
) {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut refused = 0;
    for seed in 1..=times {
        let mut changed = image.to_vec();
        // SplitMix64.
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        change(&mut changed, random ^ (random >> 31));
        write_sparse(&path, &changed);
        let done = Command::new("qemu-img")
            .args(["check", "-f", format.as_str()])
            .arg(&path)
            .output()
            .unwrap();
        if !done.status.success() {
            refused += 1;
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(!codes(format, changed).is_empty(), "{seed}: {said}");
        }
    }
    assert!(refused > times / 4, "only {refused} of {times} were refused");
}

/// Writes a file that takes no room where there are zeros.
fn write_sparse(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::File::create(path).unwrap();
    for (index, run) in bytes.chunks(4096).enumerate() {
        if run.iter().any(|&byte| byte != 0) {
            file.seek(SeekFrom::Start(index as u64 * 4096)).unwrap();
            file.write_all(run).unwrap();
        }
    }
    file.set_len(bytes.len() as u64).unwrap();
}

/// What `qemu-img` makes of a raw disk; `None` where it is not installed.
pub(super) fn converted(raw: &[u8], format: DiskFormat, options: &str) -> Option<Vec<u8>> {
    if !installed() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("raw"), folder.path().join("image"));
    std::fs::write(&from, raw).unwrap();
    let mut command = Command::new("qemu-img");
    command.args(["convert", "-f", "raw", "-O", format.as_str()]);
    if !options.is_empty() {
        command.args(["-o", options]);
    }
    let done = command.args([&from, &to]).output().unwrap();
    assert!(done.status.success(), "{options}: {}", String::from_utf8_lossy(&done.stderr));
    Some(std::fs::read(&to).unwrap())
}

/// Whether `qemu-img` is there; on CI it has to be.
#[allow(clippy::print_stderr)] // says why a test does nothing
fn installed() -> bool {
    let found = Command::new("qemu-img").arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "qemu-img is not installed");
        eprintln!("skipped: qemu-img is not installed");
    }
    found
}
