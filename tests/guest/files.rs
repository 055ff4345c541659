//! `inspect`, `ls` and `cat` over the Debian, in every format and from every kind of source.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::common::{exit_code, piped_to, stderr, stdout, tidegate};
use super::debian::disk;
use super::debugfs::edit;
use super::disks::{self, done, have};

fn run(arguments: &[&str]) -> std::process::Output {
    tidegate().args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_of_the_guest_is_written_as_it_is() {
    let Some(disk) = disk() else { return };
    let disk = text(disk);
    let output = run(&["cat", disk, "/etc/os-release"]);
    assert_eq!(exit_code(&output), 0);
    assert!(stdout(&output).contains("\nID=debian\n"), "{output:?}");
    // Over a link, and from the root of a volume.
    assert_eq!(run(&["cat", disk, "/usr/lib/os-release"]).stdout, output.stdout);
    let esp = run(&["cat", "--volume", "3", disk, "/EFI/debian/grub.cfg"]);
    if have(&["mcopy"]) && Path::new("/usr/lib/grub/x86_64-efi").exists() {
        assert!(stdout(&esp).starts_with("search.fs_uuid "), "{esp:?}");
    }
    for (arguments, code, said) in [
        (&["cat", disk, "/etc/nothing"][..], 1, "there is no /etc/nothing"),
        (&["cat", disk, "/etc"], 1, "/etc is a directory"),
        (&["cat", disk, "/etc/os-release/"], 1, "there is no /etc/os-release/"),
        (&["ls", disk, "/etc/os-release/.."], 1, "there is no /etc/os-release/.."),
        (
            &["cat", disk, "/etc/mtab"],
            1,
            "/etc/mtab is a link to ../proc/self/mounts, which leads nowhere",
        ),
        (&["cat", "--max-bytes", "100", disk, "/etc/os-release"], 1, "goes on after 100 bytes"),
        (&["cat", "--max-bytes", "x", disk, "/etc/fstab"], 2, "--max-bytes takes a size"),
        (&["cat", "--volume", "2", disk, "/x"], 2, "volume 2 has no files that tidegate reads"),
        (
            &["cat", "--volume", "9", disk, "/x"],
            2,
            "there is no volume 9; choose one with --volume",
        ),
        (&["cat", disk, ""], 2, "PATH is empty"),
        (&["ls", disk, ""], 2, "PATH is empty"),
        (&["ls", disk, "/etc/\u{1b}[2J"], 1, "there is no /etc/\\u{1b}[2J"),
        (&["cat", "/nothing.raw", "/x"], 3, "/nothing.raw"),
    ] {
        let output = run(arguments);
        assert_eq!(exit_code(&output), code, "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {output:?}");
    }
    assert_eq!(run(&["cat", "--max-bytes", "100", disk, "/etc/os-release"]).stdout.len(), 100);
    // Paths begin at the root of the system, whatever they begin with.
    for path in ["etc/os-release", "../etc/./os-release", "//etc//os-release"] {
        assert_eq!(run(&["cat", disk, path]).stdout, output.stdout, "{path}");
    }
    let closed = |arguments: &str| {
        let script = format!("exec \"$0\" {arguments} >&-");
        let arguments = ["-c", &script, env!("CARGO_BIN_EXE_tidegate"), disk];
        Command::new("sh").args(arguments).output().unwrap()
    };
    let output = closed("cat \"$1\" /etc/os-release");
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("standard output is closed"), "{output:?}");
    assert_eq!(exit_code(&closed("ls \"$1\" /etc")), 0);
}

/// What no `cat` writes, and what a damaged volume is told apart by.
#[test]
fn odd_files_and_damaged_volumes_are_named() {
    if !have(&["mke2fs", "sfdisk", "debugfs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let system = [("etc/fstab", ""), ("etc/os-release", "ID=debian\n"), ("usr/bin/env", "")];
    let path = disks::of_trees(folder.path(), &[&system]);
    let volume = format!("{}?offset=1048576", text(&path));
    let made =
        "cd /etc\nmknod pipe p\nmknod null c 1 3\nsymlink dangling /nowhere\nsymlink loop loop\n";
    edit(Path::new(&volume), made);
    let disk = text(&path);
    for (arguments, code, said) in [
        (&["cat", disk, "/etc/pipe"][..], 1, "/etc/pipe is no regular file"),
        (&["cat", disk, "/etc/null"], 1, "/etc/null is no regular file"),
        (&["cat", disk, "/etc/dangling"], 1, "/etc/dangling"),
        (&["cat", disk, "/etc/loop"], 1, "/etc/loop"),
        (&["cat", disk, "/etc/os-release/x"], 1, "/etc/os-release/x"),
    ] {
        let output = run(arguments);
        assert_eq!(exit_code(&output), code, "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {output:?}");
    }
    let long = run(&["ls", "-l", disk, "/etc/null"]);
    assert!(stdout(&long).starts_with("?---------"), "{long:?}");
    // A name with a slash: the directory is damaged, and the volume with it.
    edit(Path::new(&volume), "mknod /a/b c 1 3\n");
    let output = run(&["ls", disk, "/etc"]);
    assert_eq!(exit_code(&output), 2, "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("no volume that can be read holds an operating system"), "{said}");
    assert!(said.contains("(directory 2 has a damaged entry)"), "{said}");
}

#[test]
fn a_directory_of_the_guest_is_listed() {
    let Some(disk) = disk() else { return };
    let disk = text(disk);
    let output = run(&["ls", disk]);
    assert_eq!(exit_code(&output), 0);
    let names: Vec<&str> = stdout(&output).lines().collect();
    for name in ["bin", "boot", "etc", "usr", "vmlinuz"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let long = run(&["ls", "--long", disk, "/"]);
    assert!(stdout(&long).lines().any(|line| line.ends_with(" bin -> usr/bin")), "{long:?}");
    assert!(stdout(&long).lines().any(|line| line.starts_with("drwxrwxrwt ")), "{long:?}");
    let one = run(&["ls", "-l", disk, "/etc/shadow"]);
    assert!(stdout(&one).starts_with("-rw-r----- "), "{one:?}");
    assert_eq!(exit_code(&run(&["ls", disk, "/nothing"])), 1);
}

#[test]
fn the_same_is_inside_whatever_it_is_packed_in() {
    let Some(disk) = disk() else { return };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let inspected = |path: &Path| {
        let output = run(&["inspect", "--format", "json", text(path)]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
        document["guest"].take()
    };
    let plain = inspected(disk);
    assert_eq!(plain["login"], "debian");
    for (format, options) in [("qcow2", &["-c"][..]), ("vmdk", &[]), ("vhdx", &[]), ("vdi", &[])] {
        if super::common::qemu_img::<&Path>(&["--version"], &[]).is_none() {
            return;
        }
        let path = folder.path().join(format!("disk.{format}"));
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", format]).args(options).arg(disk).arg(&path);
        done(&mut convert);
        assert_eq!(inspected(&path), plain, "{format}");
        if format == "qcow2" {
            let packed = folder.path().join("disk.qcow2.gz");
            let script = format!("gzip -1 -c {} > {}", text(&path), text(&packed));
            done(Command::new("sh").args(["-c", &script]));
            assert_eq!(inspected(&packed), plain, "{format} in gzip");
            let checked = run(&["check", "--format", "json", "--guest", "require", text(&packed)]);
            let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
            assert_eq!(checked["images"][0]["verdict"], "accept", "{checked:#}");
            // A pipe is not looked into, unless it is spooled.
            let bytes = std::fs::read(&packed).unwrap();
            let of = |arguments: &[&str]| {
                let mut command = tidegate();
                let output = piped_to(
                    command.args(["check", "--format", "json"]).args(arguments).arg("-"),
                    &bytes,
                );
                let document: Value = serde_json::from_slice(&output.stdout).unwrap();
                (exit_code(&output), document["images"][0].clone())
            };
            let (code, report) = of(&[]);
            assert_eq!((code, &report["findings"][0]["code"]), (0, &"guest-not-examined".into()));
            let (code, report) = of(&["--guest", "require"]);
            assert_eq!((code, &report["findings"][0]["severity"]), (1, &"reject".into()));
            let (code, report) = of(&["--guest", "require", "--spool"]);
            assert_eq!((code, &report["guest"]["login"]), (0, &"debian".into()), "{report:#}");
            let (code, report) = of(&["--guest", "never"]);
            assert_eq!((code, &report["findings"]), (0, &Value::Array(Vec::new())));
        }
        std::fs::remove_file(&path).unwrap();
    }
    let quick = run(&["check", "--quick", "--guest", "require", text(disk)]);
    assert_eq!(exit_code(&quick), 2);
}

#[test]
fn partitions_have_the_names_of_their_types_in_every_report() {
    if !have(&["mke2fs", "sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = disks::of_trees(folder.path(), &[&[("a", "")]]);
    let disk = text(&path);
    let brief = run(&["check", disk]);
    let long = run(&["check", "-v", disk]);
    let line = "       1   16.8 MB  Linux, ext4\n";
    assert!(stdout(&long).contains(line), "{long:?}");
    assert_eq!(stdout(&long).replace(line, ""), stdout(&brief));
    let page = run(&["check", "--format", "html", disk]);
    assert!(stdout(&page).contains("<td>Linux, <code>83</code></td>"), "{page:?}");
    assert!(stdout(&page).contains("<title>Partition 1: Linux, 16.8 MB</title>"), "{page:?}");
    let of_json = |arguments: &[&str]| -> Value {
        serde_json::from_slice(&run(&[arguments, &["--format", "json", disk]].concat()).stdout)
            .unwrap()
    };
    let report = of_json(&["check"])["images"][0].clone();
    assert_eq!(report["partition_table"]["partitions"][0]["type_name"], "Linux");
    let inspected = of_json(&["inspect"]);
    for guest in [&report["guest"], &inspected["guest"]] {
        let volume = &guest["volumes"][0];
        assert_eq!((&volume["type"], &volume["type_name"]), (&"83".into(), &"Linux".into()));
    }
    let said = run(&["inspect", disk]);
    assert!(stdout(&said).contains("1. partition 1: Linux, ext4, 16.8 MB"), "{said:?}");
}
