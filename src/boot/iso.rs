//! A writer of ISO 9660 images (ECMA-119) with Rock Ridge names (IEEE P1282), for the few small files of a config drive.
//!
//! Plain names of ISO 9660 are in capitals and end in a version. Linux maps them, others do not; the Rock Ridge names say
//! the ones that are meant.

/// Bytes of a logical sector (ECMA-119, 6.1.2).
const SECTOR: usize = 2048;
/// Sectors before the volume descriptors (ECMA-119, 6.2.1).
const SYSTEM_AREA: usize = 16;
/// Volume descriptor, terminator, and the two path tables, a sector each.
const BEFORE_ROOT: usize = SYSTEM_AREA + 4;
/// Longest name: record, name and Rock Ridge fields stay below the 255 bytes of a record.
const LONGEST_NAME: usize = 30;

/// A directory or a file.
pub(super) enum Node {
    /// A directory, with what is in it.
    Directory(&'static str, Vec<Node>),
    /// A file, with its bytes.
    File(&'static str, Vec<u8>),
}

/// Where something is, in sectors, and its bytes.
#[derive(Clone, Copy)]
struct Extent {
    sector: usize,
    bytes: usize,
}

/// A directory that has its place.
struct Directory<'a> {
    name: &'static str,
    parent: usize,
    entries: &'a [Node],
    extent: Extent,
}

/// The image of a volume with this label, at most 32 characters, and these entries in its root.
pub(super) fn image(label: &str, root: &[Node]) -> Vec<u8> {
    let mut directories = vec![Directory { name: "", parent: 0, entries: root, extent: NOWHERE }];
    let mut next = 0;
    // Breadth first, as the path table wants it.
    while let Some(Directory { entries, .. }) = directories.get(next) {
        for entry in entries.iter() {
            if let Node::Directory(name, entries) = entry {
                directories.push(Directory { name, parent: next, entries, extent: NOWHERE });
            }
        }
        next += 1;
    }
    let mut sector = BEFORE_ROOT;
    for directory in &mut directories {
        let sizes = directory
            .entries
            .iter()
            .map(|entry| record(entry.name(), entry.is_directory(), NOWHERE, &[]).len());
        let dots = record_of_dot(0, NOWHERE, true).len() + record_of_dot(1, NOWHERE, false).len();
        let bytes = sizes.fold(dots, packed).next_multiple_of(SECTOR);
        directory.extent = Extent { sector, bytes };
        sector += bytes / SECTOR;
    }
    let mut out = Vec::new();
    let mut files = Vec::new();
    for (number, directory) in directories.iter().enumerate() {
        let parent = directories[directory.parent].extent;
        let mut bytes = record_of_dot(0, directory.extent, number == 0);
        bytes.extend(record_of_dot(1, parent, false));
        for entry in sorted(directory.entries) {
            let extent = match entry {
                Node::Directory(name, _) => directories
                    .iter()
                    .find(|it| it.parent == number && it.name == *name)
                    .map_or(NOWHERE, |it| it.extent),
                Node::File(_, content) => {
                    let extent = Extent { sector, bytes: content.len() };
                    files.push((extent, content));
                    sector += content.len().div_ceil(SECTOR);
                    extent
                }
            };
            let record = record(entry.name(), entry.is_directory(), extent, &[]);
            bytes.resize(packed(bytes.len(), record.len()) - record.len(), 0);
            bytes.extend(record);
        }
        put(&mut out, directory.extent, &bytes);
    }
    for (extent, content) in files {
        put(&mut out, extent, content);
    }
    out.resize(sector * SECTOR, 0);
    let little = path_table(&directories, u32::to_le_bytes, u16::to_le_bytes);
    let big = path_table(&directories, u32::to_be_bytes, u16::to_be_bytes);
    put(&mut out, at(SYSTEM_AREA + 2), &little);
    put(&mut out, at(SYSTEM_AREA + 3), &big);
    put(&mut out, at(SYSTEM_AREA), &descriptor(label, sector, little.len(), directories[0].extent));
    put(&mut out, at(SYSTEM_AREA + 1), b"\xffCD001\x01");
    out
}

const NOWHERE: Extent = Extent { sector: 0, bytes: 0 };

fn at(sector: usize) -> Extent {
    Extent { sector, bytes: SECTOR }
}

impl Node {
    fn name(&self) -> &'static str {
        match self {
            Node::Directory(name, _) | Node::File(name, _) => name,
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self, Node::Directory(..))
    }
}

/// The entries in the order of their names in ISO 9660 (ECMA-119, 9.3).
fn sorted(entries: &[Node]) -> Vec<&Node> {
    let mut sorted: Vec<&Node> = entries.iter().collect();
    sorted.sort_by_key(|entry| plain(entry.name(), entry.is_directory()));
    sorted
}

/// Bytes of a directory after one more record: no record goes over the end of a sector (ECMA-119, 6.8.1.1).
fn packed(bytes: usize, record: usize) -> usize {
    let left = SECTOR - bytes % SECTOR;
    if record > left { bytes + left + record } else { bytes + record }
}

fn put(out: &mut Vec<u8>, extent: Extent, bytes: &[u8]) {
    let start = extent.sector * SECTOR;
    let end = start + bytes.len();
    out.resize(out.len().max(end), 0);
    out[start..end].copy_from_slice(bytes);
}

/// The name in capitals; of a file with a dot and a version (ECMA-119, 7.5).
fn plain(name: &str, is_directory: bool) -> String {
    let name = name.to_ascii_uppercase();
    match (is_directory, name.contains('.')) {
        (true, _) => name,
        (false, true) => name + ";1",
        (false, false) => name + ".;1",
    }
}

/// A number in both byte orders (ECMA-119, 7.3.3).
fn both(number: usize) -> [u8; 8] {
    // What is written here is a few sectors long.
    let number = number as u32;
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn both_short(number: u16) -> [u8; 4] {
    let [a, b] = number.to_le_bytes();
    [a, b, b, a]
}

/// A record of a directory (ECMA-119, 9.1), with `system` in its system use area.
fn raw_record(name: &[u8], is_directory: bool, extent: Extent, system: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both(extent.sector));
    record.extend(both(extent.bytes));
    // The first of January 2026, at midnight in UTC: nobody asks.
    record.extend([126, 1, 1, 0, 0, 0, 0]);
    record.extend([if is_directory { 2 } else { 0 }, 0, 0]);
    record.extend(both_short(1));
    record.push(name.len() as u8);
    record.extend(name);
    record.resize(record.len().next_multiple_of(2), 0);
    record.extend(system);
    record.resize(record.len().next_multiple_of(2), 0);
    record[0] = record.len() as u8;
    record
}

fn record(name: &str, is_directory: bool, extent: Extent, more: &[u8]) -> Vec<u8> {
    debug_assert!(name.len() <= LONGEST_NAME, "{name}");
    let mut system = posix(is_directory);
    system.extend([b'N', b'M', 5 + name.len() as u8, 1, 0]);
    system.extend(name.as_bytes());
    system.extend(more);
    raw_record(plain(name, is_directory).as_bytes(), is_directory, extent, &system)
}

/// The record of a directory itself (0) or of the one that it is in (1). That of the root says that there is Rock Ridge
/// (IEEE P1281, 5.3 and 5.5).
fn record_of_dot(which: u8, extent: Extent, is_root: bool) -> Vec<u8> {
    let mut system = Vec::new();
    if is_root {
        system.extend(b"SP\x07\x01\xbe\xef\x00");
    }
    system.extend(posix(true));
    if is_root {
        system.extend(b"ER\x12\x01\x0a\x00\x00\x01RRIP_1991A");
    }
    raw_record(&[which], true, extent, &system)
}

/// Who may read it: all may, and nobody may write (IEEE P1282, 4.1.1).
fn posix(is_directory: bool) -> Vec<u8> {
    let (mode, links) = if is_directory { (0o040_555, 2) } else { (0o100_444, 1) };
    let mut field = b"PX\x24\x01".to_vec();
    for number in [mode, links, 0, 0] {
        field.extend(both(number));
    }
    field
}

/// The path table (ECMA-119, 9.4), in one of the two byte orders.
fn path_table(
    directories: &[Directory<'_>],
    long: fn(u32) -> [u8; 4],
    short: fn(u16) -> [u8; 2],
) -> Vec<u8> {
    let mut table = Vec::new();
    for directory in directories {
        let name = match plain(directory.name, true) {
            root if root.is_empty() => vec![0],
            name => name.into_bytes(),
        };
        table.extend([name.len() as u8, 0]);
        table.extend(long(directory.extent.sector as u32));
        table.extend(short(directory.parent as u16 + 1));
        table.extend(&name);
        table.resize(table.len().next_multiple_of(2), 0);
    }
    table
}

/// The primary volume descriptor (ECMA-119, 8.4).
fn descriptor(label: &str, sectors: usize, path_table: usize, root: Extent) -> Vec<u8> {
    let mut bytes = vec![0; SECTOR];
    bytes[..7].copy_from_slice(b"\x01CD001\x01");
    bytes[8..72].fill(b' ');
    let label = label.as_bytes();
    let length = label.len().min(32);
    bytes[40..40 + length].copy_from_slice(&label[..length]);
    bytes[80..88].copy_from_slice(&both(sectors));
    bytes[120..124].copy_from_slice(&both_short(1));
    bytes[124..128].copy_from_slice(&both_short(1));
    bytes[128..132].copy_from_slice(&both_short(SECTOR as u16));
    bytes[132..140].copy_from_slice(&both(path_table));
    bytes[140..144].copy_from_slice(&(SYSTEM_AREA as u32 + 2).to_le_bytes());
    bytes[148..152].copy_from_slice(&(SYSTEM_AREA as u32 + 3).to_be_bytes());
    bytes[156..190].copy_from_slice(&raw_record(&[0], true, root, &[]));
    bytes[190..813].fill(b' ');
    // Created and modified at the same moment; never expires, and counts at once.
    for from in [813, 830] {
        bytes[from..from + 17].copy_from_slice(b"2026010100000000\0");
    }
    for from in [847, 864] {
        bytes[from..from + 17].copy_from_slice(b"0000000000000000\0");
    }
    bytes[881] = 1;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn tree() -> Vec<Node> {
        let files = vec![
            Node::File("user_data", Vec::new()),
            Node::File("meta_data.json", b"{\"a\": 1}".to_vec()),
            Node::File("vendor_data.json", vec![b' '; 5000]),
        ];
        vec![
            Node::Directory("openstack", vec![Node::Directory("latest", files)]),
            Node::Directory("other", Vec::new()),
        ]
    }

    #[test]
    fn records_stay_within_sectors() {
        assert_eq!(packed(0, 100), 100);
        assert_eq!(packed(2000, 48), 2048);
        assert_eq!(packed(2000, 49), 2048 + 49);
        assert_eq!(packed(2048, 10), 2058);
    }

    #[test]
    fn another_reader_finds_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let (image_file, out) = (folder.path().join("image.iso"), folder.path().join("out"));
        std::fs::write(&image_file, image("config-2", &tree())).unwrap();
        let mut xorriso = Command::new("xorriso");
        xorriso
            .args(["-report_about", "SORRY", "-abort_on", "SORRY", "-osirrox", "on", "-indev"])
            .arg(&image_file);
        let Ok(ran) = xorriso.args(["-extract", "/"]).arg(&out).output() else {
            assert!(std::env::var_os("CI").is_none(), "xorriso is missing");
            return;
        };
        // It ends with an error if there is anything to be sorry about.
        assert!(ran.status.success(), "{ran:?}");
        let read = |name: &str| std::fs::read(out.join("openstack/latest").join(name)).unwrap();
        assert_eq!(read("meta_data.json"), b"{\"a\": 1}");
        assert_eq!(read("vendor_data.json"), vec![b' '; 5000]);
        assert_eq!(read("user_data"), b"");
        assert!(out.join("other").is_dir());
    }

    #[test]
    fn its_label_is_where_linux_looks() {
        let image = image("config-2", &tree());
        assert_eq!(image.len() % SECTOR, 0);
        assert_eq!(&image[0x8001..0x8006], b"CD001");
        assert_eq!(&image[0x8028..0x8032], b"config-2  ");
    }
}
