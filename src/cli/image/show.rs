//! Images and actions as text and JSON.

use std::fmt::Write;

use serde_json::Value;

use crate::bytes::Hostile;
use crate::cli::args::Format;
use crate::cli::{Usage, output};
use crate::digitalocean::{Action, Image};

/// Writes the result: text as it is, or a JSON document.
pub(in crate::cli) fn write(format: Format, text: &str, document: &Value) -> Result<(), Usage> {
    match format {
        Format::Text => output::write(&mut None, text),
        Format::Json => output::document_text(&json(document)?),
    }
}

/// A document in ASCII: text from servers has to come through unchanged, and must not act on a terminal.
fn json(document: &Value) -> Result<String, Usage> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Usage(format!("cannot write the result: {e}")))?;
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Outside of strings there is nothing of this.
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push('\n');
    Ok(out)
}

/// Something as JSON.
pub(in crate::cli) fn value(of: &impl serde::Serialize) -> Result<Value, Usage> {
    serde_json::to_value(of).map_err(|e| Usage(format!("cannot write the result: {e}")))
}

fn shown(text: &str) -> String {
    Hostile::from(text).to_string()
}

/// One image in full.
pub(super) fn image(image: &Image) -> String {
    let mut out = format!("{}  {}\n", image.id, shown(&image.name));
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(out, "  {name:<13} {value}");
        }
    };
    row("status", image.status.as_ref().map(|status| shown(status.as_str())));
    row("error", image.failure().map(|why| Hostile::message(why).to_string()));
    row("type", image.kind.as_ref().map(|kind| shown(kind.as_str())));
    row("distribution", image.distribution.as_ref().map(|name| shown(name.as_str())));
    row("slug", image.slug.as_deref().map(shown));
    row("regions", Some(regions(image)));
    row("size", image.size_gigabytes.map(|size| format!("{size} GB")));
    row(
        "least disk",
        image.min_disk_size.filter(|&size| size > 0).map(|size| format!("{size} GB")),
    );
    row("created", image.created_at.as_deref().map(shown));
    row("description", Some(Hostile::message(&image.description).to_string()));
    row("tags", Some(image.tags.iter().map(|tag| shown(tag)).collect::<Vec<_>>().join(", ")));
    out
}

fn regions(image: &Image) -> String {
    image.regions.iter().map(|region| shown(region.as_str())).collect::<Vec<_>>().join(", ")
}

/// Images as a table.
pub(super) fn images(images: &[Image]) -> String {
    let head = ["ID", "NAME", "TYPE", "DISTRIBUTION", "STATUS", "REGIONS", "SIZE"];
    table(
        head,
        images.iter().map(|image| {
            [
                image.id.to_string(),
                shown(&image.name),
                image.kind.as_ref().map_or_else(String::new, |kind| shown(kind.as_str())),
                image.distribution.as_ref().map_or_else(String::new, |name| shown(name.as_str())),
                image.status.as_ref().map_or_else(String::new, |status| shown(status.as_str())),
                regions(image),
                image.size_gigabytes.map_or_else(String::new, |size| format!("{size} GB")),
            ]
        }),
    )
}

/// Actions as a table.
pub(super) fn actions(actions: &[Action]) -> String {
    let head = ["ID", "TYPE", "STATUS", "REGION", "STARTED", "COMPLETED"];
    let text = |text: &Option<String>| text.as_deref().map_or_else(String::new, shown);
    table(
        head,
        actions.iter().map(|action| {
            [
                action.id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                action.kind.as_ref().map_or_else(String::new, |kind| shown(kind.as_str())),
                shown(action.status.as_str()),
                action.region().map_or_else(String::new, |region| shown(region.as_str())),
                text(&action.started_at),
                text(&action.completed_at),
            ]
        }),
    )
}

/// Columns as wide as they have to be.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_servers_say_does_not_act_on_a_terminal() {
        let name = "a\u{1b}[31m\u{9b}\u{202e}ü";
        let shown: Image = serde_json::from_value(json!({"id": 1, "name": name})).unwrap();
        for text in [image(&shown), images(std::slice::from_ref(&shown))] {
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text}");
        }
        let text = json(&json!({"name": name})).unwrap();
        assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["name"], name);
    }

    #[test]
    fn columns_line_up() {
        let text = table(["A", "B"], [["long".into(), String::new()]].into_iter());
        assert_eq!(text, "A     B\nlong\n");
    }
}
