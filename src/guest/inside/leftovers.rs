//! What the build left on the disk that all Droplets of the image would share. No secret is ever shown: a path, a kind and
//! a size are.
//!
//! Only named places are looked at, and the home directories that passwd names.

mod homes;
mod traces;

use super::super::fs::{Kind, Trouble};
use super::super::tree::Tree;
use super::accounts::{Account, Accounts, Password};
use super::{Book, Case, shown};
use crate::bytes::human_size;
use crate::facts::Code;

/// Entries of a directory that tidegate reads at most.
const MOST_ENTRIES: usize = 256;

/// Bytes of a file that are looked through for a mark.
const LOOKED_THROUGH: usize = 64 << 10;

/// Users that builds make for themselves.
const BUILDERS: [&str; 10] = [
    "packer",
    "vagrant",
    "ansible",
    "builder",
    "build",
    "jenkins",
    "installer",
    "gitlab-runner",
    "provision",
    "deploy",
];

/// Writes down what is left over.
///
/// # Errors
/// If one of the places cannot be read; all others are read nevertheless.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let mut left = Left::default();
    let accounts = Accounts::read(&mut case.tree)?;
    let replaced = case.known.provisioner.host_keys;
    let tree = &mut case.tree;
    left.passwords(&accounts);
    left.place(|left| left.sudo(tree, &accounts))?;
    left.place(|left| left.host_keys(tree, replaced))?;
    left.place(|left| left.identity(tree))?;
    homes::judge(&mut left, tree, &accounts)?;
    traces::judge(&mut left, tree)?;
    left.write(&case.book)
}

/// What was found.
#[derive(Default)]
struct Left {
    found: Vec<(Code, Vec<u8>, u32, String)>,
    /// Why the first place was not read that could not be.
    trouble: Option<Trouble>,
}

impl Left {
    fn push(&mut self, code: Code, path: impl AsRef<[u8]>, said: impl Into<String>) {
        self.push_line(code, path, 0, said);
    }

    fn push_line(
        &mut self,
        code: Code,
        path: impl AsRef<[u8]>,
        line: u32,
        said: impl Into<String>,
    ) {
        self.found.push((code, path.as_ref().to_vec(), line, said.into()));
    }

    /// Looks at a place; that it cannot be read keeps nobody from the others.
    fn place(
        &mut self,
        look: impl FnOnce(&mut Self) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        match look(self) {
            Err(Trouble::Left(why)) => {
                self.trouble.get_or_insert(Trouble::Left(why));
                Ok(())
            }
            other => other,
        }
    }

    /// Writes it down.
    fn write(self, book: &Book<'_>) -> Result<(), Trouble> {
        for (code, path, line, said) in self.found {
            match line {
                0 if path.is_empty() => book.found(code, said),
                0 => book.found_at(code, path, said),
                line => book.found_in(code, path, line, said),
            }
        }
        self.trouble.map_or(Ok(()), Err)
    }

    fn passwords(&mut self, accounts: &Accounts) {
        let mut zeros: Vec<&Account> = Vec::new();
        for account in &accounts.all {
            let name = shown(&account.name);
            let (path, line) = account.written;
            match account.password {
                Password::Empty if !account.is_shut() => self.push_line(
                    Code::AccountEmptyPassword,
                    path,
                    line,
                    format!("{name} has an empty password: whoever asks for {name} gets in without any, on the console at least."),
                ),
                Password::Set if account.is_of_a_person() => self.push_line(
                    Code::AccountPassword,
                    path,
                    line,
                    format!("{name} has a password, which all Droplets of this image share."),
                ),
                _ => {}
            }
            // Every FreeBSD has toor.
            if account.uid == 0 && !(path == "/etc/master.passwd" && account.name == b"toor") {
                zeros.push(account);
            }
        }
        for account in zeros.iter().skip(1) {
            let (name, first) = (shown(&account.name), shown(&zeros[0].name));
            let said = format!(
                "{name} has the user number 0, as {first} has: it is root by another name."
            );
            self.push(Code::AccountUidZero, "/etc/passwd", said);
        }
    }

    fn sudo(&mut self, tree: &mut Tree<'_>, accounts: &Accounts) -> Result<(), Trouble> {
        let mut paths: Vec<Vec<u8>> = Vec::new();
        for place in ["/etc", "/usr/local/etc"] {
            paths.push(format!("{place}/sudoers").into());
            for name in names(tree, &format!("{place}/sudoers.d"))? {
                // sudo reads none with these.
                if !name.contains(&b'.') && !name.ends_with(b"~") {
                    paths.push([place.as_bytes(), b"/sudoers.d/", &name].concat());
                }
            }
        }
        for path in paths {
            let Some(text) = tree.text(&path)? else { continue };
            for (number, line) in text.lines() {
                let line = line.trim_ascii();
                let name = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                let is_builder = BUILDERS.iter().any(|builder| builder.as_bytes() == name);
                if is_builder && has(line, b"NOPASSWD") && accounts.named(name).is_some() {
                    let said = format!(
                        "{} may do all that root may, without a password; builds make this user for themselves.",
                        shown(name)
                    );
                    self.push_line(Code::LeftoverSudo, &path, number, said);
                }
            }
        }
        Ok(())
    }

    fn host_keys(&mut self, tree: &mut Tree<'_>, replaced: bool) -> Result<(), Trouble> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for (place, begins, ends) in [
            ("/etc/ssh", &b"ssh_host_"[..], &b"_key"[..]),
            ("/usr/local/etc/ssh", b"ssh_host_", b"_key"),
            ("/etc/dropbear", b"dropbear_", b"_host_key"),
        ] {
            for name in names(tree, place)? {
                if name.starts_with(begins) && name.ends_with(ends) {
                    keys.push([place.as_bytes(), b"/", &name].concat());
                }
            }
        }
        let Some(first) = keys.first() else { return Ok(()) };
        let count = if keys.len() == 1 {
            "There is a host key".into()
        } else {
            format!("There are {} host keys", keys.len())
        };
        let (code, then) = match replaced {
            true => {
                (Code::LeftoverHostKeysReplaced, "cloud-init makes new ones on the first boot.")
            }
            false => (
                Code::LeftoverHostKeys,
                "all Droplets of this image would share them, and nothing was found that makes new ones.",
            ),
        };
        self.push(code, first, format!("{count}: {then}"));
        Ok(())
    }

    fn identity(&mut self, tree: &mut Tree<'_>) -> Result<(), Trouble> {
        for path in ["/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"] {
            let Some(found) = tree.lstat(path)? else { continue };
            // A link leads to the other one.
            if found.inode.kind != Kind::Regular {
                continue;
            }
            let Some(text) = tree.text_of(path, 64)? else { continue };
            let id = text.bytes.trim_ascii();
            let is_id = id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit);
            let is_host = path == "/etc/hostid" && !text.bytes.is_empty();
            if is_id || is_host {
                let what = if is_host { "the number of its host" } else { "the ID of its machine" };
                self.push(
                    Code::LeftoverMachineId,
                    path,
                    format!("It has {what}: all Droplets of this image share it, and DHCP may know them by it."),
                );
            }
        }
        for path in [
            "/var/lib/systemd/random-seed",
            "/var/lib/random-seed",
            "/var/lib/urandom/random-seed",
            "/var/lib/seedrng/seed.credit",
            "/var/db/entropy-file",
        ] {
            if let Some(size) = size(tree, path)? {
                let said = format!(
                    "A seed for random numbers ({size} bytes) is left: all Droplets of this image begin with it."
                );
                self.push(Code::LeftoverRandomSeed, path, said);
            }
        }
        Ok(())
    }
}

/// Whether there are these bytes.
fn has(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|window| window == mark)
}

/// The size of a file that is not empty; a link is none.
fn size(tree: &mut Tree<'_>, path: impl AsRef<[u8]>) -> Result<Option<u64>, Trouble> {
    let found = tree.lstat(path)?.filter(|found| found.inode.kind == Kind::Regular);
    Ok(found.map(|found| found.inode.size).filter(|&size| size > 0))
}

/// The first names in a directory.
fn names(tree: &mut Tree<'_>, path: &str) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut names = tree.names(path, "")?;
    names.truncate(MOST_ENTRIES);
    Ok(names)
}

/// A size, as it is said.
fn said_size(size: u64) -> String {
    match size {
        0..1024 => format!("{size} bytes"),
        size => human_size(size),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fs::memory::Memory;
    use super::super::sshd::tests::sound;
    use super::super::testing::{codes, judged};
    use super::*;

    /// What is left in a sound system with a file at this path.
    fn with(path: &str, text: &str) -> Vec<(Code, Option<String>, String)> {
        judged(vec![clean().with(path, text)], judge).0
    }

    fn clean() -> Memory {
        sound().without("/etc/ssh/ssh_host_ed25519_key").directory("/home/admin")
    }

    #[test]
    fn a_clean_system_has_nothing_left() {
        let (found, _) = judged(vec![clean()], judge);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn what_is_left_is_found_by_path_and_kind_alone() {
        for (path, text, code) in [
            ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n", "leftover-authorized-keys"),
            (
                "/home/admin/.ssh/authorized_keys",
                "ssh-rsa AAAA vagrant insecure public key\n",
                "leftover-vagrant-key",
            ),
            ("/home/gone/.ssh/authorized_keys2", "ssh-rsa AAAA\n", "leftover-authorized-keys"),
            ("/root/.ssh/authorized_keys", "# none\n", ""),
            (
                "/root/.ssh/id_rsa",
                "-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET",
                "leftover-private-key",
            ),
            (
                "/root/.ssh/deploy",
                "-----BEGIN RSA PRIVATE KEY-----\nSECRET",
                "leftover-private-key",
            ),
            ("/root/.ssh/id_rsa.pub", "ssh-rsa AAAA", ""),
            ("/root/.ssh/known_hosts", "github.com x", "leftover-known-hosts"),
            ("/root/.bash_history", "mysql -pSECRET\n", "leftover-history"),
            ("/root/.bash_history", "", ""),
            ("/home/admin/.python_history", "SECRET", "leftover-history"),
            ("/root/.aws/credentials", "aws_secret_access_key = SECRET\n", "leftover-credentials"),
            ("/root/.aws/credentials", "# aws_secret_access_key =\n", ""),
            (
                "/home/admin/.config/doctl/config.yaml",
                "access-token: dop_v1_SECRET\n",
                "leftover-credentials",
            ),
            ("/home/admin/.config/doctl/config.yaml", "access-token: \"\"\n", ""),
            (
                "/root/.docker/config.json",
                "{\"auths\":{\"x\":{\"auth\":\"SECRET\"}}}",
                "leftover-credentials",
            ),
            ("/root/.docker/config.json", "{\"auths\":{}}", ""),
            ("/root/.netrc", "machine x password SECRET", "leftover-credentials"),
            ("/root/.npmrc", "//x/:_authToken=SECRET", "leftover-credentials"),
            (
                "/root/app/.git/config",
                "url = https://me:SECRET@github.com/x\n",
                "leftover-credentials",
            ),
            ("/root/app/.git/config", "url = https://github.com/x:y@z\n", ""),
            (
                "/opt/app/.git/config",
                "url = https://me:SECRET@github.com/x\n",
                "leftover-credentials",
            ),
            ("/etc/krb5.keytab", "SECRET", "leftover-credentials"),
            ("/etc/pki/entitlement/1-key.pem", "SECRET", "leftover-credentials"),
            (
                "/var/log/installer/autoinstall-user-data",
                "password: SECRET",
                "leftover-logs leftover-installer leftover-credentials",
            ),
            ("/root/anaconda-ks.cfg", "rootpw --plaintext SECRET\n", "leftover-installer"),
            ("/etc/lvm/devices/system.devices", "IDTYPE=x", "leftover-lvm-devices"),
            (
                "/etc/apt/apt.conf.d/90proxy",
                "Acquire::http::Proxy \"http://x:3142\";\n",
                "leftover-proxy",
            ),
            ("/etc/apt/apt.conf.d/90proxy", "//Acquire::http::Proxy \"http://x:3142\";\n", ""),
            ("/etc/environment", "http_proxy=\"http://me:SECRET@x\"\n", "leftover-proxy"),
            ("/etc/sudoers.d/packer", "packer ALL=(ALL) NOPASSWD:ALL\n", ""),
            ("/swapfile", "x", "leftover-swap"),
            ("/usr/bin/vmtoolsd", "x", "leftover-tools"),
            ("/opt/digitalocean/bin/agent", "x", "leftover-digitalocean"),
            ("/var/log/apt/history.log", "x", "leftover-logs"),
            ("/var/lib/systemd/random-seed", "SECRET", "leftover-random-seed"),
            ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", "leftover-machine-id"),
            ("/etc/machine-id", "uninitialized\n", ""),
            (
                "/var/lib/dbus/machine-id",
                "0123456789abcdef0123456789abcdef\n",
                "leftover-machine-id",
            ),
            ("/etc/ssh/ssh_host_rsa_key", "SECRET", "leftover-host-keys"),
            ("/etc/ssh/ssh_host_rsa_key.pub", "x", ""),
        ] {
            let found = with(path, text);
            assert_eq!(codes(&found).join(" "), code, "{path}: {text}");
            for (_, place, said) in found {
                assert!(!said.contains("SECRET"), "{said}");
                assert!(place.is_some());
            }
        }
        let (found, _) = judged(vec![clean().with("/etc/ssh/ssh_host_rsa_key", "x")], |case| {
            case.known.provisioner.host_keys = true;
            judge(case)
        });
        assert_eq!(codes(&found), ["leftover-host-keys-replaced"]);
    }

    #[test]
    fn accounts_of_the_build_are_found() {
        let found = |passwd: &str, shadow: &str| {
            let system = clean()
                .with("/etc/passwd", passwd)
                .with("/etc/shadow", shadow)
                .with("/etc/sudoers.d/packer", "# x\npacker ALL=(ALL) NOPASSWD: ALL\n")
                .with("/etc/sudoers.d/x.bak", "packer ALL=(ALL) NOPASSWD: ALL\n");
            codes(&judged(vec![system], judge).0).join(" ")
        };
        let root = "root:x:0:0::/root:/bin/bash\n";
        assert_eq!(found(root, "root:*:1::\n"), "");
        assert_eq!(found(root, "root:!$6$a:1::\n"), "");
        assert_eq!(found(root, "root:$6$a:1::\n"), "account-password");
        assert_eq!(found(root, "root::1::\n"), "account-empty-password");
        assert_eq!(found("root::0:0::/root:/bin/bash\n", ""), "account-empty-password");
        assert_eq!(found("x::5:5::/:/usr/sbin/nologin\n", ""), "");
        assert_eq!(found(&format!("{root}r:*:0:0::/root:/bin/sh\n"), ""), "account-uid-zero");
        assert_eq!(
            found(&format!("{root}packer:*:1000:0::/home/packer:/bin/sh\n"), ""),
            "leftover-sudo"
        );
    }
}
