//! What ds-identify decides on a Droplet, step by step: whether cloud-init runs at all, and with which list of
//! datasources.
//!
//! It looks at bytes as the script's shell does. On a Droplet there are a config drive (a file system labelled `config-2`)
//! and DigitalOcean's name in DMI; what else is found, the image itself has.

use super::script::{Cut, Reading, Script};
use super::seen::{CLOUD_CFG, ConfigFile, Seen};
use super::shell;

/// Where the script may lie.
pub(super) const SCRIPTS: [&str; 3] = [
    "/usr/lib/cloud-init/ds-identify",
    "/usr/libexec/cloud-init/ds-identify",
    "/usr/local/lib/cloud-init/ds-identify",
];

/// Why it came out so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// The policy says it.
    Policy,
    /// `datasource` of `ds-identify.cfg`, or the command line, names one.
    Chosen,
    /// The instance that the image was left with is kept.
    ManualClean,
    /// The list has one name, which is not looked for.
    OnlyOne(Option<Place>),
    /// These of the list were found.
    Probed(Option<Place>),
    /// None of the list was found.
    NothingFound(Option<Place>),
}

/// Where a list comes from: path and line; `None` of the path for the command line.
pub(super) type Place = (Option<Vec<u8>>, u32);

/// What it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// Whether cloud-init runs.
    pub(super) enabled: bool,
    /// What it writes into cloud-init's `datasource_list` between the brackets, if it does.
    pub(super) list: Option<Vec<u8>>,
    pub(super) because: Because,
}

/// What a check returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Found,
    Maybe,
    Not,
}

/// A policy.
#[derive(Clone, Debug)]
struct Policy {
    mode: Vec<u8>,
    found: Vec<u8>,
    maybe: Vec<u8>,
    not_found: Vec<u8>,
}

impl Policy {
    /// Reads a policy; what it does not say, `default` does.
    fn read(text: &[u8], default: &Policy) -> Policy {
        let mut policy = default.clone();
        for token in shell::by_commas(text) {
            let value = shell::behind(token, b'=').to_vec();
            match token {
                b"enabled" | b"disabled" | b"search" | b"report" => policy.mode = value,
                b"found=all" | b"found=first" => policy.found = value,
                b"maybe=all" | b"maybe=none" => policy.maybe = value,
                b"notfound=enabled" | b"notfound=disabled" => policy.not_found = value,
                _ if token.starts_with(b"found=") => policy.found.clone_from(&default.found),
                _ if token.starts_with(b"maybe=") => policy.maybe.clone_from(&default.maybe),
                _ if token.starts_with(b"notfound=") => {
                    policy.not_found.clone_from(&default.not_found);
                }
                _ => {}
            }
        }
        policy
    }
}

/// What the list is written as: `None` is put at its end if it has none.
fn with_none<'n>(names: impl IntoIterator<Item = &'n [u8]>) -> Vec<u8> {
    let names = names.into_iter().take_while(|name| *name != b"--");
    let mut list = names.collect::<Vec<_>>().join(&b", "[..]);
    let padded = [b" ", &list[..], b" "].concat();
    if !list.is_empty() && !shell::has(&padded, b" None, ") && !padded.ends_with(b" None ") {
        list.extend_from_slice(b", None");
    }
    list
}

/// A run of a script over an image.
struct Run<'a> {
    script: &'a Script,
    seen: &'a Seen,
}

/// What the script decides. Whether cloud-init is switched off has to be known before.
pub(super) fn decide(script: &Script, seen: &Seen) -> Decision {
    let run = Run { script, seen };
    let (name, policy) = run.settings();
    let is_search = policy.mode == b"search";
    let decided = |enabled, list: Option<Vec<u8>>, because| Decision {
        enabled,
        // What is reported only goes to a key that cloud-init ignores.
        list: list.filter(|_| is_search),
        because,
    };
    match &policy.mode[..] {
        b"disabled" => return decided(false, None, Because::Policy),
        b"enabled" => return decided(true, None, Because::Policy),
        _ => {}
    }
    if !name.is_empty() {
        return decided(true, Some(with_none([&name[..]])), Because::Chosen);
    }
    if seen.manual_clean {
        return decided(true, None, Because::ManualClean);
    }
    let (list, place) = run.list();
    let names: Vec<&[u8]> = shell::fields(&list).collect();
    match names[..] {
        [one] if script.keeps_one => {
            return decided(true, Some(one.to_vec()), Because::OnlyOne(place));
        }
        [_] | [_, b"None"] => {
            return decided(true, Some(with_none(names)), Because::OnlyOne(place));
        }
        _ => {}
    }
    let (mut found, mut maybe) = (Vec::new(), Vec::new());
    for name in names {
        match run.check(name) {
            Check::Found => found.push(name),
            Check::Maybe => maybe.push(name),
            Check::Not => {}
        }
    }
    if !found.is_empty() {
        if found.len() > 1 && policy.found == b"first" {
            found.truncate(1);
        }
        return decided(true, Some(with_none(found)), Because::Probed(place));
    }
    if !maybe.is_empty() && policy.maybe != b"none" {
        return decided(true, Some(with_none(maybe)), Because::Probed(place));
    }
    let enabled = !is_search || policy.not_found == b"enabled";
    decided(enabled, None, Because::NothingFound(place))
}

impl Run<'_> {
    fn trim(&self, text: &[u8]) -> Vec<u8> {
        match self.script.joins_blanks {
            true => shell::joined_fields(text),
            false => shell::trimmed(text).to_vec(),
        }
    }

    /// The datasource that is chosen, or nothing, and the policy.
    fn settings(&self) -> (Vec<u8>, Policy) {
        let (mut name, mut policy) = (Vec::new(), Vec::new());
        for (key, value) in self.policy_file() {
            match &key[..] {
                b"datasource" => name = value,
                b"policy" => policy = value,
                _ => {}
            }
        }
        for token in shell::fields(&self.seen.command_line) {
            let key = shell::before(token, b'=');
            let mut value = shell::behind(token, b'=');
            value = match self.script.cut {
                Cut::Nothing => value,
                Cut::FirstSemicolon => shell::before(value, b';'),
                Cut::LastSemicolon => {
                    value.iter().rposition(|&byte| byte == b';').map_or(value, |at| &value[..at])
                }
            };
            match key {
                b"ds" if self.script.takes_ds => name = value.to_vec(),
                b"ci.ds" | b"ci.datasource" => name = value.to_vec(),
                b"ci.di.policy" => policy = value.to_vec(),
                _ => {}
            }
        }
        let nothing = Policy {
            mode: Vec::new(),
            found: Vec::new(),
            maybe: Vec::new(),
            not_found: Vec::new(),
        };
        let default = Policy::read(&self.script.default_policy, &nothing);
        (name, Policy::read(&policy, &default))
    }

    /// Keys and values of `ds-identify.cfg`.
    fn policy_file(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let text = self.seen.policy_file.as_deref().unwrap_or_default();
        let mut pairs = Vec::new();
        for (_, line) in shell::read_lines(text) {
            let line = shell::before(&line, b'#');
            if line.contains(&b':') {
                let value = self.trim(shell::behind(line, b':'));
                let key = self.trim(shell::before(line, b':'));
                pairs.push((key, shell::unquoted(&value).to_vec()));
            }
        }
        pairs
    }

    /// The list, as words, and where it is.
    fn list(&self) -> (Vec<u8>, Option<Place>) {
        let line = &self.seen.command_line;
        if let Some(at) = shell::find(line, b"cc:")
            && let Some(key) = shell::rfind(line, b"datasource_list")
            && key > at + 2
        {
            let value = shell::before(&line[key + b"datasource_list".len()..], b']');
            let list = self.array(shell::behind_last(value, b'['));
            if !list.is_empty() {
                return (list, Some((None, 0)));
            }
        }
        let found = self.setting(b"datasource_list", |_| true);
        let found = found.and_then(|(value, place)| match self.script.reading {
            Reading::Grep => {
                let value = shell::trimmed(shell::behind_last(&value, b':')).to_vec();
                let inner = value.strip_suffix(b"]").unwrap_or(&value);
                let inner = inner.strip_prefix(b"[").unwrap_or(inner);
                (!shell::trimmed(inner).is_empty()).then_some((value, place))
            }
            _ => Some((value, place)),
        });
        match found.map(|(value, place)| (self.array(&value), place)) {
            Some((list, place)) if !list.is_empty() => (list, Some(place)),
            _ => (self.script.default_list.clone(), None),
        }
    }

    /// The words of an array that is written in a line.
    fn array(&self, value: &[u8]) -> Vec<u8> {
        let value = value.strip_prefix(b"[").unwrap_or(value);
        let value = value.strip_suffix(b"]").unwrap_or(value);
        let mut words = Vec::new();
        for token in shell::by_commas(value) {
            words.push(b' ');
            words.extend_from_slice(shell::unquoted(&self.trim(token)));
        }
        words.strip_prefix(b" ").unwrap_or_default().to_vec()
    }

    /// What the script takes for the value of a key in files of these names, and where it is.
    fn setting(
        &self,
        key: &[u8],
        wanted: impl Fn(&ConfigFile) -> bool,
    ) -> Option<(Vec<u8>, Place)> {
        let mut found = None;
        for file in self.seen.config.iter().filter(|file| wanted(file)) {
            let mut note = |value: &[u8], number| {
                found = Some((value.to_vec(), (Some(file.path.clone()), number)));
            };
            if self.script.reading == Reading::Lines {
                for (number, line) in shell::read_lines(&file.bytes) {
                    let line = shell::before(&line, b'#');
                    let Some(rest) = line.strip_prefix(key) else { continue };
                    if rest == b":" || rest.starts_with(b": ") {
                        note(rest.strip_prefix(b": ").unwrap_or_default(), number);
                    }
                }
                continue;
            }
            for (number, line) in (1..).zip(file.bytes.split(|&byte| byte == b'\n')) {
                if !self.matches(key, line) {
                    continue;
                }
                // As grep prints it, and as the script takes the path off again.
                let printed = [&file.path[..], b":", line].concat();
                let printed = shell::before(&printed, b'#');
                let path = shell::before(printed, b':');
                let line = match self.script.reading {
                    Reading::FirstGrep => shell::behind(printed, b':'),
                    _ => printed[path.len()..].strip_prefix(b":").unwrap_or(printed),
                };
                if line.is_empty() && self.script.reading == Reading::Grep {
                    continue;
                }
                note(shell::find(line, b": ").map_or(line, |at| &line[at + 2..]), number);
            }
        }
        found
    }

    /// Whether grep finds the key in a line: somewhere, with quotes and blanks between it and a colon.
    fn matches(&self, key: &[u8], line: &[u8]) -> bool {
        let mut rest = line;
        while let Some(at) = shell::find(rest, key) {
            rest = &rest[at + key.len()..];
            let behind = match self.script.reading {
                Reading::FirstGrep => rest.strip_prefix(b"\"").unwrap_or(rest),
                _ => {
                    let quotes =
                        rest.iter().take_while(|&&b| matches!(b, b'"' | b'\\' | b'\'')).count();
                    let behind = &rest[quotes..];
                    let blanks = behind.iter().take_while(|byte| shell::is_space(**byte)).count();
                    &behind[blanks..]
                }
            };
            if behind.first() == Some(&b':') {
                return true;
            }
        }
        false
    }

    fn is_set(&self, key: &str) -> bool {
        self.setting(key.as_bytes(), |_| true).is_some()
    }

    /// Looks for a datasource. Those that are not named here look for a machine that is no Droplet.
    fn check(&self, name: &[u8]) -> Check {
        if !self.script.checks.iter().any(|check| check == name) {
            return Check::Not;
        }
        let seen = self.seen;
        let found = match name {
            b"DigitalOcean" => true,
            b"ConfigDrive" => seen.has_label(["CONFIG-2", "config-2"]),
            b"NoCloud" => self.finds_no_cloud(),
            b"MAAS" => self.finds_maas(),
            b"OpenNebula" => {
                seen.seeds.contains(&"OpenNebula") || seen.has_label(["CONTEXT", "CDROM"])
            }
            b"RbxCloud" => seen.has_label(["CLOUDMD", "cloudmd"]),
            b"Scaleway" => seen.seeds.contains(&"Scaleway") || seen.has_word("scaleway"),
            b"Vultr" => seen.seeds.contains(&"Vultr") || seen.has_word("vultr"),
            b"Ec2" if !seen.seeds.contains(&"Ec2") => return self.finds_ec2(),
            name => seen.seeds.iter().any(|seed| seed.as_bytes() == name),
        };
        if found { Check::Found } else { Check::Not }
    }

    fn finds_no_cloud(&self) -> bool {
        let line = [b" ", &self.seen.command_line[..]].concat();
        if self.script.nocloud_by_command_line && shell::has(&line, b" ds=nocloud") {
            return true;
        }
        if self.seen.seeds.contains(&"NoCloud") || self.seen.has_label(["cidata", "CIDATA"]) {
            return true;
        }
        self.is_set("NoCloud")
            && (self.is_set("user-data") && self.is_set("meta-data")
                || self.script.seedfrom && self.is_set("seedfrom"))
    }

    fn finds_maas(&self) -> bool {
        const NAME: &[u8] = b"iqn.2004-05.com.ubuntu:maas";
        const URL: &[u8] = b"cloud-config-url=";
        let line = &self.seen.command_line[..];
        let both = |first: &[u8], second: &[u8]| {
            let at = shell::find(line, first);
            at.is_some_and(|at| shell::has(&line[at + first.len()..], second))
        };
        both(URL, NAME) || both(NAME, URL) || self.script.maas_by_config && self.is_set("MAAS")
    }

    /// Where nothing says that it is Ec2, a setting may call for a look all the same.
    fn finds_ec2(&self) -> Check {
        const KEY: &[u8] = b"ci.datasource.ec2.strict_id";
        let line = [b" ", &self.seen.command_line[..], b" "].concat();
        let on_line = [KEY, b"="].concat();
        let strict = if shell::has(&line, &[b" ", &on_line[..]].concat()) {
            let from = shell::rfind(&line, &on_line).unwrap_or_default() + on_line.len();
            shell::before(&line[from..], b' ').to_vec()
        } else if let Some((value, _)) = self.setting(b"strict_id", is_of_ec2) {
            value
        } else {
            let pairs = self.policy_file();
            pairs
                .into_iter()
                .find(|(key, _)| key == KEY)
                .map(|(_, value)| value)
                .unwrap_or_default()
        };
        let says_warn = strict
            .strip_prefix(b"warn,")
            .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit));
        match &strict[..] {
            b"false" | b"warn" => Check::Maybe,
            _ if says_warn => Check::Maybe,
            _ => Check::Not,
        }
    }
}

/// Whether a setting of Ec2 is looked for in this file.
fn is_of_ec2(file: &ConfigFile) -> bool {
    let name = file.name().strip_suffix(b".cfg").unwrap_or_default().to_ascii_lowercase();
    file.path == CLOUD_CFG || shell::has(&name, b"ec2")
}
