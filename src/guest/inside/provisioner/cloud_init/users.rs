//! Who gets a Droplet's keys, and may use them.

use std::collections::BTreeMap;

use super::super::super::{Case, Made, shown};
use super::config::Config;
use super::yaml::{Node, Value};
use crate::facts::Code;
use crate::guest::fs::Trouble;

/// The lists of modules, by the stages that run them.
const STAGES: [&str; 3] = ["cloud_init_modules", "cloud_config_modules", "cloud_final_modules"];

/// Who gets the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// Whether somebody does.
    pub(super) reach: bool,
    pub(super) user: Option<String>,
    /// How that user is made.
    pub(super) made: Option<Made>,
    /// Whether root gets them without a command that sends root away.
    pub(super) root: bool,
    pub(super) host_keys: bool,
    pub(super) grows: bool,
}

/// Whether a module runs in any stage.
fn runs(config: &Config, name: &str) -> bool {
    let is_it = |text: &str| {
        let text = text.replace('-', "_");
        let text = text.trim().trim_end_matches(".py");
        text.strip_prefix("cc_").unwrap_or(text) == name
    };
    let names = |node: &Node| match &node.value {
        Value::Text(text) => is_it(text),
        Value::List(list) => list.first().and_then(Node::text).is_some_and(is_it),
        Value::Map(_) => node.get("name").and_then(Node::text).is_some_and(is_it),
        _ => false,
    };
    STAGES.iter().any(|stage| {
        let list = config.get(&[stage]).and_then(Node::list);
        list.is_some_and(|list| list.iter().any(names))
    })
}

/// The users of the configuration: each name with what is said of it. `default` stands for the default user.
fn users(config: &Config) -> BTreeMap<String, Vec<&Node>> {
    let mut users: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    };
    let Some(node) = config.get(&["users"]) else { return users };
    match &node.value {
        Value::Text(text) => {
            for name in split(text) {
                users.entry(name).or_default();
            }
        }
        Value::Map(map) => {
            for (name, node) in map {
                if matches!(node.value, Value::Map(_)) || node.is_true() {
                    users.entry(name.clone()).or_default().push(node);
                }
            }
        }
        Value::List(list) => {
            for node in list {
                match &node.value {
                    Value::Text(text) => {
                        for name in split(text) {
                            users.entry(name).or_default();
                        }
                    }
                    Value::Map(_) => {
                        let name = node.get("name").and_then(Node::text).unwrap_or("default");
                        users.entry(name.to_owned()).or_default().push(node);
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    users
}

/// The name of the default user, if the configuration makes one.
fn default_user(config: &Config, users: &BTreeMap<String, Vec<&Node>>) -> Option<String> {
    let name = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => node.get("name").and_then(Node::text).map(str::to_owned),
    };
    // An older way to name it, which also makes it.
    let older = config.get(&["user"]).filter(|node| node.value != Value::Null);
    if older.is_none() && !users.contains_key("default") {
        return None;
    }
    let of_system = config.get(&["system_info", "default_user"]);
    older.and_then(name).or_else(|| of_system.and_then(name)).filter(|name| !name.is_empty())
}

/// How the module users_groups makes the default user.
fn made(config: &Config, users: &BTreeMap<String, Vec<&Node>>, name: &str) -> Made {
    // What an entry says of it counts before what the settings of the system say.
    let entries = ["default", name].into_iter().filter_map(|entry| users.get(entry)).flatten();
    let mut nodes: Vec<&Node> = entries.copied().collect();
    nodes.extend(config.get(&["user"]));
    nodes.extend(config.get(&["system_info", "default_user"]));
    let field = |names: [&str; 2]| {
        nodes.iter().find_map(|node| names.iter().find_map(|name| node.get(name)))
    };
    let word = |text: &str| text.trim().as_bytes().to_vec();
    let words = |node: &Node| -> Vec<Vec<u8>> {
        match &node.value {
            Value::Text(text) => text.split(',').map(word).collect(),
            Value::List(list) => list.iter().filter_map(Node::text).map(word).collect(),
            Value::Map(map) => map.keys().map(|name| word(name)).collect(),
            _ => Vec::new(),
        }
    };
    let primary = field(["primary_group", "primary-group"]).and_then(Node::text).unwrap_or(name);
    let mut groups = vec![word(primary)];
    groups.extend(field(["groups", "groups"]).map(words).unwrap_or_default());
    let has_password = [
        ["plain_text_passwd", "plain-text-passwd"],
        ["hashed_passwd", "hashed-passwd"],
        ["passwd", "passwd"],
    ]
    .into_iter()
    .any(|names| field(names).is_some_and(|node| node.value != Value::Null));
    let is_unlocked =
        field(["lock_passwd", "lock-passwd"]).is_some_and(|node| !node.is_true()) && has_password;
    // The module set_passwords gives it one, which unlocks it.
    let later = ["password", "chpasswd"].iter().any(|key| config.get(&[key]).is_some());
    let shell = field(["shell", "shell"]);
    let at = shell.or(nodes.last().copied());
    Made {
        shell: shell.and_then(Node::text).map(word),
        groups,
        locked: !is_unlocked && !later,
        at: at.map(|node| (config.path(node).to_vec(), node.line)).unwrap_or_default(),
    }
}

/// Writes down what keeps keys from everybody, and passwords that are baked in.
pub(super) fn judge(case: &mut Case<'_, '_>, config: &Config) -> Result<Keys, Trouble> {
    let users = users(config);
    let user = default_user(config, &users);
    judge_passwords(case, config, &users);
    let mut keys = Keys {
        made: user.as_deref().map(|name| made(config, &users, name)),
        user: user.clone(),
        root: !config.is_on(&["disable_root"], true),
        host_keys: makes_host_keys(case, config)?,
        grows: grows(case, config)?,
        reach: true,
    };
    // Whoever has keys of the image can log in, and nobody knows who that is.
    let others = has_own_keys(case, &users)?;
    let makes_users = runs(config, "users_groups");
    let why = if !runs(config, "ssh") {
        Some((
            config.get(&["cloud_init_modules"]),
            "The module ssh of cloud-init, which writes the keys, is in no list of modules."
                .to_owned(),
        ))
    } else if let Some(off) = config.get(&["allow_public_ssh_keys"]).filter(|node| !node.is_true())
    {
        Some((
            Some(off),
            "cloud-init is configured to write no keys (allow_public_ssh_keys).".to_owned(),
        ))
    } else {
        match &user {
            None if keys.root => None,
            None => Some((
                config.get(&["users"]),
                "cloud-init makes no default user, and sends root away (disable_root), so nobody can use the keys.".to_owned(),
            )),
            Some(name) if name == "root" && !keys.root => Some((
                config.get(&["disable_root"]),
                "The default user is root, and cloud-init sends root away (disable_root), so nobody can use the keys.".to_owned(),
            )),
            Some(name) if !makes_users && !keys.root && !has_account(case, name)? => Some((
                config.get(&["cloud_init_modules"]),
                format!("The default user {} is not there, and the module users_groups of cloud-init, which would make it, is in no list of modules.", shown(name)),
            )),
            Some(_) => None,
        }
    };
    if let Some((node, why)) = why {
        keys.reach = false;
        // A file that was not evaluated may say otherwise.
        let code = if others || !config.is_certain() {
            Code::ProvisionerKeysOwn
        } else {
            Code::ProvisionerKeys
        };
        match node {
            Some(node) => case.book.found_in(code, config.path(node), node.line, why),
            None => case.book.found(code, why),
        }
    }
    if keys.user.is_some() && !makes_users && !keys.reach {
        keys.user = None;
    }
    Ok(keys)
}

fn judge_passwords(case: &Case<'_, '_>, config: &Config, users: &BTreeMap<String, Vec<&Node>>) {
    let on = |key: &str| config.get(&[key]).filter(|node| node.is_true());
    let set = |key: &str| config.get(&[key]).filter(|node| node.value != Value::Null);
    if let Some(node) = on("ssh_pwauth") {
        let said = "cloud-init switches logins by password on (ssh_pwauth). A Droplet is to be reached by key alone.";
        case.book.found_in(Code::ProvisionerPasswords, config.path(node), node.line, said);
    }
    let baked = set("password").or_else(|| {
        set("chpasswd").filter(|node| ["list", "users"].iter().any(|key| node.get(key).is_some()))
    });
    let of_user = users.values().flatten().find_map(|node| {
        let fields =
            ["plain_text_passwd", "hashed_passwd", "passwd", "plain-text-passwd", "hashed-passwd"];
        fields.iter().find_map(|field| node.get(field)).filter(|node| node.value != Value::Null)
    });
    if let Some(node) = baked.or(of_user) {
        let said = "cloud-init's configuration has a password, which is the same on all Droplets made from this image.";
        case.book.found_in(Code::ProvisionerPasswords, config.path(node), node.line, said);
    }
}

/// Whether somebody has keys that the image brings along.
fn has_own_keys(
    case: &mut Case<'_, '_>,
    users: &BTreeMap<String, Vec<&Node>>,
) -> Result<bool, Trouble> {
    let fields = ["ssh_authorized_keys", "ssh-authorized-keys", "ssh_import_id", "ssh-import-id"];
    if users.values().flatten().any(|node| fields.iter().any(|field| node.get(field).is_some())) {
        return Ok(true);
    }
    let has = |case: &mut Case<'_, '_>, home: &[u8]| {
        let path = [home, b"/.ssh/authorized_keys"].concat();
        let found = case.tree.stat(&path)?;
        Ok::<bool, Trouble>(found.is_some_and(|found| found.inode.size > 0))
    };
    if has(case, b"/root")? {
        return Ok(true);
    }
    for entry in case.tree.list("/home")?.unwrap_or_default().iter().take(64) {
        if has(case, &[b"/home/", &entry.name[..]].concat())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_account(case: &mut Case<'_, '_>, name: &str) -> Result<bool, Trouble> {
    let Some(text) = case.tree.text("/etc/passwd")? else { return Ok(false) };
    let is_it = |line: &[u8]| {
        line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'))
    };
    Ok(text.lines().any(|(_, line)| is_it(line)))
}

/// Whether it makes host keys of a Droplet's own.
fn makes_host_keys(case: &mut Case<'_, '_>, config: &Config) -> Result<bool, Trouble> {
    let makes =
        config.get(&["ssh_genkeytypes"]).and_then(Node::list).is_none_or(|kinds| !kinds.is_empty());
    if !runs(config, "ssh") || !makes {
        return Ok(false);
    }
    if config.is_on(&["ssh_deletekeys"], true) {
        return Ok(true);
    }
    let names = case.tree.names("/etc/ssh", "_key")?;
    Ok(!names.iter().any(|name| name.starts_with(b"ssh_host_")))
}

/// Whether it grows the root.
fn grows(case: &mut Case<'_, '_>, config: &Config) -> Result<bool, Trouble> {
    if !runs(config, "growpart") || !runs(config, "resizefs") {
        return Ok(false);
    }
    let mode = config.get(&["growpart", "mode"]).and_then(Node::text).unwrap_or("auto");
    if ["off", "false", "no"].contains(&mode.to_ascii_lowercase().as_str()) {
        return Ok(false);
    }
    for tool in ["/usr/bin/growpart", "/usr/sbin/growpart", "/bin/growpart", "/sbin/gpart"] {
        if case.tree.exists(tool)? {
            return Ok(true);
        }
    }
    Ok(false)
}
