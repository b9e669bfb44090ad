//! Whose request it is: the peer's address, or, when the peer is a trusted proxy, what the proxies say.
//! Their header is read from the right, because only its right end was written by somebody we trust.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use std::net::IpAddr;

/// The proxies whose word about the client counts; empty trusts nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<(IpAddr, u8)>);

impl TrustedProxies {
    /// Networks as address and prefix length.
    pub fn new(networks: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        Self(networks.into_iter().collect())
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, length)| {
            let differ = match (network, address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    (a.to_bits() ^ b.to_bits())
                        .checked_shr(32u32.saturating_sub((*length).into()))
                        // A shift by the whole width: everything is in the network.
                        .unwrap_or(0)
                        .into()
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits())
                    .checked_shr(128u32.saturating_sub((*length).into()))
                    .unwrap_or(0),
                _ => return false,
            };
            differ == 0u128
        })
    }
}

/// The address of the client, as far as anybody trusted says; `None` only where there is no peer (tests).
/// `X-Forwarded-For` counts before `Forwarded` (RFC 7239), which is read only in its absence.
pub fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let trusted = request.app_data::<Data<TrustedProxies>>();
    match trusted {
        Some(trusted) if trusted.contains(peer) => Some(behind(request.headers(), peer, trusted)),
        _ => Some(peer),
    }
}

fn behind(headers: &HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> IpAddr {
    let mut nearest = peer;
    // Whether the walk goes on to the next hop on the left.
    let mut walk = |hop: &str| {
        // What cannot be read was not written by a proxy of ours: the one before it is the client.
        let Some(address) = parse_node(hop) else {
            return false;
        };
        nearest = address;
        trusted.contains(address)
    };
    if headers.contains_key("x-forwarded-for") {
        from_the_right(headers, "x-forwarded-for").all(&mut walk);
    } else {
        from_the_right(headers, "forwarded")
            .all(|element| walk(forwarded_for(element).unwrap_or_default()));
    }
    nearest
}

/// The elements of all headers of this name, the last one first.
fn from_the_right<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .rev()
        .flat_map(|value| value.to_str().unwrap_or("?").rsplit(','))
        .map(str::trim)
}

fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"'))
    })
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn parse_node(text: &str) -> Option<IpAddr> {
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
    use super::*;
    use actix_web::test::TestRequest;

    fn seen(peer: &str, headers: &[(&str, &str)]) -> String {
        let trusted = TrustedProxies::new([
            ("10.0.0.0".parse().unwrap(), 8),
            ("fd00::".parse().unwrap(), 8),
            ("192.0.2.1".parse().unwrap(), 32),
        ]);
        let mut request = TestRequest::default()
            .peer_addr(format!("{peer}:4711").parse().unwrap())
            .app_data(Data::new(trusted));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        client_address(&request.to_http_request())
            .unwrap()
            .to_string()
    }

    #[test]
    fn strangers_are_not_believed() {
        assert_eq!(
            seen("203.0.113.9", &[("X-Forwarded-For", "198.51.100.1")]),
            "203.0.113.9"
        );
    }

    #[test]
    fn trusted_hops_are_walked_from_the_right() {
        let xff = |value| [("X-Forwarded-For", value)];
        assert_eq!(seen("10.1.1.1", &xff("198.51.100.7")), "198.51.100.7");
        assert_eq!(
            seen("10.1.1.1", &xff("1.1.1.1, 198.51.100.7, 192.0.2.1")),
            "198.51.100.7"
        );
        assert_eq!(seen("10.1.1.1", &xff("10.9.9.9, 10.2.2.2")), "10.9.9.9");
        assert_eq!(
            seen("10.1.1.1", &xff("1.1.1.1, junk, 10.2.2.2")),
            "10.2.2.2"
        );
        assert_eq!(seen("[fd00::1]", &xff("2001:db8::5")), "2001:db8::5");
        assert_eq!(
            seen("[::ffff:10.0.0.1]", &xff("[2001:db8::5]:443")),
            "2001:db8::5"
        );
        assert_eq!(
            seen(
                "10.1.1.1",
                &[
                    ("X-Forwarded-For", "1.1.1.1"),
                    ("X-Forwarded-For", "198.51.100.7")
                ]
            ),
            "198.51.100.7"
        );
    }

    #[test]
    fn forwarded_is_read_where_the_other_is_missing() {
        let header = r#"for=1.1.1.1, for="[2001:db8::9]:80";proto=https, For=10.3.3.3"#;
        assert_eq!(seen("10.1.1.1", &[("Forwarded", header)]), "2001:db8::9");
        assert_eq!(
            seen("10.1.1.1", &[("Forwarded", "for=_hidden")]),
            "10.1.1.1"
        );
    }

    #[test]
    fn a_zero_length_prefix_holds_everything_of_its_family() {
        let all = TrustedProxies::new([("0.0.0.0".parse().unwrap(), 0)]);
        assert!(all.contains("255.1.2.3".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
    }
}
