//! The image that is booted: the bytes that were judged. A file of this machine is taken as it is; what is compressed, or comes
//! from elsewhere, is written to the folder of the boot in the pass of its check.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;

use sha2::{Digest, Sha256};

use super::folder::Folder;
use crate::bytes::{Pool, Segment, Sparse, hex};
use crate::codec::{Bzip2, Decoder, Gzip, Packing, sniff};
use crate::inspect::{Listener, Options, Report, Tap, Tapped, inspect_tapped};
use crate::source::{FileIdentity, Source, is_url};

/// Bytes that tell how a file is packed.
const HEAD: usize = 64 << 10;
/// Bytes that are unpacked at once.
const UNPACKED: usize = 256 << 10;

/// An image that QEMU can read.
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// What was judged, if it lies where others can change it.
    judged: Option<Judged>,
}

struct Judged {
    identity: FileIdentity,
    sha256: String,
}

impl Image {
    /// Makes sure that the bytes are still those that were judged.
    ///
    /// # Errors
    /// If they are not, or cannot be read: why.
    pub fn unchanged(&self) -> Result<(), String> {
        let Some(judged) = &self.judged else { return Ok(()) };
        let changed = || "it changed while it was booted".to_owned();
        let file = File::open(&self.path).map_err(|e| e.to_string())?;
        if FileIdentity::of(&file).map_err(|e| e.to_string())? != judged.identity {
            return Err(changed());
        }
        drop(file);
        match digest(&self.path)? == judged.sha256 {
            true => Ok(()),
            false => Err(changed()),
        }
    }
}

/// The SHA-256 of a file.
fn digest(path: &Path) -> Result<String, String> {
    let source = Source::open(path.as_os_str()).map_err(|e| e.to_string())?;
    let Source::File(file) = &source else { return Err("it is no file any more".into()) };
    let (mut reader, mut pool, mut sum) = (file.reader(), Pool::new(2, UNPACKED), Sha256::new());
    let zeros = vec![0; UNPACKED];
    while let Some(segment) =
        crate::source::Read::next(&mut reader, &mut pool).map_err(|e| e.to_string())?
    {
        match &segment {
            Segment::Data(chunk) => sum.update(&chunk[..]),
            Segment::Zeros(count) => {
                let mut left = *count;
                while left > 0 {
                    let piece = left.min(zeros.len() as u64);
                    sum.update(&zeros[..piece as usize]);
                    left -= piece;
                }
            }
        }
    }
    Ok(hex(&sum.finalize()))
}

/// Checks an image, and has what can be booted of it: `None` if it was not read to its end.
///
/// # Errors
/// If the image cannot be written to the folder: why.
pub fn judged(
    argument: &OsStr,
    options: &Options,
    folder: &Folder,
    listener: &dyn Listener,
) -> Result<(Report, Option<Image>), String> {
    let (tap, tapped) = Tap::new();
    let (report, written) = thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let written = write(argument, folder, &tapped);
            // Whoever does not take what comes ends the check.
            tapped.segments.iter().for_each(drop);
            written
        });
        let report = inspect_tapped(argument, options, listener, Some(&tap));
        drop(tap);
        (report, writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let image = match written {
        Written::AsItIs => {
            let judged = report.opened.clone().zip(report.digests.sha256.clone());
            judged.map(|(identity, sha256)| Image {
                path: Path::new(argument).to_owned(),
                judged: Some(Judged { identity, sha256 }),
            })
        }
        Written::Whole { path, size } if report.complete && report.image_size == Some(size) => {
            Some(Image { path, judged: None })
        }
        Written::Whole { .. } | Written::Damaged => None,
        Written::Failed(error) => return Err(error),
    };
    Ok((report, image))
}

enum Written {
    /// Nothing: the file is on this machine, and not packed.
    AsItIs,
    /// All of it.
    Whole { path: PathBuf, size: u64 },
    /// It cannot be unpacked; the report says why.
    Damaged,
    /// There is no room, for instance.
    Failed(String),
}

fn write(argument: &OsStr, folder: &Folder, tapped: &Tapped) -> Written {
    let (mut first, mut head) = (Vec::new(), Vec::new());
    while head.len() < HEAD {
        let Ok(segment) = tapped.segments.recv() else { break };
        match &segment {
            Segment::Data(chunk) => head.extend_from_slice(&chunk[..chunk.len().min(HEAD)]),
            Segment::Zeros(count) => {
                head.resize(head.len() + (*count).min(HEAD as u64) as usize, 0)
            }
        }
        first.push(segment);
    }
    let decoder: Option<Box<dyn Decoder>> = match sniff(&head) {
        Packing::Gzip => Some(Box::new(Gzip::default())),
        Packing::Bzip2 => Some(Box::new(Bzip2::default().sparse())),
        // What is refused is not unpacked.
        Packing::Foreign(..) => return Written::Damaged,
        Packing::Plain if is_here(argument) => return Written::AsItIs,
        Packing::Plain => None,
    };
    let path = folder.file("image");
    let cannot = |e: io::Error| {
        Written::Failed(format!("cannot write the image to the folder for temporary files: {e}"))
    };
    let mut out = match File::create_new(&path) {
        Ok(file) => Sparse::new(file),
        Err(error) => return cannot(error),
    };
    let segments = first.into_iter().chain(&tapped.segments).take_while(|_| !tapped.is_refused());
    let whole = match decoder {
        Some(decoder) => unpack(decoder, segments, &mut out),
        None => segments.into_iter().try_for_each(|segment| out.put(&segment)).map(|()| true),
    };
    let size = out.len();
    match whole.and_then(|whole| out.finish().map(|_| whole)) {
        Ok(true) => Written::Whole { path, size },
        Ok(false) => Written::Damaged,
        Err(error) => cannot(error),
    }
}

/// Whether an argument is a file or a device of this machine that can be read at any offset.
fn is_here(argument: &OsStr) -> bool {
    let file = |meta: std::fs::Metadata| meta.is_file() || meta.file_type().is_block_device();
    !is_url(argument) && argument != "-" && Path::new(argument).metadata().is_ok_and(file)
}

/// Unpacks; whether all of it was in order.
fn unpack(
    mut decoder: Box<dyn Decoder>,
    segments: impl Iterator<Item = Segment>,
    out: &mut Sparse,
) -> io::Result<bool> {
    let mut buffer = vec![0; UNPACKED];
    let zeros = vec![0; UNPACKED];
    for segment in segments {
        let mut left = segment.len();
        while left > 0 {
            let done = segment.len() - left;
            let input = match &segment {
                Segment::Data(chunk) => &chunk[done as usize..],
                Segment::Zeros(_) => &zeros[..left.min(UNPACKED as u64) as usize],
            };
            match step(&mut *decoder, input, &mut buffer, out)? {
                Some(taken) => left -= taken as u64,
                None => return Ok(false),
            }
        }
    }
    // Without input it goes on until output is left over.
    loop {
        let Ok(step) = decoder.decode(&[], &mut buffer) else { return Ok(false) };
        out.bytes(&buffer[..step.made])?;
        out.put(&Segment::Zeros(step.zeros))?;
        if step.made < buffer.len() && step.zeros == 0 {
            return Ok(decoder.finish().is_ok());
        }
    }
}

/// One step; the bytes of the input that it took, or nothing if it is damaged.
fn step(
    decoder: &mut dyn Decoder,
    input: &[u8],
    buffer: &mut [u8],
    out: &mut Sparse,
) -> io::Result<Option<usize>> {
    let Ok(step) = decoder.decode(input, buffer) else { return Ok(None) };
    out.bytes(&buffer[..step.made])?;
    out.put(&Segment::Zeros(step.zeros))?;
    Ok(Some(step.taken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Deaf, Verdict};

    fn judged_at(path: &Path) -> (Report, Option<Image>, Folder) {
        let folder = Folder::new().unwrap();
        let options = Options { url_rules: false, ..Options::default() };
        let (report, image) = judged(path.as_os_str(), &options, &folder, &Deaf).unwrap();
        (report, image, folder)
    }

    fn sample(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
    }

    #[test]
    fn what_is_packed_is_written_to_the_folder() {
        let (report, image, folder) = judged_at(&sample("gpt.qcow2.gz"));
        assert_eq!(report.verdict, Verdict::Accept);
        let image = image.unwrap();
        assert_eq!(image.path, folder.file("image"));
        assert_eq!(image.path.metadata().unwrap().len(), report.image_size.unwrap());
        assert!(std::fs::read(&image.path).unwrap().starts_with(b"QFI\xfb"));
        assert_eq!(image.unchanged(), Ok(()));
    }

    #[test]
    fn a_file_of_this_machine_is_held_against_what_was_judged() {
        let place = tempfile::tempdir().unwrap();
        let (_, packed, _folder) = judged_at(&sample("gpt.qcow2.gz"));
        let path = place.path().join("disk.qcow2");
        std::fs::copy(packed.unwrap().path, &path).unwrap();
        let (_, image, _folder) = judged_at(&path);
        let image = image.unwrap();
        assert_eq!(image.path, path);
        assert_eq!(image.unchanged(), Ok(()));
        let file = File::options().append(true).open(&path).unwrap();
        io::Write::write_all(&mut &file, b"x").unwrap();
        assert!(image.unchanged().is_err());
    }

    #[test]
    fn what_is_damaged_is_not_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("disk.qcow2.gz");
        let mut bytes = std::fs::read(sample("gpt.qcow2.gz")).unwrap();
        bytes.truncate(bytes.len() - 20);
        std::fs::write(&path, bytes).unwrap();
        let (report, image, _folder) = judged_at(&path);
        assert_eq!(report.verdict, Verdict::Reject);
        assert!(image.is_none());
    }
}
