//! Whether DigitalOcean could fetch it.

use serde_json::Value;

use crate::common::*;
use crate::server::{Object, Reply, Request, Server};

/// The findings about the URL; the server is on loopback, which is a finding of its own.
fn url_findings(server: &Server, path: &str, more: &[&str]) -> (i32, Vec<String>) {
    let url = server.url(path);
    let mut arguments = vec!["--insecure-http", "--allow", "url-private-host,url-not-https"];
    arguments.extend(more);
    arguments.push(&url);
    let (code, report) = report(&arguments);
    assert_ne!(report["verdict"], "error", "{report}");
    let found = codes(&report).into_iter().filter(|code| code.starts_with("url-"));
    let found = found.filter(|code| !["url-private-host", "url-not-https"].contains(code));
    (code, found.map(str::to_owned).collect())
}

fn serve(plan: impl Fn(&Object, &Request) -> Reply + Send + Sync + 'static) -> Server {
    let object = Object::new(disk());
    Server::new(move |request| plan(&object, request))
}

fn one(code: &str) -> Vec<String> {
    vec![code.to_owned()]
}

#[test]
fn a_good_server_has_no_findings() {
    let server = serve(|object, request| object.answer(request));
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, vec![]));
    assert_eq!(server.requests()[0].method, "HEAD");
    let sent = &server.requests()[1].headers;
    assert_eq!(sent["accept-encoding"], "identity");
    assert!(sent["user-agent"].starts_with("tidegate/"));
}

#[test]
fn loopback_and_http_are_named_and_refused_without_reading() {
    let server = serve(|object, request| object.answer(request));
    let (code, found) = report(&["--insecure-http", &server.url("disk.img")]);
    assert_eq!((code, codes(&found)), (1, vec!["url-private-host", "url-not-https"]));
    assert_eq!(found["bytes_read"], 0);
    assert_eq!(found["complete"], false);
    assert_eq!(found["checks"][0]["id"], "importer-fetch");
    let output = check(&[server.url("disk.img")]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("--insecure-http"), "{output:?}");
    let (code, found) = report(&["--no-url-rules", &server.url("disk.img")]);
    assert_eq!((code, codes(&found)), (0, vec![]));
}

#[test]
fn a_host_is_judged_by_who_answers() {
    let server = serve(|object, request| object.answer(request));
    let url = format!("http://localhost:{}/disk.img", server.port());
    let (code, found) = report(&["--insecure-http", &url]);
    assert_eq!((code, codes(&found)[0]), (1, "url-private-host"));
    // Behind a proxy nobody here can see it. The proxy is the server itself.
    let output = tidegate()
        .args(["check", "--format", "json", "--insecure-http", "http://example.com/disk.img"])
        .env("http_proxy", server.url(""))
        .output()
        .unwrap();
    let found = &images(&output)[0];
    assert_eq!((exit_code(&output), codes(found)), (0, vec!["url-not-https"]), "{found}");
    let private = tidegate()
        .args(["check", "--format", "json", "--insecure-http", "http://10.1.2.3/disk.img"])
        .env("http_proxy", server.url(""))
        .output()
        .unwrap();
    assert_eq!(codes(&images(&private)[0])[0], "url-private-host");
    let check = &found["checks"][0];
    assert_eq!(
        (check["id"].as_str(), check["state"].as_str()),
        (Some("importer-fetch"), Some("partial"))
    );
    assert_eq!(
        (check["why"].as_str(), check["cause"].as_str()),
        (Some("a proxy hides who answered"), Some("aside"))
    );
}

#[test]
fn head_has_to_be_answered_like_get() {
    for status in [400, 403, 404, 405, 501] {
        let server = serve(move |object, request| match request.method.as_str() {
            "HEAD" => Reply::status(status, Vec::new()),
            _ => object.answer(request),
        });
        assert_eq!(
            url_findings(&server, "disk.img", &[]),
            (1, one("url-head-refused")),
            "{status}"
        );
    }
    let server = serve(|object, request| match request.method.as_str() {
        "HEAD" => Reply { silent: true, ..object.answer(request) },
        _ => object.answer(request),
    });
    assert_eq!(
        url_findings(&server, "disk.img", &["--retries", "1"]),
        (1, one("url-head-refused"))
    );
    let server = serve(|object, request| match request.method.as_str() {
        "HEAD" => Reply { length: Some(5), ..object.answer(request) },
        _ => object.answer(request),
    });
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, one("url-head-differs")));
    let server = serve(|object, request| match request.method.as_str() {
        "HEAD" => object.answer(request).with("etag", "\"other\""),
        _ => object.answer(request),
    });
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, one("url-head-differs")));
}

#[test]
fn addresses_that_the_importer_does_not_take() {
    let server = serve(|object, request| object.answer(request));
    let port = server.port();
    for (path, code) in
        [("disk.img?X-Amz-Signature=0", "url-query"), ("folder/", "url-no-file-name")]
    {
        assert_eq!(url_findings(&server, path, &[]), (1, one(code)));
    }
    let url = format!("http://me:pw@127.0.0.1:{port}/disk.img");
    let (code, found) =
        report(&["--insecure-http", "--allow", "url-private-host,url-not-https", &url]);
    assert_eq!((code, codes(&found)[0]), (1, "url-credentials"), "{found}");
    let sent = server.requests().last().unwrap().headers["authorization"].clone();
    assert!(sent.starts_with("Basic "), "{sent}");
    let more = ["--header", "Authorization: Bearer x"];
    assert_eq!(url_findings(&server, "disk.img", &more), (1, one("url-credentials")));
}

#[test]
fn the_name_has_to_fit_the_content() {
    let object = Object::new(gzip(&disk()));
    let server = Server::new(move |request| object.answer(request));
    let (_, found) = report(&["--no-url-rules", &server.url("disk.img")]);
    assert_eq!(codes(&found), ["name-mismatch"]);
    let (_, found) = report(&["--no-url-rules", &server.url("disk")]);
    assert_eq!(codes(&found), ["name-mismatch"]);
    let (_, found) = report(&["--no-url-rules", &server.url("disk.img.gz")]);
    assert!(codes(&found).is_empty(), "{found}");
}

#[test]
fn what_a_server_says_of_the_object() {
    let server = serve(|object, request| Reply { chunked: true, ..object.whole(request) });
    let (code, found) = url_findings(&server, "disk.img", &[]);
    assert_eq!((code, found.contains(&"url-no-length".to_owned())), (0, true), "{found:?}");
    let server = serve(|object, request| object.answer(request).with("content-encoding", "gzip"));
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, one("url-content-encoding")));
    let server =
        serve(|object, request| object.answer(request).with("content-encoding", "identity"));
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, vec![]));
    // Whichever value another client goes by, and whatever it takes for a text.
    for (name, value) in [
        ("content-encoding", "identity\r\ncontent-encoding: gzip"),
        ("content-encoding", "gzip;\u{a0}"),
        ("transfer-encoding", "gzip"),
    ] {
        let chunked = name == "transfer-encoding";
        let server = serve(move |object, request| match chunked {
            // The server itself says that it is chunked.
            true => Reply { chunked, ..object.whole(request) }.with(name, value),
            false => object.answer(request).with(name, value),
        });
        let (_, found) = url_findings(&server, "disk.img", &[]);
        assert!(found.contains(&"url-content-encoding".to_owned()), "{value:?} {found:?}");
    }
    let twice = "\"v1\"\r\netag: \"v2\"";
    let server = serve(move |object, request| object.answer(request).with("etag", twice));
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, one("url-unpinned")));
    let server = serve(|object, request| object.answer(request).with("etag", "W/\"v1\""));
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, one("url-unpinned")));
    let object = Object {
        etag: None,
        modified: Some("Sat, 21 Nov 2026 00:00:00 GMT".into()),
        ..Object::new(disk())
    };
    let server = Server::new(move |request| object.answer(request));
    assert_eq!(url_findings(&server, "disk.img", &[]), (0, one("url-unpinned")));
    assert_eq!(url_findings(&server, "disk.img", &["--strict"]).0, 1);
}

#[test]
fn a_login_page_is_called_one() {
    let page = b"<!doctype html><html><title>Sign in</title>".to_vec();
    let server = Server::new(move |request| match request.path.as_str() {
        "/login" => {
            Reply::status(200, page.clone()).with("content-type", "text/html; charset=utf-8")
        }
        _ => Reply::status(302, Vec::new()).with("location", "/login"),
    });
    let arguments = ["--insecure-http", "--keep-going", &server.url("disk.img")];
    let (code, found) = report(&arguments);
    let found: Vec<&str> = codes(&found);
    assert_eq!(code, 1);
    assert!(found.contains(&"url-login-page") && found.contains(&"content-html"), "{found:?}");
}

#[test]
fn check_sums_by_url() {
    let object = Object::new(disk());
    let sums = format!("{}  disk.img\n", sha256(&object.bytes));
    let server = Server::new(move |request| match request.path.as_str() {
        "/SHA256SUMS" => Reply::status(200, sums.clone().into_bytes()),
        "/endless" => Reply::status(200, vec![b'a'; 17 << 20]),
        "/missing" => Reply::status(404, Vec::new()),
        _ => object.answer(request),
    });
    let sums = server.url("SHA256SUMS");
    let (code, found) = report(&["--no-url-rules", "--checksums", &sums, &server.url("disk.img")]);
    assert_eq!(code, 0, "{found}");
    let done = serde_json::json!({"id": "expected-digest", "state": "done"});
    assert!(found["checks"].as_array().unwrap().contains(&done), "{found}");
    let scratch = Scratch::new();
    let other = scratch.write("disk.img", &disk_named("other"));
    let (code, found): (i32, Value) = report(&[
        "--no-url-rules".as_ref(),
        "--checksums".as_ref(),
        sums.as_ref(),
        other.as_os_str(),
    ]);
    assert_eq!((code, codes(&found)), (1, vec!["digest-mismatch"]));
    for (path, why) in [("endless", "larger than"), ("missing", "404")] {
        let output =
            check(&["--no-url-rules", "--checksums", &server.url(path), &server.url("disk.img")]);
        assert_eq!(exit_code(&output), 2);
        assert!(stderr(&output).contains(why), "{output:?}");
    }
}

#[test]
fn what_is_a_file_too_is_not_fetched() {
    let server = serve(|object, request| object.answer(request));
    let scratch = Scratch::new();
    let port = server.port();
    let inside = |arguments: &[&str]| {
        tidegate().args(arguments).current_dir(scratch.path("")).output().unwrap()
    };
    for name in [
        format!(r"http:\\127.0.0.1:{port}\disk.img"),
        format!(r"HTTP:\127.0.0.1:{port}"),
        format!("http:127.0.0.1:{port}"),
    ] {
        let name = name.as_str();
        scratch.write(name, b"no image");
        scratch.write("list", name.as_bytes());
        let options = ["-q", "--no-url-rules", "--retries=0"];
        for arguments in [&[name][..], &["--", name], &["--images-from", "list"]] {
            let output = inside(&[&["check"], &options[..], arguments].concat());
            assert_eq!(exit_code(&output), 2, "{output:?}");
            assert!(stderr(&output).contains("write ./"), "{output:?}");
        }
        for command in ["map", "repack"] {
            let output = inside(&[command, "--insecure-http", name]);
            assert_eq!(exit_code(&output), 2, "{output:?}");
        }
        let output = inside(&[&["check"], &options[..], &[&format!("./{name}")]].concat());
        assert_eq!(exit_code(&output), 1, "{output:?}");
        std::fs::remove_file(scratch.path(name)).unwrap();
        // Nor is it one where there is no such file.
        let output = inside(&[&["check"], &options[..], &[name]].concat());
        assert_eq!(exit_code(&output), 2, "{output:?}");
    }
    // With folders, a path can have all that a URL has.
    let host = format!("127.0.0.1:{port}");
    std::fs::create_dir_all(scratch.path("http:").join(&host)).unwrap();
    scratch.write(format!("http:/{host}/disk.img"), b"no image");
    let output = inside(&["check", "-q", "--no-url-rules", &server.url("disk.img")]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert_eq!(server.requests().len(), 0);
    // So has standard input.
    scratch.write("-", b"no image");
    let output = inside(&["check", "-q", "--", "-"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("write ./-"), "{output:?}");
    assert_eq!(exit_code(&inside(&["check", "-q", "./-"])), 1);
}
