//! The steps of a boot, in their order.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::console;
use super::folder::Folder;
use super::machine::{Machine, Process};
use super::metadata::Droplet;
use super::network::Network;
use super::screen;
use super::ssh::{Keys, Ran, Ssh, is_name};
use super::watch::{Trouble, Watch};
use super::{Error, Handle, Order};
use crate::bytes::Hostile;
use crate::inspect::booted::{Booted, Commanded, Reached, Stage, State};

/// Lines of the serial console and of a command that are shown.
const LINES: usize = 20;
/// Rows of a screen of text.
const ROWS: usize = 25;
/// How long a system may take to shut down.
const SHUTDOWN: Duration = Duration::from_secs(120);
/// How long the guest may not answer at port 22 when it is tried.
const BANNER: Duration = Duration::from_secs(15);
/// How long after a login that was refused the next one is tried.
const AGAIN: Duration = Duration::from_secs(3);
/// What a command writes first, so that what a server says of itself is no answer.
const MARK: &str = "tidegate-is-in";

/// Boots the image, and says what came of it.
pub(super) fn boot(
    order: &Order,
    folder: &Folder,
    handle: &Handle,
    tell: &dyn Fn(&Reached),
) -> Result<Booted, Error> {
    if order.keep.is_some() {
        folder.keep().map_err(|e| Error::Here(e.to_string()))?;
    }
    let keys = Keys::make(folder).map_err(|e| Error::Here(e.to_string()))?;
    let droplet = droplet(&keys, order.network);
    let process = Process::default();
    handle.runs(&process);
    let (machine, frames) =
        Machine::start(folder, &order.base(), order.size(), order.accelerator, &droplet, &process)
            .map_err(Error::Here)?;
    let network = Network::start(frames, droplet.metadata(), !order.network)
        .map_err(|e| Error::Here(e.to_string()))?;
    let mut watch = Watch::new(machine, network, order.accelerator, order.timeout, tell);
    watch.machine.go().map_err(|e| Error::Here(e.to_string()))?;
    let mut run = Run { order, keys: &keys, watch, user: None, datasource: None, command: None };
    let ended = run.all();
    run.finish(ended)
}

fn droplet(keys: &Keys, network: bool) -> Droplet {
    // Two boots at once are two Droplets; nobody else sees the numbers.
    let id = std::process::id();
    let [_, a, b, c] = id.to_be_bytes();
    Droplet {
        id: 400_000_000 + u64::from(id),
        uuid: format!("2d1f6a7c-0000-4000-8000-0000{id:08x}"),
        hostname: "tidegate-boot".into(),
        mac: format!("02:d0:01:{a:02x}:{b:02x}:{c:02x}"),
        outside: network.then(|| format!("02:d0:02:{a:02x}:{b:02x}:{c:02x}")),
        public_key: keys.public.clone(),
    }
}

struct Run<'a> {
    order: &'a Order,
    keys: &'a Keys,
    watch: Watch<'a>,
    user: Option<String>,
    datasource: Option<String>,
    command: Option<Commanded>,
}

/// Why the boot ended, and at which stage.
struct Ended {
    stage: Stage,
    trouble: Trouble,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), Ended> {
        let ssh = Ssh { keys: self.keys, port: self.watch.network.port() };
        let banner = self.answers(&ssh).map_err(|trouble| self.first_missing(trouble))?;
        self.watch.reach(Stage::Ssh, banner);
        let user = self.logs_in(&ssh).map_err(|trouble| self.first_missing(trouble))?;
        self.watch.reach(Stage::Login, user.clone());
        self.user = Some(user.clone());
        self.provisioned(&ssh, &user)
            .map_err(|trouble| Ended { stage: Stage::CloudInit, trouble })?;
        self.grown(&ssh, &user).map_err(|trouble| Ended { stage: Stage::Growth, trouble })?;
        self.commanded(&ssh, &user).map_err(|trouble| Ended { stage: Stage::Command, trouble })?;
        if let Some(show) = self.order.keep {
            show(&ssh.shown(&user));
            self.watch.hold();
            return Ok(());
        }
        self.shut_down().map_err(|trouble| Ended { stage: Stage::Shutdown, trouble })
    }

    /// The first stage up to the login that was not reached.
    fn first_missing(&self, trouble: Trouble) -> Ended {
        let missing = Stage::ALL.iter().find(|stage| !self.watch.has(**stage));
        Ended { stage: missing.copied().unwrap_or(Stage::Login), trouble }
    }

    /// Waits until a server answers at port 22; what it says of itself.
    fn answers(&mut self, ssh: &Ssh<'_>) -> Result<String, Trouble> {
        self.watch.until(|watch| match watch.has(Stage::Address) {
            true => Ok(ssh.banner(BANNER)),
            false => Ok(None),
        })
    }

    /// Waits until one of the users is let in; which.
    fn logs_in(&mut self, ssh: &Ssh<'_>) -> Result<String, Trouble> {
        let users: Vec<&String> = self.order.users.iter().filter(|user| is_name(user)).collect();
        let begin = Instant::now();
        let mut refused = String::new();
        loop {
            for user in &users {
                let ran = self.run(ssh, user, &format!("echo {MARK}"))?;
                if ran.code == Some(0) && ran.stdout.trim_ascii() == MARK.as_bytes() {
                    return Ok((*user).clone());
                }
                let said =
                    if ran.stdout.trim_ascii().is_empty() { &ran.stderr } else { &ran.stdout };
                refused = format!("{user}: {}", Hostile::new(said.trim_ascii()));
            }
            if begin.elapsed() > self.watch.patience() {
                let seconds = begin.elapsed().as_secs();
                let why =
                    format!("nobody is let in with the key for {seconds} seconds ({refused})");
                return Err(Trouble::Failed(why));
            }
            let again = Instant::now() + AGAIN;
            self.watch.until(|_| Ok((Instant::now() > again).then_some(())))?;
        }
    }

    /// Runs a command in the guest to its end.
    fn run(&mut self, ssh: &Ssh<'_>, user: &str, command: &str) -> Result<Ran, Trouble> {
        let broken = |e: std::io::Error| Trouble::Broken(format!("ssh: {e}"));
        let mut running = ssh.start(user, command).map_err(broken)?;
        self.watch.until(|_| running.ended().map_err(broken))
    }

    /// Waits until cloud-init is done, if that is what the image has.
    fn provisioned(&mut self, ssh: &Ssh<'_>, user: &str) -> Result<(), Trouble> {
        const RESULT: &str = "cat /run/cloud-init/result.json 2>/dev/null || \
            { test -d /run/cloud-init && echo running; } || echo none";
        let result = loop {
            let ran = self.run(ssh, user, RESULT)?;
            match ran.stdout.trim_ascii() {
                b"none" => {
                    self.watch.note(
                        Stage::CloudInit,
                        State::Skipped,
                        None,
                        "the system does not run it".into(),
                    );
                    return Ok(());
                }
                b"running" | b"" => {}
                // It is written at once, but read in pieces.
                json => match serde_json::from_slice::<Value>(json) {
                    Ok(result) => break result,
                    Err(_) if ran.code == Some(0) => {}
                    Err(_) => return Err(Trouble::Failed("its result cannot be read".into())),
                },
            }
            let again = Instant::now() + AGAIN;
            self.watch.until(|_| Ok((Instant::now() > again).then_some(())))?;
        };
        let datasource =
            Hostile::from(result["v1"]["datasource"].as_str().unwrap_or("none")).to_string();
        self.datasource = Some(datasource.clone());
        let errors = result["v1"]["errors"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(first) = errors.first().and_then(Value::as_str) {
            let (count, noun) = (errors.len(), if errors.len() == 1 { "error" } else { "errors" });
            // The owner is let in, so it is not the end.
            let said = format!("{datasource}, {count} {noun}, first: {}", Hostile::from(first));
            self.watch.note(Stage::CloudInit, State::Missed, Some(Instant::now()), said);
            return Ok(());
        }
        self.watch.reach(Stage::CloudInit, datasource);
        Ok(())
    }

    /// Looks whether the root file system has grown.
    fn grown(&mut self, ssh: &Ssh<'_>, user: &str) -> Result<(), Trouble> {
        let ran = self.run(ssh, user, "df -Pk / | tail -n 1")?;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let size = text.split_whitespace().nth(1).and_then(|size| size.parse::<u64>().ok());
        let Some(size) = size.and_then(|size| size.checked_mul(1024)) else {
            self.watch.note(
                Stage::Growth,
                State::Skipped,
                None,
                "df does not say how large the root is".into(),
            );
            return Ok(());
        };
        let said = format!(
            "{} of {}",
            crate::bytes::human_size(size),
            crate::bytes::human_size(self.order.disk_size)
        );
        // Tables of a file system and other partitions take their share.
        if size >= self.order.disk_size / 100 * 85 {
            self.watch.reach(Stage::Growth, said);
        } else {
            self.watch.note(Stage::Growth, State::Missed, Some(Instant::now()), said);
        }
        Ok(())
    }

    /// Runs the command that was ordered.
    fn commanded(&mut self, ssh: &Ssh<'_>, user: &str) -> Result<(), Trouble> {
        let Some(command) = &self.order.command else { return Ok(()) };
        let ran = self.run(ssh, user, command)?;
        let mut output = lines(&ran.stdout);
        output.extend(lines(&ran.stderr));
        self.command = Some(Commanded { exit_code: ran.code, output });
        match ran.code {
            Some(0) => self.watch.reach(Stage::Command, "exit code 0".into()),
            Some(code) => return Err(Trouble::Failed(format!("exit code {code}"))),
            None => return Err(Trouble::Failed("it was killed".into())),
        }
        Ok(())
    }

    /// Presses the power button.
    fn shut_down(&mut self) -> Result<(), Trouble> {
        self.watch.extend(SHUTDOWN + Duration::from_secs(5));
        let broken = |e: std::io::Error| Trouble::Broken(e.to_string());
        self.watch.machine.press_power_button().map_err(broken)?;
        let begin = Instant::now();
        let off = self.watch.until(|watch| match watch.is_off || watch.machine.has_ended() {
            true => Ok(Some(true)),
            false => Ok((begin.elapsed() > SHUTDOWN).then_some(false)),
        });
        match off {
            Ok(true) => self.watch.reach(Stage::Shutdown, String::new()),
            // QEMU ends with its guest, so that its socket breaks.
            Err(_) if self.watch.is_off || self.watch.machine.has_ended() => {
                self.watch.reach(Stage::Shutdown, String::new());
            }
            Ok(false) => {
                let said = format!("nothing happened for {} seconds", SHUTDOWN.as_secs());
                self.watch.note(Stage::Shutdown, State::Missed, Some(Instant::now()), said);
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// What came of it all.
    fn finish(mut self, ended: Result<(), Ended>) -> Result<Booted, Error> {
        let mut failure = None;
        if let Err(Ended { stage, trouble }) = ended {
            let why = match trouble {
                Trouble::Failed(why) => why,
                Trouble::Late => {
                    format!("the time is over after {} seconds", self.order.timeout.as_secs())
                }
                Trouble::Broken(why) => return Err(Error::Here(why)),
            };
            failure = Some((stage, why));
        }
        let (mut serial, mut text, mut screenshot) = (Vec::new(), Vec::new(), None);
        if let Some((stage, why)) = failure.clone() {
            self.watch.note(stage, State::Failed, Some(Instant::now()), why);
            serial = self.watch.machine.serial.last(LINES);
            let shot = screen::shoot(&mut self.watch.machine);
            if shot.as_ref().is_some_and(|(_, is_text)| *is_text) {
                let memory = self.watch.machine.text_memory().unwrap_or_default();
                let lines = console::screen_text(&memory);
                let last = &lines[lines.len().saturating_sub(ROWS)..];
                text = last.iter().map(|line| Hostile::from(line.as_str()).to_string()).collect();
            }
            screenshot = shot.map(|(shot, _)| shot);
        }
        let seconds = self.watch.seconds(Instant::now());
        let order = self.order;
        let known = self.watch.stages();
        let stages = Stage::ALL
            .iter()
            .filter(|stage| **stage != Stage::Command || order.command.is_some())
            .map(|stage| {
                let reached = known.iter().find(|reached| reached.stage == *stage).cloned();
                reached.unwrap_or_else(|| Reached {
                    stage: *stage,
                    state: State::Skipped,
                    seconds: None,
                    said: String::new(),
                })
            });
        Ok(Booted {
            came_up: failure.is_none(),
            accelerator: order.accelerator.as_str().into(),
            disk_size: order.disk_size,
            memory: order.memory,
            cpus: order.cpus,
            seconds,
            stages: stages.collect(),
            user: self.user,
            datasource: self.datasource,
            command: self.command,
            serial,
            screen: text,
            screenshot,
        })
    }
}

/// The last lines of an output, escaped.
fn lines(bytes: &[u8]) -> Vec<String> {
    let all: Vec<&[u8]> = bytes
        .trim_ascii_end()
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    all[all.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| Hostile::new(line.trim_ascii_end()).to_string())
        .collect()
}
