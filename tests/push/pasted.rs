//! Commands that are printed are pasted, as they are, from another folder.

use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use crate::common::*;
use crate::disks::big;
use crate::rig::*;

/// The environment of a simulator without some of its variables, in a folder of its own.
fn elsewhere(rig: &Rig, folder: &Scratch, without: &[&str]) -> Command {
    let mut command = bare(folder);
    let env = rig.env.iter().filter(|(name, _)| !without.contains(&name.as_str()));
    command.envs(env.map(|(name, value)| (name, value)));
    command
}

/// The one command in what was said that sweeps.
fn sweep_in(said: &str) -> String {
    let mut told = commands(said);
    told.retain(|command| command.starts_with("tidegate sweep"));
    assert_eq!(told.len(), 1, "{said}");
    told.remove(0)
}

/// A push that is ended before it cleaned up. What says `without` is missing in its environment.
fn ended(rig: &Rig, arguments: &[&std::ffi::OsStr], without: &[&str]) -> Output {
    let mut push = elsewhere(rig, &rig.scratch, without);
    push.args(["push", "disk.raw.gz", "--region", "nyc3", "-q", "--uploads", "1"]);
    let mut push = Running::start(push.args(["--part-size", "5MiB"]).args(arguments));
    wait_until("a part has arrived", || !rig.asked("upload-part").is_empty());
    signal(push.child(), "INT");
    wait_until("it cleans up", || rig.asked("abort-multipart-upload").len() > 1);
    // What comes at once with the first one is no second wish.
    std::thread::sleep(std::time::Duration::from_millis(600));
    signal(push.child(), "INT");
    let output = push.output();
    assert_eq!(exit_code(&output), 130, "{output:?}");
    output
}

#[test]
fn a_sweep_is_given_what_the_push_was_given() {
    let plan = format!(
        "{PACED}[[bucket]]\nkind = \"503\"\noperation = \"abort-multipart-upload\"\ntimes = 5\n"
    );
    let token = ["--token-file", "my $(touch TOKEN)"].map(std::ffi::OsStr::new);
    let minted = ["--mint-key", "--bucket", "simulated"].map(std::ffi::OsStr::new);
    let keys = ["SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY", "SPACES_BUCKET"];
    for (state, mint) in [
        (&b"--state=-st"[..], false),
        (b"--state=n\nl `touch TICK` it's", true),
        (b"--state=\xff\\n", false),
    ] {
        let rig = Rig::with_plan(&plan);
        rig.scratch.write("disk.raw.gz", big());
        rig.scratch.write("my $(touch TOKEN)", rig.value("DIGITALOCEAN_TOKEN").as_bytes());
        let state = std::ffi::OsStr::from_bytes(state);
        let mut arguments = [&[state][..], &token].concat();
        let mut without = vec!["DIGITALOCEAN_TOKEN"];
        if mint {
            arguments.extend(minted);
            without.extend(keys);
        }
        let sweep = sweep_in(stderr(&ended(&rig, &arguments, &without)));
        assert_eq!(sweep.ends_with(" --mint-key --yes"), mint, "{sweep}");
        let folder = Scratch::new();
        let output = pasted(&mut elsewhere(&rig, &folder, &without), &format!("{sweep} --yes"));
        assert_eq!(exit_code(&output), 0, "{sweep}: {output:?}");
        assert!(!stdout(&output).contains("nothing to sweep"), "{sweep}: {output:?}");
        rig.assert_clean(0..=0, &sweep);
        for name in ["TOKEN", "TICK"] {
            assert!(!folder.path(name).exists() && !rig.scratch.path(name).exists(), "{sweep}");
        }
    }
}

#[test]
fn an_image_without_a_tag_is_seen_by_its_description() {
    let plan = "[[fault]]\nkind = \"cut-after\"\nmethod = \"POST\"\npath = \"/v2/images\"\n\
                [[fault]]\nkind = \"list-lags\"\nlag = 3\nforever = true\n";
    let rig = Rig::with_plan(plan);
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    rig.scratch.write("-token", rig.value("DIGITALOCEAN_TOKEN").as_bytes());
    let without = ["DIGITALOCEAN_TOKEN"];
    let mut push = elsewhere(&rig, &rig.scratch, &without);
    push.args(["push", "disk.raw.gz", "--region", "nyc3", "--settle", "500ms", "--no-mark-tag"]);
    let output = push.arg("--token-file=-token").output().unwrap();
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let said = stderr(&output);
    let list = commands(said).into_iter().find(|told| told.starts_with("tidegate image")).unwrap();
    let note = said.split("described as ").nth(1).unwrap().split(']').next().unwrap();
    let folder = Scratch::new();
    wait_until("the image is listed", || {
        let shown = pasted(&mut elsewhere(&rig, &folder, &without), &list);
        assert_eq!(exit_code(&shown), 0, "{list}: {shown:?}");
        stdout(&shown).contains(note)
    });
}

#[test]
fn what_a_doctor_leaves_is_looked_for_where_it_was_put() {
    let rig =
        Rig::with_plan("[[bucket]]\nkind = \"503\"\noperation = \"delete-object\"\ntimes = 8\n");
    let without = ["SPACES_BUCKET"];
    let mut doctor = elsewhere(&rig, &rig.scratch, &without);
    doctor.args(["doctor", "--probe", "--retries", "0", "--bucket", rig.value("SPACES_BUCKET")]);
    doctor.args(["--state", "state"]);
    let output = doctor.output().unwrap();
    let said = stdout(&output);
    assert_eq!(exit_code(&output), 4, "{said}");
    assert!(
        said.contains("Wait: Spaces has troubles") && !said.contains("Look at the bucket"),
        "{said}"
    );
    let told = commands(said);
    let again = told.iter().find(|told| told.starts_with("tidegate doctor")).unwrap();
    let sweep = sweep_in(said);
    let folder = Scratch::new();
    let output = pasted(&mut elsewhere(&rig, &folder, &without), &format!("{sweep} --yes"));
    assert_eq!(exit_code(&output), 0, "{sweep}: {output:?}");
    rig.assert_nothing_staged(&format!("{sweep}: {output:?}"));
    let output = pasted(&mut elsewhere(&rig, &folder, &without), again);
    assert_eq!(exit_code(&output), 0, "{again}: {output:?}");
    assert!(stdout(&output).contains("put, made public, seen and deleted"), "{again}: {output:?}");
}

#[test]
fn the_bucket_is_no_part_of_the_servers_url() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let right = rig.value("SPACES_ENDPOINT_URL").trim_end_matches('/').to_owned();
    let wrong = format!("{right}/{}", rig.value("SPACES_BUCKET"));
    let run = |arguments: &[&str], variable: bool| {
        let mut command = elsewhere(&rig, &rig.scratch, &[]);
        command.args(arguments);
        if variable {
            command.env("SPACES_ENDPOINT_URL", &wrong);
        }
        command.output().unwrap()
    };
    let push = ["push", "disk.raw.gz", "--region", "nyc3", "-q"];
    let option = ["--spaces-endpoint", wrong.as_str()];
    for (output, what) in [
        (run(&push, true), "the variable"),
        (run(&[&push[..], &["--mint-key"]].concat(), true), "a minted key"),
        (run(&[&push[..], &option].concat(), false), "the option"),
        (run(&[&["sweep", "--remote", "--yes"][..], &option].concat(), false), "a sweep"),
    ] {
        assert_eq!(exit_code(&output), 2, "{what}: {output:?}");
        let said = stderr(&output);
        assert!(said.contains(&format!("the URL without it is {right}")), "{what}: {said}");
    }
    let output = run(&["doctor"], true);
    let said = stdout(&output);
    assert!(exit_code(&output) == 4 && said.contains("the URL without it is"), "{said}");
    rig.assert_nothing_staged("refused");
    assert!(rig.images().is_empty());
}

#[test]
fn a_plan_says_what_cannot_be_written() {
    let rig = Rig::new();
    let image = rig.scratch.write("disk.raw", &disk());
    let plan = |arguments: &[&str]| {
        let mut command = elsewhere(&rig, &rig.scratch, &[]);
        command.args(["push", "disk.raw", "--region", "nyc3", "--dry-run"]).args(arguments);
        command.output().unwrap()
    };
    for (arguments, why) in [
        (&["--output-image-id", "disk.raw"][..], "is the image, which it would replace"),
        (&["--output-image-id", "none/id"], "there is no such folder"),
        (&["--state", "/proc"], "the journal /proc/pushes"),
        (&["--state", "disk.raw"], "disk.raw/pushes: Not a directory"),
    ] {
        let output = plan(arguments);
        assert_eq!((exit_code(&output), stdout(&output)), (2, ""), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(why), "{arguments:?}: {output:?}");
    }
    let output = plan(&["--output-image-id", "id", "--state", "a/new/one"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert_eq!(std::fs::read(image).unwrap(), disk());
    assert!(!rig.scratch.path("id").exists() && !rig.scratch.path("a").exists());
}

#[test]
fn a_value_that_is_refused_is_shown_with_the_reason() {
    let rig = Rig::new();
    let push = |value: &[u8]| {
        let mut command = elsewhere(&rig, &rig.scratch, &[]);
        command.args(["push", "disk.raw", "--region", "nyc3", "--name"]);
        let output = command.arg(std::ffi::OsStr::from_bytes(value)).output().unwrap();
        assert_eq!(exit_code(&output), 2, "{output:?}");
        stderr(&output).to_owned()
    };
    let said = push(b"a\nb\x1b[31m");
    assert!(said.contains("--name") && said.contains("it has a line break"), "{said}");
    assert!(said.contains("a\\u{a}b\\u{1b}[31m") && !said.contains('\x1b'), "{said}");
    let said = push(b"a\xffb");
    assert!(said.contains("is no UTF-8: a\\xffb"), "{said}");
}
