//! What a push would do: lines, or one document. Nothing is done for it, but that a file is opened.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::fs::FileTypeExt;

use serde_json::{Value, json};

use crate::bytes::{Hostile, human_size};
use crate::cli::args::Format;
use crate::cli::image::show;
use crate::cli::{ACCEPTED, REJECTED, UNREADABLE, Usage, output};
use crate::inspect::Error;
use crate::push::{Order, Route, World};
use crate::source::{Source, is_url};

/// Writes what would be done to standard output; the exit code.
pub(super) fn write(format: Format, order: &Order, world: &World) -> Result<u8, Usage> {
    let error = unreadable(&order.source).map(|error| (error, UNREADABLE));
    let error = error.or_else(|| too_large(order).map(|error| (error, REJECTED)));
    let (error, code) = error.map_or((None, ACCEPTED), |(error, code)| (Some(error), code));
    let steps = match error {
        None => steps(order, world),
        Some(_) => Vec::new(),
    };
    let mut text = String::new();
    match &error {
        None => {
            let _ = writeln!(text, "plan for {}", order.shown);
            for (name, what) in &steps {
                let _ = writeln!(text, "  {name:<9} {what}");
            }
        }
        Some(error) => output::complain(&error.message),
    }
    let steps = steps.iter().map(|(name, what)| json!({"step": name, "what": what}));
    let document = json!({
        "schema": "tidegate.plan/1",
        "source": order.shown,
        "staged": matches!(order.route, Route::Staged { .. }),
        "steps": steps.collect::<Vec<Value>>(),
        "error": error.map(|error| json!({"kind": error.kind, "message": error.message})),
    });
    show::write(format, &text, &document)?;
    Ok(code)
}

/// Why the file cannot be read, as far as opening it tells.
fn unreadable(source: &OsStr) -> Option<Error> {
    let is_pipe = |source| std::fs::metadata(source).is_ok_and(|meta| meta.file_type().is_fifo());
    // Opening a pipe waits for whoever writes into it, and takes it from whoever reads it.
    if is_url(source) || source == "-" || is_pipe(source) {
        return None;
    }
    Source::open(source).err().map(|error| Error::from(&error))
}

/// Why the check will refuse the file, as far as its size tells. A file may have a little more than the image in it: what
/// cannot be compressed takes more room when it is.
fn too_large(order: &Order) -> Option<Error> {
    let size = std::fs::metadata(&order.source).ok().filter(|meta| meta.is_file())?.len();
    let limit = order.check.limit;
    (size > limit.saturating_add(limit / 50)).then(|| Error {
        kind: "too-large".into(),
        message: format!(
            "the file has {}, and the check will refuse it: an image has to be smaller than {}",
            human_size(size),
            human_size(limit)
        ),
    })
}

/// The steps, by name.
fn steps(order: &Order, world: &World) -> Vec<(&'static str, String)> {
    let mut steps = Vec::new();
    let mut step = |name, what: String| steps.push((name, what));
    let place = match (&world.bucket, &world.mint) {
        (Some(bucket), _) => Some((bucket.name(), bucket.endpoint())),
        (None, Some(mint)) => Some((&mint.bucket, &mint.endpoint)),
        (None, None) => None,
    };
    match (&order.route, place) {
        (Route::Staged { at_once, part_size, read_back, .. }, Some((bucket, endpoint))) => {
            let place = format!("{bucket} at {}", endpoint.address());
            if world.mint.is_some() {
                step("key", "a key with full access to all buckets, deleted at the end".into());
            }
            step("probe", format!("an object of one byte in {place}: put, public, seen, deleted"));
            let parts = part_size.map_or("8 MiB or more".to_owned(), human_size);
            step(
                "check",
                format!("read once, and uploaded in parts of {parts}, {at_once} at once"),
            );
            step(
                "complete",
                "only if the check accepts it, every byte of it; otherwise abort".into(),
            );
            if *read_back {
                step(
                    "read-back",
                    "the object is read again, all of it, and has to be what was sent".into(),
                );
            }
            step(
                "publish",
                format!(
                    "{}PUSH/… becomes public, and tidegate fetches it as the importer will",
                    crate::push::PREFIX
                ),
            );
        }
        _ => {
            step(
                "check",
                "read once, where it is; if only its packing is refused, it goes through the bucket".into(),
            );
            step(
                "compare",
                "the URL has to lead to the same object before the create and after the import"
                    .into(),
            );
        }
    }
    let image = &order.image;
    let name = Hostile::from(image.name.as_str());
    let region = Hostile::from(image.region.as_str());
    step("create", format!("\"{name}\" in {region}, by {}", world.api_place));
    step(
        "import",
        format!("waited for, {} min at most", order.patience.most.as_secs().div_ceil(60)),
    );
    if let Route::Staged { keep_object, .. } = order.route {
        let fate = if keep_object { "private" } else { "private, then deleted" };
        step("remove", format!("the object becomes {fate} when the import has ended"));
    }
    if !order.transfer.is_empty() {
        let regions: Vec<String> =
            order.transfer.iter().map(|slug| Hostile::from(slug.as_str()).to_string()).collect();
        step("transfer", regions.join(", "));
    }
    if order.convert {
        step("convert", "to a snapshot".into());
    }
    steps
}
