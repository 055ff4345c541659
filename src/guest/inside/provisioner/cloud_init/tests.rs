//! cloud-init of a stock image, and what breaks it.

use super::super::super::services::tests::debian;
use super::super::super::testing::{codes, judged};
use super::super::super::{Case, Inside, Known};
use super::super::judge;
use crate::facts::Code;
use crate::guest::fs::memory::Memory;

/// What of a ds-identify tells which one it is: like those of 24.2 and later.
const SCRIPT: &str = "#!/bin/sh
DI_DEFAULT_POLICY=\"search,found=all,maybe=none,notfound=${DI_DISABLED}\"
DI_DSLIST_DEFAULT=\"MAAS ConfigDrive NoCloud \\
DigitalOcean Ec2 OVF\"
check_config() { out=$(grep \"$key[\\\"\\']*[[:space:]]*:\" \"$@\"); }
read_datasource_list() { :; }
get_single_line_flow_sequence() { :; }
is_disabled() { :; }
dscheck_ConfigDrive() { :; }
dscheck_NoCloud() { :; }
dscheck_DigitalOcean() { :; }
dscheck_Ec2() { :; }
dscheck_OVF() { :; }
dscheck_None() { :; }
check_config \"seedfrom\"
write_result \"datasource_list: [ $1 ]\"
            ds) _rc_dsname=\"$val\" ;;
val=${val%%;*}
";

const CONFIG: &str = "users:
   - default
disable_root: true
cloud_init_modules:
 - growpart
 - resizefs
 - users-groups
 - ssh
system_info:
   distro: debian
   default_user:
     name: debian
     lock_passwd: True
";

const SYSTEMD: &str = "/usr/lib/systemd/system";
const PYTHON: &str = "/usr/lib/python3/dist-packages";
const IDENTIFY: &str = "/usr/lib/cloud-init/ds-identify";
const GENERATOR: &str = "/usr/lib/systemd/system-generators/cloud-init-generator";
const EXTRA: &str = "/etc/cloud/cloud.cfg.d/99-extra.cfg";

/// A Debian with cloud-init.
fn sound() -> Memory {
    let mut root = debian()
        .program("/usr/bin/cloud-init")
        .program("/usr/bin/growpart")
        .program("/usr/sbin/netplan")
        .with(&format!("{PYTHON}/cloudinit/version.py"), "__VERSION__ = \"@MISSING@\"\n")
        .with(
            &format!("{PYTHON}/cloudinit/meson_versions.py"),
            "UPSTREAM_VERSION = \"26.2\"  # x\n",
        )
        .with_mode(IDENTIFY, 0o755, SCRIPT)
        .with_mode(GENERATOR, 0o755, "#!/bin/sh\ndsidentify=/usr/lib/cloud-init/ds-identify\n")
        .with("/etc/machine-id", "00000000000000000000000000000000\n")
        .with("/etc/cloud/cloud.cfg", CONFIG)
        .with(
            "/etc/cloud/cloud.cfg.d/05_logging.cfg",
            "_log:\n - &base |\n   [x]\nlog_cfgs:\n - [ *base ]\n",
        )
        .with(&format!("{SYSTEMD}/cloud-init.target"), "[Unit]\n");
    for name in ["ConfigDrive", "DigitalOcean", "NoCloud"] {
        root = root.with(&format!("{PYTHON}/cloudinit/sources/DataSource{name}.py"), "");
    }
    for name in
        ["cloud-init-main", "cloud-init-local", "cloud-init-network", "cloud-config", "cloud-final"]
    {
        root = root
            .with(&format!("{SYSTEMD}/{name}.service"), "[Install]\nWantedBy=cloud-init.target\n")
            .link(&wanted(name), &format!("{SYSTEMD}/{name}.service"));
    }
    root
}

fn wanted(name: &str) -> String {
    format!("/etc/systemd/system/cloud-init.target.wants/{name}.service")
}

fn extra(text: &str) -> Memory {
    sound().with(EXTRA, text)
}

type Found = Vec<(Code, Option<String>, String)>;

fn run(root: Memory, command_line: &str) -> (Found, Inside, Known) {
    let mut known = Known::default();
    let (found, inside) = judged(vec![root], |case: &mut Case<'_, '_>| {
        case.known.command_line = Some(command_line.as_bytes().to_vec());
        let done = judge(case);
        known = std::mem::take(&mut case.known);
        done
    });
    (found, inside, known)
}

fn found(root: Memory) -> Vec<&'static str> {
    codes(&run(root, "ro").0)
}

#[test]
fn a_stock_image_is_set_up() {
    let (found, inside, known) = run(sound(), "ro quiet");
    assert_eq!(found, []);
    let provisioner = inside.provisioner.unwrap();
    assert_eq!(provisioner.name, "cloud-init");
    assert_eq!(provisioner.version.as_deref(), Some("26.2"));
    assert_eq!(provisioner.datasource.as_deref(), Some("ConfigDrive"));
    assert_eq!(inside.login.as_deref(), Some("debian"));
    let provides = known.provisioner;
    assert!(
        provides.starts
            && provides.network
            && provides.keys
            && provides.host_keys
            && provides.grows
    );
    assert_eq!((provides.user.as_deref(), provides.root), (Some(&b"debian"[..]), false));
}

#[test]
fn versions_are_read_in_all_their_shapes() {
    let version = |root: Memory| run(root, "ro").1.provisioner.unwrap().version;
    let home = format!("{PYTHON}/cloudinit");
    let older = || sound().without(&format!("{home}/meson_versions.py"));
    let own = older().with(&format!("{home}/version.py"), "__VERSION__ = '22.4.2'\n");
    assert_eq!(version(own).as_deref(), Some("22.4.2"));
    let info = older().directory(&format!("{PYTHON}/cloud_init-0.7.6.egg-info"));
    assert_eq!(found(info), ["provisioner-old"]);
    let info = older().directory(&format!("{PYTHON}/cloud_init-24.1.dist-info"));
    assert_eq!(version(info).as_deref(), Some("24.1"));
    assert_eq!(version(older()), None);
}

#[test]
fn what_keeps_it_from_starting_is_found() {
    let off = ["provisioner-switched-off"];
    assert_eq!(found(sound().with("/etc/cloud/cloud-init.disabled", "")), off);
    assert_eq!(found(sound().with("/etc/cloud/ds-identify.cfg", "policy: disabled\n")), off);
    assert_eq!(codes(&run(sound(), "ro cloud-init=disabled").0), off);
    let not = ["provisioner-not-enabled"];
    assert_eq!(found(sound().without(IDENTIFY)), not);
    assert_eq!(found(sound().with(IDENTIFY, SCRIPT)), not);
    assert_eq!(found(sound().without(GENERATOR)), not);
    assert_eq!(found(sound().without(&wanted("cloud-init-main"))), not);
    let mask = "/etc/systemd/system-generators/cloud-init-generator";
    assert_eq!(found(sound().link(mask, "/dev/null")), not);
    for unit in [
        "cloud-init-local.service",
        "cloud-init-network.service",
        "cloud-init-main.service",
        "cloud-init.target",
    ] {
        let path = format!("/etc/systemd/system/{unit}");
        assert_eq!(found(sound().link(&path, "/dev/null")), not, "{unit}");
    }
    let mut none = sound().without(&format!("{SYSTEMD}/cloud-init-main.service"));
    for name in
        ["cloud-init-main", "cloud-init-local", "cloud-init-network", "cloud-config", "cloud-final"]
    {
        none = none.without(&wanted(name));
    }
    assert_eq!(found(none), not);
    // One of the services pulls the others.
    let one = sound().without(&wanted("cloud-config")).without(&wanted("cloud-init-local"));
    assert_eq!(found(one), Vec::<&str>::new());
    // Presets enable services where the system boots first.
    let first =
        sound().without(&wanted("cloud-init-main")).with("/etc/machine-id", "uninitialized\n");
    assert_eq!(found(first), Vec::<&str>::new());
    // An older generator goes on without ds-identify, and lets a file win.
    let older = sound().without(IDENTIFY).with_mode(
        GENERATOR,
        0o755,
        "check_for_datasource() { $dsidentify; } # ds-identify\n",
    );
    assert_eq!(found(older), Vec::<&str>::new());
    let script = SCRIPT.replace("is_disabled() { :; }\n", "");
    let older = sound()
        .with_mode(IDENTIFY, 0o755, &script)
        .with("/etc/cloud/cloud-init.disabled", "")
        .with("/etc/cloud/cloud-init.enabled", "");
    assert_eq!(found(older), Vec::<&str>::new());
}

#[test]
fn lists_without_a_droplets_datasources_are_found() {
    for (list, codes) in [
        ("[ ConfigDrive, DigitalOcean ]", &[][..]),
        ("[ NoCloud, ConfigDrive, DigitalOcean, None ]", &[]),
        ("[ NoCloud, ConfigDrive ]", &[]),
        ("[ DigitalOcean ]", &["provisioner-metadata-only"]),
        ("[ None ]", &["provisioner-datasource"]),
        ("[ Azure ]", &["provisioner-datasource"]),
        ("[ Ec2, None ]", &["provisioner-datasource"]),
        ("[ NoCloud, None ]", &["provisioner-datasource"]),
        ("[ NoCloud, Ec2 ]", &["provisioner-datasource"]),
        ("\n - None\n", &["provisioner-list-unseen"]),
    ] {
        assert_eq!(found(extra(&format!("datasource_list: {list}\n"))), codes, "{list}");
    }
    for line in ["ds=nocloud;s=http://192.0.2.1/", "ci.ds=Ec2"] {
        assert_eq!(
            codes(&run(sound(), line).0),
            ["provisioner-datasource"]
                [..usize::from(line.starts_with("ds") || line.starts_with("ci"))],
            "{line}"
        );
    }
    let (found, ..) = run(extra("a: 1\ndatasource_list: [ None ]\n"), "ro");
    assert_eq!(found[0].1.as_deref(), Some("/etc/cloud/cloud.cfg.d/99-extra.cfg:2"));
    // Nothing writes a list where ds-identify is switched to letting cloud-init look.
    let policy = extra("datasource_list:\n - Azure\n")
        .with("/etc/cloud/ds-identify.cfg", "policy: enabled\n");
    assert_eq!(codes(&run(policy, "ro").0), ["provisioner-datasource"]);
}

#[test]
fn data_that_the_image_brings_along_is_found() {
    let taken = ["provisioner-datasource-taken"];
    let seed = "/var/lib/cloud/seed/nocloud";
    let both = |root: Memory| {
        root.with(&format!("{seed}/user-data"), "").with(&format!("{seed}/meta-data"), "")
    };
    let list = "datasource_list: [ NoCloud, ConfigDrive ]\n";
    assert_eq!(found(both(extra(list))), taken);
    // In the list of ds-identify, ConfigDrive comes first.
    assert_eq!(found(both(sound())), Vec::<&str>::new());
    let elsewhere =
        both(extra(list)).with(&format!("{seed}/meta-data"), "seedfrom: http://192.0.2.1/\n");
    assert_eq!(found(elsewhere), ["provisioner-datasource-perhaps"]);
    let own = extra(
        "datasource_list: [ NoCloud, ConfigDrive ]\ndatasource: {NoCloud: {user-data: a, meta-data: {}}}\n",
    );
    assert_eq!(found(own), taken);
    let net = extra(
        "datasource_list: [ NoCloud, ConfigDrive ]\ndatasource: {NoCloud: {seedfrom: http://x/}}\n",
    );
    assert_eq!(found(net), Vec::<&str>::new());
    let drive =
        sound().with("/var/lib/cloud/seed/config_drive/openstack/latest/meta_data.json", "{}");
    assert_eq!(found(drive), taken);
    let ovf = extra("datasource_list: [ OVF, ConfigDrive ]\n")
        .with("/var/lib/cloud/seed/ovf/ovf-env.xml", "");
    assert_eq!(found(ovf), ["provisioner-datasource-perhaps"]);
    let kept = || sound().with("/var/lib/cloud/instance/obj.pkl", "");
    assert_eq!(found(kept()), ["provisioner-state"]);
    assert_eq!(
        found(kept().with("/var/lib/cloud/instance/manual-clean", "")),
        ["provisioner-state", "provisioner-kept"]
    );
    assert_eq!(
        found(kept().with(EXTRA, "manual_cache_clean: true\n")),
        ["provisioner-kept", "provisioner-state"]
    );
    let module = |name: &str| format!("{PYTHON}/cloudinit/sources/DataSource{name}.py");
    let one = sound().without(&module("ConfigDrive"));
    assert_eq!(run(one, "ro").1.provisioner.unwrap().datasource.as_deref(), Some("DigitalOcean"));
    let none = sound().without(&module("ConfigDrive")).without(&module("DigitalOcean"));
    assert_eq!(found(none), ["provisioner-datasource-module"]);
}

#[test]
fn keys_reach_somebody_or_not() {
    let keys = ["provisioner-keys"];
    for (text, codes, login) in [
        ("disable_root: false\n", &[][..], Some("debian")),
        ("users: []\n", &keys, None),
        ("users: [bob]\n", &keys, None),
        ("users: [bob]\ndisable_root: false\n", &[], Some("root")),
        ("users: []\ndisable_root: 0\n", &[], Some("root")),
        ("users:\n - name: default\n - name: bob\n", &[], Some("debian")),
        ("users: default,bob\n", &[], Some("debian")),
        ("users: {default: true}\n", &[], Some("debian")),
        ("user: alice\nusers: []\n", &[], Some("alice")),
        ("user: {name: alice}\n", &[], Some("alice")),
        ("system_info: {default_user: {name: cloud}}\n", &[], Some("cloud")),
        ("system_info: {default_user: {name: root}}\n", &keys, None),
        ("system_info: {default_user: {name: root}}\ndisable_root: false\n", &[], Some("root")),
        ("allow_public_ssh_keys: false\n", &keys, None),
        ("cloud_init_modules: [users-groups]\n", &keys, None),
        ("cloud_init_modules: [ssh]\n", &keys, None),
        ("cloud_init_modules: [cc_ssh, [users_groups, always]]\n", &[], Some("debian")),
        ("users: [{name: bob, ssh_authorized_keys: [x]}]\n", &["provisioner-keys-own"], None),
        ("ssh_pwauth: true\n", &["provisioner-passwords"], Some("debian")),
        ("password: secret\n", &["provisioner-passwords"], Some("debian")),
        ("chpasswd: {expire: false}\n", &[], Some("debian")),
        (
            "users: [default, {name: bob, passwd: '$6$x'}]\n",
            &["provisioner-passwords"],
            Some("debian"),
        ),
        ("## template: jinja\nusers: {{ x }}\n", &["provisioner-config-unread"], Some("debian")),
        ("users: [\n", &["provisioner-config-unread"], Some("debian")),
    ] {
        let (found, inside, known) = run(extra(text), "ro");
        assert_eq!(super::super::super::testing::codes(&found), codes, "{text}");
        assert_eq!(inside.login.as_deref(), login, "{text}");
        assert_eq!(known.provisioner.keys, login.is_some(), "{text}");
        assert!(!found.iter().any(|(_, _, said)| said.contains("secret") || said.contains("$6$")));
    }
    let account = extra("cloud_init_modules: [ssh]\n").with(
        "/etc/passwd",
        "root:x:0:0::/root:/bin/sh\ndebian:x:1000:1000::/home/debian:/bin/sh\n",
    );
    assert_eq!(found(account), Vec::<&str>::new());
}

#[test]
fn the_network_is_cloud_inits_or_not() {
    for (text, code, network) in [
        ("network: {config: disabled}\n", Some("provisioner-network-off"), false),
        (
            "network:\n  version: 2\n  ethernets: {e: {match: {name: 'e*'}, dhcp4: true}}\n",
            None,
            true,
        ),
        (
            "network:\n  version: 1\n  config: [{type: physical, name: eth0, subnets: [{type: dhcp}]}]\n",
            None,
            true,
        ),
        (
            "network:\n  version: 2\n  ethernets: {e: {addresses: [192.0.2.2/24]}}\n",
            Some("provisioner-network-own"),
            false,
        ),
        (
            "network:\n  version: 2\n  ethernets: {e: {match: {macaddress: '52:54:00:00:00:01'}, dhcp4: true}}\n",
            Some("provisioner-network-own"),
            false,
        ),
        ("network: {}\n", None, true),
        (
            "system_info: {network: {renderers: [networkd]}}\n",
            Some("provisioner-no-renderer"),
            false,
        ),
        ("system_info: {network: {renderers: [eni, netplan]}}\n", None, true),
    ] {
        let (found, _, known) = run(extra(text), "ro");
        assert_eq!(codes(&found), Vec::from_iter(code), "{text}");
        assert_eq!(known.provisioner.network, network, "{text}");
    }
    let none = sound().without("/usr/sbin/netplan");
    assert_eq!(found(none), ["provisioner-no-renderer"]);
    let ifupdown = sound()
        .without("/usr/sbin/netplan")
        .program("/usr/sbin/ifup")
        .program("/usr/sbin/ifdown")
        .program("/usr/sbin/ifquery")
        .with("/etc/network/interfaces", "");
    assert_eq!(found(ifupdown), Vec::<&str>::new());
    assert_eq!(codes(&run(sound(), "ro network-config=disabled").0), ["provisioner-network-off"]);
    let upgraded = sound().with("/var/lib/cloud/data/upgraded-network", "");
    assert_eq!(found(upgraded), ["provisioner-network-off"]);
}

#[test]
fn what_the_build_left_is_found() {
    let left = sound()
        .with("/var/lib/cloud/data/instance-id", "i-1\n")
        .link("/var/lib/cloud/instance", "instances/i-1");
    assert_eq!(found(left), ["provisioner-state"]);
    let sem = |name: &str| sound().with(&format!("/var/lib/cloud/sem/{name}"), "");
    assert_eq!(found(sem("config_scripts_per_once.once")), Vec::<&str>::new());
    assert_eq!(found(sem("config_ssh.once")), ["provisioner-done-once"]);
}

#[test]
fn hostile_configurations_end() {
    for text in [
        "[".repeat(200_000),
        "a: &a [*a]\n".repeat(20_000),
        "datasource_list: [a]\n".repeat(40_000),
        "- ".repeat(100_000),
    ] {
        let (found, ..) = run(extra(&text), "ro");
        assert!(!found.is_empty());
    }
    let mut many = sound();
    for number in 0..1000 {
        many = many.with(&format!("/etc/cloud/cloud.cfg.d/{number:05}.cfg"), "a: 1\n");
    }
    assert_eq!(found(many), Vec::<&str>::new());
    let utf16: Vec<u8> = "users: []\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        found(sound().with(EXTRA, [b"\xff\xfe", &utf16[..]].concat())),
        ["provisioner-config-unread"]
    );
    assert_eq!(
        found(extra("users: [default]\r\ndatasource_list: [ ConfigDrive ]\r\n")),
        Vec::<&str>::new()
    );
}

#[test]
fn the_program_has_to_run() {
    let found =
        |system: Memory| codes(&judged(vec![system], |case| judge(case).map(drop)).0).join(" ");
    let program = "/usr/bin/cloud-init";
    let with = |mode: u16, text: &str| found(sound().with_mode(program, mode, text));
    assert!(!with(0o755, "#!/bin/sh\n").contains("provisioner-not-enabled"));
    assert!(with(0o644, "#!/bin/sh\n").contains("provisioner-not-enabled"));
    assert!(with(0o755, "#!/usr/bin/python9\n").contains("provisioner-not-enabled"));
    let unit = "/etc/systemd/system/cloud-init-local.service.d/o.conf";
    let dropped = sound().with(unit, "[Unit]\nConditionPathExists=/etc/nope\n");
    assert!(found(dropped).contains("provisioner-not-enabled"));
}
