//! The machine: QEMU, looking to its guest like a Droplet.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::console::Console;
use super::folder::Folder;
use super::metadata::Droplet;
use super::qmp::Qmp;
use super::{launch, overlay};
use crate::bytes::Hostile;
use crate::facts::DiskFormat;

/// The program.
const QEMU: &str = "qemu-system-x86_64";
/// How long QEMU may take to connect to its sockets.
const START: Duration = Duration::from_secs(60);
/// How long QEMU may take to make a machine that is not started.
const TRIAL: Duration = Duration::from_secs(20);
/// What QEMU may do: nothing that it was not started for (qemu(1), `-sandbox`).
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
/// Where VGA keeps its text, and how much of it.
const TEXT: (u64, u64) = (0xb8000, 32 << 10);

/// What runs the processor of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accelerator {
    /// The processor of this machine.
    Kvm,
    /// A translation of its instructions, which is many times slower.
    Tcg,
}

impl Accelerator {
    /// What this machine has. That KVM is there does not say that it can be used, as where this machine is a guest itself: so
    /// QEMU is asked to make a machine with it.
    #[must_use]
    pub fn here() -> Self {
        if File::options().read(true).write(true).open("/dev/kvm").is_err() {
            return Accelerator::Tcg;
        }
        let works = find(QEMU).and_then(|qemu| makes_a_machine(&qemu).ok());
        if works == Some(true) { Accelerator::Kvm } else { Accelerator::Tcg }
    }

    /// Its name, as QEMU has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg",
        }
    }

    /// The processor that the guest sees.
    fn processor(self) -> &'static str {
        match self {
            Accelerator::Kvm => "host",
            Accelerator::Tcg => "max",
        }
    }
}

/// Whether QEMU makes a machine with KVM, which it does not start.
fn makes_a_machine(qemu: &Path) -> io::Result<bool> {
    let machine = format!("pc,accel={}", Accelerator::Kvm.as_str());
    let mut child = launch::tied(qemu)
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-S", "-m", "16M"])
        .args(["-machine", &machine, "-cpu", Accelerator::Kvm.processor(), "-qmp", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have ended.
        let _ = stdin.write_all(b"{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"quit\"}\n");
        let deadline = Instant::now() + TRIAL;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

/// What the disk is made of.
pub(super) struct Base {
    /// The file that has it.
    pub(super) path: PathBuf,
    /// What that file is: QEMU never guesses.
    pub(super) format: DiskFormat,
}

/// What the machine has.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Bytes of the disk.
    pub(super) disk: u64,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// Processors.
    pub(super) cpus: u16,
}

/// A machine that runs, until it is dropped.
pub(super) struct Machine {
    pub(super) qmp: Qmp,
    /// The serial console.
    pub(super) serial: Console,
    /// What the BIOS says to whoever looks for mistakes in it.
    pub(super) firmware: Console,
    process: Process,
    folder: Folder,
}

/// A process that can be killed from any thread.
#[derive(Clone, Default)]
pub(super) struct Process(Arc<Mutex<Option<Child>>>);

impl Process {
    /// Kills it, and waits until it has ended.
    pub(super) fn kill(&self) {
        if let Some(child) = &mut *self.lock() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn has_ended(&self) -> bool {
        match &mut *self.lock() {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => true,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where QEMU is, if it is installed.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// What to install, if something is missing.
#[must_use]
pub fn missing() -> Option<String> {
    let programs = [
        (
            QEMU,
            "qemu-system-x86 (Debian, Ubuntu), qemu-system-x86-core (Fedora) or qemu-full (Arch)",
        ),
        ("ssh", "openssh-client (Debian, Ubuntu), openssh-clients (Fedora) or openssh (Arch)"),
        ("ssh-keygen", "openssh-client (Debian, Ubuntu), openssh (Fedora, Arch)"),
    ];
    let (program, package) = programs.iter().find(|(program, _)| find(program).is_none())?;
    Some(format!("{program} is not installed: install {package}"))
}

impl Machine {
    /// Makes the machine; it stands still until [`Machine::go`]. Returns the socket by which its network's frames come, too.
    pub(super) fn start(
        folder: &Folder,
        base: &Base,
        size: Size,
        accelerator: Accelerator,
        droplet: &Droplet,
        process: &Process,
    ) -> Result<(Machine, UnixStream), String> {
        let qemu = find(QEMU).ok_or_else(|| missing().unwrap_or_default())?;
        let failed = |what: &str, error: io::Error| format!("{what}: {error}");
        let header = overlay::header(size.disk).ok_or("the disk is too large for QEMU")?;
        let file = folder.file("overlay");
        std::fs::write(&file, header)
            .and_then(|()| File::options().write(true).open(&file)?.set_len(overlay::LENGTH))
            .and_then(|()| std::fs::write(folder.file("config.iso"), droplet.config_drive()))
            .map_err(|e| failed("cannot write to the folder for temporary files", e))?;
        // By a name of its own, as QEMU takes names in UTF-8 only.
        std::path::absolute(&base.path)
            .and_then(|path| std::os::unix::fs::symlink(path, folder.file("base")))
            .map_err(|e| failed("cannot write to the folder for temporary files", e))?;
        let listen = |name: &str| {
            UnixListener::bind(folder.socket(name)).map_err(|e| failed("cannot make a socket", e))
        };
        let (qmp, serial) = (listen("qmp")?, listen("serial")?);
        let (firmware, net) = (listen("firmware")?, listen("net")?);
        let log = File::create(folder.file("qemu.log"))
            .map_err(|e| failed("cannot write QEMU's log", e))?;
        let mut command = launch::tied(&qemu);
        command
            .args(arguments(size, accelerator, droplet, &drives(base)))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().map_err(|e| failed("cannot start QEMU", e))?;
        *process.lock() = Some(child);
        let connected = || {
            let deadline = Instant::now() + START;
            Ok::<_, io::Error>((
                accept(&qmp, deadline, process)?,
                accept(&serial, deadline, process)?,
                accept(&firmware, deadline, process)?,
                accept(&net, deadline, process)?,
            ))
        };
        let made = connected().and_then(|(qmp, serial, firmware, net)| {
            let (serial, firmware) = (Console::of(serial)?, Console::of(firmware)?);
            let (process, folder) = (process.clone(), folder.clone());
            Ok((Machine { qmp: Qmp::new(qmp)?, serial, firmware, process, folder }, net))
        });
        made.map_err(|error| {
            process.kill();
            let why = complaint(&folder.file("qemu.log")).unwrap_or_else(|| error.to_string());
            format!("QEMU does not start: {why}")
        })
    }

    /// Switches it on.
    pub(super) fn go(&mut self) -> io::Result<()> {
        self.qmp.execute("cont", &json!({})).map(drop)
    }

    /// Presses its power button.
    pub(super) fn press_power_button(&mut self) -> io::Result<()> {
        self.qmp.execute("system_powerdown", &json!({})).map(drop)
    }

    /// Whether QEMU has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// What QEMU said last of what went wrong with itself.
    pub(super) fn complaint(&self) -> Option<String> {
        complaint(&self.folder.file("qemu.log"))
    }

    /// Whether the processor translates addresses, which a kernel has it do, and neither the BIOS nor a boot loader for it.
    pub(super) fn has_paging(&mut self) -> io::Result<bool> {
        let registers = self.qmp.monitor("info registers")?;
        let cr0 = registers.split("CR0=").nth(1).and_then(|rest| rest.get(..8));
        Ok(cr0.and_then(|cr0| u32::from_str_radix(cr0, 16).ok()).is_some_and(|cr0| cr0 >> 31 == 1))
    }

    /// Bytes that were read of a drive, `disk` or `config`.
    pub(super) fn bytes_read(&mut self, drive: &str) -> io::Result<u64> {
        let all = self.qmp.execute("query-blockstats", &json!({}))?;
        let of = |one: &&Value| {
            one["qdev"].as_str().is_some_and(|device| device.split('/').any(|part| part == drive))
        };
        let found = all.as_array().into_iter().flatten().find(of);
        Ok(found.and_then(|one| one["stats"]["rd_bytes"].as_u64()).unwrap_or(0))
    }

    /// The text that VGA would show, if it is in a mode of text.
    pub(super) fn text_memory(&mut self) -> io::Result<Vec<u8>> {
        let (at, bytes) = TEXT;
        self.qmp.execute("pmemsave", &json!({ "val": at, "size": bytes, "filename": "text" }))?;
        let mut memory = Vec::new();
        File::open(self.folder.file("text"))?.take(bytes).read_to_end(&mut memory)?;
        Ok(memory)
    }

    /// Writes a picture of the screen to a file of the folder, in QEMU's words for its format.
    pub(super) fn picture(&mut self, name: &str, format: Option<&str>) -> io::Result<PathBuf> {
        let mut arguments = json!({ "filename": name });
        if let Some(format) = format {
            arguments["format"] = format.into();
        }
        self.qmp.execute("screendump", &arguments)?;
        Ok(self.folder.file(name))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.process.kill();
    }
}

fn accept(listener: &UnixListener, deadline: Instant, process: &Process) -> io::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        if process.has_ended() {
            return Err(io::Error::other("it ended at once"));
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("it does not connect"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The last line of QEMU's log.
fn complaint(log: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(log).ok()?.take(64 << 10).read_to_end(&mut text).ok()?;
    let last = text.split(|byte| *byte == b'\n').rfind(|line| !line.trim_ascii().is_empty())?;
    Some(Hostile::new(last).to_string())
}

/// The drives: the disk below an overlay, and the config drive. Nothing is guessed, and nothing that a file names is opened.
fn drives(base: &Base) -> Vec<Value> {
    let is_device = base.path.metadata().is_ok_and(|meta| meta.file_type().is_block_device());
    let protocol = if is_device { "host_device" } else { "file" };
    let mut disk = json!({ "driver": base.format.as_str(), "node-name": "base", "read-only": true, "file": "base-file" });
    if matches!(base.format, DiskFormat::Qcow2 | DiskFormat::Vmdk) {
        disk["backing"] = Value::Null;
    }
    vec![
        json!({ "driver": protocol, "node-name": "base-file", "filename": "base", "read-only": true }),
        disk,
        json!({ "driver": "file", "node-name": "overlay-file", "filename": "overlay" }),
        json!({
            "driver": "qcow2", "node-name": "overlay", "file": "overlay-file", "backing": "base",
            // It is thrown away: nothing of it has to outlive a failure of power.
            "cache": { "no-flush": true }, "discard": "unmap",
        }),
        json!({ "driver": "file", "node-name": "config-file", "filename": "config.iso", "read-only": true }),
        json!({ "driver": "raw", "node-name": "config-drive", "file": "config-file", "read-only": true }),
    ]
}

fn arguments(
    size: Size,
    accelerator: Accelerator,
    droplet: &Droplet,
    drives: &[Value],
) -> Vec<String> {
    let mut all: Vec<String> =
        ["-nodefaults", "-no-user-config", "-S", "-display", "none", "-sandbox", SANDBOX]
            .map(String::from)
            .into();
    let mut add = |option: &str, value: String| all.extend([option.to_owned(), value]);
    add("-machine", format!("pc,accel={},usb=off", accelerator.as_str()));
    add("-cpu", accelerator.processor().into());
    add("-smp", size.cpus.to_string());
    add("-m", format!("size={}B", size.memory));
    // What dmidecode shows on a Droplet, and cloud-init asks for (cloudinit/sources/helpers/digitalocean.py).
    add("-smbios", "type=0,vendor=DigitalOcean,version=20171212,date=12/12/2017".into());
    add(
        "-smbios",
        format!(
            "type=1,manufacturer=DigitalOcean,product=Droplet,version=20171212,family=DigitalOcean_Droplet,serial={},uuid={}",
            droplet.id, droplet.uuid
        ),
    );
    add("-boot", "strict=on".into());
    add("-device", "VGA".into());
    for name in ["qmp", "serial", "firmware"] {
        add("-chardev", format!("socket,id={name},path={name}"));
    }
    add("-mon", "chardev=qmp,mode=control".into());
    add("-serial", "chardev:serial".into());
    // SeaBIOS tells this port what it does.
    add("-device", "isa-debugcon,iobase=0x402,chardev=firmware".into());
    for drive in drives {
        add("-blockdev", drive.to_string());
    }
    add("-device", "virtio-blk-pci,id=disk,drive=overlay,bootindex=1".into());
    add("-device", "virtio-blk-pci,id=config,drive=config-drive".into());
    add("-netdev", "stream,id=net,server=off,addr.type=unix,addr.path=net".into());
    add("-device", format!("virtio-net-pci,netdev=net,mac={},romfile=", droplet.mac));
    if let Some(mac) = &droplet.outside {
        add("-netdev", "user,id=outside,ipv6=off".into());
        add("-device", format!("virtio-net-pci,netdev=outside,mac={mac},romfile="));
    }
    all
}
