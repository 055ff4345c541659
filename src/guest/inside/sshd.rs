//! Whether a server takes SSH connections, and lets the owner of a Droplet in.

mod config;
mod firewall;
mod gates;
mod login;
mod options;
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
    let Some(config) = Config::read(&mut case.tree, &path, &options.settings)? else {
        // Flatcar's is put there by the first boot.
        if case.tree.is_directory("/etc/ssh")? && !case.tree.is_directory("/usr/share/ssh")? {
            let said = "sshd does not start without this file, and it is not there.";
            case.book.found_at(Code::SshConfigInvalid, &path, said);
        }
        return firewall::judge(case, &[22]);
    };
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
    if let Some(setting) = config.first("addressfamily", ANYBODY).filter(|it| it.is("inet6")) {
        let said = "sshd listens for IPv6 alone, which a Droplet of a custom image does not have.";
        case.book.found_in(Code::SshListenAddress, &setting.path, setting.line, said);
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
pub(super) mod tests;
