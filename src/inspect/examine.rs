//! From the bytes of an image to its disk: what it is, whether it holds together, how it is
//! partitioned.

use super::guest::{Access, decoded_again, look};
use super::report::{Mode, Report};
use super::{Event, Listener, Options, disk_digest};
use crate::bytes::hex;
use crate::codec::{Packing, packing_name, sniff};
use crate::facts::{Code, Compression, DiskFormat, Layer, Left, Notebook};
use crate::formats::{
    self, CachedView, Got, Halt, ImageView, Layout, MappedDisk, Missing, RawDisk, Trailer, Walked,
};
use crate::guest::{self, inside};
use crate::rules::{Identity, identify};

const SECTOR: usize = 512;

/// Looks at an image through any view. `trailer` is what its last sector is, where that is known
/// already. Whoever reads the whole disk tells the listener how far it is.
pub(super) fn image(
    view: &mut dyn ImageView,
    trailer: Option<(Trailer, u64)>,
    notebook: &Notebook<'_>,
    with: (&Options, &dyn Listener),
    report: &mut Report,
) -> Result<(), Halt> {
    let Some(identity) = recognise(view, trailer, packed(report), notebook)? else {
        report.disk_format = Some(DiskFormat::Unknown);
        return Ok(());
    };
    report.disk_format = Some(identity.format());
    report.done("format");
    let Identity::Taken(format) = identity else { return Ok(()) };
    if format == DiskFormat::Raw {
        view.release();
        return raw(view, notebook, with.0, report);
    }
    container(format, view, notebook, with, report)
}

/// What the image is; `None` if it is `packed` and packed once more.
pub(super) fn recognise(
    view: &mut dyn ImageView,
    trailer: Option<(Trailer, u64)>,
    packed: bool,
    notebook: &Notebook<'_>,
) -> Result<Option<Identity>, Halt> {
    let mut head = vec![0; formats::LOOKED_AT];
    let first = match view.read_at(0, &mut head)? {
        Got::Bytes(count) => &head[..count],
        Got::Missing(_) => &[],
    };
    if let Some(code) = packed_again(first).filter(|_| packed) {
        let what = packing_name(first).unwrap_or("packed");
        notebook.add(
            code,
            Layer::Image,
            0,
            match code {
                Code::CompressionNested => {
                    format!("Decompressed, the file is packed once more: {what}.")
                }
                _ => format!("Decompressed, the file is {what}."),
            },
        );
        return Ok(None);
    }
    let partitioned = guest::has_partition_table(first);
    Ok(Some(identify(&formats::candidates(first), partitioned, trailer, notebook)))
}

/// Whether the image is inside a packing.
fn packed(report: &Report) -> bool {
    report.compression != Some(Compression::None)
}

/// What a packed thing inside the packing is called. What can be taken off by repacking has one name, the
/// others keep theirs.
fn packed_again(first: &[u8]) -> Option<Code> {
    match sniff(first) {
        Packing::Plain => None,
        Packing::Gzip
        | Packing::Bzip2
        | Packing::Foreign(Compression::Xz | Compression::Zstd, _) => Some(Code::CompressionNested),
        Packing::Foreign(_, code) => Some(code),
    }
}

fn raw(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    options: &Options,
    report: &mut Report,
) -> Result<(), Halt> {
    let mut table = guest::examine(&mut RawDisk::new(view), Code::RawNoPartitionTable, notebook)?;
    if let Some(missing) = table.missing.take() {
        notebook.put(missing);
    }
    partition_table(table, Walked::Whole, notebook, report);
    if let Some(size) = view.size()? {
        report.virtual_size = Some(size);
        tiny(size, notebook);
        // Of what nobody knows, nobody knows how to mend it.
        if size % SECTOR as u64 != 0 && !notebook.has(Code::ContentUnrecognised) {
            notebook.image(
                Code::RawSizeUnaligned,
                size,
                format!("The image has {size} bytes, which is not a multiple of 512."),
            );
        }
    }
    let access = Access::of(view);
    let _held = options.take(inside::MEMORY);
    look(&mut RawDisk::new(view), access, notebook, options, report)?;
    decoded_again(view, report);
    Ok(())
}

fn container(
    format: DiskFormat,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    (options, listener): (&Options, &dyn Listener),
    report: &mut Report,
) -> Result<(), Halt> {
    let Some(mut examined) = formats::examine(format, view, notebook)? else {
        report.partial("headers", Left::HeadersBroken);
        return Ok(());
    };
    report.done("headers");
    report.virtual_size = Some(examined.virtual_size);
    report.traits = examined.traits;
    tiny(examined.virtual_size, notebook);
    let _held = options.take(of_tables(&*examined.layout));
    if clusters(&*examined.layout) >= MANY_CLUSTERS {
        view.save_memory();
    }
    let threads = unpacking(options);
    examined.layout.unpack_on(threads);
    let walked = match report.mode {
        // The tables of a stream may lie anywhere in it.
        Mode::Quick if packed(report) => Walked::Partial(Left::QuickEnd),
        _ => {
            let wanted = guest::wanted(examined.virtual_size);
            examined.layout.walk(view, notebook, &wanted, &mut examined.reach)?
        }
    };
    match walked {
        Walked::Whole => report.done("allocation-tables"),
        Walked::Partial(left) => report.partial("allocation-tables", left),
    }
    if notebook.has(Code::Qcow2Snapshots) {
        report.skipped("snapshot-data", Left::Snapshots);
    }
    let mut missing = None;
    if notebook.is_elsewhere() {
        report.skipped("partition-table", Left::Elsewhere);
    } else if examined.virtual_size > 0 {
        let mut disk = MappedDisk::new(view, &mut *examined.layout, notebook);
        let mut table = guest::examine(&mut disk, Code::DiskNoPartitionTable, notebook)?;
        missing = table.missing.take();
        partition_table(table, walked, notebook, report);
    }
    if report.mode == Mode::Full {
        examined.reach.judge_tail(view, notebook)?;
    }
    if let Some(size) = view.size()? {
        examined.reach.judge(size, notebook);
    }
    if options.disk_digest && !options.quick {
        digest_disk((view, threads), walked, &mut *examined.layout, notebook, listener, report)?;
    }
    unpack((view, threads), walked, &mut *examined.layout, notebook, listener, report)?;
    // Digest and unpacking tell of the image whether its disk can boot or not.
    missing.into_iter().for_each(|missing| notebook.put(missing));
    let access = Access::of(view);
    let mut cached = CachedView::new(view);
    let mut disk = MappedDisk::new(&mut cached, &mut *examined.layout, notebook);
    look(&mut disk, access, notebook, options, report)?;
    decoded_again(view, report);
    Ok(())
}

/// What the tables of a container take while they are walked, in bytes, at most.
pub const LARGEST_TABLES: usize = 28 << 20;

/// Beside what each cluster or grain takes: a second scan, a table in one piece, clusters that are unpacked and that wait
/// for it.
const BESIDE_TABLES: usize = 10 << 20;

/// What each cluster or grain takes at most: its counts, and its place in a queue.
const OF_EACH: u64 = 64;

/// From so many clusters on, what is counted of each takes more memory than anything else.
const MANY_CLUSTERS: u64 = 4 << 20;

/// Clusters, blocks or grains of the disk.
fn clusters(layout: &dyn Layout) -> u64 {
    layout.virtual_size() / layout.unit().max(1)
}

/// Bytes that the walk over these tables may take, and whatever is read of the disk after it.
fn of_tables(layout: &dyn Layout) -> usize {
    let each = clusters(layout).saturating_mul(OF_EACH);
    usize::try_from(each).unwrap_or(usize::MAX).saturating_add(BESIDE_TABLES).min(LARGEST_TABLES)
}

/// Threads that unpack clusters and grains. A check beside others leaves the cores to them.
fn unpacking(options: &Options) -> usize {
    if options.share.is_some() { 1 } else { options.threads }
}

/// Unpacks whatever of the disk is packed, if what was found so far allows it and nobody did so.
fn unpack(
    (view, threads): (&mut dyn ImageView, usize),
    walked: Walked,
    layout: &mut dyn Layout,
    notebook: &Notebook<'_>,
    listener: &dyn Listener,
    report: &mut Report,
) -> Result<(), Halt> {
    const ID: &str = "packed-data";
    let digested = report.checks.iter().any(|check| check.id == "disk-digest" && check.is_done());
    let left = match layout.has_packed() {
        Some(false) => return Ok(()),
        _ if report.mode == Mode::Quick => Left::QuickPacked,
        _ if notebook.is_elsewhere() => Left::Elsewhere,
        _ if layout.virtual_size() >= notebook.limit() => Left::DiskTooLarge,
        _ if notebook.doomed() || is_cut(notebook) => Left::Refused,
        _ if let Walked::Partial(left) = walked => left,
        _ if let Some(unpacked) = layout.unpacked() => {
            match unpacked {
                Ok(()) => report.done(ID),
                Err(left) => report.partial(ID, left),
            }
            return Ok(());
        }
        _ if !view.is_seekable() => Left::PackedBehind,
        // It has read all of the disk.
        Some(true) if digested => {
            report.done(ID);
            return Ok(());
        }
        _ => {
            let size = layout.virtual_size();
            let mut told = 0;
            let seen = |bytes| {
                if bytes - told >= PROGRESS || bytes == size {
                    told = bytes;
                    listener.event(Event::Disk { bytes, size });
                }
            };
            let mut cached = CachedView::new(view);
            let missing = MappedDisk::new(&mut cached, layout, notebook)
                .with_threads(threads)
                .unpack_all(seen)?;
            match missing {
                _ if notebook.doomed() => report.partial(ID, Left::Stopped),
                Some(missing) => report.partial(ID, unreadable(missing, walked)),
                None => report.done(ID),
            }
            return Ok(());
        }
    };
    report.skipped(ID, left);
    Ok(())
}

/// Why a part of a disk is missing whose tables were walked so far.
fn unreadable(missing: Missing, walked: Walked) -> Left {
    match (missing, walked) {
        // What was not walked leads nowhere.
        (Missing::Broken, Walked::Partial(left)) => left,
        (missing, _) => missing.into(),
    }
}

/// Bytes of the disk after which the listener is told.
const PROGRESS: u64 = 4 << 20;

/// Digests the disk, if what was found so far allows it.
fn digest_disk(
    (view, threads): (&mut dyn ImageView, usize),
    walked: Walked,
    layout: &mut dyn Layout,
    notebook: &Notebook<'_>,
    listener: &dyn Listener,
    report: &mut Report,
) -> Result<(), Halt> {
    const ID: &str = "disk-digest";
    let left = if notebook.is_elsewhere() {
        Left::Elsewhere
    } else if layout.virtual_size() >= notebook.limit() {
        Left::DiskTooLarge
    } else if notebook.doomed() || is_cut(notebook) {
        Left::Refused
    } else {
        // Who goes ahead reads back and forth, if only a little.
        let threads = if view.is_seekable() { threads } else { 1 };
        let mut cached = CachedView::new(view);
        let mut disk = MappedDisk::new(&mut cached, layout, notebook).with_threads(threads);
        match disk_digest::sha256(&mut disk, listener)? {
            Ok(digest) => {
                report.digests.disk_sha256 = Some(hex(&digest));
                report.done(ID);
            }
            Err(missing) => report.partial(ID, unreadable(missing, walked)),
        }
        return Ok(());
    };
    report.skipped(ID, left);
    Ok(())
}

/// Whether parts of the disk are not in the image that has to have them.
fn is_cut(notebook: &Notebook<'_>) -> bool {
    notebook.has(Code::ImageTruncated) || notebook.has(Code::ImageOffsetImpossible)
}

/// No boot loader with a partition after it fits into less.
const SMALLEST_DISK: u64 = 64 << 10;

fn tiny(size: u64, notebook: &Notebook<'_>) {
    if (1..SMALLEST_DISK).contains(&size) {
        notebook.disk(Code::DiskTiny, 0, format!("The disk has {size} bytes in all."));
    }
}

/// Reports the partition table and how much of it was seen. Of a disk whose first sectors nobody read there is none
/// to report, which is not the same as a disk without one.
fn partition_table(
    table: guest::PartitionTable,
    walked: Walked,
    notebook: &Notebook<'_>,
    report: &mut Report,
) {
    const ID: &str = "partition-table";
    let lefts = table.unread.iter().map(|unread| unreadable(unread.why, walked));
    let Some(left) = lefts.reduce(|left, other| left.or_graver(Some(other))) else {
        report.done(ID);
        report.partition_table = Some(table);
        return;
    };
    let behind = table.unread.iter().any(|unread| unread.why == Missing::Behind);
    if behind && !notebook.has(Code::StructureNotExamined) {
        notebook.disk(
            Code::StructureNotExamined,
            0,
            "A part of the partition table lies behind what was read, and the source cannot be read again.",
        );
    }
    if table.unread.iter().any(|unread| unread.what == guest::Part::Table) {
        return report.skipped(ID, left);
    }
    report.partial(ID, left);
    report.partition_table = Some(table);
}

/// What the last sector of an image of this size is.
pub(super) fn trailer(view: &mut dyn ImageView, size: u64) -> Result<Option<(Trailer, u64)>, Halt> {
    let Some(at) = size.checked_sub(SECTOR as u64) else { return Ok(None) };
    let mut last = [0; SECTOR];
    match view.read_at(at, &mut last)? {
        Got::Bytes(SECTOR) => Ok(formats::trailer(&last).map(|trailer| (trailer, at))),
        _ => Ok(None),
    }
}

/// A trailer that was met at the end of a stream, after the image was taken for something else.
pub(super) fn late_trailer(found: (Trailer, u64), notebook: &Notebook<'_>, report: &mut Report) {
    let (trailer, at) = found;
    let known = report.disk_format;
    let container = known.filter(|format| {
        matches!(format, DiskFormat::Qcow2 | DiskFormat::Vhdx | DiskFormat::Vdi | DiskFormat::Vmdk)
    });
    let mut candidates = formats::Candidates::default();
    candidates.containers.extend(container.and_then(formats::taken));
    if known == Some(trailer.at(at).format) {
        return;
    }
    report.disk_format = Some(identify(&candidates, false, Some(found), notebook).format());
}
