//! netplan: YAML of several directories, merged by name, from which it writes files for networkd or NetworkManager.

use std::collections::BTreeMap;

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::super::super::yaml::{self, Node, Refused, Value};
use super::networkd::Network;
use super::nic::{Match, whole};
use super::text::{shadowed, too_many};
use super::{Gives, MOST_INTERFACES};

/// Directories of its files: of two with one name, that of the first directory counts.
const DIRECTORIES: [&str; 3] = ["/etc/netplan", "/lib/netplan", "/usr/lib/netplan"];

/// Where it hooks into the boot.
const GENERATORS: [&str; 5] = [
    "/usr/lib/systemd/system-generators/netplan",
    "/lib/systemd/system-generators/netplan",
    "/usr/libexec/netplan/generate",
    "/usr/lib/netplan/generate",
    "/lib/netplan/generate",
];

/// Kinds of interfaces that it knows.
const CARDS: &str = "ethernets";
const OVER_CARDS: [&str; 2] = ["bridges", "bonds"];

/// Who brings an interface up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renderer {
    Networkd,
    NetworkManager,
}

/// An interface that it would write a file for.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) renderer: Renderer,
    pub(super) network: Network,
}

/// What its files say.
#[derive(Debug, Default)]
pub(super) struct Netplan {
    pub(super) definitions: Vec<Definition>,
    /// NetworkManager is meant to bring up everything.
    pub(super) all_by_network_manager: bool,
    /// What it would not read, and then writes nothing at all: path, line, why.
    pub(super) refused: Option<(Vec<u8>, u32, String)>,
}

/// What is collected of an interface over all files.
#[derive(Default)]
struct Interface {
    is_card: bool,
    place: (Vec<u8>, u32),
    has_match: bool,
    asked: Match,
    dhcp4: bool,
    dhcp6: bool,
    four: bool,
    six: bool,
    is_manual: bool,
    members: Vec<String>,
    renderer: Option<Renderer>,
}

/// Whether it is installed.
///
/// # Errors
/// If its places cannot be read.
pub(super) fn is_there(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    for path in GENERATORS {
        if tree.lstat(path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads its files.
///
/// # Errors
/// If they cannot be read.
pub(super) fn read(tree: &mut Tree<'_>) -> Result<Netplan, Trouble> {
    let mut reading = Reading::default();
    for path in shadowed(tree, &DIRECTORIES, ".yaml")?.into_values() {
        let Some(text) = whole(tree, &path)? else { continue };
        if let Some((line, said)) = reading.text(&path, &text.bytes)? {
            return Ok(Netplan { refused: Some((path, line, said)), ..Netplan::default() });
        }
    }
    Ok(reading.done())
}

/// What netplan writes for each interface, by its id: whether NetworkManager is the one that gets it; names, MAC
/// addresses and drivers that it matches; whether there is DHCP for IPv4, or else a fixed address of IPv4. The texts are
/// those of its files in their order. `None` if it refuses them. For tests.
#[doc(hidden)]
#[must_use]
pub fn netplan(texts: &[&[u8]]) -> Option<BTreeMap<String, Written>> {
    let mut reading = Reading::default();
    for text in texts {
        if !matches!(reading.text(b"/", text), Ok(None)) {
            return None;
        }
    }
    let written = reading.done().definitions.into_iter().map(|definition| {
        let Network { name, asked, gives, .. } = definition.network;
        let id = name.strip_prefix(b"10-netplan-").and_then(|id| id.strip_suffix(b".network"));
        let id = String::from_utf8_lossy(id.unwrap_or_default()).into_owned();
        let by_manager = definition.renderer == Renderer::NetworkManager;
        let lists = [asked.names, asked.macs, asked.drivers];
        (id, (by_manager, lists, gives == Gives::Dhcp, gives == Gives::Static))
    });
    Some(written.collect())
}

/// What [`netplan`] says of an interface.
type Written = (bool, [Vec<Vec<u8>>; 3], bool, bool);

type Wrong = (u32, String);

#[derive(Default)]
struct Reading {
    renderer: Option<Renderer>,
    interfaces: BTreeMap<String, Interface>,
}

impl Reading {
    /// Takes a file; what is wrong with it, if netplan refuses it.
    fn text(&mut self, path: &[u8], text: &[u8]) -> Result<Option<Wrong>, Trouble> {
        let documents = match yaml::parse(text) {
            Ok(documents) => documents,
            Err(Refused::Syntax { line, said }) => return Ok(Some((line, said))),
            Err(Refused::Limit(_)) => return Err(too_many()),
        };
        let wrong = documents.first().and_then(|root| self.file(path, root).err());
        if self.interfaces.len() > MOST_INTERFACES {
            return Err(too_many());
        }
        Ok(wrong)
    }

    fn done(self) -> Netplan {
        Netplan {
            all_by_network_manager: self.renderer == Some(Renderer::NetworkManager),
            definitions: self.definitions(),
            refused: None,
        }
    }

    fn file(&mut self, path: &[u8], root: &Node) -> Result<(), Wrong> {
        let Some(network) = root.get("network") else { return Ok(()) };
        for (key, value) in map(network)? {
            match key.text().unwrap_or_default() {
                "version" if value.text() != Some("2") => {
                    return Err((value.line, "it is not of version 2".to_owned()));
                }
                "renderer" => self.renderer = Some(renderer(value)?),
                kind if kind == CARDS || OVER_CARDS.contains(&kind) => {
                    self.kind(path, kind, value)?
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn kind(&mut self, path: &[u8], kind: &str, value: &Node) -> Result<(), Wrong> {
        let mut of_kind = None;
        for (key, value) in map(value)? {
            let id = key.text().unwrap_or_default();
            if id == "renderer" {
                of_kind = Some(renderer(value)?);
                continue;
            }
            if id == "version" {
                continue;
            }
            // What a later file says of all interfaces is not for those that are there already.
            let new =
                || Interface { is_card: kind == CARDS, renderer: of_kind, ..Interface::default() };
            let interface = self.interfaces.entry(id.to_owned()).or_insert_with(new);
            interface.take(path, key.line, value)?;
            // A match in a later file adds to this.
            if !interface.has_match {
                interface.asked.names = vec![id.into()];
            }
        }
        Ok(())
    }

    fn definitions(self) -> Vec<Definition> {
        let mut over: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (id, interface) in self.interfaces.iter().filter(|(_, interface)| !interface.is_card) {
            for member in &interface.members {
                over.insert(member.clone(), id.clone().into_bytes());
            }
        }
        let all = self.renderer.unwrap_or(Renderer::Networkd);
        let made = self.interfaces.into_iter().map(|(id, interface)| {
            let gives = interface.gives();
            let network = Network {
                name: format!("10-netplan-{id}.network").into_bytes(),
                by: "netplan",
                path: interface.place.0,
                line: interface.place.1,
                asked: interface.asked,
                gives,
                part_of: over.get(&id).cloned(),
            };
            Definition { renderer: interface.renderer.unwrap_or(all), network }
        });
        made.collect()
    }
}

impl Interface {
    fn take(&mut self, path: &[u8], line: u32, value: &Node) -> Result<(), Wrong> {
        self.place = (path.to_vec(), line);
        for (key, value) in map(value)? {
            match key.text().unwrap_or_default() {
                "match" => self.take_match(value)?,
                "dhcp4" => {
                    self.dhcp4 = truth(value)?;
                    self.place.1 = key.line;
                }
                "dhcp6" => self.dhcp6 = truth(value)?,
                "accept-ra" => self.six |= truth(value)?,
                "renderer" => self.renderer = Some(renderer(value)?),
                "activation-mode" => self.is_manual = true,
                "addresses" => {
                    for item in value.items() {
                        // An address may have settings of its own: then it is a map with one key.
                        let text = item.text().or_else(|| item.pairs().first()?.0.text());
                        match text.unwrap_or_default().contains(':') {
                            true => self.six = true,
                            false => self.four = true,
                        }
                    }
                    if !self.dhcp4 && !value.items().is_empty() {
                        self.place.1 = key.line;
                    }
                }
                "interfaces" => {
                    self.members
                        .extend(value.items().iter().filter_map(Node::text).map(str::to_owned));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_match(&mut self, value: &Node) -> Result<(), Wrong> {
        self.has_match = true;
        for (key, value) in map(value)? {
            let list = || match value.text() {
                Some(text) => vec![text.as_bytes().to_vec()],
                None => {
                    value.items().iter().filter_map(Node::text).map(|text| text.into()).collect()
                }
            };
            match key.text().unwrap_or_default() {
                "name" => self.asked.names = list(),
                "macaddress" => self.asked.macs = list(),
                "driver" => self.asked.drivers = list(),
                _ => {}
            }
        }
        Ok(())
    }

    fn gives(&self) -> Gives {
        match self {
            _ if self.is_manual => Gives::Nothing,
            _ if self.dhcp4 => Gives::Dhcp,
            _ if self.four => Gives::Static,
            _ if self.dhcp6 || self.six => Gives::SixOnly,
            _ => Gives::Nothing,
        }
    }
}

fn map(value: &Node) -> Result<&[(Node, Node)], Wrong> {
    match &value.value {
        Value::Map(pairs) => Ok(pairs),
        _ => Err((value.line, "there is no mapping where one has to be".to_owned())),
    }
}

fn renderer(value: &Node) -> Result<Renderer, Wrong> {
    match value.text() {
        Some("networkd") => Ok(Renderer::Networkd),
        Some("NetworkManager") => Ok(Renderer::NetworkManager),
        _ => Err((value.line, "the renderer is not known".to_owned())),
    }
}

/// A truth, with quotes or without.
fn truth(value: &Node) -> Result<bool, Wrong> {
    match &value.text().unwrap_or_default().to_ascii_lowercase()[..] {
        "true" | "on" | "yes" | "y" => Ok(true),
        "false" | "off" | "no" | "n" => Ok(false),
        _ => Err((value.line, "a value is neither true nor false".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::super::networkd;
    use super::super::nic::{Fit, Nic};
    use super::*;

    fn found(texts: &[(&str, &str)]) -> Netplan {
        let memory =
            texts.iter().fold(Memory::new(), |memory, (path, text)| memory.with(path, text));
        read(&mut tree(vec![memory])).unwrap()
    }

    fn ways(texts: &[(&str, &str)]) -> Vec<(Fit, Gives)> {
        let definitions = found(texts).definitions.into_iter();
        let networks = definitions.map(|definition| definition.network).collect();
        networkd::ways(networks, &Nic::any()).into_iter().map(|way| (way.fit, way.gives)).collect()
    }

    #[test]
    fn interfaces_are_matched_and_merged() {
        let one = |text: &str| ways(&[("/etc/netplan/a.yaml", &format!("network: {text}"))]);
        let yes = |gives| vec![(Fit::Yes, gives)];
        assert_eq!(one("{ethernets: {eth0: {dhcp4: true}}}"), yes(Gives::Dhcp));
        assert_eq!(one("{ethernets: {x: {match: {name: e*}, dhcp4: \"Yes\"}}}"), yes(Gives::Dhcp));
        assert_eq!(
            one("{ethernets: {x: {match: {driver: [virtio*]}, dhcp4: on}}}"),
            yes(Gives::Dhcp)
        );
        assert_eq!(one("{ethernets: {x: {match: {}, dhcp4: y}}}"), yes(Gives::Dhcp));
        assert_eq!(one("{ethernets: {eth0: {addresses: [10.0.0.1/24]}}}"), yes(Gives::Static));
        assert_eq!(
            one("{ethernets: {eth0: {addresses: [10.0.0.1/24: {label: x}]}}}"),
            yes(Gives::Static)
        );
        assert_eq!(one("{ethernets: {eth0: {dhcp6: true}}}"), yes(Gives::SixOnly));
        assert_eq!(
            one("{ethernets: {eth0: {dhcp4: true, activation-mode: manual}}}"),
            yes(Gives::Nothing)
        );
        assert_eq!(
            one("{ethernets: {eth0: {}}, bridges: {br0: {interfaces: [eth0], dhcp4: true}}}"),
            yes(Gives::Dhcp)
        );
        assert_eq!(
            one("{ethernets: {x: {match: {macaddress: \"00:11\"}, set-name: eth0, dhcp4: true}}}"),
            [(Fit::Mac(b"00:11".to_vec()), Gives::Dhcp)]
        );
        assert_eq!(
            one("{ethernets: {ens160: {dhcp4: true}}}"),
            [(Fit::Name(b"ens160".to_vec()), Gives::Dhcp)]
        );
        assert_eq!(one("{ethernets: {}}"), []);
        let merged = ways(&[
            ("/lib/netplan/00.yaml", "network: {ethernets: {eth0: {dhcp4: false}}}"),
            (
                "/etc/netplan/10.yaml",
                "network:\r\n  ethernets:\r\n    eth0:\r\n      dhcp4: true\r\n",
            ),
            ("/etc/netplan/20.yaml", "network: {ethernets: {eth0: {addresses: [10.0.0.1/24]}}}"),
            ("/etc/netplan/30.yml", "network: {ethernets: {eth0: {dhcp4: false}}}"),
        ]);
        assert_eq!(merged, yes(Gives::Dhcp));
        let hidden = ways(&[
            ("/lib/netplan/00.yaml", "network: {ethernets: {eth0: {dhcp4: true}}}"),
            ("/etc/netplan/00.yaml", "network: {ethernets: {eth0: {dhcp4: false}}}"),
        ]);
        assert_eq!(hidden, yes(Gives::Nothing));
    }

    #[test]
    fn renderers_and_what_is_refused() {
        let renderers = |text: &str| {
            let found = found(&[("/etc/netplan/a.yaml", text)]);
            let all = found.definitions.iter().map(|definition| definition.renderer);
            (all.collect::<Vec<_>>(), found.all_by_network_manager)
        };
        use Renderer::*;
        assert_eq!(renderers("network: {renderer: NetworkManager}"), (vec![], true));
        assert_eq!(
            renderers(
                "network: {renderer: NetworkManager, ethernets: {a: {renderer: networkd}, b: {}}}"
            ),
            (vec![Networkd, NetworkManager], true)
        );
        assert_eq!(
            renderers("network: {ethernets: {renderer: NetworkManager, a: {}}}"),
            (vec![NetworkManager], false)
        );
        for (text, line) in [
            ("network:\n  version: 1\n", 2),
            ("network:\n  ethernets:\n    a:\n      dhcp4: maybe\n", 4),
            ("network:\n  ethernets:\n    a: 1\n", 3),
            ("network:\n\tversion: 2\n", 2),
        ] {
            let refused = found(&[("/etc/netplan/a.yaml", text)]).refused.unwrap();
            assert_eq!(refused.1, line, "{text}");
        }
    }
}
