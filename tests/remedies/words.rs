//! What takes judgement is said in words.

/// Findings whose remedy has no command.
pub(crate) const JUDGED: &[&str] = &[
    "gzip-header-invalid",
    "gzip-truncated",
    "gzip-damaged",
    "gzip-crc-mismatch",
    "gzip-size-mismatch",
    "bzip2-truncated",
    "bzip2-damaged",
    "xz-truncated",
    "xz-damaged",
    "xz-window-too-large",
    "xz-unsupported",
    "zstd-truncated",
    "zstd-damaged",
    "zstd-unsupported",
    "tar-truncated",
    "tar-damaged",
    "tar-unsupported",
    "tar-no-image",
    "tar-several-images",
    "compression-lrzip",
    "compression-other",
    "archive-zip-at-end",
    "archive-rar",
    "archive-cpio",
    "archive-ar",
    "archive-rpm",
    "archive-cab",
    "archive-xar",
    "archive-wim",
    "archive-other",
    "digest-mismatch",
    "image-digest-mismatch",
    "file-too-large",
    "url-not-https",
    "url-credentials",
    "url-query",
    "url-no-file-name",
    "url-private-host",
    "url-head-refused",
    "url-head-differs",
    "url-login-page",
    "url-no-length",
    "url-content-encoding",
    "url-redirected",
    "url-unpinned",
    "disk-empty",
    "disk-tiny",
    "image-truncated",
    "image-offset-impossible",
    "structure-not-examined",
    "structure-unexaminable",
    "disk-not-examined",
    "format-polyglot",
    "iso-hybrid",
    "iso-shell",
    "vpc-header-invalid",
    "vpc-table-invalid",
    "qcow1-header-invalid",
    "qcow1-table-invalid",
    "format-luks",
    "format-dmg",
    "format-iso9660",
    "format-cowd",
    "format-sesparse",
    "format-ewf",
    "format-bochs",
    "format-cloop",
    "format-other",
    "content-elf",
    "content-html",
    "content-git-lfs-pointer",
    "content-pointer",
    "content-empty",
    "content-unknown",
    "raw-no-partition-table",
    "qcow2-version-unsupported",
    "qcow2-header-invalid",
    "qcow2-backing-name-without-offset",
    "qcow2-cluster-size-invalid",
    "qcow2-encrypted",
    "qcow2-l1-table-invalid",
    "qcow2-refcount-table-invalid",
    "qcow2-snapshot-table-invalid",
    "qcow2-corrupt",
    "qcow2-feature-unknown",
    "qcow2-compression-type-invalid",
    "qcow2-extension-invalid",
    "qcow2-table-entry-invalid",
    "qcow2-cluster-damaged",
    "qcow2-refcount-too-low",
    "qcow2-clusters-overlap",
    "qcow2-bitmaps-invalid",
    "vhdx-no-valid-header",
    "vhdx-headers-conflict",
    "vhdx-version-unsupported",
    "vhdx-log-dirty",
    "vhdx-log-invalid",
    "vhdx-first-region-table-damaged",
    "vhdx-no-region-table",
    "vhdx-region-invalid",
    "vhdx-region-unknown",
    "vhdx-metadata-invalid",
    "vhdx-metadata-unknown",
    "vhdx-metadata-missing",
    "vhdx-parent",
    "vhdx-block-size-invalid",
    "vhdx-sector-size",
    "vhdx-size-invalid",
    "vhdx-bat-invalid",
    "vhdx-bat-entry-invalid",
    "vhdx-blocks-overlap",
    "vhdx-blocks-unmapped",
    "vdi-version-unsupported",
    "vdi-header-invalid",
    "vdi-type-unsupported",
    "vdi-parent",
    "vdi-sector-size-invalid",
    "vdi-block-size",
    "vdi-block-size-invalid",
    "vdi-block-map-invalid",
    "vdi-block-count-mismatch",
    "vdi-block-map-entry-invalid",
    "vdi-blocks-overlap",
    "vmdk-version-unsupported",
    "vmdk-newlines-broken",
    "vmdk-unclean",
    "vmdk-capacity-zero",
    "vmdk-header-invalid",
    "vmdk-descriptor-misplaced",
    "vmdk-descriptor-invalid",
    "vmdk-descriptor-mismatch",
    "vmdk-create-type",
    "vmdk-create-type-mismatch",
    "vmdk-extents-invalid",
    "vmdk-encrypted",
    "vmdk-grain-size-invalid",
    "vmdk-grain-table-invalid",
    "vmdk-compression-invalid",
    "vmdk-footer-invalid",
    "vmdk-footer-mismatch",
    "vmdk-table-entry-invalid",
    "vmdk-grain-damaged",
    "vmdk-grains-overlap",
    "vmdk-table-copies-differ",
    "vmdk-markers-mismatch",
    "vmdk-cid-invalid",
    "vmdk-extent-line-invalid",
    "vmdk-size-rounded",
    "disk-no-partition-table",
    "disk-member-signature",
    "disk-file-system",
    "disk-file-system-left-over",
    "partition-table-empty",
    "mbr-invalid",
    "mbr-partition-past-end",
    "mbr-partitions-overlap",
    "mbr-extended-invalid",
    "mbr-entry-ambiguous",
    "mbr-partition-over-table",
    "mbr-active-twice",
    "mbr-extended-ambiguous",
    "mbr-extended-unusual",
    "mbr-in-volume",
    "mbr-partition-divided",
    "partition-table-second",
    "partitions-too-many",
    "gpt-missing",
    "gpt-damaged",
    "gpt-sector-size",
    "gpt-entry-invalid",
    "gpt-partitions-overlap",
    "gpt-duplicate-guid",
    "gpt-copies-differ",
    "gpt-entry-size",
    "gpt-revision",
    "gpt-over-itself",
];

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

    use crate::common::{Scratch, disk, images, stdout, tidegate};
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
            assert_eq!(command.matches("all images/a").count(), 4, "{command}");
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
