use serde::Deserialize;
use toml::Spanned;

use super::bucket::{BucketPlan, FaultEntry};

/// Images younger than this are left out by a list that lags, if the plan does not say.
const USUAL_LAG: f64 = 10.0;

/// The methods that a request may have, so that a mistyped one is no fault that never comes.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Which requests meet which faults.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    faults: Vec<Fault>,
    /// Which requests to the bucket do.
    pub(super) bucket: BucketPlan,
}

/// One entry of a plan.
#[derive(Clone, Debug)]
struct Fault {
    method: Option<String>,
    /// Parts of the path; `*` is any.
    path: Option<Vec<String>>,
    /// The first of the requests that it meets, from 1 on.
    nth: u64,
    /// How many in a row; `None` is all that follow.
    times: Option<u64>,
    /// Requests that matched so far.
    seen: u64,
    kind: Kind,
    trouble: Trouble,
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// This answer.
    Answer {
        status: u16,
        /// Instead of the usual message.
        message: Option<String>,
        retry_after: Option<u64>,
        /// Whether what was asked for is done all the same.
        effect: bool,
    },
    /// The connection is cut.
    Cut {
        /// Whether what was asked for is done before.
        effect: bool,
    },
    /// The image is made, and the answer is an error with the image behind it.
    TwoDocuments { message: Option<String> },
    /// The image is made, and the answer does not say its id.
    WithoutId,
    /// The import stays pending.
    ImportHangs,
    /// The import fails.
    ImportFails { message: Option<String> },
    /// The import succeeds under another id.
    ImportChangesId,
    /// Images that are younger, in seconds, are not listed.
    ListLags { lag: f64 },
    /// The action ends as errored.
    ActionErrors,
    /// The action stays in progress.
    ActionHangs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[serde(rename = "400")]
    BadRequest,
    #[serde(rename = "401")]
    Unauthorized,
    #[serde(rename = "403")]
    Forbidden,
    #[serde(rename = "404")]
    NotFound,
    #[serde(rename = "409")]
    Conflict,
    #[serde(rename = "422")]
    Unprocessable,
    #[serde(rename = "429")]
    TooManyRequests,
    #[serde(rename = "500")]
    ServerError,
    #[serde(rename = "502")]
    BadGateway,
    #[serde(rename = "503")]
    Unavailable,
    #[serde(rename = "504")]
    GatewayTimeout,
    CutBefore,
    CutAfter,
    TwoDocuments,
    CreateWithoutId,
    ImportHangs,
    ImportFails,
    ImportChangesId,
    ListLags,
    ActionErrors,
    ActionHangs,
}

impl Kind {
    fn status(self) -> Option<u16> {
        Some(match self {
            Kind::BadRequest => 400,
            Kind::Unauthorized => 401,
            Kind::Forbidden => 403,
            Kind::NotFound => 404,
            Kind::Conflict => 409,
            Kind::Unprocessable => 422,
            Kind::TooManyRequests => 429,
            Kind::ServerError => 500,
            Kind::BadGateway => 502,
            Kind::Unavailable => 503,
            Kind::GatewayTimeout => 504,
            _ => return None,
        })
    }

    /// The name in plans and in the log.
    fn name(self) -> String {
        let words = match self {
            Kind::CutBefore => "cut-before",
            Kind::CutAfter => "cut-after",
            Kind::TwoDocuments => "two-documents",
            Kind::CreateWithoutId => "create-without-id",
            Kind::ImportHangs => "import-hangs",
            Kind::ImportFails => "import-fails",
            Kind::ImportChangesId => "import-changes-id",
            Kind::ListLags => "list-lags",
            Kind::ActionErrors => "action-errors",
            Kind::ActionHangs => "action-hangs",
            _ => return self.status().map(|status| status.to_string()).unwrap_or_default(),
        };
        words.to_owned()
    }

    /// The only requests that it can happen to; a plan need not say it.
    fn request(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Kind::TwoDocuments
            | Kind::CreateWithoutId
            | Kind::ImportHangs
            | Kind::ImportFails
            | Kind::ImportChangesId => Some(("POST", &["v2", "images"])),
            Kind::ListLags => Some(("GET", &["v2", "images"])),
            Kind::ActionErrors | Kind::ActionHangs => {
                Some(("POST", &["v2", "images", "*", "actions"]))
            }
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    fault: Vec<Spanned<Entry>>,
    #[serde(default)]
    bucket: Vec<Spanned<FaultEntry>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    kind: Kind,
    method: Option<Spanned<String>>,
    path: Option<Spanned<String>>,
    nth: Option<Spanned<u64>>,
    times: Option<Spanned<u64>>,
    forever: Option<Spanned<bool>>,
    effect: Option<Spanned<bool>>,
    retry_after: Option<Spanned<u64>>,
    message: Option<Spanned<String>>,
    lag: Option<Spanned<f64>>,
}

impl Plan {
    /// Reads a plan in TOML.
    ///
    /// # Errors
    /// Says what is wrong with it, and in which line.
    pub fn parse(text: &str) -> Result<Plan, String> {
        let document: Document = toml::from_str(text).map_err(|e| e.to_string())?;
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let mut plan = Plan::default();
        for entry in document.fault {
            let at = entry.span().start;
            let fault = fault(entry.into_inner())
                .map_err(|(place, why)| format!("line {}: {why}", line(place.unwrap_or(at))))?;
            plan.faults.push(fault);
        }
        for entry in document.bucket {
            let at = entry.span().start;
            plan.bucket
                .add(entry.into_inner())
                .map_err(|(place, why)| format!("line {}: {why}", line(place.unwrap_or(at))))?;
        }
        Ok(plan)
    }

    /// What a request meets, with names, in the order of the plan. Every fault counts for itself.
    pub(super) fn meet(&mut self, method: &str, path: &[&str]) -> Vec<(String, Trouble)> {
        let mut met = Vec::new();
        for fault in self.faults.iter_mut().filter(|fault| fault.matches(method, path)) {
            fault.seen += 1;
            let over =
                fault.times.is_some_and(|times| fault.seen >= fault.nth.saturating_add(times));
            if fault.seen >= fault.nth && !over {
                met.push((fault.kind.name(), fault.trouble.clone()));
            }
        }
        met
    }
}

impl Fault {
    fn matches(&self, method: &str, path: &[&str]) -> bool {
        let same_path = |wanted: &Vec<String>| {
            wanted.len() == path.len()
                && wanted.iter().zip(path).all(|(wanted, part)| wanted == "*" || wanted == part)
        };
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(same_path)
    }
}

/// An entry that makes sense, or where it does not and why.
fn fault(entry: Entry) -> Result<Fault, (Option<usize>, String)> {
    let kind = entry.kind;
    let status = kind.status();
    let fails = |at: Option<usize>, why: String| Err((at, why));
    let only = |at: Option<usize>, key: &str, may: bool| match may {
        true => Ok(()),
        false => Err((at, format!("{key} means nothing for kind = {:?}", kind.name()))),
    };
    let start = |span: std::ops::Range<usize>| Some(span.start);
    if let Some(key) = &entry.retry_after {
        only(start(key.span()), "retry-after", matches!(status, Some(429 | 503)))?;
    }
    if let Some(key) = &entry.effect {
        only(start(key.span()), "effect", status.is_some())?;
    }
    if let Some(key) = &entry.lag {
        only(start(key.span()), "lag", kind == Kind::ListLags)?;
        if !(0.0..=1e9).contains(key.get_ref()) {
            return fails(start(key.span()), "lag is seconds from 0 on".into());
        }
    }
    if let Some(key) = &entry.message {
        let may = status.is_some_and(|status| status < 502)
            || matches!(kind, Kind::ImportFails | Kind::TwoDocuments);
        only(start(key.span()), "message", may)?;
    }
    for (key, name) in [(&entry.nth, "nth"), (&entry.times, "times")] {
        if let Some(key) = key.as_ref().filter(|key| *key.get_ref() == 0) {
            return fails(start(key.span()), format!("{name} counts from 1"));
        }
    }
    if let (Some(_), Some(key)) = (&entry.times, &entry.forever) {
        return fails(start(key.span()), "there is times already".into());
    }
    let path = match &entry.path {
        Some(path) if !path.get_ref().starts_with('/') => {
            return fails(start(path.span()), "a path begins with a slash".into());
        }
        Some(path) => Some(path.get_ref()[1..].split('/').map(str::to_owned).collect()),
        None => None,
    };
    let method = match entry.method {
        Some(key) if !METHODS.iter().any(|known| known.eq_ignore_ascii_case(key.get_ref())) => {
            let why = format!("{:?} is no method; there are {}", key.get_ref(), METHODS.join(", "));
            return fails(start(key.span()), why);
        }
        method => method.map(Spanned::into_inner),
    };
    let (method, path) = match kind.request() {
        Some(_) if method.is_some() || path.is_some() => {
            let why = format!("kind = {:?} has its own method and path", kind.name());
            return fails(None, why);
        }
        Some((method, path)) => {
            let path = path.iter().map(|part| (*part).to_owned()).collect();
            (Some(method.to_owned()), Some(path))
        }
        None => (method, path),
    };
    let forever = entry.forever.is_some_and(Spanned::into_inner);
    let message = entry.message.map(Spanned::into_inner);
    let trouble = match (kind, status) {
        (_, Some(status)) => Trouble::Answer {
            status,
            message,
            retry_after: entry.retry_after.map(Spanned::into_inner),
            effect: entry.effect.is_some_and(Spanned::into_inner),
        },
        (Kind::CutBefore, _) => Trouble::Cut { effect: false },
        (Kind::CutAfter, _) => Trouble::Cut { effect: true },
        (Kind::TwoDocuments, _) => Trouble::TwoDocuments { message },
        (Kind::CreateWithoutId, _) => Trouble::WithoutId,
        (Kind::ImportHangs, _) => Trouble::ImportHangs,
        (Kind::ImportFails, _) => Trouble::ImportFails { message },
        (Kind::ImportChangesId, _) => Trouble::ImportChangesId,
        (Kind::ListLags, _) => {
            Trouble::ListLags { lag: entry.lag.map_or(USUAL_LAG, Spanned::into_inner) }
        }
        (Kind::ActionErrors, _) => Trouble::ActionErrors,
        _ => Trouble::ActionHangs,
    };
    Ok(Fault {
        method,
        path,
        nth: entry.nth.map_or(1, Spanned::into_inner),
        times: if forever { None } else { Some(entry.times.map_or(1, Spanned::into_inner)) },
        seen: 0,
        kind,
        trouble,
    })
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
