//! The bucket of pushes: whether it is there, what it keeps, and what the key may do in it.

use std::time::Duration;

use super::super::args::DoctorArgs;
use super::super::image::connect::{self, Teller};
use super::super::push::state_folder;
use super::super::{Usage, output, signals};
use super::{Chart, State};
use crate::bytes::Command;
use crate::digitalocean::PUBLISHED;
use crate::net::{self, Address};
use crate::push::{Canceller, Stop, Trial, Tried, try_bucket};
use crate::spaces;

/// Whether there is a bucket, and what may be done in it; whether that was interrupted.
pub(super) fn bucket(args: &DoctorArgs, chart: &mut Chart) -> bool {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    if args.bucket.is_none() && variable("SPACES_BUCKET").is_none() {
        chart.add(
            "bucket",
            State::Unknown,
            "none was named: a push of a file needs one",
            "Set SPACES_BUCKET, SPACES_REGION, SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY.",
        );
        return false;
    }
    let places = spaces::credentials::Places {
        bucket: args.bucket.clone(),
        region: args.spaces_region.clone(),
        ..Default::default()
    };
    let made = spaces::credentials::find(&places, variable).and_then(|found| {
        let net = net::Options {
            cacert: args.api.cacert.clone(),
            idle_timeout: Duration::from_secs(u64::from(args.api.timeout)),
            connect_timeout: Duration::from_secs(u64::from(args.api.timeout.min(15))),
            log: args.api.verbose.then(|| crate::net::Log::new(output::log)),
            ..net::Options::default()
        };
        let (endpoint, bucket, keys) = (found.endpoint, found.bucket, found.keys);
        spaces::Bucket::new(spaces::Options {
            endpoint,
            bucket,
            keys,
            net,
            pace: None,
            listener: None,
        })
    });
    let bucket = match made {
        Ok(bucket) => bucket,
        Err(why) => {
            chart.add(
                "bucket",
                State::Fail,
                why,
                "Set SPACES_BUCKET, SPACES_REGION or SPACES_ENDPOINT_URL, and the key, as it says.",
            );
            return false;
        }
    };
    let place = format!("{} at {}", bucket.name(), bucket.endpoint().address());
    match bucket.wait(bucket.head_bucket()) {
        Ok(()) => {
            chart.add("bucket", State::Ok, format!("{place} is there, and the key may see it"), "")
        }
        Err(error) => {
            let (state, fix) = match error.kind {
                // A key may have the right to write and none to look.
                spaces::Kind::Forbidden => (
                    State::Warn,
                    "A push may work all the same, which --probe tells; otherwise look at the key's grants.",
                ),
                spaces::Kind::Server | spaces::Kind::SlowDown => (State::Warn, fix(&error)),
                _ => (State::Fail, fix(&error)),
            };
            chart.add("bucket", state, format!("{place}: {error}"), fix);
        }
    }
    versions(&bucket, chart);
    if !args.probe {
        let said = "unknown: nothing was written; --probe puts an object of one byte, makes it public, looks at it and deletes it";
        chart.add("bucket-rights", State::Unknown, said, "");
        return false;
    }
    rights(args, &bucket, chart)
}

/// What may be done in the bucket, by doing it; whether that was interrupted.
fn rights(args: &DoctorArgs, bucket: &spaces::Bucket, chart: &mut Chart) -> bool {
    let sweep = Command::sweep();
    let swept = format!("{sweep} removes it, with a key that may delete; or delete it by hand.");
    let said = swept.clone();
    let (canceller, cancel) = Canceller::new();
    let first = move || {
        output::complain("interrupted; removing the probe (once more ends it at once)");
        canceller.cancel();
    };
    signals::watch_twice(first, move || {
        output::complain(&format!("ended before the probe was removed; {said}"));
    });
    let connected = connect::client_at(&args.api, &Teller::new(true));
    let (api, api_place) = match connected {
        Ok((api, place)) => (Some(api), place),
        // A sweep wants to know where it was.
        Err(_) => (None, place()),
    };
    let tried = state_folder(args.state.clone()).and_then(|folder| {
        let trial = Trial { bucket, folder: &folder, api: api.as_ref(), api_place };
        bucket.wait(try_bucket(&trial, &cancel)).map_err(|error| Usage(error.to_string()))
    });
    let Tried { result, left, discard, .. } = match tried {
        Ok(tried) => tried,
        Err(Usage(why)) => {
            let said = format!("nothing was put, as that cannot be written down before: {why}");
            chart.add(
                "bucket-rights",
                State::Fail,
                said,
                "Name a folder that can be written by --state.",
            );
            return false;
        }
    };
    let interrupted = matches!(result, Err(Stop::Interrupted));
    let (state, said, fix) = match result {
        Ok(()) => (State::Ok, "an object was put, made public, seen and deleted".into(), ""),
        Err(Stop::Interrupted) => (State::Unknown, "interrupted".into(), ""),
        Err(stop) => {
            let fix = match &stop {
                Stop::Spaces { error, .. } if error.kind != spaces::Kind::Forbidden => fix(error),
                Stop::Bucket { .. } => "Take another bucket, as it says.",
                _ => {
                    "Give the key the right to read, write and delete in this bucket, and to set ACLs."
                }
            };
            (State::Fail, stop.to_string(), fix)
        }
    };
    chart.add("bucket-rights", state, said, fix);
    if let Some(key) = left {
        let said = format!("left behind: {key}, which may be public");
        let fix = format!("{swept} If that bucket is not yours, {discard}.");
        chart.add("probe", State::Fail, said, &fix);
    }
    interrupted
}

/// Where the API is, in the words of a client of it.
fn place() -> String {
    let place = std::env::var(connect::PLACE).ok().filter(|place| !place.trim().is_empty());
    let base = Address::parse(place.as_deref().unwrap_or(PUBLISHED).trim());
    base.map_or_else(|_| PUBLISHED.to_owned(), |base| base.to_string())
}

/// Whether the bucket keeps what is deleted, so that more has to be removed than an object.
fn versions(bucket: &spaces::Bucket, chart: &mut Chart) {
    let (state, said, fix) = match bucket.wait(async {
        match bucket.retention().await? {
            Some(retention) => Ok(Err(retention)),
            None => bucket.versioning().await.map(Ok),
        }
    }) {
        Ok(Err(retention)) => (
            State::Fail,
            format!(
                "object lock is on ({} for {}), so a push could not remove what it stages",
                retention.mode, retention.time
            ),
            "Take a bucket without default retention.",
        ),
        Ok(Ok(spaces::Versioning::Off)) => (State::Ok, "the bucket keeps no versions".into(), ""),
        Ok(Ok(_)) => (
            State::Warn,
            "versioning is on or suspended, so the bucket keeps what is deleted".into(),
            "Take a bucket without versioning, or a key that may list and delete versions: a push deletes each version that it made.",
        ),
        Err(why) => (State::Unknown, format!("the bucket does not say: {why}"), ""),
    };
    chart.add("bucket-versions", state, said, fix);
}

/// What to do about a request to the bucket that brought nothing, by what went wrong.
fn fix(error: &spaces::Error) -> &'static str {
    match &error.kind {
        spaces::Kind::Transport { kind: net::Kind::Tls, .. } => {
            "Trust the authority by --cacert FILE, or look who answers there."
        }
        spaces::Kind::Transport { .. } => {
            "Look at SPACES_REGION or SPACES_ENDPOINT_URL, at https_proxy, and whether the server runs."
        }
        spaces::Kind::Unsupported
        | spaces::Kind::NotXml
        | spaces::Kind::Incomplete
        | spaces::Kind::Unexpected => {
            "Look at SPACES_ENDPOINT_URL: who answers there does not have all of S3 that a push needs."
        }
        spaces::Kind::NoSuchBucket => {
            "Make the bucket, or set SPACES_BUCKET and SPACES_REGION to where it is."
        }
        spaces::Kind::UnknownKey | spaces::Kind::BadSignature => {
            "Set SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY to a key of Spaces, which is no token of the API."
        }
        spaces::Kind::ClockSkew { .. } => "Set the clock, or have it set by NTP.",
        spaces::Kind::Region { .. } => "Set SPACES_REGION to the region that the bucket is in.",
        spaces::Kind::Server | spaces::Kind::SlowDown => "Wait: Spaces has troubles of its own.",
        spaces::Kind::Corrupted => "Try again: what arrived is not what was sent.",
        spaces::Kind::Quota => "Make room in the bucket, or have its quota raised.",
        spaces::Kind::Locked { .. } => "Take a bucket without object lock.",
        spaces::Kind::NoAcls => "Allow ACLs in the bucket's settings, or take another bucket.",
        _ => "Look at the bucket's name, its region, and the key and its secret.",
    }
}
