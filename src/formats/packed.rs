//! Unpacks clusters and grains. What QEMU does not read is damaged. What it reads has to end as well, as the packed
//! data of every writer does: QEMU itself does not look for that.

use std::io::{ErrorKind, Read as _};

use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::disk::{Method, Packed};
use super::{Got, Halt, ImageView, Missing};
use crate::facts::{Code, Notebook};

/// The largest packed cluster or grain that is unpacked: QEMU's largest cluster (qcow2 specification,
/// `cluster_bits` up to 21).
pub(super) const LARGEST: usize = 2 << 20;

/// The most that a packed cluster or grain takes: qcow2 can name twice as many sectors as a cluster has.
pub(super) const LONGEST: usize = 2 * LARGEST;

/// The largest window of a Zstandard frame that is unpacked: what RFC 8878, 3.1.1.1.2, wants every
/// decoder to take.
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

/// What is wrong with packed data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Follows "The packed data at byte …".
    said: String,
    /// Nothing but more bytes could tell how it goes on.
    starved: bool,
    /// It unpacks to all that is wanted, but does not end there.
    filled: bool,
}

impl Flaw {
    fn damaged(said: impl Into<String>) -> Self {
        Flaw { said: said.into(), starved: false, filled: false }
    }

    fn starved(said: impl Into<String>) -> Self {
        Flaw { starved: true, ..Flaw::damaged(said) }
    }
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
        let got = fetch(view, packed, &mut input)?;
        let missing = self.finish(view, notebook, packed, (got, &mut input));
        self.input = input;
        missing
    }

    /// Unpacks what was read into `input`, or writes down why that cannot be.
    ///
    /// # Errors
    /// If the image cannot be read further.
    pub(super) fn finish(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        packed: &Packed,
        (got, input): (Got, &mut Vec<u8>),
    ) -> Result<Option<Missing>, Halt> {
        let cut = match got {
            Got::Bytes(0) => {
                input.resize(packed.longest(), 0);
                view.need(packed.at, input, notebook, "packed data")?;
                return Ok(Some(Missing::Broken));
            }
            Got::Bytes(count) => count < packed.longest(),
            Got::Missing(missing) => return Ok(Some(missing)),
        };
        // Behind the end of an image QEMU reads zeros (`bdrv_aligned_preadv`, `block/io.c`), which can fill a cluster
        // with what was never in it.
        let outcome = self.unpack(packed, input);
        let end = cut.then(|| packed.at.saturating_add(input.len() as u64));
        Ok(judge(packed, outcome, end, notebook))
    }

    /// Unpacks `input`, which may go on after what is packed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn unpack(&mut self, packed: &Packed, input: &[u8]) -> Result<(), Flaw> {
        let whole = packed.largest();
        match packed.method {
            Method::Deflate => {
                let decoder = self.deflate.get_or_insert_with(|| Decompress::new(false));
                let status = inflate(decoder, false, input, &mut self.bytes, whole);
                let full = self.bytes.len() == whole;
                // QEMU reads a stream that fills the cluster unless it is broken there, whether it ends or not
                // (`qcow2_zlib_decompress`, `block/qcow2-threads.c`). Its writer ends all (`qcow2_zlib_compress`).
                match status {
                    None if full => Err(Flaw::damaged("is damaged behind its end.")),
                    None => Err(Flaw::damaged("is damaged.")),
                    Some(Status::StreamEnd) if full => Ok(()),
                    Some(Status::StreamEnd) => Err(Flaw::damaged(too_few(self.bytes.len()))),
                    Some(_) if !full => Err(Flaw::starved(too_few(self.bytes.len()))),
                    Some(_) => Err(Flaw {
                        said: format!("fills its {whole} bytes and does not end there."),
                        starved: decoder.total_in() == input.len() as u64,
                        filled: true,
                    }),
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
                        let said = format!("unpacks to more than the {whole} bytes of a grain.");
                        Err(Flaw::damaged(said))
                    }
                    Some(_) => Err(Flaw::starved("ends before it is complete.")),
                    None => Err(Flaw::damaged("is damaged.")),
                }
            }
            Method::Zstd => {
                let decoder = self.zstd.get_or_insert_with(|| {
                    let mut decoder = FrameDecoder::new();
                    decoder.set_max_window_size(LARGEST_WINDOW);
                    decoder
                });
                self.bytes.clear();
                self.bytes.reserve_exact(whole + 1);
                unzstd(decoder, input, &mut self.bytes, whole)?;
                match self.bytes.len() {
                    have if have == whole => Ok(()),
                    have => Err(Flaw::starved(too_few(have))),
                }
            }
        }
    }
}

/// Reads packed data into `input`; less of it only at the end of the image.
///
/// # Errors
/// If the image cannot be read further.
pub(super) fn fetch(
    view: &mut dyn ImageView,
    packed: &Packed,
    input: &mut Vec<u8>,
) -> Result<Got, Halt> {
    // Of what was unpacked before, nothing stays.
    input.clear();
    input.resize(packed.longest(), 0);
    let got = view.read_at(packed.at, input)?;
    if let Got::Bytes(count) = got {
        input.truncate(count);
    }
    Ok(got)
}

/// Writes down what came of unpacking, and whether the bytes are missing therefore. `end` is the end of the image if that
/// lies inside the packed data.
pub(super) fn judge(
    packed: &Packed,
    outcome: Result<(), Flaw>,
    end: Option<u64>,
    notebook: &Notebook<'_>,
) -> Option<Missing> {
    let flaw = outcome.err()?;
    if let Some(end) = end.filter(|_| flaw.starved) {
        cut(notebook, packed.at, end);
        return Some(Missing::Broken);
    }
    if let Some(unended) = packed.unended.filter(|_| flaw.filled) {
        packed.note(notebook, unended, &flaw.said);
        return None;
    }
    packed.note(notebook, packed.damaged, &flaw.said);
    Some(Missing::Broken)
}

/// Writes down that the image ends at byte `size`, inside the packed data at byte `at`.
fn cut(notebook: &Notebook<'_>, at: u64, size: u64) {
    if !notebook.has(Code::ImageTruncated) {
        notebook.image(Code::ImageTruncated, size, format!(
            "The image ends at byte {size}, before the packed data at byte {at} does: a part of it is missing."));
    }
}

/// What is said of packed data that unpacks to no more than these bytes.
pub(super) fn too_few(have: usize) -> String {
    format!("unpacks to {have} bytes, which is too few.")
}

/// Unpacks at most `most` bytes and goes on up to the next one, which may be the end of the stream; `None` if the stream
/// is broken.
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
    let status = status.ok()?;
    if status == Status::StreamEnd || output.len() < most {
        return Some(status);
    }
    // A decoder may stop when there is no place left. What ends the stream takes none.
    let rest = input.get(decoder.total_in() as usize..).unwrap_or_default();
    decoder.decompress(rest, &mut [], FlushDecompress::Finish).ok()
}

/// Unpacks frames until there are `whole` bytes; the last one has to end there
/// (`qcow2_zstd_decompress`, `block/qcow2-threads.c`).
fn unzstd(
    decoder: &mut FrameDecoder,
    mut input: &[u8],
    output: &mut Vec<u8>,
    whole: usize,
) -> Result<(), Flaw> {
    /// Bits of a frame header descriptor (RFC 8878, 3.1.1.1.1): whether the window is the content, one that has
    /// to be zero, and the length of the content size that follows.
    const SINGLE_SEGMENT: u8 = 1 << 5;
    const RESERVED: u8 = 1 << 3;
    const SIZE_FIELD: u8 = 3 << 6;

    while output.len() < whole && !input.is_empty() {
        let before = output.len();
        // Behind the magic number.
        let descriptor = input.get(4).copied().unwrap_or(0);
        match decoder.init(&mut input) {
            Ok(()) => {}
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => match input.get(length as usize..) {
                Some(rest) => {
                    input = rest;
                    continue;
                }
                None => return Err(unread(true)),
            },
            Err(error) => return Err(unread(is_starved(&error))),
        }
        // No more is decoded than that shows that the frame is too long, however large its window is.
        let most = whole - before + 1;
        match decoder.decode_blocks(&mut input, BlockDecodingStrategy::UptoBytes(most)) {
            Ok(true) => {}
            Ok(false) => return Err(unread(false)),
            Err(error) => return Err(unread(is_starved(&error))),
        }
        if let Err(error) = (&mut *decoder).take(most as u64).read_to_end(output) {
            return Err(unread(is_starved(&error)));
        }
        if output.len() > whole {
            return Err(unread(false));
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
            return Err(unread(false));
        }
    }
    Ok(())
}

/// What is wrong with a frame that cannot be read, for want of more bytes or not.
fn unread(starved: bool) -> Flaw {
    Flaw { starved, ..Flaw::damaged("is damaged.") }
}

/// Whether a decoder came to the end of what there is.
fn is_starved(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let error = error.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;
    use crate::facts::Code;

    fn unpack(method: Method, whole: u64, input: &[u8]) -> Result<usize, Flaw> {
        let len = input.len() as u64;
        let damaged = Code::Qcow2ClusterDamaged;
        let packed = Packed { at: 0, len, skip: 0, whole, method, damaged, unended: None };
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

    /// What is wrong, and whether more bytes could mend it.
    fn flaw(result: Result<usize, Flaw>) -> (String, bool) {
        let Flaw { said, starved, .. } = result.unwrap_err();
        (said, starved)
    }

    #[test]
    fn a_deflated_cluster_has_to_be_filled_and_to_end() {
        let packed = |len| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&content(len)).unwrap();
            encoder.finish().unwrap()
        };
        let sound = packed(4096);
        let try_it = |input: &[u8]| unpack(Method::Deflate, 4096, input);
        assert_eq!(try_it(&sound), Ok(4096));
        // Sectors are whole: something may follow.
        assert_eq!(try_it(&[&sound[..], &[0xff; 300]].concat()), Ok(4096));
        let unended = "fills its 4096 bytes and does not end there.".to_owned();
        let longer = try_it(&packed(5000)).unwrap_err();
        assert_eq!(longer, Flaw { said: unended.clone(), starved: false, filled: true });
        let few = "unpacks to 4095 bytes, which is too few.".to_owned();
        assert_eq!(flaw(try_it(&packed(4095))), (few, false));
        for cut in 1..sound.len() {
            assert!(try_it(&sound[..sound.len() - cut]).unwrap_err().starved, "{cut}");
        }
        let mut broken = sound.clone();
        broken[0] |= 6;
        assert_eq!(flaw(try_it(&broken)), ("is damaged.".into(), false));
        // A stored block that fills the cluster, and what may follow it.
        let mut stored = vec![0, 0, 16, 0xff, 0xef];
        stored.extend(content(4096));
        let followed = |bytes: &[u8]| try_it(&[&stored[..], bytes].concat());
        assert_eq!(followed(&[1, 0, 0, 0xff, 0xff]), Ok(4096));
        assert_eq!(followed(&[3, 0]), Ok(4096));
        assert_eq!(followed(&[3, 0, 0xff]), Ok(4096));
        assert_eq!(flaw(followed(&[])), (unended.clone(), true));
        assert_eq!(flaw(followed(&[3])), (unended.clone(), true));
        assert_eq!(flaw(followed(&[0, 0, 0, 0xff, 0xff])), (unended.clone(), true));
        assert_eq!(flaw(followed(&[0, 1, 0, 0xfe, 0xff, 7, 3, 0])), (unended, false));
        assert_eq!(flaw(followed(&[7])), ("is damaged behind its end.".into(), false));
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
        assert!(try_it(&packed(4097)).unwrap_err().said.contains("more than the 4096 bytes"));
        let ends = "ends before it is complete.".to_owned();
        for cut in 1..sound.len() {
            assert_eq!(flaw(try_it(&sound[..sound.len() - cut])), (ends.clone(), true));
        }
        let mut sum = sound.clone();
        *sum.last_mut().unwrap() ^= 1;
        assert_eq!(flaw(try_it(&sum)), ("is damaged.".into(), false));
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
        let few = "unpacks to 2048 bytes, which is too few.".to_owned();
        assert_eq!(flaw(try_it(&half)), (few, true));
        let summed = frame(2, 4096, Some(12345));
        for frame in [&sound, &summed] {
            for cut in 1..frame.len() {
                assert!(try_it(&frame[..frame.len() - cut]).unwrap_err().starved, "{cut}");
            }
        }
        assert!(try_it(&[&half[..], &skipped[..9]].concat()).unwrap_err().starved);
        assert!(try_it(&frame(2, 4097, None)).is_err());
        // The frame goes on although the cluster is full.
        let mut open = sound.clone();
        open[6] &= !1;
        assert!(try_it(&open).is_err());
        assert_eq!(flaw(try_it(&summed)), ("is damaged.".into(), false));
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
