//! OpenSSH's client, which talks to the guest as its owner would.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::folder::Folder;
use super::launch;
use super::machine::find;

/// Bytes of what a command of the guest writes that are kept, of each of its outputs.
const OUTPUT: usize = 64 << 10;
/// Seconds that the guest may take to answer. Without KVM, the mathematics of keys takes it a few.
const CONNECT: u32 = 60;

/// The owner's keys.
pub(super) struct Keys {
    private: PathBuf,
    /// The public one, as `authorized_keys` has it.
    pub(super) public: String,
}

impl Keys {
    /// New ones, in the folder.
    pub(super) fn make(folder: &Folder) -> io::Result<Keys> {
        let private = folder.file("key");
        let ran = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "tidegate", "-f"])
            .arg(&private)
            .stdin(Stdio::null())
            .output()?;
        if !ran.status.success() {
            let why = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
            return Err(io::Error::other(format!("ssh-keygen made no key: {why}")));
        }
        let mut public = String::new();
        std::fs::File::open(folder.file("key.pub"))?.take(4096).read_to_string(&mut public)?;
        Ok(Keys { private, public: public.trim_end().to_owned() })
    }
}

/// The way to the guest.
pub(super) struct Ssh<'a> {
    pub(super) keys: &'a Keys,
    /// The port of 127.0.0.1 that leads to it.
    pub(super) port: u16,
}

/// Whether a name of a user may be tried: those from an image may be anything.
pub(super) fn is_name(user: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&user.len()) && user.chars().all(plain) && !user.starts_with('-')
}

impl Ssh<'_> {
    /// What a user would type to log in.
    pub(super) fn shown(&self, user: &str) -> String {
        let key = crate::bytes::Hostile::from_os(self.keys.private.as_os_str());
        format!(
            "ssh -i {key} -p {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {user}@127.0.0.1",
            self.port
        )
    }

    /// Begins to run a command as a user.
    pub(super) fn start(&self, user: &str, command: &str) -> io::Result<Running> {
        let ssh = find("ssh").ok_or(io::ErrorKind::NotFound)?;
        let mut ssh = launch::tied(&ssh);
        // Nothing of this machine's user counts: no files, no agent, and nobody is asked.
        ssh.args(["-F", "none", "-T", "-x", "-a", "-n", "-i"]).arg(&self.keys.private);
        let timeout = format!("ConnectTimeout={CONNECT}");
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            // The guest makes its keys when it boots, and only it is at this port.
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ServerAliveInterval=30",
            timeout.as_str(),
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(["-p", &self.port.to_string(), "-l", user, "127.0.0.1", "--", command]);
        let mut child =
            ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Ok(Running { child, stdout, stderr })
    }

    /// What the server at the guest's port 22 says of itself, if it says anything within this time.
    pub(super) fn banner(&self, patience: Duration) -> Option<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let stream = TcpStream::connect_timeout(&address, patience).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        let mut line = Vec::new();
        // RFC 4253, 4.2: 255 characters at most.
        BufReader::new(stream.take(255)).read_until(b'\n', &mut line).ok()?;
        let line = line.trim_ascii_end();
        line.starts_with(b"SSH-").then(|| crate::bytes::Hostile::new(line).to_string())
    }
}

/// Collects an output without ever having it wait, and keeps its beginning.
fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, collected) = channel();
    std::thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let room = OUTPUT.saturating_sub(kept.len());
            kept.extend_from_slice(&buffer[..count.min(room)]);
        }
        // Nobody may want to know any more.
        let _ = done.send(kept);
    });
    collected
}

/// A command that runs in the guest.
pub(super) struct Running {
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
}

/// What came of it.
pub(super) struct Ran {
    /// Its exit code, or 255 if ssh failed; `None` if it was killed.
    pub(super) code: Option<i32>,
    /// The beginning of its standard output.
    pub(super) stdout: Vec<u8>,
    /// The beginning of its standard error, or what ssh says.
    pub(super) stderr: Vec<u8>,
}

impl Running {
    /// What came of it, if it has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<Ran>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        let taken = |from: &mut Option<Receiver<Vec<u8>>>| {
            from.take().and_then(|from| from.recv().ok()).unwrap_or_default()
        };
        let (stdout, stderr) = (taken(&mut self.stdout), taken(&mut self.stderr));
        Ok(Some(Ran { code: status.code(), stdout, stderr }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_an_image_are_names() {
        assert!(is_name("debian") && is_name("cloud-user") && is_name("a.b_c"));
        for name in ["", "-oProxyCommand=x", "a b", "a;b", "ü", "a\n", &"x".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
