//! What is asked and shown on a terminal: python3 makes one.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::commands::{account, image_command};
use crate::common::*;
use crate::server::{Reply, Server};
use crate::support::*;

/// Runs a program on a terminal of its own, answers a question, and interrupts it after some seconds.
const DRIVER: &str = r"
import fcntl, os, pty, select, struct, sys, termios, time
question, answer, limit = sys.argv[1].encode(), sys.argv[2].encode(), float(sys.argv[3])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 120, 0, 0))
    os.execvp(sys.argv[4], sys.argv[4:])
seen, answered, end = b'', False, time.monotonic() + limit
while True:
    if time.monotonic() > end:
        os.kill(pid, 2)
        end += 60
    if not select.select([terminal], [], [], 0.05)[0]:
        continue
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    if not answered and question in seen:
        os.write(terminal, answer)
        answered = True
sys.stdout.buffer.write(seen)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// The command on a terminal: what was on it, and the exit code. `None` without python3.
fn on_terminal(
    server: &Server,
    arguments: &[&str],
    question: &str,
    answer: &str,
    seconds: &str,
) -> Option<Output> {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing");
        eprintln!("SKIPPED: python3 is missing, so there is no terminal");
        return None;
    }
    let program = image_command(server);
    let mut command = Command::new("python3");
    command.args(["-c", DRIVER, question, answer, seconds]).arg(program.get_program());
    command.args(program.get_args()).args(arguments).env("TERM", "xterm").stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(command.output().unwrap())
}

#[test]
fn a_deletion_is_asked_for() {
    let asked = "Delete image 7 \"disk\" for good? [y/N] ";
    for (answer, code, deleted) in [
        ("y\n", 0, true),
        ("yes\n", 0, true),
        ("n\n", 130, false),
        ("\n", 130, false),
        ("yup\n", 130, false),
        // The end of what can be typed.
        ("\u{4}", 130, false),
        // Ctrl-C.
        ("\u{3}", 130, false),
    ] {
        let server = account(|request| match request.method.as_str() {
            "DELETE" => Reply::status(204, Vec::new()),
            _ => reply(200, &json!({"image": image(7, "available")})),
        });
        let Some(output) = on_terminal(&server, &["delete", "7"], asked, answer, "60") else {
            return;
        };
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains(asked), "{answer:?}: {output:?}");
        assert_eq!(exit_code(&output), code, "{answer:?}: {shown}");
        let was = server.requests().iter().any(|request| request.method == "DELETE");
        assert_eq!(was, deleted, "{answer:?}: {shown}");
        let said = match (deleted, answer) {
            (true, _) => "deleted image 7",
            (_, "\u{3}") => "interrupted",
            _ => "nothing was deleted",
        };
        assert!(shown.contains(said), "{answer:?}: {shown}");
    }
}

#[test]
fn the_time_of_a_wait_moves_by_itself() {
    let server = account(|_| reply(200, &json!({"image": image(5, "pending")})));
    let arguments = ["wait", "5", "--interval", "60s"];
    let Some(output) = on_terminal(&server, &arguments, "?", "", "3.5") else { return };
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    // One look, and seconds that pass.
    assert_eq!((exit_code(&output), server.requests().len()), (130, 1), "{shown}");
    for line in ["image 5: pending for 1 s; looking again in 59 s", "pending for 2 s"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(shown.ends_with("tidegate: interrupted\r\n"), "{shown}");
}
