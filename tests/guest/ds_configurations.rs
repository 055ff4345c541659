//! Configurations of cloud-init as images may have them, right and wrong ones, for ds-identify.

use std::collections::BTreeMap;

use crate::random::Random;

/// Files of an image by their paths.
pub(crate) type Files = BTreeMap<Vec<u8>, Vec<u8>>;

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
pub(crate) struct Image {
    pub(crate) files: Files,
    pub(crate) command_line: Vec<u8>,
    pub(crate) labels: Vec<&'static str>,
}

pub(crate) fn image(random: &mut Random) -> Image {
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
