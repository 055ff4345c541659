use super::args::{MapArgs, MapFormat};
use super::{ACCEPTED, UNREADABLE, Usage, check, output};
use crate::bytes::Hostile;
use crate::inspect::{Error, Extent, Opened, extents};
use crate::render::map;

/// Extents that the text lists; the rest is only counted.
const LISTED: usize = 10_000;

/// The document is written whenever so much of it has come together.
const WRITE_EVERY: usize = 64 << 10;

pub(super) fn run(args: &MapArgs) -> Result<u8, Usage> {
    let limit = check::size(&args.max_size)?;
    let fail = |error: Error| {
        output::complain(&format!("{}: {}", Hostile::from_os(&args.image), error.message));
        Ok(UNREADABLE)
    };
    let mut opened = match Opened::open(&args.image, limit) {
        Ok(opened) => opened,
        Err(error) => return fail(error),
    };
    let shown = match args.format {
        MapFormat::Json => json(&mut opened)?,
        MapFormat::Text | MapFormat::Svg => picture(&mut opened, args.format)?,
    };
    match shown.and_then(|()| opened.close()) {
        Ok(()) => Ok(ACCEPTED),
        Err(error) => fail(error),
    }
}

fn picture(opened: &mut Opened, format: MapFormat) -> Result<Result<(), Error>, Usage> {
    let mut listed: Vec<Extent> = Vec::new();
    let found = opened.with_disk(|disk| {
        extents(disk, |extent| {
            if listed.len() < LISTED {
                listed.push(*extent);
            }
        })
    });
    let found = match found {
        Ok(found) => found,
        Err(halt) => return Ok(Err(halt.into())),
    };
    let size = opened.virtual_size();
    let text = match format {
        MapFormat::Svg => map::svg(opened.source(), opened.format(), size, &found),
        _ => map::text(opened.source(), opened.format(), size, &found, &listed),
    };
    output::write(&mut None, &text).map(Ok)
}

/// All extents, written as they are found. What is written is a whole document only if this succeeds.
fn json(opened: &mut Opened) -> Result<Result<(), Error>, Usage> {
    let mut pending = map::json_head(opened.source(), opened.format(), opened.virtual_size());
    let mut first = true;
    let mut written = Ok(());
    let found = opened.with_disk(|disk| {
        extents(disk, |extent| {
            pending.push_str(&map::json_extent(extent, first));
            first = false;
            if pending.len() >= WRITE_EVERY && written.is_ok() {
                written = output::write(&mut None, &pending);
                pending.clear();
            }
        })
    });
    written?;
    match found {
        Ok(found) => {
            pending.push_str(&map::json_tail(&found));
            output::write(&mut None, &pending).map(Ok)
        }
        Err(halt) => Ok(Err(halt.into())),
    }
}
