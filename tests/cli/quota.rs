//! A quota of a cgroup counts as cores. Where no cgroup can be made, nothing is tested.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::*;
use crate::threads::dense;

/// A cgroup with the time of one core.
struct OneCore(PathBuf);

impl OneCore {
    /// None where nobody lets us.
    fn new() -> Option<OneCore> {
        let quotas = [
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "100000"),
            ("/sys/fs/cgroup", "cpu.max", "100000 100000"),
        ];
        quotas.into_iter().find_map(|(above, file, quota)| {
            let folder = Path::new(above).join(format!("tidegate-test-{}", std::process::id()));
            std::fs::create_dir(&folder).ok()?;
            let made = OneCore(folder);
            // Elsewhere than in a cgroup there is no such file.
            let file = made.0.join(file);
            let set = file.exists() && std::fs::write(file, quota).is_ok();
            set.then_some(made)
        })
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        // It lasts until its last process is gone.
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Whether a check of a long bzip2 that goes on coming has threads that decode ahead.
fn decodes_ahead(cores: Option<&OneCore>, threads: &str, packed: &[u8]) -> bool {
    let program = tidegate().get_program().to_owned();
    let mut command = Command::new("sh");
    match cores {
        None => command.args(["-c", "exec \"$0\" check -q -"]).arg(program),
        Some(OneCore(folder)) => command
            .args(["-c", "echo $$ > \"$1\" && exec \"$0\" check -q -"])
            .arg(program)
            .arg(folder.join("cgroup.procs")),
    };
    let mut child = command
        .env("TIDEGATE_THREADS", threads)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // What was taken and is not decoded yet is 6 MiB at most.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&packed[..packed.len() - 1000]).unwrap();
    let ahead = has_thread(&child, "bzip2");
    stdin.write_all(&packed[packed.len() - 1000..]).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    ahead
}

fn has_thread(child: &Child, name: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names.flatten().any(|found| found.trim_end() == name)
}

#[test]
#[allow(clippy::print_stderr)] // nobody should miss that it was left out
fn a_quota_of_one_core_is_one_core() {
    let packed = bzip2(&dense(18_000_000));
    assert!(packed.len() > 9 << 20, "{}", packed.len());
    let Some(one) = OneCore::new() else {
        eprintln!("SKIPPED: no cgroup can be made here");
        return;
    };
    assert!(!decodes_ahead(Some(&one), "", &packed));
    // What the user says counts more, and without the quota there are the cores of the machine.
    assert!(decodes_ahead(Some(&one), "2", &packed));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(decodes_ahead(None, "", &packed), cores > 1);
}
