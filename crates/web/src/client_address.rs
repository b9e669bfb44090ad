//! Whose request it is: the peer's address, or, when the peer is a trusted proxy, what the proxies say.
//! Their header is read from the right, because only its right end was written by somebody we trust; and
//! only one header is, because a proxy that writes the one passes on whatever its client put into the other.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use ipnet::IpNet;
use std::net::IpAddr;

/// The header in which the proxies tell the client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl AddressHeader {
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::XForwardedFor, Self::Forwarded];
        all.into_iter().find(|it| it.as_str() == text)
    }

    /// Its name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The proxies whose word about the client counts, and where they write it; without networks nobody's does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: AddressHeader,
}

impl TrustedProxies {
    pub fn new(networks: impl IntoIterator<Item = IpNet>, header: AddressHeader) -> Self {
        Self {
            networks: networks.into_iter().collect(),
            header,
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|it| it.contains(&address))
    }
}

/// The address of the client, as far as anybody trusted says. `None` where a trusted proxy names one that
/// cannot be read: then nobody knows it, and the proxy's own would be taken for a client of its network. A
/// proxy that says nothing speaks for itself. Also `None` where there is no peer (tests).
pub fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let trusted = request.app_data::<Data<TrustedProxies>>();
    match trusted {
        Some(trusted) if trusted.contains(peer) => behind(request.headers(), peer, trusted),
        _ => Some(peer),
    }
}

fn behind(headers: &HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Option<IpAddr> {
    let mut nearest = peer;
    let lines = headers.get_all(trusted.header.as_str()).rev();
    for element in lines.flat_map(|line| FromTheRight::of(line.as_bytes())) {
        nearest = match trusted.header {
            AddressHeader::XForwardedFor => node(element),
            AddressHeader::Forwarded => forwarded_for(element).and_then(node),
        }?;
        if !trusted.contains(nearest) {
            break;
        }
    }
    Some(nearest)
}

/// The elements of a header's line that are parted by commas, the last one first. Commas within quotes part
/// nothing; and read from the right, whatever a client wrote on the left moves none of them.
struct FromTheRight<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> FromTheRight<'a> {
    fn of(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for FromTheRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let mut is_quoted = false;
        let comma = (0..line.len()).rev().find(|at| {
            match line[*at] {
                // The quote that ends a text is met first; within it, only those are escaped.
                b'"' => is_quoted = !is_quoted || is_escaped(&line[..*at]),
                b',' => return !is_quoted,
                _ => {}
            }
            false
        });
        self.rest = comma.map(|at| &line[..at]);
        Some(comma.map_or(line, |at| &line[at + 1..]).trim_ascii())
    }
}

/// Whether what follows is escaped: behind an odd number of backslashes.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|it| **it == b'\\').count() % 2 == 1
}

/// The node of `for`, which an element says once; quoted or not.
fn forwarded_for(element: &[u8]) -> Option<&[u8]> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let pairs = element.split(|byte| {
        let escapes = is_quoted && !is_escaped && *byte == b'\\';
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = escapes;
        *byte == b';' && !is_quoted
    });
    let mut nodes = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        name.eq_ignore_ascii_case(b"for").then_some(value)
    });
    let node = nodes.next().filter(|_| nodes.next().is_none())?;
    let quoted = node.strip_prefix(b"\"").map(|it| it.strip_suffix(b"\""));
    quoted.unwrap_or(Some(node))
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| {
            text.parse::<std::net::SocketAddr>()
                .ok()
                .map(|address| address.ip())
        })
        .or_else(|| {
            text.strip_prefix('[')?
                .strip_suffix(']')?
                .parse::<std::net::Ipv6Addr>()
                .ok()
                .map(IpAddr::V6)
        })?;
    Some(bare.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::AddressHeader::{Forwarded, XForwardedFor};
    use super::*;
    use actix_web::test::TestRequest;

    /// The address that is seen, or `-`.
    fn seen(header: AddressHeader, peer: &str, headers: &[(&str, &str)]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"];
        let networks = networks.map(|it| it.parse().unwrap());
        let mut request = TestRequest::default()
            .peer_addr(format!("{peer}:4711").parse().unwrap())
            .app_data(Data::new(TrustedProxies::new(networks, header)));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let seen = client_address(&request.to_http_request());
        seen.map_or_else(|| "-".to_owned(), |it| it.to_string())
    }

    fn x_forwarded_for(value: &str) -> String {
        seen(XForwardedFor, "10.1.1.1", &[("X-Forwarded-For", value)])
    }

    fn forwarded(value: &str) -> String {
        seen(Forwarded, "10.1.1.1", &[("Forwarded", value)])
    }

    #[test]
    fn strangers_are_not_believed() {
        for header in [XForwardedFor, Forwarded] {
            let sent = [
                ("X-Forwarded-For", "198.51.100.1"),
                ("Forwarded", "for=198.51.100.1"),
            ];
            assert_eq!(seen(header, "203.0.113.9", &sent), "203.0.113.9");
        }
    }

    #[test]
    fn trusted_hops_are_walked_from_the_right() {
        for (sent, expected) in [
            ("198.51.100.7", "198.51.100.7"),
            ("1.1.1.1, 198.51.100.7, 192.0.2.1", "198.51.100.7"),
            ("10.9.9.9, 10.2.2.2", "10.9.9.9"),
            ("1.1.1.1,198.51.100.7:4711 ", "198.51.100.7"),
            // What a client wrote is not even looked at.
            ("junk\", \", 198.51.100.7", "198.51.100.7"),
            ("junk é, 198.51.100.7", "198.51.100.7"),
        ] {
            assert_eq!(x_forwarded_for(sent), expected, "{sent}");
        }
        let sent = |value| [("X-Forwarded-For", value)];
        assert_eq!(
            seen(XForwardedFor, "[fd00::1]", &sent("2001:db8::5")),
            "2001:db8::5"
        );
        assert_eq!(
            seen(
                XForwardedFor,
                "[::ffff:10.0.0.1]",
                &sent("[2001:db8::5]:443")
            ),
            "2001:db8::5"
        );
        let lines = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-For", "198.51.100.7"),
        ];
        assert_eq!(seen(XForwardedFor, "10.1.1.1", &lines), "198.51.100.7");
    }

    #[test]
    fn only_the_header_that_the_proxies_write_is_read() {
        let both = [
            ("X-Forwarded-For", "198.51.100.1"),
            ("Forwarded", "for=203.0.113.9"),
        ];
        assert_eq!(seen(XForwardedFor, "10.1.1.1", &both), "198.51.100.1");
        assert_eq!(seen(Forwarded, "10.1.1.1", &both), "203.0.113.9");
        // Without it the proxy asks for itself, whatever the other one says.
        assert_eq!(seen(XForwardedFor, "10.1.1.1", &both[1..]), "10.1.1.1");
        assert_eq!(seen(Forwarded, "10.1.1.1", &both[..1]), "10.1.1.1");
    }

    #[test]
    fn an_address_that_cannot_be_read_is_nobodys() {
        for hidden in [
            "for=_hidden",
            "for=unknown",
            "for=\"unix:/run/proxy\"",
            "for=\"unix:\"",
            "for=",
            "for=\"",
            "for=\"203.0.113.9",
            "for=203.0.113.9;for=198.51.100.1",
            "by=203.0.113.9;proto=https",
            "203.0.113.9",
            "",
            "for=203.0.113.9,",
            "for=203.0.113.9, for=unknown",
            "for=203.0.113.9, for=_obfuscated, for=10.2.2.2",
        ] {
            assert_eq!(forwarded(hidden), "-", "{hidden}");
        }
        for hidden in [
            "unknown",
            "unix:",
            "",
            "1.1.1.1,",
            "1.1.1.1, junk",
            "1.1.1.1, junk, 10.2.2.2",
            "1.1.1.1, é",
        ] {
            assert_eq!(x_forwarded_for(hidden), "-", "{hidden}");
        }
    }

    #[test]
    fn quotes_are_read_as_the_proxy_wrote_them() {
        for (sent, expected) in [
            (
                r#"for=1.1.1.1, for="[2001:db8::9]:80";proto=https, For=10.3.3.3"#,
                "2001:db8::9",
            ),
            ("for = 203.0.113.9 ; proto=http", "203.0.113.9"),
            // A host that the client chose says no other address.
            (
                r#"for=203.0.113.9;host="a, for=198.51.100.1""#,
                "203.0.113.9",
            ),
            (
                r#"for=203.0.113.9;host="a;for=198.51.100.1;b=c""#,
                "203.0.113.9",
            ),
            (
                r#"host="\", for=198.51.100.1;b=\"";for=203.0.113.9"#,
                "203.0.113.9",
            ),
            (
                r#"host="\\";for=203.0.113.9;by="\";for=198.51.100.1""#,
                "203.0.113.9",
            ),
            // Nor does a quote that the client left open.
            (r#"for=198.51.100.1;a=", for=203.0.113.9"#, "203.0.113.9"),
            (
                r#"for=198.51.100.1;a=", for=203.0.113.9;host="a""#,
                "203.0.113.9",
            ),
            (r#"for=198.51.100.1;a="\, for=203.0.113.9"#, "203.0.113.9"),
        ] {
            assert_eq!(forwarded(sent), expected, "{sent}");
        }
    }

    #[test]
    fn a_zero_length_prefix_holds_everything_of_its_family() {
        let all = TrustedProxies::new(["0.0.0.0/0".parse().unwrap()], XForwardedFor);
        assert!(all.contains("255.1.2.3".parse().unwrap()));
        assert!(all.contains("::ffff:255.1.2.3".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn header_names_are_read_as_written() {
        for header in [XForwardedFor, Forwarded] {
            assert_eq!(AddressHeader::parse(header.as_str()), Some(header));
        }
        assert_eq!(AddressHeader::parse("X-Real-Ip"), None);
    }
}
