//! The one image in an archive.

use super::super::elsewhere::is_named_image;
use super::layers::{Failure, Input, Pull};
use super::{HEAD, Take, is_image, preview};
use crate::bytes::Hostile;
use crate::codec::Packing;
use crate::codec::{Damage, Tar, TarItem, TarMember, sniff};
use crate::facts::{Code, Compression};

/// Members that are named where none is an image.
const MOST_NAMED: usize = 5;

/// A member of which nothing is known is a raw image from this size on. Less than any disk with a
/// system, and more than what lies beside one, such as the settings of a machine's firmware.
const SMALLEST_IMAGE: u64 = 1 << 20;

/// Endings that are given to raw images.
const ENDINGS: [&str; 7] = [".img", ".raw", ".dd", ".qcow2", ".vmdk", ".vdi", ".vhdx"];

/// Delivers the image in an archive, and makes sure that it is the only one.
pub(super) struct Members<'a> {
    inner: Box<dyn Pull + 'a>,
    input: Input,
    tar: Tar,
    level: usize,
    most: u64,
    /// Whether what is not looked into may be an image.
    glances: bool,
    at: u64,
    state: State,
    /// Zero bytes of the current member that are to be given out before its data goes on.
    hole: u64,
    chosen: Option<Hostile>,
    /// Members that are no images: the first of them, and how many.
    others: Vec<Hostile>,
    count: u64,
}

enum State {
    /// Between members, or in one that is no image.
    Passing,
    /// In a member of which the beginning is collected.
    Looking { member: TarMember, head: Vec<u8> },
    /// In the image; its beginning goes out first.
    Inside { head: Vec<u8>, done: usize },
}

impl<'a> Members<'a> {
    /// The image may have at most `most` bytes. Who `glances` takes what is not looked into for one, unless it is too small.
    pub(super) fn new(inner: Box<dyn Pull + 'a>, level: usize, most: u64, glances: bool) -> Self {
        Members {
            inner,
            input: Input::default(),
            tar: Tar::default(),
            level,
            most,
            glances,
            at: 0,
            state: State::Passing,
            hole: 0,
            chosen: None,
            others: Vec::new(),
            count: 0,
        }
    }

    /// Reads up to the image; its name.
    pub(super) fn open(&mut self) -> Result<Hostile, Failure> {
        while self.chosen.is_none() && self.step(&mut [])?.is_some() {}
        match &self.chosen {
            Some(name) => Ok(name.clone()),
            None => Err(self.none()),
        }
    }

    fn fail(&self, code: Code, said: String) -> Failure {
        Failure::Wrapping { level: self.level, damage: Damage { code, offset: self.at, said } }
    }

    fn none(&self) -> Failure {
        let named: Vec<String> = self.others.iter().map(|name| format!("\"{name}\"")).collect();
        let more = self.count - self.others.len() as u64;
        let said = match (named.as_slice(), more) {
            ([], _) => "The archive has no files.".to_owned(),
            (names, 0) => format!("None of the archive's files is an image: {}.", names.join(", ")),
            (names, more) => format!(
                "None of the archive's files is an image: {} and {more} more.",
                names.join(", ")
            ),
        };
        self.fail(Code::TarNoImage, said)
    }

    /// Does one thing; bytes of the image that were written, `None` at the archive's end.
    fn step(&mut self, buf: &mut [u8]) -> Result<Option<usize>, Failure> {
        if let State::Inside { head, done } = &mut self.state
            && *done < head.len()
        {
            let count = (head.len() - *done).min(buf.len());
            buf[..count].copy_from_slice(&head[*done..*done + count]);
            *done += count;
            return Ok(Some(count));
        }
        if self.hole > 0 {
            return self.pass_hole(buf).map(Some);
        }
        let more = self.input.refill(&mut *self.inner)?;
        // No more than can be put away.
        let room = match &self.state {
            State::Passing => usize::MAX,
            State::Looking { head, .. } => HEAD - head.len(),
            State::Inside { .. } => buf.len(),
        };
        let bytes = self.input.bytes();
        let bytes = &bytes[..bytes.len().min(room)];
        let mut rest = bytes;
        let level = self.level;
        let item =
            self.tar.next(&mut rest).map_err(|damage| Failure::Wrapping { level, damage })?;
        let taken = bytes.len() - rest.len();
        let mut made = 0;
        let mut decide = false;
        match (item, &mut self.state) {
            (TarItem::Nothing, _) => {
                if !more {
                    self.tar.finish().map_err(|damage| Failure::Wrapping { level, damage })?;
                    return Ok(None);
                }
            }
            (TarItem::File(member), state) => {
                *state = State::Looking { member, head: Vec::new() };
            }
            (TarItem::Data(data), State::Looking { head, .. }) => {
                head.extend_from_slice(data);
                decide = head.len() == HEAD;
            }
            (TarItem::Data(data), State::Inside { .. }) => {
                buf[..data.len()].copy_from_slice(data);
                made = data.len();
            }
            (TarItem::Hole(len), _) => self.hole = len,
            (TarItem::Data(_), State::Passing) => {}
            (TarItem::FileEnd, State::Looking { .. }) => decide = true,
            (TarItem::FileEnd, state) => *state = State::Passing,
        }
        self.input.take(taken);
        self.at += taken as u64;
        if decide {
            self.decide()?;
        }
        Ok(Some(made))
    }

    /// Takes a part of a hole; bytes of the image that were written.
    fn pass_hole(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        match &mut self.state {
            State::Passing => self.hole = 0,
            State::Looking { head, .. } => {
                let count = self.hole.min((HEAD - head.len()) as u64);
                // No more than the beginning.
                head.resize(head.len() + count as usize, 0);
                self.hole -= count;
                if head.len() == HEAD {
                    self.decide()?;
                }
            }
            State::Inside { .. } => {
                let count = self.hole.min(buf.len() as u64);
                self.hole -= count;
                buf[..count as usize].fill(0);
                return Ok(count as usize);
            }
        }
        Ok(0)
    }

    /// Whether the member of which the beginning was collected is the image.
    fn decide(&mut self) -> Result<(), Failure> {
        let state = std::mem::replace(&mut self.state, State::Passing);
        let State::Looking { member, head } = state else { return Ok(()) };
        let may_be = self.glances && may_hold_image(&member, &head);
        if !may_be && !looks_like_image(&member, &head) {
            self.count += 1;
            if self.others.len() < MOST_NAMED {
                self.others.push(member.name);
            }
            return Ok(());
        }
        if let Some(first) = &self.chosen {
            let said = format!(
                "The archive holds more than one image: \"{first}\" and \"{}\".",
                member.name
            );
            return Err(self.fail(Code::TarSeveralImages, said));
        }
        if member.size > self.most {
            let (name, size) = (&member.name, member.size);
            let said = format!(
                "The archive's member {name} has {size} bytes, and no image may be as large."
            );
            return Err(self.fail(Code::FileTooLarge, said));
        }
        self.chosen = Some(member.name);
        self.state = State::Inside { head, done: 0 };
        Ok(())
    }
}

impl Pull for Members<'_> {
    fn pull(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match self.step(buf)? {
                Some(0) => {}
                Some(count) => return Ok(count),
                None => return Ok(0),
            }
        }
    }
}

/// Whether a member is an image by its content; its name and size count only if that says nothing.
fn looks_like_image(member: &TarMember, head: &[u8]) -> bool {
    if let Some(known) = is_image(head) {
        return known;
    }
    match Take::possible(head) {
        // An archive in an archive is not looked into.
        Some(Take::Tar) => return false,
        Some(_) => {
            let inner = preview(head);
            // Too little may be there to see what is in it.
            return inner.is_empty() || is_image(&inner).unwrap_or(true);
        }
        None if sniff(head) != Packing::Plain => return false,
        None => {}
    }
    // Notes that macOS puts into archives, under the name of the file.
    let is_note = head.starts_with(b"\0\x05\x16\x07");
    let name = member.name.to_string().to_ascii_lowercase();
    !is_note
        && (member.size >= SMALLEST_IMAGE || ENDINGS.iter().any(|ending| name.ends_with(ending)))
}

/// Whether a member is an archive that is not looked into, other than a package, and large enough for an image to be in it, or called
/// as one.
fn may_hold_image(member: &TarMember, head: &[u8]) -> bool {
    let Packing::Foreign(kind, _) = sniff(head) else { return false };
    let looked_into = matches!(kind, Compression::Xz | Compression::Zstd);
    let package = matches!(kind, Compression::Rpm | Compression::Ar);
    let named = is_named_image(member.name.to_string().as_bytes());
    !looked_into && !package && (named || member.size >= SMALLEST_IMAGE)
}
