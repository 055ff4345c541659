//! The image that a build of Packer left: told from other files by what is in them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Usage, checksums, output};
use crate::bytes::Hostile;
use crate::facts::{Compression, DiskFormat};
use crate::inspect::{Options, Recognised, recognise};
use crate::project::{Artifact, Run, artifact};
use crate::source::{is_url, shown};

/// A larger manifest is none.
const LARGEST: usize = 16 << 20;

/// So many bytes tell what a file is.
const FIRST: u64 = 1 << 20;

/// What a file of an artifact is to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Not even a bad image: a list of digests, a log, firmware variables.
    Other,
    /// Something that was meant as an image, and will be refused.
    Bad,
    /// An image, as far as its first bytes tell.
    Image,
}

/// The image of the build that Packer runs this program for. Tells from here on what is under way as Packer shows it.
pub(super) fn image(manifest: &Path) -> Result<OsString, Usage> {
    output::tell_packer();
    let place = shown(manifest.as_os_str());
    let bytes = checksums::read_file(manifest, LARGEST)
        .map_err(|why| Usage(format!("cannot read the manifest {place}: {why}")))?;
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let run = Run { uuid: set("PACKER_RUN_UUID"), build: set("PACKER_BUILD_NAME") };
    let artifact =
        artifact(&bytes, &run).map_err(|e| Usage(format!("the manifest {place}: {e}")))?;
    let found = choose(&artifact)?;
    output::log(&format!(
        "{} of Packer's build \"{}\"",
        shown(&found),
        Hostile::from(artifact.build.as_str())
    ));
    Ok(found)
}

fn choose(artifact: &Artifact) -> Result<OsString, Usage> {
    let build = Hostile::from(artifact.build.as_str());
    let files: Vec<OsString> = artifact.files.iter().map(|file| as_file(file)).collect();
    let ranked =
        files.iter().map(|file| Ok((file, look(file)?))).collect::<Result<Vec<_>, Usage>>()?;
    // A single file is the image, whatever is in it: the check says what is wrong.
    let best = ranked.iter().map(|(_, (rank, _))| *rank).max().unwrap_or(Rank::Other);
    let of_best: Vec<&OsString> =
        ranked.iter().filter(|(_, (rank, _))| *rank == best).map(|(file, _)| *file).collect();
    match (of_best.as_slice(), best) {
        ([one], Rank::Image | Rank::Bad) => Ok((*one).clone()),
        ([one], Rank::Other) if ranked.len() == 1 => Ok((*one).clone()),
        (_, best) => {
            let lines: String = ranked
                .iter()
                .map(|(file, (_, what))| format!("\n  {}  {what}", shown(file)))
                .collect();
            let what = match best {
                Rank::Other => "none of the files is an image",
                _ => "several files could be the image",
            };
            Err(Usage(format!(
                "{what} of the build \"{build}\":{lines}\nname the image itself instead of the manifest"
            )))
        }
    }
}

/// A name that looks like an option, standard input or a URL is that of a file.
fn as_file(file: &Path) -> OsString {
    let name = file.as_os_str();
    match name.as_encoded_bytes().starts_with(b"-") || is_url(name) {
        true => Path::new(".").join(file).into_os_string(),
        false => name.to_owned(),
    }
}

/// What a file is, by its first bytes.
fn look(file: &OsStr) -> Result<(Rank, String), Usage> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let first = || -> std::io::Result<(Vec<u8>, bool)> {
        let opened = File::options().read(true).custom_flags(nonblocking).open(file)?;
        let meta = opened.metadata()?;
        if !meta.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        opened.take(FIRST).read_to_end(&mut bytes)?;
        let whole = bytes.len() as u64 == meta.len();
        Ok((bytes, whole))
    };
    let (bytes, whole) = first().map_err(|e| {
        Usage(format!(
            "cannot read {}, which the manifest names: {e}; run it in the folder that Packer runs in, and without \
             strip_path in the post-processor \"manifest\"",
            shown(file)
        ))
    })?;
    Ok(rank(recognise(&bytes, whole, &Options::default())))
}

fn rank(found: Recognised) -> (Rank, String) {
    let packed = match found.compression {
        Compression::None => String::new(),
        other => format!("{}, ", other.as_str()),
    };
    let format = found.disk_format.map_or("not read", DiskFormat::as_str);
    let disk = match found.disk_format {
        Some(
            DiskFormat::Empty
            | DiskFormat::Unknown
            | DiskFormat::Text
            | DiskFormat::Json
            | DiskFormat::Xml
            | DiskFormat::Html
            | DiskFormat::Elf,
        ) => false,
        // Raw is what nothing else is: without a partition table it may be anything.
        Some(DiskFormat::Raw) => !found.refused,
        Some(_) => true,
        // xz, Zstandard and the like are not looked into.
        None => found.compression != Compression::None,
    };
    let rank = match (disk, found.refused) {
        (false, _) => Rank::Other,
        (true, true) => Rank::Bad,
        (true, false) => Rank::Image,
    };
    (rank, format!("{packed}{format}"))
}
