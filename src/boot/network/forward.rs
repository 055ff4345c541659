//! Connections to a loopback port, forwarded to the guest's port 22.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustix::event::PollFlags;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;

use super::GUEST;

/// Connections at once; one more is closed.
const MOST: usize = 16;
/// Bytes under way in each direction of a connection.
const BUFFER: usize = 64 << 10;
/// How long the guest may not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first of the ports that connections come from (RFC 6335, 6).
const FIRST_PORT: u16 = 49152;

/// The connections.
#[derive(Default)]
pub(super) struct Forwards {
    all: Vec<Forward>,
    made: u16,
}

struct Forward {
    client: TcpStream,
    guest: SocketHandle,
    /// What came from the guest and the client did not take yet.
    waiting: Vec<u8>,
    /// Whether the client says nothing more.
    client_ended: bool,
    /// Whether the client knows that the guest sends nothing more.
    guest_ended: bool,
    /// Whether it was ever connected.
    was_connected: bool,
    over: bool,
}

impl Forwards {
    /// Connects a client to the guest.
    pub(super) fn add(
        &mut self,
        client: TcpStream,
        interface: &mut Interface,
        sockets: &mut SocketSet<'_>,
    ) {
        if self.all.len() >= MOST || client.set_nonblocking(true).is_err() {
            return;
        }
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_timeout(Some(PATIENCE));
        socket.set_nagle_enabled(false);
        let port = FIRST_PORT + self.made % (u16::MAX - FIRST_PORT);
        self.made = self.made.wrapping_add(1);
        if socket.connect(interface.context(), (IpAddress::Ipv4(GUEST), 22), port).is_err() {
            return;
        }
        self.all.push(Forward {
            client,
            guest: sockets.add(socket),
            waiting: Vec::new(),
            client_ended: false,
            guest_ended: false,
            was_connected: false,
            over: false,
        });
    }

    /// The clients, and what is waited for of each.
    pub(super) fn wanted<'a>(
        &'a self,
        sockets: &'a SocketSet<'_>,
    ) -> impl Iterator<Item = (&'a TcpStream, PollFlags)> {
        self.all.iter().filter_map(|forward| {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::OUT, !forward.waiting.is_empty());
            let takes = sockets.get::<Socket<'_>>(forward.guest).can_send();
            wanted.set(PollFlags::IN, takes && !forward.client_ended);
            // One of which nothing is wanted would wake whoever waits when it is hung up.
            (!wanted.is_empty()).then_some((&forward.client, wanted))
        })
    }

    /// Moves what can be moved, and lets go of what has ended.
    pub(super) fn shovel(&mut self, sockets: &mut SocketSet<'_>) {
        for forward in &mut self.all {
            let socket = sockets.get_mut::<Socket<'_>>(forward.guest);
            if forward.shovel(socket).is_err() {
                socket.abort();
                forward.over = true;
            }
        }
        self.all.retain(|forward| {
            let closed = sockets.get::<Socket<'_>>(forward.guest).state() == State::Closed;
            let over = closed && (forward.over || forward.waiting.is_empty());
            if over {
                sockets.remove(forward.guest);
            }
            !over
        });
    }
}

impl Forward {
    fn shovel(&mut self, socket: &mut Socket<'_>) -> std::io::Result<()> {
        self.was_connected |= socket.may_send();
        while self.waiting.len() < BUFFER && socket.can_recv() {
            let room = BUFFER - self.waiting.len();
            let taken = socket.recv(|bytes| {
                let count = bytes.len().min(room);
                self.waiting.extend_from_slice(&bytes[..count]);
                (count, count)
            });
            if !matches!(taken, Ok(1..)) {
                break;
            }
        }
        while !self.waiting.is_empty() {
            match self.client.write(&self.waiting) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        while !self.client_ended && socket.can_send() {
            let mut failed = None;
            let sent = socket.send(|room| match self.client.read(room) {
                Ok(count) => (count, count),
                Err(error) => {
                    failed = Some(error);
                    (0, 0)
                }
            });
            match (failed, sent) {
                (Some(e), _) if e.kind() == ErrorKind::WouldBlock => break,
                (Some(e), _) if e.kind() == ErrorKind::Interrupted => {}
                (Some(e), _) => return Err(e),
                (None, Ok(1..)) => {}
                (None, _) => {
                    self.client_ended = true;
                    socket.close();
                }
            }
        }
        let connecting = matches!(socket.state(), State::SynSent | State::SynReceived);
        if !connecting && !socket.may_recv() && self.waiting.is_empty() && !self.guest_ended {
            self.guest_ended = true;
            if !self.was_connected {
                return Err(ErrorKind::ConnectionRefused.into());
            }
            // It may be gone.
            let _ = self.client.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}
