//! The disk of a VMDK that lies in several files, by its descriptor: what comes out is what QEMU reads, and no file is
//! opened that does not lie beside the descriptor by a plain name.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;

/// A disk with something in each 64 KiB of its second half.
fn full() -> Vec<u8> {
    let mut disk = disk();
    let end = disk.len() - (64 << 10);
    for at in (2 << 20..end).step_by(32 << 10) {
        disk[at..at + 8].copy_from_slice(&(at as u64).to_le_bytes());
    }
    disk
}

/// A descriptor with these extent lines.
fn descriptor(kind: &str, lines: &[&str]) -> String {
    let lines = lines.join("\n");
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=6c4fc7dc\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n\
         # Extent description\n{lines}\n\n#DDB\nddb.adapterType = \"lsilogic\"\n"
    )
}

/// Cuts a disk into three pieces of whole MiB, the first two of one each, under the names that VMware gives them.
fn pieces(scratch: &Scratch, disk: &[u8], sparse: bool) -> Option<String> {
    const MIB: usize = 1 << 20;
    let mut lines = Vec::new();
    let letter = if sparse { 's' } else { 'f' };
    for (number, piece) in [&disk[..MIB], &disk[MIB..2 * MIB], &disk[2 * MIB..]].iter().enumerate()
    {
        let name = format!("web-{letter}{:03}.vmdk", number + 1);
        scratch.write(&name, piece);
        let (kind, offset) = if sparse { ("SPARSE", "") } else { ("FLAT", " 0") };
        lines.push(format!("RW {} {kind} \"{name}\"{offset}", piece.len() / 512));
        if sparse {
            let folder = scratch.path(".");
            let how = ["-f", "raw", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"];
            let arguments = [&["convert"], &how[..], &[&name, "made.vmdk"]].concat();
            oracle(&folder, "qemu-img", &arguments)?;
            std::fs::rename(scratch.path("made-s001.vmdk"), scratch.path(&name)).unwrap();
            std::fs::remove_file(scratch.path("made.vmdk")).unwrap();
        }
    }
    let kind = if sparse { "twoGbMaxExtentSparse" } else { "twoGbMaxExtentFlat" };
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Some(descriptor(kind, &lines))
}

/// The disk as QEMU reads it.
fn by_qemu(folder: &Path, name: &str) -> Option<Vec<u8>> {
    oracle(folder, "qemu-img", &["convert", "-f", "vmdk", "-O", "raw", name, "qemu.raw"])?;
    let disk = std::fs::read(folder.join("qemu.raw")).unwrap();
    std::fs::remove_file(folder.join("qemu.raw")).unwrap();
    Some(disk)
}

/// Repacks `web.vmdk`, which is refused with this code, and leaves no file.
fn refused(scratch: &Scratch, code: &str, what: &str) -> Value {
    let folder = scratch.path(".");
    let before = names(&folder);
    let document = document(&folder, &["web.vmdk"], 1);
    assert_eq!(document["error"]["kind"], "rejected", "{what}: {document}");
    assert!(codes(&document["report"]).contains(&code), "{what}, {code}: {document}");
    assert!(document["output"].is_null(), "{what}: {document}");
    assert_eq!(names(&folder), before, "{what}");
    document
}

/// Repacks `web.vmdk`, of which a part cannot be read for this reason, and leaves no file. The message of its error.
fn unread(scratch: &Scratch, kind: &str, what: &str) -> String {
    let folder = scratch.path(".");
    let before = names(&folder);
    let document = document(&folder, &["web.vmdk"], 3);
    assert_eq!(document["error"]["kind"], "unread", "{what}: {document}");
    assert_eq!(document["report"]["error"]["kind"], kind, "{what}: {document}");
    assert_eq!(names(&folder), before, "{what}");
    document["report"]["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_disk_is_put_together() {
    for (kind, part) in [
        ("monolithicFlat", "web-flat.vmdk"),
        ("twoGbMaxExtentFlat", "web-f001.vmdk"),
        ("twoGbMaxExtentSparse", "web-s001.vmdk"),
    ] {
        let scratch = Scratch::new();
        let folder = scratch.path(".");
        scratch.write("disk.raw", &full());
        let subformat = format!("subformat={kind}");
        let how = ["convert", "-f", "raw", "-O", "vmdk", "-o", &subformat, "disk.raw", "web.vmdk"];
        if oracle(&folder, "qemu-img", &how).is_none() {
            return;
        }
        let (exit, report) = report(&[scratch.path("web.vmdk")]);
        assert_eq!((exit, codes(&report)), (1, vec!["format-vmdk-descriptor"]), "{kind}");
        let finding = &report["findings"][0];
        assert_eq!(finding["repairable"], true, "{finding}");
        assert!(finding["remedy"].as_str().unwrap().contains("`tidegate repack "), "{finding}");
        let document = document(&folder, &["web.vmdk"], 0);
        let source = &document["source"];
        assert_eq!(source["wrappings"], json!([format!("vmdk ({part})")]));
        assert_eq!(source["sha256"], sha256(&std::fs::read(scratch.path("web.vmdk")).unwrap()));
        assert_eq!(source["noticed"], json!([]), "{document}");
        assert_eq!(document["output"]["name"], "web.img.gz");
        let made = unpacked(&scratch.path("web.img.gz"));
        assert!(made == full() && Some(made) == by_qemu(&folder, "web.vmdk"), "{kind}");
    }
}

#[test]
fn many_parts_lie_one_behind_the_other() {
    for sparse in [false, true] {
        let scratch = Scratch::new();
        let folder = scratch.path(".");
        let Some(text) = pieces(&scratch, &full(), sparse) else { return };
        // QEMU pads what it writes.
        scratch.write("web.vmdk", &[text.as_bytes(), &[0; 300]].concat());
        let document = document(&folder, &["web.vmdk"], 0);
        let first = if sparse { "web-s001.vmdk" } else { "web-f001.vmdk" };
        let wrappings = json!([format!("vmdk ({first} and 2 more)")]);
        assert_eq!(document["source"]["wrappings"], wrappings);
        let made = unpacked(&scratch.path("web.img.gz"));
        assert!(made == full() && Some(made) == by_qemu(&folder, "web.vmdk"));
        std::fs::remove_file(scratch.path("web.img.gz")).unwrap();
        // By a link from elsewhere, too: the parts lie beside the descriptor itself.
        std::fs::create_dir(scratch.path("elsewhere")).unwrap();
        symlink("../web.vmdk", scratch.path("elsewhere/link.vmdk")).unwrap();
        let output = repack(&scratch.path("elsewhere"), &["link.vmdk"]);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert!(unpacked(&scratch.path("elsewhere/link.img.gz")) == full());
    }
}

#[test]
fn parts_may_be_as_other_writers_make_them() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    let Some(text) = pieces(&scratch, &full(), true) else { return };
    // VMware leaves no room for a descriptor.
    for name in ["web-s001.vmdk", "web-s002.vmdk", "web-s003.vmdk"] {
        let mut part = std::fs::read(scratch.path(name)).unwrap();
        part[28..44].fill(0);
        std::fs::write(scratch.path(name), part).unwrap();
    }
    scratch.write("web.vmdk", text.as_bytes());
    document(&folder, &["web.vmdk"], 0);
    assert!(unpacked(&scratch.path("web.img.gz")) == full());
    std::fs::remove_file(scratch.path("web.img.gz")).unwrap();
    // VirtualBox rounds the size in a header up to a grain. That of a part in the middle would move those behind it.
    scratch.write("web.vmdk", text.replace("RW 4096", "RW 4000").as_bytes());
    let document = document(&folder, &["web.vmdk"], 0);
    let noticed = document["source"]["noticed"][0].as_str().unwrap();
    assert!(noticed.contains("whole grains"), "{noticed}");
    let made = unpacked(&scratch.path("web.img.gz"));
    assert!(made == full() && Some(made) == by_qemu(&folder, "web.vmdk"));
    std::fs::remove_file(scratch.path("web.img.gz")).unwrap();
    scratch.write("web.vmdk", text.replacen("RW 2048", "RW 2000", 1).as_bytes());
    refused(&scratch, "vmdk-descriptor-mismatch", "a part in the middle");
    scratch.write("web.vmdk", text.replace("RW 4096", "RW 3968").as_bytes());
    refused(&scratch, "vmdk-descriptor-mismatch", "a grain less");
}

#[test]
fn a_piece_has_the_command_for_its_descriptor() {
    let scratch = Scratch::new();
    let Some(text) = pieces(&scratch, &full(), true) else { return };
    scratch.write("web.vmdk", text.as_bytes());
    let check = ["check", "--format", "json", "web-s002.vmdk"];
    let output = tidegate().args(check).current_dir(scratch.path(".")).output().unwrap();
    let finding = &images(&output)[0]["findings"][0];
    assert_eq!(finding["code"], "format-vmdk-split");
    assert_eq!(finding["commands"], json!(["tidegate repack web.vmdk web.img.gz"]));
}

#[test]
fn parts_may_be_zeros_and_begin_in_their_files() {
    let scratch = Scratch::new();
    let disk = full();
    let half = disk.len() / 2;
    let blank = vec![0; 1 << 20];
    scratch.write("a", &[&[7; 1024][..], &disk[..half]].concat());
    scratch.write("b c.bin", &disk[half..]);
    let sectors = disk.len() / 512 / 2;
    let lines = [
        &format!("RW {sectors} FLAT \"a\" 2")[..],
        &format!("RDONLY {sectors} FLAT \"b c.bin\" 0"),
        "RW 2048 ZERO",
    ];
    scratch.write("web.vmdk", descriptor("twoGbMaxExtentFlat", &lines).as_bytes());
    let output = repack(&scratch.path("."), &["web.vmdk"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(unpacked(&scratch.path("web.img.gz")) == [disk, blank].concat());
}

#[test]
fn no_other_name_is_opened() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("in")).unwrap();
    for name in ["web-flat.vmdk", "in/web-flat.vmdk"] {
        scratch.write(name, &disk());
    }
    let there = format!("{}", scratch.path("web-flat.vmdk").display());
    for name in [
        "./web-flat.vmdk",
        "in/web-flat.vmdk",
        "in/../web-flat.vmdk",
        "../web-flat.vmdk",
        "..",
        ".",
        "",
        "in\\web-flat.vmdk",
        "/etc/hostname",
        "/dev/zero",
        "file:///etc/hostname",
        "web\u{7}.vmdk",
        &there,
    ] {
        let line = format!("RW 8192 FLAT \"{name}\" 0");
        scratch.write("web.vmdk", descriptor("monolithicFlat", &[&line]).as_bytes());
        refused(&scratch, "vmdk-extents-invalid", name);
    }
    // QEMU's names for other things are names of files here, which are not there.
    for name in ["json:{}", "nbd:127.0.0.1:9", "https:", "~", "$HOME", "web-flat.vmdk ", "a%2fb"] {
        let line = format!("RW 8192 FLAT \"{name}\" 0");
        scratch.write("web.vmdk", descriptor("monolithicFlat", &[&line]).as_bytes());
        let said = unread(&scratch, "not-found", name);
        assert!(said.contains(name) && said.contains("part of the disk"), "{said}");
    }
}

#[test]
fn a_part_is_a_regular_file_and_no_link() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    let line = "RW 8192 FLAT \"web-flat.vmdk\" 0";
    scratch.write("web.vmdk", descriptor("monolithicFlat", &[line]).as_bytes());
    let said = unread(&scratch, "not-found", "missing");
    assert!(said.contains("web-flat.vmdk"), "{said}");
    scratch.write("real", &disk());
    let part = scratch.path("web-flat.vmdk");
    for to in ["real", "/etc/hostname", "nowhere", "web.vmdk"] {
        symlink(to, &part).unwrap();
        let said = unread(&scratch, "part", to);
        assert!(said.contains("web-flat.vmdk") && said.contains("no link"), "{said}");
        std::fs::remove_file(&part).unwrap();
    }
    std::fs::create_dir(&part).unwrap();
    unread(&scratch, "part", "folder");
    std::fs::remove_dir(&part).unwrap();
    if oracle(&folder, "mkfifo", &["web-flat.vmdk"]).is_some() {
        unread(&scratch, "part", "pipe");
        std::fs::remove_file(&part).unwrap();
    }
    let listener = std::os::unix::net::UnixListener::bind(&part).unwrap();
    unread(&scratch, "part", "socket");
    drop(listener);
    std::fs::remove_file(&part).unwrap();
    // Only root may make one.
    let mut mknod = std::process::Command::new("mknod");
    if mknod.args(["web-flat.vmdk", "c", "1", "5"]).current_dir(&folder).status().unwrap().success()
    {
        unread(&scratch, "part", "device");
        std::fs::remove_file(&part).unwrap();
    }
    std::fs::hard_link(scratch.path("web.vmdk"), &part).unwrap();
    let line = "RW 1 FLAT \"web-flat.vmdk\" 0";
    std::fs::write(&part, descriptor("monolithicFlat", &[line])).unwrap();
    refused(&scratch, "vmdk-extents-invalid", "the descriptor by another name");
    std::fs::remove_file(&part).unwrap();
    let line = "RW 1 FLAT \"web.vmdk\" 0";
    scratch.write("web.vmdk", descriptor("monolithicFlat", &[line]).as_bytes());
    refused(&scratch, "vmdk-extents-invalid", "the descriptor itself");
}

#[test]
fn a_descriptor_that_names_too_much_is_refused() {
    let scratch = Scratch::new();
    scratch.write("a", &disk());
    std::fs::hard_link(scratch.path("a"), scratch.path("b")).unwrap();
    let flat = |name: &str| format!("RW 8192 FLAT \"{name}\" 0");
    let many: Vec<String> = (0..10_000).map(|n| flat(&format!("n{n}"))).collect();
    let large = vec![format!("RW {} ZERO", 200_000_000_000u64 / 512)];
    for (lines, code) in [
        (vec![flat("a"), flat("a")], "vmdk-extents-invalid"),
        (vec![flat("a"), flat("b")], "vmdk-extents-invalid"),
        (vec!["RW 8193 FLAT \"a\" 0".into()], "image-truncated"),
        (vec!["RW 8192 FLAT \"a\" 1".into()], "image-truncated"),
        (vec!["RW 8192 FLAT \"a\" 36028797018963967".into()], "image-truncated"),
        (vec!["NOACCESS 8192 FLAT \"a\" 0".into()], "vmdk-extents-invalid"),
        (vec!["RW 8192 VMFS \"a\"".into()], "vmdk-extents-invalid"),
        (vec!["RW 8192 VMFSSPARSE \"a\"".into()], "vmdk-extents-invalid"),
        (vec!["RW 8192 FLAT \"a\" x".into()], "vmdk-extent-line-invalid"),
        (vec!["RW 8192 SPARSE \"a\"".into()], "vmdk-header-invalid"),
        (Vec::new(), "vmdk-extents-invalid"),
        (many, "vmdk-extents-invalid"),
        (large, "disk-too-large"),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        scratch.write("web.vmdk", descriptor("monolithicFlat", &lines).as_bytes());
        refused(&scratch, code, &format!("{:.100?}", lines));
    }
    let text = descriptor("monolithicFlat", &[&flat("a")]);
    for (from, to, code) in [
        ("parentCID=ffffffff", "parentCID=12345678", "vmdk-parent"),
        ("#DDB", "parentFileNameHint=\"base.vmdk\"", "vmdk-parent"),
        ("monolithicFlat", "vmfs", "vmdk-create-type"),
        ("monolithicFlat", "fullDevice", "vmdk-create-type"),
        ("#DDB", "encryption.keySafe = \"x\"", "vmdk-encrypted"),
    ] {
        scratch.write("web.vmdk", text.replace(from, to).as_bytes());
        refused(&scratch, code, to);
    }
    let padded = [text.as_bytes(), &vec![0; 1 << 20]].concat();
    scratch.write("web.vmdk", &padded);
    refused(&scratch, "vmdk-descriptor-invalid", "1 MiB");
}

#[test]
fn a_part_that_is_damaged_is_named() {
    let scratch = Scratch::new();
    let Some(text) = pieces(&scratch, &full(), true) else { return };
    scratch.write("web.vmdk", text.as_bytes());
    let part = scratch.path("web-s003.vmdk");
    let good = std::fs::read(&part).unwrap();
    let number =
        |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize * 512;
    let table = number(number(56));
    let parent = "# Disk DescriptorFile\nversion=1\nparentCID=1\n";
    let own = "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n";
    for (at, bytes, code) in [
        (0, &b"KDMX"[..], "vmdk-header-invalid"),
        (4, &[9], "vmdk-version-unsupported"),
        (12, &[1], "vmdk-descriptor-mismatch"),
        (20, &[17], "vmdk-grain-size-invalid"),
        (44, &[1], "vmdk-grain-table-invalid"),
        (56, &[1, 0], "vmdk-grain-table-invalid"),
        (table, &[0xff, 0xff, 0, 0], "vmdk-table-copies-differ"),
        (28, &[9], "vmdk-descriptor-misplaced"),
        (512, parent.as_bytes(), "vmdk-parent"),
        (512, b"parentFileNameHint=\"/etc/passwd\"", "vmdk-parent"),
        (512, own.as_bytes(), "vmdk-extents-invalid"),
    ] {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&part, &bad).unwrap();
        let document = refused(&scratch, code, &format!("byte {at}"));
        let findings = document["report"]["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["code"] == code).unwrap();
        assert!(finding["message"].as_str().unwrap().starts_with("web-s003.vmdk"), "{finding}");
        // To weigh it as nothing makes no disk of it.
        let allowed = ["web.vmdk", "--allow", code];
        let output = repack(&scratch.path("."), &allowed);
        assert_ne!(exit_code(&output), 0, "{code}: {output:?}");
        assert!(!scratch.path("web.img.gz").exists(), "{code}");
    }
    // In both copies of the table.
    let mut bad = good.clone();
    for table in [table, number(number(48))] {
        bad[table..table + 4].copy_from_slice(&[1, 0, 0, 0]);
    }
    std::fs::write(&part, &bad).unwrap();
    refused(&scratch, "vmdk-table-entry-invalid", "both copies");
    for len in [0, 100, 512, good.len() - 512, good.len() - (64 << 10)] {
        std::fs::write(&part, &good[..len]).unwrap();
        refused(&scratch, "image-truncated", &format!("cut at {len}"));
    }
}

#[test]
fn the_report_names_what_is_odd_about_a_part() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    let Some(text) = pieces(&scratch, &full(), true) else { return };
    scratch.write("web.vmdk", text.as_bytes());
    let mut part = std::fs::read(scratch.path("web-s003.vmdk")).unwrap();
    part[72] = 1;
    std::fs::write(scratch.path("web-s003.vmdk"), &part).unwrap();
    for arguments in [&["--strict"][..], &["--reject", "vmdk-unclean"]] {
        let document = document(&folder, &[&["web.vmdk"], arguments].concat(), 1);
        assert!(codes(&document["report"]).contains(&"vmdk-unclean"), "{document}");
        assert!(!scratch.path("web.img.gz").exists());
    }
    let document = document(&folder, &["web.vmdk"], 0);
    let noticed = document["source"]["noticed"][0].as_str().unwrap();
    assert!(noticed.starts_with("web-s003.vmdk") && noticed.contains("did not close"), "{noticed}");
    assert!(unpacked(&scratch.path("web.img.gz")) == full());
    // Bytes behind a flat part.
    let line = "RW 8192 FLAT \"a\" 0";
    scratch.write("flat.vmdk", descriptor("monolithicFlat", &[line]).as_bytes());
    scratch.write("a", &[full(), vec![1; 100]].concat());
    let output = repack(&folder, &["flat.vmdk"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(stdout(&output).replace('\n', " ").contains("Noticed: a, at byte 4194304: 100 bytes"));
    assert!(unpacked(&scratch.path("flat.img.gz")) == full());
}

#[test]
fn the_error_names_a_part_that_changes_meanwhile() {
    use std::io::Write as _;
    let scratch = Scratch::new();
    let line = "RW 8192 FLAT \"web-flat.vmdk\" 0";
    scratch.write("web.vmdk", descriptor("monolithicFlat", &[line]).as_bytes());
    let part = scratch.write("web-flat.vmdk", &full());
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::OpenOptions::new().append(true).open(&part).unwrap();
            while !ends.load(Ordering::Relaxed) {
                file.write_all(b"more").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let said = std::panic::catch_unwind(|| unread(&scratch, "changed", "it grows"));
        ends.store(true, Ordering::Relaxed);
        assert!(said.unwrap().contains("web-flat.vmdk"));
    });
}

#[test]
fn nobody_else_opens_a_part() {
    let scratch = Scratch::new();
    let folder = scratch.path(".");
    let line = "RW 8192 FLAT \"web-flat.vmdk\" 0";
    let text = descriptor("monolithicFlat", &[line]);
    scratch.write("web.vmdk", text.as_bytes());
    scratch.write("web.vmdk.gz", &gzip(text.as_bytes()));
    scratch.write("web-flat.vmdk", &disk());
    // From a pipe, or inside of something, it has no folder.
    let program = env!("CARGO_BIN_EXE_tidegate");
    for script in [
        format!("cat web.vmdk | {program} repack --format json - out.gz"),
        format!("{program} repack --format json - out.gz < web.vmdk"),
        format!("{program} repack --format json web.vmdk.gz out.gz"),
        format!("{program} repack --format json web.vmdk.gz"),
    ] {
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(&folder).output().unwrap();
        assert_eq!(exit_code(&output), 1, "{script}: {output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let finding = &document["report"]["findings"][0];
        assert_eq!(finding["code"], "format-vmdk-descriptor", "{script}");
        assert!(finding.get("repairable").is_none(), "{script}: {finding}");
        assert!(!scratch.path("out.gz").exists(), "{script}");
    }
    // Whoever opened a pipe would wait for somebody to write to it; a push would not say what it says.
    std::fs::remove_file(scratch.path("web-flat.vmdk")).unwrap();
    if oracle(&folder, "mkfifo", &["web-flat.vmdk"]).is_none() {
        return;
    }
    for arguments in [&["check"][..], &["check", "--quick"], &["map"], &["push", "--rehearse"]] {
        let mut command = tidegate();
        command.args(arguments).arg("web.vmdk").current_dir(&folder);
        let output = command.output().unwrap();
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_ne!(exit_code(&output), 0, "{arguments:?}: {output:?}");
        assert!(said.contains("descriptor"), "{arguments:?}: {output:?}");
        assert!(!said.contains("repack it on the way"), "{arguments:?}: {output:?}");
        assert!(!said.contains("packed anew"), "{arguments:?}: {output:?}");
    }
}
