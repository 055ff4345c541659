//! The result of a push: lines, or one document.

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::PushArgs;
use crate::bytes::{Hostile, human_size};
use crate::cli::image::show;
use crate::cli::{Usage, output};
use crate::inspect::Report;
use crate::push::{Order, Pushed, Route, Stop, World};
use crate::render::{Style, text};
use crate::rules::Severity;

/// What would be done.
pub(super) fn plan(order: &Order, world: &World) -> String {
    let mut out = format!("plan for {}\n", order.shown);
    let mut step = |name: &str, what: String| {
        let _ = writeln!(out, "  {name:<9} {what}");
    };
    let place = match (&world.bucket, &world.mint) {
        (Some(bucket), _) => Some((bucket.name(), bucket.endpoint())),
        (None, Some(mint)) => Some((&mint.bucket, &mint.endpoint)),
        (None, None) => None,
    };
    match (&order.route, place) {
        (Route::Staged { at_once, part_size, .. }, Some((bucket, endpoint))) => {
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
            step(
                "publish",
                format!(
                    "{}PUSH/… becomes public and is looked at as the importer will",
                    crate::push::PREFIX
                ),
            );
        }
        _ => {
            step("check", "read once, where it is".into());
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
    out
}

/// Writes what became of a push: the result to standard output, why it is none to standard error.
pub(super) fn write(args: &PushArgs, pushed: &Pushed) -> Result<(), Usage> {
    if let Some(stop) = &pushed.stop {
        explain(pushed, stop);
    }
    for left in &pushed.left {
        output::complain(&format!("left behind: {left}"));
    }
    if !pushed.left.is_empty() {
        let state = args.state.as_ref().map_or(String::new(), |folder| {
            format!(" --state {}", crate::source::shown(folder.as_os_str()))
        });
        output::complain(&format!("`tidegate sweep{state}` cleans up"));
    }
    if !args.api.quiet && !matches!(pushed.stop, Some(Stop::Rejected)) {
        let found = pushed.report.iter().flat_map(|report| &report.findings);
        for finding in found.filter(|finding| finding.severity == Severity::Warn) {
            let code = finding.code.as_str();
            output::complain(&format!("warning: {} (tidegate explain {code})", finding.message));
        }
    }
    show::write(args.api.format, &lines(pushed), &document(pushed)?)
}

fn explain(pushed: &Pushed, stop: &Stop) {
    if let (Stop::Rejected | Stop::Unread, Some(report)) = (stop, &pushed.report) {
        output::fail(text::render(report, Style::default()).trim_end());
    }
    output::complain(&stop.to_string());
    let is_of_url = |report: &Report| {
        report.findings.iter().any(|found| {
            found.severity == Severity::Reject && found.code.as_str().starts_with("url-")
        })
    };
    if matches!(stop, Stop::Rejected) && pushed.report.as_ref().is_some_and(is_of_url) {
        output::complain("--stage brings it to DigitalOcean through the bucket instead");
    }
    let cleaned = pushed.left.is_empty();
    match (stop, &pushed.image) {
        (Stop::Spread(_), _) => {}
        (_, Some(image)) if pushed.available => {
            output::complain(&format!("image {} is available, and stays", image.id));
        }
        (Stop::Unknown { .. }, _) => output::complain(&format!(
            "an image may still appear: look with `tidegate image list --tag {}` before you push again",
            pushed.push.as_ref().map(|push| push.tag()).unwrap_or_default()
        )),
        (Stop::Wait(_), Some(image)) if !cleaned => {
            output::complain(&format!("image {} may still become available", image.id));
        }
        (_, None) if cleaned => output::complain("nothing was created, and nothing is left behind"),
        (_, Some(_)) if cleaned && pushed.staged.is_some() => {
            output::complain("the image and its object are removed");
        }
        (_, Some(_)) if cleaned => output::complain("the image is deleted"),
        _ => {}
    }
}

fn lines(pushed: &Pushed) -> String {
    let (None, Some(image)) = (&pushed.stop, &pushed.image) else { return String::new() };
    let name = Hostile::from(image.name.as_str());
    let mut regions: Vec<&str> = image.regions.iter().map(|region| region.as_str()).collect();
    let done = pushed.regions.iter().filter(|region| region.error.is_none());
    regions.extend(done.map(|region| region.region.as_str()));
    regions.sort_unstable();
    regions.dedup();
    let regions = Hostile::from(regions.join(", ").as_str()).to_string();
    format!("image {} \"{name}\" is available in {regions}\n", image.id)
}

fn document(pushed: &Pushed) -> Result<Value, Usage> {
    let took: serde_json::Map<String, Value> = pushed
        .took
        .iter()
        .map(|(step, took)| (format!("{}_ms", step.as_str()), json!(took.as_millis() as u64)))
        .collect();
    let error =
        pushed.stop.as_ref().map(|stop| json!({"kind": stop.kind(), "message": stop.to_string()}));
    Ok(json!({
        "schema": "tidegate.push/1",
        "push": pushed.push.as_ref().map(|push| push.as_str()),
        "mark": pushed.push.as_ref().map(|push| push.tag()),
        "done": pushed.stop.is_none(),
        "error": error,
        "report": pushed.report.as_ref().map(show::value).transpose()?,
        "source": pushed.source.as_ref().map(show::value).transpose()?,
        "staged": pushed.staged.as_ref().map(show::value).transpose()?,
        "image": pushed.image.as_ref().map(show::value).transpose()?,
        "available": pushed.available,
        "regions": show::value(&pushed.regions)?,
        "left": pushed.left,
        "timings": took,
    }))
}
