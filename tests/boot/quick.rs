//! What ends within seconds.

use super::common::{Scratch, disk, exit_code, gzip, qcow2_with_backing, stderr, stdout, tidegate};
use super::{boot, has_picture, left, qemu, report, stages};

/// A disk that a BIOS starts nothing of: its first sector is not marked as one.
fn unmarked() -> Vec<u8> {
    let mut bytes = disk();
    bytes[510] = 0;
    bytes
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::new();
    let image = scratch.write("disk.raw", &disk());
    let mut command = tidegate();
    let output = command.arg("boot").arg(&image).env("PATH", scratch.path("")).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    let said = stderr(&output);
    assert!(
        said.contains("qemu-system-x86_64 is not installed: install qemu-system-x86"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_disk_is_never_made_smaller() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let image = scratch.write("disk.raw", &disk());
    let output = boot(&image, &temporary.path("")).args(["--disk-size", "1MiB"]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("--disk-size"), "{}", stderr(&output));
    assert_eq!(left(&temporary.path("")), [""; 0]);
}

#[test]
fn what_names_other_files_is_never_booted() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let image = scratch.write("disk.qcow2", &qcow2_with_backing(b"/etc/passwd"));
    for more in [&[][..], &["--unchecked"]] {
        let output = boot(&image, &temporary.path("")).args(more).output().unwrap();
        assert_eq!(exit_code(&output), 1);
        let (said, told) = (stdout(&output), stderr(&output));
        assert!(said.contains("qcow2-backing-file") && !said.contains("Boot:"), "{said}");
        assert!(told.contains("the image was not booted"), "{told}");
    }
    assert_eq!(left(&temporary.path("")), [""; 0]);
}

/// What is compressed is unpacked on its way through the check.
#[test]
fn a_disk_that_no_bios_starts_fails_at_once_with_a_picture() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let image = scratch.write("disk.raw.gz", &gzip(&unmarked()));
    let mut command = boot(&image, &temporary.path(""));
    let output = command.args(["--unchecked", "--format", "json"]).output().unwrap();
    assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
    let report = report(&output);
    let said = &report["boot"]["stages"][0];
    assert_eq!(said["stage"], "boot-loader");
    assert_eq!(said["state"], "failed", "{report:#}");
    assert!(said["seconds"].as_f64().unwrap() < 60.0, "{said}");
    assert!(said["said"].as_str().unwrap().contains("BIOS finds nothing"), "{said}");
    assert!(stages(&report)[1..].iter().all(|(_, state)| state == "skipped"));
    assert!(has_picture(&report));
    let screen = report["boot"]["screen"].to_string();
    assert!(screen.contains("No bootable device"), "{screen}");
    let found = report["findings"].to_string();
    assert!(found.contains("booted-not-up"), "{found}");
    assert_eq!(left(&temporary.path("")), [""; 0]);
}

/// What a boot says of a disk with this code in its boot sector.
fn said_of(code: &[u8]) -> String {
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let mut bytes = disk();
    bytes[..code.len()].copy_from_slice(code);
    let image = scratch.write("disk.raw", &bytes);
    let mut command = boot(&image, &temporary.path(""));
    let output = command.args(["--unchecked", "--format", "json"]).output().unwrap();
    assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
    let report = report(&output);
    assert_eq!(stages(&report)[0], ("boot-loader".to_owned(), "failed".to_owned()));
    report["boot"]["stages"][0]["said"].as_str().unwrap().to_owned()
}

#[test]
fn a_machine_that_goes_off_or_never_comes_up_fails_at_once() {
    if !qemu() {
        return;
    }
    // SLP_EN into the control register of the PIIX4's power management.
    let said = said_of(b"\xba\x04\x06\xb8\x00\x20\xef\xeb\xfe");
    assert_eq!(said, "the system switched the machine off");
    // The keyboard controller resets the machine.
    let said = said_of(b"\xb0\xfe\xe6\x64\xeb\xfe");
    assert!(said.starts_with("the machine was reset "), "{said}");
}

#[test]
fn the_page_shows_the_screen() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let image = scratch.write("disk.raw", &unmarked());
    let page = scratch.path("report.html");
    let mut command = boot(&image, &temporary.path(""));
    let output =
        command.args(["--unchecked", "--format", "html", "--output"]).arg(&page).output().unwrap();
    assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("src=\"data:image/png;base64,iVBORw0KGgo"), "{page}");
    assert!(page.contains("No bootable device"), "{page}");
}

/// What a push that boots says and leaves; the simulator is all that it knows.
#[cfg(feature = "simulator")]
#[test]
fn a_push_stops_at_an_image_that_does_not_come_up() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    // The check has nothing against it, but its boot sector does nothing.
    let image = scratch.write("disk.raw", &disk());
    let mut command = tidegate();
    command.args(["push", "--rehearse", "--boot", "--format", "json"]).arg(&image);
    let output = command.env("TMPDIR", temporary.path("")).output().unwrap();
    assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["image"].is_null(), "{told:#}");
    let said = stderr(&output);
    assert!(said.contains("reads nothing more of the disk"), "{said}");
    assert_eq!(left(&temporary.path("")), [""; 0]);
}
