use serde::Deserialize;
use toml::Spanned;

use super::multipart::part_number;
use super::operation::Operation;
use super::problem::{ACCESS_DENIED, Code, INTERNAL_ERROR, SLOW_DOWN};
use super::request::Call;
use super::serve::changes_acl;

/// Which requests to the bucket meet which faults.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct BucketPlan {
    faults: Vec<Fault>,
}

/// One entry of a plan.
#[derive(Clone, Debug)]
struct Fault {
    kind: Kind,
    operation: Option<Operation>,
    part: Option<u32>,
    signed: Option<bool>,
    /// The first of the requests that it meets, from 1 on.
    nth: u64,
    /// How many in a row; `None` is all that follow.
    times: Option<u64>,
    /// Requests that matched so far.
    seen: u64,
    what: What,
}

/// What a fault does.
#[derive(Clone, Debug)]
enum What {
    Instead(Trouble),
    Slow(u64),
    Corrupt(Corruption),
    Lie,
    Vanish,
    Versions,
}

/// What is answered instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// An error in XML.
    Error { code: Code, retry_after: Option<u64>, effect: bool },
    /// A page of HTML.
    Page { status: u16, effect: bool },
    /// Nothing: the connection is cut.
    Cut { effect: bool },
    /// 200, and an error inside.
    Inside { effect: bool },
}

impl Trouble {
    /// Whether what was asked for is done all the same.
    pub(super) fn has_effect(&self) -> bool {
        match self {
            Trouble::Error { effect, .. }
            | Trouble::Page { effect, .. }
            | Trouble::Cut { effect }
            | Trouble::Inside { effect } => *effect,
        }
    }
}

/// How another byte is stored than came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corruption {
    /// On the way: the ETag is that of what is stored.
    Told,
    /// On the disk: the ETag is that of what came.
    Silent,
}

/// All that one request meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// In the order of the plan.
    pub(super) names: Vec<String>,
    pub(super) instead: Option<Trouble>,
    /// Bytes per second of the body.
    pub(super) rate: Option<u64>,
    /// Other bytes are stored than came.
    pub(super) corrupts: Option<Corruption>,
    /// The ETag in the answer is that of nothing.
    pub(super) lies: bool,
    /// The bucket is no more.
    pub(super) vanishes: bool,
    /// What is deleted or replaced is kept from now on.
    pub(super) versions: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    SlowDown,
    #[serde(rename = "403")]
    Forbidden,
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
    CorruptPart,
    LyingEtag,
    CompleteFails,
    AclRefused,
    BucketVanishes,
    BucketVersioned,
    Slow,
}

impl Kind {
    /// The name in plans and in the log.
    fn name(self) -> &'static str {
        match self {
            Kind::SlowDown => "slow-down",
            Kind::Forbidden => "403",
            Kind::ServerError => "500",
            Kind::BadGateway => "502",
            Kind::Unavailable => "503",
            Kind::GatewayTimeout => "504",
            Kind::CutBefore => "cut-before",
            Kind::CutAfter => "cut-after",
            Kind::CorruptPart => "corrupt-part",
            Kind::LyingEtag => "lying-etag",
            Kind::CompleteFails => "complete-fails",
            Kind::AclRefused => "acl-refused",
            Kind::BucketVanishes => "bucket-vanishes",
            Kind::BucketVersioned => "bucket-versioned",
            Kind::Slow => "slow",
        }
    }

    /// The only operation that it can happen to; a plan need not say it.
    fn operation(self) -> Option<Operation> {
        match self {
            Kind::CorruptPart | Kind::LyingEtag => Some(Operation::UploadPart),
            Kind::CompleteFails => Some(Operation::CompleteMultipartUpload),
            _ => None,
        }
    }

    /// Whether it can be told to come after the effect.
    fn may_have_effect(self) -> bool {
        use Kind::*;
        matches!(
            self,
            SlowDown
                | Forbidden
                | ServerError
                | BadGateway
                | Unavailable
                | GatewayTimeout
                | CompleteFails
        )
    }
}

/// An entry as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator) struct Entry {
    kind: Kind,
    operation: Option<Spanned<Operation>>,
    part: Option<Spanned<u32>>,
    signed: Option<bool>,
    nth: Option<Spanned<u64>>,
    times: Option<Spanned<u64>>,
    forever: Option<Spanned<bool>>,
    effect: Option<Spanned<bool>>,
    silent: Option<Spanned<bool>>,
    retry_after: Option<Spanned<u64>>,
    rate: Option<Spanned<u64>>,
}

impl BucketPlan {
    /// Adds an entry, or says where it makes no sense and why.
    pub(in crate::simulator) fn add(
        &mut self,
        entry: Entry,
    ) -> Result<(), (Option<usize>, String)> {
        self.faults.push(fault(entry)?);
        Ok(())
    }

    /// What a request meets. Every fault counts for itself.
    pub(super) fn meet(&mut self, operation: Operation, call: &Call, signed: bool) -> Met {
        let mut met = Met::default();
        let part = part_number(call);
        for fault in &mut self.faults {
            if !fault.matches(operation, call, part, signed) {
                continue;
            }
            fault.seen += 1;
            let over =
                fault.times.is_some_and(|times| fault.seen >= fault.nth.saturating_add(times));
            if fault.seen < fault.nth || over {
                continue;
            }
            met.names.push(fault.kind.name().to_owned());
            match &fault.what {
                What::Instead(trouble) => drop(met.instead.get_or_insert_with(|| trouble.clone())),
                What::Slow(rate) => met.rate = Some(*rate),
                What::Corrupt(corruption) => met.corrupts = Some(*corruption),
                What::Lie => met.lies = true,
                What::Vanish => met.vanishes = true,
                What::Versions => met.versions = true,
            }
        }
        met
    }
}

impl Fault {
    fn matches(&self, operation: Operation, call: &Call, part: Option<u32>, signed: bool) -> bool {
        let own_kind = match self.kind {
            Kind::AclRefused => changes_acl(operation, call),
            Kind::Slow => matches!(operation, Operation::PutObject | Operation::UploadPart),
            _ => true,
        };
        own_kind
            && self.operation.is_none_or(|wanted| wanted == operation)
            && self.part.is_none_or(|wanted| Some(wanted) == part)
            && self.signed.is_none_or(|wanted| wanted == signed)
    }
}

/// An entry that makes sense, or where it does not and why.
fn fault(entry: Entry) -> Result<Fault, (Option<usize>, String)> {
    fn at<T>(key: &Option<Spanned<T>>) -> Option<usize> {
        key.as_ref().map(|key| key.span().start)
    }
    let kind = entry.kind;
    let only = |at: Option<usize>, key: &str, may: bool| match at {
        Some(_) if !may => Err((at, format!("{key} means nothing for kind = {:?}", kind.name()))),
        _ => Ok(()),
    };
    let lasts = matches!(kind, Kind::BucketVanishes | Kind::BucketVersioned);
    only(at(&entry.effect), "effect", kind.may_have_effect())?;
    only(at(&entry.silent), "silent", kind == Kind::CorruptPart)?;
    only(at(&entry.retry_after), "retry-after", kind == Kind::SlowDown)?;
    only(at(&entry.rate), "rate", kind == Kind::Slow)?;
    only(at(&entry.times), "times", !lasts)?;
    only(at(&entry.forever), "forever", !lasts)?;
    for (key, name) in [(&entry.nth, "nth"), (&entry.times, "times"), (&entry.rate, "rate")] {
        if key.as_ref().is_some_and(|key| *key.get_ref() == 0) {
            return Err((at(key), format!("{name} counts from 1")));
        }
    }
    if kind == Kind::Slow && entry.rate.is_none() {
        return Err((None, "a slow request needs a rate, in bytes per second".into()));
    }
    if entry.times.is_some() && entry.forever.is_some() {
        return Err((at(&entry.forever), "there is times already".into()));
    }
    let operation = match (kind.operation(), &entry.operation) {
        (Some(_), Some(_)) => {
            let why = format!("kind = {:?} has its own operation", kind.name());
            return Err((at(&entry.operation), why));
        }
        (own, given) => own.or(given.as_ref().map(|given| *given.get_ref())),
    };
    let sends = matches!(operation, None | Some(Operation::PutObject | Operation::UploadPart));
    if kind == Kind::Slow && !sends {
        let why = "only what is sent can be slow: operation is put-object or upload-part";
        return Err((at(&entry.operation), why.into()));
    }
    only(at(&entry.part), "part", operation == Some(Operation::UploadPart))?;
    let effect = entry.effect.is_some_and(Spanned::into_inner);
    let retry_after = entry.retry_after.map(Spanned::into_inner);
    let error = |code| What::Instead(Trouble::Error { code, retry_after, effect });
    let page = |status| What::Instead(Trouble::Page { status, effect });
    let what = match kind {
        Kind::SlowDown => error(SLOW_DOWN),
        Kind::Forbidden | Kind::AclRefused => error(ACCESS_DENIED),
        Kind::ServerError => error(INTERNAL_ERROR),
        Kind::BadGateway => page(502),
        Kind::Unavailable => page(503),
        Kind::GatewayTimeout => page(504),
        Kind::CutBefore => What::Instead(Trouble::Cut { effect: false }),
        Kind::CutAfter => What::Instead(Trouble::Cut { effect: true }),
        Kind::CompleteFails => What::Instead(Trouble::Inside { effect }),
        Kind::CorruptPart => What::Corrupt(match entry.silent.is_some_and(Spanned::into_inner) {
            true => Corruption::Silent,
            false => Corruption::Told,
        }),
        Kind::LyingEtag => What::Lie,
        Kind::BucketVanishes => What::Vanish,
        Kind::BucketVersioned => What::Versions,
        Kind::Slow => What::Slow(entry.rate.map_or(1, Spanned::into_inner)),
    };
    let forever = entry.forever.is_some_and(Spanned::into_inner);
    Ok(Fault {
        kind,
        operation,
        part: entry.part.map(Spanned::into_inner),
        signed: entry.signed,
        nth: entry.nth.map_or(1, Spanned::into_inner),
        times: if forever { None } else { Some(entry.times.map_or(1, Spanned::into_inner)) },
        seen: 0,
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderMap;

    fn plan(text: &str) -> BucketPlan {
        let mut plan = BucketPlan::default();
        plan.add(toml::from_str(text).unwrap()).unwrap();
        plan
    }

    fn call(query: &str) -> Call {
        Call::new("PUT", ("/b/k", query), HeaderMap::new()).unwrap()
    }

    #[test]
    fn every_kind_is_known_by_the_name_that_the_log_shows() {
        for name in [
            "slow-down",
            "403",
            "500",
            "502",
            "503",
            "504",
            "cut-before",
            "cut-after",
            "corrupt-part",
            "lying-etag",
            "complete-fails",
            "acl-refused",
            "bucket-vanishes",
            "bucket-versioned",
            "slow",
        ] {
            let rate = if name == "slow" { "\nrate = 1" } else { "" };
            assert_eq!(plan(&format!("kind = {name:?}{rate}")).faults[0].kind.name(), name);
        }
    }

    #[test]
    fn the_nth_requests_of_an_operation_are_met() {
        let text = "kind = \"500\"\noperation = \"upload-part\"\npart = 2\nnth = 2\ntimes = 2";
        let mut plan = plan(text);
        let mut met = |query, operation| !plan.meet(operation, &call(query), true).names.is_empty();
        assert!(!met("", Operation::PutObject));
        assert!(!met("partNumber=1", Operation::UploadPart));
        let second: Vec<bool> =
            (0..4).map(|_| met("partNumber=2", Operation::UploadPart)).collect();
        assert_eq!(second, [false, true, true, false]);
    }

    #[test]
    fn the_first_that_takes_the_answer_away_decides_and_the_others_count() {
        let mut plan = plan("kind = \"cut-after\"");
        for text in ["kind = \"500\"", "kind = \"slow\"\nrate = 7"] {
            plan.add(toml::from_str(text).unwrap()).unwrap();
        }
        let met = plan.meet(Operation::PutObject, &call(""), true);
        assert_eq!(met.names, ["cut-after", "500", "slow"]);
        assert_eq!((met.instead, met.rate), (Some(Trouble::Cut { effect: true }), Some(7)));
        assert_eq!(plan.meet(Operation::PutObject, &call(""), true), Met::default());
    }
}
