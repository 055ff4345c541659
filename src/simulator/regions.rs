use serde::Serialize;

/// A place where images are kept.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Region {
    name: &'static str,
    pub(super) slug: &'static str,
    sizes: &'static [&'static str],
    features: &'static [&'static str],
    pub(super) available: bool,
}

/// What the published example of an action names.
const FEATURES: [&str; 8] = [
    "private_networking",
    "backups",
    "ipv6",
    "metadata",
    "server_id",
    "install_agent",
    "storage",
    "image_transfer",
];

/// Some sizes of Droplets; no test of images depends on them.
const SIZES: [&str; 4] = ["s-1vcpu-1gb", "s-1vcpu-2gb", "s-2vcpu-4gb", "s-1vcpu-3gb"];

/// Slug, name, and whether anything new can be made there. The slugs are those of the published
/// enumeration, and `atl1`, which DigitalOcean uses and the enumeration lacks.
const TABLE: [(&str, &str, bool); 16] = [
    ("nyc1", "New York 1", true),
    ("sfo1", "San Francisco 1", false),
    ("nyc2", "New York 2", true),
    ("ams2", "Amsterdam 2", false),
    ("sgp1", "Singapore 1", true),
    ("lon1", "London 1", true),
    ("nyc3", "New York 3", true),
    ("ams3", "Amsterdam 3", true),
    ("fra1", "Frankfurt 1", true),
    ("tor1", "Toronto 1", true),
    ("sfo2", "San Francisco 2", true),
    ("blr1", "Bangalore 1", true),
    ("sfo3", "San Francisco 3", true),
    ("syd1", "Sydney 1", true),
    ("atl1", "Atlanta 1", true),
    ("ams1", "Amsterdam 1", false),
];

/// All regions.
pub(super) fn all() -> impl Iterator<Item = Region> {
    TABLE.iter().map(|&(slug, name, available)| Region {
        name,
        slug,
        sizes: if available { &SIZES } else { &[] },
        features: &FEATURES,
        available,
    })
}

/// The region of this slug.
pub(super) fn find(slug: &str) -> Option<Region> {
    all().find(|region| region.slug == slug)
}

/// The published distributions.
const DISTRIBUTIONS: [&str; 13] = [
    "Arch Linux",
    "CentOS",
    "CoreOS",
    "Debian",
    "Fedora",
    "Fedora Atomic",
    "FreeBSD",
    "Gentoo",
    "openSUSE",
    "RancherOS",
    "Rocky Linux",
    "Ubuntu",
    "Unknown",
];

/// The distribution that an image gets: "Any other value will be accepted but ignored, and `Unknown`
/// will be used".
pub(super) fn distribution(asked: Option<&str>) -> String {
    let known = DISTRIBUTIONS.into_iter().find(|known| Some(*known) == asked);
    known.unwrap_or("Unknown").to_owned()
}
