//! The disk in the files that a VMDK descriptor names, and the disk of a VMDK stream that is out of order.
//!
//! This is the one place where files are opened because an image names them. `tidegate repack` of a local file comes
//! here ([`Depth::Beside`](super::Depth::Beside)); no check and no push does. Which names may be opened is up to
//! `formats::parts`, and what may be behind them to `source::Beside`. All parts are opened, and all their tables walked,
//! before a byte of the disk comes out.

use std::collections::BTreeSet;

use super::contained::{Held, Piece, Whose, limited, notebook};
use super::layers::Failure;
use crate::bytes::Hostile;
use crate::facts::{Anomaly, Code, DiskFormat, Layer, Left, Notebook};
use crate::formats::{
    self, Content, Examined, FileView, Flat, Halt, ImageView, Part, Walked, Wanted,
};
use crate::inspect::Options;
use crate::rules::Severity;
use crate::source::{Beside, FileIdentity, LocalFile};

/// A disk that can be read, and what is odd about the files that hold it without being a reason to refuse them.
pub(super) struct Found<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) noticed: Vec<Anomaly>,
}

/// The disk in the parts that a descriptor names; `None` if the descriptor has no folder.
pub(super) fn parts(
    descriptor: &LocalFile,
    options: &Options,
) -> Result<Option<Found<'static>>, Failure> {
    let Some(beside) = Beside::of(descriptor).map_err(Failure::Source)? else { return Ok(None) };
    let named = read(descriptor, options)?;
    let mut opened = BTreeSet::from([place(descriptor.identity())]);
    let mut pieces = Vec::new();
    // It keeps a bounded number of what many parts have.
    let noticed = notebook();
    for (number, part) in (1..).zip(&named) {
        let last = number == named.len();
        pieces.push(piece((part, last), &beside, &mut opened, &noticed, options)?);
    }
    Ok(Some(Found { pieces, noticed: noticed.close() }))
}

/// What tells files apart, whatever their names are.
fn place(identity: &FileIdentity) -> (u64, u64) {
    (identity.device, identity.inode)
}

/// What a descriptor names, if all of it may be named.
fn read(descriptor: &LocalFile, options: &Options) -> Result<Vec<Part>, Failure> {
    let whose = Whose::Wrapping(0);
    let (of_file, found) = (notebook(), limited(options.limit));
    let mut view = FileView::new(descriptor, &of_file);
    match formats::parts(&mut view, &found) {
        Ok(Some(parts)) if !found.has(Code::DiskTooLarge) => Ok(parts.parts),
        Ok(_) => Err(whose.failure(None, found)),
        Err(halt) => Err(whose.failure(Some(halt), found)),
    }
}

/// Opens a part of the disk, which may be the last.
fn piece(
    (part, last): (&Part, bool),
    beside: &Beside,
    opened: &mut BTreeSet<(u64, u64)>,
    noticed: &Notebook<'_>,
    options: &Options,
) -> Result<Piece<'static>, Failure> {
    let Some(name) = part.content.name() else {
        let layout = Box::new(Flat { len: part.bytes(), at: None });
        return Ok(Piece { file: None, layout, whose: Whose::Wrapping(0) });
    };
    let whose = Whose::Part(Hostile::from(name));
    let failed = |code, said: String| {
        let found = Anomaly { code, layer: Layer::File, offset: None, spot: None, said };
        whose.failed(found)
    };
    let file = beside.open(name).map_err(Failure::Source)?;
    if !opened.insert(place(file.identity())) {
        let said = "The part is the descriptor itself, or another part by another name.";
        return Err(failed(Code::VmdkExtentsInvalid, said.into()));
    }
    let layout = match &part.content {
        Content::Flat { at, .. } => {
            let (size, end) = (file.size(), at.saturating_add(part.bytes()));
            if size < end {
                let said = format!(
                    "The part ends at byte {size}, but the descriptor says that it reaches to byte {end}: {} bytes are missing.",
                    end - size
                );
                return Err(failed(Code::ImageTruncated, said));
            }
            if size > end {
                let (code, layer) = (Code::VmdkBytesBehind, Layer::File);
                let said = format!("{} bytes follow what the descriptor names.", size - end);
                noticed.put(whose.told(Anomaly {
                    code,
                    layer,
                    offset: Some(end),
                    spot: None,
                    said,
                }));
            }
            Box::new(Flat { len: part.bytes(), at: Some(*at) })
        }
        Content::Zeros | Content::Sparse { .. } => {
            let found = walked(&file, &whose, options, |view, notebook| {
                formats::examine_part(view, notebook, part.sectors, last)
            })?;
            found.1.into_iter().for_each(|anomaly| noticed.put(anomaly));
            found.0.layout
        }
    };
    Ok(Piece { file: Some(Held::Own(file)), layout, whose })
}

/// Walks over all tables of a file: what is in it, and what is odd about it. Anything that the policy refuses is a failure,
/// and so is what was not looked at.
fn walked(
    file: &LocalFile,
    whose: &Whose,
    options: &Options,
    examine: impl Fn(&mut dyn ImageView, &Notebook<'_>) -> Result<Option<Examined>, Halt>,
) -> Result<(Examined, Vec<Anomaly>), Failure> {
    let notebook = notebook();
    let found = (|| {
        let mut view = FileView::new(file, &notebook);
        let Some(mut examined) = examine(&mut view, &notebook)? else { return Ok(None) };
        let (layout, reach) = (&mut examined.layout, &mut examined.reach);
        let walked = layout.walk(&mut view, &notebook, &Wanted::default(), reach)?;
        examined.reach.judge_tail(&mut view, &notebook)?;
        examined.reach.judge(file.size(), &notebook);
        Ok(Some((examined, walked)))
    })();
    let (examined, walked) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Err(whose.failure(None, notebook)),
        Err(halt) => return Err(whose.failure(Some(halt), notebook)),
    };
    let found = notebook.close();
    if let Some(first) = found.iter().find(|anomaly| options.policy.refuses(anomaly.code)) {
        return Err(whose.failed(first.clone()));
    }
    if let Walked::Partial(left) = walked {
        return Err(whose.failed(not_looked_at(left)));
    }
    let told = found.into_iter().map(|anomaly| whose.told(anomaly));
    Ok((examined, told.collect()))
}

fn not_looked_at(left: Left) -> Anomaly {
    Anomaly {
        code: Code::StructureUnexaminable,
        layer: Layer::File,
        offset: None,
        spot: None,
        said: format!("tidegate did not read all tables: {}.", left.why()),
    }
}

/// The disk of a VMDK stream whose grains are out of order, if there is nothing else that refuses it. What is in order is
/// taken as it is, and whoever checks what is damaged names the damage.
pub(super) fn stream<'a>(
    file: Held<'a>,
    level: usize,
    options: &Options,
) -> Result<Option<Found<'a>>, Failure> {
    let whose = Whose::Wrapping(level);
    let unordered = Code::VmdkGrainsUnordered;
    if options.policy.severity(unordered) == Severity::Note {
        return Ok(None);
    }
    let mut mending = options.clone();
    // What is mended refuses nothing, whatever it weighs otherwise.
    if mending.policy.set(unordered.as_str(), Severity::Warn).is_err() {
        return Ok(None);
    }
    let examine = |view: &mut dyn ImageView, notebook: &Notebook<'_>| {
        let examined = formats::examine(DiskFormat::Vmdk, view, notebook)?;
        Ok(examined.filter(|examined| examined.layout.has_packed() == Some(true)))
    };
    let (examined, mut noticed) = match walked(&file, &whose, &mending, examine) {
        Ok(found) => found,
        Err(Failure::Source(error)) => return Err(Failure::Source(error)),
        Err(_) => return Ok(None),
    };
    let found = noticed.len();
    noticed.retain(|anomaly| anomaly.code != unordered);
    if noticed.len() == found {
        return Ok(None);
    }
    let piece = Piece { file: Some(file), layout: examined.layout, whose };
    Ok(Some(Found { pieces: vec![piece], noticed }))
}
