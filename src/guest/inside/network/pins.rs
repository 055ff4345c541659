//! What ties names to MAC addresses before any manager looks: links of systemd and rules of udev.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::networkd::asked;
use super::nic::{Match, is_hidden, whole};
use super::text::{MOST, Setting, settings, shadowed, too_many, words};

/// What udev and systemd's links say of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// Names that an interface gets whatever its MAC address is.
    pub(super) names: Vec<Vec<u8>>,
    /// The interface keeps the name that the kernel gave it.
    pub(super) keeps_kernel_names: bool,
    /// Where a MAC address gets a name: path, line, address.
    pub(super) macs: Vec<(Vec<u8>, u32, Vec<u8>)>,
}

impl Links {
    /// Reads them.
    ///
    /// # Errors
    /// If their places cannot be read.
    pub(super) fn read(tree: &mut Tree<'_>, command_line: Option<&[u8]>) -> Result<Links, Trouble> {
        let mut links = Links::default();
        // ifname=NAME:MAC, for an initramfs of dracut.
        for word in words(command_line.unwrap_or_default()) {
            let Some(pair) = word.strip_prefix(b"ifname=") else { continue };
            if let Some(at) = pair.iter().position(|&byte| byte == b':') {
                links.macs.push((
                    b"the kernel's command line".to_vec(),
                    0,
                    pair[at + 1..].to_vec(),
                ));
            }
        }
        links.read_links(tree)?;
        links.read_rules(tree)?;
        Ok(links)
    }

    fn read_links(&mut self, tree: &mut Tree<'_>) -> Result<(), Trouble> {
        let directories =
            ["/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network"];
        for (name, path) in shadowed(tree, &directories, ".link")? {
            if is_hidden(tree, &path)? {
                self.keeps_kernel_names |= name == b"99-default.link";
                continue;
            }
            let Some(text) = whole(tree, &path)? else { continue };
            let found = settings(&text)?;
            let asked = asked(&found);
            let value = |key: &str| found.iter().rev().find(|setting| setting.is("Link", key));
            if let Some(mac) = asked.macs.first() {
                let line = found.iter().find(|setting| setting.key.ends_with(b"MACAddress"));
                self.macs.push((path, line.map_or(0, |setting| setting.line), mac.clone()));
                continue;
            }
            if asked.elsewhere || !is_for_cards(&asked) {
                continue;
            }
            if let Some(setting) = value("Name") {
                self.names.push(setting.value.clone());
            }
            self.keeps_kernel_names |= value("NamePolicy").is_some_and(keeps);
        }
        Ok(())
    }

    fn read_rules(&mut self, tree: &mut Tree<'_>) -> Result<(), Trouble> {
        for name in tree.names("/etc/udev/rules.d", ".rules")? {
            let path = [b"/etc/udev/rules.d/", &name[..]].concat();
            let Some(text) = tree.text(&path)? else { continue };
            for (line, bytes) in text.lines() {
                let bytes = bytes.trim_ascii();
                if bytes.starts_with(b"#")
                    || !(contains(bytes, b"NAME=") || contains(bytes, b"NAME:="))
                {
                    continue;
                }
                if let Some(mac) = compared(bytes, b"ATTR{address}")
                    .or_else(|| compared(bytes, b"ATTRS{address}"))
                    .or_else(|| compared(bytes, b"SYSFS{address}"))
                {
                    self.macs.push((path.clone(), line, mac.to_vec()));
                } else if let Some(name) = given(bytes) {
                    self.names.push(name.to_vec());
                }
                if self.macs.len() + self.names.len() > MOST {
                    return Err(too_many());
                }
            }
        }
        Ok(())
    }
}

/// Whether a link's match is for network cards in general.
fn is_for_cards(asked: &Match) -> bool {
    let virtio = |list: &[Vec<u8>]| {
        list.is_empty() || list.iter().any(|word| word.starts_with(b"virtio") || word == b"*")
    };
    virtio(&asked.drivers) && asked.kinds.is_empty()
}

/// Whether a naming policy keeps the kernel's name: nothing but the kernel is asked.
fn keeps(policy: &Setting) -> bool {
    let mut words = words(&policy.value).filter(|word| *word != b"keep");
    words.next().is_none_or(|word| word == b"kernel") && words.next().is_none()
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

/// The name that a rule of udev gives.
fn given(line: &[u8]) -> Option<&[u8]> {
    let fields = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let mut values = fields.filter_map(|field| {
        let value = field.strip_prefix(b"NAME=").or_else(|| field.strip_prefix(b"NAME:="))?;
        value.strip_prefix(b"\"")?.strip_suffix(b"\"")
    });
    values.find(|name| !name.is_empty() && !name.iter().any(|byte| b"$%{".contains(byte)))
}

/// What a rule of udev compares this with: `KEY=="value"`. Not a value with a pattern, which several may meet.
fn compared<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = line.windows(key.len()).position(|window| window == key)? + key.len();
    let value = line[at..].trim_ascii_start().strip_prefix(b"==")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"")?;
    let value = &value[..value.iter().position(|&byte| byte == b'"')?];
    (!value.iter().any(|byte| b"*?[".contains(byte))).then_some(value)
}
