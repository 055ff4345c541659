//! Images by URL: what comes of them lies in the working directory.

use crate::common::*;
use crate::rig::*;
use crate::server::{Object, Reply, Server};

#[test]
fn an_image_by_url_is_written_to_the_working_directory() {
    let scratch = Scratch::new();
    let packed = gzip(&gzip(&disk()));
    let object = Object::new(packed.clone());
    let server = Server::new(move |request| object.answer(request));
    let url = server.url("a/disk.raw.gz.gz?key=passphrase");
    let output = repack(&scratch.path("."), &["--insecure-http", &url]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(!stdout(&output).contains("passphrase"), "{output:?}");
    assert_eq!(names(&scratch.path(".")), ["disk.raw.gz"]);
    assert!(unpacked(&scratch.path("disk.raw.gz")) == disk());
    // It is there now; and plain http has to be asked for.
    for arguments in [&["--insecure-http", &url][..], &[&url, "out.gz"]] {
        let output = repack(&scratch.path("."), arguments);
        assert_eq!(exit_code(&output), 2, "{output:?}");
        assert_eq!(names(&scratch.path(".")), ["disk.raw.gz"]);
    }
    let document = document(&scratch.path("."), &["--insecure-http", &url, "out.gz"], 0);
    assert_eq!(document["source"]["sha256"], sha256(&packed));
    assert!(unpacked(&scratch.path("out.gz")) == disk());
}

#[test]
fn a_server_that_fails_leaves_nothing() {
    let scratch = Scratch::new();
    let server = Server::new(|_| Reply::status(404, Vec::new()));
    let arguments = ["--insecure-http", "--retries", "0"];
    for url in [server.url("disk.raw.xz"), "http://127.0.0.1:1/disk.raw.xz".into()] {
        for out in [None, Some("out.gz")] {
            let arguments: Vec<&str> =
                arguments.into_iter().chain([url.as_str()]).chain(out).collect();
            let document = document(&scratch.path("."), &arguments, 3);
            assert_eq!(document["error"]["kind"], "unread", "{document}");
            assert!(names(&scratch.path(".")).is_empty());
        }
    }
    // A name that no file can be called after.
    let object = Object::new(disk());
    let server = Server::new(move |request| object.answer(request));
    let output = repack(&scratch.path("."), &["--insecure-http", &server.url("")]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("name the output"), "{output:?}");
}

#[test]
fn a_stream_out_of_order_is_fetched_again_and_spooled() {
    let scratch = Scratch::new();
    let image = crate::vmdk::stream(&disk(), true);
    let object = Object::new(image.clone());
    let server = Server::new(move |request| object.answer(request));
    let url = server.url("web.vmdk");
    let document = document(&scratch.path("."), &["--insecure-http", &url], 0);
    assert_eq!(document["source"]["wrappings"], serde_json::json!(["vmdk"]));
    assert_eq!(document["source"]["sha256"], sha256(&image));
    assert_eq!(names(&scratch.path(".")), ["web.img.gz"]);
    assert!(unpacked(&scratch.path("web.img.gz")) == disk());
}

#[test]
fn no_descriptor_behind_a_url_has_parts() {
    let scratch = Scratch::new();
    scratch.write("web-flat.vmdk", &disk());
    let text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n\
                createType=\"monolithicFlat\"\nRW 8192 FLAT \"web-flat.vmdk\" 0\n";
    let object = Object::new(text.as_bytes().to_vec());
    let server = Server::new(move |request| object.answer(request));
    let url = server.url("web.vmdk");
    let document = document(&scratch.path("."), &["--insecure-http", &url], 1);
    let finding = &document["report"]["findings"][0];
    assert_eq!(finding["code"], "format-vmdk-descriptor");
    assert!(finding.get("repairable").is_none(), "{finding}");
    assert_eq!(names(&scratch.path(".")), ["web-flat.vmdk"]);
}
