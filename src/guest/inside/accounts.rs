//! The accounts of a guest: passwd, shadow and group, and the keys that are in home directories already.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::fs::{Kind, Trouble};
use super::super::tree::{Text, Tree};
use super::{Case, User, shown};

/// Accounts that tidegate reads at most, and those whose home directory it reads.
const MOST_ACCOUNTS: usize = 4096;
pub(super) const MOST_HOMES: usize = 256;

/// Bytes of a name at most (LOGIN_NAME_MAX of Linux is 256).
const LONGEST_NAME: usize = 256;

/// Users that are shown at most.
const MOST_SHOWN: usize = 64;

/// What an account has for a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Password {
    /// Nothing: none is asked for.
    Empty,
    /// A hash.
    Set,
    /// Locked by an exclamation mark before it.
    Locked,
    /// What no password matches, such as `*`.
    None,
}

impl Password {
    fn of(field: &[u8]) -> Self {
        match field {
            [] => Password::Empty,
            [b'!', ..] => Password::Locked,
            _ if field.starts_with(b"*LOCKED*") => Password::Locked,
            [b'$' | b'_', _, ..] => Password::Set,
            // The hashes of old, which have 13 characters or more.
            _ if field.len() >= 13 && field.iter().all(|byte| byte.is_ascii_graphic()) => {
                Password::Set
            }
            _ => Password::None,
        }
    }

    /// As reports show it.
    fn as_str(self) -> &'static str {
        match self {
            Password::Empty => "empty",
            Password::Set => "set",
            Password::Locked => "locked",
            Password::None => "none",
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: Vec<u8>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: Vec<u8>,
    pub(super) shell: Vec<u8>,
    pub(super) password: Password,
    /// Whether passwd leaves the password to shadow.
    shadowed: bool,
    /// Where the password is written: path and line.
    pub(super) written: (&'static str, u32),
    /// The day from which on it is expired, counted from 1970.
    pub(super) expires: Option<u64>,
}

impl Account {
    /// Whether its shell lets nobody in.
    pub(super) fn is_shut(&self) -> bool {
        let name = self.shell.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        [&b"nologin"[..], b"false", b"sync", b"halt", b"shutdown", b"null", b"git-shell"]
            .contains(&name)
    }

    /// Whether it is expired by now.
    pub(super) fn is_expired(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        self.expires.is_some_and(|day| day <= now / (24 * 3600))
    }

    /// Whether a person may be meant to use it.
    pub(super) fn is_of_a_person(&self) -> bool {
        self.uid == 0 || (1000..60000).contains(&self.uid)
    }
}

/// A group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: Vec<u8>,
    pub(super) gid: u32,
    pub(super) members: Vec<Vec<u8>>,
}

/// The accounts and groups of a guest.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) all: Vec<Account>,
    pub(super) groups: Vec<Group>,
}

impl Accounts {
    /// Reads them.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub(super) fn read(tree: &mut Tree<'_>) -> Result<Self, Trouble> {
        let mut accounts = Accounts::default();
        if let Some(text) = tree.text("/etc/master.passwd")? {
            accounts.all = entries(&text).filter_map(master).take(MOST_ACCOUNTS).collect();
        } else {
            // Systems that are updated as a whole keep theirs apart.
            for path in ["/etc/passwd", "/usr/lib/passwd"] {
                let Some(text) = tree.text(path)? else { continue };
                for account in entries(&text).filter_map(|entry| passwd(path, entry)) {
                    let is_new = path == "/etc/passwd" || accounts.named(&account.name).is_none();
                    if is_new && accounts.all.len() < MOST_ACCOUNTS {
                        accounts.all.push(account);
                    }
                }
            }
            accounts.shadow(tree)?;
        }
        for path in ["/etc/group", "/usr/lib/group"] {
            let Some(text) = tree.text(path)? else { continue };
            let room = MOST_ACCOUNTS - accounts.groups.len();
            accounts.groups.extend(entries(&text).filter_map(group).take(room));
        }
        Ok(accounts)
    }

    /// Puts what shadow says in the place of what passwd does.
    fn shadow(&mut self, tree: &mut Tree<'_>) -> Result<(), Trouble> {
        const SHADOW: &str = "/etc/shadow";
        let Some(text) = tree.text(SHADOW)? else { return Ok(()) };
        let mut lines = std::collections::HashMap::new();
        for (line, fields) in entries(&text) {
            lines.entry(fields[0]).or_insert((line, fields));
        }
        for account in &mut self.all {
            if !account.shadowed {
                continue;
            }
            if let Some((line, fields)) = lines.get(&account.name[..])
                && let Some(password) = fields.get(1)
            {
                account.password = Password::of(password);
                account.written = (SHADOW, *line);
                account.expires = fields.get(7).and_then(|day| number(day)).map(u64::from);
            }
        }
        Ok(())
    }

    /// The account of this name.
    pub(super) fn named(&self, name: &[u8]) -> Option<&Account> {
        self.all.iter().find(|account| account.name == name)
    }

    /// The names of the groups of an account.
    pub(super) fn groups_of(&self, account: &Account) -> Vec<&[u8]> {
        let is_in =
            |group: &&Group| group.gid == account.gid || group.members.contains(&account.name);
        self.groups.iter().filter(is_in).map(|group| &group.name[..]).collect()
    }

    /// The home directories, each once, with the account that has it.
    pub(super) fn homes(&self) -> Vec<(&Account, &[u8])> {
        let mut homes: Vec<(&Account, &[u8])> = Vec::new();
        for account in &self.all {
            let home = account.home.strip_suffix(b"/").unwrap_or(&account.home);
            let is_home = home.len() > 1 && home.first() == Some(&b'/') && home != b"/nonexistent";
            // Services share the directories of the system.
            let is_shared =
                [&b"/bin"[..], b"/dev", b"/usr/sbin", b"/sbin", b"/usr/bin", b"/proc", b"/run"]
                    .contains(&home);
            if is_home
                && !is_shared
                && homes.len() < MOST_HOMES
                && homes.iter().all(|(_, other)| *other != home)
            {
                homes.push((account, home));
            }
        }
        homes
    }
}

/// Reads the accounts and writes down who can log in.
///
/// # Errors
/// If the files cannot be read.
pub(super) fn examine(case: &mut Case<'_, '_>) -> Result<Accounts, Trouble> {
    let accounts = Accounts::read(&mut case.tree)?;
    let is_open = |account: &Account| matches!(account.password, Password::Set | Password::Empty);
    let of_interest = |account: &&Account| account.is_of_a_person() || is_open(account);
    for account in accounts.all.iter().filter(of_interest).take(MOST_SHOWN) {
        let open = is_open(account);
        let keys = keys(&mut case.tree, &account.home)?;
        if account.is_shut() && keys == 0 && !open {
            continue;
        }
        case.inside.users.push(User {
            name: shown(&account.name).to_string(),
            uid: account.uid,
            password: account.password.as_str().into(),
            keys,
        });
    }
    Ok(accounts)
}

/// Keys in `authorized_keys` of a home directory.
///
/// # Errors
/// If it cannot be read.
pub(super) fn keys(tree: &mut Tree<'_>, home: &[u8]) -> Result<u32, Trouble> {
    if home.is_empty() {
        return Ok(0);
    }
    let mut keys = 0;
    for name in ["authorized_keys", "authorized_keys2"] {
        let path = [home, b"/.ssh/", name.as_bytes()].concat();
        if let Some(text) = tree.text(path)? {
            keys += text.lines().filter(|(_, line)| is_key(line)).count() as u32;
        }
    }
    Ok(keys)
}

/// Whether a line of `authorized_keys` has a key.
pub(super) fn is_key(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    !line.is_empty() && line[0] != b'#'
}

/// Whether somebody other than its owner may write into a directory, and whether its owner is neither root nor this user.
pub(super) fn writers(
    tree: &mut Tree<'_>,
    path: &[u8],
    uid: u32,
) -> Result<Option<(u16, bool)>, Trouble> {
    let found = tree.stat(path)?.filter(|found| found.inode.kind == Kind::Directory);
    Ok(found
        .map(|found| (found.inode.mode & 0o022, found.inode.uid != 0 && found.inode.uid != uid)))
}

/// The entries of a text whose fields colons divide, each with its line.
fn entries(text: &Text) -> impl Iterator<Item = (u32, Vec<&[u8]>)> {
    let is_entry = |(_, line): &(u32, &[u8])| !line.is_empty() && !b"#+-".contains(&line[0]);
    let fields = |line| <[u8]>::split(line, |&byte| byte == b':').take(16).collect::<Vec<_>>();
    text.lines().filter(is_entry).map(move |(number, line)| (number, fields(line)))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// A name that systems have.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME
}

/// An account by its name, password, numbers, home and shell, and where it is written.
fn account(fields: [&[u8]; 6], written: (&'static str, u32)) -> Option<Account> {
    let [name, password, uid, gid, home, shell] = fields;
    is_name(name).then_some(())?;
    Some(Account {
        name: name.to_vec(),
        uid: number(uid)?,
        gid: number(gid)?,
        home: home.to_vec(),
        shell: shell.to_vec(),
        password: Password::of(password),
        shadowed: false,
        written,
        expires: None,
    })
}

fn passwd(path: &'static str, (line, fields): (u32, Vec<&[u8]>)) -> Option<Account> {
    let &[name, password, uid, gid, _, home, shell, ..] = &fields[..] else { return None };
    let account = account([name, password, uid, gid, home, shell], (path, line))?;
    Some(Account { shadowed: password == b"x" || password.starts_with(b"##"), ..account })
}

/// A line of a BSD's master.passwd.
fn master((line, fields): (u32, Vec<&[u8]>)) -> Option<Account> {
    let &[name, password, uid, gid, _, _, expires, _, home, shell, ..] = &fields[..] else {
        return None;
    };
    let fields = [name, password, uid, gid, home, shell];
    let account = account(fields, ("/etc/master.passwd", line))?;
    let expires = number(expires).filter(|&second| second > 0);
    Some(Account { expires: expires.map(|second| u64::from(second) / (24 * 3600)), ..account })
}

fn group((_, fields): (u32, Vec<&[u8]>)) -> Option<Group> {
    let &[name, _, gid, members, ..] = &fields[..] else { return None };
    let members = members.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let members = members.filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect();
    Some(Group { name: name.to_vec(), gid: number(gid)?, members })
}

#[cfg(test)]
mod tests {
    use super::super::super::fs::memory::Memory;
    use super::super::testing::judged;
    use super::*;

    #[test]
    fn accounts_are_read_with_what_shadow_says() {
        let system = Memory::new()
            .with(
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/bash\ndaemon:*:1:1::/:/usr/sbin/nologin\n\
                old:abcdefghijklm:5:5::/:/bin/sh\nme:x:1000:1000:,,:/home/me:/bin/zsh\nbad line\n\
                off:x:1001:1001::/home/off:/bin/false\r\nno:x:1002:100::/home/no:/bin/sh\n",
            )
            .with(
                "/etc/shadow",
                "root:*:1:0:99999:7:::\nme:$6$x$y:1:0:9:7::1:\noff:!:1::::::\nme:!:1\nno::1\n",
            )
            .with("/etc/group", "users:x:100:me, x\nme:x:1000:\n")
            .with("/home/me/.ssh/authorized_keys", "# x\n\nssh-ed25519 AAAA\n");
        let mut known = Accounts::default();
        let (_, inside) = judged(vec![system], |case| {
            known = examine(case)?;
            Ok(())
        });
        let password = |name: &str| known.named(name.as_bytes()).unwrap().password;
        assert_eq!(password("root"), Password::None);
        assert_eq!(password("daemon"), Password::None);
        assert_eq!(password("old"), Password::Set);
        assert_eq!(password("me"), Password::Set);
        assert_eq!(password("off"), Password::Locked);
        assert_eq!(password("no"), Password::Empty);
        let me = known.named(b"me").unwrap();
        assert_eq!(known.groups_of(me), [&b"users"[..], b"me"]);
        assert!(me.is_expired() && !known.named(b"root").unwrap().is_expired());
        assert!(known.named(b"off").unwrap().is_shut());
        let users: Vec<String> = inside
            .users
            .iter()
            .map(|user| format!("{} {} {} {}", user.name, user.uid, user.password, user.keys))
            .collect();
        assert_eq!(users, ["root 0 none 0", "old 5 set 0", "me 1000 set 1", "no 1002 empty 0"]);
        assert_eq!(known.homes().len(), 4);
    }

    #[test]
    fn those_of_a_bsd_are_read() {
        let system = Memory::new().with("/etc/master.passwd",
            "# x\nroot:*:0:0::0:0:Charlie:/root:/bin/csh\nfreebsd:$6$a:1001:1001::0:86400:User:/home/freebsd:/bin/sh\nx:*LOCKED*$6$:1002:2::0:0::/:/bin/sh\n");
        let mut known = Accounts::default();
        judged(vec![system], |case| {
            known = examine(case)?;
            Ok(())
        });
        assert_eq!(known.named(b"freebsd").unwrap().password, Password::Set);
        assert!(known.named(b"freebsd").unwrap().is_expired());
        assert_eq!(known.named(b"x").unwrap().password, Password::Locked);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            text in "([a-c]|x|:|0|[$]6[$]|!|\n|/|,){0,80}") {
            for text in [&bytes[..], text.as_bytes()] {
                let system = Memory::new().with("/etc/passwd", text).with("/etc/shadow", text).with("/etc/group", text);
                judged(vec![system], |case| examine(case).map(drop));
            }
        }
    }
}
