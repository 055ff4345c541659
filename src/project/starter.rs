use std::fmt::Write;

/// Endings of files that are taken for images.
const ENDINGS: [&str; 6] = ["qcow2", "img", "raw", "vmdk", "vdi", "vhdx"];

/// More images than this are not written down.
const MOST: usize = 20;

/// The text of a new `tidegate.toml`, for a folder with these files.
#[must_use]
pub fn starter(files: &[String]) -> String {
    let mut images: Vec<&String> = files.iter().filter(|file| is_image(file)).collect();
    images.sort_unstable();
    images.truncate(MOST);
    let mut text = HEAD.to_owned();
    let mut names: Vec<&str> = Vec::new();
    for file in images {
        let stem = file.split('.').next().filter(|stem| !stem.is_empty() && !names.contains(stem));
        let name = stem.unwrap_or(file);
        names.push(name);
        let _ = write!(text, "\n[[image]]\nname = {}\npath = {}\n", quoted(name), quoted(file));
    }
    if names.is_empty() {
        text.push_str(EXAMPLE);
    }
    text.push_str(TAIL);
    text
}

fn is_image(file: &str) -> bool {
    let unpacked = file.strip_suffix(".gz").or(file.strip_suffix(".bz2")).unwrap_or(file);
    unpacked.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && ENDINGS.contains(&ending) && !file.chars().any(char::is_control)
    })
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const HEAD: &str = "\
# The images of this project, for tidegate: `tidegate check` checks all of them, `tidegate push NAME` brings one to
# DigitalOcean. `tidegate config` shows what counts and why. Options on the command line beat this file.
#
# This file is not trusted with credentials, servers, proxies or certificates: those come from the environment.

# What all images have in common. Each image may say otherwise.
[defaults]
# regions = [\"fra1\", \"ams3\"]       # imported to the first one, copied to the others
# distribution = \"Debian\"
# description = \"Built from this repository\"
# tags = [\"golden\"]
# bucket = \"my-images\"             # where a push stages files; SPACES_BUCKET beats it
# max_size = \"100GB\"               # image and disk have to stay under it
# strict = true                    # refuse warnings too
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
    use super::*;

    #[test]
    fn only_images_are_written_down() {
        let files = ["b.qcow2.gz", "a b\"c.img", "README.md", ".img", "notes.gz", "b.raw"];
        let text = starter(&files.map(str::to_owned));
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        let images = parsed["image"].as_array().unwrap();
        let of = |key: &str| images.iter().map(|i| i[key].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("path"), ["a b\"c.img", "b.qcow2.gz", "b.raw"]);
        assert_eq!(of("name"), ["a b\"c", "b", "b.raw"]);
    }
}
