//! What is doomed is not read to its end, and a quick check reads tables only.

use std::os::unix::fs::FileExt;
use std::process::Command;

use serde_json::Value;

use crate::common::*;
use crate::server::{Object, Reply, Server, long_disk};

/// A check of a long object that begins like this: exit code, report.
fn long(begin: &[u8], more: &[&str]) -> (i32, Value) {
    let mut bytes = begin.to_vec();
    bytes.resize(64 << 20, 0x41);
    let object = Object::new(bytes);
    let server = Server::new(move |request| object.answer(request));
    let url = server.url("disk.img");
    let mut arguments = vec!["--no-url-rules", url.as_str()];
    arguments.extend(more);
    report(&arguments)
}

#[test]
fn a_doomed_image_is_left_at_once() {
    let html = b"<!DOCTYPE html><html><body>Sign in".to_vec();
    for (begin, code) in [
        (html, "content-html"),
        (b"\xfd7zXZ\0\0\x04".to_vec(), "compression-xz"),
        (b"PK\x03\x04\x14\0\0\0".to_vec(), "archive-zip"),
        (qcow2_with_backing(b"/base.img"), "qcow2-backing-file"),
    ] {
        let (exit, report) = long(&begin, &[]);
        assert_eq!((exit, codes(&report)[0]), (1, code), "{report}");
        let read = report["bytes_read"].as_u64().unwrap();
        // 64 KiB, and what came with the last of them.
        assert!(read < 256 << 10, "{code}: {read}");
        assert_eq!(report["complete"], false);
        assert!(report["digests"].as_object().unwrap().is_empty());
    }
    let (exit, report) = long(b"<!DOCTYPE html><html><body>Sign in", &["--keep-going"]);
    assert_eq!((exit, report["complete"].as_bool()), (1, Some(true)), "{report}");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let object = Object::new(disk());
    let server = Server::new(move |request| Reply {
        length: Some(200_000_000_000),
        ..object.whole(request)
    });
    let (code, report) = report(&["--no-url-rules", &server.url("disk.img")]);
    assert_eq!((code, codes(&report)[0]), (1, "file-too-large"), "{report}");
    assert_eq!(report["bytes_read"], 0);
}

/// A sparse image, served from its file.
struct Large {
    _scratch: Scratch,
    server: Server,
    size: u64,
}

impl Large {
    fn new(name: &str, options: &[&str], size: &str) -> Option<Large> {
        let scratch = Scratch::new();
        let path = scratch.path(name);
        let format = name.rsplit('.').next().unwrap();
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", format])
            .args(options)
            .arg(&path)
            .arg(size)
            .status();
        if made.is_err() {
            assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
            eprintln!("SKIPPED: qemu-img is missing");
            return None;
        }
        let file = std::fs::File::open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        let server = Server::new(move |request| {
            let Some((first, Some(last))) = request.range else {
                return Reply::status(500, Vec::new());
            };
            let last = last.min(size - 1);
            let mut body = vec![0; (last + 1 - first) as usize];
            file.read_exact_at(&mut body, first).unwrap();
            Reply::status(206, body)
                .with("etag", "\"large\"")
                .with("content-range", &format!("bytes {first}-{last}/{size}"))
        });
        Some(Large { _scratch: scratch, server, size })
    }
}

#[test]
fn a_quick_check_reads_the_tables_of_a_large_image() {
    let options = ["-o", "preallocation=metadata"];
    let Some(large) = Large::new("disk.qcow2", &options, "50G") else { return };
    assert!(large.size > 50_000_000_000);
    let url = large.server.url("disk.qcow2");
    let (code, report) = report(&["--no-url-rules", "--quick", &url]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(codes(&report), ["disk-no-partition-table"]);
    let check = |id: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap()["state"].clone()
    };
    assert_eq!(
        (check("allocation-tables"), check("partition-table")),
        ("done".into(), "done".into())
    );
    // 6.6 MB of L2 tables, 1.7 MB of refcounts, and what lies around them.
    let read = report["bytes_read"].as_u64().unwrap();
    assert!((8_000_000..16_000_000).contains(&read), "{read}");
    let requests = large.server.requests().len() as u64;
    assert_eq!(report["requests"], requests);
    assert!(requests < 300, "{requests}");
}

#[test]
fn a_quick_check_of_other_containers() {
    for (name, options) in
        [("disk.vmdk", vec![]), ("disk.vdi", vec![]), ("disk.vhdx", vec!["-o", "block_size=1M"])]
    {
        let Some(large) = Large::new(name, &options, "20G") else { return };
        let (code, report) = report(&["--no-url-rules", "--quick", &large.server.url(name)]);
        assert_eq!(
            (code, codes(&report)),
            (0, vec!["disk-no-partition-table"]),
            "{name}: {report}"
        );
        assert_eq!(report["disk_format"], name.split_once('.').unwrap().1);
        assert!(report["bytes_read"].as_u64().unwrap() < 8 << 20, "{report}");
    }
}

#[test]
fn a_quick_check_of_a_packed_url_is_quiet() {
    let object = Object::new(gzip(&long_disk()));
    for whole in [false, true] {
        let object = object.clone();
        let server = Server::new(move |request| match whole {
            true => object.whole(request),
            false => object.answer(request),
        });
        let output = check(&["--no-url-rules", "--quick", &server.url("disk.img.gz")]);
        assert_eq!((exit_code(&output), stderr(&output)), (0, ""));
        assert!(stdout(&output).contains("gpt, 1 partition"), "{output:?}");
    }
}

#[test]
fn a_quick_check_without_a_mark_to_hold_parts_against() {
    for (name, bytes) in [("disk.img", long_disk()), ("disk.img.gz", gzip(&long_disk()))] {
        for etag in [None, Some("W/\"v1\"".to_owned())] {
            let object = Object { etag, ..Object::new(bytes.clone()) };
            let server = Server::new(move |request| object.answer(request));
            let (code, report) =
                report(&["--no-url-rules", "--quick", "--retries", "0", &server.url(name)]);
            assert_eq!((code, codes(&report)), (0, vec!["url-unpinned"]), "{name}: {report}");
        }
    }
}

#[test]
fn a_container_whose_tables_lie_behind_is_read_in_parts() {
    // A resized image has its new tables at its end; what they point at lies before.
    let scratch = Scratch::new();
    let raw = scratch.write("disk.raw", &long_disk());
    let image = scratch.path("disk.qcow2");
    let run = |arguments: &[&str]| Command::new("qemu-img").args(arguments).status();
    let path = image.to_str().unwrap();
    if run(&["convert", "-O", "qcow2", "-o", "cluster_size=512", raw.to_str().unwrap(), path])
        .is_err()
    {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
        eprintln!("SKIPPED: qemu-img is missing");
        return;
    }
    run(&["resize", "-q", path, "1G"]).unwrap();
    let (_, by_path) = report(&[&image]);
    let messages = |report: &serde_json::Value| -> Vec<serde_json::Value> {
        report["findings"].as_array().unwrap().iter().map(|it| it["message"].clone()).collect()
    };
    let image = std::fs::read(&image).unwrap();
    // Packed, what lies behind is decoded again, here from the beginning each time.
    let packed = gzip(&image);
    for (name, bytes, most) in [("disk.qcow2", image, 2), ("disk.qcow2.gz", packed, 3)] {
        let object = Object::new(bytes);
        let whole = object.bytes.len() as u64;
        let inner = object.clone();
        let server = Server::new(move |request| inner.answer(request));
        let (_, by_url) = report(&["--no-url-rules", &server.url(name)]);
        // What to do about them is another thing for a URL.
        assert_eq!(codes(&by_url), codes(&by_path), "{name}");
        assert_eq!(messages(&by_url), messages(&by_path), "{name}");
        assert_eq!(by_url["digests"]["sha256"], sha256(&object.bytes));
        assert!(by_url["bytes_read"].as_u64().unwrap() < whole * most, "{by_url}");
        // Without parts it says what it could not see.
        let server = Server::new(move |request| object.whole(request));
        let (_, report) = report(&["--no-url-rules", &server.url(name)]);
        assert!(codes(&report).contains(&"structure-not-examined"), "{report}");
    }
}

#[test]
fn parts_that_are_not_what_came_by_are_another_object() {
    let scratch = Scratch::new();
    let raw = scratch.write("disk.raw", &long_disk());
    let image = scratch.path("disk.qcow2");
    let run = |arguments: &[&str]| Command::new("qemu-img").args(arguments).status();
    let path = image.to_str().unwrap();
    if run(&["convert", "-O", "qcow2", "-o", "cluster_size=512", raw.to_str().unwrap(), path])
        .is_err()
    {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
        eprintln!("SKIPPED: qemu-img is missing");
        return;
    }
    run(&["resize", "-q", path, "1G"]).unwrap();
    let image = std::fs::read(&image).unwrap();
    // The same length, range and ETag, and other bytes than by the connection that reads all of it.
    for (name, bytes) in [("disk.qcow2", image.clone()), ("disk.qcow2.gz", gzip(&image))] {
        for other in [false, true] {
            let object = Object::new(bytes.clone());
            let server = Server::new(move |request| {
                let mut reply = object.answer(request);
                if other && request.range.is_some_and(|(first, _)| first > 0) {
                    *reply.body.last_mut().unwrap() ^= 1;
                }
                reply
            });
            let (code, report) =
                report(&["--no-url-rules", "--connections", "1", &server.url(name)]);
            let kind = report["error"]["kind"].as_str();
            let wanted = if other { (3, Some("changed")) } else { (0, None) };
            assert_eq!((code, kind), wanted, "{name}: {report}");
        }
    }
}
