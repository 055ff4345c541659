//! moto, an S3 that nobody here wrote.
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test
#![allow(clippy::print_stderr)] // what is skipped is told
#![allow(dead_code)] // not every suite needs all of it

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::common::wait_until;

/// A running server, ended with its value.
pub(crate) struct Moto {
    child: Child,
    pub(crate) port: u16,
}

impl Moto {
    /// Starts one with the bucket `images`; from then on it looks at nobody's keys. `None` if there is none.
    pub(crate) fn open() -> Option<Moto> {
        let moto = Moto::start(None)?;
        moto.unsigned("PUT", "/images", "s3", "");
        Some(moto)
    }

    /// Starts one that believes everything for so many requests.
    pub(crate) fn start(believing: Option<u32>) -> Option<Moto> {
        let there = Command::new("moto_server").arg("--help").stdout(Stdio::null()).status();
        if there.is_err() {
            assert!(std::env::var_os("CI").is_none(), "moto_server is missing");
            eprintln!("SKIPPED: moto_server is missing: CONTRIBUTING.md says how to get it");
            return None;
        }
        // Nobody else has a port that was just given out.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        if let Some(requests) = believing {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", requests.to_string());
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Moto { child, port };
        wait_until("moto listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(moto)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// A request whose signature nobody looks at yet; it only says for which service it is.
    pub(crate) fn unsigned(&self, method: &str, path: &str, service: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let kind = match service {
            "iam" => "application/x-www-form-urlencoded",
            _ => "application/xml",
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        answer
    }
}

impl Moto {
    /// What anybody is answered.
    pub(crate) fn anonymous(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
