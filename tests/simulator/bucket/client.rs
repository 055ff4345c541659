//! tidegate's own client against the bucket: each has written its signatures and its XML for itself.

use bytes::Bytes;
use tidegate::net::{self, Address};
use tidegate::spaces::{
    Acl, Bucket, BucketName, Endpoint, Key, Keys, Kind, Options, Part, PartNumber, Region,
};

use super::s3::{MIB, S3};
use crate::rig::Rig;

fn bucket(rig: &Rig) -> Bucket {
    let s3 = S3::of(rig);
    let address = Address::parse(&format!("http://{}", s3.address)).unwrap();
    let region = Region::parse(&s3.region).unwrap();
    let options = Options {
        endpoint: Endpoint::at(address, Some(region)).unwrap(),
        bucket: BucketName::parse(&s3.bucket).unwrap(),
        keys: Keys::new(&s3.id, &s3.secret).unwrap(),
        net: net::Options { retries: 2, ..net::Options::default() },
        pace: None,
        listener: None,
    };
    Bucket::new(options).unwrap()
}

/// Uploads two parts, completes them, and gives the object's key.
fn push(bucket: &Bucket) -> Result<Key, tidegate::spaces::Error> {
    let key = Key::parse("tidegate/a b+ü~/disk.qcow2.gz").unwrap();
    bucket.wait(async {
        let upload = bucket.create_upload(&key, "application/gzip").await?;
        let mut parts = Vec::new();
        let bodies = [Bytes::from(vec![1; 6 * MIB]), Bytes::from_static(b"the end")];
        for (number, body) in (1..).zip(bodies) {
            let number = PartNumber::new(number).unwrap();
            let size = body.len() as u64;
            let etag = bucket.put_part(&upload, number, &body.into()).await?;
            parts.push(Part { number, size, etag });
        }
        assert_eq!(bucket.parts(&upload).await?, parts);
        assert_eq!(bucket.uploads("tidegate/").await?[0].upload, upload);
        bucket.complete(&upload, &parts).await?;
        Ok(key.clone())
    })
}

#[test]
fn an_object_from_its_parts_to_its_end() {
    let rig = Rig::new(&[]);
    let bucket = bucket(&rig);
    let key = push(&bucket).unwrap();
    bucket.wait(async {
        bucket.head_bucket().await.unwrap();
        let size = 6 * MIB as u64 + 7;
        assert_eq!(bucket.head(&key).await.unwrap().unwrap().size, size);
        for (acl, status, public) in [(Acl::PublicRead, 200, true), (Acl::Private, 403, false)] {
            bucket.set_acl(&key, acl).await.unwrap();
            assert_eq!(bucket.head_anonymous(&key).await.unwrap().status, status);
            assert_eq!(bucket.is_public(&key).await.unwrap(), public);
        }
        let listed = bucket.objects("tidegate/").await.unwrap();
        assert_eq!((listed.len(), &listed[0].key, listed[0].size), (1, &key, size));
        bucket.delete(&key).await.unwrap();
        bucket.delete(&key).await.unwrap();
        assert_eq!(bucket.head(&key).await.unwrap(), None);
        let upload = bucket.create_upload(&key, "application/gzip").await.unwrap();
        bucket.abort(&upload).await.unwrap();
        bucket.abort(&upload).await.unwrap();
        assert!(bucket.uploads("").await.unwrap().is_empty());
    });
}

#[test]
fn what_passes_is_mended_and_what_stays_is_told() {
    for fault in [
        "kind = \"slow-down\"\noperation = \"upload-part\"\npart = 2",
        "kind = \"503\"\noperation = \"upload-part\"\neffect = true",
        "kind = \"cut-before\"\noperation = \"upload-part\"",
        "kind = \"cut-after\"\noperation = \"upload-part\"\npart = 2",
        "kind = \"corrupt-part\"",
        "kind = \"lying-etag\"\npart = 2",
    ] {
        let rig = Rig::with_plan(&format!("[[bucket]]\n{fault}\n"), &[]);
        push(&bucket(&rig)).unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1, "{fault}");
        let log = rig.log();
        assert_eq!(log.iter().filter(|line| line["faults"].is_array()).count(), 1, "{fault}");
    }
    for (fault, kind) in [
        ("kind = \"complete-fails\"\neffect = true\nforever = true", Kind::Unknown),
        ("kind = \"bucket-vanishes\"\nnth = 3", Kind::NoSuchBucket),
        (
            "kind = \"403\"\noperation = \"create-multipart-upload\"\nforever = true",
            Kind::Forbidden,
        ),
    ] {
        let rig = Rig::with_plan(&format!("[[bucket]]\n{fault}\n"), &[]);
        let error = push(&bucket(&rig)).unwrap_err();
        assert_eq!(error.kind, kind, "{fault}: {error}");
    }
}

#[test]
fn a_url_of_its_own_opens_an_object_for_a_time() {
    let rig = Rig::new(&[]);
    let (bucket, s3) = (bucket(&rig), S3::of(&rig));
    let key = Key::parse("imgs/a b+ü.raw").unwrap();
    bucket.wait(bucket.put(&key, Bytes::from_static(b"body"), Acl::Private)).unwrap();
    let url = |key: &Key| bucket.presigned(key, 60).unwrap();
    let target = |url: &str| url.split_once("/simulated/").unwrap().1.to_owned();
    let get = |url: &str| s3.ask("GET", &target(url)).unsigned().send();
    assert_eq!(get(&url(&key)).body, b"body");
    let part = s3.ask("GET", &target(&url(&key))).unsigned().header("range", "bytes=1-2").send();
    assert_eq!((part.status, part.body), (206, b"od".to_vec()));
    assert_eq!(get(&url(&Key::parse("none").unwrap())).error(), (404, "NoSuchKey"));
    let other = url(&key).replace("imgs", "img");
    assert_eq!(get(&other).error(), (403, "SignatureDoesNotMatch"));
    assert_eq!(get(&format!("{}&acl", url(&key))).error(), (403, "SignatureDoesNotMatch"));
    assert_eq!(s3.get(&target(&url(&key))).error(), (400, "InvalidArgument"));
    let both = s3.ask("DELETE", &target(&url(&key))).unsigned().send();
    assert_eq!(both.error(), (501, "NotImplemented"));
    let brief = bucket.presigned(&key, 1).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let late = get(&brief);
    assert_eq!(late.error(), (403, "AccessDenied"));
    assert_eq!(late.element("Message"), "Request has expired");
    let log = rig.log();
    let asked = log.iter().filter(|line| line["operation"] == "get-object");
    assert!(asked.clone().count() > 1 && asked.clone().all(|line| line["anonymous"].is_null()));
    let secret = url(&key).rsplit_once('=').unwrap().1.to_owned();
    assert!(!log.iter().any(|line| line.to_string().contains(&secret)));
}
