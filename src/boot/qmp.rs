//! QEMU's protocol for whoever runs it (QEMU, docs/interop/qmp-spec.rst): commands and events, a JSON document a line.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Bytes of a line, at most. What QEMU says of a machine as small as ours has a few thousand.
const LINE: usize = 4 << 20;
/// How long QEMU may take for a command: it is slow where the machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events that are kept until somebody asks; a guest that resets itself for ever makes more.
const EVENTS: usize = 1000;

/// A connection to QEMU.
pub(super) struct Qmp {
    stream: UnixStream,
    came: Vec<u8>,
    events: VecDeque<Value>,
    number: u64,
}

impl Qmp {
    /// Greets QEMU.
    pub(super) fn new(stream: UnixStream) -> io::Result<Qmp> {
        let mut qmp = Qmp { stream, came: Vec::new(), events: VecDeque::new(), number: 0 };
        let deadline = Instant::now() + PATIENCE;
        // The greeting says nothing that matters.
        while qmp.line(Some(deadline))?.is_none_or(|line| line.get("QMP").is_none()) {}
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Has QEMU do something; what it answers.
    pub(super) fn execute(&mut self, command: &str, arguments: &Value) -> io::Result<Value> {
        self.number += 1;
        let request = json!({ "execute": command, "arguments": arguments, "id": self.number });
        self.stream.set_write_timeout(Some(PATIENCE))?;
        self.stream.write_all(format!("{request}\n").as_bytes())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(mut line) = self.line(Some(deadline))? else { continue };
            if line["id"] != self.number {
                self.keep(line);
            } else if line.get("return").is_some() {
                return Ok(line["return"].take());
            } else {
                let why = line["error"]["desc"].as_str().unwrap_or("it did not say why");
                return Err(io::Error::other(format!("QEMU refused {command}: {why}")));
            }
        }
    }

    /// Has QEMU do something by its monitor for people, where there is no other way.
    pub(super) fn monitor(&mut self, line: &str) -> io::Result<String> {
        let said = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        Ok(said.as_str().unwrap_or_default().to_owned())
    }

    /// The next event that has come.
    pub(super) fn event(&mut self) -> io::Result<Option<Value>> {
        loop {
            match self.line(None) {
                Ok(Some(line)) => self.keep(line),
                Ok(None) => break,
                // What QEMU said last is heard first.
                Err(_) if !self.events.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.events.pop_front())
    }

    fn keep(&mut self, line: Value) {
        if line.get("event").is_some() && self.events.len() < EVENTS {
            self.events.push_back(line);
        }
    }

    /// The next line; without a deadline only if it is there.
    fn line(&mut self, deadline: Option<Instant>) -> io::Result<Option<Value>> {
        loop {
            if let Some(end) = self.came.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.came.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.came.len() > LINE {
                return Err(io::Error::new(ErrorKind::InvalidData, "QEMU said too much at once"));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left {
                Some(Duration::ZERO) => return Err(ErrorKind::TimedOut.into()),
                left => self.stream.set_read_timeout(left)?,
            }
            self.stream.set_nonblocking(left.is_none())?;
            let mut buffer = [0; 64 << 10];
            let read = self.stream.read(&mut buffer);
            self.stream.set_nonblocking(false)?;
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.came.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock && deadline.is_none() => {
                    return Ok(None);
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn answers_and_events_are_told_apart() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let qemu = std::thread::spawn(move || {
            let mut lines = BufReader::new(theirs.try_clone().unwrap()).lines();
            let say = |text: &str| (&theirs).write_all(text.as_bytes()).unwrap();
            say("{\"QMP\": {}}\n");
            assert!(lines.next().unwrap().unwrap().contains("qmp_capabilities"));
            say("{\"return\": {}, \"id\": 1}\n");
            assert!(lines.next().unwrap().unwrap().contains("query-status"));
            say("{\"event\": \"RESET\"}\n{\"return\": {\"status\": ");
            say("\"running\"}, \"id\": 2}\n");
            assert!(lines.next().unwrap().unwrap().contains("nonsense"));
            say("{\"error\": {\"desc\": \"no such thing\"}, \"id\": 3}\n");
        });
        let mut qmp = Qmp::new(ours).unwrap();
        assert_eq!(qmp.execute("query-status", &json!({})).unwrap()["status"], "running");
        assert_eq!(qmp.event().unwrap().unwrap()["event"], "RESET");
        let why = qmp.execute("nonsense", &json!({})).unwrap_err().to_string();
        assert_eq!(why, "QEMU refused nonsense: no such thing");
        qemu.join().unwrap();
        // A process that another test is just starting may have the other end for a moment.
        while qmp.event().is_ok() {
            std::thread::yield_now();
        }
    }
}
