use std::io::{self, BufWriter, Seek, Write};

use tempfile::SpooledTempFile;

use super::args::{MapArgs, MapFormat};
use super::progress::Progress;
use super::{ACCEPTED, UNREADABLE, Usage, check, output, signals};
use crate::bytes::Hostile;
use crate::inspect::{Error, Extent, Opened, Options, extents};
use crate::render::map;
use crate::source::shown;

/// Extents that the text lists; the rest is only counted.
const LISTED: usize = 10_000;

/// Bytes of a document that are kept in memory; a longer one goes into an unlinked temporary file.
const IN_MEMORY: usize = 4 << 20;

pub(super) fn run(args: &MapArgs) -> Result<u8, Usage> {
    let options = check::to_look_at(&args.open.max_size, &args.open.net, [&args.image])?;
    let progress = Progress::new(args.open.quiet);
    let closed = std::sync::Arc::clone(&progress);
    signals::watch(move || closed.close());
    let made = document(args, &options, &progress);
    progress.close();
    match made {
        Ok(mut document) => {
            let written = output::document(&mut None, |out| io::copy(&mut document, out).map(drop));
            match args.format {
                MapFormat::Text => output::for_people(written)?,
                MapFormat::Json | MapFormat::Svg => written.map_err(output::unwritten)?,
            }
            Ok(ACCEPTED)
        }
        Err(error) => {
            output::complain(&format!("{}: {}", shown(&args.image), error.message));
            Ok(UNREADABLE)
        }
    }
}

/// The whole document. Nothing is shown of an image that turns out to be broken, or that changed while
/// it was read.
fn document(
    args: &MapArgs,
    options: &Options,
    progress: &Progress,
) -> Result<SpooledTempFile, Error> {
    let mut opened = Opened::open(&args.image, options, progress)?;
    let mut document = BufWriter::new(SpooledTempFile::new(IN_MEMORY));
    match args.format {
        MapFormat::Json => json(&mut opened, progress, &mut document)?,
        MapFormat::Text | MapFormat::Svg => {
            let text = picture(&mut opened, progress, args.format)?;
            put(&mut document, &text)?;
        }
    }
    opened.close()?;
    let mut document = document.into_inner().map_err(|e| spooling(e.error()))?;
    document.rewind().map_err(|e| spooling(&e))?;
    Ok(document)
}

fn picture(
    opened: &mut Opened<'_>,
    progress: &Progress,
    format: MapFormat,
) -> Result<String, Error> {
    let mut listed: Vec<Extent> = Vec::new();
    let found = opened.with_disk(|disk| {
        extents(disk, progress, |extent| {
            if listed.len() < LISTED {
                listed.push(*extent);
            }
        })
    })?;
    let size = opened.virtual_size();
    Ok(match format {
        MapFormat::Svg => map::svg(opened.source(), opened.format(), size, &found),
        _ => map::text(opened.source(), opened.format(), size, &found, &listed),
    })
}

/// All extents, written as they are found.
fn json(
    opened: &mut Opened<'_>,
    progress: &Progress,
    document: &mut impl Write,
) -> Result<(), Error> {
    put(document, &map::json_head(opened.source(), opened.format(), opened.virtual_size()))?;
    let mut first = true;
    let mut written = Ok(());
    let found = opened.with_disk(|disk| {
        extents(disk, progress, |extent| {
            if written.is_ok() {
                written = put(document, &map::json_extent(extent, first));
            }
            first = false;
        })
    });
    written?;
    put(document, &map::json_tail(&found?))
}

fn put(document: &mut impl Write, text: &str) -> Result<(), Error> {
    document.write_all(text.as_bytes()).map_err(|e| spooling(&e))
}

fn spooling(error: &std::io::Error) -> Error {
    let directory = Hostile::from_os(std::env::temp_dir().as_os_str());
    Error {
        kind: crate::source::Kind::Spool.as_str().into(),
        message: format!("cannot write a temporary file in {directory}: {error}"),
    }
}
