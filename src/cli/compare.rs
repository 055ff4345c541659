use super::args::{CompareArgs, Format};
use super::progress::Progress;
use super::{ACCEPTED, REJECTED, UNREADABLE, Usage, check, output, signals};
use crate::inspect::{self, Error, Opened};
use crate::render::compare;
use crate::source::shown;

pub(super) fn run(args: &CompareArgs) -> Result<u8, Usage> {
    let images = [&args.a, &args.b];
    if images.iter().all(|image| *image == "-") {
        return Err(Usage("standard input can be compared only with something else".into()));
    }
    let options = check::to_look_at(&args.open.max_size, &args.open.net, images)?;
    let names = images.map(|image| shown(image).to_string());
    let progress = Progress::new(args.open.quiet);
    let closed = std::sync::Arc::clone(&progress);
    signals::watch(move || closed.close());
    let fail = |(which, error): (usize, Error)| {
        progress.close();
        output::complain(&format!("{}: {}", names[which], error.message));
        Ok(UNREADABLE)
    };
    let a = match Opened::open(&args.a, &options, &*progress) {
        Ok(opened) => opened,
        Err(error) => return fail((0, error)),
    };
    let b = match Opened::open(&args.b, &options, &*progress) {
        Ok(opened) => opened,
        Err(error) => return fail((1, error)),
    };
    let found = match inspect::compare(a, b, &*progress) {
        Ok(found) => found,
        Err(failure) => return fail(failure),
    };
    progress.close();
    let text = match args.format {
        Format::Text => compare::text(&found),
        Format::Json => compare::json([&names[0], &names[1]], &found)
            .map_err(|e| Usage(format!("cannot write the report: {e}")))?,
    };
    match args.format {
        Format::Text => output::write(&mut None, &text)?,
        Format::Json => output::document_text(&text)?,
    }
    Ok(if found.is_none() { ACCEPTED } else { REJECTED })
}
