//! What is inside a disk: one line of it for a report of a check, all of it as text or JSON.

use std::fmt::Write;

use serde::Serialize;

use super::wrap::wrap;
use crate::bytes::human_size;
use crate::guest::inside::{Boot, Inside, System, User, VolumeInside};

/// Name and version of the JSON document.
pub const SCHEMA: &str = "tidegate.inspect/1";

/// Columns before what is said of a thing.
const INDENT: usize = 16;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    source: &'a str,
    disk_format: &'a str,
    virtual_size: u64,
    guest: &'a Inside,
}

/// One document, ending in a newline.
///
/// # Errors
/// None that the model can cause; the writer is a string.
pub fn json(
    source: &str,
    disk_format: &str,
    virtual_size: u64,
    guest: &Inside,
) -> Result<String, serde_json::Error> {
    let document = Document { schema: SCHEMA, source, disk_format, virtual_size, guest };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The system, what boots it and who logs in, in a line; empty if nothing of it is known.
#[must_use]
pub fn summary(inside: &Inside) -> String {
    let mut parts = Vec::new();
    if let Some(system) = &inside.system {
        parts.push(system.name.clone());
        parts.extend(system.architecture.clone());
    }
    if let Some(provisioner) = &inside.provisioner {
        parts.push(joined(&[Some(&provisioner.name), provisioner.version.as_ref()], " "));
    }
    if let Some(login) = &inside.login {
        parts.push(format!("log in as {login}"));
    }
    parts.join(", ")
}

/// All of it, for people, of a disk of so many bytes in this format.
#[must_use]
pub fn text(disk_format: &str, virtual_size: u64, inside: &Inside, width: usize) -> String {
    let mut out = String::new();
    let disk = [("disk", format!("{disk_format}, {}", human_size(virtual_size)))];
    let volumes = inside.volumes.iter().map(|volume| ("volumes", of_volume(volume)));
    let mut last = "";
    for (what, said) in disk.into_iter().chain(said(inside)).chain(volumes) {
        let shown = if what == last { "" } else { what };
        let _ = writeln!(out, "  {shown:<12}  {}", wrap(&said, width, INDENT));
        last = what;
    }
    out
}

/// What there is to say of it, but for its volumes: what it is about, and the words. What is about the same stands together.
pub(super) fn said(inside: &Inside) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.extend(inside.system.as_ref().map(|system| ("system", of_system(system))));
    if let Some(boot) = &inside.boot {
        lines.push(("boot", of_boot(boot)));
        lines.extend(boot.entry.clone().map(|entry| ("boot entry", entry)));
        lines.extend(boot.command_line.clone().map(|line| ("command line", line)));
    }
    lines.extend(inside.kernels.iter().map(|kernel| {
        let boots = if kernel.boots { ", boots" } else { "" };
        ("kernels", format!("{} ({}{boots})", kernel.version, kernel.path))
    }));
    lines.extend(inside.provisioner.as_ref().map(|found| {
        let from = found.datasource.as_ref().map(|from| format!("data from {from}"));
        let name = joined(&[Some(&found.name), found.version.as_ref()], " ");
        ("provisioner", joined(&[Some(&name), from.as_ref()], ", "))
    }));
    lines.extend(inside.network.clone().map(|network| ("network", network)));
    lines.extend(inside.login.clone().map(|login| ("log in as", login)));
    lines.extend(inside.users.iter().map(|user| ("users", of_user(user))));
    let left = inside.not_examined.iter();
    lines.extend(left.map(|left| ("not examined", format!("{}: {}", left.what, left.why))));
    lines
}

fn joined(parts: &[Option<&String>], between: &str) -> String {
    let parts: Vec<&str> = parts.iter().flatten().map(|part| part.as_str()).collect();
    parts.join(between)
}

fn of_system(system: &System) -> String {
    let family = if system.by_family { ", by its family" } else { "" };
    let distribution = format!("distribution {}{family}", system.distribution);
    joined(&[Some(&system.name), system.architecture.as_ref(), Some(&distribution)], ", ")
}

fn of_boot(boot: &Boot) -> String {
    let bios = boot.bios.as_deref().unwrap_or("nothing");
    let uefi = boot.uefi.as_deref().unwrap_or("nothing");
    format!("a BIOS starts {bios}, UEFI firmware starts {uefi}")
}

fn of_user(user: &User) -> String {
    let password = match user.password.as_str() {
        "locked" => "password locked",
        "set" => "has a password",
        "empty" => "logs in with no password",
        _ => "no password logs in",
    };
    let keys = match user.keys {
        0 => String::new(),
        1 => ", 1 key".to_owned(),
        count => format!(", {count} keys"),
    };
    format!("{} (uid {}): {password}{keys}", user.name, user.uid)
}

/// What a volume holds, in words.
pub(super) fn holds(volume: &VolumeInside) -> &str {
    match volume.holds.as_str() {
        "unknown" => "contents unknown",
        "zeros" => "empty",
        holds => holds,
    }
}

/// What a volume is and how full.
#[must_use]
pub fn of_volume(volume: &VolumeInside) -> String {
    let mut parts: Vec<String> = volume.type_name.iter().cloned().collect();
    parts.extend([holds(volume).to_owned(), human_size(volume.size)]);
    if let Some(free) = volume.free {
        parts.push(format!("{} free", human_size(free)));
    }
    if let Some(label) = &volume.label {
        parts.push(format!("label {label}"));
    }
    if let Some(uuid) = &volume.uuid {
        parts.push(format!("UUID {uuid}"));
    }
    if let Some(mounted) = &volume.mounted {
        parts.push(format!("mounted at {mounted}"));
    }
    if let Some(state) = &volume.state {
        parts.push(match state.as_str() {
            "replayed" => "not unmounted, its journal was read".to_owned(),
            "not-replayed" => "not unmounted, its journal was not read".to_owned(),
            _ => "with errors".to_owned(),
        });
    }
    format!("{}: {}", volume.name, parts.join(", "))
}
