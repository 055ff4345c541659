//! Whether a key lets somebody in.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::Tree;
use super::super::accounts::{Account, Accounts, Password, writers};
use super::super::{Made, patterns, shown};
use super::config::{Config, Setting, Who};
use crate::facts::Code;

/// Why somebody is refused, or may be.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    /// Where it is written: a path, and a line unless it is 0.
    pub(super) at: Option<(Vec<u8>, u32)>,
    pub(super) said: String,
}

impl Refusal {
    /// Whether it is for certain: what is not depends on how the server was built, or on what PAM asks.
    pub(super) fn is_certain(&self) -> bool {
        !matches!(self.code, Code::SshMethodsMore | Code::SshHomeGroup)
    }

    fn of(code: Code, setting: &Setting, said: String) -> Self {
        Refusal { code, at: Some((setting.path.to_vec(), setting.line)), said }
    }

    fn at(code: Code, path: &[u8], line: u32, said: String) -> Self {
        Refusal { code, at: Some((path.to_vec(), line)), said }
    }
}

/// Why the server takes no key from anybody with these settings.
pub(super) fn without_keys(config: &Config, who: Who<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if let Some(setting) = config.first("pubkeyauthentication", who).filter(|it| it.is("no"))
        && !config.depends("pubkeyauthentication", who)
    {
        let said =
            "PubkeyAuthentication is no: a Droplet's keys open nothing, and it has no password.";
        refusals.push(Refusal::of(Code::SshPubkeyOff, setting, said.into()));
    }
    if let Some(setting) = config.first("authenticationmethods", who)
        && !setting.is("any")
        && !config.depends("authenticationmethods", who)
    {
        let methods = |list: &Vec<u8>| -> Vec<Vec<u8>> {
            list.split(|&byte| byte == b',').map(<[u8]>::to_ascii_lowercase).collect()
        };
        let lists: Vec<Vec<Vec<u8>>> = setting.words.iter().map(methods).collect();
        let is_key = |method: &Vec<u8>| method == b"publickey";
        let listed = shown(setting.words.join(&b" "[..]));
        if !lists.iter().any(|list| list.iter().any(is_key)) {
            let said = format!(
                "AuthenticationMethods is {listed}: a key alone or with more opens nothing."
            );
            refusals.push(Refusal::of(Code::SshMethods, setting, said));
        } else if !lists.iter().any(|list| list.iter().all(is_key)) {
            let said =
                format!("AuthenticationMethods is {listed}: it takes more than a key to log in.");
            refusals.push(Refusal::of(Code::SshMethodsMore, setting, said));
        }
    }
    refusals
}

/// Why somebody is refused who has the right key.
pub(super) fn refusals(
    tree: &mut Tree<'_>,
    config: &Config,
    accounts: &Accounts,
    name: &[u8],
    made: Option<&Made>,
) -> Result<Vec<Refusal>, Trouble> {
    let account = accounts.named(name);
    let made = made.filter(|_| account.is_none());
    let groups = match (account, made) {
        (Some(account), _) => Some(accounts.groups_of(account)),
        (None, Some(made)) => Some(made.groups.iter().map(Vec::as_slice).collect()),
        (None, None) => None,
    };
    let who = Who { name, groups: groups.as_deref() };
    let mut refusals = without_keys(config, who);
    if let Some(setting) = config.first("revokedkeys", who).filter(|it| !it.is("none"))
        && let Some(path) = setting.words.first()
        && path.starts_with(b"/etc/")
        && !tree.exists(path)?
    {
        let said =
            format!("RevokedKeys is {}, which is not there: sshd refuses all keys.", shown(path));
        refusals.push(Refusal::of(Code::SshPubkeyOff, setting, said));
    }
    refusals.extend(not_allowed(config, who));
    refusals.extend(no_session(tree, config, who)?);
    let is_root = account.map_or(name == b"root", |account| account.uid == 0);
    if is_root
        && let Some(setting) = config.first("permitrootlogin", who)
        && (setting.is("no") || setting.is("forced-commands-only"))
        && !config.depends("permitrootlogin", who)
    {
        let said = format!(
            "PermitRootLogin is {}, and a Droplet's keys go to root.",
            shown(&setting.words[0])
        );
        refusals.push(Refusal::of(Code::SshRootRefused, setting, said));
    }
    if !is_root && tree.exists("/etc/nologin")? {
        let said =
            format!("While this file is there, all but root are refused, {} as well.", shown(name));
        refusals.push(Refusal::at(Code::AccountNologin, b"/etc/nologin", 0, said));
    }
    if !is_root && (account.is_some() || made.is_some()) {
        let usual = || [b"/home/", name].concat();
        let home = account.map_or_else(usual, |account| account.home.clone());
        unreached(tree, who, &home, &mut refusals)?;
    }
    if let Some(account) = account {
        of_account(tree, config, who, account, &mut refusals)?;
    }
    if let Some(made) = made {
        of_made(tree, config, who, made, &mut refusals)?;
    }
    Ok(refusals)
}

/// The directory above a home that only root may search: sshd reads keys as the user.
fn unreached(
    tree: &mut Tree<'_>,
    who: Who<'_>,
    home: &[u8],
    refusals: &mut Vec<Refusal>,
) -> Result<(), Trouble> {
    let slashes = home.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in slashes {
        let path = if end == 0 { &b"/"[..] } else { &home[..end] };
        let Some(found) = tree.stat(path)? else { return Ok(()) };
        if found.inode.kind == Kind::Directory && found.inode.mode & 0o011 == 0 {
            let said = format!(
                "Only its owner may search this directory (mode {:04o}), and sshd reads the keys of {} as that user.",
                found.inode.mode & 0o7777,
                shown(who.name)
            );
            refusals.push(Refusal::at(Code::SshHomeUnsafe, path, 0, said));
            return Ok(());
        }
    }
    Ok(())
}

/// What of an account that the provisioner makes will keep it out.
fn of_made(
    tree: &mut Tree<'_>,
    config: &Config,
    who: Who<'_>,
    made: &Made,
    refusals: &mut Vec<Refusal>,
) -> Result<(), Trouble> {
    let name = shown(who.name);
    let (path, line) = &made.at;
    if made.locked && !uses_pam(tree, config, who, false)? {
        let said = format!(
            "The provisioner makes {name} with a locked password, and sshd does not use PAM: it refuses locked accounts, keys or not."
        );
        refusals.push(Refusal::at(Code::AccountLocked, path, *line, said));
    }
    if let Some(shell) = &made.shell
        && !has_shell(tree, shell)?
    {
        let said = format!(
            "The provisioner makes {name} with the shell {}, which is not there: sshd refuses such an account.",
            shown(shell)
        );
        refusals.push(Refusal::at(Code::AccountShell, path, *line, said));
    }
    Ok(())
}

/// Whether the server leaves accounts to PAM.
fn uses_pam(
    tree: &mut Tree<'_>,
    config: &Config,
    who: Who<'_>,
    default: bool,
) -> Result<bool, Trouble> {
    Ok(config.is_yes("usepam", who, default) && !is_built_without_pam(tree)?)
}

/// Whether a shell is there. A directory that is not may be on a volume that was not read, or be filled at boot, as NixOS's
/// is.
fn has_shell(tree: &mut Tree<'_>, shell: &[u8]) -> Result<bool, Trouble> {
    let above = shell.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    Ok(above == 0
        || !tree.is_directory(&shell[..above])?
        || tree.stat(shell)?.is_some_and(|found| found.inode.is_executable()))
}

/// What ends each session at once.
fn no_session(
    tree: &mut Tree<'_>,
    config: &Config,
    who: Who<'_>,
) -> Result<Option<Refusal>, Trouble> {
    let name = shown(who.name);
    let of = |setting: &Setting, said: String| {
        Ok(Some(Refusal::of(Code::SshUserRefused, setting, said)))
    };
    if let Some(setting) = config.first("maxsessions", who).filter(|it| it.is("0")) {
        return of(setting, format!("MaxSessions is 0: {name} gets no shell."));
    }
    let ends: [&[u8]; 4] =
        [b"/bin/false", b"/usr/bin/false", b"/sbin/nologin", b"/usr/sbin/nologin"];
    if let Some(setting) = config.first("forcecommand", who)
        && setting.words.first().is_some_and(|word| ends.contains(&&word[..]))
    {
        let said = format!("ForceCommand ends each session of {name} at once.");
        return of(setting, said);
    }
    if let Some(setting) = config.first("chrootdirectory", who)
        && let Some(path) = setting.words.first()
        && path.starts_with(b"/")
        && !path.contains(&b'%')
        && !tree.exists(path)?
    {
        let said = format!(
            "ChrootDirectory is {}, which is not there: each session of {name} ends.",
            shown(path)
        );
        return of(setting, said);
    }
    Ok(None)
}

/// The lists of users and groups, in the order of the server.
fn not_allowed(config: &Config, who: Who<'_>) -> Option<Refusal> {
    let name = shown(who.name);
    let refused =
        |setting: &Setting, said: String| Some(Refusal::of(Code::SshUserRefused, setting, said));
    for setting in config.all("denyusers", who) {
        // Who comes from where is not known.
        let is_named = |pattern: &Vec<u8>| {
            !pattern.contains(&b'@') && patterns::matches(pattern, who.name, false)
        };
        if let Some(pattern) = setting.words.iter().find(|&pattern| is_named(pattern)) {
            return refused(
                setting,
                format!("DenyUsers has {}: {name} is refused.", shown(pattern)),
            );
        }
    }
    let list = config.all("allowusers", who);
    let is_named = |pattern: &Vec<u8>| {
        let user = pattern.split(|&byte| byte == b'@').next().unwrap_or_default();
        patterns::matches(user, who.name, false)
    };
    if let Some(last) = list.last()
        && !list.iter().any(|setting| setting.words.iter().any(is_named))
        && !config.depends("allowusers", who)
    {
        return refused(last, format!("AllowUsers does not name {name}, who is refused."));
    }
    let groups = who.groups?;
    let is_in =
        |pattern: &Vec<u8>| groups.iter().any(|group| patterns::matches(pattern, group, false));
    for setting in config.all("denygroups", who) {
        if let Some(pattern) = setting.words.iter().find(|&pattern| is_in(pattern)) {
            let said =
                format!("DenyGroups has {}, which {name} is in, and is refused.", shown(pattern));
            return refused(setting, said);
        }
    }
    let list = config.all("allowgroups", who);
    if let Some(last) = list.last()
        && !list.iter().any(|setting| setting.words.iter().any(is_in))
        && !config.depends("allowgroups", who)
    {
        return refused(
            last,
            format!("AllowGroups names no group that {name} is in, who is refused."),
        );
    }
    None
}

/// What of the account itself keeps it out.
fn of_account(
    tree: &mut Tree<'_>,
    config: &Config,
    who: Who<'_>,
    account: &Account,
    refusals: &mut Vec<Refusal>,
) -> Result<(), Trouble> {
    let name = shown(&account.name);
    let (written, line) = account.written;
    // FreeBSD's server uses PAM unless told otherwise, that of OpenBSD's portable edition does not.
    let is_bsd = written == "/etc/master.passwd";
    if !uses_pam(tree, config, who, is_bsd)? && account.password == Password::Locked {
        let said = format!(
            "{name} has a locked password (an exclamation mark before it), and sshd does not use PAM: it refuses locked accounts, keys or not."
        );
        refusals.push(Refusal::at(Code::AccountLocked, written.as_bytes(), line, said));
    }
    if account.is_expired() {
        let said = format!("The account {name} is expired.");
        refusals.push(Refusal::at(Code::AccountExpired, written.as_bytes(), line, said));
    }
    let shell = shown(&account.shell);
    if account.is_shut() {
        let said = format!("The shell of {name} is {shell}, which ends at once.");
        refusals.push(Refusal::at(Code::AccountShell, b"/etc/passwd", 0, said));
    } else if !has_shell(tree, &account.shell)? {
        let said = format!(
            "The shell of {name} is {shell}, which is not there: sshd refuses such an account."
        );
        refusals.push(Refusal::at(Code::AccountShell, b"/etc/passwd", 0, said));
    }
    if config.is_yes("strictmodes", who, true) {
        let home = account.home.strip_suffix(b"/").unwrap_or(&account.home);
        for path in [home.to_vec(), [home, b"/.ssh"].concat()] {
            // The root of the system is no home.
            if home.is_empty() {
                continue;
            }
            if let Some((writers, is_foreign)) = writers(tree, &path, account.uid)? {
                let (code, why) = match (is_foreign, writers) {
                    (true, _) => (Code::SshHomeUnsafe, "belongs to somebody else"),
                    (false, bits) if bits & 0o002 != 0 => {
                        (Code::SshHomeUnsafe, "may be written by anybody")
                    }
                    (false, 0) => continue,
                    (false, _) => (Code::SshHomeGroup, "may be written by its group"),
                };
                let path_shown = shown(&path);
                let said = format!(
                    "{path_shown} of {name} {why}: sshd ignores the keys in it (StrictModes)."
                );
                refusals.push(Refusal::at(code, &path, 0, said));
            }
        }
    }
    Ok(())
}

/// Alpine has two servers, of which only one knows PAM.
fn is_built_without_pam(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    Ok(tree.exists("/etc/alpine-release")? && !tree.exists("/usr/sbin/sshd.pam")?)
}
