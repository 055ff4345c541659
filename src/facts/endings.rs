//! Endings of file names that say what a file is.

use super::DiskFormat;

/// Endings of what is packed or an archive.
const PACKED: [&str; 24] = [
    ".gz", ".gzip", ".bz2", ".bzip2", ".xz", ".zst", ".zstd", ".lz4", ".lzma", ".lz", ".lzo",
    ".zz", ".zlib", ".z", ".tar", ".tgz", ".taz", ".tbz", ".tbz2", ".txz", ".tzst", ".ova", ".zip",
    ".7z",
];

/// Endings of images, with the format that each stands for, if it is one that DigitalOcean takes.
const IMAGES: [(&str, Option<DiskFormat>); 17] = [
    (".img", Some(DiskFormat::Raw)),
    (".raw", Some(DiskFormat::Raw)),
    (".dd", Some(DiskFormat::Raw)),
    (".qcow2", Some(DiskFormat::Qcow2)),
    (".vhdx", Some(DiskFormat::Vhdx)),
    (".vdi", Some(DiskFormat::Vdi)),
    (".vmdk", Some(DiskFormat::Vmdk)),
    (".vhd", None),
    (".vpc", None),
    (".qcow", None),
    (".qed", None),
    (".hds", None),
    (".hdd", None),
    (".simg", None),
    (".dmg", None),
    (".iso", None),
    (".bin", None),
];

/// The name of a file, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts<'n> {
    /// What is left without the endings, which is something.
    pub stem: &'n [u8],
    /// The ending of the image, as it is written; nothing if it has none.
    pub ending: &'n [u8],
    /// The format that it stands for, if DigitalOcean takes that.
    pub format: Option<DiskFormat>,
}

impl<'n> Parts<'n> {
    /// The parts of a name: `disk` and `.qcow2` of `disk.qcow2.tar.xz`.
    #[must_use]
    pub fn of(name: &'n [u8]) -> Self {
        let mut stem = name;
        while let Some(shorter) = PACKED.iter().find_map(|ending| without(stem, ending)) {
            stem = shorter;
        }
        let image = IMAGES.iter().find_map(|(ending, of)| Some((without(stem, ending)?, *of)));
        match image {
            Some((shorter, format)) => {
                Parts { stem: shorter, ending: &stem[shorter.len()..], format }
            }
            None => Parts { stem, ending: b"", format: None },
        }
    }
}

/// The ordinary ending of an image of this format.
#[must_use]
pub fn ending(format: DiskFormat) -> &'static str {
    IMAGES.iter().find(|(_, of)| *of == Some(format)).map_or(".img", |(ending, _)| ending)
}

/// The name without an ending, of which something has to be left.
fn without<'n>(name: &'n [u8], ending: &str) -> Option<&'n [u8]> {
    let at = name.len().checked_sub(ending.len()).filter(|at| *at > 0)?;
    let (stem, last) = name.split_at(at);
    last.eq_ignore_ascii_case(ending.as_bytes()).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, stem, ending, format) in [
            ("disk.qcow2.tar.xz", "disk", ".qcow2", Some(DiskFormat::Qcow2)),
            ("disk.QCOW2.gz", "disk", ".QCOW2", Some(DiskFormat::Qcow2)),
            ("server.vhd", "server", ".vhd", None),
            ("debian-12.5.img", "debian-12.5", ".img", Some(DiskFormat::Raw)),
            ("a.gz.raw", "a.gz", ".raw", Some(DiskFormat::Raw)),
            (".img", ".img", "", None),
            (".gz", ".gz", "", None),
            ("ä.gz", "ä", "", None),
            ("", "", "", None),
        ] {
            let parts = Parts { stem: stem.as_bytes(), ending: ending.as_bytes(), format };
            assert_eq!(Parts::of(name.as_bytes()), parts, "{name}");
        }
        assert_eq!(super::ending(DiskFormat::Vhdx), ".vhdx");
        assert_eq!(super::ending(DiskFormat::Raw), ".img");
    }
}
