//! The network with a guest that is a TCP/IP stack in this process.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Address};

use super::wire::Wire;
use super::*;
use crate::boot::metadata::Droplet;

const GUEST_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 9]);

struct Guest {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    begin: Instant,
}

impl Guest {
    fn new(stream: UnixStream) -> Self {
        let mut wire = Wire::new(stream, true).unwrap();
        let zero = smoltcp::time::Instant::ZERO;
        let config = Config::new(HardwareAddress::Ethernet(GUEST_MAC));
        let mut interface = Interface::new(config, &mut wire, zero);
        interface.update_ip_addrs(|all| {
            all.push(IpCidr::new(IpAddress::Ipv4(GUEST), PREFIX)).unwrap();
        });
        interface.routes_mut().add_default_ipv4_route(ROUTER).unwrap();
        let sockets = SocketSet::new(Vec::new());
        Guest { wire, interface, sockets, begin: Instant::now() }
    }

    fn socket(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 4096]);
        self.sockets.add(Socket::new(buffer(), buffer()))
    }

    fn get(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    fn connect(&mut self, to: Ipv4Address, port: u16) -> SocketHandle {
        let handle = self.socket();
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        socket.connect(self.interface.context(), (IpAddress::Ipv4(to), port), 50_000).unwrap();
        handle
    }

    /// Lets a moment pass.
    fn pass(&mut self) {
        let millis = i64::try_from(self.begin.elapsed().as_millis()).unwrap();
        let now = smoltcp::time::Instant::from_millis(millis);
        self.wire.exchange(&Shared::default()).unwrap();
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        self.wire.flush().unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert!(self.begin.elapsed() < Duration::from_secs(60), "nothing happens any more");
    }
}

fn network() -> (Network, Guest) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let droplet = Droplet {
        id: 7,
        uuid: "u".into(),
        hostname: "web-1".into(),
        mac: GUEST_MAC.to_string(),
        outside: None,
        public_key: "ssh-ed25519 AAAA owner".into(),
    };
    (Network::start(ours, droplet.metadata(), true).unwrap(), Guest::new(theirs))
}

#[test]
fn the_guest_reads_its_metadata() {
    let (network, mut guest) = network();
    assert!(network.seen().metadata.is_none());
    // More than can be served at once, one after the other.
    for _ in 0..20 {
        let handle = guest.connect(METADATA, 80);
        while !guest.get(handle).can_send() {
            guest.pass();
        }
        guest.get(handle).send_slice(b"GET /metadata/v1/hostname HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while guest.get(handle).may_recv() || guest.get(handle).can_recv() {
            guest.pass();
            let _ = guest.get(handle).recv(|bytes| {
                answer.extend_from_slice(bytes);
                (bytes.len(), ())
            });
        }
        guest.get(handle).close();
        let text = String::from_utf8(answer).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nweb-1"),
            "{text}"
        );
        guest.get(handle).abort();
        guest.pass();
        guest.sockets.remove(handle);
    }
    assert!(network.seen().metadata.is_some());
}

#[test]
fn nothing_else_answers() {
    let (network, mut guest) = network();
    for (to, port) in [(METADATA, 81), (ROUTER, 22), (Ipv4Address::new(127, 0, 0, 1), 80)] {
        let handle = guest.connect(to, port);
        let begin = Instant::now();
        while guest.get(handle).state() == State::SynSent && begin.elapsed().as_millis() < 300 {
            guest.pass();
        }
        assert!(!guest.get(handle).may_send(), "{to}:{port}");
        guest.get(handle).abort();
    }
    assert!(network.seen().metadata.is_none());
}

#[test]
fn a_loopback_port_leads_to_port_22() {
    let (network, mut guest) = network();
    let refused = TcpStream::connect(("127.0.0.1", network.port())).unwrap();
    let (told, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let port = network.port();
    let client = {
        let (told, done) = (Arc::clone(&told), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // Nobody listens there yet.
            let _ = { &refused }.take(100).read_to_end(&mut text);
            assert_eq!(text, b"");
            told.store(true, Ordering::Release);
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            { &stream }.take(10_000).read_to_end(&mut text).unwrap();
            done.store(true, Ordering::Release);
            text
        })
    };
    while !told.load(Ordering::Acquire) {
        guest.pass();
    }
    let handle = guest.socket();
    guest.get(handle).listen(22).unwrap();
    let mut left = 5000;
    while !done.load(Ordering::Acquire) {
        guest.pass();
        let socket = guest.get(handle);
        while left > 0 && socket.can_send() {
            left -= socket.send_slice(&vec![b'x'; left]).unwrap();
            if left == 0 {
                socket.close();
            }
        }
    }
    assert_eq!(client.join().unwrap(), vec![b'x'; 5000]);
}
