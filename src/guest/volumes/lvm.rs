//! LVM2: the logical volumes of groups whose physical volumes are all on this disk.
//!
//! A physical volume has a label, which leads to areas of metadata; each area is a ring whose header names the newest text
//! (`lib/format_text/layout.h` of LVM2). Linear segments are joined; everything else is named, and not read.

use super::super::fs::{Area, Trouble, Why};
use super::text::{Section, Value};
use super::{Holds, Probed, Volume, filled, text};

const SECTOR: u64 = 512;

/// Bytes of a text that are read. A group of a thousand volumes has half of it.
const LARGEST_TEXT: u64 = 1 << 20;

/// Bytes of all texts that are kept, and groups that tidegate reads.
const MOST_TEXT: usize = 2 << 20;
const MOST_GROUPS: usize = 8;

/// Areas of metadata of a physical volume, and logical volumes and segments of all groups that tidegate reads.
const MOST_AREAS: usize = 4;
const MOST_VOLUMES: usize = 255;
const MOST_SEGMENTS: usize = 1 << 12;

/// Bytes of the header of an area, and its mark.
const HEADER: usize = 512;
const MARK: &[u8] = b" LVM2 x[5A%r0N*>";

/// Adds the logical volumes of a disk to its volumes. A physical volume whose metadata cannot be read says why.
pub(super) fn add<'d>(disk: &Area<'d>, volumes: &mut Vec<Probed<'d>>) -> Result<(), Trouble> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut room = MOST_TEXT;
    for member in volumes.iter_mut().filter(|probed| probed.volume.holds == Holds::Lvm) {
        match newest(&member.area) {
            Ok(text) if texts.contains(&text) => {}
            Ok(text) => {
                room = room.saturating_sub(text.len());
                match room > 0 && texts.len() < MOST_GROUPS {
                    true => texts.push(text),
                    false => {
                        member.left =
                            Some(Why::Limit("there are more volume groups than tidegate reads"))
                    }
                }
            }
            Err(Trouble::Left(why)) => member.left = Some(why),
            Err(halt) => return Err(halt),
        }
    }
    let mut groups = Vec::new();
    for text in &texts {
        disk.spend(text.len() as u64 / 16)?;
        match Group::parse(text) {
            Some(group) => groups.push(group),
            None => {
                let why = Why::Damaged("the metadata of its volume group is damaged".to_owned());
                let members = volumes.iter_mut().filter(|probed| probed.volume.holds == Holds::Lvm);
                members.for_each(|member| member.left = Some(why.clone()));
            }
        }
    }
    // Each physical volume has all of its group; after a change that was cut off, not all have the newest.
    groups.sort_by(|a, b| (a.id, b.sequence).cmp(&(b.id, a.sequence)));
    groups.dedup_by(|later, first| later.id == first.id);
    let mut segments = 0;
    let mut logical = Vec::new();
    for group in &groups {
        for (name, volume) in group.volumes() {
            if logical.len() == MOST_VOLUMES {
                break;
            }
            logical.push(read(disk, volumes, group, name, volume, &mut segments)?);
        }
    }
    volumes.extend(logical);
    Ok(())
}

/// The newest text of metadata of a physical volume.
fn newest(area: &Area<'_>) -> Result<Vec<u8>, Trouble> {
    let damaged = |said: &str| Why::damaged(format!("of its physical volume, {said}"));
    let mut head = vec![0; area.size().min(4 * SECTOR) as usize];
    area.read(0, &mut head)?;
    let is =
        |sector: &&[u8]| sector.starts_with(b"LABELONE") && sector[24..].starts_with(b"LVM2 001");
    let label = head.chunks_exact(SECTOR as usize).find(is);
    let label = label.ok_or_else(|| damaged("the label is missing"))?;
    if sum(&label[20..]) != u32_at(label, 16) {
        return Err(damaged("the check sum of the label is wrong"));
    }
    // Behind the UUID and the size are two lists of places, of data and of metadata, each ended by zeros.
    let header = label.get(u32_at(label, 20) as usize..).unwrap_or_default();
    let places = header.get(40..).unwrap_or_default().chunks_exact(16);
    let mut places = places.map(|place| (u64_at(place, 0), u64_at(place, 8)));
    places.by_ref().find(|place| *place == (0, 0));
    let mut trouble = Why::unsupported("its metadata is on another physical volume");
    for (start, size) in places.take_while(|place| place.0 != 0).take(MOST_AREAS) {
        match of_area(&area.part(start, size)) {
            Ok(text) => return Ok(text),
            Err(Trouble::Left(why)) => trouble = why.into(),
            Err(halt) => return Err(halt),
        }
    }
    Err(trouble)
}

/// The text that the header of an area names.
fn of_area(area: &Area<'_>) -> Result<Vec<u8>, Trouble> {
    let damaged = |said: &str| Why::damaged(format!("of its metadata, {said}"));
    let header = area.array::<HEADER>(0)?;
    if header[4..20] != *MARK || sum(&header[4..]) != u32_at(&header, 0) {
        return Err(damaged("the header is damaged"));
    }
    let (at, size) = (u64_at(&header, 40), u64_at(&header, 48));
    if at == 0 || size == 0 {
        return Err(Why::unsupported("it is in no volume group"));
    }
    if size > LARGEST_TEXT {
        return Err(Why::Limit("the metadata of a volume group is larger than what is read").into());
    }
    let ring = area.size().saturating_sub(HEADER as u64);
    if at < HEADER as u64 || at > area.size() || size > ring {
        return Err(damaged("the text lies outside of its area"));
    }
    // What does not fit before the end goes on behind the header.
    let first = size.min(area.size() - at);
    let mut text = vec![0; size as usize];
    let (begin, rest) = text.split_at_mut(first as usize);
    area.read(at, begin)?;
    area.read(HEADER as u64, rest)?;
    if sum(&text) != u32_at(&header, 56) {
        return Err(damaged("the check sum of the text is wrong"));
    }
    Ok(text)
}

/// A volume group, as its text says.
struct Group<'t> {
    name: &'t [u8],
    id: &'t [u8],
    sequence: u64,
    /// Bytes of an extent.
    extent: u64,
    section: Section<'t>,
}

impl<'t> Group<'t> {
    fn parse(text: &'t [u8]) -> Option<Self> {
        let mut top = text::parse(text)?;
        let index = top.0.iter().position(|(_, value)| matches!(value, Value::Section(_)))?;
        let (name, Value::Section(section)) = top.0.swap_remove(index) else { return None };
        let id = section.text("id")?;
        let extent = section.number("extent_size")?.checked_mul(SECTOR).filter(|&size| size > 0)?;
        Some(Group { name, id, sequence: section.number("seqno")?, extent, section })
    }

    /// The logical volumes that are shown to users.
    fn volumes(&self) -> impl Iterator<Item = (&'t [u8], &Section<'t>)> {
        let all = self.section.section("logical_volumes").into_iter().flat_map(Section::sections);
        all.filter(|(_, volume)| volume.list("status").any(|word| word.is_text(b"VISIBLE")))
    }

    /// The UUID of a physical volume, and the byte of it at which extents begin.
    fn member(&self, name: &[u8]) -> Option<(&'t [u8], u64)> {
        let members = self.section.section("physical_volumes")?;
        let (_, member) = members.sections().find(|(other, _)| *other == name)?;
        Some((member.text("id")?, member.number("pe_start")?.checked_mul(SECTOR)?))
    }
}

/// A logical volume with what it holds, or why it is not read.
fn read<'d>(
    disk: &Area<'d>,
    volumes: &[Probed<'d>],
    group: &Group<'_>,
    name: &[u8],
    section: &Section<'_>,
    segments: &mut usize,
) -> Result<Probed<'d>, Trouble> {
    let mut volume = Volume {
        partition: None,
        logical: Some((group.name.to_vec(), name.to_vec())),
        start: 0,
        size: 0,
        holds: Holds::Unknown,
        uuid: None,
        label: None,
        partuuid: None,
        partlabel: None,
        kind: None,
    };
    disk.spend(16)?;
    match ranges(volumes, group, section, segments) {
        Ok(ranges) => {
            let area = disk.joined(&ranges);
            volume.start = ranges.first().map_or(0, |range| range.0);
            volume.size = area.size();
            filled(volume, area)
        }
        Err(why) => Ok(Probed { volume, area: disk.part(0, 0), what: None, left: Some(why) }),
    }
}

/// Where the extents of a logical volume are on the disk: offsets and lengths, in their order.
fn ranges(
    volumes: &[Probed<'_>],
    group: &Group<'_>,
    section: &Section<'_>,
    segments: &mut usize,
) -> Result<Vec<(u64, u64)>, Why> {
    let damaged = || Why::Damaged("the metadata of its volume group is damaged".to_owned());
    let mut list: Vec<(u64, &Section<'_>)> = Vec::new();
    for (_, segment) in section.sections().filter(|(name, _)| name.starts_with(b"segment")) {
        *segments += 1;
        if *segments > MOST_SEGMENTS {
            return Err(Why::Limit("there are more segments of volumes than tidegate reads"));
        }
        list.push((segment.number("start_extent").ok_or_else(damaged)?, segment));
    }
    list.sort_by_key(|(start, _)| *start);
    let mut ranges = Vec::new();
    let mut next = 0u64;
    for (start, segment) in list {
        let kind = segment.text("type").unwrap_or_default();
        let is_linear =
            kind == b"linear" || kind == b"striped" && segment.number("stripe_count") == Some(1);
        if !is_linear {
            let kind = crate::bytes::Hostile::new(kind);
            return Err(Why::Unsupported(format!(
                "it has a segment of kind {kind}; tidegate reads linear ones"
            )));
        }
        let count = segment.number("extent_count").ok_or_else(damaged)?;
        let mut stripe = segment.list("stripes");
        let (Some(Value::Text(member)), Some(Value::Number(first))) =
            (stripe.next(), stripe.next())
        else {
            return Err(damaged());
        };
        if start != next {
            return Err(damaged());
        }
        let (id, begin) = group.member(member).ok_or_else(damaged)?;
        let on_disk = volumes.iter().find(|probed| {
            probed.volume.holds == Holds::Lvm
                && probed.volume.uuid.as_deref().map(str::as_bytes) == Some(id)
        });
        let on_disk = on_disk
            .ok_or_else(|| Why::Unsupported("a part of it is on another disk".to_owned()))?;
        let from = first.checked_mul(group.extent).and_then(|at| at.checked_add(begin));
        let len = count.checked_mul(group.extent);
        let (from, len) = from.zip(len).ok_or_else(damaged)?;
        if from.checked_add(len).is_none_or(|end| end > on_disk.area.size()) {
            return Err(Why::Damaged("it reaches past the end of its physical volume".to_owned()));
        }
        ranges.push((on_disk.volume.start + from, len));
        next = next.checked_add(count).ok_or_else(damaged)?;
    }
    Ok(ranges)
}

/// The check sum of LVM2: a CRC-32 that begins with another number and is not inverted.
fn sum(bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    sum.update(bytes);
    !sum.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_lvm() {
        // Of nothing it is what it begins with; each byte is taken as libblkid's `lvm2_calc_crc` does.
        assert_eq!(sum(b""), 0xf597_a6cf);
        let slow = b"vg {\n".iter().fold(0xf597_a6cfu32, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| {
                sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        });
        assert_eq!(sum(b"vg {\n"), slow);
    }
}
