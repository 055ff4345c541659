//! Faults by plan, and what each leaves behind.

use serde_json::{Value, json};

use crate::common::*;
use crate::fixtures::*;
use crate::rig::*;

fn body() -> Value {
    json!({"name": "boringtun.img", "url": "http://127.0.0.1:1/x.img", "region": "nyc3",
           "tags": ["createdBy:ops"]})
}

fn count(rig: &Rig) -> usize {
    rig.state()["images"].as_array().unwrap().len()
}

#[test]
fn refusals_leave_nothing_behind_and_have_the_published_bodies() {
    for (kind, body_of) in [
        ("401", UNAUTHORIZED),
        ("403", FORBIDDEN),
        ("404", NOT_FOUND),
        ("409", CONFLICT),
        ("429", TOO_MANY),
        ("500", SERVER_ERROR),
    ] {
        let plan =
            format!("[[fault]]\nkind = \"{kind}\"\nmethod = \"POST\"\npath = \"/v2/images\"");
        let rig = Rig::with_plan(&plan, &["--pace", "3600"]);
        assert_eq!(rig.get("/v2/images").status, 200);
        let answer = rig.post("/v2/images", &body());
        assert_eq!((answer.status.to_string().as_str(), answer.body.as_str()), (kind, body_of));
        assert!(!answer.headers.contains_key("retry-after"));
        assert_eq!(count(&rig), 0, "{kind}");
        assert_eq!(rig.post("/v2/images", &body()).status, 202);
    }
}

#[test]
fn retry_after_and_messages_are_as_planned() {
    let plan = "[[fault]]\nkind = \"429\"\nretry-after = 29\n\
                [[fault]]\nkind = \"422\"\nnth = 2\nmessage = \"Please try again\"";
    let rig = Rig::with_plan(plan, &[]);
    assert_eq!(rig.get("/v2/images").header("retry-after"), "29");
    let answer = rig.get("/v2/images");
    assert_eq!((answer.status, &answer.json()["message"]), (422, &json!("Please try again")));
}

#[test]
fn gateways_answer_with_pages() {
    for kind in ["502", "503", "504"] {
        for (effect, images) in [(false, 0), (true, 1)] {
            let plan = format!("[[fault]]\nkind = \"{kind}\"\neffect = {effect}");
            let rig = Rig::with_plan(&plan, &["--pace", "3600"]);
            let answer = rig.post("/v2/images", &body());
            assert_eq!(answer.status.to_string(), kind);
            assert_eq!(answer.header("content-type"), "text/html");
            assert!(answer.body.starts_with("<html>"));
            assert_eq!(count(&rig), images);
        }
    }
}

#[test]
fn connections_are_cut_before_and_after_the_effect() {
    for (kind, images) in [("cut-before", 0), ("cut-after", 1)] {
        let plan = format!("[[fault]]\nkind = \"{kind}\"");
        let rig = Rig::with_plan(&plan, &["--pace", "3600"]);
        let answer = rig.try_send("POST", "/v2/images", Some(&body().to_string()));
        assert!(answer.is_none(), "{answer:?}");
        assert_eq!(count(&rig), images, "{kind}");
        let log = rig.log();
        assert_eq!((&log[0]["status"], &log[0]["faults"]), (&Value::Null, &json!([kind])));
    }
}

#[test]
fn two_documents_are_as_they_were_seen() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"two-documents\"", &["--pace", "3600"]);
    let answer = rig.post("/v2/images", &body());
    assert_eq!(answer.status, 400);
    let documents = |text: &str| -> Vec<Value> {
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().unwrap()
    };
    let (mut seen, mut made) = (documents(TWO_DOCUMENTS), documents(&answer.body));
    assert_eq!(made[1]["image"]["id"], rig.state()["images"][0]["id"]);
    for document in [&mut seen[1], &mut made[1]] {
        for field in ["id", "created_at", "updated_at", "distribution"] {
            assert!(!document["image"][field].take().is_null(), "{field}");
        }
    }
    assert_eq!(seen, made);
    assert_eq!(count(&rig), 1);
}

#[test]
fn a_create_call_may_not_say_the_id() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"create-without-id\"", &["--pace", "3600"]);
    let answer = rig.post("/v2/images", &body());
    assert_eq!((answer.status, answer.json()["image"].get("id")), (202, None));
    assert_eq!(answer.json()["image"]["name"], "boringtun.img");
    assert_eq!(count(&rig), 1);
}

#[test]
fn imports_hang_fail_and_change_their_id() {
    let files = Files::serve(vec![("/disk.img", 200, disk())]);
    let plan = "[[fault]]\nkind = \"import-hangs\"\n\
                [[fault]]\nkind = \"import-fails\"\nnth = 2\n\
                [[fault]]\nkind = \"import-fails\"\nnth = 3\nmessage = \" \"\n\
                [[fault]]\nkind = \"import-changes-id\"\nnth = 4";
    let rig = Rig::with_plan(plan, &[]);
    let ids: Vec<_> = (0..4).map(|_| rig.create("x", &files.url("/disk.img"))).collect();
    assert_eq!(rig.until(ids[1], "deleted")["error_message"], DECOMPRESSING);
    assert_eq!(rig.until(ids[2], "deleted")["error_message"], " ");
    wait_until("the id is changed", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        rig.get(&format!("/v2/images/{}", ids[3])).status == 404
    });
    let listed = rig.get("/v2/images").json();
    let changed = listed["images"].as_array().unwrap().last().unwrap().clone();
    assert!(changed["id"].as_u64().unwrap() > ids[3]);
    assert_eq!((&changed["status"], &changed["name"]), (&json!("available"), &json!("x")));
    assert_eq!(rig.until(ids[0], "pending")["status"], "pending");
    assert_eq!(count(&rig), 4);
}

#[test]
fn lists_lag() {
    let plan = "[[fault]]\nkind = \"list-lags\"\nnth = 2\ntimes = 2\nlag = 3600";
    let rig = Rig::with_plan(plan, &["--pace", "3600"]);
    rig.post("/v2/images", &body());
    let totals: Vec<Value> =
        (0..4).map(|_| rig.get("/v2/images").json()["meta"]["total"].clone()).collect();
    assert_eq!(totals, [1, 0, 0, 1]);
    let rig = Rig::with_plan(
        "[[fault]]\nkind = \"list-lags\"\nforever = true\nlag = 3.0",
        &["--pace", "3600"],
    );
    let id = rig.post("/v2/images", &body()).json()["image"]["id"].clone();
    assert_eq!(rig.get("/v2/images").json()["images"], json!([]));
    assert_eq!(rig.get(&format!("/v2/images/{id}")).status, 200);
    // A wait that asks more often would come to the limit of requests in a minute.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(200));
    wait_until("the list has it", || {
        pause();
        rig.get("/v2/images").json()["meta"]["total"] == 1
    });
}

#[test]
fn actions_err_and_hang() {
    let files = Files::serve(vec![("/disk.img", 200, disk())]);
    let plan = "[[fault]]\nkind = \"action-errors\"\n[[fault]]\nkind = \"action-hangs\"\nnth = 2";
    let rig = Rig::with_plan(plan, &[]);
    let id = rig.create("x", &files.url("/disk.img"));
    rig.until(id, "available");
    let path = format!("/v2/images/{id}/actions");
    let start = |region: &str| {
        let action = rig.post(&path, &json!({"type": "transfer", "region": region})).json();
        action["action"]["id"].as_u64().unwrap()
    };
    let (errors, hangs, completes) = (start("fra1"), start("lon1"), start("tor1"));
    rig.action_until(errors, "errored");
    rig.action_until(completes, "completed");
    rig.action_until(hangs, "in-progress");
    assert_eq!(rig.image(id)["regions"], json!(["nyc3", "tor1"]));
}

#[test]
fn requests_without_the_token_use_up_no_fault() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"500\"", &[]);
    assert_eq!(exchange(&rig.address, "GET", "/v2/images", "", None).unwrap().status, 401);
    rig.state();
    assert_eq!(rig.get("/v2/images").status, 500);
    assert_eq!(rig.get("/v2/images").status, 200);
}
