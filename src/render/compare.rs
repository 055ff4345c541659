//! How two disks differ, as text or JSON.

use serde::Serialize;

use crate::inspect::Difference;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "tidegate.compare/1";

const SECTOR: u64 = 512;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    sources: [&'a str; 2],
    same: bool,
    virtual_sizes: [u64; 2],
    first_difference: Option<u64>,
}

/// One document, ending in a newline. `first_difference` is the disk offset of the first sector that
/// differs.
///
/// # Errors
/// None that the model can cause; the writer is a string.
pub fn json(sources: [&str; 2], found: &Difference) -> Result<String, serde_json::Error> {
    let document = Document {
        schema: SCHEMA,
        sources,
        same: found.is_none(),
        virtual_sizes: found.sizes,
        first_difference: found.sector.map(|sector| sector * SECTOR),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// One line for each thing that is to be said.
#[must_use]
pub fn text(found: &Difference) -> String {
    let [a, b] = found.sizes;
    if found.is_none() {
        return format!("The disks are the same, {a} bytes.\n");
    }
    let mut out = String::new();
    if a != b {
        out.push_str(&format!("The disks differ in size: {a} and {b} bytes.\n"));
    }
    match found.sector {
        Some(sector) => out.push_str(&format!(
            "The disks differ, first in sector {sector} (byte {}).\n",
            sector * SECTOR
        )),
        None => out.push_str("As far as both reach, they are the same.\n"),
    }
    out
}
