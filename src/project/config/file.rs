//! The text of the file, parsed into images that are right.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::fault::{Lines, Wrong};
use super::{Image, Place, Set};
use crate::bytes::{Hostile, read_size, unhex};
use crate::facts::Code;
use crate::inspect::Guest;
use crate::project::Below;
use crate::rules::{Policy, Severity};
use crate::source::is_url;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    defaults: Option<Entry>,
    #[serde(default)]
    image: Vec<Spanned<Entry>>,
}

/// An image, or what all images have in common.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<Spanned<String>>,
    path: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    sha256: Option<Spanned<String>>,
    regions: Option<Spanned<Vec<String>>>,
    distribution: Option<Spanned<String>>,
    description: Option<Spanned<String>>,
    describe: Option<Spanned<bool>>,
    tags: Option<Spanned<Vec<String>>>,
    max_size: Option<Spanned<String>>,
    #[serde(default)]
    reject: Vec<Spanned<String>>,
    #[serde(default)]
    warn: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    strict: Option<Spanned<bool>>,
    guest: Option<Spanned<String>>,
    boot: Option<Spanned<bool>>,
    bucket: Option<Spanned<String>>,
    receipt: Option<Spanned<String>>,
}

/// Keys that one would look for, and why there are none: where the user says it instead.
const REFUSED: [(&[&str], &str); 7] = [
    (
        &["endpoint", "spaces_endpoint", "endpoint_url", "api_url", "api", "spaces_region"],
        "set SPACES_ENDPOINT_URL, SPACES_REGION or DIGITALOCEAN_API_URL, or give --spaces-endpoint",
    ),
    (
        &[
            "token",
            "token_file",
            "context",
            "access_key",
            "secret_key",
            "credentials",
            "keys",
            "mint_key",
        ],
        "set DIGITALOCEAN_TOKEN and SPACES_ACCESS_KEY_ID, or give --token-file",
    ),
    (&["proxy", "http_proxy", "https_proxy", "no_proxy"], "set https_proxy in the environment"),
    (&["ca", "cacert", "insecure", "insecure_http"], "give --cacert or --insecure-http"),
    (&["state", "state_dir", "journal", "cache", "cache_dir"], "give --state or --cache"),
    (&["url_rules", "no_url_rules"], "give --no-url-rules"),
    (&["header", "headers"], "give --header"),
];

/// The images.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Vec<Image>, Wrong> {
    let document: Document = toml::from_str(text).map_err(|error| unparsed(text, &error))?;
    let defaults = document.defaults;
    if let Some(defaults) = &defaults {
        let own = [
            ("name", &defaults.name),
            ("path", &defaults.path),
            ("url", &defaults.url),
            ("sha256", &defaults.sha256),
            ("receipt", &defaults.receipt),
        ];
        if let Some((key, value)) =
            own.into_iter().find_map(|(key, value)| Some((key, value.as_ref()?)))
        {
            let said = format!("`{key}` is of one image; put it into an [[image]]");
            return Err(Wrong::new(value.span(), said));
        }
    }
    let lines = Lines::of(text);
    let mut images: Vec<Image> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for entry in document.image {
        let image = image(&lines, folder, &entry, defaults.as_ref())?;
        if let Some(first) = known.insert(image.name.value.clone(), image.name.line) {
            let name = Hostile::from(image.name.value.as_str());
            let at = entry.get_ref().name.as_ref().map_or(entry.span(), Spanned::span);
            let said = format!(
                "two images have the name \"{name}\"; the first one stands in line {first}. Give one of them another name"
            );
            return Err(Wrong::new(at, said));
        }
        images.push(image);
    }
    Ok(images)
}

/// What the parser says, with the reason for keys that are refused on purpose.
fn unparsed(text: &str, error: &toml::de::Error) -> Wrong {
    let at = error.span().unwrap_or(0..0);
    let said = Hostile::message(error.message()).to_string();
    let key = text.get(at.clone()).unwrap_or_default().trim_matches(['"', '\'']);
    let folded = key.to_lowercase().replace('-', "_");
    let refused = REFUSED.iter().find(|(keys, _)| keys.contains(&folded.as_str()));
    match refused.filter(|_| said.starts_with("unknown field")) {
        Some((_, instead)) => Wrong::new(
            at.clone(),
            format!(
                "`{folded}` cannot be set here: a file that is found in a folder is not trusted with whom to speak and \
                 what to believe; {instead}"
            ),
        )
        .hiding(at.end),
        None if said.starts_with("invalid type") => {
            let said = of_type(text, &at, &said).unwrap_or(said);
            Wrong::new(at, said)
        }
        None => Wrong::new(
            at,
            said.replace("unknown field", "unknown key").replace("expected one of", "there are"),
        ),
    }
}

/// What a key takes, instead of what the parser expected.
fn of_type(text: &str, at: &Range<usize>, said: &str) -> Option<String> {
    let value = text.get(at.clone())?;
    let line = text.get(..at.start)?.rsplit('\n').next()?;
    let key = match line.split_once('=') {
        Some((key, _)) => key.trim(),
        // The head of a table, or a part of a list of several lines.
        None if value.starts_with('[') => value.trim_matches(['[', ']']).trim(),
        None => "",
    };
    if key == "image" {
        return Some("an image begins with a line [[image]], in double brackets".into());
    }
    if key == "defaults" {
        return Some("what all images have in common begins with a line [defaults]".into());
    }
    let is_key = !key.is_empty()
        && key.bytes().all(|c| c.is_ascii_lowercase() || b"_0123456789".contains(&c));
    let key = if is_key { key } else { "this" };
    let (_, expected) = said.split_once("expected ")?;
    let example = |value: &str| match value.starts_with('"') {
        true => value.to_owned(),
        false => format!("\"{value}\""),
    };
    let is_word =
        !value.contains(['[', '{', '\'', '\n']) && Hostile::from(value).to_string() == value;
    let value = if is_word { example(value) } else { "\"…\"".to_owned() };
    match expected {
        "a sequence" => Some(format!("{key} takes a list, such as [{value}]")),
        "a boolean" => Some(format!("{key} takes true or false, without quotes")),
        "a string" => Some(format!("{key} takes text in quotes, such as {value}")),
        _ => None,
    }
}

fn image(
    lines: &Lines,
    folder: &Path,
    entry: &Spanned<Entry>,
    defaults: Option<&Entry>,
) -> Result<Image, Wrong> {
    let (at, entry) = (entry.span(), entry.get_ref());
    let set = |at: usize| lines.of_byte(at);
    let name = entry
        .name
        .as_ref()
        .ok_or_else(|| Wrong::new(at.clone(), "this image has no name; add name = \"…\""))?;
    let name = words(lines, name, "a name")?;
    let place = match (&entry.path, &entry.url) {
        (Some(path), None) => {
            Set { line: set(path.span().start), value: Place::Path(below(folder, path)?) }
        }
        (None, Some(url)) => Set { line: set(url.span().start), value: Place::Url(address(url)?) },
        (Some(_), Some(url)) => {
            return Err(Wrong::new(
                url.span(),
                "this image has a path and a url; it is in one place only",
            ));
        }
        (None, None) => {
            return Err(Wrong::new(
                at,
                "this image is nowhere; add path = \"…\" or url = \"https://…\"",
            ));
        }
    };
    let sha256 = entry.sha256.as_ref().map(|hex| {
        let wrong = || Wrong::new(hex.span(), "sha256 takes 64 hexadecimal digits");
        let value = unhex(hex.get_ref()).ok_or_else(wrong)?;
        Ok(Set { value, line: set(hex.span().start) })
    });
    let receipt = entry
        .receipt
        .as_ref()
        .map(|path| Ok(Set { value: below(folder, path)?, line: set(path.span().start) }));
    /// What the image says, or what all images have in common.
    macro_rules! said {
        ($key:ident) => {
            entry.$key.as_ref().or_else(|| defaults?.$key.as_ref())
        };
    }
    let max_size = said!(max_size).map(|size| {
        let wrong =
            || Wrong::new(size.span(), "max_size takes a size such as \"100GB\" or \"20GiB\"");
        let value = read_size(size.get_ref()).ok_or_else(wrong)?;
        Ok(Set { value, line: set(size.span().start) })
    });
    let flag =
        |it: &Spanned<bool>| Set { value: *it.get_ref(), line: lines.of_byte(it.span().start) };
    let guest = said!(guest).map(|when| {
        let wrong = || Wrong::new(when.span(), "guest takes \"auto\", \"never\" or \"require\"");
        let value = Guest::from_name(when.get_ref()).ok_or_else(wrong)?;
        Ok(Set { value, line: set(when.span().start) })
    });
    Ok(Image {
        name,
        place,
        sha256: sha256.transpose()?,
        regions: said!(regions).map(|all| list(lines, all, "regions")).transpose()?,
        distribution: said!(distribution)
            .map(|name| words(lines, name, "a distribution"))
            .transpose()?,
        description: said!(description)
            .map(|about| words(lines, about, "a description"))
            .transpose()?,
        describe: said!(describe).map(flag),
        tags: said!(tags).map(|all| list(lines, all, "tags")).transpose()?,
        max_size: max_size.transpose()?,
        policy: policy(lines, defaults, entry)?,
        strict: said!(strict).map(flag),
        boot: said!(boot).map(flag),
        guest: guest.transpose()?,
        bucket: said!(bucket).map(|name| words(lines, name, "a bucket")).transpose()?,
        receipt: receipt.transpose()?,
    })
}

/// Text that is not empty, and has no characters that act on a terminal.
fn words(lines: &Lines, value: &Spanned<String>, what: &str) -> Result<Set<String>, Wrong> {
    let (at, value) = (value.span(), value.get_ref());
    if value.trim().is_empty() {
        return Err(Wrong::new(at, format!("{what} cannot be empty")));
    }
    if value.chars().any(char::is_control) {
        return Err(Wrong::new(at, format!("{what} cannot have control characters")));
    }
    Ok(Set { value: value.clone(), line: lines.of_byte(at.start) })
}

fn list(lines: &Lines, all: &Spanned<Vec<String>>, key: &str) -> Result<Set<Vec<String>>, Wrong> {
    let bad = |one: &String| one.trim().is_empty() || one.chars().any(char::is_control);
    if all.get_ref().iter().any(bad) || (key == "regions" && all.get_ref().is_empty()) {
        return Err(Wrong::new(
            all.span(),
            format!("{key} takes a list of names, such as [\"a\", \"b\"]"),
        ));
    }
    Ok(Set { value: all.get_ref().clone(), line: lines.of_byte(all.span().start) })
}

fn below(folder: &Path, path: &Spanned<String>) -> Result<Below, Wrong> {
    if is_url(path.get_ref().as_ref()) {
        return Err(Wrong::new(
            path.span(),
            "this is a URL; write url = \"https://…\" instead of path",
        ));
    }
    Below::new(folder, path.get_ref()).map_err(|why| Wrong::new(path.span(), why))
}

/// A URL without secrets: a file in a repository is no place for them.
fn address(url: &Spanned<String>) -> Result<String, Wrong> {
    let (at, url) = (url.span(), url.get_ref());
    if !is_url(url.as_ref()) {
        return Err(Wrong::new(
            at,
            "url takes a URL such as https://example.com/disk.qcow2; for a file write path = \"…\"",
        ));
    }
    #[cfg(feature = "net")]
    {
        let address =
            crate::source::address(url.as_ref()).map_err(|why| Wrong::new(at.clone(), why))?;
        if address.has_credentials() {
            let said = "a user name and a password do not belong into this file; check such a URL with --header";
            return Err(Wrong::new(at.clone(), said).hiding(at.start));
        }
    }
    Ok(url.clone())
}

/// What weighs otherwise: what the image says comes before what all images have in common.
fn policy(
    lines: &Lines,
    defaults: Option<&Entry>,
    entry: &Entry,
) -> Result<Vec<Set<(Code, Severity)>>, Wrong> {
    let mut policy: Vec<Set<(Code, Severity)>> = Vec::new();
    for table in defaults.into_iter().chain([entry]) {
        let mut here = Vec::new();
        for (names, severity) in [
            (&table.allow, Severity::Note),
            (&table.warn, Severity::Warn),
            (&table.reject, Severity::Reject),
        ] {
            for name in names {
                let wrong = |why: String| Wrong::new(name.span(), why);
                Policy::default()
                    .set(name.get_ref(), severity)
                    .map_err(|e| wrong(e.to_string()))?;
                let unknown = || wrong("there is no such finding".into());
                let code = Code::from_name(name.get_ref()).ok_or_else(unknown)?;
                if here.contains(&code) {
                    let said =
                        format!("`{}` stands twice in reject, warn and allow", code.as_str());
                    return Err(wrong(said));
                }
                here.push(code);
                policy.retain(|known| known.value.0 != code);
                policy
                    .push(Set { value: (code, severity), line: lines.of_byte(name.span().start) });
            }
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::super::fault::line_of;
    use super::*;
    use proptest::prelude::*;

    fn wrong(text: &str) -> String {
        match parse(text, Path::new("/p")) {
            Ok(images) => panic!("{text}: {images:?}"),
            Err(wrong) => format!("{}: {}", line_of(text, wrong.at.start), wrong.said),
        }
    }

    const ONE: &str = "[[image]]\nname = \"a\"\npath = \"a.img\"\n";

    #[test]
    fn an_image_has_what_all_have_in_common() {
        let text = format!(
            "[defaults]\nregions = [\"fra1\"]\nmax_size = \"20GB\"\nallow = [\"iso-hybrid\"]\n{ONE}strict = true\nwarn = [\"iso-hybrid\"]\n"
        );
        let images = parse(&text, Path::new("/p")).unwrap();
        let image = &images[0];
        assert_eq!(image.max_size, Some(Set { value: 20_000_000_000, line: 3 }));
        assert_eq!(image.regions.as_ref().unwrap().value, ["fra1"]);
        assert_eq!(image.policy, [Set { value: (Code::IsoHybrid, Severity::Warn), line: 9 }]);
        assert_eq!(image.strict, Some(Set { value: true, line: 8 }));
        assert_eq!((&image.guest, &image.describe), (&None, &None));
        assert_eq!(parse("", Path::new("/p")).unwrap().len(), 0);
        let text =
            format!("[defaults]\nguest = \"require\"\n{ONE}guest = \"never\"\ndescribe = true\n");
        let images = parse(&text, Path::new("/p")).unwrap();
        assert_eq!(images[0].guest, Some(Set { value: Guest::Never, line: 6 }));
        assert_eq!(images[0].describe, Some(Set { value: true, line: 7 }));
    }

    #[test]
    fn what_is_wrong_is_said_at_its_line() {
        for (tail, said) in [
            ("endpoint = \"x\"", "4: `endpoint` cannot be set here"),
            ("\"https-proxy\" = \"x\"", "4: `https_proxy` cannot be set here"),
            ("nonsense = 1", "4: unknown key `nonsense`"),
            ("strict = 1", "4: strict takes true or false"),
            ("tags = [\n5]", "5: this takes text in quotes, such as \"5\""),
            ("tags = {}", "4: tags takes a list, such as [\"…\"]"),
            ("strict = ", "4: "),
            ("sha256 = \"00\"", "4: sha256 takes 64"),
            ("url = \"https://h/x\"", "4: this image has a path and a url"),
            ("max_size = \"big\"", "4: max_size takes"),
            ("reject = [\n\"nope\"]", "5: there is no finding `nope`"),
            ("allow = [\"gzip-truncated\"]", "4: `gzip-truncated` cannot be allowed"),
            ("allow = [\"iso-hybrid\"]\nwarn = [\"iso-hybrid\"]", "5: `iso-hybrid` stands twice"),
            ("guest = \"yes\"", "4: guest takes \"auto\", \"never\" or \"require\""),
            ("guest = true", "4: guest takes text in quotes"),
            ("describe = \"yes\"", "4: describe takes true or false"),
            ("receipt = \"../r.json\"", "4: the path goes up"),
            ("regions = []", "4: regions takes"),
            ("description = \"a\\u001bb\"", "4: a description cannot"),
            (
                "[[image]]\nname = \"a\"\npath = \"b\"",
                "5: two images have the name \"a\"; the first one stands in line 2",
            ),
            ("[[image]]\nname = \"b\"", "4: this image is nowhere"),
            ("[[image]]\npath = \"b\"", "4: this image has no name"),
            ("[[image]]\nname = \"b\"\npath = \"https://h/x\"", "6: this is a URL"),
            ("[[image]]\nname = \"b\"\nurl = \"disk.img\"", "6: url takes a URL"),
            ("[defaults]\nname = \"b\"", "5: `name` is of one image"),
            ("name = \"b\"", "4: duplicate key"),
        ] {
            let got = wrong(&format!("{ONE}{tail}\n"));
            assert!(got.starts_with(said), "{tail}: {got}");
        }
        assert!(wrong("token = \"s3cret\"").starts_with("1: `token` cannot"));
    }

    #[test]
    #[cfg(feature = "net")]
    fn urls_have_no_secrets() {
        let got = wrong("[[image]]\nname = \"b\"\nurl = \"https://me:s3cret@h/x\"");
        assert!(got.starts_with("3: a user name") && !got.contains("s3cret"), "{got}");
    }

    proptest! {
        #[test]
        fn any_text_is_images_or_a_fault(text in "[\\[\\]a-z=\"\n .#\\\\ö{},1]{0,80}") {
            if let Err(wrong) = parse(&text, Path::new("/p")) {
                let _ = super::super::Fault::new(&"f".into(), &text, wrong).to_string();
            }
        }
    }
}
