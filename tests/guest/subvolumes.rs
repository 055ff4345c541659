//! btrfs with subvolumes and compressed extents, made here: mkfs.btrfs made neither for a long time.

use std::fs;
use std::io::Write as _;

use tidegate::inspect::bodies;

use crate::disks::{done, have, program};
use crate::ext::pattern;

const NODE: usize = 16 << 10;
/// Where the only chunk begins, on the volume and in its addresses.
const CHUNK: u64 = 1 << 20;
const LEN: u64 = 4 << 20;
const DATA: u64 = CHUNK + (1 << 20);

type Item = ((u64, u8, u64), Vec<u8>);

fn le(numbers: &[(usize, u64)]) -> Vec<u8> {
    numbers.iter().flat_map(|&(len, number)| number.to_le_bytes()[..len].to_vec()).collect()
}

fn key((object, kind, offset): (u64, u8, u64)) -> Vec<u8> {
    le(&[(8, object), (1, kind.into()), (8, offset)])
}

fn seal(bytes: &mut [u8]) {
    let sum = crc32c::crc32c(&bytes[32..]).to_le_bytes();
    bytes[..4].copy_from_slice(&sum);
}

/// A leaf at the place of this number, of the tree with this one.
fn leaf(disk: &mut [u8], place: u64, owner: u64, mut items: Vec<Item>) {
    items.sort_by_key(|(key, _)| *key);
    let at = CHUNK + place * NODE as u64;
    let mut node = vec![0; NODE];
    node[32..48].fill(7);
    node[48..56].copy_from_slice(&at.to_le_bytes());
    node[80] = 1;
    node[88..96].copy_from_slice(&owner.to_le_bytes());
    node[96..100].copy_from_slice(&(items.len() as u32).to_le_bytes());
    let mut end = NODE;
    for (index, (name, data)) in items.iter().enumerate() {
        end -= data.len();
        node[end..end + data.len()].copy_from_slice(data);
        let place = [key(*name), le(&[(4, (end - 101) as u64), (4, data.len() as u64)])].concat();
        node[101 + 25 * index..126 + 25 * index].copy_from_slice(&place);
    }
    seal(&mut node);
    disk[at as usize..at as usize + NODE].copy_from_slice(&node);
}

fn hash(name: &str) -> u64 {
    u64::from(!crc32c::crc32c_append(1, name.as_bytes()))
}

/// The entry of a directory, by its hash and by its number.
fn entry(directory: u64, index: u64, name: &str, target: (u64, u8, u64)) -> [Item; 2] {
    let mut item = [key(target), le(&[(8, 1), (2, 0), (2, name.len() as u64), (1, 2)])].concat();
    item.extend_from_slice(name.as_bytes());
    [((directory, 84, hash(name)), item.clone()), ((directory, 96, index), item)]
}

fn inode(number: u64, mode: u64, size: u64) -> Item {
    let mut item = vec![0; 160];
    item[16..24].copy_from_slice(&size.to_le_bytes());
    item[44..56].copy_from_slice(&le(&[(4, 1000), (4, 1001), (4, mode)]));
    item[136..144].copy_from_slice(&1_700_000_000u64.to_le_bytes());
    ((number, 1, 0), item)
}

fn inline(number: u64, contents: &[u8]) -> Item {
    let len = contents.len() as u64;
    ((number, 108, 0), [le(&[(8, 1), (8, len), (5, 0)]), contents.to_vec()].concat())
}

/// An extent of `len` bytes from `skip` bytes into what `packed` bytes at `at` unpack to.
fn extent(
    number: u64,
    from: u64,
    method: u64,
    (at, packed, skip, len): (u64, u64, u64, u64),
) -> Item {
    let whole = 128 << 10;
    let head = le(&[(8, 1), (8, whole), (1, method), (3, 0), (1, 1)]);
    ((number, 108, from), [head, le(&[(8, at), (8, packed), (8, skip), (8, len)])].concat())
}

fn root(number: u64, place: u64) -> Item {
    let mut item = vec![0; 439];
    item[168..176].copy_from_slice(&256u64.to_le_bytes());
    item[176..184].copy_from_slice(&(CHUNK + place * NODE as u64).to_le_bytes());
    item[216] = 1;
    ((number, 132, 0), item)
}

fn reference(parent: u64, child: u64, name: &str) -> Item {
    let head = le(&[(8, 256), (8, 2), (2, name.len() as u64)]);
    ((parent, 156, child), [&head, name.as_bytes()].concat())
}

/// The volume, and what its compressed files have.
fn volume() -> (Vec<u8>, Vec<u8>) {
    let mut disk = vec![0; (CHUNK + LEN) as usize];
    let text = pattern(100, 3).repeat(1311)[..128 << 10].to_vec();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&text).unwrap();
    let zlib = zlib.finish().unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(&text[..], level);
    for (at, bytes) in [(DATA, &zlib), (DATA + (128 << 10), &zstd), (DATA + (256 << 10), &text)] {
        assert!(bytes.len() <= 128 << 10);
        disk[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }
    let padded = |bytes: &[u8]| bytes.len().next_multiple_of(4096) as u64;
    let chunk = [
        le(&[
            (8, LEN),
            (8, 2),
            (8, 65536),
            (8, 7),
            (4, 4096),
            (4, 4096),
            (4, 4096),
            (2, 1),
            (2, 0),
        ]),
        le(&[(8, 1), (8, CHUNK)]),
        vec![9; 16],
    ]
    .concat();
    leaf(&mut disk, 0, 3, vec![((256, 228, CHUNK), chunk.clone())]);
    let default = entry(6, 0, "default", (256, 132, u64::MAX))[0].clone();
    leaf(
        &mut disk,
        1,
        1,
        vec![
            root(5, 2),
            reference(5, 256, "@"),
            default,
            root(256, 3),
            reference(256, 257, "snap"),
            root(257, 4),
        ],
    );
    let mut top = vec![inode(256, 0o40755, 0)];
    top.extend(entry(256, 2, "@", (256, 132, u64::MAX)));
    leaf(&mut disk, 2, 5, top);
    let fstab = b"LABEL=tide / btrfs subvol=@ 0 0\n/dev/vda /sub btrfs rw,subvol=/@/snap 0 0\n\
                  /dev/vda /none btrfs subvol=@/etc 0 0\n/dev/vda /top btrfs subvolid=5 0 0\n";
    let size = 128 << 10;
    let mut items = vec![
        inode(256, 0o40755, 0),
        inode(257, 0o40755, 0),
        inode(258, 0o120777, 7),
        inline(258, b"usr/bin"),
        inode(259, 0o100644, size),
        extent(259, 0, 1, (DATA, padded(&zlib), 0, size)),
        inode(260, 0o100644, size + 8192),
        extent(260, 0, 3, (DATA + (128 << 10), padded(&zstd), 0, 65536)),
        // A hole, then the middle of what is packed, and of what is not.
        extent(260, 65536 + 4096, 3, (DATA + (128 << 10), padded(&zstd), 65536, 32768)),
        extent(260, 102_400, 0, (DATA + (256 << 10), size, 4096, 28672)),
        inode(261, 0o100644, fstab.len() as u64),
        inline(261, fstab),
        inode(262, 0o100600, 4),
    ];
    for (index, (name, target)) in [
        ("etc", (257, 1, 0)),
        ("bin", (258, 1, 0)),
        ("zlib", (259, 1, 0)),
        ("zstd", (260, 1, 0)),
        ("snap", (257, 132, u64::MAX)),
        ("ghost", (300, 132, u64::MAX)),
    ]
    .into_iter()
    .enumerate()
    {
        items.extend(entry(256, 2 + index as u64, name, target));
    }
    items.extend(entry(257, 2, "fstab", (261, 1, 0)));
    leaf(&mut disk, 3, 256, items);
    let mut snap = vec![inode(256, 0o40755, 0), inode(257, 0o100644, 6), inline(257, b"inside")];
    snap.extend(entry(256, 2, "inside", (257, 1, 0)));
    leaf(&mut disk, 4, 257, snap);
    let mut block = vec![0; 4096];
    block[32..48].fill(7);
    let place = |number: u64| CHUNK + number * NODE as u64;
    for (at, len, number) in [
        (48, 8, 0x10000),
        (72, 8, 1),
        (80, 8, place(1)),
        (88, 8, place(0)),
        (112, 8, CHUNK + LEN),
        (120, 8, 1 << 20),
        (128, 8, 6),
        (136, 8, 1),
        (144, 4, 4096),
        (148, 4, NODE as u64),
        (152, 4, NODE as u64),
        (156, 4, 4096),
        (160, 4, 17 + chunk.len() as u64),
        (164, 8, 1),
        (188, 8, 0x345),
        (201, 8, 1),
    ] {
        block[at..at + len].copy_from_slice(&number.to_le_bytes()[..len]);
    }
    block[64..72].copy_from_slice(b"_BHRfS_M");
    block[299..303].copy_from_slice(b"tide");
    let list = [key((256, 228, CHUNK)), chunk].concat();
    block[811..811 + list.len()].copy_from_slice(&list);
    seal(&mut block);
    disk[0x10000..0x11000].copy_from_slice(&block);
    (disk, text)
}

#[test]
fn subvolumes_and_compressed_extents_are_read() {
    let (disk, text) = volume();
    let read = |at: u64, buf: &mut [u8]| {
        let count = buf.len().min(disk.len() - at as usize);
        buf[..count].copy_from_slice(&disk[at as usize..at as usize + count]);
        count
    };
    let ours = bodies::guest_file_system("btrfs", read, disk.len() as u64, 1 << 20).unwrap();
    assert_eq!(ours.state, "Clean");
    let file = |path: &str| {
        let file = ours.files.iter().find(|file| file.path == path.as_bytes());
        file.unwrap_or_else(|| panic!("{path} is missing: {ours:?}"))
    };
    assert!(*file("zlib").contents.as_ref().unwrap() == text);
    let expected =
        [&text[..65536], &[0; 4096], &text[65536..98304], &text[4096..32768], &[0; 8192]].concat();
    assert!(*file("zstd").contents.as_ref().unwrap() == expected);
    assert_eq!(file("bin").contents.as_deref(), Ok(&b"usr/bin"[..]));
    assert_eq!(file("snap/inside").contents.as_deref(), Ok(&b"inside"[..]));
    assert_eq!((file("ghost").kind, file("etc/fstab").uid), ('d', 1000));
    assert_eq!(ours.files.len(), 9);
    let paths = ["/sub/inside", "/none", "/top", "/ghost", "/zlib"];
    let found = bodies::guest_volumes(read, disk.len() as u64, &paths).unwrap();
    let volume = &found.volumes[0];
    assert_eq!((&volume.holds[..], volume.mounted.as_deref()), ("btrfs", Some("/")));
    let counts: Vec<_> = found.root.unwrap().into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [Some(6), None, Some(1), Some(0), Some(128 << 10)]);
}

#[test]
fn the_volume_is_one_to_btrfs() {
    if !have(&["btrfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    fs::write(&image, volume().0).unwrap();
    let mut command = program("btrfs");
    let output = done(command.args(["inspect-internal", "dump-super"]).arg(&image));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("[match]"), "{said}");
}
