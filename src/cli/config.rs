//! `tidegate init` and `tidegate config`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{ConfigArgs, FlagArgs, Format, GuestArg};
use super::{ACCEPTED, Usage, output, project};
use crate::bytes::{Hostile, hex, human_size};
use crate::facts::Code;
use crate::inspect::Guest;
use crate::project::{self as projects, Image, NAME, Place, Set};
use crate::rules::{SIZE_LIMIT, Severity};

/// So many files of a folder are looked at.
const MOST_FILES: usize = 10_000;

/// So many files are told that were left out.
const TOLD: usize = 10;

/// Writes a new file, and never over one.
pub(super) fn init() -> Result<u8, Usage> {
    let (files, folders) =
        entries(Path::new(".")).map_err(|e| Usage(format!("cannot read this folder: {e}")))?;
    let inner = folders.iter().filter(|name| projects::is_output_folder(name)).flat_map(|folder| {
        // What cannot be looked into has no images for this user.
        let (files, _) = entries(Path::new(folder)).unwrap_or_default();
        files.into_iter().map(move |file| Path::new(folder).join(file).into_os_string())
    });
    let files: Vec<OsString> = files.into_iter().chain(inner).collect();
    let starter = projects::starter(&files);
    let above = project::project().ok().flatten();
    // All of it or nothing: what is cut off might be taken for a whole one.
    let made = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(".");
    let made = made.and_then(|mut file| {
        file.write_all(starter.text.as_bytes())?;
        file.persist_noclobber(NAME).map_err(|e| e.error)
    });
    made.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Usage(format!("there is a {NAME} here already; `tidegate config` shows what it says"))
        }
        _ => Usage(format!("cannot write {NAME}: {e}")),
    })?;
    for (file, why) in starter.left_out.iter().take(TOLD) {
        output::warn(&format!("{} is left out: {why}", Hostile::from_os(file)));
    }
    if starter.left_out.len() > TOLD {
        output::warn(&format!("{} more are left out", starter.left_out.len() - TOLD));
    }
    if let Some(above) = above {
        output::warn(&format!(
            "here and below, this file takes the place of {}",
            Hostile::from_os(above.file.as_os_str())
        ));
    }
    // It may lie where it is not believed.
    if let Err(Usage(why)) = project::project() {
        output::warn(&why);
    }
    let images = match starter.images {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    };
    let told = match starter.images {
        0 => format!(
            "wrote {NAME}; no image was found here, so write one into it (an [[image]] with name and path), then run \
             `tidegate check`\n"
        ),
        _ => format!("wrote {NAME} with {images}; look through it, then run `tidegate check`\n"),
    };
    output::write(&mut None, &told)?;
    Ok(ACCEPTED)
}

/// The names of the files and of the folders in a folder, no links.
fn entries(folder: &Path) -> std::io::Result<(Vec<OsString>, Vec<OsString>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)?.take(MOST_FILES) {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        if kind.is_file() {
            files.push(name);
        } else if kind.is_dir() {
            folders.push(name);
        }
    }
    Ok((files, folders))
}

/// Something that counts, and where it comes from.
struct Setting {
    key: &'static str,
    value: Value,
    shown: String,
    from: From,
}

/// Where a value comes from.
enum From {
    /// An option of the command line.
    Flag(&'static str),
    Environment(&'static str),
    /// A line of the file.
    File(usize),
    Default,
}

/// Shows what counts.
pub(super) fn config(args: &ConfigArgs) -> Result<u8, Usage> {
    let project = project::project()?;
    let file = project.as_ref().map(|project| project.file.as_path());
    let images = project.as_ref().map(|project| project.images.as_slice()).unwrap_or_default();
    if let Some(name) = args.image.as_deref()
        && !images.iter().any(|image| image.name.value == name)
    {
        let known: Vec<String> = images
            .iter()
            .map(|image| Hostile::from(image.name.value.as_str()).to_string())
            .collect();
        let name = Hostile::from(name);
        return Err(Usage(match known.is_empty() {
            true => {
                format!("there is no image \"{name}\"; write a tidegate.toml with `tidegate init`")
            }
            false => format!(
                "there is no image \"{name}\" in tidegate.toml; there are {}",
                known.join(", ")
            ),
        }));
    }
    let wanted = images
        .iter()
        .filter(|image| args.image.as_ref().is_none_or(|name| *name == image.name.value));
    let images = wanted
        .map(|image| Ok((image, of_image(image, &args.flags)?)))
        .collect::<Result<Vec<(&Image, Vec<Setting>)>, Usage>>()?;
    let surroundings = surroundings(&args.flags);
    let text = match args.format {
        Format::Json => document(file, &surroundings, &images),
        _ => text(file, &surroundings, &images),
    };
    output::write(&mut None, &text)?;
    Ok(ACCEPTED)
}

fn text(
    file: Option<&Path>,
    surroundings: &[Setting],
    images: &[(&Image, Vec<Setting>)],
) -> String {
    let mut out = match file {
        Some(file) => format!("file  {}\n", Hostile::from_os(file.as_os_str())),
        None => "file  none; `tidegate init` writes one\n".to_owned(),
    };
    let mut section = |title: &str, settings: &[Setting]| {
        let _ = writeln!(out, "\n{title}");
        for setting in settings {
            let from = match &setting.from {
                From::Flag(name) => format!("flag, {name}"),
                From::Environment(name) => format!("environment, {name}"),
                From::File(line) => format!("file, line {line}"),
                From::Default => "default".to_owned(),
            };
            let _ = writeln!(out, "  {:<16} {:<40} {from}", setting.key, setting.shown);
        }
    };
    section("all commands", surroundings);
    for (image, settings) in images {
        section(&format!("image {}", Hostile::from(image.name.value.as_str())), settings);
    }
    out.push_str("\nOptions on the command line beat all of it; given here, they are shown.\n");
    out
}

fn document(
    file: Option<&Path>,
    surroundings: &[Setting],
    images: &[(&Image, Vec<Setting>)],
) -> String {
    let settings = |settings: &[Setting]| {
        let entries = settings.iter().map(|setting| {
            let from = match &setting.from {
                From::Flag(name) => json!({"from": "flag", "flag": name}),
                From::Environment(name) => json!({"from": "environment", "variable": name}),
                From::File(line) => json!({"from": "file", "line": line}),
                From::Default => json!({"from": "default"}),
            };
            let mut entry = from;
            entry["key"] = json!(setting.key);
            entry["value"] = setting.value.clone();
            entry
        });
        Value::Array(entries.collect())
    };
    let images: Vec<Value> = images
        .iter()
        .map(|(image, all)| json!({"name": image.name.value, "settings": settings(all)}))
        .collect();
    let document = json!({
        "schema": "tidegate.config/1",
        "file": file.map(|file| Hostile::from_os(file.as_os_str()).to_string()),
        "settings": settings(surroundings),
        "images": images,
    });
    format!("{document:#}\n")
}

/// What comes from options and the environment alone. Secrets are not shown, and neither is a part of them.
fn surroundings(flags: &FlagArgs) -> Vec<Setting> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let variable = |key, name: &'static str, default: Value| {
        let value = set(name).map(|value| without_secrets(&value));
        let from = if value.is_some() { From::Environment(name) } else { From::Default };
        setting(key, value.map_or(default, Value::from), from)
    };
    let secret = |key, names: &[&'static str]| match names
        .iter()
        .copied()
        .find(|name| set(name).is_some())
    {
        Some(name) => Setting {
            shown: "set, not shown".into(),
            ..setting(key, json!(true), From::Environment(name))
        },
        None => Setting { shown: "not set".into(), ..setting(key, json!(false), From::Default) },
    };
    vec![
        variable("api_url", "DIGITALOCEAN_API_URL", json!("https://api.digitalocean.com")),
        secret("token", &["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"]),
        flags.spaces_endpoint.as_deref().map_or_else(
            || variable("spaces_endpoint", "SPACES_ENDPOINT_URL", Value::Null),
            |url| flag("spaces_endpoint", "--spaces-endpoint", json!(without_secrets(url))),
        ),
        flags.spaces_region.as_deref().map_or_else(
            || variable("spaces_region", "SPACES_REGION", Value::Null),
            |slug| flag("spaces_region", "--spaces-region", json!(slug)),
        ),
        secret(
            "spaces_key",
            &["SPACES_ACCESS_KEY_ID", "DIGITALOCEAN_SPACES_ACCESS_KEY", "AWS_ACCESS_KEY_ID"],
        ),
        secret("receipt_key", &[super::receipts::KEY]),
        match super::receipts::by_environment() {
            _ if flags.no_cache => flag("cache", "--no-cache", json!(false)),
            _ if flags.cache => flag("cache", "--cache", json!(true)),
            Ok(Some(on)) => setting("cache", json!(on), From::Environment(super::receipts::CACHE)),
            Ok(None) => setting("cache", json!(false), From::Default),
            Err(_) => setting(
                "cache",
                json!("neither on nor off"),
                From::Environment(super::receipts::CACHE),
            ),
        },
    ]
}

/// An address as it may be shown.
fn without_secrets(value: &str) -> String {
    crate::source::shown(value.trim().as_ref()).to_string()
}

fn of_image(image: &Image, flags: &FlagArgs) -> Result<Vec<Setting>, Usage> {
    let mut all = Vec::new();
    all.push(match &image.place.value {
        Place::Path(path) => {
            let path = Hostile::from_os(path.path().as_os_str()).to_string();
            setting("path", json!(path), From::File(image.place.line))
        }
        Place::Url(url) => {
            setting("url", json!(without_secrets(url)), From::File(image.place.line))
        }
    });
    all.push(match &flags.sha256 {
        Some(text) => {
            let sha256 = super::checksums::sha256(text)
                .ok_or_else(|| Usage("--sha256 takes 64 hexadecimal digits".into()))?;
            flag("sha256", "--sha256", json!(hex(&sha256)))
        }
        None => {
            let set = image.sha256.as_ref();
            let sha256 = set.map(|set| Set { value: hex(&set.value), line: set.line });
            said("sha256", &sha256, Value::Null)
        }
    });
    all.push(regions(image, flags));
    let text = |key, name, given: &Option<String>, set: &Option<Set<String>>| match given {
        Some(given) => flag(key, name, json!(given)),
        None => said(key, set, Value::Null),
    };
    all.push(text("distribution", "--distribution", &flags.distribution, &image.distribution));
    all.push(text("description", "--description", &flags.description, &image.description));
    all.push(match flags.describe {
        true => flag("describe", "--describe", json!(true)),
        false => said("describe", &image.describe, json!(false)),
    });
    all.push(match flags.tag.as_slice() {
        [] => said("tags", &image.tags, json!([])),
        tags => flag("tags", "--tag", json!(tags)),
    });
    let given = flags.max_size.as_deref().map(super::check::size).transpose()?;
    let max_size = match given {
        Some(bytes) => flag("max_size", "--max-size", json!(bytes)),
        None => said("max_size", &image.max_size, json!(SIZE_LIMIT)),
    };
    let bytes = given.or(image.max_size.as_ref().map(|size| size.value)).unwrap_or(SIZE_LIMIT);
    all.push(Setting { shown: human_size(bytes), ..max_size });
    all.extend(policy(image, flags)?);
    all.push(match flags.strict {
        true => flag("strict", "--strict", json!(true)),
        false => said("strict", &image.strict, json!(false)),
    });
    all.push(match flags.guest {
        Some(guest) => flag("guest", "--guest", json!(GuestArg::option(Some(guest)).as_str())),
        None => {
            let set = image.guest.as_ref();
            let guest = set.map(|set| Set { value: set.value.as_str(), line: set.line });
            said("guest", &guest, json!(Guest::Auto.as_str()))
        }
    });
    all.push(match flags.boot {
        true => flag("boot", "--boot", json!(true)),
        false => said("boot", &image.boot, json!(false)),
    });
    let variable = std::env::var("SPACES_BUCKET").ok().filter(|name| !name.trim().is_empty());
    all.push(match (&flags.bucket, variable) {
        (Some(name), _) => flag("bucket", "--bucket", json!(name)),
        (None, Some(name)) => {
            setting("bucket", json!(name.trim()), From::Environment("SPACES_BUCKET"))
        }
        (None, None) => said("bucket", &image.bucket, Value::Null),
    });
    let shown = |path: &Path| Hostile::from_os(path.as_os_str()).to_string();
    all.push(match &flags.receipt {
        Some(path) => flag("receipt", "--receipt", json!(shown(path))),
        None => {
            let set = image.receipt.as_ref();
            let receipt = set.map(|set| Set { value: shown(&set.value.path()), line: set.line });
            said("receipt", &receipt, Value::Null)
        }
    });
    Ok(all)
}

/// As a push has them: a region of the command line is all of the place.
fn regions(image: &Image, flags: &FlagArgs) -> Setting {
    let of_file = image.regions.iter().flat_map(|set| &set.value);
    match (&flags.region, flags.transfer.as_slice()) {
        (None, []) => said("regions", &image.regions, json!([])),
        (None, others) => {
            flag("regions", "--transfer", json!(of_file.take(1).chain(others).collect::<Vec<_>>()))
        }
        (Some(first), others) => flag(
            "regions",
            "--region",
            json!([first].into_iter().chain(others).collect::<Vec<_>>()),
        ),
    }
}

/// What findings weigh: options come after what the file says, and in its place.
fn policy(image: &Image, flags: &FlagArgs) -> Result<Vec<Setting>, Usage> {
    let given = super::check::policy(&flags.allow, &flags.warn, &flags.reject)?;
    let weighs = |(code, severity): (Code, Severity), from| {
        let value = json!({"code": code.as_str(), "severity": severity});
        let shown = format!("{} {}", severity.as_str(), code.as_str());
        Setting { key: "policy", value, shown, from }
    };
    let is_given = |code| given.said().iter().any(|(other, _)| *other == code);
    let of_file = image.policy.iter().filter(|set| !is_given(set.value.0));
    let of_file = of_file.map(|set| weighs(set.value, From::File(set.line)));
    let of_flags = given.said().iter().map(|&(code, severity)| {
        let name = match severity {
            Severity::Reject => "--reject",
            Severity::Warn => "--warn",
            Severity::Note => "--allow",
        };
        weighs((code, severity), From::Flag(name))
    });
    Ok(of_file.chain(of_flags).collect())
}

fn flag(key: &'static str, name: &'static str, value: Value) -> Setting {
    setting(key, value, From::Flag(name))
}

fn said<T: serde::Serialize>(key: &'static str, set: &Option<Set<T>>, default: Value) -> Setting {
    match set {
        Some(set) => setting(key, json!(set.value), From::File(set.line)),
        None => setting(key, default, From::Default),
    }
}

fn setting(key: &'static str, value: Value, from: From) -> Setting {
    let one = |value: &Value| match value {
        Value::String(text) => Hostile::message(text).to_string(),
        other => other.to_string(),
    };
    let shown = match &value {
        Value::Null => "-".to_owned(),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => all.iter().map(one).collect::<Vec<_>>().join(", "),
        value => one(value),
    };
    Setting { key, value, shown, from }
}
