//! The remedies of the catalogue with the names of the case: commands that can be pasted as they are printed.

use super::name;
use crate::facts::{Code, Compression, Layer};
use crate::rules::row;

/// What to do about a finding in a file of this name.
pub(super) fn remedy_of(
    code: Code,
    layer: Layer,
    compression: Option<Compression>,
    shown: &str,
) -> String {
    match compression {
        // Repacking takes the image out of it anyway.
        Some(packed) if layer != Layer::File && !row(code).repairable => {
            decompressed(row(code).remedy, shown, packed)
        }
        _ => remedy(row(code).remedy, shown),
    }
}

/// The remedy for what is wrong with a packed image: its commands take the image decompressed. QEMU
/// would take the packed file for a raw disk without a word.
fn decompressed(template: &str, file: &str, packed: Compression) -> String {
    let tool = match packed {
        Compression::Gzip => "gzip",
        Compression::Bzip2 => "bzip2",
        _ => return remedy(template, file),
    };
    if !has_name(file) && template.contains("FILE") {
        return format!("Decompress it first. {template}");
    }
    let stem = name::unpacked(file).map(|(stem, _)| stem);
    let target = stem.filter(|stem| !stem.is_empty() && !stem.ends_with('/')).unwrap_or("disk.img");
    let then = remedy(template, target);
    if then == template {
        return then;
    }
    let into = remedy("FILE", target);
    format!("{} > {into}`. {then}", remedy(&format!("Decompress it first: `{tool} -dc FILE"), file))
}

/// Whether a command can be given this name. An escaped name is not the file's name, and backticks enclose commands.
fn has_name(file: &str) -> bool {
    file != "-" && !file.contains("://") && !file.contains('\\') && !file.contains(['…', '`'])
}

/// The remedy with the name of the image in the place of `FILE`, quoted for a shell where needed.
fn remedy(template: &str, file: &str) -> String {
    if !has_name(file) {
        return template.to_owned();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    // A name that looks like an option has to be told from one.
    let file = if file.starts_with('-') { format!("./{file}") } else { file.to_owned() };
    let shown =
        if file.chars().all(plain) { file } else { format!("'{}'", file.replace('\'', "'\\''")) };
    template
        .split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| match word.strip_prefix("FILE") {
            Some(rest) if rest.chars().all(|c| !c.is_ascii_alphanumeric()) => {
                format!("{shown}{rest}")
            }
            _ => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_name_the_file() {
        let template = "Flatten it: qemu-img convert -O qcow2 FILE flat.qcow2. PROFILE stays.";
        assert_eq!(
            remedy(template, "a/disk.img"),
            "Flatten it: qemu-img convert -O qcow2 a/disk.img flat.qcow2. PROFILE stays."
        );
        assert_eq!(remedy("x `y FILE`.", "my disk"), "x `y 'my disk'`.");
        assert_eq!(remedy("x `y FILE`.", "a`b"), "x `y FILE`.");
        assert_eq!(remedy("x FILE.", "-"), "x FILE.");
        assert_eq!(remedy("x FILE.", "-rf"), "x ./-rf.");
        assert_eq!(remedy("x FILE.", "a\\u{1b}b"), "x FILE.");
    }

    #[test]
    fn remedies_of_packed_images_decompress_first() {
        let told = |template, file| decompressed(template, file, Compression::Gzip);
        assert_eq!(
            told("Look: file -s FILE.", "a b.raw.gz"),
            "Decompress it first: `gzip -dc 'a b.raw.gz' > 'a b.raw'`. Look: file -s 'a b.raw'."
        );
        assert_eq!(
            told("x FILE.", "packed"),
            "Decompress it first: `gzip -dc packed > disk.img`. x disk.img."
        );
        assert_eq!(told("Build it again.", "disk.gz"), "Build it again.");
        assert_eq!(told("x FILE.", "-"), "Decompress it first. x FILE.");
        assert_eq!(decompressed("x FILE.", "d.vdi", Compression::None), "x d.vdi.");
    }
}
