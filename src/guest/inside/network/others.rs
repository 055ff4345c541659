//! What brings up a network without files for each interface, and the systems that have one file for all.

use std::collections::HashMap;

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::{Text, Tree};
use super::nic::{EVERY, Fit, Nic, whole};
use super::text::{MOST, assignments, last, too_many, words};
use super::{Gives, Way};

/// Files of services that are looked through at most, and bytes of each.
const MOST_SCRIPTS: usize = 256;
const SCRIPT: usize = 64 << 10;

/// Words of a script that brings up a network by itself.
const TELLING: [&[u8]; 5] = [b"dhclient", b"dhcpcd", b"udhcpc", b"USE_DHCP", b"169.254.169.254"];

/// Services that tidegate knows by name, and so are not hand-made.
const KNOWN: [&[u8]; 5] = [
    b"dhcpcd.service",
    b"dhcpcd5.service",
    b"dhclient.service",
    b"udhcpc.service",
    b"networking.service",
];

/// Configuration of systems that generate all others from it.
const WHOLE: [&str; 5] = [
    "/config/config.boot",
    "/opt/vyatta/etc/config/config.boot",
    "/cf/conf/config.xml",
    "/conf/config.xml",
    "/etc/config/network",
];

/// dhcpcd, which asks DHCP for every card unless its file says otherwise.
///
/// # Errors
/// If its file cannot be read.
pub(super) fn dhcpcd(tree: &mut Tree<'_>, nic: &Nic) -> Result<Vec<Way>, Trouble> {
    let path = &configuration(tree)?;
    let way = |line, fit, whom: &[u8], gives| Way {
        by: "dhcpcd",
        path: path.clone(),
        line,
        fit,
        whom: whom.to_vec(),
        gives,
        wants_client: false,
    };
    let Some(text) = whole(tree, path)? else {
        return Ok(vec![way(0, Fit::Yes, EVERY, Gives::Dhcp)]);
    };
    let (mut all, mut own) = (way(0, Fit::Yes, EVERY, Gives::Dhcp), Vec::<Way>::new());
    let mut denied = false;
    let mut is_here = true;
    for (line, bytes) in text.lines() {
        let mut words = words(bytes);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let meant = |list: &mut dyn Iterator<Item = &[u8]>| {
            list.flat_map(|word| word.split(|&byte| byte == b','))
                .any(|name| nic.named(name) == Fit::Yes)
        };
        match first {
            b"interface" => {
                is_here = false;
                if own.len() > MOST {
                    return Err(too_many());
                }
                own.push(way(line, nic.named(second), second, Gives::Dhcp));
            }
            b"ssid" | b"profile" => {
                is_here = false;
                own.push(way(line, Fit::No, second, Gives::Dhcp));
            }
            b"static" if second.starts_with(b"ip_address=") => {
                let at = if is_here { Some(&mut all) } else { own.last_mut() };
                if let Some(way) = at {
                    (way.gives, way.line) = (Gives::Static, line);
                }
            }
            b"noipv4" | b"ipv6only" | b"nodhcp" => {
                let at = if is_here { Some(&mut all) } else { own.last_mut() };
                if let Some(way) = at {
                    (way.gives, way.line) = (Gives::SixOnly, line);
                }
            }
            b"denyinterfaces" => denied |= meant(&mut std::iter::once(second).chain(words)),
            b"allowinterfaces" => denied |= !meant(&mut std::iter::once(second).chain(words)),
            _ => {}
        }
    }
    if denied {
        return Ok(Vec::new());
    }
    if !own.iter().any(|way| way.fit == Fit::Yes) {
        own.push(all);
    }
    own.retain(|way| way.fit != Fit::No);
    Ok(own)
}

/// The file that dhcpcd is started with: NixOS names one.
fn configuration(tree: &mut Tree<'_>) -> Result<Vec<u8>, Trouble> {
    let unit = tree.text_of("/etc/systemd/system/dhcpcd.service", SCRIPT)?;
    let named = unit.as_ref().and_then(|text| {
        let line = text.lines().find(|(_, line)| line.starts_with(b"ExecStart="))?.1;
        let mut words = words(line).skip_while(|word| !matches!(*word, b"-f" | b"--config"));
        words.nth(1).map(<[u8]>::to_vec)
    });
    Ok(named.unwrap_or_else(|| b"/etc/dhcpcd.conf".to_vec()))
}

/// NixOS's services that give an interface a fixed address.
///
/// # Errors
/// If the directories of units cannot be read.
pub(super) fn nixos(tree: &mut Tree<'_>, nic: &Nic) -> Result<Vec<Way>, Trouble> {
    let mut ways = Vec::new();
    let units = "/etc/systemd/system";
    for directory in tree.names(units, ".wants")? {
        let directory = [units.as_bytes(), b"/", &directory].concat();
        for name in tree.names(&directory, ".service")? {
            let interface = name.strip_prefix(b"network-addresses-");
            let Some(interface) = interface.and_then(|name| name.strip_suffix(b".service")) else {
                continue;
            };
            ways.push(Way {
                by: "a service of NixOS",
                path: [&directory[..], b"/", &name].concat(),
                line: 0,
                fit: nic.named(interface),
                whom: interface.to_vec(),
                gives: Gives::Static,
                wants_client: false,
            });
        }
    }
    ways.retain(|way| way.fit != Fit::No);
    Ok(ways)
}

/// A manager that asks DHCP for every wired interface without being told so.
pub(super) fn every(by: &'static str, path: &str) -> Way {
    let whom = b"every wired interface".to_vec();
    Way {
        by,
        path: path.into(),
        line: 0,
        fit: Fit::Yes,
        whom,
        gives: Gives::Dhcp,
        wants_client: false,
    }
}

/// Gentoo's services for one interface each.
///
/// # Errors
/// If its places cannot be read.
pub(super) fn gentoo(tree: &mut Tree<'_>, nic: &Nic) -> Result<Vec<Way>, Trouble> {
    let mut ways = Vec::new();
    let path = "/etc/conf.d/net";
    let all = match whole(tree, path)? {
        Some(text) => assignments(&text)?,
        None => Vec::new(),
    };
    for level in ["/etc/runlevels/boot", "/etc/runlevels/default"] {
        for name in tree.names(level, "")? {
            let Some(interface) = name.strip_prefix(b"net.") else { continue };
            let key = format!("config_{}", String::from_utf8_lossy(interface));
            let (value, line) = last(&all, &key).unwrap_or((b"dhcp", 0));
            let gives = match value {
                value if words(value).any(|word| word == b"dhcp") => Gives::Dhcp,
                b"null" | b"noop" => Gives::Nothing,
                _ => Gives::Static,
            };
            ways.push(Way {
                by: "netifrc",
                path: path.into(),
                line,
                fit: nic.named(interface),
                whom: interface.to_vec(),
                gives,
                wants_client: gives == Gives::Dhcp,
            });
        }
    }
    ways.retain(|way| way.fit != Fit::No);
    Ok(ways)
}

/// The BSDs: `ifconfig_*` of FreeBSD's rc.conf, and a file for each interface of OpenBSD and NetBSD.
///
/// # Errors
/// If their files cannot be read.
pub(super) fn bsd(tree: &mut Tree<'_>) -> Result<Vec<Way>, Trouble> {
    let mut ways: Vec<Way> = Vec::new();
    let files =
        ["/etc/rc.conf", "/etc/rc.conf.local", "/etc/rc.conf.d/netif", "/etc/rc.conf.d/network"];
    let mut all: Vec<(Vec<u8>, Vec<u8>, u32, &str)> = Vec::new();
    for path in files {
        if let Some(text) = whole(tree, path)? {
            all.extend(
                assignments(&text)?
                    .into_iter()
                    .map(|(name, value, line)| (name, value, line, path)),
            );
        }
    }
    let lasts: HashMap<&[u8], usize> =
        all.iter().enumerate().map(|(at, (name, ..))| (&name[..], at)).collect();
    for (at, (name, value, line, path)) in all.iter().enumerate() {
        let is_last = lasts.get(&name[..]) == Some(&at);
        if name == b"dhcpcd" && is_last && value.eq_ignore_ascii_case(b"yes") {
            ways.push(Way { line: *line, ..every("dhcpcd", path) });
        }
        let Some(interface) = name.strip_prefix(b"ifconfig_").filter(|_| is_last) else { continue };
        if interface.ends_with(b"_ipv6") || interface.windows(6).any(|part| part == b"_alias") {
            continue;
        }
        ways.push(of_bsd(path.as_bytes(), *line, interface, value));
        if ways.len() > MOST / 10 {
            return Err(too_many());
        }
    }
    // FreeBSD's DEFAULT is for those that have no line of their own.
    let has_own = ways.iter().any(|way| way.fit == Fit::Yes && way.whom != b"DEFAULT");
    ways.retain(|way| !(has_own && way.whom == b"DEFAULT"));
    for (file, interface) in [("hostname.vio0", "vio0"), ("ifconfig.vioif0", "vioif0")] {
        let path = format!("/etc/{file}");
        if let Some(text) = whole(tree, &path)? {
            let lines: Vec<&[u8]> = text.lines().map(|(_, line)| line).collect();
            ways.push(of_bsd(path.as_bytes(), 1, interface.as_bytes(), &lines.join(&b' ')));
        }
    }
    ways.retain(|way| way.fit != Fit::No);
    Ok(ways)
}

/// What a BSD does with the arguments of ifconfig.
fn of_bsd(path: &[u8], line: u32, interface: &[u8], value: &[u8]) -> Way {
    let lower = value.to_ascii_lowercase();
    let has = |one: &[u8]| words(&lower).any(|word| word == one);
    let gives =
        if ["dhcp", "syncdhcp", "nosyncdhcp", "autoconf"].iter().any(|word| has(word.as_bytes()))
            && !has(b"inet6")
        {
            Gives::Dhcp
        } else if has(b"inet") || words(&lower).next().is_some_and(is_address) {
            Gives::Static
        } else if has(b"inet6") {
            Gives::SixOnly
        } else {
            Gives::Nothing
        };
    // Names tell the driver: a Droplet's interface has one of these.
    let fit = match interface {
        b"DEFAULT" | b"vtnet0" | b"vio0" | b"vioif0" => Fit::Yes,
        _ if [&b"lo"[..], b"wlan", b"bridge", b"tap", b"tun", b"gif", b"vlan", b"vtnet"]
            .iter()
            .any(|start| interface.starts_with(start)) =>
        {
            Fit::No
        }
        other => Fit::Name(other.to_vec()),
    };
    let whom = interface.to_vec();
    Way { by: "rc.conf", path: path.to_vec(), line, fit, whom, gives, wants_client: false }
}

fn is_address(word: &[u8]) -> bool {
    word.iter().filter(|&&byte| byte == b'.').count() == 3
        && word.iter().all(|byte| byte.is_ascii_digit() || b"./".contains(byte))
}

/// What the command line of the kernel makes an initramfs do: `ip=dhcp`, `ip=eth0:dhcp`, `ip=::::host:eth0:dhcp`.
pub(super) fn command_line(line: &[u8], nic: &Nic) -> Option<Way> {
    let value = words(line).filter_map(|word| word.strip_prefix(b"ip=")).last()?;
    let parts: Vec<&[u8]> = value.split(|&byte| byte == b':').collect();
    let is_dhcp = parts.iter().any(|part| matches!(*part, b"dhcp" | b"on" | b"any"));
    let device = if parts.len() >= 6 {
        parts[5]
    } else if parts.len() >= 2 {
        parts[0]
    } else {
        b""
    };
    let fit = if device.is_empty() { Fit::Yes } else { nic.named(device) };
    is_dhcp.then(|| Way {
        by: "the initramfs",
        path: b"the kernel's command line".to_vec(),
        line: 0,
        fit,
        whom: if device.is_empty() { EVERY.to_vec() } else { device.to_vec() },
        gives: Gives::Dhcp,
        wants_client: false,
    })
}

/// A service or script made for this system that seems to bring up the network: its path.
///
/// # Errors
/// If its places cannot be read.
pub(super) fn hand_made(tree: &mut Tree<'_>) -> Result<Option<Vec<u8>>, Trouble> {
    for path in WHOLE {
        if tree.is_regular(path)? {
            return Ok(Some(path.into()));
        }
    }
    let mut paths: Vec<Vec<u8>> =
        ["/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc.d/rc.inet1.conf"]
            .map(|path| path.into())
            .to_vec();
    for name in tree.names("/etc/local.d", ".start")? {
        paths.push([b"/etc/local.d/", &name[..]].concat());
    }
    let units = "/etc/systemd/system";
    for directory in tree.names(units, ".wants")? {
        let directory = [units.as_bytes(), b"/", &directory].concat();
        for name in tree.names(&directory, ".service")? {
            if KNOWN.contains(&&name[..]) {
                continue;
            }
            // What the distribution brought along is known by its name.
            let own = [units.as_bytes(), b"/", &name].concat();
            if tree.lstat(&own)?.is_some_and(|found| found.inode.kind == Kind::Regular) {
                paths.push(own);
            } else if name.starts_with(b"netctl")
                || name.starts_with(b"dhclient")
                || name.starts_with(b"dhcpcd@")
            {
                return Ok(Some([&directory[..], b"/", &name].concat()));
            }
        }
    }
    if paths.len() > MOST_SCRIPTS {
        return Err(too_many());
    }
    for path in paths {
        let Some(text) = tree.text_of(&path, SCRIPT)? else { continue };
        let is_unit = path.ends_with(b".service");
        if tells(&text, if is_unit { b"Exec" } else { b"" }) {
            return Ok(Some(path));
        }
        if is_unit
            && let Some(script) = started(&text)
            && let Some(text) = tree.text_of(&script, SCRIPT)?
            && text.bytes.starts_with(b"#!")
            && tells(&text, b"")
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Whether a line that begins like this and is no comment has one of the telling words.
fn tells(text: &Text, start: &[u8]) -> bool {
    text.lines().any(|(_, line)| {
        let line = line.trim_ascii_start();
        let has = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
        line.starts_with(start) && !line.starts_with(b"#") && TELLING.iter().any(|word| has(word))
    })
}

/// The script that a unit starts.
fn started(text: &Text) -> Option<Vec<u8>> {
    let line = text.lines().find_map(|(_, line)| line.strip_prefix(b"ExecStart="))?;
    let path = words(line).find_map(|word| {
        let word = word.trim_ascii_start();
        let at = word.iter().position(|byte| !b"-@+!:|".contains(byte))?;
        let shells: [&[u8]; 4] = [b"/bin/sh", b"/bin/bash", b"/usr/bin/bash", b"/usr/bin/env"];
        let path = &word[at..];
        (path.starts_with(b"/") && !shells.contains(&path)).then_some(path)
    })?;
    Some(path.to_vec())
}
