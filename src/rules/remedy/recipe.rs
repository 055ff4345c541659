//! The ways in which commands mend an image.

use super::chain::{Chain, Made, exists};
use super::name::Name;
use super::words::{check, convert, driver, max_size, piped};
use super::{Case, Input, Without};
use crate::facts::{Compression, DiskFormat};
use crate::guest::{PartitionTable, Scheme};

/// How the commands of a remedy are made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Recipe {
    /// `tidegate repack`, which verifies what it writes.
    Repack,
    /// The same, where a raw image comes out of a container.
    TakeOut,
    /// The same of a VMDK descriptor, with the files beside it.
    Parts,
    /// The same of the VMDK descriptor that a piece of a split VMDK belongs to.
    Join,
    /// Decompresses with a program that reads from a pipe or takes a file, and packs with gzip.
    Through(&'static str),
    /// Takes the only member out of a zip archive, and packs it with gzip.
    Unzip,
    /// Writes the disk into a qcow2 image.
    Convert,
    /// The same of an image that takes other files beside it.
    Flatten,
    /// The same, where only the image is too large and not the disk in it; else as [`Recipe::Shrink`].
    ConvertSmaller,
    /// Makes the plain image of an Android sparse image.
    Unsparse,
    /// Writes a raw image with whole sectors.
    Pad,
    /// Puts both copies of a GPT in their places, on a raw copy of the disk.
    MoveBackup,
    /// Writes a GPT anew from its backup at the end of the disk, on a raw copy of the disk.
    FromBackup,
    /// Makes room behind the last partition for a backup GPT, on a raw copy of the disk.
    MakeRoom,
    /// Copies the disk without what is behind its last partition, where that makes it small enough.
    Shrink,
    /// Writes a protective MBR before the GPT, on a raw copy of the disk.
    Protect,
    /// Copies what is before the finding.
    CutThere,
    /// Gives the file a second name that fits its content.
    Rename,
    /// A command that only shows something of the file.
    Show(&'static str),
}

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Sectors of a backup GPT: 128 entries and a header.
const BACKUP: u64 = 33;

/// What a disk is made larger by to hold a backup GPT.
const ROOM: u64 = 1 << 20;

impl Recipe {
    /// Whether `tidegate repack` does it, wherever the image is.
    pub(super) fn is_repack(&self) -> bool {
        matches!(self, Recipe::Repack | Recipe::TakeOut)
    }

    /// The commands for this case, joined to one line.
    pub(super) fn command(&self, case: &Case<'_>) -> Result<String, Without> {
        let chain = Chain::new(case)?;
        match self {
            Recipe::Repack => Ok(repack(case, chain.input(), &chain.packed_name()?)),
            Recipe::TakeOut => Ok(repack(case, chain.input(), &chain.name(".img.gz")?)),
            Recipe::Parts => parts(chain, case),
            Recipe::Join => join(&chain, case),
            Recipe::Through(program) => through(chain, program),
            Recipe::Unzip => unzip(chain),
            Recipe::Convert => to_qcow2(chain, case),
            Recipe::Flatten if chain.unpacker()?.is_some() => Err(Without::Apart),
            Recipe::Flatten => to_qcow2(chain, case),
            Recipe::ConvertSmaller => {
                let raw = case.format == Some(DiskFormat::Raw);
                let fits = case.virtual_size.is_some_and(|size| size < case.limit);
                match fits && !raw || is_general(case) {
                    true => to_qcow2(chain, case),
                    false => shrink(chain, case),
                }
            }
            Recipe::Unsparse => unsparse(chain),
            Recipe::Pad => {
                let (chain, raw) = to_raw(chain, case)?;
                Ok(chain.checked(raw))
            }
            Recipe::MoveBackup => {
                let size = case.virtual_size.filter(|_| has_gpt(case));
                let fits = |size| ends_at(case).is_some_and(|end| end + BACKUP * SECTOR <= size);
                if !size.is_some_and(fits) && !is_general(case) {
                    return Err(Without::Useless);
                }
                both_copies(chain, case)
            }
            // That the backup is there says that there is room for it.
            Recipe::FromBackup if has_gpt(case) || is_general(case) => both_copies(chain, case),
            Recipe::FromBackup => Err(Without::Useless),
            Recipe::MakeRoom => make_room(chain, case),
            Recipe::Shrink => shrink(chain, case),
            Recipe::Protect => protect(chain, case),
            Recipe::CutThere => cut(chain, case),
            Recipe::Rename => {
                let name = chain.name(&right_ending(case).ok_or(Without::Useless)?)?;
                if !chain.is_beside(&name) {
                    return Err(Without::Useless);
                }
                let second = format!("ln {} {name}", chain.input());
                Ok([exists(&name), second, check(&name, case.limit)].join(" && "))
            }
            Recipe::Show(command) => match chain.unpacker()? {
                None => Ok(command.replace("{}", &chain.input().to_string())),
                Some(_) => Err(Without::Inside),
            },
        }
    }
}

fn is_general(case: &Case<'_>) -> bool {
    matches!(case.input, Input::General)
}

/// It looks itself whether the file is there, in one step with the making, and verifies what it wrote.
fn repack(case: &Case<'_>, image: &Name, made: &Name) -> String {
    format!("tidegate repack {}{image} {made}", max_size(case.limit))
}

/// The disk that a VMDK descriptor describes. A packed one is decompressed into its folder, where its parts are.
fn parts(mut chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let new = chain.name(".img.gz")?;
    let Some(unpacker) = chain.unpacker()? else {
        return Ok(repack(case, chain.input(), &new));
    };
    let made = chain.make(".vmdk")?;
    if !chain.is_beside(made.name()) {
        return Err(Without::Apart);
    }
    chain.step(format!("{unpacker} {} > {}", chain.input(), made.begun()));
    let descriptor = chain.finish(made);
    chain.step(repack(case, &descriptor, &new));
    Ok(chain.to_string())
}

/// What a program that reads a pipe makes of the file, packed with gzip.
fn through(mut chain: Chain<'_>, program: &str) -> Result<String, Without> {
    let name = chain.packed_name()?;
    let made = chain.begin(name);
    let (input, new) = (chain.input(), made.begun());
    let command = match chain.unpacker()? {
        Some(unpacker) => piped(&[&format!("{unpacker} {input}"), program, "gzip"], &new),
        None => piped(&[&format!("{program} < {input}"), "gzip"], &new),
    };
    chain.step(command);
    Ok(chain.checked(made))
}

/// The only member of a zip archive. `unzip -p` would join several to one file.
fn unzip(mut chain: Chain<'_>) -> Result<String, Without> {
    if chain.unpacker()?.is_some() {
        return Err(Without::Inside);
    }
    if chain.input().is_pattern() {
        return Err(Without::Name);
    }
    let name = chain.packed_name()?;
    let input = chain.input().to_string();
    chain.step(format!("test \"$(unzip -Z1 {input} | wc -l)\" -eq 1 || ! echo {input} does not have exactly one member"));
    let made = chain.begin(name);
    chain.step(piped(&[&format!("unzip -p {input}"), "gzip"], &made.begun()));
    Ok(chain.checked(made))
}

/// The plain image of an Android sparse image.
fn unsparse(mut chain: Chain<'_>) -> Result<String, Without> {
    let made = chain.make(".img")?;
    let new = made.begun();
    chain.read_image(&made, |image| format!("simg2img {image} {new}"))?;
    Ok(chain.checked(made))
}

/// What is before the finding.
fn cut(mut chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let at = case.offset.ok_or(Without::Useless)?;
    let ending = driver(case.format.ok_or(Without::Useless)?).map_or(".img", |it| it.1);
    let made = chain.make(ending)?;
    let new = made.begun();
    chain.read_image(&made, |image| format!("head -c {at} {image} > {new}"))?;
    Ok(chain.checked(made))
}

/// What `qemu-img -f` calls the format of the image.
fn from(case: &Case<'_>) -> Result<&'static str, Without> {
    match case.format {
        Some(format) => Ok(driver(format).ok_or(Without::Useless)?.0),
        None if is_general(case) => Ok("FORMAT"),
        None => Err(Without::Useless),
    }
}

/// The disk of the image, written anew.
fn converted<'a>(
    mut chain: Chain<'a>,
    case: &Case<'_>,
    to: &str,
) -> Result<(Chain<'a>, Made), Without> {
    let format = from(case)?;
    let made = chain.make(&format!(".{to}"))?;
    let new = made.begun();
    chain.read_image(&made, |image| convert(format, image, to, &new))?;
    Ok((chain, made))
}

fn to_qcow2(chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let (chain, made) = converted(chain, case, "qcow2")?;
    Ok(chain.checked(made))
}

/// A raw copy of the disk, with whole sectors.
fn to_raw<'a>(chain: Chain<'a>, case: &Case<'_>) -> Result<(Chain<'a>, Made), Without> {
    converted(chain, case, "raw")
}

/// The disk by the descriptor that a piece called `disk-s001.vmdk` or `disk-f001.vmdk` belongs to, if it is there.
fn join(chain: &Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    if is_general(case) || chain.unpacker()?.is_some() {
        return Err(Without::Useless);
    }
    let piece = chain.input().path().to_str().ok_or(Without::Name)?;
    let (stem, number) = piece.rsplit_once('-').ok_or(Without::Useless)?;
    let number = number.strip_suffix(".vmdk").ok_or(Without::Useless)?;
    let digits = number.strip_prefix(['s', 'f']).ok_or(Without::Useless)?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Without::Useless);
    }
    let descriptor = Name::new(format!("{stem}.vmdk").as_ref())?;
    if (case.free)(descriptor.path()) {
        return Err(Without::Useless);
    }
    let made = descriptor.beside(descriptor.parts().0, ".img.gz", case.free)?;
    Ok(repack(case, &descriptor, &made))
}

fn has_gpt(case: &Case<'_>) -> bool {
    case.partitions.is_some_and(|table| table.scheme == Scheme::Gpt)
}

/// Where the last partition ends, in bytes of the disk, if all of them are known.
fn ends_at(case: &Case<'_>) -> Option<u64> {
    let whole = |table: &&PartitionTable| table.left_out == 0 && table.unread.is_empty();
    let table = case.partitions.filter(whole)?;
    let ends = table.partitions.iter().map(|it| it.start.checked_add(it.size));
    Some(ends.collect::<Option<Vec<u64>>>()?.into_iter().max().unwrap_or(0))
}

fn both_copies(chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let (mut chain, made) = to_raw(chain, case)?;
    let raw = made.begun();
    chain.step(format!("sgdisk -e {raw}"));
    Ok(chain.checked(made))
}

fn make_room(chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let size = case.virtual_size.filter(|_| has_gpt(case)).ok_or(Without::Useless)?;
    let whole = ends_at(case).is_some_and(|end| end <= size);
    let size = size.checked_add(ROOM).and_then(|size| size.checked_next_multiple_of(ROOM));
    let size = size.filter(|size| whole && *size < case.limit).ok_or(Without::Useless)?;
    let (mut chain, made) = to_raw(chain, case)?;
    let raw = made.begun();
    chain.step(format!("truncate -s {size} {raw}"));
    chain.step(format!("sgdisk -e {raw}"));
    Ok(chain.checked(made))
}

/// A disk as small as its partitions allow, if that is below the limit. A disk without partitions may use all of itself.
fn shrink(chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let end = ends_at(case).filter(|end| *end > 0).ok_or(Without::Useless)?;
    let backup = if has_gpt(case) { BACKUP * SECTOR } else { 0 };
    let size = end.checked_add(backup).and_then(|size| size.checked_next_multiple_of(ROOM));
    let smaller =
        |size: &u64| *size < case.limit && case.virtual_size.is_some_and(|now| *size < now);
    let size = size.filter(smaller).ok_or(Without::Useless)?;
    if has_gpt(case) {
        let (mut chain, made) = to_raw(chain, case)?;
        let raw = made.begun();
        chain.step(format!("truncate -s {size} {raw}"));
        chain.step(format!("sgdisk -e {raw}"));
        return Ok(chain.checked(made));
    }
    let (mut chain, made) = converted(chain, case, "qcow2")?;
    chain.step(format!("qemu-img resize -q -f qcow2 --shrink {} {size}", made.begun()));
    Ok(chain.checked(made))
}

/// The four entries and the mark of an MBR, written as UEFI asks for them: one entry of type EE from sector 1 to the end.
fn protect(chain: Chain<'_>, case: &Case<'_>) -> Result<String, Without> {
    let size = case.virtual_size.filter(|_| has_gpt(case)).ok_or(Without::Useless)?;
    let sectors = u32::try_from((size / SECTOR).saturating_sub(1)).unwrap_or(u32::MAX);
    let (mut chain, made) = to_raw(chain, case)?;
    let raw = made.begun();
    let length: String = sectors.to_le_bytes().iter().map(|byte| format!("\\{byte:03o}")).collect();
    let entry = format!("\\000\\000\\002\\000\\356\\377\\377\\377\\001\\000\\000\\000{length}");
    chain.step(format!("dd if=/dev/zero of={raw} bs=1 seek=446 count=64 conv=notrunc status=none"));
    chain.step(format!(
        "printf '{entry}' | dd of={raw} bs=1 seek=446 count=16 conv=notrunc status=none"
    ));
    chain.step(format!(
        "printf '\\125\\252' | dd of={raw} bs=1 seek=510 count=2 conv=notrunc status=none"
    ));
    Ok(chain.checked(made))
}

/// The ending that the content asks for.
fn right_ending(case: &Case<'_>) -> Option<String> {
    let (_, format) = driver(case.format?)?;
    let packed = match case.compression? {
        Compression::None => "",
        Compression::Gzip => ".gz",
        Compression::Bzip2 => ".bz2",
        _ => return None,
    };
    Some(format!("{format}{packed}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::facts::Layer;

    const MIB: u64 = 1 << 20;

    /// A disk of this many bytes with one partition from its first MiB to this byte.
    fn made(recipe: Recipe, scheme: &str, size: u64, end: u64, limit: u64) -> Option<String> {
        let table = serde_json::json!({"scheme": scheme, "partitions": [
            {"number": 1, "start": MIB, "size": end - MIB, "type": "83"}
        ]});
        let table: PartitionTable = serde_json::from_value(table).unwrap();
        let anything = |_: &Path| true;
        let input = Input::File(Path::new("a.img"));
        let mut case = Case::new(input, Layer::Disk, limit, &anything);
        case.format = Some(DiskFormat::Raw);
        case.compression = Some(Compression::None);
        case.virtual_size = Some(size);
        case.partitions = Some(&table);
        recipe.command(&case).ok()
    }

    #[test]
    fn a_backup_needs_a_gpt_and_room_behind_the_last_partition() {
        let room = BACKUP * SECTOR;
        let whole = |scheme, end| made(Recipe::MoveBackup, scheme, 8 * MIB, end, 1 << 30);
        assert!(whole("gpt", 8 * MIB - room).unwrap().contains("sgdisk -e a.raw.part/new &&"));
        assert_eq!(whole("gpt", 8 * MIB - room + 1), None);
        assert_eq!(whole("gpt", 8 * MIB), None);
        assert_eq!(whole("mbr", 2 * MIB), None);
        assert_eq!(made(Recipe::FromBackup, "mbr", 8 * MIB, 2 * MIB, 1 << 30), None);
    }

    #[test]
    fn room_is_made_only_below_the_limit_and_behind_whole_partitions() {
        let grown = |end, limit| made(Recipe::MakeRoom, "gpt", 8 * MIB - 700, end, limit);
        assert!(
            grown(8 * MIB - 700, 1 << 30)
                .unwrap()
                .contains("truncate -s 9437184 a.raw.part/new && sgdisk -e a.raw.part/new")
        );
        assert_eq!(grown(8 * MIB - 699, 1 << 30), None);
        assert_eq!(grown(2 * MIB, 9 * MIB), None);
    }

    #[test]
    fn a_disk_is_cut_only_behind_its_partitions() {
        let cut = |scheme, end, limit| made(Recipe::Shrink, scheme, 30 * MIB, end, limit);
        let command = cut("gpt", 5 * MIB, 20 * MIB).unwrap();
        assert!(
            command.contains("truncate -s 6291456 a.raw.part/new && sgdisk -e a.raw.part/new && "),
            "{command}"
        );
        assert!(command.ends_with("tidegate check --max-size 20971520 a.raw"), "{command}");
        let command = cut("mbr", 5 * MIB, 20 * MIB).unwrap();
        assert!(
            command.contains("--shrink a.qcow2.part/new 5242880 && ")
                && !command.contains("sgdisk")
        );
        assert_eq!(cut("mbr", 25 * MIB, 20 * MIB), None);
        assert_eq!(cut("gpt", 20 * MIB - 512, 20 * MIB), None);
        // Nothing would be gained.
        assert_eq!(made(Recipe::Shrink, "gpt", 30 * MIB, 30 * MIB, 1 << 30), None);
    }

    #[test]
    fn a_protective_entry_is_as_long_as_the_disk() {
        let of = |size| made(Recipe::Protect, "gpt", size, 2 * MIB, 1 << 50);
        let entry = "'\\000\\000\\002\\000\\356\\377\\377\\377\\001\\000\\000\\000";
        assert!(of(8 * MIB).unwrap().contains(&format!("{entry}\\377\\077\\000\\000'")));
        assert!(of(3 << 40).unwrap().contains(&format!("{entry}\\377\\377\\377\\377'")));
        assert_eq!(made(Recipe::Protect, "mbr", 8 * MIB, 2 * MIB, 1 << 30), None);
    }
}
