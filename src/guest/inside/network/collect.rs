//! Which managers of networks are on, and what each of them would do.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::super::services::{Init, On, Systemd, is_on};
use super::super::{Case, shown};
use super::netplan::{self, Definition, Renderer};
use super::nic::{Fit, Nic};
use super::sysconfig::{self, Reader};
use super::{Way, ifupdown, manager, networkd, others};
use crate::facts::Code;

/// What was collected.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) ways: Vec<Way>,
    /// Managers that are on, by the name that is shown.
    pub(super) managers: Vec<&'static str>,
    /// Whether netplan starts systemd-networkd once something is written for it.
    pub(super) starts_networkd: bool,
    /// Whether nothing can start systemd-networkd.
    pub(super) masks_networkd: bool,
    /// Why nothing comes of a configuration that would do, as a sentence without a period.
    pub(super) off: Option<&'static str>,
}

type Collect = fn(&mut Case<'_, '_>, &Services, &Nic, &mut Ways) -> Result<(), Trouble>;

/// Everyone who may bring up the network.
pub(super) const ALL: [Collect; 4] = [by_systemd, by_ifupdown, by_sysconfig, by_others];

/// Which services start.
pub(super) struct Services {
    init: Option<Init>,
    systemd: Option<Systemd>,
}

impl Services {
    pub(super) fn read(case: &mut Case<'_, '_>) -> Result<Services, Trouble> {
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
    all.masks_networkd = networkd == On::Masked;
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
        all.starts_networkd = networkd == On::No;
    }
    let (for_networkd, for_manager): (Vec<Definition>, Vec<Definition>) =
        netplan.definitions.into_iter().partition(|one| one.renderer == Renderer::Networkd);
    let for_it = |one: &Definition| nic.fits(&one.network.asked) == Fit::Yes;
    // netplan starts networkd itself where it writes for it, and keeps NetworkManager from what it wrote.
    let is_networkds = for_networkd.iter().any(for_it);
    // What a provisioner writes makes netplan start it, too.
    let is_started =
        !for_networkd.is_empty() || all.starts_networkd && case.known.provisioner.network;
    if networkd == On::Yes || is_started && networkd == On::No {
        all.managers.push(networkd::NAME);
        let mut networks = networkd::files(tree)?;
        networks.extend(for_networkd.into_iter().map(|definition| definition.network));
        all.ways.extend(networkd::ways(networks, nic));
    } else if is_networkds {
        all.off = Some("netplan writes for systemd-networkd, which is masked or not installed");
    }
    if manager && !is_networkds && !manager::leaves_to_ifupdown(tree, nic)? {
        all.managers.push(manager::NAME);
        let ifcfg = match sysconfig::has_plugin(tree)? {
            true => sysconfig::ways(tree, nic, Reader::NetworkManager)?,
            false => Vec::new(),
        };
        let by_netplan = netplan.all_by_network_manager;
        let found = manager::read(tree, nic, &for_manager, by_netplan, ifcfg)?;
        for (path, mode) in &found.insecure {
            let said = format!(
                "NetworkManager leaves this profile out, as others than root may read or write it (mode {mode:04o})."
            );
            case.book.found_at(Code::NetworkProfileInsecure, path, said);
        }
        all.ways.extend(found.ways);
    } else if !manager && for_manager.iter().any(for_it) {
        all.off = Some("netplan writes for NetworkManager, which does not start at boot");
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
        Some(Init::Systemd) => all.ways.extend(others::nixos(tree, nic)?),
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
