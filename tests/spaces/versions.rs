//! Buckets that keep what is deleted: nothing is gone because a server says so.

use bytes::Bytes;
use tidegate::spaces::{Acl, Bucket, Key, Kind, Versioning};

use crate::moto_server::Moto;
use crate::server::{Reply, Server};
use crate::support::{self, key, keys, options, xml};

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const SUSPENDED: &str =
    "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";

fn open(moto: &Moto) -> Bucket {
    Bucket::new(options(&moto.url(), keys())).unwrap()
}

fn put(bucket: &Bucket, key: &Key, acl: Acl) -> Option<String> {
    let put = bucket.wait(bucket.put(key, Bytes::from_static(b"x"), acl)).unwrap();
    put.version.map(|version| version.as_str().to_owned())
}

fn left(bucket: &Bucket) -> usize {
    bucket.wait(bucket.versions("")).unwrap().len()
}

#[test]
fn all_versions_of_an_object_go_with_it_and_no_others() {
    let Some(moto) = Moto::open() else { return };
    let (bucket, key) = (open(&moto), key());
    let longer = Key::parse(&format!("{}.more", key.as_str())).unwrap();
    assert_eq!(bucket.wait(bucket.versioning()).unwrap(), Versioning::Off);
    // Written before there were versions.
    put(&bucket, &key, Acl::PublicRead);
    moto.unsigned("PUT", "/images?versioning", "s3", ENABLED);
    assert_eq!(bucket.wait(bucket.versioning()).unwrap(), Versioning::Enabled);
    assert!(put(&bucket, &key, Acl::PublicRead).is_some());
    put(&bucket, &key, Acl::Private);
    put(&bucket, &longer, Acl::Private);
    // What a plain deletion leaves.
    bucket.wait(bucket.delete(&key)).unwrap();
    assert_eq!(bucket.wait(bucket.head(&key)).unwrap(), None);
    let all = bucket.wait(bucket.versions(key.as_str())).unwrap();
    assert_eq!(all.iter().filter(|version| version.key == key).count(), 4, "{all:?}");
    assert_eq!(all.iter().filter(|version| version.marker).count(), 1, "{all:?}");

    assert!(bucket.wait(bucket.erase(&key)).unwrap());
    assert!(!bucket.wait(bucket.erase(&key)).unwrap());
    assert_eq!(left(&bucket), 1);
    assert!(bucket.wait(bucket.erase(&longer)).unwrap());
    assert_eq!(left(&bucket), 0);
}

#[test]
fn what_was_never_versioned_or_is_not_any_more_goes_too() {
    let Some(moto) = Moto::open() else { return };
    let (bucket, key) = (open(&moto), key());
    put(&bucket, &key, Acl::PublicRead);
    assert!(bucket.wait(bucket.erase(&key)).unwrap());
    assert_eq!(left(&bucket), 0);
    moto.unsigned("PUT", "/images?versioning", "s3", ENABLED);
    put(&bucket, &key, Acl::PublicRead);
    moto.unsigned("PUT", "/images?versioning", "s3", SUSPENDED);
    assert_eq!(bucket.wait(bucket.versioning()).unwrap(), Versioning::Suspended);
    put(&bucket, &key, Acl::PublicRead);
    assert!(bucket.wait(bucket.erase(&key)).unwrap());
    assert_eq!(left(&bucket), 0);
}

#[test]
fn hiding_hides_every_version() {
    let Some(moto) = Moto::open() else { return };
    let (bucket, key) = (open(&moto), key());
    moto.unsigned("PUT", "/images?versioning", "s3", ENABLED);
    let first = put(&bucket, &key, Acl::PublicRead).unwrap();
    put(&bucket, &key, Acl::PublicRead);
    let status = |query: &str| {
        let path = format!("/images/{}{query}", key.as_str());
        moto.anonymous("GET", &path).split(' ').nth(1).unwrap().to_owned()
    };
    let old = format!("?versionId={first}");
    assert_eq!((status(""), status(&old)), ("200".into(), "200".into()));
    bucket.wait(bucket.hide(&key)).unwrap();
    assert_eq!((status(""), status(&old)), ("403".into(), "403".into()));
    bucket.wait(bucket.erase(&key)).unwrap();
    let error = bucket.wait(bucket.hide(&key)).unwrap_err();
    assert_eq!(error.kind, Kind::NoSuchKey, "{error}");
}

#[test]
fn an_answer_to_a_deletion_proves_nothing() {
    let entry = format!(
        "<ListVersionsResult><Version><Key>{}</Key><VersionId>v1</VersionId></Version></ListVersionsResult>",
        key().as_str()
    );
    let nothing = "<ListVersionsResult></ListVersionsResult>";
    let refused = |status, code| support::refusal(status, code);
    let there = || Reply::status(200, Vec::new()).with("etag", "\"x\"");
    let cases: [(Reply, Reply, Option<Kind>); 5] = [
        // It is listed all the same, or not listed and there.
        (xml(200, &entry), there(), Some(Kind::StillThere)),
        (xml(200, nothing), there(), Some(Kind::StillThere)),
        // Who may not list looks at it.
        (refused(403, "AccessDenied"), there(), Some(Kind::StillThere)),
        (refused(501, "NotImplemented"), Reply::status(404, Vec::new()), None),
        (refused(403, "AccessDenied"), Reply::status(403, Vec::new()), Some(Kind::Forbidden)),
    ];
    for (list, head, expected) in cases {
        let (said, shown) = (format!("{expected:?}"), head.status);
        let server = Server::new(move |request| match request.method.as_str() {
            "GET" => list.clone(),
            "HEAD" => head.clone(),
            _ => Reply::status(204, Vec::new()),
        });
        let bucket = support::bucket(&server);
        let erased = bucket.wait(bucket.erase(&key()));
        assert_eq!(erased.err().map(|error| error.kind), expected, "{said} {shown}");
    }
}

#[test]
fn an_acl_that_is_set_proves_nothing() {
    let server = Server::new(|request| match request.method.as_str() {
        "GET" => support::refusal(501, "NotImplemented"),
        _ => Reply::status(200, Vec::new()).with("etag", "\"x\""),
    });
    let bucket = support::bucket(&server);
    let error = bucket.wait(bucket.hide(&key())).unwrap_err();
    assert_eq!(error.kind, Kind::StillPublic, "{error}");
}

#[test]
fn each_version_is_private_before_it_is_deleted() {
    let entry = |id: &str| {
        format!("<Version><Key>{}</Key><VersionId>{id}</VersionId></Version>", key().as_str())
    };
    let both = format!("<ListVersionsResult>{}{}</ListVersionsResult>", entry("v1"), entry("null"));
    let server = Server::new(move |request| match request.method.as_str() {
        "GET" if request.before == 0 => xml(200, &both),
        "GET" => xml(200, "<ListVersionsResult></ListVersionsResult>"),
        "HEAD" => Reply::status(404, Vec::new()),
        _ => Reply::status(204, Vec::new()),
    });
    let bucket = support::bucket(&server);
    assert!(bucket.wait(bucket.erase(&key())).unwrap());
    let done: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|request| matches!(request.method.as_str(), "PUT" | "DELETE"))
        .map(|request| format!("{} {}", request.method, request.path.split_once('?').unwrap().1))
        .collect();
    let expected = [
        "PUT acl=&versionId=v1",
        "DELETE versionId=v1",
        "PUT acl=&versionId=null",
        "DELETE versionId=null",
    ];
    assert_eq!(done, expected);
}

#[test]
fn what_is_locked_is_said_to_be_locked() {
    let server = Server::new(|request| match request.method.as_str() {
        "DELETE" => support::refusal(403, "AccessDenied"),
        "GET" => support::refusal(501, "NotImplemented"),
        _ => Reply::status(200, Vec::new())
            .with("etag", "\"x\"")
            .with("x-amz-version-id", "v1")
            .with("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
    });
    let bucket = support::bucket(&server);
    let error = bucket.wait(bucket.erase(&key())).unwrap_err();
    let until = Some("2030-01-01T00:00:00Z".to_owned());
    assert_eq!(error.kind, Kind::Locked { until }, "{error}");
    assert!(error.to_string().contains("locked until 2030-01-01"), "{error}");

    let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                <Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    let server = Server::new(move |_| xml(200, rule));
    let bucket = support::bucket(&server);
    let retention = bucket.wait(bucket.retention()).unwrap().unwrap();
    assert_eq!((retention.mode.as_str(), retention.time.as_str()), ("COMPLIANCE", "30 days"));
    let server = Server::new(|_| support::refusal(404, "ObjectLockConfigurationNotFoundError"));
    let bucket = support::bucket(&server);
    assert_eq!(bucket.wait(bucket.retention()).unwrap(), None);
}
