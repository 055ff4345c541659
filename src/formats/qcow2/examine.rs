use super::disk::Tables;
use super::header::{self, Compression};
use super::tables;
use crate::facts::{Layer, Notebook};
use crate::formats::{Examined, Halt, ImageView, Reach};

/// Reads header and extensions and checks where the tables lie.
pub(in crate::formats) fn examine(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<Option<Examined>, Halt> {
    let Some(header) = header::read(view, notebook)? else { return Ok(None) };
    notebook.claim_disk_size(header.size, Layer::Image, 24);
    notebook.set_bound(tables::bound(&header));
    let mut reach = Reach::new(notebook);
    if !tables::check(&header, notebook, &mut reach) {
        return Ok(None);
    }
    let mut traits = vec![
        format!("version {}", header.version),
        format!("{} KiB clusters", header.cluster_size() as f64 / 1024.0),
    ];
    if header.compression == Compression::Zstd {
        traits.push("zstd".into());
    }
    Ok(Some(Examined {
        virtual_size: header.size,
        traits,
        reach,
        layout: Box::new(Tables::new(header)),
    }))
}
