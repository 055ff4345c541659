//! Whether the interface of a Droplet gets an address: its MAC address and its name are known to nobody beforehand, and
//! the address of a custom image's Droplet comes by DHCP for IPv4.
//!
//! Each module knows one manager of networks and says what it would do for that interface. Here it is decided which of
//! them are on, and what they come to.

// until the driver is there
#![allow(dead_code)]

mod ifupdown;
mod manager;
mod netplan;
mod networkd;
mod nic;
mod others;
mod pins;
mod sysconfig;
mod text;

use super::services::{Init, On, Systemd, is_on};
use super::{Case, shown};
use crate::facts::Code;

use super::super::fs::Trouble;
use super::super::tree::Tree;
#[doc(hidden)]
pub use netplan::netplan;
use netplan::{Definition, Renderer};
use nic::{Fit, Nic};
use sysconfig::Reader;

/// Interfaces that are looked at at most.
const MOST_INTERFACES: usize = 1000;

/// What an interface is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    /// An address by DHCP for IPv4.
    Dhcp,
    /// A fixed address.
    Static,
    /// Addresses of IPv6 alone, which custom images have not.
    SixOnly,
    /// None.
    Nothing,
}

/// What a configuration would do for an interface.
#[derive(Clone, Debug)]
struct Way {
    /// Who does it, in words.
    by: &'static str,
    /// The file that says so, and the line; 0 if it is no line in particular.
    path: Vec<u8>,
    line: u32,
    fit: Fit,
    /// For which interfaces, in words.
    whom: Vec<u8>,
    gives: Gives,
    /// Whether it takes a DHCP client of its own.
    wants_client: bool,
}

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
const INSTALLERS: &str = "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg";

/// Looks at what brings up the network.
///
/// # Errors
/// If something that could bring it up cannot be read, and nothing else does.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let links = pins::Links::read(&mut case.tree)?;
    for (path, line, mac) in &links.macs {
        let said = format!(
            "A name is given to the interface with the MAC address {} alone, which no Droplet has.",
            shown(mac)
        );
        match is_rendered(path) && case.known.provisioner.network {
            true => found_at(case, Code::NetworkRendered, path, *line, said),
            false => found_at(case, Code::NetworkMacPinned, path, *line, said),
        }
    }
    let nic = Nic::read(&mut case.tree, case.known.command_line.as_deref(), &links)?;
    resolver(case)?;
    let services = Services::read(case)?;
    let mut all = Ways::default();
    // Whoever cannot be read may be the one that does it.
    let mut trouble = None;
    for collect in [by_systemd, by_ifupdown, by_sysconfig, by_others] {
        match collect(case, &services, &nic, &mut all) {
            Ok(()) => {}
            Err(halt @ Trouble::Halt(_)) => return Err(halt),
            Err(left) => trouble = trouble.or(Some(left)),
        }
    }
    decide(case, all, trouble)
}

/// What was collected.
#[derive(Default)]
struct Ways {
    ways: Vec<Way>,
    /// Managers that are on, by the name that is shown.
    managers: Vec<&'static str>,
}

/// Which services start.
struct Services {
    init: Option<Init>,
    systemd: Option<Systemd>,
}

impl Services {
    fn read(case: &mut Case<'_, '_>) -> Result<Services, Trouble> {
        let init = case.known.init;
        let systemd = match init {
            Some(Init::Systemd) => {
                Some(Systemd::read(&mut case.tree, case.known.command_line.as_deref())?)
            }
            _ => None,
        };
        Ok(Services { init, systemd })
    }

    fn on(&self, tree: &mut Tree<'_>, names: &[&str]) -> Result<On, Trouble> {
        match (&self.systemd, self.init) {
            (Some(systemd), _) => systemd.is_on(tree, names),
            (None, Some(init)) => is_on(tree, init, names),
            (None, None) => Ok(On::Absent),
        }
    }

    fn is_on(&self, tree: &mut Tree<'_>, names: &[&str]) -> Result<bool, Trouble> {
        Ok(self.on(tree, names)? == On::Yes)
    }
}

/// netplan, networkd and NetworkManager, of which the first one writes for the others.
fn by_systemd(
    case: &mut Case<'_, '_>,
    services: &Services,
    nic: &Nic,
    all: &mut Ways,
) -> Result<(), Trouble> {
    let tree = &mut case.tree;
    let networkd = services.on(tree, &["systemd-networkd.service"])?;
    let manager = services.is_on(tree, &["NetworkManager.service"])?;
    let mut netplan = netplan::Netplan::default();
    let has_netplan = services.init == Some(Init::Systemd) && netplan::is_there(tree)?;
    if has_netplan {
        netplan = netplan::read(tree)?;
        if let Some((path, line, said)) = &netplan.refused {
            let said = format!(
                "netplan refuses this file, and configures nothing at all: {}.",
                shown(said)
            );
            case.book.found_in(Code::NetworkConfigInvalid, path, *line, said);
        }
        all.managers.push("netplan");
    }
    let (for_networkd, for_manager): (Vec<Definition>, Vec<Definition>) =
        netplan.definitions.into_iter().partition(|one| one.renderer == Renderer::Networkd);
    // netplan starts networkd itself where it writes for it.
    let starts = !for_networkd.is_empty() && matches!(networkd, On::No);
    if networkd == On::Yes || starts {
        all.managers.push(networkd::NAME);
        let mut networks = networkd::files(&mut case.tree)?;
        networks.extend(for_networkd.into_iter().map(|definition| definition.network));
        all.ways.extend(networkd::ways(networks, nic));
    }
    if manager {
        all.managers.push(manager::NAME);
        let ifcfg = match sysconfig::has_plugin(&mut case.tree)? {
            true => sysconfig::ways(&mut case.tree, nic, Reader::NetworkManager)?,
            false => Vec::new(),
        };
        let found = manager::read(
            &mut case.tree,
            nic,
            &for_manager,
            netplan.all_by_network_manager,
            ifcfg,
        )?;
        for (path, mode) in &found.insecure {
            let said = format!(
                "NetworkManager leaves this profile out, as others than root may read or write it (mode {mode:04o})."
            );
            case.book.found_at(Code::NetworkProfileInsecure, path, said);
        }
        all.ways.extend(found.ways);
    }
    Ok(())
}

fn by_ifupdown(
    case: &mut Case<'_, '_>,
    services: &Services,
    nic: &Nic,
    all: &mut Ways,
) -> Result<(), Trouble> {
    if services.is_on(&mut case.tree, &["networking.service", "ifup@.service"])? {
        all.managers.push(ifupdown::NAME);
        all.ways.extend(ifupdown::ways(&mut case.tree, nic)?);
    }
    // So Debian's cloud images up to 11 did it, for any interface that comes up.
    for path in ["/etc/network/cloud-ifupdown-helper", "/etc/udev/rules.d/75-cloud-ifupdown.rules"]
    {
        if case.tree.is_regular(path)? {
            all.ways.push(others::every("cloud-ifupdown-helper", path));
            break;
        }
    }
    Ok(())
}

fn by_sysconfig(
    case: &mut Case<'_, '_>,
    services: &Services,
    nic: &Nic,
    all: &mut Ways,
) -> Result<(), Trouble> {
    if services.is_on(&mut case.tree, &["wicked.service", "wickedd.service"])? {
        all.managers.push("wicked");
        all.ways.extend(sysconfig::ways(&mut case.tree, nic, Reader::Wicked)?);
    }
    if services.is_on(&mut case.tree, &["network.service"])?
        && case.tree.is_directory("/etc/sysconfig/network-scripts")?
    {
        all.managers.push("the network scripts");
        all.ways.extend(sysconfig::ways(&mut case.tree, nic, Reader::Scripts)?);
    }
    Ok(())
}

fn by_others(
    case: &mut Case<'_, '_>,
    services: &Services,
    nic: &Nic,
    all: &mut Ways,
) -> Result<(), Trouble> {
    let tree = &mut case.tree;
    if services.is_on(tree, &["dhcpcd.service", "dhcpcd5.service"])? {
        all.managers.push("dhcpcd");
        all.ways.extend(others::dhcpcd(tree, nic)?);
    }
    for (name, by) in [
        ("connman.service", "ConnMan"),
        ("dhclient.service", "dhclient"),
        ("udhcpc.service", "udhcpc"),
    ] {
        if services.is_on(tree, &[name])? {
            all.managers.push(by);
            all.ways.push(others::every(by, &format!("the service {name}")));
        }
    }
    match services.init {
        Some(Init::OpenRc) => all.ways.extend(others::gentoo(tree, nic)?),
        Some(Init::Bsd) => {
            all.managers.push("rc.conf");
            all.ways.extend(others::bsd(tree)?);
        }
        _ => {}
    }
    if let Some(line) = &case.known.command_line {
        all.ways.extend(others::command_line(line, nic));
    }
    Ok(())
}

/// What all of it comes to.
fn decide(case: &mut Case<'_, '_>, all: Ways, trouble: Option<Trouble>) -> Result<(), Trouble> {
    let Ways { ways, managers } = all;
    let owns = case.known.provisioner.network;
    let fits = |gives| ways.iter().find(move |way| way.fit == Fit::Yes && way.gives == gives);
    let dhcp = fits(Gives::Dhcp);
    let client = has_client(&mut case.tree)?;
    let works = ways.iter().find(|way| {
        way.fit == Fit::Yes && way.gives == Gives::Dhcp && (client || !way.wants_client)
    });
    left_over(case, &ways, owns, works.is_some());
    if let Some(way) = works.filter(|_| !owns) {
        case.inside.network = Some(in_words(way, &managers));
        return Ok(());
    }
    if owns {
        let renderer = managers.iter().rev().find(|name| **name != "netplan");
        case.inside.network = Some(match (renderer, managers.contains(&"netplan")) {
            (Some(renderer), true) => format!("the provisioner, by netplan and {renderer}"),
            (Some(renderer), false) => format!("the provisioner, by {renderer}"),
            (None, true) => "the provisioner, by netplan".to_owned(),
            (None, false) => "the provisioner".to_owned(),
        });
        return match trouble {
            _ if !managers.is_empty() => Ok(()),
            Some(trouble) => Err(trouble),
            None => without_renderer(case),
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
        case.inside.network = Some(in_words(way, &managers));
        found_at(case, Code::NetworkNameFixed, &way.path, way.line, said);
    } else if let Some(way) = ways.iter().find(|way| way.gives == Gives::Static) {
        fixed(case, way);
    } else if case.known.init.is_some() {
        let said = match managers.is_empty() {
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
fn without_renderer(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    if case.known.init.is_none() || others::hand_made(&mut case.tree)?.is_some() {
        return Ok(());
    }
    for path in RENDERERS {
        if case.tree.exists(path)? {
            let said =
                "The provisioner could write for this, but no manager of networks starts at boot.";
            case.book.found_at(Code::NetworkRendererOff, path, said);
            return Ok(());
        }
    }
    let said = "The provisioner configures the network, but no manager of networks is installed that it could write for.";
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
        let is_rendered = owns && is_rendered(&way.path);
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
fn is_rendered(path: &[u8]) -> bool {
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

/// Names in /etc/resolv.conf that only the build's network has.
fn resolver(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let path = "/etc/resolv.conf";
    // Of a link, what it leads to is written at boot.
    if case.tree.link(path)?.is_some() {
        return Ok(());
    }
    let Some(text) = case.tree.text(path)? else { return Ok(()) };
    for (line, bytes) in text.lines() {
        let mut words = text::words(bytes);
        if words.next() == Some(b"nameserver")
            && let Some(server) = words.next().filter(|server| is_private(server))
        {
            let said = format!(
                "The name server {} is of a private network. Unless DHCP writes this file anew, a Droplet resolves no names.",
                shown(server)
            );
            case.book.found_in(Code::NetworkResolverPrivate, path, line, said);
            break;
        }
    }
    Ok(())
}

/// Whether an address is of a private network, and not of the machine itself.
fn is_private(address: &[u8]) -> bool {
    let address =
        std::str::from_utf8(address).ok().and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
    address.is_some_and(|address| address.is_private())
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

fn found_at(case: &Case<'_, '_>, code: Code, path: &[u8], line: u32, said: String) {
    match (path.starts_with(b"/"), line) {
        (false, _) => case.book.found(code, said),
        (true, 0) => case.book.found_at(code, path, said),
        (true, line) => case.book.found_in(code, path, line, said),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fs::memory::Memory;
    use super::super::Inside;
    use super::super::testing::{codes, judged};
    use super::*;

    const UNITS: &str = "/usr/lib/systemd/system";
    const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

    /// A system with systemd and nothing else.
    fn bare() -> Memory {
        Memory::new()
            .program("/usr/lib/systemd/systemd")
            .with("/etc/machine-id", "")
            .link(&format!("{UNITS}/default.target"), "multi-user.target")
            .with(&format!("{UNITS}/multi-user.target"), "[Unit]\nDescription=x\n")
            .with("/usr/lib/udev/rules.d/80-net-setup-link.rules", "#\n")
    }

    /// The same with services that are on.
    fn with(services: &[&str]) -> Memory {
        services.iter().fold(bare(), |memory, name| {
            let unit = format!("{UNITS}/{name}.service");
            memory
                .with(&unit, "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n")
                .link(&format!("{WANTS}/{name}.service"), &unit)
        })
    }

    fn debian() -> Memory {
        with(&["networking"]).program("/usr/sbin/ifup").program("/usr/sbin/dhclient").with(
            "/etc/network/interfaces",
            "auto lo\niface lo inet loopback\nauto ens3\niface ens3 inet dhcp\n",
        )
    }

    fn ubuntu(netplan: &str) -> Memory {
        with(&["systemd-networkd"])
            .link("/usr/lib/systemd/system-generators/netplan", "/usr/libexec/netplan/generate")
            .with("/etc/netplan/00-installer-config.yaml", netplan)
    }

    type Found = Vec<(Code, Option<String>, String)>;

    fn on(init: Init, line: &'static [u8], owns: bool, memory: Memory) -> (Found, Inside) {
        judged(vec![memory], |case| {
            case.known.init = Some(init);
            case.known.command_line = Some(line.to_vec());
            case.known.provisioner.network = owns;
            judge(case)
        })
    }

    fn found(memory: Memory) -> (Vec<&'static str>, Option<String>) {
        let (found, inside) = on(Init::Systemd, b"ro quiet", false, memory);
        (codes(&found), inside.network)
    }

    fn owned(memory: Memory) -> (Vec<&'static str>, Option<String>) {
        let (found, inside) = on(Init::Systemd, b"ro quiet", true, memory);
        (codes(&found), inside.network)
    }

    fn works(memory: Memory, words: &str) {
        assert_eq!(found(memory), (vec![], Some(words.to_owned())));
    }

    #[test]
    fn each_manager_brings_it_up() {
        works(debian(), "ifupdown, DHCP on ens3");
        works(
            ubuntu("network: {version: 2, ethernets: {x: {match: {name: e*}, dhcp4: true}}}"),
            "netplan, rendered by systemd-networkd, DHCP on e*",
        );
        works(
            with(&["systemd-networkd"])
                .with("/etc/systemd/network/a.network", "[Match]\nName=e*\n[Network]\nDHCP=yes\n"),
            "systemd-networkd, DHCP on e*",
        );
        works(
            with(&["NetworkManager"]),
            "NetworkManager's automatic connection, DHCP on every wired interface",
        );
        works(
            with(&["NetworkManager"])
                .link("/usr/lib/systemd/system-generators/netplan", "/usr/libexec/netplan/generate")
                .with(
                    "/usr/lib/NetworkManager/conf.d/10-globally-managed-devices.conf",
                    "[keyfile]\nunmanaged-devices=*,except:type:wifi\n",
                )
                .with(
                    "/etc/netplan/01-network-manager-all.yaml",
                    "network: {version: 2, renderer: NetworkManager}",
                ),
            "NetworkManager's automatic connection, DHCP on every wired interface",
        );
        works(with(&["dhcpcd"]), "dhcpcd, DHCP on every interface");
        works(
            with(&["wicked"])
                .with("/etc/sysconfig/network/ifcfg-ens3", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"),
            "wicked, DHCP on ens3",
        );
        works(
            with(&["network"])
                .program("/usr/sbin/dhclient")
                .with("/etc/sysconfig/network-scripts/ifcfg-ens3", "ONBOOT=yes\nBOOTPROTO=dhcp\n"),
            "the network scripts, DHCP on ens3",
        );
        works(with(&["connman"]), "ConnMan, DHCP on every wired interface");
        let (found, inside) = on(Init::Systemd, b"ro ip=dhcp", false, bare());
        assert_eq!(
            (codes(&found), inside.network.unwrap()),
            (vec![], "the initramfs, DHCP on every interface".to_owned())
        );
    }

    #[test]
    fn systems_without_systemd() {
        let alpine = Memory::new()
            .program("/sbin/udhcpc")
            .program("/etc/init.d/networking")
            .link("/etc/runlevels/boot/networking", "/etc/init.d/networking")
            .with("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
        let (found, inside) = on(Init::OpenRc, b"quiet", false, alpine);
        assert_eq!(
            (codes(&found), inside.network.unwrap()),
            (vec![], "ifupdown, DHCP on eth0".to_owned())
        );
        for (text, wanted) in [
            ("ifconfig_DEFAULT=\"SYNCDHCP accept_rtadv\"\n", vec![]),
            ("ifconfig_vtnet0=\"DHCP\"\n", vec![]),
            (
                "ifconfig_DEFAULT=DHCP\nifconfig_vtnet0=\"inet 10.0.0.1/24\"\n",
                vec!["network-static-only"],
            ),
            ("ifconfig_vtnet0=\"inet 10.0.0.1\"\nifconfig_vtnet0=DHCP\n", vec![]),
            ("ifconfig_em0=\"DHCP\"\n", vec!["network-name-fixed"]),
            ("ifconfig_vtnet0_ipv6=\"inet6 accept_rtadv\"\n", vec!["network-none"]),
            ("", vec!["network-none"]),
        ] {
            let (found, _) = on(Init::Bsd, b"", false, Memory::new().with("/etc/rc.conf", text));
            assert_eq!(codes(&found), wanted, "{text}");
        }
    }

    #[test]
    fn fixed_addresses_pins_and_names_are_found() {
        let netplan = |text: &str| {
            found(ubuntu(&format!("network: {{version: 2, ethernets: {{{text}}}}}"))).0
        };
        assert_eq!(netplan("ens3: {addresses: [10.0.0.2/24]}"), ["network-static-only"]);
        assert_eq!(netplan("ens160: {addresses: [10.0.0.2/24]}"), ["network-static-only"]);
        assert_eq!(netplan("ens160: {dhcp4: true}"), ["network-name-fixed"]);
        assert_eq!(netplan("eth0: {dhcp4: true}"), ["network-name-fixed"]);
        assert_eq!(netplan("ens3: {dhcp6: true}"), ["network-ipv6-only"]);
        assert_eq!(
            netplan("x: {match: {macaddress: \"00:11:22:33:44:55\"}, dhcp4: true}"),
            ["network-mac-only"]
        );
        assert_eq!(
            netplan(
                "x: {match: {macaddress: \"00:11:22:33:44:55\"}, dhcp4: true}, ens3: {dhcp4: true}"
            ),
            ["network-mac-pinned"]
        );
        assert_eq!(netplan(""), ["network-none"]);
        assert_eq!(netplan("ens3: {dhcp4: perhaps}"), ["network-config-invalid"]);
        let static_only = debian().with(
            "/etc/network/interfaces",
            "auto ens3\niface ens3 inet static\n address 10.0.0.2\n",
        );
        let (list, _) = on(Init::Systemd, b"", false, static_only);
        assert_eq!(list[0].1.as_deref(), Some("/etc/network/interfaces:2"));
        assert_eq!(codes(&list), ["network-static-only"]);
        assert_eq!(found(debian().without("/usr/sbin/dhclient")).0, ["network-no-dhcp-client"]);
        assert_eq!(found(bare()).0, ["network-none"]);
    }

    #[test]
    fn names_of_the_kernel_count_where_they_are_kept() {
        let eth0 = || debian().with("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
        assert_eq!(found(eth0()).0, ["network-name-fixed"]);
        assert_eq!(
            found(eth0().link("/etc/systemd/network/99-default.link", "/dev/null")).0,
            [""; 0]
        );
        assert_eq!(
            found(eth0().link("/etc/udev/rules.d/80-net-setup-link.rules", "/dev/null")).0,
            [""; 0]
        );
        assert_eq!(
            found(eth0().with(
                "/etc/systemd/network/10-x.link",
                "[Match]\nDriver=virtio_net\n[Link]\nName=eth0\n"
            ))
            .0,
            [""; 0]
        );
        let (list, _) = on(Init::Systemd, b"ro net.ifnames=0", false, eth0());
        assert_eq!(codes(&list), [""; 0]);
    }

    #[test]
    fn rules_and_links_with_mac_addresses_are_found() {
        let rule = "# c\nSUBSYSTEM==\"net\", ATTR{address}==\"00:11:22:33:44:55\", NAME=\"eth0\"\n";
        let path = "/etc/udev/rules.d/70-persistent-net.rules";
        let (list, _) = on(Init::Systemd, b"", false, debian().with(path, rule));
        assert_eq!(list[0].1.as_deref(), Some("/etc/udev/rules.d/70-persistent-net.rules:2"));
        assert_eq!(codes(&list), ["network-mac-pinned"]);
        let link = "[Match]\nMACAddress=00:11:22:33:44:55\n[Link]\nName=lan0\n";
        assert_eq!(
            found(debian().with("/etc/systemd/network/10-lan.link", link)).0,
            ["network-mac-pinned"]
        );
        let any = "SUBSYSTEM==\"net\", ATTR{address}==\"00:11:*\", NAME=\"eth0\"\n";
        assert_eq!(found(debian().with(path, any)).0, [""; 0]);
    }

    #[test]
    fn a_provisioner_that_owns_the_network_is_enough() {
        let sound = ubuntu("network: {version: 2}");
        assert_eq!(
            owned(sound),
            (vec![], Some("the provisioner, by netplan and systemd-networkd".to_owned()))
        );
        let fixed = "network: {version: 2, ethernets: {ens3: {addresses: [10.0.0.2/24]}}}";
        assert_eq!(owned(ubuntu(fixed)).0, ["network-static-left-over"]);
        let pinned =
            "network: {version: 2, ethernets: {x: {match: {macaddress: \"00:11\"}, dhcp4: true}}}";
        assert_eq!(owned(ubuntu(pinned)).0, ["network-mac-pinned"]);
        let rendered =
            ubuntu("network: {version: 2}").with("/etc/netplan/50-cloud-init.yaml", pinned);
        assert_eq!(owned(rendered).0, ["network-rendered"]);
        assert_eq!(owned(bare()).0, ["network-none"]);
        assert_eq!(owned(bare().program("/usr/sbin/ifup")).0, ["network-renderer-off"]);
    }

    #[test]
    fn what_is_made_by_hand_is_no_reason_to_refuse() {
        let rc = bare().with("/etc/rc.local", "#!/bin/sh\ndhclient eth0\n");
        assert_eq!(found(rc).0, ["network-hand-made"]);
        let unit = bare()
            .with(
                "/etc/systemd/system/net-up.service",
                "[Service]\nExecStart=/usr/local/bin/net-up\n",
            )
            .with("/usr/local/bin/net-up", "#!/bin/sh\nudhcpc -i eth0\n")
            .link(&format!("{WANTS}/net-up.service"), "/etc/systemd/system/net-up.service");
        assert_eq!(found(unit).0, ["network-hand-made"]);
        let other = bare().with("/etc/rc.local", "#!/bin/sh\n# dhclient\nexit 0\n");
        assert_eq!(found(other).0, ["network-none"]);
    }

    #[test]
    fn smaller_things_are_notes() {
        let server = debian().with("/etc/resolv.conf", "nameserver 10.0.2.3\n");
        assert_eq!(found(server).0, ["network-resolver-private"]);
        assert_eq!(found(debian().with("/etc/resolv.conf", "nameserver 1.1.1.1\n")).0, [""; 0]);
        assert_eq!(found(debian().link("/etc/resolv.conf", "/run/nowhere")).0, [""; 0]);
        assert_eq!(
            found(debian().with(INSTALLERS, "network: {config: disabled}\n")).0,
            ["network-installer-left-over"]
        );
        let insecure = with(&["NetworkManager"]).with(
            "/etc/NetworkManager/system-connections/a.nmconnection",
            "[connection]\ntype=ethernet\n",
        );
        assert_eq!(found(insecure).0, ["network-profile-insecure"]);
    }
}
