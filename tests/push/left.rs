//! What is left is named, with a way out; and "nothing" is said with where it was looked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::*;
use crate::rig::*;

const HANGS: &str = "[[fault]]\nkind = \"import-hangs\"\nforever = true\n";

/// A fault of the images API that lasts.
fn fault(kind: &str, method: &str, path: &str) -> String {
    format!(
        "[[fault]]\nkind = \"{kind}\"\nmethod = \"{method}\"\npath = \"{path}\"\nforever = true\n"
    )
}

/// A push whose image is being imported.
fn importing(rig: &Rig, arguments: &[&str]) -> Running {
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let running = Running::start(&mut rig.push(&[&["disk.raw.gz"], arguments].concat()));
    wait_until("it is looked at", || {
        let is = |line: &Value| {
            line["method"] == "GET" && line["path"].as_str().unwrap().starts_with("/v2/images/2")
        };
        rig.log().iter().any(is)
    });
    running
}

/// A push that was killed in its import.
fn killed(rig: &Rig, arguments: &[&str]) {
    let mut push = importing(rig, arguments);
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
}

fn swept(rig: &Rig, arguments: &[&str]) -> Output {
    let mut sweep = rig.tidegate("sweep");
    sweep.args(["--yes", "--interval", "20ms"]).args(arguments);
    sweep.output().unwrap()
}

/// The program with the rig's environment, and no folder of journals.
fn plain(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = bare(&rig.scratch);
    command.envs(rig.env.iter().map(|(name, value)| (name, value)));
    command.args(arguments).output().unwrap()
}

/// Somebody else creates an image with this description; its number.
fn created(rig: &Rig, name: &str, description: &str) -> u64 {
    let api = rig.value("DIGITALOCEAN_API_URL").strip_prefix("http://").unwrap();
    let url = format!("http://{api}/x.gz");
    let image = json!({"name": name, "url": url, "region": "nyc3", "description": description});
    let (body, token) = (image.to_string(), rig.value("DIGITALOCEAN_TOKEN"));
    let mut stream = TcpStream::connect(api).unwrap();
    let request = format!(
        "POST /v2/images HTTP/1.1\r\nHost: {api}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let answer: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    answer["image"]["id"].as_u64().unwrap()
}

fn description(rig: &Rig) -> String {
    rig.images()[0]["description"].as_str().unwrap().to_owned()
}

fn objects(rig: &Rig) -> usize {
    rig.state()["objects"].as_array().unwrap().len()
}

#[test]
fn no_image_is_given_the_mark_of_another_push() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let hex = "0123456789abcdef0123456789abcdef";
    let note = format!("mine [tidegate push {hex}]");
    for (option, value) in [
        ("--description", note.as_str()),
        ("--tag", &format!("a,tidegate-{hex}")),
        ("--tag", &format!("TIDEGATE-{}", hex.to_uppercase())),
    ] {
        let push = rig.pushed(&["disk.raw.gz", option, value]);
        let create = ["image", "create", "https://example.com/x.gz", "--region", "nyc3", option];
        for output in [push, plain(&rig, &[&create[..], &[value]].concat())] {
            assert_eq!(exit_code(&output), 2, "{output:?}");
            assert!(stderr(&output).contains("the mark of another push"), "{output:?}");
        }
    }
    assert_eq!((rig.creates(), objects(&rig)), (0, 0));
}

#[test]
fn an_image_of_another_push_is_spared_whatever_marks_it_took_over() {
    let rig = Rig::with("[[fault]]\nkind = \"import-fails\"\n", &["--pace", "1"]);
    killed(&rig, &[]);
    let first = description(&rig);
    let first = first.trim();
    let second = rig.document(0, &["disk.raw.gz", "--name", "second"])["image"]["id"].to_string();
    let own = rig.images().last().unwrap()["description"].as_str().unwrap().to_owned();
    let both = format!("{first} {own}");
    let update = plain(&rig, &["image", "update", &second, "--description", &both]);
    assert_eq!(exit_code(&update), 0, "{update:?}");
    let said = swept(&rig, &[]);
    assert_eq!(exit_code(&said), 0, "{said:?}");
    assert!(stderr(&said).contains(&format!("image {second} of push ")), "{said:?}");
    let left: Vec<String> = rig.images().iter().map(|image| image["id"].to_string()).collect();
    assert_eq!((left, objects(&rig)), (vec![second], 0));
}

#[test]
fn an_available_image_with_the_mark_alone_is_named_and_stays() {
    let rig = Rig::with("[[fault]]\nkind = \"import-fails\"\n", &["--pace", "1"]);
    killed(&rig, &[]);
    let mark = description(&rig);
    let second = rig.document(0, &["disk.raw.gz", "--no-mark-tag"])["image"]["id"].to_string();
    let update = plain(&rig, &["image", "update", &second, "--description", &mark]);
    assert_eq!(exit_code(&update), 0, "{update:?}");
    let said = swept(&rig, &[]);
    assert_eq!(exit_code(&said), 4, "{said:?}");
    let text = stdout(&said);
    for part in [&format!("left: image {second} has the mark"), "delete the journal /"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(rig.images().len(), 1, "{said:?}");
}

#[test]
fn more_images_than_are_deleted_at_once_are_named() {
    let rig = Rig::with_plan(HANGS);
    let mut push = importing(&rig, &[]);
    let mark = description(&rig);
    for number in 1..=5 {
        created(&rig, &format!("t{number}"), &mark);
    }
    signal(push.child(), "INT");
    let output = push.output();
    let said = stderr(&output);
    assert_eq!((exit_code(&output), rig.journals().len()), (130, 1), "{output:?}");
    let left = rig.images();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(said.contains("2 more images have the mark of this push"), "{said}");
    assert!(left.iter().all(|image| said.contains(&image["id"].to_string())), "{said}");
    assert!(!said.contains("are removed"), "{said}");
    // A plan has their numbers, and so has what is done.
    let plan = plain(&rig, &["sweep", "--state", "state", "--dry-run"]);
    let done = swept(&rig, &[]);
    assert_eq!(exit_code(&done), 0, "{done:?}");
    for image in &left {
        let step = format!("delete image {}", image["id"]);
        assert!(
            stdout(&plan).contains(&step) && stdout(&done).contains(&step),
            "{plan:?} {done:?}"
        );
    }
    assert_eq!((rig.images().len(), rig.journals().len()), (0, 0));
}

#[test]
fn a_list_that_fails_is_no_list_without_images() {
    let rig = Rig::with_plan(&format!("{HANGS}{}", fault("403", "GET", "/v2/images")));
    let mut push = importing(&rig, &[]);
    signal(push.child(), "INT");
    let output = push.output();
    assert_eq!((exit_code(&output), rig.journals().len()), (130, 1), "{output:?}");
    assert!(stderr(&output).contains("may be left, as images cannot be listed"), "{output:?}");
}

#[test]
fn what_is_too_young_for_a_sweep_is_counted_and_named() {
    let rig = Rig::with_plan(HANGS);
    killed(&rig, &[]);
    let path = &rig.journals()[0];
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, text.replacen("\n", "\nx", 1)).unwrap();
    let said = swept(&rig, &[]);
    assert_eq!(exit_code(&said), 4, "{said:?}");
    let bucket = rig.value("SPACES_BUCKET");
    let told = stdout(&said).split('`').find(|part| part.starts_with("tidegate sweep --remote "));
    for part in [&format!(" --bucket {bucket} "), " --older-than 1s"] {
        assert!(told.is_some_and(|told| told.contains(part)), "{part}: {said:?}");
    }
    assert!(stdout(&said).contains("only after that ended with exit code 0"), "{said:?}");
    let said = swept(&rig, &["--remote"]);
    let (key, image) = (rig.state()["objects"][0]["key"].clone(), rig.images()[0]["id"].clone());
    assert_eq!(exit_code(&said), 4, "{said:?}");
    let text = stdout(&said);
    for part in [
        "2 things of pushes are younger than 24 h",
        &format!("the object {}", key.as_str().unwrap()),
        &format!("image {image}"),
        "--older-than 1s",
        bucket,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("there is nothing to sweep"), "{text}");
    let (code, document) = rig.sweep(&["--remote"]);
    assert_eq!((code, document["younger"].as_array().unwrap().len()), (4, 2), "{document}");
}

#[test]
fn a_folder_that_is_named_and_is_not_there_is_no_empty_one() {
    let rig = Rig::with_plan(HANGS);
    killed(&rig, &[]);
    for state in ["stat", "state/pushes", "disk.raw.gz", ""] {
        for more in [&["--yes"][..], &["--dry-run"], &["--remote", "--dry-run"]] {
            let said = plain(&rig, &[&["sweep", "--state", state], more].concat());
            assert_eq!(exit_code(&said), 2, "{state}: {said:?}");
        }
    }
    // Whoever names none learns where it was looked; a relative folder of the environment is none.
    let mut sweep = bare(&rig.scratch);
    sweep.envs(rig.env.iter().map(|(name, value)| (name, value)));
    let said = sweep.env("XDG_STATE_HOME", "state").args(["sweep", "--yes"]).output().unwrap();
    let folder = rig.scratch.path(".local/state/tidegate/pushes");
    let nowhere = format!("there is nothing to sweep: no journals in {}\n", folder.display());
    assert_eq!((exit_code(&said), stdout(&said)), (0, nowhere.as_str()), "{said:?}");
    // What is shown can be pasted anywhere.
    let said = rig.pushed(&["disk.raw.gz", "--resume"]);
    let state = rig.scratch.path("state");
    assert!(stderr(&said).contains(&format!("--state {}", state.display())), "{said:?}");
}

#[test]
fn the_probe_of_a_doctor_that_is_killed_is_swept() {
    let waits =
        "[[bucket]]\nkind = \"slow-down\"\noperation = \"put-object-acl\"\nretry-after = 60\n";
    let rig = Rig::with_plan(waits);
    let mut doctor = Running::start(rig.tidegate("doctor").arg("--probe"));
    wait_until("it is put", || !rig.asked("put-object-acl").is_empty());
    assert_eq!(objects(&rig), 1);
    doctor.child().kill().unwrap();
    drop(doctor);
    assert_eq!(rig.journals().len(), 1);
    let output = rig.tidegate("doctor").output().unwrap();
    assert!(stdout(&output).contains("an earlier push was killed"), "{output:?}");
    assert_eq!(rig.sweep(&[]).0, 0);
    assert_eq!((objects(&rig), rig.journals().len()), (0, 0));
    // One that comes to its end leaves no journal.
    let output = rig.tidegate("doctor").arg("--probe").output().unwrap();
    assert_eq!((exit_code(&output), rig.journals().len()), (0, 0), "{output:?}");
}

#[test]
fn a_probe_that_nobody_may_look_for_is_named() {
    let refused = |operation: &str, more: &str| {
        format!("[[bucket]]\nkind = \"403\"\noperation = \"{operation}\"\nforever = true\n{more}")
    };
    let plan = [
        refused("put-object", "effect = true\n"),
        refused("head-object", ""),
        refused("delete-object", ""),
        refused("list-object-versions", ""),
    ];
    let rig = Rig::with_plan(&plan.concat());
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz"]);
    assert_eq!((exit_code(&output), objects(&rig)), (4, 1), "{output:?}");
    let key = rig.state()["objects"][0]["key"].as_str().unwrap().to_owned();
    assert!(
        stderr(&output).contains(&format!("left behind: the object {key} may be")),
        "{output:?}"
    );
    assert_eq!(rig.journals().len(), 1);
    let output = rig.tidegate("doctor").arg("--probe").output().unwrap();
    assert_eq!((objects(&rig), rig.journals().len()), (2, 2));
    assert!(stdout(&output).contains("left behind: tidegate/"), "{output:?}");
}

#[test]
fn an_image_that_is_found_by_no_number_is_deleted_all_the_same() {
    let rig = Rig::with_plan(&format!("{HANGS}{}", fault("404", "GET", "/v2/images/*")));
    let mut push = importing(&rig, &["--settle", "1s"]);
    signal(push.child(), "INT");
    let output = push.output();
    assert_eq!(exit_code(&output), 130, "{output:?}");
    assert_eq!((rig.images().len(), rig.journals().len()), (0, 0), "{output:?}");
    assert!(rig.log().iter().any(|line| line["method"] == "DELETE" && line["status"] == 204));
}

#[test]
fn a_journal_of_an_api_that_is_gone_is_named() {
    let rig = Rig::with_plan(HANGS);
    killed(&rig, &[]);
    let mut sweep = rig.tidegate("sweep");
    let output = sweep.env("DIGITALOCEAN_API_URL", "http://127.0.0.1:1").arg("--yes").output();
    let (output, journal) = (output.unwrap(), rig.journals()[0].clone());
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let remedy = format!("gone for good, delete the journal {}", journal.display());
    assert!(stdout(&output).contains(&remedy), "{output:?}");
    assert!(stdout(&output).contains("is there, and public, by its journal"), "{output:?}");
}

#[test]
fn each_step_is_done_or_not_done_and_an_object_that_stays_is_public_or_private() {
    // The import goes on, and its object is needed.
    let rig = Rig::with_plan(HANGS);
    killed(&rig, &[]);
    let key = rig.state()["objects"][0]["key"].as_str().unwrap().to_owned();
    let public = format!("the object {key} is there, and public: anybody may read it");
    let text = swept(&rig, &["--wait-timeout", "1s"]);
    assert!(stdout(&text).contains("\n  not done: delete the object"), "{text:?}");
    assert!(stdout(&text).contains(&format!("\n  left: {public}\n")), "{text:?}");
    let (code, document) = rig.sweep(&[]);
    let push = &document["pushes"][0];
    assert_eq!((code, push["left"][1].as_str()), (4, Some(public.as_str())), "{document}");
    let done = |push: &Value| {
        let all = push["outcomes"].as_array().unwrap().iter();
        all.map(|outcome| outcome["done"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(done(push), [false, false], "{document}");
    let (_, document) = rig.sweep(&["--remote", "--older-than", "1ms"]);
    let left = document["pushes"][0]["left"][0].as_str().unwrap();
    assert!(left.contains(&format!("the object {key}, which is public, stays")), "{document}");

    // The image cannot be deleted, and the object is.
    let plan = fault("403", "DELETE", "/v2/images/*");
    let rig = Rig::with(&format!("[[fault]]\nkind = \"import-fails\"\n{plan}"), &["--pace", "1"]);
    killed(&rig, &[]);
    let (code, document) = rig.sweep(&[]);
    assert_eq!((code, done(&document["pushes"][0])), (4, vec![false, true]), "{document}");
    assert_eq!(objects(&rig), 0);
}

#[test]
fn an_earlier_push_that_was_killed_is_no_progress() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"import-hangs\"\n");
    killed(&rig, &[]);
    let said = rig.pushed(&["disk.raw.gz", "--quiet"]);
    assert_eq!(exit_code(&said), 0, "{said:?}");
    assert!(stderr(&said).contains("an earlier push was killed before the end"), "{said:?}");
    let said = rig.tidegate("doctor").output().unwrap();
    assert!(stdout(&said).contains("warn     journals"), "{said:?}");
}

#[test]
fn an_image_of_a_refused_create_may_still_appear() {
    let lags = "[[fault]]\nkind = \"list-lags\"\nlag = 5\nforever = true\n";
    let made =
        "[[fault]]\nkind = \"400\"\nmethod = \"POST\"\npath = \"/v2/images\"\neffect = true\n";
    let rig = Rig::with_plan(&format!("{made}{lags}"));
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let output = rig.pushed(&["disk.raw.gz", "--quiet", "--settle", "8s"]);
    assert_eq!((exit_code(&output), rig.journals().len()), (4, 1), "{output:?}");
    let said = stderr(&output);
    for part in ["marked tidegate-", "may still appear", "`tidegate image list --tag tidegate-"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(objects(&rig), 0);
    assert_eq!(rig.sweep(&[]).0, 0);
    assert_eq!((rig.images().len(), rig.journals().len()), (0, 0));
}

#[test]
fn where_a_kept_object_is_is_said() {
    let rig = Rig::new();
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    for more in [&[][..], &["--quiet"]] {
        let output = rig.pushed(&[&["disk.raw.gz", "--keep-object"], more].concat());
        assert_eq!(exit_code(&output), 0, "{output:?}");
        let state = rig.state();
        let key = state["objects"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap());
        let bucket = rig.value("SPACES_BUCKET");
        let named = |key: &str| stdout(&output).contains(&format!("\nkept: {bucket}/{key}\n"));
        assert_eq!(key.filter(|key| named(key)).count(), 1, "{output:?}");
    }
    let document = rig.document(0, &["disk.raw.gz", "--keep-object"]);
    assert_eq!(document["staged"]["bucket"], rig.value("SPACES_BUCKET"));
}

#[test]
fn copies_that_go_on_are_named() {
    let rig = Rig::with_plan("[[fault]]\nkind = \"action-hangs\"\nforever = true\n");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz", "--transfer", "fra1,ams3"]));
    wait_until("they are on their way", || {
        let is = |line: &&Value| {
            line["method"] == "POST" && line["path"].as_str().unwrap().ends_with("/actions")
        };
        rig.log().iter().filter(is).count() == 2
    });
    signal(push.child(), "INT");
    let output = push.output();
    let id = rig.images()[0]["id"].to_string();
    let said = format!(
        "the copy to fra1, the copy to ams3 may have begun, and then goes on; `tidegate image actions {id}` shows it"
    );
    assert_eq!(exit_code(&output), 130, "{output:?}");
    assert!(stderr(&output).contains(&said), "{output:?}");
}

#[test]
fn what_the_first_attempt_leaves_is_left_by_the_push() {
    let rig = Rig::with_plan(
        "[[bucket]]\nkind = \"500\"\noperation = \"abort-multipart-upload\"\ntimes = 2\n",
    );
    rig.scratch.write("disk.raw.gz", &[crate::disks::big(), &b"foreign"[..]].concat());
    let document = rig.document(4, &["disk.raw.gz", "--part-size", "5MiB", "--retries", "1"]);
    assert_eq!(document["available"], true, "{document:#}");
    assert!(document["left"].to_string().contains("could not be removed"), "{document:#}");
    assert_eq!(rig.state()["uploads"].as_array().unwrap().len(), 1);
    let output = swept(&rig, &[]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    rig.assert_clean(1..=1, "swept");
}

/// A slip in the name of a bucket meets that of somebody else.
#[test]
fn a_bucket_of_somebody_else_is_not_told_of_for_ever() {
    let rig = Rig::with_plan("[[bucket]]\nkind = \"403\"\nforever = true\n");
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    rig.document(4, &["disk.raw.gz"]);
    let output = swept(&rig, &[]);
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let journal = rig.journals().remove(0);
    let way = format!("if that bucket is not yours, delete the journal {}", journal.display());
    assert!(stdout(&output).contains(&way), "{output:?}");
    let probed = plain(&rig, &["doctor", "--probe"]);
    assert!(
        stdout(&probed).contains("If that bucket is not yours, delete the journal"),
        "{probed:?}"
    );
}

/// An image that its user describes anew bears the mark of its push no more. It stays, and there is a way to the end.
#[test]
fn an_image_that_is_described_anew_is_no_reason_to_delete_it() {
    let rig = Rig::with_plan(
        "[[bucket]]\nkind = \"slow-down\"\noperation = \"get-object\"\nsigned = true\nretry-after = 60\n",
    );
    rig.scratch.write("disk.raw.gz", &gzip(&disk()));
    let id = rig.document(0, &["disk.raw.gz", "--no-mark-tag"])["image"]["id"].to_string();
    let described = plain(&rig, &["image", "update", &id, "--description", "web"]);
    assert_eq!(exit_code(&described), 0, "{described:?}");
    let mut push = Running::start(&mut rig.push(&["disk.raw.gz", "--read-back"]));
    let own = |line: &Value| line["anonymous"].is_null();
    wait_until("it is read", || rig.asked("get-object").iter().any(own));
    push.child().kill().unwrap();
    drop(push);
    rig.quiet();
    let journal = rig.journals().remove(0);
    let mut text = std::fs::read_to_string(&journal).unwrap();
    for line in [
        json!({"at": 3, "entry": "intent", "of": {"step": "create"}}),
        json!({"at": 4, "entry": "outcome", "of": {"step": "create", "image": rig.images()[0]["id"]}}),
    ] {
        text += &format!("{line}\n");
    }
    std::fs::write(&journal, text).unwrap();
    let output = swept(&rig, &[]);
    assert_eq!(exit_code(&output), 4, "{output:?}");
    let told = commands(stdout(&output));
    assert!(!told.iter().any(|command| command.contains("delete")), "{output:?}");
    let remote = told.iter().find(|command| command.contains("--remote")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut again = bare(&rig.scratch);
    again.envs(rig.env.iter().map(|(name, value)| (name, value)));
    let output = pasted(&mut again, &format!("{remote} --yes"));
    assert_eq!(exit_code(&output), 0, "{output:?}");
    rig.assert_nothing_staged("swept by what is there");
    assert_eq!(rig.images().len(), 1);
}
