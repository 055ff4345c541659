//! What the inside of an image says of the image that is made of it.

use crate::bytes::Hostile;
use crate::digitalocean::Distribution;
use crate::inspect::Report;

/// What DigitalOcean is asked to store as the distribution, and what the user should know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The distribution; `None` leaves it to DigitalOcean.
    pub distribution: Option<Distribution>,
    /// That it was taken from the image.
    pub note: Option<String>,
    /// That the image is of another one.
    pub warning: Option<String>,
}

/// The distribution that was given, or that of the system inside.
#[must_use]
pub fn distribution(given: Option<&Distribution>, report: Option<&Report>) -> Named {
    let system = report.and_then(|report| report.guest.as_ref()?.system.as_ref());
    let known = system.filter(|system| system.distribution != "Unknown");
    let mut named = Named { distribution: given.cloned(), ..Named::default() };
    let Some(system) = known else { return named };
    let inside = Distribution::from(system.distribution.as_str());
    let family = if system.by_family { ", by its family" } else { "" };
    match given {
        None => {
            named.note = Some(format!(
                "the distribution is {}: the image holds {}{family}",
                inside.as_str(),
                system.name
            ));
            named.distribution = Some(inside);
        }
        Some(given) if *given == inside => {}
        Some(given) => {
            named.warning = Some(format!(
                "the image holds {}, which is {}{family}; DigitalOcean stores {}, as asked for",
                system.name,
                inside.as_str(),
                Hostile::from(given.as_str())
            ));
        }
    }
    named
}

/// How the owner of a Droplet logs in to it.
#[must_use]
pub fn login(report: Option<&Report>) -> Option<String> {
    let login = report.and_then(|report| report.guest.as_ref()?.login.as_ref())?;
    Some(format!("log in to a Droplet of it with ssh {login}@ADDRESS"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::inside::{Inside, System};
    use crate::inspect::{Deaf, Options, inspect};

    fn report(system: Option<System>) -> Report {
        let mut report = inspect("/dev/null".as_ref(), &Options::default(), &Deaf);
        let login = Some("root".to_owned());
        report.guest = Some(Inside { system, login, ..Inside::default() });
        report
    }

    fn debian(by_family: bool) -> System {
        let (name, id) = ("Debian GNU/Linux 12".to_owned(), "debian".to_owned());
        let distribution = "Debian".to_owned();
        System { name, id, version: None, distribution, by_family, architecture: None }
    }

    #[test]
    fn the_system_inside_names_the_distribution() {
        let report_of = |system| report(Some(system));
        let named = distribution(None, Some(&report_of(debian(false))));
        assert_eq!(named.distribution, Some(Distribution::from("Debian")));
        assert_eq!(
            named.note.unwrap(),
            "the distribution is Debian: the image holds Debian GNU/Linux 12"
        );
        let named = distribution(None, Some(&report_of(debian(true))));
        assert!(named.note.unwrap().ends_with(", by its family"));
        let given = Distribution::from("Ubuntu");
        let named = distribution(Some(&given), Some(&report_of(debian(false))));
        assert_eq!(named.distribution, Some(given));
        assert!(named.warning.unwrap().contains("stores Ubuntu"));
        let given = Distribution::from("Debian");
        let named = distribution(Some(&given), Some(&report_of(debian(false))));
        assert_eq!((named.note, named.warning), (None, None));
        let unknown = System { distribution: "Unknown".to_owned(), ..debian(false) };
        assert_eq!(distribution(None, Some(&report_of(unknown))), Named::default());
        assert_eq!(distribution(None, None), Named::default());
        assert_eq!(
            login(Some(&report(None))).unwrap(),
            "log in to a Droplet of it with ssh root@ADDRESS"
        );
    }
}
