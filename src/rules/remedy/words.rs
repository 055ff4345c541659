//! Single commands.

use super::name::Name;
use crate::facts::DiskFormat;
use crate::rules::SIZE_LIMIT;

/// The option that says the limit, if it is not the usual one.
pub(super) fn max_size(limit: u64) -> String {
    match limit {
        SIZE_LIMIT => String::new(),
        limit => format!("--max-size {limit} "),
    }
}

/// Checks what was made, against the limit that the input was checked against.
pub(super) fn check(made: &Name, limit: u64) -> String {
    format!("tidegate check {}{made}", max_size(limit))
}

/// Writes the disk of an image anew. The format is named, as one that QEMU finds out itself may be another one.
pub(super) fn convert(from: &str, image: &Name, to: &str, made: &Name) -> String {
    format!("qemu-img convert -f {from} -O {to} {image} {made}")
}

/// Commands joined by a pipe into a file, which fail if one of them does.
pub(super) fn piped(commands: &[&str], made: &Name) -> String {
    format!("(set -o pipefail; {} > {made})", commands.join(" | "))
}

/// What `qemu-img -f` calls a format, and the usual ending of its files.
pub(super) fn driver(format: DiskFormat) -> Option<(&'static str, &'static str)> {
    Some(match format {
        DiskFormat::Raw => ("raw", ".raw"),
        DiskFormat::Qcow2 => ("qcow2", ".qcow2"),
        DiskFormat::Vhdx => ("vhdx", ".vhdx"),
        DiskFormat::Vdi => ("vdi", ".vdi"),
        DiskFormat::Vmdk => ("vmdk", ".vmdk"),
        DiskFormat::Vpc => ("vpc", ".vhd"),
        DiskFormat::Qcow => ("qcow", ".qcow"),
        DiskFormat::Qed => ("qed", ".qed"),
        DiskFormat::Parallels => ("parallels", ".hds"),
        _ => return None,
    })
}
