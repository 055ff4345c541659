//! A bucket of Ceph's gateway, which Spaces is made of. `tests/radosgw/run` starts one and says where it is.

use tidegate::net::Address;
use tidegate::spaces::{Bucket, BucketName, Endpoint, Keys, Options, Region};

use crate::common::*;
use crate::disks::*;
use crate::random::seed;
use crate::rig::*;

/// Where it is, and the key to its buckets: one is without versions, one keeps them.
struct Gateway {
    url: String,
    access: String,
    secret: String,
}

const BUCKETS: [&str; 2] = ["plain", "versioned"];

impl Gateway {
    fn open() -> Option<Gateway> {
        let said = std::env::var("TIDEGATE_RADOSGW").unwrap_or_default();
        let mut words = said.split_whitespace().map(str::to_owned);
        let found = words
            .next()
            .and_then(|url| Some(Gateway { url, access: words.next()?, secret: words.next()? }));
        if found.is_none() {
            eprintln!("SKIPPED: there is no radosgw: tests/radosgw/run starts one");
        }
        found
    }

    /// A command whose bucket is there.
    fn at(&self, bucket: &str, mut command: std::process::Command) -> std::process::Command {
        command.env("SPACES_ENDPOINT_URL", &self.url).env("SPACES_REGION", "default");
        command.env("SPACES_BUCKET", bucket).env("SPACES_ACCESS_KEY_ID", &self.access);
        command.env("SPACES_SECRET_ACCESS_KEY", &self.secret);
        command
    }

    fn bucket(&self, name: &str) -> Bucket {
        let region = Region::parse("default").unwrap();
        let address = Address::parse(&self.url).unwrap();
        Bucket::new(Options {
            endpoint: Endpoint::at(address, Some(region)).unwrap(),
            bucket: BucketName::parse(name).unwrap(),
            keys: Keys::new(&self.access, &self.secret).unwrap(),
            net: tidegate::net::Options::default(),
            pace: None,
            listener: None,
        })
        .unwrap()
    }

    /// Nothing is in a bucket: no version, no marker, no upload.
    fn assert_empty(&self, name: &str, what: &str) {
        let bucket = self.bucket(name);
        let versions = bucket.wait(bucket.versions("")).unwrap();
        let uploads = bucket.wait(bucket.uploads("")).unwrap();
        assert!(versions.is_empty() && uploads.is_empty(), "{what}: {versions:?} {uploads:?}");
    }

    /// Sweeps, as often as it takes for what is under way to come to rest.
    fn swept(&self, rig: &Rig, bucket: &str, arguments: &[&str], what: &str) {
        for attempt in 1..=3 {
            let mut sweep = self.at(bucket, rig.tidegate("sweep"));
            sweep.args(["--yes", "--interval", "20ms", "--wait-timeout", "20s"]).args(arguments);
            let output = sweep.output().unwrap();
            if exit_code(&output) == 0 {
                break;
            }
            assert!(attempt < 3, "{what}: {output:?}");
        }
        self.assert_empty(bucket, what);
    }
}

/// Both tests of this module use the same buckets.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn pushes_by_way_of_radosgw() {
    let Some(gateway) = Gateway::open() else { return };
    let _alone = ONE_AT_A_TIME.lock();
    for bucket in BUCKETS {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", big());
        rig.scratch.write("cut.raw.gz", cut());
        for (arguments, code) in [
            (&["disk.raw.gz", "--read-back"][..], 0),
            (&["cut.raw.gz"], 1),
            (&["disk.raw.gz", "--keep-object"], 0),
        ] {
            let push = rig.push(&[arguments, &PARTS].concat());
            let output = gateway.at(bucket, push).output().unwrap();
            assert_eq!(exit_code(&output), code, "{bucket} {arguments:?}: {}", stderr(&output));
            let said = stderr(&output).contains("warning: versioning of the bucket is on");
            assert_eq!(said, bucket == "versioned", "{output:?}");
            if !arguments.contains(&"--keep-object") {
                gateway.assert_empty(bucket, &format!("{arguments:?}"));
            }
        }
        // What is kept is private, and alone.
        let open = gateway.bucket(bucket);
        let kept = open.wait(open.versions("")).unwrap();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(open.wait(open.head_anonymous(&kept[0].key)).unwrap().status, 403);
        assert!(open.wait(open.erase(&kept[0].key)).unwrap());
        gateway.assert_empty(bucket, "erased");
    }
}

#[test]
fn an_upload_to_radosgw_is_resumed() {
    let Some(gateway) = Gateway::open() else { return };
    let _alone = ONE_AT_A_TIME.lock();
    for bucket in BUCKETS {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", big());
        let push = |more: &[&str]| {
            gateway.at(bucket, rig.push(&[&["disk.raw.gz"], more, &PARTS].concat()))
        };
        let mut slow = Running::start(&mut push(&["--max-rate", "6MB"]));
        let open = gateway.bucket(bucket);
        wait_until("a part has arrived", || {
            let uploads = open.wait(open.uploads("")).unwrap();
            let upload = uploads.first().map(|open| open.upload.clone());
            upload.is_some_and(|upload| open.wait(open.parts(&upload)).is_ok_and(|p| !p.is_empty()))
        });
        slow.child().kill().unwrap();
        drop(slow);
        let output = push(&["--resume"]).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
        assert!(stderr(&output).contains("parts have arrived before"), "{output:?}");
        gateway.assert_empty(bucket, "resumed");
        assert_eq!((rig.creates(), rig.journals().len()), (1, 0));
    }
}

#[test]
fn killed_at_any_moment_and_swept_on_radosgw() {
    let Some(gateway) = Gateway::open() else { return };
    let _alone = ONE_AT_A_TIME.lock();
    let seed = seed("killed on radosgw");
    for number in 0..if full() { 100 } else { 6 } {
        let mut random = Random(seed.wrapping_add(number * 0x1000));
        let bucket = BUCKETS[number as usize % 2];
        let good = number % 5 != 0;
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", if good { big() } else { cut() });
        let push = |more: &[&str]| {
            gateway.at(bucket, rig.push(&[&["disk.raw.gz"], more, &PARTS].concat()))
        };
        let mut first = Running::start(&mut push(&["--max-rate", "20MB"]));
        std::thread::sleep(std::time::Duration::from_secs_f64(random.share() * 4.0));
        let _ = first.child().kill();
        drop(first.output());
        if number % 3 == 0 {
            // What is left of it may be gone on with, or has to be swept; that is killed too.
            let mut again = Running::start(&mut push(&["--resume"]));
            std::thread::sleep(std::time::Duration::from_secs_f64(random.share() * 2.0));
            let _ = again.child().kill();
            drop(again.output());
        }
        rig.quiet();
        let what = format!("kill {number} in {bucket}");
        let arguments: &[&str] = match number % 4 {
            0 | 1 => &[],
            _ => {
                let _ = std::fs::remove_dir_all(rig.scratch.path("state/pushes"));
                &["--remote", "--older-than", "1ms"]
            }
        };
        gateway.swept(&rig, bucket, arguments, &what);
        assert!(rig.journals().is_empty(), "{what}");
        assert!(
            rig.images().len() <= rig.creates() && rig.creates() <= 2,
            "{what}: {:?}",
            rig.log()
        );
    }
}
