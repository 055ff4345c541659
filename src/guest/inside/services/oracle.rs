//! Trees of units as systemd itself reads them: `systemctl --root=DIR is-enabled`.
//!
//! It looks at links alone, not at whether the default target leads to them; so all links here are below targets that it
//! leads to. A link that is an alias is enough for it to call a unit enabled, though nothing starts the unit by that. It knows nothing of sockets that start a service, or of what another unit's file wants; such trees are left to
//! the other tests.

#![allow(clippy::print_stderr)] // nobody should miss that a test was left out

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use super::super::super::fs::memory::Memory;
use super::super::super::tree::testing::tree;
use super::{Init, On, is_on};

/// A file, or a link, of a tree.
#[derive(Clone, Debug)]
enum Item {
    File(&'static str),
    Link(&'static str),
}

const UNIT: &str = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n";
const STATIC: &str = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n";
const TARGET: &str = "[Unit]\nDescription=x\n";

/// What may be at a place, if anything.
fn items() -> impl Strategy<Value = Vec<(&'static str, Item)>> {
    let vendor =
        prop_oneof![Just(None), Just(Some(Item::File(UNIT))), Just(Some(Item::File(STATIC)))];
    let own = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Item::File(UNIT))),
        1 => Just(Some(Item::File(""))),
        2 => Just(Some(Item::Link("/dev/null"))),
    ];
    let vendor_mask = prop_oneof![6 => Just(None), 1 => Just(Some(Item::Link("/dev/null")))];
    let wanted = || {
        prop_oneof![
            1 => Just(None),
            1 => Just(Some(Item::Link("/usr/lib/systemd/system/ssh.service"))),
            1 => Just(Some(Item::Link("../ssh.service"))),
        ]
    };
    let alias = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Item::Link("/usr/lib/systemd/system/ssh.service"))),
        1 => Just(Some(Item::Link("ssh.service"))),
    ];
    (vendor, own, vendor_mask, wanted(), wanted(), wanted(), alias).prop_map(
        |(vendor, own, mask, wants, requires, graphical, alias)| {
            let places = [
                ("/usr/lib/systemd/system/ssh.service", mask.or(vendor)),
                ("/etc/systemd/system/ssh.service", own),
                ("/etc/systemd/system/multi-user.target.wants/ssh.service", wants),
                ("/etc/systemd/system/multi-user.target.requires/ssh.service", requires),
                ("/etc/systemd/system/graphical.target.wants/ssh.service", graphical),
                ("/etc/systemd/system/sshd.service", alias),
            ];
            places.into_iter().filter_map(|(path, item)| Some((path, item?))).collect()
        },
    )
}

fn asked(folder: &Path, unit: &str) -> Option<String> {
    let root = format!("--root={}", folder.display());
    let output = Command::new("systemctl").args([&root, "is-enabled", unit]).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if said.is_empty() { error } else { said })
}

#[test]
fn units_are_on_where_systemd_has_them_enabled() {
    if asked(Path::new("/nowhere"), "x.service").is_none() {
        assert!(std::env::var_os("CI").is_none(), "systemctl is missing");
        eprintln!("skipped: systemctl is missing");
        return;
    }
    let folder = std::env::temp_dir().join(format!("tidegate-systemctl-{}", std::process::id()));
    let mut runner =
        TestRunner::new(Cases { cases: 80, failure_persistence: None, ..Cases::default() });
    let result = runner.run(&items(), |items| {
        let _ = std::fs::remove_dir_all(&folder);
        compare(&folder, &items)
    });
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn compare(folder: &Path, items: &[(&'static str, Item)]) -> Result<(), TestCaseError> {
    let always = [
        ("/usr/lib/systemd/systemd", Item::File("x")),
        (
            "/usr/lib/systemd/system/graphical.target",
            Item::File("[Unit]\nRequires=multi-user.target\n"),
        ),
        ("/usr/lib/systemd/system/multi-user.target", Item::File(TARGET)),
        ("/usr/lib/systemd/system/default.target", Item::Link("graphical.target")),
        ("/etc/machine-id", Item::File("")),
    ];
    let mut system = Memory::new();
    for (path, item) in always.iter().chain(items) {
        let place = folder.join(&path[1..]);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        system = match item {
            Item::File(text) => {
                std::fs::write(place, text).unwrap();
                system.with(path, text)
            }
            Item::Link(target) => {
                symlink(target, place).unwrap();
                system.link(path, target)
            }
        };
    }
    let ours = is_on(&mut tree(vec![system]), Init::Systemd, &["ssh.service"]).unwrap();
    let theirs = asked(folder, "ssh.service").unwrap();
    let is_wanted = items.iter().any(|(path, _)| path.contains(".target."));
    let expected: &[On] = match &theirs[..] {
        "enabled" if is_wanted => &[On::Yes],
        "enabled" => &[On::No],
        "masked" => &[On::Masked],
        "disabled" | "static" | "indirect" | "alias" => &[On::No],
        text if text.contains("No such file") || text == "not-found" => &[On::Absent],
        _ => &[],
    };
    prop_assert!(expected.contains(&ours), "{:?}, systemctl: {}", ours, theirs);
    Ok(())
}
