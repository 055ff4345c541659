use std::fmt;

use crate::bytes::Hostile;

/// Something that was taken off a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrapping {
    /// gzip, with something packed inside.
    Gzip,
    /// bzip2, of several streams or with something packed inside.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// A VHD, of which the disk came out.
    Vhd,
    /// qcow of version 1, of which the disk came out.
    Qcow1,
    /// A VMDK, of which the disk came out: a stream out of order, or a descriptor.
    Vmdk {
        /// The files beside the descriptor in which the disk was.
        parts: Vec<Hostile>,
    },
    /// A tar archive, or an OVA.
    Tar {
        /// The member that is the image.
        member: Hostile,
    },
}

impl fmt::Display for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrapping::Gzip => f.write_str("gzip"),
            Wrapping::Bzip2 => f.write_str("bzip2"),
            Wrapping::Xz => f.write_str("xz"),
            Wrapping::Zstd => f.write_str("zstd"),
            Wrapping::Vhd => f.write_str("vhd"),
            Wrapping::Qcow1 => f.write_str("qcow1"),
            Wrapping::Vmdk { parts } => match parts.as_slice() {
                [] => f.write_str("vmdk"),
                [part] => write!(f, "vmdk ({part})"),
                [first, others @ ..] => write!(f, "vmdk ({first} and {} more)", others.len()),
            },
            Wrapping::Tar { member } => write!(f, "tar ({member})"),
        }
    }
}

impl Wrapping {
    /// What names of files in it end with.
    pub(super) fn endings(&self) -> &'static [&'static str] {
        match self {
            Wrapping::Gzip => &[".gz", ".gzip"],
            Wrapping::Bzip2 => &[".bz2", ".bzip2"],
            Wrapping::Xz => &[".xz"],
            Wrapping::Zstd => &[".zst", ".zstd"],
            Wrapping::Vhd => &[".vhd", ".vpc"],
            Wrapping::Qcow1 => &[".qcow", ".qcow1"],
            Wrapping::Vmdk { .. } => &[".vmdk"],
            Wrapping::Tar { .. } => &[".tar"],
        }
    }
}
