//! Which addresses can be reached from anywhere, and a resolver that gives no others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether an address can be reached from anywhere, by IANA's registries of special-purpose addresses (RFC 6890 and
/// its updates). An IPv6 address that carries an IPv4 address is judged by what it carries.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match carried(v6) {
            Some(carried) => carried.into_iter().all(is_public_v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, d] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (b == 18 || b == 19);
    // Of the IETF's own block, two anycast addresses are for everybody (RFC 7723, RFC 8155).
    let protocols = (a, b, c) == (192, 0, 0) && d != 9 && d != 10;
    // The relays of 6to4 that RFC 7526 took out of use.
    let relays = (a, b, c) == (192, 88, 99);
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || a == 0
        || a >= 240
        || shared
        || benchmarks
        || protocols
        || relays)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [first, second, ..] = v6.segments();
    // Everything that was given out lies in 2000::/3 (RFC 4291, 2.4).
    let global = first & 0xe000 == 0x2000;
    let documentation = first == 0x2001 && second == 0xdb8 || first == 0x3fff && second < 0x1000;
    // Benchmarks (RFC 5180), and the first ORCHIDs, which were given back (RFC 4843).
    let special = first == 0x2001 && (second == 2 || second & 0xfff0 == 0x10);
    global && !documentation && !special
}

/// The IPv4 addresses that an IPv6 address stands for.
fn carried(v6: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    let last = v4(s[6], s[7]);
    match s {
        // Compatible (with `::` and `::1`, which come out as what they are), mapped, and translated (RFC 4291, RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(vec![last]),
        // NAT64 (RFC 6052); its prefix for networks of one's own, 64:ff9b:1::/48, is not global.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(vec![last]),
        // 6to4 (RFC 3056).
        [0x2002, ..] => Some(vec![v4(s[1], s[2])]),
        // Teredo: the server, and the client with its bits inverted (RFC 4380).
        [0x2001, 0, ..] => Some(vec![v4(s[2], s[3]), v4(!s[6], !s[7])]),
        _ => None,
    }
}

/// An address as URLs write it: with brackets, an IPv6 address that begins with `::` begins no command of a CI system,
/// and [`Hostile`](crate::bytes::Hostile) leaves it as it is.
#[must_use]
pub fn as_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// No address that may be asked.
#[derive(Debug)]
pub(super) struct NotPublic(pub(super) IpAddr);

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot be reached from outside, and only public addresses may be asked",
            as_host(self.0)
        )
    }
}

impl std::error::Error for NotPublic {}

/// Resolves names to public addresses only: what it gives is what is connected to, so a name that resolves otherwise
/// a moment later gains nothing.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (public, others): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|address| is_public(address.ip()));
            match others.first() {
                Some(other) if public.is_empty() => Err(NotPublic(other.ip()).into()),
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_private_addresses() {
        for public in [
            "1.1.1.1",
            "172.15.0.1",
            "100.128.0.1",
            "192.0.0.9",
            "192.0.1.1",
            "2606:4700::1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            // A Teredo client at 8.8.4.4 with its server at 8.8.8.8.
            "2001:0:808:808:0:0:f7f7:fbfb",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "::127.0.0.1",
            "::10.0.0.1",
            "fe80::1",
            "fec0::1",
            "fd00::1",
            "ff02::1",
            "100::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "2001:db8::1",
            "3fff::1",
            "2001:2::1",
            "2001:10::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            // Teredo: a client at 127.0.0.1, and a server at 10.0.0.1.
            "2001:0:808:808:0:0:80ff:fffe",
            "2001:0:a00:1:0:0:f7f7:fbfb",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
