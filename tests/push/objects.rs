//! `s3://BUCKET/KEY`: an object that is fetched with the key of the bucket.

use tidegate::net::{self, Address};
use tidegate::spaces::{Acl, Bucket, BucketName, Endpoint, Key, Keys, Options, Region};

use crate::common::*;
use crate::rig::*;

/// Puts an object into the rig's bucket that nobody may read without its key.
fn put(rig: &Rig, key: &str, bytes: &[u8]) {
    let address = Address::parse(rig.value("SPACES_ENDPOINT_URL")).unwrap();
    let region = Region::parse(rig.value("SPACES_REGION")).unwrap();
    let keys = Keys::new(rig.value("SPACES_ACCESS_KEY_ID"), rig.value("SPACES_SECRET_ACCESS_KEY"));
    let bucket = Bucket::new(Options {
        endpoint: Endpoint::at(address, Some(region)).unwrap(),
        bucket: BucketName::parse(rig.value("SPACES_BUCKET")).unwrap(),
        keys: keys.unwrap(),
        net: net::Options::default(),
        pace: None,
        listener: None,
    })
    .unwrap();
    let body = bytes::Bytes::copy_from_slice(bytes);
    bucket.wait(bucket.put(&Key::parse(key).unwrap(), body, Acl::Private)).unwrap();
}

#[test]
fn an_object_of_the_bucket_is_pushed_from_it() {
    let rig = Rig::new();
    put(&rig, "imgs/a b+ü.qcow2.xz", &std::fs::read(root().join("testdata/gpt.raw.xz")).unwrap());
    let document = rig.document(0, &["s3://simulated/imgs/a b+ü.qcow2.xz"]);
    assert_eq!(document["source"]["wrappings"], serde_json::json!(["xz"]), "{document}");
    assert_eq!(document["image"]["name"], "a b+ü.qcow2.xz");
    assert_eq!(rig.images().len(), 1);
    // What was there before is all that is there after.
    let objects = rig.state()["objects"].clone();
    assert_eq!(objects.as_array().unwrap().len(), 1, "{objects}");
    assert_eq!(objects[0]["key"], "imgs/a b+ü.qcow2.xz");
    let log = std::fs::read_to_string(rig.scratch.path("log")).unwrap();
    assert!(log.contains("X-Amz-Signature=…") && rig.journals().is_empty(), "{log}");
}

#[test]
fn an_object_that_cannot_be_had_is_told_by_what_is_wrong() {
    let rig = Rig::new();
    put(&rig, "a.raw", &disk());
    for (image, change, said) in [
        ("s3://simulated/none.raw", None, "404"),
        ("s3://elsewhere/a.raw", None, "404"),
        ("s3://simulated/a.raw", Some(("SPACES_SECRET_ACCESS_KEY", "wr0ng")), "403"),
        ("s3://simulated/a.raw", Some(("SPACES_ACCESS_KEY_ID", "DO00WRONG")), "403"),
        ("s3://simulated", None, "s3://BUCKET/KEY"),
    ] {
        let mut push = rig.push(&[image, "--retries", "0"]);
        push.envs(change);
        let output = push.output().unwrap();
        assert!([2, 3, 4].contains(&exit_code(&output)), "{output:?}");
        assert!(stderr(&output).contains(said), "{image}: {output:?}");
        assert!(!stderr(&output).contains("X-Amz-Signature="), "{output:?}");
        assert_eq!((rig.creates(), rig.journals().len()), (0, 0), "{output:?}");
    }
}
