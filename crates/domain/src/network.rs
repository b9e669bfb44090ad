//! From where a credential may be used: networks in CIDR notation, IPv4 and IPv6.

use crate::limits;
use crate::refusal::FieldCode;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The networks from which a credential may be used; empty means: from everywhere.
///
/// Sorted and without repeats, so that equal sets are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AllowedNetworks(Option<Arc<[IpNet]>>);

impl AllowedNetworks {
    /// Reads networks (`10.0.0.0/8`, `2001:db8::/32`) and bare addresses.
    ///
    /// # Errors
    /// With the position of the first that is none: bits set beyond the prefix, or an IPv4 address written
    /// as IPv6, which addresses of clients never are.
    pub fn parse_all(texts: &[impl AsRef<str>]) -> Result<Self, (usize, FieldCode)> {
        if texts.len() > limits::NETWORKS_MAX {
            let max = limits::NETWORKS_MAX;
            return Err((max, FieldCode::TooMany { max }));
        }
        let mut networks = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            networks.push(network(text.as_ref()).ok_or((at, FieldCode::NotANetwork))?);
        }
        networks.sort();
        networks.dedup();
        Ok(Self((!networks.is_empty()).then(|| networks.into())))
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let texts: Vec<&str> = text.split_ascii_whitespace().collect();
        Self::parse_all(&texts).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether several values share these networks.
    pub fn is_shared(&self) -> bool {
        self.0.as_ref().is_some_and(|it| Arc::strong_count(it) > 1)
    }

    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter().flat_map(|networks| networks.iter())
    }

    /// Whether it may be used from there. An address that nobody knows lies in no network.
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        let Some(networks) = &self.0 else {
            return true;
        };
        address
            .map(|it| it.to_canonical())
            .is_some_and(|it| networks.iter().any(|network| network.contains(&it)))
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let is_mapped = matches!(network, IpNet::V6(it) if it.addr().to_ipv4_mapped().is_some());
    (network.addr() == network.network() && !is_mapped).then_some(network)
}

/// Space-separated, as the database keeps them.
impl fmt::Display for AllowedNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{network}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn networks_of_both_families_and_bare_addresses() {
        let it = AllowedNetworks::parse_all(&[
            "2001:db8::/32",
            "10.0.0.0/8",
            "192.0.2.7",
            "10.0.0.0/8",
            "::1",
        ])
        .unwrap();
        assert_eq!(
            it.to_string(),
            "10.0.0.0/8 192.0.2.7/32 ::1/128 2001:db8::/32"
        );
        assert_eq!(AllowedNetworks::parse(&it.to_string()), Some(it.clone()));
        for inside in [
            "10.255.0.1",
            "192.0.2.7",
            "2001:db8:1::9",
            "::ffff:10.1.2.3",
            "::1",
        ] {
            assert!(it.allows(ip(inside)), "{inside}");
        }
        for outside in ["11.0.0.0", "192.0.2.8", "2001:db9::", "::2"] {
            assert!(!it.allows(ip(outside)), "{outside}");
        }
        assert!(!it.allows(None));
    }

    #[test]
    fn empty_is_everywhere_and_zero_length_is_its_family() {
        let it = AllowedNetworks::parse("").unwrap();
        assert!(it.is_empty() && it.allows(None) && it.allows(ip("203.0.113.1")));
        let all = AllowedNetworks::parse("0.0.0.0/0").unwrap();
        assert!(all.allows(ip("203.0.113.1")) && !all.allows(ip("2001:db8::1")));
    }

    #[test]
    fn what_is_no_network_is_named_by_its_place() {
        for bad in [
            "",
            " ",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "300.1.1.1",
            "2001:db8::1/32",
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "10.0.0.0 /8",
            "example.com",
            "10.0.0.0-10.0.0.9",
        ] {
            let read = AllowedNetworks::parse_all(&["10.0.0.0/8", bad]);
            assert_eq!(read, Err((1, FieldCode::NotANetwork)), "{bad:?}");
        }
        let many: Vec<String> = (0..=limits::NETWORKS_MAX)
            .map(|it| format!("10.0.0.{it}"))
            .collect();
        assert!(matches!(
            AllowedNetworks::parse_all(&many),
            Err((_, FieldCode::TooMany { .. }))
        ));
        assert!(AllowedNetworks::parse_all(&many[1..]).is_ok());
    }

    proptest! {
        /// A network holds exactly the addresses that share its leading bits.
        #[test]
        fn membership_is_by_leading_bits(network: u32, length in 0u32..=32, address: u32) {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let text = format!("{}/{length}", std::net::Ipv4Addr::from_bits(network & mask));
            let it = AllowedNetworks::parse(&text).unwrap();
            let address_ip = IpAddr::from(std::net::Ipv4Addr::from_bits(address));
            prop_assert_eq!(it.allows(Some(address_ip)), (network ^ address) & mask == 0);
        }
    }
}
