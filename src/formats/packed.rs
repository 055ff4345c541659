//! Unpacks clusters and grains, as strictly as QEMU does: what it reads is sound, what it does not is
//! damaged.

use std::io::Read as _;

use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::disk::{Method, Packed};
use super::view::truncated;
use super::{Got, Halt, ImageView, Missing};
use crate::facts::Notebook;

/// The largest packed cluster or grain that is unpacked: QEMU's largest cluster (qcow2 specification,
/// `cluster_bits` up to 21).
pub(super) const LARGEST: usize = 2 << 20;

/// The most that a packed cluster or grain takes: qcow2 can name twice as many sectors as a cluster has.
const LONGEST: usize = 2 * LARGEST;

/// The largest window of a Zstandard frame that is unpacked: what RFC 8878, 3.1.1.1.2, wants every
/// decoder to take. The decoder holds a window in memory before it gives anything out.
const LARGEST_WINDOW: u64 = 8 << 20;

/// Decoders that are made once, when they are first wanted, and the last thing that was unpacked.
#[derive(Default)]
pub(super) struct Unpacker {
    deflate: Option<Decompress>,
    zlib: Option<Decompress>,
    zstd: Option<FrameDecoder>,
    /// What the last packed data unpacked to.
    pub(super) bytes: Vec<u8>,
    /// Packed data is read into it.
    input: Vec<u8>,
}

impl Unpacker {
    /// Reads packed data and unpacks it, or writes down why that cannot be.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn read(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        packed: &Packed,
    ) -> Result<Option<Missing>, Halt> {
        let mut input = std::mem::take(&mut self.input);
        let want = (packed.len as usize).min(LONGEST);
        // Of what was unpacked before, nothing stays.
        input.clear();
        input.resize(want, 0);
        let count = match view.read_at(packed.at, &mut input)? {
            Got::Bytes(0) => {
                view.need(packed.at, &mut input, notebook, "packed data")?;
                return Ok(Some(Missing::Broken));
            }
            Got::Bytes(count) => count,
            Got::Missing(missing) => return Ok(Some(missing)),
        };
        // Behind the end of an image, QEMU reads zeros (`bdrv_aligned_preadv`, `block/io.c`).
        input[count..].fill(0);
        let unpacked = self.unpack(packed, &input);
        self.input = input;
        let Err(said) = unpacked else { return Ok(None) };
        if count < want {
            let end = packed.at.saturating_add(want as u64);
            truncated(notebook, "packed data", end, packed.at.saturating_add(count as u64));
        } else {
            packed.note(notebook, &said);
        }
        Ok(Some(Missing::Broken))
    }

    /// Unpacks `input`, which may go on after what is packed.
    ///
    /// # Errors
    /// What is wrong with it, to follow "The packed data at byte …".
    pub(super) fn unpack(&mut self, packed: &Packed, input: &[u8]) -> Result<(), String> {
        let whole = (packed.whole as usize).min(LARGEST);
        match packed.method {
            Method::Deflate => {
                let decoder = self.deflate.get_or_insert_with(|| Decompress::new(false));
                let status = inflate(decoder, false, input, &mut self.bytes, whole);
                // Whether the stream ends with the cluster does not matter, but it must not be broken
                // there (`qcow2_zlib_decompress`, `block/qcow2-threads.c`).
                match status {
                    None if self.bytes.len() == whole => Err("is damaged behind its end.".into()),
                    None => Err("is damaged.".into()),
                    Some(_) => self.is_whole(whole),
                }
            }
            Method::Zlib => {
                let decoder = self.zlib.get_or_insert_with(|| Decompress::new(true));
                let status = inflate(decoder, true, input, &mut self.bytes, whole);
                // `uncompress` wants the end of the stream and its check sum (`vmdk_read_extent`,
                // `block/vmdk.c`). A grain may be short if nothing is read behind its end.
                match status {
                    Some(Status::StreamEnd) => Ok(()),
                    Some(_) if decoder.total_in() < input.len() as u64 => {
                        Err(format!("unpacks to more than the {whole} bytes of a grain."))
                    }
                    Some(_) => Err("ends before it is complete.".into()),
                    None => Err("is damaged.".into()),
                }
            }
            Method::Zstd => {
                let decoder = self.zstd.get_or_insert_with(|| {
                    let mut decoder = FrameDecoder::new();
                    decoder.set_max_window_size(LARGEST_WINDOW);
                    decoder
                });
                self.bytes.clear();
                if !unzstd(decoder, input, &mut self.bytes, whole) {
                    return Err("is damaged.".into());
                }
                self.is_whole(whole)
            }
        }
    }

    fn is_whole(&self, whole: usize) -> Result<(), String> {
        match self.bytes.len() {
            have if have == whole => Ok(()),
            have => Err(too_few(have)),
        }
    }
}

/// What is said of packed data that unpacks to no more than these bytes.
pub(super) fn too_few(have: usize) -> String {
    format!("unpacks to {have} bytes, which is too few.")
}

/// Unpacks at most `most` bytes; `None` if the stream is broken.
fn inflate(
    decoder: &mut Decompress,
    header: bool,
    input: &[u8],
    output: &mut Vec<u8>,
    most: usize,
) -> Option<Status> {
    decoder.reset(header);
    output.resize(most, 0);
    let status = decoder.decompress(input, output, FlushDecompress::Finish);
    output.truncate(decoder.total_out() as usize);
    status.ok()
}

/// Unpacks frames until there are `whole` bytes; the last one has to end there
/// (`qcow2_zstd_decompress`, `block/qcow2-threads.c`).
fn unzstd(
    decoder: &mut FrameDecoder,
    mut input: &[u8],
    output: &mut Vec<u8>,
    whole: usize,
) -> bool {
    /// Bits of a frame header descriptor (RFC 8878, 3.1.1.1.1): whether the window is the content, one that has
    /// to be zero, and the length of the content size that follows.
    const SINGLE_SEGMENT: u8 = 1 << 5;
    const RESERVED: u8 = 1 << 3;
    const SIZE_FIELD: u8 = 3 << 6;

    while output.len() < whole && !input.is_empty() {
        let before = output.len();
        // Behind the magic number.
        let descriptor = input.get(4).copied().unwrap_or(0);
        let frame = StreamingDecoder::new_with_decoder(&mut input, &mut *decoder);
        let mut frame = match frame {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => match input.get(length as usize..) {
                Some(rest) => {
                    input = rest;
                    continue;
                }
                None => return false,
            },
            Err(_) => return false,
        };
        let most = (whole - before) as u64 + 1;
        if (&mut frame).take(most).read_to_end(output).is_err() || output.len() > whole {
            return false;
        }
        let made = (output.len() - before) as u64;
        let claims = descriptor & (SINGLE_SEGMENT | SIZE_FIELD) != 0;
        let claimed = decoder.content_size();
        let sound = decoder
            .get_checksum_from_data()
            .is_none_or(|sum| decoder.get_calculated_checksum() == Some(sum));
        if !decoder.is_finished()
            || descriptor & RESERVED != 0
            || claims && claimed != made
            || !sound
        {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;
    use crate::facts::Code;

    fn unpack(method: Method, whole: u64, input: &[u8]) -> Result<usize, String> {
        let len = input.len() as u64;
        let damaged = Code::Qcow2ClusterDamaged;
        let packed = Packed { at: 0, len, skip: 0, whole, method, damaged };
        let mut unpacker = Unpacker::default();
        unpacker.unpack(&packed, input)?;
        // What was unpacked before makes no difference.
        let first = unpacker.bytes.clone();
        unpacker.unpack(&packed, input).unwrap();
        assert!(first == unpacker.bytes);
        Ok(first.len())
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at / 3 % 251) as u8).collect()
    }

    #[test]
    fn a_deflated_cluster_has_to_be_filled_and_nothing_more() {
        let packed = |len| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&content(len)).unwrap();
            encoder.finish().unwrap()
        };
        let sound = packed(4096);
        let try_it = |input: &[u8]| unpack(Method::Deflate, 4096, input);
        assert_eq!(try_it(&sound), Ok(4096));
        // Sectors are whole: something may follow, and a stream may go on.
        assert_eq!(try_it(&[&sound[..], &[0xff; 300]].concat()), Ok(4096));
        assert_eq!(try_it(&packed(5000)), Ok(4096));
        assert_eq!(try_it(&packed(4095)).unwrap_err(), "unpacks to 4095 bytes, which is too few.");
        assert!(try_it(&sound[..sound.len() / 2]).is_err());
        let mut broken = sound.clone();
        broken[0] |= 6;
        assert!(try_it(&broken).is_err());
        // The last stored block is followed by a block of a type that there is none of.
        let mut stored = vec![0, 0, 16, 0xff, 0xef];
        stored.extend(content(4096));
        assert_eq!(try_it(&[&stored[..], &[1, 0, 0, 0xff, 0xff]].concat()), Ok(4096));
    }

    #[test]
    fn a_grain_has_to_be_a_whole_zlib_stream() {
        let packed = |len| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&content(len)).unwrap();
            encoder.finish().unwrap()
        };
        let sound = packed(4096);
        let try_it = |input: &[u8]| unpack(Method::Zlib, 4096, input);
        assert_eq!(try_it(&sound), Ok(4096));
        assert_eq!(try_it(&[&sound[..], &[0xff; 300]].concat()), Ok(4096));
        // Whoever reads it asks for as much as the disk has of it.
        assert_eq!(try_it(&packed(100)), Ok(100));
        assert!(try_it(&packed(4097)).unwrap_err().contains("more than the 4096 bytes"));
        assert_eq!(try_it(&sound[..sound.len() - 1]).unwrap_err(), "ends before it is complete.");
        let mut sum = sound.clone();
        *sum.last_mut().unwrap() ^= 1;
        assert_eq!(try_it(&sum).unwrap_err(), "is damaged.");
    }

    /// A frame without a content size, of one block that repeats a byte.
    fn frame(window: u8, len: u32, checksum: Option<u32>) -> Vec<u8> {
        let flags = if checksum.is_some() { 4 } else { 0 };
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, flags, window << 3];
        frame.extend(&(len << 3 | 3).to_le_bytes()[..3]);
        frame.push(0);
        frame.extend(checksum.into_iter().flat_map(u32::to_le_bytes));
        frame
    }

    #[test]
    fn zstandard_frames_fill_a_cluster_and_end_with_it() {
        let try_it = |input: &[u8]| unpack(Method::Zstd, 4096, input);
        let sound = frame(2, 4096, None);
        assert_eq!(try_it(&sound), Ok(4096));
        assert_eq!(try_it(&[&sound[..], &[0xff; 300]].concat()), Ok(4096));
        let half = frame(2, 2048, None);
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        assert_eq!(try_it(&[&half[..], &skipped, &half].concat()), Ok(4096));
        assert_eq!(try_it(&half).unwrap_err(), "unpacks to 2048 bytes, which is too few.");
        assert!(try_it(&frame(2, 4097, None)).is_err());
        // The frame goes on although the cluster is full.
        let mut open = sound.clone();
        open[6] &= !1;
        assert!(try_it(&open).is_err());
        assert!(try_it(&frame(2, 4096, Some(12345))).is_err());
    }

    #[test]
    fn what_a_frame_header_says_is_held_against_the_frame() {
        let sound = frame(2, 4096, None);
        let with = |flags: u8, size: &[u8]| {
            let mut frame = sound.clone();
            frame[4] = flags;
            frame.splice(6..6, size.iter().copied());
            unpack(Method::Zstd, 4096, &frame)
        };
        assert_eq!(with(0x80, &[0, 16, 0, 0]), Ok(4096));
        assert_eq!(with(0xc0, &[0, 16, 0, 0, 0, 0, 0, 0]), Ok(4096));
        // Nobody reads an unused bit; a reserved one is for a format that nobody knows.
        assert_eq!(with(0x10, &[]), Ok(4096));
        assert!(with(0x08, &[]).is_err());
        // A size of nothing is a size as well.
        for (flags, size) in
            [(0x40, &[0, 0][..]), (0x80, &[0; 4]), (0xc0, &[0; 8]), (0x80, &[1, 16, 0, 0])]
        {
            assert!(with(flags, size).is_err(), "{flags:#x}");
        }
    }

    #[test]
    fn a_frame_cannot_make_the_decoder_hold_more_than_a_window() {
        // A window of 1 KiB << exponent.
        assert_eq!(unpack(Method::Zstd, 100, &frame(13, 100, None)), Ok(100));
        assert!(unpack(Method::Zstd, 100, &frame(14, 100, None)).is_err());
    }
}
