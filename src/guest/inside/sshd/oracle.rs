//! Configurations as sshd itself reads them: `sshd -T`.

#![allow(clippy::print_stderr)] // nobody should miss that a test was left out

use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use super::super::super::fs::memory::Memory;
use super::super::super::tree::testing::tree;
use super::config::{Config, Who};
use super::program::has;

const SSHD: &str = "/usr/sbin/sshd";

/// Keywords that are compared. All but the lists have one value, and what `-T` prints for it is one word.
const LISTS: [&str; 5] = ["allowusers", "denyusers", "allowgroups", "denygroups", "port"];
const SINGLE: [&str; 9] = [
    "pubkeyauthentication",
    "permitrootlogin",
    "passwordauthentication",
    "permitemptypasswords",
    "usepam",
    "strictmodes",
    "kbdinteractiveauthentication",
    "authorizedkeysfile",
    "authenticationmethods",
];

/// Runs sshd; what it prints, or nothing if it refuses the configuration.
fn asked(file: &Path, key: &Path, user: &str) -> Option<Vec<(String, String)>> {
    let mut command = Command::new(SSHD);
    command.arg("-T").arg("-f").arg(file).arg("-h").arg(key);
    command.args(["-C", &format!("user={user},host=client.example,addr=203.0.113.5")]);
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let pair =
        |line: &str| line.split_once(' ').map(|(key, value)| (key.to_owned(), value.to_owned()));
    output.status.success().then(|| text.lines().filter_map(pair).collect())
}

/// A host key and an empty configuration, if there is an sshd that reads them.
fn oracle(folder: &Path) -> Option<PathBuf> {
    let (key, empty) = (folder.join("key"), folder.join("empty"));
    let _ = std::fs::write(&empty, "");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).output();
    let works =
        made.is_ok_and(|output| output.status.success()) && asked(&empty, &key, "root").is_some();
    if !works {
        assert!(std::env::var_os("CI").is_none(), "sshd is missing, or /run/sshd is");
        eprintln!("skipped: sshd is missing, or /run/sshd is");
    }
    works.then_some(key)
}

fn line() -> impl Strategy<Value = String> {
    let setting = prop_oneof![
        ("(pubkeyauthentication|PasswordAuthentication|PermitEmptyPasswords|KbdInteractiveAuthentication)",
            prop_oneof![9 => Just("yes"), 9 => Just("no"), 1 => Just("YES"), 1 => Just("maybe"), 1 => Just("")])
            .prop_map(|(key, value)| (key, value.to_owned())),
        ("(UsePAM|StrictModes)", "(yes|no)").prop_map(|pair| pair),
        ("PermitRootLogin", "(yes|no|prohibit-password|without-password|forced-commands-only|No)"),
        ("(AllowUsers|DenyUsers)", "(root|nobody|r[*]|x@10[.]0[.]0[.]1|a b|\"c d\"|e # f)"),
        ("(AllowGroups|denygroups)", "(root|wheel sudo|n[?]group)"),
        ("AuthenticationMethods", "(publickey|publickey,password password|publickey # x)"),
        ("AuthorizedKeysFile", "(none|[.]ssh/a|/k/%u [.]ssh/b|\"x y\"|'x y'|a#b)"),
        ("Port", "(22|2222|0|22x|65536)"),
        ("(PermitRotLogin|MaxAuthTrys|LogVerbose)", "(yes|no)"),
        ("Ciphers", "([+]|\\^|-|)(none|aes256-ctr|aes256-ctr,aes128-cbx)"),
        ("MACs", "([+]|\\^|-|)(none|hmac-sha2-256|hmac-sha2-256,hmac-sha3-256)"),
        ("KexAlgorithms", "([+]|\\^|-|)(none|curve25519-sha256|curve-x)"),
        ("(HostKeyAlgorithms|PubkeyAcceptedAlgorithms|CASignatureAlgorithms|PubkeyAcceptedKeyTypes)",
            "([+]|\\^|-|)(none|ssh-ed25519|rsa-sha2-512,ssh-x|ssh-[*])"),
        ("(MaxAuthTries|MaxSessions|ClientAliveCountMax|X11DisplayOffset)", "(3|0|-1|x|3 4|2147483648)"),
        ("(LoginGraceTime|ClientAliveInterval)", "(120|2m|1h30m|x|5y|m|-1|10M)"),
        ("(AllowTcpForwarding|GatewayPorts|AddressFamily|Compression|IgnoreRhosts|PermitTunnel|LogLevel|SyslogFacility)",
            "(yes|no|local|all|clientspecified|inet6|any|delayed|shosts-only|ethernet|INFO|verbose|AUTH|kern)"),
        ("(X11Forwarding|UseDNS|PermitTTY|PrintMotd|TCPKeepAlive|AllowAgentForwarding)", "(yes|no|maybe|true|yes no)"),
    ];
    let space = prop_oneof![6 => Just(" "), 1 => Just("="), 1 => Just(" = "), 1 => Just("\t"), 1 => Just("  ")];
    let setting = (setting, space, "( |\t|)", "( |\t| # x|\r|)").prop_map(
        |((key, value), space, before, after)| format!("{before}{key}{space}{value}{after}"),
    );
    let condition = prop_oneof![
        Just("all".to_owned()),
        "(User|user) (root|nobody|r[*]|[*],!root|!nobody,[*]|x)",
        "Group (root|nogroup|x[?]|wheel,root)",
        "Address (10[.]0[.]0[.]0/8|203[.]0[.]113[.]5)",
        "User root Group (root|x)",
    ];
    prop_oneof![
        12 => setting,
        2 => condition.prop_map(|condition| format!("Match {condition}")),
        1 => Just("# comment".to_owned()),
        1 => "Include FOLDER/(d/[*][.]conf|d/1[.]conf|none[*]|d/[?][.]conf)",
    ]
}

fn lines(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(line(), 0..most).prop_map(|lines| lines.join("\n") + "\n")
}

#[test]
fn configurations_say_what_sshd_reads_in_them() {
    let folder = std::env::temp_dir().join(format!("tidegate-sshd-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("d")).unwrap();
    if let Some(key) = oracle(&folder) {
        let defaults = asked(&folder.join("empty"), &key, "root").unwrap();
        let program = std::fs::read(SSHD).unwrap();
        let mut runner =
            TestRunner::new(Cases { cases: 300, failure_persistence: None, ..Cases::default() });
        let files = (lines(9), lines(4), lines(4), prop::bool::ANY);
        let result = runner.run(&files, |(main, one, two, is_root)| {
            compare(&program, &folder, &key, &defaults, [&main, &one, &two], is_root)
        });
        std::fs::remove_dir_all(&folder).unwrap();
        if let Err(error) = result {
            panic!("{error}");
        }
    } else {
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

fn compare(
    program: &[u8],
    folder: &Path,
    key: &Path,
    defaults: &[(String, String)],
    texts: [&str; 3],
    is_root: bool,
) -> Result<(), TestCaseError> {
    let mut system = Memory::new();
    let names = ["sshd_config", "d/2.conf", "d/1.conf"];
    for (name, text) in names.iter().zip(texts) {
        let path = folder.join(name);
        // A file that is included includes none here, or it would be itself.
        let text = match *name {
            "sshd_config" => text.replace("FOLDER", folder.to_str().unwrap()),
            _ => text.replace("Include", "#"),
        };
        std::fs::write(&path, &text).unwrap();
        system = system.with(path.to_str().unwrap(), text);
    }
    let file = folder.join("sshd_config");
    let path = file.to_str().unwrap().as_bytes();
    let ours = Config::read(&mut tree(vec![system]), path, &[]).unwrap().unwrap();
    let (user, group) = if is_root { ("root", "root") } else { ("nobody", "nogroup") };
    let groups = [group.as_bytes()];
    let who = Who { name: user.as_bytes(), groups: Some(&groups) };
    let theirs = asked(&file, key, user);
    // What this version has no word for in its own program.
    let is_known = |word: &[u8]| has(program, &[word, b"\0"].concat());
    let starts = ours.faults.is_empty()
        && ours.unsatisfied().is_none()
        && ours.doubts.iter().all(|(.., doubt)| is_known(doubt.word()));
    prop_assert_eq!(theirs.is_some(), starts, "{:?} {:?}", ours.faults, ours.doubts);
    let Some(theirs) = theirs else { return Ok(()) };
    let all = |pairs: &[(String, String)], keyword: &str| -> Vec<String> {
        pairs.iter().filter(|(key, _)| key == keyword).map(|(_, value)| value.clone()).collect()
    };
    for keyword in LISTS.into_iter().chain(SINGLE).filter(|keyword| !ours.depends(keyword, who)) {
        let is_list = LISTS.contains(&keyword);
        let word = |word: &Vec<u8>| String::from_utf8(word.clone()).unwrap();
        let mut found: Vec<String> = match is_list {
            true => {
                ours.all(keyword, who).iter().flat_map(|it| it.words.iter().map(word)).collect()
            }
            false => ours
                .first(keyword, who)
                .iter()
                .map(|it| it.words.iter().map(word).collect::<Vec<_>>().join(" "))
                .collect(),
        };
        if found.is_empty() {
            found = all(defaults, keyword);
        }
        for value in &mut found {
            if keyword.ends_with("authentication")
                || keyword.starts_with("permit")
                || keyword == "usepam"
            {
                *value =
                    value.to_ascii_lowercase().replace("prohibit-password", "without-password");
            }
        }
        prop_assert_eq!(found, all(&theirs, keyword), "{}", keyword);
    }
    Ok(())
}
