//! What takes judgement is said in words.

/// Words that stand for something in what was printed once.
const PLACEHOLDERS: [&str; 5] = ["FILE", "OFFSET", "IMAGE", "FORMAT", "50G"];

/// Holds what a report says against placeholders.
pub(crate) fn assert_plain(remedy: &str, what: &str) {
    for word in PLACEHOLDERS {
        assert!(
            !remedy.split(|c: char| !c.is_ascii_alphanumeric()).any(|it| it == word),
            "{what}: {remedy}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use serde_json::Value;

    use crate::common::{Scratch, disk, gzip, images, stdout, tidegate};
    use crate::words::assert_plain;
    use tidegate::facts::Code;

    /// Remedies of all findings of a report, none of which has a command.
    fn only_words(report: &Value, expected: &str) {
        let findings = report["findings"].as_array().unwrap();
        assert!(!findings.is_empty(), "{report}");
        for finding in findings {
            let remedy = finding["remedy"].as_str().unwrap();
            assert_plain(remedy, "words");
            assert!(finding.get("commands").is_none() && !remedy.contains('`'), "{finding}");
            assert!(remedy.contains(expected), "{remedy}");
        }
    }

    #[test]
    fn what_no_command_can_name_has_words() {
        let scratch = Scratch::new();
        let image = [disk(), vec![0; 100]].concat();
        let names: [&[u8]; 5] =
            [b"a`b.raw", b"a\nb.raw", b"a\x1b[1m.raw", b"a\xff.raw", b"a ::error::b.raw"];
        for name in names {
            let path = scratch.write(OsStr::from_bytes(name), &image);
            let output = tidegate().args(["check", "--format", "json"]).arg(path).output().unwrap();
            only_words(&images(&output)[0], "Give the file a plain name");
        }
        let output = crate::common::piped(&["--format", "json", "-"], &image);
        only_words(&images(&output)[0], "Save the image to a file");
    }

    #[test]
    fn an_image_that_takes_others_is_not_decompressed_away_from_them() {
        let scratch = Scratch::new();
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/backing.qcow2");
        let path = scratch.write("a.qcow2.gz", &gzip(&std::fs::read(testdata).unwrap()));
        let output = tidegate().args(["check", "--format", "json"]).arg(path).output().unwrap();
        let findings = images(&output)[0]["findings"].as_array().unwrap().clone();
        let found = findings.iter().find(|it| it["code"] == "qcow2-backing-file").unwrap();
        assert!(found.get("commands").is_none(), "{found}");
        assert!(
            found["remedy"].as_str().unwrap().contains("Decompress it in the folder"),
            "{found}"
        );
    }

    #[test]
    fn a_command_is_for_the_folder_of_the_check() {
        let scratch = Scratch::new();
        let (images_at, here) = (scratch.path("all images"), scratch.path("work"));
        std::fs::create_dir(&images_at).unwrap();
        std::fs::create_dir(&here).unwrap();
        std::fs::write(images_at.join("a.raw"), [disk(), vec![0; 100]].concat()).unwrap();
        for path in ["../all images/a.raw", images_at.join("a.raw").to_str().unwrap()] {
            let check = ["check", "--format", "json", path];
            let output = tidegate().args(check).current_dir(&here).output().unwrap();
            let report = &images(&output)[0];
            let command = report["findings"][0]["commands"][0].as_str().unwrap();
            assert_eq!(command.matches("all images/a").count(), 9, "{command}");
            if !crate::paste::installed("qemu-img") {
                crate::folder::skipped("qemu-img");
                return;
            }
            let done = std::process::Command::new("bash")
                .args(["-c", command])
                .env("PATH", crate::folder::programs())
                .current_dir(&here)
                .output()
                .unwrap();
            assert!(done.status.success(), "{command}: {done:?}");
        }
        let made = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        assert_eq!((made(&here), made(&images_at)), (0, 3));
    }

    #[test]
    fn where_all_names_are_taken_it_is_said() {
        let scratch = Scratch::new();
        scratch.write("a.raw", &[disk(), vec![0; 100]].concat());
        for n in 2..100 {
            // A link that leads nowhere is in the way as well.
            std::os::unix::fs::symlink("/nowhere", scratch.path(format!("a-{n}.raw"))).unwrap();
        }
        let output = tidegate()
            .args(["check", "--format", "json", "a.raw"])
            .current_dir(scratch.path(""))
            .output()
            .unwrap();
        only_words(&images(&output)[0], "All names for the new file are taken");
    }

    #[test]
    fn no_report_on_any_image_has_a_placeholder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            for format in ["text", "json", "junit", "sarif", "github", "html"] {
                let output =
                    tidegate().args(["check", "--format", format]).arg(&path).output().unwrap();
                let text = stdout(&output).replace("--format", "");
                for line in text.lines().filter(|line| !line.contains("<style>")) {
                    assert_plain(line, &format!("{} as {format}", path.display()));
                }
            }
        }
    }

    #[test]
    fn what_is_explained_stands_for_no_file_that_there_may_be() {
        for code in Code::ALL {
            let output = tidegate().args(["explain", code.as_str()]).output().unwrap();
            let text = stdout(&output);
            for word in ["FILE", "OFFSET", "50G", "disk.raw", "new.gz", "disk.img.gz"] {
                assert!(!text.contains(word), "{text}");
            }
            assert!(!text.contains("sgdisk -e ") || text.contains("raw IMAGE"), "{text}");
        }
    }
}
