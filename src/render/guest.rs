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
    // Whoever lists files chooses one by its number.
    let volumes = (1..).zip(&inside.volumes);
    let volumes =
        volumes.map(|(number, volume)| ("volumes", format!("{number}. {}", of_volume(volume))));
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
    lines.extend(inside.login.as_ref().map(|login| ("log in as", of_login(login, inside))));
    lines.extend(inside.users.iter().map(|user| ("users", of_user(user))));
    let left = inside.not_examined.iter();
    lines.extend(left.map(|left| ("not examined", format!("{}: {}", left.what, left.why))));
    lines
}

/// The name that the owner of a Droplet logs in with, and who sets it up if the disk has no such user who can log in.
fn of_login(login: &str, inside: &Inside) -> String {
    match &inside.provisioner {
        Some(by) if inside.users.iter().all(|user| user.name != login) => {
            format!("{login}, set up by {} at the first boot", by.name)
        }
        _ => login.to_owned(),
    }
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
        "empty" => "empty password",
        _ => "no password login",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::inside::Provisioner;

    #[test]
    fn whoever_reads_it_sees_whom_to_log_in_as_and_which_volume_is_which() {
        let user = User { name: "root".into(), password: "none".into(), ..User::default() };
        let volume = |name: &str, holds: &str| VolumeInside {
            name: name.to_owned(),
            holds: holds.to_owned(),
            type_name: Some("BIOS boot".to_owned()),
            size: 1 << 20,
            ..VolumeInside::default()
        };
        let mut inside = Inside {
            provisioner: Some(Provisioner { name: "cloud-init".into(), ..Provisioner::default() }),
            login: Some("debian".to_owned()),
            users: vec![user],
            volumes: vec![volume("partition 1", "ext4"), volume("partition 14", "unknown")],
            ..Inside::default()
        };
        let shown = text("raw", 1 << 30, &inside, 80);
        for line in [
            "  disk          raw, 1.1 GB\n",
            "  log in as     debian, set up by cloud-init at the first boot\n",
            "  users         root (uid 0): no password login\n",
            "  volumes       1. partition 1: BIOS boot, ext4, 1.0 MB\n",
            "                2. partition 14: BIOS boot, contents unknown, 1.0 MB\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        inside.login = Some("root".to_owned());
        assert!(text("raw", 0, &inside, 80).contains("  log in as     root\n"));
    }
}
