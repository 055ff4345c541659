//! The names that the API uses, all of them open: what is not known here is kept as it came.

/// Declares an open enum. `exact` compares as it is written, `folded` without case.
macro_rules! open {
    ($(#[$meta:meta])* $type:ident $compare:ident {
        $($(#[$doc:meta])* $variant:ident $name:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[$doc])* $variant,)*
            /// Another one, as it came.
            Other(String),
        }

        impl $type {
            /// The names that were published.
            pub const KNOWN: &[&str] = &[$($name,)*];

            /// As the API writes it. From a server: hostile text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $($type::$variant => $name,)*
                    $type::Other(name) => name,
                }
            }

            /// Whether it was published.
            #[must_use]
            pub fn is_known(&self) -> bool {
                !matches!(self, $type::Other(_))
            }
        }

        impl From<String> for $type {
            fn from(name: String) -> Self {
                $(if open!(@$compare name, $name) {
                    return $type::$variant;
                })*
                $type::Other(name)
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                $type::from(name.to_owned())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(from).map($type::from)
            }
        }
    };
    (@exact $given:ident, $name:literal) => { $given == $name };
    (@folded $given:ident, $name:literal) => { $given.eq_ignore_ascii_case($name) };
}

open! {
    /// Status of an image (`models/image.yml`). The API has changed its case before, so it is compared
    /// without.
    ImageStatus folded {
        /// The import has not begun.
        New "NEW",
        /// Ready.
        Available "available",
        /// It is being imported.
        Pending "pending",
        /// Deleted, or the import failed: then there is an error message.
        Deleted "deleted",
        /// No longer offered. What it means for custom images is not published; it is an end.
        Retired "retired",
    }
}

open! {
    /// Kind of an image (`models/image.yml`).
    ImageType exact {
        /// Offered by DigitalOcean.
        Base "base",
        /// Made of a Droplet.
        Snapshot "snapshot",
        /// Made of a Droplet by itself.
        Backup "backup",
        /// Imported.
        Custom "custom",
        /// DigitalOcean's own.
        Admin "admin",
    }
}

open! {
    /// What a list may be narrowed to (`parameters.yml`).
    QueryType exact {
        /// One-click applications.
        Application "application",
        /// Distributions.
        Distribution "distribution",
    }
}

open! {
    /// Distribution of an image (`shared/attributes/distribution.yml`). The API takes any other and
    /// stores `Unknown`.
    Distribution exact {
        /// Arch Linux.
        ArchLinux "Arch Linux",
        /// CentOS.
        CentOs "CentOS",
        /// CoreOS and its successors, Flatcar among them.
        CoreOs "CoreOS",
        /// Debian.
        Debian "Debian",
        /// Fedora.
        Fedora "Fedora",
        /// Fedora Atomic.
        FedoraAtomic "Fedora Atomic",
        /// FreeBSD.
        FreeBsd "FreeBSD",
        /// Gentoo.
        Gentoo "Gentoo",
        /// openSUSE.
        OpenSuse "openSUSE",
        /// RancherOS.
        RancherOs "RancherOS",
        /// Rocky Linux.
        RockyLinux "Rocky Linux",
        /// Ubuntu.
        Ubuntu "Ubuntu",
        /// None of these.
        Unknown "Unknown",
    }
}

open! {
    /// A region (`shared/attributes/region_slug.yml`, and `atl1`, which the same description uses
    /// elsewhere). `GET /v2/regions` is the truth.
    RegionSlug exact {
        /// Amsterdam 1.
        Ams1 "ams1",
        /// Amsterdam 2.
        Ams2 "ams2",
        /// Amsterdam 3.
        Ams3 "ams3",
        /// Atlanta 1.
        Atl1 "atl1",
        /// Bangalore 1.
        Blr1 "blr1",
        /// Frankfurt 1.
        Fra1 "fra1",
        /// London 1.
        Lon1 "lon1",
        /// New York 1.
        Nyc1 "nyc1",
        /// New York 2.
        Nyc2 "nyc2",
        /// New York 3.
        Nyc3 "nyc3",
        /// San Francisco 1.
        Sfo1 "sfo1",
        /// San Francisco 2.
        Sfo2 "sfo2",
        /// San Francisco 3.
        Sfo3 "sfo3",
        /// Singapore 1.
        Sgp1 "sgp1",
        /// Sydney 1.
        Syd1 "syd1",
        /// Toronto 1.
        Tor1 "tor1",
    }
}

open! {
    /// What is done to an image (`models/image_action.yml`).
    ActionType exact {
        /// Made a snapshot of.
        Convert "convert",
        /// Copied to another region.
        Transfer "transfer",
    }
}

open! {
    /// How far an action is (`resources/actions/models/action.yml`).
    ActionStatus folded {
        /// Not at its end.
        InProgress "in-progress",
        /// Done.
        Completed "completed",
        /// Failed; the API does not say why.
        Errored "errored",
    }
}

/// The name that was probably meant: the nearest of `names`, if it is near enough.
#[must_use]
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = given.trim().to_lowercase();
    let most = folded.chars().count() / 3;
    names
        .into_iter()
        .map(|name| (distance(&folded, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= most.max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters have to be put in, left out, changed, or swapped with the next one (optimal string
/// alignment). Long text is cut: no name is.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    // Of the beginnings of this length of `a`, each to those of `b`.
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let above = &rows[i - 1];
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(row[j - 1] + 1).min(above[j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_survives_a_round_trip() {
        for text in ["\"NEW\"", "\"archived\"", "\"Unknown OS\"", "\"mars1\"", "\"\""] {
            let status: ImageStatus = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&status).unwrap(), text);
            let distribution: Distribution = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&distribution).unwrap(), text);
            let region: RegionSlug = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&region).unwrap(), text);
        }
        assert_eq!(ImageStatus::from("new"), ImageStatus::New);
        assert_eq!(ActionStatus::from("Completed"), ActionStatus::Completed);
        assert_eq!(Distribution::from("ubuntu"), Distribution::Other("ubuntu".into()));
        assert!(RegionSlug::from("atl1").is_known());
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let distribution = |given| nearest(given, Distribution::KNOWN.iter().copied());
        assert_eq!(distribution("ubunut"), Some("Ubuntu"));
        assert_eq!(distribution("rocky-linux"), Some("Rocky Linux"));
        assert_eq!(distribution("Unkown"), Some("Unknown"));
        assert_eq!(distribution("Windows"), None);
        let region = |given| nearest(given, RegionSlug::KNOWN.iter().copied());
        assert_eq!(region("nyc"), Some("nyc1"));
        assert_eq!(region("FRA1"), Some("fra1"));
        assert_eq!(region("asm3"), Some("ams3"));
        assert_eq!((distance("", "ab"), distance("ab", ""), distance("ca", "abc")), (2, 2, 3));
        assert_eq!(region(""), None);
    }
}
