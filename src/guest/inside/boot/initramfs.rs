//! What is in an initramfs: the names of its modules.
//!
//! It is a file of archives, one after another; each is a cpio archive as it is (microcode, mostly), or packed. As the
//! packed one is the last by far most of the time, what follows it is not read, and the look is incomplete then.
//! Unpacked bytes pass by and are not kept; windows, output and time are bounded.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::super::fs::{Trouble, Why};
use super::super::super::tree::{Found, Tree};
use super::cpio::{Cpio, Taken};
use super::modules::module_name;
use super::unpack::{LZ4, Lz4, Lzma};
use crate::codec::{Bzip2, Damage, Decoder, Gzip, Xz, Zstd};
use crate::facts::Code;

/// Bytes that are unpacked at most, and bytes of the file.
const MOST_UNPACKED: u64 = 256 << 20;
const MOST_READ: u64 = 512 << 20;

/// Bytes of a window or dictionary at most.
const LARGEST_WINDOW: u64 = 8 << 20;

/// Bytes that are unpacked at once.
const PIECE: usize = 64 << 10;

/// Bytes that are read at once: so many that the file passes by the cache of the disk, and leaves in it what is there.
const INPUT: usize = 256 << 10;

/// Modules whose names are kept.
const MOST_MODULES: usize = 16 << 10;

/// Files that hold a root of their own, which the initramfs mounts.
const NESTED: [&[u8]; 5] = [
    b"squash-root.img",
    b"squashfs-root.img",
    b"erofs-root.img",
    b"rootfs.squashfs",
    b"root.squashfs",
];

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The modules for the kernel, by their names, a dash as an underscore.
    pub(super) modules: BTreeSet<Vec<u8>>,
    /// The version of another kernel that it has modules for.
    pub(super) other_version: Option<Vec<u8>>,
    /// Entries in all.
    pub(super) entries: u64,
    /// Why not all of it was examined, as a sentence without a period.
    pub(super) incomplete: Option<String>,
    /// What is wrong with it, as a sentence.
    pub(super) damaged: Option<String>,
    /// How long it took.
    pub(super) took: Duration,
}

/// What is behind the plain archives.
enum Packing {
    Known(Box<dyn Decoder>),
    /// Linux unpacks it, and nothing here does.
    Other(&'static str),
    Unknown,
}

fn packing(first: &[u8]) -> Packing {
    let known = |decoder: Box<dyn Decoder>| Packing::Known(decoder);
    match first {
        [0x1f, 0x8b, ..] => known(Box::<Gzip>::default()),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => known(Box::new(Zstd::within(LARGEST_WINDOW))),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => known(Box::new(Xz::within(LARGEST_WINDOW))),
        [b'B', b'Z', b'h', ..] => known(Box::<Bzip2>::default()),
        [0x5d, 0, 0, ..] => known(Box::new(Lzma::within(LARGEST_WINDOW))),
        [0x89, b'L', b'Z', b'O', ..] => Packing::Other("LZO"),
        first if first.starts_with(&LZ4) => known(Box::<Lz4>::default()),
        _ => Packing::Unknown,
    }
}

/// Fills a buffer from an offset of a file; less only at its end.
type Source<'s> = dyn FnMut(u64, &mut [u8]) -> Result<usize, Trouble> + 's;

/// A file that is read from the front to the back, in pieces.
struct Pieces<'s, 't> {
    source: &'t mut Source<'s>,
    /// Where the next piece begins.
    at: u64,
    piece: Vec<u8>,
    /// Bytes of the piece that were taken.
    taken: usize,
}

impl Pieces<'_, '_> {
    /// What is at hand and was not taken; it is empty at the end of the file.
    fn rest(&mut self) -> Result<&[u8], Trouble> {
        if self.taken == self.piece.len() {
            self.refill()?;
        }
        Ok(&self.piece[self.taken..])
    }

    /// Gets more of the file behind what was not taken.
    fn refill(&mut self) -> Result<(), Trouble> {
        self.piece.drain(..self.taken);
        self.taken = 0;
        let had = self.piece.len();
        self.piece.resize(had + INPUT, 0);
        let count = (self.source)(self.at, &mut self.piece[had..])?;
        self.piece.truncate(had + count);
        self.at += count as u64;
        Ok(())
    }
}

impl Look {
    /// Looks through an initramfs for modules of the kernel of this version.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn at(
        tree: &mut Tree<'_>,
        found: &Found,
        version: Option<&[u8]>,
    ) -> Result<Self, Trouble> {
        // The clock is looked at from time to time.
        let mut source = |at, buf: &mut [u8]| {
            tree.disk().spend(64)?;
            tree.read_at(found, at, buf)
        };
        Look::through(&mut source, version)
    }

    /// The same of a file that is read like this.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn through(
        source: &mut Source<'_>,
        version: Option<&[u8]>,
    ) -> Result<Self, Trouble> {
        let start = Instant::now();
        let mut look = Look::default();
        let mut pieces = Pieces { source, at: 0, piece: Vec::new(), taken: 0 };
        match look.plain(&mut pieces, version) {
            // It took too long, or was too much.
            Err(Trouble::Left(Why::Limit(said))) => look.incomplete = Some(said.to_owned()),
            other => other?,
        }
        look.took = start.elapsed();
        Ok(look)
    }

    /// What several files have that the loader puts one behind the other.
    pub(super) fn add(&mut self, other: Look) {
        self.modules.extend(other.modules);
        self.other_version = self.other_version.take().or(other.other_version);
        self.entries += other.entries;
        self.incomplete = self.incomplete.take().or(other.incomplete);
        self.damaged = self.damaged.take().or(other.damaged);
        self.took += other.took;
    }

    /// Archives as they are.
    fn plain(
        &mut self,
        pieces: &mut Pieces<'_, '_>,
        version: Option<&[u8]>,
    ) -> Result<(), Trouble> {
        let mut cpio = Cpio::default();
        loop {
            if pieces.at > MOST_READ {
                self.incomplete = Some("it has more than 512 MiB".to_owned());
                return Ok(());
            }
            let rest = pieces.rest()?;
            if rest.is_empty() {
                if !cpio.is_between() {
                    self.damaged = Some("It ends within a cpio archive.".to_owned());
                }
                return Ok(());
            }
            match cpio.take(rest, &mut |name| self.name(name, version)) {
                Taken::All => pieces.taken = pieces.piece.len(),
                Taken::Damaged(at) => {
                    let at = pieces.at - (pieces.piece.len() - pieces.taken - at) as u64;
                    self.damaged = Some(format!("Near byte {at} its cpio archive is damaged."));
                    return Ok(());
                }
                Taken::Until(at) => {
                    pieces.taken += at;
                    // The mark may lie across two pieces.
                    pieces.refill()?;
                    return self.packed(pieces, version, cpio.entries() == 0);
                }
            }
        }
    }

    /// What follows the plain archives, or begins the file.
    fn packed(
        &mut self,
        pieces: &mut Pieces<'_, '_>,
        version: Option<&[u8]>,
        is_first: bool,
    ) -> Result<(), Trouble> {
        let mut decoder = match packing(pieces.rest()?) {
            Packing::Known(decoder) => decoder,
            Packing::Other(name) => {
                self.incomplete =
                    Some(format!("it is compressed with {name}, which tidegate does not read"));
                return Ok(());
            }
            Packing::Unknown => {
                let first = crate::bytes::hex(&pieces.piece[..pieces.piece.len().min(6)]);
                let said = if is_first { "It begins with" } else { "Behind its archive are" };
                self.damaged =
                    Some(format!("{said} bytes ({first}) of nothing that Linux unpacks."));
                return Ok(());
            }
        };
        let mut cpio = Cpio::default();
        let (mut output, mut unpacked) = (vec![0; PIECE], 0);
        loop {
            let rest = pieces.rest()?;
            let is_end = rest.is_empty();
            let step = match decoder.decode(rest, &mut output) {
                Ok(step) => step,
                Err(damage) => {
                    self.ended(&damage, &cpio, cpio.is_between());
                    return Ok(());
                }
            };
            pieces.taken += step.taken;
            unpacked += step.made as u64;
            match cpio.take(&output[..step.made], &mut |name| self.name(name, version)) {
                Taken::All => {}
                Taken::Until(_) if cpio.entries() == 0 => {
                    self.incomplete =
                        Some("what is compressed in it is no cpio archive".to_owned());
                    return Ok(());
                }
                Taken::Until(_) | Taken::Damaged(_) => {
                    self.damaged =
                        Some("The cpio archive that is compressed in it is damaged.".to_owned());
                    return Ok(());
                }
            }
            if unpacked > MOST_UNPACKED || pieces.at > MOST_READ {
                self.incomplete = Some("it has more than 256 MiB decompressed".to_owned());
                return Ok(());
            }
            if is_end && step.made < output.len() {
                break;
            }
        }
        match decoder.finish() {
            Err(damage) => {
                self.ended(&damage, &cpio, false);
                return Ok(());
            }
            Ok(summary) if summary.behind.is_some() => {
                self.incomplete = Some("something follows its compressed archive".to_owned());
            }
            Ok(_) if !cpio.is_between() => {
                self.damaged =
                    Some("The cpio archive that is compressed in it is truncated.".to_owned());
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Unpacking ended with damage; `is_between` entries and before the end of the file.
    fn ended(&mut self, damage: &Damage, cpio: &Cpio, is_between: bool) {
        let limit = match damage.code {
            Code::XzWindowTooLarge | Code::ZstdWindowTooLarge => {
                Some("it is compressed with a larger window than tidegate takes")
            }
            Code::XzUnsupported | Code::ZstdUnsupported => {
                Some("it is compressed in a way that tidegate does not read")
            }
            _ => None,
        };
        if let Some(limit) = limit {
            self.incomplete = Some(limit.to_owned());
        } else if cpio.entries() > 0 && is_between {
            // Linux goes on with whatever follows.
            self.incomplete = Some("something follows its compressed archive".to_owned());
        } else {
            self.damaged = Some(damage.said.clone());
        }
    }

    /// An entry of this name.
    fn name(&mut self, path: &[u8], version: Option<&[u8]>) {
        self.entries += 1;
        let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if NESTED.contains(&file) {
            self.incomplete = Some("its files are in a file system of its own".to_owned());
        }
        let Some(module) = module_name(path) else { return };
        if let Some(other) = version_of(path)
            && version.is_some_and(|version| version != other)
        {
            self.other_version.get_or_insert_with(|| other.to_vec());
            return;
        }
        if self.modules.len() < MOST_MODULES && module.len() < 256 {
            self.modules.insert(module);
        }
    }
}

/// The version in `lib/modules/VERSION/…`.
fn version_of(path: &[u8]) -> Option<&[u8]> {
    let mark = b"lib/modules/";
    let at = path.windows(mark.len()).position(|window| window == mark)?;
    let rest = &path[at + mark.len()..];
    let end = rest.iter().position(|&byte| byte == b'/')?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::super::cpio::testing::archive;
    use super::*;

    fn look(bytes: &[u8]) -> Look {
        let mut tree = tree(vec![Memory::new().with("/initrd", bytes)]);
        let found = tree.stat("/initrd").unwrap().unwrap();
        Look::at(&mut tree, &found, Some(b"6.1")).unwrap()
    }

    fn modules(look: &Look) -> Vec<&str> {
        look.modules.iter().map(|name| std::str::from_utf8(name).unwrap()).collect()
    }

    fn main_archive() -> Vec<u8> {
        archive(&[
            ("usr/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.zst", &[7; 5000]),
            ("lib/modules/6.1/kernel/virtio-pci.ko", b"x"),
            ("lib/modules/5.0/kernel/xfs.ko", b"x"),
            ("init", b"x"),
        ])
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn archives_as_they_are_and_packed_behind_them() {
        let microcode = archive(&[("kernel/x86/microcode/GenuineIntel.bin", &[1; 3000])]);
        for bytes in
            [main_archive(), gzip(&main_archive()), [microcode, gzip(&main_archive())].concat()]
        {
            let look = look(&bytes);
            assert_eq!(modules(&look), ["virtio_blk", "virtio_pci"]);
            assert_eq!(look.other_version.as_deref(), Some(&b"5.0"[..]));
            assert_eq!((look.incomplete.as_deref(), look.damaged.as_deref()), (None, None));
            assert!(look.entries >= 4);
        }
    }

    #[test]
    fn what_is_truncated_is_damaged() {
        let packed = gzip(&main_archive());
        assert!(look(&packed[..packed.len() - 12]).damaged.is_some());
        let half = gzip(&main_archive()[..3000]);
        assert!(look(&half).damaged.unwrap().contains("truncated"));
        assert!(look(&main_archive()[..3000]).damaged.unwrap().contains("ends within"));
        assert!(look(b"nothing known").damaged.unwrap().contains("nothing that Linux unpacks"));
    }

    #[test]
    fn what_is_not_looked_at_is_said() {
        let behind = [gzip(&main_archive()), main_archive()].concat();
        assert!(look(&behind).incomplete.unwrap().contains("follows"));
        assert!(look(b"\x89LZO\0\r\n\x1a\n").incomplete.unwrap().contains("LZO"));
        assert!(look(&gzip(b"an old ramdisk")).incomplete.unwrap().contains("no cpio"));
        let nested = archive(&[("squashfs-root.img", b"hsqs")]);
        assert!(look(&nested).incomplete.unwrap().contains("of its own"));
    }

    #[test]
    fn zeros_without_end_come_to_one() {
        let mut packed = archive(&[("init", b"x")]);
        packed.extend(gzip(&vec![0; 300 << 20]));
        assert!(look(&packed).incomplete.unwrap().contains("256 MiB"));
    }
}
