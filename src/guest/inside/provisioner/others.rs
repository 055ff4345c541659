//! What else sets Droplets up: Ignition with Afterburn, FreeBSD's nuageinit, the units of NixOS, and services that
//! somebody wrote for an image.

use super::super::services::{self, Init, On};
use super::super::{Case, Provides, sh, shown};
use super::named;
use crate::facts::Code;
use crate::guest::fs::{Kind, Trouble};
use crate::guest::tree::Tree;

/// Where a Droplet asks for its data.
const METADATA: &[u8] = b"169.254.169.254";

/// Bytes of a script or a unit that tidegate reads, files of them, and programs that units start.
const LARGEST: usize = 64 << 10;
const MOST_FILES: usize = 512;
const MOST_PROGRAMS: usize = 32;

/// Looks for them. False if there is none.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    for look in [ignition, nuageinit, nixos, named_programs, own_services] {
        if look(case)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn exists_any(tree: &mut Tree<'_>, paths: &[&str]) -> Result<bool, Trouble> {
    for path in paths {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ignition(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    const KEYS: [&[u8]; 3] = [b"ignition.platform.id=", b"flatcar.oem.id=", b"coreos.oem.id="];
    let there = exists_any(
        &mut case.tree,
        &[
            "/usr/bin/afterburn",
            "/usr/lib/systemd/system/afterburn-sshkeys@.service",
            "/usr/lib/systemd/system/coreos-metadata-sshkeys@.service",
            "/usr/lib/dracut/modules.d/30ignition",
            "/usr/bin/coreos-metadata",
        ],
    )?;
    let line = case.known.command_line.clone().unwrap_or_default();
    let mut words = line.rsplit(u8::is_ascii_whitespace);
    let platform = words.find_map(|word| KEYS.iter().find_map(|key| word.strip_prefix(*key)));
    if !there && platform.is_none() {
        return Ok(false);
    }
    named(
        case,
        "Ignition",
        platform.is_some_and(|id| id == b"digitalocean").then_some("digitalocean"),
    );
    match platform {
        Some(b"digitalocean") => {
            case.known.provisioner = Provides {
                starts: true,
                keys: true,
                user: Some(b"core".to_vec()),
                ..Provides::default()
            };
            case.inside.login = Some("core".to_owned());
        }
        Some(other) => case.book.found(
            Code::ProvisionerPlatform,
            format!(
                "The command line of the kernel says that the platform is {}, and not digitalocean: Ignition and Afterburn do not look at a Droplet's data, and nobody gets its keys.",
                shown(other),
            ),
        ),
        None => case.book.found(
            Code::ProvisionerOther,
            "Ignition and Afterburn set a Droplet up only if the kernel's command line says that the platform is digitalocean; which it says was not found.",
        ),
    }
    Ok(true)
}

fn nuageinit(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    if !case.tree.exists("/usr/libexec/nuageinit")? {
        return Ok(false);
    }
    let mut on = None;
    for path in
        ["/etc/defaults/rc.conf", "/etc/rc.conf", "/etc/rc.conf.local", "/etc/rc.conf.d/nuageinit"]
    {
        let text = case.tree.text(path)?;
        on = text.and_then(|text| sh::value(&text, "nuageinit_enable")).or(on);
    }
    let yes = [&b"yes"[..], b"true", b"on", b"1"];
    if !on.is_some_and(|on| yes.contains(&&on.to_ascii_lowercase()[..])) {
        return Ok(false);
    }
    named(case, "nuageinit", Some("ConfigDrive"));
    if !case.tree.exists("/firstboot")? {
        case.book.found_at(
            Code::ProvisionerNotEnabled,
            "/firstboot",
            "This file is missing, and nuageinit runs only where it is there. So it does not start on a Droplet, and nobody gets its keys.",
        );
        return Ok(true);
    }
    case.known.provisioner = Provides {
        starts: true,
        keys: true,
        user: Some(b"freebsd".to_vec()),
        ..Provides::default()
    };
    case.inside.login = Some("freebsd".to_owned());
    Ok(true)
}

fn nixos(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    const KEYS: &str = "systemd/system/digitalocean-ssh-keys.service";
    let tree = &mut case.tree;
    let system = "/nix/var/nix/profiles/system";
    let there = tree.lstat(format!("/etc/{KEYS}"))?.is_some()
        || tree.lstat(format!("{system}/etc/{KEYS}"))?.is_some();
    if !there {
        return Ok(false);
    }
    named(case, "NixOS units", Some("DigitalOcean"));
    case.known.provisioner =
        Provides { starts: true, keys: true, root: true, ..Provides::default() };
    case.inside.login = Some("root".to_owned());
    Ok(true)
}

/// Those that are known by their names alone.
fn named_programs(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    const PROGRAMS: [(&str, &str); 6] = [
        ("coreos-cloudinit", "/usr/bin/coreos-cloudinit"),
        ("bsd-cloudinit", "/usr/local/bsd-cloudinit"),
        ("bsd-cloudinit", "/usr/local/etc/rc.d/bsd_cloudinit"),
        ("bsd-cloudinit", "/etc/rc.d/cloudinit"),
        ("cloudbase-init", "/usr/bin/cloudbase-init"),
        ("cloudbase-init", "/usr/local/bin/cloudbase-init"),
    ];
    for (name, path) in PROGRAMS {
        if case.tree.exists(path)? {
            named(case, name, None);
            let said = format!("{name} sets a Droplet up. What it does there was not examined.");
            case.book.found_at(Code::ProvisionerOther, path, said);
            case.known.provisioner.starts = true;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Services of the image's own: scripts and units that ask for a Droplet's data, if they start.
fn own_services(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    const PLACES: [&str; 8] = [
        "/etc/systemd/system",
        "/usr/local/lib/systemd/system",
        "/etc/init.d",
        "/etc/local.d",
        "/etc/rc.d",
        "/usr/local/etc/rc.d",
        "/etc/runit/runsvdir/default",
        "/usr/lib/systemd/system",
    ];
    let init =
        case.known.init.map_or_else(|| services::init(&mut case.tree), |init| Ok(Some(init)))?;
    let (mut files, mut programs) = (0, 0);
    let mut asks = |case: &mut Case<'_, '_>, path: &[u8]| -> Result<bool, Trouble> {
        let Some(text) = case.tree.text_of(path, LARGEST)? else { return Ok(false) };
        if has(&text.bytes, METADATA) {
            return Ok(true);
        }
        for (_, line) in text.lines() {
            let Some(start) = line.strip_prefix(b"ExecStart=") else { continue };
            for word in start.split(u8::is_ascii_whitespace).take(8) {
                let at = word.iter().position(|&byte| byte == b'/');
                let Some(program) = at.map(|at| &word[at..]) else { continue };
                // Not of the system: what the image's maker put there.
                let is_own =
                    [&b"/usr/local/"[..], b"/opt/", b"/etc/", b"/root/", b"/srv/", b"/var/"];
                if programs < MOST_PROGRAMS && is_own.iter().any(|place| program.starts_with(place))
                {
                    programs += 1;
                    let text = case.tree.text_of(program, LARGEST)?;
                    if text.is_some_and(|text| has(&text.bytes, METADATA)) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    };
    for path in ["/etc/rc.local", "/etc/rc.d/rc.local"] {
        let runs = case.tree.stat(path)?.is_some_and(|found| found.inode.is_executable());
        if runs && asks(case, path.as_bytes())? {
            return found(case, path.as_bytes());
        }
    }
    for place in PLACES {
        for entry in case.tree.list(place)?.unwrap_or_default() {
            let path = [place.as_bytes(), b"/", &entry.name].concat();
            let is_unit = place.ends_with("/system");
            if entry.kind != Kind::Regular || is_unit && !entry.name.ends_with(b".service") {
                continue;
            }
            files += 1;
            if files > MOST_FILES {
                return Ok(false);
            }
            if asks(case, &path)? && starts(case, init, place, &entry.name)? {
                return found(case, &path);
            }
        }
    }
    Ok(false)
}

fn starts(
    case: &mut Case<'_, '_>,
    init: Option<Init>,
    place: &str,
    name: &[u8],
) -> Result<bool, Trouble> {
    let Ok(name) = std::str::from_utf8(name) else { return Ok(false) };
    let tree = &mut case.tree;
    if place == "/etc/local.d" {
        return Ok(name.ends_with(".start")
            && init.is_some_and(|init| init == Init::OpenRc)
            && services::is_on(tree, Init::OpenRc, &["local"])? == On::Yes);
    }
    let Some(init) = init else { return Ok(true) };
    Ok(services::is_on(tree, init, &[name])? == On::Yes)
}

fn found(case: &mut Case<'_, '_>, path: &[u8]) -> Result<bool, Trouble> {
    named(case, "a service of its own", None);
    let said = "This asks for a Droplet's metadata when the system starts. What it does with the owner's keys was not examined.";
    case.book.found_at(Code::ProvisionerOther, path, said);
    case.known.provisioner.starts = true;
    Ok(true)
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::super::super::services::tests::debian;
    use super::super::super::testing::{codes, judged};
    use super::super::judge;
    use super::*;
    use crate::guest::fs::memory::Memory;

    fn run(root: Memory, command_line: &str) -> (Vec<&'static str>, Option<String>, Provides) {
        let mut provides = Provides::default();
        let (found, inside) = judged(vec![root], |case| {
            case.known.command_line = Some(command_line.as_bytes().to_vec());
            let done = judge(case);
            provides = std::mem::take(&mut case.known.provisioner);
            done
        });
        (codes(&found), inside.login, provides)
    }

    #[test]
    fn nothing_is_said_to_be_missing() {
        assert_eq!(run(debian(), "ro").0, ["provisioner-missing"]);
    }

    #[test]
    fn ignition_goes_by_its_platform() {
        let root = || debian().program("/usr/bin/afterburn");
        let (found, login, provides) = run(root(), "ro ignition.platform.id=digitalocean");
        assert_eq!((found.len(), login.as_deref(), provides.keys), (0, Some("core"), true));
        for line in ["ignition.platform.id=qemu", "flatcar.oem.id=vmware a"] {
            let (found, login, provides) = run(root(), line);
            assert_eq!(
                (&found[..], login, provides.keys),
                (&["provisioner-platform"][..], None, false)
            );
        }
        assert_eq!(run(root(), "ro").0, ["provisioner-other"]);
    }

    #[test]
    fn nuageinit_needs_its_switch_and_its_mark() {
        let root = || {
            Memory::new()
                .program("/usr/libexec/nuageinit")
                .with("/etc/rc.conf", "nuageinit_enable=\"YES\"\n")
        };
        let (found, login, _) = run(root().with("/firstboot", ""), "");
        assert_eq!((found.len(), login.as_deref()), (0, Some("freebsd")));
        assert_eq!(run(root(), "").0, ["provisioner-not-enabled"]);
        let off = root().with("/etc/rc.conf.local", "nuageinit_enable=NO\n");
        assert_eq!(run(off, "").0, ["provisioner-missing"]);
    }

    #[test]
    fn units_of_nixos_write_roots_keys() {
        let system = "/nix/var/nix/profiles/system/etc/systemd/system";
        let root =
            Memory::new().link(&format!("{system}/digitalocean-ssh-keys.service"), "/nix/store/x");
        let (found, login, provides) = run(root, "");
        assert_eq!((found.len(), login.as_deref(), provides.root), (0, Some("root"), true));
    }

    #[test]
    fn services_of_the_images_own_count_if_they_start() {
        let unit = "/etc/systemd/system/keys.service";
        let wants = "/etc/systemd/system/multi-user.target.wants/keys.service";
        let text =
            "[Service]\nExecStart=/usr/local/bin/keys\n[Install]\nWantedBy=multi-user.target\n";
        let root = || {
            debian()
                .with(unit, text)
                .with("/usr/local/bin/keys", "curl http://169.254.169.254/metadata/v1.json\n")
        };
        assert_eq!(run(root(), "ro").0, ["provisioner-missing"]);
        assert_eq!(run(root().link(wants, unit), "ro").0, ["provisioner-other"]);
        let other =
            debian().with(unit, text).with("/usr/local/bin/keys", "true\n").link(wants, unit);
        assert_eq!(run(other, "ro").0, ["provisioner-missing"]);
        let local =
            |mode| debian().with_mode("/etc/rc.local", mode, "#!/bin/sh\nwget 169.254.169.254\n");
        assert_eq!(run(local(0o755), "ro").0, ["provisioner-other"]);
        assert_eq!(run(local(0o644), "ro").0, ["provisioner-missing"]);
        let openrc = Memory::new()
            .program("/sbin/openrc")
            .link("/etc/runlevels/default/do-init", "/etc/init.d/do-init")
            .with_mode("/etc/init.d/do-init", 0o755, "wget http://169.254.169.254/\n");
        assert_eq!(run(openrc, "ro").0, ["provisioner-other"]);
    }
}
