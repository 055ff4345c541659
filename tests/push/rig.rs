//! A simulator that runs, and pushes that know nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::*;

pub(crate) const MIB: usize = 1 << 20;

/// All parts arrive at this pace at most, so that there is time to kill during an upload.
pub(crate) const PACED: &str = "[[bucket]]\nkind = \"slow\"\nrate = 20000000\nforever = true\n";

/// What a push leaves alone: proxies and credentials of whoever runs the tests.
const FOREIGN: [&str; 20] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "DIGITALOCEAN_ACCESS_TOKEN",
    "DIGITALOCEAN_TOKEN",
    "DIGITALOCEAN_API_URL",
    "SPACES_ENDPOINT_URL",
    "SPACES_ACCESS_KEY_ID",
    "SPACES_SECRET_ACCESS_KEY",
    "SPACES_BUCKET",
    "SPACES_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
];

/// A simulator and its files.
pub(crate) struct Rig {
    pub(crate) scratch: Scratch,
    pub(crate) env: Vec<(String, String)>,
    address: String,
    child: Child,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with_plan("")
    }

    /// With a fault plan.
    pub(crate) fn with_plan(plan: &str) -> Rig {
        Rig::with(plan, &["--pace", "0.03"])
    }

    /// With a fault plan and arguments.
    pub(crate) fn with(plan: &str, arguments: &[&str]) -> Rig {
        let scratch = Scratch::new();
        scratch.write("plan.toml", plan.as_bytes());
        std::fs::create_dir(scratch.path("state")).unwrap();
        let mut command = bare(&scratch);
        command.arg("simulate").args(["--env-file", "env", "--log", "log"]);
        command.args(["--faults", "plan.toml"]).args(arguments);
        if !arguments.contains(&"--rate-limit") {
            command.args(["--rate-limit", "100000/100000"]);
        }
        let mut child = command.spawn().unwrap();
        let env = scratch.path("env");
        let started = Instant::now();
        while !env.exists() {
            if child.try_wait().unwrap().is_some() || started.elapsed().as_secs() > 60 {
                let _ = child.kill();
                panic!("the simulator does not listen: {:?}", child.wait_with_output());
            }
            thread::sleep(Duration::from_millis(2));
        }
        let env: Vec<(String, String)> = std::fs::read_to_string(env)
            .unwrap()
            .lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let address = |(name, value): &(String, String)| {
            (name == "DIGITALOCEAN_API_URL").then(|| value.strip_prefix("http://").unwrap().into())
        };
        let address = env.iter().find_map(address).unwrap();
        Rig { scratch, env, address, child }
    }

    /// What the environment file says.
    pub(crate) fn value(&self, name: &str) -> &str {
        &self.env.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// The program in the directory, with this simulator in its environment and its journals in `state`.
    pub(crate) fn tidegate(&self, command: &str) -> Command {
        let mut made = bare(&self.scratch);
        made.envs(self.env.iter().map(|(name, value)| (name, value)));
        made.args([command, "--state", "state"]);
        made
    }

    /// A push that looks often.
    pub(crate) fn push(&self, arguments: &[&str]) -> Command {
        let mut command = self.tidegate("push");
        command.args(["--region", "nyc3", "--interval", "20ms"]).args(arguments);
        if !arguments.contains(&"--settle") {
            command.args(["--settle", "2s"]);
        }
        command
    }

    pub(crate) fn pushed(&self, arguments: &[&str]) -> Output {
        self.push(arguments).output().unwrap()
    }

    /// A push with a document, which keeps to its schema.
    pub(crate) fn document(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.pushed(&[&["--format", "json"], arguments].concat());
        assert_eq!(exit_code(&output), code, "{arguments:?}: {}", stderr(&output));
        crate::documents::parsed("push", &output)
    }

    /// Sweeps, and what that said.
    pub(crate) fn sweep(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = self.tidegate("sweep");
        command.args(["--yes", "--interval", "20ms", "--wait-timeout", "5s"]);
        let output = command.args(["--format", "json"]).args(arguments).output().unwrap();
        let document = crate::documents::parsed("sweep", &output);
        (exit_code(&output), document)
    }

    /// What the simulator holds.
    pub(crate) fn state(&self) -> Value {
        self.get("/_simulator/state")
    }

    /// The keys to its bucket, but its own.
    pub(crate) fn keys(&self) -> Vec<Value> {
        self.get("/v2/spaces/keys")["keys"].as_array().unwrap().clone()
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.address,
            self.value("DIGITALOCEAN_TOKEN")
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Its images, but those whose import failed: they are only remembered.
    pub(crate) fn images(&self) -> Vec<Value> {
        let state = self.state();
        let all = state["images"].as_array().unwrap();
        all.iter().filter(|image| image["status"] != "deleted").cloned().collect()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.scratch.path("log")).unwrap_or_default();
        // The last line may be on its way.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Requests of this operation to the bucket.
    pub(crate) fn asked(&self, operation: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["operation"] == operation).collect()
    }

    /// Calls that create an image.
    pub(crate) fn creates(&self) -> usize {
        self.log().iter().filter(|line| is_create(line)).count()
    }

    /// Waits until nothing is asked any more by somebody who was killed.
    pub(crate) fn quiet(&self) {
        let mut seen = self.log().len();
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_millis(80) {
            thread::sleep(Duration::from_millis(10));
            let now = self.log().len();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    /// The journals that are there.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.scratch.path("state/pushes"));
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    /// Nothing is in the bucket: no object, no version, no upload.
    pub(crate) fn assert_nothing_staged(&self, what: &str) {
        let state = self.state();
        for kind in ["objects", "uploads", "versions"] {
            let log: String = self.log().iter().map(|line| format!("{line}\n")).collect();
            assert!(state[kind].as_array().unwrap().is_empty(), "{what}: {state:#}\n{log}");
        }
    }

    /// Holds what is left against what may be: nothing in the bucket, and so many images that can be used.
    pub(crate) fn assert_clean(&self, images: std::ops::RangeInclusive<usize>, what: &str) {
        self.assert_nothing_staged(what);
        let state = self.state();
        let log = || {
            let lines = self.log();
            lines.iter().map(|line| format!("{line}\n")).collect::<String>()
        };
        let alive = self.images();
        assert!(images.contains(&alive.len()), "{what}: {state:#}\n{}", log());
        assert!(alive.iter().all(|image| image["status"] == "available"), "{what}: {state:#}");
        // What there were too many of made nothing.
        let refused =
            self.log().iter().filter(|line| line["status"] == 429 && is_create(line)).count();
        assert!(self.creates() <= 1 + refused, "{what}: {}", log());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_create(line: &Value) -> bool {
    line["method"] == "POST" && line["path"] == "/v2/images"
}

/// The program, with nothing of the environment of whoever runs the tests.
pub(crate) fn bare(scratch: &Scratch) -> Command {
    let mut command = tidegate();
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.current_dir(scratch.path("")).env("HOME", scratch.path(""));
    command
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = ["-s", name, &child.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(kill).status().unwrap().success());
}

/// Ends when it goes out of sight, whatever happens to the test.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running(Some(command.spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub(crate) fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Feeds bytes to a command.
pub(crate) fn fed(command: &mut Command, bytes: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(bytes)));
        child.wait_with_output().unwrap()
    })
}

/// A disk with a GPT and `size` bytes, most of which cannot be compressed.
pub(crate) fn big_disk(size: usize) -> Vec<u8> {
    let mut disk = vec![0; size];
    let mut random = Random(size as u64);
    for eight in disk[MIB..size - MIB].chunks_exact_mut(8) {
        eight.copy_from_slice(&random.next().to_le_bytes());
    }
    for (at, bytes) in gpt_parts(size as u64, "root") {
        disk[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
    }
    disk
}

/// Numbers that a seed decides (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Whether everything is to be proven that there is time for.
pub(crate) fn full() -> bool {
    std::env::var_os("TIDEGATE_PUSH_FULL").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Does work for all of these, four at once: most of it is waiting.
pub(crate) fn each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(one);
                }
            });
        }
    });
}

/// Something that the tests need is not there: told loudly, and a failure where everything has to be proven.
pub(crate) fn missing(what: &str) {
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "{what}, and CI=true needs it");
    eprintln!("SKIPPED: {what}");
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
