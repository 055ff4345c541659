//! Whether two disks are the same.

use super::{Error, Event, Listener, Opened};
use crate::formats::{Disk, Got, Halt};

const PIECE: usize = 1 << 20;
const SECTOR: u64 = 512;

/// How two disks differ; not at all if neither says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Sizes of the disks in bytes.
    pub sizes: [u64; 2],
    /// The first sector that differs, as far as both disks reach.
    pub sector: Option<u64>,
}

impl Difference {
    /// Whether the disks are the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.sizes[0] == self.sizes[1] && self.sector.is_none()
    }
}

/// Which of the two disks could not be read (0 or 1), and why.
type Failure = (usize, Error);

/// Compares the disks of two images as far as both reach. The listener hears how far that is.
///
/// # Errors
/// If one of them cannot be read.
pub fn compare(
    mut a: Opened<'_>,
    mut b: Opened<'_>,
    listener: &dyn Listener,
) -> Result<Difference, Failure> {
    let sizes = [a.virtual_size(), b.virtual_size()];
    let end = sizes[0].min(sizes[1]);
    let both = format!("{} and {}", a.source(), b.source());
    listener.event(Event::Started { source: &both, size: Some(end) });
    let sector = a
        .with_disk(|a| b.with_disk(|b| Ok(first_difference(a, b, end, listener))))
        .map_err(|halt| (0, Error::from(halt)))?;
    // What the images' notebooks say explains more than a read that failed.
    a.close().map_err(|error| (0, error))?;
    b.close().map_err(|error| (1, error))?;
    let sector = sector.map_err(|(which, halt)| (which, Error::from(halt)))?;
    Ok(Difference { sizes, sector })
}

/// The first sector before `end` that differs.
fn first_difference(
    a: &mut dyn Disk,
    b: &mut dyn Disk,
    end: u64,
    listener: &dyn Listener,
) -> Result<Option<u64>, (usize, Halt)> {
    let mut buffers = [vec![0; PIECE], vec![0; PIECE]];
    let mut at = 0;
    while at < end {
        let runs = [a.run(at).map_err(|e| (0, e))?, b.run(at).map_err(|e| (1, e))?];
        let zeros = a.zeros(&runs[0]).min(b.zeros(&runs[1]));
        if zeros > 0 {
            at += zeros;
            continue;
        }
        let want = (end - at).min(PIECE as u64) as usize;
        let [left, right] = &mut buffers;
        let (left, right) = (&mut left[..want], &mut right[..want]);
        read(a, at, left).map_err(|e| (0, e))?;
        read(b, at, right).map_err(|e| (1, e))?;
        if left != right {
            let byte = left.iter().zip(right.iter()).position(|(a, b)| a != b).unwrap_or_default();
            return Ok(Some((at + byte as u64) / SECTOR));
        }
        at += want as u64;
        listener.event(Event::Progress { bytes: at });
    }
    Ok(None)
}

fn read(disk: &mut dyn Disk, at: u64, buf: &mut [u8]) -> Result<(), Halt> {
    match disk.read_at(at, buf)? {
        Got::Bytes(count) if count == buf.len() => Ok(()),
        _ => Err(Halt::Stopped),
    }
}
