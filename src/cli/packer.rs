//! The image that a build of Packer left: told from other files by what is in them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Usage, output};
use crate::bytes::{Hostile, Small};
use crate::facts::{Compression, DiskFormat};
use crate::inspect::{Options, Recognised, recognise};
use crate::project::{Artifact, Run, artifact};
use crate::source::{is_url, shown};

/// What has some thousand builds.
const MANIFEST: Small = Small { what: "a manifest of Packer", most: 2 << 20 };

/// So many bytes tell what a file is.
const FIRST: u64 = 1 << 20;

/// What a file of an artifact is to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Not even a bad image: a list of digests, a log, a kernel.
    Other,
    /// What builders leave beside a disk: variables of firmware, the state of a machine.
    Beside,
    /// An image, good or bad, or bytes that nothing tells from those of a disk.
    Disk,
}

/// The image of the build that Packer runs this program for, and the name of that build. Tells from here on what is under way as Packer shows it, if
/// standard output is not for a `document`.
pub(super) fn image(manifest: &Path, document: bool) -> Result<(OsString, String), Usage> {
    if !document {
        output::tell_packer();
    }
    let place = shown(manifest.as_os_str());
    let bytes = MANIFEST
        .open(manifest)
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
    Ok((found, artifact.build))
}

fn choose(artifact: &Artifact) -> Result<OsString, Usage> {
    let build = Hostile::from(artifact.build.as_str());
    let files: Vec<OsString> = artifact.files.iter().map(|file| as_file(file)).collect();
    let ranked =
        files.iter().map(|file| Ok((file, look(file)?))).collect::<Result<Vec<_>, Usage>>()?;
    // A disk that nothing was written to is no less the build's than one with a partition table beside it.
    let best = ranked.iter().map(|(_, (rank, _))| *rank).max().unwrap_or(Rank::Other);
    let of_best: Vec<&OsString> =
        ranked.iter().filter(|(_, (rank, _))| *rank == best).map(|(file, _)| *file).collect();
    match (of_best.as_slice(), best) {
        ([one], Rank::Disk | Rank::Beside) => Ok((*one).clone()),
        // A single file is the image, whatever is in it: the check says what is wrong.
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
    Ok(rank(file, &bytes, recognise(&bytes, whole, &Options::default())))
}

fn rank(file: &OsStr, first: &[u8], found: Recognised) -> (Rank, String) {
    let packed = match found.compression {
        Compression::None => String::new(),
        other => format!("{}, ", other.as_str()),
    };
    let plain = found.compression == Compression::None;
    let unread = match found.compression {
        Compression::Gzip | Compression::Bzip2 => "damaged",
        _ => "not looked into",
    };
    let format = found.disk_format.map_or(unread, DiskFormat::as_str);
    let (rank, more) = match found.disk_format {
        Some(
            DiskFormat::Empty
            | DiskFormat::Text
            | DiskFormat::Json
            | DiskFormat::Xml
            | DiskFormat::Html
            | DiskFormat::Elf,
        ) => (Rank::Other, ""),
        Some(DiskFormat::Raw | DiskFormat::Unknown) if plain && is_beside(file, first) => {
            (Rank::Beside, ", variables of firmware or the state of a machine")
        }
        // What is packed twice is no image, but may have been meant as one.
        Some(DiskFormat::Unknown) => (Rank::Disk, ""),
        // Raw is what nothing else is: something in it or its name has to say that it is a disk.
        Some(DiskFormat::Raw) if found.partitioned => (Rank::Disk, " with a partition table"),
        Some(DiskFormat::Raw) if plain && has_file_system(first) => {
            (Rank::Disk, " with a file system")
        }
        Some(DiskFormat::Raw) if is_named_raw(file) => (Rank::Disk, " by its name"),
        Some(DiskFormat::Raw) => (Rank::Disk, " or anything"),
        // Those that DigitalOcean refuses are images too: the check says so.
        Some(_) => (Rank::Disk, ""),
        // xz, Zstandard and the like are not looked into, and may hold an image.
        None if plain => (Rank::Other, ""),
        None => (Rank::Disk, ""),
    };
    (rank, format!("{packed}{format}{more}"))
}

/// Whether a disk begins with a file system, LVM or a boot sector, by their magic numbers: ext2 to ext4 (1024 + 56), XFS
/// and LVM2 (in the first sectors), Btrfs (64 KiB + 64), FAT and NTFS (the signature of the boot sector).
fn has_file_system(first: &[u8]) -> bool {
    const MAGIC: [(usize, &[u8]); 5] = [
        (510, b"\x55\xaa"),
        (1080, b"\x53\xef"),
        (0, b"XFSB"),
        (512, b"LABELONE"),
        (65600, b"_BHRfS_M"),
    ];
    MAGIC.iter().any(|&(at, magic)| first.get(at..at + magic.len()) == Some(magic))
}

/// Whether a file that looks like nothing is what builders leave beside a disk: a firmware volume (UEFI Platform
/// Initialization, volume 3, 3.2.1), VMware's NVRAM, or by its name one of firmware or of Hyper-V's machines.
fn is_beside(file: &OsStr, first: &[u8]) -> bool {
    let ending = Path::new(file).extension().unwrap_or_default().to_ascii_lowercase();
    first.get(40..44) == Some(b"_FVH")
        || first.starts_with(b"MRVN")
        || ["fd", "nvram", "vmcx", "vmrs", "vmgs"].iter().any(|known| ending == *known)
}

/// Whether a name, without what it says of packing, ends as that of a raw disk.
fn is_named_raw(file: &OsStr) -> bool {
    let name = file.to_string_lossy().to_ascii_lowercase();
    let stem = crate::inspect::unpacked(&name).map_or(name.as_str(), |(stem, _)| stem);
    [".raw", ".img"].iter().any(|ending| stem.ends_with(ending))
}
