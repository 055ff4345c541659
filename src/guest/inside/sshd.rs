//! Whether a server takes SSH connections, and lets the owner of a Droplet in.

mod config;
mod firewall;
mod gates;
mod login;
#[cfg(test)]
mod oracle;
mod program;
mod server;
mod values;
mod words;

use self::config::{Config, Who};
use self::login::Refusal;
use self::server::{Product, Server};
use super::super::fs::Trouble;
use super::super::tree::Tree;
use super::accounts::{self, Accounts, Password};
use super::{Book, Case, shown};
use crate::facts::Code;

/// Nobody in particular.
const ANYBODY: Who<'_> = Who { name: b"", groups: None };

/// Users whom tidegate examines at most if nobody is known to get a Droplet's keys.
const MOST_USERS: usize = 32;

/// Judges the server for SSH and who can log in to it.
///
/// # Errors
/// If the places of it cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let accounts = accounts::examine(case)?;
    let Some(server) = server::find(case)? else { return Ok(()) };
    server::judge(case, &server)?;
    program::judge_file(case, server.product)?;
    if server.product != Product::OpenSsh {
        return firewall::judge(case, &[22]);
    }
    let options = &server.options;
    let path = match &options.file {
        Some(path) => path.clone(),
        None => usual_path(&mut case.tree)?,
    };
    // Without a file, all is as OpenSSH has it by default.
    let config = Config::read(&mut case.tree, &path, &options.settings)?.unwrap_or_default();
    if let Some((path, line, said)) = config.faults.first() {
        case.book.found_in(
            Code::SshConfigInvalid,
            path,
            *line,
            format!("sshd does not start with this line of its configuration: {said}."),
        );
    }
    program::judge(case, &config)?;
    if let Some(setting) = config.unsatisfied() {
        case.book.found_in(
            Code::SshConfigInvalid,
            &setting.path,
            setting.line,
            "sshd does not start: each list of AuthenticationMethods has a method that is switched off.",
        );
    }
    let logins = logins(case, &accounts)?;
    judge_logins(case, &config, &accounts, &logins)?;
    gates::judge(case, &config, &logins)?;
    judge_settings(&case.book, &config, &logins);
    judge_passwords(&case.book, &config, &accounts);
    let ports = judge_ports(case, &config, &server)?;
    server::judge_host_keys(case, &config, &server)?;
    firewall::judge(case, &ports)
}

/// Where the configuration is: some systems keep the vendor's in /usr.
fn usual_path(tree: &mut Tree<'_>) -> Result<Vec<u8>, Trouble> {
    for path in
        ["/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config", "/usr/local/etc/ssh/sshd_config"]
    {
        if tree.is_regular(path)? {
            return Ok(path.into());
        }
    }
    Ok(b"/etc/ssh/sshd_config".to_vec())
}

/// Who gets a Droplet's keys, the first one first; without a provisioner, who has keys already.
fn logins(case: &mut Case<'_, '_>, accounts: &Accounts) -> Result<Vec<Vec<u8>>, Trouble> {
    let provides = &case.known.provisioner;
    let mut logins: Vec<Vec<u8>> = provides.user.iter().cloned().collect();
    if provides.root && !logins.iter().any(|name| name == b"root") {
        logins.push(b"root".to_vec());
    }
    if logins.is_empty() && !provides.keys {
        for account in accounts.all.iter().filter(|it| it.is_of_a_person()).take(MOST_USERS) {
            if accounts::keys(&mut case.tree, &account.home)? > 0 {
                logins.push(account.name.clone());
            }
        }
    }
    Ok(logins)
}

/// Says why nobody gets in. One who does is enough.
fn judge_logins(
    case: &mut Case<'_, '_>,
    config: &Config,
    accounts: &Accounts,
    logins: &[Vec<u8>],
) -> Result<(), Trouble> {
    let mut each: Vec<Vec<Refusal>> = Vec::new();
    let provides = &case.known.provisioner;
    let made = provides.user.as_ref().zip(provides.made.as_ref());
    for name in logins {
        let made = made.filter(|(user, _)| *user == name).map(|(_, made)| made);
        each.push(login::refusals(&mut case.tree, config, accounts, name, made)?);
    }
    if each.is_empty() {
        each.push(login::without_keys(config, ANYBODY));
    }
    let certain = |refusals: &Vec<Refusal>| refusals.iter().filter(|it| it.is_certain()).count();
    let least = each.into_iter().min_by_key(|refusals| (certain(refusals), refusals.len()));
    for refusal in least.unwrap_or_default() {
        match refusal.at {
            Some((path, 0)) => case.book.found_at(refusal.code, path, refusal.said),
            Some((path, line)) => case.book.found_in(refusal.code, path, line, refusal.said),
            None => case.book.found(refusal.code, refusal.said),
        }
    }
    Ok(())
}

fn who(logins: &[Vec<u8>]) -> Who<'_> {
    Who { name: logins.first().map_or(&b""[..], |name| name), groups: None }
}

/// Where keys are looked for.
fn judge_settings(book: &Book<'_>, config: &Config, logins: &[Vec<u8>]) {
    let Some(setting) = config.first("authorizedkeysfile", who(logins)) else { return };
    // cloud-init writes to what has the user's name or home in it, and else to ~/.ssh/authorized_keys.
    let is_of_user = |word: &Vec<u8>| {
        !word.starts_with(b"/") || word.windows(2).any(|pair| pair == b"%u" || pair == b"%h")
    };
    let listed = shown(setting.words.join(&b" "[..]));
    if setting.is("none") || !setting.words.iter().any(is_of_user) {
        book.found_in(
            Code::SshKeysFile,
            &setting.path,
            setting.line,
            format!("AuthorizedKeysFile is {listed}: keys in a user's home directory are not looked for."),
        );
    }
}

/// Which passwords open a session.
fn judge_passwords(book: &Book<'_>, config: &Config, accounts: &Accounts) {
    if let Some(setting) = config.first("permitemptypasswords", ANYBODY).filter(|it| it.is("yes")) {
        book.found_in(
            Code::SshEmptyPasswords,
            &setting.path,
            setting.line,
            "PermitEmptyPasswords is yes: who has no password needs none.",
        );
    }
    let mut open = Vec::new();
    let is_set =
        |account: &&accounts::Account| account.password == Password::Set && !account.is_shut();
    for account in accounts.all.iter().filter(is_set).take(MOST_USERS) {
        let groups = accounts.groups_of(account);
        let who = Who { name: &account.name, groups: Some(&groups) };
        let by_pam = config.is_yes("usepam", who, false)
            && config.is_yes("kbdinteractiveauthentication", who, true);
        let asks = config.is_yes("passwordauthentication", who, true) || by_pam;
        let root = config.first("permitrootlogin", who);
        let may = account.uid != 0 || root.is_some_and(|setting| setting.is("yes"));
        if asks && may {
            open.push(shown(&account.name).to_string());
        }
    }
    if !open.is_empty() {
        let more = open.len().saturating_sub(8);
        open.truncate(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        book.found(
            Code::SshPasswords,
            format!(
                "sshd takes passwords, and these accounts have one that all Droplets of this image share: {}{more}.",
                open.join(", ")
            ),
        );
    }
}

/// Which ports the server listens on, and at which addresses.
fn judge_ports(
    case: &mut Case<'_, '_>,
    config: &Config,
    server: &Server,
) -> Result<Vec<u16>, Trouble> {
    let port = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u16>().ok();
    let mut ports: Vec<u16> = config
        .all("port", ANYBODY)
        .iter()
        .filter_map(|setting| port(setting.words.first()?))
        .collect();
    let mut at = config.first("port", ANYBODY).map(|it| (it.path.to_vec(), it.line));
    if ports.is_empty() {
        ports.push(22);
    }
    // Each address has a port of its own, or all of those.
    let (mut wide, mut fixed) = (Vec::new(), Vec::new());
    for setting in config.all("listenaddress", ANYBODY) {
        let (host, own) = server::address(setting.words.first().map_or(&b""[..], |word| word));
        let own: Vec<u16> = own.map_or_else(|| ports.clone(), |port| vec![port]);
        let place = (setting.path.to_vec(), setting.line);
        match server::is_any(host) {
            true => {
                at = at.or(Some(place));
                wide.extend(own);
            }
            false => fixed.push((host.to_vec(), place)),
        }
    }
    let listens = config.first("listenaddress", ANYBODY).is_some();
    if listens {
        ports.clone_from(&wide);
    }
    // systemd listens itself, and a generator of newer releases makes it follow sshd_config.
    if let Some(socket) = &server.socket
        && !case.tree.exists("/usr/lib/systemd/system-generators/sshd-socket-generator")?
    {
        let streams = server::streams(&mut case.tree, socket)?;
        if !streams.is_empty() {
            let addresses = streams.iter().map(|stream| server::address(stream));
            let any = |(host, port): (&[u8], Option<u16>)| port.filter(|_| server::is_any(host));
            ports = addresses.filter_map(any).collect();
            at = Some((socket.clone(), 0));
            fixed = match ports.is_empty() {
                true => vec![(streams[0].clone(), (socket.clone(), 0))],
                false => Vec::new(),
            };
        }
    }
    let place = |(path, line): (Vec<u8>, u32), code, said: String| match line {
        0 => case.book.found_at(code, path, said),
        line => case.book.found_in(code, path, line, said),
    };
    if ports.is_empty() {
        if let Some((host, at)) = fixed.into_iter().next() {
            let host = shown(host);
            let said = format!(
                "sshd listens at {host} alone; the address of a Droplet is known when it is made."
            );
            place(at, Code::SshListenAddress, said);
        }
    } else if !ports.contains(&22) {
        let listed: Vec<String> = ports.iter().take(8).map(u16::to_string).collect();
        let said = format!("sshd listens on port {}, not on 22.", listed.join(", "));
        place(at.unwrap_or_default(), Code::SshPort, said);
    }
    Ok(ports)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::fs::memory::Memory;
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
            .with("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/bash\n")
            .with("/etc/shadow", "root:*:19000:0:99999:7:::\nadmin:!:19000:0:99999:7:::\n")
            .with("/etc/group", "root:x:0:\nsudo:x:27:admin\nadmin:x:1000:\n")
            .directory("/root")
            .with(SSHD_CONFIG, "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\n")
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
}
