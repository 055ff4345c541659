//! The metadata service, on port 80 of its address: as much of HTTP/1.1 (RFC 9112) as its clients speak.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpListenEndpoint};

use super::{METADATA, Shared, note};
use crate::boot::metadata::Metadata;

/// Connections at once.
const MOST: usize = 8;
/// Bytes of a request's head, at most.
const HEAD: usize = 8 << 10;
/// Bytes under way in each direction of a connection.
const BUFFER: usize = 16 << 10;
/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service.
pub(super) struct Web {
    metadata: Metadata,
    all: Vec<Connection>,
}

struct Connection {
    handle: SocketHandle,
    head: Vec<u8>,
    /// What is left of the answer, once there is one.
    answer: Option<Vec<u8>>,
}

impl Web {
    pub(super) fn new(sockets: &mut SocketSet<'_>, metadata: Metadata) -> Self {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let all = (0..MOST).map(|_| {
            let handle = sockets.add(Socket::new(buffer(), buffer()));
            Connection { handle, head: Vec::new(), answer: None }
        });
        Web { metadata, all: all.collect() }
    }

    /// Takes connections and requests, and answers.
    pub(super) fn serve(&mut self, sockets: &mut SocketSet<'_>, shared: &Shared) {
        for connection in &mut self.all {
            let socket = sockets.get_mut::<Socket<'_>>(connection.handle);
            if socket.state() == State::Closed {
                (connection.head, connection.answer) = (Vec::new(), None);
                socket.set_timeout(Some(PATIENCE));
                let addr = Some(IpAddress::Ipv4(METADATA));
                // It fails for port 0 and for a socket that is open, and this is neither.
                let _ = socket.listen(IpListenEndpoint { addr, port: 80 });
                continue;
            }
            while socket.can_recv() && connection.answer.is_none() {
                let room = HEAD - connection.head.len();
                let taken = socket.recv(|bytes| {
                    let count = bytes.len().min(room);
                    connection.head.extend_from_slice(&bytes[..count]);
                    (count, count)
                });
                if taken.is_err() {
                    break;
                }
                connection.answer = self
                    .metadata
                    .http(&connection.head, connection.head.len() == HEAD)
                    .map(|answer| {
                        if answer.given {
                            note(shared, |seen| {
                                _ = seen.metadata.get_or_insert_with(std::time::Instant::now)
                            });
                        }
                        answer.bytes
                    });
            }
            if let Some(left) = &mut connection.answer {
                if let Ok(sent) = socket.send_slice(left) {
                    left.drain(..sent);
                }
                if left.is_empty() {
                    socket.close();
                }
            } else if !socket.may_recv()
                && !socket.is_listening()
                && socket.state() != State::SynReceived
            {
                socket.close();
            }
        }
    }
}
