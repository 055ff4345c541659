//! Tables made by hand, each of which some reader sees otherwise than another, through the program itself.

use std::process::Command;

use tempfile::TempDir;

use crate::common::{codes, report, reports};
use crate::disk::{Disk, LAST};
use crate::readers::missing;

/// What the program says of a disk: exit code, verdict, findings, and the numbers of the partitions that it lists.
struct Said {
    code: i32,
    verdict: String,
    codes: Vec<String>,
    numbers: Vec<u64>,
}

impl Said {
    fn of(disk: &Disk) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("disk.raw");
        std::fs::write(&path, &disk.0).unwrap();
        let (code, report) = report(&["--guest=never".as_ref(), path.as_os_str()]);
        let partitions = report["partition_table"]["partitions"].as_array().unwrap();
        Said {
            code,
            verdict: report["verdict"].as_str().unwrap().to_owned(),
            codes: codes(&report).into_iter().map(str::to_owned).collect(),
            numbers: partitions.iter().map(|p| p["number"].as_u64().unwrap()).collect(),
        }
    }

    #[track_caller]
    fn holds(&self, verdict: &str, expected: &[&str], numbers: &[u64]) {
        // They come in the order of their places, which is not what a row is about.
        let (mut codes, mut expected) = (self.codes.clone(), expected.to_vec());
        codes.sort_unstable();
        expected.sort_unstable();
        assert_eq!(codes, expected);
        assert_eq!(self.verdict, verdict, "{:?}", self.codes);
        assert_eq!(self.code, i32::from(verdict == "reject"));
        assert_eq!(self.numbers, numbers, "{:?}", self.codes);
    }
}

#[test]
fn what_is_as_usual_is_accepted() {
    Said::of(&Disk::gpt()).holds("accept", &[], &[1, 2]);
    Said::of(&Disk::mbr(&[(0x83, 2048, 100), (0x82, 2148, 100)])).holds("accept", &[], &[1, 2]);
    Said::of(&Disk::logical()).holds("accept", &[], &[1, 5, 6, 7]);
}

#[test]
fn linux_looks_for_a_gpt_if_an_entry_begins_at_sector_1() {
    for start in [0, 2, 63] {
        let mut disk = Disk::gpt();
        disk.entry(0, 0, (0xee, start, LAST));
        Said::of(&disk).holds("warn", &["gpt-without-protective-mbr"], &[]);
    }
    // Another slot, no length, a boot flag: the GPT is seen all the same.
    let mut slot = Disk::gpt();
    slot.entry(0, 0, (0, 0, 0));
    slot.entry(0, 2, (0xee, 1, LAST));
    let mut empty = Disk::gpt();
    empty.entry(0, 0, (0xee, 1, 0));
    let mut flagged = Disk::gpt();
    flagged.put(446, &[0x80]);
    let mut strange = Disk::gpt();
    strange.put(446, &[0x12]);
    // FreeBSD and old parted write another first CHS.
    let mut other = Disk::gpt();
    other.put(447, &[0xff; 3]);
    for disk in [slot, empty, flagged, strange, other] {
        Said::of(&disk).holds("accept", &["gpt-protective-mbr-odd"], &[1, 2]);
    }
    let mut twice = Disk::gpt();
    twice.entry(0, 1, (0xee, 100, 100));
    Said::of(&twice).holds("warn", &["gpt-protective-mbr-twice"], &[1, 2]);
    let mut second = Disk::gpt();
    second.entry(0, 0, (0xee, 63, 100));
    second.entry(0, 1, (0xee, 1, 100));
    Said::of(&second).holds("warn", &["gpt-protective-mbr-twice"], &[1, 2]);
    // Whatever else the sector is, the GPT is seen; libblkid sees the volume.
    let volumes =
        [&b"\xeb\x3c\x90mkfs.fat\0\x02\x04\x01\0\x02\0\x02\0\x40\xf8"[..], b"\0\0\0NTFS    "];
    for start in volumes {
        let mut volume = Disk::gpt();
        volume.put(0, start);
        Said::of(&volume).holds("warn", &["mbr-in-volume"], &[1, 2]);
        volume.entry(0, 0, (0xee, 1, 0));
        Said::of(&volume).holds("warn", &["mbr-in-volume", "gpt-protective-mbr-odd"], &[1, 2]);
    }
    // Linux and sgdisk go by the type of an entry that has no sectors.
    let mut typed = Disk::gpt();
    typed.entry(0, 1, (0x83, 40, 0));
    Said::of(&typed).holds("warn", &["mbr-hybrid"], &[1, 2]);
    // Beside an ordinary partition too, an entry elsewhere hides everything.
    let mut hidden = Disk::gpt();
    hidden.entry(0, 0, (0xee, 63, 100));
    hidden.entry(0, 1, (0x83, 2048, 100));
    Said::of(&hidden).holds("warn", &["gpt-without-protective-mbr", "mbr-hybrid"], &[]);
    let mut gone = Disk::gpt();
    gone.put(446, &[0; 66]);
    Said::of(&gone).holds("warn", &["gpt-without-protective-mbr"], &[]);
}

#[test]
fn a_gpt_that_linux_does_not_read() {
    for size in [256, 512, 4096] {
        let mut disk = Disk::gpt();
        disk.copies(|header| header[84..88].copy_from_slice(&u32::to_le_bytes(size)));
        disk.copies(|header| header[80..84].copy_from_slice(&4u32.to_le_bytes()));
        disk.repair();
        let said = Said::of(&disk);
        assert!(said.codes.contains(&"gpt-entry-size".to_owned()), "{:?}", said.codes);
        assert!(said.verdict != "accept" && said.numbers.is_empty());
    }
    let mut odd = Disk::gpt();
    odd.copies(|header| header[84..88].copy_from_slice(&130u32.to_le_bytes()));
    odd.repair();
    Said::of(&odd).holds("reject", &["gpt-damaged"], &[]);
    // Sectors that are given to partitions and are not there; none that are given.
    let mut past = Disk::gpt();
    past.copies(|header| header[48..56].copy_from_slice(&(LAST as u64 + 1).to_le_bytes()));
    past.repair();
    assert_eq!(Said::of(&past).verdict, "reject");
    let mut none = Disk::gpt();
    none.copies(|header| header[48..56].copy_from_slice(&33u64.to_le_bytes()));
    none.repair();
    Said::of(&none).holds("reject", &["gpt-damaged"], &[]);
    // The primary alone counts.
    let mut damaged = Disk::gpt();
    damaged.put(512 + 40, &[0xff]);
    Said::of(&damaged).holds("warn", &["gpt-primary-damaged"], &[]);
    let mut revision = Disk::gpt();
    revision.copies(|header| header[8..12].copy_from_slice(&0x2_0000u32.to_le_bytes()));
    revision.repair();
    Said::of(&revision).holds("warn", &["gpt-revision"], &[1, 2]);
}

#[test]
fn a_gpt_needs_its_own_sectors() {
    // The first usable sector is among the entries, or before the header; a partition is there.
    for first in [0, 1, 33] {
        let mut disk = Disk::gpt();
        disk.copies(|header| header[40..48].copy_from_slice(&u64::to_le_bytes(first)));
        disk.repair();
        Said::of(&disk).holds("warn", &["gpt-over-itself"; 5][..areas(first)], &[1, 2]);
        disk.partition(0, first, 100);
        disk.repair();
        Said::of(&disk).holds("warn", &["gpt-over-itself"; 5][..areas(first)], &[1, 2]);
    }
    let mut end = Disk::gpt();
    end.copies(|header| header[48..56].copy_from_slice(&(LAST as u64).to_le_bytes()));
    end.repair();
    Said::of(&end).holds("warn", &["gpt-over-itself"; 2], &[1, 2]);
    // The entries in a partition, as another copy of them.
    let mut inside = Disk::gpt();
    let entries = inside.0[1024..1024 + 128 * 128].to_vec();
    inside.put(2100 * 512, &entries);
    inside.put(512 + 72, &2100u64.to_le_bytes());
    inside.repair();
    Said::of(&inside).holds("warn", &["gpt-over-itself"], &[1, 2]);
    // The backup uses the primary's entries.
    let mut shared = Disk::gpt();
    shared.put(LAST as usize * 512 + 72, &2u64.to_le_bytes());
    shared.repair();
    Said::of(&shared).holds("warn", &["gpt-over-itself"], &[1, 2]);
    // The backup is where the primary is.
    let mut same = Disk::gpt();
    same.put(512 + 32, &1u64.to_le_bytes());
    same.repair();
    let said = Said::of(&same);
    assert!(
        said.verdict == "warn" && said.codes.contains(&"gpt-over-itself".to_owned()),
        "{:?}",
        said.codes
    );
}

/// Parts of a GPT that are given away with the sectors from this one on.
fn areas(first: u64) -> usize {
    match first {
        0 => 3,
        1 => 2,
        _ => 1,
    }
}

#[test]
fn a_backup_has_to_agree() {
    for (at, value) in [(40, 35u64), (48, 10_000), (32, 2)] {
        let mut disk = Disk::gpt();
        disk.put(LAST as usize * 512 + at, &value.to_le_bytes());
        disk.repair();
        Said::of(&disk).holds("warn", &["gpt-copies-differ"], &[1, 2]);
    }
}

#[test]
fn partitions_that_linux_does_not_number() {
    let mut disk = Disk::gpt_of(512);
    for index in 0..300 {
        disk.partition(index, 2048 + 2 * index, 2);
    }
    disk.repair();
    let said = Said::of(&disk);
    said.holds("warn", &["partitions-too-many"], &(1..=255).collect::<Vec<u64>>());
}

#[test]
fn names_take_little_room_in_a_report() {
    let mut disk = Disk::gpt_of(8192);
    for index in 0..8192 {
        disk.partition(index, 5000 + index, 1);
        let entry = 1024 + 128 * index as usize;
        for at in 0..36 {
            disk.put(entry + 56 + 2 * at, &[0x1b, 0x20]);
        }
    }
    disk.repair();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk.raw");
    std::fs::write(&path, &disk.0).unwrap();
    let (_, reports) = reports(&[&path]);
    let table = &reports[0]["partition_table"];
    assert_eq!(table["partitions"].as_array().unwrap().len(), 255);
    assert_eq!(table["left_out"], 8192 - 255);
    assert!(table.to_string().len() < 64 << 10, "{} bytes", table.to_string().len());
}

#[test]
fn entries_of_an_mbr_that_readers_count_otherwise() {
    let ambiguous = ["mbr-entry-ambiguous"];
    let mut typeless = Disk::mbr(&[(0x83, 2048, 100), (0, 4096, 100)]);
    Said::of(&typeless).holds("warn", &ambiguous, &[1, 2]);
    typeless.entry(0, 1, (0x83, 4096, 0));
    Said::of(&typeless).holds("warn", &ambiguous, &[1]);
    let alone = Disk::mbr(&[(0, 2048, 100)]);
    Said::of(&alone).holds("warn", &ambiguous, &[1]);
    let mut logical = Disk::logical();
    logical.entry(2100, 0, (0, 1, 99));
    Said::of(&logical).holds("warn", &ambiguous, &[1, 5, 6, 7]);
}

#[test]
fn partitions_over_their_table() {
    let over = ["mbr-partition-over-table"];
    Said::of(&Disk::mbr(&[(0x83, 0, LAST)])).holds("warn", &over, &[1]);
    // A logical partition that begins at its record, and one that covers the next record.
    let mut disk = Disk::logical();
    disk.entry(2100, 0, (0x83, 0, 99));
    Said::of(&disk).holds("warn", &over, &[1, 5, 6, 7]);
    let mut disk = Disk::logical();
    disk.entry(2048, 0, (0x83, 1, 52));
    Said::of(&disk).holds("warn", &over, &[1, 5, 6, 7]);
    // A volume's boot sector that has partitions too, as mkfs.vfat --mbr makes it.
    let mut volume = Disk::mbr(&[(0x0c, 0, LAST)]);
    volume.put(0, b"\xeb\x3c\x90mkfs.fat\0\x02\x04\x01\0\x02\0\x02\0\x40\xf8");
    Said::of(&volume).holds("warn", &["mbr-in-volume", over[0]], &[1]);
}

#[test]
fn a_chain_may_go_back() {
    let mut disk = Disk::logical();
    // The second partition was made last: 2048 leads to 2200, and that one back to 2100.
    disk.entry(2048, 1, (0x05, 152, 100));
    disk.entry(2200, 1, (0x05, 52, 100));
    disk.entry(2100, 1, (0, 0, 0));
    Said::of(&disk).holds("accept", &["mbr-extended-unusual"], &[1, 5, 6, 7]);
    // Back to a record that was visited: a circle.
    disk.entry(2100, 1, (0x05, 152, 100));
    Said::of(&disk).holds(
        "reject",
        &["mbr-extended-invalid", "mbr-extended-unusual"],
        &[1, 5, 6, 7],
    );
    disk.entry(2100, 1, (0x05, 0, 100));
    Said::of(&disk).holds(
        "reject",
        &["mbr-extended-invalid", "mbr-extended-unusual", "mbr-extended-unusual"],
        &[1, 5, 6, 7],
    );
}

/// An entry of a boot record, and the slot it is in.
type Slot = (u64, (u8, u32, u32));

#[test]
fn records_with_their_entries_elsewhere() {
    // The link is the first entry, the partition the second one or none.
    let mut disk = Disk::logical();
    disk.entry(2100, 0, (0x05, 152, 100));
    disk.entry(2100, 1, (0, 0, 0));
    Said::of(&disk).holds("accept", &["mbr-extended-unusual"], &[1, 5, 6]);
    disk.entry(2100, 1, (0x83, 1, 99));
    Said::of(&disk).holds("accept", &["mbr-extended-unusual"], &[1, 5, 6, 7]);
    // Two partitions in a record; one or the link in the third or fourth entry; two links.
    let more: [&[Slot]; 5] = [
        &[(1, (0x83, 60, 20)), (0, (0x83, 1, 20)), (2, (0x05, 152, 100))],
        &[(2, (0x83, 60, 20)), (0, (0x83, 1, 20))],
        &[(3, (0x83, 60, 20)), (0, (0x83, 1, 20))],
        &[(1, (0, 0, 0)), (3, (0x05, 152, 100))],
        &[(3, (0x05, 152, 100))],
    ];
    for entries in more {
        let mut disk = Disk::logical();
        for &(slot, entry) in entries {
            disk.entry(2100, slot, entry);
        }
        let said = Said::of(&disk);
        assert_eq!(said.codes, ["mbr-extended-ambiguous"]);
        assert_eq!(said.verdict, "warn");
        let count = if entries.iter().any(|(_, (_, start, _))| *start == 60) { 5 } else { 4 };
        assert_eq!(said.numbers.len(), count, "{entries:?}");
    }
    // A link that reaches out of the extended partition.
    let mut disk = Disk::logical();
    disk.entry(2100, 1, (0x05, 152, 101));
    Said::of(&disk).holds("warn", &["mbr-extended-ambiguous"], &[1, 5, 6, 7]);
    // More than one extended partition.
    let mut disk = Disk::logical();
    disk.entry(0, 1, (0x0f, 4000, 100));
    disk.put(4000 * 512 + 510, b"\x55\xaa");
    disk.entry(4000, 0, (0x83, 1, 99));
    Said::of(&disk).holds("warn", &["mbr-extended-ambiguous"], &[1, 2, 5, 6, 7, 8]);
    // Overlapping logical partitions.
    let mut disk = Disk::logical();
    disk.entry(2200, 0, (0x83, 1, 99));
    disk.entry(2100, 2, (0x83, 1, 50));
    let said = Said::of(&disk);
    assert_eq!(said.codes, ["mbr-partitions-overlap", "mbr-extended-ambiguous"]);
}

/// Marks by which libblkid, Linux or parted take a disk for one with another map: pieces and their places.
fn marks_of_maps() -> Vec<Vec<(usize, Vec<u8>)>> {
    let bsd = || vec![0x57, 0x45, 0x56, 0x82];
    let mut marks: Vec<_> = [
        (0, vec![0x0b, 0xe5, 0xa9, 0x41]),
        (0, vec![0xc9, 0xc2, 0xd4, 0xc1]),
        (64, bsd()),
        (128, bsd()),
        (512, bsd()),
        (4, b"IPL1".to_vec()),
        (4, b"Linux 98".to_vec()),
        (4, b"GRUB/98 ".to_vec()),
        (0, b"GNU Parted Loopback 0".to_vec()),
        (0, b"RDSK".to_vec()),
        (512, b"RDSK".to_vec()),
        (15 * 512, b"RDSK".to_vec()),
    ]
    .into_iter()
    .map(|piece| vec![piece])
    .collect();
    // An Apple map is written for sectors of one size, and may be read in those of another.
    for at in [512u16, 1024, 2048, 4096] {
        marks.push(vec![(0, b"ER\x02\0".to_vec()), (at.into(), b"PM".to_vec())]);
        let named = [b"ER", &at.to_be_bytes()[..]].concat();
        marks.push(vec![(0, named), (at.into(), b"TS".to_vec())]);
    }
    marks
}

#[test]
fn marks_of_other_tables() {
    let second = ["partition-table-second"];
    for pieces in marks_of_maps() {
        let mut mbr = Disk::mbr(&[(0x83, 2048, 100)]);
        pieces.iter().for_each(|(at, bytes)| mbr.put(*at, bytes));
        assert_eq!(Said::of(&mbr).codes, second, "{pieces:?}");
        // In the sectors of the GPT a mark would damage it.
        if pieces.iter().all(|(at, _)| *at < 446) {
            let mut gpt = Disk::gpt();
            pieces.iter().for_each(|(at, bytes)| gpt.put(*at, bytes));
            Said::of(&gpt).holds("warn", &second, &[1, 2]);
        }
    }
    // The sum of a Sun label's words is 0.
    let mut sun = Disk::gpt();
    sun.put(508, &[0xda, 0xbe]);
    Said::of(&sun).holds("accept", &[], &[1, 2]);
    let sum = sun.0[..512].chunks(2).fold([0, 0], |sum, word| [sum[0] ^ word[0], sum[1] ^ word[1]]);
    sun.put(128, &sum);
    Said::of(&sun).holds("warn", &second, &[1, 2]);
    Said::of(&Disk::mbr(&[(0x42, 2048, 100)])).holds("warn", &second, &[1]);
}

/// What libparted makes on an empty disk, beneath an MBR, and beneath a GPT where that leaves it room.
#[test]
fn maps_that_parted_makes_are_found_beneath_another_table() {
    for (label, beneath_gpt) in
        [("bsd", true), ("pc98", true), ("dvh", true), ("amiga", false), ("mac", false)]
    {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("disk.raw");
        std::fs::write(&path, vec![0; (LAST as usize + 1) * 512]).unwrap();
        let made = Command::new("parted").arg("-s").arg(&path).args(["mklabel", label]).status();
        match made {
            Ok(made) => assert!(made.success(), "{label}"),
            Err(_) => return missing("parted"),
        }
        let map = std::fs::read(&path).unwrap();
        let mut mbr = Disk(map.clone());
        mbr.put(446, &[0; 64]);
        mbr.put(510, b"\x55\xaa");
        mbr.entry(0, 0, (0x83, 2048, 100));
        let mut gpt = Disk::gpt();
        gpt.put(0, &map[..446]);
        Said::of(&mbr).holds("warn", &["partition-table-second"], &[1]);
        if beneath_gpt {
            Said::of(&gpt).holds("warn", &["partition-table-second"], &[1, 2]);
        }
    }
}

/// Boot code of SYSLINUX, GRUB and Windows, and the first bytes of a hybrid disc, are no map.
#[test]
fn boot_code_is_no_other_table() {
    for code in [
        &b"\x33\xc0\x8e\xd0\xbc\x00\x7c\x8e\xc0\x8e\xd8\xbe\x00\x7c"[..],
        b"\xeb\x63\x90\x10\x8e\xd0\xbc\x00\xb0\xb8\0\0\x8e\xd8\x8e\xc0",
        b"\x33\xed\xfa\x8e\xd5\xbc\x00\x7c\xfb\xfc\x66\x31\xdb",
        b"\x33\xed\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90",
        b"ER\x08\0\0\0\x90\x90",
        b"\xfa\xb8\0\0IPL2",
    ] {
        let mut mbr = Disk::mbr(&[(0x83, 2048, 100)]);
        let mut gpt = Disk::gpt();
        mbr.put(0, code);
        gpt.put(0, code);
        Said::of(&mbr).holds("accept", &[], &[1]);
        Said::of(&gpt).holds("accept", &[], &[1, 2]);
    }
    // A partition of BSD has its label in itself.
    let mut sliced = Disk::mbr(&[(0xa5, 2048, 100)]);
    sliced.put(2049 * 512, &[0x57, 0x45, 0x56, 0x82]);
    Said::of(&sliced).holds("accept", &["mbr-partition-divided"], &[1]);
}

/// A disc that boots on a Mac too has an Apple map before its MBR; that it is a disc and a disk is said once.
#[test]
fn a_hybrid_disc_has_an_apple_map() {
    let mut disk = Disk::mbr(&[(0x83, 0, 4000)]);
    disk.put(0, b"ER\x08\0");
    disk.put(2048, b"PM\0\0");
    disk.put(0x8000, b"\x01CD001\x01");
    Said::of(&disk).holds("warn", &["mbr-partition-over-table", "iso-hybrid"], &[1]);
    disk.put(64, &[0x57, 0x45, 0x56, 0x82]);
    assert!(Said::of(&disk).codes.contains(&"partition-table-second".to_owned()));
}

#[test]
fn a_partition_that_is_divided() {
    let divided = ["mbr-partition-divided"];
    for (kind, at, mark) in [
        (0xa5, 512, &[0x57, 0x45, 0x56, 0x82][..]),
        (0x82, 512 + 12, &[0xee, 0xde, 0x0d, 0x60]),
        (0x63, 29 * 512 + 4, &[0x0d, 0x60, 0x5e, 0xca]),
    ] {
        let mut disk = Disk::mbr(&[(kind, 2048, 100)]);
        Said::of(&disk).holds("accept", &[], &[1]);
        disk.put(2048 * 512 + at, mark);
        Said::of(&disk).holds("accept", &divided, &[1]);
    }
    let mut minix = Disk::mbr(&[(0x81, 2048, 100)]);
    minix.put(2048 * 512 + 510, b"\x55\xaa");
    minix.entry(2048, 0, (0x81, 2049, 10));
    Said::of(&minix).holds("accept", &divided, &[1]);
}

#[test]
fn an_extended_partition_at_sector_0_is_one_finding() {
    for kind in [0x05, 0x0f, 0x85] {
        let disk = Disk::mbr(&[(0x83, 2048, 100), (kind, 0, 2000)]);
        Said::of(&disk).holds("reject", &["mbr-extended-invalid"], &[1, 2]);
    }
}

#[test]
fn boot_code_wants_one_active_partition() {
    let mut disk = Disk::mbr(&[(0x83, 2048, 100), (0x83, 2148, 100)]);
    disk.0[446] = 0x80;
    Said::of(&disk).holds("accept", &[], &[1, 2]);
    // An unused entry counts for it as well.
    for slot in [1, 3] {
        let mut disk = Disk(disk.0.clone());
        disk.0[446 + 16 * slot] = 0x80;
        Said::of(&disk).holds("warn", &["mbr-active-twice"], &[1, 2]);
    }
}
