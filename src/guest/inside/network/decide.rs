//! What all managers together come to, and what is of no use beside it.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::super::{Case, shown};
use super::collect::Ways;
use super::nic::Fit;
use super::{Gives, Way, found_at, manager, networkd, others};
use crate::facts::Code;

/// Files that cloud-init writes, and writes anew for a new instance, have one of these in their paths.
const RENDERED: [&[u8]; 2] = [b"cloud-init", b"cloudinit"];

/// Programs that a provisioner writes for.
const RENDERERS: [&str; 9] = [
    "/usr/lib/systemd/systemd-networkd",
    "/lib/systemd/systemd-networkd",
    "/usr/sbin/NetworkManager",
    "/usr/bin/NetworkManager",
    "/usr/sbin/ifup",
    "/sbin/ifup",
    "/usr/sbin/netplan",
    "/usr/sbin/wicked",
    "/usr/sbin/dhcpcd",
];

/// What Ubuntu's installer leaves behind to keep cloud-init from the network.
pub(super) const INSTALLERS: &str =
    "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg";

/// What all of it comes to.
pub(super) fn decide(
    case: &mut Case<'_, '_>,
    all: &Ways,
    trouble: Option<Trouble>,
) -> Result<(), Trouble> {
    let Ways { ways, managers, off, starts_networkd, masks_networkd } = all;
    let owns = case.known.provisioner.network;
    let fits = |gives| ways.iter().find(move |way| way.fit == Fit::Yes && way.gives == gives);
    let dhcp = fits(Gives::Dhcp);
    let client = has_client(&mut case.tree)?;
    let works = ways.iter().find(|way| {
        way.fit == Fit::Yes && way.gives == Gives::Dhcp && (client || !way.wants_client)
    });
    left_over(case, ways, owns, works.is_some());
    if let Some(way) = works.filter(|_| !owns) {
        case.inside.network = Some(in_words(way, managers));
        return Ok(());
    }
    if owns {
        let renderer = managers.iter().rev().find(|name| **name != "netplan");
        case.inside.network = Some(match (renderer, managers.contains(&"netplan")) {
            (Some(renderer), true) => {
                format!("the provisioner sets it up, with netplan and {renderer}")
            }
            (Some(renderer), false) => format!("the provisioner sets it up, with {renderer}"),
            (None, true) => "the provisioner sets it up, with netplan".to_owned(),
            (None, false) => "the provisioner sets it up".to_owned(),
        });
        return match trouble {
            // netplan only writes for others.
            _ if *starts_networkd || renderer.is_some() => Ok(()),
            Some(trouble) => Err(trouble),
            None => without_renderer(case, *masks_networkd),
        };
    }
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    if let Some(path) = others::hand_made(&mut case.tree)? {
        let said = "It seems to bring up the network by itself. What it does on a Droplet was not examined.";
        case.inside.network = Some(format!("hand-made, by {}", shown(&path)));
        case.book.found_at(Code::NetworkHandMade, &path, said);
        return Ok(());
    }
    if case.book.has(Code::NetworkConfigInvalid) && ways.is_empty() {
        return Ok(());
    }
    if let Some(way) = dhcp {
        let said = format!(
            "{} asks DHCP for {} by a program of its own, and there is none: neither dhclient nor dhcpcd nor udhcpc.",
            way.by,
            shown(&way.whom)
        );
        found_at(case, Code::NetworkNoDhcpClient, &way.path, way.line, said);
    } else if let Some(way) = fits(Gives::Static) {
        fixed(case, way);
    } else if let Some(way) =
        ways.iter().find(|way| matches!(way.fit, Fit::Mac(_)) && way.gives != Gives::Nothing)
        && let Fit::Mac(mac) = &way.fit
    {
        let said = format!(
            "{} configures the interface with the MAC address {} alone, which no Droplet has: nothing brings up the network.",
            way.by,
            shown(mac)
        );
        found_at(case, Code::NetworkMacOnly, &way.path, way.line, said);
    } else if let Some(way) = fits(Gives::SixOnly) {
        let said = format!(
            "{} gives {} addresses of IPv6 alone; a Droplet made from a custom image has none.",
            way.by,
            shown(&way.whom)
        );
        found_at(case, Code::NetworkIpv6Only, &way.path, way.line, said);
    } else if let Some(way) = ways.iter().find(|way| way.gives == Gives::Dhcp) {
        let said = format!(
            "{} asks DHCP for {} alone, and a Droplet's interface is likely to have another name, such as eth0 or ens3.",
            way.by,
            shown(&way.whom)
        );
        case.inside.network = Some(in_words(way, managers));
        found_at(case, Code::NetworkNameFixed, &way.path, way.line, said);
    } else if let Some(way) = ways.iter().find(|way| way.gives == Gives::Static) {
        fixed(case, way);
    } else if case.known.init.is_some() {
        let said = match managers.is_empty() {
            _ if off.is_some() => format!("{}.", off.unwrap_or_default()),
            true => "No manager of networks is on, and no provisioner configures the network."
                .to_owned(),
            false => format!(
                "{} is on, but configures no interface of a Droplet, and no provisioner does.",
                managers.join(" and ")
            ),
        };
        case.book.found(Code::NetworkNone, said);
    }
    Ok(())
}

/// A provisioner that finds nothing which is on to write for.
fn without_renderer(case: &mut Case<'_, '_>, masks_networkd: bool) -> Result<(), Trouble> {
    if case.known.init.is_none() || others::hand_made(&mut case.tree)?.is_some() {
        return Ok(());
    }
    for path in RENDERERS {
        // cloud-init starts what is only off, but not what is masked; netplan would write for that alone.
        if masks_networkd && (path.ends_with("/systemd-networkd") || path.ends_with("/netplan")) {
            continue;
        }
        if case.tree.exists(path)? {
            let said =
                "The provisioner could write for this, but no manager of networks starts at boot.";
            case.book.found_at(Code::NetworkRendererOff, path, said);
            return Ok(());
        }
    }
    let said = match masks_networkd {
        true => {
            "The provisioner configures the network, but systemd-networkd is masked, and no other manager of networks is installed that it could write for."
        }
        false => {
            "The provisioner configures the network, but no manager of networks is installed that it could write for."
        }
    };
    case.book.found(Code::NetworkNone, said);
    Ok(())
}

/// An address that is fixed, and nothing else.
fn fixed(case: &Case<'_, '_>, way: &Way) {
    let said = format!(
        "{} gives {} a fixed address, and nothing asks DHCP: a Droplet has another address and another gateway.",
        way.by,
        shown(&way.whom)
    );
    found_at(case, Code::NetworkStaticOnly, &way.path, way.line, said);
}

/// What is of no use on a Droplet, beside what works.
fn left_over(case: &mut Case<'_, '_>, ways: &[Way], owns: bool, works: bool) {
    for way in ways.iter().filter(|_| owns || works) {
        let is_rendered = owns && (is_rendered(&way.path) || way.by.contains("cloud-init"));
        match &way.fit {
            Fit::Mac(mac) => {
                let said = format!(
                    "{} configures the interface with the MAC address {}, which no Droplet has.",
                    way.by,
                    shown(mac)
                );
                let code = if is_rendered { Code::NetworkRendered } else { Code::NetworkMacPinned };
                found_at(case, code, &way.path, way.line, said);
            }
            Fit::Yes | Fit::Name(_) if owns && way.gives == Gives::Static => {
                let said = format!(
                    "{} gives {} a fixed address, beside what the provisioner configures.",
                    way.by,
                    shown(&way.whom)
                );
                let code =
                    if is_rendered { Code::NetworkRendered } else { Code::NetworkStaticLeftOver };
                found_at(case, code, &way.path, way.line, said);
            }
            _ => {}
        }
    }
    if !owns && case.tree.is_regular(INSTALLERS).unwrap_or(false) {
        let said = "Ubuntu's installer turned the network of cloud-init off here, so the network is what the installer wrote for the machine that it ran on.";
        case.book.found_at(Code::NetworkInstallerLeftOver, INSTALLERS, said);
    }
}

/// Whether cloud-init writes this file.
pub(super) fn is_rendered(path: &[u8]) -> bool {
    RENDERED.iter().any(|part| path.windows(part.len()).any(|window| window == *part))
}

/// What brings up the network, as reports show it.
fn in_words(way: &Way, managers: &[&str]) -> String {
    let by = match way.by {
        "netplan" => {
            let renderer =
                managers.iter().rev().find(|name| [networkd::NAME, manager::NAME].contains(name));
            renderer
                .map_or("netplan".to_owned(), |renderer| format!("netplan, rendered by {renderer}"))
        }
        other => other.to_owned(),
    };
    format!("{by}, DHCP on {}", shown(&way.whom))
}

/// Whether there is a program that asks DHCP.
fn has_client(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    for name in ["dhclient", "dhcpcd", "dhcpcd5", "udhcpc", "pump"] {
        for directory in ["/sbin", "/usr/sbin", "/bin", "/usr/bin"] {
            if tree.exists(format!("{directory}/{name}"))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
