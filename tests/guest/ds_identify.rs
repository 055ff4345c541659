//! What tidegate makes of an image's ds-identify, against the script itself: each over the same generated
//! configurations, on what it takes for a Droplet.
//!
//! The scripts are those of the packages that lie unpacked below `target/oracles/cloud-init`, one folder each.
//! `TIDEGATE_DS_IDENTIFY` is the number of configurations for each of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegate::inspect::bodies::DsIdentify;

use super::ds_configurations::{Files, Image, image};
use crate::disks::{is_there, plant};
use crate::random::Random;

/// Configurations unless something else is wanted.
const CONFIGURATIONS: u64 = 300;

/// The scripts that are at hand: the name of each folder, and the path.
fn scripts() -> Vec<(String, PathBuf)> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let folders = fs::read_dir(target.join("oracles/cloud-init")).into_iter().flatten();
    let mut scripts: Vec<(String, PathBuf)> = folders
        .filter_map(|folder| {
            let folder = folder.ok()?;
            let script = folder.path().join("usr/lib/cloud-init/ds-identify");
            let name = folder.file_name().into_string().ok()?;
            script.is_file().then_some((name, script))
        })
        .collect();
    scripts.sort();
    is_there("a ds-identify below target/oracles/cloud-init", !scripts.is_empty());
    scripts
}

/// Runs the script over trees of files, each below its own folder: exit code, and what it writes for cloud-init.
fn run(script: &Path, folder: &Path, images: &[Image]) -> Vec<(i32, Option<Vec<u8>>)> {
    let path = |number: usize| folder.join(number.to_string());
    for (number, image) in images.iter().enumerate() {
        let root = path(number);
        plant(
            &root,
            image
                .files
                .iter()
                .map(|(name, bytes)| (std::str::from_utf8(&name[1..]).unwrap(), bytes)),
        );
        let devices = image.labels.iter().enumerate();
        let blkid: String = devices
            .map(|(at, label)| format!("DEVNAME=/dev/vd{at}\nLABEL={label}\nTYPE=ext4\n\n"))
            .collect();
        let machine: [(&str, &[u8]); 6] = [
            ("proc/cmdline", &image.command_line),
            ("sys/class/dmi/id/sys_vendor", b"DigitalOcean\n"),
            ("sys/class/dmi/id/product_name", b"Droplet\n"),
            ("sys/class/dmi/id/product_serial", b"123456789\n"),
            ("sys/class/dmi/id/product_uuid", b"11111111-2222-4333-8444-555555555555\n"),
            ("blkid", blkid.as_bytes()),
        ];
        plant(&root, machine);
    }
    // The programs that it asks about the machine; one of them has a name that no function of a shell has.
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let virt = programs.join("systemd-detect-virt");
    fs::write(&virt, "#!/bin/sh\necho kvm\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&virt, mode).unwrap();
    let mut shell = Command::new("sh")
        .arg("-s")
        .arg("--")
        .arg(script)
        .arg(folder)
        .arg(images.len().to_string())
        .env("LC_ALL", "C")
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let loops = r##"
script=$1 folder=$2 count=$3 number=0
uname() {
    case $1 in
        -svm) echo Linux "#1 SMP" x86_64 ;;
        *) echo Linux droplet 6.1.0 "#1 SMP" x86_64 GNU/Linux ;;
    esac
}
blkid() { while read -r line; do echo "$line"; done < "$PATH_ROOT/blkid"; }
while [ "$number" -lt "$count" ]; do
    (
        PATH_ROOT=$folder/$number DI_MAIN=main
        set -- --force
        . "$script"
    )
    echo $? > "$folder/$number/exit"
    number=$((number + 1))
done
"##;
    shell.stdin.take().unwrap().write_all(loops.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    let results = (0..images.len()).map(|number| {
        let exit = fs::read_to_string(path(number).join("exit")).unwrap();
        let written = fs::read(path(number).join("run/cloud-init/cloud.cfg")).unwrap_or_default();
        let first = written.split(|&byte| byte == b'\n').next().unwrap();
        let list = first.strip_prefix(b"datasource_list: [ ").map(|rest| {
            // A name of a list can have a newline in it no more than a word of the shell.
            rest.strip_suffix(b" ]").unwrap().to_vec()
        });
        (exit.trim().parse().unwrap(), list)
    });
    results.collect()
}

fn list_shown(list: &Option<Vec<u8>>) -> Option<String> {
    list.as_ref().map(|list| String::from_utf8_lossy(list).into_owned())
}

#[test]
fn decides_as_the_script_does() {
    let count = std::env::var("TIDEGATE_DS_IDENTIFY");
    let count = count.map_or(CONFIGURATIONS, |count| count.parse().unwrap());
    for (name, script) in scripts() {
        let known = DsIdentify::of(&fs::read(&script).unwrap());
        let known = known.unwrap_or_else(|| panic!("{name}: the script is not known"));
        let mut random = Random(0x5eed);
        let (mut disabled, mut listed) = (0, 0);
        let mut left = count;
        while left > 0 {
            let images: Vec<Image> = (0..left.min(500)).map(|_| image(&mut random)).collect();
            left -= images.len() as u64;
            let folder = tempfile::tempdir().unwrap();
            let theirs = run(&script, folder.path(), &images);
            for (image, (exit, list)) in images.iter().zip(theirs) {
                let labels: Vec<&[u8]> =
                    image.labels.iter().map(|label| label.as_bytes()).collect();
                let ours = known.decide(image.files.clone(), &image.command_line, &labels).unwrap();
                let shown = || {
                    let shown = image.files.iter().map(|(path, bytes)| {
                        let path = String::from_utf8_lossy(path);
                        format!("{path}:\n{:?}\n", String::from_utf8_lossy(bytes))
                    });
                    let line = String::from_utf8_lossy(&image.command_line);
                    format!(
                        "{name}\n{}{line}labels {:?}\nours {} {:?}\ntheirs {exit} {:?}",
                        shown.collect::<String>(),
                        image.labels,
                        ours.0,
                        list_shown(&ours.1),
                        list_shown(&list),
                    )
                };
                assert!(exit == 0 || exit == 1, "{}", shown());
                assert!((exit == 0) == ours.0 && list == ours.1, "{}", shown());
                disabled += u64::from(exit == 1);
                listed += u64::from(list.is_some());
            }
        }
        eprintln!("{name}: {count} configurations, {disabled} disabled, {listed} with a list");
        // They are no proof if all of them come out alike.
        assert!(disabled > count / 50 && listed > count / 4);
    }
}

/// Command lines that may switch it on or off.
const SWITCHES: [&str; 10] = [
    "ro quiet",
    "ro cloud-init=disabled quiet",
    "ro cloud-init=enabled",
    "ro cloud-init=disabled cloud-init=enabled",
    "ro cloud-init=enabled cloud-init=disabled",
    "ro xcloud-init=disabled",
    "ro cloud-init=disabledx",
    "ro cloud-init=x",
    "ro cloud-init=disabled cloud-init=x",
    "cloud-init=disabled",
];

/// Newer scripts look for the switch themselves and end with 2; of older packages, the generator does.
#[test]
fn the_switch_is_where_the_script_or_its_generator_finds_it() {
    for (name, script) in scripts() {
        let source = fs::read(&script).unwrap();
        let known = DsIdentify::of(&source).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let images: Vec<Image> = SWITCHES
            .iter()
            .map(|line| Image {
                files: Files::new(),
                command_line: format!("{line}\n").into_bytes(),
                labels: vec!["config-2"],
            })
            .collect();
        let exits = run(&script, folder.path(), &images);
        let package = script.ancestors().nth(4).unwrap();
        let generators = ["lib", "usr/lib"]
            .map(|lib| package.join(lib).join("systemd/system-generators/cloud-init-generator"));
        let generator = generators.iter().find(|path| path.is_file()).unwrap();
        let is_older = fs::read_to_string(generator).unwrap().contains("kernel_cmdline()");
        for (line, (exit, _)) in SWITCHES.iter().zip(exits) {
            let theirs = if is_older {
                // Its functions without its last line, which would write outside of the test.
                let own = folder.path().join("generator");
                let text = fs::read_to_string(generator).unwrap();
                fs::write(&own, text.replace("main \"$@\"", "")).unwrap();
                let command =
                    r#". "$1"; debug() { :; }; KERNEL_CMDLINE=$2; kernel_cmdline; echo "$_RET""#;
                let arguments = ["-c", command, "sh", own.to_str().unwrap(), line];
                let output = Command::new("sh").args(arguments).env("container", "").output();
                match std::str::from_utf8(&output.unwrap().stdout).unwrap().trim() {
                    "enabled" => Some(true),
                    "disabled" => Some(false),
                    _ => None,
                }
            } else {
                (exit == 2).then_some(false)
            };
            assert_eq!(known.switch_of_line(line.as_bytes()), theirs, "{name}: {line}");
        }
    }
}
