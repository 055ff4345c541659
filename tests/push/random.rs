//! Pushes, and sweeps, that are killed at any moment.

use std::time::{Duration, Instant, SystemTime};

use crate::common::*;
use crate::crash::{Sweep, UNHURRIED, swept, swept_at_last};
use crate::disks::*;
use crate::rig::*;

/// The seed of this run, which is told, so that it can be had again.
pub(crate) fn seed(what: &str) -> u64 {
    let given = std::env::var("TIDEGATE_PUSH_SEED").ok().map(|seed| seed.parse().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = given.unwrap_or(now.as_nanos() as u64);
    eprintln!("{what}: TIDEGATE_PUSH_SEED={seed}");
    seed
}

fn start(bytes: &[u8]) -> (Rig, Running, Instant) {
    let rig = Rig::with(PACED, &UNHURRIED);
    rig.scratch.write("disk.raw.gz", bytes);
    let push = Running::start(rig.push(&["disk.raw.gz", "--uploads", "2"]).args(PARTS));
    (rig, push, Instant::now())
}

#[test]
fn killed_at_any_moment_and_swept() {
    let seed = seed("killed at any moment");
    let longest = std::sync::Mutex::new(Duration::ZERO);
    // Under the same load as those that are killed.
    each(&[(big(), 0), (big(), 0), (cut(), 1), (cut(), 1)], |(bytes, code)| {
        let (rig, push, began) = start(bytes);
        let output = push.output();
        let took = began.elapsed();
        assert_eq!(exit_code(&output), *code, "{output:?}");
        rig.assert_clean(1 - *code as usize..=1 - *code as usize, "no kill");
        let mut longest = longest.lock().unwrap();
        *longest = took.max(*longest);
    });
    let longest = *longest.lock().unwrap();
    let count = if full() { 100 } else { 20 };
    let all: Vec<u64> = (0..count).collect();
    each(&all, |number| {
        let mut random = Random(seed.wrapping_add(number.wrapping_mul(0x1000)));
        let good = number % 3 != 0;
        let sweep = if number % 2 == 0 { Sweep::Journal } else { Sweep::Remote };
        let moment = longest.mul_f64(random.share());
        let (rig, mut push, began) = start(if good { big() } else { cut() });
        std::thread::sleep(moment.saturating_sub(began.elapsed()));
        // It may have ended before.
        let _ = push.child().kill();
        drop(push.output());
        let what = format!("kill {number} after {moment:?}, {sweep:?}");
        if number % 4 >= 2 {
            // The sweep is killed as well, and another one does the rest.
            let mut command = rig.tidegate("sweep");
            command.args(["--yes", "--interval", "20ms"]);
            let mut sweep = Running::start(&mut command);
            std::thread::sleep(Duration::from_secs_f64(random.share() / 3.0));
            let _ = sweep.child().kill();
        }
        swept(&rig, sweep, &what);
        let begun = rig.creates();
        assert!(good || begun == 0, "{what}");
        rig.assert_clean(begun..=begun, &what);
    });
}

/// What a push and its sweeps may meet on their way.
const FAULTS: [&str; 14] = [
    "",
    "[[fault]]\nkind = \"import-fails\"",
    "[[fault]]\nkind = \"500\"\nmethod = \"POST\"\npath = \"/v2/images\"\neffect = true",
    "[[fault]]\nkind = \"cut-after\"\nmethod = \"POST\"\npath = \"/v2/images\"",
    "[[fault]]\nkind = \"cut-after\"\nmethod = \"DELETE\"",
    "[[fault]]\nkind = \"cut-after\"\nmethod = \"POST\"\npath = \"/v2/spaces/keys\"",
    "[[fault]]\nkind = \"503\"\nmethod = \"GET\"\npath = \"/v2/images\"\ntimes = 2",
    "[[bucket]]\nkind = \"cut-after\"\noperation = \"put-object\"",
    "[[bucket]]\nkind = \"cut-after\"\noperation = \"create-multipart-upload\"",
    "[[bucket]]\nkind = \"cut-after\"\noperation = \"complete-multipart-upload\"",
    "[[bucket]]\nkind = \"cut-after\"\noperation = \"delete-object\"\ntimes = 2",
    "[[bucket]]\nkind = \"503\"\noperation = \"list-object-versions\"\nnth = 2",
    "[[bucket]]\nkind = \"slow-down\"\noperation = \"put-object-acl\"\nnth = 2\ntimes = 2",
    "[[bucket]]\nkind = \"403\"\noperation = \"delete-object\"\nnth = 2",
];

/// How often a push is killed that may meet anything.
fn kills() -> u64 {
    let given = std::env::var("TIDEGATE_PUSH_KILLS").ok().map(|count| count.parse().unwrap());
    given.unwrap_or(if full() { 2000 } else { 24 })
}

#[test]
fn whatever_it_meets_nothing_is_left_of_it() {
    let seed = seed("whatever it meets");
    let all: Vec<u64> = (0..kills()).collect();
    each(&all, |number| {
        let mut random = Random(seed.wrapping_add(number.wrapping_mul(0x1000)));
        let mut pick = |of: u64| random.next() % of;
        let fault = FAULTS[pick(FAULTS.len() as u64) as usize];
        let (versioned, mints, resumes) = (pick(2) == 0, pick(3) == 0, pick(3) == 0);
        let sweep = if pick(2) == 0 { Sweep::Journal } else { Sweep::Remote };
        let good = pick(4) != 0;
        let moments = [pick(3000), pick(2000), pick(400)];
        let kept = if versioned { "[[bucket]]\nkind = \"bucket-versioned\"\n" } else { "" };
        let what = format!(
            "kill {number} (seed {seed}) after {moments:?} ms, versioned {versioned}, minted {mints}, resumed {resumes}, \
             {sweep:?}: {fault}"
        );
        let rig = Rig::with(&format!("{PACED}{kept}{fault}"), &["--pace", "0.2"]);
        rig.scratch.write("disk.raw.gz", if good { big() } else { cut() });
        let run = |more: &[&str]| {
            let mut push = rig.push(&[&["disk.raw.gz", "--uploads", "2"], more, &PARTS].concat());
            if mints {
                push.arg("--mint-key");
            }
            Running::start(&mut push)
        };
        let killed = |mut running: Running, after: u64| {
            std::thread::sleep(Duration::from_millis(after));
            // It may have ended before.
            let _ = running.child().kill();
            drop(running.output());
            rig.quiet();
        };
        killed(run(&[]), moments[0]);
        // What is at its end, or had not begun, is pushed anew.
        let posts = if resumes && rig.journals().is_empty() { 2 } else { 1 };
        if resumes {
            killed(run(&["--resume"]), moments[1]);
        }
        if matches!(sweep, Sweep::Journal) {
            let mut command = rig.tidegate("sweep");
            command.args(["--yes", "--interval", "20ms"]);
            killed(Running::start(&mut command), moments[2]);
        }
        // What of a journal is not gone yet is said, and ended by a later sweep.
        swept_at_last(&rig, sweep, 4, &what);
        assert_eq!(rig.keys().len(), 0, "{what}");
        let (images, creates) = (rig.images().len(), rig.creates());
        assert!(creates <= posts && images <= creates, "{what}: {:?}", rig.log());
        assert!(good || creates == 0, "{what}");
        rig.assert_nothing_staged(&what);
    });
}
