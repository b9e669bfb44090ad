//! The setting `mail.url`: `smtp://` (STARTTLS required, or `?tls=none`), `smtps://`, `dir:PATH` or
//! `memory:`.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailUrl {
    Smtp(SmtpServer),
    /// `.eml` files in a directory.
    Directory(PathBuf),
    /// Kept in memory, for tests.
    Memory,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub credentials: Option<SmtpCredentials>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// STARTTLS; nothing is sent to a server that does not offer it.
    Required,
    /// TLS from the first byte.
    Implicit,
    None,
}

/// Neither is printed: some relays take one token as both name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpCredentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for SmtpCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmtpCredentials(…)")
    }
}

const FORMS: &str = "smtp://USER:PASSWORD@HOST:PORT (STARTTLS, or ?tls=none), smtps://… or dir:PATH, \
                     with special characters of the password percent-encoded";

impl MailUrl {
    /// The error says what is allowed and never repeats the value.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(path) = url.strip_prefix("dir:").filter(|path| !path.is_empty()) {
            return Ok(Self::Directory(path.into()));
        }
        smtp(url).unwrap_or_else(|| Err(FORMS.to_owned()))
    }
}

/// `None` for what has not the form of a URL.
fn smtp(url: &str) -> Option<Result<MailUrl, String>> {
    let illegal = |c: char| c.is_whitespace() || c.is_control() || c == '#';
    if url.contains(illegal) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (tls, default_port) = match (scheme, query) {
        ("smtp", None) => (SmtpTls::Required, 587),
        ("smtp", Some("tls=none")) => (SmtpTls::None, 25),
        ("smtps", None) => (SmtpTls::Implicit, 465),
        _ => return None,
    };
    let (user_info, address) = match rest.rsplit_once('@') {
        Some((user_info, address)) => (Some(user_info), address),
        None => (None, rest),
    };
    let (host, port) = host_and_port(address)?;
    let credentials = match user_info {
        None => None,
        Some(user_info) => {
            let (user, password) = user_info.split_once(':')?;
            Some(SmtpCredentials {
                user: percent_decoded(user)?,
                password: percent_decoded(password)?,
            })
        }
    };
    if tls == SmtpTls::None && credentials.is_some() && !is_loopback(host) {
        return Some(Err("tls=none with a user and password only to this \
                         machine's loopback, since they would cross the network in the clear"
            .to_owned()));
    }
    Some(Ok(MailUrl::Smtp(SmtpServer {
        host: host.to_owned(),
        port: port.unwrap_or(default_port),
        tls,
        credentials,
    })))
}

/// The host without the brackets of an IPv6 address.
fn host_and_port(address: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(v6) = address.strip_prefix('[') {
        let (host, port) = v6.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':')?),
        };
        (host, port)
    } else {
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return None;
        }
        (host, port)
    };
    match port {
        None => Some((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Some((host, Some(port.parse().ok().filter(|port| *port > 0)?)))
        }
        Some(_) => None,
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `None` when an escape is broken or the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> SmtpServer {
        match MailUrl::parse(url) {
            Ok(MailUrl::Smtp(server)) => server,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn schemes_have_their_ports_and_tls() {
        for (url, host, port, tls) in [
            (
                "smtp://mail.example.com",
                "mail.example.com",
                587,
                SmtpTls::Required,
            ),
            (
                "smtp://mail.example.com:25/",
                "mail.example.com",
                25,
                SmtpTls::Required,
            ),
            ("smtp://10.0.0.1?tls=none", "10.0.0.1", 25, SmtpTls::None),
            ("smtps://[::1]", "::1", 465, SmtpTls::Implicit),
            ("smtps://[::1]:2465", "::1", 2465, SmtpTls::Implicit),
        ] {
            let server = server(url);
            assert_eq!(
                (server.host.as_str(), server.port, server.tls),
                (host, port, tls),
                "{url}"
            );
            assert_eq!(server.credentials, None);
        }
        assert_eq!(
            MailUrl::parse("dir:/var/mail"),
            Ok(MailUrl::Directory("/var/mail".into()))
        );
        assert_eq!(MailUrl::parse("memory:"), Ok(MailUrl::Memory));
    }

    #[test]
    fn user_info_is_decoded_and_never_printed() {
        let server = server("smtp://us%40er:p%3Aa%25ss%2F@mail.example.com");
        let credentials = server.credentials.clone().unwrap();
        assert_eq!(credentials.user, "us@er");
        assert_eq!(credentials.password, "p:a%ss/");
        let printed = format!("{server:?}");
        assert!(
            !printed.contains("us@er") && !printed.contains("p:a"),
            "{printed}"
        );
    }

    #[test]
    fn credentials_do_not_travel_in_the_clear() {
        for url in [
            "smtp://u:p@localhost?tls=none",
            "smtp://u:p@127.0.0.1:2525?tls=none",
            "smtp://u:p@[::1]?tls=none",
        ] {
            assert!(server(url).credentials.is_some(), "{url}");
        }
        for url in [
            "smtp://u:s3cret@mail.example.com?tls=none",
            "smtp://u:s3cret@127.0.0.1.example.com?tls=none",
        ] {
            let error = MailUrl::parse(url).unwrap_err();
            assert!(
                error.contains("loopback") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn other_things_are_refused() {
        for url in [
            "",
            "dir:",
            "smtp:",
            "smtp://",
            "smtp://:25",
            "http://x",
            "smtp://x?tls=maybe",
            "smtps://x?tls=none",
            "smtp://x:70000",
            "smtp://x:0",
            "smtp://x:+25",
            "smtp://user@x",
            "smtp://u:%zz@x",
            "smtp://u:%ff@x",
            "smtp://x/path",
            "smtp://[::1",
            "smtp://x y",
            "smtp://x#f",
        ] {
            assert_eq!(MailUrl::parse(url), Err(FORMS.to_owned()), "{url}");
        }
    }
}
