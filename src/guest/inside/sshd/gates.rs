//! What stands before sshd or behind it, and refuses connections by lists of its own: TCP wrappers and pam_access.

use super::super::super::fs::Trouble;
use super::super::super::tree::{Text, Tree};
use super::super::{Case, shown};
use super::config::{Config, Who};
use super::program;
use crate::facts::Code;

/// Files of PAM that include each other are followed to this depth.
const MOST_DEPTH: usize = 8;

/// Judges both.
///
/// # Errors
/// If their files cannot be read.
pub(super) fn judge(
    case: &mut Case<'_, '_>,
    config: &Config,
    logins: &[Vec<u8>],
) -> Result<(), Trouble> {
    judge_wrappers(case)?;
    for name in logins {
        let who = Who { name, groups: None };
        if config.is_yes("usepam", who, false) && asks_access(&mut case.tree, "sshd", 0)? {
            return judge_access(case, name);
        }
    }
    Ok(())
}

/// hosts_access(5): whoever is in hosts.allow gets in, then whoever is in hosts.deny does not.
fn judge_wrappers(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    const DENY: &str = "/etc/hosts.deny";
    let Some(denied) = case.tree.text(DENY)? else { return Ok(()) };
    let refused = denied.lines().find(|(_, line)| {
        let mut fields = line.split(|&byte| byte == b':');
        let mut next = || fields.next().unwrap_or_default();
        names_sshd(next()) && list(next()).eq([&b"ALL"[..]])
    });
    let Some((line, _)) = refused else { return Ok(()) };
    let allowed = case.tree.text("/etc/hosts.allow")?;
    let names = |text: &Text| {
        text.lines().any(|(_, line)| {
            names_sshd(line.split(|&byte| byte == b':').next().unwrap_or_default())
        })
    };
    if allowed.as_ref().is_some_and(names) {
        return Ok(());
    }
    let asks = program::knows(&mut case.tree, &[b"libwrap.so".to_vec()])?;
    if asks.is_some_and(|asks| asks == [true]) {
        let said = "sshd asks this file (it is linked with libwrap), which refuses all connections to it, and /etc/hosts.allow allows none.";
        case.book.found_in(Code::SshHostsDeny, DENY, line, said);
    }
    Ok(())
}

fn list(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = text.split(|byte| byte.is_ascii_whitespace() || *byte == b',');
    words.filter(|word| !word.is_empty())
}

/// Whether a list of daemons has sshd in it. One with exceptions is not judged.
fn names_sshd(daemons: &[u8]) -> bool {
    !daemons.trim_ascii_start().starts_with(b"#")
        && !list(daemons).any(|word| word == b"EXCEPT")
        && list(daemons).any(|word| word == b"sshd" || word == b"ALL")
}

/// Whether the accounts of a service of PAM are held against access.conf.
fn asks_access(tree: &mut Tree<'_>, service: &str, depth: usize) -> Result<bool, Trouble> {
    if depth == MOST_DEPTH || service.contains('/') {
        return Ok(false);
    }
    let Some(text) = tree.text(format!("/etc/pam.d/{service}"))? else { return Ok(false) };
    for (_, line) in text.lines() {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (first, second, third) = (words.next(), words.next(), words.next());
        let other = match (first, second, third) {
            (Some(b"@include"), other, _) => other,
            (Some(b"account"), Some(b"include" | b"substack"), other) => other,
            (Some(b"account"), Some(b"required" | b"requisite"), Some(module)) => {
                // With arguments it may read another file, or another separator.
                if module.ends_with(b"pam_access.so") && words.next().is_none() {
                    return Ok(true);
                }
                None
            }
            _ => None,
        };
        if let Some(other) = other.and_then(|other| std::str::from_utf8(other).ok())
            && asks_access(tree, other, depth + 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// access.conf(5): of the lines that match a user and an origin, the first one counts.
fn judge_access(case: &mut Case<'_, '_>, name: &[u8]) -> Result<(), Trouble> {
    const ACCESS: &str = "/etc/security/access.conf";
    let Some(text) = case.tree.text(ACCESS)? else { return Ok(()) };
    for (number, line) in text.lines() {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').map(<[u8]>::trim_ascii).collect();
        let [sign @ (b"+" | b"-"), users, origins] = fields[..] else { continue };
        // Groups, networks and exceptions depend on what is not known here.
        let is_plain = |word: &[u8]| !word.starts_with(b"(") && !word.starts_with(b"@");
        if list(users).any(|word| word == b"EXCEPT") || !list(users).all(is_plain) {
            return Ok(());
        }
        if !list(users).any(|word| word == b"ALL" || word == name) {
            continue;
        }
        let from_anywhere = list(origins).eq([&b"ALL"[..]]);
        match sign {
            b"-" if from_anywhere => {
                let said = format!(
                    "PAM holds {} against this file (pam_access), and this line refuses it from everywhere.",
                    shown(name)
                );
                case.book.found_in(Code::SshPamAccess, ACCESS, number, said);
                return Ok(());
            }
            // Names of terminals and of the machine itself are no Droplet's owner.
            b"-" => {}
            _ => return Ok(()),
        }
    }
    Ok(())
}
