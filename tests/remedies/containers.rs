//! Images in containers, with what their formats can have wrong and still be read.

use crate::Promise::{self, Mended};
use crate::common::{disk, gzip};
use crate::folder::{Folder, Made, dotted};

type Entry = (&'static str, fn(&Folder, &str) -> Option<Made>, Promise);

pub(crate) const ENTRIES: &[Entry] = &[
    ("image-too-large", too_large, Mended),
    ("format-vpc", |f, s| of(f, s, ".vhd", "vpc", &["-o", "force_size=on"]), Mended),
    ("format-qcow1", |f, s| of(f, s, ".qcow", "qcow", &[]), Mended),
    ("format-qed", |f, s| of(f, s, ".qed", "qed", &[]), Mended),
    ("format-parallels", |f, s| of(f, s, ".hds", "parallels", &[]), Mended),
    (
        "format-vmdk-descriptor",
        |f, s| of(f, s, ".vmdk", "vmdk", &["-o", "subformat=monolithicFlat"]),
        Mended,
    ),
    (
        "format-vmdk-descriptor",
        |f, s| of(f, s, ".vmdk", "vmdk", &["-o", "subformat=twoGbMaxExtentSparse"]),
        Mended,
    ),
    ("format-vmdk-descriptor", packed_descriptor, Mended),
    ("format-vmdk-split", split, Mended),
    ("format-android-sparse", android, Mended),
    ("qcow2-backing-file", backing, Mended),
    (
        "qcow2-size-unaligned",
        |f, s| qcow2(f, s, |i| i.put(24, &(SIZE + 100).to_be_bytes())),
        Mended,
    ),
    ("qcow2-snapshots", snapshot, Mended),
    ("qcow2-dirty", |f, s| qcow2(f, s, |i| i.put(79, &[1])), Mended),
    ("qcow2-data-file", data_file, Mended),
    (
        "qcow2-zstd",
        |f, s| of(f, s, ".qcow2", "qcow2", &["-c", "-o", "compression_type=zstd"]),
        Mended,
    ),
    ("qcow2-extended-l2", |f, s| of(f, s, ".qcow2", "qcow2", &["-o", "extended_l2=on"]), Mended),
    ("qcow2-refcount-stale", stale, Mended),
    ("qcow2-space-unused", |f, s| qcow2(f, s, |i| i.put(40_000, JUNK)), Mended),
    ("qcow2-clusters-leaked", |f, s| qcow2(f, s, |i| i.leak(1)), Mended),
    ("qcow2-clusters-lost", |f, s| qcow2(f, s, |i| i.leak(40)), Mended),
    ("qcow2-clusters-behind-disk", |f, s| qcow2(f, s, Image::map_more), Mended),
    ("qcow2-cluster-unended", unended, Mended),
    ("qcow2-compressed-twice", twice, Mended),
    ("qcow2-copied-flag-wrong", |f, s| qcow2(f, s, Image::uncopied), Mended),
    ("qcow2-bitmaps-stale", bitmaps, Mended),
    ("qcow2-trailing-bytes", |f, s| packed(f, s, "qcow2", |i| i.0.extend(JUNK)), Mended),
    ("vhdx-header-damaged", |f, s| vhdx(f, s, &[], |i| i.put(HEADERS[1] + 100, &[1])), Mended),
    (
        "vhdx-region-table-damaged",
        |f, s| vhdx(f, s, &[], |i| i.put((256 << 10) + 100, &[1])),
        Mended,
    ),
    ("vhdx-fixed-block-missing", fixed, Mended),
    ("vhdx-field-unknown", |f, s| vhdx(f, s, &[], |i| i.put((3 << 20) + 8, &[1])), Mended),
    ("vhdx-block-undefined", undefined_block, Mended),
    ("vhdx-log-stale", |f, s| vhdx(f, s, &[], Image::open_log), Mended),
    ("vhdx-trailing-bytes", |f, s| packed(f, s, "vhdx", |i| i.0.extend(JUNK)), Mended),
    ("vhdx-space-unused", lost_block, Mended),
    (
        "vdi-size-unaligned",
        |f, s| changed(f, s, "vdi", &[], |i| i.put(0x170, &(SIZE - 100).to_le_bytes())),
        Mended,
    ),
    ("vdi-blocks-unused", |f, s| changed(f, s, "vdi", &[], Image::one_block_more), Mended),
    ("vdi-space-unused", |f, s| changed(f, s, "vdi", &[], |i| i.put(0x300, JUNK)), Mended),
    ("vdi-trailing-bytes", |f, s| packed(f, s, "vdi", |i| i.0.extend(JUNK)), Mended),
    (
        "vmdk-create-type-case",
        |f, s| changed(f, s, "vmdk", &[], |i| i.describe("createType", "CreateType")),
        Mended,
    ),
    ("vmdk-descriptor-overlong", |f, s| changed(f, s, "vmdk", &[], Image::overlong), Mended),
    (
        "vmdk-extent-name",
        |f, s| changed(f, s, "vmdk", &[], |i| i.describe("SPARSE \"", "SPARSE \"a\"")),
        Mended,
    ),
    ("vmdk-parent", parent, Mended),
    ("vmdk-trailing-bytes", |f, s| stream(f, s, false, &[9; 700]), Mended),
    ("vmdk-grains-unordered", |f, s| stream(f, s, true, &[]), Mended),
    ("vmdk-grains-unordered", packed_stream, Mended),
    ("vmdk-bytes-behind", |f, s| packed(f, s, "vmdk", |i| i.0.extend([7; 1 << 17])), Mended),
    ("vmdk-space-unused", |f, s| changed(f, s, "vmdk", &[], Image::lose_grains), Mended),
];

/// Bytes of the disk in every image.
const SIZE: u64 = crate::common::DISK;

/// What belongs to no image.
const JUNK: &[u8] = b"PK\x03\x04 what somebody appended to an image, by mistake or to hide it from all who look at the ima";

/// Where a VHDX image has its headers.
const HEADERS: [usize; 2] = [64 << 10, 128 << 10];

/// The bytes of an image.
struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, at: usize, with: &[u8]) {
        self.0[at..at + with.len()].copy_from_slice(with);
    }

    fn long(&self, at: usize) -> u64 {
        u64::from_be_bytes(*self.0[at..].first_chunk().unwrap())
    }

    fn word(&self, at: usize) -> usize {
        u32::from_le_bytes(*self.0[at..].first_chunk().unwrap()) as usize
    }

    /// Where a qcow2 image has its first refcount block.
    fn refcounts(&self) -> usize {
        self.long(self.long(48) as usize) as usize
    }

    /// Where a qcow2 image has its first L2 table.
    fn l2(&self) -> usize {
        (self.long(self.long(40) as usize) & 0x00ff_ffff_ffff_fe00) as usize
    }

    /// Clusters of a qcow2 image that are counted and that nothing uses.
    fn leak(&mut self, clusters: usize) {
        let (first, cluster) = (self.0.len().div_ceil(1 << 16), 1 << 16);
        for n in first..first + clusters {
            self.put(self.refcounts() + 2 * n, &[0, 1]);
        }
        self.0.resize((first + clusters) * cluster, 0);
    }

    /// A cluster of a qcow2 image that is mapped behind the end of the disk.
    fn map_more(&mut self) {
        let at = self.0.len().next_multiple_of(1 << 16);
        self.leak(1);
        let entry = self.l2() + (SIZE as usize >> 16) * 8;
        self.put(entry, &(1 << 63 | at as u64).to_be_bytes());
    }

    /// The L2 entry of a qcow2 image's first cluster without its flag.
    fn uncopied(&mut self) {
        let at = self.l2();
        self.0[at] &= 0x7f;
    }

    /// A VHDX image whose header says that its log is in use.
    fn open_log(&mut self) {
        for header in HEADERS {
            self.put(header + 48, &[7; 16]);
            self.put(header + 4, &[0; 4]);
            let sum = crc32c::crc32c(&self.0[header..header + 4096]);
            self.put(header + 4, &sum.to_le_bytes());
        }
    }

    /// Where a VHDX image has its block allocation table.
    fn bat(&self) -> usize {
        const BAT: [u8; 4] = [0x66, 0x77, 0xc2, 0x2d];
        let entry =
            (0..).map(|n| (192 << 10) + 16 + 32 * n).find(|at| self.0[*at..].starts_with(&BAT));
        self.word(entry.unwrap() + 16)
    }

    /// A VDI image with a block behind the end of the disk.
    fn one_block_more(&mut self) {
        let blocks = self.word(0x180) as u32;
        let stored = self.word(0x184) as u32;
        self.put(0x180, &(blocks + 1).to_le_bytes());
        self.put(0x184, &(stored + 1).to_le_bytes());
        self.put(0x200 + 4 * blocks as usize, &stored.to_le_bytes());
        self.0.extend(vec![1; 1 << 20]);
    }

    /// A VMDK image with another text in the place of one that its descriptor has.
    fn describe(&mut self, from: &str, to: &str) {
        let text = String::from_utf8(self.0[512..21 * 512].to_vec()).unwrap();
        let mut text = text.replace(from, to).into_bytes();
        text.resize(20 * 512, 0);
        self.put(512, &text);
    }

    /// A VMDK image whose descriptor goes on behind the one sector that the header gives it.
    fn overlong(&mut self) {
        self.describe("#DDB", &format!("#DDB{}", "#".repeat(512)));
        self.put(36, &[1]);
    }

    /// A sparse VMDK image that has lost the grains of the disk's second MiB.
    fn lose_grains(&mut self) {
        for directory in [48, 56] {
            let table = self.word(self.word(directory) * 512) * 512;
            self.put(table + 4 * 20, &[0; 4 * 8]);
        }
    }
}

/// A disk that has something in each of its clusters, so that every table is used.
fn full() -> Vec<u8> {
    let mut disk = disk();
    let end = disk.len() - (64 << 10);
    for at in (1 << 20..end).step_by(4096) {
        disk[at..at + 8].copy_from_slice(&(at as u64).to_le_bytes());
    }
    disk
}

fn of(folder: &Folder, stem: &str, ending: &str, format: &str, options: &[&str]) -> Option<Made> {
    let name = format!("{stem}{ending}");
    folder.image(&name, &full(), format, options)?;
    Made::plain(name)
}

fn changed(
    folder: &Folder,
    stem: &str,
    format: &str,
    options: &[&str],
    change: impl Fn(&mut Image),
) -> Option<Made> {
    let made = of(folder, stem, &format!(".{format}"), format, options)?;
    let mut image = Image(folder.read(&made.name));
    change(&mut image);
    folder.write(&made.name, &image.0);
    Some(made)
}

fn qcow2(folder: &Folder, stem: &str, change: impl Fn(&mut Image)) -> Option<Made> {
    changed(folder, stem, "qcow2", &[], change)
}

fn vhdx(
    folder: &Folder,
    stem: &str,
    options: &[&str],
    change: impl Fn(&mut Image),
) -> Option<Made> {
    changed(folder, stem, "vhdx", options, change)
}

/// The same, compressed.
fn packed(folder: &Folder, stem: &str, format: &str, change: impl Fn(&mut Image)) -> Option<Made> {
    let made = changed(folder, stem, format, &[], change)?;
    let bytes = gzip(&folder.read(&made.name));
    std::fs::remove_file(folder.at(&made.name)).unwrap();
    let name = format!("{}.gz", made.name);
    folder.write(&name, &bytes);
    Made::plain(name)
}

fn too_large(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.qcow2");
    folder.image(&name, &disk(), "qcow2", &["-o", "preallocation=full"])?;
    Some(Made { name, options: vec!["--max-size".into(), (SIZE + 512).to_string()] })
}

fn split(folder: &Folder, stem: &str) -> Option<Made> {
    of(folder, stem, ".vmdk", "vmdk", &["-o", "subformat=twoGbMaxExtentSparse"])?;
    Made::plain(format!("{stem}-s001.vmdk"))
}

fn packed_descriptor(folder: &Folder, stem: &str) -> Option<Made> {
    let made = of(folder, stem, ".vmdk", "vmdk", &["-o", "subformat=monolithicFlat"])?;
    let name = format!("{stem}.vmdk.gz");
    folder.write(&name, &gzip(&folder.read(&made.name)));
    std::fs::remove_file(folder.at(&made.name)).unwrap();
    Made::plain(name)
}

fn android(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.simg");
    folder.write("disk.raw", &disk());
    folder.run("img2simg", &["disk.raw", &dotted(&name)])?;
    Made::plain(name)
}

fn backing(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.qcow2");
    folder.image("base.qcow2", &disk(), "qcow2", &[])?;
    let create = ["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2"];
    folder.run("qemu-img", &[&create[..], &[&dotted(&name)]].concat())?;
    Made::plain(name)
}

fn snapshot(folder: &Folder, stem: &str) -> Option<Made> {
    let made = of(folder, stem, ".qcow2", "qcow2", &[])?;
    folder.run("qemu-img", &["snapshot", "-c", "before", &dotted(&made.name)])?;
    Some(made)
}

fn data_file(folder: &Folder, stem: &str) -> Option<Made> {
    of(folder, stem, ".qcow2", "qcow2", &["-o", "data_file=data.bin"])
}

/// Not closed, with a refcount that was not written.
fn stale(folder: &Folder, stem: &str) -> Option<Made> {
    qcow2(folder, stem, |image| {
        image.put(79, &[1]);
        let cluster = (image.long(image.l2()) & 0x00ff_ffff_ffff_fe00) as usize >> 16;
        image.put(image.refcounts() + 2 * cluster, &[0, 0]);
    })
}

/// Two entries for one compressed cluster, which is counted twice.
fn twice(folder: &Folder, stem: &str) -> Option<Made> {
    changed(folder, stem, "qcow2", &["-c"], |image| {
        let l2 = image.l2();
        let entries: Vec<usize> = (17..60).map(|n| l2 + 8 * n).collect();
        let whole = |at: &&usize| image.long(**at) >> 62 & 1 == 1;
        let used: Vec<usize> = entries.iter().filter(whole).copied().collect();
        let first = image.long(used[0]);
        image.put(used[1], &first.to_be_bytes());
    })
}

/// A compressed cluster whose data goes on when the cluster is full.
fn unended(folder: &Folder, stem: &str) -> Option<Made> {
    changed(folder, stem, "qcow2", &["-c"], |image| {
        let l2 = image.l2();
        let entries = (0..64).map(|n| image.long(l2 + 8 * n));
        let packed = entries.filter(|entry| entry >> 62 & 1 == 1);
        let mut places: Vec<_> = packed.map(|entry| (entry & ((1 << 54) - 1)) as usize).collect();
        places.sort_unstable();
        // Of all but those with the partition table, the one that takes most.
        let pairs = places.windows(2).skip(1).take(places.len() - 3);
        let most = pairs.max_by_key(|pair| pair[1] - pair[0]).unwrap();
        let mut deflate =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut deflate, &[65; (1 << 16) + 300]).unwrap();
        let stream = deflate.finish().unwrap();
        assert!(stream.len() <= most[1] - most[0], "{} bytes in {most:?}", stream.len());
        image.put(most[0], &stream);
    })
}

fn bitmaps(folder: &Folder, stem: &str) -> Option<Made> {
    let made = of(folder, stem, ".qcow2", "qcow2", &[])?;
    folder.run("qemu-img", &["bitmap", "--add", &dotted(&made.name), "changes"])?;
    folder.patch(&made.name, 95, &[0]);
    Some(made)
}

fn fixed(folder: &Folder, stem: &str) -> Option<Made> {
    vhdx(folder, stem, &["-o", "subformat=fixed,block_size=1M"], |image| {
        image.put(image.bat() + 8, &[0; 8]);
    })
}

fn lost_block(folder: &Folder, stem: &str) -> Option<Made> {
    vhdx(folder, stem, &["-o", "block_size=1M"], |image| image.put(image.bat() + 8, &[0; 8]))
}

/// A block with a place, of which a reader may show anything.
fn undefined_block(folder: &Folder, stem: &str) -> Option<Made> {
    vhdx(folder, stem, &["-o", "block_size=1M"], |image| {
        let at = image.bat() + 8;
        image.0[at] = image.0[at] & !7 | 1;
    })
}

fn parent(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.vmdk");
    folder.image("base.vmdk", &disk(), "vmdk", &[])?;
    let create = ["create", "-q", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk"];
    folder.run("qemu-img", &[&create[..], &[&dotted(&name)]].concat())?;
    Made::plain(name)
}

/// The stream that VMware writes, with bytes behind it.
fn stream(folder: &Folder, stem: &str, reversed: bool, behind: &[u8]) -> Option<Made> {
    let name = format!("{stem}.vmdk");
    folder.write(&name, &[&crate::vmdk::stream(&full(), reversed)[..], behind].concat());
    Made::plain(name)
}

/// The same, packed with gzip.
fn packed_stream(folder: &Folder, stem: &str) -> Option<Made> {
    let name = format!("{stem}.vmdk.gz");
    folder.write(&name, &gzip(&crate::vmdk::stream(&full(), true)));
    Made::plain(name)
}
