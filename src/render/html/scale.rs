//! Sizes drawn to scale: the three layers against the limit, and the partitions of a disk.

use super::super::markup::{Coordinate, Markup};
use super::super::text;
use crate::bytes::human_size;
use crate::facts::{Compression, DiskFormat};
use crate::guest::Partition;
use crate::inspect::Report;

/// Width of a drawing, in its own units, as it stands in the literals below.
const WIDTH: f64 = 1000.0;

/// Below this share of the limit the layers are drawn once more, larger.
const SMALL: u64 = 20;

/// Partitions that are drawn; more would be no picture.
const DRAWN: usize = 128;

struct Layer {
    name: &'static str,
    size: Option<u64>,
    what: String,
    /// Whether the limit is for it; what is decompressed counts.
    limited: bool,
}

pub(super) fn write(report: &Report, out: &mut Markup) {
    let layers = layers(report);
    let largest = layers.iter().filter_map(|layer| layer.size).max().unwrap_or_default();
    let limit = report.limit;
    // So much is shown that the limit can be seen, and what is far over it is cut.
    let shown = if largest < limit { limit } else { limit.saturating_add(limit / 2) };
    out.add(
        "<h3>Layers</h3>\n<p>Against the limit of {}, to scale.</p>\n<table class=\"layers\">\n\
         <thead><tr><th scope=\"col\">Layer</th><th scope=\"col\">Size</th><th scope=\"col\">Share</th>\
         <th scope=\"col\">What it is</th></tr></thead>\n<tbody>\n",
        &[&human_size(limit)],
    );
    for layer in &layers {
        let size = layer.size.map_or("unknown".to_owned(), human_size);
        let bar = layer.size.map(|size| bar(layer, size, shown, Some(limit))).unwrap_or_default();
        out.add(
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"bar\">{}</td><td>{}</td></tr>\n",
            &[&layer.name, &size, &bar, &layer.what],
        );
    }
    out.add("</tbody>\n</table>\n", &[]);
    let differ = layers.iter().filter_map(|layer| layer.size).any(|size| size != largest);
    if differ && largest < limit / SMALL {
        enlarged(&layers, largest, out);
    }
}

/// The layers against each other, where all of them are small and one is smaller.
fn enlarged(layers: &[Layer], largest: u64, out: &mut Markup) {
    out.add(
        "<p>Against each other, to the scale of the largest.</p>\n<table class=\"layers\">\n<tbody>\n",
        &[],
    );
    for layer in layers {
        if let Some(size) = layer.size {
            out.add(
                "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"bar\">{}</td><td></td></tr>\n",
                &[&layer.name, &human_size(size), &bar(layer, size, largest, None)],
            );
        }
    }
    out.add("</tbody>\n</table>\n", &[]);
}

fn layers(report: &Report) -> Vec<Layer> {
    let packed = match report.compression {
        Some(Compression::None) => "not compressed",
        Some(compression) => compression.as_str(),
        None => "not read",
    };
    let mut layers = vec![Layer {
        name: "file",
        size: report.file_size,
        what: packed.to_owned(),
        limited: false,
    }];
    if let Some(format) = report.disk_format {
        let traits = report.traits.iter().map(String::as_str);
        let what: Vec<&str> = std::iter::once(format.as_str()).chain(traits).collect();
        layers.push(Layer {
            name: "image",
            size: report.image_size,
            what: what.join(", "),
            limited: true,
        });
        if report.virtual_size.is_some() || format == DiskFormat::Raw {
            layers.push(Layer {
                name: "disk",
                size: report.virtual_size,
                what: text::partitions(report.partition_table.as_ref()),
                limited: true,
            });
        }
    }
    layers
}

/// A size on a scale that ends at `shown`, with the limit as a line.
fn bar(layer: &Layer, size: u64, shown: u64, limit: Option<u64>) -> Markup {
    let x = |bytes: u64| (bytes as f64 / shown.max(1) as f64 * WIDTH).min(WIDTH);
    let over = layer.limited && limit.is_some_and(|limit| size >= limit);
    let cut = if size > shown { ", cut off in the drawing" } else { "" };
    let said = match limit {
        Some(limit) if over => format!("at or over the limit of {}{cut}", human_size(limit)),
        Some(limit) => {
            format!(
                "{:.1} % of {}{cut}",
                size as f64 / limit.max(1) as f64 * 100.0,
                human_size(limit)
            )
        }
        None => format!("{:.1} % of the largest layer", x(size) / WIDTH * 100.0),
    };
    let line = limit.map(|limit| {
        let x = x(limit).min(WIDTH - 1.5);
        Markup::of("<path class=\"limit\" d=\"M{} 0v20\"/>", &[&Coordinate(x)])
    });
    let class = if over { "over" } else { "size" };
    // What is there is seen, be it ever so little.
    let width = if size == 0 { 0.0 } else { x(size).max(2.0) };
    let torn = match size > shown {
        true => Markup::literal("<path class=\"cut\" d=\"M960 20l10-20M975 20l10-20\"/>"),
        false => Markup::default(),
    };
    Markup::of(
        "<svg viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}: {}, {}\">\
         <rect class=\"room\" width=\"1000\" height=\"20\"/><rect class=\"{}\" y=\"3\" width=\"{}\" height=\"14\"/>{}{}</svg>",
        &[
            &layer.name,
            &human_size(size),
            &said,
            &class,
            &Coordinate(width),
            &torn,
            &line.unwrap_or_default(),
        ],
    )
}

/// The partitions on their disk. Names and numbers stand in the table below it.
pub(super) fn strip(partitions: &[Partition], size: u64, out: &mut Markup) {
    let x = |bytes: u64| (bytes as f64 / size.max(1) as f64 * WIDTH).min(WIDTH);
    out.add(
        "<svg class=\"strip\" viewBox=\"0 0 1000 24\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"The partitions on the disk, to scale\">\
         <rect class=\"room\" width=\"1000\" height=\"24\"/>",
        &[],
    );
    for (index, partition) in partitions.iter().take(DRAWN).enumerate() {
        let start = x(partition.start);
        let width = (x(partition.start.saturating_add(partition.size)) - start).max(1.0);
        let name = Some(&partition.name).filter(|name| !name.is_empty());
        let name =
            name.or(partition.type_name.as_ref()).map_or(String::new(), |name| format!(": {name}"));
        out.add(
            "<rect class=\"part p{}\" x=\"{}\" y=\"2\" width=\"{}\" height=\"20\"><title>Partition {}{}, {}</title></rect>",
            &[
                &(index % 2),
                &Coordinate(start),
                &Coordinate(width),
                &partition.number,
                &name,
                &human_size(partition.size),
            ],
        );
    }
    out.add("</svg>\n", &[]);
}
