//! A Debian that comes up, and some that do not: what the check says of each before, and what the boot shows.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::common::{Scratch, exit_code, stderr};
use super::sample::{checked, copy, disk, edit, layout, version};
use super::{boot, full, has_picture, left, qemu, report, stages};

/// Seconds that a Debian may take without KVM.
const LIMIT: f64 = 600.0;

#[test]
fn a_debian_comes_up_and_lets_its_owner_in() {
    let Some(disk) = disk().filter(|_| qemu()) else { return };
    let temporary = Scratch::new();
    let begin = Instant::now();
    let mut command = boot(disk, &temporary.path(""));
    command.args(["--format", "json", "--command", "uname -m; id -un"]);
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 0, "{}", stderr(&output));
    let report = report(&output);
    assert_eq!(report["boot"]["came_up"], true);
    for (stage, state) in stages(&report) {
        assert_eq!(state, "reached", "{stage}: {report:#}");
    }
    let (boot, guest) = (&report["boot"], &report["guest"]);
    // The check had said with which name.
    assert_eq!(boot["user"], guest["login"]);
    assert_eq!(boot["command"]["exit_code"], 0);
    assert_eq!(boot["command"]["output"], serde_json::json!(["x86_64", "debian"]));
    let datasource = boot["datasource"].as_str().unwrap();
    assert!(
        datasource.contains(guest["provisioner"]["datasource"].as_str().unwrap()),
        "{datasource}"
    );
    assert!(boot["seconds"].as_f64().unwrap() < LIMIT, "{boot}");
    assert!(boot.get("screenshot").is_none());
    assert_eq!(left(&temporary.path("")), [""; 0]);
    eprintln!(
        "a Debian came up in {} s, {:.1} s with its check",
        boot["seconds"],
        begin.elapsed().as_secs_f64()
    );
}

/// A disk that is broken.
struct Broken {
    what: &'static str,
    edits: &'static [&'static str],
    /// The code of what the check finds.
    found: &'static str,
    /// The stages one of which is the first that is not reached.
    fails: &'static [&'static str],
}

const BROKEN: &[Broken] = &[
    Broken {
        what: "no cloud-init",
        edits: &["rm /usr/bin/cloud-init"],
        found: "provisioner-missing",
        fails: &["address", "data"],
    },
    Broken {
        what: "datasource [None]",
        edits: &["WRITE /etc/cloud/cloud.cfg.d/99-installer.cfg 644 datasource_list: [ None ]\\n"],
        found: "provisioner-datasource",
        fails: &["data"],
    },
    Broken {
        what: "sshd disabled",
        edits: &[
            "rm /etc/systemd/system/multi-user.target.wants/ssh.service",
            "rm /etc/systemd/system/sshd.service",
        ],
        found: "ssh-off",
        fails: &["ssh"],
    },
    Broken {
        what: "fstab waits for a disk",
        edits: &["SED /etc/fstab UUID=1A2B UUID=1A2C"],
        found: "fstab-source-missing",
        fails: &["address", "data", "ssh"],
    },
];

/// What the check says, and at which stage the boot fails.
fn both(image: &Path) -> (Vec<String>, String, Value) {
    let (found, _) = checked(image, &[]);
    let temporary = Scratch::new();
    let output = boot(image, &temporary.path(""))
        .args(["--unchecked", "--format", "json"])
        .output()
        .unwrap();
    assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
    let report = report(&output);
    let failed = stages(&report).into_iter().find(|(_, state)| state == "failed").unwrap().0;
    assert!(has_picture(&report), "{failed}");
    assert_eq!(left(&temporary.path("")), [""; 0]);
    (found, failed, report)
}

fn row(what: &str, found: &[String], code: &str, failed: &str, report: &Value) -> bool {
    let said = found.iter().find(|said| said.split(' ').nth(1) == Some(code));
    let seconds = &report["boot"]["seconds"];
    let said = said.map_or("nothing", String::as_str);
    eprintln!("{what:<24} | {said:<60} | {failed} after {seconds} s");
    said != "nothing"
}

#[test]
fn a_debian_without_its_boot_loader_fails_there() {
    let Some(disk) = disk().filter(|_| qemu()) else { return };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let image = folder.path().join("disk.raw");
    copy(disk, &image);
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&[0; 440], 0).unwrap();
    let (found, failed, report) = both(&image);
    let uefi = !report["guest"]["boot"]["uefi"].is_null();
    let code = if uefi { "boot-uefi-only" } else { "boot-no-loader" };
    assert!(row("no boot loader", &found, code, &failed, &report), "{found:#?}");
    assert_eq!(failed, "boot-loader");
}

#[test]
fn what_the_check_says_is_what_the_boot_shows() {
    let Some(disk) = disk().filter(|_| qemu() && full()) else { return };
    let (layout, version) = (layout(disk), version(disk));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let image = folder.path().join("disk.raw");
    let mut wrong = Vec::new();
    for broken in BROKEN {
        copy(disk, &image);
        edit(&image, &layout, &version, broken.edits);
        let (found, failed, report) = both(&image);
        let said = row(broken.what, &found, broken.found, &failed, &report);
        if !said || !broken.fails.contains(&failed.as_str()) {
            wrong.push(format!(
                "{}: {found:#?}, {failed}: {:#}",
                broken.what, report["boot"]["stages"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A disk that others made, by QEMU's own loader of kernels: nothing on it boots, and nothing lets anybody in.
#[test]
fn an_alpine_that_is_no_image_for_a_droplet_fails_as_it_should() {
    let Some(image) = std::env::var_os("TIDEGATE_ALPINE").filter(|_| qemu() && full()) else {
        return eprintln!("SKIPPED: TIDEGATE_ALPINE names no disk");
    };
    let (found, failed, report) = both(Path::new(&image));
    for code in ["ssh-no-server", "network-static-only", "provisioner-missing"] {
        assert!(found.iter().any(|said| said.contains(code)), "{code}: {found:#?}");
    }
    assert!(row("Alpine", &found, "boot-no-loader", &failed, &report), "{found:#?}");
    assert_eq!(failed, "boot-loader");
}
