//! ifcfg files: Red Hat's, of its network scripts and of NetworkManager, and SUSE's, of wicked.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::nic::{Fit, Match, Nic, whole};
use super::text::{assignments, last, too_many};
use super::{Gives, MOST_INTERFACES, Way};

/// Whose files they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The service `network` of Red Hat's systems.
    Scripts,
    /// NetworkManager with its plugin ifcfg-rh.
    NetworkManager,
    /// wicked of SUSE's systems.
    Wicked,
}

impl Reader {
    fn directory(self) -> &'static str {
        match self {
            Reader::Scripts | Reader::NetworkManager => "/etc/sysconfig/network-scripts",
            Reader::Wicked => "/etc/sysconfig/network",
        }
    }

    /// What it is called in messages. Of cloud-init's own files that is said, as it writes them anew.
    fn name(self, by_cloud_init: bool) -> &'static str {
        match (self, by_cloud_init) {
            (Reader::Scripts, false) => "the network scripts",
            (Reader::Scripts, true) => "the network scripts, as cloud-init wrote it,",
            (Reader::NetworkManager, false) => "NetworkManager",
            (Reader::NetworkManager, true) => "NetworkManager, as cloud-init wrote it,",
            (Reader::Wicked, false) => "wicked",
            (Reader::Wicked, true) => "wicked, as cloud-init wrote it,",
        }
    }
}

/// Endings of files that are kept aside.
const ASIDE: [&[u8]; 8] =
    [b"~", b".bak", b".old", b".orig", b".rpmsave", b".rpmnew", b".rpmorig", b".swp"];

/// What a reader makes of the files for the interface.
///
/// # Errors
/// If they cannot be read.
pub(super) fn ways(tree: &mut Tree<'_>, nic: &Nic, reader: Reader) -> Result<Vec<Way>, Trouble> {
    let mut ways = Vec::new();
    for name in tree.names(reader.directory(), "")? {
        let Some(of) = name.strip_prefix(b"ifcfg-") else { continue };
        if of == b"lo" || ASIDE.iter().any(|ending| of.ends_with(ending)) {
            continue;
        }
        let path = [reader.directory().as_bytes(), b"/", &name].concat();
        let Some(text) = whole(tree, &path)? else { continue };
        if ways.len() > MOST_INTERFACES {
            return Err(too_many());
        }
        let all = assignments(&text)?;
        let value =
            |key: &str| last(&all, key).map(|(value, _)| value).filter(|value| !value.is_empty());
        let is = |key: &str, word: &str| {
            value(key).is_some_and(|value| value.eq_ignore_ascii_case(word.as_bytes()))
        };
        let starts = match reader {
            Reader::Scripts => is("ONBOOT", "yes") || is("ONBOOT", "true") || is("ONBOOT", "1"),
            Reader::NetworkManager => {
                !(is("ONBOOT", "no")
                    || is("ONBOOT", "false")
                    || is("ONBOOT", "0")
                    || is("NM_CONTROLLED", "no"))
            }
            Reader::Wicked => ["auto", "boot", "onboot", "hotplug", "nfsroot", "ifplugd"]
                .iter()
                .any(|mode| is("STARTMODE", mode)),
        };
        let is_card = value("TYPE").is_none_or(|kind| kind.eq_ignore_ascii_case(b"Ethernet"));
        if !starts || !is_card {
            continue;
        }
        let mut asked = Match::default();
        match (reader, value("DEVICE")) {
            (Reader::Wicked, _) => asked.names.push(of.to_vec()),
            (_, Some(device)) => asked.names.push(device.to_vec()),
            // NetworkManager takes a profile without a device for any card.
            (Reader::NetworkManager, None) => {}
            (Reader::Scripts, None) => asked.names.push(of.to_vec()),
        }
        asked.macs.extend(value("HWADDR").map(<[u8]>::to_vec));
        let dhcp = value("BOOTPROTO").is_some_and(|how| {
            let how = how.to_ascii_lowercase();
            matches!(&how[..], b"dhcp" | b"bootp" | b"dhcp4" | b"dhcp+autoip")
        });
        let address = value("IPADDR").or_else(|| value("IPADDR0"));
        let gives = match address {
            _ if dhcp => Gives::Dhcp,
            Some(address) if !address.contains(&b':') => Gives::Static,
            _ if address.is_some() || is("IPV6INIT", "yes") || is("BOOTPROTO", "dhcp6") => {
                Gives::SixOnly
            }
            _ => Gives::Nothing,
        };
        let key = ["BOOTPROTO", "IPADDR", "IPADDR0", "DEVICE"];
        let line = key.iter().find_map(|key| last(&all, key)).map_or(0, |(_, line)| line);
        let fit = nic.fits(&asked);
        if fit != Fit::No {
            ways.push(Way {
                by: reader.name(
                    text.lines()
                        .take(3)
                        .any(|(_, line)| line.starts_with(b"# Created by cloud-init")),
                ),
                path,
                line,
                fit,
                whom: asked.words(),
                gives,
                wants_client: gives == Gives::Dhcp && reader == Reader::Scripts,
            });
        }
    }
    Ok(ways)
}

/// Whether NetworkManager has the plugin that reads these files.
///
/// # Errors
/// If its directories cannot be read.
pub(super) fn has_plugin(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    for directory in ["/usr/lib64/NetworkManager", "/usr/lib/NetworkManager"] {
        for name in tree.names(directory, "")? {
            for plugin in ["/libnm-settings-plugin-ifcfg-rh.so", ""] {
                let path = [directory.as_bytes(), b"/", &name, plugin.as_bytes()].concat();
                let is_it = !plugin.is_empty() || name == b"libnm-settings-plugin-ifcfg-rh.so";
                if is_it && tree.exists(&path)? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::*;

    fn found(name: &str, text: &str, reader: Reader) -> Option<(Fit, Gives)> {
        let path = format!("{}/{name}", reader.directory());
        let memory = Memory::new().with(&path, text);
        let ways = ways(&mut tree(vec![memory]), &Nic::any(), reader).unwrap().into_iter();
        ways.map(|way| (way.fit, way.gives)).next()
    }

    #[test]
    fn files_are_taken_as_their_reader_takes_them() {
        use Reader::*;
        let dhcp = Some((Fit::Yes, Gives::Dhcp));
        let fixed = Some((Fit::Yes, Gives::Static));
        for (name, text, scripts, manager) in [
            ("ifcfg-eth0", "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=dhcp\n", dhcp.clone(), dhcp.clone()),
            (
                "ifcfg-eth0",
                "DEVICE=\"eth0\"\r\nONBOOT='yes'\r\nBOOTPROTO=\"DHCP\"\r\n",
                dhcp.clone(),
                dhcp.clone(),
            ),
            ("ifcfg-eth0", "BOOTPROTO=dhcp\n", None, dhcp.clone()),
            ("ifcfg-eth0", "ONBOOT=no\nBOOTPROTO=dhcp\n", None, None),
            ("ifcfg-eth0.bak", "ONBOOT=yes\nBOOTPROTO=dhcp\n", None, None),
            ("ifcfg-x", "ONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.0.0.1\n", None, fixed.clone()),
            ("ifcfg-eth0", "ONBOOT=yes\nIPADDR0=10.0.0.1\n", fixed.clone(), fixed),
            ("ifcfg-eth0", "ONBOOT=yes\nBOOTPROTO=dhcp\nTYPE=Bridge\n", None, None),
        ] {
            assert_eq!(found(name, text, Scripts), scripts, "{text}");
            assert_eq!(found(name, text, NetworkManager), manager, "{text}");
        }
        assert_eq!(found("ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n", Wicked), dhcp);
        assert_eq!(found("ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='manual'\n", Wicked), None);
        let pinned = "ONBOOT=yes\nBOOTPROTO=dhcp\nDEVICE=eth0\nHWADDR=00:11\n";
        assert_eq!(
            found("ifcfg-eth0", pinned, Scripts),
            Some((Fit::Mac(b"00:11".to_vec()), Gives::Dhcp))
        );
    }
}
