//! Which ds-identify an image has: what changed from one release to the next and what a distribution patched is read
//! from the script itself, as its version does not tell.

use super::shell;

/// How the script looks for a key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Line by line: the key has to begin its line (up to 23.3, and 24.1).
    Lines,
    /// By grep, and a comment hides what was found before it (23.4).
    FirstGrep,
    /// By grep (24.2 and later).
    Grep,
}

/// How much of a value of the command line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// All of it.
    Nothing,
    /// What is before its last semicolon.
    LastSemicolon,
    /// What is before its first semicolon.
    FirstSemicolon,
}

/// What a ds-identify does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// The list that it takes where nothing sets one.
    pub(super) default_list: Vec<u8>,
    /// The policy that it takes where nothing sets one.
    pub(super) default_policy: Vec<u8>,
    /// The datasources that it can look for.
    pub(super) checks: Vec<Vec<u8>>,
    pub(super) reading: Reading,
    /// Whether blanks within a value become one.
    pub(super) joins_blanks: bool,
    /// Whether a list of one name stays without `None`.
    pub(super) keeps_one: bool,
    /// Whether `ds=` of the command line chooses a datasource.
    pub(super) takes_ds: bool,
    /// Whether `ds=nocloud` of the command line is evidence for NoCloud.
    pub(super) nocloud_by_command_line: bool,
    pub(super) cut: Cut,
    /// Whether `seedfrom` is evidence for NoCloud.
    pub(super) seedfrom: bool,
    /// Whether `MAAS` in the configuration is evidence for it.
    pub(super) maas_by_config: bool,
    /// Whether the script itself looks whether cloud-init is switched off; else its generator does.
    pub(super) looks_for_the_switch: bool,
}

impl Script {
    /// What this script does; `None` if it is no ds-identify that is known here.
    pub(super) fn of(text: &[u8]) -> Option<Script> {
        let default_list = assigned(text, b"DI_DSLIST_DEFAULT")?;
        let default_policy = assigned(text, b"DI_DEFAULT_POLICY")?;
        let has = |part: &str| shell::has(text, part.as_bytes());
        let reading = if !has("check_config()") || !has("read_datasource_list()") {
            return None;
        } else if has("grep \"$key[") && has("get_single_line_flow_sequence()") {
            Reading::Grep
        } else if has("grep \"$key\\\"\\?:\"") {
            Reading::FirstGrep
        } else if has("while read line; do") && has("$key:\\ *|\"${key}\":)") {
            Reading::Lines
        } else {
            return None;
        };
        let lines = || text.split(|&byte| byte == b'\n').map(shell::trimmed);
        let cut = match (has("val=${val%%;*}"), has("val=${val%;*}")) {
            (true, _) => Cut::FirstSemicolon,
            (_, true) => Cut::LastSemicolon,
            _ => Cut::Nothing,
        };
        Some(Script {
            default_list: shell::joined_fields(&default_list),
            default_policy,
            checks: lines()
                .filter_map(|line| line.strip_prefix(b"dscheck_")?.split(|&b| b == b'(').next())
                .map(<[u8]>::to_vec)
                .collect(),
            reading,
            joins_blanks: lines().any(|line| line == b"set -- $*"),
            keeps_one: has("write_result \"datasource_list: [ $1 ]\""),
            takes_ds: lines().any(|line| line.starts_with(b"ds) _rc_dsname=")),
            nocloud_by_command_line: lines()
                .filter(|line| *line == b"*\\ ds=nocloud*) return ${DS_FOUND};;")
                .count()
                > 1,
            cut,
            seedfrom: has("check_config \"seedfrom\""),
            maas_by_config: has("check_config \"MAAS\""),
            looks_for_the_switch: has("is_disabled()"),
        })
    }
}

/// What a line of the script assigns to a variable, in double quotes: lines that a backslash joins are joined, and the
/// two variables that policies are made of are put in.
fn assigned(text: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mark = [b"\n", name, b"=\""].concat();
    let from = shell::find(text, &mark)? + mark.len();
    let value = shell::before(&text[from..], b'"');
    let mut value = value.to_vec();
    for (from, to) in [("\\\n", ""), ("${DI_DISABLED}", "disabled"), ("${DI_ENABLED}", "enabled")] {
        while let Some(at) = shell::find(&value, from.as_bytes()) {
            value.splice(at..at + from.len(), to.bytes());
        }
    }
    Some(value)
}
