//! File systems of ext2, ext3 and ext4, made by mke2fs and debugfs without root, and read by debugfs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub(crate) use crate::sample::{done, have, program};
use tidegate::inspect::bodies::{self, GuestFile, GuestFiles};

/// Bytes of a file that are compared at most.
const MOST: usize = 80 << 20;

/// Makes a file system of a directory.
pub(crate) fn mke2fs(image: &Path, directory: &Path, arguments: &str, size: &str) {
    let mut command = program("mke2fs");
    command.args(["-q", "-F", "-E", "root_owner=0:0"]).args(arguments.split_whitespace());
    done(command.arg("-d").arg(directory).arg(image).arg(size));
}

/// Runs commands of debugfs, and returns what it prints.
pub(crate) fn debugfs(image: &Path, commands: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("commands");
    fs::write(&script, commands).unwrap();
    let mut command = program("debugfs");
    let output = done(command.arg("-w").arg("-f").arg(&script).arg(image));
    output.stdout
}

/// The same, each line of which has to have an effect: debugfs says errors and goes on.
pub(crate) fn edit(image: &Path, commands: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("commands");
    fs::write(&script, commands).unwrap();
    let mut command = program("debugfs");
    let output = done(command.arg("-w").arg("-f").arg(&script).arg(image));
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("debugfs 1.")).collect();
    assert!(said.is_empty(), "{said:?}");
}

/// What this reader makes of an image.
pub(crate) fn read(image: &Path) -> Result<GuestFiles, String> {
    let file = File::open(image).unwrap();
    let size = file.metadata().unwrap().len();
    bodies::guest_files(|at, buf| file.read_at(buf, at).unwrap(), size, MOST)
}

/// Its files by path.
pub(crate) fn by_path(files: &GuestFiles) -> BTreeMap<&[u8], &GuestFile> {
    files.files.iter().map(|file| (&file.path[..], file)).collect()
}

/// Holds all that is read of an image against what debugfs says of it; returns it.
pub(crate) fn agree(image: &Path) -> GuestFiles {
    let ours = read(image).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    agree_on(&ours, image);
    ours
}

/// The same of what was read elsewhere.
pub(crate) fn agree_on(ours: &GuestFiles, image: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let directories = ours.files.iter().filter(|file| file.kind == 'd');
    let numbers: Vec<u64> = directories.map(|file| file.number).collect();
    let listings: Vec<String> =
        numbers.iter().map(|number| format!("ls -p <{number}>\n")).collect();
    let said = debugfs(image, &format!("rdump / {out}\nstats -h\n{}", listings.concat()));

    let theirs = dumped(folder.path());
    let mine = by_path(ours);
    let of = |file: &GuestFile| (file.kind, file.contents.clone());
    for (path, (kind, contents)) in &theirs {
        let name = String::from_utf8_lossy(path);
        let file = mine.get(&path[..]).unwrap_or_else(|| panic!("{name} is missing"));
        let (our_kind, our_contents) = of(file);
        assert_eq!(our_kind, *kind, "{name}");
        let our_contents = our_contents.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            is_same(&our_contents, contents),
            "{name} has other contents: {} and {} bytes",
            our_contents.len(),
            contents.len()
        );
    }
    for (path, file) in &mine {
        let name = String::from_utf8_lossy(path);
        // What is no file is not dumped without root.
        let is_there = file.kind == 's' || path.is_empty() || theirs.contains_key(*path);
        assert!(is_there, "{name} is not there");
    }
    agree_on_inodes(ours, &said);
    agree_on_space(ours, &said);
}

/// Of a file in its inode debugfs gives the 60 bytes that it has room for, where Linux goes by the size of the file.
fn is_same(ours: &[u8], theirs: &[u8]) -> bool {
    let (common, ours_left, theirs_left) = {
        let len = ours.len().min(theirs.len());
        (ours[..len] == theirs[..len], &ours[len..], &theirs[len..])
    };
    let are_zeros = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    let may_differ = theirs.len() == 60 && are_zeros(ours_left) && are_zeros(theirs_left);
    common && (ours.len() == theirs.len() || may_differ)
}

/// What rdump made: kind and contents by path.
fn dumped(folder: &Path) -> BTreeMap<Vec<u8>, (char, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inner) = todo.pop() {
        for entry in fs::read_dir(folder.join(&inner)).unwrap() {
            let entry = entry.unwrap();
            let path = inner.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            let value = if kind.is_dir() {
                // Modes are those of the image.
                fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700)).unwrap();
                todo.push(path.clone());
                ('d', Vec::new())
            } else if kind.is_symlink() {
                ('l', fs::read_link(entry.path()).unwrap().into_os_string().into_vec())
            } else {
                ('-', fs::read(entry.path()).unwrap())
            };
            found.insert(path.into_os_string().into_vec(), value);
        }
    }
    found
}

/// Numbers, modes, owners and sizes, from lines `/12/100644/0/0/name/3/`.
fn agree_on_inodes(ours: &GuestFiles, said: &[u8]) {
    let mut of: BTreeMap<(u64, &[u8]), &GuestFile> = BTreeMap::new();
    for file in &ours.files {
        let name = file.path.rsplit(|&byte| byte == b'/').next().unwrap();
        of.insert((file.number, name), file);
    }
    let mut compared = 0;
    for line in said.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"/")) {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b'/').collect();
        let [_, number, mode, uid, gid, name, size, ..] = fields[..] else { continue };
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
        if name == b"." || name == b".." || number == b"0" {
            continue;
        }
        let file = of[&(text(number).parse().unwrap(), name)];
        let mode = u32::from_str_radix(&text(mode), 8).unwrap();
        assert_eq!(u32::from(file.mode), mode & 0o7777, "{name:?}");
        let id = |field| text(field).parse::<i64>().unwrap() as u32; // printed with a sign
        assert_eq!((file.uid, file.gid), (id(uid), id(gid)));
        if file.kind == '-' {
            assert_eq!(file.size, text(size).parse::<u64>().unwrap(), "{name:?}");
        }
        compared += 1;
    }
    assert_eq!(compared + 1, ours.files.len(), "files are compared");
}

fn agree_on_space(ours: &GuestFiles, said: &[u8]) {
    let said = String::from_utf8_lossy(said);
    let number = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let size = number("Block size:");
    let theirs = [
        number("Block count:") * size,
        number("Free blocks:") * size,
        number("Inode count:"),
        number("Free inodes:"),
    ];
    assert_eq!(ours.space.as_ref().unwrap(), &theirs);
}

/// A name that may have any bytes.
pub(crate) fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
