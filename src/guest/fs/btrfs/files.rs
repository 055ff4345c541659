//! Contents of files: extents in the tree itself, on the device, and compressed.

use std::io::Read as _;

use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::nodes::{Key, Nodes, Place};
use super::{Trouble, Why, le64};

/// The type of items that describe an extent.
const EXTENT: u8 = 108;

/// Bytes of an extent's item in front of inline contents, and of one on the device.
const INLINE: usize = 21;
const REGULAR: usize = 53;

/// Bytes of a compressed extent at most, packed and unpacked (BTRFS_MAX_COMPRESSED, BTRFS_MAX_UNCOMPRESSED).
const LARGEST: usize = 128 << 10;

/// The largest window of a Zstandard frame: btrfs makes them of 128 KiB.
const LARGEST_WINDOW: u64 = 1 << 20;

/// A compressed extent that was unpacked, by its address.
#[derive(Default)]
pub(super) struct Unpacked {
    at: u64,
    bytes: Vec<u8>,
}

/// An extent of a file.
struct Extent {
    from: u64,
    len: u64,
    method: u8,
    body: Body,
}

enum Body {
    Inline(Vec<u8>),
    Zeros,
    /// Where it is, how much it takes there, and where the wanted bytes begin in it.
    On {
        at: u64,
        packed: u64,
        skip: u64,
        whole: u64,
    },
}

impl Extent {
    fn parse(from: u64, item: &[u8]) -> Result<Extent, Trouble> {
        let damaged = || Why::damaged("an extent of a file is damaged");
        if item.len() < INLINE {
            return Err(damaged());
        }
        let (whole, method, encryption, kind) = (le64(item, 8), item[16], item[17], item[20]);
        if encryption != 0 {
            return Err(Why::unsupported("a file is encrypted"));
        }
        if kind == 0 {
            if whole > LARGEST as u64 {
                return Err(damaged());
            }
            let body = Body::Inline(item[INLINE..].to_vec());
            return Ok(Extent { from, len: whole, method, body });
        }
        if item.len() < REGULAR || !matches!(kind, 1 | 2) {
            return Err(damaged());
        }
        let [at, packed, skip, len] = [21, 29, 37, 45].map(|at| le64(item, at));
        // Without an address it is a hole; of the second kind, it was never written.
        let body = match at == 0 || kind == 2 {
            true => Body::Zeros,
            false => Body::On { at, packed, skip, whole },
        };
        Ok(Extent { from, len, method, body })
    }

    /// Fills the buffer from `skip` bytes into the extent on, which has as many.
    fn copy(
        &self,
        nodes: &Nodes<'_>,
        unpacked: &mut Unpacked,
        skip: u64,
        buf: &mut [u8],
    ) -> Result<(), Trouble> {
        let damaged = || Why::damaged("a compressed extent of a file is damaged");
        match &self.body {
            Body::Zeros => buf.fill(0),
            Body::Inline(bytes) => {
                let unpacked = match self.method {
                    0 => bytes.clone(),
                    method => unpack(method, bytes, self.len)?,
                };
                copy_of(&unpacked, skip, buf);
            }
            Body::On { at, skip: before, .. } if self.method == 0 => {
                let at = at.checked_add(*before).and_then(|at| at.checked_add(skip));
                nodes.contents(at.ok_or_else(damaged)?, buf)?;
            }
            Body::On { at, packed, skip: before, whole } => {
                if unpacked.at != *at || unpacked.bytes.is_empty() {
                    if *packed > LARGEST as u64 || *whole > LARGEST as u64 {
                        return Err(damaged());
                    }
                    let mut bytes = vec![0; *packed as usize];
                    nodes.contents(*at, &mut bytes)?;
                    *unpacked = Unpacked { at: *at, bytes: unpack(self.method, &bytes, *whole)? };
                }
                copy_of(&unpacked.bytes, before.checked_add(skip).ok_or_else(damaged)?, buf);
            }
        }
        Ok(())
    }
}

/// What is behind the end reads as zeros: the last page of what was compressed has them.
fn copy_of(bytes: &[u8], skip: u64, buf: &mut [u8]) {
    let bytes = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default();
    let count = bytes.len().min(buf.len());
    buf[..count].copy_from_slice(&bytes[..count]);
    buf[count..].fill(0);
}

/// Unpacks at most `most` bytes, which are no more than [`LARGEST`].
fn unpack(method: u8, packed: &[u8], most: u64) -> Result<Vec<u8>, Trouble> {
    let damaged = || Why::damaged("a compressed extent of a file is damaged");
    let most = most as usize;
    let mut out = vec![0; most];
    match method {
        1 => {
            let mut zlib = Decompress::new(true);
            let done = zlib.decompress(packed, &mut out, FlushDecompress::Finish);
            let done = done.map_err(|_| damaged())?;
            out.truncate(zlib.total_out() as usize);
            if done != Status::StreamEnd && out.len() < most {
                return Err(damaged());
            }
        }
        2 => {
            return Err(Why::unsupported(
                "a file is compressed by LZO, which tidegate does not read",
            ));
        }
        3 => {
            let mut zstd = FrameDecoder::new();
            zstd.set_max_window_size(LARGEST_WINDOW);
            let mut rest = packed;
            zstd.reset(&mut rest).map_err(|_| damaged())?;
            let mut have = 0;
            while have < most && !(zstd.is_finished() && zstd.can_collect() == 0) {
                if !zstd.is_finished() {
                    let blocks = BlockDecodingStrategy::UptoBlocks(1);
                    zstd.decode_blocks(&mut rest, blocks).map_err(|_| damaged())?;
                }
                have += zstd.read(&mut out[have..]).map_err(|_| damaged())?;
            }
            out.truncate(have);
        }
        _ => return Err(Why::unsupported("a file is compressed in a way that is not known")),
    }
    Ok(out)
}

/// Fills the buffer from an offset of a file. What is in no extent is zeros.
pub(super) fn fill(
    nodes: &mut Nodes<'_>,
    unpacked: &mut Unpacked,
    (tree, number): (Place, u64),
    at: u64,
    buf: &mut [u8],
) -> Result<(), Trouble> {
    let end = at.saturating_add(buf.len() as u64);
    buf.fill(0);
    let mut next = at;
    while next < end {
        // One extent at a time: what it has is read after the walk.
        let mut found = None;
        let from = Key { object: number, kind: EXTENT, offset: next };
        nodes.walk_around(tree, from, &mut |key, item| {
            if (key.object, key.kind) < (number, EXTENT) {
                return Ok(true);
            }
            if (key.object, key.kind) != (number, EXTENT) || key.offset >= end {
                return Ok(false);
            }
            let extent = Extent::parse(key.offset, item)?;
            if extent.from.saturating_add(extent.len) > next {
                found = Some(extent);
            }
            Ok(found.is_none())
        })?;
        let Some(extent) = found else { break };
        let (low, high) = (extent.from.max(next), extent.from.saturating_add(extent.len).min(end));
        let part = &mut buf[(low - at) as usize..(high - at) as usize];
        extent.copy(nodes, unpacked, low - extent.from, part)?;
        next = high;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_unpacked_than_there_is_room_for() {
        let zeros = vec![0; 1 << 20];
        let zstd = ruzstd::encoding::compress_to_vec(
            &zeros[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert_eq!(unpack(3, &zstd, 5000).unwrap(), [0; 5000]);
        for method in [1, 3] {
            assert!(unpack(method, b"garbage, as it is", 5000).is_err());
            assert!(unpack(method, b"", 5000).is_err());
        }
        assert!(unpack(2, b"", 1).is_err() && unpack(9, b"", 1).is_err());
    }
}
