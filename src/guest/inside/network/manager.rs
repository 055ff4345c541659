//! NetworkManager: profiles, and the connection that it makes by itself for a card without one.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::netplan::Definition;
use super::nic::{Fit, Match, Nic, is_hidden, whole};
use super::text::{Setting, is_true, matches, settings, shadowed, too_many, words};
use super::{Gives, MOST_INTERFACES, Way, ifupdown};

/// What it calls itself in messages.
pub(super) const NAME: &str = "NetworkManager";

/// A profile that it leaves out because others than root may read it: its path and permissions.
pub(super) type Insecure = (Vec<u8>, u16);

/// What is known of it.
#[derive(Default)]
pub(super) struct Manager {
    pub(super) ways: Vec<Way>,
    pub(super) insecure: Vec<Insecure>,
}

/// Reads its profiles and its configuration, with profiles of others: of netplan, and of ifcfg files.
///
/// # Errors
/// If they cannot be read.
pub(super) fn read(
    tree: &mut Tree<'_>,
    nic: &Nic,
    rendered: &[Definition],
    all_by_netplan: bool,
    others: Vec<Way>,
) -> Result<Manager, Trouble> {
    let mut manager = Manager::default();
    let mut ways = others;
    for definition in rendered {
        let network = &definition.network;
        ways.push(Way {
            by: "netplan",
            path: network.path.clone(),
            line: network.line,
            fit: nic.fits(&network.asked),
            whom: network.asked.words(),
            gives: network.gives,
            wants_client: false,
        });
    }
    let directories =
        ["/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections"];
    for (name, path) in shadowed(tree, &directories, "")? {
        let is_ours = path.starts_with(b"/etc/") || name.ends_with(b".nmconnection");
        if name.starts_with(b".") || name.ends_with(b"~") || !is_ours {
            continue;
        }
        let Some(found) = tree.stat(&path)? else { continue };
        let Some(text) = whole(tree, &path)? else { continue };
        if ways.len() > MOST_INTERFACES {
            return Err(too_many());
        }
        if found.inode.mode & 0o077 != 0 && path.starts_with(b"/etc/") {
            manager.insecure.push((path, found.inode.mode & 0o777));
            continue;
        }
        ways.extend(profile(path, &settings(&text)?, nic));
    }
    ways.retain(|way| way.fit != Fit::No);
    // A card without a profile gets one, which asks DHCP.
    let is_taken = ways.iter().any(|way| way.fit == Fit::Yes);
    if !is_taken && let Some((path, line)) = automatic(tree, nic, all_by_netplan)? {
        ways.push(Way {
            by: "NetworkManager's automatic connection",
            path,
            line,
            fit: Fit::Yes,
            whom: b"every wired interface".to_vec(),
            gives: Gives::Dhcp,
            wants_client: false,
        });
    }
    manager.ways = ways;
    Ok(manager)
}

/// What a profile does for a wired interface; `None` if it is for something else, or starts on demand only.
fn profile(path: Vec<u8>, settings: &[Setting], nic: &Nic) -> Option<Way> {
    let last = |section: &str, key: &str| {
        let found = settings.iter().rev().find(|setting| setting.is(section, key));
        found.map(|setting| &setting.value[..])
    };
    let wired = |key: &str| last("ethernet", key).or_else(|| last("802-3-ethernet", key));
    let is_wired = matches!(last("connection", "type")?, b"ethernet" | b"802-3-ethernet");
    // Parts of a bridge or bond get their address there.
    let is_part =
        last("connection", "master").or_else(|| last("connection", "controller")).is_some();
    let is_over = matches!(last("connection", "type")?, b"bridge" | b"bond" | b"team");
    if !is_wired && !is_over || is_part {
        return None;
    }
    let starts = last("connection", "autoconnect").is_none_or(is_true);
    let list = |value: Option<&[u8]>| {
        let parts = value.unwrap_or_default().split(|byte| b"; ,".contains(byte));
        parts.filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let mut asked = Match::default();
    if is_wired {
        asked.names = list(last("match", "interface-name"));
        // Options of a match begin with | or &, which say how they are joined.
        for name in &mut asked.names {
            while name.first().is_some_and(|byte| b"|&".contains(byte)) {
                name.remove(0);
            }
        }
        if let Some(name) = last("connection", "interface-name").filter(|name| !name.is_empty()) {
            asked.names = vec![name.to_vec()];
        }
        asked.macs = list(wired("mac-address"));
        asked.drivers = list(last("match", "driver"));
        asked.paths = list(last("match", "path"));
    }
    let line =
        |section: &str, key: &str| settings.iter().rev().find(|setting| setting.is(section, key));
    let place = line("ipv4", "method").or_else(|| line("connection", "type"));
    let gives = match last("ipv4", "method").unwrap_or(b"auto") {
        _ if !starts => return None,
        b"auto" => Gives::Dhcp,
        b"manual" => Gives::Static,
        _ if !matches!(
            last("ipv6", "method").unwrap_or(b"auto"),
            b"ignore" | b"disabled" | b"link-local"
        ) =>
        {
            Gives::SixOnly
        }
        _ => Gives::Nothing,
    };
    Some(Way {
        by: NAME,
        path,
        line: place.map_or(0, |setting| setting.line),
        fit: nic.fits(&asked),
        whom: if asked.names.is_empty() {
            b"every wired interface".to_vec()
        } else {
            asked.words()
        },
        gives,
        wants_client: false,
    })
}

/// The settings of its configuration, in the order in which they count.
fn configuration(tree: &mut Tree<'_>, all_by_netplan: bool) -> Result<Vec<Setting>, Trouble> {
    let mut all: Vec<Setting> = Vec::new();
    let etc = "/etc/NetworkManager/conf.d";
    let files = shadowed(tree, &[etc, "/usr/lib/NetworkManager/conf.d"], ".conf")?;
    let (own, vendors): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(_, path)| path.starts_with(etc.as_bytes()));
    let main =
        (b"NetworkManager.conf".to_vec(), b"/etc/NetworkManager/NetworkManager.conf".to_vec());
    for (name, path) in vendors.into_iter().chain([main]).chain(own) {
        // netplan puts an empty file of this name before Ubuntu's, which leaves cards to networkd.
        if all_by_netplan && name == b"10-globally-managed-devices.conf" || is_hidden(tree, &path)?
        {
            continue;
        }
        if let Some(text) = whole(tree, &path)? {
            all.extend(settings(&text)?);
        }
    }
    Ok(all)
}

/// Whether it leaves the interface to ifupdown, in whose file it is named: so Debian's configuration has it.
///
/// # Errors
/// If its configuration or that of ifupdown cannot be read.
pub(super) fn leaves_to_ifupdown(tree: &mut Tree<'_>, nic: &Nic) -> Result<bool, Trouble> {
    let all = configuration(tree, false)?;
    let last = |section: &str, key: &str| {
        let found = all.iter().rev().find(|setting| setting.is(section, key));
        found.map_or(&b""[..], |setting| &setting.value)
    };
    let mut plugins = last("main", "plugins").split(|byte| b", \t".contains(byte));
    if !plugins.any(|plugin| plugin == b"ifupdown") || is_true(last("ifupdown", "managed")) {
        return Ok(false);
    }
    Ok(ifupdown::names(tree)?.iter().any(|name| nic.named(name) == Fit::Yes))
}

/// Where NetworkManager is configured; its own directory if nowhere. `None` if that keeps it from making a connection
/// for a card without a profile.
fn automatic(
    tree: &mut Tree<'_>,
    nic: &Nic,
    all_by_netplan: bool,
) -> Result<Option<(Vec<u8>, u32)>, Trouble> {
    let all = configuration(tree, all_by_netplan)?;
    let holds_for_it = |value: &[u8]| {
        let items = || value.split(|byte| b",; \t".contains(byte)).filter(|item| !item.is_empty());
        let mut is_in = false;
        for item in items() {
            if let Some(except) = item.strip_prefix(b"except:") {
                let names_it = except == b"type:ethernet"
                    || except == b"*"
                    || except
                        .strip_prefix(b"interface-name:")
                        .is_some_and(|name| nic.named(name) == Fit::Yes)
                    || except
                        .strip_prefix(b"driver:")
                        .is_some_and(|name| matches(name, b"virtio_net"));
                if names_it {
                    return false;
                }
                continue;
            }
            let name = item.strip_prefix(b"interface-name:").unwrap_or(item);
            is_in |= item == b"*"
                || item == b"type:ethernet"
                || item.strip_prefix(b"driver:").is_some_and(|name| matches(name, b"virtio_net"))
                || !name.contains(&b':')
                    && nic.named(name.strip_prefix(b"=").unwrap_or(name)) == Fit::Yes;
        }
        is_in
    };
    let value = |section: &str, key: &str| {
        let mut value: &[u8] = b"";
        for setting in all.iter().filter(|setting| setting.section == section.as_bytes()) {
            let name = setting.key.strip_suffix(b"+").unwrap_or(&setting.key);
            if name == key.as_bytes() {
                value = &setting.value;
            }
        }
        value
    };
    if holds_for_it(value("main", "no-auto-default"))
        || holds_for_it(value("keyfile", "unmanaged-devices"))
    {
        return Ok(None);
    }
    let device = all
        .iter()
        .filter(|setting| setting.section.starts_with(b"device") && setting.key == b"managed");
    let mut is_managed = true;
    for setting in device {
        let of = |key: &[u8]| {
            let same =
                all.iter().find(|other| other.section == setting.section && other.key == key);
            same.map(|other| &other.value[..])
        };
        if of(b"match-device").is_none_or(holds_for_it) {
            is_managed = words(&setting.value).next().is_some_and(is_true);
        }
    }
    Ok(is_managed.then(|| (b"/etc/NetworkManager/NetworkManager.conf".to_vec(), 0)))
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::*;

    fn found(memory: Memory) -> (Vec<(Fit, Gives)>, usize) {
        let manager = read(&mut tree(vec![memory]), &Nic::any(), &[], false, Vec::new()).unwrap();
        let ways = manager.ways.into_iter().map(|way| (way.fit, way.gives));
        (ways.collect(), manager.insecure.len())
    }

    const SERVER: &str = "/usr/lib/NetworkManager/conf.d/00-server.conf";
    const PROFILE: &str = "/etc/NetworkManager/system-connections/x.nmconnection";

    #[test]
    fn a_card_without_a_profile_gets_one_unless_that_is_off() {
        let yes = vec![(Fit::Yes, Gives::Dhcp)];
        assert_eq!(found(Memory::new()).0, yes);
        for (text, is_off) in [
            ("[main]\nno-auto-default=*\n", true),
            ("[main]\nno-auto-default=00:11:22:33:44:55\n", false),
            ("[main]\nno-auto-default=interface-name:eth*\n", true),
            ("[keyfile]\nunmanaged-devices=*,except:type:wifi,except:type:gsm\n", true),
            ("[keyfile]\nunmanaged-devices=*,except:type:ethernet\n", false),
            ("[keyfile]\nunmanaged-devices=interface-name:docker*\n", false),
            ("[device-x]\nmatch-device=driver:virtio_net\nmanaged=0\n", true),
            ("[device-x]\nmatch-device=interface-name:veth*\nmanaged=0\n", false),
        ] {
            let memory = Memory::new().with(SERVER, text);
            assert_eq!(found(memory).0.is_empty(), is_off, "{text}");
            let memory = Memory::new()
                .with(SERVER, text)
                .link("/etc/NetworkManager/conf.d/00-server.conf", "/dev/null");
            assert_eq!(found(memory).0, yes, "{text}");
        }
    }

    #[test]
    fn profiles_are_taken_for_what_they_ask() {
        for (text, wanted) in [
            ("[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n", (Fit::Yes, Gives::Dhcp)),
            ("[connection]\ntype=ethernet\n", (Fit::Yes, Gives::Dhcp)),
            (
                "[connection]\ntype=802-3-ethernet\n[ipv4]\nmethod=manual\n",
                (Fit::Yes, Gives::Static),
            ),
            ("[connection]\ntype=ethernet\n[ipv4]\nmethod=disabled\n", (Fit::Yes, Gives::SixOnly)),
            (
                "[connection]\ntype=ethernet\n[802-3-ethernet]\nmac-address=00:11\n",
                (Fit::Mac(b"00:11".to_vec()), Gives::Dhcp),
            ),
            (
                "[connection]\ntype=ethernet\ninterface-name=ens160\n",
                (Fit::Name(b"ens160".to_vec()), Gives::Dhcp),
            ),
        ] {
            let memory = || Memory::new().with(SERVER, "[main]\nno-auto-default=*\n");
            assert_eq!(
                found(memory().with_mode(PROFILE, 0o600, text)),
                (vec![wanted], 0),
                "{text}"
            );
            assert_eq!(found(memory().with_mode(PROFILE, 0o644, text)), (vec![], 1), "{text}");
        }
        let off = "[connection]\ntype=ethernet\nautoconnect=false\n";
        assert_eq!(
            found(Memory::new().with_mode(PROFILE, 0o600, off)).0,
            [(Fit::Yes, Gives::Dhcp)]
        );
    }
}
