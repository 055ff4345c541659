//! A `tidegate.toml` that was found: what it is not trusted with.

use std::fs;

use super::at;
use super::config::{TWO, project};
use crate::common::*;

#[test]
fn links_do_not_lead_out_and_pipes_do_not_hang() {
    let scratch = project("[[image]]\nname = \"a\"\npath = \"link\"\n");
    let outside = Scratch::new();
    std::os::unix::fs::symlink(outside.write("disk", &disk()), scratch.path("link")).unwrap();
    let output = at(scratch.path("")).arg("check").output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(
        stderr(&output).contains("line 3") && stderr(&output).contains("a link leads out"),
        "{}",
        stderr(&output)
    );

    fs::remove_file(scratch.path("link")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(scratch.path("link")).status().unwrap();
    assert!(made.success());
    let output = at(scratch.path("")).arg("check").output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("line 3 of tidegate.toml: it is no regular file"));
}

#[test]
fn a_file_that_leads_elsewhere_is_refused_unread() {
    let outside = Scratch::new();
    let secret = outside.write("netrc", b"machine h password s3cret\n");
    let scratch = project(TWO);
    let file = scratch.path("tidegate.toml");
    let refused = |what: &str| {
        for arguments in [&["check"][..], &["config"], &["check", "no-such-name"]] {
            let output = at(scratch.path("")).args(arguments).output().unwrap();
            let told = stderr(&output);
            assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{what}: {told}");
            assert!(told.contains("tidegate.toml: it is ") && told.contains(what), "{told}");
            assert!(!told.contains("s3cret") && !told.contains(" | "), "{told}");
        }
    };
    scratch.write(".env", b"TOKEN=s3cret");
    for target in [secret.to_str().unwrap(), "/proc/self/environ", ".env", "nowhere", "/dev/zero"] {
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(target, &file).unwrap();
        refused("a link");
    }
    fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    refused("no regular file");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused("no regular file");
    fs::remove_dir(&file).unwrap();
    scratch.write("tidegate.toml", "# s3cret\n".repeat(120_000).as_bytes());
    refused("larger than 512 KiB");
}

#[test]
fn secrets_that_do_not_belong_there_are_not_shown() {
    for line in [
        "token = \"s3cret\"",
        "headers = [\"authorization: s3cret\"]",
        #[cfg(feature = "net")]
        "[[image]]\nname = \"a\"\nurl = \"https://me:s3cret@h/x\"",
    ] {
        let scratch = project(&format!("{line}\n"));
        let output = at(scratch.path("")).arg("check").output().unwrap();
        let told = stderr(&output);
        assert_eq!(exit_code(&output), 2);
        assert!(told.contains("tidegate.toml:") && !told.contains("s3cret"), "{told}");
    }
}

#[test]
fn a_file_that_somebody_else_may_have_put_there_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = project(TWO);
    fs::create_dir(scratch.path("mine")).unwrap();
    let mode = |mode| {
        fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(mode)).unwrap();
    };
    let check = |folder: &str| {
        let output = at(scratch.path(folder)).args(["check", "-q"]).output().unwrap();
        (exit_code(&output), stderr(&output).to_owned())
    };
    for folder in ["", "mine"] {
        for open in [0o777, 0o1777] {
            mode(open);
            let (code, told) = check(folder);
            assert!(code == 2 && told.contains("tidegate.toml: it is not used"), "{code} {told}");
            assert!(told.contains("everybody may write"), "{told}");
        }
    }
    // What is named is checked all the same.
    let output = at(scratch.path("")).args(["check", "-q", "out/good.qcow2.gz"]).output().unwrap();
    assert_eq!(exit_code(&output), 0);
    fs::create_dir(scratch.path(".git")).unwrap();
    assert_eq!(check("").0, 1);
    fs::remove_dir(scratch.path(".git")).unwrap();
    mode(0o755);
    assert_eq!(check("").0, 1);
    // Only root can give files away.
    if std::os::unix::fs::chown(scratch.path("tidegate.toml"), Some(65_534), None).is_ok() {
        fs::create_dir(scratch.path(".git")).unwrap();
        let (code, told) = check("");
        assert!(code == 2 && told.contains("belongs to somebody else (user 65534)"), "{told}");
    }
}

#[test]
fn the_search_ends_at_the_root_of_the_repository() {
    let scratch = project(TWO);
    fs::create_dir_all(scratch.path("inner/.git")).unwrap();
    let output = at(scratch.path("inner")).arg("check").output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("`tidegate init`"), "{}", stderr(&output));
}
