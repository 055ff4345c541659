//! What mends a finding inside a disk is pasted as it is printed, in a Debian that has what the finding is about.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use tidegate::facts::{Code, Layer};
use tidegate::rules::remedy::{Case, Input, Remedy};
use tidegate::rules::{SIZE_LIMIT, row};

use super::disks::{done, have, is_there};

/// A way to come to a finding, and what its remedy does about it.
struct Way {
    code: Code,
    /// The path that the finding names; empty where the command names none.
    path: &'static str,
    /// A script that breaks a sound system.
    broken: &'static str,
    /// What holds once it is mended, and not before.
    mended: &'static str,
}

const fn way(code: Code, path: &'static str, broken: &'static str, mended: &'static str) -> Way {
    Way { code, path, broken, mended }
}

/// The link that systemd boots by, below /etc.
const TARGET: &str = "[ $(systemctl get-default) = multi-user.target ]";

/// A state of cloud-init as a boot leaves it.
const STATE: &str = "mkdir -p /var/lib/cloud/{data,sem,instances/i-1/sem} && ln -s instances/i-1 /var/lib/cloud/instance \
    && echo i-1 >/var/lib/cloud/data/instance-id && touch /var/lib/cloud/instances/i-1/{obj.pkl,manual-clean} \
    && echo log >/var/log/cloud-init.log";

/// Host keys in all places that they are found in.
const HOST_KEYS: &str = "mkdir -p /usr/local/etc/ssh /etc/dropbear && touch {,/usr/local}/etc/ssh/ssh_host_ed25519_key{,.pub} \
    /etc/dropbear/dropbear_rsa_host_key";
const NO_HOST_KEYS: &str =
    "[ -z \"$(find /etc /usr/local/etc -name '*host*key*')\" ] && [ -f /etc/ssh/sshd_config ]";

/// One after the other in one tree: each leaves it mended. What takes something from it for good is the last.
const WAYS: &[Way] = &[
    way(Code::LeftoverHostKeys, "", HOST_KEYS, NO_HOST_KEYS),
    way(Code::LeftoverHostKeysReplaced, "", HOST_KEYS, NO_HOST_KEYS),
    // Empty, and not gone: systemd takes a missing file for the first boot, and sets all presets anew.
    way(
        Code::LeftoverMachineId,
        "",
        "dbus-uuidgen >/etc/machine-id && dbus-uuidgen >/var/lib/dbus/machine-id && echo host >/etc/hostid",
        "[ -f /etc/machine-id ] && ! [ -s /etc/machine-id ] && ! [ -e /var/lib/dbus/machine-id ] && ! [ -e /etc/hostid ]",
    ),
    way(
        Code::LeftoverMachineId,
        "",
        "dbus-uuidgen >/etc/machine-id && ln -sf /etc/machine-id /var/lib/dbus/machine-id",
        "[ -f /etc/machine-id ] && ! [ -s /etc/machine-id ]",
    ),
    way(
        Code::LeftoverRandomSeed,
        "",
        "mkdir -p /var/lib/{urandom,seedrng} /var/db && echo seed | tee /var/lib/{systemd,urandom}/random-seed /var/lib/random-seed \
         /var/lib/seedrng/seed.credit /var/db/entropy-file",
        "! grep -rq ^seed$ /var/lib/{systemd,urandom}/ /var/lib/random-seed /var/lib/seedrng /var/db",
    ),
    way(
        Code::LeftoverInstaller,
        "",
        "mkdir -p /var/log/{installer/cdebconf,anaconda} && echo 'rootpw x' | tee /root/{anaconda,original,initial-setup}-ks.cfg",
        "! ls /root/*-ks.cfg && ! [ -e /var/log/installer ] && ! [ -e /var/log/anaconda ] && [ -d /var/log ]",
    ),
    way(
        Code::LeftoverLvmDevices,
        "",
        "mkdir -p /etc/lvm/devices && echo IDTYPE=sys_wwid >/etc/lvm/devices/system.devices",
        "! [ -e /etc/lvm/devices/system.devices ]",
    ),
    way(
        Code::LeftoverLogs,
        "",
        "mkdir -p /var/log/journal/0123 '/var/log/a b' && echo log | tee /var/log/journal/0123/system.journal '/var/log/a b/log' /var/log/syslog",
        "[ -z \"$(find /var/log -type f -size +0)\" ] && [ -d /var/log/journal ] && [ -f /var/log/syslog ]",
    ),
    way(
        Code::NetworkProfileInsecure,
        "/etc/NetworkManager/system-connections/Wired it's $(a) 1.nmconnection",
        "mkdir -p /etc/NetworkManager/system-connections && cd /etc/NetworkManager/system-connections \
         && echo '[connection]' >\"Wired it's \\$(a) 1.nmconnection\" && chmod 644 *",
        "cd /etc/NetworkManager/system-connections && [ $(stat -c %a *) = 600 ]",
    ),
    way(
        Code::NetworkRendered,
        "/etc/netplan/50-cloud-init.yaml",
        "echo 'network: {version: 2}' >/etc/netplan/50-cloud-init.yaml",
        "! [ -e /etc/netplan/50-cloud-init.yaml ] && [ -d /etc/netplan ]",
    ),
    way(
        Code::NetworkInstallerLeftOver,
        "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg",
        "echo 'network: {config: disabled}' >/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg",
        "! grep -r 'config: disabled' /etc/cloud/cloud.cfg.d",
    ),
    way(
        Code::ProvisionerSwitchedOff,
        "",
        "touch /etc/cloud/cloud-init.disabled",
        "! [ -e /etc/cloud/cloud-init.disabled ] && [ -f /etc/cloud/cloud.cfg ]",
    ),
    way(
        Code::ProvisionerSwitchedOff,
        "",
        "echo 'policy: disabled' >/etc/cloud/ds-identify.cfg",
        "! [ -e /etc/cloud/ds-identify.cfg ]",
    ),
    way(
        Code::ProvisionerDatasource,
        "",
        "echo 'datasource_list: [ Ec2 ]' >>/etc/cloud/cloud.cfg && echo 'datasource_list: [ None ]' >/etc/cloud/cloud.cfg.d/99-installer.cfg",
        SOURCES,
    ),
    way(
        Code::ProvisionerDatasourceTaken,
        "",
        "mkdir -p /var/lib/cloud/seed/nocloud{,-net} && touch /var/lib/cloud/seed/nocloud{,-net}/{user,meta}-data",
        "! [ -e /var/lib/cloud/seed ]",
    ),
    way(
        Code::ProvisionerDatasourceTaken,
        "",
        "mkdir -p {/var/lib/cloud/seed/config_drive,/config-drive}/openstack/latest \
         && echo '{}' | tee {/var/lib/cloud/seed/config_drive,/config-drive}/openstack/latest/meta_data.json",
        "! [ -e /var/lib/cloud/seed ] && ! [ -e /config-drive ]",
    ),
    way(
        Code::ProvisionerKept,
        "",
        STATE,
        "! [ -e /var/lib/cloud/instance/manual-clean ] && ! [ -e /var/lib/cloud/instance/obj.pkl ]",
    ),
    way(
        Code::ProvisionerState,
        "",
        STATE,
        "! ls /var/lib/cloud/data/instance-id && ! [ -L /var/lib/cloud/instance ] && ! [ -e /var/log/cloud-init.log ]",
    ),
    way(
        Code::ProvisionerDoneOnce,
        "",
        "mkdir -p /var/lib/cloud/{sem,scripts} && touch /var/lib/cloud/sem/config_ssh.once",
        "! [ -e /var/lib/cloud/sem ] && [ -d /var/lib/cloud/scripts ]",
    ),
    way(
        Code::SystemDefaultTarget,
        "",
        "ln -sf /usr/lib/systemd/system/rescue.target /etc/systemd/system/default.target",
        TARGET,
    ),
    way(
        Code::SystemDefaultTarget,
        "",
        "rm /etc/systemd/system/default.target && ln -sf poweroff.target /usr/lib/systemd/system/default.target",
        TARGET,
    ),
    way(
        Code::SshNotToBeRun,
        "",
        "touch /etc/ssh/sshd_not_to_be_run",
        "! [ -e /etc/ssh/sshd_not_to_be_run ] && [ -f /etc/ssh/sshd_config ]",
    ),
    way(Code::AccountNologin, "", "echo closed >/etc/nologin", "! [ -e /etc/nologin ]"),
    // D-Bus, as OpenRC starts it: it makes a file that is missing, and fails with an empty one.
    way(
        Code::LeftoverMachineId,
        "",
        "rm -r /etc/systemd && echo 0123456789abcdef0123456789abcdef >/etc/machine-id",
        "dbus-uuidgen --ensure=/etc/machine-id && ! grep 0123456789abcdef /etc/machine-id",
    ),
];

/// What cloud-init makes of the list of datasources.
const SOURCES: &str = "python3 -c 'from cloudinit import stages; init = stages.Init(); init.read_cfg(); \
    assert init.cfg[\"datasource_list\"] == [\"ConfigDrive\", \"DigitalOcean\"], init.cfg'";

/// What is read by the shell, and not run, and why.
const READ_ALONE: &[(Code, &str)] =
    &[(Code::BootSerialConsoleOnly, "Debian has no grubby, which the remedy says")];

/// What no remedy needs, or takes root to make.
const LEFT_OUT: [&str; 12] = [
    "dev/*",
    "boot",
    "etc/ssl",
    "usr/lib/grub",
    "usr/lib/modules",
    "usr/lib/udev",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl*",
    "usr/share",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
];

/// The tree of a Debian.
struct Guest {
    root: PathBuf,
    /// What makes a chroot for whoever runs the tests.
    chroot: &'static [&'static str],
    _folder: TempDir,
}

impl Guest {
    /// `None` if there is no Debian, or nobody may be its root here.
    fn unpacked() -> Option<Self> {
        let mut tar = super::debian::disk()?.to_owned().into_os_string();
        tar.push(".tar");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let is_root = done(Command::new("id").arg("-u")).stdout == b"0\n";
        let guest = Guest {
            root: folder.path().join("root"),
            chroot: match is_root {
                true => &["chroot"],
                false => &["unshare", "-r", "chroot"],
            },
            _folder: folder,
        };
        fs::create_dir(&guest.root).unwrap();
        let mut unpack = Command::new("tar");
        unpack.args(LEFT_OUT.map(|place| format!("--exclude=./{place}")));
        done(unpack.arg("-C").arg(&guest.root).arg("-xf").arg(tar));
        // A device could not be made without root.
        File::create(guest.root.join("dev/null")).unwrap();
        let may = guest.run(&["true"]).status.success();
        is_there("a chroot, or unshare with user namespaces", may).then_some(guest)
    }

    /// Runs a program as root inside.
    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.chroot[0]);
        command.args(&self.chroot[1..]).arg(&self.root).args(words).stdin(Stdio::null());
        command.env_clear().env("LC_ALL", "C.UTF-8");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.output().unwrap()
    }

    /// Whether a script of bash succeeds inside, and what it says.
    fn pasted(&self, script: &str) -> (bool, String) {
        let output = self.run(&["bash", "-euo", "pipefail", "-c", script]);
        let said = [&output.stdout[..], &output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Breaks, mends and mends again. What is wrong, if something is.
    fn tried(&self, way: &Way) -> Result<(), String> {
        let command = printed(way.code, way.path);
        let expect = |script: &str, wanted: bool| {
            let (succeeds, said) = self.pasted(script);
            let context = format!("{}: {command}\n{}", way.code.as_str(), way.broken);
            match succeeds == wanted {
                true => Ok(()),
                false => Err(format!("{context}\n  {script}: exits with 0: {succeeds}\n{said}")),
            }
        };
        expect(way.broken, true)?;
        expect(way.mended, false)?;
        for _ in 0..2 {
            expect(&command, true)?;
            expect(way.mended, true)?;
        }
        Ok(())
    }
}

/// The commands of a remedy as a report has them, for a finding that names this path.
fn printed(code: Code, path: &str) -> String {
    let free = |_: &Path| true;
    let mut case = Case::new(Input::General, Layer::File, SIZE_LIMIT, &free);
    case.path = Some(path).filter(|path| !path.is_empty());
    let text = row(code).remedy.advice(&case).text;
    match text.split('`').collect::<Vec<_>>()[..] {
        [_, command, _] => command.to_owned(),
        _ => panic!("{}: {text}", code.as_str()),
    }
}

/// All findings whose remedy is run in a guest.
fn codes() -> impl Iterator<Item = Code> {
    Code::ALL.iter().copied().filter(|&code| matches!(row(code).remedy, Remedy::Guest { .. }))
}

#[test]
fn each_remedy_for_a_guest_is_pasted_or_has_a_reason_not_to_be() {
    let runs = |code: Code| WAYS.iter().any(|way| way.code == code);
    let reads = |code: Code| READ_ALONE.iter().any(|(of, _)| *of == code);
    let wrong: Vec<&str> =
        codes().filter(|&code| runs(code) == reads(code)).map(Code::as_str).collect();
    assert!(wrong.is_empty(), "in neither table, or in both: {wrong:?}");
    let listed = WAYS.iter().map(|way| way.code).chain(READ_ALONE.iter().map(|(code, _)| *code));
    let stale: Vec<&str> =
        listed.filter(|&code| codes().all(|known| known != code)).map(Code::as_str).collect();
    assert!(stale.is_empty(), "these have no command for a guest: {stale:?}");
}

#[test]
fn what_is_not_pasted_is_read_by_a_shell() {
    for (code, why) in READ_ALONE {
        let command = printed(*code, "/etc/file");
        let output = Command::new("bash").args(["-n", "-c", &command]).output().unwrap();
        assert!(output.status.success(), "{} ({why}): {command}: {output:?}", code.as_str());
    }
}

#[test]
fn remedies_for_a_guest_work_as_they_are_printed() {
    if !have(&["tar"]) {
        return;
    }
    let Some(guest) = Guest::unpacked() else { return };
    let wrong: Vec<String> = WAYS.iter().filter_map(|way| guest.tried(way).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
