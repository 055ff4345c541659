//! systemd-networkd: .network files of several directories, with drop-ins; the first one that fits an interface counts.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::nic::{Match, Nic, is_hidden, whole};
use super::text::{Setting, is_true, matches, settings, shadowed, words};
use super::{Gives, Way};

/// What networkd calls itself in messages.
pub(super) const NAME: &str = "systemd-networkd";

/// Directories of .network files, the first one first.
const DIRECTORIES: [&str; 4] = [
    "/etc/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
];

/// A .network file, or what netplan would write as one.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// The file's name, which orders it among the others.
    pub(super) name: Vec<u8>,
    /// Who wrote it.
    pub(super) by: &'static str,
    pub(super) path: Vec<u8>,
    pub(super) line: u32,
    pub(super) asked: Match,
    pub(super) gives: Gives,
    /// The bridge or bond that the interface becomes a part of.
    pub(super) part_of: Option<Vec<u8>>,
}

/// What the [Match] section of a file asks for.
pub(super) fn asked(settings: &[Setting]) -> Match {
    let mut asked = Match::default();
    for setting in settings.iter().filter(|setting| setting.section == b"Match") {
        let list = || words(&setting.value).map(<[u8]>::to_vec);
        let is_empty = setting.value.is_empty();
        let add = |to: &mut Vec<Vec<u8>>| {
            // An empty value forgets those before.
            if is_empty { to.clear() } else { to.extend(list()) }
        };
        match &setting.key[..] {
            b"Name" | b"OriginalName" => add(&mut asked.names),
            b"MACAddress" | b"PermanentMACAddress" => add(&mut asked.macs),
            b"Driver" => add(&mut asked.drivers),
            b"Type" => add(&mut asked.types),
            b"Kind" => add(&mut asked.kinds),
            b"Path" => add(&mut asked.paths),
            b"SSID" | b"BSSID" | b"WLANInterfaceType" => asked.elsewhere |= !is_empty,
            b"Virtualization" => asked.elsewhere |= !is_empty && !is_virtual(&setting.value),
            b"Architecture" => {
                asked.elsewhere |= !condition(&setting.value, |word| word == b"x86-64")
            }
            _ => asked.here |= !is_empty,
        }
    }
    asked
}

/// Whether a condition holds that a `!` at its beginning turns around.
fn condition(value: &[u8], holds: impl Fn(&[u8]) -> bool) -> bool {
    let value = value.strip_prefix(b"|").unwrap_or(value);
    match value.strip_prefix(b"!") {
        Some(rest) => !holds(rest.trim_ascii()),
        None => holds(value),
    }
}

/// Whether a condition on virtualization holds on a Droplet, which is a virtual machine of KVM.
fn is_virtual(value: &[u8]) -> bool {
    condition(value, |word| matches!(word, b"vm" | b"kvm" | b"qemu") || is_true(word))
}

/// What a .network file gives its interface.
fn gives(settings: &[Setting]) -> Gives {
    let last = |section: &str, key: &str| {
        let found = settings.iter().rev().find(|setting| setting.is(section, key));
        found.map(|setting| &setting.value[..])
    };
    let is_left = last("Link", "Unmanaged").is_some_and(is_true)
        || last("Link", "ActivationPolicy")
            .is_some_and(|policy| matches!(policy, b"manual" | b"down" | b"always-down"));
    if is_left {
        return Gives::Nothing;
    }
    let dhcp = last("Network", "DHCP").unwrap_or_default();
    if is_true(dhcp) || matches!(dhcp, b"ipv4" | b"both" | b"v4") {
        return Gives::Dhcp;
    }
    let addresses = settings
        .iter()
        .filter(|setting| setting.is("Network", "Address") || setting.is("Address", "Address"));
    let mut six =
        matches!(dhcp, b"ipv6" | b"v6") || last("Network", "IPv6AcceptRA").is_some_and(is_true);
    for setting in addresses.filter(|setting| !setting.value.is_empty()) {
        match setting.value.contains(&b':') {
            true => six = true,
            false => return Gives::Static,
        }
    }
    if six { Gives::SixOnly } else { Gives::Nothing }
}

/// All .network files that are there.
///
/// # Errors
/// If they cannot be read.
pub(super) fn files(tree: &mut Tree<'_>) -> Result<Vec<Network>, Trouble> {
    let mut found = Vec::new();
    for (name, path) in shadowed(tree, &DIRECTORIES, ".network")? {
        if is_hidden(tree, &path)? {
            continue;
        }
        let Some(text) = whole(tree, &path)? else { continue };
        let mut all = settings(&text)?;
        let drop_ins: Vec<String> = DIRECTORIES
            .iter()
            .map(|directory| format!("{directory}/{}.d", String::from_utf8_lossy(&name)))
            .collect();
        let drop_ins: Vec<&str> = drop_ins.iter().map(|path| &path[..]).collect();
        for path in shadowed(tree, &drop_ins, ".conf")?.into_values() {
            if let Some(text) = whole(tree, &path)? {
                all.extend(settings(&text)?);
            }
        }
        let asked = asked(&all);
        // systemd leaves out a file without any match.
        if !all.iter().any(|setting| setting.section == b"Match" && !setting.value.is_empty()) {
            continue;
        }
        let shown = ["DHCP", "Address", "Name"];
        let line = shown.iter().find_map(|key| {
            all.iter().find(|setting| setting.key == key.as_bytes()).map(|setting| setting.line)
        });
        let mut part_of = all
            .iter()
            .filter(|setting| setting.is("Network", "Bridge") || setting.is("Network", "Bond"));
        found.push(Network {
            name,
            by: NAME,
            path,
            line: line.unwrap_or(0),
            gives: gives(&all),
            part_of: part_of.next_back().map(|setting| setting.value.clone()),
            asked,
        });
    }
    Ok(found)
}

/// What networkd does with the interface by these files: that of the first one that fits, and all that are tied to
/// an interface which a Droplet does not have.
pub(super) fn ways(mut networks: Vec<Network>, nic: &Nic) -> Vec<Way> {
    // Of two with one name, the first one shadows the other.
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    networks.dedup_by(|later, first| later.name == first.name);
    let mut ways = Vec::new();
    let mut is_taken = false;
    for network in &networks {
        let fit = nic.fits(&network.asked);
        match fit {
            super::nic::Fit::No => continue,
            super::nic::Fit::Yes if is_taken => continue,
            super::nic::Fit::Yes => is_taken = true,
            _ => {}
        }
        let bridge = network.part_of.as_ref().and_then(|bridge| {
            let is_for =
                |other: &&Network| other.asked.names.iter().any(|name| matches(name, bridge));
            networks.iter().find(is_for)
        });
        ways.push(Way {
            by: network.by,
            path: network.path.clone(),
            line: network.line,
            fit,
            whom: network.asked.words(),
            gives: bridge.map_or(network.gives, |bridge| bridge.gives),
            wants_client: false,
        });
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::super::nic::Fit;
    use super::*;

    fn found(memory: Memory) -> Vec<(String, Fit, Gives)> {
        let networks = files(&mut tree(vec![memory])).unwrap();
        let ways = ways(networks, &Nic::any()).into_iter();
        ways.map(|way| (String::from_utf8(way.path).unwrap(), way.fit, way.gives)).collect()
    }

    #[test]
    fn the_first_file_that_fits_counts() {
        let memory = Memory::new()
            .with(
                "/usr/lib/systemd/network/80-container-ve.network",
                "[Match]\nKind=veth\nName=ve-*\n[Network]\nDHCP=yes\n",
            )
            .with(
                "/usr/lib/systemd/network/80-wifi.network",
                "[Match]\nType=wlan\n[Network]\nDHCP=yes\n",
            )
            .with(
                "/usr/lib/systemd/network/10-x.network",
                "[Match]\nName=*\n[Network]\nAddress=10.0.0.1/24\n",
            )
            .with("/etc/systemd/network/10-x.network", "")
            .with("/etc/systemd/network/05-empty.network", "[Network]\nAddress=10.0.0.1/24\n")
            .with(
                "/etc/systemd/network/20-wired.network",
                "[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\n",
            )
            .with(
                "/etc/systemd/network/30-late.network",
                "[Match]\nName=*\n[Network]\nAddress=10.0.0.1/24\n",
            );
        let wired = "/etc/systemd/network/20-wired.network".to_owned();
        assert_eq!(found(memory), [(wired, Fit::Yes, Gives::Dhcp)]);
    }

    #[test]
    fn drop_ins_bridges_and_pins() {
        let memory = Memory::new()
            .with(
                "/etc/systemd/network/a.network",
                "[Match]\nMACAddress=00:11:22:33:44:55\n[Network]\nDHCP=yes\n",
            )
            .with("/etc/systemd/network/b.network", "[Match]\nType=ether\n[Network]\nBridge=br0\n")
            .with("/etc/systemd/network/c.network", "[Match]\nName=br0\n[Network]\nDHCP=no\n")
            .with("/usr/lib/systemd/network/c.network.d/x.conf", "[Network]\nDHCP=yes\n");
        let found = found(memory);
        assert_eq!(found[0].1, Fit::Mac(b"00:11:22:33:44:55".to_vec()));
        assert_eq!((&found[1].1, found[1].2), (&Fit::Yes, Gives::Dhcp));
    }

    #[test]
    fn what_a_file_gives() {
        for (text, wanted) in [
            ("DHCP=yes", Gives::Dhcp),
            ("DHCP=both", Gives::Dhcp),
            ("DHCP=yes\nDHCP=no", Gives::Nothing),
            ("DHCP=ipv6", Gives::SixOnly),
            ("Address=2001:db8::1/64", Gives::SixOnly),
            ("Address=2001:db8::1/64\nAddress=192.0.2.1/24", Gives::Static),
            ("DHCP=ipv4\nAddress=192.0.2.1/24", Gives::Dhcp),
            ("DHCP=no\n[Address]\nAddress=192.0.2.1/24", Gives::Static),
            ("DHCP=yes\n[Link]\nUnmanaged=yes", Gives::Nothing),
            ("LinkLocalAddressing=yes", Gives::Nothing),
        ] {
            let text = format!("[Match]\nName=*\nVirtualization=vm\n[Network]\n{text}\n");
            let found = found(Memory::new().with("/etc/systemd/network/a.network", &text));
            assert_eq!(found[0].2, wanted, "{text}");
        }
    }
}
