use super::header::{LogGuid, MIB, Span};
use crate::facts::{Code, Notebook};
use crate::formats::{Got, Halt, ImageView};

/// The largest log that is looked into, all of it at once. QEMU and Hyper-V write 1 MiB.
const LARGEST: u64 = 8 << 20;

/// Entries begin and end at multiples of this (MS-VHDX 2.3).
const SECTOR: usize = 4096;

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
    /// No such entry.
    Nothing,
    /// More that looks like entries than a log can have.
    Unsure,
}

/// Looks for a valid entry that carries `guid` (MS-VHDX 2.3.1.1; QEMU's `vhdx_log_hdr_is_valid`).
fn valid_entry(log: &[u8], guid: &[u8; 16]) -> Found {
    let mut budget = log.len().saturating_mul(MOST_SUMS);
    for (at, sector) in (0..log.len()).step_by(SECTOR).zip(log.chunks_exact(SECTOR)) {
        let Some((len, sequence)) = header(sector, guid).filter(|(len, _)| *len <= log.len())
        else {
            continue;
        };
        if len > budget {
            return Found::Unsure;
        }
        budget -= len;
        // An entry that begins near the end of the log goes on at its beginning.
        let first = log.get(at..).unwrap_or_default();
        let first = first.get(..len).unwrap_or(first);
        let rest = log.get(..len - first.len()).unwrap_or_default();
        let Some((signature, after)) = first.split_at_checked(4) else { continue };
        let Some((stored, after)) = after.split_first_chunk::<4>() else { continue };
        let sum = [signature, &[0; 4], after, rest]
            .iter()
            .fold(0, |crc, part| crc32c::crc32c_append(crc, part));
        if sum == u32::from_le_bytes(*stored) {
            return Found::Entry { at: at as u64, sequence };
        }
    }
    Found::Nothing
}

/// The length and the sequence number of the entry that begins with this sector, if they are
/// possible and it is one of this log.
fn header(sector: &[u8], guid: &[u8; 16]) -> Option<(usize, u64)> {
    let word = |at: usize| Some(u32::from_le_bytes(*sector.get(at..)?.first_chunk()?));
    let len = usize::try_from(word(8)?).ok()?;
    let sequence = u64::from(word(16)?) | u64::from(word(20)?) << 32;
    let mine = sector.starts_with(b"loge") && sector.get(32..48)? == guid;
    (mine && len >= SECTOR && len.is_multiple_of(SECTOR) && sequence > 0).then_some((len, sequence))
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
        // Its signature, checksum, length, sequence number, GUID and data.
        for (at, byte) in [(0, 0), (4, 0), (9, 0x10), (10, 0xff), (16, 0), (47, 6), (5000, 1)] {
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
            let header = log[..48].to_vec();
            log[at..at + 48].copy_from_slice(&header);
            log[at + 8..at + 12].copy_from_slice(&(1u32 << 20).to_le_bytes());
        }
        assert_eq!(valid_entry(&log, &GUID), Found::Unsure);
    }
}
