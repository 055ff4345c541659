//! Whoever looks at a machine while it boots, and says what it has come to.

use std::time::{Duration, Instant};

use super::console::{self, screen_text};
use super::machine::{Accelerator, Machine};
use super::metadata::VENDOR_DATA;
use super::network::Network;
use crate::inspect::booted::{Reached, Stage, State};

/// How often tidegate looks at the machine.
const TICK: Duration = Duration::from_millis(300);
/// How often its screen is.
const LOOK: Duration = Duration::from_secs(2);
/// What the BIOS says when it starts the boot sector.
const STARTED: &str = "Booting from 0000:7c00";
/// What a boot sector reads that starts nothing: itself. Every boot loader reads on.
const READ_ON: u64 = 8 << 10;
/// How long a boot sector that was started may read nothing more; boot loaders read on at once.
const SILENCE: Duration = Duration::from_secs(30);
/// Resets after which a machine is one that never comes up.
const RESETS: u32 = 5;

/// Why a boot ends before its end.
pub(super) enum Trouble {
    /// It is known to have failed.
    Failed(String),
    /// The time is over.
    Late,
    /// Nothing can be said of the image: QEMU failed.
    Broken(String),
}

/// A listener: a stage, its state and the seconds.
pub(super) type Tell<'a> = dyn Fn(&Reached) + 'a;

/// The machine, and what was seen of it.
pub(super) struct Watch<'a> {
    pub(super) machine: Machine,
    pub(super) network: Network,
    pub(super) begin: Instant,
    deadline: Instant,
    /// How long nothing may happen after the system asked for a login.
    patience: Duration,
    stages: Vec<Reached>,
    tell: &'a Tell<'a>,
    looked: Instant,
    /// The screen's text, when tidegate last read it.
    pub(super) screen: Vec<String>,
    /// When the system asked for a login.
    asked: Option<Instant>,
    resets: u32,
    /// When the boot sector was started, and the bytes that had been read of the disk.
    started: Option<(Instant, u64)>,
    /// Whether the guest has switched itself off.
    pub(super) is_off: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        machine: Machine,
        network: Network,
        accelerator: Accelerator,
        timeout: Duration,
        tell: &'a Tell<'a>,
    ) -> Self {
        let begin = Instant::now();
        let patience = match accelerator {
            Accelerator::Kvm => Duration::from_secs(45),
            Accelerator::Tcg => Duration::from_secs(120),
        };
        Watch {
            machine,
            network,
            begin,
            deadline: begin + timeout,
            patience,
            stages: Vec::new(),
            tell,
            looked: begin,
            screen: Vec::new(),
            asked: None,
            resets: 0,
            started: None,
            is_off: false,
        }
    }

    /// Seconds from when the machine was switched on.
    pub(super) fn seconds(&self, moment: Instant) -> f64 {
        let tenths = moment.saturating_duration_since(self.begin).as_millis() / 100;
        tenths as f64 / 10.0
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Grants at least this much time from now on.
    pub(super) fn extend(&mut self, by: Duration) {
        self.deadline = self.deadline.max(Instant::now() + by);
    }

    /// Whether a stage was reached.
    pub(super) fn has(&self, stage: Stage) -> bool {
        self.stages.iter().any(|reached| reached.stage == stage)
    }

    /// Notes what came of a stage, and says so.
    pub(super) fn note(&mut self, stage: Stage, state: State, at: Option<Instant>, said: String) {
        if self.has(stage) {
            return;
        }
        let seconds = at.map(|at| self.seconds(at));
        let reached = Reached { stage, state, seconds, said };
        (self.tell)(&reached);
        self.stages.push(reached);
        // Something happens still.
        if let Some(asked) = &mut self.asked {
            *asked = Instant::now();
        }
    }

    /// Notes that a stage was reached now.
    pub(super) fn reach(&mut self, stage: Stage, said: String) {
        self.note(stage, State::Reached, Some(Instant::now()), said);
    }

    /// The stages, in order.
    pub(super) fn stages(mut self) -> Vec<Reached> {
        self.stages.sort_by_key(|reached| reached.stage);
        self.stages
    }

    /// Looks at the machine until something is the case.
    pub(super) fn until<T>(
        &mut self,
        mut check: impl FnMut(&mut Self) -> Result<Option<T>, Trouble>,
    ) -> Result<T, Trouble> {
        loop {
            self.look()?;
            if let Some(found) = check(self)? {
                return Ok(found);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Looks at the machine.
    pub(super) fn look(&mut self) -> Result<(), Trouble> {
        if let Err(error) = self.glance() {
            if self.is_off {
                return Err(Trouble::Failed("the system switched the machine off".into()));
            }
            if self.machine.has_ended() {
                let said = self.machine.complaint();
                return Err(Trouble::Broken(said.unwrap_or_else(|| "QEMU ended".into())));
            }
            return Err(Trouble::Broken(error.to_string()));
        }
        if self.resets > RESETS {
            let times = self.resets;
            return Err(Trouble::Failed(format!("the machine was reset {times} times")));
        }
        let mut shown = self.screen.join("\n");
        shown.push('\n');
        shown.push_str(&self.machine.serial.text());
        let firmware = self.machine.firmware.text();
        let has_kernel = self.has(Stage::Kernel);
        let end = console::end(&shown, has_kernel)
            .or_else(|| console::end(&firmware, false).filter(|_| !has_kernel));
        if let Some(means) = end {
            return Err(Trouble::Failed(means.to_owned()));
        }
        if self.asked.is_none() && console::asks_for_login(&shown) {
            self.asked = Some(Instant::now());
        }
        if self.asked.is_some_and(|asked| asked.elapsed() > self.patience)
            && !self.has(Stage::Login)
        {
            let seconds = self.patience.as_secs();
            return Err(Trouble::Failed(format!(
                "the system is up and asks for a login on its console, and nothing more happened for {seconds} seconds"
            )));
        }
        if self.started.is_some_and(|(at, _)| at.elapsed() > SILENCE)
            && !self.has(Stage::BootLoader)
        {
            return Err(Trouble::Failed(
                "the BIOS started the boot sector, and that reads nothing more of the disk".into(),
            ));
        }
        if Instant::now() > self.deadline {
            return Err(Trouble::Late);
        }
        Ok(())
    }

    /// Leaves the machine alone until its guest has switched it off.
    pub(super) fn hold(&mut self) {
        while self.glance().is_ok() && !self.is_off && !self.machine.has_ended() {
            std::thread::sleep(TICK);
        }
    }

    fn glance(&mut self) -> std::io::Result<()> {
        while let Some(event) = self.machine.qmp.event()? {
            match event["event"].as_str() {
                Some("RESET") => self.resets += 1,
                Some("SHUTDOWN") => self.is_off = true,
                _ => {}
            }
        }
        if !self.has(Stage::Kernel) {
            self.look_for_kernel()?;
        }
        let seen = self.network.seen();
        if let Some(lease) = seen.lease {
            let address = super::network::GUEST;
            self.note(Stage::Address, State::Reached, Some(lease), format!("{address}"));
        }
        if !self.has(Stage::Data) {
            if let Some(metadata) = seen.metadata {
                self.note(Stage::Data, State::Reached, Some(metadata), "metadata".into());
            } else if self.machine.bytes_read("config")? > VENDOR_DATA as u64 {
                self.reach(Stage::Data, "config drive".into());
            }
        }
        if self.looked.elapsed() > LOOK {
            self.looked = Instant::now();
            self.screen = screen_text(&self.machine.text_memory()?);
        }
        Ok(())
    }

    fn look_for_kernel(&mut self) -> std::io::Result<()> {
        if !self.has(Stage::BootLoader) {
            let read = self.machine.bytes_read("disk")?;
            if self.started.is_none() && self.machine.firmware.text().contains(STARTED) {
                self.started = Some((Instant::now(), read.min(READ_ON)));
            }
            if self.started.is_some_and(|(_, before)| read > before + READ_ON) {
                self.reach(Stage::BootLoader, String::new());
            }
        }
        if self.machine.has_paging()? {
            // It did not come by itself.
            self.reach(Stage::BootLoader, String::new());
            self.reach(Stage::Kernel, String::new());
        }
        Ok(())
    }
}
