//! What a deployment may ask, as the operator writes it: `[METHOD,METHOD ]URL-PREFIX` under `http`, and
//! `IP[/BITS]` under `addresses`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::addresses;
use super::request::{Method, UnknownMethod};
use super::url::{InvalidUrl, Url};

/// Methods and a prefix of URLs.
///
/// Scheme, host and port have to be the same. A path covers itself and what is below it: `/path` covers `/path`,
/// `/path/x` and `/path?q`, not `/pathology`; `/path/` covers what is below it alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grant {
    /// Sorted, each once.
    methods: Vec<Method>,
    /// Without a query.
    url: Url,
}

/// An address or a network that requests may go to although it is not public.
///
/// It holds for every name that is granted, as whoever owns the name says which address it has. So grant single
/// addresses rather than networks, and none to who owns granted names and should not reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressGrant {
    network: IpAddr,
    bits: u8,
}

/// A text that grants no URLs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// A method that is none.
    #[error("character {at}: {error}")]
    Method {
        /// Where it begins, from one.
        at: usize,
        /// What is wrong.
        error: UnknownMethod,
    },
    /// The URL is none.
    #[error(transparent)]
    Url(InvalidUrl),
    /// Queries cannot be told apart.
    #[error("character {at}: a grant has no query, which it covers whatever it is; end it at the path")]
    Query {
        /// Where it begins, from one.
        at: usize,
    },
}

/// A text that grants no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddressGrant {
    /// Neither an address nor a network.
    #[error("write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8")]
    NoAddress,
    /// Bits behind the prefix are set.
    #[error(
        "the address has bits behind /{bits}; for the network write {network}/{bits}, for the address leave /{bits} out"
    )]
    BitsBehind {
        /// The network that it is in.
        network: IpAddr,
        /// The length of its prefix.
        bits: u8,
    },
    /// All of everything.
    #[error("/{bits} is nearly everything, the addresses of metadata among it; write /{least} or longer")]
    TooWide {
        /// What was written.
        bits: u8,
        /// The shortest prefix.
        least: u8,
    },
    /// IPv4 in the clothes of IPv6.
    #[error("write the address as IPv4")]
    Mapped,
}

/// The methods of a grant that names none: those that change nothing.
const DEFAULT: [Method; 2] = [Method::Get, Method::Head];
/// The shortest prefix of a network of IPv4, which the largest private one has.
const SHORTEST_V4: u8 = 8;
/// The shortest prefix of a network of IPv6, which that of the private ones is.
const SHORTEST_V6: u8 = 7;

// === impl Grant ===

impl Grant {
    /// What is granted, without the methods.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether this allows a request.
    pub fn covers(&self, method: Method, url: &Url) -> bool {
        self.methods.contains(&method) && self.url.origin() == url.origin() && below(self.url.path(), url.path())
    }

    /// The least that would allow a request.
    pub fn needed(method: Method, url: &Url) -> Needed<'_> {
        Needed { method, url }
    }
}

/// Whether a path is a prefix at the border of a segment.
fn below(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'),
        None => false,
    }
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let (mut methods, mut at) = (Vec::new(), 1);
        let url = match text.split_once(' ') {
            Some((named, url)) => {
                for name in named.split(',') {
                    methods.push(name.parse().map_err(|error| InvalidGrant::Method { at, error })?);
                    at += name.chars().count() + 1;
                }
                let begins = url.trim_start_matches(' ');
                at += url.len() - begins.len();
                begins
            }
            None => {
                methods.extend(DEFAULT);
                text
            }
        };
        methods.sort_unstable();
        methods.dedup();
        let before = at - 1;
        let moved = |error: InvalidUrl| InvalidGrant::Url(InvalidUrl { at: before + error.at, ..error });
        if let Some(query) = url.find('?') {
            // What else is wrong with it comes first.
            Url::parse(url.get(..query).unwrap_or_default()).map_err(moved)?;
            return Err(InvalidGrant::Query { at: at + query });
        }
        Ok(Self { methods, url: Url::parse(url).map_err(moved)? })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.methods != DEFAULT {
            let methods: Vec<_> = self.methods.iter().map(|method| method.word()).collect();
            write!(f, "{} ", methods.join(","))?;
        }
        write!(f, "{}", self.url)
    }
}

impl TryFrom<String> for Grant {
    type Error = InvalidGrant;

    fn try_from(text: String) -> Result<Self, InvalidGrant> {
        text.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

/// What [`Grant::needed`] says.
#[derive(Debug)]
pub struct Needed<'a> {
    method: Method,
    url: &'a Url,
}

impl fmt::Display for Needed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.without_query())
    }
}

// === impl AddressGrant ===

impl AddressGrant {
    /// Whether an address is granted.
    pub fn covers(&self, address: IpAddr) -> bool {
        addresses::is_in(addresses::canonical(address), self.network, self.bits.into())
    }
}

impl FromStr for AddressGrant {
    type Err = InvalidAddressGrant;

    fn from_str(text: &str) -> Result<Self, InvalidAddressGrant> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| InvalidAddressGrant::NoAddress)?;
        let (longest, least) = if network.is_ipv4() { (32, SHORTEST_V4) } else { (128, SHORTEST_V6) };
        let number = |bits: &str| {
            let plain = bits == "0" || (bits.bytes().all(|byte| byte.is_ascii_digit()) && !bits.starts_with('0'));
            bits.parse().ok().filter(|bits| plain && *bits <= longest)
        };
        let bits = bits.map_or(Some(longest), number).ok_or(InvalidAddressGrant::NoAddress)?;
        if addresses::canonical(network) != network {
            return Err(InvalidAddressGrant::Mapped);
        }
        if bits < least {
            return Err(InvalidAddressGrant::TooWide { bits, least });
        }
        let first = first(network, bits);
        if first != network {
            return Err(InvalidAddressGrant::BitsBehind { network: first, bits });
        }
        Ok(Self { network, bits })
    }
}

/// The first address of the network that an address is in.
fn first(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(bits)).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(bits)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for AddressGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.network.is_ipv4() { 32 } else { 128 };
        match self.bits {
            bits if bits == longest => write!(f, "{}", self.network),
            bits => write!(f, "{}/{bits}", self.network),
        }
    }
}

impl TryFrom<String> for AddressGrant {
    type Error = InvalidAddressGrant;

    fn try_from(text: String) -> Result<Self, InvalidAddressGrant> {
        text.parse()
    }
}

impl From<AddressGrant> for String {
    fn from(grant: AddressGrant) -> Self {
        grant.to_string()
    }
}

#[cfg(test)]
mod tests;
