//! The result of a push: lines, or one document.

use serde_json::{Value, json};

use super::args::PushArgs;
use super::order::is_rehearsal;
use crate::bytes::{Command, Hostile};
use crate::cli::image::{create, show};
use crate::cli::{Usage, output};
use crate::digitalocean::PushId;
use crate::inspect::Report;
use crate::push::{Pushed, Step, Stop};
use crate::render::{Style, text};
use crate::rules::Severity;

/// Writes what became of a push: the result to standard output, why it is none to standard error.
pub(super) fn write(args: &PushArgs, pushed: &Pushed) -> Result<(), Usage> {
    if let Some(stop) = &pushed.stop {
        explain(args, pushed, stop);
    }
    for left in &pushed.left {
        output::complain(&format!("left behind: {left}"));
    }
    if !pushed.left.is_empty() || matches!(pushed.stop, Some(Stop::Earlier { .. })) {
        output::complain(&format!("{} cleans up", Command::sweep()));
    }
    if !args.api.quiet && !matches!(pushed.stop, Some(Stop::Rejected)) {
        let found = pushed.report.iter().flat_map(|report| &report.findings);
        for finding in found.filter(|finding| finding.severity == Severity::Warn) {
            let code = finding.code.as_str();
            output::warn(&format!("warning: {} (tidegate explain {code})", finding.message));
        }
    }
    let rehearsed = is_rehearsal(args);
    if pushed.stop.is_some() {
        kept(pushed).iter().for_each(|kept| output::complain(kept));
    }
    let written =
        show::write(args.api.format, &lines(pushed, rehearsed), &document(pushed, rehearsed)?);
    if rehearsed {
        output::warn(REHEARSED);
    }
    written
}

/// The end of whatever a rehearsal says: one that was forgotten would never fail.
const REHEARSED: &str = "this was a rehearsal against a simulator on this machine: DigitalOcean has no image of it; \
     push without --rehearse to make one";

fn explain(args: &PushArgs, pushed: &Pushed, stop: &Stop) {
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
        _ if pushed.push.is_none() => output::complain("nothing was begun"),
        (_, Some(image)) if pushed.available => {
            output::complain(&format!("image {} is available, and stays", image.id));
            if !pushed.under_way.is_empty() {
                output::complain(&format!(
                    "{} may have begun, and then goes on; {} shows it",
                    pushed.under_way.join(", "),
                    Command::image("actions").number(image.id)
                ));
            }
        }
        (Stop::Unknown { .. }, _) => {
            let how = pushed.push.as_ref().map(|push| look(args, push)).unwrap_or_default();
            output::complain(&format!(
                "an image may still appear: look with {how} before you push again"
            ));
        }
        (Stop::Wait(_), Some(image)) if !cleaned => {
            output::complain(&format!("image {} may still become available", image.id));
        }
        (Stop::Api { step: Step::Create, .. }, None) if !cleaned => {
            let how = pushed.push.as_ref().map(|push| look(args, push)).unwrap_or_default();
            output::complain(&format!("an image may appear all the same: look with {how}"));
        }
        (Stop::Api { step: Step::Create, error }, None) if cleaned && !error.is_unsent() => {
            output::complain("no image of it is seen, and nothing that is known of is left behind");
        }
        (_, None) if cleaned => output::complain("nothing was created, and nothing is left behind"),
        (_, Some(_)) if cleaned && pushed.staged.is_some() => {
            output::complain("the image and its object are removed");
        }
        (_, Some(_)) if cleaned => output::complain("the image is deleted"),
        _ => {}
    }
}

/// How its user looks for an image with these marks.
fn look(args: &PushArgs, push: &PushId) -> String {
    match args.new.no_mark_tag {
        true => create::described(push),
        false => create::tagged(push),
    }
}

/// Where the object is that was to be kept.
fn kept(pushed: &Pushed) -> Option<String> {
    let staged = pushed.staged.as_ref().filter(|staged| staged.is_as_wanted())?;
    Some(format!(
        "kept: {}/{}",
        Hostile::from(staged.bucket.as_str()),
        Hostile::from(staged.key.as_str())
    ))
}

fn lines(pushed: &Pushed, rehearsed: bool) -> String {
    let (None, Some(image)) = (&pushed.stop, &pushed.image) else { return String::new() };
    let name = Hostile::from(image.name.as_str());
    let mut regions: Vec<&str> = image.regions.iter().map(|region| region.as_str()).collect();
    let done = pushed.regions.iter().filter(|region| region.error.is_none());
    regions.extend(done.map(|region| region.region.as_str()));
    regions.sort_unstable();
    regions.dedup();
    let regions = Hostile::from(regions.join(", ").as_str()).to_string();
    match rehearsed {
        true => format!(
            "rehearsed: image {} \"{name}\" is available in {regions} of the simulator, and not at DigitalOcean\n",
            image.id
        ),
        false => {
            let kept = kept(pushed).map_or_else(String::new, |kept| format!("{kept}\n"));
            format!("image {} \"{name}\" is available in {regions}\n{kept}", image.id)
        }
    }
}

fn document(pushed: &Pushed, rehearsed: bool) -> Result<Value, Usage> {
    let took: serde_json::Map<String, Value> = pushed
        .took
        .iter()
        .map(|(step, took)| {
            let name = step.as_str().replace('-', "_");
            (format!("{name}_ms"), json!(took.as_millis() as u64))
        })
        .collect();
    let error = match &pushed.stop {
        Some(stop) => Some(json!({"kind": stop.kind(), "message": stop.to_string()})),
        None if pushed.left.is_empty() => None,
        None => {
            Some(json!({"kind": "left-behind", "message": "something could not be cleaned up"}))
        }
    };
    Ok(json!({
        "schema": "tidegate.push/1",
        "push": pushed.push.as_ref().map(|push| push.as_str()),
        "mark": pushed.push.as_ref().map(|push| push.tag()),
        "done": error.is_none(),
        "rehearsed": rehearsed,
        "error": error,
        "report": pushed.report.as_ref().map(show::value).transpose()?,
        "source": pushed.source.as_ref().map(show::value).transpose()?,
        "staged": pushed.staged.as_ref().map(show::value).transpose()?,
        "image": pushed.image.as_ref().map(show::value).transpose()?,
        "available": pushed.available,
        "regions": show::value(&pushed.regions)?,
        "under_way": pushed.under_way,
        "left": pushed.left,
        "timings": took,
    }))
}
