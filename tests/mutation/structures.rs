//! Structures of sound images are inserted, removed, moved, doubled and cut. What `qemu-img` then refuses
//! to open has to be refused, what it finds corrupt is warned of at least, and leaks are said.
//!
//! In the environment:
//!
//!   TIDEGATE_STRUCTURES=N     cases of each format (default 100; 2,000 with `CI=true`; `.ci/run full` takes 5,000)
//!   TIDEGATE_STRUCTURES_OF=FORMAT  only of this format
//!   TIDEGATE_STRUCTURE=CASE   only this one, as a failure names it; its image is kept

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate::bytes::Segment;
use tidegate::facts::DiskFormat;
use tidegate::formats::MemoryFeed;
use tidegate::inspect::bodies::structures::{self, Edited};
use tidegate::inspect::{Deaf, Options, Report, Verdict, inspect};
use tidegate::rules::Severity;

use crate::bases::{self, MADE, Made};
use crate::common::Scratch;
use crate::{FORMATS, Random, THREADS, complaint, number_of, qemu_img};

/// Bytes that say what a case does.
const INPUT: usize = 96;

/// Of the cases that are refused, one in so many is shown to `qemu-img` too, to count what it says.
const SAMPLED: u64 = 16;

/// Of the cases that are not refused, one in so many is converted.
const CONVERTED: u64 = 4;

/// A sound image and what is said of it.
struct Base {
    made: &'static Made,
    image: Vec<u8>,
    known: Vec<String>,
}

/// What became of a case.
#[derive(Default)]
struct Tally {
    cases: usize,
    refused: usize,
    shown: usize,
    by_both: usize,
    by_us_alone: usize,
    missed: Vec<String>,
}

/// What `qemu-img` makes of an image.
enum Said {
    Nothing,
    Leaks,
    /// It opens it and finds it corrupt.
    Corrupt(String),
    /// It does not open it, or cannot read its disk.
    Refused(String),
}

/// A disk with a little of everything, most of it nothing.
fn disk() -> Vec<u8> {
    let mut disk = bases::disk();
    disk[(3 << 19)..(7 << 20)].fill(0);
    disk[(3 << 20)..(3 << 20) + 70_000].fill(0x5a);
    disk
}

fn bases(scratch: &Scratch) -> Vec<Base> {
    let raw = scratch.write("raw", &disk());
    let mut bases: Vec<Base> = MADE
        .iter()
        .map(|made| {
            let path = scratch.path(format!("{}-{}", made.format, made.name));
            let image = made.make(scratch, &raw, &path);
            Base { made, image, known: findings(&look(&path)) }
        })
        .collect();
    // One with bitmaps, of which the program that makes the others knows nothing.
    let made = &MADE[0];
    let path = scratch.path(format!("{}-{}", made.format, made.name));
    for name in ["one", "two"] {
        let done = qemu_img(&["bitmap", "-f", "qcow2", "--add"], &[&path, Path::new(name)]);
        assert!(done.status.success(), "{}", complaint(&done));
    }
    let mut image = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut image).unwrap();
    bases.push(Base { made, image, known: findings(&look(&path)) });
    bases
}

fn look(path: &Path) -> Report {
    inspect(path.as_os_str(), &Options::default(), &Deaf)
}

fn findings(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| finding.code.as_str().to_owned()).collect()
}

fn write(edited: &Edited<'_>, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(edited.image.len()).unwrap();
    let (mut feed, mut at) = (MemoryFeed::new(edited.image.clone()), 0);
    while let Some(segment) = feed.run() {
        if let Segment::Data(chunk) = &segment {
            file.write_all_at(chunk, at).unwrap();
        }
        at += segment.len();
    }
}

fn ask_qemu(format: &str, path: &Path, out: Option<&Path>) -> Said {
    let checked = qemu_img(&["check", "-f", format], &[path]);
    match checked.status.code() {
        Some(0) => {}
        Some(2) => return Said::Corrupt(complaint(&checked)),
        Some(3) => return Said::Leaks,
        _ => return Said::Refused(complaint(&checked)),
    }
    // `check` opens images that it may mend, where others do not.
    let info = qemu_img(&["info", "-f", format], &[path]);
    if !info.status.success() {
        return Said::Refused(complaint(&info));
    }
    if let Some(out) = out {
        let converted = qemu_img(&["convert", "-f", format, "-O", "raw"], &[path, out]);
        drop(std::fs::remove_file(out));
        if !converted.status.success() {
            return Said::Refused(complaint(&converted));
        }
    }
    Said::Nothing
}

/// Whether `qemu-img` takes the image for the same.
fn ask_what_it_is(format: &str, path: &Path) -> Said {
    let info = qemu_img(&["info", "--output", "json"], &[path]);
    let found: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap_or_default();
    match found["format"] == format {
        true => Said::Nothing,
        false => Said::Refused(format!("it is {}, not {format}", found["format"])),
    }
}

/// The input of a case, and which image it is about.
fn case(bases: &[Base], format: usize, number: u64) -> (usize, Vec<u8>) {
    let mut random = Random(number ^ (format as u64) << 48);
    let of_format: Vec<usize> =
        (0..bases.len()).filter(|&base| bases[base].made.format == FORMATS[format]).collect();
    let base = *random.pick(&of_format);
    let bytes = (0..INPUT / 8).flat_map(|_| random.next().to_le_bytes());
    (base, bytes.collect())
}

fn judge(base: &Base, number: u64, input: &[u8], paths: [&Path; 2], tally: &mut Tally) {
    let [path, out] = paths;
    let edited = structures::edited(&base.image, input).unwrap();
    write(&edited, path);
    let report = look(path);
    let refused = report.verdict == Verdict::Reject;
    tally.cases += 1;
    tally.refused += usize::from(refused);
    let name = format!(
        "TIDEGATE_STRUCTURE={}:{number}, {}: {}",
        base.made.format,
        base.made.name,
        edited.said.join("; ")
    );
    if edited.harmless && refused {
        tally.missed.push(format!("refused without a reason: {name}: {:?}", findings(&report)));
    }
    if refused && !number.is_multiple_of(SAMPLED) {
        return;
    }
    tally.shown += 1;
    let format = report.disk_format.map_or("", DiskFormat::as_str);
    let said = match format == base.made.format {
        true => ask_qemu(format, path, number.is_multiple_of(CONVERTED).then_some(out)),
        // The mark is gone, and with it what the structures were of.
        false => ask_what_it_is(format, path),
    };
    let new = |least: Severity| {
        let mut found = report.findings.iter();
        found.any(|f| {
            f.severity >= least && !base.known.iter().any(|known| known == f.code.as_str())
        })
    };
    match said {
        Said::Nothing => tally.by_us_alone += usize::from(refused),
        Said::Leaks if new(Severity::Note) => tally.by_both += 1,
        Said::Corrupt(_) if new(Severity::Warn) => tally.by_both += 1,
        Said::Refused(_) if refused => tally.by_both += 1,
        Said::Leaks => tally.missed.push(format!("leaks: {name}")),
        Said::Corrupt(complaint) | Said::Refused(complaint) => {
            let found = findings(&report);
            tally.missed.push(format!("{name}: {found:?}, qemu-img: {complaint}"));
        }
    }
}

fn run(bases: &[Base], scratch: &Scratch, format: usize, count: u64) -> Tally {
    let next = AtomicUsize::new(0);
    let worker = |thread: usize| {
        let next = &next;
        move || {
            let mut tally = Tally::default();
            let path = scratch.path(format!("case-{thread}"));
            let out = scratch.path(format!("out-{thread}"));
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                if number >= count {
                    return tally;
                }
                let (base, input) = case(bases, format, number);
                judge(&bases[base], number, &input, [&path, &out], &mut tally);
            }
        }
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(worker(thread))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    tallies.into_iter().fold(Tally::default(), |mut sum, mut tally| {
        sum.cases += tally.cases;
        sum.refused += tally.refused;
        sum.shown += tally.shown;
        sum.by_both += tally.by_both;
        sum.by_us_alone += tally.by_us_alone;
        sum.missed.append(&mut tally.missed);
        sum
    })
}

/// Makes one case again, leaves its image and says what both programs say.
fn again(bases: &[Base], name: &str) {
    let (format, number) = name.split_once(':').unwrap();
    let format = FORMATS.iter().position(|known| *known == format).unwrap();
    let number = number.parse().unwrap();
    let (base, input) = case(bases, format, number);
    let base = &bases[base];
    let edited = structures::edited(&base.image, &input).unwrap();
    let path = std::env::temp_dir().join(format!("structure-{}-{number}", base.made.format));
    write(&edited, &path);
    println!("{}: {}: {}", path.display(), base.made.name, edited.said.join("; "));
    let report = look(&path);
    for finding in &report.findings {
        println!("{:?} {}: {}", finding.severity, finding.code.as_str(), finding.message);
    }
    for arguments in [&["check"][..], &["info"]] {
        let said = qemu_img(&[arguments[0], "-f", base.made.format], &[&path]);
        println!("qemu-img {}: {} {}", arguments[0], said.status, complaint(&said));
    }
}

#[test]
fn what_qemu_refuses_of_changed_structures_is_refused() {
    let ci = std::env::var("CI").as_deref() == Ok("true");
    if Command::new("qemu-img").arg("--version").output().is_err() {
        assert!(!ci, "qemu-img is not installed");
        eprintln!("skipped: qemu-img is not installed");
        return;
    }
    let scratch = Scratch::new();
    let bases = bases(&scratch);
    if let Ok(name) = std::env::var("TIDEGATE_STRUCTURE") {
        return again(&bases, &name);
    }
    let count = number_of("TIDEGATE_STRUCTURES").unwrap_or(if ci { 2000 } else { 100 });
    let mut missed = Vec::new();
    let only = std::env::var("TIDEGATE_STRUCTURES_OF").ok();
    for (index, format) in FORMATS.iter().enumerate() {
        if only.as_ref().is_some_and(|only| only != format) {
            continue;
        }
        let mut tally = run(&bases, &scratch, index, count);
        println!(
            "{format}: {} cases, {} refused; {} shown to qemu-img, {} reported by both, {} by tidegate alone, {} by qemu-img alone",
            tally.cases,
            tally.refused,
            tally.shown,
            tally.by_both,
            tally.by_us_alone,
            tally.missed.len()
        );
        // A test that changes nothing would pass too.
        assert!(tally.refused > tally.cases / 4, "{format}: only {} are refused", tally.refused);
        missed.append(&mut tally.missed);
    }
    missed.iter().for_each(|case| println!("missed: {case}"));
    assert!(missed.is_empty(), "{} cases are not reported as they should be", missed.len());
}
