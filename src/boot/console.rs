//! What a guest writes to its consoles: the last of it, and what it says of how the boot goes.

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::Hostile;

/// Bytes that are kept.
const KEPT: usize = 64 << 10;
/// Columns and rows of a screen of text (VGA mode 3).
const COLUMNS: usize = 80;

/// The last bytes of a console, collected while it is open.
#[derive(Clone, Default)]
pub(super) struct Console(Arc<Mutex<VecDeque<u8>>>);

impl Console {
    /// Collects what comes by this socket.
    pub(super) fn of(mut stream: UnixStream) -> std::io::Result<Console> {
        let console = Console::default();
        let kept = Arc::clone(&console.0);
        std::thread::Builder::new().name("console".into()).spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&buffer[..count]);
                let too_many = kept.len().saturating_sub(KEPT);
                kept.drain(..too_many);
            }
        })?;
        Ok(console)
    }

    /// What is kept.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// What is kept, as text without sequences of control.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&without_sequences(&self.bytes())).into_owned()
    }

    /// The last lines, escaped, without the empty ones.
    pub(super) fn last(&self, lines: usize) -> Vec<String> {
        let bytes = self.bytes();
        let bytes = without_sequences(&bytes);
        let all = bytes.split(|byte| *byte == b'\n').map(|line| {
            // What was written over by a carriage return is not seen.
            let line = line.trim_ascii_end();
            line.rsplit(|byte| *byte == b'\r').next().unwrap_or_default()
        });
        let shown: Vec<&[u8]> = all.filter(|line| !line.trim_ascii().is_empty()).collect();
        shown[shown.len().saturating_sub(lines)..]
            .iter()
            .map(|line| Hostile::new(line).to_string())
            .collect()
    }
}

/// Text without the sequences that move a cursor or colour (ECMA-48, 5.4).
fn without_sequences(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != 0x1b {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'[') => {
                let _ = rest.by_ref().find(|byte| (0x40..=0x7e).contains(byte));
            }
            // An operating system command goes up to a bell.
            Some(b']') => {
                let _ = rest.by_ref().find(|byte| *byte == 7);
            }
            _ => {}
        }
    }
    out
}

/// The text of VGA's memory, of which each second byte is a colour. The screen is a part of it, wherever the guest has scrolled
/// to; all of it is looked through.
pub(super) fn screen_text(memory: &[u8]) -> Vec<String> {
    let characters: Vec<u8> = memory.iter().step_by(2).copied().collect();
    let lines = characters.chunks(COLUMNS).map(|line| {
        let text: String = line
            .iter()
            .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { ' ' })
            .collect();
        text.trim_end().to_owned()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// What is shown when a boot is known to have come to its end, and what it means: before a kernel runs…
const ENDS_BEFORE: [(&str, &str); 5] = [
    ("grub rescue>", "GRUB does not find its files, and asks for commands"),
    ("grub>", "GRUB finds no menu, and asks for commands"),
    ("No bootable device", "the BIOS finds nothing on the disk that it could start"),
    ("Boot failed: not a bootable disk", "the BIOS finds nothing on the disk that it could start"),
    ("Missing operating system", "the boot sector finds no partition that it could start"),
];

const EMERGENCY: &str =
    "the system went into emergency mode, in which nothing of the network is waited for";
const SHELL: &str = "the initramfs gave up and started a shell";

/// …and after: how a line begins.
const ENDS_AFTER: [(&str, &str); 6] = [
    ("You are in emergency mode", EMERGENCY),
    ("Cannot open access to console, the root account is locked", EMERGENCY),
    ("You are in rescue mode", "the system went into rescue mode, in which no network runs"),
    ("(initramfs)", SHELL),
    ("Entering emergency mode. Exit the shell to continue", SHELL),
    ("initramfs emergency recovery shell launched", SHELL),
];

/// The kernel's, behind the time.
const PANIC: &str = "Kernel panic - not syncing";

/// What is known for sure to be the end of a boot, by what is shown before or after a kernel runs.
pub(super) fn end(text: &str, has_kernel: bool) -> Option<&'static str> {
    if !has_kernel {
        return ENDS_BEFORE.iter().find(|(shown, _)| text.contains(shown)).map(|(_, means)| *means);
    }
    if text.contains(PANIC) {
        return Some("the kernel panicked");
    }
    let begins = |line: &str| {
        let line = line.trim_start();
        ENDS_AFTER.iter().find(|(shown, _)| line.starts_with(shown)).map(|(_, means)| *means)
    };
    text.lines().find_map(begins)
}

/// Whether the system asks who wants to log in.
pub(super) fn asks_for_login(text: &str) -> bool {
    text.lines().any(|line| line.trim_end().ends_with("login:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_lines_are_plain_and_escaped() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let console = Console::of(ours).unwrap();
        theirs.write_all(&vec![b'x'; 2 * KEPT]).unwrap();
        theirs
            .write_all(b"\n\x1b[0;32m  OK  \x1b[0m] Started\r\n\n  \nold\rnew\x07\n::error::x\n")
            .unwrap();
        drop(theirs);
        while console.bytes().last() != Some(&b'\n') || !console.bytes().ends_with(b"::x\n") {
            std::thread::yield_now();
        }
        assert!(console.bytes().len() <= KEPT);
        assert_eq!(console.last(3), ["  OK  ] Started", "new\\u{7}", ":\\u{3a}error::x"]);
        let long = &console.last(4)[0];
        assert_eq!(long.chars().count(), Hostile::SHOWN + 1);
    }

    #[test]
    fn vga_text_is_read() {
        let mut memory = vec![0; 32 << 10];
        for (place, byte) in b"No bootable device.".iter().enumerate() {
            memory[COLUMNS * 2 * 3 + place * 2] = *byte;
            memory[COLUMNS * 2 * 3 + place * 2 + 1] = 7;
        }
        let lines = screen_text(&memory);
        assert_eq!(lines, ["No bootable device."]);
        assert!(end(&lines[0], false).is_some());
        // What is left of it on the screen says nothing of a system that runs.
        assert_eq!(end(&lines[0], true), None);
        assert_eq!(end("debian login: ", true), None);
        assert_eq!(end("x\n(initramfs) ", true), Some(SHELL));
        assert_eq!(end("Welcome (initramfs)", true), None);
        assert!(end("[    1.2] Kernel panic - not syncing: VFS", true).is_some());
        assert!(asks_for_login("x\ndebian login: ") && !asks_for_login("login: please\n"));
    }
}
