//! Which keywords and values OpenSSH's server takes (servconf.c). It does not start with a line that has another one.

use super::config::Setting;

/// Keywords whose value is `yes` or `no`.
const FLAGS: [&str; 21] = [
    "allowagentforwarding",
    "disableforwarding",
    "exposeauthinfo",
    "hostbasedauthentication",
    "hostbasedusesnamefrompacketonly",
    "ignoreuserknownhosts",
    "kbdinteractiveauthentication",
    "passwordauthentication",
    "permitemptypasswords",
    "permittty",
    "permituserrc",
    "printlastlog",
    "printmotd",
    "pubkeyauthentication",
    "streamlocalbindunlink",
    "strictmodes",
    "tcpkeepalive",
    "usedns",
    "usepam",
    "x11forwarding",
    "x11uselocalhost",
];

const FORWARDING: &[&str] = &["yes", "all", "no", "remote", "local"];

/// Keywords with one of a few values.
const CHOICES: [(&str, &[&str]); 10] = [
    ("addressfamily", &["inet", "inet6", "any"]),
    ("allowstreamlocalforwarding", FORWARDING),
    ("allowtcpforwarding", FORWARDING),
    ("compression", &["yes", "no", "delayed"]),
    ("gatewayports", &["yes", "no", "clientspecified"]),
    ("ignorerhosts", &["yes", "no", "shosts-only"]),
    (
        "loglevel",
        &["quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"],
    ),
    (
        "permitrootlogin",
        &["yes", "no", "without-password", "prohibit-password", "forced-commands-only"],
    ),
    ("permittunnel", &["yes", "no", "point-to-point", "ethernet"]),
    (
        "syslogfacility",
        &[
            "daemon", "user", "auth", "authpriv", "local0", "local1", "local2", "local3", "local4",
            "local5", "local6", "local7",
        ],
    ),
];

/// Keywords with a number.
const NUMBERS: [&str; 4] =
    ["clientalivecountmax", "maxauthtries", "maxsessions", "x11displayoffset"];

/// Keywords with a time.
const TIMES: [&str; 2] = ["clientaliveinterval", "logingracetime"];

/// Keywords with a list of algorithms, perhaps after a sign.
const ALGORITHMS: [&str; 9] = [
    "casignaturealgorithms",
    "ciphers",
    "hostbasedacceptedalgorithms",
    "hostbasedacceptedkeytypes",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
];

/// Keywords with words that have to be there.
const WORDS: [&str; 8] = [
    "allowgroups",
    "allowusers",
    "authenticationmethods",
    "authorizedkeysfile",
    "denygroups",
    "denyusers",
    "listenaddress",
    "port",
];

/// Other keywords that each server has had for years, so that nobody has to ask it.
const OTHERS: [&str; 26] = [
    "acceptenv",
    "authorizedkeyscommand",
    "authorizedkeyscommanduser",
    "authorizedprincipalsfile",
    "banner",
    "chrootdirectory",
    "debianbanner",
    "forcecommand",
    "gssapiauthentication",
    "gssapicleanupcredentials",
    "hostcertificate",
    "hostkey",
    "hostkeyagent",
    "ipqos",
    "kerberosauthentication",
    "maxstartups",
    "permitopen",
    "permituserenvironment",
    "pidfile",
    "rekeylimit",
    "revokedkeys",
    "setenv",
    "subsystem",
    "trustedusercakeys",
    "versionaddendum",
    "xauthlocation",
];

/// What the server's own program has to know, or the server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// A keyword, in lower case.
    Keyword(Vec<u8>),
    /// The name of an algorithm.
    Algorithm(Vec<u8>),
}

impl Doubt {
    /// The bytes that the program has, with a NUL behind them, if it knows this.
    pub(super) fn word(&self) -> &[u8] {
        match self {
            Doubt::Keyword(word) | Doubt::Algorithm(word) => word,
        }
    }
}

/// What of a line no version of the server starts with.
pub(super) fn fault(setting: &Setting) -> Option<&'static str> {
    let keyword = &setting.keyword[..];
    let is_in = |list: &[&str]| list.iter().any(|name| name.as_bytes() == keyword);
    let choices = CHOICES.iter().find(|(name, _)| name.as_bytes() == keyword).map(|(_, it)| *it);
    let choices = choices.or_else(|| is_in(&FLAGS).then_some(&["yes", "no"]));
    let (is_number, is_time, is_list) = (is_in(&NUMBERS), is_in(&TIMES), is_in(&ALGORITHMS));
    let is_single = choices.is_some() || is_number || is_time || is_list || keyword == b"port";
    let Some(value) = setting.words.first() else {
        return (is_single || is_in(&WORDS)).then_some("it has no value");
    };
    if is_single && setting.words.len() > 1 {
        return Some("it has more than one value");
    }
    let is_taken = match choices {
        Some(choices) => choices.iter().any(|choice| value.eq_ignore_ascii_case(choice.as_bytes())),
        None if is_number => number(value).is_some_and(|number| number <= i32::MAX as u64),
        None if is_time => is_a_time(value),
        // What a list takes away is not checked.
        None if is_list => {
            value.starts_with(b"-") || !names(value).any(|name| name == b"none" || name.is_empty())
        }
        // What is no number is the name of a service.
        None if keyword == b"port" && value.first().is_some_and(u8::is_ascii_digit) => {
            number(value).is_some_and(|port| (1..=65535).contains(&port))
        }
        None => true,
    };
    (!is_taken).then_some("it has a value that the server does not take")
}

/// What of a line only the server's own program can tell.
pub(super) fn doubts(setting: &Setting) -> Vec<Doubt> {
    let keyword = &setting.keyword[..];
    let is_in = |list: &[&str]| list.iter().any(|name| name.as_bytes() == keyword);
    if is_in(&ALGORITHMS) {
        let value = setting.words.first().map_or(&b""[..], |value| value);
        // A list that takes algorithms away may name what is not there, and lists of keys may have patterns.
        let has_patterns = !is_in(&["ciphers", "kexalgorithms", "macs"]);
        let is_pattern = |name: &[u8]| name.iter().any(|byte| b"*?!".contains(byte));
        let is_certain = |name: &&[u8]| !(has_patterns && is_pattern(name));
        return match value.first() {
            Some(b'-') => Vec::new(),
            _ => names(value)
                .filter(is_certain)
                .map(|name| Doubt::Algorithm(name.to_vec()))
                .collect(),
        };
    }
    let is_choice = CHOICES.iter().any(|(name, _)| name.as_bytes() == keyword);
    let lists: [&[&str]; 5] = [&FLAGS, &NUMBERS, &TIMES, &WORDS, &OTHERS];
    match is_choice || lists.into_iter().any(is_in) {
        true => Vec::new(),
        false => vec![Doubt::Keyword(keyword.to_vec())],
    }
}

/// The names of a list of algorithms, without the sign before it.
fn names(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = match value.first() {
        Some(b'+' | b'-' | b'^') => &value[1..],
        _ => value,
    };
    list.split(|&byte| byte == b',')
}

/// A decimal number without a sign.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Whether this is a time as convtime of OpenSSH reads it: numbers, each perhaps with a unit.
fn is_a_time(text: &[u8]) -> bool {
    let mut digits = 0;
    for byte in text {
        match byte {
            b'0'..=b'9' if digits < 9 => digits += 1,
            b's' | b'S' | b'm' | b'M' | b'h' | b'H' | b'd' | b'D' | b'w' | b'W' if digits > 0 => {
                digits = 0;
            }
            _ => return false,
        }
    }
    !text.is_empty()
}
