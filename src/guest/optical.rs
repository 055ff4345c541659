//! An optical disc in front of, or around, the partitions of a disk.

use super::Partition;
use crate::facts::{Code, Notebook};

/// Disk offset of the mark of the first volume descriptor.
pub(super) const MARK: u64 = 0x8001;

/// The volume at the beginning of a disk.
pub(super) struct Volume {
    /// Disk offset behind its last byte; `None` if it does not say so in a way that holds.
    end: Option<u64>,
}

impl Volume {
    /// The volume of a disk that begins like this.
    pub(super) fn find(first: &[u8]) -> Option<Self> {
        let mark = first.get(MARK as usize..)?;
        let marks: [&[u8]; 7] =
            [b"CD001", b"BEA01", b"BOOT2", b"CDW02", b"NSR02", b"NSR03", b"TEA01"];
        let is = marks.iter().any(|known| mark.starts_with(known))
            || mark.get(8..).is_some_and(|mark| mark.starts_with(b"CDROM"));
        is.then(|| Volume { end: primary_end(&first[MARK as usize - 1..]) })
    }
}

/// Where the volume of a primary volume descriptor ends (ECMA-119, 8.4.8 and 8.4.12). Its numbers stand in it in both byte
/// orders, which have to agree.
fn primary_end(descriptor: &[u8]) -> Option<u64> {
    if !descriptor.starts_with(b"\x01CD001\x01") {
        return None;
    }
    let little: [u8; 4] = *descriptor.get(80..)?.first_chunk()?;
    let big: [u8; 4] = *descriptor.get(84..)?.first_chunk()?;
    let [l0, l1, b0, b1] = *descriptor.get(128..)?.first_chunk()?;
    let (blocks, size) = (u32::from_le_bytes(little), u16::from_le_bytes([l0, l1]));
    let agree = blocks == u32::from_be_bytes(big) && size == u16::from_be_bytes([b0, b1]);
    (agree && size.is_power_of_two() && size >= 512).then(|| u64::from(blocks) * u64::from(size))
}

/// Says what an optical disc beside a partition table is: a shell before the first partition, or a disc that is a disk as
/// well.
pub(super) fn judge(first: &[u8], partitions: &[Partition], notebook: &Notebook<'_>) {
    let Some(volume) = Volume::find(first) else { return };
    let start = partitions.iter().map(|partition| partition.start).min();
    match (volume.end, start) {
        (Some(end), Some(start)) if end <= start => notebook.disk(Code::IsoShell, MARK, format!(
            "The disk begins with an ISO 9660 volume that ends at byte {end}; the first partition begins at byte {start}."
        )),
        _ => notebook.disk(
            Code::IsoHybrid,
            MARK,
            "The disk is an optical disc (ISO 9660, UDF) and has a partition table at once.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(blocks: u32) -> Vec<u8> {
        let mut first = vec![0; 0x8800];
        first[0x8000..0x8007].copy_from_slice(b"\x01CD001\x01");
        first[0x8050..0x8054].copy_from_slice(&blocks.to_le_bytes());
        first[0x8054..0x8058].copy_from_slice(&blocks.to_be_bytes());
        first[0x8080..0x8084].copy_from_slice(&[0, 8, 8, 0]);
        first
    }

    fn judged(first: &[u8], start: u64) -> Vec<Code> {
        let partition =
            Partition { number: 1, start, size: 512, kind: String::new(), name: String::new() };
        let notebook = Notebook::new(&|_| false, 1);
        judge(first, &[partition], &notebook);
        notebook.close().iter().map(|anomaly| anomaly.code).collect()
    }

    #[test]
    fn a_volume_before_the_partitions_is_a_shell() {
        assert_eq!(judged(&disc(512), 1 << 20), [Code::IsoShell]);
        assert_eq!(judged(&disc(513), 1 << 20), [Code::IsoHybrid]);
        assert_eq!(judged(&disc(512), 0), [Code::IsoHybrid]);
        let mut first = disc(512);
        first[0x8057] = 7;
        assert_eq!(judged(&first, 1 << 20), [Code::IsoHybrid]);
        first[0x8001] = b'X';
        assert_eq!(judged(&first, 1 << 20), []);
    }
}
