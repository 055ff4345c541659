use super::args::{CompareArgs, Format};
use super::{ACCEPTED, REJECTED, UNREADABLE, Usage, check, output};
use crate::bytes::Hostile;
use crate::inspect::{self, Error, Opened};
use crate::render::compare;

pub(super) fn run(args: &CompareArgs) -> Result<u8, Usage> {
    let limit = check::size(&args.max_size)?;
    let images = [&args.a, &args.b];
    if images.iter().all(|image| *image == "-") {
        return Err(Usage("standard input can be compared only with something else".into()));
    }
    let names = images.map(|image| Hostile::from_os(image).to_string());
    let fail = |(which, error): (usize, Error)| {
        output::complain(&format!("{}: {}", names[which], error.message));
        Ok(UNREADABLE)
    };
    let a = match Opened::open(&args.a, limit) {
        Ok(opened) => opened,
        Err(error) => return fail((0, error)),
    };
    let b = match Opened::open(&args.b, limit) {
        Ok(opened) => opened,
        Err(error) => return fail((1, error)),
    };
    let found = match inspect::compare(a, b) {
        Ok(found) => found,
        Err(failure) => return fail(failure),
    };
    let text = match args.format {
        Format::Text => compare::text(&found),
        Format::Json => compare::json([&names[0], &names[1]], &found)
            .map_err(|e| Usage(format!("cannot write the report: {e}")))?,
    };
    output::write(&mut None, &text)?;
    Ok(if found.is_none() { ACCEPTED } else { REJECTED })
}
