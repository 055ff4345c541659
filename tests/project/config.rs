//! `tidegate.toml`, `tidegate init`, `tidegate config`, and a check without arguments.

use std::fs;

use serde_json::{Value, json};

use super::{at, data, document, invalid};
use crate::common::*;

/// A project with a good image and a bad one.
pub(crate) fn project(toml: &str) -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("out")).unwrap();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("out/good.qcow2.gz")).unwrap();
    fs::copy(data("truncated.raw.gz"), scratch.path("bad.raw.gz")).unwrap();
    scratch.write("tidegate.toml", toml.as_bytes());
    scratch
}

pub(crate) const TWO: &str = "[[image]]\nname = \"good\"\npath = \"out/good.qcow2.gz\"\n\n[[image]]\nname = \"bad\"\npath = \"bad.raw.gz\"\n";

#[test]
fn a_check_without_arguments_takes_the_images_of_the_project() {
    let scratch = project(TWO);
    let output = at(scratch.path("")).args(["check", "-q"]).output().unwrap();
    assert_eq!(exit_code(&output), 1);
    assert_eq!(
        stdout(&output),
        "ACCEPT  out/good.qcow2.gz\nREJECT  bad.raw.gz: gzip-truncated\nrefused 1 of 2: bad.raw.gz (gzip-truncated)\n"
    );
    // From below, and by name.
    let output =
        at(scratch.path("out")).args(["check", "--format", "json", "bad"]).output().unwrap();
    assert_eq!(exit_code(&output), 1);
    let source = document(&output)["images"][0]["source"].as_str().unwrap().to_owned();
    assert!(source.ends_with("/bad.raw.gz"), "{source}");
    let output = at(scratch.path("")).args(["check", "-q", "good"]).output().unwrap();
    assert_eq!(stdout(&output), "ACCEPT  out/good.qcow2.gz\n");
}

#[test]
fn options_of_the_file_count_and_those_of_the_command_line_beat_them() {
    let sum = sha256(&fs::read(data("gpt.qcow2.gz")).unwrap());
    let toml = |more: &str| {
        format!(
            "[defaults]\nmax_size = \"100 kB\"\n[[image]]\nname = \"a\"\npath = \"out/good.qcow2.gz\"\n{more}\n"
        )
    };
    let scratch = project(&toml(""));
    let run = |arguments: &[&str]| {
        let output = at(scratch.path(""))
            .args(["check", "--format", "json"])
            .args(arguments)
            .output()
            .unwrap();
        let report = document(&output)["images"][0].clone();
        (exit_code(&output), report)
    };
    let (code, report) = run(&[]);
    assert_eq!((code, &report["limit"]), (1, &json!(100_000)), "{report}");
    let (code, report) = run(&["--max-size", "1GB"]);
    assert_eq!((code, &report["limit"]), (0, &json!(1_000_000_000)));
    let set = |more: &str| scratch.write("tidegate.toml", toml(more).as_bytes());
    // The disk of this image holds nothing that is known.
    let found = |report: &Value| json!([report["findings"][0]["severity"], report["verdict"]]);
    set("max_size = \"1GB\"\nguest = \"require\"");
    let (code, report) = run(&[]);
    assert_eq!((code, codes(&report)), (1, vec!["guest-not-examined"]), "{report}");
    assert_eq!(found(&report), json!(["reject", "reject"]));
    for arguments in
        [&["--guest", "auto"][..], &["--guest", "never"], &["--allow", "guest-not-examined"]]
    {
        assert_eq!(run(arguments).0, 0, "{arguments:?}");
    }
    let output = at(scratch.path("")).args(["check", "--quick"]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    let said = "guest = \"require\" in line 7 of tidegate.toml";
    assert!(stderr(&output).contains(said), "{}", stderr(&output));
    assert_eq!(
        exit_code(
            &at(scratch.path("")).args(["check", "--quick", "--guest", "auto"]).output().unwrap()
        ),
        0
    );
    set("max_size = \"1GB\"\nguest = \"never\"");
    assert_eq!(codes(&run(&[]).1), [""; 0]);
    assert_eq!(run(&["--guest", "require"]).0, 1);
    set("max_size = \"1GiB\"");
    assert_eq!(run(&[]).1["limit"], 1 << 30);
    set(&format!("max_size = \"1GB\"\nsha256 = \"{sum}\""));
    assert_eq!(run(&[]).0, 0);
    set(&format!("max_size = \"1GB\"\nsha256 = \"{}\"", "0".repeat(64)));
    assert_eq!(codes(&run(&[]).1), ["digest-mismatch"]);
    // A name that says another format is a warning.
    fs::copy(data("gpt.qcow2.gz"), scratch.path("odd.vmdk.gz")).unwrap();
    let odd = |more: &str| {
        scratch.write(
            "tidegate.toml",
            format!("[[image]]\nname = \"a\"\npath = \"odd.vmdk.gz\"\n{more}\n").as_bytes(),
        )
    };
    odd("");
    assert_eq!((run(&[]).0, run(&[]).1["verdict"].clone()), (0, json!("warn")));
    odd("strict = true");
    assert_eq!(run(&[]).0, 1);
    odd("reject = [\"name-mismatch\"]");
    assert_eq!(run(&[]).1["verdict"], "reject");
    assert_eq!(run(&["--allow", "name-mismatch"]).1["verdict"], "accept");
}

#[test]
fn what_is_wrong_in_the_file_is_said_with_line_and_fix() {
    let outside = Scratch::new();
    let secret = outside.write("secret", b"x");
    for (toml, said) in [
        (
            format!("{TWO}\n[[image]]\nname = \"good\"\npath = \"x\"\n"),
            "two images have the name \"good\"; the first one stands in line 2. Give one",
        ),
        (format!("{TWO}colour = 1\n"), "unknown key `colour`"),
        (
            format!("{TWO}cacert = \"ca.pem\"\n"),
            "`cacert` cannot be set here: a file that is found in a folder is not trusted",
        ),
        (
            "[defaults]\nhttps_proxy = \"http://evil\"\n".into(),
            "set https_proxy in the environment",
        ),
        ("endpoint = \"https://evil\"\n".into(), "SPACES_ENDPOINT_URL"),
        ("state = \"/tmp\"\n".into(), "--state"),
        ("no_url_rules = true\n".into(), "--no-url-rules"),
        ("token_file = \"x\"\n".into(), "DIGITALOCEAN_TOKEN"),
        (
            format!("[[image]]\nname = \"a\"\npath = \"{}\"\n", secret.display()),
            "the path is absolute",
        ),
        ("[[image]]\nname = \"a\"\npath = \"../x\"\n".into(), "the path goes up"),
        ("[[image]]\nname = \"a\"\npath = \"x\"\nreceipt = \"../r\"\n".into(), "the path goes up"),
        ("[[image]]\nname = ".into(), "tidegate.toml:2:"),
        ("[defaults]\nregions = \"fra1\"\n".into(), "regions takes a list, such as [\"fra1\"]"),
        (
            "[defaults]\nallow = \"iso-hybrid\"\n".into(),
            "allow takes a list, such as [\"iso-hybrid\"]",
        ),
        ("[defaults]\nstrict = \"yes\"\n".into(), "strict takes true or false"),
        ("[defaults]\nmax_size = 5\n".into(), "max_size takes text in quotes, such as \"5\""),
        ("[image]\nname = \"a\"\n".into(), "an image begins with a line [[image]]"),
        ("\u{feff}\u{202e}\n".into(), "tidegate.toml:1:"),
        (String::new(), "has no [[image]]"),
    ] {
        let scratch = project(&toml);
        let output = at(scratch.path("")).arg("check").output().unwrap();
        let told = stderr(&output);
        assert_eq!(exit_code(&output), 2, "{toml}: {told}");
        assert!(told.contains(said), "{toml}: {told}");
        assert!(!told.contains('\u{202e}') && stdout(&output).is_empty(), "{told}");
        // A file that was named is checked whatever is wrong with a project that was not.
        let output = at(scratch.path("")).args(["check", "-q", "bad.raw.gz"]).output().unwrap();
        assert_eq!(exit_code(&output), 1, "{}", stderr(&output));
        let told = stderr(&output).matches("no tidegate.toml counts for what was named: ").count();
        assert_eq!(told, usize::from(!toml.is_empty()), "{}", stderr(&output));
    }
    let scratch = project(&format!("{TWO}nonsense = 1\n"));
    let output = at(scratch.path("")).arg("check").output().unwrap();
    assert!(
        stderr(&output).contains("tidegate.toml:8:1:\n  |\n8 | nonsense = 1\n  | ^^^^^^^^\n"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_name_that_is_a_file_too_is_no_guess() {
    let scratch = project(TWO);
    scratch.write("good", &disk());
    let output = at(scratch.path("")).args(["check", "good"]).output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("write ./good"), "{}", stderr(&output));
    let output = at(scratch.path("")).args(["check", "-q", "./good"]).output().unwrap();
    assert_eq!(stdout(&output), "ACCEPT  ./good\n");
    // After `--`, as in hooks, there are paths only.
    let output = at(scratch.path("")).args(["check", "-q", "--", "good"]).output().unwrap();
    assert_eq!((exit_code(&output), stdout(&output)), (0, "ACCEPT  good\n"), "{output:?}");
    let output = at(scratch.path("")).args(["check", "-q", "--", "bad"]).output().unwrap();
    assert_eq!(exit_code(&output), 3, "{output:?}");
    // An image that has the name of its own file is no other.
    fs::copy(data("gpt.qcow2.gz"), scratch.path("web.vmdk.gz")).unwrap();
    let toml =
        "[[image]]\nname = \"web.vmdk.gz\"\npath = \"web.vmdk.gz\"\nreject = [\"name-mismatch\"]\n";
    scratch.write("tidegate.toml", toml.as_bytes());
    for arguments in [&["web.vmdk.gz"][..], &["--", "web.vmdk.gz"], &[]] {
        let output = at(scratch.path("")).args(["check", "-q"]).args(arguments).output().unwrap();
        let said = "REJECT  web.vmdk.gz: name-mismatch\n";
        assert_eq!((exit_code(&output), stdout(&output)), (1, said), "{output:?}");
    }
    // A file of this name somewhere else is another one.
    fs::create_dir(scratch.path("sub")).unwrap();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("sub/web.vmdk.gz")).unwrap();
    let sub = |arguments: &[&str]| {
        exit_code(&at(scratch.path("sub")).args(["check", "-q"]).args(arguments).output().unwrap())
    };
    assert_eq!((sub(&["web.vmdk.gz"]), sub(&["--", "web.vmdk.gz"])), (2, 0));
}

#[test]
fn that_nothing_was_checked_is_told() {
    let scratch = project("[[image]]\nname = \"a\"\nurl = \"https://h.example/x.img\"\n");
    let output = at(scratch.path("")).args(["check", "--offline", "-q"]).output().unwrap();
    assert_eq!(exit_code(&output), 0);
    assert!(stderr(&output).contains("nothing is checked: all images are URLs"), "{output:?}");
}

#[test]
fn init_writes_a_file_that_works_and_never_over_one() {
    let scratch = Scratch::new();
    let output = at(scratch.path("")).arg("init").output().unwrap();
    assert_eq!(exit_code(&output), 0);
    let text = fs::read_to_string(scratch.path("tidegate.toml")).unwrap();
    assert!(text.contains("# [[image]]") && text.contains("# regions ="));
    // Without the marks of comments it is an example that the schema takes.
    let example: String = text
        .lines()
        .filter_map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => Some(rest),
            Some(_) => None,
            None => Some(line),
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let example = example.replace('…', &"0".repeat(64));
    let document: Value = toml_to_json(&example);
    assert_eq!(document["image"].as_array().unwrap().len(), 2);
    assert_eq!(invalid("tidegate-toml", &document), Vec::<String>::new());

    scratch.write("tidegate.toml", b"# mine\n");
    let output = at(scratch.path("")).arg("init").output().unwrap();
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("already"));
    assert_eq!(fs::read_to_string(scratch.path("tidegate.toml")).unwrap(), "# mine\n");

    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("web.qcow2.gz")).unwrap();
    assert_eq!(exit_code(&at(scratch.path("")).arg("init").output().unwrap()), 0);
    let output = at(scratch.path("")).args(["check", "-q"]).output().unwrap();
    assert_eq!(stdout(&output), "ACCEPT  web.qcow2.gz\n");
}

#[test]
fn init_writes_all_of_it_or_nothing() {
    let scratch = Scratch::new();
    fs::copy(data("gpt.qcow2.gz"), scratch.path("web.qcow2.gz")).unwrap();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 1; exec \"$0\" init"]).arg(at(scratch.path("")).get_program());
    let output = limited.current_dir(scratch.path("")).output().unwrap();
    assert_eq!(exit_code(&output), 2, "{output:?}");
    let names = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let there: Vec<_> = fs::read_dir(scratch.path("")).unwrap().map(names).collect();
    assert_eq!(there, ["web.qcow2.gz"]);
}

#[test]
fn init_looks_where_images_are_built_and_says_what_is_next() {
    let scratch = Scratch::new();
    let init = |folder: &str| at(scratch.path(folder)).arg("init").output().unwrap();
    fs::create_dir_all(scratch.path("empty")).unwrap();
    let output = init("empty");
    assert!(stdout(&output).contains("no image was found here"), "{output:?}");
    for folder in ["output-web", "deep/out"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
        fs::copy(data("gpt.qcow2.gz"), scratch.path(folder).join("web.qcow2.gz")).unwrap();
    }
    scratch.write("old.raw.xz", b"");
    let output = init("");
    assert!(stdout(&output).contains("with 1 image;"), "{output:?}");
    assert!(stderr(&output).contains("old.raw.xz is left out: DigitalOcean takes gzip"));
    let output = at(scratch.path("")).args(["check", "-q"]).output().unwrap();
    assert_eq!(stdout(&output), "ACCEPT  output-web/web.qcow2.gz\n");
    let output = init("deep");
    assert!(stderr(&output).contains("this file takes the place of"), "{output:?}");
    let output = at(scratch.path("deep")).args(["check", "-q"]).output().unwrap();
    assert_eq!(stdout(&output), "ACCEPT  out/web.qcow2.gz\n");
}

fn toml_to_json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn schema_and_program_agree() {
    for (toml, good) in [
        (TWO.to_owned(), true),
        (String::new(), true),
        ("[[image]]\nname = \"a\"\nurl = \"https://h/x\"\nmax_size = \"20 GiB\"\nreject = [\"iso-hybrid\"]\n".into(), true),
        ("[[image]]\nname = \"a\"\n".into(), false),
        ("[[image]]\npath = \"a\"\n".into(), false),
        ("[[image]]\nname = \"\"\npath = \"a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"/a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"b/../a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \".git/a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nreceipt = \"x/.Git/a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a.git\"\nreceipt = \".gitignore\"\n".into(), true),
        ("[[image]]\nname = \"a\"\npath = \"https://h/a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nurl = \"https://h/a\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nsha256 = \"00\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nmax_size = \"0\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nmax_size = \"1.5GB\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nregions = []\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\ntags = [\" \"]\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nstrict = \"yes\"\n".into(), false),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nguest = \"require\"\ndescribe = true\n".into(), true),
        ("[defaults]\nguest = \"never\"\ndescribe = false\n".into(), true),
        ("[[image]]\nname = \"a\"\npath = \"a\"\nguest = \"always\"\n".into(), false),
        ("[defaults]\nguest = true\n".into(), false),
        ("[defaults]\ndescribe = \"yes\"\n".into(), false),
        ("[defaults]\npath = \"a\"\n".into(), false),
        ("[defaults]\ntoken = \"a\"\n".into(), false),
    ] {
        let scratch = project(&toml);
        let output = at(scratch.path("")).arg("config").output().unwrap();
        assert_eq!(exit_code(&output) == 0, good, "{toml}: {}", stderr(&output));
        let errors = invalid("tidegate-toml", &toml_to_json(&toml));
        assert_eq!(errors.is_empty(), good, "{toml}: {errors:?}");
    }
}

#[test]
fn config_says_what_counts_and_where_it_comes_from() {
    let scratch =
        project(&format!("[defaults]\nbucket = \"mine\"\nallow = [\"iso-hybrid\"]\n{TWO}"));
    let run = |env: &[(&str, &str)], arguments: &[&str]| {
        let mut command = at(scratch.path(""));
        command.arg("config").args(arguments).envs(env.iter().copied());
        command.output().unwrap()
    };
    let output = run(&[("DIGITALOCEAN_TOKEN", "s3cret-token")], &["good", "--format", "json"]);
    let told = document(&output);
    assert_eq!(invalid("config", &told), Vec::<String>::new());
    assert!(!stdout(&output).contains("s3cret"));
    assert_eq!(told["images"].as_array().unwrap().len(), 1);
    let of = |all: &Value, key: &str| {
        all.as_array().unwrap().iter().find(|one| one["key"] == key).cloned().unwrap()
    };
    let image = &told["images"][0]["settings"];
    assert_eq!(
        of(image, "bucket"),
        json!({"key": "bucket", "value": "mine", "from": "file", "line": 2})
    );
    assert_eq!(of(image, "max_size")["from"], "default");
    assert_eq!(of(image, "policy")["value"], json!({"code": "iso-hybrid", "severity": "note"}));
    assert_eq!(
        of(&told["settings"], "token"),
        json!({"key": "token", "value": true, "from": "environment", "variable": "DIGITALOCEAN_TOKEN"})
    );
    let output = run(&[("SPACES_BUCKET", "other")], &[]);
    assert!(stdout(&output).contains("environment, SPACES_BUCKET"), "{}", stdout(&output));
    assert!(stdout(&output).contains("file, line 3"), "{}", stdout(&output));
    // Options of check and push are shown as what they are.
    let flags = "--strict --boot --max-size 20GB --reject iso-hybrid --allow name-mismatch --region nyc3 --transfer sfo3 --tag t \
                 --bucket other --receipt r.json --no-cache --description x --describe --guest never \
                 --spaces-region nyc3";
    let arguments: Vec<&str> =
        ["good", "--format", "json"].into_iter().chain(flags.split_whitespace()).collect();
    let output = run(&[("SPACES_BUCKET", "third")], &arguments);
    let told = document(&output);
    assert_eq!(invalid("config", &told), Vec::<String>::new());
    let image = &told["images"][0]["settings"];
    for (key, value, name) in [
        ("strict", json!(true), "--strict"),
        ("boot", json!(true), "--boot"),
        ("max_size", json!(20_000_000_000_u64), "--max-size"),
        ("policy", json!({"code": "name-mismatch", "severity": "note"}), "--allow"),
        ("regions", json!(["nyc3", "sfo3"]), "--region"),
        ("tags", json!(["t"]), "--tag"),
        ("bucket", json!("other"), "--bucket"),
        ("receipt", json!("r.json"), "--receipt"),
        ("description", json!("x"), "--description"),
        ("describe", json!(true), "--describe"),
        ("guest", json!("never"), "--guest"),
    ] {
        let expected = json!({"key": key, "value": value, "from": "flag", "flag": name});
        assert_eq!(of(image, key), expected, "{image}");
    }
    assert_eq!(of(image, "distribution")["from"], "default");
    assert_eq!(of(&told["settings"], "cache")["flag"], "--no-cache");
    assert_eq!(of(&told["settings"], "spaces_region")["flag"], "--spaces-region");
    assert!(stdout(&run(&[], &["--strict"])).contains("flag, --strict"));
    for wrong in [["--max-size", "big"], ["--sha256", "00"], ["--reject", "nope"]] {
        assert_eq!(exit_code(&run(&[], &wrong)), 2);
    }
    let output = run(&[], &["none"]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("there are good, bad"), "{}", stderr(&output));
    // Without a file there are defaults.
    let empty = Scratch::new();
    let output = at(empty.path("")).args(["config", "--format", "json"]).output().unwrap();
    assert_eq!(document(&output)["file"], Value::Null);
}

#[cfg(feature = "simulator")]
#[test]
fn a_push_takes_what_the_project_says() {
    let one = "[defaults]\nregions = [\"fra1\", \"ams3\"]\n[[image]]\nname = \"good\"\npath = \"out/good.qcow2.gz\"\nbucket = \"mine\"\ntags = [\"t\"]\n";
    let scratch = project(one);
    let run = |env: &[(&str, &str)], arguments: &[&str]| {
        let mut command = at(scratch.path(""));
        command.arg("push").args(arguments).envs(env.iter().copied());
        command.output().unwrap()
    };
    let here = [
        ("DIGITALOCEAN_TOKEN", "tok"),
        ("DIGITALOCEAN_API_URL", "http://127.0.0.1:1"),
        ("SPACES_ACCESS_KEY_ID", "id"),
        ("SPACES_SECRET_ACCESS_KEY", "key"),
    ];
    for named in [&["--dry-run"][..], &["good", "--dry-run"]] {
        let output = run(&here, named);
        let plan = stdout(&output);
        assert_eq!(exit_code(&output), 0, "{output:?}");
        assert!(
            plan.contains("\"good\" in fra1")
                && plan.contains("ams3")
                && plan.contains("in mine at"),
            "{plan}"
        );
    }
    let flags = ["--dry-run", "--region", "nyc3", "--bucket", "other", "--name", "new"];
    let plan = stdout(&run(&here, &flags)).to_owned();
    assert!(
        plan.contains("\"new\" in nyc3") && plan.contains("in other at") && !plan.contains("ams3"),
        "{plan}"
    );
    let by_environment = [&here[..], &[("SPACES_BUCKET", "third")]].concat();
    assert!(stdout(&run(&by_environment, &["--dry-run"])).contains("in third at"));
    let output = run(&[], &["good", "--rehearse", "--interval", "20ms", "-q"]);
    assert_eq!(exit_code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("\"good\" is available in ams3, fra1"), "{output:?}");

    scratch.write("tidegate.toml", TWO.as_bytes());
    let output = run(&here, &["--dry-run"]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("name one of good, bad"), "{}", stderr(&output));
    let output = run(&here, &["good", "--dry-run"]);
    assert_eq!(exit_code(&output), 2);
    assert!(stderr(&output).contains("there is no region"), "{}", stderr(&output));
    let output = run(&[], &["bad", "--rehearse", "-q"]);
    assert_eq!(exit_code(&output), 1, "{output:?}");
}

#[test]
fn a_name_that_is_nearly_one_of_the_file_is_told_from_a_missing_file() {
    let scratch = Scratch::new();
    let images = |names: &[&str]| {
        let each =
            names.iter().map(|it| format!("[[image]]\nname = \"{it}\"\npath = \"{it}.img\"\n"));
        scratch.write("tidegate.toml", each.collect::<String>().as_bytes());
    };
    let said = |argument: &str| {
        let output = at(scratch.path("")).args(["check", argument]).output().unwrap();
        assert_eq!(exit_code(&output), 3, "{output:?}");
        stderr(&output).to_owned()
    };
    images(&["db", "web"]);
    let told = said("wbe");
    assert!(
        told.contains("\"wbe\" is no file here and no image of tidegate.toml, which has db, web"),
        "{told}"
    );
    #[cfg(feature = "net")]
    assert!(told.contains("; did you mean web?"), "{told}");
    assert!(!said("something.img").contains("did you mean"));
    // A path is no name.
    assert!(!said("./wbe").contains("tidegate.toml"));
    let many: Vec<String> = (0..30).map(|n| format!("image-{n}")).collect();
    images(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said("x").contains("image-7, 22 more"));
}
