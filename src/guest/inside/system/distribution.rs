//! What DigitalOcean calls a system: the values of `distribution`.

use super::Named;

/// Systems that have a value of their own.
pub(super) const EXACT: [(&str, &[&str]); 11] = [
    ("Arch Linux", &["arch"]),
    ("CentOS", &["centos"]),
    ("CoreOS", &["coreos", "flatcar", "rhcos", "scos"]),
    ("Debian", &["debian"]),
    ("Fedora", &["fedora"]),
    ("FreeBSD", &["freebsd"]),
    ("Gentoo", &["gentoo"]),
    (
        "openSUSE",
        &[
            "opensuse",
            "opensuse-leap",
            "opensuse-tumbleweed",
            "opensuse-slowroll",
            "opensuse-microos",
            "opensuse-leap-micro",
        ],
    ),
    ("RancherOS", &["rancheros"]),
    ("Rocky Linux", &["rocky"]),
    ("Ubuntu", &["ubuntu", "ubuntu-core"]),
];

/// Systems that are made of one of these, where they do not say it themselves or say it of another one.
pub(super) const FAMILIES: [(&str, &[&str]); 9] = [
    ("Arch Linux", &["archarm", "manjaro", "endeavouros", "cachyos", "garuda", "artix"]),
    (
        "CentOS",
        &[
            "almalinux",
            "rhel",
            "redhat",
            "ol",
            "scientific",
            "eurolinux",
            "cloudlinux",
            "miraclelinux",
            "circle",
            "virtuozzo",
            "anolis",
        ],
    ),
    ("Debian", &["kali", "parrot", "devuan", "raspbian", "deepin", "vyos"]),
    ("Fedora", &["nobara", "ultramarine"]),
    ("FreeBSD", &["pfsense", "opnsense", "ghostbsd", "truenas"]),
    ("Gentoo", &["calculate", "funtoo", "redcore"]),
    (
        "openSUSE",
        &[
            "sles",
            "sled",
            "sle-micro",
            "sle_micro",
            "sle-hpc",
            "sles_sap",
            "sl-micro",
            "suse",
            "suse-microos",
        ],
    ),
    ("RancherOS", &["burmilla", "burmillaos"]),
    ("Ubuntu", &["linuxmint", "pop", "elementary", "zorin", "neon"]),
];

/// Systems that are none of these, whatever they say that they are like.
const OTHERS: [&str; 17] = [
    "alpine",
    "nixos",
    "void",
    "slackware",
    "mageia",
    "openmandriva",
    "altlinux",
    "openeuler",
    "photon",
    "azurelinux",
    "mariner",
    "clear-linux-os",
    "cirros",
    "buildroot",
    "talos",
    "openbsd",
    "netbsd",
];

impl Named {
    /// The value of `distribution`, and whether the system is only of its family.
    pub(super) fn distribution(&self) -> (&'static str, bool) {
        let of = |table: &[(&'static str, &[&str])], id: &[u8]| {
            let has = |ids: &[&str]| ids.iter().any(|known| known.as_bytes() == id);
            table.iter().find(|(_, ids)| has(ids)).map(|(value, _)| *value)
        };
        match (&self.id[..], &self.variant[..]) {
            (b"fedora", b"coreos") => return ("CoreOS", false),
            (b"fedora", b"atomic.host") => return ("Fedora Atomic", false),
            (
                b"fedora",
                b"silverblue" | b"kinoite" | b"iot" | b"sericea" | b"onyx" | b"cosmic-atomic",
            ) => {
                return ("Fedora Atomic", true);
            }
            (b"amzn", _) => {
                let is_older = self
                    .version
                    .as_ref()
                    .is_some_and(|version| version.len() < 4 || version.starts_with(b"201"));
                return (if is_older { "CentOS" } else { "Fedora" }, true);
            }
            _ => {}
        }
        if let Some(value) = of(&EXACT, &self.id) {
            return (value, false);
        }
        if let Some(value) = of(&FAMILIES, &self.id) {
            return (value, true);
        }
        if OTHERS.iter().any(|other| other.as_bytes() == self.id) {
            return ("Unknown", false);
        }
        let like = self.like.split(u8::is_ascii_whitespace);
        let found = like.into_iter().find_map(|id| of(&EXACT, id).or_else(|| of(&FAMILIES, id)));
        found.map_or(("Unknown", false), |value| (value, true))
    }
}
