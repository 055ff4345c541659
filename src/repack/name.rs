//! What the output is called that nobody has named.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::facts::DiskFormat;
use crate::facts::endings::{self, Parts};
use crate::source;

/// Where the output goes that comes of this source: beside a file, into the working directory for a URL. It is called
/// as the source, with the endings of what it is now. `None` if the source has no name.
pub(super) fn beside(source: &OsStr, format: DiskFormat) -> Option<PathBuf> {
    let name = source::file_name(source)?;
    if name == ".." {
        return None;
    }
    let folder = match source::is_url(source) {
        true => Path::new(""),
        false => Path::new(source).parent().unwrap_or(Path::new("")),
    };
    Some(folder.join(OsString::from_vec(called(name.as_bytes(), format))))
}

/// The name of an image of this format, packed as gzip, that came of a file with this name.
fn called(name: &[u8], format: DiskFormat) -> Vec<u8> {
    let Parts { stem, ending, format: promised } = Parts::of(name);
    let ending = if promised == Some(format) { ending } else { endings::ending(format).as_bytes() };
    let made = [stem, ending, b".gz"].concat();
    match made == name {
        true => [stem, b".repacked", ending, b".gz"].concat(),
        false => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(source: &str, format: DiskFormat) -> String {
        beside(OsStr::new(source), format).unwrap().into_os_string().into_string().unwrap()
    }

    #[test]
    fn the_output_is_called_as_the_source() {
        use DiskFormat::{Qcow2, Raw, Vmdk};
        for (source, format, expected) in [
            ("disk.raw.xz", Raw, "disk.raw.gz"),
            ("a/b/disk.img", Raw, "a/b/disk.img.gz"),
            ("/a/disk.IMG.XZ", Raw, "/a/disk.IMG.gz"),
            ("server.tar.gz", Raw, "server.img.gz"),
            ("box.ova", Vmdk, "box.vmdk.gz"),
            ("disk.qcow2.zst", Qcow2, "disk.qcow2.gz"),
            ("disk.qcow2.zst", Raw, "disk.img.gz"),
            ("disk.vhd", Raw, "disk.img.gz"),
            ("disk", Raw, "disk.img.gz"),
            ("release-1.2.xz", Raw, "release-1.2.img.gz"),
            (".xz", Raw, ".xz.img.gz"),
            ("-x.raw", Raw, "-x.raw.gz"),
            // None of them would be another one.
            ("disk.raw.gz", Raw, "disk.repacked.raw.gz"),
            ("disk.gz", Raw, "disk.img.gz"),
            ("disk.qcow2.gz", Qcow2, "disk.repacked.qcow2.gz"),
            ("disk.raw.gz.gz", Raw, "disk.raw.gz"),
        ] {
            assert_eq!(name(source, format), expected, "{source}");
        }
        assert_eq!(beside(OsStr::new("-"), Raw), None);
        assert_eq!(beside(OsStr::new("a/.."), Raw), None);
        let odd = OsStr::from_bytes(b"a\n\xff.raw.xz");
        assert_eq!(beside(odd, Raw).unwrap().as_os_str().as_bytes(), b"a\n\xff.raw.gz");
    }

    #[test]
    #[cfg(feature = "net")]
    fn of_a_url_it_is_the_last_part() {
        use DiskFormat::Raw;
        assert_eq!(name("https://u:p@h/a/disk.raw.xz?key=1", Raw), "disk.raw.gz");
        assert_eq!(name("https://h/a%2fb.xz", Raw), "a%2fb.img.gz");
        assert_eq!(beside(OsStr::new("https://h/"), Raw), None);
    }
}
