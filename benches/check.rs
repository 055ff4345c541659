//! Whole checks of generated images: what a change costs, without any other program. How tidegate
//! compares with others on a real disk is measured by `peers.sh`.

use std::fs;
use std::io::Write;
use std::path::Path;

use divan::Bencher;
use divan::counter::BytesCount;
use tidegate::inspect::{Deaf, Options, Verdict, inspect};

const MIB: usize = 1 << 20;

fn main() {
    divan::main();
}

#[divan::bench]
fn raw(bencher: Bencher<'_, '_>) {
    let disk = disk(64 * MIB);
    check(bencher, "disk.raw", &disk, disk.len(), &Options::default());
}

#[divan::bench]
fn raw_quick(bencher: Bencher<'_, '_>) {
    let disk = disk(64 * MIB);
    check(bencher, "disk.raw", &disk, disk.len(), &Options { quick: true, ..Options::default() });
}

#[divan::bench]
fn gzip(bencher: Bencher<'_, '_>) {
    let disk = disk(64 * MIB);
    check(bencher, "disk.raw.gz", &gzipped(&disk), disk.len(), &Options::default());
}

#[divan::bench]
fn gzip_with_image_digest(bencher: Bencher<'_, '_>) {
    let disk = disk(64 * MIB);
    let options = Options { image_digest: true, ..Options::default() };
    check(bencher, "disk.raw.gz", &gzipped(&disk), disk.len(), &options);
}

#[divan::bench(sample_count = 20)]
fn bzip2(bencher: Bencher<'_, '_>) {
    let disk = disk(8 * MIB);
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    writer.write_all(&disk).expect("a Vec takes everything");
    let file = writer.finish().expect("a Vec takes everything");
    check(bencher, "disk.raw.bz2", &file, disk.len(), &Options::default());
}

/// Mostly what a check costs whatever the image: threads, buffers, the report.
#[divan::bench]
fn qcow2(bencher: Bencher<'_, '_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/gpt.qcow2");
    // An unpacked release may come without its test data.
    if let Ok(size) = fs::metadata(&path) {
        check_file(bencher, &path, size.len() as usize, &Options::default());
    }
}

/// A disk with an MBR and one partition: of four MiB one is text, one is noise, two are empty.
fn disk(size: usize) -> Vec<u8> {
    let mut disk = vec![0; size];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // xorshift64: the same disk everywhere.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let words = ["error", "warning", "disk", "partition", "the", "of", "image", "0x00", "\n", "a"];
    for (index, piece) in disk.chunks_mut(MIB).enumerate().skip(1) {
        match index % 4 {
            1 => {
                let mut text = Vec::with_capacity(MIB + 16);
                while text.len() < piece.len() {
                    text.extend_from_slice(words[next() as usize % words.len()].as_bytes());
                    text.push(b' ');
                }
                piece.copy_from_slice(&text[..piece.len()]);
            }
            2 => {
                for bytes in piece.chunks_exact_mut(8) {
                    bytes.copy_from_slice(&next().to_le_bytes());
                }
            }
            _ => {}
        }
    }
    // One Linux partition from the second MiB to the end, and the signature.
    let sectors = |bytes: usize| ((bytes / 512) as u32).to_le_bytes();
    disk[450] = 0x83;
    disk[454..458].copy_from_slice(&sectors(MIB));
    disk[458..462].copy_from_slice(&sectors(size - MIB));
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn gzipped(image: &[u8]) -> Vec<u8> {
    let mut writer = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::default());
    writer.write_all(image).expect("a Vec takes everything");
    writer.finish().expect("a Vec takes everything")
}

/// Checks a file of these bytes.
fn check(bencher: Bencher<'_, '_>, name: &str, file: &[u8], image: usize, options: &Options) {
    let dir = tempfile::tempdir().expect("a directory for the image");
    let path = dir.path().join(name);
    fs::write(&path, file).expect("room for the image");
    check_file(bencher, &path, image, options);
}

/// Throughput is told in bytes of the image.
fn check_file(bencher: Bencher<'_, '_>, path: &Path, image: usize, options: &Options) {
    let run = || {
        let report = inspect(path.as_os_str(), options, &Deaf);
        // A refused image is not read to its end, so it would measure nothing.
        assert!(matches!(report.verdict, Verdict::Accept | Verdict::Warn), "{report:?}");
        report
    };
    if options.quick {
        // It reads a few sectors: bytes per second would say nothing.
        bencher.bench_local(run);
    } else {
        bencher.counter(BytesCount::new(image)).bench_local(run);
    }
}
