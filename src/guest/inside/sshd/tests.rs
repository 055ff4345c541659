use super::super::super::fs::memory::Memory;
use super::super::Made;
use super::super::services::Init;
use super::super::services::tests::{SSH_WANTED, debian};
use super::super::testing::{codes, judged};
use super::*;

const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";

/// A Debian with a server in order.
pub(in crate::guest) fn sound() -> Memory {
    debian()
        .link("/bin", "usr/bin")
        .program("/usr/sbin/sshd")
        .program("/usr/bin/bash")
        .with(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/bash\n",
        )
        .with("/etc/shadow", "root:*:19000:0:99999:7:::\nadmin:!:19000:0:99999:7:::\n")
        .with("/etc/group", "root:x:0:\nsudo:x:27:admin\nadmin:x:1000:\n")
        .directory("/root")
        .with(
            SSHD_CONFIG,
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\n",
        )
        .with("/etc/ssh/ssh_host_ed25519_key", "x")
}

/// What is found where the keys go to these users, the last of whom may be root.
fn found(system: Memory, users: &[&str]) -> String {
    let (found, _) = judged(vec![system], |case| {
        case.known.init = Some(Init::Systemd);
        case.known.provisioner.keys = true;
        case.known.provisioner.starts = true;
        case.known.provisioner.root = users.contains(&"root");
        let user = users.iter().find(|name| **name != "root");
        case.known.provisioner.user = user.map(|name| name.as_bytes().to_vec());
        judge(case)
    });
    codes(&found).join(" ")
}

fn with(line: &str, users: &[&str]) -> String {
    found(sound().with("/etc/ssh/sshd_config.d/50.conf", line), users)
}

#[test]
fn a_sound_server_has_no_finding() {
    for users in [&["root"][..], &["admin"], &["admin", "root"], &["later"], &[]] {
        assert_eq!(found(sound(), users), "", "{users:?}");
    }
}

#[test]
fn a_server_that_does_not_start_is_found() {
    assert_eq!(found(sound().without("/usr/sbin/sshd"), &["root"]), "ssh-no-server");
    assert_eq!(found(sound().without(SSH_WANTED), &["root"]), "ssh-off");
    let masked = sound().link("/etc/systemd/system/ssh.service", "/dev/null");
    assert_eq!(found(masked, &["root"]), "ssh-masked");
    let socket = "/etc/systemd/system/sockets.target.wants/ssh.socket";
    assert_eq!(found(sound().without(SSH_WANTED).link(socket, "x"), &["root"]), "");
    // Another server, or another unit for it.
    let dropbear = sound()
        .without(SSH_WANTED)
        .program("/usr/sbin/dropbear")
        .with("/usr/lib/systemd/system/dropbear.service", "[Service]\n")
        .link("/etc/systemd/system/multi-user.target.wants/dropbear.service", "x");
    assert_eq!(found(dropbear, &["root"]), "");
    let own = sound()
        .without(SSH_WANTED)
        .with("/etc/systemd/system/door.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n")
        .link("/etc/systemd/system/multi-user.target.wants/door.service", "../door.service");
    assert_eq!(found(own, &["root"]), "");
    // The file that Debian looks for, if its unit does.
    let kept = || sound().with("/etc/ssh/sshd_not_to_be_run", "");
    assert_eq!(found(kept(), &["root"]), "");
    let unit = "[Unit]\nConditionPathExists=!/etc/ssh/sshd_not_to_be_run\n";
    let kept = kept().with("/usr/lib/systemd/system/ssh.service", unit);
    assert_eq!(found(kept, &["root"]), "ssh-not-to-be-run");
    assert_eq!(with("Match User x\nUsePAM no\n", &["root"]), "ssh-config-invalid");
}

#[test]
fn whom_the_configuration_refuses_is_found() {
    for (line, admin, root) in [
        ("PubkeyAuthentication no", "ssh-pubkey-off", "ssh-pubkey-off"),
        ("pubkeyauthentication=\"no\"", "ssh-pubkey-off", "ssh-pubkey-off"),
        ("PubkeyAuthentication yes\nPubkeyAuthentication no", "", ""),
        (
            "AuthenticationMethods password keyboard-interactive",
            "ssh-methods-without-key",
            "ssh-methods-without-key",
        ),
        ("AuthenticationMethods publickey,password", "ssh-methods-more", "ssh-methods-more"),
        ("AuthenticationMethods publickey,password publickey", "", ""),
        (
            "AuthenticationMethods publickey,password\nPasswordAuthentication no",
            "ssh-config-invalid ssh-methods-more",
            "ssh-config-invalid ssh-methods-more",
        ),
        ("AuthenticationMethods any", "", ""),
        ("PermitRootLogin no", "", "ssh-root-refused"),
        ("PermitRootLogin forced-commands-only", "", "ssh-root-refused"),
        ("PermitRootLogin no\nMatch User root\nPermitRootLogin yes", "", ""),
        ("PermitRootLogin no\nMatch Address 0.0.0.0/0\nPermitRootLogin yes", "", ""),
        ("AllowUsers ad*", "", "ssh-user-refused"),
        ("AllowUsers a\nAllowUsers root@10.0.0.1", "ssh-user-refused", ""),
        ("DenyUsers root", "", "ssh-user-refused"),
        ("DenyUsers root@10.*", "", ""),
        ("AllowGroups sudo wheel", "", "ssh-user-refused"),
        ("DenyGroups sudo", "ssh-user-refused", ""),
        ("AllowUsers root\nDenyUsers root", "ssh-user-refused", "ssh-user-refused"),
        ("UsePAM no", "account-locked", ""),
        ("AuthorizedKeysFile none", "ssh-keys-file", "ssh-keys-file"),
        ("AuthorizedKeysFile /etc/ssh/keys", "ssh-keys-file", "ssh-keys-file"),
        ("AuthorizedKeysFile /etc/ssh/keys/%u", "", ""),
        ("PermitEmptyPasswords yes", "ssh-empty-passwords", "ssh-empty-passwords"),
        ("PasswordAuthentication yes", "", ""),
        ("Port 2222", "ssh-port", "ssh-port"),
        ("Port 2222\nPort 22", "", ""),
        ("ListenAddress 10.0.0.5", "ssh-listen-address", "ssh-listen-address"),
        ("ListenAddress 10.0.0.5\nListenAddress ::", "", ""),
        ("ListenAddress 0.0.0.0:222", "ssh-port", "ssh-port"),
        ("ListenAddress [::]:22", "", ""),
    ] {
        assert_eq!(with(line, &["admin"]), admin, "{line}");
        assert_eq!(with(line, &["root"]), root, "{line}");
    }
    // One who gets in is enough, and who is yet to be made is judged by the name.
    assert_eq!(with("PermitRootLogin no", &["admin", "root"]), "");
    assert_eq!(with("AllowGroups sudo", &["later"]), "");
    assert_eq!(with("AllowUsers x", &["later"]), "ssh-user-refused");
    assert_eq!(with("PubkeyAuthentication no", &[]), "ssh-pubkey-off");
}

#[test]
fn accounts_that_refuse_their_user_are_found() {
    let admin = |passwd: &str, shadow: &str| {
        let system = sound().with("/etc/passwd", passwd).with("/etc/shadow", shadow);
        found(system, &["admin"])
    };
    let line = "admin:x:1000:1000::/home/admin:/bin/bash\n";
    assert_eq!(admin(line, "admin:*:1::::::\n"), "");
    assert_eq!(admin(line, "admin:*:1:::::2:\n"), "account-expired");
    assert_eq!(admin(line, "admin:*:1:::::99999:\n"), "");
    let shell = |shell: &str| admin(&format!("admin:x:1000:1000::/:{shell}\n"), "");
    assert_eq!(shell("/usr/sbin/nologin"), "account-shell");
    assert_eq!(shell("/bin/zsh"), "account-shell");
    assert_eq!(shell(""), "");
    assert_eq!(shell("/run/current-system/sw/bin/bash"), "");
    assert_eq!(found(sound().with("/etc/nologin", ""), &["admin"]), "account-nologin");
    assert_eq!(found(sound().with("/etc/nologin", ""), &["root"]), "");
    // All in memory belongs to root.
    let passwd = |home: &str| format!("admin:x:1000:1000::{home}:/bin/bash\n");
    assert_eq!(admin(&passwd("/root"), ""), "");
    let home = |mode| found(sound().directory_with_mode("/root", mode), &["root"]);
    assert_eq!(home(0o700), "");
    assert_eq!(home(0o777), "ssh-home-unsafe");
    assert_eq!(home(0o775), "ssh-home-group-writable");
    let set = sound().with("/etc/shadow", "root:$6$a$b:1::::::\nadmin:$6$a$b:1::::::\n");
    assert_eq!(found(set, &["root"]), "ssh-passwords");
    let set = sound().with("/etc/shadow", "root:$6$a$b:1::::::\nadmin:!$6$a$b:1::::::\n");
    assert_eq!(found(set, &["root"]), "");
}

#[test]
fn host_keys_have_to_come_from_somewhere() {
    let bare = || sound().without("/etc/ssh/ssh_host_ed25519_key");
    assert_eq!(found(bare(), &["root"]), "ssh-host-keys-missing");
    let unit = "[Service]\nExecStartPre=/usr/bin/ssh-keygen -A\n";
    assert_eq!(found(bare().with("/usr/lib/systemd/system/ssh.service", unit), &["root"]), "");
    let keygen = || bare().with("/usr/lib/systemd/system/sshd-keygen@.service", "[Service]\n");
    assert_eq!(found(keygen(), &["root"]), "");
    let disabled = "/usr/lib/systemd/system/sshd-keygen@.service.d/disable-sshd-keygen-if-cloud-init-active.conf";
    assert_eq!(found(keygen().with(disabled, "x"), &["root"]), "ssh-host-keys-never");
    let (made, _) = judged(vec![keygen().with(disabled, "x")], |case| {
        case.known.init = Some(Init::Systemd);
        case.known.provisioner.host_keys = true;
        judge(case)
    });
    assert_eq!(codes(&made), Vec::<&str>::new());
}

#[test]
fn what_the_program_does_not_know_keeps_it_from_starting() {
    let binary = |words: &[u8]| [b"\x7fELF", &[0; 70 << 10][..], words].concat();
    let program = binary(b"\0permitlisten\0aes256-ctr\0libwrap.so.0\0");
    let system = || sound().with_mode("/usr/sbin/sshd", 0o755, &program);
    let with =
        |line: &str| found(system().with("/etc/ssh/sshd_config.d/50.conf", line), &["admin"]);
    assert_eq!(with("PermitListen any\nCiphers aes256-ctr\n"), "");
    assert_eq!(with("PermitListn any\n"), "ssh-config-invalid");
    assert_eq!(with("Ciphers aes256-ctx\n"), "ssh-config-invalid");
    assert_eq!(with("Ciphers -aes256-ctx\n"), "");
    // TCP wrappers count where the program asks them.
    let deny = |deny: &str, allow: &str| {
        let system = system().with("/etc/hosts.deny", deny).with("/etc/hosts.allow", allow);
        found(system, &["admin"])
    };
    assert_eq!(deny("# x\nALL: ALL\n", "# sshd: ALL\n"), "ssh-hosts-deny");
    assert_eq!(deny("sshd : ALL : spawn x\n", ""), "ssh-hosts-deny");
    assert_eq!(deny("ALL: ALL\n", "sshd: 10.0.0.0/8\n"), "");
    assert_eq!(deny("ALL EXCEPT sshd: ALL\nftpd: ALL\nsshd: .example\n", ""), "");
    let without = sound().with("/etc/hosts.deny", "ALL: ALL\n");
    assert_eq!(found(without, &["admin"]), "");
    for (mode, bytes) in [(0o644, &program[..]), (0o755, b"")] {
        let system = sound().with_mode("/usr/sbin/sshd", mode, bytes);
        assert_eq!(found(system, &["admin"]), "ssh-no-server");
    }
}

#[test]
fn pam_access_refuses_by_the_first_line_that_matches() {
    let access = |text: &str| {
        let system = sound()
            .with("/etc/pam.d/sshd", "@include common-account\n")
            .with("/etc/pam.d/common-account", "account required pam_access.so\n")
            .with("/etc/security/access.conf", text);
        found(system, &["admin"])
    };
    assert_eq!(access("+:root:ALL\n-:ALL:ALL\n"), "ssh-pam-access");
    assert_eq!(access("+ : admin : ALL\n- : ALL : ALL\n"), "");
    assert_eq!(access("-:ALL EXCEPT root:ALL\n"), "");
    assert_eq!(access("-:admin:LOCAL\n"), "");
    assert_eq!(access("+:(sudo):ALL\n-:ALL:ALL\n"), "");
    let unasked = sound().with("/etc/security/access.conf", "-:ALL:ALL\n");
    assert_eq!(found(unasked, &["admin"]), "");
}

#[test]
fn an_account_that_is_made_is_judged_as_it_will_be() {
    let made = |line: &str, made: Made| {
        let system = sound().with("/etc/ssh/sshd_config.d/50.conf", line);
        let (found, _) = judged(vec![system], |case| {
            case.known.init = Some(Init::Systemd);
            let provides = &mut case.known.provisioner;
            (provides.keys, provides.starts) = (true, true);
            (provides.user, provides.made) = (Some(b"new".to_vec()), Some(made));
            judge(case)
        });
        codes(&found).join(" ")
    };
    let new =
        Made { locked: true, groups: vec![b"new".to_vec(), b"adm".to_vec()], ..Made::default() };
    assert_eq!(made("", new.clone()), "");
    assert_eq!(made("UsePAM no\n", new.clone()), "account-locked");
    assert_eq!(made("UsePAM no\n", Made { locked: false, ..new.clone() }), "");
    assert_eq!(made("DenyGroups adm\n", new.clone()), "ssh-user-refused");
    assert_eq!(made("AllowGroups wheel\n", new.clone()), "ssh-user-refused");
    assert_eq!(made("AllowGroups adm\n", new.clone()), "");
    let shell = |path: &str| Made { shell: Some(path.into()), ..new.clone() };
    assert_eq!(made("", shell("/bin/bash")), "");
    assert_eq!(made("", shell("/bin/zsh")), "account-shell");
}

#[test]
fn host_keys_elsewhere_are_made_by_nobody() {
    assert_eq!(with("HostKey /srv/key\n", &["admin"]), "ssh-host-keys-missing");
    assert_eq!(with("HostKey /etc/ssh/ssh_host_rsa_key\n", &["admin"]), "");
}

#[test]
fn sockets_listen_where_their_units_say() {
    let socket = |text: &str| {
        sound()
            .with("/usr/lib/systemd/system/ssh.socket", text)
            .link("/etc/systemd/system/sockets.target.wants/ssh.socket", "x")
    };
    assert_eq!(found(socket("[Socket]\nListenStream=22\n"), &["root"]), "");
    assert_eq!(found(socket("[Socket]\nListenStream=2222\n"), &["root"]), "ssh-port");
    let again = "/etc/systemd/system/ssh.socket.d/addresses.conf";
    let moved = || {
        socket("[Socket]\nListenStream=22\n")
            .with(again, "[Socket]\nListenStream=\nListenStream=10.0.0.1:22\n")
    };
    assert_eq!(found(moved(), &["root"]), "ssh-listen-address");
    let generator = "/usr/lib/systemd/system-generators/sshd-socket-generator";
    assert_eq!(found(moved().program(generator), &["root"]), "");
}

#[test]
fn what_is_above_a_home_has_to_be_open_to_all() {
    let above = |mode: u16, user: &str| {
        let system = sound().directory_with_mode("/home", mode).directory("/home/admin");
        found(system, &[user])
    };
    assert_eq!(above(0o755, "admin"), "");
    assert_eq!(above(0o711, "admin"), "");
    assert_eq!(above(0o700, "admin"), "ssh-home-unsafe");
    assert_eq!(above(0o700, "root"), "");
}

#[test]
fn keys_are_refused_without_the_list_of_those_that_are_revoked() {
    assert_eq!(with("RevokedKeys /etc/ssh/nope\n", &["admin"]), "ssh-pubkey-off");
    assert_eq!(with("RevokedKeys /etc/ssh/sshd_config\n", &["admin"]), "");
    assert_eq!(with("RevokedKeys none\n", &["admin"]), "");
}

#[test]
fn the_server_needs_its_configuration() {
    assert_eq!(found(sound().without(SSHD_CONFIG), &["admin"]), "ssh-config-invalid");
    // systemd takes all of a line, where a shell takes a word.
    let options = sound().with("/etc/default/ssh", "SSHD_OPTS=-p 2222\n");
    assert_eq!(found(options, &["admin"]), "");
    let override_of = |command: &str| {
        let text = format!("[Service]\nExecStart=\nExecStart={command}\n");
        found(sound().with("/etc/systemd/system/ssh.service.d/o.conf", text), &["admin"])
    };
    assert_eq!(override_of("/usr/sbin/sshd -D -p 2222"), "ssh-port");
    assert_eq!(override_of("/usr/sbin/sshd -D"), "");
    assert_eq!(override_of("/usr/bin/true"), "ssh-off");
}

#[test]
fn a_session_that_ends_at_once_is_none() {
    for line in ["MaxSessions 0", "ForceCommand /bin/false", "ChrootDirectory /nope"] {
        assert_eq!(with(line, &["admin"]), "ssh-user-refused", "{line}");
    }
    assert_eq!(with("ForceCommand /bin/bash\nChrootDirectory none\n", &["admin"]), "");
    assert_eq!(with("Match User other\nForceCommand /bin/false\n", &["admin"]), "");
    assert_eq!(with("AddressFamily inet6\n", &["admin"]), "ssh-listen-address");
}
