//! A client of a server of these tests, and answers of one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::net::{self, Address};
use tidegate::spaces::{
    Bucket, BucketName, Endpoint, Event, Key, Keys, Options, Region, Upload, UploadId,
};

use crate::server::{Reply, Server};

/// What no output may show.
pub(crate) const SECRET: &str = "s3cr3t/0123456789+abcdef";

/// Nor this.
pub(crate) const ACCESS: &str = "AKTIDEGATE0123456789";

/// How a client of `url` is made.
pub(crate) fn options(url: &str, keys: Keys) -> Options {
    let region = Region::parse("us-east-1").unwrap();
    Options {
        endpoint: Endpoint::at(Address::parse(url).unwrap(), Some(region)).unwrap(),
        bucket: BucketName::parse("images").unwrap(),
        keys,
        net: net::Options {
            retries: 2,
            idle_timeout: Duration::from_secs(2),
            ..net::Options::default()
        },
        pace: None,
        listener: None,
    }
}

pub(crate) fn keys() -> Keys {
    Keys::new(ACCESS, SECRET).unwrap()
}

pub(crate) fn bucket(server: &Server) -> Bucket {
    Bucket::new(options(&server.url(""), keys())).unwrap()
}

/// A bucket, and what it tells of.
pub(crate) fn told(server: &Server, retries: u32) -> (Bucket, Arc<Mutex<Vec<String>>>) {
    let said = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&said);
    let mut options = options(&server.url(""), keys());
    options.net.retries = retries;
    options.listener = Some(Arc::new(move |event: &Event<'_>| {
        log.lock().unwrap().push(format!("{event:?}"));
    }));
    (Bucket::new(options).unwrap(), said)
}

pub(crate) fn key() -> Key {
    Key::parse("tidegate/1/disk.qcow2.gz").unwrap()
}

pub(crate) fn upload() -> Upload {
    Upload { key: key(), id: UploadId::parse("2~up+load/1=").unwrap() }
}

pub(crate) fn xml(status: u16, body: &str) -> Reply {
    Reply::status(status, body.into()).with("content-type", "application/xml")
}

/// A refusal as S3 writes it.
pub(crate) fn refusal(status: u16, code: &str) -> Reply {
    xml(
        status,
        &format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>because of {code}</Message><RequestId>tx01</RequestId></Error>"
        ),
    )
}
