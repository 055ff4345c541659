//! Which server for SSH there is, what starts it, and what makes its host keys.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::Tree;
use super::super::services::{self, Init, On, Overrides, Systemd, UNIT_PATHS};
use super::super::{Case, shown};
use super::ANYBODY;
use super::config::{Config, Setting};
use super::options::Options;
use crate::facts::Code;

/// Units and scripts that are looked through at most.
const MOST_UNITS: usize = 256;

/// Bytes of one that are looked through.
const LOOKED_THROUGH: usize = 64 << 10;

/// The programs that serve SSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    OpenSsh,
    Dropbear,
    TinySsh,
}

impl Product {
    const ALL: [Product; 3] = [Product::OpenSsh, Product::Dropbear, Product::TinySsh];

    pub(super) fn name(self) -> &'static str {
        match self {
            Product::OpenSsh => "OpenSSH's sshd",
            Product::Dropbear => "dropbear",
            Product::TinySsh => "tinysshd",
        }
    }

    /// What is in the place of a program's path.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Product::OpenSsh => &[
                "/usr/sbin/sshd",
                "/usr/bin/sshd",
                "/sbin/sshd",
                "/usr/local/sbin/sshd",
                "/usr/lib/openssh/sshd-session",
                "/usr/libexec/openssh/sshd-session",
                "/usr/lib/ssh/sshd-session",
                "/usr/sbin/sshd.pam",
                "/usr/sbin/sshd.krb5",
            ],
            Product::Dropbear => &[
                "/usr/sbin/dropbear",
                "/usr/bin/dropbear",
                "/sbin/dropbear",
                "/usr/local/sbin/dropbear",
            ],
            Product::TinySsh => {
                &["/usr/sbin/tinysshd", "/usr/bin/tinysshd", "/usr/local/sbin/tinysshd"]
            }
        }
    }

    /// Names of its services.
    fn services(self) -> &'static [&'static str] {
        match self {
            Product::OpenSsh => {
                &["ssh", "sshd", "ssh.socket", "sshd.socket", "openssh", "openssh-server"]
            }
            Product::Dropbear => &["dropbear", "dropbear.socket"],
            Product::TinySsh => &["tinysshd", "tinysshd.socket", "tinyssh@.socket", "tinyssh"],
        }
    }

    /// What a unit or a script has that starts it.
    fn mark(self) -> &'static [u8] {
        match self {
            Product::OpenSsh => b"/sshd",
            Product::Dropbear => b"dropbear",
            Product::TinySsh => b"tinysshd",
        }
    }
}

/// The server of a guest.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) product: Product,
    /// Whether anything starts it; `None` if that is not known.
    on: Option<On>,
    /// The unit of the socket that systemd listens at for it.
    pub(super) socket: Option<Vec<u8>>,
    /// The units and scripts that start it.
    units: Vec<Vec<u8>>,
    pub(super) options: Options,
}

/// Finds the server: of several, the one that is on.
pub(super) fn find(case: &mut Case<'_, '_>) -> Result<Option<Server>, Trouble> {
    let init = case.known.init;
    let command_line = case.known.command_line.clone();
    let tree = &mut case.tree;
    let systemd = match init {
        Some(Init::Systemd) => Some(Systemd::read(tree, command_line.as_deref())?),
        _ => None,
    };
    let mut best: Option<Server> = None;
    for product in Product::ALL {
        let is_there = any(tree, product.programs())?;
        let on = match (init, &systemd) {
            (_, Some(systemd)) => Some(systemd.is_on(tree, product.services())?),
            (Some(init), None) => Some(services::is_on(tree, init, product.services())?),
            (None, None) => None,
        };
        // A program may be anywhere that a service finds it, as on NixOS.
        let is_known = matches!(on, Some(On::Yes | On::No | On::Masked));
        let needs_none = product != Product::OpenSsh || tree.is_directory("/nix/store")?;
        if !(is_there || is_known && needs_none) {
            continue;
        }
        let on = match on {
            Some(On::No | On::Absent) if started_otherwise(tree, systemd.as_ref(), product)? => {
                Some(On::Yes)
            }
            on => on,
        };
        let mut server =
            Server { product, on, socket: None, units: Vec::new(), options: Options::default() };
        server.read_units(tree, systemd.as_ref())?;
        if on == Some(On::Yes) {
            best = Some(server);
            break;
        }
        best.get_or_insert(server);
    }
    match &mut best {
        Some(server) => server.options = Options::read(tree)?,
        // Programs and units may be on a volume that was not read, or come with the first boot.
        None if !tree.is_directory("/usr/bin")? => {}
        None if systemd.is_some_and(|systemd| systemd.is_empty()) => {}
        None => case.book.found(
            Code::SshNoServer,
            "There is no SSH server: neither OpenSSH's sshd nor dropbear or tinysshd is where systems have it.",
        ),
    }
    Ok(best)
}

fn any(tree: &mut Tree<'_>, paths: &[&str]) -> Result<bool, Trouble> {
    for path in paths {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a text has these bytes in a line that is no comment.
fn has(tree: &mut Tree<'_>, path: &[u8], mark: &[u8]) -> Result<bool, Trouble> {
    let Some(text) = tree.text_of(path, LOOKED_THROUGH)? else { return Ok(false) };
    let is_in = |line: &[u8]| line.windows(mark.len()).any(|window| window == mark);
    Ok(text.lines().any(|(_, line)| !line.trim_ascii_start().starts_with(b"#") && is_in(line)))
}

/// Whether something else than its own service starts it: a unit of another name, inittab, rc.local.
fn started_otherwise(
    tree: &mut Tree<'_>,
    systemd: Option<&Systemd>,
    product: Product,
) -> Result<bool, Trouble> {
    if systemd.is_none() && has(tree, b"/etc/inittab", product.mark())? {
        return Ok(true);
    }
    for path in ["/etc/rc.local", "/etc/rc.d/rc.local"] {
        let runs = tree.stat(path)?.is_some_and(|found| found.inode.is_executable());
        if runs && has(tree, path.as_bytes(), product.mark())? {
            return Ok(true);
        }
    }
    let Some(systemd) = systemd else { return Ok(false) };
    for name in units_of_the_build(tree)? {
        let path = [UNIT_PATHS[0].as_bytes(), b"/", &name].concat();
        let name = String::from_utf8_lossy(&name).into_owned();
        let is_own = product.services().iter().any(|own| name.starts_with(own));
        if !is_own && has(tree, &path, product.mark())? && systemd.is_on(tree, &[&name])? == On::Yes
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Services that somebody wrote for this system.
fn units_of_the_build(tree: &mut Tree<'_>) -> Result<Vec<Vec<u8>>, Trouble> {
    let entries = tree.list(UNIT_PATHS[0])?.unwrap_or_default();
    let files = entries.into_iter().filter(|entry| entry.kind == Kind::Regular);
    let services = files.map(|entry| entry.name).filter(|name| name.ends_with(b".service"));
    Ok(services.take(MOST_UNITS).collect())
}

impl Server {
    fn read_units(
        &mut self,
        tree: &mut Tree<'_>,
        systemd: Option<&Systemd>,
    ) -> Result<(), Trouble> {
        for service in self.product.services() {
            if let Some(systemd) = systemd {
                let is_socket = service.ends_with(".socket");
                let unit = if service.contains('.') {
                    (*service).into()
                } else {
                    format!("{service}.service")
                };
                let Some(path) = systemd.file(tree, unit.as_bytes())? else { continue };
                if is_socket && systemd.is_on(tree, &[service])? == On::Yes {
                    self.socket.get_or_insert_with(|| path.clone());
                }
                self.units.push(path);
            } else {
                for place in ["/etc/init.d", "/etc/rc.d", "/usr/local/etc/rc.d", "/etc/rc.d/init.d"]
                {
                    let path = format!("{place}/{service}");
                    if tree.is_regular(&path)? {
                        self.units.push(path.into());
                    }
                }
                for place in ["/etc/sv", "/etc/runit/sv"] {
                    let path = format!("{place}/{service}/run");
                    if tree.is_regular(&path)? {
                        self.units.push(path.into());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Judges whether the server starts.
pub(super) fn judge(case: &mut Case<'_, '_>, server: &Server) -> Result<(), Trouble> {
    let name = server.product.name();
    let unit = server.units.first().cloned();
    let found = |case: &Case<'_, '_>, code, said: String| match &unit {
        Some(unit) => case.book.found_at(code, unit, said),
        None => case.book.found(code, said),
    };
    match server.on {
        Some(On::Masked) => {
            found(
                case,
                Code::SshMasked,
                format!("{name} is there, but its unit is masked: nothing starts it."),
            );
        }
        Some(On::No) => {
            found(
                case,
                Code::SshOff,
                format!("{name} is there, but neither its service nor a socket is enabled."),
            );
        }
        Some(On::Absent) => {
            found(case, Code::SshOff, format!("{name} is there, but no service starts it."));
        }
        Some(On::Yes) if case.known.init == Some(Init::Systemd) => {
            for unit in server.product.services().iter().filter(|name| !name.contains('.')) {
                let overrides = Overrides::read(&mut case.tree, &format!("{unit}.service"))?;
                if let Some(obstacle) = overrides.obstacle(&mut case.tree)? {
                    let said = format!("{}, so the SSH server does not start.", obstacle.said);
                    case.book.found_in(Code::SshOff, obstacle.path, obstacle.line, said);
                    break;
                }
            }
        }
        Some(On::Yes) | None => {}
    }
    const KEEPS_OFF: &str = "/etc/ssh/sshd_not_to_be_run";
    if server.product == Product::OpenSsh && case.tree.exists(KEEPS_OFF)? {
        for unit in &server.units {
            if has(&mut case.tree, unit, b"sshd_not_to_be_run")? {
                let said =
                    format!("This file keeps sshd from starting: {} looks for it.", shown(unit));
                case.book.found_at(Code::SshNotToBeRun, KEEPS_OFF, said);
                break;
            }
        }
    }
    Ok(())
}

/// Judges whether the server has keys of its own, or gets some.
pub(super) fn judge_host_keys(
    case: &mut Case<'_, '_>,
    config: &Config,
    server: &Server,
) -> Result<(), Trouble> {
    let provides = case.known.provisioner.clone();
    let tree = &mut case.tree;
    let named = config.all("hostkey", ANYBODY);
    let word = |setting: &Setting| setting.words.first().cloned().unwrap_or_default();
    for setting in &named {
        if tree.exists(word(setting))? {
            return Ok(());
        }
    }
    // Whatever makes keys makes them where sshd has them by default.
    let is_usual = |setting: &&Setting| word(setting).starts_with(b"/etc/ssh/ssh_host_");
    if let Some(setting) = named.first()
        && !named.iter().any(is_usual)
        && !tree.is_directory("/nix/store")?
    {
        let said = format!(
            "sshd uses the host keys that HostKey names alone, and {} is not there.",
            shown(word(setting))
        );
        case.book.found_in(Code::SshHostKeysMissing, &setting.path, setting.line, said);
        return Ok(());
    }
    for place in ["/etc/ssh", "/usr/local/etc/ssh", "/usr/etc/ssh"] {
        let is_key = |name: &Vec<u8>| name.starts_with(b"ssh_host_");
        if tree.names(place, "_key")?.iter().any(is_key) {
            return Ok(());
        }
    }
    // A file of nothing but configuration does not start it, so keys would not be missed.
    if provides.host_keys
        || !matches!(server.on, Some(On::Yes))
        || tree.is_directory("/nix/store")?
    {
        return Ok(());
    }
    let mut disabled = false;
    for path in UNIT_PATHS {
        let path =
            format!("{path}/sshd-keygen@.service.d/disable-sshd-keygen-if-cloud-init-active.conf");
        disabled |= tree.exists(path)?;
    }
    if keys_are_made(tree, server, case.known.init, disabled && provides.starts)? {
        return Ok(());
    }
    let (code, said) = match disabled && provides.starts {
        true => (
            Code::SshHostKeysNever,
            "There are no host keys. cloud-init is on, which keeps sshd-keygen from making some, and makes none itself.",
        ),
        false => (
            Code::SshHostKeysMissing,
            "There are no host keys in /etc/ssh, and nothing was found that makes some before sshd starts.",
        ),
    };
    case.book.found_at(code, "/etc/ssh", said);
    Ok(())
}

/// Whether something makes host keys: the server's own unit, or one for that.
fn keys_are_made(
    tree: &mut Tree<'_>,
    server: &Server,
    init: Option<Init>,
    is_keygen_disabled: bool,
) -> Result<bool, Trouble> {
    let makes = [
        &b"ssh-keygen"[..],
        b"sshd_keygen",
        b"dpkg-reconfigure openssh-server",
        b"sshd_check_keys",
        b"sshdgenkeys",
    ];
    let mut places = server.units.clone();
    for path in ["/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc.firstboot"] {
        places.push(path.into());
    }
    // Units of their own; each is known to be wanted by sshd's where a vendor has it.
    let mut units: Vec<&str> =
        vec!["regenerate_ssh_host_keys.service", "sshdgenkeys.service", "ssh-keygen.service"];
    if !is_keygen_disabled {
        units.extend(["sshd-keygen@.service", "sshd-keygen.service", "sshd-keygen@rsa.service"]);
    }
    if init == Some(Init::Systemd) {
        let systemd = Systemd::read(tree, None)?;
        for unit in units {
            if systemd.file(tree, unit.as_bytes())?.is_some() {
                return Ok(true);
            }
        }
        for name in units_of_the_build(tree)? {
            places.push([UNIT_PATHS[0].as_bytes(), b"/", &name].concat());
        }
        for unit in &server.units {
            let name = unit.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            for path in UNIT_PATHS {
                let directory = [path.as_bytes(), b"/", name, b".d"].concat();
                for name in tree.names(&directory, ".conf")?.into_iter().take(MOST_UNITS) {
                    places.push([&directory[..], b"/", &name].concat());
                }
            }
        }
    }
    for place in places {
        for mark in makes {
            if has(tree, &place, mark)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The address and the port of `host`, `host:port`, `[host]:port` or, of systemd, `port`.
pub(super) fn address(text: &[u8]) -> (&[u8], Option<u16>) {
    let port = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u16>().ok();
    if let Some(rest) = text.strip_prefix(b"[")
        && let Some(end) = rest.iter().position(|&byte| byte == b']')
    {
        return (&rest[..end], rest[end + 1..].strip_prefix(b":").and_then(port));
    }
    if text.iter().all(u8::is_ascii_digit) && !text.is_empty() {
        return (b"", port(text));
    }
    let colons = text.iter().filter(|&&byte| byte == b':').count();
    match text.iter().position(|&byte| byte == b':') {
        Some(at) if colons == 1 => (&text[..at], port(&text[at + 1..])),
        _ => (text, None),
    }
}

/// Whether an address stands for all of a machine.
pub(super) fn is_any(host: &[u8]) -> bool {
    matches!(host, b"" | b"*" | b"0.0.0.0" | b"::" | b"0")
}

/// Where systemd listens for a socket: the last ones that its file and drop-ins name.
pub(super) fn streams(tree: &mut Tree<'_>, unit: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    let name = unit.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec();
    let mut files = vec![unit.to_vec()];
    let mut drop_ins = std::collections::BTreeMap::new();
    for path in UNIT_PATHS {
        let directory = [path.as_bytes(), b"/", &name, b".d"].concat();
        for name in tree.names(&directory, ".conf")?.into_iter().take(MOST_UNITS) {
            let file = [&directory[..], b"/", &name].concat();
            drop_ins.entry(name).or_insert(file);
        }
    }
    files.extend(drop_ins.into_values());
    let mut streams: Vec<Vec<u8>> = Vec::new();
    for file in files {
        let Some(text) = tree.text(file)? else { continue };
        for (_, line) in text.lines() {
            let Some(value) = line.trim_ascii().strip_prefix(b"ListenStream") else { continue };
            let Some(value) = value.trim_ascii_start().strip_prefix(b"=") else { continue };
            match value.trim_ascii() {
                b"" => streams.clear(),
                value if streams.len() < MOST_UNITS => streams.push(value.to_vec()),
                _ => {}
            }
        }
    }
    Ok(streams)
}
