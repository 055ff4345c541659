//! Pushes, and sweeps, that are killed at any moment.

use std::time::{Duration, Instant, SystemTime};

use crate::common::*;
use crate::crash::{Sweep, UNHURRIED, swept};
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
