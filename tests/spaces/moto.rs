//! moto, an S3 that nobody here wrote. It checks signatures and what a key may do.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tidegate::net::encode;
use tidegate::spaces::limits::SMALLEST_PART;
use tidegate::spaces::{Acl, Bucket, BucketName, ETag, Key, Keys, Kind, Part, PartNumber};

use crate::moto_server::Moto;
use crate::support::{self, key, keys, options};

impl Moto {
    /// Starts one with the bucket `images` that checks every signature and right, and makes two users for
    /// it: one may do everything, the other everything but set ACLs.
    fn checking() -> Option<(Moto, Keys, Keys)> {
        // Three requests for each user, and one for the bucket.
        let moto = Moto::start(Some(7))?;
        let all = r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#;
        let but = r#"{"Effect": "Deny", "Action": "s3:PutObjectAcl", "Resource": "*"}"#;
        let full = moto.user("full", all);
        let limited = moto.user("limited", &format!("{all},{but}"));
        moto.unsigned("PUT", "/images", "s3", "");
        Some((moto, full, limited))
    }

    fn bucket(&self, keys: Keys) -> Bucket {
        let mut options = options(&self.url(), keys);
        options.net.idle_timeout = Duration::from_secs(30);
        Bucket::new(options).unwrap()
    }

    /// A user who may do this, and its key.
    fn user(&self, name: &str, statements: &str) -> Keys {
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        let policy = encode(&policy, false);
        let ask = |rest: String| {
            let body = format!("Version=2010-05-08&UserName={name}&Action={rest}");
            self.unsigned("POST", "/", "iam", &body)
        };
        ask("CreateUser".into());
        ask(format!("PutUserPolicy&PolicyName=p&PolicyDocument={policy}"));
        let made = ask("CreateAccessKey".into());
        let text = |name: &str| {
            made.split_once(&format!("<{name}>")).unwrap().1.split('<').next().unwrap().to_owned()
        };
        Keys::new(&text("AccessKeyId"), &text("SecretAccessKey")).unwrap()
    }
}

fn put(bucket: &Bucket, upload: &tidegate::spaces::Upload, number: u16, size: u64) -> Part {
    let number = PartNumber::new(number).unwrap();
    let body = Bytes::from(vec![number.get() as u8; size as usize]);
    let etag = bucket.wait(bucket.put_part(upload, number, &body.clone().into())).unwrap();
    assert_eq!(etag, ETag::of(&body));
    Part { number, size, etag }
}

#[test]
fn an_upload_from_its_beginning_to_its_end() {
    let Some((moto, keys, _)) = Moto::checking() else { return };
    let bucket = moto.bucket(keys);
    let run = &bucket;
    run.wait(bucket.head_bucket()).unwrap();
    let key = key();
    assert_eq!(run.wait(bucket.head(&key)).unwrap(), None);

    let upload = run.wait(bucket.create_upload(&key, "application/gzip")).unwrap();
    let open = run.wait(bucket.uploads("tidegate/")).unwrap();
    assert_eq!((open.len(), &open[0].upload), (1, &upload));
    assert_eq!(run.wait(bucket.uploads("other/")).unwrap(), []);
    // Any order, and one of them twice.
    let second = put(run, &upload, 2, 100);
    put(run, &upload, 1, SMALLEST_PART - 1);
    let first = put(run, &upload, 1, SMALLEST_PART);
    let parts = [first, second];
    assert_eq!(run.wait(bucket.parts(&upload)).unwrap(), parts);
    assert_eq!(run.wait(bucket.head(&key)).unwrap(), None);

    let completed = run.wait(bucket.complete(&upload, &parts)).unwrap();
    assert_eq!(Some(&completed.etag), ETag::of_parts(parts.iter().map(|p| &p.etag)).as_ref());
    let head = run.wait(bucket.head(&key)).unwrap().unwrap();
    assert_eq!((head.size, &head.etag), (SMALLEST_PART + 100, &completed.etag));
    assert_eq!(run.wait(bucket.uploads("")).unwrap(), []);
    let objects = run.wait(bucket.objects("tidegate/")).unwrap();
    assert_eq!((objects.len(), &objects[0].key, objects[0].size), (1, &key, head.size));
    assert_eq!(objects[0].etag, head.etag);
    let age = SystemTime::now().duration_since(objects[0].modified.unwrap()).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");

    run.wait(bucket.delete(&key)).unwrap();
    run.wait(bucket.delete(&key)).unwrap();
    assert_eq!(run.wait(bucket.head(&key)).unwrap(), None);
    assert_eq!(run.wait(bucket.objects("")).unwrap(), []);
}

#[test]
fn an_upload_that_is_given_up() {
    let Some((moto, keys, _)) = Moto::checking() else { return };
    let bucket = moto.bucket(keys);
    let upload = bucket.wait(bucket.create_upload(&key(), "application/gzip")).unwrap();
    let small = [put(&bucket, &upload, 1, 10), put(&bucket, &upload, 2, 10)];
    let error = bucket.wait(bucket.complete(&upload, &small)).unwrap_err();
    assert_eq!(error.code.as_deref(), Some("EntityTooSmall"), "{error}");
    let mut lie = small[..1].to_vec();
    lie[0].etag = ETag::of(b"another");
    let error = bucket.wait(bucket.complete(&upload, &lie)).unwrap_err();
    assert_eq!(error.code.as_deref(), Some("InvalidPart"), "{error}");
    bucket.wait(bucket.abort(&upload)).unwrap();
    bucket.wait(bucket.abort(&upload)).unwrap();
    assert_eq!(bucket.wait(bucket.parts(&upload)).unwrap_err().kind, Kind::NoSuchUpload);
    assert_eq!(bucket.wait(bucket.uploads("")).unwrap(), []);
    assert_eq!(bucket.wait(bucket.head(&key())).unwrap(), None);
}

#[test]
fn what_is_public_is_seen_by_anybody() {
    let Some(moto) = Moto::open() else { return };
    let bucket = moto.bucket(keys());
    let key = Key::parse("tidegate/ä b+c/disk.qcow2.gz").unwrap();
    let status = || bucket.wait(bucket.head_anonymous(&key)).unwrap().status;
    let writing = bucket.put(&key, Bytes::from_static(b"x"), Acl::Private);
    let etag = bucket.wait(writing).unwrap().etag;
    assert_eq!(etag, ETag::of(b"x"));
    assert!(!bucket.wait(bucket.is_public(&key)).unwrap());
    assert_eq!(status(), 403);
    bucket.wait(bucket.set_acl(&key, Acl::PublicRead)).unwrap();
    assert!(bucket.wait(bucket.is_public(&key)).unwrap());
    let seen = bucket.wait(bucket.head_anonymous(&key)).unwrap();
    assert_eq!((seen.status, seen.size, seen.etag), (200, Some(1), Some(etag)));
    bucket.wait(bucket.set_acl(&key, Acl::Private)).unwrap();
    assert!(!bucket.wait(bucket.is_public(&key)).unwrap());
    assert_eq!(status(), 403);
    bucket.wait(bucket.put(&key, Bytes::from_static(b"z"), Acl::PublicRead)).unwrap();
    assert_eq!(status(), 200);

    // An upload is private when it is completed, until somebody says otherwise.
    let key = support::key();
    let upload = bucket.wait(bucket.create_upload(&key, "application/gzip")).unwrap();
    let part = put(&bucket, &upload, 1, 10);
    bucket.wait(bucket.complete(&upload, &[part])).unwrap();
    assert_eq!(bucket.wait(bucket.head_anonymous(&key)).unwrap().status, 403);
    bucket.wait(bucket.set_acl(&key, Acl::PublicRead)).unwrap();
    assert_eq!(bucket.wait(bucket.head_anonymous(&key)).unwrap().status, 200);
    bucket.wait(bucket.delete(&key)).unwrap();
    assert_eq!(bucket.wait(bucket.head_anonymous(&key)).unwrap().status, 404);
}

#[test]
fn keys_may_do_what_they_may() {
    let Some((moto, full, limited)) = Moto::checking() else { return };
    let (bucket, key) = (moto.bucket(full.clone()), key());
    bucket.wait(bucket.head_bucket()).unwrap();
    bucket.wait(bucket.put(&key, Bytes::from_static(b"x"), Acl::Private)).unwrap();
    bucket.wait(bucket.set_acl(&key, Acl::PublicRead)).unwrap();
    let other = moto.bucket(limited);
    let error = other.wait(other.set_acl(&key, Acl::Private)).unwrap_err();
    assert_eq!(error.kind, Kind::Forbidden, "{error}");
    assert!(error.to_string().contains("take one with full access"), "{error}");
    other.wait(other.put(&key, Bytes::from_static(b"y"), Acl::Private)).unwrap();

    // Keys that are none, and a bucket that is not there.
    let wrong = Keys { secret: tidegate::net::Secret::new("wrong").unwrap(), ..full.clone() };
    let wrong = moto.bucket(wrong);
    let error = wrong.wait(wrong.head_bucket()).unwrap_err();
    assert_eq!(error.kind, Kind::BadSignature, "{error}");
    let unknown = moto.bucket(keys());
    let error = unknown.wait(unknown.head_bucket()).unwrap_err();
    assert_eq!(error.kind, Kind::UnknownKey, "{error}");
    let mut elsewhere = options(&moto.url(), full);
    elsewhere.bucket = BucketName::parse("nowhere").unwrap();
    let elsewhere = Bucket::new(elsewhere).unwrap();
    let error = elsewhere.wait(elsewhere.head_bucket()).unwrap_err();
    assert_eq!(error.kind, Kind::NoSuchBucket, "{error}");
    let error = elsewhere.wait(elsewhere.create_upload(&key, "application/gzip")).unwrap_err();
    assert_eq!(error.kind, Kind::NoSuchBucket, "{error}");
    assert_eq!(elsewhere.wait(elsewhere.objects("")).unwrap_err().kind, Kind::NoSuchBucket);
}

#[test]
fn lists_have_pages() {
    let Some((moto, keys, _)) = Moto::checking() else { return };
    let bucket = moto.bucket(keys);
    let upload = bucket.wait(bucket.create_upload(&key(), "application/gzip")).unwrap();
    for number in 1..=1003u16 {
        put(&bucket, &upload, number, 1);
        let key = Key::parse(&format!("many/{number:04}")).unwrap();
        bucket.wait(bucket.put(&key, Bytes::new(), Acl::Private)).unwrap();
    }
    let parts = bucket.wait(bucket.parts(&upload)).unwrap();
    assert_eq!((parts.len(), parts[1002].number.get()), (1003, 1003));
    let objects = bucket.wait(bucket.objects("many/")).unwrap();
    assert_eq!((objects.len(), objects[1002].key.as_str()), (1003, "many/1003"));
    bucket.wait(bucket.abort(&upload)).unwrap();
    assert_eq!(bucket.wait(bucket.uploads("")).unwrap(), []);
}
