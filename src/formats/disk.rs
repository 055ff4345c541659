//! The virtual disk: sectors by guest offset, whatever container they are in.

use std::io::Read as _;

use super::{Got, Halt, ImageView, Layout, Missing};
use crate::facts::{Code, Notebook};

/// The largest packed cluster or grain that is unpacked: QEMU's largest cluster (qcow2 specification,
/// `cluster_bits` up to 21).
const LARGEST_PACKED: usize = 2 << 20;

/// The largest window of a Zstandard frame that is unpacked: what RFC 8878, 3.1.1.1.2, wants every
/// decoder to take. The decoder holds a window in memory before it gives anything out.
const LARGEST_WINDOW: u64 = 8 << 20;

/// Reads a virtual disk.
pub trait Disk {
    /// Fills `buf` from disk offset `at`; less only at the end of the disk.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt>;

    /// Where the disk's byte `at` is, and for how many bytes that holds: at least one, and none past
    /// the end of the disk.
    ///
    /// # Errors
    /// If the image cannot be read further.
    fn run(&mut self, at: u64) -> Result<Run, Halt>;

    /// Size of the disk in bytes; of a raw stream it is known only at its end, and not at all in a
    /// quick check.
    ///
    /// # Errors
    /// If the image cannot be read to its end.
    fn size(&mut self) -> Result<Option<u64>, Halt>;
}

/// Where a run of the disk is, from a byte of the disk on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes of the disk for which `place` holds; never zero.
    pub len: u64,
    /// Where they are.
    pub place: Place,
}

/// Where bytes of the disk are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: nothing was ever written there, and they read as zeros.
    Unallocated,
    /// Nowhere: it is said that they are zeros.
    Zeros,
    /// As they are, from this image offset on.
    Stored(u64),
    /// In a packed cluster or grain.
    Packed(Packed),
    /// Unknown.
    Missing(Missing),
}

impl Place {
    /// Whether the bytes are zeros without being read.
    #[must_use]
    pub fn reads_as_zeros(&self) -> bool {
        matches!(self, Place::Unallocated | Place::Zeros)
    }
}

/// A packed cluster or grain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Image offset of its first byte.
    pub at: u64,
    /// Bytes that it takes at most.
    pub len: u64,
    /// Bytes of it, unpacked, that lie before the run.
    pub skip: u64,
    /// Bytes of a whole cluster or grain.
    pub whole: u64,
    /// How it is packed.
    pub method: Method,
    /// Which anomaly it is if it cannot be unpacked.
    pub damaged: Code,
}

/// How a cluster or grain is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Deflate without a wrapper (qcow2).
    Deflate,
    /// Deflate in a zlib wrapper (VMDK).
    Zlib,
    /// One Zstandard frame (qcow2).
    Zstd,
}

/// A raw image: the disk is the image.
pub struct RawDisk<'v> {
    view: &'v mut dyn ImageView,
}

impl<'v> RawDisk<'v> {
    /// The disk that the view shows.
    pub fn new(view: &'v mut dyn ImageView) -> Self {
        RawDisk { view }
    }
}

impl Disk for RawDisk<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        self.view.read_at(at, buf)
    }

    fn run(&mut self, at: u64) -> Result<Run, Halt> {
        let left = self.view.size()?.map_or(u64::MAX, |size| size.saturating_sub(at));
        let (len, hole) = self.view.hole(at);
        let place = if hole { Place::Zeros } else { Place::Stored(at) };
        Ok(Run { len: len.min(left).max(1), place })
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        self.view.size()
    }
}

/// A disk in a container.
pub struct MappedDisk<'v> {
    view: &'v mut dyn ImageView,
    layout: &'v mut dyn Layout,
    notebook: &'v Notebook<'v>,
    /// The packed cluster that was unpacked last.
    unpacked: Option<(Packed, Vec<u8>)>,
}

impl<'v> MappedDisk<'v> {
    /// The disk that `layout` finds in the image that `view` shows.
    pub fn new(
        view: &'v mut dyn ImageView,
        layout: &'v mut dyn Layout,
        notebook: &'v Notebook<'v>,
    ) -> Self {
        MappedDisk { view, layout, notebook, unpacked: None }
    }

    /// Reads the part of a run that `buf` wants.
    fn read_place(
        &mut self,
        place: Place,
        guest: u64,
        buf: &mut [u8],
    ) -> Result<Option<Missing>, Halt> {
        match place {
            Place::Unallocated | Place::Zeros => buf.fill(0),
            Place::Missing(missing) => return Ok(Some(missing)),
            Place::Stored(at) => match self.view.read_at(at, buf)? {
                Got::Bytes(count) if count == buf.len() => {}
                Got::Missing(missing) => return Ok(Some(missing)),
                Got::Bytes(_) => {
                    let what = format!("the disk's byte {guest}");
                    self.view.need(at, buf, self.notebook, &what)?;
                    return Ok(Some(Missing::Broken));
                }
            },
            Place::Packed(packed) => {
                let skip = packed.skip as usize;
                let unpacked = match &self.unpacked {
                    Some((known, unpacked)) if (known.at, known.len) == (packed.at, packed.len) => {
                        unpacked
                    }
                    _ => {
                        let unpacked = match self.unpack(&packed)? {
                            Ok(unpacked) => unpacked,
                            Err(missing) => return Ok(Some(missing)),
                        };
                        // Of a qcow2 cluster readers take as much as they want. A grain that unpacks
                        // to more than a grain QEMU refuses (`vmdk_read_extent`, `block/vmdk.c`).
                        if packed.method == Method::Zlib && unpacked.len() as u64 > packed.whole {
                            self.notebook.image(packed.damaged, packed.at, format!(
                                "The packed data at byte {} unpacks to {} bytes or more; a grain has {}.",
                                packed.at, unpacked.len(), packed.whole));
                            return Ok(Some(Missing::Broken));
                        }
                        &self.unpacked.insert((packed.clone(), unpacked)).1
                    }
                };
                match unpacked.get(skip..skip + buf.len()) {
                    Some(bytes) => buf.copy_from_slice(bytes),
                    None => {
                        let have = unpacked.len();
                        self.notebook.image(packed.damaged, packed.at, format!(
                            "The packed data at byte {} unpacks to {have} bytes, which is too few.", packed.at));
                        return Ok(Some(Missing::Broken));
                    }
                }
            }
        }
        Ok(None)
    }

    fn unpack(&mut self, packed: &Packed) -> Result<Result<Vec<u8>, Missing>, Halt> {
        let mut bytes = vec![0; (packed.len as usize).min(LARGEST_PACKED + 4096)];
        let count = match self.view.read_at(packed.at, &mut bytes)? {
            Got::Bytes(0) => {
                self.view.need(packed.at, &mut bytes, self.notebook, "packed data")?;
                return Ok(Err(Missing::Broken));
            }
            // Its length is an upper bound: the last one may end with the image.
            Got::Bytes(count) => count,
            Got::Missing(missing) => return Ok(Err(missing)),
        };
        let mut unpacked = Vec::new();
        let limit = LARGEST_PACKED as u64;
        let input = &bytes[..count];
        let result = match packed.method {
            Method::Deflate => flate2::bufread::DeflateDecoder::new(input)
                .take(limit)
                .read_to_end(&mut unpacked)
                .is_ok(),
            Method::Zlib => flate2::bufread::ZlibDecoder::new(input)
                .take(limit)
                .read_to_end(&mut unpacked)
                .is_ok(),
            Method::Zstd => unzstd(input, &mut unpacked),
        };
        if !result && unpacked.is_empty() {
            self.notebook.image(
                packed.damaged,
                packed.at,
                format!("The packed data at byte {} is damaged.", packed.at),
            );
            return Ok(Err(Missing::Broken));
        }
        Ok(Ok(unpacked))
    }
}

/// Unpacks one frame, at most [`LARGEST_PACKED`] bytes of it. A frame that wants a window larger than
/// [`LARGEST_WINDOW`] is not a cluster's.
fn unzstd(input: &[u8], unpacked: &mut Vec<u8>) -> bool {
    use ruzstd::decoding::StreamingDecoder;
    let decoder = StreamingDecoder::new_with_max_window_size(input, LARGEST_WINDOW);
    let Ok(mut decoder) = decoder else { return false };
    (&mut decoder).take(LARGEST_PACKED as u64).read_to_end(unpacked).is_ok()
}

impl Disk for MappedDisk<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let left = self.layout.virtual_size().saturating_sub(at);
        let want = left.min(buf.len() as u64) as usize;
        let mut have = 0;
        while have < want {
            let guest = at + have as u64;
            let run = self.layout.locate(self.view, self.notebook, guest)?;
            let len = run.len.clamp(1, (want - have) as u64) as usize;
            if let Some(missing) = self.read_place(run.place, guest, &mut buf[have..have + len])? {
                return Ok(Got::Missing(missing));
            }
            have += len;
        }
        Ok(Got::Bytes(want))
    }

    fn run(&mut self, at: u64) -> Result<Run, Halt> {
        let left = self.layout.virtual_size().saturating_sub(at);
        let run = self.layout.locate(self.view, self.notebook, at)?;
        Ok(Run { len: run.len.min(left).max(1), ..run })
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.layout.virtual_size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_cannot_make_the_decoder_hold_more_than_a_window() {
        // A window of 1 KiB << exponent, then a last block of 100 zeros, run-length encoded.
        let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 0x23, 0x03, 0, 0];
        let mut unpacked = Vec::new();
        assert!(unzstd(&frame(13), &mut unpacked));
        assert_eq!(unpacked, [0; 100]);
        assert!(!unzstd(&frame(14), &mut Vec::new()));
    }
}
