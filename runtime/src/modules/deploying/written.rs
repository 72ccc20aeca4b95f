//! How what a deployment needs is written where it is written: in a file of the operator's, or in an order.

use std::fmt::Display;

use crate::modules::deployment::Version;

/// Where a deployment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// In a file of the operator's.
    File,
    /// On a command line.
    Order,
}

/// Keys of a file, and what says the same on a command line.
const OPTIONS: [(&str, &str); 18] = [
    ("tenant", "--tenant"),
    ("interval", "--interval"),
    ("meters", "--meters"),
    ("signature", "--signature"),
    ("config", "--config"),
    ("fuel_base", "--fuel"),
    ("fuel_per_resource", "--fuel-per-resource"),
    ("memory", "--memory"),
    ("deadline", "--deadline"),
    ("grants.names", "--grant name"),
    ("grants.http", "--grant http"),
    ("grants.addresses", "--grant address"),
    ("grants.secrets", "--secret"),
    ("grants.groups", "--grant group"),
    ("grants.shortest_interval", "--grant interval"),
    ("grants.requests.per_minute", "--grant rate"),
    ("grants.requests.body", "--grant body"),
    ("grants.requests.time", "--grant time"),
];

// === impl Written ===

impl Written {
    /// Where this version is.
    pub fn of(version: &Version) -> Self {
        if version.file.is_some() { Self::File } else { Self::Order }
    }

    /// What a key of a file is called there; none if it cannot be said there.
    pub fn key(self, key: &'static str) -> Option<&'static str> {
        match self {
            Self::File => Some(key),
            Self::Order => OPTIONS.iter().find(|(known, _)| *known == key).map(|(_, option)| *option),
        }
    }

    /// One more entry of a list of grants, such as `grants.names`.
    pub fn entry(self, key: &'static str, value: impl Display) -> String {
        match (self, self.key(key)) {
            (Self::Order, Some(option)) => format!("`{option}='{value}'`"),
            _ => format!("`grants: {{{}: [{value}]}}`", key.trim_start_matches("grants.")),
        }
    }

    /// A grant that is a number.
    pub fn number(self, key: &'static str, value: u64) -> String {
        match (self, self.key(key)) {
            (Self::Order, Some(option)) => format!("`{option}={value}`"),
            _ => format!("`grants: {{{}: {value}}}`", key.trim_start_matches("grants.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_words() {
        for (written, entry, number) in [
            (Written::File, "`grants: {http: [GET http://a/]}`", "`grants: {shortest_interval: 1}`"),
            (Written::Order, "`--grant http='GET http://a/'`", "`--grant interval=1`"),
        ] {
            assert_eq!(written.entry("grants.http", "GET http://a/"), entry);
            assert_eq!(written.number("grants.shortest_interval", 1), number);
        }
        assert_eq!((Written::Order.key("file"), Written::File.key("file")), (None, Some("file")));
    }
}
