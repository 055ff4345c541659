//! Boots that are ended from outside leave nothing.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use super::common::{Scratch, disk, exit_code, stderr, wait_until};
use super::{boot, full, left, qemu};

/// The numbers of the QEMUs that run in a folder below this one.
fn machines(temporary: &Path) -> Vec<u32> {
    let temporary = temporary.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let runs_there = |number: &u32| {
        let folder = std::fs::read_link(format!("/proc/{number}/cwd"));
        folder.is_ok_and(|folder| folder.starts_with(&temporary))
    };
    numbers.filter(runs_there).collect()
}

/// A boot of a disk whose boot sector does nothing for ever.
fn begun(scratch: &Scratch, temporary: &Scratch) -> Child {
    let mut bytes = disk();
    // jmp to itself
    bytes[..2].copy_from_slice(b"\xeb\xfe");
    let image = scratch.write("disk.raw", &bytes);
    boot(&image, &temporary.path("")).arg("--unchecked").spawn().unwrap()
}

fn kill(child: &Child, signal: &str) {
    let number = child.id().to_string();
    let killed = std::process::Command::new("kill").args([signal, &number]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn an_interrupt_leaves_nothing() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let child = begun(&scratch, &temporary);
    wait_until("QEMU runs", || !machines(&temporary.path("")).is_empty());
    kill(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(exit_code(&output), 130, "{}", stderr(&output));
    wait_until("QEMU has ended", || machines(&temporary.path("")).is_empty());
    assert_eq!(left(&temporary.path("")), [""; 0]);
}

#[test]
fn a_kill_leaves_no_machine_and_files_go_with_the_next_boot() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let mut moments: Vec<u64> = vec![700];
    if full() {
        // As random as a test that can be repeated is.
        moments.extend((1..10u64).map(|turn| turn * turn * 7919 % 3000));
    }
    for moment in moments {
        let mut child = begun(&scratch, &temporary);
        std::thread::sleep(Duration::from_millis(moment));
        kill(&child, "-KILL");
        child.wait().unwrap();
        wait_until("QEMU has ended", || machines(&temporary.path("")).is_empty());
    }
    // This one makes its folder after it has removed those of others.
    let child = begun(&scratch, &temporary);
    wait_until("QEMU runs", || !machines(&temporary.path("")).is_empty());
    assert_eq!(left(&temporary.path("")).len(), 1);
    kill(&child, "-TERM");
    assert_eq!(exit_code(&child.wait_with_output().unwrap()), 130);
    assert_eq!(left(&temporary.path("")), [""; 0]);
}

#[test]
fn two_boots_at_once_do_not_collide() {
    if !qemu() {
        return;
    }
    let (scratch, temporary) = (Scratch::new(), Scratch::new());
    let children = [begun(&scratch, &temporary), begun(&scratch, &temporary)];
    wait_until("both run", || machines(&temporary.path("")).len() == 2);
    for child in children {
        kill(&child, "-INT");
        assert_eq!(exit_code(&child.wait_with_output().unwrap()), 130);
    }
    assert_eq!(left(&temporary.path("")), [""; 0]);
}
