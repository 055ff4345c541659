//! Servers that cannot be read in parts, each in its own way: one connection goes on, and no two objects are mixed.

use std::sync::Arc;

use serde_json::Value;

use crate::common::*;
use crate::server::{Object, Reply, Request, Server, long_disk};

const DATE: &str = "Sat, 21 Nov 2026 00:00:00 GMT";

fn check(server: &Server, more: &[&str]) -> (i32, Value) {
    let url = server.url("disk.img");
    report(&[&["--guest=never", "--no-url-rules", "--timeout", "2", url.as_str()], more].concat())
}

/// The object was read as it is, with these findings.
fn assert_read(server: &Server, object: &Object, more: &[&str], found: &[&str]) -> Value {
    let (code, report) = check(server, more);
    assert_eq!((code, codes(&report)), (0, found.to_vec()), "{report}");
    if !more.contains(&"--quick") {
        assert_eq!(report["digests"]["sha256"], sha256(&object.bytes), "{report}");
    }
    report
}

const WAYS: [&[&str]; 4] = [&[], &["--connections", "1"], &["--connections", "16"], &["--quick"]];

#[test]
fn a_server_that_honours_if_range_with_dates_only() {
    let object = Object { modified: Some(DATE.into()), ..Object::new(long_disk()) };
    for more in WAYS {
        let inner = object.clone();
        let server = Server::new(move |request| {
            let mut request = request.clone();
            if request.headers.get("if-range").is_some_and(|validator| validator != DATE) {
                request.range = None;
            }
            inner.answer(&request)
        });
        assert_read(&server, &object, more, &[]);
    }
}

#[test]
fn nodes_that_say_different_things_of_the_same_bytes() {
    let object = Object::new(long_disk());
    let etags: fn(&Reply, usize) -> Reply =
        |reply, node| reply.clone().with("etag", &format!("\"node-{node}\""));
    let dates: fn(&Reply, usize) -> Reply = |reply, node| {
        let mut reply = reply.clone();
        reply.headers.retain(|(name, _)| name != "etag");
        reply
            .with("last-modified", &format!("Sat, 21 Nov 2026 00:00:0{node} GMT"))
            .with("date", "Sun, 22 Nov 2026 00:00:00 GMT")
    };
    for (label, ignores_if_range) in [(etags, true), (etags, false), (dates, true), (dates, false)]
    {
        for more in WAYS {
            let inner = object.clone();
            let server = Server::new(move |request| {
                let node = request.before % 3;
                let mut asked = request.clone();
                let own = label(&Reply::status(200, Vec::new()), node);
                let is_own = |validator: &String| own.headers.iter().any(|(_, v)| v == validator);
                if let Some(validator) = request.headers.get("if-range")
                    && !ignores_if_range
                    && !is_own(validator)
                {
                    asked.range = None;
                }
                asked.headers.remove("if-range");
                label(&inner.answer(&asked), node)
            });
            let by_date = label(&Reply::status(200, Vec::new()), 0).headers[0].0 != "etag";
            // Of one connection nothing is asked twice.
            let found: &[&str] =
                if more.contains(&"1") && !by_date { &[] } else { &["url-unpinned"] };
            let report = assert_read(&server, &object, more, found);
            if found.is_empty() {
                continue;
            }
            let said = report["findings"][0]["message"].as_str().unwrap();
            assert!(said.contains(if by_date { "no ETag" } else { "node-0" }), "{said}");
        }
    }
}

#[test]
fn an_odd_node_in_the_middle_of_a_transfer() {
    let object = Object::new(long_disk());
    let inner = object.clone();
    let server = Server::new(move |request| {
        let mut asked = request.clone();
        if request.range.is_some_and(|(first, _)| first >= 8 << 20) {
            asked.headers.remove("if-range");
            return inner.answer(&asked).with("etag", "\"odd\"");
        }
        inner.answer(&asked)
    });
    let report = assert_read(&server, &object, &[], &["url-unpinned"]);
    assert_eq!(report["identity"]["etag"], "\"v1\"");
    // The same with other bytes: they are of nothing that was read.
    let (inner, mut other) = (object.clone(), object.bytes.to_vec());
    other[9 << 20] ^= 1;
    let other = Object { bytes: Arc::new(other), etag: Some("\"odd\"".into()), ..object.clone() };
    let server = Server::new(move |request| {
        match request.range.is_some_and(|(first, _)| first >= 8 << 20) {
            true => other.answer(&Request { headers: Default::default(), ..request.clone() }),
            false => inner.answer(request),
        }
    });
    assert_read(&server, &object, &[], &["url-unpinned"]);
}

/// What a server answers to a range that does not begin at 0.
fn with_parts(
    object: &Object,
    part: impl Fn(&Object, &Request, (u64, u64)) -> Reply + Send + Sync + 'static,
) -> Server {
    let object = object.clone();
    let size = object.bytes.len() as u64;
    Server::new(move |request| match request.range {
        Some((first, last)) if first > 0 => {
            part(&object, request, (first, last.unwrap_or(size - 1).min(size - 1)))
        }
        _ => object.answer(request),
    })
}

/// The bytes from `first` to `last`, whatever was asked for.
fn given(object: &Object, first: u64, last: u64) -> Reply {
    let range = Some((first, Some(last)));
    let headers = Default::default();
    let (method, path) = ("GET".to_owned(), String::new());
    object.answer(&Request { method, path, headers, range, before: 0, body: Vec::new() })
}

#[test]
fn parts_that_are_wider_or_narrower_than_what_was_asked_for() {
    let object = Object::new(long_disk());
    let end = object.bytes.len() as u64 - 1;
    type Plan = fn(u64, u64, u64) -> (u64, u64);
    let plans: [Plan; 6] = [
        |first, last, _| (first.saturating_sub(1000), last),
        |first, last, _| (first / (1 << 20) * (1 << 20), last),
        |first, last, end| (first, (last + 5000).min(end)),
        |first, last, end| (first.saturating_sub(70_000), (last + 70_000).min(end)),
        |first, last, _| (first, last.min(first + 100_000)),
        // Nothing but the first bytes of what was asked for: too little to go on with.
        |first, last, _| (first, last.min(first + 10)),
    ];
    for (number, plan) in plans.into_iter().enumerate() {
        for more in WAYS {
            let server = with_parts(&object, move |object, _, (first, last)| {
                let (first, last) = plan(first, last, end);
                given(object, first, last)
            });
            let report = assert_read(&server, &object, more, &[]);
            assert!(number == 5 || report["requests"].as_u64() < Some(200), "{report}");
        }
    }
}

#[test]
fn answers_to_a_range_that_are_no_part() {
    let object = Object::new(long_disk());
    let plans: Vec<fn(&Object, u64, u64) -> Reply> = vec![
        |object, _, _| given(object, 0, object.bytes.len() as u64 - 1),
        |object, first, last| given(object, first + 1, last),
        |object, first, last| {
            let mut reply = given(object, first, last);
            reply.headers.retain(|(name, _)| name != "content-range");
            reply.with("content-type", "multipart/byteranges; boundary=x")
        },
        |object, first, last| given(object, first, last).with("content-range", "bytes */12582912"),
        |object, first, last| given(object, first, last).with("content-range", "nonsense"),
        |object, first, last| {
            given(object, first, last)
                .with("content-range", &format!("bytes {first}-{last}/99999999"))
        },
        |object, first, last| given(object, first, last).with("etag", "W/\"v1\""),
        |_, _, _| Reply::status(416, Vec::new()).with("content-range", "bytes */12582912"),
        |_, _, _| Reply::status(412, Vec::new()),
        |_, _, _| Reply::status(403, Vec::new()),
        |_, _, _| Reply::status(400, Vec::new()),
        |object, _, _| Reply::status(200, object.bytes.to_vec()).with("etag", "\"v1\""),
        |object, _, _| Reply::status(200, object.bytes.to_vec()),
    ];
    for (number, plan) in plans.into_iter().enumerate() {
        for more in WAYS {
            let server =
                with_parts(&object, move |object, _, (first, last)| plan(object, first, last));
            let (code, report) = check(&server, more);
            assert_eq!(
                (code, report["verdict"] != "error"),
                (0, true),
                "{number} {more:?}: {report}"
            );
            if !more.contains(&"--quick") {
                assert_eq!(report["digests"]["sha256"], sha256(&object.bytes), "{number}");
            }
        }
    }
    // A part of an unknown whole is one.
    let server = with_parts(&object, |object, _, (first, last)| {
        given(object, first, last).with("content-range", &format!("bytes {first}-{last}/*"))
    });
    let report = assert_read(&server, &object, &[], &[]);
    assert!(report["requests"].as_u64() > Some(4), "{report}");
}

#[test]
fn first_answers_that_are_no_part() {
    let object = Object::new(long_disk());
    let plans: Vec<fn(&Object, Reply) -> Reply> = vec![
        |_, _| Reply::status(400, Vec::new()),
        |_, _| Reply::status(416, Vec::new()),
        |_, _| Reply::status(501, Vec::new()),
        |object, _| given(object, 0, 99_999),
        |object, _| given(object, 5, 99_999),
        |_, reply| reply.with("content-range", "bytes 0-12582911/*"),
        |_, reply| reply.with("content-range", "nonsense"),
    ];
    for (number, plan) in plans.into_iter().enumerate() {
        for more in WAYS {
            let inner = object.clone();
            let server = Server::new(move |request| match request.range {
                Some(_) => plan(&inner, inner.answer(request)),
                None => inner.answer(request),
            });
            let (code, report) = check(&server, more);
            assert_eq!(code, 0, "{number} {more:?}: {report}");
            if !more.contains(&"--quick") {
                assert_eq!(report["digests"]["sha256"], sha256(&object.bytes), "{number}");
            }
        }
    }
    // Of two sizes, neither is believed.
    let inner = object.clone();
    let server = Server::new(move |request| match request.range {
        Some(_) => inner.answer(request).with("content-range", "bytes 0-0/999"),
        None => inner.answer(request),
    });
    let (code, report) = check(&server, &["--quick"]);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("protocol")), "{report}");
}

#[test]
fn what_is_given_for_a_range_is_not_taken_for_the_object() {
    let (good, bad) = (disk(), vec![0; DISK as usize]);
    for more in [&["--keep-going"][..], &["--keep-going", "--connections", "1"]] {
        let (good, plain) = (Object::new(good.clone()), Object::new(bad.clone()));
        let server = Server::new(move |request| match request.range {
            Some(_) => good.answer(request),
            None => plain.answer(request),
        });
        let (code, report) = check(&server, more);
        assert_eq!(code, 1, "{report}");
        assert_eq!(report["digests"]["sha256"], sha256(&bad), "{report}");
    }
    // Of a larger one, the parts are held against what came before them.
    let (good, plain) = (Object::new(long_disk()), Object::new(vec![7; 12 << 20]));
    let server = Server::new(move |request| match request.range {
        Some(_) => good.answer(request),
        None => plain.answer(request),
    });
    let (code, report) = check(&server, &["--keep-going"]);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("changed")), "{report}");
}

#[test]
fn weak_etags_pin_nothing_and_break_nothing() {
    let object = Object {
        etag: Some("W/\"v1\"".into()),
        modified: Some(DATE.into()),
        ..Object::new(long_disk())
    };
    for more in WAYS {
        let inner = object.clone();
        let server = Server::new(move |request| {
            inner.answer(request).with("date", "Sun, 22 Nov 2026 00:00:00 GMT")
        });
        assert_read(&server, &object, more, &["url-unpinned"]);
    }
}

#[test]
fn what_cannot_be_continued_is_read_anew_and_held_against_what_was_had() {
    let object = Object { etag: None, ..Object::new(long_disk()) };
    let inner = object.clone();
    let server = Server::new(move |request| Reply {
        cut: (request.before == 0).then_some(3_000_000),
        ..inner.whole(request)
    });
    assert_read(&server, &object, &[], &["url-unpinned"]);
    // Other bytes, shorter, longer: none of them is the object that was begun.
    let mut other = object.bytes.to_vec();
    other[2_999_999] ^= 1;
    for bytes in [other, object.bytes[..2_000_000].to_vec(), [&object.bytes[..], b"more"].concat()]
    {
        let (old, new) = (object.clone(), Object { etag: None, ..Object::new(bytes) });
        let server = Server::new(move |request| match request.before {
            0 => Reply { cut: Some(3_000_000), ..old.whole(request) },
            _ => new.whole(request),
        });
        let (code, report) = check(&server, &[]);
        assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("changed")), "{report}");
    }
    // In chunks, nobody says a length before.
    let (old, new) =
        (object.clone(), Object { etag: None, ..Object::new(object.bytes[..2_000_000].to_vec()) });
    let server = Server::new(move |request| match request.before {
        0 => Reply { cut: Some(46 << 16), chunked: true, ..old.whole(request) },
        _ => Reply { chunked: true, ..new.whole(request) },
    });
    let (code, report) = check(&server, &[]);
    assert_eq!((code, report["error"]["kind"].as_str()), (3, Some("changed")), "{report}");
}

#[test]
fn structures_behind_are_not_read_of_another_object() {
    // A VDI whose header comes first and is read by the stream; the odd node answers every part.
    let object = Object::new(gzip(&long_disk()));
    let inner = object.clone();
    let server = Server::new(move |request| {
        let mut asked = request.clone();
        asked.headers.remove("if-range");
        let node = request.before;
        inner.answer(&asked).with("etag", &format!("\"{node}\""))
    });
    let url = server.url("disk.img.gz");
    for more in [&[][..], &["--digest", "image"], &["--spool"]] {
        let (code, report) = report(&[&["--no-url-rules", url.as_str()], more].concat());
        assert_eq!(code, 0, "{report}");
    }
}
