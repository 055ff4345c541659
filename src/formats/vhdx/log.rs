use super::header::{LogGuid, MIB, Span};
use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView};

/// The largest log that is looked into, all of it at once. QEMU and Hyper-V write 1 MiB.
const LARGEST: u64 = 8 << 20;

/// Entries begin and end at multiples of this (MS-VHDX 2.3).
const SECTOR: usize = 4096;

/// Bytes of a descriptor of an entry (MS-VHDX 2.3.1.2, 2.3.1.3).
const DESCRIPTOR: usize = 32;

/// How many times the length of the log is summed before the search is given up. The entries of a
/// real log do not overlap, so once is enough for them.
const MOST_SUMS: usize = 4;

/// Tells a log whose changes have to be replayed from one that the header names and that is empty.
/// A log that cannot be looked at counts as the former.
pub(super) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    log: Span,
    guid: Option<LogGuid>,
) -> Result<(), Halt> {
    let Some(LogGuid { guid, at }) = guid else { return Ok(()) };
    let dirty = |why: &str| {
        notebook.image(
            Code::VhdxLogDirty,
            at,
            format!("The log at byte {} is in use: the image was not closed, and {why}.", log.at),
        );
    };
    if log.len > LARGEST {
        dirty(&format!("its {} bytes may have to be replayed", log.len));
        return Ok(());
    }
    if log.at < MIB || !log.at.is_multiple_of(MIB) || !log.len.is_multiple_of(MIB) {
        // The header said so.
        dirty("the log may have to be replayed");
        return Ok(());
    }
    let mut bytes = vec![0; log.len as usize];
    match view.read_at(log.at, &mut bytes)? {
        Got::Bytes(count) if count == bytes.len() => {}
        // That the image is cut is said of the log's place.
        Got::Bytes(_) | Got::Missing(_) => {
            dirty("the log may have to be replayed");
            return Ok(());
        }
    }
    match valid_entry(&bytes, &guid) {
        Found::Entry { at, sequence } => dirty(&format!(
            "its entry {sequence} at byte {} has to be replayed", log.at.saturating_add(at))),
        Found::Broken { at: entry } => {
            let entry = log.at.saturating_add(entry);
            notebook.image(Code::VhdxLogInvalid, entry, format!(
                "The log's entry at byte {entry} has a descriptor that cannot be; QEMU refuses to open the image for it."));
        }
        Found::Unsure => dirty("the log may have to be replayed"),
        Found::Nothing => notebook.image(Code::VhdxLogStale, at, format!(
            "The header says that the log at byte {} is in use, but no entry of it is valid: nothing has to be replayed.",
            log.at)),
    }
    Ok(())
}

/// What a log holds.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// An entry to replay, at this offset of the log.
    Entry { at: u64, sequence: u64 },
    /// One with a descriptor that cannot be, at this offset of the log.
    Broken { at: u64 },
    /// No such entry.
    Nothing,
    /// More that looks like entries than a log can have.
    Unsure,
}

/// Looks for an entry that carries `guid` and is valid or that no reader gets past (MS-VHDX 2.3.1; QEMU's
/// `vhdx_log_search`). A checksum that is wrong is what the last entry of an interrupted writer has.
fn valid_entry(log: &[u8], guid: &[u8; 16]) -> Found {
    let mut budget = log.len().saturating_mul(MOST_SUMS);
    for (at, sector) in (0..log.len()).step_by(SECTOR).zip(log.chunks_exact(SECTOR)) {
        let Some(header) = Header::read(sector, guid).filter(|header| header.len <= log.len())
        else {
            continue;
        };
        // The sectors with descriptors are summed even if the entry says that it is shorter.
        let len = header.len.max(header.descriptor_sectors() * SECTOR);
        if len > budget {
            return Found::Unsure;
        }
        budget -= len;
        // An entry that begins near the end of the log goes on at its beginning.
        let mut sectors = log.chunks_exact(SECTOR).cycle().skip(at / SECTOR).take(len / SECTOR);
        let Some((first, rest)) = sectors.next().and_then(|first| first.split_at_checked(8)) else {
            continue;
        };
        let (signature, stored) = first.split_at(4);
        let mut sum = crc32c::crc32c(signature);
        for part in [&[0; 4], rest].into_iter().chain(sectors.clone()) {
            sum = crc32c::crc32c_append(sum, part);
        }
        let mut descriptors = rest
            .get(Header::LENGTH - first.len()..)
            .into_iter()
            .chain(sectors)
            .flat_map(|bytes| bytes.chunks_exact(DESCRIPTOR))
            .take(header.descriptors);
        if !descriptors.all(|descriptor| header.agrees_with(descriptor)) {
            return Found::Broken { at: at as u64 };
        }
        if stored == sum.to_le_bytes() {
            return Found::Entry { at: at as u64, sequence: header.sequence };
        }
    }
    Found::Nothing
}

/// What the header of an entry says.
struct Header {
    /// Bytes of the entry: whole sectors, perhaps none.
    len: usize,
    sequence: u64,
    /// At most as many as have room in `len` bytes.
    descriptors: usize,
}

impl Header {
    /// Bytes of it.
    const LENGTH: usize = 64;

    /// The header that this sector begins with, if it is possible and one of this log (QEMU's
    /// `vhdx_log_hdr_is_valid`).
    fn read(sector: &[u8], guid: &[u8; 16]) -> Option<Header> {
        let len = usize::try_from(word(sector, 8)?).ok()?;
        let sequence = long(sector, 16)?;
        let descriptors = usize::try_from(word(sector, 24)?).ok()?;
        let mine = sector.starts_with(b"loge") && sector.get(32..48)? == guid;
        let fit = descriptors <= len / DESCRIPTOR;
        let header = Header { len, sequence, descriptors };
        (mine && fit && len.is_multiple_of(SECTOR) && sequence > 0).then_some(header)
    }

    /// Sectors that header and descriptors take.
    fn descriptor_sectors(&self) -> usize {
        (Header::LENGTH + self.descriptors * DESCRIPTOR).div_ceil(SECTOR)
    }

    /// Whether a descriptor can be one of this entry (QEMU's `vhdx_log_desc_is_valid`).
    fn agrees_with(&self, descriptor: &[u8]) -> bool {
        let whole = |at| long(descriptor, at).is_some_and(|number| number % SECTOR as u64 == 0);
        let kind = match descriptor.first_chunk() {
            Some(b"zero") => whole(8),
            Some(b"desc") => true,
            _ => false,
        };
        kind && whole(16) && long(descriptor, 24) == Some(self.sequence)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::super::examine::tests::{Sample, codes};
    use super::*;

    const SECOND: usize = 128 << 10;
    const LOG: usize = 1 << 20;
    const GUID: [u8; 16] = [7; 16];

    /// An image whose header names a log.
    fn sample() -> Sample {
        let mut sample = Sample::new();
        sample.put(SECOND + 48, &GUID).seal(SECOND, 4096);
        sample
    }

    /// A log of 1 MiB with one entry of two sectors that begins in this sector.
    fn log(sector: usize) -> Vec<u8> {
        let mut entry = vec![0; 2 * SECTOR];
        entry[..4].copy_from_slice(b"loge");
        entry[8..12].copy_from_slice(&(2 * SECTOR as u32).to_le_bytes());
        entry[16] = 3;
        entry[24] = 1;
        entry[32..48].copy_from_slice(&GUID);
        entry[64..68].copy_from_slice(b"desc");
        entry[64 + 24] = 3;
        entry[SECTOR..SECTOR + 4].copy_from_slice(b"data");
        let sum = crc32c::crc32c(&entry);
        entry[4..8].copy_from_slice(&sum.to_le_bytes());
        let mut log = vec![0; 1 << 20];
        for (index, byte) in entry.into_iter().enumerate() {
            let at = (sector * SECTOR + index) % log.len();
            log[at] = byte;
        }
        log
    }

    #[test]
    fn only_a_valid_entry_makes_a_log_dirty() {
        assert_eq!(codes(sample().image), [Code::VhdxLogStale]);
        // The last one goes on at the beginning of the log.
        for sector in [0, 100, 255] {
            let mut dirty = sample();
            dirty.put(LOG, &log(sector));
            assert_eq!(codes(dirty.image), [Code::VhdxLogDirty]);
        }
        // Its signature, checksum, length, sequence number, count of descriptors, GUID and data.
        for (at, byte) in
            [(0, 0), (4, 0), (9, 0x10), (10, 0xff), (16, 0), (26, 1), (47, 6), (5000, 1)]
        {
            let mut stale = sample();
            let mut log = log(0);
            assert_ne!(log[at], byte);
            log[at] = byte;
            stale.put(LOG, &log);
            assert_eq!(codes(stale.image), [Code::VhdxLogStale], "{at}");
        }
        // Not named by the header.
        let mut other = Sample::new();
        other.put(LOG, &log(0));
        assert_eq!(codes(other.image), []);
    }

    #[test]
    fn a_descriptor_that_cannot_be_is_refused() {
        // Its signature, place, sequence number; whether the checksum is right does not matter.
        for (at, byte) in [(64, 0), (64, b'z'), (80, 1), (88, 4)] {
            let mut broken = sample();
            let mut log = log(9);
            log[9 * SECTOR + at] = byte;
            broken.put(LOG, &log);
            assert_eq!(codes(broken.image), [Code::VhdxLogInvalid], "{at}");
        }
    }

    #[test]
    fn an_entry_without_length_is_one() {
        let mut log = log(0);
        log[8..12].fill(0);
        log[24] = 0;
        log[4..8].fill(0);
        let sum = crc32c::crc32c(&log[..SECTOR]);
        log[4..8].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(valid_entry(&log, &GUID), Found::Entry { at: 0, sequence: 3 });
    }

    #[test]
    fn a_log_that_cannot_be_looked_at_counts_as_dirty() {
        // 16 MiB over everything else.
        let mut large = sample();
        large.put(SECOND + 70, &[0, 1]).seal(SECOND, 4096);
        assert!(codes(large.image).contains(&Code::VhdxLogDirty));
        let mut cut = sample();
        cut.image.truncate(LOG + 5000);
        assert!(codes(cut.image).contains(&Code::ImageTruncated));
    }

    #[test]
    fn entries_over_each_other_cost_a_bounded_time() {
        let mut log = log(0);
        for at in (0..log.len()).step_by(SECTOR) {
            let header = log[..96].to_vec();
            log[at..at + 96].copy_from_slice(&header);
            log[at + 8..at + 12].copy_from_slice(&(1u32 << 20).to_le_bytes());
        }
        assert_eq!(valid_entry(&log, &GUID), Found::Unsure);
    }
}
