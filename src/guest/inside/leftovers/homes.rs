//! What is left in home directories: keys, histories, credentials.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::{Entry, Tree};
use super::super::accounts::{Accounts, MOST_HOMES, is_key};
use super::super::shown;
use super::{LOOKED_THROUGH, Left, MOST_ENTRIES, has, names, said_size, size};
use crate::facts::Code;

/// What the key of Vagrant's boxes begins with and the other one is, both public, and the comment of both.
const VAGRANT: [&[u8]; 3] = [
    b"AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr",
    b"AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y",
    b"vagrant insecure public key",
];

/// What shells and clients write down.
const HISTORIES: [&str; 12] = [
    ".bash_history",
    ".zsh_history",
    ".histfile",
    ".ash_history",
    ".sh_history",
    ".history",
    ".python_history",
    ".mysql_history",
    ".psql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".node_repl_history",
];

/// Files of credentials in a home directory: where, what kind, and what is in one that has any (of all, one; none: it is
/// enough that it is not empty).
const CREDENTIALS: &[(&str, &str, &[&str])] = &[
    (".aws/credentials", "keys of AWS", &["aws_secret_access_key", "aws_session_token"]),
    (
        ".config/doctl/config.yaml",
        "a token of DigitalOcean",
        &["access-token: d", "access-token: \"d", "dop_v1_"],
    ),
    (".s3cfg", "keys of S3", &["secret_key"]),
    (".boto", "keys of S3", &["secret"]),
    (".config/rclone/rclone.conf", "credentials of rclone", &[]),
    (".kube/config", "credentials of Kubernetes", &[]),
    (".docker/config.json", "credentials of a registry", &["\"auth\"", "identitytoken"]),
    (".config/containers/auth.json", "credentials of a registry", &["\"auth\""]),
    (".dockercfg", "credentials of a registry", &["\"auth\""]),
    (".git-credentials", "credentials of Git", &[]),
    (".config/git/credentials", "credentials of Git", &[]),
    (".config/gh/hosts.yml", "a token of GitHub", &["oauth_token"]),
    (".config/hub", "a token of GitHub", &["oauth_token"]),
    (".netrc", "passwords for hosts", &["password"]),
    (".npmrc", "a token of npm", &["_authToken", "_auth", "_password"]),
    (".yarnrc.yml", "a token of npm", &["npmAuth"]),
    (".pypirc", "credentials of a package index", &["password"]),
    (".config/pip/pip.conf", "credentials of a package index", &["@"]),
    (".cargo/credentials", "a token of a package registry", &["token"]),
    (".cargo/credentials.toml", "a token of a package registry", &["token"]),
    (".gem/credentials", "a token of a package registry", &[]),
    (".composer/auth.json", "a token of a package registry", &[]),
    (".config/composer/auth.json", "a token of a package registry", &[]),
    (".m2/settings.xml", "credentials of Maven", &["<password>"]),
    (".config/gcloud/application_default_credentials.json", "credentials of Google Cloud", &[]),
    (".config/gcloud/credentials.db", "credentials of Google Cloud", &[]),
    (".azure/accessTokens.json", "credentials of Azure", &[]),
    (".azure/msal_token_cache.json", "credentials of Azure", &[]),
    (".terraform.d/credentials.tfrc.json", "a token of Terraform", &[]),
    ("terraform.tfstate", "the state of Terraform, which has secrets", &[]),
    (".vault-token", "a token of Vault", &[]),
    (".pgpass", "passwords of PostgreSQL", &[]),
    (".my.cnf", "a password of MySQL", &["password"]),
    (".mylogin.cnf", "a password of MySQL", &[]),
    (".ansible/vault_pass", "a password of Ansible", &[]),
    (".vault_pass", "a password of Ansible", &[]),
    (".smbcredentials", "a password of a file server", &[]),
    (".claude/.credentials.json", "a token of a service", &[]),
    (".config/op/config", "credentials of a password manager", &[]),
];

/// Looks at each home directory, and at that of root in any case.
pub(super) fn judge(
    left: &mut Left,
    tree: &mut Tree<'_>,
    accounts: &Accounts,
) -> Result<(), Trouble> {
    let mut homes: Vec<(Option<&[u8]>, Vec<u8>)> = vec![(Some(b"root"), b"/root".to_vec())];
    for (account, home) in accounts.homes() {
        // Those of services in /usr have nothing of their own.
        let is_of_system = home.starts_with(b"/usr/") && !home.starts_with(b"/usr/home/");
        if home != b"/root" && !is_of_system && homes.len() < MOST_HOMES {
            homes.push((Some(&account.name), home.to_vec()));
        }
    }
    // Those of users that are gone.
    for name in names(tree, "/home").unwrap_or_default() {
        let home = [b"/home/", &name[..]].concat();
        if homes.len() < MOST_HOMES && homes.iter().all(|(_, other)| *other != home) {
            homes.push((None, home));
        }
    }
    // New users get what is here.
    homes.push((None, b"/etc/skel".to_vec()));
    for (user, home) in homes {
        left.place(|left| look(left, tree, user, &home))?;
    }
    Ok(())
}

fn look(
    left: &mut Left,
    tree: &mut Tree<'_>,
    user: Option<&[u8]>,
    home: &[u8],
) -> Result<(), Trouble> {
    let Some(entries) = tree.list(home)? else { return Ok(()) };
    let is_there = |path: &str| {
        let first = path.split('/').next().unwrap_or_default();
        entries.iter().any(|entry| entry.name == first.as_bytes())
    };
    let at = |path: &str| [home, b"/", path.as_bytes()].concat();
    if is_there(".ssh") {
        left.place(|left| keys(left, tree, user, &at(".ssh")))?;
    }
    for name in HISTORIES.iter().filter(|name| is_there(name)) {
        if let Some(size) = size(tree, at(name))? {
            let said = format!(
                "What was typed in the build is left ({}); passwords may be among it.",
                said_size(size)
            );
            left.push(Code::LeftoverHistory, at(name), said);
        }
    }
    for (path, kind, marks) in CREDENTIALS.iter().filter(|(path, ..)| is_there(path)) {
        credentials(left, tree, &at(path), kind, marks)?;
    }
    if is_there(".gnupg") {
        let keys = tree.names(at(".gnupg/private-keys-v1.d"), ".key")?;
        if !keys.is_empty() {
            let said = format!("Secret keys of GnuPG are left: {}.", keys.len());
            left.push(Code::LeftoverPrivateKey, at(".gnupg/private-keys-v1.d"), said);
        }
    }
    repositories(left, tree, home, &entries)
}

/// What is in `.ssh`.
fn keys(
    left: &mut Left,
    tree: &mut Tree<'_>,
    user: Option<&[u8]>,
    ssh: &[u8],
) -> Result<(), Trouble> {
    for entry in tree.list(ssh)?.unwrap_or_default().into_iter().take(MOST_ENTRIES) {
        let path = [ssh, b"/", &entry.name].concat();
        if entry.kind != Kind::Regular {
            continue;
        }
        if entry.name.starts_with(b"authorized_keys") {
            let Some(text) = tree.text(&path)? else { continue };
            let count = text.lines().filter(|(_, line)| is_key(line)).count();
            let vagrant = text
                .lines()
                .find(|(_, line)| is_key(line) && VAGRANT.iter().any(|key| has(line, key)));
            if let Some((line, _)) = vagrant {
                let said = "Vagrant's insecure key opens this account, and everybody has its private half.";
                left.push_line(Code::LeftoverVagrantKey, &path, line, said);
            } else if count > 0 {
                let whom =
                    user.map_or("a user that is gone".into(), |user| shown(user).to_string());
                let said = format!(
                    "Keys of the build ({count}) open {whom} on all Droplets of this image."
                );
                left.push(Code::LeftoverAuthorizedKeys, &path, said);
            }
        } else if entry.name == b"known_hosts" {
            if let Some(size) = size(tree, &path)? {
                let said = format!("The hosts that the build knew are left ({}).", said_size(size));
                left.push(Code::LeftoverKnownHosts, &path, said);
            }
        } else if let Some(text) = tree.text_of(&path, 256)?
            && has(&text.bytes, b"-----BEGIN ")
            && has(&text.bytes, b"PRIVATE KEY-----")
        {
            let size = size(tree, &path)?.unwrap_or_default();
            let said = format!(
                "A private key is left ({}), and all Droplets of this image have it.",
                said_size(size)
            );
            left.push(Code::LeftoverPrivateKey, &path, said);
        }
    }
    Ok(())
}

/// Writes down a file of credentials, if it has any.
pub(super) fn credentials(
    left: &mut Left,
    tree: &mut Tree<'_>,
    path: &[u8],
    kind: &str,
    marks: &[&str],
) -> Result<(), Trouble> {
    let Some(found) =
        tree.stat(path)?.filter(|it| it.inode.kind == Kind::Regular && it.inode.size > 0)
    else {
        return Ok(());
    };
    let is_one = marks.is_empty() || {
        let text = tree.text_of(path, LOOKED_THROUGH)?;
        // A comment has none.
        text.is_some_and(|text| {
            text.lines().any(|(_, line)| {
                !line.trim_ascii_start().starts_with(b"#")
                    && marks.iter().any(|mark| has(line, mark.as_bytes()))
            })
        })
    };
    if is_one {
        let said = format!(
            "It has {kind} ({}), and all Droplets of this image have them.",
            said_size(found.inode.size)
        );
        left.push(Code::LeftoverCredentials, path, said);
    }
    Ok(())
}

/// Git repositories whose remotes have a password in their URL.
pub(super) fn repositories(
    left: &mut Left,
    tree: &mut Tree<'_>,
    place: &[u8],
    entries: &[Entry],
) -> Result<(), Trouble> {
    let directories = entries.iter().filter(|entry| entry.kind == Kind::Directory);
    for entry in directories.take(MOST_ENTRIES) {
        let path = match &entry.name[..] {
            b".git" => [place, b"/.git/config"].concat(),
            name => [place, b"/", name, b"/.git/config"].concat(),
        };
        let Some(text) = tree.text_of(&path, LOOKED_THROUGH)? else { continue };
        if let Some((line, _)) = text.lines().find(|(_, line)| has_password(line)) {
            let said = "The address of a remote has a password or a token, which all Droplets of this image have.";
            left.push_line(Code::LeftoverCredentials, &path, line, said);
        }
    }
    Ok(())
}

/// Whether a line has a URL with a password: `://user:password@host`.
pub(super) fn has_password(line: &[u8]) -> bool {
    let at = line.windows(3).position(|window| window == b"://");
    let Some(rest) = at.map(|at| &line[at + 3..]) else { return false };
    let end = rest.iter().position(|byte| b"/ \t\"'".contains(byte)).unwrap_or(rest.len());
    let rest = &rest[..end];
    match rest.iter().rposition(|&byte| byte == b'@') {
        Some(at) => {
            rest[..at].iter().position(|&byte| byte == b':').is_some_and(|colon| colon + 1 < at)
        }
        None => false,
    }
}
