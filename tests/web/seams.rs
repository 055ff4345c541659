//! Two objects under one ETag: what comes twice, where one answer goes on after another, has to be the same.

use std::time::Duration;

use serde_json::Value;

use crate::common::*;
use crate::server::{Object, Reply, Request, Server, long_disk};

const DATE: &str = "Sat, 21 Nov 2026 00:00:00 GMT";

/// Bytes that come twice.
const SEAM: u64 = 4096;

fn check(server: &Server, more: &[&str]) -> (i32, Value) {
    let url = server.url("disk.img");
    report(&[&["--guest=never", "--no-url-rules", "--timeout", "2", url.as_str()], more].concat())
}

/// It is no object at all, and says what to do about it.
fn assert_changed(server: &Server, mark: &str, more: &[&str]) {
    let (code, report) = check(server, more);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("changed")), "{report}");
    assert!(report["digests"].as_object().unwrap().is_empty(), "{report}");
    let said = report["error"]["message"].as_str().unwrap();
    assert!(said.contains(mark) && said.contains("was replaced"), "{said}");
    assert!(said.contains("at byte"), "{said}");
}

/// The object was read as it is.
fn assert_read(server: &Server, object: &Object, more: &[&str]) -> Value {
    let (code, report) = check(server, more);
    assert_eq!((code, report["verdict"].as_str()), (0, Some("accept")), "{report}");
    assert_eq!(report["digests"]["sha256"], sha256(&object.bytes), "{report}");
    report
}

/// A disk with something in each piece, and another one of the same size, ETag and partition table.
fn objects() -> (Object, Object) {
    let mut one = long_disk();
    one.copy_within(4 << 20..6 << 20, 64 << 10);
    let mut two = one.clone();
    two[64 << 10..11 << 20].iter_mut().for_each(|byte| *byte = !*byte);
    (Object::new(one), Object::new(two))
}

#[test]
fn two_objects_in_turns_are_none() {
    let (one, two) = objects();
    for every in [2, 3, 5] {
        for connections in ["2", "4", "16"] {
            let (one, two) = (one.clone(), two.clone());
            let server = Server::new(move |request| match request.before % every {
                0 => two.answer(request),
                _ => one.answer(request),
            });
            assert_changed(&server, "ETag", &["--connections", connections]);
        }
    }
    // The same of objects that a date tells apart.
    let dated =
        |object: &Object| Object { etag: None, modified: Some(DATE.into()), ..object.clone() };
    let (one, two) = (dated(&one), dated(&two));
    let server = Server::new(move |request| {
        let object = if request.before.is_multiple_of(2) { &one } else { &two };
        object.answer(request).with("date", "Sun, 22 Nov 2026 00:00:00 GMT")
    });
    assert_changed(&server, "date", &[]);
}

#[test]
fn an_object_that_is_replaced_under_its_etag_is_none() {
    let (one, two) = objects();
    for after in [1, 2, 3] {
        for more in [&[][..], &["--connections", "2"], &["--digest", "image"]] {
            let (one, two) = (one.clone(), two.clone());
            let server = Server::new(move |request| match request.before < after {
                true => one.answer(request),
                false => two.answer(request),
            });
            assert_changed(&server, "ETag", more);
        }
    }
}

#[test]
fn a_cut_connection_goes_on_with_nothing_else() {
    let (one, two) = objects();
    for connections in ["1", "2", "4"] {
        for cut in [2_500_000, 3_000_001] {
            let (one, two) = (one.clone(), two.clone());
            let server = Server::new(move |request| match request.before {
                0 => Reply { cut: Some(cut), ..one.answer(request) },
                _ => two.answer(request),
            });
            assert_changed(&server, "ETag", &["--connections", connections]);
        }
    }
    // A piece that is cut once, whoever asks for the rest of it.
    let (inner, two) = (one.clone(), two.clone());
    let server = Server::new(move |request| match request.range {
        Some((first, _)) if first > 0 && !(first + SEAM).is_multiple_of(256 << 10) => {
            two.answer(request)
        }
        Some((first, _)) if first > 5 << 20 => {
            Reply { cut: Some(500_001), ..inner.answer(request) }
        }
        _ => inner.answer(request),
    });
    assert_changed(&server, "ETag", &[]);
    // One byte is enough.
    let (inner, mut bytes) = (one.clone(), one.bytes.to_vec());
    bytes[2_999_999] ^= 1;
    let server = Server::new(move |request| match request.before {
        0 => Reply { cut: Some(3_000_000), ..inner.answer(request) },
        _ => Object::new(bytes.clone()).answer(request),
    });
    assert_changed(&server, "ETag", &["--connections", "1"]);
}

#[test]
fn parts_are_encoded_as_the_first_answer_is() {
    let (object, _) = objects();
    let server = Server::new(move |request| match request.before {
        0 | 1 => object.answer(request),
        _ => object.answer(request).with("content-encoding", "gzip"),
    });
    let (code, report) = check(&server, &["--connections", "4"]);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("changed")), "{report}");
    assert!(report["error"]["message"].as_str().unwrap().contains("Content-Encoding"), "{report}");
}

#[test]
fn the_rest_by_one_connection_is_of_the_same_object() {
    // From byte 6 MiB on there are no pieces, so that one connection goes on: with another object.
    let (one, two) = objects();
    let server = Server::new(move |request| match request.range {
        Some((first, Some(_))) if first >= 6 << 20 => Reply::status(403, Vec::new()),
        Some((first, None)) if first > 0 => two.answer(request),
        _ => one.answer(request),
    });
    assert_changed(&server, "ETag", &["--retries", "0"]);
}

#[test]
fn pieces_and_cuts_of_one_object_are_that_object() {
    let (object, _) = objects();
    for connections in ["1", "3", "4", "16"] {
        let inner = object.clone();
        let server = Server::new(move |request| Reply {
            cut: [0, 2, 5].contains(&request.before).then_some(166_000 + request.before * 70_001),
            ..inner.answer(request)
        });
        assert_read(&server, &object, &["--connections", connections]);
        // Whatever goes on begins with what came last.
        let asked: Vec<u64> =
            server.requests().iter().filter_map(|request| Some(request.range?.0)).collect();
        assert!(asked.contains(&(166_000 - SEAM)), "{asked:?}");
    }
}

#[test]
fn what_was_progress_is_still_progress() {
    // 64 KiB at a time: cut, or as a part that is shorter than what was asked for.
    let small = Object::new(disk());
    let inner = small.clone();
    let server = Server::new(move |request| Reply {
        // So few that nobody waits long.
        cut: (request.before < 6).then_some(64 << 10),
        ..inner.answer(request)
    });
    assert_read(&server, &small, &["--connections", "1", "--retries", "1"]);
    assert_eq!(server.requests().len(), 7);
    let (object, _) = objects();
    let inner = object.clone();
    let server = Server::new(move |request| {
        let mut request = request.clone();
        if let Some((first, Some(last))) = request.range {
            request.range = Some((first, Some(last.min(first + 0xffff))));
        }
        inner.answer(&request)
    });
    let report = assert_read(&server, &object, &["--retries", "0"]);
    assert!(report["requests"].as_u64() > Some(100), "{report}");
}

#[test]
fn slow_servers_and_slow_pieces_are_read() {
    let (object, two) = objects();
    let slow = |object: &Object, request: &Request| {
        let pause = Duration::from_millis(1 + request.before as u64 % 3 * 4);
        Reply { drip: Some((32 << 10, pause)), ..object.answer(request) }
    };
    let inner = object.clone();
    let server = Server::new(move |request| slow(&inner, request));
    for connections in ["1", "4"] {
        assert_read(&server, &object, &["--connections", connections]);
    }
    // What comes twice comes byte by byte, or is long in coming.
    let inner = object.clone();
    let server = Server::new(move |request| match request.before % 4 {
        2 => Reply { drip: Some((1000, Duration::from_micros(200))), ..inner.answer(request) },
        3 => Reply { stall: Some((1000, Duration::from_secs(4))), ..inner.answer(request) },
        _ => inner.answer(request),
    });
    assert_read(&server, &object, &[]);
    let inner = object.clone();
    let server = Server::new(move |request| match request.before % 2 {
        0 => slow(&inner, request),
        _ => slow(&two, request),
    });
    assert_changed(&server, "ETag", &[]);
}

#[test]
fn parts_side_by_side_in_a_quick_check_are_of_one_object() {
    // Tables that are read in order, each request beside what others brought.
    let scratch = Scratch::new();
    let path = scratch.path("disk.qcow2");
    let made = std::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-o", "preallocation=metadata,cluster_size=4k"])
        .arg(&path)
        .arg("4G")
        .status();
    if made.is_err() {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
        eprintln!("SKIPPED: qemu-img is missing");
        return;
    }
    let file = std::fs::File::open(&path).unwrap();
    let size = file.metadata().unwrap().len();
    let serve = move |flip: bool| {
        let file = file.try_clone().unwrap();
        Server::new(move |request| {
            use std::os::unix::fs::FileExt;
            let Some((first, Some(last))) = request.range else {
                return Reply::status(500, Vec::new());
            };
            let last = last.min(size - 1);
            let mut body = vec![0; (last + 1 - first) as usize];
            file.read_exact_at(&mut body, first).unwrap();
            // The last byte of what is side by side is another one each time.
            if flip && request.before > 3 {
                *body.last_mut().unwrap() ^= 1;
            }
            Reply::status(206, body)
                .with("etag", "\"large\"")
                .with("content-range", &format!("bytes {first}-{last}/{size}"))
        })
    };
    let (code, report) = check(&serve(false), &["--quick"]);
    assert_eq!(code, 0, "{report}");
    let (code, report) = check(&serve(true), &["--quick"]);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("changed")), "{report}");
}
