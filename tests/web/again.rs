//! `map` and `compare` of compressed objects: decoded again from parts, without a temporary file, if the server sends any.

use std::io::Read as _;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;

use crate::common::*;
use crate::server::{Object, Reply, Request, Server, long_disk};

fn command(arguments: &[&str]) -> Command {
    let mut command = tidegate();
    command.args(arguments).args(["--timeout", "2", "--insecure-http"]);
    command
}

/// Runs it where no temporary file can be made.
fn without_room(arguments: &[&str]) -> Output {
    command(arguments).env("TMPDIR", "/nonexistent/tidegate").output().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// What the map says, whatever the image is called.
fn mapped(output: &Output) -> Value {
    assert_eq!(exit_code(output), 0, "{}", stderr(output));
    let mut map: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(map.as_object_mut().unwrap().remove("source").is_some(), "{map}");
    map
}

fn map_of(image: &str) -> Value {
    mapped(&run(&["map", "--format", "json", image]))
}

fn testdata(name: &str) -> String {
    format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn container(name: &str) -> Vec<u8> {
    std::fs::read(testdata(name)).unwrap_or_else(|_| {
        let packed = std::fs::File::open(testdata(&format!("{name}.gz"))).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn gets(server: &Server) -> Vec<Request> {
    server.requests().into_iter().filter(|request| request.method == "GET").collect()
}

/// How many times all of the object was asked for, and parts of it.
fn asked(server: &Server) -> (usize, usize) {
    let gets = gets(server);
    let wholes = gets.iter().filter(|request| request.range.is_none()).count();
    (wholes, gets.len() - wholes)
}

#[test]
fn a_compressed_object_with_parts_takes_no_temporary_file() {
    let scratch = Scratch::new();
    for name in ["gpt.vdi", "gpt.vhdx", "gpt.sparse.vmdk", "gpt.qcow2", "gpt.raw"] {
        let plain = container(name);
        let whole = scratch.write(name, &plain);
        let whole = whole.to_str().unwrap();
        for (packed, ending) in [(gzip(&plain), "gz"), (bzip2(&plain), "bz2")] {
            let local = scratch.write(format!("{name}.{ending}"), &packed);
            let object = Object::new(packed);
            let server = Server::new(move |request| object.answer(request));
            let url = server.url(&format!("{name}.{ending}"));
            let map = mapped(&without_room(&["map", "--format", "json", &url]));
            assert_eq!(map, map_of(local.to_str().unwrap()), "{url}");
            let (wholes, parts) = asked(&server);
            assert!(wholes == 1 && (1..20).contains(&parts), "{name} {wholes} {parts}");
            let output = without_room(&["compare", &url, whole]);
            assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
            assert_eq!(asked(&server).0, 2, "{name}");
        }
    }
}

#[test]
fn a_long_one_comes_by_several_connections() {
    let scratch = Scratch::new();
    let plain = long_disk();
    let whole = scratch.write("disk.raw", &plain);
    let object = Object::new(gzip(&plain));
    let size = object.bytes.len();
    assert!(size > 8 << 20);
    let server = Server::new(move |request| object.answer(request));
    let url = server.url("disk.raw.gz");
    let output = without_room(&["compare", &url, whole.to_str().unwrap()]);
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    // It is read for its size, what it is and its disk: at 64 KiB a request it would be hundreds.
    let gets = gets(&server);
    assert!(gets.len() < 50, "{}", gets.len());
    let length = |request: &Request| match request.range {
        Some((first, Some(last))) => last - first + 1,
        _ => 0,
    };
    let fetched: u64 = gets.iter().map(length).sum();
    assert!(fetched < size as u64 * 3, "{fetched} of {size}");
}

#[test]
fn what_is_damaged_has_the_same_reason_as_in_a_file() {
    let scratch = Scratch::new();
    let plain = container("gpt.qcow2");
    for (packed, ending) in [(gzip(&plain), "gz"), (bzip2(&plain), "bz2")] {
        let mut flipped = packed.clone();
        flipped[packed.len() / 2] ^= 4;
        let cut = packed[..packed.len() * 3 / 4].to_vec();
        let behind = [&packed[..], b"more"].concat();
        for (number, bytes) in [flipped, cut, behind].into_iter().enumerate() {
            let name = format!("{number}.qcow2.{ending}");
            let local = scratch.write(&name, &bytes);
            let local = local.to_str().unwrap();
            let object = Object::new(bytes);
            let server = Server::new(move |request| object.answer(request));
            let url = server.url(&name);
            let (here, there) = (run(&["map", local]), without_room(&["map", &url]));
            assert_eq!(exit_code(&here), exit_code(&there), "{name}");
            assert_eq!(stderr(&here).replace(local, ""), stderr(&there).replace(&url, ""));
        }
    }
}

/// An uncompressed object is spooled, and so is one of a server that promises no parts: all is asked for once.
#[test]
fn what_cannot_be_read_in_parts_is_spooled() {
    let plain = container("gpt.qcow2");
    let expected = map_of(&testdata("gpt.qcow2.gz"));
    type Plan = fn(&Object, &Request) -> Reply;
    let plans: [(Vec<u8>, Plan); 3] = [
        (gzip(&plain), |object, request| object.whole(request)),
        (gzip(&plain), |object, request| {
            let object = Object { etag: None, ..object.clone() };
            object.answer(request)
        }),
        (plain, |object, request| object.answer(request)),
    ];
    for (number, (bytes, plan)) in plans.into_iter().enumerate() {
        let object = Object::new(bytes);
        let server = Server::new(move |request| plan(&object, request));
        let url = server.url("image");
        let output = without_room(&["map", "--format", "json", &url]);
        assert_eq!(exit_code(&output), 3, "{number}");
        assert!(stderr(&output).contains("temporary file"), "{}", stderr(&output));
        let before = asked(&server).0;
        assert_eq!(map_of(&url)["totals"], expected["totals"], "{number}");
        assert_eq!(asked(&server), (before + 1, 0), "{number}");
    }
}

/// A server may promise parts and send none, or none any more: then all is fetched again, and held against what came by.
#[test]
fn parts_that_do_not_come_are_no_failure() {
    let plain = container("gpt.vhdx");
    let packed = Object::new(gzip(&plain));
    let plans: Vec<fn(&Object, &Request) -> Reply> = vec![
        |object, request| object.answer(&Request { range: None, ..request.clone() }),
        |_, _| Reply::status(416, Vec::new()),
        |_, _| Reply::status(403, Vec::new()),
        |object, request| object.answer(request).with("content-range", "nonsense"),
        |object, request| object.answer(request).with("etag", "\"another\""),
    ];
    for (number, plan) in plans.into_iter().enumerate() {
        for promised in [0, 1] {
            let inner = packed.clone();
            let server = Server::new(move |request| match request.range {
                Some(_) if request.before > promised => plan(&inner, request),
                _ => inner.answer(request),
            });
            let url = server.url("disk.vhdx.gz");
            assert_eq!(map_of(&url), map_of(&testdata("gpt.vhdx.gz")), "{number} {promised}");
            assert_eq!(asked(&server).0, 2, "{number} {promised}");
            let output = without_room(&["map", &url]);
            assert_eq!(exit_code(&output), 3, "{number}");
            assert!(stderr(&output).contains("temporary file"), "{}", stderr(&output));
        }
    }
}

/// Whatever is read again has to be what came by: in a part, and where all is fetched again.
#[test]
fn other_bytes_are_no_image() {
    let scratch = Scratch::new();
    let plain = container("gpt.raw");
    let whole = scratch.write("disk.raw", &plain);
    let packed = gzip(&plain);
    let mut other = packed.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    let (packed, other) = (Object::new(packed), Arc::new(other));
    for parts in [true, false] {
        let (first, other) =
            (packed.clone(), Object { bytes: Arc::clone(&other), ..packed.clone() });
        let server = Server::new(move |request| match request.range {
            Some(_) if !parts => Reply::status(416, Vec::new()),
            Some(_) => other.answer(request),
            None if request.before == 0 => first.answer(request),
            None => other.answer(request),
        });
        let url = server.url("disk.raw.gz");
        let output = run(&["compare", &url, whole.to_str().unwrap()]);
        assert_eq!(exit_code(&output), 3, "{parts} {}", stdout(&output));
        assert!(stderr(&output).contains("changed while it was read"), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}
