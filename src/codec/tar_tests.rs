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
                TarItem::FileEnd => open = false,
            }
        }
        assert!(input.is_empty());
        assert!(tar.have.len() as u64 <= LONGEST_EXTENSION);
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
    assert!(refused(&[header("holes\x1b.raw", b'S', 0)]).contains("holes\\u{1b}.raw"));
    let pax = |text: &[u8]| member("x", b'x', text);
    let sparse = [pax(b"22 GNU.sparse.major=1\n"), member("h", b'0', b"")];
    assert!(refused(&sparse).contains("member h"));
    assert!(refused(&[header("part2", b'M', 0)]).contains("part2"));
    assert!(refused(&[header("hard", b'1', 9)]).contains("hard"));
    assert!(refused(&[header("x", b'x', LONGEST_EXTENSION + 1)]).contains("65537"));
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
    std::fs::File::create(dir.path().join("holes")).unwrap().set_len(9 << 20).unwrap();
    for format in ["gnu", "pax"] {
        let path = dir.path().join("sparse.tar");
        let made = Command::new("tar")
            .args(["-S", "--format", format, "-cf"])
            .args([path.as_os_str(), "-C".as_ref(), dir.path().as_os_str()])
            .arg("holes")
            .status()
            .unwrap();
        assert!(made.success());
        assert_eq!(code(&std::fs::read(&path).unwrap()), Code::TarUnsupported, "{format}");
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
        let octal = header("x", flag, data.len() as u64);
        let _ = read(&[&octal[..], &data].concat());
        let _ = read(&data);
    }
}
