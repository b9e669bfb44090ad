//! `[http]`: where the API and the console listen, and how they are reached from outside.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use symbolon_web::AddressHeader;

use super::reader::{Parsed, Reader};
use super::values::{UrlParts, parse_network};

#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    pub bind: SocketAddr,
    /// Where metrics and the details of the node go; the worker role's health too.
    pub admin_bind: Option<SocketAddr>,
    /// As configured; see [`Http::public_url_at`].
    pub public_url: Option<String>,
    pub behind_tls_proxy: bool,
    /// Whose word about the client's address is believed, read from the right.
    pub trusted_proxies: Vec<IpNet>,
    /// Where they write it.
    pub client_address: AddressHeader,
    pub max_connections: usize,
    /// Until a request's head and body have been read.
    pub read_timeout: Duration,
    pub keep_alive: Duration,
    /// 0 = one for each core.
    pub workers: usize,
}

impl Http {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let http = Self {
            bind: reader.text("http.bind", address),
            admin_bind: reader.optional("http.admin_bind", address),
            public_url: reader.optional("http.public_url", public_url),
            behind_tls_proxy: reader.boolean("http.behind_tls_proxy"),
            trusted_proxies: reader.list("http.trusted_proxies", |item| {
                parse_network(item).ok_or_else(|| {
                    "addresses and networks without host bits, such as 10.0.0.0/8".to_owned()
                })
            }),
            client_address: reader.text("http.client_address", |text| {
                AddressHeader::parse(text).ok_or_else(|| "x-forwarded-for or forwarded".to_owned())
            }),
            max_connections: reader.integer("http.max_connections", 1..=1_000_000),
            read_timeout: reader.duration("http.read_timeout", "100ms", "10m"),
            keep_alive: reader.duration("http.keep_alive", "1s", "1h"),
            workers: reader.integer("http.workers", 0..=1024),
        };
        if !http.bind.ip().is_loopback() && !http.behind_tls_proxy {
            reader.refuse(
                "http.bind",
                "an address of this machine's loopback, or any with http.behind_tls_proxy = true, \
                 which says that a proxy in front ends TLS",
            );
        }
        if http.admin_bind == Some(http.bind) && http.bind.port() != 0 {
            reader.refuse(
                "http.admin_bind",
                "an address and port other than those of http.bind",
            );
        }
        match &http.public_url {
            Some(url) => {
                let url = url.clone();
                reader.normalized("http.public_url", url);
            }
            None => {
                let url = http.public_url_at(http.bind);
                reader.derived("http.public_url", url, "http.bind");
            }
        }
        http
    }

    /// The URL that outsiders use, without a trailing slash: the configured one, else
    /// plain HTTP to the address that was really bound (whose port differs from the
    /// setting when that is 0). An unspecified address stands for loopback, since no one
    /// can connect to `0.0.0.0`.
    pub fn public_url_at(&self, bound: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| {
            let mut reached = bound;
            if bound.ip().is_unspecified() {
                reached.set_ip(match bound {
                    SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            format!("http://{reached}")
        })
    }
}

fn address(text: &str) -> Parsed<SocketAddr> {
    let allowed = || "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned();
    text.parse().map_err(|_| allowed())
}

fn public_url(text: &str) -> Parsed<String> {
    UrlParts::parse(text)
        .filter(|url| {
            let plain = url.user_info.is_none() && url.query.is_none();
            plain && matches!(url.scheme, "http" | "https") && !url.host.is_empty()
        })
        .map(|_| text.trim_end_matches('/').to_owned())
        .ok_or_else(|| {
            "an absolute http or https URL without user, query or fragment, \
             such as https://tokens.example.org"
                .to_owned()
        })
}
