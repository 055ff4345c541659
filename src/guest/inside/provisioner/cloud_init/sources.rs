//! Where cloud-init takes a Droplet's data from: from the config drive or the metadata of DigitalOcean, or from what the
//! image brings along.

use super::super::super::{Case, shown};
use super::config::Config;
use super::identify::{Because, Decision, Place};
use super::package::Package;
use super::shell;
use super::yaml::{Node, Value};
use crate::facts::Code;
use crate::guest::fs::Trouble;

/// The datasources that a Droplet has data for.
const OF_A_DROPLET: [&str; 2] = ["ConfigDrive", "DigitalOcean"];

/// Where NoCloud's seed may lie.
const NO_CLOUD: [&str; 2] = ["/var/lib/cloud/seed/nocloud", "/var/lib/cloud/seed/nocloud-net"];

/// Where seeds of a config drive may lie.
const CONFIG_DRIVE: [&str; 2] = ["/var/lib/cloud/seed/config_drive", "/config-drive"];

/// Seeds of datasources that need no network: each is looked for before a network is there.
const SEEDS: [(&str, &str); 4] = [
    ("OpenNebula", "/var/lib/cloud/seed/opennebula/context.sh"),
    ("OVF", "/var/lib/cloud/seed/ovf/ovf-env.xml"),
    ("Azure", "/var/lib/cloud/seed/azure/ovf-env.xml"),
    ("Bigstep", "/var/lib/cloud/data/seed/bigstep/url"),
];

/// How sure it is that a datasource has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Data,
    Perhaps,
    Nothing,
}

/// The list that counts in the end.
struct Counts {
    /// The names; `None` for the list that cloud-init has built in, which has all.
    names: Option<Vec<String>>,
    place: Option<Place>,
    /// Whether nothing that was not evaluated could change it.
    certain: bool,
}

/// Writes down what is wrong with the datasources. The one that counts, if it is one of a Droplet.
pub(super) fn judge(
    case: &mut Case<'_, '_>,
    package: &Package,
    decision: Option<&Decision>,
    config: &Config,
) -> Result<Option<&'static str>, Trouble> {
    if let Some(decision) = decision
        && !decision.enabled
    {
        judge_disabled(case, decision, config);
        return Ok(None);
    }
    if is_kept(case, decision, config)? {
        return Ok(None);
    }
    let counts = counting(decision, config);
    if let Some(Decision { because: Because::OnlyOne(None) | Because::Probed(None), .. }) = decision
        && let Some(list) = config.get(&["datasource_list"])
        && list.list().is_some()
    {
        let said = "ds-identify does not see this list, because it is not written in one line, and looks for every datasource that it knows.";
        case.book.found_in(Code::ProvisionerListUnseen, config.path(list), list.line, said);
    }
    let all = || OF_A_DROPLET.iter().map(|&name| name.to_owned());
    let names = counts.names.clone().unwrap_or_else(|| {
        // Of the list that is built in, these come first.
        std::iter::once("NoCloud".to_owned()).chain(all()).collect()
    });
    let mut ours = Vec::new();
    for name in &names {
        if let Some(name) = OF_A_DROPLET.iter().find(|ours| ours.eq_ignore_ascii_case(name)) {
            ours.push((*name, package.has_source(&mut case.tree, name)?));
        }
    }
    if ours.is_empty() {
        if counts.certain {
            let list = names.join(", ");
            let said = format!(
                "cloud-init takes data from [{}] only, and a Droplet has none of these: it has ConfigDrive and DigitalOcean. So nobody gets its keys.",
                shown(list),
            );
            found(case, Code::ProvisionerDatasource, counts.place.as_ref(), said);
        }
        return Ok(None);
    }
    let Some(&(winner, _)) = ours.iter().find(|(_, there)| *there) else {
        let missing = ours[0].0;
        let said = format!(
            "The module of the datasource {missing} is not installed, nor that of another one that a Droplet has data for. So nobody gets its keys.",
        );
        case.book.found(Code::ProvisionerDatasourceModule, said);
        return Ok(None);
    };
    if winner == "DigitalOcean" && !ours.iter().any(|(name, _)| *name == "ConfigDrive") {
        let said = "cloud-init takes a Droplet's data from DigitalOcean's metadata alone, not from the config drive. That works, and cloud-init calls this datasource deprecated.";
        found(case, Code::ProvisionerMetadataOnly, counts.place.as_ref(), said.to_owned());
    }
    for name in &names {
        if name.eq_ignore_ascii_case(winner) {
            break;
        }
        let (has, brought) = brings(case, name, config)?;
        let what = shown(name);
        let by_line = match brought {
            Brought::CommandLine => " (the command line of the kernel has ds=nocloud)",
            _ => "",
        };
        let place = match brought {
            Brought::At(path) => Some((Some(path), 0)),
            Brought::CommandLine => None,
            Brought::Label => counts.place.clone(),
        };
        match has {
            Has::Nothing => continue,
            Has::Data => {
                let said = format!(
                    "cloud-init takes its data from {what}, which the image brings along{by_line}, and not from the Droplet: {what} is before {winner} in the list of datasources. So nobody gets the Droplet's keys.",
                );
                found(case, Code::ProvisionerDatasourceTaken, place.as_ref(), said);
                return Ok(None);
            }
            Has::Perhaps => {
                let said = format!(
                    "What the image brings along for {what}{by_line} may be taken for the data of a Droplet: {what} is before {winner} in the list of datasources.",
                );
                found(case, Code::ProvisionerDatasourcePerhaps, place.as_ref(), said);
            }
        }
    }
    if winner == "ConfigDrive" {
        for seed in CONFIG_DRIVE {
            if case.tree.is_regular(format!("{seed}/openstack/latest/meta_data.json"))? {
                let said = "A config drive of another machine is stored here, which cloud-init reads before that of the Droplet. So nobody gets the Droplet's keys.";
                case.book.found_at(Code::ProvisionerDatasourceTaken, seed, said);
                return Ok(None);
            }
        }
    }
    Ok(Some(winner))
}

fn found(case: &Case<'_, '_>, code: Code, place: Option<&Place>, said: String) {
    match place {
        Some((Some(path), 0)) => case.book.found_at(code, path, said),
        Some((Some(path), line)) => case.book.found_in(code, path, *line, said),
        _ => case.book.found(code, said),
    }
}

fn judge_disabled(case: &Case<'_, '_>, decision: &Decision, config: &Config) {
    let (code, place, said) = match &decision.because {
        Because::NothingFound(place) => {
            let list = config.get(&["datasource_list"]).map(names_of).unwrap_or_default();
            let list = match place {
                Some(_) if !list.is_empty() => format!("[{}]", shown(list.join(", "))),
                _ => "the list".to_owned(),
            };
            (
                Code::ProvisionerDatasource,
                place.as_ref(),
                format!("ds-identify finds no datasource of {list} on a Droplet, and disables cloud-init. So nobody gets the Droplet's keys."),
            )
        }
        _ => (
            Code::ProvisionerSwitchedOff,
            None,
            "The policy of ds-identify disables cloud-init, so a Droplet gets neither keys nor a network from it.".to_owned(),
        ),
    };
    match place {
        None if code == Code::ProvisionerSwitchedOff => {
            let by_line = case
                .known
                .command_line
                .as_deref()
                .is_some_and(|line| shell::has(line, b"ci.di.policy="));
            match by_line {
                true => case.book.found(code, said),
                false => case.book.found_at(code, "/etc/cloud/ds-identify.cfg", said),
            }
        }
        place => found(case, code, place, said),
    }
}

/// Whether the instance that the image was left with is kept, whatever machine it starts on.
fn is_kept(
    case: &mut Case<'_, '_>,
    decision: Option<&Decision>,
    config: &Config,
) -> Result<bool, Trouble> {
    let by_mark = matches!(decision, Some(Decision { because: Because::ManualClean, .. }));
    let setting = config.get(&["manual_cache_clean"]).filter(|node| node.is_true());
    if !by_mark && setting.is_none() || !case.tree.is_regular("/var/lib/cloud/instance/obj.pkl")? {
        return Ok(false);
    }
    let said = "cloud-init keeps the instance that the build left in /var/lib/cloud, and never looks at the Droplet's data (manual_cache_clean).";
    match setting {
        Some(node) => {
            case.book.found_in(Code::ProvisionerKept, config.path(node), node.line, said);
        }
        None => {
            let mark = "/var/lib/cloud/instance/manual-clean";
            case.book.found_at(Code::ProvisionerKept, mark, said);
        }
    }
    Ok(true)
}

fn names_of(node: &Node) -> Vec<String> {
    let list = node.list().unwrap_or_default().iter();
    list.filter_map(Node::text).map(str::to_owned).collect()
}

fn counting(decision: Option<&Decision>, config: &Config) -> Counts {
    if let Some(Decision { list: Some(list), because, .. }) = decision {
        let names = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if names.clone().all(|name| !name.is_empty() && name.iter().all(is_plain)) {
            let place = match because {
                Because::OnlyOne(place) | Because::Probed(place) | Because::NothingFound(place) => {
                    place.clone()
                }
                _ => None,
            };
            let names = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            return Counts { names: Some(names), place, certain: true };
        }
        // cloud-init cannot read what was written for it, or reads something else.
        return Counts { names: None, place: None, certain: false };
    }
    match config.get(&["datasource_list"]) {
        Some(node) => Counts {
            names: matches!(node.value, Value::List(_)).then(|| names_of(node)),
            place: Some((Some(config.path(node).to_vec()), node.line)),
            certain: config.is_certain(),
        },
        None => Counts { names: None, place: None, certain: config.is_certain() },
    }
}

/// Where an image has data for a datasource.
enum Brought {
    At(Vec<u8>),
    CommandLine,
    /// In a file system with a label.
    Label,
}

/// Whether the image brings data along for a datasource, and where.
fn brings(case: &mut Case<'_, '_>, name: &str, config: &Config) -> Result<(Has, Brought), Trouble> {
    if !name.eq_ignore_ascii_case("NoCloud") {
        for (source, path) in SEEDS {
            if source.eq_ignore_ascii_case(name) && case.tree.is_regular(path)? {
                return Ok((Has::Perhaps, Brought::At(path.into())));
            }
        }
        return Ok((Has::Nothing, Brought::Label));
    }
    let line = case.known.command_line.clone().unwrap_or_default();
    let mut words = shell::fields(&line);
    if let Some(word) = words.find(|word| word.starts_with(b"ds=nocloud")) {
        // Without a place to fetch more from, these words alone are its data.
        let mut settings = word.split(|&byte| byte == b';');
        let is_local = settings.next() == Some(b"ds=nocloud");
        let is_seed = |setting: &[u8]| setting.starts_with(b"s=") || setting.starts_with(b"seed");
        let has = if is_local && !settings.any(is_seed) { Has::Data } else { Has::Perhaps };
        return Ok((has, Brought::CommandLine));
    }
    for seed in NO_CLOUD {
        let user = case.tree.is_regular(format!("{seed}/user-data"))?;
        let meta = case.tree.text(format!("{seed}/meta-data"))?;
        if let (true, Some(meta)) = (user, meta) {
            // It may name another place, which nobody knows to be there.
            let elsewhere = shell::has(&meta.bytes, b"seedfrom");
            let has = if elsewhere { Has::Perhaps } else { Has::Data };
            return Ok((has, Brought::At(seed.into())));
        }
    }
    let own = config.get(&["datasource", "NoCloud"]);
    if let Some(own) = own
        && own.get("user-data").is_some()
        && let Some(meta) = own.get("meta-data")
    {
        let has = if meta.get("seedfrom").is_some() { Has::Perhaps } else { Has::Data };
        return Ok((has, Brought::At(config.path(own).to_vec())));
    }
    if let Some(own) = own
        && let Some(from) = own.get("seedfrom").and_then(Node::text)
        && (from.starts_with('/') || from.starts_with("file:"))
    {
        return Ok((Has::Perhaps, Brought::At(config.path(own).to_vec())));
    }
    let is_seed = |label: &Option<Vec<u8>>| {
        label.as_deref().is_some_and(|label| label.eq_ignore_ascii_case(b"cidata"))
    };
    if case.tree.volumes().iter().any(|volume| is_seed(&volume.label)) {
        return Ok((Has::Perhaps, Brought::Label));
    }
    Ok((Has::Nothing, Brought::Label))
}
