//! A server that nobody here wrote.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::common::*;
use crate::server::long_disk;

/// A running nginx, ended with its value.
struct Nginx {
    child: Child,
    scratch: Scratch,
    port: u16,
}

impl Nginx {
    /// Serves a directory with these settings; `None` if there is no nginx.
    fn start(settings: &str) -> Option<Nginx> {
        let there = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
        if there.is_err() {
            assert!(std::env::var_os("CI").is_none(), "nginx is missing");
            eprintln!("SKIPPED: nginx is missing");
            return None;
        }
        let scratch = Scratch::new();
        let root = scratch.path("www");
        fs::create_dir(&root).unwrap();
        // Nobody else has a port that was just given out.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = scratch.path("");
        let dir = dir.to_str().unwrap();
        let settings = settings.replace("DIR", dir.trim_end_matches('/'));
        let ssl = if settings.contains("ssl_certificate") { " ssl" } else { "" };
        let text = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
             events {{ }}\n\
             http {{ access_log off; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;\n\
             fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;\n\
             server {{ listen 127.0.0.1:{port}{ssl}; root {dir}/www; {settings} }} }}\n"
        );
        let config = scratch.write("nginx.conf", text.as_bytes());
        if !ssl.is_empty() {
            let made = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
                .args([
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=test",
                    "-addext",
                    "subjectAltName=IP:127.0.0.1",
                    "-addext",
                    "basicConstraints=critical,CA:FALSE",
                ])
                .args(["-keyout", &format!("{dir}/key.pem"), "-out", &format!("{dir}/cert.pem")])
                .stderr(Stdio::null())
                .status();
            assert!(made.unwrap().success());
        }
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(scratch.path("error.log"))
            .spawn()
            .unwrap();
        let nginx = Nginx { child, scratch, port };
        wait_until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(nginx)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.scratch.path("www").join(name), bytes).unwrap();
        format!("http://127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ranges_and_no_ranges() {
    let bytes = long_disk();
    for settings in ["", "max_ranges 0;", "etag off;", "etag off; max_ranges 0;"] {
        let Some(nginx) = Nginx::start(settings) else { return };
        let url = nginx.put("disk.img", &bytes);
        for connections in ["1", "4"] {
            let (code, found) = report(&["--no-url-rules", "--connections", connections, &url]);
            assert_eq!(code, 0, "{settings}: {found}");
            assert_eq!(found["digests"]["sha256"], sha256(&bytes), "{settings}");
            let weak = settings.contains("etag off");
            assert_eq!(codes(&found).contains(&"url-unpinned"), weak, "{found}");
        }
        let packed = nginx.put("disk.img.gz", &gzip(&bytes));
        let (code, found) = report(&["--no-url-rules", "--digest", "image", &packed]);
        assert_eq!(code, 0, "{settings}: {found}");
        assert_eq!(found["digests"]["image_sha256"], sha256(&bytes));
        let (code, found) =
            report(&["--no-url-rules", &nginx.put("none", b"").replace("none", "gone")]);
        assert_eq!((code, found["error"]["kind"].as_str()), (3, Some("http-status")));
    }
}

#[test]
fn a_limited_rate_and_tls() {
    let bytes = long_disk();
    let Some(nginx) = Nginx::start("limit_rate 8m;") else { return };
    let url = nginx.put("disk.img", &bytes);
    let (code, found) = report(&["--no-url-rules", &url]);
    assert_eq!((code, found["digests"]["sha256"].as_str()), (0, Some(sha256(&bytes).as_str())));

    let settings = "ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;";
    let Some(nginx) = Nginx::start(settings) else { return };
    let url = nginx.put("disk.img", &bytes).replace("http://", "https://");
    let (code, found) = report(&["--no-url-rules", &url]);
    assert_eq!((code, found["error"]["kind"].as_str()), (3, Some("tls")), "{found}");
    let ca = nginx.scratch.path("cert.pem");
    let (code, found) = report(&["--no-url-rules", "--cacert", ca.to_str().unwrap(), &url]);
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["digests"]["sha256"], sha256(&bytes));
}

#[test]
fn an_object_that_is_replaced_while_it_is_read() {
    let bytes = long_disk();
    let Some(nginx) = Nginx::start("limit_rate 1m;") else { return };
    let url = nginx.put("disk.img", &bytes);
    // Its ETag is made of a size and whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let child =
        tidegate().args(["check", "--no-url-rules", "--format", "json", &url]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    // As deployments do it: another file takes the name.
    fs::write(nginx.scratch.path("www").join("new"), vec![1; bytes.len()]).unwrap();
    fs::rename(nginx.scratch.path("www").join("new"), nginx.scratch.path("www").join("disk.img"))
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let found = &images(&output)[0];
    assert_eq!(
        (exit_code(&output), found["error"]["kind"].as_str()),
        (3, Some("changed")),
        "{found}"
    );
}
