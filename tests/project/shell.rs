//! Completions, manual pages and help.

use std::process::{Command, Stdio};

use super::at;
use crate::common::*;

#[allow(clippy::print_stderr)] // whoever looks at the log has to see what was not proven
fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    let found = found.status.success();
    if !found {
        eprintln!("SKIPPED: there is no {program}");
    }
    found
}

#[test]
fn shells_take_their_completions() {
    let scratch = Scratch::new();
    for (shell, proof) in [
        ("bash", "_tidegate()"),
        ("zsh", "#compdef tidegate"),
        ("fish", "complete -c tidegate"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let output = at(scratch.path("")).args(["completions", shell]).output().unwrap();
        assert_eq!(exit_code(&output), 0);
        let script = stdout(&output);
        assert!(script.contains(proof) && script.contains("verify-receipt"), "{shell}");
        if ["bash", "zsh", "fish"].contains(&shell) && has(shell) {
            let path = scratch.write(shell, script.as_bytes());
            let parsed = Command::new(shell).arg("-n").arg(path).output().unwrap();
            assert!(parsed.status.success(), "{parsed:?}");
        }
    }
    let output = at(scratch.path("")).args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("possible values"), "{}", stderr(&output));
}

/// What a shell offers after `tidegate` and these words, of which the last one is to be completed; `None` if it is missing.
fn offered(shell: &str, words: &[&str]) -> Option<Vec<String>> {
    if !has(shell) {
        return None;
    }
    let scratch = Scratch::new();
    let output = at(scratch.path("")).args(["completions", shell]).output().unwrap();
    scratch.write("c", &output.stdout);
    let (line, count) = (words.join(" "), words.len());
    let last = words.last().unwrap();
    let script = match shell {
        "bash" => format!(
            "source ./c; COMP_WORDS=(tidegate {line}); COMP_CWORD={count}; \
             _tidegate tidegate '{last}' \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        ),
        _ => format!("source ./c; complete -C 'tidegate {line}'"),
    };
    let output =
        Command::new(shell).args(["-c", &script]).current_dir(scratch.path("")).output().unwrap();
    // fish says after a tabulator what it is.
    let names = stdout(&output).lines().map(|line| line.split('\t').next().unwrap_or_default());
    Some(names.map(str::to_owned).collect())
}

#[test]
fn shells_complete_commands_options_and_values() {
    for shell in ["bash", "fish"] {
        for (words, expected) in [
            (&["verify"][..], &["verify-receipt"][..]),
            (&["check", "--checks"], &["--checksums"]),
            (&["report", "merge", "--format", "ju"], &["junit"]),
            (
                &["check", "--allow", "qcow2-ba"],
                &["qcow2-backing-file", "qcow2-backing-name-without-offset"],
            ),
        ] {
            let Some(mut offered) = offered(shell, words) else { continue };
            offered.sort();
            assert_eq!(offered, expected, "{shell}: {words:?}");
        }
    }
}

#[test]
fn every_command_has_a_page() {
    let scratch = Scratch::new();
    let output = at(scratch.path("")).args(["man", "--dir", "man1"]).output().unwrap();
    assert_eq!(exit_code(&output), 0);
    let mut pages = 0;
    for entry in std::fs::read_dir(scratch.path("man1")).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(page.contains(".SH EXAMPLES\n.nf\ntidegate "), "{name}");
        // The commands of `image` have theirs.
        assert!(name == "tidegate-image" || page.contains("Exit code"), "{name}");
        if has("groff") {
            let shown =
                Command::new("groff").args(["-man", "-Tascii", "-ww"]).arg(&path).output().unwrap();
            assert!(
                shown.status.success() && shown.stderr.is_empty(),
                "{name}: {}",
                stderr(&shown)
            );
        }
        pages += 1;
    }
    assert!(pages >= 9, "only {pages} pages");
    let output = at(scratch.path("")).args(["man", "check"]).output().unwrap();
    assert!(stdout(&output).contains("tidegate\\-check") && stdout(&output).contains("checksums"));
    let page = stdout(&output);
    let synopsis = page.lines().find(|line| line.starts_with("\\fBtidegate check")).unwrap();
    for part in [
        " [\\fB\\-\\-images\\-from\\fR \\fIFILE\\fR] ",
        " [\\fB\\-q\\fR|\\fB\\-\\-quiet\\fR] ",
        " [\\fIIMAGE\\fR]...",
    ] {
        assert!(synopsis.contains(part), "{synopsis}");
    }
    // A page is found by the name that it has, too.
    let man = |words: &[&str]| at(scratch.path("")).arg("man").args(words).output().unwrap();
    let output = man(&["report", "merge"]);
    let page = stdout(&output);
    assert!(page.contains("tidegate\\-report\\-merge"), "{page}");
    for words in [&["report-merge"][..], &["tidegate-report-merge"]] {
        assert_eq!(stdout(&man(words)), page);
    }
    assert_eq!(stdout(&man(&["tidegate"])), stdout(&man(&[])));
    for nothing in
        [&["nothing"][..], &["report-"], &["repor"], &["report", "nothing"], &["report-mergers"]]
    {
        let output = man(nothing);
        assert_eq!(exit_code(&output), 2, "{nothing:?}");
        assert!(stderr(&output).contains("there is no command"), "{}", stderr(&output));
    }
    scratch.write("file", b"");
    let output = at(scratch.path("")).args(["man", "--dir", "file"]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
}

#[test]
fn help_teaches_and_errors_say_what_is_next() {
    let scratch = Scratch::new();
    let output = at(scratch.path("")).arg("--help").output().unwrap();
    let help = stdout(&output);
    for part in ["The gate:", "Projects:", "Exit codes: 0 ", "Examples:\n  tidegate check"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let output = at(scratch.path("")).args(["check", "--help"]).output().unwrap();
    let help = stdout(&output);
    let place = |part: &str| help.find(part).unwrap_or_else(|| panic!("{part}: {help}"));
    assert!(help.starts_with("Check images"));
    assert!(place("What is read:") < place("URLs:") && place("URLs:") < place("Examples:"));
    assert!(help.trim_end().ends_with("tidegate check"));
    let output = at(scratch.path("")).arg("chekc").stdin(Stdio::null()).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("'check'"), "{}", stderr(&output));
    let output = at(scratch.path("")).arg("check").output().unwrap();
    assert!(stderr(&output).contains("tidegate init"), "{}", stderr(&output));
    #[cfg(feature = "net")]
    {
        let output = at(scratch.path("")).args(["image", "list"]).output().unwrap();
        assert!(stderr(&output).contains("`tidegate doctor`"), "{}", stderr(&output));
    }
}

/// The pages of the manual are written over nothing but such pages, and all of them or none.
#[test]
fn pages_are_written_over_pages_alone() {
    use std::fs;
    let scratch = Scratch::new();
    let man = |dir: &str| at(scratch.path("")).args(["man", "--dir", dir]).output().unwrap();
    fs::create_dir(scratch.path("m")).unwrap();
    let notes = scratch.write("notes", b"mine\n");
    let page = scratch.path("m/tidegate-check.1");
    for how in ["file", "link", "hard link", "folder", "dangling"] {
        let made = match how {
            "file" => fs::copy(&notes, &page).map(drop),
            "link" => std::os::unix::fs::symlink("../notes", &page),
            "hard link" => fs::hard_link(&notes, &page),
            "folder" => fs::create_dir(&page),
            _ => std::os::unix::fs::symlink("../nowhere", &page),
        };
        made.unwrap();
        let output = man("m");
        assert_eq!(exit_code(&output), 2, "{how}: {output:?}");
        assert!(stderr(&output).contains("m/tidegate-check.1"), "{output:?}");
        assert_eq!(fs::read_to_string(&notes).unwrap(), "mine\n");
        assert_eq!(fs::read_dir(scratch.path("m")).unwrap().count(), 1, "{how}");
        match how {
            "folder" => fs::remove_dir(&page).unwrap(),
            _ => fs::remove_file(&page).unwrap(),
        }
    }
    assert!(!scratch.path("nowhere").exists());
    for _ in 0..2 {
        let output = man("m");
        assert_eq!(exit_code(&output), 0, "{output:?}");
    }
    let output = man("-");
    assert_eq!((exit_code(&output), scratch.path("-").exists()), (2, false), "{output:?}");
}
