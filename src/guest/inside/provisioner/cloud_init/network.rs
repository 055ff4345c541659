//! Whether cloud-init configures the network of a Droplet.

use super::super::super::services::{self, Init, On};
use super::super::super::{Case, shown};
use super::config::Config;
use super::shell;
use super::yaml::{Node, Value};
use crate::facts::Code;
use crate::guest::fs::Trouble;
use crate::guest::tree::Tree;

/// The programs that cloud-init writes a network's configuration for, the first one first.
const RENDERERS: [&str; 6] =
    ["eni", "sysconfig", "netplan", "network-manager", "freebsd", "networkd"];

/// Writes down what keeps it from the network. True if it configures that of a Droplet.
pub(super) fn judge(case: &mut Case<'_, '_>, config: &Config) -> Result<bool, Trouble> {
    const UPGRADED: &str = "/var/lib/cloud/data/upgraded-network";
    let line = case.known.command_line.clone().unwrap_or_default();
    if shell::has(&line, b"network-config=disabled") {
        let said = "The command line of the kernel keeps cloud-init from the network (network-config=disabled), which the system has to bring up by itself.";
        case.book.found(Code::ProvisionerNetworkOff, said);
        return Ok(false);
    }
    if case.tree.exists(UPGRADED)? {
        let said = "This file keeps cloud-init from the network, which the system has to bring up by itself.";
        case.book.found_at(Code::ProvisionerNetworkOff, UPGRADED, said);
        return Ok(false);
    }
    if let Some(network) = config.get(&["network"]) {
        // Some write it once more below itself.
        let network = network.get("network").unwrap_or(network);
        if network.get("config").and_then(Node::text) == Some("disabled") {
            let said = "cloud-init is kept from the network (network: {config: disabled}), which the system has to bring up by itself.";
            case.book.found_in(
                Code::ProvisionerNetworkOff,
                config.path(network),
                network.line,
                said,
            );
            return Ok(false);
        }
        if !judge_own(case, config, network) {
            return Ok(false);
        }
    }
    has_renderer(case, config)
}

/// Judges a configuration of the network that cloud-init's own files have: it counts before what the Droplet says.
fn judge_own(case: &Case<'_, '_>, config: &Config, network: &Node) -> bool {
    if !matches!(&network.value, Value::Map(map) if !map.is_empty()) {
        return true;
    }
    let mut seen = Own::default();
    seen.look(network);
    let why = if seen.pinned {
        "is for the network card of one machine, by its MAC address"
    } else if !seen.dhcp {
        "has no interface with DHCP"
    } else {
        return true;
    };
    let said = format!(
        "cloud-init brings up the network by this configuration and not by the Droplet's, and it {why}."
    );
    case.book.found_in(Code::ProvisionerNetworkOwn, config.path(network), network.line, said);
    false
}

#[derive(Default)]
struct Own {
    dhcp: bool,
    pinned: bool,
}

impl Own {
    fn look(&mut self, node: &Node) {
        match &node.value {
            Value::Map(map) => {
                for (key, node) in map {
                    let text = node.text().unwrap_or_default();
                    self.dhcp |= key == "dhcp4" && node.is_true();
                    self.dhcp |= key == "type" && ["dhcp", "dhcp4"].contains(&text);
                    self.pinned |= ["mac_address", "macaddress"].contains(&key.as_str());
                    self.look(node);
                }
            }
            Value::List(list) => list.iter().for_each(|node| self.look(node)),
            _ => {}
        }
    }
}

fn has_renderer(case: &mut Case<'_, '_>, config: &Config) -> Result<bool, Trouble> {
    let chosen = config.get(&["system_info", "network", "renderers"]);
    let chosen: Option<Vec<&str>> =
        chosen.and_then(Node::list).map(|list| list.iter().filter_map(Node::text).collect());
    let names = chosen.clone().unwrap_or_else(|| RENDERERS.to_vec());
    let init = case.known.init;
    for name in &names {
        if is_there(&mut case.tree, init, name)? {
            return Ok(true);
        }
    }
    let of = match chosen {
        Some(names) => {
            format!(" of those that it is configured with ({})", shown(names.join(", ")))
        }
        None => String::new(),
    };
    let said = format!(
        "cloud-init finds no program{of} whose configuration it could write for the network of a Droplet, such as netplan, NetworkManager or ifupdown, so the system has to bring it up by itself."
    );
    case.book.found(Code::ProvisionerNoRenderer, said);
    Ok(false)
}

fn has_program(tree: &mut Tree<'_>, name: &str) -> Result<bool, Trouble> {
    for directory in ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"]
    {
        if tree.exists(format!("{directory}/{name}"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_there(tree: &mut Tree<'_>, init: Option<Init>, name: &str) -> Result<bool, Trouble> {
    let has_all = |tree: &mut Tree<'_>, names: &[&str]| {
        for name in names {
            if !has_program(tree, name)? {
                return Ok::<bool, Trouble>(false);
            }
        }
        Ok(true)
    };
    match name {
        "eni" => Ok(has_all(tree, &["ifquery", "ifup", "ifdown"])?
            && tree.is_regular("/etc/network/interfaces")?),
        "sysconfig" => {
            let places =
                ["/etc/sysconfig/network-scripts/network-functions", "/etc/sysconfig/config"];
            if has_all(tree, &["ifup", "ifdown"])?
                && (tree.is_regular(places[0])? || tree.is_regular(places[1])?)
            {
                return Ok(true);
            }
            for lib in ["/usr/lib64/NetworkManager", "/usr/lib/NetworkManager"] {
                for entry in tree.list(lib)?.unwrap_or_default() {
                    let plugin = b"/libnm-settings-plugin-ifcfg-rh.so";
                    let path = [lib.as_bytes(), b"/", &entry.name, plugin].concat();
                    if tree.exists(path)? {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        }
        "netplan" => has_program(tree, "netplan"),
        "network-manager" => {
            let on = match init {
                Some(Init::Systemd) => {
                    services::is_on(tree, Init::Systemd, &["NetworkManager.service"])? == On::Yes
                }
                _ => true,
            };
            Ok(on && has_program(tree, "nmcli")?)
        }
        "networkd" => has_all(tree, &["ip", "systemctl"]),
        "freebsd" | "netbsd" | "openbsd" => Ok(init == Some(Init::Bsd)),
        // One that is not known here may be there.
        _ => Ok(true),
    }
}
