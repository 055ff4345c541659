//! Every fault that the simulator's bucket and API know: how a push ends that meets it, and what is left then;
//! and the same with a kill at any moment.

use std::time::{Duration, Instant};

use crate::common::*;
use crate::crash::{Sweep, swept, swept_at_last};
use crate::disks::*;
use crate::random::seed;
use crate::rig::*;

/// What a push meets, and how it ends.
struct Case {
    plan: String,
    file: File,
    arguments: &'static [&'static str],
    /// The exit code.
    code: i32,
    /// Images that can be used at the end.
    images: usize,
}

#[derive(Clone, Copy, Debug)]
enum File {
    /// Small, and accepted.
    Small,
    /// In five parts, and accepted.
    Big,
    /// Refused at its end.
    Cut,
}

fn case(plan: impl Into<String>, code: i32, images: usize) -> Case {
    Case { plan: plan.into(), file: File::Small, arguments: &[], code, images }
}

/// A fault of the bucket.
fn bucket(text: &str, code: i32, images: usize) -> Case {
    case(format!("[[bucket]]\n{text}\n"), code, images)
}

/// A fault of the API.
fn api(text: &str, code: i32, images: usize) -> Case {
    case(format!("[[fault]]\n{text}\n"), code, images)
}

/// A fault of the create call.
fn create(text: &str, code: i32, images: usize) -> Case {
    api(&format!("method = \"POST\"\npath = \"/v2/images\"\n{text}"), code, images)
}

impl Case {
    fn of(self, file: File) -> Case {
        Case { file, ..self }
    }

    fn with(self, arguments: &'static [&'static str]) -> Case {
        Case { arguments, ..self }
    }

    fn start(&self) -> (Rig, Running) {
        let rig = Rig::with_plan(&self.plan);
        let bytes = match self.file {
            File::Small => gzip(&disk()),
            File::Big => big().to_vec(),
            File::Cut => cut().to_vec(),
        };
        rig.scratch.write("disk.raw.gz", &bytes);
        let usual = ["disk.raw.gz", "--wait-timeout", "4s", "--format", "json"];
        let mut push = rig.push(&[&usual, self.arguments].concat());
        let push = Running::start(push.args(PARTS));
        (rig, push)
    }

    fn what(&self) -> String {
        format!("{:?} {:?} {}", self.file, self.arguments, self.plan)
    }
}

/// Holds a case without a kill: how it ends, and what is left, at most after one sweep if it said so.
fn assert_ends(case: &Case) {
    let (rig, push) = case.start();
    let output = push.output();
    let what = format!("{}\n{}", case.what(), stderr(&output));
    assert_eq!(exit_code(&output), case.code, "{what}");
    let document = crate::documents::parsed("push", &output);
    if document["left"] != serde_json::json!([]) {
        assert_ne!(case.code, 0, "{what}");
        assert!(stderr(&output).contains("`tidegate sweep"), "{what}");
        swept(&rig, Sweep::Journal, &what);
    }
    assert!(rig.journals().is_empty(), "{what}");
    rig.assert_clean(case.images..=case.images, &what);
}

/// Holds a case with a kill after some share of the time that it takes.
fn assert_survives(case: &Case, took: Duration, share: f64, sweep: Sweep) {
    let (rig, mut push) = case.start();
    let moment = took.mul_f64(share);
    std::thread::sleep(moment);
    let _ = push.child().kill();
    drop(push.output());
    let what = format!("killed after {moment:?} of {took:?}, {sweep:?}: {}", case.what());
    // What the push did not come to, a sweep may meet.
    swept_at_last(&rig, sweep, 3, &what);
    let good = !matches!(case.file, File::Cut);
    rig.assert_clean(0..=usize::from(good), &what);
    assert!(good || rig.creates() == 0, "{what}");
}

fn hold(name: &str, cases: &[Case]) {
    let seed = seed(name);
    let numbered: Vec<(usize, &Case)> = cases.iter().enumerate().collect();
    each(&numbered, |(number, case)| {
        let began = Instant::now();
        assert_ends(case);
        let took = began.elapsed();
        let mut random = Random(seed.wrapping_add(*number as u64 * 0x1000));
        for _ in 0..if full() { 5 } else { 1 } {
            // Without a journal, a bucket that is not there cannot be told from a wrong name.
            let by_journal = random.share() < 0.6 || case.plan.contains("vanishes");
            let sweep = if by_journal { Sweep::Journal } else { Sweep::Remote };
            assert_survives(case, took, random.share(), sweep);
        }
    });
}

#[test]
fn parts_that_fail_are_sent_again() {
    let part = |kind: &str, more: &str, code, images| {
        let text = format!("kind = \"{kind}\"\noperation = \"upload-part\"\npart = 2\n{more}");
        bucket(&text, code, images).of(File::Big)
    };
    let own = |kind: &str, more: &str, code, images| {
        bucket(&format!("kind = \"{kind}\"\npart = 2\n{more}"), code, images).of(File::Big)
    };
    hold(
        "parts",
        &[
            part("slow-down", "times = 2", 0, 1),
            part("slow-down", "forever = true", 4, 0).with(&["--retries", "1"]),
            part("slow-down", "retry-after = 1", 0, 1).of(File::Cut).ends(1, 0),
            part("cut-before", "", 0, 1),
            part("cut-after", "", 0, 1),
            part("500", "effect = true", 0, 1),
            part("502", "", 0, 1),
            part("503", "", 0, 1),
            part("504", "effect = true", 0, 1),
            part("403", "", 4, 0),
            own("corrupt-part", "", 0, 1),
            // The bucket says that it stored what was sent, and did not: the importer finds it.
            own("corrupt-part", "silent = true", 5, 0),
            // Unless it is read again.
            own("corrupt-part", "silent = true", 4, 0).with(&["--read-back"]),
            own("lying-etag", "", 0, 1),
            own("lying-etag", "forever = true", 4, 0).with(&["--retries", "1"]),
            bucket("kind = \"slow\"\nrate = 10000000\nforever = true", 0, 1).of(File::Big),
        ],
    );
}

impl Case {
    fn ends(self, code: i32, images: usize) -> Case {
        Case { code, images, ..self }
    }
}

#[test]
fn everything_else_that_the_bucket_is_asked_may_fail() {
    let op = |kind: &str, operation: &str, nth: u32, more: &str| {
        let text = format!("kind = \"{kind}\"\noperation = \"{operation}\"\nnth = {nth}\n{more}");
        bucket(&text, 0, 1)
    };
    let mut cases = Vec::new();
    // What changes nothing else when it is done twice is asked for again.
    for kind in ["cut-before", "cut-after", "500", "503", "slow-down"] {
        for (operation, nth) in [
            ("put-object", 1),
            ("put-object-acl", 1),
            ("head-object", 1),
            ("delete-object", 1),
            ("put-object-acl", 3),
            ("delete-object", 2),
        ] {
            // A few of them, so that every kind and every operation is there.
            if (kind.len() + operation.len() + nth as usize).is_multiple_of(2) || full() {
                cases.push(op(kind, operation, nth, ""));
            }
        }
        cases.push(op(kind, "abort-multipart-upload", 1, "").of(File::Cut).ends(1, 0));
    }
    cases.extend([
        bucket("kind = \"acl-refused\"\nforever = true", 4, 0),
        bucket("kind = \"acl-refused\"\nnth = 3", 4, 0),
        // That it cannot be made private again does not keep it from being deleted.
        bucket("kind = \"acl-refused\"\nnth = 4", 0, 1),
        bucket("kind = \"bucket-vanishes\"", 4, 0),
        op("bucket-vanishes", "upload-part", 2, "").of(File::Big).ends(4, 0),
        op("bucket-vanishes", "complete-multipart-upload", 1, "").ends(4, 0),
        op("bucket-vanishes", "put-object-acl", 3, "").ends(4, 0),
        op("bucket-vanishes", "get-object", 1, "").ends(5, 0),
        op("bucket-vanishes", "delete-object", 2, ""),
        op("bucket-vanishes", "abort-multipart-upload", 1, "").of(File::Cut).ends(1, 0),
        op("403", "create-multipart-upload", 1, "").ends(4, 0),
        op("403", "complete-multipart-upload", 1, "").ends(4, 0),
        op("403", "head-object", 2, "signed = false\nforever = true").ends(4, 0),
        // It is tried once more at the end, and after that it stays until a sweep.
        op("403", "delete-object", 2, ""),
        op("403", "delete-object", 2, "times = 2").ends(4, 1),
        op("403", "abort-multipart-upload", 1, "").of(File::Cut).ends(1, 0),
    ]);
    hold("bucket", &cases);
}

#[test]
fn an_upload_that_begins_or_ends_without_our_hearing_of_it() {
    let op = |kind: &str, operation: &str, more: &str| {
        let text = format!("kind = \"{kind}\"\noperation = \"{operation}\"\n{more}");
        bucket(&text, 0, 1)
    };
    let mut cases = Vec::new();
    for kind in ["cut-before", "cut-after"] {
        cases.push(op(kind, "create-multipart-upload", ""));
        cases.push(op(kind, "complete-multipart-upload", ""));
    }
    for effect in ["effect = true", "effect = false"] {
        for kind in ["500", "504"] {
            cases.push(op(kind, "create-multipart-upload", effect));
            cases.push(op(kind, "complete-multipart-upload", effect));
        }
        cases.push(bucket(&format!("kind = \"complete-fails\"\n{effect}"), 0, 1));
    }
    hold("uploads", &cases);
}

#[test]
fn creates_that_say_yes_no_or_nothing() {
    let lags = "[[fault]]\nkind = \"list-lags\"\nlag = 1\nforever = true\n";
    let lagging = |text: &str, code, images| {
        let case = create(text, code, images).with(&["--settle", "6s"]);
        Case { plan: format!("{}{lags}", case.plan), ..case }
    };
    let mut cases: Vec<Case> = ["400", "401", "403", "404", "409", "422"]
        .map(|kind| create(&format!("kind = \"{kind}\""), 4, 0))
        .into();
    cases.extend([
        // Too many calls: it waits, looks, and posts again if nothing is there.
        create("kind = \"429\"\nretry-after = 1", 0, 1),
        create("kind = \"429\"\nretry-after = 1\neffect = true", 0, 1),
        create("kind = \"429\"\nforever = true", 4, 0),
        // Refused, and made all the same.
        create("kind = \"400\"\neffect = true", 4, 0),
        create("kind = \"409\"\neffect = true", 4, 0),
        create("kind = \"422\"\neffect = true", 4, 0).of(File::Big),
        create("kind = \"500\"\neffect = true", 0, 1),
        create("kind = \"502\"\neffect = true", 0, 1),
        create("kind = \"503\"\neffect = true", 0, 1),
        create("kind = \"cut-after\"", 0, 1),
        create("kind = \"500\"", 4, 0),
        create("kind = \"504\"", 4, 0),
        create("kind = \"cut-before\"", 4, 0),
        lagging("kind = \"cut-after\"", 0, 1),
        lagging("kind = \"504\"\neffect = true", 0, 1),
        api("kind = \"create-without-id\"", 0, 1),
        Case {
            plan: format!("[[fault]]\nkind = \"create-without-id\"\n{lags}"),
            ..case("", 0, 1).with(&["--settle", "6s"])
        },
        // An error, and an image all the same.
        api("kind = \"two-documents\"", 4, 0),
    ]);
    hold("creates", &cases);
}

#[test]
fn a_refusal_that_nobody_can_doubt_is_not_taken_at_its_word() {
    let blind =
        "[[fault]]\nkind = \"500\"\nmethod = \"GET\"\npath = \"/v2/images\"\nforever = true\n";
    for refusal in ["kind = \"400\"", "kind = \"429\""] {
        let case = create(&format!("{refusal}\neffect = true"), 4, 1);
        let rig = Rig::with_plan(&format!("{}{blind}", case.plan));
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let output = rig.pushed(&["disk.raw.gz", "--format", "json"]);
        let document = crate::documents::parsed("push", &output);
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let left = document["left"][0].as_str().unwrap();
        assert!(left.contains("nobody knows whether an image was made"), "{left}");
        assert!(!stderr(&output).contains("nothing"), "{output:?}");
        // For a sweep that can look.
        assert_eq!((rig.journals().len(), rig.creates()), (1, 1));
    }
}

#[test]
fn imports_that_fail_or_move_and_a_view_of_them_that_is_blocked() {
    let get = |text: &str, code, images| {
        api(&format!("method = \"GET\"\npath = \"/v2/images/*\"\n{text}"), code, images)
    };
    hold(
        "imports",
        &[
            api("kind = \"import-fails\"", 5, 0),
            api("kind = \"import-fails\"\nmessage = \"no\"", 5, 0).of(File::Big),
            api("kind = \"import-changes-id\"", 0, 1),
            get("kind = \"429\"\nretry-after = 1\ntimes = 2", 0, 1),
            get("kind = \"500\"\ntimes = 2", 0, 1),
            get("kind = \"cut-after\"", 0, 1),
            get("kind = \"404\"", 0, 1),
            // Nobody can say whether the importer still reads the object: a sweep waits for it.
            get("kind = \"401\"", 4, 1),
            get("kind = \"403\"", 4, 1),
        ],
    );
}

#[test]
fn an_import_that_hangs_is_given_up_and_a_killed_one_is_not() {
    let hangs = "[[fault]]\nkind = \"import-hangs\"";
    let rig = Rig::with_plan(hangs);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(4, &["disk.raw.gz", "--wait-timeout", "400ms"]);
    assert_eq!(document["error"]["kind"], "import-wait");
    assert_eq!(document["left"], serde_json::json!([]));
    rig.assert_clean(0..=0, hangs);

    // The importer of one that was killed may still read the object: it stays, and it is said.
    let rig = Rig::with_plan(hangs);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz"]));
    wait_until("the import begins", || rig.creates() == 1);
    rig.quiet();
    push.child().kill().unwrap();
    drop(push);
    for arguments in [
        &["--wait-timeout", "300ms"][..],
        &["--wait-timeout", "300ms", "--remote", "--older-than", "1ms"],
    ] {
        let mut sweep = rig.tidegate("sweep");
        sweep.args(["--yes", "--interval", "20ms", "--format", "json"]).args(arguments);
        let output = sweep.output().unwrap();
        assert_eq!(exit_code(&output), 4, "{output:?}");
        let document = crate::documents::parsed("sweep", &output);
        let left = document["pushes"][0]["left"][0].as_str().unwrap();
        assert!(left.contains("still being imported"), "{left}");
        assert_eq!(rig.state()["objects"].as_array().unwrap().len(), 1);
    }
    assert_eq!((rig.images().len(), rig.creates()), (1, 1));
}

#[test]
fn an_image_that_nobody_finds_is_told_of() {
    let lags = "[[fault]]\nkind = \"list-lags\"\nlag = 3600\nforever = true\n";
    let plan = format!(
        "[[fault]]\nkind = \"cut-after\"\nmethod = \"POST\"\npath = \"/v2/images\"\n{lags}"
    );
    let rig = Rig::with_plan(&plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--settle", "500ms", "--format", "json"]);
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let document = crate::documents::parsed("push", &output);
    assert_eq!(document["error"]["kind"], "unknown-outcome");
    let mark = document["mark"].as_str().unwrap();
    let look = format!("tidegate image list --tag {mark}");
    assert!(stderr(&output).contains(&look), "{}", stderr(&output));
    rig.assert_clean(1..=1, &plan);

    // Without a tag there is nothing to be found by one.
    let rig = Rig::with_plan(&plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--settle", "500ms", "--no-mark-tag"]);
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("[tidegate push ") && !said.contains("--tag"), "{said}");
    assert!(said.contains("`tidegate image list --private --format json`"), "{said}");
}

#[test]
fn why_the_last_look_failed_is_told() {
    let plan = "[[fault]]\nkind = \"cut-before\"\nmethod = \"POST\"\npath = \"/v2/images\"\n\
                [[fault]]\nkind = \"403\"\nmethod = \"GET\"\npath = \"/v2/images\"\nforever = true\n";
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(4, &["disk.raw.gz", "--settle", "500ms"]);
    let error = &document["error"];
    let said = error["message"].as_str().unwrap();
    assert_eq!(error["kind"], "unknown-outcome");
    assert!(said.contains("the last look failed") && said.contains("(403"), "{said}");
}

#[test]
fn an_object_that_stays_public_is_reported_as_such() {
    let plan =
        "[[fault]]\nkind = \"401\"\nmethod = \"GET\"\npath = \"/v2/images/*\"\nforever = true\n";
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let document = rig.document(4, &["disk.raw.gz"]);
    let staged = &document["staged"];
    assert_eq!(rig.state()["objects"][0]["acl"], "public-read");
    assert_eq!((&staged["kept"], &staged["public"]), (&true.into(), &true.into()), "{document}");
    assert!(document["left"][0].as_str().unwrap().contains("public"), "{document}");
}
