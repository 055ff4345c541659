//! What tidegate makes of an image's ds-identify, against the script itself: each over the same generated
//! configurations, on what it takes for a Droplet.
//!
//! The scripts are those of the packages that lie unpacked below `target/oracles/cloud-init`, one folder each.
//! `TIDEGATE_DS_IDENTIFY` is the number of configurations for each of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegate::inspect::bodies::DsIdentify;

/// Configurations unless something else is wanted.
const CONFIGURATIONS: u64 = 300;

/// Files of an image by their paths.
type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// SplitMix64: the same configurations in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const SOURCES: [&str; 34] = [
    "NoCloud",
    "ConfigDrive",
    "DigitalOcean",
    "None",
    "NoCloud",
    "ConfigDrive",
    "DigitalOcean",
    "None",
    "Ec2",
    "Ec2",
    "MAAS",
    "MAAS",
    "OpenNebula",
    "RbxCloud",
    "OVF",
    "Azure",
    "AliYun",
    "Bigstep",
    "Vultr",
    "Scaleway",
    "OpenStack",
    "GCE",
    "VMware",
    "LXD",
    "AltCloud",
    "IBMCloud",
    "WSL",
    "Akamai",
    "Foo",
    "configdrive",
    "--",
    "",
    "Digital Ocean",
    "nocloud-net",
];

/// The list as somebody might write it.
fn list(random: &mut Random) -> String {
    let names: Vec<String> = (0..random.below(5))
        .map(|_| {
            let name = random.of(&SOURCES);
            match random.below(8) {
                0 => format!("'{name}'"),
                1 => format!("\"{name}\""),
                2 => format!("  {name} "),
                _ => name.to_owned(),
            }
        })
        .collect();
    let comma = random.of(&[", ", ",", ", ", " , ", ",\t"]);
    let names = names.join(comma);
    match random.below(12) {
        0 => names,
        1 => format!("[{names}"),
        2 => format!("{names}]"),
        3 => format!("[{names},]"),
        4 => format!("[ {names} ] # as wanted"),
        5 => format!("[ {names} ]  "),
        6 => format!("\t[\t{names}\t]\t"),
        7 => String::new(),
        8 => format!("[{names}]"),
        _ => format!("[ {names} ]"),
    }
}

fn line(random: &mut Random) -> String {
    match random.below(14) {
        0..=4 => {
            let key = random.of(&[
                "datasource_list",
                "datasource_list",
                "datasource_list",
                "datasource_list",
                "\"datasource_list\"",
                "'datasource_list'",
                "  datasource_list",
                "\tdatasource_list",
                "x_datasource_list",
                "datasource_list_x",
                "# datasource_list",
                "  # datasource_list",
                "Datasource_list",
                "di_report: {datasource_list",
                "a: b # datasource_list",
                "datasource_list: datasource_list",
                "\\datasource_list",
            ]);
            let colon = random.of(&[": ", ": ", ": ", ":", " : ", ":  ", ":\t", "\t:\t", " "]);
            format!("{key}{colon}{}", list(random))
        }
        5 => format!("  - {}", random.of(&SOURCES)),
        6 => random
            .of(&[
                "# user-data: none",
                "#NoCloud: none",
                "   # meta-data: none",
                "# the datasource_list: is below",
                "#MAAS:",
                "",
                "   ",
                "#",
            ])
            .to_owned(),
        7 | 8 => random
            .of(&[
                "datasource:",
                "  NoCloud:",
                "    user-data: |",
                "    meta-data: {instance-id: i-1}",
                "    seedfrom: http://192.0.2.1/",
                "datasource: {NoCloud: {seedfrom: /media/seed/}}",
                "  NoCloud: {user-data: a, meta-data: b}",
                "\"NoCloud\" : {'user-data' : a, 'meta-data' : b}",
                "user-data:",
                "meta-data:",
                "seedfrom:",
                "NoCloud:",
                "NoCloud: ",
            ])
            .to_owned(),
        9 => random
            .of(&["  MAAS:", "MAAS: {metadata_url: http://192.0.2.1}", "'MAAS':", "MAAS:x"])
            .to_owned(),
        10 => random
            .of(&[
                "    strict_id: false",
                "strict_id: warn",
                "strict_id: warn,5",
                "strict_id: 'false'",
                "strict_id: true",
                "strict_id: false ",
                "strict_id: false # so",
                "strict_id:",
                "  Ec2: {strict_id: false}",
            ])
            .to_owned(),
        _ => random
            .of(&[
                "users:",
                "   - default",
                "disable_root: true",
                "system_info: {default_user: {name: debian}}",
                "joined: \\",
                "odd: a\\b",
                "a:b:c: d",
                "#cloud-config",
            ])
            .to_owned(),
    }
}

fn text(random: &mut Random, lines: Vec<String>) -> Vec<u8> {
    let end = if random.percent(8) { "\r\n" } else { "\n" };
    let mut text = lines.join(end);
    if !random.percent(10) {
        text.push_str(end);
    }
    text.into_bytes()
}

fn policy(random: &mut Random) -> String {
    let parts: Vec<&str> = (0..random.below(5))
        .map(|_| {
            random.of(&[
                "search",
                "search",
                "enabled",
                "disabled",
                "report",
                "found=all",
                "found=first",
                "found=none",
                "maybe=all",
                "maybe=all",
                "maybe=none",
                "maybe=x",
                "notfound=enabled",
                "notfound=disabled",
                "notfound=",
                "",
                "odd",
            ])
        })
        .collect();
    parts.join(",")
}

fn policy_file(random: &mut Random) -> Vec<u8> {
    let lines = (0..1 + random.below(3))
        .map(|_| match random.below(7) {
            0 => format!("datasource: {}", random.of(&SOURCES)),
            1 => format!("datasource: \"{}\"  # one", random.of(&SOURCES)),
            2 => "# datasource: Ec2".to_owned(),
            3 => format!(
                "ci.datasource.ec2.strict_id: {}",
                random.of(&["false", "warn", "true", "'false'"])
            ),
            4 => format!("  policy :  '{}' ", policy(random)),
            _ => format!("policy: {}", policy(random)),
        })
        .collect();
    text(random, lines)
}

fn command_line(random: &mut Random) -> Vec<u8> {
    let mut words = vec!["BOOT_IMAGE=/vmlinuz root=UUID=1 ro quiet".to_owned()];
    if random.percent(25) {
        for _ in 0..1 + random.below(2) {
            let source = random.of(&SOURCES);
            words.push(match random.below(12) {
                0 => format!("ds={source}"),
                1 => format!("ci.ds={source}"),
                2 => format!("ci.datasource={source}"),
                3 => format!("ci.di.policy={}", policy(random)),
                4 => "ds=nocloud-net;s=http://192.0.2.1/;h=a".to_owned(),
                5 => "ds=nocloud;seedfrom=/media".to_owned(),
                6 => "--- ds=nocloud".to_owned(),
                7 => format!("cc: {{datasource_list: {}}} end_cc", list(random)),
                8 => format!("cc:datasource_list: [{source}]"),
                9 => format!(
                    "ci.datasource.ec2.strict_id={}",
                    random.of(&["false", "true", "warn,3", ""])
                ),
                10 => random
                    .of(&[
                        "cloud-config-url=http://192.0.2.1/ iscsi=iqn.2004-05.com.ubuntu:maas:x",
                        "iqn.2004-05.com.ubuntu:maas cloud-config-url=http://192.0.2.1/",
                        "iqn.2004-05.com.ubuntu:maas",
                    ])
                    .to_owned(),
                _ => random.of(&["vultr", "scaleway", "xvultr", "ci.ds", "ds"]).to_owned(),
            });
        }
    }
    let mut line = words.join(" ").into_bytes();
    line.push(b'\n');
    line
}

/// An image: its files, the kernel's command line, and the labels of all file systems of a Droplet made from it.
struct Image {
    files: Files,
    command_line: Vec<u8>,
    labels: Vec<&'static str>,
}

fn image(random: &mut Random) -> Image {
    let mut files = Files::new();
    let mut put = |path: &str, bytes: Vec<u8>| {
        files.insert(path.as_bytes().to_vec(), bytes);
    };
    if !random.percent(4) {
        let lines = (0..random.below(7)).map(|_| line(random)).collect();
        put("/etc/cloud/cloud.cfg", text(random, lines));
    }
    for _ in 0..random.below(4) {
        let name = random.of(&[
            "05_logging.cfg",
            "90_dpkg.cfg",
            "99-installer.cfg",
            "99-installer.cfg",
            "99_Ec2.cfg",
            "EC2.cfg",
            "cloud.cfg",
            "zz.cfg",
            ".hidden.cfg",
            "99-installer.yaml",
            "with space.cfg",
            "README",
        ]);
        let lines = (0..random.below(6)).map(|_| line(random)).collect();
        put(&format!("/etc/cloud/cloud.cfg.d/{name}"), text(random, lines));
    }
    if random.percent(25) {
        put("/etc/cloud/ds-identify.cfg", policy_file(random));
    }
    if random.percent(3) {
        put("/var/lib/cloud/instance/manual-clean", Vec::new());
    }
    for seed in [
        "/var/lib/cloud/seed/nocloud/",
        "/var/lib/cloud/seed/nocloud-net/",
        "/writable/system-data/var/lib/cloud/seed/nocloud/",
        "/var/lib/cloud/seed/opennebula/",
        "/var/lib/cloud/seed/ovf/",
        "/var/lib/cloud/seed/azure/",
        "/var/lib/cloud/seed/AliYun/",
        "/var/lib/cloud/seed/ec2/",
        "/var/lib/cloud/data/seed/bigstep/",
    ] {
        if random.percent(4) {
            for name in ["user-data", "meta-data", "ovf-env.xml", "url"] {
                if random.percent(75) {
                    put(&format!("{seed}{name}"), b"x\n".to_vec());
                }
            }
        }
    }
    if random.percent(3) {
        put("/etc/vultr", Vec::new());
    }
    if random.percent(3) {
        put("/var/run/scaleway", Vec::new());
    }
    let mut labels = vec!["root"];
    if !random.percent(8) {
        labels.push("config-2");
    }
    if random.percent(15) {
        labels.push(random.of(&[
            "cidata", "CIDATA", "CONTEXT", "CDROM", "CLOUDMD", "cloudmd", "CONFIG-2", "xcidata",
        ]));
    }
    Image { files, command_line: command_line(random), labels }
}

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
    if scripts.is_empty() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no ds-identify is below target/oracles/cloud-init"
        );
        eprintln!("SKIPPED: no ds-identify is below target/oracles/cloud-init");
    }
    scripts
}

/// Runs the script over trees of files, each below its own folder: exit code, and what it writes for cloud-init.
fn run(script: &Path, folder: &Path, images: &[Image]) -> Vec<(i32, Option<Vec<u8>>)> {
    let path = |number: usize| folder.join(number.to_string());
    for (number, image) in images.iter().enumerate() {
        let root = path(number);
        for (name, bytes) in &image.files {
            let file = root.join(std::str::from_utf8(&name[1..]).unwrap());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::write(root.join("proc/cmdline"), &image.command_line).unwrap();
        let dmi = root.join("sys/class/dmi/id");
        fs::create_dir_all(&dmi).unwrap();
        fs::write(dmi.join("sys_vendor"), "DigitalOcean\n").unwrap();
        fs::write(dmi.join("product_name"), "Droplet\n").unwrap();
        fs::write(dmi.join("product_serial"), "123456789\n").unwrap();
        fs::write(dmi.join("product_uuid"), "11111111-2222-4333-8444-555555555555\n").unwrap();
        let devices = image.labels.iter().enumerate();
        let blkid: String = devices
            .map(|(at, label)| format!("DEVNAME=/dev/vd{at}\nLABEL={label}\nTYPE=ext4\n\n"))
            .collect();
        fs::write(root.join("blkid"), blkid).unwrap();
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
