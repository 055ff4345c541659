//! The file: read once, unchanged while it is read; and a disk that has no room for the journal.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::common::*;
use crate::disks::*;
use crate::flipper::{self, Flipper};
use crate::rig::*;

/// Bytes that the program reads beside the image: libraries, certificates, what the system tells of itself, and
/// once more the tables of a container, the end of its disk, and the places in it at which other formats have marks.
const BESIDE: u64 = 2 * MIB as u64 + (512 << 10);

/// What the process has read, once it has ended and before anybody has waited for it.
fn read_in_all(push: &mut Running) -> u64 {
    let id = push.child().id();
    wait_until("it ends", || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('Z')
    });
    let io = std::fs::read_to_string(format!("/proc/{id}/io")).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn a_file_is_read_once() {
    let scratch = Scratch::new();
    let raw = scratch.write("disk.raw", &big_disk(22 * MIB));
    let mut files = vec![raw.clone(), scratch.write("disk.raw.gz", big())];
    let qcow2 = scratch.path("disk.qcow2");
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&qcow2);
    match convert.output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            files.push(qcow2);
        }
        Err(_) => missing("qemu-img is not there, which makes the qcow2 image"),
    }
    for file in files {
        let size = file.metadata().unwrap().len();
        let rig = Rig::new();
        // What is inside is read apart, and in a packed file decoded again.
        let mut push = rig.push(&[file.to_str().unwrap(), "--quiet", "--guest", "never"]);
        let mut push = Running::start(push.args(PARTS));
        let read = read_in_all(&mut push);
        assert_eq!(exit_code(&push.output()), 0, "{file:?}");
        assert!((size..size + BESIDE).contains(&read), "{file:?}: {read} of {size} bytes");
        rig.assert_clean(1..=1, "read once");
    }
}

/// Farther into a file than a push is ahead of the parts that have arrived, in bytes.
const BEHIND: u64 = 40 * MIB as u64;

#[test]
fn a_file_that_changes_while_it_is_sent_becomes_no_image() {
    let longer = |path: &Path| {
        File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    let shorter = |path: &Path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(BEHIND).unwrap();
    };
    let other = |path: &Path| {
        use std::os::unix::fs::FileExt;
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(b"other", BEHIND).unwrap();
    };
    let file = gzip(&big_disk(BEHIND as usize + 4 * MIB));
    for change in [&longer as &dyn Fn(&Path), &shorter, &other] {
        let rig = Rig::with_plan(PACED);
        let path = rig.scratch.write("disk.raw.gz", &file);
        let mut push = rig.push(&["disk.raw.gz", "--uploads", "1", "--format", "json"]);
        let push = Running::start(push.args(PARTS));
        wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
        change(&path);
        let output = push.output();
        assert_eq!(exit_code(&output), 3, "{output:?}");
        let document = crate::documents::parsed("push", &output);
        assert_eq!(document["report"]["error"]["kind"], "changed", "{document}");
        assert!(rig.asked("complete-multipart-upload").is_empty());
        rig.assert_clean(0..=0, "changed");
        assert!(rig.journals().is_empty());
    }
}

#[test]
fn no_image_is_made_of_bytes_that_nobody_judged() {
    let folder = flipper::in_memory();
    let Some((path, at, values)) = flipper::qcow2(folder.path(), &big_disk(11 * MIB)) else {
        return;
    };
    let rig = Rig::new();
    for turn in 0..12 {
        let pause = std::time::Duration::from_millis(1 + 5 * (turn % 5));
        let Some(_flipper) = Flipper::start(&path, at, values, pause) else { return };
        let output = rig.pushed(&[path.to_str().unwrap(), "--repack", "never"]);
        // Accepted, refused, or changed; 5 is an import that fails, which is told what was sent.
        assert!([0, 1, 3].contains(&exit_code(&output)), "{output:?}");
    }
    let images = rig.images();
    assert!(images.iter().all(|image| image["status"] == "available"), "{images:?}");
    assert_eq!(rig.state()["objects"], serde_json::json!([]));
}

#[test]
fn a_disk_that_fills_keeps_nothing_behind() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        return missing("prlimit is not there, which lets no file grow");
    }
    // A journal of a whole push has some three thousand bytes.
    let sizes: Vec<u64> = (0..36).map(|step| step * 97).collect();
    let ends = std::sync::Mutex::new(Vec::new());
    each(&sizes, |size| {
        let rig = Rig::new();
        rig.scratch.write("disk.raw.gz", &gzip(&disk()));
        let push = rig.push(&["disk.raw.gz", "--transfer", "fra1"]);
        // Otherwise the system would end the program, instead of refusing to write.
        let limited = "trap '' XFSZ; exec prlimit --fsize=\"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", limited, &size.to_string()]);
        command.arg(push.get_program()).args(push.get_args());
        for (name, value) in push.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(rig.scratch.path(""));
        let output = command.output().unwrap();
        let what = format!("{size} bytes: {output:?}");
        let code = exit_code(&output);
        // Nothing was done, or something was.
        assert!(matches!(code, 0 | 2 | 4), "{what}");
        assert_eq!(code != 0, stderr(&output).contains("the journal"), "{what}");
        rig.assert_clean(0..=1, &what);
        assert!(code != 0 || rig.images().len() == 1, "{what}");
        assert!(rig.journals().is_empty(), "{what}");
        ends.lock().unwrap().push((*size, code));
    });
    let ends = ends.into_inner().unwrap();
    let of = |wanted| ends.iter().filter(|(_, code)| *code == wanted).count();
    assert!(of(0) > 0 && of(2) > 0 && of(4) > 8, "{ends:?}");
}

#[test]
fn a_disk_that_is_full_lets_nothing_begin() {
    let mount = "mount -t tmpfs -o size=4k none state && head -c 4096 /dev/zero > state/full && exec \"$0\" \"$@\"";
    let permitted = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs none /mnt"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !permitted {
        eprintln!("SKIPPED: a file system of one's own is not permitted here");
        return;
    }
    let rig = Rig::new();
    std::fs::create_dir_all(rig.scratch.path("state")).unwrap();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let push = rig.push(&["disk.raw.gz"]);
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", mount]).arg(push.get_program()).args(push.get_args());
    command.current_dir(rig.scratch.path("")).envs(rig.env.clone());
    let output = command.output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    assert!(stderr(&output).contains("the journal"), "{output:?}");
    assert!(rig.log().is_empty(), "{:?}", rig.log());
}
