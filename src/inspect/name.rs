use std::ffi::OsStr;
use std::path::Path;

use crate::bytes::Hostile;
use crate::facts::{Anomaly, Code, Compression, DiskFormat, Layer};
use crate::source;

/// The name of a file after decompression, and the compression that its ending stands for.
#[must_use]
pub fn unpacked(name: &str) -> Option<(&str, Compression)> {
    const ENDINGS: [(&str, Compression); 4] = [
        (".gz", Compression::Gzip),
        (".gzip", Compression::Gzip),
        (".bz2", Compression::Bzip2),
        (".bzip2", Compression::Bzip2),
    ];
    ENDINGS
        .iter()
        .find_map(|(ending, compression)| Some((name.strip_suffix(ending)?, *compression)))
}

/// What a file's name says that it is, where it says anything.
#[derive(Debug, PartialEq, Eq)]
struct Promise {
    compression: Option<Compression>,
    /// Whether it promises that this is in another compression.
    twice: bool,
    format: Option<DiskFormat>,
    /// Whether it promises what DigitalOcean does not take.
    other: bool,
    /// Whether the name ends in anything that says what it is.
    known: bool,
}

/// Extensions that promise something else than a disk that DigitalOcean takes, and compressions that it does not take:
/// QEMU takes a `.dmg` for an Apple disk image by its name alone.
const OTHERS: [&str; 46] = [
    "vhd", "vpc", "ova", "ovf", "iso", "cdr", "dmg", "udf", "nrg", "mdf", "cue", "bin", "qcow",
    "qed", "hds", "hdd", "luks", "e01", "ex01", "aff", "wim", "esd", "simg", "cloop", "zip", "7z",
    "rar", "tar", "tgz", "tbz", "tbz2", "txz", "xz", "zst", "zstd", "lz4", "lzma", "lz", "lzo",
    "lrz", "z", "cpio", "deb", "rpm", "cab", "xva",
];

impl Promise {
    fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let (mut name, mut compressions) = (name.as_str(), Vec::new());
        while let Some((stem, compression)) = unpacked(name) {
            name = stem;
            compressions.push(compression);
        }
        let (compression, twice) = (compressions.first().copied(), compressions.len() > 1);
        let format = match Path::new(name).extension().and_then(OsStr::to_str) {
            Some("raw" | "dd") => Some(DiskFormat::Raw),
            Some("qcow2") => Some(DiskFormat::Qcow2),
            Some("vhdx") => Some(DiskFormat::Vhdx),
            Some("vdi") => Some(DiskFormat::Vdi),
            Some("vmdk") => Some(DiskFormat::Vmdk),
            _ => None,
        };
        let extension = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
        let other = OTHERS.contains(&extension);
        // `.img` is used for every format.
        let known = compression.is_some() || format.is_some() || other || extension == "img";
        Promise { compression, twice, format, other, known }
    }
}

/// The anomaly of a name that promises something else than the file is. Only of images that are taken
/// for a disk: of all others more is said than this.
pub(super) fn mismatch(
    argument: &OsStr,
    compression: Option<Compression>,
    format: Option<DiskFormat>,
    found: &[Anomaly],
) -> Option<Anomaly> {
    let name = source::file_name(argument)?;
    let compression = compression?;
    let format = format?;
    let says = |anomaly: &Anomaly, what| anomaly.code.as_str().starts_with(what);
    let families = ["format-", "content-", "archive-", "compression-"];
    if found.iter().any(|anomaly| families.iter().any(|family| says(anomaly, family))) {
        return None;
    }
    let promise = Promise::of(&name.to_string_lossy());
    // A URL is all that the importer sees of a name.
    let silent = source::is_url(argument) && !promise.known;
    let wrong_compression =
        silent || promise.known && promise.compression.unwrap_or(Compression::None) != compression;
    let wrong_format = promise.format.is_some_and(|promised| promised != format);
    // A hybrid disc is called after what it is.
    let disc = found.iter().any(|anomaly| matches!(anomaly.code, Code::IsoHybrid | Code::IsoShell));
    let iso = disc && name.to_string_lossy().to_ascii_lowercase().ends_with(".iso");
    let other = promise.twice || promise.other && !iso;
    if !wrong_compression && !wrong_format && !other {
        return None;
    }
    let packed = match compression {
        Compression::None => "not compressed".to_owned(),
        compression => format!("compressed with {}", compression.as_str()),
    };
    Some(Anomaly {
        code: Code::NameMismatch,
        layer: Layer::File,
        offset: None,
        spot: None,
        said: format!(
            "The file is called \"{}\", but it is {} and {packed}.",
            Hostile::from_os(&name),
            format.as_str()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(name: &str, compression: Compression, format: DiskFormat) -> bool {
        mismatch(OsStr::new(name), Some(compression), Some(format), &[]).is_some()
    }

    #[test]
    fn names_are_held_against_content() {
        use Compression as C;
        use DiskFormat as F;
        assert!(!odd("a/disk.qcow2.gz", C::Gzip, F::Qcow2));
        assert!(!odd("disk.img", C::None, F::Qcow2));
        assert!(!odd("packer-base", C::None, F::Qcow2));
        assert!(!odd("disk.IMG.BZ2", C::Bzip2, F::Raw));
        assert!(!odd("-", C::Gzip, F::Raw));
        assert!(odd("disk.raw", C::None, F::Qcow2));
        assert!(odd("disk.img.gz", C::None, F::Raw));
        assert!(odd("disk.img", C::Gzip, F::Raw));
        assert!(odd("disk.vmdk.gz", C::Bzip2, F::Vmdk));
        for name in
            ["disk.raw.gz.gz", "disk.raw.bz2.gz", "disk.gz.GZIP", "disk.qcow2.gz.gz.gz", ".gz.gz"]
        {
            assert!(odd(name, C::Gzip, F::Raw), "{name}");
        }
        assert!(odd("disk.qcow2.bz2.gz", C::Gzip, F::Qcow2));
        for name in ["disk.vhd", "box.ova", "disk.ISO", "disk.dmg", "disk.qcow2.xz", "disk.vhd.gz"]
        {
            let packed = if name.ends_with(".gz") { C::Gzip } else { C::None };
            assert!(odd(name, packed, F::Raw), "{name}");
        }
        assert!(!odd("release-1.2", C::None, F::Raw));
    }
}
