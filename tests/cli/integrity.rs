//! Digests, lists of check sums, and what may follow packed data.

use std::ffi::OsStr;
use std::path::Path;

use crate::common::*;

/// Checks `path` with options: exit code and report.
fn checked(path: &Path, options: &[&str]) -> (i32, serde_json::Value) {
    let options = options.iter().map(OsStr::new);
    let arguments: Vec<&OsStr> = options.chain([path.as_os_str()]).collect();
    report(&arguments)
}

#[test]
fn digests_are_those_of_the_bytes() {
    let scratch = Scratch::new();
    let disk = disk();
    for (name, bytes) in
        [("disk.raw", disk.clone()), ("disk.raw.gz", gzip(&disk)), ("disk.raw.bz2", bzip2(&disk))]
    {
        let path = scratch.write(name, &bytes);
        let (code, report) = checked(&path, &["--digest", "image"]);
        assert_eq!(code, 0);
        let digests = &report["digests"];
        assert_eq!(digests["sha256"], sha256(&bytes), "{name}");
        assert_eq!(digests["image_sha256"], sha256(&disk), "{name}");
        let (_, report) = checked(&path, &[]);
        assert!(report["digests"].get("image_sha256").is_none(), "nobody asked for it");
    }
}

#[test]
fn an_expected_digest_has_to_come_out() {
    let scratch = Scratch::new();
    let bytes = gzip(&disk());
    let path = scratch.write("disk.raw.gz", &bytes);
    let right = sha256(&bytes);
    assert_eq!(checked(&path, &["--sha256", &right]).0, 0);
    assert_eq!(checked(&path, &["--sha256", &right.to_uppercase()]).0, 0);
    let (code, report) = checked(&path, &["--sha256", &sha256(b"else")]);
    assert_eq!((code, codes(&report)), (1, vec!["digest-mismatch"]));
    for malformed in ["", "abc", &right[1..], &format!("{right}0"), &right.replace('a', "g")] {
        let output = check(&["--sha256".as_ref(), malformed.as_ref(), path.as_os_str()]);
        assert_eq!(exit_code(&output), 2, "{malformed}");
    }
    // One digest cannot be that of two images.
    let output = check(&["--sha256".as_ref(), right.as_ref(), path.as_os_str(), path.as_os_str()]);
    assert_eq!(exit_code(&output), 2);
}

#[test]
fn a_digest_that_was_not_made_is_not_passed_over() {
    // Longer than any pipe is read with this limit, so that its digest cannot be made.
    let output =
        piped(&["--format", "json", "--max-size", "1MB", "--sha256", &sha256(b""), "-"], &disk());
    assert_eq!(exit_code(&output), 1);
    let report = &images(&output)[0];
    assert!(report["digests"].get("sha256").is_none(), "{report}");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().any(|c| c["id"] == "expected-digest" && c["state"] == "skipped"));
}

#[test]
fn lists_of_check_sums_name_the_file_or_what_is_in_it() {
    let scratch = Scratch::new();
    let bytes = gzip(&disk());
    let path = scratch.write("disk.raw.gz", &bytes);
    let (file, image, other) = (sha256(&bytes), sha256(&disk()), sha256(b"else"));
    let sums = |text: String| {
        let list = scratch.write("SHA256SUMS", text.as_bytes());
        let list = list.to_str().unwrap().to_owned();
        let (code, report) = checked(&path, &["--checksums", &list]);
        let found = codes(&report).into_iter().map(str::to_owned).collect::<Vec<_>>();
        (code, found)
    };
    for good in [
        format!("{file}  disk.raw.gz\n"),
        format!("# made by hand\n{other}  other.raw.gz\n{file} *out/disk.raw.gz\r\n"),
        format!("SHA256 (disk.raw.gz) = {file}\n"),
        format!("{image}  disk.raw\n"),
        format!("SHA256 (disk.raw) = {image}\n{file}  disk.raw.gz"),
    ] {
        assert_eq!(sums(good.clone()), (0, vec![]), "{good}");
    }
    assert_eq!(sums(format!("{other}  disk.raw.gz\n")), (1, vec!["digest-mismatch".into()]));
    assert_eq!(sums(format!("{other}  disk.raw\n")), (1, vec!["image-digest-mismatch".into()]));
    assert_eq!(
        sums(format!("{file}  disk.raw.gz\n{other}  disk.raw\n")),
        (1, vec!["image-digest-mismatch".into()])
    );
}

/// `sha256sum` escapes backslashes and newlines of names, and says so at the beginning of the line.
#[test]
fn escaped_names_in_lists_are_understood() {
    let scratch = Scratch::new();
    let sum = sha256(&disk());
    for (name, listed) in [
        ("new\nline.raw", r"new\nline.raw"),
        (r"back\slash.raw", r"back\\slash.raw"),
        (r"back\nslash.raw", r"back\\nslash.raw"),
    ] {
        let path = scratch.write(name, &disk());
        let list = scratch.write("SHA256SUMS", format!("\\{sum}  {listed}\n").as_bytes());
        let output = check(&["--checksums".as_ref(), list.as_os_str(), path.as_os_str()]);
        assert_eq!(exit_code(&output), 0, "{listed}: {output:?}");
    }
}

#[test]
fn a_list_of_check_sums_that_is_no_help_is_wrong_usage() {
    let scratch = Scratch::new();
    let path = scratch.write("disk.raw.gz", &gzip(&disk()));
    let sum = sha256(b"x");
    for text in [
        String::new(),
        "no sums at all\n".into(),
        format!("{sum}  other.raw\n"),
        format!("{sum}  disk.raw.gz\n{}  disk.raw.gz\n", sha256(b"y")),
    ] {
        let list = scratch.write("SHA256SUMS", text.as_bytes());
        let output = check(&["--checksums".as_ref(), list.as_os_str(), path.as_os_str()]);
        assert_eq!(exit_code(&output), 2, "{text}");
        assert!(output.stdout.is_empty());
    }
    for list in [scratch.path("missing"), scratch.path("")] {
        let output = check(&["--checksums".as_ref(), list.as_os_str(), path.as_os_str()]);
        assert_eq!(exit_code(&output), 2, "{list:?}");
    }
}

#[test]
fn what_follows_packed_data_is_told_apart() {
    let scratch = Scratch::new();
    for (codec, good) in [("gzip", gzip(&disk())), ("bzip2", bzip2(&disk()))] {
        let path = |tail: &[u8]| {
            let end = if codec == "gzip" { "gz" } else { "bz2" };
            scratch.write(format!("disk.raw.{end}"), &[&good[..], tail].concat())
        };
        let (code, report) = checked(&path(&[0; 512]), &[]);
        assert_eq!(codes(&report), [format!("{codec}-trailing-zeros")]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["findings"][0]["offset"], good.len());
        let (_, report) = checked(&path(b"<html>"), &[]);
        assert_eq!(codes(&report), [format!("{codec}-trailing-garbage")]);
        assert_eq!(report["findings"][0]["offset"], good.len());
    }
}

#[test]
fn damage_is_the_images_fault() {
    let scratch = Scratch::new();
    let good = gzip(&disk());
    let mut crc = good.clone();
    let at = crc.len() - 8;
    crc[at] ^= 1;
    let mut size = good.clone();
    size[at + 4] ^= 1;
    let cut = good[..good.len() - 9].to_vec();
    let packed = bzip2(&disk());
    let cut_bzip2 = packed[..packed.len() - 1].to_vec();
    for (name, bytes, expected) in [
        ("a.raw.gz", crc, "gzip-crc-mismatch"),
        ("b.raw.gz", size, "gzip-size-mismatch"),
        ("c.raw.gz", cut, "gzip-truncated"),
        ("d.raw.bz2", cut_bzip2, "bzip2-truncated"),
    ] {
        let (code, report) = checked(&scratch.write(name, &bytes), &[]);
        assert_eq!(code, 1, "{name}");
        assert!(codes(&report).contains(&expected), "{name}: {report}");
        assert_eq!(report["verdict"], "reject");
        // The file was read in full, whatever is wrong with it.
        assert_eq!(report["digests"]["sha256"], sha256(&bytes));
    }
}
