use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::receipt::Asked;
use crate::inspect::{Mode, Options};
use crate::rules;

/// Under which rules, and with what asked for, images were checked. Reports that differ in it cannot be taken for parts
/// of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Terms {
    /// What judged: program and catalogue.
    pub rules: String,
    /// How much was to be read.
    pub mode: Mode,
    /// What the arguments asked for; `tidegate.toml` may say otherwise of an image.
    pub options: Asked,
}

impl Terms {
    /// Those of a check with these options.
    #[must_use]
    pub fn of(options: &Options) -> Terms {
        let mode = if options.quick { Mode::Quick } else { Mode::Full };
        Terms { rules: rules::version().into(), mode, options: Asked::of(options) }
    }

    /// A part in which these differ from others, by its name in a report, with what both say; `None` if they do not.
    #[must_use]
    pub fn difference(&self, other: &Terms) -> Option<(String, String, String)> {
        // They are made of values that have a form in JSON.
        let values = |terms: &Terms| serde_json::to_value(terms).unwrap_or_default();
        first("", &values(self), &values(other))
    }
}

fn first(name: &str, one: &Value, other: &Value) -> Option<(String, String, String)> {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let names = fields.keys().chain(others.keys());
            let mut names: Vec<&String> = names.collect();
            names.sort_unstable();
            names.into_iter().find_map(|name| {
                let value = |of: &serde_json::Map<String, Value>| of.get(name).cloned();
                let default = || Value::String("as the rules have it".into());
                let one = value(fields).unwrap_or_else(default);
                first(name, &one, &value(others).unwrap_or_else(default))
            })
        }
        _ if one == other => None,
        _ => {
            let said = |value: &Value| match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            Some((name.to_owned(), said(one), said(other)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Policy, Severity};

    #[test]
    fn what_differs_is_named() {
        let terms = Terms::of(&Options::default());
        assert_eq!(terms.difference(&terms), None);
        let said = |options: Options| terms.difference(&Terms::of(&options)).unwrap();
        let text = |(name, one, other): (String, String, String)| format!("{name} {one} {other}");
        let mut policy = Policy::default();
        policy.set("iso-hybrid", Severity::Reject).unwrap();
        assert_eq!(text(said(Options { quick: true, ..Options::default() })), "mode full quick");
        assert_eq!(text(said(Options { limit: 7, ..Options::default() })), "limit 100000000000 7");
        assert_eq!(
            text(said(Options { policy, ..Options::default() })),
            "iso-hybrid as the rules have it reject"
        );
    }
}
