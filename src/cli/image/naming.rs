//! What an image is called: text of the user, in which names in braces stand for what differs from build to build.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::args::{NewArgs, line};
use crate::bytes::{Hostile, rfc3339};
use crate::cli::Usage;
use crate::push::stem;
use crate::source;

/// What objects begin with that are fetched with the key of the bucket.
pub(in crate::cli) const S3: &str = "s3://";

/// What names in braces stand for.
const KNOWN: &str = "{file}, {stem}, {date}, {time} and {build}";

/// Where the values come from.
pub(in crate::cli) struct Naming {
    /// The name of the file, without its folders.
    file: Option<String>,
    /// The build of Packer.
    build: Option<String>,
    /// Seconds since 1970.
    now: u64,
}

impl Naming {
    /// Those of this image, which is a path or a URL, made by this build of Packer, or else by the one that the
    /// environment names.
    pub(in crate::cli) fn of(image: &OsStr, build: Option<&str>) -> Self {
        let named = std::env::var("PACKER_BUILD_NAME").ok().filter(|name| !name.trim().is_empty());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Naming {
            file: file_name(image),
            build: build.map(str::to_owned).or(named),
            now: now.as_secs(),
        }
    }

    /// The name of the file, if there is one.
    pub(in crate::cli) fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The image's name: what was asked for, or that of the file.
    pub(in crate::cli) fn name(&self, new: &NewArgs) -> Result<String, Usage> {
        let name = match (&new.name, &self.file) {
            (Some(name), _) => self.filled(name)?,
            (None, Some(file)) => file.clone(),
            (None, None) => {
                let why = "there is no file name that could be the image's name; give --name";
                return Err(Usage(why.into()));
            }
        };
        line(&name).map_err(|why| Usage(format!("the image's name: {why}; give another --name")))
    }

    /// A text whose names in braces are replaced; `{{` and `}}` are braces.
    fn filled(&self, text: &str) -> Result<String, Usage> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                out.push_str(brace);
                rest = after;
                continue;
            }
            let named = after.split_once('}').filter(|_| brace == "{");
            let (name, after) = named.ok_or_else(|| {
                Usage("--name: a brace has no partner; {{ and }} are braces".into())
            })?;
            out.push_str(&self.value(name)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<String, Usage> {
        let without =
            |what: &str| Usage(format!("--name: {{{name}}} stands for {what}, and there is none"));
        let stamp = || rfc3339(self.now);
        let file = || self.file.clone().ok_or_else(|| without("the name of the file"));
        match name {
            "file" => file(),
            "stem" => Ok(stem(&file()?)),
            "date" => Ok(stamp().chars().take("2026-01-02".len()).collect()),
            "time" => Ok(stamp().chars().filter(|c| !matches!(c, '-' | ':')).collect()),
            "build" => self.build.clone().ok_or_else(|| {
                without("the build of Packer, which --packer-manifest or PACKER_BUILD_NAME names")
            }),
            other => Err(Usage(format!(
                "--name: nothing is called {{{}}}; there are {KNOWN}, and {{{{ and }}}} are braces",
                Hostile::from(other)
            ))),
        }
    }
}

/// The name of the file, without its folders.
fn file_name(image: &OsStr) -> Option<String> {
    let name = match image.to_str().and_then(|image| image.strip_prefix(S3)) {
        Some(object) => Path::new(object).file_name()?.to_owned(),
        None => source::file_name(image)?,
    };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let (file, build) = (Some("server.tar.gz".into()), Some("qemu.nightly".into()));
        let naming = Naming { file, build, now: 1_798_761_599 };
        naming.filled(text).map_err(|Usage(why)| why)
    }

    #[test]
    fn names_in_braces_are_filled_in() {
        for (text, name) in [
            ("plain", "plain"),
            ("{stem} {date}", "server 2026-12-31"),
            ("{file}-{time}", "server.tar.gz-20261231T235959Z"),
            ("{build}{build}ü", "qemu.nightlyqemu.nightlyü"),
            ("{{stem}} }}{{ {{{stem}}}", "{stem} }{ {server}"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(name), "{text}");
        }
        for bad in ["{", "}", "{stem", "stem}", "{}", "{Stem}", "{sha256}", "{a{b}"] {
            assert!(filled(bad).unwrap_err().starts_with("--name: "), "{bad}");
        }
        let bare = Naming { file: None, build: None, now: 0 };
        for text in ["{file}", "{stem}", "{build}"] {
            assert!(bare.filled(text).is_err(), "{text}");
        }
        assert_eq!(bare.filled("{date}").unwrap(), "1970-01-01");
    }

    #[test]
    fn files_have_names() {
        let name = |image: &str| file_name(OsStr::new(image));
        assert_eq!(name("a/b.raw").as_deref(), Some("b.raw"));
        assert_eq!(name("https://h.example/x/y.img?z").as_deref(), Some("y.img"));
        assert_eq!(name("s3://bucket/x/y.img").as_deref(), Some("y.img"));
        assert_eq!((name("-"), name("/")), (None, None));
    }
}
