//! What is left outside home directories: credentials of services, installers, logs, tools of other providers, swap.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::Tree;
use super::super::super::volumes::Holds;
use super::super::sh;
use super::homes::{credentials, has_password, repositories};
use super::{LOOKED_THROUGH, Left, MOST_ENTRIES, has, names, said_size, size};
use crate::facts::Code;

/// Directories and files of logs that are counted at most.
const MOST_LOGS: usize = 4096;

/// Credentials of services: where, what kind, and what is in one that has any.
const SERVICES: &[(&str, &str, &[&str])] = &[
    ("/etc/krb5.keytab", "keys of Kerberos", &[]),
    ("/var/lib/rancher/k3s/server/token", "a token of a cluster", &[]),
    ("/var/lib/rancher/rke2/server/token", "a token of a cluster", &[]),
    ("/etc/rancher/k3s/k3s.yaml", "credentials of a cluster", &[]),
    ("/etc/rancher/rke2/rke2.yaml", "credentials of a cluster", &[]),
    ("/etc/rancher/rke2/config.yaml", "a token of a cluster", &["token"]),
    ("/etc/rancher/k3s/config.yaml", "a token of a cluster", &["token"]),
    ("/etc/kubernetes/admin.conf", "credentials of a cluster", &[]),
    ("/etc/kubernetes/pki/ca.key", "a key of a cluster", &[]),
    ("/var/lib/kubelet/pki/kubelet-client-current.pem", "a key of a cluster", &[]),
    ("/var/lib/kubelet/pki/kubelet.key", "a key of a cluster", &[]),
    ("/etc/pki/consumer/key.pem", "a key of a subscription", &[]),
    ("/var/lib/tailscale/tailscaled.state", "a key of a private network", &[]),
    ("/etc/salt/pki/minion/minion.pem", "a key of Salt", &[]),
    ("/etc/chef/client.pem", "a key of Chef", &[]),
    ("/etc/chef/validation.pem", "a key of Chef", &[]),
    ("/etc/ipa/default.conf", "the membership of a domain", &["server"]),
    (
        "/etc/environment",
        "secrets",
        &["SECRET_ACCESS_KEY=", "AUTH_TOKEN=", "ACCESS_TOKEN=", "API_TOKEN=", "_PASSWORD="],
    ),
    (
        "/var/log/installer/autoinstall-user-data",
        "the hash of a password",
        &["password:", "\"password\""],
    ),
    ("/var/log/installer/user-data", "the hash of a password", &["password:"]),
    ("/autoinstall.yaml", "the hash of a password", &["password:"]),
    ("/preseed.cfg", "a password", &["passwd/root-password", "passwd/user-password"]),
    ("/root/preseed.cfg", "a password", &["passwd/root-password", "passwd/user-password"]),
];

/// Directories with keys of which one is enough: where, how their names end, what kind.
const DIRECTORIES: [(&str, &str, &str); 5] = [
    ("/etc/pki/entitlement", "-key.pem", "keys of a subscription"),
    ("/etc/puppetlabs/puppet/ssl/private_keys", ".pem", "a key of Puppet"),
    ("/var/lib/puppet/ssl/private_keys", ".pem", "a key of Puppet"),
    ("/etc/wireguard", ".conf", "a key of a private network"),
    ("/etc/letsencrypt/live", "", "keys of certificates"),
];

/// What other providers and hypervisors have in their guests.
const TOOLS: [(&str, &str); 16] = [
    ("/usr/bin/vmtoolsd", "VMware's tools"),
    ("/usr/sbin/VBoxService", "VirtualBox's additions"),
    ("/opt/VBoxGuestAdditions", "VirtualBox's additions"),
    ("/usr/sbin/xe-daemon", "Xen's tools"),
    ("/usr/bin/xenstore", "Xen's tools"),
    ("/usr/bin/prltoolsd", "Parallels' tools"),
    ("/usr/sbin/waagent", "Azure's agent"),
    ("/usr/bin/waagent", "Azure's agent"),
    ("/usr/bin/google_guest_agent", "Google's agent"),
    ("/usr/bin/google_metadata_script_runner", "Google's agent"),
    ("/usr/bin/amazon-ssm-agent", "Amazon's agent"),
    ("/snap/bin/amazon-ssm-agent", "Amazon's agent"),
    ("/usr/sbin/hv_kvp_daemon", "Hyper-V's daemons"),
    ("/usr/sbin/hypervkvpd", "Hyper-V's daemons"),
    ("/usr/bin/ec2-metadata", "Amazon's tools"),
    ("/usr/local/qcloud", "Tencent's agents"),
];

/// Looks at all of that.
pub(super) fn judge(left: &mut Left, tree: &mut Tree<'_>) -> Result<(), Trouble> {
    for (path, kind, marks) in SERVICES {
        left.place(|left| credentials(left, tree, path.as_bytes(), kind, marks))?;
    }
    for (path, ending, kind) in DIRECTORIES {
        left.place(|left| {
            let is_key = |name: &Vec<u8>| name.ends_with(ending.as_bytes()) && name != b"README";
            if names(tree, path)?.iter().any(is_key) {
                left.push(
                    Code::LeftoverCredentials,
                    path,
                    format!("It has {kind}, which all Droplets of this image have."),
                );
            }
            Ok(())
        })?;
    }
    for place in ["/opt", "/srv", "/etc", "/var/www", "/usr/local"] {
        left.place(|left| {
            let entries = tree.list(place)?.unwrap_or_default();
            // Of /etc, only what is kept there as a whole.
            let entries =
                entries.into_iter().filter(|entry| place != "/etc" || entry.name == b".git");
            repositories(left, tree, place.as_bytes(), &entries.collect::<Vec<_>>())
        })?;
    }
    left.place(|left| proxies(left, tree))?;
    left.place(|left| installers(left, tree))?;
    left.place(|left| tools(left, tree))?;
    left.place(|left| swap(left, tree))?;
    left.place(|left| logs(left, tree))
}

/// Proxies of the build, which a Droplet does not reach.
fn proxies(left: &mut Left, tree: &mut Tree<'_>) -> Result<(), Trouble> {
    const SAID: &str = "A proxy of the build is left: what a Droplet does not reach by it, it does not reach at all.";
    let mut apt = vec![b"/etc/apt/apt.conf".to_vec()];
    apt.extend(
        names(tree, "/etc/apt/apt.conf.d")?
            .iter()
            .map(|name| [b"/etc/apt/apt.conf.d/", &name[..]].concat()),
    );
    for path in apt {
        let Some(text) = tree.text_of(&path, LOOKED_THROUGH)? else { continue };
        let is_proxy = |line: &[u8]| {
            let line = line.trim_ascii().to_ascii_lowercase();
            let is_comment = line.starts_with(b"//") || line.starts_with(b"#");
            !is_comment && has(&line, b"::proxy") && has(&line, b"://")
        };
        if let Some((line, _)) = text.lines().find(|(_, line)| is_proxy(line)) {
            left.push_line(Code::LeftoverProxy, &path, line, SAID);
        }
    }
    for (path, keys) in [
        ("/etc/environment", &["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"][..]),
        ("/etc/yum.conf", &["proxy"]),
        ("/etc/dnf/dnf.conf", &["proxy"]),
    ] {
        let Some(text) = tree.text_of(path, LOOKED_THROUGH)? else { continue };
        if keys.iter().any(|key| sh::value(&text, key).is_some_and(|value| has(&value, b"://"))) {
            left.push(Code::LeftoverProxy, path, SAID);
        }
    }
    for (path, what) in [("/etc/apt/sources.list", "apt"), ("/etc/apt/auth.conf", "apt")] {
        let Some(text) = tree.text_of(path, LOOKED_THROUGH)? else { continue };
        let has_one = |line: &[u8]| {
            let line = line.trim_ascii_start();
            !line.starts_with(b"#")
                && (has_password(line)
                    || what == "apt" && path.ends_with("auth.conf") && has(line, b"password"))
        };
        if let Some((line, _)) = text.lines().find(|(_, line)| has_one(line)) {
            let said = "It has the password of a package repository, which all Droplets of this image have.";
            left.push_line(Code::LeftoverCredentials, path, line, said);
        }
    }
    Ok(())
}

fn installers(left: &mut Left, tree: &mut Tree<'_>) -> Result<(), Trouble> {
    for path in ["/root/anaconda-ks.cfg", "/root/original-ks.cfg", "/root/initial-setup-ks.cfg"] {
        if let Some(size) = size(tree, path)? {
            let text = tree.text_of(path, LOOKED_THROUGH)?;
            let is_password = |line: &[u8]| line.starts_with(b"rootpw") && !has(line, b"--lock");
            let has_one = text.is_some_and(|text| text.lines().any(|(_, line)| is_password(line)));
            let also = if has_one { "; it has root's password or its hash" } else { "" };
            left.push(
                Code::LeftoverInstaller,
                path,
                format!("The answers to the installer are left ({}){also}.", said_size(size)),
            );
        }
    }
    for path in ["/var/log/installer", "/var/log/anaconda"] {
        if tree.is_directory(path)? {
            left.push(Code::LeftoverInstaller, path, "The logs of the installer are left.");
        }
    }
    if let Some(size) = size(tree, "/etc/lvm/devices/system.devices")? {
        left.push(Code::LeftoverLvmDevices, "/etc/lvm/devices/system.devices",
            format!("LVM uses the devices alone that this file names ({}); those of the build may be others.", said_size(size)));
    }
    Ok(())
}

fn tools(left: &mut Left, tree: &mut Tree<'_>) -> Result<(), Trouble> {
    let mut before = "";
    for (path, what) in TOOLS {
        if what != before && tree.exists(path)? {
            before = what;
            left.push(
                Code::LeftoverTools,
                path,
                format!("{what} are installed, which do nothing on a Droplet."),
            );
        }
    }
    for path in ["/opt/digitalocean", "/etc/digitalocean"] {
        if tree.is_directory(path)? {
            left.push(Code::LeftoverDigitalOcean, path,
                "Agents of DigitalOcean are left: the disk was a Droplet's. A Droplet that is made gets its own.");
        }
    }
    Ok(())
}

fn swap(left: &mut Left, tree: &mut Tree<'_>) -> Result<(), Trouble> {
    for path in ["/swapfile", "/swap.img", "/swap", "/var/swap", "/swapfile1"] {
        if let Some(size) = size(tree, path)? {
            left.push(
                Code::LeftoverSwap,
                path,
                format!("A file for swapping of {} is part of the image.", said_size(size)),
            );
        }
    }
    for volume in tree.volumes() {
        if volume.holds == Holds::Swap {
            let size = said_size(volume.size);
            left.push(
                Code::LeftoverSwap,
                "",
                format!("There are {size} for swapping: {}.", volume.name()),
            );
        }
    }
    Ok(())
}

fn logs(left: &mut Left, tree: &mut Tree<'_>) -> Result<(), Trouble> {
    const PLACE: &str = "/var/log";
    let mut todo = vec![(PLACE.as_bytes().to_vec(), 0)];
    let (mut bytes, mut files, mut seen) = (0u64, 0usize, 0usize);
    while let Some((directory, depth)) = todo.pop() {
        for entry in tree.list(&directory)?.unwrap_or_default() {
            seen += 1;
            let path = [&directory[..], b"/", &entry.name].concat();
            match entry.kind {
                _ if seen > MOST_LOGS => break,
                Kind::Regular => {
                    if let Some(size) = size(tree, &path)? {
                        bytes = bytes.saturating_add(size);
                        files += 1;
                    }
                }
                Kind::Directory if depth < 4 && todo.len() < MOST_ENTRIES => {
                    todo.push((path, depth + 1))
                }
                _ => {}
            }
        }
    }
    if files > 0 {
        let noun = if files == 1 { "file" } else { "files" };
        let least = if seen > MOST_LOGS { "at least " } else { "" };
        left.push(
            Code::LeftoverLogs,
            PLACE,
            format!("Logs of the build are left: {least}{files} {noun}, {}.", said_size(bytes)),
        );
    }
    Ok(())
}
