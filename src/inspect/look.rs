//! A second, short look at an image that was checked, for reports that show what is where: the picture
//! of its disk, and the bytes around each finding. Only of what lies on this machine and is not packed:
//! nothing is fetched, decompressed or waited for again.

use std::ffi::OsStr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::{Deaf, Finding, Map, Opened, Options, Report, Verdict, extents};
use crate::facts::{Compression, DiskFormat, Layer};
use crate::formats::{Disk, Got, Halt, Run};
use crate::source::{Known, LocalFile, LocalOffsets, Source};

/// Bytes of an excerpt.
const EXCERPT: u64 = 64;

/// Bytes of a line of an excerpt, at whose beginning it begins.
const LINE: u64 = 16;

/// Runs of a disk after which no picture is drawn: it would take longer than a reader waits for it.
const RUNS: u32 = 4 << 20;

/// What was seen of an image; where nothing was, there is the reason.
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Look {
    /// The picture of the disk.
    pub map: Result<Map, String>,
    /// The bytes around each finding, in the order of the report.
    pub excerpts: Vec<Result<Excerpt, String>>,
}

/// Bytes around a finding.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Excerpt {
    /// Offset of the first byte, in the layer of the finding.
    pub start: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Looks at an image that was checked with these options.
#[must_use]
pub fn look(report: &Report, options: &Options) -> Look {
    match file(report) {
        Ok(path) => seen(path, report, options),
        Err(why) => Look {
            map: Err(why.to_owned()),
            excerpts: report.findings.iter().map(|_| Err(why.to_owned())).collect(),
        },
    }
}

/// The file, if it may be read again.
fn file(report: &Report) -> Result<&Path, &'static str> {
    let path = report.path.as_deref();
    let path = path.ok_or("it came over the network or through a pipe, and is not read again")?;
    if report.verdict == Verdict::Error {
        return Err("it could not be read");
    }
    if report.compression != Some(Compression::None) {
        return Err("the file is compressed");
    }
    let meta = std::fs::metadata(path).map_err(|_| "the file is not there any more")?;
    let device = meta.file_type().is_block_device();
    if !device && !meta.is_file() {
        return Err("it came through a pipe");
    }
    if !device && Some(meta.len()) != report.file_size {
        return Err(CHANGED);
    }
    Ok(path)
}

/// What the check knew of the bytes that will be shown.
pub(super) fn around(report: &Report, file: &LocalFile) -> Vec<Known> {
    if report.compression != Some(Compression::None) {
        return Vec::new();
    }
    let starts = report.findings.iter().filter(|finding| is_in_file(finding, report));
    let starts = starts.filter_map(|finding| finding.offset.map(start));
    file.agreed().known(starts.flat_map(|start| [start, start.saturating_add(EXCERPT - 1)]))
}

/// Opens the file again, if it is still what was checked.
fn reopened(path: &OsStr, report: &Report) -> Result<LocalFile, String> {
    match Source::open(path).map_err(|e| super::Error::from(&e).message)? {
        Source::File(file) if report.opened.as_ref().is_none_or(|was| was == file.identity()) => {
            file.agreed().expect(&report.known);
            Ok(file)
        }
        _ => Err(CHANGED.to_owned()),
    }
}

const CHANGED: &str = "the file changed after it was checked";

fn seen(path: &Path, report: &Report, options: &Options) -> Look {
    let nothing = |why: String| Look {
        map: Err(why.clone()),
        excerpts: report.findings.iter().map(|_| Err(why.clone())).collect(),
    };
    let file = match reopened(path.as_os_str(), report) {
        Ok(file) => file,
        Err(why) => return nothing(why),
    };
    let mut opened = Opened::open(path.as_os_str(), options, &Deaf).map_err(|e| e.message);
    if let Ok(opened) = &opened
        && opened.file().map(LocalFile::identity) != Some(file.identity())
    {
        return nothing(CHANGED.to_owned());
    }
    let map = match &mut opened {
        Ok(opened) => picture(opened),
        Err(why) => Err(why.clone()),
    };
    let mut offsets = file.offsets();
    let excerpts = report
        .findings
        .iter()
        .map(|finding| excerpt(finding, &mut offsets, &mut opened, report))
        .collect();
    let unchanged = file.verify_unchanged().map_err(|e| super::Error::from(&e).message);
    let both = opened.map_or(Ok(()), |opened| opened.unchanged().map_err(|e| e.message));
    match unchanged.and(both) {
        Ok(()) => Look { map, excerpts },
        Err(why) => nothing(why),
    }
}

fn picture(opened: &mut Opened<'_>) -> Result<Map, String> {
    let mut left = RUNS;
    let drawn =
        opened.with_disk(|disk| extents(&mut Bounded { disk, left: &mut left }, &Deaf, |_| {}));
    match drawn {
        Ok(map) => Ok(map),
        Err(_) if left == 0 => Err("the disk is in too many pieces to be drawn here".to_owned()),
        Err(halt) => Err(super::Error::from(halt).message),
    }
}

/// A disk of which only so many runs are looked at.
struct Bounded<'d> {
    disk: &'d mut dyn Disk,
    left: &'d mut u32,
}

impl Disk for Bounded<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        self.disk.read_at(at, buf)
    }

    fn run(&mut self, at: u64) -> Result<Run, Halt> {
        *self.left = self.left.checked_sub(1).ok_or(Halt::Stopped)?;
        self.disk.run(at)
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        self.disk.size()
    }
}

/// Whether it is about bytes that are those of the file: not compressed, the file, the image and a raw image's disk are
/// the same.
fn is_in_file(finding: &Finding, report: &Report) -> bool {
    finding.layer != Layer::Disk || report.disk_format == Some(DiskFormat::Raw)
}

/// Where an excerpt begins.
fn start(offset: u64) -> u64 {
    (offset - offset % LINE).saturating_sub(LINE)
}

fn excerpt(
    finding: &Finding,
    offsets: &mut LocalOffsets<'_>,
    opened: &mut Result<Opened<'_>, String>,
    report: &Report,
) -> Result<Excerpt, String> {
    let start = start(finding.offset.ok_or("it is about no one place")?);
    let mut bytes = vec![0; EXCERPT as usize];
    let count = if is_in_file(finding, report) {
        let read = offsets.read_at(start, &mut bytes);
        read.map_err(|e| super::Error::from(&e).message)?
    } else {
        let opened = opened.as_mut().map_err(|why| why.clone())?;
        match opened.with_disk(|disk| disk.read_at(start, &mut bytes)) {
            Ok(Got::Bytes(count)) => count,
            Ok(Got::Missing(_)) | Err(_) => {
                return Err("these bytes of the disk cannot be read".to_owned());
            }
        }
    };
    bytes.truncate(count);
    if bytes.is_empty() {
        return Err("it is past the end".to_owned());
    }
    Ok(Excerpt { start, bytes })
}
