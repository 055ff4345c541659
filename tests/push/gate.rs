//! What the check refuses is never completed, and never created: the simulator's log tells.

use serde_json::json;

use crate::common::*;
use crate::disks::*;
use crate::rig::*;

fn assert_refused(rig: &Rig, what: &str) {
    assert!(rig.asked("complete-multipart-upload").is_empty(), "{what}: {:?}", rig.log());
    assert_eq!(rig.creates(), 0, "{what}: {:?}", rig.log());
    rig.assert_clean(0..=0, what);
    assert!(rig.journals().is_empty(), "{what}");
}

#[test]
fn what_is_refused_by_its_first_bytes_is_not_uploaded() {
    let rig = Rig::new();
    rig.scratch.write("page.img", b"<html><body>no image</body></html>");
    let document = rig.document(1, &["page.img"]);
    assert_eq!(document["error"]["kind"], "rejected");
    assert_eq!(document["report"]["verdict"], "reject");
    assert!(rig.asked("create-multipart-upload").is_empty(), "{:?}", rig.log());
    assert_refused(&rig, "a page");
}

#[test]
fn all_that_is_refused_is_aborted() {
    let testdata = root().join("testdata");
    let expected = std::fs::read_to_string(testdata.join("expected.tsv")).unwrap();
    // What a push can mend is another matter.
    let repairable = ["gpt.raw.xz", "gpt.raw.zst", "gpt.tar.gz", "box.ova", "garbage.raw.gz"];
    let refused = expected.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let refused: Vec<String> = refused
        .filter(|row| {
            row[5] == "reject"
                && !repairable.contains(&row[0])
                && row[1] != "vpc"
                && row[1] != "qcow"
        })
        .map(|row| row[0].to_owned())
        .collect();
    assert!(refused.len() > 10, "{refused:?}");
    each(&refused, |name| {
        let rig = Rig::new();
        let file = testdata.join(name);
        let output = rig.pushed(&[file.to_str().unwrap()]);
        assert_eq!(exit_code(&output), 1, "{name}: {output:?}");
        assert_refused(&rig, name);
    });
}

#[test]
fn what_is_refused_at_its_very_end_is_aborted() {
    let rig = Rig::new();
    rig.scratch.write("cut.raw.gz", cut());
    let document = rig.document(1, &[&["cut.raw.gz"], &PARTS[..]].concat());
    assert_eq!(document["report"]["verdict"], "reject");
    assert_eq!(document["staged"], serde_json::Value::Null);
    // It was on its way.
    assert!(rig.asked("upload-part").len() >= 2, "{:?}", rig.log());
    assert_eq!(rig.asked("abort-multipart-upload").len(), 1);
    assert_refused(&rig, "a cut file");

    let rig = Rig::new();
    let mut push = rig.push(&["-", "--name", "x"]);
    let output = fed(push.args(PARTS), cut());
    assert_eq!(exit_code(&output), 1, "{output:?}");
    assert_refused(&rig, "a cut pipe");
}

#[test]
fn warnings_come_before_anything_is_made() {
    let blank = root().join("testdata/blank.qcow2");
    let blank = blank.to_str().unwrap();
    for quiet in [&[][..], &["--quiet"]] {
        let rig = Rig::new();
        let output = rig.pushed(&[&[blank], quiet].concat());
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let said = stderr(&output);
        let warned = said.find("warning: ").unwrap_or_else(|| panic!("{said}"));
        assert!(said[warned..].contains("[disk-no-partition-table]"), "{said}");
        // A quiet push tells of no step.
        assert!(said.find("complete: ").is_none_or(|at| warned < at), "{said}");
        assert_eq!(said.contains("complete: "), quiet.is_empty(), "{said}");
    }
    let rig = Rig::new();
    let output = rig.pushed(&[blank, "--strict"]);
    assert_eq!(exit_code(&output), 1, "{output:?}");
    assert_refused(&rig, "a warning under --strict");
}

#[test]
fn what_cannot_be_read_is_not_pushed() {
    let rig = Rig::new();
    std::fs::create_dir(rig.scratch.path("folder")).unwrap();
    for name in ["missing", "folder"] {
        let document = rig.document(3, &[name]);
        assert_eq!(document["error"]["kind"], "unread", "{document}");
        assert_refused(&rig, name);
    }
    // No bytes at all are the image's fault.
    rig.scratch.write("empty", b"");
    rig.document(1, &["empty"]);
    assert_refused(&rig, "empty");
}

/// Regions are asked for first: nothing is sent for one that does not exist.
#[test]
fn a_region_that_does_not_exist_ends_the_push_before_anything_is_sent() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    for (arguments, named) in [
        (&["--region", "nosuch"][..], "there is no region nosuch"),
        (&["--region", "fra11"], "there is no region fra11; did you mean fra1?"),
        (&["--region", "nyc3", "--transfer", "ams3,nowhere"], "there is no region nowhere"),
    ] {
        let mut push = rig.tidegate("push");
        let output =
            push.args(["disk.raw.gz", "--format", "json"]).args(arguments).output().unwrap();
        assert_eq!(exit_code(&output), 4, "{}", stderr(&output));
        let document = crate::documents::parsed("push", &output);
        assert_eq!(
            (&document["error"]["kind"], &document["image"]),
            (&json!("order"), &json!(null))
        );
        let said = document["error"]["message"].as_str().unwrap();
        assert!(said.contains(named) && said.contains("nyc3, "), "{said}");
        assert!(stderr(&output).contains("nothing was created, and nothing is left behind"));
        let log = rig.log();
        assert!(
            log.iter().all(|line| line["operation"].is_null()),
            "the bucket was touched: {log:?}"
        );
        assert_eq!(rig.creates(), 0);
        assert!(rig.journals().is_empty());
    }
}

#[test]
fn a_token_that_may_not_list_regions_is_no_reason_to_push_nothing() {
    let plan =
        "[[fault]]\nkind = \"403\"\nmethod = \"GET\"\npath = \"/v2/regions\"\nforever = true";
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz"]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("nobody said whether the regions exist"),
        "{}",
        stderr(&output)
    );
}
