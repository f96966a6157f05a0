//! Which addresses a box may have.
//!
//! A box that the configuration names may be anywhere. One that was learned from somebody's answer
//! must not lead into this machine or the networks around it: there services stand that trust
//! whoever reaches them. So [`Reach::Public`] allows what the internet routes to one host, and nothing
//! else, unless a network is allowed by name. Addresses are judged, never names: whoever connects
//! asks for each address, at each connection, after the name was resolved.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// The address policy of a box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reach {
    /// Any address.
    #[default]
    Any,
    /// Public addresses, and those of some networks.
    Public {
        /// The networks that are allowed although they are not public.
        allowed: Arc<[Network]>,
    },
}

/// An address that the policy refuses. The address itself is not told: who learns it could map the
/// network around this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address policy refuses the box's address: a learned box needs a public one, or one of a \
     network that is allowed"
)]
pub struct Refused;

impl Reach {
    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let Self::Public { allowed } = self else {
            return Ok(());
        };
        // On the wire an IPv4-mapped address is the IPv4 address.
        let address = address.to_canonical();
        let allowed = allowed.iter().any(|network| network.contains(address));
        if allowed || is_public(address) { Ok(()) } else { Err(Refused) }
    }
}

/// A network: the addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// All bits behind the prefix are zero.
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANetwork {
    /// Not an address, or not one with a length of bits.
    #[error("is not a network such as 10.0.0.0/8 or fd00::/8")]
    Form,
    /// The address has bits behind the prefix, so it is a host's, or the length is a slip.
    #[error("is not the first address of its network; 10.1.2.3/8 would be 10.0.0.0/8")]
    Host,
}

impl Network {
    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && starts_as(address, self.base, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    /// Reads `10.0.0.0/8`; a bare address is a network of one.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| NotANetwork::Form)?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| NotANetwork::Form)?
            }
            Some(_) => return Err(NotANetwork::Form),
            None => longest,
        };
        if prefix > longest {
            return Err(NotANetwork::Form);
        }
        // Otherwise it would never match: addresses are compared in their plain form.
        if base.to_canonical() != base {
            return Err(NotANetwork::Form);
        }
        if bits(base) & !mask(prefix) != 0 {
            return Err(NotANetwork::Host);
        }
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// The bits of an address, the first one in the highest place; behind IPv4's there are zeros.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
        IpAddr::V6(six) => six.to_bits(),
    }
}

/// The highest `prefix` bits.
fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

fn starts_as(address: IpAddr, base: IpAddr, prefix: u8) -> bool {
    (bits(address) ^ bits(base)) & mask(prefix) == 0
}

/// What of IPv4 is not one host of the internet.
const SPECIAL_4: [(Ipv4Addr, u8); 15] = [
    // This network, 0.0.0.0 above all: on many systems it is this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private (RFC 1918).
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared by the customers of one provider (CGNAT).
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local; 169.254.169.254 tells a cloud machine's secrets.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Relays from 6to4.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, and broadcast.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// What of IPv6's global unicast is not one host of the internet.
const SPECIAL_6: [(Ipv6Addr, u8); 3] = [
    // Protocol assignments: tunnels (Teredo), benchmarks.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Global unicast: all that is given out to hosts of the internet.
const GLOBAL_6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Leads through a gateway to the IPv4 address in the last 32 bits.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Leads through a relay to the IPv4 address in the 32 bits behind.
const SIX_TO_FOUR: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_public_4(four),
        IpAddr::V6(six) => is_public_6(six),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let address = IpAddr::V4(address);
    !SPECIAL_4.iter().any(|(base, prefix)| starts_as(address, IpAddr::V4(*base), *prefix))
}

/// Loopback, link-local, private (ULA, a cloud's fd00:ec2::254 included), multicast and the old
/// IPv4-compatible form lie outside of global unicast.
fn is_public_6(address: Ipv6Addr) -> bool {
    let within =
        |(base, prefix): (Ipv6Addr, u8)| starts_as(address.into(), IpAddr::V6(base), prefix);
    let [_, first, second, .., last_but_one, last] = address.segments();
    if within(NAT64) {
        return is_public_4(four_of(last_but_one, last));
    }
    if within(SIX_TO_FOUR) {
        return is_public_4(four_of(first, second));
    }
    within(GLOBAL_6) && !SPECIAL_6.into_iter().any(within)
}

fn four_of(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    fn public(allowed: &[&str]) -> Reach {
        Reach::Public { allowed: allowed.iter().map(|text| network(text)).collect() }
    }

    #[track_caller]
    fn check(reach: &Reach, address: &str, reachable: bool) {
        let parsed = address.parse().expect(address);
        assert_eq!(reach.check(parsed).is_ok(), reachable, "{address}");
        assert_eq!(Reach::Any.check(parsed), Ok(()), "{address}");
    }

    #[test]
    fn what_is_not_one_host_of_the_internet_is_refused_in_every_form() {
        for four in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let reach = public(&[]);
            check(&reach, four, false);
            check(&reach, &format!("::ffff:{four}"), false);
            check(&reach, &format!("::{four}"), false);
            check(&reach, &format!("64:ff9b::{four}"), false);
            let [a, b, c, d] = four.parse::<Ipv4Addr>().expect(four).octets();
            check(&reach, &format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"), false);
        }
    }

    #[test]
    fn what_of_ipv6_is_not_one_host_of_the_internet_is_refused() {
        for six in [
            "::",
            "::1",
            "::8.8.8.8",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "64:ff9b:1::8.8.8.8",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
        ] {
            check(&public(&[]), six, false);
        }
    }

    #[test]
    fn hosts_of_the_internet_are_reached_those_beside_a_refused_network_included() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "3ffe::1",
        ] {
            check(&public(&[]), address, true);
        }
    }

    #[test]
    fn an_allowed_network_is_reached_and_nothing_beside_it() {
        let reach = public(&["10.1.0.0/16", "127.0.0.1", "fd00:1::/32"]);
        for (address, reachable) in [
            ("10.1.0.0", true),
            ("10.1.255.255", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("64:ff9b::10.1.2.3", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::1", false),
            ("fd00:1:ffff::1", true),
            ("fd00:2::1", false),
        ] {
            check(&reach, address, reachable);
        }
        check(&public(&["0.0.0.0/0"]), "127.0.0.1", true);
        check(&public(&["0.0.0.0/0"]), "::1", false);
        check(&public(&["::/0"]), "::1", true);
        check(&public(&["::/0"]), "127.0.0.1", false);
    }

    #[test]
    fn a_network_is_its_first_address_and_a_length() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(network(text).to_string(), shown);
        }
        for text in [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "::/999",
            "x/8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::Form), "{text}");
        }
        for text in ["10.1.0.0/8", "10.0.0.1/31", "fd00::1/8", "0.0.0.1/0"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork::Host), "{text}");
        }
    }
}
