//! A rehearsal is all of it, and leaves this machine alone.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use crate::common::*;
use crate::ext_disks;
use crate::rig::*;
use crate::server::{Object, Request, Server};

/// What nobody's output may have.
const SECRETS: [&str; 2] =
    ["dop_v1_00112233445566778899aabbccddeeff", "c2VjcmV0LW9mLWEtcmVhbC1rZXk"];

/// What somebody has in their environment who pushes for real: all of it leads to this address.
fn environment(address: &str) -> Vec<(String, String)> {
    let url = format!("http://{address}");
    let mut all = vec![
        ("DIGITALOCEAN_TOKEN", SECRETS[0]),
        ("DIGITALOCEAN_ACCESS_TOKEN", SECRETS[0]),
        ("SPACES_ACCESS_KEY_ID", "DO00ABCDEFGHIJKLMNOP"),
        ("SPACES_SECRET_ACCESS_KEY", SECRETS[1]),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRETS[1]),
        ("SPACES_BUCKET", "real-bucket"),
        ("SPACES_REGION", "fra1"),
    ];
    let places = [
        "DIGITALOCEAN_API_URL",
        "SPACES_ENDPOINT_URL",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ];
    all.extend(places.map(|name| (name, url.as_str())));
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn whatever_is_configured_is_not_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let scratch = Scratch::new();
    scratch.write("disk.raw.gz", &gzip(&disk()));
    // Nor what a configuration of doctl says.
    std::fs::create_dir_all(scratch.path(".config/doctl")).unwrap();
    let doctl = format!("access-token: {}\n", SECRETS[0]);
    scratch.write(".config/doctl/config.yaml", doctl.as_bytes());
    let mut command = bare(&scratch);
    command.args(["push", "--rehearse", "disk.raw.gz", "--interval", "100ms", "-v"]);
    command.args(["--format", "json", "--transfer", "fra1", "--output-image-id", "id"]);
    command.envs(environment(&listener.local_addr().unwrap().to_string()));
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let document = crate::documents::parsed("push", &output);
    assert_eq!((&document["rehearsed"], &document["done"]), (&json!(true), &json!(true)));
    assert_eq!(document["report"]["verdict"], "accept");
    let last = stderr(&output).lines().last().unwrap().to_owned();
    assert!(
        last.contains("this was a rehearsal") && last.contains("DigitalOcean has no image"),
        "{last}"
    );
    assert_eq!(document["regions"][0]["outcome"], "completed");
    assert!(scratch.path("id").exists());
    let kind = listener.accept().expect_err("nobody connects").kind();
    assert_eq!(kind, ErrorKind::WouldBlock);
    for secret in SECRETS {
        assert!(!stderr(&output).contains(secret) && !stdout(&output).contains(secret));
    }

    // Nor is a proxy asked for what is rehearsed with, wherever it is.
    let server = Server::new(|request: &Request| Object::new(gzip(&disk())).answer(request));
    let url = server.url("disk.raw.gz");
    let far = "http://192.0.2.1/disk.raw.gz";
    for (url, more, code) in [
        (url.as_str(), &["--insecure-http"][..], 0),
        (&url, &["--insecure-http", "--repack=always"], 0),
        (&url, &["--no-url-rules"], 0),
        (far, &["--insecure-http"], 3),
    ] {
        let mut command = bare(&scratch);
        command.args(["push", "--rehearse", url, "--interval", "100ms"]);
        command.args(["--timeout", "2", "--retries", "0"]).args(more);
        command.envs(environment(&listener.local_addr().unwrap().to_string()));
        let output = command.output().unwrap();
        assert_eq!(exit_code(&output), code, "{more:?}: {}", stderr(&output));
        let kind = listener.accept().expect_err("nobody connects").kind();
        assert_eq!(kind, ErrorKind::WouldBlock, "{more:?}");
    }
    assert!(!scratch.path(".local").exists(), "a rehearsal has its own journal");
}

#[test]
fn without_a_network_it_is_the_same() {
    let within = ["-rn", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""];
    let permitted = Command::new("unshare")
        .args(within)
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if !permitted {
        eprintln!("SKIPPED: a network of one's own is not permitted here, or ip is not there");
        return;
    }
    let scratch = Scratch::new();
    scratch.write("disk.raw.gz", &gzip(&disk()));
    let push = bare(&scratch);
    let mut command = Command::new("unshare");
    command.args(within).arg(push.get_program());
    command.args(["push", "--rehearse", "disk.raw.gz", "--interval", "100ms"]);
    // There is no such address in there.
    command.current_dir(scratch.path("")).env("HOME", scratch.path(""));
    command.envs(environment("192.0.2.1:8080"));
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let last = stdout(&output).lines().last().unwrap();
    assert!(last.starts_with("rehearsed: image "), "{output:?}");
    assert!(
        last.ends_with("is available in nyc3 of the simulator, and not at DigitalOcean"),
        "{last}"
    );
}

#[test]
fn what_is_refused_is_refused_in_a_rehearsal() {
    let scratch = Scratch::new();
    scratch.write("disk.qcow2", &crate::disks::backed());
    let mut command = bare(&scratch);
    let output = command.args(["push", "--rehearse", "disk.qcow2"]).output().unwrap();
    assert_eq!((exit_code(&output), stdout(&output)), (1, ""), "{output:?}");
    assert!(stderr(&output).contains("qcow2-backing-file"), "{output:?}");
    let last = stderr(&output).lines().last().unwrap();
    assert!(last.contains("this was a rehearsal"), "{last}");
}

#[test]
fn an_object_of_a_real_bucket_is_not_rehearsed_with() {
    let scratch = Scratch::new();
    let mut command = bare(&scratch);
    command.envs(environment("192.0.2.1:8080"));
    let output = command.args(["push", "--rehearse", "s3://real-bucket/a.raw"]).output().unwrap();
    assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("credentials") && said.contains("give a file or a URL"), "{said}");
}

/// Nothing sweeps up after a rehearsal, so one that is killed leaves nothing.
#[test]
fn a_rehearsal_that_is_killed_leaves_nothing() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("tmp")).unwrap();
    assert!(
        std::process::Command::new("mkfifo").arg(scratch.path("pipe")).status().unwrap().success()
    );
    let mut command = bare(&scratch);
    command.args(["push", "--rehearse", "pipe", "--name", "n"]).env("TMPDIR", scratch.path("tmp"));
    let mut child = command.spawn().unwrap();
    // The image is read when the journal has begun.
    let mut pipe = std::fs::OpenOptions::new().write(true).open(scratch.path("pipe")).unwrap();
    std::io::Write::write_all(&mut pipe, &gzip(&disk())[..100]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let left: Vec<_> = std::fs::read_dir(scratch.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_number_that_is_there_stays() {
    let scratch = Scratch::new();
    scratch.write("disk.raw.gz", &gzip(&disk()));
    for (before, kept) in [("12345678\n", true), ("", false)] {
        scratch.write("id", before.as_bytes());
        let mut command = bare(&scratch);
        command.args(["push", "--rehearse", "disk.raw.gz", "-q", "--interval", "100ms"]);
        let output = command.args(["--output-image-id", "id"]).output().unwrap();
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let after = std::fs::read_to_string(scratch.path("id")).unwrap();
        assert_eq!(after == before, kept, "{after}");
        assert_eq!(stderr(&output).contains("keeps the number"), kept, "{output:?}");
    }
}

/// The first sectors of a kernel for x86, as far as its version stands in them.
fn kernel(version: &str) -> Vec<u8> {
    let mut kernel = vec![0; 4096];
    // Sectors of the setup, paragraphs behind it, the mark of a boot sector.
    (kernel[0x1f1], kernel[0x1f4]) = (4, 1);
    kernel[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    kernel[0x20e..0x210].copy_from_slice(&0x300_u16.to_le_bytes());
    kernel[0x500..0x500 + version.len()].copy_from_slice(version.as_bytes());
    kernel
}

#[test]
fn a_description_names_the_system_if_that_is_asked_for() {
    if !ext_disks::have(&["mke2fs", "sfdisk"]) {
        return;
    }
    let scratch = Scratch::new();
    let kernel = kernel("6.1.0-40-cloud-amd64");
    let release = b"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
    let files: [(&str, &[u8]); 5] = [
        ("etc/fstab", b""),
        ("etc/os-release", release),
        ("bin/sh", b""),
        ("usr/bin/env", b""),
        ("boot/vmlinuz-6.1.0-40-cloud-amd64", &kernel),
    ];
    let disk = ext_disks::of_trees(&scratch.path(""), &[&files]);
    let described = |arguments: &[&str]| {
        let mut command = bare(&scratch);
        command.args(["push", "--rehearse", "--format", "json", "--interval", "100ms"]);
        // It is a system of which no Droplet would come up.
        command.args(["--allow", "boot-no-loader,ssh-no-server,provisioner-missing,root-full"]);
        let output = command.args(arguments).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let text = document["image"]["description"].as_str().unwrap();
        // The mark of the push stands behind it.
        let text = text.split("[tidegate").next().unwrap().trim_end().to_owned();
        (text, stderr(&output).to_owned())
    };
    let system = "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-40-cloud-amd64";
    let disk = disk.to_str().unwrap();
    assert_eq!(described(&[disk, "--describe"]).0, system);
    let (text, _) = described(&[disk, "--describe", "--description", "Built at night"]);
    assert_eq!(text, format!("Built at night; {system}"));
    assert_eq!(described(&[disk]).0, "");
    let (text, said) =
        described(&[disk, "--describe", "--description", "mine", "--guest", "never"]);
    assert_eq!(text, "mine");
    let why = "the description does not name the system: the disk was not examined";
    assert!(said.contains(why), "{said}");
    let image = "[[image]]\nname = \"web\"\npath = \"disk.raw\"\ndescription = \"ours\"\n";
    scratch.write("tidegate.toml", format!("{image}describe = true\n").as_bytes());
    assert_eq!(described(&["web"]).0, format!("ours; {system}"));
}
