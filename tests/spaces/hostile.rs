//! Servers that say what they should not.

use std::sync::{Arc, Mutex};

use tidegate::spaces::{Bucket, Kind};

use crate::server::{Reply, Server};
use crate::support::*;

#[test]
fn no_echo_shows_a_secret() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&seen);
    let server = Server::new(move |request| {
        let authorization = request.headers["authorization"].clone();
        let signature = authorization.rsplit_once("Signature=").unwrap().1.to_owned();
        log.lock().unwrap().push(signature);
        let token = &request.headers["x-amz-security-token"];
        let echo = format!("{SECRET} {ACCESS} {token} {authorization} \u{1b}[31m");
        let body = format!(
            "<Error><Code>{echo}</Code><Message>{echo}</Message><RequestId>{echo}</RequestId><Region>{echo}</Region></Error>"
        );
        let status = if request.method == "PUT" { 301 } else { 403 };
        xml(status, &body.replace('\u{1b}', ""))
    });
    let mut keys = keys();
    keys.session = Some(tidegate::net::Secret::new("sess10n-t0ken").unwrap());
    let shown = format!("{keys:?}");
    let bucket = Bucket::new(options(&server.url(""), keys)).unwrap();
    let errors = [
        bucket.wait(bucket.is_public(&key())).unwrap_err(),
        bucket.wait(bucket.set_acl(&key(), tidegate::spaces::Acl::PublicRead)).unwrap_err(),
        bucket.wait(bucket.objects("")).unwrap_err(),
    ];
    let said = format!("{shown} {bucket:?} {errors:?} {} {} {}", errors[0], errors[1], errors[2]);
    let signatures = seen.lock().unwrap();
    assert_eq!(signatures.len(), 3);
    for secret in [SECRET, ACCESS, "sess10n-t0ken"].into_iter().map(str::to_owned) {
        assert!(!said.contains(&secret), "{said}");
    }
    assert!(signatures.iter().all(|signature| !said.contains(signature.as_str())), "{said}");
}

#[test]
fn lists_end() {
    let server = Server::new(|request| {
        let more = "<IsTruncated>true</IsTruncated>";
        if request.path.contains("list-type") {
            xml(
                200,
                &format!(
                    "<ListBucketResult>{more}<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
                ),
            )
        } else if request.path.contains("uploads") {
            xml(
                200,
                &format!(
                    "<ListMultipartUploadsResult>{more}<NextKeyMarker>k</NextKeyMarker></ListMultipartUploadsResult>"
                ),
            )
        } else {
            let part = "<Part><PartNumber>1</PartNumber><Size>9</Size><ETag>x</ETag></Part>";
            xml(200, &format!("<ListPartsResult>{more}{part}</ListPartsResult>"))
        }
    });
    let bucket = bucket(&server);
    let said = [
        bucket.wait(bucket.objects("")).unwrap_err(),
        bucket.wait(bucket.uploads("")).unwrap_err(),
        bucket.wait(bucket.parts(&upload())).unwrap_err(),
    ];
    assert!(said.iter().all(|error| error.kind == Kind::Incomplete), "{said:?}");
    assert!(server.requests().len() < 210);
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let entry =
        |text: &str| format!("<ListBucketResult><Contents>{text}</Contents></ListBucketResult>");
    for (body, kind) in [
        (String::new(), Kind::NotXml),
        ("{\"objects\": []}".into(), Kind::NotXml),
        ("<ListPartsResult/>".into(), Kind::NotXml),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult>&b;</ListBucketResult>".into(),
            Kind::NotXml,
        ),
        (entry("<Key>a</Key><Size>-1</Size>"), Kind::Incomplete),
        (entry("<Key>a</Key><Size>18446744073709551616</Size>"), Kind::Incomplete),
    ] {
        let server = Server::new(move |_| xml(200, &body));
        let bucket = bucket(&server);
        let error = bucket.wait(bucket.objects("")).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
    // Names that could not be asked for are not ours.
    let body = entry("<Key>a/../b</Key><Size>1</Size>");
    let server = Server::new(move |_| xml(200, &body));
    let bucket = bucket(&server);
    assert_eq!(bucket.wait(bucket.objects("")).unwrap(), []);
}

#[test]
fn no_answer_is_read_without_end() {
    let server = Server::new(|_| Reply::status(200, vec![b' '; 5 << 20]));
    let bucket = bucket(&server);
    let error = bucket.wait(bucket.objects("")).unwrap_err();
    assert!(error.to_string().contains("larger than 4194304 bytes"), "{error}");
    assert_eq!(server.requests().len(), 1);
}
