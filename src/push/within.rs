//! What the inside of an image says of the image that is made of it.

use super::compared;
use crate::bytes::Hostile;
use crate::digitalocean::{Distribution, PushId};
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

/// What is written about the image, and why that is less than what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The description; `None` if there is none.
    pub text: Option<String>,
    /// Why it does not have the system.
    pub warning: Option<String>,
}

/// Characters of what the image says of itself at most: a long description may be cut, and a mark stands at its end.
const LONGEST: usize = 200;

/// The description that was given, followed by system and kernel of the image.
#[must_use]
pub fn described(given: Option<&str>, report: Option<&Report>) -> Described {
    let given = given.filter(|given| !given.trim().is_empty());
    let without = |why: &str| Described {
        text: given.map(str::to_owned),
        warning: Some(format!("the description does not name the system: {why}")),
    };
    let Some(inside) = report.and_then(|report| report.guest.as_ref()) else {
        return without("the disk was not examined");
    };
    let system = inside.system.as_ref().map(|system| system.name.clone());
    let kernel = inside.kernels.first().map(|kernel| format!("Linux {}", kernel.version));
    let found: Vec<String> = system.into_iter().chain(kernel).collect();
    if found.is_empty() {
        return without("the disk holds none that tidegate knows");
    }
    let found = compared::without(&found.join(", "));
    if PushId::foreign_mark(Some(&found), &[]).is_some() {
        return without("what the image calls itself has the mark of a push");
    }
    let found: String = found.chars().take(LONGEST).collect();
    let text = given.map_or(found.clone(), |given| format!("{given}; {found}"));
    Described { text: Some(text), warning: None }
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
    use crate::guest::inside::{Inside, Kernel, System};
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
    fn the_system_inside_describes_the_image() {
        let report_of = |name: &str, kernel: &str| {
            let mut report = report(Some(System { name: name.to_owned(), ..debian(false) }));
            let kernel = Kernel { version: kernel.to_owned(), path: String::new(), boots: true };
            report.guest.as_mut().unwrap().kernels.push(kernel);
            report
        };
        let debian = report_of("Debian GNU/Linux 12 (bookworm)", "6.1.0-40-cloud-amd64");
        let text = "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-40-cloud-amd64";
        let all = |given| described(given, Some(&debian));
        assert_eq!(all(None), Described { text: Some(text.to_owned()), warning: None });
        assert_eq!(all(Some("")).text.unwrap(), text);
        assert_eq!(all(Some("Built at night")).text.unwrap(), format!("Built at night; {text}"));

        let unexamined = described(Some("mine"), None);
        assert_eq!(unexamined.text.as_deref(), Some("mine"));
        assert!(unexamined.warning.unwrap().ends_with("the disk was not examined"));
        let nothing = described(None, Some(&report(None)));
        assert!(nothing.text.is_none() && nothing.warning.unwrap().contains("holds none"));

        // What an image calls itself is no word of a push.
        let mark = PushId::random().note();
        let marked = described(None, Some(&report_of(&mark, "6.1")));
        assert!(marked.text.is_none() && marked.warning.unwrap().contains("the mark of a push"));
        let word = format!("Debian {}", compared::WORD);
        let said = described(None, Some(&report_of(&word, "6.1"))).text.unwrap();
        assert!(!said.contains(compared::WORD), "{said}");
        let long = described(None, Some(&report_of(&"x".repeat(5000), "6.1"))).text.unwrap();
        assert_eq!(long.len(), LONGEST);
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
