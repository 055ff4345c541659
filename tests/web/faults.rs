//! Whatever the network does: the right verdict with the right digest, or an error with a name.

use std::time::Duration;

use serde_json::Value;

use crate::common::*;
use crate::server::{Object, Reply, Request, Server, long_disk};

/// What came of a check of the server's `disk.img`.
fn check(server: &Server, arguments: &[&str]) -> (i32, Value) {
    let url = server.url("disk.img");
    let mut all = vec!["--guest=never", "--no-url-rules", "--timeout", "1", url.as_str()];
    all.extend(arguments);
    report(&all)
}

/// The file was read as it is and accepted.
fn assert_read(server: &Server, object: &Object, arguments: &[&str]) -> Value {
    let (_, report) = check(server, arguments);
    assert_eq!(report["verdict"], "accept", "{report}");
    assert_eq!(report["complete"], true, "{report}");
    assert_eq!(report["digests"]["sha256"], sha256(&object.bytes), "{report}");
    assert_eq!(report["identity"]["sha256"], sha256(&object.bytes));
    report
}

/// There is no verdict, for this reason.
fn assert_error(server: &Server, kind: &str, arguments: &[&str]) -> String {
    let (code, report) = check(server, arguments);
    assert_eq!((code, report["verdict"].as_str()), (3, Some("error")), "{report}");
    assert_eq!(report["error"]["kind"], kind, "{report}");
    assert!(report["digests"].as_object().unwrap().is_empty(), "{report}");
    report["error"]["message"].as_str().unwrap().to_owned()
}

fn faultless(object: &Object) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let object = object.clone();
    move |request| object.answer(request)
}

#[test]
fn a_faultless_server_by_one_and_by_several_connections() {
    let object = Object::new(long_disk());
    let server = Server::new(faultless(&object));
    for connections in ["1", "2", "4", "16"] {
        let before = server.requests().len();
        let report = assert_read(&server, &object, &["--connections", connections]);
        assert_eq!(report["file_size"], object.bytes.len());
        // Where one part goes on after another, 4 KiB come twice.
        let asked = &server.requests()[before..];
        let parts = asked.iter().filter(|request| request.range.is_some()).count();
        assert_eq!(report["bytes_read"], object.bytes.len() + parts * 4096);
        assert_eq!(report["identity"]["etag"], "\"v1\"");
    }
    let parts = server.requests().iter().filter(|request| request.range.is_some()).count();
    assert!(parts > 4, "only {parts} parts were asked for");
}

#[test]
fn packed_images_come_out_like_files() {
    let scratch = Scratch::new();
    for (name, bytes) in [("d.img.gz", gzip(&long_disk())), ("d.img.bz2", bzip2(&long_disk()))] {
        let object = Object::new(bytes);
        let path = scratch.write(name, &object.bytes);
        let server = Server::new(faultless(&object));
        let (_, by_url) = report(&["--no-url-rules", "--digest", "image", &server.url(name)]);
        let (_, by_path) = report(&["--digest".as_ref(), "image".as_ref(), path.as_os_str()]);
        for key in [
            "verdict",
            "compression",
            "disk_format",
            "image_size",
            "digests",
            "findings",
            "partition_table",
        ] {
            assert_eq!(by_url[key], by_path[key], "{key}");
        }
    }
}

#[test]
fn a_connection_that_is_cut_goes_on_where_it_stopped() {
    let object = Object::new(long_disk());
    for connections in ["1", "4"] {
        let inner = object.clone();
        let server = Server::new(move |request| {
            let reply = inner.answer(request);
            Reply { cut: Some(700_000 + request.before * 1000), ..reply }
        });
        assert_read(&server, &object, &["--connections", connections]);
        let resumed = server.requests().iter().any(|request| {
            request.headers.get("if-range").is_some_and(|validator| validator == "\"v1\"")
        });
        assert!(resumed);
    }
}

#[test]
fn a_silent_connection_is_left_for_another() {
    let object = Object::new(long_disk());
    for connections in ["1", "4"] {
        let inner = object.clone();
        let server = Server::new(move |request| {
            let stall = (request.before < 2).then_some((100_000, Duration::from_secs(8)));
            Reply { stall, ..inner.answer(request) }
        });
        assert_read(&server, &object, &["--connections", connections]);
    }
    let inner = object.clone();
    let server = Server::new(move |request| Reply {
        stall: Some((0, Duration::from_secs(8))),
        ..inner.answer(request)
    });
    assert_error(&server, "timed-out", &["--retries", "1"]);
}

#[test]
fn a_slow_server_is_waited_for() {
    let object = Object::new(disk());
    let inner = object.clone();
    let server = Server::new(move |request| Reply {
        drip: Some((100_000, Duration::from_millis(20))),
        ..inner.answer(request)
    });
    assert_read(&server, &object, &[]);
}

#[test]
fn a_server_that_ends_too_early_is_given_up() {
    let object = Object::new(long_disk());
    let inner = object.clone();
    let server = Server::new(move |request| Reply { cut: Some(10), ..inner.answer(request) });
    let said = assert_error(&server, "interrupted", &["--retries", "2"]);
    assert!(said.contains("at byte"), "{said}");
    // Without a validator it begins anew, and comes no further.
    let plain = Object { etag: None, ..object.clone() };
    let server = Server::new(move |request| Reply { cut: Some(500_000), ..plain.answer(request) });
    let said = assert_error(&server, "interrupted", &["--retries", "1"]);
    assert!(said.contains("500000"), "{said}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn lengths_that_are_lies() {
    let object = Object::new(long_disk());
    let size = object.bytes.len() as u64;
    // More is announced than there is.
    let inner = object.clone();
    let server =
        Server::new(move |request| Reply { length: Some(size + 5), ..inner.whole(request) });
    assert_error(&server, "interrupted", &["--retries", "1"]);
    // A range says one thing, its length another.
    for length in [1000, size + 1000] {
        let inner = object.clone();
        let server =
            Server::new(move |request| Reply { length: Some(length), ..inner.answer(request) });
        if length > size {
            assert_error(&server, "interrupted", &["--retries", "1"]);
        } else {
            // The first answer has no range: it is what its length says.
            assert_eq!(check(&server, &[]).1["file_size"], length);
        }
        let inner = object.clone();
        let server = Server::new(move |request| match request.range {
            Some(_) => Reply { length: Some(length), ..inner.answer(request) },
            None => Reply { cut: Some(300_000), ..inner.answer(request) },
        });
        assert_error(&server, "interrupted", &["--retries", "1"]);
    }
    // Parts that have more bytes than was asked for.
    let inner = object.clone();
    let server = Server::new(move |request| {
        let reply = inner.answer(request);
        if request.range.is_none() {
            return Reply { cut: Some(1 << 20), ..reply };
        }
        let mut body = reply.body.clone();
        body.extend_from_slice(&[0; 99]);
        Reply { chunked: true, body, ..reply }
    });
    assert_error(&server, "protocol", &[]);
}

#[test]
fn the_largest_sizes_that_can_be_said() {
    for size in [u64::MAX, u64::MAX - 5, (1 << 63) + 1] {
        let server = Server::new(move |request| {
            let (first, last) = request.range.unwrap();
            let last = last.unwrap_or(u64::MAX).min(size - 1);
            let len = (last - first + 1).min(1 << 20);
            let reply = Reply::status(206, vec![b'A'; len as usize]);
            reply
                .with("etag", "\"large\"")
                .with("content-range", &format!("bytes {first}-{last}/{size}"))
        });
        for more in [&["--keep-going"][..], &["--max-size", "18446744073709551615"]] {
            let (code, report) = check(&server, &[&["--quick"], more].concat());
            assert_eq!((code, report["verdict"].as_str()), (1, Some("reject")), "{report}");
        }
    }
}

#[test]
fn ranges_that_are_lies() {
    let object = Object::new(long_disk());
    // All of it is given to whoever asks for no range.
    for lie in ["bytes 5-9/10", "bytes 0-0/1"] {
        let inner = object.clone();
        let server = Server::new(move |request| inner.answer(request).with("content-range", lie));
        let (_, report) = check(&server, &[]);
        assert_eq!(codes(&report), ["url-unpinned"], "{report}");
        assert_eq!(report["digests"]["sha256"], sha256(&object.bytes), "{report}");
        assert_error(&server, "protocol", &["--quick"]);
    }
    for lie in ["bytes 0-", "bytes 0-99/*", "nonsense"] {
        let inner = object.clone();
        let server = Server::new(move |request| inner.answer(request).with("content-range", lie));
        assert_read(&server, &object, &[]);
    }
    // Only the later ones.
    let inner = object.clone();
    let server = Server::new(move |request| match (request.range, request.before) {
        (None, 0) => Reply { cut: Some(300_000), ..inner.answer(request) },
        _ => {
            let first = request.range.map_or(0, |(first, _)| first);
            let other = Request { range: Some((first + 1, None)), ..request.clone() };
            inner.answer(&other)
        }
    });
    assert_error(&server, "protocol", &[]);
}

#[test]
fn a_server_without_parts_is_read_in_one_piece() {
    let object = Object::new(long_disk());
    let inner = object.clone();
    let server = Server::new(move |request| inner.whole(request));
    assert_read(&server, &object, &[]);
    assert_eq!(server.requests().len(), 1);
    // It begins again after a cut, and the strong ETag says that it is the same.
    let inner = object.clone();
    let server = Server::new(move |request| Reply {
        cut: (request.before == 0).then_some(2_000_000),
        ..inner.whole(request)
    });
    assert_read(&server, &object, &[]);
    assert_eq!(server.requests().len(), 2);
    // No range of anything.
    let inner = object.clone();
    let server = Server::new(move |request| match request.range {
        Some(_) => Reply::status(416, Vec::new()),
        None => inner.whole(request),
    });
    assert_read(&server, &object, &[]);
}

#[test]
fn an_object_that_changes_is_never_mixed() {
    let object = Object::new(long_disk());
    let other = Object { etag: Some("\"v2\"".into()), ..Object::new(vec![7; object.bytes.len()]) };
    for connections in ["1", "4"] {
        let (old, new) = (object.clone(), other.clone());
        let server = Server::new(move |request| match request.before {
            0 => Reply { cut: Some(900_000), ..old.answer(request) },
            _ => new.answer(request),
        });
        assert_error(&server, "changed", &["--connections", connections]);
        // A server that does not look at If-Range.
        let (old, new) = (object.clone(), other.clone());
        let server = Server::new(move |request| {
            let mut request = request.clone();
            request.headers.remove("if-range");
            match request.before {
                0 => Reply { cut: Some(900_000), ..old.answer(&request) },
                _ => new.answer(&request),
            }
        });
        assert_error(&server, "changed", &["--connections", connections]);
    }
    // A server that does not say of what object its parts are.
    for connections in ["1", "4"] {
        let (old, new) = (object.clone(), Object { etag: None, ..other.clone() });
        let server = Server::new(move |request| {
            let mut request = request.clone();
            request.headers.remove("if-range");
            match request.before {
                0 => Reply { cut: Some(900_000), ..old.answer(&request) },
                _ => new.answer(&request),
            }
        });
        let said = assert_error(&server, "changed", &["--connections", connections]);
        assert!(said.contains("first bytes"), "{said}");
    }
    // Shorter than it was.
    let (old, short) =
        (object.clone(), Object { bytes: vec![1; 500_000].into(), ..object.clone() });
    let server = Server::new(move |request| match request.before {
        0 => Reply { cut: Some(900_000), ..old.answer(request) },
        _ => short.answer(request),
    });
    assert_error(&server, "changed", &["--connections", "1"]);
}

#[test]
fn busy_servers_are_asked_again_when_they_say() {
    let object = Object::new(long_disk());
    let inner = object.clone();
    let server = Server::new(move |request| match request.before {
        0 => Reply::status(429, Vec::new()).with("retry-after", "1"),
        1 => Reply::status(500, b"<html>".to_vec()),
        2 => Reply::status(503, Vec::new()),
        _ => inner.answer(request),
    });
    let started = std::time::Instant::now();
    let url = server.url("disk.img");
    let output = tidegate().args(["check", "--no-url-rules", &url]).output().unwrap();
    assert!(started.elapsed() > Duration::from_millis(1700), "{:?}", started.elapsed());
    let said = stderr(&output);
    assert!(said.contains("429") && said.contains("trying again in 1.0 s"), "{said}");
    assert!(said.contains("500") && said.contains("503"), "{said}");
    assert!(stdout(&output).contains(&sha256(&object.bytes)));

    let server = Server::new(|_| Reply::status(503, Vec::new()).with("retry-after", "86400"));
    let said = assert_error(&server, "http-status", &[]);
    assert!(said.contains("86400"), "{said}");
    assert_eq!(server.requests().len(), 1);
    for status in [400, 401, 403, 404, 410, 451] {
        let server = Server::new(move |_| Reply::status(status, Vec::new()));
        let said = assert_error(&server, "http-status", &[]);
        assert!(said.contains(&status.to_string()), "{said}");
        assert_eq!(server.requests().len(), 1, "{status}");
        // Some servers say 400 to a range.
        assert_error(&server, "http-status", &["--quick"]);
        assert_eq!(server.requests().len(), if status == 400 { 3 } else { 2 }, "{status}");
    }
}

#[test]
fn a_server_that_minds_several_connections_gets_fewer() {
    let object = Object::new(long_disk());
    for (status, refused) in [(403, 3), (429, 6), (503, 6)] {
        let (inner, busy) = (object.clone(), std::sync::atomic::AtomicUsize::new(0));
        let server = Server::new(move |request| {
            // Whoever comes while the first answer is under way is sent away.
            if request.range.is_some()
                && busy.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < refused
            {
                return Reply::status(status, Vec::new());
            }
            Reply { drip: Some((256 << 10, Duration::from_millis(5))), ..inner.answer(request) }
        });
        assert_read(&server, &object, &["--retries", if status == 403 { "0" } else { "8" }]);
    }
}

#[test]
fn chunks_without_a_length() {
    let object = Object::new(long_disk());
    let inner = object.clone();
    let server = Server::new(move |request| Reply { chunked: true, ..inner.whole(request) });
    let report = assert_read(&server, &object, &[]);
    assert_eq!(report["identity"]["length"], Value::Null);
    // A cut between chunks is no end.
    let weak = Object { etag: None, ..object.clone() };
    let server = Server::new(move |request| Reply {
        chunked: true,
        cut: Some(640 << 10),
        ..weak.whole(request)
    });
    assert_error(&server, "interrupted", &[]);
}

#[test]
fn an_empty_object_and_a_silent_server() {
    let empty = Object::new(Vec::new());
    let server = Server::new(faultless(&empty));
    let (code, report) = check(&server, &[]);
    assert_eq!((code, codes(&report)), (1, vec!["content-empty"]), "{report}");
    let server = Server::new(|_| Reply { silent: true, ..Reply::status(200, Vec::new()) });
    assert_error(&server, "interrupted", &["--retries", "1"]);
    let port = Server::new(|_| Reply::status(200, Vec::new())).port();
    let (code, report) = report_of(port);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("unreachable")), "{report}");
}

/// A check of a port where nobody listens any more.
fn report_of(port: u16) -> (i32, Value) {
    report(&["--no-url-rules", "--retries", "0", &format!("http://127.0.0.1:{port}/disk.img")])
}

#[test]
fn faults_at_random_never_change_a_byte() {
    let object = Object::new(long_disk());
    for seed in 0..12u64 {
        let inner = object.clone();
        let server = Server::new(move |request| {
            // As many faults as successes, and never the same ones.
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ (request.before as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
            random ^= random >> 29;
            let reply = inner.answer(request);
            match random % 6 {
                0 => Reply { cut: Some(65_536 + (random >> 8) as usize % 900_000), ..reply },
                1 => Reply::status(503, Vec::new()).with("retry-after", "0"),
                2 => Reply { drip: Some((200_000, Duration::from_millis(1))), ..reply },
                _ => reply,
            }
        });
        let connections = (1 + seed % 5).to_string();
        assert_read(&server, &object, &["--connections", &connections, "--retries", "20"]);
    }
}
