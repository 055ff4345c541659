use std::ffi::{OsStr, OsString};
use std::fmt::Write;

use crate::source::is_url;

/// Endings of files that are taken for images.
const ENDINGS: [&str; 6] = ["qcow2", "img", "raw", "vmdk", "vdi", "vhdx"];

/// How DigitalOcean takes them packed, and how not.
const PACKED: [&str; 2] = ["gz", "bz2"];
const PACKED_OTHERWISE: [&str; 4] = ["xz", "zst", "zip", "lz4"];

/// More images than this are not written down.
const MOST: usize = 20;

/// A new `tidegate.toml`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Starter {
    /// What is in it.
    pub text: String,
    /// How many images it has.
    pub images: usize,
    /// Files that look like images and are not in it, each with the reason.
    pub left_out: Vec<(OsString, &'static str)>,
}

/// Whether tools that build images put them into folders of such a name (Packer's is `output-` and a name).
#[must_use]
pub fn is_output_folder(name: &OsStr) -> bool {
    let known = ["out", "output", "build", "dist", "images", "artifacts", "result"];
    known.iter().any(|known| name == *known) || name.as_encoded_bytes().starts_with(b"output-")
}

/// A new `tidegate.toml`, for a folder with these files, by their paths below it.
#[must_use]
pub fn starter(files: &[OsString]) -> Starter {
    let mut files: Vec<&OsString> = files.iter().collect();
    files.sort_unstable();
    let mut text = HEAD.to_owned();
    let mut left_out = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for file in files {
        // A lossy name has the endings of its own.
        let path = &*file.to_string_lossy();
        match suitable(path) {
            None => continue,
            Some(_) if file.to_str().is_none() => {
                left_out.push((file.clone(), "its name is no UTF-8"));
            }
            Some(Err(why)) => left_out.push((file.clone(), why)),
            Some(Ok(())) if names.len() == MOST => left_out.push((file.clone(), "there are many")),
            Some(Ok(())) => {
                let name = name_of(path, &names);
                // The name of a file may read as a URL.
                let here = if is_url(path.as_ref()) { "./" } else { "" };
                let _ = write!(
                    text,
                    "\n[[image]]\nname = {}\npath = {}\n",
                    quoted(&name),
                    quoted(&format!("{here}{path}"))
                );
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        text.push_str(EXAMPLE);
    }
    text.push_str(TAIL);
    Starter { text, images: names.len(), left_out }
}

/// Whether a file that looks like an image is one for `tidegate.toml`, or why not; `None` if it looks like no image.
fn suitable(file: &str) -> Option<Result<(), &'static str>> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let (unpacked, packing) = match name.rsplit_once('.') {
        Some((stem, ending)) if PACKED.contains(&ending) => (stem, Ok(())),
        Some((stem, ending)) if PACKED_OTHERWISE.contains(&ending) => {
            (stem, Err("DigitalOcean takes gzip and bzip2 only; a push repacks it"))
        }
        _ => (name, Ok(())),
    };
    let (stem, ending) = unpacked.rsplit_once('.')?;
    if stem.is_empty() || !ENDINGS.contains(&ending) {
        return None;
    }
    match file.chars().any(char::is_control) {
        true => Some(Err("its name has control characters")),
        false => Some(packing),
    }
}

/// A short name that no other image has.
fn name_of(file: &str, names: &[String]) -> String {
    let is_free = |name: &String| !name.trim().is_empty() && !names.contains(name);
    let last = file.rsplit('/').next().unwrap_or(file);
    let stem = last.split('.').next().unwrap_or(last).to_owned();
    // Paths differ, but those with a hyphen for a slash may not.
    let whole = file.replace('/', "-");
    [stem, last.to_owned(), whole.clone()].into_iter().find(is_free).unwrap_or_else(|| {
        let numbered = (2..=MOST + 2).map(|number| format!("{whole}-{number}"));
        numbered.into_iter().find(is_free).unwrap_or(whole)
    })
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const HEAD: &str = "\
# The images of this project, for tidegate: `tidegate check` checks all of them, a push with the name of one brings
# it to DigitalOcean. `tidegate config` shows what counts and why. Options on the command line beat this file.
#
# This file is not trusted with credentials, servers, proxies or certificates: those come from the environment.

# What all images have in common. Each image may say otherwise.
[defaults]
# regions = [\"fra1\", \"ams3\"]       # imported to the first one, copied to the others
# distribution = \"Debian\"
# description = \"Built from this repository\"
# describe = true                  # put system and kernel into the description
# tags = [\"golden\"]
# bucket = \"my-images\"             # where a push stages files; SPACES_BUCKET beats it
# max_size = \"100GB\"               # image and disk have to stay under it
# strict = true                    # refuse warnings too
# guest = \"require\"                # examine what is inside the disk: auto, never or require
# boot = true                      # a push starts the image in QEMU first
# reject = [\"name-mismatch\"]       # findings that weigh otherwise; `tidegate explain` lists them
# warn = []
# allow = []
";

const EXAMPLE: &str = "
# [[image]]
# name = \"web\"                     # what it is called here and at DigitalOcean
# path = \"output/web.qcow2.gz\"     # below the folder of this file
";

const TAIL: &str = "
# [[image]]
# name = \"base\"
# url = \"https://example.com/base.qcow2\"
# sha256 = \"…\"                     # what the file has to have
# receipt = \"base.receipt.json\"    # where to leave a receipt of its check
";

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn only_images_are_written_down() {
        let files = [
            "b.qcow2.gz",
            "a b\"c.img",
            "README.md",
            ".img",
            "notes.gz",
            "b.raw",
            "out/b.raw",
            "out-b.raw",
            "c.raw.xz",
            "x\u{7}.img",
            "https:x.img",
        ];
        let mut files = files.map(OsString::from).to_vec();
        files.push(OsString::from_vec(b"\xff.img".to_vec()));
        files.push(OsString::from_vec(b"\xff.txt".to_vec()));
        let made = starter(&files);
        let parsed: toml::Table = toml::from_str(&made.text).unwrap();
        let images = parsed["image"].as_array().unwrap();
        let of = |key: &str| images.iter().map(|i| i[key].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(
            of("path"),
            ["a b\"c.img", "b.qcow2.gz", "b.raw", "./https:x.img", "out-b.raw", "out/b.raw"]
        );
        assert_eq!(of("name"), ["a b\"c", "b", "b.raw", "https:x", "out-b", "out-b.raw"]);
        assert_eq!(made.images, 6);
        let left = made.left_out.iter().map(|(file, _)| file.to_string_lossy());
        let left: Vec<String> = left.map(|file| file.into_owned()).collect();
        assert_eq!(left, ["c.raw.xz", "x\u{7}.img", "\u{fffd}.img"]);
        let many: Vec<OsString> = (10..35).map(|number| format!("{number}.img").into()).collect();
        let made = starter(&many);
        assert_eq!((made.images, made.left_out.len()), (20, 5));
    }
}
