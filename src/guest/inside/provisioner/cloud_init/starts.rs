//! Whether cloud-init starts: what switches it off, and whether something starts it.

use super::super::super::services::{self, Init, On, Overrides, Systemd};
use super::super::super::{Case, shown};
use super::script::Script;
use super::shell;
use crate::facts::Code;
use crate::guest::fs::{Kind, Trouble};
use crate::guest::tree::Tree;

/// The services of its stages, by the names that they had.
const STAGES: [&str; 5] = [
    "cloud-init-local.service",
    "cloud-init-network.service",
    "cloud-init.service",
    "cloud-config.service",
    "cloud-final.service",
];

/// The service that all stages of newer releases are parts of.
const MAIN: &str = "cloud-init-main.service";

/// Where generators of units lie, those that replace others first.
const GENERATORS: [&str; 4] = [
    "/etc/systemd/system-generators",
    "/usr/local/lib/systemd/system-generators",
    "/usr/lib/systemd/system-generators",
    "/lib/systemd/system-generators",
];

/// Writes down what switches it off. True if something does.
pub(super) fn is_switched_off(
    case: &mut Case<'_, '_>,
    script: Option<&Script>,
) -> Result<bool, Trouble> {
    const MARK: &str = "/etc/cloud/cloud-init.disabled";
    let line = case.known.command_line.clone().unwrap_or_default();
    let is_older = script.is_some_and(|script| !script.looks_for_the_switch);
    let by_line = match switch_of_line(&line, is_older) {
        Some(true) => return Ok(false),
        switch => switch == Some(false),
    };
    if by_line {
        case.book.found(
            Code::ProvisionerSwitchedOff,
            "The command line of the kernel has cloud-init=disabled, so a Droplet gets neither keys nor a network from cloud-init.",
        );
        return Ok(true);
    }
    if is_older && case.tree.is_regular("/etc/cloud/cloud-init.enabled")? {
        return Ok(false);
    }
    let is_marked = case.tree.is_regular(MARK)?;
    if is_marked {
        case.book.found_at(
            Code::ProvisionerSwitchedOff,
            MARK,
            "This file switches cloud-init off, so a Droplet gets neither keys nor a network from it.",
        );
    }
    Ok(is_marked)
}

/// Whether the command line switches cloud-init on or off; `None` if it says nothing of it. Older generators let its last
/// word decide, newer ones know no way to switch it on.
pub(super) fn switch_of_line(line: &[u8], is_older: bool) -> Option<bool> {
    if !is_older {
        return shell::has(line, b"cloud-init=disabled").then_some(false);
    }
    let words = shell::fields(line).filter_map(|word| word.strip_prefix(b"cloud-init="));
    match words.last() {
        Some(b"enabled") => Some(true),
        Some(b"disabled") => Some(false),
        _ => None,
    }
}

/// Whether ds-identify is asked before cloud-init starts.
pub(super) fn asks_ds_identify(tree: &mut Tree<'_>, init: Option<Init>) -> Result<bool, Trouble> {
    match init {
        Some(Init::Systemd) | None => Ok(matches!(generator(tree)?, Generator::At(_))),
        Some(init) => {
            let names = ["cloud-init-ds-identify", "dsidentify"];
            Ok(services::is_on(tree, init, &names)? == On::Yes)
        }
    }
}

enum Generator {
    Absent,
    Masked(String),
    At(String),
}

fn generator(tree: &mut Tree<'_>) -> Result<Generator, Trouble> {
    for directory in GENERATORS {
        let path = format!("{directory}/cloud-init-generator");
        match tree.stat(&path)? {
            Some(found) if found.inode.is_executable() && found.inode.size > 0 => {
                return Ok(Generator::At(path));
            }
            Some(_) => return Ok(Generator::Masked(path)),
            // A link that leads nowhere here, such as to /dev/null, hides those behind it.
            None if tree.lstat(&path)?.is_some_and(|found| found.inode.kind == Kind::Link) => {
                return Ok(Generator::Masked(path));
            }
            None => {}
        }
    }
    Ok(Generator::Absent)
}

/// Writes down what keeps it from starting. True if nothing is known to.
pub(super) fn is_started(case: &mut Case<'_, '_>, scripts: &[&str]) -> Result<bool, Trouble> {
    let init = match case.known.init {
        Some(init) => Some(init),
        None => services::init(&mut case.tree)?,
    };
    let why = match init {
        Some(Init::Systemd) => by_systemd(case, scripts)?,
        Some(init) => by_others(case, init)?,
        None => None,
    };
    let Some((path, why)) = why else { return Ok(true) };
    let said =
        format!("{why} So cloud-init does not start on a Droplet, and nobody gets its keys.");
    match path {
        Some(path) => case.book.found_at(Code::ProvisionerNotEnabled, path, said),
        None => case.book.found(Code::ProvisionerNotEnabled, said),
    }
    Ok(false)
}

/// Why the program cannot be started, and where that is seen.
fn broken_program(tree: &mut Tree<'_>) -> Result<Option<(String, &'static str)>, Trouble> {
    const PROGRAM: &str = "/usr/bin/cloud-init";
    let Some(found) = tree.stat(PROGRAM)? else { return Ok(None) };
    if !found.inode.is_executable() {
        return Ok(Some((PROGRAM.to_owned(), "This program is not executable.")));
    }
    let Some(text) = tree.text_of(PROGRAM, 256)? else { return Ok(None) };
    let first = text.lines().next().map(|(_, line)| line.to_vec()).unwrap_or_default();
    let Some(line) = first.strip_prefix(b"#!") else { return Ok(None) };
    let interpreter = line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    if interpreter.starts_with(b"/usr/bin/") && !tree.exists(interpreter)? {
        return Ok(Some((PROGRAM.to_owned(), "The interpreter of this program is not there.")));
    }
    Ok(None)
}

type Why = Option<(Option<String>, String)>;

fn by_systemd(case: &mut Case<'_, '_>, scripts: &[&str]) -> Result<Why, Trouble> {
    let tree = &mut case.tree;
    let systemd = Systemd::read(tree, case.known.command_line.as_deref())?;
    for unit in ["cloud-init.target", "cloud-init-local.service", MAIN] {
        if systemd.is_on(tree, &[unit])? == On::Masked {
            return Ok(Some((None, format!("{unit} is masked."))));
        }
    }
    // Where the network stage is masked under the one name that it has.
    for names in [["cloud-init-network.service"], ["cloud-init.service"]] {
        if systemd.is_on(tree, &names)? == On::Masked && !both_names(tree)? {
            return Ok(Some((None, format!("{} is masked.", names[0]))));
        }
    }
    if let Some((path, why)) = broken_program(tree)? {
        return Ok(Some((Some(path), why.to_owned())));
    }
    // Those that find the data of a Droplet.
    for unit in ["cloud-init-local.service", "cloud-init-network.service", "cloud-init.service"] {
        let overrides = Overrides::read(tree, unit)?;
        if let Some(obstacle) = overrides.obstacle(tree)? {
            let path = String::from_utf8_lossy(&obstacle.path).into_owned();
            return Ok(Some((Some(path), format!("{}.", obstacle.said))));
        }
    }
    let direct = systemd.is_on(tree, &STAGES)? == On::Yes;
    if direct {
        return Ok(None);
    }
    let path = match generator(tree)? {
        Generator::At(path) => path,
        Generator::Masked(path) => {
            let why = "What lies here keeps cloud-init's generator from running, and nothing else starts cloud-init.";
            return Ok(Some((Some(path), why.to_owned())));
        }
        Generator::Absent => {
            let why = "There is no generator for cloud-init.target, and no target of the boot wants one of its services.";
            return Ok(Some((None, why.to_owned())));
        }
    };
    let text = tree.text(&path)?.map(|text| text.bytes).unwrap_or_default();
    let mut has_script = false;
    for script in scripts {
        has_script =
            has_script || tree.stat(script)?.is_some_and(|found| found.inode.is_executable());
    }
    // Only the older ones go on without it.
    if !has_script
        && shell::has(&text, b"ds-identify")
        && !shell::has(&text, b"check_for_datasource")
    {
        let why = "This generator needs ds-identify, which is not there or not executable.";
        return Ok(Some((Some(path), why.to_owned())));
    }
    if is_first_boot(tree)? {
        // Presets enable services then.
        return Ok(None);
    }
    let missing = has_file(tree, MAIN)? && !is_wanted(tree, MAIN)?;
    let mut any = false;
    for stage in STAGES {
        any = any || is_wanted(tree, stage)?;
    }
    Ok(match (missing, any) {
        (true, _) => Some((None, format!("cloud-init.target does not want {MAIN}."))),
        (_, false) => Some((None, "cloud-init.target wants none of its services.".to_owned())),
        _ => None,
    })
}

/// Whether the network stage has a unit under either of its names, so that one is an alias or left over.
fn both_names(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    Ok(has_file(tree, "cloud-init-network.service")? && has_file(tree, "cloud-init.service")?)
}

fn unit_places(name: &str) -> impl Iterator<Item = String> {
    services::UNIT_PATHS.iter().map(move |directory| format!("{directory}/{name}"))
}

fn has_file(tree: &mut Tree<'_>, name: &str) -> Result<bool, Trouble> {
    for path in unit_places(name) {
        if tree
            .stat(&path)?
            .is_some_and(|found| found.inode.kind == Kind::Regular && found.inode.size > 0)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether cloud-init.target wants it.
fn is_wanted(tree: &mut Tree<'_>, name: &str) -> Result<bool, Trouble> {
    for kind in ["wants", "requires"] {
        for path in unit_places(&format!("cloud-init.target.{kind}/{name}")) {
            if tree.lstat(&path)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_first_boot(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    let id = tree.text_of("/etc/machine-id", 64)?;
    Ok(id.is_none_or(|id| id.bytes.trim_ascii() == b"uninitialized"))
}

fn by_others(case: &mut Case<'_, '_>, init: Init) -> Result<Why, Trouble> {
    let tree = &mut case.tree;
    // FreeBSD has one switch for all stages.
    let needed: &[&[&str]] = match init {
        Init::Bsd => &[&["cloudinit"]],
        Init::OpenRc | Init::SysV => {
            &[&["cloud-init-local"], &["cloud-init", "cloud-init-network"]]
        }
        Init::Runit | Init::Systemd => return Ok(None),
    };
    for names in needed {
        let on = services::is_on(tree, init, names)?;
        if on == On::No || on == On::Absent && init == Init::Bsd {
            let name = shown(names[0]);
            return Ok(Some((None, format!("The service {name} is not enabled."))));
        }
    }
    Ok(None)
}
