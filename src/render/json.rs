//! JSON, `tidegate.report/1`. Its schema is published as `docs/report.schema.json`; keys may be added,
//! never renamed.

use serde::Serialize;

use crate::inspect::Report;
use crate::project::Shard;

/// Name and version of the format.
pub const SCHEMA: &str = "tidegate.report/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tidegate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
    images: &'a [Report],
}

/// One document for all images, or for those of a shard, ending in a newline.
///
/// # Errors
/// None that the model can cause; the writer is a string.
pub fn render(images: &[Report], shard: Option<Shard>) -> Result<String, serde_json::Error> {
    let document = Document { schema: SCHEMA, tidegate: env!("CARGO_PKG_VERSION"), shard, images };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
