//! A DHCP server (RFC 2131) for one guest, which always gets the same address.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use super::{GUEST, NETMASK, ROUTER, ROUTER_MAC};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Seconds that the lease is good for; no boot takes longer.
const LEASE: u32 = 86_400;

/// What is sent to the guest.
pub(super) struct Answer {
    /// An Ethernet frame.
    pub(super) frame: Vec<u8>,
    /// Whether it gives the guest its address.
    pub(super) leases: bool,
}

/// The answer to a frame; `None` if it is not for a DHCP server. It names a router and a name server if it `leads_on`.
pub(super) fn answer(frame: &[u8], leads_on: bool) -> Option<Answer> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != IpProtocol::Udp || ip.more_frags() || ip.frag_offset() != 0 {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    if (udp.src_port(), udp.dst_port()) != (CLIENT_PORT, SERVER_PORT) {
        return None;
    }
    let packet = DhcpPacket::new_checked(udp.payload()).ok()?;
    let asked = DhcpRepr::parse(&packet).ok()?;
    let message_type = match asked.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => {
            let wanted = asked.requested_ip.unwrap_or(asked.client_ip);
            let elsewhere = asked.server_identifier.is_some_and(|server| server != ROUTER);
            if elsewhere {
                return None;
            }
            if wanted == GUEST { DhcpMessageType::Ack } else { DhcpMessageType::Nak }
        }
        DhcpMessageType::Inform => DhcpMessageType::Ack,
        _ => return None,
    };
    let gives = message_type != DhcpMessageType::Nak;
    let informs = asked.message_type == DhcpMessageType::Inform;
    let reply = DhcpRepr {
        message_type,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: asked.client_hardware_address,
        client_ip: asked.client_ip,
        your_ip: if gives && !informs { GUEST } else { Ipv4Address::UNSPECIFIED },
        server_ip: ROUTER,
        router: (gives && leads_on).then_some(ROUTER),
        subnet_mask: gives.then_some(NETMASK),
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: asked.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(ROUTER),
        parameter_request_list: None,
        // The router answers no question, but at once.
        dns_servers: (gives && leads_on).then(|| [ROUTER].into_iter().collect()),
        max_size: None,
        lease_duration: (gives && !informs).then_some(LEASE),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    // RFC 2131, 4.1: to the address that it has, or to the one that it gets, unless it cannot take that yet.
    let to = match asked.client_ip {
        Ipv4Address::UNSPECIFIED if asked.broadcast || !gives => None,
        Ipv4Address::UNSPECIFIED => Some(GUEST),
        has => Some(has),
    };
    let frame = framed(&reply, to, asked.client_hardware_address)?;
    Some(Answer { frame, leases: message_type == DhcpMessageType::Ack && !informs })
}

/// A frame with a message, to an address of the client's, or to all.
fn framed(
    reply: &DhcpRepr<'_>,
    to: Option<Ipv4Address>,
    client: EthernetAddress,
) -> Option<Vec<u8>> {
    let checksums = ChecksumCapabilities::default();
    let (to, hardware) = match to {
        Some(to) => (to, client),
        None => (Ipv4Address::BROADCAST, EthernetAddress::BROADCAST),
    };
    let udp = UdpRepr { src_port: SERVER_PORT, dst_port: CLIENT_PORT };
    let length = reply.buffer_len();
    let ip = Ipv4Repr {
        src_addr: ROUTER,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + length,
        hop_limit: 64,
    };
    let size = EthernetFrame::<&[u8]>::buffer_len(ip.buffer_len() + ip.payload_len);
    let mut frame = vec![0; size];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_src_addr(ROUTER_MAC);
    ethernet.set_dst_addr(hardware);
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let mut written = Ok(());
    udp.emit(
        &mut datagram,
        &IpAddress::Ipv4(ROUTER),
        &IpAddress::Ipv4(to),
        length,
        |payload| written = reply.emit(&mut DhcpPacket::new_unchecked(payload)),
        &checksums,
    );
    written.ok()?;
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 9]);

    fn asked(message_type: DhcpMessageType, wanted: Option<Ipv4Address>, port: u16) -> Vec<u8> {
        let repr = DhcpRepr {
            message_type,
            transaction_id: 7,
            secs: 0,
            client_hardware_address: CLIENT,
            client_ip: Ipv4Address::UNSPECIFIED,
            your_ip: Ipv4Address::UNSPECIFIED,
            server_ip: Ipv4Address::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Address::UNSPECIFIED,
            broadcast: false,
            requested_ip: wanted,
            client_identifier: Some(CLIENT),
            server_identifier: None,
            parameter_request_list: Some(&[1, 3, 6]),
            dns_servers: None,
            max_size: Some(1500),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut frame = framed(&repr, None, CLIENT).unwrap();
        // The ports are those of a question.
        frame[34..38].copy_from_slice(&[0, 68, (port >> 8) as u8, port as u8]);
        frame
    }

    fn reply(answer: &Answer) -> (DhcpMessageType, Ipv4Address, Option<Ipv4Address>) {
        let frame = EthernetFrame::new_checked(&answer.frame).unwrap();
        assert_eq!(frame.dst_addr(), CLIENT);
        let ip = Ipv4Packet::new_checked(frame.payload()).unwrap();
        assert!(ip.verify_checksum());
        let udp = UdpPacket::new_checked(ip.payload()).unwrap();
        assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
        let packet = DhcpPacket::new_checked(udp.payload()).unwrap();
        let repr = DhcpRepr::parse(&packet).unwrap();
        assert_eq!(repr.transaction_id, 7);
        (repr.message_type, repr.your_ip, repr.router)
    }

    #[test]
    fn a_client_gets_its_address() {
        let offer = answer(&asked(DhcpMessageType::Discover, None, 67), true).unwrap();
        assert_eq!(reply(&offer), (DhcpMessageType::Offer, GUEST, Some(ROUTER)));
        assert!(!offer.leases);
        let ack = answer(&asked(DhcpMessageType::Request, Some(GUEST), 67), true).unwrap();
        assert_eq!(reply(&ack), (DhcpMessageType::Ack, GUEST, Some(ROUTER)));
        assert!(ack.leases);
        // Another card leads on.
        let ack = answer(&asked(DhcpMessageType::Request, Some(GUEST), 67), false).unwrap();
        assert_eq!(reply(&ack), (DhcpMessageType::Ack, GUEST, None));
    }

    #[test]
    fn nobody_keeps_the_address_of_another_network() {
        let other = Some(Ipv4Address::new(10, 0, 2, 15));
        let frame = answer(&asked(DhcpMessageType::Request, other, 67), true).unwrap().frame;
        let ethernet = EthernetFrame::new_checked(&frame).unwrap();
        assert_eq!(ethernet.dst_addr(), EthernetAddress::BROADCAST);
        let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
        let udp = UdpPacket::new_checked(ip.payload()).unwrap();
        let packet = DhcpPacket::new_checked(udp.payload()).unwrap();
        assert_eq!(DhcpRepr::parse(&packet).unwrap().message_type, DhcpMessageType::Nak);
    }

    #[test]
    fn other_frames_are_none_of_its_business() {
        assert!(answer(&asked(DhcpMessageType::Discover, None, 69), true).is_none());
        let whole = asked(DhcpMessageType::Discover, None, 67);
        for length in 0..whole.len() {
            // A frame that was cut is refused, or is whole as far as it counts; it is never a panic.
            let _ = answer(&whole[..length], true);
        }
        assert!(answer(&[0xff; 64], true).is_none());
    }
}
