//! Frames of the guest's network, as QEMU hands them over.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant as Moment;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::{Shared, dhcp, note};

/// Bytes of a frame, with the header of Ethernet.
const LARGEST_FRAME: usize = 1514;
/// Bytes of what QEMU may hand over as one frame (QEMU, `NET_BUFSIZE`).
const LARGEST_PIECE: usize = 4096 + 65536;
/// Frames that wait to be read, at most; further ones are lost, as on any network.
const WAITING: usize = 256;
/// Bytes that wait until QEMU takes them, at most.
const UNSENT: usize = 1 << 20;
/// Bytes that are read at once.
const AT_ONCE: usize = 64 << 10;

/// The socket to QEMU, and the frames on their way.
pub(super) struct Wire {
    stream: UnixStream,
    /// Whether leases name a router.
    leads_on: bool,
    /// What came and is no whole frame yet.
    came: Vec<u8>,
    frames: VecDeque<Vec<u8>>,
    unsent: VecDeque<u8>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream, leads_on: bool) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Wire {
            stream,
            leads_on,
            came: Vec::new(),
            frames: VecDeque::new(),
            unsent: VecDeque::new(),
        })
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) fn has_to_send(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Takes the frames that are there. Those about leases are answered at once.
    pub(super) fn exchange(&mut self, shared: &Shared) -> io::Result<()> {
        let mut buffer = [0; AT_ONCE];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.came.extend_from_slice(&buffer[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
        while let Some((length, rest)) = self.came.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > LARGEST_PIECE {
                return Err(ErrorKind::InvalidData.into());
            }
            let Some(frame) = rest.get(..length) else { break };
            let frame = frame.to_vec();
            self.came.drain(..4 + length);
            self.took(frame, shared);
        }
        Ok(())
    }

    fn took(&mut self, frame: Vec<u8>, shared: &Shared) {
        let now = Moment::now();
        note(shared, |seen| _ = seen.frame.get_or_insert(now));
        match dhcp::answer(&frame, self.leads_on) {
            Some(answer) => {
                note(shared, |seen| {
                    seen.asked.get_or_insert(now);
                    if answer.leases {
                        seen.lease.get_or_insert(now);
                    }
                });
                self.send(&answer.frame);
            }
            None if frame.len() <= LARGEST_FRAME && self.frames.len() < WAITING => {
                self.frames.push_back(frame);
            }
            None => {}
        }
    }

    fn send(&mut self, frame: &[u8]) {
        if self.unsent.len() + frame.len() > UNSENT {
            return;
        }
        // A frame has a few thousand bytes.
        self.unsent.extend((frame.len() as u32).to_be_bytes());
        self.unsent.extend(frame);
    }

    /// Sends what QEMU takes now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent.as_slices().0) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.frames.pop_front()?;
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        (self.unsent.len() < UNSENT).then_some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LARGEST_FRAME;
        capabilities
    }
}

/// A frame of the guest.
pub(super) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, work: F) -> R {
        work(&self.0)
    }
}

/// Room for a frame to the guest.
pub(super) struct Sending<'a>(&'a mut Wire);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, work: F) -> R {
        let mut frame = vec![0; length];
        let result = work(&mut frame);
        self.0.send(&frame);
        result
    }
}
