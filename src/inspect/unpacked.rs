//! The image in a packed file that was decoded once, at any offset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::scope;

use super::again::{Again, How};
use super::feed::{Incoming, unpack};
use super::marks;
use super::opened::Image;
use super::threads::{Delivered, deliver, join, longest_file, packed_pool};
use super::{Event, Listener};
use crate::codec::{Index, Packing, Threads};
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Got, Halt, ImageView, Store as _, too_large};
use crate::source::{Against, LocalFile, Offsets, Read, ReadAt};

/// Bytes that are zeros or not together, as a file system has holes.
const BLOCK: u64 = 4096;

/// How far a run of blocks is followed: what was decoded for it is still at hand when it is read.
const FAR: u64 = 384 << 10;

/// What is known of a packed file after it was decoded from its beginning to its end.
pub(super) struct Decoded {
    how: How,
    /// Bytes of the image.
    size: u64,
}

impl Decoded {
    /// Decodes all of a file, which is `held` against other readings of it. Whatever is damaged is written down.
    ///
    /// # Errors
    /// If it cannot be read or decoded.
    pub(super) fn of(
        file: (impl Read, Option<Against>),
        packing: Packing,
        notebook: &Notebook<'_>,
        listener: &dyn Listener,
    ) -> Result<Self, Halt> {
        // Two images are open at once in a comparison, and each would keep its threads.
        let threads = Threads::new(1);
        let how = How { packing, threads, index: Index::default(), spools: true };
        Decoded::by(how, file, notebook, listener)
    }

    fn by(
        how: How,
        (reader, held): (impl Read, Option<Against>),
        notebook: &Notebook<'_>,
        listener: &dyn Listener,
    ) -> Result<Self, Halt> {
        let size = scope(|scope| {
            let (sender, segments) = channel();
            let ended = Arc::<AtomicBool>::default();
            let most = longest_file(notebook.limit());
            let outputs = vec![sender].into();
            let reader = deliver(scope, reader, packed_pool(), outputs, Arc::clone(&ended), most);
            let taken = Arc::<AtomicU64>::default();
            let incoming = Incoming::new(segments, ended, Arc::clone(&taken)).held_against(held);
            let seen = || listener.event(Event::Progress { bytes: taken.load(Ordering::Relaxed) });
            let size = decode(&how, incoming, notebook, seen);
            let delivered = join(reader)?;
            too_long(&delivered, most, notebook);
            if size.is_ok() {
                marks::last(how.packing, &delivered.last, delivered.bytes, notebook);
            }
            size
        })?;
        Ok(Decoded { how, size })
    }

    /// Bytes of the image.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The image, at any offset.
    pub(super) fn view<S: ReadAt>(&self, file: Offsets<S>) -> UnpackedView<S> {
        let again = Again::new(self.how.clone(), file).after(self.size);
        UnpackedView { again, size: self.size, block: vec![0; BLOCK as usize] }
    }
}

/// An image in a packed local file.
pub(super) struct Packed {
    file: LocalFile,
    decoded: Decoded,
}

impl Packed {
    /// The image of a file. Whatever is damaged is written down.
    ///
    /// # Errors
    /// If it cannot be read or decoded.
    pub(super) fn of(
        file: LocalFile,
        packing: Packing,
        notebook: &Notebook<'_>,
        listener: &dyn Listener,
    ) -> Result<Self, Halt> {
        let decoded = Decoded::of((file.reader(), None), packing, notebook, listener)?;
        Ok(Packed { file, decoded })
    }
}

impl Image for Packed {
    fn size(&self) -> u64 {
        self.decoded.size()
    }

    fn view<'v>(&'v self, _: &Notebook<'_>) -> Box<dyn ImageView + 'v> {
        Box::new(self.decoded.view(self.file.offsets()))
    }

    fn file(&self) -> Option<&LocalFile> {
        Some(&self.file)
    }
}

/// Decodes all of a file; how many bytes the image has.
fn decode(
    how: &How,
    mut incoming: Incoming,
    notebook: &Notebook<'_>,
    seen: impl Fn(),
) -> Result<u64, Halt> {
    marks::head(how.packing, &incoming.peek(marks::HEAD)?, notebook);
    let decoder = how.packing.decoder(&how.threads, Some(&how.index));
    let mut feed = unpack((how.packing, decoder), incoming, notebook, (None, Arc::default()));
    let mut size = 0;
    while let Some(segment) = feed.next()? {
        size += segment.len();
        if size >= notebook.limit() {
            too_large(notebook, notebook.limit());
            return Err(Halt::Stopped);
        }
        seen();
    }
    Ok(size)
}

/// Writes down that a file of which `most` bytes are read at most goes on.
pub(super) fn too_long(delivered: &Delivered, most: u64, notebook: &Notebook<'_>) {
    if delivered.bytes >= most && !delivered.whole {
        let said = format!("The file has {most} bytes or more.");
        notebook.add(Code::FileTooLarge, Layer::File, most, said);
    }
}

/// An image that is decoded again wherever it is read.
pub(super) struct UnpackedView<S> {
    again: Again<S>,
    size: u64,
    block: Vec<u8>,
}

impl<S: ReadAt> UnpackedView<S> {
    /// Whether the block that this byte is in has zeros only from there on, and how many bytes these are.
    fn is_zeros(&mut self, at: u64) -> Result<(u64, bool), Halt> {
        let end = (at - at % BLOCK).saturating_add(BLOCK).min(self.size);
        let len = end.saturating_sub(at);
        let block = &mut self.block[..len as usize];
        let any = self.again.read_at(at, block)?;
        Ok((len, any && len > 0 && block.iter().all(|&byte| byte == 0)))
    }

    fn run(&mut self, at: u64) -> Result<(u64, bool), Halt> {
        let (mut len, zeros) = self.is_zeros(at)?;
        while len > 0 && len < FAR && at + len < self.size {
            let (more, also) = self.is_zeros(at + len)?;
            if also != zeros {
                break;
            }
            len += more;
        }
        Ok((len, zeros))
    }
}

impl<S: ReadAt> ImageView for UnpackedView<S> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let count = self.size.saturating_sub(at).min(buf.len() as u64) as usize;
        match self.again.read_at(at, &mut buf[..count])? {
            true => Ok(Got::Bytes(count)),
            // A temporary file takes over before anything is given up.
            false => Err(Halt::Stopped),
        }
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(self.size))
    }

    fn is_seekable(&self) -> bool {
        true
    }

    /// Zeros are holes.
    fn hole(&mut self, at: u64) -> (u64, bool) {
        // Whoever reads it says what cannot be read.
        self.run(at).unwrap_or((1, false))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::{Pool, Segment};
    use crate::codec::testing::mixed;
    use crate::source::Source;

    /// An image with zeros, and the file that it is packed in.
    fn sample() -> (tempfile::TempDir, LocalFile, Vec<u8>) {
        let mut image = Vec::new();
        let mut state = 1u64;
        for part in 0..40usize {
            image.extend((0..150_000).map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (state >> 33) as u8
            }));
            image.resize((image.len() + (part % 4) * 70_000).next_multiple_of(BLOCK as usize), 0);
        }
        image.extend_from_slice(b"the end");
        let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
        writer.write_all(&image).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.gz");
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        match Source::open(path.as_os_str()).unwrap() {
            Source::File(file) => (dir, file, image),
            _ => unreachable!("it is a file"),
        }
    }

    fn decoded(file: &LocalFile, spools: bool) -> Decoded {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let deaf = &crate::inspect::Deaf;
        let mut decoded =
            Decoded::of((file.reader(), None), Packing::Gzip, &notebook, deaf).unwrap();
        decoded.how.spools = spools;
        decoded
    }

    #[test]
    fn runs_are_zeros_or_not() {
        let (_dir, file, image) = sample();
        let decoded = decoded(&file, true);
        let mut view = decoded.view(file.offsets());
        let mut at = 0;
        while at < image.len() as u64 {
            let (len, zeros) = view.hole(at);
            let run = &image[at as usize..(at + len) as usize];
            assert!(len > 0);
            assert_eq!(run.chunks(BLOCK as usize).all(|b| b.iter().all(|&b| b == 0)), zeros);
            at += len;
        }
        assert_eq!(at, image.len() as u64);
    }

    #[test]
    fn a_temporary_file_takes_over_from_endless_decoding() {
        let (_dir, file, image) = sample();
        let view = |spools| decoded(&file, spools).view(file.offsets());
        let mut ends = 0;
        let (mut spooled, mut plain) = (view(true), view(false));
        // 3 MiB apart, so that each takes decoding from the beginning.
        for turn in 0..120usize {
            let at = [4 << 20, 1 << 20][turn % 2] + turn * 20_000;
            let mut buf = [0; 100];
            assert_eq!(spooled.read_at(at as u64, &mut buf).unwrap(), Got::Bytes(100));
            assert_eq!(buf, image[at..at + 100]);
            ends += usize::from(plain.read_at(at as u64, &mut buf).is_err());
        }
        assert!(spooled.again.written() > 4 << 20, "{}", spooled.again.written());
        assert!(ends > 0 && plain.again.written() == 0);
    }

    /// It takes over in the middle of the image: what comes later lies where it belongs.
    #[test]
    fn a_temporary_file_has_what_comes_after_it_as_well() {
        let (_dir, file, image) = sample();
        let mut again = Again::new(decoded(&file, true).how, file.offsets());
        let mut pool = Pool::new(1, 100_000);
        let mut put = |again: &mut Again<_>, bytes: &[u8]| {
            for bytes in bytes.chunks(100_000) {
                let mut chunk = pool.take();
                chunk.space()[..bytes.len()].copy_from_slice(bytes);
                chunk.grow(bytes.len());
                again.put(&Segment::Data(Arc::new(chunk))).unwrap();
            }
        };
        let (first, second) = image.split_at(5_000_000);
        put(&mut again, first);
        let mut buf = [0; 100];
        for turn in 0..60 {
            let at = [4 << 20, 1 << 20][turn % 2] + turn as u64 * 70_000 % 700_000;
            assert!(again.read_at(at, &mut buf).unwrap());
        }
        assert!(again.written() > 0);
        put(&mut again, second);
        let mut buf = vec![0; image.len()];
        assert!(again.read_at(0, &mut buf).unwrap());
        assert!(buf == image);
    }

    /// Whoever decodes it first says what is damaged.
    #[test]
    fn what_cannot_be_decoded_again_is_given_up() {
        let (dir, _, image) = sample();
        let path = dir.path().join("image.gz");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let Ok(Source::File(file)) = Source::open(path.as_os_str()) else { unreachable!() };
        for (spools, spent) in [(false, false), (true, false), (true, true)] {
            let how = How {
                packing: Packing::Gzip,
                threads: Threads::new(2),
                index: Index::default(),
                spools,
            };
            let size = image.len() as u64;
            let mut again = Again::new(how, file.offsets()).after(size);
            for turn in 0..if spent { 60 } else { 0 } {
                let at = [2 << 20, 1 << 20][turn % 2] + turn as u64 * 70_000 % 700_000;
                let _ = again.read_at(at, &mut [0]).unwrap();
            }
            assert!(!again.read_at(size - 1, &mut [0]).unwrap(), "{spools} {spent}");
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.gz");
        let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
        writer.write_all(b"short").unwrap();
        let mut bytes = writer.finish().unwrap();
        bytes.resize(4 << 20, 0x55);
        std::fs::write(&path, bytes).unwrap();
        let Ok(Source::File(file)) = Source::open(path.as_os_str()) else { unreachable!() };
        let notebook = Notebook::new(&|_| false, 1 << 20);
        let deaf = &crate::inspect::Deaf;
        let of = Decoded::of((file.reader(), None), Packing::Gzip, &notebook, deaf);
        assert!(of.is_err() && notebook.has(Code::FileTooLarge));
    }

    /// A file with an image of words, noise and zeros, and the image.
    fn packed(pack: fn(&[u8]) -> Vec<u8>) -> (tempfile::TempDir, LocalFile, Vec<u8>) {
        let mut image = mixed(600_000);
        image.resize(1_100_000, 0);
        image.extend_from_slice(&mixed(700_001));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        std::fs::write(&path, pack(&image)).unwrap();
        let Ok(Source::File(file)) = Source::open(path.as_os_str()) else { unreachable!() };
        (dir, file, image)
    }

    fn bzip2(image: &[u8]) -> Vec<u8> {
        let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        writer.write_all(image).unwrap();
        writer.finish().unwrap()
    }

    fn members(image: &[u8]) -> Vec<u8> {
        let member = |part: &[u8]| {
            let mut writer = GzEncoder::new(Vec::new(), Compression::default());
            writer.write_all(part).unwrap();
            writer.finish().unwrap()
        };
        [member(&image[..900_000]), member(&[]), member(&image[900_000..])].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// From places as near as blocks, with any number of threads.
        #[test]
        fn what_the_index_leads_to_is_the_stream(
            reads in prop::collection::vec((any::<prop::sample::Index>(), 1usize..150_000), 1..20),
            threads in prop::sample::select(vec![1usize, 2, 8, 64]),
        ) {
            for (packing, pack) in [(Packing::Gzip, members as fn(&[u8]) -> _), (Packing::Bzip2, bzip2)] {
                let (_dir, file, image) = packed(pack);
                let notebook = Notebook::new(&|_| false, 1 << 40);
                let threads = Threads::new(threads);
                let how = How { packing, threads, index: Index::close(), spools: false };
                let deaf = &crate::inspect::Deaf;
                let decoded = Decoded::by(how, (file.reader(), None), &notebook, deaf).unwrap();
                prop_assert!(decoded.how.index.places() > 4, "{}", decoded.how.index.places());
                let mut view = decoded.view(file.offsets());
                for (at, len) in &reads {
                    let at = at.index(image.len() + 1000);
                    let mut buf = vec![0xee; *len];
                    let expected = image.get(at..(at + len).min(image.len())).unwrap_or_default();
                    prop_assert_eq!(view.read_at(at as u64, &mut buf).unwrap(), Got::Bytes(expected.len()));
                    prop_assert!(&buf[..expected.len()] == expected, "{} bytes at {}", len, at);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn it_is_the_image_at_any_offset(reads in prop::collection::vec((0usize..9 << 20, 1usize..300_000), 1..12)) {
            let (_dir, file, image) = sample();
            let mut view = decoded(&file, true).view(file.offsets());
            for (at, len) in reads {
                let mut buf = vec![0xee; len];
                let expected = image.get(at..(at + len).min(image.len())).unwrap_or_default();
                prop_assert_eq!(view.read_at(at as u64, &mut buf).unwrap(), Got::Bytes(expected.len()));
                prop_assert!(&buf[..expected.len()] == expected);
            }
        }
    }
}
