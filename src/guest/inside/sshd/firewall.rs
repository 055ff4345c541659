//! Whether a firewall of the guest keeps SSH out. Rules may come from more places than are read here, so it only warns.

use super::super::super::fs::Trouble;
use super::super::super::tree::{Text, Tree};
use super::super::services::{self, Init, On};
use super::super::{Case, sh, shown};
use crate::facts::Code;

/// Judges the firewalls that are on. The ports are those that sshd listens on.
pub(super) fn judge(case: &mut Case<'_, '_>, ports: &[u16]) -> Result<(), Trouble> {
    let Some(init) = case.known.init else { return Ok(()) };
    let (tree, mut found) = (&mut case.tree, None);
    for judge in [ufw, firewalld, nftables, iptables] {
        found = found.or(judge(tree, init, ports)?);
    }
    if let Some((path, said)) = found {
        case.book.found_at(Code::SshFirewalled, path, said);
    }
    Ok(())
}

type Shut = Result<Option<(Vec<u8>, String)>, Trouble>;

fn is_on(tree: &mut Tree<'_>, init: Init, names: &[&str]) -> Result<bool, Trouble> {
    Ok(services::is_on(tree, init, names)? == On::Yes)
}

fn ufw(tree: &mut Tree<'_>, init: Init, ports: &[u16]) -> Shut {
    const RULES: &str = "/etc/ufw/user.rules";
    let Some(conf) = tree.text("/etc/ufw/ufw.conf")? else { return Ok(None) };
    let enabled = sh::value(&conf, "ENABLED").unwrap_or_default();
    if !enabled.eq_ignore_ascii_case(b"yes") || !is_on(tree, init, &["ufw"])? {
        return Ok(None);
    }
    if let Some(defaults) = tree.text("/etc/default/ufw")?
        && sh::value(&defaults, "DEFAULT_INPUT_POLICY").is_some_and(|policy| policy == b"ACCEPT")
    {
        return Ok(None);
    }
    let Some(rules) = tree.text(RULES)? else { return Ok(None) };
    let is_open = opens(&rules, b"-A ufw-user-input", ports);
    Ok((!is_open).then(|| (RULES.into(), "ufw is on, and no rule of it lets SSH in.".into())))
}

fn firewalld(tree: &mut Tree<'_>, init: Init, ports: &[u16]) -> Shut {
    let conf = tree.text("/etc/firewalld/firewalld.conf")?;
    let is_there = conf.is_some() || tree.is_directory("/usr/lib/firewalld/zones")?;
    if !is_there || !is_on(tree, init, &["firewalld"])? {
        return Ok(None);
    }
    let zone = conf.and_then(|conf| sh::value(&conf, "DefaultZone")).unwrap_or_default();
    let zone = if zone.is_empty() { b"public".to_vec() } else { zone };
    if zone.contains(&b'/') {
        return Ok(None);
    }
    for place in ["/etc/firewalld/zones", "/usr/lib/firewalld/zones"] {
        let path = [place.as_bytes(), b"/", &zone, b".xml"].concat();
        let Some(text) = tree.text(&path)? else { continue };
        let text = String::from_utf8_lossy(&text.bytes).replace('\'', "\"");
        let text = without_comments(&text);
        let is_port = |port: &u16| text.contains(&format!("port=\"{port}\""));
        let is_open = text.contains("name=\"ssh\"")
            || text.contains("target=\"ACCEPT\"")
            || text.contains("<rule")
            || ports.iter().any(is_port);
        let said = || {
            format!("firewalld is on, and its default zone {} does not let SSH in.", shown(&zone))
        };
        return Ok((!is_open).then(|| (path, said())));
    }
    Ok(None)
}

/// XML without its comments.
fn without_comments(text: &str) -> String {
    let mut parts = text.split("<!--");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once("-->").map_or("", |(_, rest)| rest))
}

fn nftables(tree: &mut Tree<'_>, init: Init, ports: &[u16]) -> Shut {
    for path in ["/etc/nftables.conf", "/etc/nftables.nft", "/etc/sysconfig/nftables.conf"] {
        let Some(text) = tree.text(path)? else { continue };
        if !is_on(tree, init, &["nftables"])? {
            return Ok(None);
        }
        let mut kept = Vec::new();
        for (_, line) in text.lines() {
            kept.extend_from_slice(line.split(|&byte| byte == b'#').next().unwrap_or_default());
            kept.push(b' ');
        }
        let text = String::from_utf8_lossy(&kept).into_owned();
        let words = || text.split(|c: char| !c.is_ascii_alphanumeric());
        // One that drops all may let in what another file or a variable names.
        let drops = text.contains("hook input") && text.contains("policy drop");
        let names = |word: &str| word == "ssh" || ports.iter().any(|port| word == port.to_string());
        let is_open = words().any(|word| names(word) || word == "include" || word == "define");
        let opens_all = text.contains("tcp dport !=") || text.contains("-65535");
        return Ok((drops && !is_open && !opens_all).then(|| {
            (path.into(), "nftables is on, drops what comes in, and no rule names SSH.".into())
        }));
    }
    Ok(None)
}

fn iptables(tree: &mut Tree<'_>, init: Init, ports: &[u16]) -> Shut {
    let places = [
        (&["netfilter-persistent", "iptables-persistent"][..], "/etc/iptables/rules.v4"),
        (&["iptables"][..], "/etc/sysconfig/iptables"),
        (&["iptables"][..], "/etc/iptables/rules-save"),
        (&["iptables"][..], "/etc/iptables/iptables.rules"),
    ];
    for (names, path) in places {
        let Some(rules) = tree.text(path)? else { continue };
        if !is_on(tree, init, names)? {
            continue;
        }
        let drops = rules.lines().any(|(_, line)| {
            line.starts_with(b":INPUT DROP")
                || matches!(line.trim_ascii(), b"-A INPUT -j DROP" | b"-A INPUT -j REJECT")
                || line.starts_with(b"-A INPUT -j REJECT --reject-with")
        });
        // A chain of its own may be anything.
        if drops && !opens(&rules, b"-A ", ports) {
            return Ok(Some((
                path.into(),
                "iptables is on, drops what comes in, and no rule lets SSH in.".into(),
            )));
        }
    }
    Ok(None)
}

/// Whether a rule of iptables that begins like this accepts one of these ports, or all but from one place.
fn opens(rules: &Text, begins: &[u8], ports: &[u16]) -> bool {
    rules.lines().any(|(_, line)| {
        if !line.starts_with(begins) {
            return false;
        }
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).take(64).collect();
        let after = |names: &[&str]| {
            let at =
                words.iter().position(|word| names.iter().any(|name| name.as_bytes() == *word))?;
            words.get(at + 1).copied()
        };
        let accepts =
            after(&["-j"]).is_some_and(|to| to == b"ACCEPT" || to.starts_with(b"ufw-user-limit"));
        let is_port =
            |list: &[u8]| list.split(|&byte| byte == b',').any(|part| in_range(part, ports));
        let protocol =
            after(&["-p"]).is_none_or(|protocol| protocol == b"tcp" || protocol == b"all");
        // What is accepted of loopback or of what goes on already lets nobody in.
        let is_narrow = ["-i", "--state", "--ctstate", "-d", "--icmp-type"]
            .iter()
            .any(|name| after(&[name]).is_some());
        match after(&["--dport", "--dports", "--destination-port"]) {
            Some(list) => accepts && protocol && is_port(list),
            None => accepts && protocol && !is_narrow,
        }
    })
}

/// Whether one of the ports is this one, or in this range (`20:25`).
fn in_range(part: &[u8], ports: &[u16]) -> bool {
    let number = |text: &[u8]| match text {
        b"ssh" => Some(22),
        text => std::str::from_utf8(text).ok()?.parse::<u16>().ok(),
    };
    let mut ends = part.splitn(2, |&byte| byte == b':');
    let low = ends.next().and_then(number);
    let high = ends.next().map_or(low, number);
    let (Some(low), Some(high)) = (low, high) else { return false };
    ports.iter().any(|port| (low..=high).contains(port))
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::services::tests::debian;
    use super::super::super::testing::{codes, judged};
    use super::*;

    fn found(system: Memory, ports: &[u16]) -> usize {
        let (found, _) = judged(vec![system], |case| {
            case.known.init = Some(Init::Systemd);
            judge(case, ports)
        });
        assert!(codes(&found).iter().all(|code| *code == "ssh-firewalled"));
        found.len()
    }

    fn on(name: &str) -> Memory {
        debian()
            .with(&format!("/usr/lib/systemd/system/{name}.service"), "[Service]\n")
            .link(&format!("/etc/systemd/system/multi-user.target.wants/{name}.service"), "x")
    }

    #[test]
    fn ufw_needs_a_rule() {
        let ufw = |rules: &str| {
            on("ufw").with("/etc/ufw/ufw.conf", "ENABLED=yes\n").with("/etc/ufw/user.rules", rules)
        };
        assert_eq!(found(ufw("*filter\n"), &[22]), 1);
        assert_eq!(found(ufw("-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n"), &[22]), 1);
        for rule in [
            "-p tcp --dport 22 -j ACCEPT",
            "-p tcp -m multiport --dports 80,20:30 -j ACCEPT",
            "-p tcp --dport 22 -j ufw-user-limit-accept",
            "-s 1.2.3.4 -j ACCEPT",
        ] {
            assert_eq!(found(ufw(&format!("-A ufw-user-input {rule}\n")), &[22]), 0, "{rule}");
        }
        assert_eq!(found(ufw("").with("/etc/ufw/ufw.conf", "ENABLED=no\n"), &[22]), 0);
        assert_eq!(
            found(ufw("").with("/etc/default/ufw", "DEFAULT_INPUT_POLICY=\"ACCEPT\"\n"), &[22]),
            0
        );
    }

    #[test]
    fn firewalld_needs_the_service_in_its_default_zone() {
        let zone = |text: &str| on("firewalld").with("/usr/lib/firewalld/zones/public.xml", text);
        assert_eq!(found(zone("<zone><service name=\"ssh\"/></zone>"), &[22]), 0);
        assert_eq!(found(zone("<zone><!-- <service name=\"ssh\"/> --></zone>"), &[22]), 1);
        assert_eq!(
            found(
                zone("<zone/>").with("/etc/firewalld/zones/public.xml", "<port port='22'/>"),
                &[22]
            ),
            0
        );
        let other = zone("<service name=\"ssh\"/>")
            .with("/etc/firewalld/firewalld.conf", "DefaultZone=drop\n");
        assert_eq!(found(other.with("/usr/lib/firewalld/zones/drop.xml", "<zone/>"), &[22]), 1);
    }

    #[test]
    fn rules_that_drop_all_need_one_for_ssh() {
        let nft = |text: &str| on("nftables").with("/etc/nftables.conf", text);
        let drops = "table inet f { chain input { type filter hook input priority 0; policy drop;";
        assert_eq!(found(nft(&format!("{drops} iif lo accept }} }}")), &[22]), 1);
        assert_eq!(found(nft(&format!("{drops} tcp dport {{ ssh, 80 }} accept }} }}")), &[22]), 0);
        assert_eq!(found(nft(&format!("{drops} tcp dport 2222 accept }} }}")), &[2222]), 0);
        assert_eq!(found(nft(&format!("{drops}\n# tcp dport 22 accept\n }} }}")), &[22]), 1);
        let iptables = |text: &str| on("iptables").with("/etc/sysconfig/iptables", text);
        let stock = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n";
        let end = "-A INPUT -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n";
        let ssh = "-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT\n";
        assert_eq!(found(iptables(&format!("{stock}{ssh}{end}")), &[22]), 0);
        assert_eq!(found(iptables(&format!("{stock}{end}")), &[22]), 1);
        assert_eq!(found(iptables(stock), &[22]), 0);
    }
}
