//! A simulator that runs, a client that knows nothing but HTTP, and a server of images.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::*;

/// A simulator and its files.
pub(crate) struct Rig {
    pub(crate) scratch: Scratch,
    pub(crate) address: String,
    pub(crate) token: String,
    /// What the env file says of the bucket.
    pub(crate) spaces: HashMap<String, String>,
    child: Option<Child>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
}

impl Rig {
    /// With further arguments, and a quick pace.
    pub(crate) fn new(arguments: &[&str]) -> Rig {
        Rig::with_files(&[], arguments)
    }

    /// With a fault plan.
    pub(crate) fn with_plan(plan: &str, arguments: &[&str]) -> Rig {
        Rig::with_files(&[("plan.toml", plan)], &[&["--faults", "plan.toml"], arguments].concat())
    }

    fn with_files(files: &[(&str, &str)], arguments: &[&str]) -> Rig {
        let scratch = Scratch::new();
        for (name, text) in files {
            scratch.write(name, text.as_bytes());
        }
        Rig::start(scratch, arguments)
    }

    /// In a directory that may hold the state of an earlier run.
    pub(crate) fn start(scratch: Scratch, arguments: &[&str]) -> Rig {
        let mut command = simulate(&scratch);
        command.args(["--env-file", "env", "--log", "log"]).args(arguments);
        if !arguments.contains(&"--pace") {
            command.args(["--pace", "0.05"]);
        }
        let child = command.spawn().unwrap();
        let mut rig = Rig {
            scratch,
            address: String::new(),
            token: String::new(),
            spaces: HashMap::new(),
            child: Some(child),
        };
        let env = rig.scratch.path("env");
        wait_until("the simulator listens", || {
            let ended = rig.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{:?}", rig.child.take().unwrap().wait_with_output());
            env.exists()
        });
        for line in std::fs::read_to_string(env).unwrap().lines() {
            match line.split_once('=').unwrap() {
                ("DIGITALOCEAN_API_URL", url) => {
                    rig.address = url.strip_prefix("http://").unwrap().to_owned();
                }
                ("DIGITALOCEAN_TOKEN", token) => rig.token = token.to_owned(),
                (name, value) if name.starts_with("SPACES_") => {
                    rig.spaces.insert(name.to_owned(), value.to_owned());
                }
                other => panic!("{other:?}"),
            }
        }
        rig
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `None` if the connection ends without an answer.
    pub(crate) fn try_send(&self, method: &str, path: &str, body: Option<&str>) -> Option<Answer> {
        let authorization = format!("Authorization: Bearer {}\r\n", self.token);
        exchange(&self.address, method, path, &authorization, body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.try_send(method, path, body).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(&body.to_string()))
    }

    /// Creates an image from a URL and returns its id.
    pub(crate) fn create(&self, name: &str, url: &str) -> u64 {
        let answer = self.post("/v2/images", &json!({"name": name, "url": url, "region": "nyc3"}));
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["image"]["id"].as_u64().unwrap()
    }

    pub(crate) fn image(&self, id: u64) -> Value {
        self.get(&format!("/v2/images/{id}")).json()["image"].clone()
    }

    /// The image, once it has this status.
    pub(crate) fn until(&self, id: u64, status: &str) -> Value {
        wait_until(status, || {
            thread::sleep(Duration::from_millis(20));
            let image = self.in_state("images", id);
            let now = image["status"].as_str().unwrap();
            assert!(now == status || ["NEW", "pending", "in-progress"].contains(&now), "{image}");
            now == status
        });
        self.image(id)
    }

    /// Waits until an action has this status.
    pub(crate) fn action_until(&self, id: u64, status: &str) {
        wait_until(status, || {
            thread::sleep(Duration::from_millis(20));
            self.in_state("actions", id)["status"] == status
        });
    }

    fn in_state(&self, what: &str, id: u64) -> Value {
        let state = self.state();
        let all = state[what].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id}: {state}")).clone()
    }

    /// What the simulator holds. It is no request of the API: no token, no limit.
    pub(crate) fn state(&self) -> Value {
        exchange(&self.address, "GET", "/_simulator/state", "", None).unwrap().json()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.scratch.path("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The most memory that it had at once, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal, waits for the end, and gives back the files.
    pub(crate) fn stop(mut self, signal: &str) -> (Output, Scratch) {
        let child = self.child.take().unwrap();
        let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        (output, std::mem::replace(&mut self.scratch, Scratch::new()))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command, in the directory.
pub(crate) fn simulate(scratch: &Scratch) -> Command {
    let mut command = tidegate();
    command.current_dir(scratch.path("")).arg("simulate");
    command
}

/// One request on a connection of its own.
pub(crate) fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&str>,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A cut connection may be reset.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Some(Answer { status, headers: lines.map(header).collect(), body: body.to_owned() })
}

/// A server of files on this machine, and the methods that it was asked with.
pub(crate) struct Files {
    pub(crate) address: String,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Files {
    /// Serves these bodies by their paths; a path with a status instead of bytes answers with it, and
    /// redirects to the text if it is one.
    pub(crate) fn serve(files: Vec<(&'static str, u16, Vec<u8>)>) -> Files {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (files, log) = (Arc::new(files), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, log) = (Arc::clone(&files), Arc::clone(&log));
                thread::spawn(move || answer(stream, &files, &log));
            }
        });
        Files { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn answer(
    mut stream: TcpStream,
    files: &[(&'static str, u16, Vec<u8>)],
    asked: &Mutex<Vec<String>>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    // All of the request is read, so that the end of the connection is no reset.
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    asked.lock().unwrap().push(format!("{method} {path}"));
    let file = files.iter().find(|(name, ..)| *name == path.split('?').next().unwrap());
    let (status, body): (u16, &[u8]) = match file {
        Some((_, status, body)) if *status != 405 || method == "HEAD" => (*status, body),
        Some((_, _, body)) => (200, body),
        None => (404, b""),
    };
    let location = match status {
        302 => format!("Location: {}\r\n", std::str::from_utf8(body).unwrap()),
        _ => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\n{location}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { &[] } else { body };
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

/// How long something takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let made = work();
    (made, began.elapsed())
}
