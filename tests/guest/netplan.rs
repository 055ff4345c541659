//! What is read of netplan's files, against what its generator writes for systemd-networkd and NetworkManager.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tidegate::inspect::bodies::netplan;

use crate::disks::is_there;
use crate::random::Random;

/// Sets of files that are generated.
const SETS: u64 = 400;

/// A value, as it is to be written.
enum Yaml {
    Word(String),
    List(Vec<String>),
    Map(Vec<(String, Yaml)>),
}

fn word(text: impl Into<String>) -> Yaml {
    Yaml::Word(text.into())
}

fn truth(random: &mut Random) -> Yaml {
    word(random.of(&[
        "true", "yes", "on", "y", "True", "YES", "\"true\"", "'on'", "false", "no", "off", "n",
        "False", "\"no\"",
    ]))
}

fn asked(random: &mut Random) -> Yaml {
    let mut pairs = Vec::new();
    if !random.one_in(3) {
        let name = random.of(&["e*", "en*", "eth0", "ens3", "\"e*\"", "'ens[0-9]'", "ens160"]);
        pairs.push(("name".to_owned(), word(name)));
    }
    if random.one_in(3) {
        let mac = random.of(&["\"00:11:22:33:44:55\"", "'de:ad:be:ef:00:01'", "00:11:22:aa:bb:cc"]);
        pairs.push(("macaddress".to_owned(), word(mac)));
    }
    if random.one_in(4) {
        let drivers = match random.below(3) {
            0 => Yaml::List(vec!["virtio*".to_owned(), "e1000".to_owned()]),
            1 => Yaml::List(vec!["virtio_net".to_owned()]),
            _ => word("virtio*"),
        };
        pairs.push(("driver".to_owned(), drivers));
    }
    if pairs.is_empty() {
        pairs.push(("name".to_owned(), word("e*")));
    }
    Yaml::Map(pairs)
}

fn interface(random: &mut Random, can_match: bool) -> Yaml {
    let mut pairs = Vec::new();
    if can_match && random.one_in(2) {
        pairs.push(("match".to_owned(), asked(random)));
    }
    if !random.one_in(4) {
        pairs.push(("dhcp4".to_owned(), truth(random)));
    }
    if random.one_in(4) {
        pairs.push(("dhcp6".to_owned(), truth(random)));
    }
    if random.one_in(3) {
        let all = ["192.0.2.7/24", "\"2001:db8::7/64\"", "'10.0.0.9/8'"];
        let addresses = (0..random.below(3)).map(|_| random.of(&all).to_owned());
        pairs.push(("addresses".to_owned(), Yaml::List(addresses.collect())));
    }
    if random.one_in(6) {
        pairs.push(("renderer".to_owned(), word(random.of(&["networkd", "NetworkManager"]))));
    }
    if random.one_in(5) {
        pairs.push(("optional".to_owned(), truth(random)));
    }
    if random.one_in(30) {
        pairs.push(("dhcp4".to_owned(), word(random.of(&["maybe", "~", "1", "[]"]))));
    }
    Yaml::Map(pairs)
}

fn file(random: &mut Random) -> Yaml {
    let mut pairs = Vec::new();
    if !random.one_in(4) {
        pairs.push(("version".to_owned(), word(if random.one_in(40) { "1" } else { "2" })));
    }
    if random.one_in(3) {
        pairs.push(("renderer".to_owned(), word(random.of(&["networkd", "NetworkManager"]))));
    }
    let mut cards = Vec::new();
    if random.one_in(6) {
        cards.push(("renderer".to_owned(), word(random.of(&["networkd", "NetworkManager"]))));
    }
    let ids = ["eth0", "ens3", "all", "ens160"];
    for id in ids.iter().take(1 + random.below(4)) {
        cards.push(((*id).to_owned(), interface(random, true)));
    }
    pairs.push(("ethernets".to_owned(), Yaml::Map(cards)));
    if random.one_in(5) {
        let Yaml::Map(mut bridge) = interface(random, false) else { unreachable!() };
        bridge.push(("interfaces".to_owned(), Yaml::List(vec!["eth0".to_owned()])));
        let kind = random.of(&["bridges", "bonds"]).to_owned();
        pairs.push((kind, Yaml::Map(vec![("over0".to_owned(), Yaml::Map(bridge))])));
    }
    Yaml::Map(vec![("network".to_owned(), Yaml::Map(pairs))])
}

fn write(value: &Yaml, indent: usize, random: &mut Random, out: &mut String) {
    let is_flow = indent > 0 && random.one_in(5);
    match value {
        Yaml::Word(word) => *out += word,
        _ if is_flow => flow(value, out),
        Yaml::List(items) if items.is_empty() => *out += "[]",
        Yaml::Map(pairs) if pairs.is_empty() => *out += "{}",
        Yaml::List(items) => {
            for item in items {
                *out += &format!("\n{}- {item}", " ".repeat(indent));
            }
        }
        Yaml::Map(pairs) => {
            for (key, value) in pairs {
                if random.one_in(20) {
                    *out += "\n# a comment: {";
                }
                *out += &format!("\n{}{key}: ", " ".repeat(indent));
                write(value, indent + 2, random, out);
            }
        }
    }
}

fn flow(value: &Yaml, out: &mut String) {
    match value {
        Yaml::Word(word) => *out += word,
        Yaml::List(items) => *out += &format!("[{}]", items.join(", ")),
        Yaml::Map(pairs) => {
            *out += "{";
            for (at, (key, value)) in pairs.iter().enumerate() {
                *out += if at == 0 { "" } else { ", " };
                *out += &format!("{key}: ");
                flow(value, out);
            }
            *out += "}";
        }
    }
}

/// What there is for an interface, as [`netplan`] says it.
type Written = (bool, [Vec<Vec<u8>>; 3], bool, bool);

/// The values of a key in a section of a file with sections.
fn values<'t>(text: &'t str, section: &str, key: &str) -> Vec<&'t str> {
    let mut now = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            now = name.trim_end_matches(']');
        } else if now == section
            && let Some((name, value)) = line.split_once('=')
            && name == key
        {
            found.push(value);
        }
    }
    found
}

fn list(text: &str, section: &str, key: &str, separators: &[char]) -> Vec<Vec<u8>> {
    let values = values(text, section, key).into_iter();
    let words = values.flat_map(|value| value.split(separators)).filter(|word| !word.is_empty());
    words.map(|word| word.as_bytes().to_vec()).collect()
}

fn is_four(address: &str) -> bool {
    !address.contains(':')
}

/// What netplan wrote below a folder.
fn written(root: &Path) -> BTreeMap<String, Written> {
    let mut all = BTreeMap::new();
    let mut each = |folder: &str, start: &str, end: &str, read: &dyn Fn(&str) -> Written| {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if let Some(id) = name.strip_prefix(start).and_then(|name| name.strip_suffix(end)) {
                all.insert(id.to_owned(), read(&fs::read_to_string(&path).unwrap()));
            }
        }
    };
    each("run/systemd/network", "10-netplan-", ".network", &|text| {
        let names = list(text, "Match", "Name", &[' ', '\t']);
        let macs = list(text, "Match", "PermanentMACAddress", &[' ']);
        let drivers = list(text, "Match", "Driver", &[' ', '\t']);
        let dhcp =
            values(text, "Network", "DHCP").last().is_some_and(|how| ["yes", "ipv4"].contains(how));
        let fixed = values(text, "Network", "Address").into_iter().any(is_four);
        (false, [names, macs, drivers], dhcp, fixed && !dhcp)
    });
    each("run/NetworkManager/system-connections", "netplan-", ".nmconnection", &|text| {
        let mut names = list(text, "connection", "interface-name", &[]);
        names.extend(list(text, "match", "interface-name", &[';']));
        let macs = list(text, "ethernet", "mac-address", &[]);
        let drivers = list(text, "match", "driver", &[';']);
        let method = values(text, "ipv4", "method");
        (true, [names, macs, drivers], method == ["auto"], method == ["manual"])
    });
    all
}

#[test]
fn interfaces_get_what_netplan_writes_for_them() {
    // The command itself is a Python program that starts this.
    let generators = ["/usr/libexec/netplan/generate", "/lib/netplan/generate"];
    let Some(generate) = generators.iter().find(|path| Path::new(path).exists()) else {
        is_there("netplan (apt-get install netplan.io)", false);
        return;
    };
    let mut random = Random(1);
    let (mut taken, mut refused) = (0, 0);
    for set in 0..SETS {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("etc/netplan");
        fs::create_dir_all(&files).unwrap();
        let mut texts = Vec::new();
        for number in 0..1 + random.below(3) {
            let mut text = String::new();
            write(&file(&mut random), 0, &mut random, &mut text);
            text.push('\n');
            let path = files.join(format!("{number}.yaml"));
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            texts.push(text);
        }
        let run = Command::new(generate).arg("--root-dir").arg(folder.path()).output().unwrap();
        let bytes: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let ours = netplan(&bytes);
        let texts = texts.join("\n--\n");
        if !run.status.success() {
            refused += 1;
            continue;
        }
        taken += 1;
        let theirs = written(folder.path());
        assert_eq!(ours.as_ref(), Some(&theirs), "set {set}:{texts}");
    }
    eprintln!("{taken} sets compared, {refused} refused by netplan");
    assert!(taken > SETS / 2, "{taken} taken, {refused} refused");
}
