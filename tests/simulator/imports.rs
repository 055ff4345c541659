//! Imports: what is fetched, what comes of it, and what is never fetched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::*;
use crate::fixtures::*;
use crate::rig::*;

#[test]
fn good_images_become_available() {
    let files = Files::serve(vec![
        ("/disk.img", 200, disk()),
        ("/disk.img.gz", 200, gzip(&disk())),
        ("/disk.img.bz2", 200, bzip2(&disk())),
        ("/moved.img", 302, b"/disk.img".to_vec()),
    ]);
    let rig = Rig::new(&[]);
    for path in ["/disk.img", "/disk.img.gz", "/disk.img.bz2", "/moved.img"] {
        files.asked.lock().unwrap().clear();
        let id = rig.create("disk", &files.url(path));
        let image = rig.until(id, "available");
        assert_eq!(
            [&image["size_gigabytes"], &image["min_disk_size"], &image["regions"]],
            [&json!(0.01), &json!(1), &json!(["nyc3"])],
            "{path}"
        );
        assert_eq!((&image["error_message"], &image["status"]), (&json!(""), &json!("available")));
        let asked = files.asked.lock().unwrap();
        assert_eq!(asked[0], format!("HEAD {path}"));
        assert!(asked.contains(&format!("GET {path}")), "{asked:?}");
    }
}

#[test]
fn bad_images_end_as_deleted_with_the_message_of_digitalocean() {
    let mut cut = gzip(&disk());
    cut.truncate(cut.len() / 2);
    let mut tar = vec![0; 2048];
    tar[..8].copy_from_slice(b"disk.raw");
    tar[257..263].copy_from_slice(b"ustar\0");
    let files = Files::serve(vec![
        ("/cut.img.gz", 200, cut),
        ("/disk.img.xz", 200, b"\xfd7zXZ\0\0\x04more".to_vec()),
        ("/disk.zip", 200, b"PK\x03\x04more of it".to_vec()),
        ("/page.img", 200, b"<!DOCTYPE html><html><body>no</body></html>".to_vec()),
        ("/headless.img", 405, disk()),
    ]);
    let rig = Rig::new(&[]);
    for (path, message) in [
        ("/cut.img.gz", DECOMPRESSING),
        ("/disk.img.xz", COMPRESSION),
        ("/disk.zip", COMPRESSION),
        ("/page.img", "[simulator] "),
        ("/missing.img", "[simulator] The source URL answers a HEAD request with 404."),
        ("/headless.img", "[simulator] The source URL answers a HEAD request with 405."),
    ] {
        let id = rig.create("bad", &files.url(path));
        let image = rig.until(id, "deleted");
        let said = image["error_message"].as_str().unwrap();
        assert!(said.starts_with(message), "{path}: {said}");
        assert_eq!((&image["size_gigabytes"], &image["regions"]), (&Value::Null, &json!([])));
        // It can be looked at, and is in no list.
        assert_eq!(rig.get("/v2/images?private=true").json()["meta"]["total"], 0);
        let again = rig.send("DELETE", &format!("/v2/images/{id}"), None);
        assert_eq!(again.status, 422);
        assert_eq!(again.json()["message"], "Image Can not delete an already deleted image.");
    }
    assert!(!files.asked.lock().unwrap().contains(&"GET /headless.img".to_owned()));
}

#[test]
fn nothing_but_this_machine_is_asked() {
    // 192.0.2.0/24 is nobody's: a request to it would hang, not fail.
    let files = Files::serve(vec![
        ("/away.img", 302, b"http://192.0.2.1/disk.img".to_vec()),
        ("/elsewhere.img", 302, b"http://images.example/disk.img".to_vec()),
    ]);
    let rig = Rig::new(&["--allow-fetch", "other.example"]);
    for url in [
        "http://192.0.2.1/disk.img".to_owned(),
        "https://images.example/disk.img".to_owned(),
        files.url("/away.img"),
        files.url("/elsewhere.img"),
    ] {
        let id = rig.create("away", &url);
        let (image, took) = timed(|| rig.until(id, "deleted"));
        let said = image["error_message"].as_str().unwrap();
        assert!(said.contains("is not among the hosts that may be asked"), "{url}: {said}");
        assert!(took < Duration::from_secs(5), "{url}");
    }
}

#[test]
fn a_source_that_is_not_there_ends_as_deleted() {
    let rig = Rig::new(&[]);
    let id = rig.create("nobody", "http://127.0.0.1:1/disk.img");
    let image = rig.until(id, "deleted");
    assert!(image["error_message"].as_str().unwrap().starts_with("[simulator] "), "{image}");
}

#[test]
fn each_step_takes_its_time() {
    let files = Files::serve(vec![("/disk.img", 200, disk())]);
    let rig = Rig::new(&["--pace", "1.5"]);
    let id = rig.create("slow", &files.url("/disk.img"));
    let (_, first) = timed(|| rig.until(id, "pending"));
    let (_, second) = timed(|| rig.until(id, "available"));
    assert!(first + second > Duration::from_millis(2500), "{first:?} {second:?}");
    let path = format!("/v2/images/{id}/actions");
    let action = rig.post(&path, &json!({"type": "convert"})).json()["action"]["id"].as_u64();
    let (_, took) = timed(|| rig.action_until(action.unwrap(), "completed"));
    assert!(took > Duration::from_millis(1200), "{took:?}");
}

#[test]
fn an_image_that_is_deleted_on_its_way_stays_so() {
    let files = Files::serve(vec![("/disk.img", 200, disk())]);
    let rig = Rig::new(&["--pace", "0.3"]);
    let id = rig.create("gone", &files.url("/disk.img"));
    assert_eq!(rig.send("DELETE", &format!("/v2/images/{id}"), None).status, 204);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(rig.state()["images"], json!([]));
}
