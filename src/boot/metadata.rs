//! What DigitalOcean tells a Droplet: the metadata service (DigitalOcean, Droplet Metadata API) and the config drive
//! (OpenStack, as cloud-init's documentation of the datasource ConfigDrive has it).

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::iso::{self, Node};
use super::network::{GUEST, NETMASK, ROUTER};

/// The label of the config drive, by which it is found.
const LABEL: &str = "config-2";
/// Bytes of vendor data. That of a Droplet has about 19 kB; with so many, a system that reads it reads more than one that only looks for labels.
pub(super) const VENDOR_DATA: usize = 1 << 20;

/// A Droplet that never was.
pub(super) struct Droplet {
    /// Its number.
    pub(super) id: u64,
    /// Its UUID, as SMBIOS has it.
    pub(super) uuid: String,
    /// Its name.
    pub(super) hostname: String,
    /// The hardware address of its network card.
    pub(super) mac: String,
    /// That of a second one, which leads out of this machine.
    pub(super) outside: Option<String>,
    /// The public key of its owner, as `authorized_keys` has it.
    pub(super) public_key: String,
}

/// Where it is.
const REGION: &str = "nyc3";

impl Droplet {
    /// The image of its config drive.
    pub(super) fn config_drive(&self) -> Vec<u8> {
        let meta_data = json!({
            "uuid": self.uuid,
            "name": self.hostname,
            "hostname": self.hostname,
            "availability_zone": REGION,
            "launch_index": 0,
            "public_keys": { "owner": self.public_key },
        });
        // Custom images get their address by DHCP (docs.digitalocean.com, Custom Images, Limits).
        let cards = || std::iter::once(&self.mac).chain(&self.outside).enumerate();
        let links = cards().map(|(number, mac)| {
            let id = format!("interface{number}");
            json!({ "id": id, "type": "phy", "ethernet_mac_address": mac, "mtu": 1500 })
        });
        let networks = cards().map(|(number, _)| {
            let (id, link) = (format!("network{number}"), format!("interface{number}"));
            json!({ "id": id, "type": "ipv4_dhcp", "link": link, "network_id": id })
        });
        let network_data = json!({
            "links": links.collect::<Vec<_>>(),
            "networks": networks.collect::<Vec<_>>(),
            "services": [],
        });
        let mut vendor_data = b"{}".to_vec();
        vendor_data.resize(VENDOR_DATA, b'\n');
        let text = |value: &Value| value.to_string().into_bytes();
        let latest = vec![
            Node::File("meta_data.json", text(&meta_data)),
            Node::File("network_data.json", text(&network_data)),
            Node::File("vendor_data.json", vendor_data),
        ];
        iso::image(LABEL, &[Node::Directory("openstack", vec![Node::Directory("latest", latest)])])
    }

    /// What the metadata service answers with.
    pub(super) fn metadata(&self) -> Metadata {
        let address = |address: Ipv4Addr| address.to_string();
        let interface = |ip: &str| {
            json!({
                "ipv4": { ip: address(GUEST), "netmask": address(NETMASK), "gateway": address(ROUTER) },
                "mac": self.mac,
                "type": "public",
            })
        };
        let dns = json!({ "nameservers": [address(ROUTER)] });
        let json = json!({
            "droplet_id": self.id,
            "hostname": self.hostname,
            "public_keys": [self.public_key],
            "region": REGION,
            "interfaces": { "public": [interface("ip_address")] },
            "dns": dns,
            "tags": [],
            "features": { "dhcp_enabled": true },
        });
        let tree = json!({
            "id": self.id.to_string(),
            "hostname": self.hostname,
            "user-data": "",
            "vendor-data": "",
            "public-keys": self.public_key,
            "region": REGION,
            "interfaces": { "public": { "0": interface("address") } },
            "dns": { "nameservers": address(ROUTER) },
            "tags": "",
            "features": { "dhcp_enabled": "true" },
        });
        Metadata { json, tree }
    }
}

/// What the metadata service answers with.
pub(super) struct Metadata {
    json: Value,
    tree: Value,
}

/// An answer to a request.
pub(super) struct Answer {
    /// The bytes of the response.
    pub(super) bytes: Vec<u8>,
    /// Whether there was something at that path.
    pub(super) given: bool,
}

impl Metadata {
    /// The response to a request, once its head is there; `full` if no more of it is taken.
    pub(super) fn http(&self, request: &[u8], full: bool) -> Option<Answer> {
        let end = request.windows(4).position(|four| four == b"\r\n\r\n");
        if end.is_none() {
            return full
                .then(|| response("431 Request Header Fields Too Large", "text/plain", "", true));
        }
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = std::str::from_utf8(line).unwrap_or_default();
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !matches!(method, "GET" | "HEAD") {
            return Some(response("405 Method Not Allowed", "text/plain", "", true));
        }
        let with_body = method == "GET";
        Some(match self.at(path) {
            Some((kind, body)) => {
                Answer { given: true, ..response("200 OK", kind, &body, with_body) }
            }
            None => response("404 Not Found", "text/plain", "not found", with_body),
        })
    }

    /// What there is at a path: its type, and the text.
    fn at(&self, path: &str) -> Option<(&'static str, String)> {
        let path = path.strip_prefix("/metadata/")?;
        if path == "v1.json" {
            return Some(("application/json", self.json.to_string()));
        }
        let mut at = &self.tree;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        if parts.next() != Some("v1") {
            return None;
        }
        for part in parts {
            at = at.as_object()?.get(part)?;
        }
        let text = match at {
            Value::Object(entries) => listing(entries),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(("text/plain; charset=utf-8", text))
    }
}

fn listing(entries: &Map<String, Value>) -> String {
    let line = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => format!("{name}/"),
        _ => name.clone(),
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn response(status: &str, kind: &str, body: &str, with_body: bool) -> Answer {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if with_body {
        bytes.push_str(body);
    }
    Answer { bytes: bytes.into_bytes(), given: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Droplet {
            id: 2_756_294,
            uuid: "u".into(),
            hostname: "web-1".into(),
            mac: "04:01:2a:0f:2a:01".into(),
            outside: None,
            public_key: "ssh-ed25519 AAAA owner".into(),
        }
        .metadata()
    }

    fn get(path: &str) -> (String, bool) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n");
        let answer = metadata().http(request.as_bytes(), false).unwrap();
        let text = String::from_utf8(answer.bytes).unwrap();
        (text.split_once("\r\n\r\n").unwrap().1.to_owned(), answer.given)
    }

    #[test]
    fn the_tree_is_that_of_a_droplet() {
        assert_eq!(get("/metadata/v1/hostname"), ("web-1".into(), true));
        assert_eq!(
            get("/metadata/v1/interfaces/public/0/ipv4/address"),
            ("203.0.113.10".into(), true)
        );
        assert_eq!(get("/metadata/v1/interfaces/public/"), ("0/".into(), true));
        assert_eq!(get("/metadata/v1/public-keys"), ("ssh-ed25519 AAAA owner".into(), true));
        let listed = get("/metadata/v1/").0;
        assert!(listed.contains("hostname\n") && listed.contains("interfaces/\n"), "{listed}");
        let whole: Value = serde_json::from_str(&get("/metadata/v1.json").0).unwrap();
        assert_eq!(whole["droplet_id"], 2_756_294);
        assert_eq!(whole["interfaces"]["public"][0]["ipv4"]["ip_address"], "203.0.113.10");
    }

    #[test]
    fn there_is_nothing_else() {
        for path in
            ["/", "/metadata/v2/hostname", "/metadata/v1/hostname/x", "/latest/meta-data/", ""]
        {
            assert_eq!(get(path), ("not found".into(), false), "{path}");
        }
    }

    #[test]
    fn a_request_is_waited_for_and_bounded() {
        let metadata = metadata();
        assert!(metadata.http(b"GET /metadata/v1.json HTTP/1.1\r\n", false).is_none());
        let status = |request: &[u8], full| {
            let answer = metadata.http(request, full).unwrap();
            assert!(!answer.given);
            String::from_utf8(answer.bytes).unwrap()[9..12].to_owned()
        };
        assert_eq!(status(&[b'x'; 100], true), "431");
        assert_eq!(status(b"PUT /metadata/v1.json HTTP/1.1\r\n\r\n", false), "405");
        assert_eq!(status(b"\xff\xff\r\n\r\n", false), "405");
    }
}
