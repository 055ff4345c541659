//! What a volume holds by its superblock, in the order in which libblkid looks: members of something larger first.
//!
//! Marks, places and fields are those of libblkid 2.41 (`superblocks/`). Check sums are left to whoever opens a file
//! system: a damaged one has a name still.

use super::super::ends::is_metadata_1;
use super::super::fs::{Area, Trouble, Why};
use super::super::signatures::{Beginning, beginning};
use super::super::zfs;
use super::words::{label, utf16, uuid};
use super::{Holds, microsoft};

/// Bytes at the beginning of a volume that have nearly all marks.
const HEAD: u64 = 68 << 10;

/// What is known of a volume by its superblock.
#[derive(Debug)]
pub(super) struct Super {
    pub(super) holds: Holds,
    pub(super) uuid: Option<String>,
    pub(super) label: Option<Vec<u8>>,
    /// What it is, if that is known and `holds` has no name for it.
    pub(super) what: Option<&'static str>,
}

impl Super {
    pub(super) fn new(holds: Holds, uuid: Option<String>, label: Option<Vec<u8>>) -> Self {
        Super { holds, uuid, label, what: None }
    }

    /// Something whose UUID and label are bytes of the head at these places.
    fn at(holds: Holds, head: &Head, id: usize, name: std::ops::Range<usize>) -> Self {
        let label = head.get(name).and_then(label);
        Super::new(holds, head.get(id..id + 16).and_then(uuid), label)
    }
}

/// The beginning of a volume.
pub(super) struct Head(Vec<u8>);

impl Head {
    pub(super) fn get(&self, range: std::ops::Range<usize>) -> Option<&[u8]> {
        self.0.get(range)
    }

    pub(super) fn has(&self, at: usize, mark: &[u8]) -> bool {
        self.0.get(at..).is_some_and(|rest| rest.starts_with(mark))
    }

    pub(super) fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: usize) -> Option<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }
}

/// Looks at a volume. The reason says why some of it could not be examined.
pub(super) fn probe(area: &Area<'_>) -> Result<(Super, Option<Why>), Trouble> {
    let mut left = None;
    let mut head = vec![0; area.size().min(HEAD) as usize];
    if let Some(why) = left_by(area.read(0, &mut head))? {
        let found = Super::new(Holds::Unknown, None, None);
        return Ok((found, Some(why)));
    }
    let head = Head(head);
    let (raid, ends) = at_the_end(area, &mut left)?;
    let found = match raid {
        Some(raid) => Some(raid),
        None => of_head(&head, area)?,
    };
    // The head settles it; whether there is something at the end as well is not asked then.
    if let Some(found) = found {
        return Ok((found, None));
    }
    let zeros = ends && head.0.iter().all(|&byte| byte == 0);
    let mut found = Super::new(if zeros { Holds::Zeros } else { Holds::Unknown }, None, None);
    found.what = match beginning(&head.0) {
        Beginning::Known(what) if !zeros => Some(what),
        _ => None,
    };
    Ok((found, left))
}

/// A failure that only this place has, as a value.
fn left_by(read: Result<(), Trouble>) -> Result<Option<Why>, Trouble> {
    match read {
        Ok(()) => Ok(None),
        Err(Trouble::Left(why)) => Ok(Some(why)),
        Err(halt) => Err(halt),
    }
}

fn of_head(head: &Head, area: &Area<'_>) -> Result<Option<Super>, Trouble> {
    let found =
        raid_1(head).or_else(|| bcachefs(head)).or_else(|| lvm(head)).or_else(|| luks(head));
    if found.is_some() {
        return Ok(found);
    }
    if let Some(found) = microsoft::fat(head, area)? {
        return Ok(Some(found));
    }
    let found = swap(head)
        .or_else(|| head.has(0, b"XFSB").then(|| Super::at(Holds::Xfs, head, 32, 108..120)))
        .or_else(|| ext(head))
        .or_else(|| reiser(head))
        .or_else(|| {
            head.has(0x8000, b"JFS1")
                .then(|| Super::at(Holds::Jfs, head, 0x8000 + 136, 0x8000 + 152..0x8000 + 168))
        })
        .or_else(|| iso(head))
        .or_else(|| zfs(head))
        .or_else(|| hfs_plus(head))
        .or_else(|| ufs(head));
    if found.is_some() {
        return Ok(found);
    }
    if let Some(found) = microsoft::ntfs(head, area)? {
        return Ok(Some(found));
    }
    let squashfs = || head.has(0, b"hsqs") || head.has(0, b"sqsh");
    let found = squashfs().then(|| Super::new(Holds::Squashfs, None, None)).or_else(|| {
        const AT: usize = 0x10000;
        head.has(AT + 0x40, b"_BHRfS_M")
            .then(|| Super::at(Holds::Btrfs, head, AT + 0x20, AT + 0x12b..AT + 0x22b))
    });
    if found.is_some() {
        return Ok(found);
    }
    if let Some(found) = microsoft::exfat(head, area)? {
        return Ok(Some(found));
    }
    Ok(f2fs(head).or_else(|| {
        head.has(1024, b"\xe2\xe1\xf5\xe0")
            .then(|| Super::at(Holds::Erofs, head, 1024 + 48, 1024 + 64..1024 + 80))
    }))
}

/// Members of a Linux RAID whose superblock is at the end, and whether the places that were read are all zeros.
fn at_the_end(area: &Area<'_>, left: &mut Option<Why>) -> Result<(Option<Super>, bool), Trouble> {
    const RESERVED: u64 = 0x1_0000;
    const MAGIC: u32 = 0xa92b_4efc;
    let mut zeros = true;
    if area.size() <= RESERVED {
        return Ok((None, true));
    }
    let old = (area.size() & !(RESERVED - 1)).checked_sub(RESERVED);
    if let Some(at) = old {
        let mut block = [0; 64];
        match left_by(area.read(at, &mut block))? {
            Some(why) => (*left, zeros) = (Some(why), false),
            None => zeros &= block == [0; 64],
        }
        let le = |at: usize| {
            u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        let swapped = le(0).swap_bytes() == MAGIC;
        if le(0) == MAGIC || swapped {
            let word = |at: usize| if swapped { le(at).swap_bytes() } else { le(at) };
            let size = u64::from(word(32)) << 10;
            if size.saturating_add(RESERVED) <= area.size() && at >= size {
                // Before 0.90 there was one word of it.
                let words = if word(8) >= 90 { &[20, 52, 56, 60][..] } else { &[20] };
                let mut id: Vec<u8> = words.iter().flat_map(|&at| word(at).to_be_bytes()).collect();
                id.resize(16, 0);
                return Ok((Some(Super::new(Holds::Raid, uuid(&id), None)), false));
            }
        }
    }
    if let Some(at) = (area.size() & !0xfff).checked_sub(0x2000) {
        let mut block = [0; 256];
        match left_by(area.read(at, &mut block))? {
            Some(why) => (*left, zeros) = (Some(why), false),
            None => zeros &= block == [0; 256],
        }
        if is_metadata_1(&block, at) {
            return Ok((
                Some(Super::new(Holds::Raid, uuid(&block[16..]), label(&block[32..64]))),
                false,
            ));
        }
    }
    Ok((None, zeros))
}

/// A member of a Linux RAID with metadata 1.1 or 1.2.
fn raid_1(head: &Head) -> Option<Super> {
    let is = |at: &usize| head.0.get(*at..).is_some_and(|block| is_metadata_1(block, *at as u64));
    let at = [0, 0x1000].into_iter().find(is)?;
    Some(Super::at(Holds::Raid, head, at + 16, at + 32..at + 64))
}

fn bcachefs(head: &Head) -> Option<Super> {
    const AT: usize = 0x1000;
    head.has(AT + 24, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef")
        .then(|| Super::at(Holds::Bcachefs, head, AT + 56, AT + 72..AT + 104))
}

/// The UUID of a physical volume is text, which is grouped.
fn lvm(head: &Head) -> Option<Super> {
    let is = |at: &usize| {
        head.has(*at, b"LABELONE")
            && head.has(*at + 24, b"LVM2 001")
            && head.u64(*at + 8) == Some(*at as u64 / 512)
    };
    let at = [0, 512, 1024, 1536].into_iter().find(is)?;
    let id = head.get(at + 32..at + 64)?;
    let mut rest = id.is_ascii().then(|| String::from_utf8_lossy(id).into_owned())?;
    let groups = [6, 4, 4, 4, 4, 4, 6].map(|len| rest.drain(..len).collect::<String>());
    Some(Super::new(Holds::Lvm, Some(groups.join("-")), None))
}

fn luks(head: &Head) -> Option<Super> {
    let text = |range| head.get(range).and_then(label);
    let id = text(168..208).and_then(|id| String::from_utf8(id).ok());
    let version = head.bytes(6).map(u16::from_be_bytes);
    let is = head.has(0, b"LUKS\xba\xbe") && (version != Some(2) || head.has(256, &[0; 8]));
    is.then(|| match version {
        Some(1) => Super::new(Holds::Luks, id, None),
        Some(2) => Super::new(Holds::Luks, id, text(24..72)),
        _ => Super::new(Holds::Luks, None, None),
    })
}

/// Swap space, and a system that sleeps in it.
fn swap(head: &Head) -> Option<Super> {
    const MARKS: [&[u8]; 6] =
        [b"SWAP-SPACE", b"SWAPSPACE2", b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];
    let mut pages = (12..=16).map(|bits| (1usize << bits) - 10);
    let mark = pages.find_map(|at| MARKS.iter().find(|mark| head.has(at, mark)))?;
    let version = head.u32(1024)?;
    let usable = (version == 1 || version.swap_bytes() == 1) && head.u32(1028)? != 0;
    if *mark == MARKS[1] && !usable {
        return None;
    }
    // What is there in an area without a UUID is not empty.
    let padding = 1024 + 12 + 32;
    let named = *mark != MARKS[0] && head.has(padding + 128, &[0; 8]);
    Some(match named {
        true => Super::at(Holds::Swap, head, 1024 + 12, 1024 + 28..1024 + 44),
        false => Super::new(Holds::Swap, None, None),
    })
}

/// ext2, ext3 and ext4, which differ in what a kernel has to understand.
fn ext(head: &Head) -> Option<Super> {
    const AT: usize = 1024;
    const HAS_JOURNAL: u32 = 4;
    const JOURNAL_DEVICE: u32 = 8;
    // Sparse superblocks, large files, sorted directories.
    const OLD_READ_ONLY: u32 = 7;
    // Types of files in directories, descriptors in their groups; and for ext3 a journal to replay.
    const OLD: u32 = 0x12;
    const RECOVER: u32 = 4;
    let feature = |at: usize| head.u32(AT + at);
    let (compatible, incompatible, read_only) = (feature(0x5c)?, feature(0x60)?, feature(0x64)?);
    if !head.has(AT + 56, b"\x53\xef") || feature(24)? >= 256 || incompatible & JOURNAL_DEVICE != 0
    {
        return None;
    }
    let journal = compatible & HAS_JOURNAL != 0;
    let holds = if read_only & !OLD_READ_ONLY != 0 || incompatible & !(OLD | RECOVER) != 0 {
        Holds::Ext4
    } else if journal {
        Holds::Ext3
    } else if incompatible & RECOVER == 0 {
        Holds::Ext2
    } else {
        return None;
    };
    Some(Super::at(holds, head, AT + 104, AT + 120..AT + 136))
}

/// The magic of the second and third format is longer, and these have a UUID.
fn reiser(head: &Head) -> Option<Super> {
    const AT: usize = 0x10000;
    if head.has(AT + 52, b"ReIsEr2Fs") || head.has(AT + 52, b"ReIsEr3Fs") {
        return Some(Super::at(Holds::Reiserfs, head, AT + 84, AT + 100..AT + 116));
    }
    let old = [AT + 52, 0x2034, 0x2014].into_iter().any(|at| head.has(at, b"ReIsErFs"));
    old.then(|| Super::new(Holds::Reiserfs, None, None))
}

fn hfs_plus(head: &Head) -> Option<Super> {
    let is = head.has(1024, b"H+\0\x04") || head.has(1024, b"HX\0\x05");
    is.then(|| Super::new(Holds::Hfsplus, None, None))
}

fn f2fs(head: &Head) -> Option<Super> {
    const AT: usize = 1024;
    if !head.has(AT, b"\x10\x20\xf5\xf2") {
        return None;
    }
    // Of version 1.0 the fields are not known.
    if head.has(AT + 4, b"\x01\0\0\0") {
        return Some(Super::new(Holds::F2fs, None, None));
    }
    let name = utf16(head.get(AT + 124..AT + 124 + 1024)?, u16::from_le_bytes);
    Some(Super::new(Holds::F2fs, uuid(head.get(AT + 108..AT + 124)?), label(&name)))
}

/// UFS1 and UFS2, of either byte order.
fn ufs(head: &Head) -> Option<Super> {
    const MARKS: [u32; 6] =
        [0x1954_0119, 0x0001_1954, 0x0019_5612, 0x0009_5014, 0x0061_2195, 0x0523_1994];
    let (at, swapped) = [0, 0x2000, 0x10000].into_iter().find_map(|at| {
        let magic = head.u32(at + 1372)?;
        let is = |magic: u32| MARKS.contains(&magic);
        (is(magic) || is(magic.swap_bytes())).then_some((at, !is(magic)))
    })?;
    let word = |at: usize| head.u32(at).map(|word| if swapped { word.swap_bytes() } else { word });
    let (first, second) = (word(at + 144)?, word(at + 148)?);
    let id = (first != 0 || second != 0).then(|| format!("{first:08x}{second:08x}"));
    let name = (word(at + 1372)? == MARKS[0]).then(|| head.get(at + 680..at + 712)).flatten();
    Some(Super::new(Holds::Ufs, id, name.and_then(label)))
}

/// A pool's number and name are pairs of the list in its label.
fn zfs(head: &Head) -> Option<Super> {
    let mut rest = head.0.get(zfs::first_label(&head.0)? + 12..)?;
    let (mut id, mut name) = (None, None);
    while let Some(size) = number(rest, 0).filter(|&size| size >= 12) {
        let Some(pair) = rest.get(..size as usize) else { break };
        let Some(len) = number(pair, 8).map(|len| len as usize) else { break };
        let (key, value) = (pair.get(12..).and_then(|key| key.get(..len)), len.next_multiple_of(4));
        let value = pair.get(12..).and_then(|rest| rest.get(value..));
        match (key, value) {
            (Some(b"name"), Some(value)) => {
                let len = number(value, 8).unwrap_or(0) as usize;
                name = value.get(12..).and_then(|text| label(text.get(..len)?));
            }
            (Some(b"pool_guid"), Some(value)) => {
                let number = value.get(8..).and_then(<[u8]>::first_chunk);
                id = number.map(|bytes| u64::from_be_bytes(*bytes).to_string());
            }
            _ => {}
        }
        rest = &rest[size as usize..];
    }
    Some(Super::new(Holds::Zfs, id, name))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// ISO 9660: the label of the Joliet descriptor, if there is one, and the date of the last change, or of the making.
fn iso(head: &Head) -> Option<Super> {
    const AT: usize = 0x8000;
    const SECTOR: usize = 2048;
    let descriptors = (0..16).map(|index| AT + index * SECTOR);
    let descriptors = descriptors
        .take_while(|&at| head.has(at + 1, b"CD001") && head.0[at] != 0xff)
        .filter_map(|at| head.get(at..at + SECTOR));
    let (mut primary, mut joliet) = (None, None);
    for descriptor in descriptors {
        let escape = &descriptor[88..91];
        match descriptor[0] {
            1 if primary.is_none() => primary = Some(descriptor),
            2 if [b"%/@", b"%/C", b"%/E"].iter().any(|known| escape == *known) => {
                joliet = joliet.or(Some(descriptor));
            }
            _ => {}
        }
    }
    let primary = primary?;
    let date = |at: usize| {
        let date = &primary[at..at + 17];
        let set = date[..16].iter().any(|&digit| digit != b'0') || date[16] != 0;
        let date = str::from_utf8(&date[..16]).ok().filter(|date| set && date.is_ascii())?;
        let two = |at: usize| &date[at..at + 2];
        let (year, rest) = (&date[..4], [4, 6, 8, 10, 12, 14].map(two).join("-"));
        Some(format!("{year}-{rest}"))
    };
    let short = &primary[40..72];
    let name = match joliet {
        Some(joliet) => whole(&joliet[40..72], short),
        None => short.to_vec(),
    };
    Some(Super::new(Holds::Iso9660, date(830).or_else(|| date(813)), label(&name)))
}

/// The name of 16 characters, and of the other one, of 32, what it has more.
fn whole(joliet: &[u8], short: &[u8]) -> Vec<u8> {
    let long = utf16(joliet, u16::from_be_bytes);
    let units = joliet.len() / 2;
    let same = long.is_ascii()
        && long.len() == units
        && long.iter().zip(short).all(|(a, b)| a.eq_ignore_ascii_case(b) || *b == b'_');
    match same {
        true => [&long, &short[units..]].concat(),
        false => long,
    }
}
