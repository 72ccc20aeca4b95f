//! What a simulated host's URI says about it: `sim://?domains=20&seed=1`.

use crate::hypervisor::HypervisorError;

/// More guests than any host has.
const DOMAINS: u64 = 10_000;

/// More devices of one kind than the names `vda` to `vdp` can tell apart.
const DEVICES: u64 = 16;

const NAMES: &str = "domains, seed, disks, nics, calm and freeze";

/// A simulated host's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Params {
    /// How many guests it has.
    pub(super) domains: u64,
    /// What all chance comes from.
    pub(super) seed: u64,
    /// Disks of each guest; `None` for 1 to 4.
    pub(super) disks: Option<u64>,
    /// Network devices of each guest; `None` for 0 to 4.
    pub(super) nics: Option<u64>,
    /// Whether guests only run and work.
    pub(super) calm: bool,
    /// How many guests, from the first, are frozen for ever while no other ever is; `None` for a freeze now and then.
    pub(super) freeze: Option<u64>,
}

// === impl Params ===

impl Params {
    pub(super) fn from_uri(uri: &str) -> Result<Self, HypervisorError> {
        Self::parse(uri).map_err(|reason| HypervisorError::Uri { uri: uri.to_owned(), reason })
    }

    fn parse(uri: &str) -> Result<Self, String> {
        let rest = uri.strip_prefix("sim://").ok_or("a simulated host is written sim://?domains=20&seed=1")?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !matches!(place, "" | "/") {
            return Err(format!("a simulated host has no name; drop {place:?} and write sim://?domains=20&seed=1"));
        }
        let mut params = Self { domains: 20, seed: 1, disks: None, nics: None, calm: false, freeze: None };
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&').filter(|_| !query.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                format!("{pair:?} is no parameter; write name=value with one of {NAMES}, such as domains=20")
            })?;
            if seen.contains(&name) {
                return Err(format!("{name} is given twice; write it once"));
            }
            seen.push(name);
            params.set(name, value)?;
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "domains" => self.domains = whole(name, value, DOMAINS)?,
            "seed" => self.seed = whole(name, value, u64::MAX)?,
            "disks" => self.disks = Some(whole(name, value, DEVICES)?),
            "nics" => self.nics = Some(whole(name, value, DEVICES)?),
            "freeze" => self.freeze = Some(whole(name, value, DOMAINS)?),
            "calm" => {
                self.calm = value.parse().map_err(|_| format!("calm is {value:?}; write calm=true or calm=false"))?;
            }
            _ => return Err(format!("there is no parameter {name:?}; write one of {NAMES}, such as domains=20")),
        }
        Ok(())
    }
}

fn whole(name: &str, value: &str, most: u64) -> Result<u64, String> {
    value
        .parse()
        .ok()
        .filter(|n| *n <= most)
        .ok_or_else(|| format!("{name} is {value:?}; write a whole number from 0 to {most}, such as {name}=2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_optional() {
        let usual = Params { domains: 20, seed: 1, disks: None, nics: None, calm: false, freeze: None };
        for uri in ["sim://", "sim:///", "sim://?", "sim://?domains=20&seed=1"] {
            assert_eq!(Params::from_uri(uri).unwrap(), usual, "{uri}");
        }
        let all = Params::from_uri("sim://?domains=10000&seed=7&disks=2&nics=0&calm=true&freeze=3").unwrap();
        assert_eq!(
            all,
            Params { domains: 10_000, seed: 7, disks: Some(2), nics: Some(0), calm: true, freeze: Some(3) }
        );
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (uri, said) in [
            ("test:///default", "sim://?domains=20&seed=1"),
            ("sim://host?domains=2", r#"drop "host""#),
            ("sim://?domain=2", r#"no parameter "domain"; write one of domains, seed, disks, nics, calm and freeze"#),
            ("sim://?domains", r#""domains" is no parameter; write name=value"#),
            ("sim://?domains=2&", r#""" is no parameter"#),
            ("sim://?domains=10001", r#"domains is "10001"; write a whole number from 0 to 10000"#),
            ("sim://?seed=-1", r#"seed is "-1"; write a whole number"#),
            ("sim://?disks=17", "disks is \"17\"; write a whole number from 0 to 16"),
            ("sim://?nics=", r#"nics is """#),
            ("sim://?calm=yes", r#"calm is "yes"; write calm=true or calm=false"#),
            ("sim://?freeze=all", r#"freeze is "all""#),
            ("sim://?seed=1&seed=2", "seed is given twice"),
        ] {
            let error = Params::from_uri(uri).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(uri), "{uri}: {error}");
        }
    }
}
