use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::faults::{Met, Trouble};
use super::inflow::Inflow;
use super::keys::Permission;
use super::operation::Operation;
use super::outflow::Body;
use super::problem::{self, *};
use super::request::Call;
use super::sign::{self, Payload, Who};
use super::xml::Xml;
use super::{NAME, REGION, contents, deletes, listing, lists, multipart, objects, versions};
use crate::simulator::log::Line;
use crate::simulator::reply::Reply;
use crate::simulator::server::{Cut, Shared};
use crate::simulator::token::request_id;

/// The longest body that is no object's: ten thousand parts, named at length.
const LONGEST_DOCUMENT: usize = 4 << 20;

/// What a request comes to.
pub(super) type Outcome = Result<Response<Body>, Problem>;

/// What is known of a request for the log.
#[derive(Default)]
struct Known {
    operation: Option<Operation>,
    anonymous: bool,
    faults: Vec<String>,
    why: Option<String>,
}

/// Whether a request is for the bucket. No bucket has the name `v2` or `_simulator`, as names have three
/// characters at least and no underscore; and who shows a bearer token means the API.
pub(in crate::simulator) fn is_addressed(path: &str, headers: &HeaderMap) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let bearer = headers.get("authorization").is_some_and(|shown| {
        shown.as_bytes().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    });
    first != "v2" && first != "_simulator" && !bearer
}

/// Answers a request.
pub(in crate::simulator) async fn exchange(
    shared: &Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let id = format!("tx{}", request_id().replace('-', ""));
    let mut known = Known::default();
    let mut inflow = Inflow::new(body);
    let outcome = answer(shared, &head, &mut inflow, &mut known, &id).await;
    let response = outcome.map(|outcome| {
        let mut response = outcome.unwrap_or_else(|problem| {
            known.why = problem.why;
            // A HEAD has no body to say more in.
            refused(problem.code, problem::body(problem.code, problem.message, Some(NAME), &id))
        });
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response
    });
    if response.is_ok() {
        // Who still sends would take the end of the connection for the answer.
        inflow.drain().await;
    }
    note(shared, &head, &known, began, &id, response.as_ref().ok());
    response
}

async fn answer(
    shared: &Arc<Shared>,
    head: &Parts,
    inflow: &mut Inflow,
    known: &mut Known,
    id: &str,
) -> Result<Outcome, Cut> {
    let (call, operation, who, met) = match understood(shared, head, known) {
        Ok(understood) => understood,
        Err(problem) => return Ok(Err(problem)),
    };
    if met.vanishes
        && let Err(problem) = shared.bucket.contents().vanish()
    {
        return Ok(Err(problem));
    }
    if met.versions {
        shared.bucket.contents().versioned = true;
    }
    if let Some(rate) = met.rate {
        inflow.slow(rate);
    }
    // The first of the plan that takes the answer away decides.
    let Some(trouble) = &met.instead else {
        return Ok(perform(shared, operation, &call, &who, inflow, &met).await);
    };
    let effect = trouble.has_effect();
    if effect {
        // The client will not hear of it.
        let _ = perform(shared, operation, &call, &who, inflow, &met).await;
    }
    Ok(Ok(match trouble {
        Trouble::Cut { .. } => return Err(Cut),
        Trouble::Error { code, retry_after, .. } => {
            let mut response = refused(*code, problem::body(*code, code.message(), Some(NAME), id));
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, (*seconds).into());
            }
            response
        }
        Trouble::Page { status, .. } => {
            let mut response = with_status(*status, Body::text(Reply::page(*status).body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
            response
        }
        Trouble::Inside { .. } => document(200, problem::body(INTERNAL_ERROR, "", Some(NAME), id)),
    }))
}

/// What is asked for and by whom, if they may, and the faults that it meets.
fn understood(
    shared: &Shared,
    head: &Parts,
    known: &mut Known,
) -> Result<(Call, Operation, Who, Met), Problem> {
    let target = (head.uri.path(), head.uri.query().unwrap_or_default());
    let call = Call::new(head.method.as_str(), target, head.headers.clone())?;
    let who = sign::check(&call, REGION, contents::now(), |id| shared.bucket.key(id))?;
    known.anonymous = matches!(who, Who::Anybody);
    let operation = Operation::of(&call)?;
    known.operation = Some(operation);
    permit(&who, operation, &call)?;
    if call.bucket.as_deref().is_some_and(|name| name != NAME) {
        return Err(Problem::of(NO_SUCH_BUCKET));
    }
    let met = shared.plan().bucket.meet(operation, &call, !known.anonymous);
    known.faults.clone_from(&met.names);
    Ok((call, operation, who, met))
}

/// Whether they may. What anybody may is decided where the object is known.
fn permit(who: &Who, operation: Operation, call: &Call) -> Result<(), Problem> {
    let denied = |why: &str| Err(Problem::because(ACCESS_DENIED, why));
    let Who::Holder(key, _) = who else {
        return match operation {
            Operation::HeadObject | Operation::GetObject => Ok(()),
            _ => denied("there is no signature"),
        };
    };
    let Some(bucket) = &call.bucket else {
        return if key.is_global() { Ok(()) } else { denied("the key is for some buckets only") };
    };
    let needed = match changes_acl(operation, call) {
        true => Permission::FullAccess,
        false => operation.needs(),
    };
    match key.permission(bucket) {
        Some(own) if own >= needed => Ok(()),
        _ => denied("the key was not granted this"),
    }
}

/// Whether a request says that others may see an object, or that they may not any more.
pub(super) fn changes_acl(operation: Operation, call: &Call) -> bool {
    operation == Operation::PutObjectAcl
        || call.header("x-amz-acl").is_some_and(|acl| acl != "private")
}

/// Does what a request asks for.
async fn perform(
    shared: &Arc<Shared>,
    operation: Operation,
    call: &Call,
    who: &Who,
    inflow: &mut Inflow,
    met: &Met,
) -> Outcome {
    let bucket = &shared.bucket;
    let payload = match who {
        Who::Holder(_, payload) => *payload,
        Who::Anybody => Payload::Unsigned,
    };
    match operation {
        Operation::PutObject => return objects::put(bucket, call, payload, inflow).await,
        Operation::UploadPart => {
            return multipart::upload(bucket, call, payload, inflow, met).await;
        }
        _ => {}
    }
    let body = inflow.all(LONGEST_DOCUMENT).await?;
    objects::agrees(call, payload, &body)?;
    let public_only = matches!(who, Who::Anybody);
    match operation {
        Operation::ListBuckets => lists::buckets(bucket),
        Operation::HeadBucket => bucket.there().map(|_| empty(200)),
        Operation::GetBucketLocation => bucket.there().map(|_| {
            document(
                200,
                Xml::answer("LocationConstraint").raw(REGION).close("LocationConstraint").finish(),
            )
        }),
        Operation::ListObjects => listing::objects(bucket, call),
        Operation::ListMultipartUploads => lists::uploads(bucket, call),
        Operation::ListObjectVersions => versions::list(bucket, call),
        Operation::GetBucketVersioning => versions::status(bucket),
        Operation::PutBucketVersioning => versions::enable(bucket, &body),
        Operation::HeadObject => objects::get(bucket, call, public_only, false),
        Operation::GetObject => objects::get(bucket, call, public_only, true),
        Operation::DeleteObject => versions::delete(bucket, call),
        Operation::DeleteObjects => deletes::objects(bucket, &body),
        Operation::PutObjectAcl => objects::put_acl(bucket, call),
        Operation::GetObjectAcl => objects::get_acl(bucket, call),
        Operation::CreateMultipartUpload => multipart::create(bucket, call),
        Operation::ListParts => lists::parts(bucket, call),
        Operation::CompleteMultipartUpload => multipart::complete(bucket, call, &body),
        Operation::AbortMultipartUpload => multipart::abort(bucket, call),
        Operation::PutObject | Operation::UploadPart => Err(Problem::of(INTERNAL_ERROR)),
    }
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Response<Body> {
    with_status(status, Body::Whole(None))
}

/// An answer in XML.
pub(super) fn document(status: u16, text: String) -> Response<Body> {
    let mut response = with_status(status, Body::text(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn refused(code: Code, body: String) -> Response<Body> {
    document(code.0, body)
}

pub(super) fn with_status(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn note(
    shared: &Shared,
    head: &Parts,
    known: &Known,
    began: Instant,
    id: &str,
    response: Option<&Response<Body>>,
) {
    // Of what signs in a query, the names are enough.
    let query: Vec<String> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.starts_with("X-Amz-") || name == "Signature" => {
                format!("{name}=…")
            }
            _ => pair.to_owned(),
        })
        .collect();
    let hidden = |text: &str| shared.hidden(text);
    shared.note(&Line {
        time: Line::stamp(),
        method: head.method.as_str(),
        path: &hidden(head.uri.path()),
        query: &hidden(&query.join("&")),
        operation: known.operation.map(Operation::name),
        anonymous: known.anonymous,
        status: response.map(|response| response.status().as_u16()),
        request_id: id,
        ms: began.elapsed().as_millis(),
        faults: &known.faults,
        why: known.why.as_deref().map(hidden),
    });
}
