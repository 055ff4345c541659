//! Single fields of sound images are changed, and what `tidegate check` then says is held against what
//! `qemu-img` says: what `qemu-img check` reports or `qemu-img convert` cannot read has to be reported, and
//! so has what leads to another disk, unless nothing redundant in the format can tell.
//!
//! In the environment:
//!
//!   TIDEGATE_MUTATIONS=N          changes per format (default 60; 300 with `CI=true`)
//!   TIDEGATE_SEED=N               where they begin; else every day has a seed of its own
//!   TIDEGATE_MUTATION_TABLE=FILE  where the table of both tools' detection rates goes, in Markdown

#![allow(clippy::print_stdout, clippy::print_stderr)] // the table is for people
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect

mod bases;
#[path = "../common/mod.rs"]
mod common;
mod fields;
mod structures;
mod table;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bases::{DISK, MADE, Made};
use common::Scratch;
use fields::Field;

const FORMATS: &[&str] = &["qcow2", "vhdx", "vdi", "vmdk"];

/// `qemu-img` runs take most of the time, one at a time on each of these.
const THREADS: usize = 2;

/// Seconds that one run of `qemu-img` may take.
const PATIENCE: &str = "20";

/// What may lead to another disk without a word from either program, because nothing redundant in the
/// format contradicts it: format, field, which old and new values, and why.
type Silent = (&'static str, &'static str, fn(u64, u64) -> bool, &'static str);

const SILENT: &[Silent] = &[
    (
        "qcow2",
        "entry",
        |old, new| old ^ new == 1,
        "the zero flag of an L2 entry: a cluster that reads as zeros may keep its place and its refcount",
    ),
    (
        "qcow2",
        "subcluster bitmap",
        |_, new| new as u32 & (new >> 32) as u32 == 0,
        "which parts of a cluster are stored or zeros stands nowhere else; the cluster and its refcount \
         stay as they are",
    ),
    (
        "vhdx",
        "entry",
        |old, new| old & 7 == 6 && matches!(new & 0xf_ffff, 0..=3 | 5),
        "a block of a BAT may become absent, undefined, zeros or unmapped; the format counts its blocks \
         nowhere and lets space lie unused. Of fixed images only zeros, and blocks that keep their place",
    ),
];

/// An image without a fault.
struct Base {
    made: &'static Made,
    image: Vec<u8>,
    /// The disk in it.
    disk: Vec<u8>,
    fields: Vec<Field>,
    /// What is said of it as it is.
    known: BTreeSet<String>,
}

/// One field with another value.
struct Mutation<'b> {
    base: &'b Base,
    field: &'b Field,
    place: u64,
    old: u64,
    new: u64,
    repaired: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Clean,
    Errors,
    Leaks,
    /// It could not be opened, or the check did not come to its end.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Convert {
    Same,
    Other,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Note,
    Verdict,
}

/// What all say of a mutation.
struct Outcome {
    format: &'static str,
    image: &'static str,
    class: &'static str,
    field: &'static str,
    /// For people: which image, where, what.
    what: String,
    check: Check,
    convert: Convert,
    said: Said,
    /// First line of what `qemu-img` complains of.
    complaint: String,
    /// Why another disk without a word is in order, if it is.
    silent: Option<&'static str>,
}

impl Outcome {
    fn qemu_reports(&self) -> bool {
        self.check != Check::Clean || self.convert == Convert::Failed
    }

    /// `qemu-img` reads another disk and says nothing.
    fn is_other(&self) -> bool {
        self.check == Check::Clean && self.convert == Convert::Other
    }

    fn missed(&self) -> bool {
        let due = self.qemu_reports() || self.is_other() && self.silent.is_none();
        due && self.said == Said::Nothing
    }
}

/// Numbers that look random, SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[(self.next() % of.len() as u64) as usize]
    }
}

fn qemu_img(arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "qemu-img"]).args(arguments).args(paths);
    command.output().unwrap()
}

fn complaint(output: &Output) -> String {
    let all = [&output.stderr[..], &output.stdout[..]].concat();
    String::from_utf8_lossy(&all).lines().next().unwrap_or_default().to_owned()
}

/// Code and severity of each finding.
fn findings(path: &Path) -> Vec<(String, String)> {
    let (_, report) = common::report(&[path.as_os_str()]);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|f| (text(&f["code"]), text(&f["severity"]))).collect()
}

impl Base {
    fn make(made: &'static Made, scratch: &Scratch, raw: &Path) -> Base {
        let path = scratch.path(format!("{}-{}", made.format, made.name));
        let image = made.make(scratch, raw, &path);
        let disk = scratch.path("disk");
        let done = qemu_img(&["convert", "-f", made.format, "-O", "raw"], &[&path, &disk]);
        assert!(done.status.success(), "{}", complaint(&done));
        let known = findings(&path);
        for (code, severity) in &known {
            assert_ne!(severity, "reject", "{} {}: {code}", made.format, made.name);
            let expected = made.expected.contains(&code.as_str());
            assert!(expected, "{} {}: {code}", made.format, made.name);
        }
        let disk = std::fs::read(disk).unwrap();
        assert_eq!(disk.len() as u64, DISK);
        let fields = fields::of(made, &image);
        Base { made, disk, fields, image, known: known.into_iter().map(|known| known.0).collect() }
    }

    /// Another value for one of the fields.
    fn mutation(&self, random: &mut Random) -> Mutation<'_> {
        let mut classes: Vec<_> = self.fields.iter().map(|field| field.class).collect();
        classes.dedup();
        loop {
            let class = *random.pick(&classes);
            let of_class: Vec<_> = self.fields.iter().filter(|f| f.class == class).collect();
            let field = *random.pick(&of_class);
            let place = *random.pick(&field.places);
            let old = field.read(&self.image, place);
            let bits = 8 * field.width as u64;
            let max = u64::MAX >> (64 - bits);
            let new = max
                & match random.next() % 11 {
                    0 => 0,
                    1 => 1,
                    2 => max,
                    3 => old.wrapping_add(1),
                    4 => old.wrapping_sub(1),
                    5 => old.wrapping_add(field.unit),
                    6 => old.wrapping_sub(field.unit),
                    7 => field.read(&self.image, *random.pick(&field.places)),
                    8 => *random.pick(&field.tables),
                    9 => random.next() >> (random.next() % bits),
                    _ => old ^ 1 << (random.next() % bits),
                };
            let repaired = field.crc.is_some() && random.next() & 1 == 0;
            if new != old {
                return Mutation { base: self, field, place, old, new, repaired };
            }
        }
    }
}

impl Mutation<'_> {
    fn what(&self) -> String {
        let Mutation { base, field, place, old, new, repaired } = self;
        let crc = if *repaired { ", CRC made right" } else { "" };
        format!(
            "{} {}: {} {} at byte {place:#x}, {} bytes: {old:#x} -> {new:#x}{crc}",
            base.made.format, base.made.name, field.class, field.name, field.width
        )
    }

    /// The bytes that change, with their offsets.
    fn patches(&self) -> Vec<(u64, Vec<u8>)> {
        /// A CRC comes after the signature.
        const CRC_AT: u64 = 4;
        let bytes = self.field.encode(self.new);
        let mut patches = vec![(self.place, bytes.clone())];
        if let Some((at, len)) = self.field.crc.filter(|_| self.repaired) {
            let mut structure = self.base.image[at as usize..(at + len) as usize].to_vec();
            let inside = (self.place - at) as usize;
            structure[inside..inside + bytes.len()].copy_from_slice(&bytes);
            structure[CRC_AT as usize..CRC_AT as usize + 4].fill(0);
            let crc = crc32c::crc32c(&structure).to_le_bytes();
            patches.push((at + CRC_AT, crc.to_vec()));
        }
        patches
    }

    /// Asks everyone about the image with the change, in a copy of the image at `path`.
    fn run(&self, path: &Path, out: &Path) -> Outcome {
        let file = File::options().write(true).open(path).unwrap();
        let patches = self.patches();
        for (at, bytes) in &patches {
            file.write_all_at(bytes, *at).unwrap();
        }
        let format = self.base.made.format;
        let checked = qemu_img(&["check", "-f", format], &[path]);
        let check = match checked.status.code() {
            Some(0) => Check::Clean,
            Some(2) => Check::Errors,
            Some(3) => Check::Leaks,
            _ => Check::Failed,
        };
        drop(std::fs::remove_file(out));
        let converted = qemu_img(&["convert", "-f", format, "-O", "raw"], &[path, out]);
        let convert = match converted.status.success() {
            false => Convert::Failed,
            true if self.same_disk(out) => Convert::Same,
            true => Convert::Other,
        };
        let complaint = match (check, convert) {
            (Check::Clean, Convert::Failed) => complaint(&converted),
            _ => complaint(&checked),
        };
        let mut said = Said::Nothing;
        for (code, severity) in findings(path) {
            if !self.base.known.contains(&code) {
                match severity.as_str() {
                    "note" if said == Said::Nothing => said = Said::Note,
                    "note" => {}
                    _ => said = Said::Verdict,
                }
            }
        }
        for (at, bytes) in &patches {
            let at = *at as usize;
            file.write_all_at(&self.base.image[at..at + bytes.len()], at as u64).unwrap();
        }
        Outcome {
            format,
            image: self.base.made.name,
            class: self.field.class,
            field: self.field.name,
            what: self.what(),
            check,
            convert,
            said,
            complaint,
            silent: SILENT
                .iter()
                .find(|(silent, field, changes, _)| {
                    *silent == format && *field == self.field.name && changes(self.old, self.new)
                })
                .map(|(_, _, _, why)| *why),
        }
    }

    fn same_disk(&self, out: &Path) -> bool {
        let len = std::fs::metadata(out).unwrap().len();
        len == self.base.disk.len() as u64 && std::fs::read(out).unwrap() == self.base.disk
    }
}

/// Has all mutations numbered from 0 made and judged, `count` of each format.
fn run(bases: &[Base], scratch: &Scratch, seed: u64, count: usize) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<(usize, Outcome)> = std::thread::scope(|scope| {
        let worker = |thread: usize| {
            let next = &next;
            move || {
                let copy = |base: &Base| -> PathBuf {
                    let name = format!("{thread}-{}-{}", base.made.format, base.made.name);
                    scratch.write(name, &base.image)
                };
                let paths: Vec<PathBuf> = bases.iter().map(copy).collect();
                let out = scratch.path(format!("{thread}-out"));
                let mut outcomes = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(format) = FORMATS.get(number / count) else { return outcomes };
                    let mut random = Random(seed.wrapping_shl(32) ^ number as u64);
                    random.0 = random.next() ^ (number % count) as u64;
                    let of_format: Vec<usize> =
                        (0..bases.len()).filter(|&b| bases[b].made.format == *format).collect();
                    let base = *random.pick(&of_format);
                    let mutation = bases[base].mutation(&mut random);
                    outcomes.push((number, mutation.run(&paths[base], &out)));
                }
            }
        };
        let workers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(worker(thread))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn number_of(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

#[test]
fn what_qemu_img_reports_is_reported() {
    let ci = std::env::var("CI").as_deref() == Ok("true");
    if Command::new("qemu-img").arg("--version").output().is_err() {
        assert!(!ci, "qemu-img is not installed");
        eprintln!("skipped: qemu-img is not installed");
        return;
    }
    let count = number_of("TIDEGATE_MUTATIONS").unwrap_or(if ci { 300 } else { 60 }).max(1);
    let day = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86400;
    let seed = number_of("TIDEGATE_SEED").unwrap_or_else(day);
    println!("TIDEGATE_SEED={seed} TIDEGATE_MUTATIONS={count}");

    let scratch = Scratch::new();
    let raw = scratch.write("raw", &bases::disk());
    let bases: Vec<Base> = MADE.iter().map(|made| Base::make(made, &scratch, &raw)).collect();
    let outcomes = run(&bases, &scratch, seed, count as usize);

    let table = table::markdown(&outcomes, seed, count);
    println!("{table}");
    if let Some(path) = std::env::var_os("TIDEGATE_MUTATION_TABLE") {
        std::fs::write(path, table).unwrap();
    }
    let missed: Vec<_> = outcomes.iter().filter(|outcome| outcome.missed()).collect();
    for outcome in &missed {
        match outcome.is_other() {
            true => println!("missed: {}; another disk", outcome.what),
            false => println!("missed: {}; qemu-img: {}", outcome.what, outcome.complaint),
        }
    }
    assert!(
        missed.is_empty(),
        "{} changes that qemu-img reports or that lead to another disk are not reported, with TIDEGATE_SEED={seed} TIDEGATE_MUTATIONS={count}",
        missed.len()
    );
}
