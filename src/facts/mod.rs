//! What the examiners of every layer can say: names of formats, anomalies with their place, reasons for
//! not having looked, and the [`Notebook`] that anomalies are written into.
//!
//! It knows no bytes of any format and passes no judgement: what an anomaly means for DigitalOcean
//! stands in `rules`.

mod code;
pub mod endings;
mod left;
mod mark;
mod names;
mod notebook;
mod spot;

pub use code::Code;
pub use left::{Cause, Left};
pub use mark::{Known, Mark};
pub use names::{Compression, DiskFormat};
pub use notebook::{Anomaly, Notebook};
pub use spot::Spot;

use serde::{Deserialize, Serialize};

/// The three nested things that a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Layer {
    /// The bytes as stored or served, perhaps compressed.
    File,
    /// The file decompressed: a disk format's container, or raw sectors.
    Image,
    /// The virtual disk that the guest would see.
    Disk,
}

impl Layer {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::File => "file",
            Layer::Image => "image",
            Layer::Disk => "disk",
        }
    }
}
