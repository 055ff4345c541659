//! `tidegate image` against the simulator: whatever happens to a create call, there are never two images,
//! and nobody sees the token.

use std::process::Output;

use crate::common::*;
use crate::rig::{Files, Rig};

/// `tidegate image …` with the simulator's address and token. The token must be in no output.
fn image(rig: &Rig, arguments: &[&str]) -> Output {
    let output = tidegate()
        .arg("image")
        .args(arguments)
        .env("DIGITALOCEAN_API_URL", rig.url(""))
        .env("DIGITALOCEAN_TOKEN", &rig.token)
        .output()
        .unwrap();
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(&rig.token), "{text}");
    }
    output
}

/// The images that were ever made.
fn images_of(rig: &Rig) -> Vec<serde_json::Value> {
    rig.state()["images"].as_array().unwrap().clone()
}

const CREATE: &str = "method = \"POST\"\npath = \"/v2/images\"\n";

#[test]
fn an_ambiguous_create_never_leaves_two_images() {
    let web = Files::serve(vec![("/disk.img", 200, disk())]);
    let url = web.url("/disk.img");
    let plain = |kind: &str, more: &str| format!("[[fault]]\nkind = \"{kind}\"\n{CREATE}{more}");
    let mut plans: Vec<(String, bool)> = vec![
        // Nothing was made, and the client may know it or not.
        (plain("cut-before", ""), false),
        (plain("500", ""), false),
        (plain("502", ""), false),
        (plain("504", ""), false),
        (plain("422", ""), false),
        (plain("401", ""), false),
        // Nothing was made, so that another create is sent when the time has come.
        (plain("429", "retry-after = 1\n"), true),
        // The image was made, and nobody was told so.
        (plain("cut-after", ""), true),
        (plain("500", "effect = true\n"), true),
        (plain("502", "effect = true\n"), true),
        (plain("504", "effect = true\n"), true),
        ("[[fault]]\nkind = \"two-documents\"\n".into(), true),
        ("[[fault]]\nkind = \"create-without-id\"\n".into(), true),
    ];
    // Lists that lag on top of each.
    let lagging: Vec<_> = plans
        .iter()
        .map(|(plan, made)| {
            (format!("{plan}\n[[fault]]\nkind = \"list-lags\"\nlag = 600\nforever = true\n"), *made)
        })
        .collect();
    plans.extend(lagging);
    for (plan, made) in plans {
        let rig = Rig::with_plan(&plan, &[]);
        let arguments = [
            "create",
            &url,
            "--region",
            "nyc3",
            "--no-url-rules",
            "--settle",
            "2s",
            "--interval",
            "100ms",
            "--wait",
            "--wait-timeout",
            "20s",
            "--retries",
            "1",
        ];
        let output = image(&rig, &arguments);
        let found = images_of(&rig);
        assert_eq!(found.len(), usize::from(made), "{plan}: {output:?} {found:?}");
        let seen = !plan.contains("list-lags") && !plan.contains("two-documents");
        let known = made && (seen || plan.contains("\"429\""));
        let expected = if known { 0 } else { 4 };
        assert_eq!(exit_code(&output), expected, "{plan}: {output:?}");
    }
}

#[test]
fn who_cannot_look_posts_nothing_again() {
    let web = Files::serve(vec![("/disk.img", 200, disk())]);
    let url = web.url("/disk.img");
    for blind in ["403", "cut-before"] {
        let plan = format!(
            "[[fault]]\nkind = \"cut-after\"\n{CREATE}\n[[fault]]\nkind = \"{blind}\"\nmethod = \"GET\"\npath = \"/v2/images\"\nforever = true\n"
        );
        let rig = Rig::with_plan(&plan, &[]);
        let arguments = [
            "create",
            &url,
            "--region",
            "nyc3",
            "--no-url-rules",
            "--settle",
            "1s",
            "--interval",
            "100ms",
            "--retry-create",
            "--retries",
            "1",
        ];
        let output = image(&rig, &arguments);
        assert_eq!((exit_code(&output), images_of(&rig).len()), (4, 1), "{output:?}");
        assert!(stderr(&output).contains("could not be looked for"), "{output:?}");
    }
}

#[test]
fn an_image_from_its_create_to_its_end() {
    let web =
        Files::serve(vec![("/disk.img", 200, disk()), ("/bad.img", 200, b"nothing".to_vec())]);
    let rig = Rig::new(&[]);
    let url = web.url("/disk.img");
    let output = image(
        &rig,
        &["create", &url, "--region", "nyc3", "--no-url-rules", "--wait", "--interval", "100ms"],
    );
    assert_eq!(exit_code(&output), 0, "{output:?}");
    let id = images_of(&rig)[0]["id"].to_string();
    for (arguments, says) in [
        (vec!["list", "--private"], id.as_str()),
        (vec!["get", &id], "available"),
        (vec!["update", &id, "--name", "renamed"], "renamed"),
        (vec!["transfer", &id, "--region", "ams3,nyc3", "--wait", "--interval", "100ms"], "ams3"),
        (vec!["actions", &id], "transfer"),
        (vec!["delete", &id, "--yes"], id.as_str()),
    ] {
        let output = image(&rig, &arguments);
        assert_eq!(exit_code(&output), 0, "{arguments:?}: {output:?}");
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    // A refused image is never posted.
    let before = images_of(&rig).len();
    let output =
        image(&rig, &["create", &web.url("/bad.img"), "--region", "nyc3", "--no-url-rules"]);
    assert_eq!(exit_code(&output), 1, "{output:?}");
    assert_eq!(images_of(&rig).len(), before);
    // Unchecked, DigitalOcean refuses it.
    let output = image(
        &rig,
        &[
            "create",
            &web.url("/bad.img"),
            "--region",
            "nyc3",
            "--unchecked",
            "--wait",
            "--interval",
            "100ms",
        ],
    );
    assert_eq!(exit_code(&output), 5, "{output:?}");
}
