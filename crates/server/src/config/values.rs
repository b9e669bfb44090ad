//! The kinds of value that settings are made of: durations, secrets, URLs, networks.
//! Pure parsing and printing; which key takes which kind is the sections' business.

use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A setting that must not be printed. `Debug` hides it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for opening the connection it is meant for, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The units of durations, in milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A whole number followed by `ms`, `s`, `m`, `h` or `d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_millis(number.checked_mul(*millis)?))
}

/// The URL without what could be secret in it: user information, and every parameter
/// but those that choose TLS. Takes the *last* `@` as the end of the user information, so
/// that an unescaped password cannot show its tail.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let (place, parameters) = match rest.split_once('?') {
        Some((place, parameters)) => (place, Some(parameters)),
        None => (rest, None),
    };
    let mut masked = format!("{scheme}://{user}{place}");
    for (n, parameter) in parameters
        .into_iter()
        .flat_map(|p| p.split('&'))
        .enumerate()
    {
        let name = parameter.split('=').next().unwrap_or_default();
        masked.push(if n == 0 { '?' } else { '&' });
        match name {
            "tls" | "sslmode" => masked.push_str(parameter),
            _ => masked.push_str(&format!("{name}=***")),
        }
    }
    masked
}

/// The parts of a URL of the form `scheme://[user[:password]@]host[:port][/path][?query]`,
/// as written, still percent-encoded.
#[derive(Debug, PartialEq, Eq)]
pub struct UrlParts<'a> {
    pub scheme: &'a str,
    pub user_info: Option<&'a str>,
    /// Without the brackets of an IPv6 address.
    pub host: &'a str,
    pub port: Option<u16>,
    /// Empty or beginning with `/`.
    pub path: &'a str,
    pub query: Option<&'a str>,
}

impl<'a> UrlParts<'a> {
    /// `None` for what is not of this form: no scheme, an impossible host or port, a
    /// fragment, white space or control characters.
    pub fn parse(url: &'a str) -> Option<Self> {
        if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':')?),
                };
                (host, port)
            }
            None => {
                let (host, port) = match address.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (address, None),
                };
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
                if !host.chars().all(plain) {
                    return None;
                }
                (host, port)
            }
        };
        let port = match port {
            None => None,
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
        };
        Some(Self {
            scheme,
            user_info,
            host,
            port,
            path,
            query,
        })
    }
}

/// A network in CIDR notation; a lone address is a network of one. Refuses bits set beyond the prefix:
/// `10.1.0.0/8` is likelier a slip than a wish.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    (network.addr() == network.network()).then_some(network)
}

/// The candidate that `text` was probably meant to be, if one is close enough.
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (text.len() / 5).max(2);
    candidates
        .map(|candidate| (edit_distance(text, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        let known = [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("90d", 7_776_000_000),
            ("0s", 0),
        ];
        for (text, millis) in known {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "10 s",
            "10S",
            "1h30m",
            "+1s",
            "99999999999999999999s",
            "213503982335d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn masking_leaves_scheme_host_and_the_choice_of_tls() {
        let cases = [
            (
                "postgres://u:p@db:5432/name?sslmode=require&password=p2",
                "postgres://***@db:5432/name?sslmode=require&password=***",
            ),
            ("postgres://u:p/a@ss@db/name", "postgres://***@db/name"),
            (
                "smtp://localhost:1025?tls=none",
                "smtp://localhost:1025?tls=none",
            ),
            ("redis://:p?q@h", "redis://***@h"),
            ("dir:./mail", "dir:./mail"),
        ];
        for (url, masked) in cases {
            assert_eq!(masked_url(url), masked);
        }
    }

    #[test]
    fn urls_fall_into_their_parts() {
        let parts = UrlParts::parse("smtps://a%40b:p@[::1]:465/x?tls=none").unwrap();
        assert_eq!(
            (
                parts.scheme,
                parts.user_info,
                parts.host,
                parts.port,
                parts.path,
                parts.query
            ),
            (
                "smtps",
                Some("a%40b:p"),
                "::1",
                Some(465),
                "/x",
                Some("tls=none")
            )
        );
        assert_eq!(
            UrlParts::parse("http://h").map(|p| (p.host, p.port, p.path)),
            Some(("h", None, ""))
        );
        for bad in [
            "h:80",
            "http://h:x",
            "http://h:99999",
            "http://h:",
            "http://[::g]",
            "http://[::1]x",
            "http://h#f",
            "http://a b",
            "http://ü",
        ] {
            assert_eq!(UrlParts::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_have_no_bits_beyond_their_prefix() {
        for (text, printed) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), printed);
        }
        for bad in [
            "10.1.0.0/8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0",
            "host",
            "fd01::/8",
            "",
        ] {
            assert_eq!(parse_network(bad), None, "{bad}");
        }
    }

    #[test]
    fn near_misses_find_what_was_meant() {
        let keys = ["http.bind", "http.admin_bind", "database.url"];
        assert_eq!(nearest("http.bnd", keys.into_iter()), Some("http.bind"));
        assert_eq!(
            nearest("databse.url", keys.into_iter()),
            Some("database.url")
        );
        assert_eq!(nearest("smtp.host", keys.into_iter()), None);
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
