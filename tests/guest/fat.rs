//! FAT12, FAT16 and FAT32, made by mkfs.vfat and filled by mtools, against what mtools reads of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::debugfs::{by_path, read};
use crate::disks::{done, have, program};
use crate::ext::pattern;

/// A program of mtools on an image, with names in UTF-8.
fn mtools(name: &str, image: &Path) -> Command {
    let mut command = Command::new(name);
    command.env("LC_ALL", "C.UTF-8").env("MTOOLS_SKIP_CHECK", "0").arg("-i").arg(image);
    command
}

/// Files and directories below a folder, by path.
fn below(folder: &Path) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![String::new()];
    while let Some(inner) = todo.pop() {
        for entry in fs::read_dir(folder.join(&inner)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            let contents = match entry.file_type().unwrap().is_dir() {
                true => {
                    todo.push(path.clone());
                    None
                }
                false => Some(fs::read(entry.path()).unwrap()),
            };
            found.insert(path.into_bytes(), contents);
        }
    }
    found
}

fn plant(root: &Path) {
    for folder in ["EFI/BOOT", "EFI/debian", "loader/entries", "many"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let names = [
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/debian/grub.cfg",
        "EFI/debian/shimx64.efi",
        "loader/entries/0123456789abcdef0123456789abcdef-6.1.0-13-amd64.conf",
        "UPPER.TXT",
        "lower.txt",
        "MixedCase.Txt",
        "a name with spaces and.several.dots",
        "ünïcödé – 日本.txt",
        "exactly-13-ch",
        "exactly-26-characters-here",
        "no-extension",
    ];
    for (index, name) in names.iter().enumerate() {
        fs::write(root.join(name), pattern(index * 7919, index as u64)).unwrap();
    }
    fs::write(root.join("l".repeat(200)), "long").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("large"), pattern(600_000, 99)).unwrap();
    for index in 0..150 {
        fs::write(root.join(format!("many/file number {index}")), format!("{index}")).unwrap();
    }
}

const KINDS: [(&str, u64); 6] = [
    ("-F 12 -s 4", 4 << 20),
    ("-F 12 -f 1 -r 512", 4 << 20),
    ("-F 16 -s 1", 16 << 20),
    ("-F 16 -s 8 -S 1024", 64 << 20),
    ("-F 32 -s 1", 40 << 20),
    ("-F 32 -s 8 -R 40", 300 << 20),
];

#[test]
fn all_kinds_are_read_as_mtools_reads_them() {
    if !have(&["mkfs.vfat", "mcopy"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    plant(&root);
    for (number, (arguments, size)) in KINDS.into_iter().enumerate() {
        let image = folder.path().join("image");
        fs::File::create(&image).unwrap().set_len(size).unwrap();
        let mut make = program("mkfs.vfat");
        done(make.args(arguments.split(' ')).args(["-n", "LABEL"]).arg(&image));
        let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
        done(mtools("mcopy", &image).args(["-s", "-Q"]).args(entries).arg("::/"));
        // Holes in directories, and clusters that do not lie in a row.
        for index in [3, 4, 5, 77] {
            done(mtools("mdel", &image).arg(format!("::/many/file number {index}")));
        }
        done(mtools("mdel", &image).arg("::/EFI/debian/shimx64.efi"));
        let again = folder.path().join("again");
        fs::write(&again, pattern(90_000, 5)).unwrap();
        done(mtools("mcopy", &image).arg(&again).arg("::/EFI/BOOT/again"));

        let out = folder.path().join(format!("out-{number}"));
        fs::create_dir(&out).unwrap();
        done(mtools("mcopy", &image).args(["-s", "-n", "-Q", "::/*"]).arg(&out));
        let theirs = below(&out);
        let ours = read(&image).unwrap();
        assert_eq!(ours.state, "Clean", "{arguments}");
        let mine = by_path(&ours);
        assert_eq!(mine.len(), theirs.len() + 1, "{arguments}");
        for (path, contents) in &theirs {
            let name = String::from_utf8_lossy(path);
            let file = mine.get(&path[..]).unwrap_or_else(|| panic!("{arguments}: no {name}"));
            assert_eq!(file.kind, if contents.is_some() { '-' } else { 'd' });
            let found = file.contents.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(found == contents.as_deref().unwrap_or_default(), "{arguments}: {name}");
        }
        // `mdir` says how much is free, with spaces in the number.
        let said = done(mtools("mdir", &image).arg("::/")).stdout;
        let said = String::from_utf8(said).unwrap();
        let line = said.lines().find(|line| line.ends_with("bytes free")).unwrap();
        let free: String = line.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(ours.space.unwrap()[1], free.parse::<u64>().unwrap(), "{arguments}");
        fs::remove_file(&image).unwrap();
    }
}
