//! The network that a machine is on: this program alone is the rest of it. It answers ARP, leases an address, serves the
//! metadata, and forwards connections to a loopback port of this machine to the guest's port 22. Nothing goes any farther.
//!
//! One thread does it all, so that nothing waits for anything: frames come from QEMU by a Unix socket, each with its length in
//! four bytes, big-endian (QEMU, `net/stream.c`).

mod dhcp;
mod forward;
#[cfg(test)]
mod tests;
mod web;
mod wire;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use self::forward::Forwards;
use self::web::Web;
use self::wire::Wire;
use super::metadata::Metadata;

/// The other end of the guest's network, a router and DHCP server. The addresses are those for documentation (RFC 5737).
pub(super) const ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// What the guest is leased.
pub(super) const GUEST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// Bits of the network's part of an address.
pub(super) const PREFIX: u8 = 24;
/// The same as a mask.
pub(super) const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
/// Where metadata are served (DigitalOcean, Droplet Metadata API).
pub(super) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The hardware address of the router, one that nobody was given.
const ROUTER_MAC: EthernetAddress = EthernetAddress([0x02, 0x54, 0x47, 0, 0, 1]);
/// How long the thread sleeps at most before it looks for work.
const PAUSE: Duration = Duration::from_millis(100);

/// What the guest was seen to do on its network.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// When it said anything at all.
    pub(super) frame: Option<Instant>,
    /// When it asked for an address.
    pub(super) asked: Option<Instant>,
    /// When it took the address that it was offered.
    pub(super) lease: Option<Instant>,
    /// When it got metadata.
    pub(super) metadata: Option<Instant>,
}

/// What the network's thread reports.
type Shared = Arc<Mutex<Seen>>;

fn note(shared: &Shared, note: impl FnOnce(&mut Seen)) {
    note(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The network of a machine, until its QEMU ends.
pub(super) struct Network {
    seen: Shared,
    port: u16,
    _thread: JoinHandle<()>,
}

impl Network {
    /// Is the rest of the network of the guest whose frames come by this socket.
    /// It says that it leads to others, unless another card does.
    pub(super) fn start(
        frames: UnixStream,
        metadata: Metadata,
        leads_on: bool,
    ) -> io::Result<Network> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let wire = Wire::new(frames, leads_on)?;
        let seen = Shared::default();
        let shared = Arc::clone(&seen);
        let thread = std::thread::Builder::new().name("network".into());
        let _thread = thread.spawn(move || run(wire, &listener, metadata, &shared))?;
        Ok(Network { seen, port, _thread })
    }

    /// The port of 127.0.0.1 that leads to the guest's port 22.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn run(mut wire: Wire, listener: &TcpListener, metadata: Metadata, shared: &Shared) {
    let begin = Instant::now();
    let now = || {
        let millis = i64::try_from(begin.elapsed().as_millis()).unwrap_or(i64::MAX);
        smoltcp::time::Instant::from_millis(millis)
    };
    let mut interface =
        Interface::new(Config::new(HardwareAddress::Ethernet(ROUTER_MAC)), &mut wire, now());
    interface.update_ip_addrs(|addresses| {
        for (address, prefix) in [(ROUTER, PREFIX), (METADATA, 16)] {
            // There is room for two.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(address), prefix));
        }
    });
    let mut sockets = SocketSet::new(Vec::new());
    let mut web = Web::new(&mut sockets, metadata);
    let mut forwards = Forwards::default();
    loop {
        let delay = interface.poll_delay(now(), &sockets).map_or(PAUSE, |delay| delay.into());
        if wait(&wire, listener, &forwards, &sockets, delay.min(PAUSE)).is_err() {
            return;
        }
        match wire.exchange(shared) {
            Ok(()) => {}
            Err(_) => return,
        }
        if let Ok((client, _)) = listener.accept() {
            forwards.add(client, &mut interface, &mut sockets);
        }
        interface.poll(now(), &mut wire, &mut sockets);
        web.serve(&mut sockets, shared);
        forwards.shovel(&mut sockets);
        interface.poll(now(), &mut wire, &mut sockets);
        if wire.flush().is_err() {
            return;
        }
    }
}

/// Waits until something can be done, but no longer than this.
fn wait(
    wire: &Wire,
    listener: &TcpListener,
    forwards: &Forwards,
    sockets: &SocketSet<'_>,
    most: Duration,
) -> io::Result<()> {
    let wanted = if wire.has_to_send() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut fds = vec![PollFd::new(wire.stream(), wanted), PollFd::new(listener, PollFlags::IN)];
    for (client, wanted) in forwards.wanted(sockets) {
        fds.push(PollFd::new(client, wanted));
    }
    let most = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
    match poll(&mut fds, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
