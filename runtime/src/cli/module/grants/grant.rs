//! `--grant KIND=VALUE`: what a module may do.

use std::str::FromStr;
use std::time::Duration;

use crate::cli::module::amount::{self, InvalidSeconds};
use crate::config::{ByteSize, duration};
use crate::modules::deployment::Grants;
use crate::modules::deployment::bounds::is_beginning;

/// One thing that a module may do. What a URL, an address or a group has to be, the daemon says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// The names of its meters may begin so.
    Name(String),
    /// It may request this.
    Http(String),
    /// It may reach this address although it is not public.
    Address(String),
    /// This group of statistics may be read for it.
    Group(String),
    /// It may run as often as every so many seconds.
    Interval(u64),
    /// It sees the time of day as it is.
    Clock,
    /// It gets numbers that nobody can foresee.
    Random,
    /// This secret may be sent to this origin.
    Origin(String, String),
    /// It may make so many requests in a minute.
    Rate(u32),
    /// So many bytes of an answer are read.
    Body(u64),
    /// All requests of a call may take so long together.
    Time(Duration),
}

/// A text that grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// It begins with something else.
    #[error(
        "there is no such grant: write name=acme., http=https://host:port/path, http=GET,POST https://host:port/path, \
         address=10.0.0.5, origin=SECRET,https://host:port, rate=60, body=1MiB, time=5s, group=block, interval=1s, \
         clock or random"
    )]
    Kind,
    /// Nothing is behind the sign.
    #[error("it says nothing behind the sign =")]
    Empty,
    /// A name that is no beginning of names.
    #[error(
        "no beginning of names: write whole words with a point behind, of letters, digits, _ and -, such as name=acme."
    )]
    Name,
    /// Not what a request may take.
    #[error("no limit of requests: write rate=60 (in a minute), body=1MiB or time=5s")]
    Limit,
    /// Not a number of seconds.
    #[error("{0}")]
    Interval(#[from] InvalidSeconds),
}

// === impl Grant ===

impl Grant {
    /// All of them together. What is said twice holds once, and of intervals the shortest.
    pub fn all(grants: &[Self]) -> Grants {
        let mut all = Grants::default();
        let add = |texts: &mut Vec<String>, text: &String| {
            if !texts.contains(text) {
                texts.push(text.clone());
            }
        };
        for grant in grants {
            match grant {
                Self::Name(name) => add(&mut all.names, name),
                Self::Http(http) => add(&mut all.http, http),
                Self::Address(address) => add(&mut all.addresses, address),
                Self::Group(group) => add(&mut all.groups, group),
                Self::Interval(seconds) => {
                    let shortest = all.shortest_interval.map_or(*seconds, |other| other.min(*seconds));
                    all.shortest_interval = Some(shortest);
                }
                Self::Origin(secret, origin) => add(all.secret_origins.entry(secret.clone()).or_default(), origin),
                Self::Rate(requests) => all.requests.per_minute = Some(*requests),
                Self::Body(bytes) => all.requests.body = Some(*bytes),
                Self::Time(time) => all.requests.time = u64::try_from(time.as_millis()).ok(),
                Self::Clock => all.clock = true,
                Self::Random => all.random = true,
            }
        }
        all
    }
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let (kind, value) = match text.split_once('=') {
            Some((_, value)) if value.trim().is_empty() => return Err(InvalidGrant::Empty),
            Some((kind, value)) => (kind, Some(value.trim().to_owned())),
            None => (text, None),
        };
        match (kind, value) {
            ("name", Some(name)) if is_beginning(&name) => Ok(Self::Name(name)),
            ("name", Some(_)) => Err(InvalidGrant::Name),
            ("http", Some(http)) => Ok(Self::Http(http)),
            ("address", Some(address)) => Ok(Self::Address(address)),
            ("group", Some(group)) => Ok(Self::Group(group)),
            ("interval", Some(interval)) => Ok(Self::Interval(amount::seconds(&interval)?)),
            ("origin", Some(both)) => match both.split_once(',') {
                Some((secret, origin)) => Ok(Self::Origin(secret.trim().to_owned(), origin.trim().to_owned())),
                None => Err(InvalidGrant::Kind),
            },
            ("rate", Some(rate)) => rate.parse().map(Self::Rate).map_err(|_| InvalidGrant::Limit),
            ("body", Some(body)) => {
                body.parse().map(|size: ByteSize| Self::Body(size.bytes())).map_err(|_| InvalidGrant::Limit)
            }
            ("time", Some(time)) => duration::parse(&time).map(Self::Time).map_err(|_| InvalidGrant::Limit),
            ("clock", None) => Ok(Self::Clock),
            ("random", None) => Ok(Self::Random),
            _ => Err(InvalidGrant::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::deployment::RequestLimits;

    #[test]
    fn each_kind_has_its_place() {
        let texts = [
            "name=acme.",
            "http=GET,POST https://metrics.example:9100/path?x=1",
            "http=https://metrics.example:9100/other",
            "address=10.0.0.5",
            "group=block",
            "interval=5s",
            "origin=token,https://metrics.example:9100",
            "rate=30",
            "body=1MiB",
            "time=1500ms",
            "interval=1",
            "clock",
            "random",
            "name=acme.",
            "name= acme.more. ",
        ];
        let grants: Vec<Grant> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = Grants {
            names: texts(&["acme.", "acme.more."]),
            http: texts(&["GET,POST https://metrics.example:9100/path?x=1", "https://metrics.example:9100/other"]),
            addresses: texts(&["10.0.0.5"]),
            groups: texts(&["block"]),
            clock: true,
            random: true,
            shortest_interval: Some(1),
            secret_origins: [("token".to_owned(), texts(&["https://metrics.example:9100"]))].into(),
            requests: RequestLimits { body: Some(1 << 20), time: Some(1500), per_minute: Some(30) },
            ..Grants::default()
        };
        assert_eq!(Grant::all(&grants), expected);
        assert_eq!(Grant::all(&[]), Grants::default());
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, why) in [
            ("", InvalidGrant::Kind),
            ("everything", InvalidGrant::Kind),
            ("files=/etc", InvalidGrant::Kind),
            ("Name=acme.", InvalidGrant::Kind),
            ("http", InvalidGrant::Kind),
            ("clock=yes", InvalidGrant::Kind),
            ("name=", InvalidGrant::Empty),
            ("group= ", InvalidGrant::Empty),
            ("rate=often", InvalidGrant::Limit),
            ("body=much", InvalidGrant::Limit),
            ("time=long", InvalidGrant::Limit),
            ("origin=token", InvalidGrant::Kind),
            ("name=acme", InvalidGrant::Name),
            ("name=.", InvalidGrant::Name),
            ("name=acme.,idle.", InvalidGrant::Name),
            ("name=gu est.", InvalidGrant::Name),
            ("name=acme.*.", InvalidGrant::Name),
            ("interval=fast", InvalidGrant::Interval(InvalidSeconds)),
            ("interval=500ms", InvalidGrant::Interval(InvalidSeconds)),
        ] {
            assert_eq!(text.parse::<Grant>(), Err(why), "{text}");
        }
    }
}
