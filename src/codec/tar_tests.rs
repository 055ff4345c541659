use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::codec::testing::{archive, header, member, oracle, sum};

type Files = Vec<(String, Vec<u8>)>;

fn read_in(file: &[u8], piece: usize) -> Result<Files, Damage> {
    let mut tar = Tar::default();
    let mut files = Files::new();
    let mut open = false;
    for mut input in file.chunks(piece) {
        loop {
            match tar.next(&mut input)? {
                TarItem::Nothing => break,
                TarItem::File(member) => {
                    assert!(!open);
                    open = true;
                    files.push((member.name.to_string(), Vec::new()));
                }
                TarItem::Data(bytes) => {
                    assert!(open && !bytes.is_empty());
                    files.last_mut().unwrap().1.extend_from_slice(bytes);
                }
                TarItem::Hole(len) => {
                    assert!(open && len > 0);
                    let data = &mut files.last_mut().unwrap().1;
                    // Those of the tests are small, and of hostile ones the end will do.
                    data.resize(data.len() + len.min(16 << 20) as usize, 0);
                }
                TarItem::FileEnd => open = false,
            }
        }
        assert!(input.is_empty());
        assert!(tar.have.len() as u64 <= LONGEST_RECORDS);
    }
    tar.finish().map(|()| files)
}

fn read(file: &[u8]) -> Result<Files, Damage> {
    let whole = read_in(file, file.len().max(1));
    for piece in [1, 7, 511, 513] {
        assert_eq!(read_in(file, piece), whole, "pieces of {piece}");
    }
    whole
}

fn code(file: &[u8]) -> Code {
    read(file).unwrap_err().code
}

#[test]
fn members_of_all_kinds() {
    let long = "d/".repeat(120) + "disk.raw";
    let pax = |records: &str| member("PaxHeaders/x", b'x', records.as_bytes());
    let mut prefixed = header("disk.raw", b'0', 0);
    prefixed[345..348].copy_from_slice(b"a/b");
    sum(&mut prefixed);
    let mut large = header("large", b'0', 3);
    large[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    sum(&mut large);
    large.extend_from_slice(b"abc");
    large.resize(2 * BLOCK, 0);
    let file = archive(&[
        header("d/", b'5', 0),
        header("old/", 0, 0),
        header("link", b'2', 0),
        header("label", b'V', 0),
        member("pax_global_header", b'g', b"20 comment=whatever\n"),
        member("one", b'0', b"1"),
        member("././@LongLink", b'L', format!("{long}\0").as_bytes()),
        member("short", 0, &[2; 513]),
        pax("14 path=three\n"),
        member("3", b'7', b""),
        prefixed,
        large,
        // The size in the header gives way to that of the record.
        pax("9 size=5\n"),
        [header("five", b'0', 0), b"12345".to_vec(), vec![0; 507]].concat(),
    ]);
    let files = read(&file).unwrap();
    let found: Vec<(&str, usize)> =
        files.iter().map(|(name, data)| (name.as_str(), data.len())).collect();
    let shown = Hostile::from(long.as_str()).to_string();
    assert_eq!(
        found,
        [("one", 1), (&*shown, 513), ("three", 0), ("a/b/disk.raw", 0), ("large", 3), ("five", 5)]
    );
}

#[test]
fn what_is_not_read_is_named() {
    let refused = |members: &[Vec<u8>]| {
        let damage = read(&archive(members)).unwrap_err();
        assert_eq!(damage.code, Code::TarUnsupported);
        damage.said
    };
    // As star writes it.
    assert!(refused(&[header("holes\x1b.raw", b'S', 0)]).contains("holes\\u{1b}.raw"));
    let pax = |text: &[u8]| member("x", b'x', text);
    for records in [
        &b"22 GNU.sparse.major=2\n22 GNU.sparse.minor=0\n"[..],
        b"21 SCHILY.realsize=9\n",
        b"22 GNU.sparse.other=1\n",
    ] {
        let sparse = [pax(records), member("h", b'0', b"")];
        assert!(refused(&sparse).contains("member h"));
    }
    assert!(refused(&[pax(b"21 GNU.sparse.size=9\n"), header("s", b'2', 0)]).contains("member s"));
    assert!(refused(&[header("part2", b'M', 0)]).contains("part2"));
    assert!(refused(&[header("hard", b'1', 9)]).contains("hard"));
    assert!(refused(&[header("x", b'L', LONGEST_EXTENSION + 1)]).contains("65537"));
    assert!(refused(&[header("x", b'x', LONGEST_RECORDS + 1)]).contains("1048577"));
    assert!(refused(&[member("g", b'g', b"21 GNU.sparse.name=a\n")]).contains("global"));
    assert!(refused(&[member("g", b'g', b"9 size=5\n")]).contains("global"));
}

#[test]
fn damage_is_found() {
    let one = member("one", b'0', &[1; 600]);
    let whole = archive(std::slice::from_ref(&one));
    for end in 0..whole.len() - 2 * BLOCK {
        assert_eq!(code(&whole[..end]), Code::TarTruncated, "cut at {end}");
    }
    assert_eq!(code(&one), Code::TarTruncated);
    let mut wrong = whole.clone();
    wrong[3] ^= 1;
    assert_eq!(code(&wrong), Code::TarDamaged);
    assert_eq!(code(&[&whole[..], &one].concat()), Code::TarDamaged);
    let mut huge = header("huge", b'0', 0);
    huge[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0]);
    sum(&mut huge);
    assert_eq!(code(&archive(&[huge])), Code::TarDamaged);
    assert_eq!(code(&archive(&[member("x", b'x', b"12 path=disk\n")])), Code::TarDamaged);
}

#[test]
fn what_tar_writes_is_read() {
    if oracle("tar", &["--version"], b"").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = "folder-".repeat(10);
    std::fs::create_dir_all(dir.path().join("in").join(&folder)).unwrap();
    let long = format!("{folder}/{}.raw", "name-".repeat(16));
    for (name, size) in [("a.ovf", 7), ("disk.vmdk", 70_000), (long.as_str(), 512)] {
        std::fs::write(dir.path().join("in").join(name), vec![b'x'; size]).unwrap();
    }
    std::os::unix::fs::symlink("a.ovf", dir.path().join("in/link")).unwrap();
    for format in ["ustar", "pax", "gnu", "oldgnu", "posix"] {
        let path = dir.path().join(format);
        let made = Command::new("tar")
            .args(["--format", format, "-cf"])
            .args([path.as_os_str(), "-C".as_ref(), dir.path().join("in").as_os_str()])
            .arg(".")
            .status()
            .unwrap();
        assert!(made.success());
        let mut files = read_in(&std::fs::read(&path).unwrap(), 10_240).unwrap();
        files.sort();
        let found: Vec<(String, usize)> =
            files.into_iter().map(|(name, data)| (name, data.len())).collect();
        let mut expected: Vec<(String, usize)> =
            [("./a.ovf".into(), 7), ("./disk.vmdk".into(), 70_000), (format!("./{long}"), 512)]
                .into();
        expected.sort();
        assert_eq!(found, expected, "{format}");
    }
}

/// A member of GNU tar with these pieces, of a file of `size` bytes.
fn with_holes(name: &str, size: u64, pieces: &[(u64, u64)], data: &[u8]) -> Vec<u8> {
    let entry = |(offset, len): &(u64, u64)| format!("{offset:011o}\0{len:011o}\0").into_bytes();
    let mut block = header(name, b'S', data.len() as u64);
    block[257..265].copy_from_slice(b"ustar  \0");
    let (first, rest) = pieces.split_at(pieces.len().min(4));
    let entries: Vec<u8> = first.iter().flat_map(entry).collect();
    block[386..386 + entries.len()].copy_from_slice(&entries);
    block[482] = u8::from(!rest.is_empty());
    block[483..494].copy_from_slice(format!("{size:011o}").as_bytes());
    sum(&mut block);
    let blocks = rest.chunks(21).count();
    for (index, entries) in rest.chunks(21).enumerate() {
        let mut more: Vec<u8> = entries.iter().flat_map(entry).collect();
        more.resize(504, 0);
        more.push(u8::from(index + 1 < blocks));
        more.resize(512, 0);
        block.extend_from_slice(&more);
    }
    block.extend_from_slice(data);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

#[test]
fn members_with_holes() {
    // More pieces than a header and one block behind it have.
    let pieces: Vec<(u64, u64)> = (0..60).map(|at| (at * 1024, 512)).collect();
    let data: Vec<u8> = (0..60u8).flat_map(|byte| [byte + 1; 512]).collect();
    let mut expected = vec![0; 62_000];
    for (piece, bytes) in pieces.iter().zip(data.chunks(512)) {
        expected[piece.0 as usize..][..512].copy_from_slice(bytes);
    }
    let whole = with_holes("disk.raw", 62_000, &pieces, &data);
    let files = read(&archive(&[whole.clone(), member("b", b'0', b"b")])).unwrap();
    assert!(files[0].1 == expected);
    assert_eq!(files[1], ("b".into(), b"b".to_vec()));
    for end in (0..whole.len()).step_by(97) {
        assert_eq!(code(&whole[..end]), Code::TarTruncated, "cut at {end}");
    }
    let wrong = |size, pieces: &[(u64, u64)], data: &[u8]| {
        code(&archive(&[with_holes("disk.raw", size, pieces, data)]))
    };
    assert_eq!(wrong(1024, &[(0, 512)], &[1; 511]), Code::TarDamaged);
    assert_eq!(wrong(1024, &[(0, 512)], &[1; 1024]), Code::TarDamaged);
    assert_eq!(wrong(1024, &[(0, 512), (256, 512)], &[1; 1024]), Code::TarDamaged);
    assert_eq!(wrong(1024, &[(1024, 512)], &[1; 512]), Code::TarDamaged);
    assert_eq!(wrong(1 << 32, &[(0, 5), (512, 512)], &[1; 517]), Code::TarUnsupported);
    let ends = [(0, 512), (512, 512), (1024, 512), (1536, 512), (2048, 512)];
    let mut goes_on = with_holes("disk.raw", 9000, &ends, &[1; 5 * 512]);
    goes_on[386 + 24 + 12] = 0;
    sum(&mut goes_on[..512]);
    assert_eq!(code(&archive(&[goes_on])), Code::TarDamaged);
}

#[test]
fn what_tar_writes_with_holes_is_read() {
    if oracle("tar", &["--version"], b"").is_none() {
        return;
    }
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}.raw", "name-".repeat(30));
    let sizes =
        [("empty", 9 << 20), ("whole", 4096), ("disk", (6 << 20) + 77), (long.as_str(), 5 << 20)];
    for (name, size) in sizes {
        let file = std::fs::File::create(dir.path().join(name)).unwrap();
        file.set_len(size).unwrap();
        if name != "empty" {
            // Pieces in plenty, and a last one that fills no block.
            for at in (0..size).step_by(if name == "disk" { 64 << 10 } else { 1 << 20 }) {
                file.write_all_at(b"piece", at).unwrap();
            }
            file.write_all_at(b"end", size - 3).unwrap();
        }
    }
    for how in [
        &["--format=oldgnu"][..],
        &["--format=gnu"],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let path = dir.path().join("a.tar");
        let mut command = Command::new("tar");
        command.current_dir(dir.path()).args(how).args(["-Scf", "a.tar"]);
        assert!(command.args(sizes.map(|(name, _)| name)).status().unwrap().success());
        let archive = std::fs::read(&path).unwrap();
        assert!(archive.len() < 4 << 20, "{how:?}: no holes");
        for piece in [10_240, 999] {
            let files = read_in(&archive, piece).unwrap();
            assert_eq!(files.len(), sizes.len());
            for ((name, data), (expected, _)) in files.iter().zip(sizes) {
                assert_eq!(*name, Hostile::from(expected).to_string(), "{how:?}");
                assert!(
                    *data == std::fs::read(dir.path().join(expected)).unwrap(),
                    "{how:?} {name}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn hostile_bytes_do_no_harm(
        name in prop::collection::vec(any::<u8>(), 0..100),
        flag in any::<u8>(),
        size in prop::collection::vec(any::<u8>(), 12),
        data in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(&name);
        block[124..136].copy_from_slice(&size);
        block[156] = flag;
        sum(&mut block);
        let _ = read(&[&block[..], &data].concat());
        let mut gnu = block.clone();
        gnu[156] = b'S';
        gnu[257..265].copy_from_slice(b"ustar  \0");
        gnu[386..][..data.len().min(110)].copy_from_slice(&data[..data.len().min(110)]);
        sum(&mut gnu);
        let _ = read(&[&gnu[..], &data].concat());
        let octal = header("x", flag, data.len() as u64);
        let _ = read(&[&octal[..], &data].concat());
        let _ = read(&data);
        let text = member("x", b'x', b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.realsize=9000\n");
        let _ = read(&[&text[..], &member("x", b'0', &data)].concat());
    }
}
