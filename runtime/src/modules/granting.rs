//! From grants as they are written to what a module may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::deploying::written::Written;
use super::deploying::{Fault, Refused};
use super::deployment::{Grants, RequestLimits, SecretSource};
use crate::config::Secret;
use crate::contract::{Meter, PACKAGE};
use crate::files;
use crate::sandbox::Names;
use crate::sandbox::granted::{Access, Granted};
use crate::sandbox::host::http::secrets::Granted as GrantedSecret;
use crate::sandbox::host::http::url::{Origin, Scheme};
use crate::sandbox::host::http::{AddressGrant, Grant, Limits, Permissions, Requests, Secrets};
use crate::sandbox::names::NotAllowed;

/// Requests of a deployment in a minute where nothing else is said: one in a second, as in the shortest interval.
pub const PER_MINUTE: u32 = 60;
/// Grants of URLs.
pub const MOST_URLS: usize = 100;
/// Grants of addresses.
pub const MOST_ADDRESSES: usize = 100;
/// Secrets. Every answer is searched for all of them, in all their forms.
pub const MOST_SECRETS: usize = 16;
/// Bytes of a file with a secret: a long token.
const SECRET_BYTES: u64 = 8 << 10;

/// What these grants let the module of a deployment of this name do. Secrets are read from their files here.
///
/// A module that makes requests needs a place beside others than those that are `leaving`, and this much memory; `asking`
/// is that of its instance.
pub fn granted(
    (requests, leaving): (&Requests, &BTreeSet<String>),
    deployment: &str,
    grants: &Grants,
    written: Written,
    asking: Option<u64>,
) -> Result<Granted, Refused> {
    let Grants { clock, random, .. } = *grants;
    let names = Some(grants.names.as_slice().into());
    if asking.is_some() && grants.http.is_empty() {
        let message = format!("it imports {PACKAGE}/http, which was not granted");
        let remedy = format!("{} grants it", written.entry("grants.http", "GET https://HOST:PORT/PATH"));
        return Err(Refused { fault: Fault::Module, ..Refused::new("grants.http", message, remedy) });
    }
    for (key, count, most) in [
        ("grants.http", grants.http.len(), MOST_URLS),
        ("grants.addresses", grants.addresses.len(), MOST_ADDRESSES),
        ("grants.secrets", grants.secrets.len(), MOST_SECRETS),
    ] {
        if count > most {
            let message = format!("there are {count} entries, and at most {most} are taken");
            return Err(Refused::new(key, message, "Leave some out"));
        }
    }
    let allowed: Vec<Grant> = parsed("grants.http", &grants.http)?;
    let addresses: Vec<AddressGrant> = parsed("grants.addresses", &grants.addresses)?;
    if allowed.is_empty() {
        return match (addresses.is_empty(), grants.secrets.is_empty()) {
            (true, true) => Ok(Granted { http: None, clock, random, names }),
            _ => {
                let grant = written.entry("grants.http", "https://HOST:PORT/PATH");
                let remedy =
                    format!("Grant what may be requested, such as {grant}, or leave out addresses and secrets");
                Err(Refused::new("grants.http", "nothing may be requested", remedy))
            }
        };
    }
    let secrets = secrets(grants, &allowed, written)?;
    let tls = allowed.iter().any(|grant| grant.url().origin().scheme() == Scheme::Https);
    let client = requests.client(tls);
    let client = client.map_err(|error| Refused::new("grants.http", error.to_string(), "Then deploy it again"))?;
    let RequestLimits { body, time, per_minute } = grants.requests;
    let usual = Limits::default();
    let limits = Limits {
        body: body.map_or(usual.body, |body| usize::try_from(body).unwrap_or(usize::MAX)),
        deadline: time.map_or(usual.deadline, Duration::from_millis),
    };
    let limits = limits.within_ceilings();
    let memory = asking.map(|memory| memory.saturating_add((limits.body as u64).saturating_mul(2)));
    let rate = requests.place(deployment, per_minute.unwrap_or(PER_MINUTE), memory, leaving);
    let rate = rate.map_err(|full| Refused::no_room("grants.http", full.to_string(), full.remedy()))?;
    let permissions = Permissions::new(allowed, addresses, secrets, limits, rate).map_err(|refused| {
        let remedy =
            format!("Grant the address, if it is meant: {}", written.entry("grants.addresses", refused.address));
        Refused::new("grants.http", refused.to_string(), remedy)
    })?;
    Ok(Granted { http: Some(Access { client, permissions }), clock, random, names })
}

/// Whether a module may give those meters of which it is known that it does.
pub fn may_give<'a>(
    names: &Names,
    granted: &Granted,
    written: Written,
    gives: impl IntoIterator<Item = &'a Meter>,
) -> Result<(), Refused> {
    for meter in gives {
        let refused =
            |why: NotAllowed| Refused::new("grants.names", why.to_string(), remedy_of_name(written, &meter.name, &why));
        names.allow(granted, &meter.name).map_err(refused)?;
    }
    Ok(())
}

/// What to do about a meter that a deployment may not give.
fn remedy_of_name(written: Written, name: &str, why: &NotAllowed) -> String {
    match (why, name.split_once('.')) {
        (NotAllowed::Operators(_), _) => "No grant gives it away: have the module choose other names".to_owned(),
        (NotAllowed::NotGranted { .. }, Some((word, _))) => format!(
            "Grant it, such as by {}, or have the module choose other names",
            written.entry("grants.names", format!("{word}."))
        ),
        (NotAllowed::NotGranted { .. }, None) => "Have the module choose other names".to_owned(),
    }
}

/// The texts of secrets, and where each may go. Only a file of the operator's may name other files: whoever may order
/// something at the control socket need not be allowed to read them.
fn secrets(grants: &Grants, allowed: &[Grant], written: Written) -> Result<Secrets, Refused> {
    let reachable: BTreeSet<String> = allowed.iter().map(|grant| grant.url().origin().to_string()).collect();
    let mut named = BTreeMap::new();
    for (name, source) in &grants.secrets {
        let origins: Vec<Origin> = match grants.secret_origins.get(name) {
            Some(origins) => parsed("grants.secrets", origins)?,
            None => allowed.iter().map(|grant| grant.url().origin().clone()).collect(),
        };
        if !grants.secret_origins.contains_key(name) && reachable.len() > 1 {
            let message = format!("the secret {name} does not say to which of several origins it may go");
            let remedy = match written {
                Written::File => {
                    "Write them as its `origins`, such as `origins: ['https://metrics.example:9100']`".to_owned()
                }
                Written::Order => format!("Say it, such as by `--grant origin={name},https://metrics.example:9100`"),
            };
            return Err(Refused::new("grants.secrets", message, remedy));
        }
        if let Some(unreachable) = origins.iter().find(|origin| !reachable.contains(&origin.to_string())) {
            let message = format!("the secret {name} may go to {unreachable}, where nothing may be requested");
            return Err(Refused::new("grants.secrets", message, "Correct the origin, or grant a URL of it"));
        }
        let secret = match source {
            SecretSource::Text(secret) => secret.clone(),
            SecretSource::File(path) if written == Written::File => read(name, Path::new(path))?,
            SecretSource::File(_) => {
                let message = format!("the secret {name} names a file, which only files of the operator's may");
                return Err(Refused::new("grants.secrets", message, "Hand over its text"));
            }
        };
        named.insert(name.clone(), GrantedSecret { secret, origins });
    }
    let refused = if written == Written::File { Refused::missing } else { Refused::new };
    Secrets::new(named).map_err(|invalid| refused("grants.secrets", invalid.to_string(), "Use another one"))
}

/// A secret is what a file says without the end of its last line.
fn read(name: &str, path: &Path) -> Result<Secret, Refused> {
    let text = files::read(path, SECRET_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is no text")));
    let text = text.map_err(|error| {
        let message = format!("the secret {name}: {} cannot be read: {error}", path.display());
        Refused::missing("grants.secrets", message, "Name a file that the daemon's user can read")
    })?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

fn parsed<T: std::str::FromStr>(key: &'static str, texts: &[String]) -> Result<Vec<T>, Refused>
where
    T::Err: std::fmt::Display,
{
    // What is wrong is not repeated: a password may be in it.
    let one = |(place, text): (usize, &String)| {
        text.parse().map_err(|error: T::Err| Refused::new(key, format!("entry {}: {error}", place + 1), "Correct it"))
    };
    texts.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contract::Kind;
    use crate::sandbox::host::http::limits::BODY_CEILING;

    /// What these grants give a module that makes requests, if they are written there.
    fn given(grants: Grants, written: Written) -> Result<Granted, Refused> {
        granted((&Requests::default(), &BTreeSet::new()), "acme/asks", &grants, written, Some(1 << 20))
    }

    fn with_secret(source: SecretSource) -> Grants {
        Grants {
            http: vec!["GET http://a.example/x".to_owned()],
            secrets: BTreeMap::from([("token".to_owned(), source)]),
            ..Grants::default()
        }
    }

    #[test]
    fn only_files_of_the_operators_name_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2-and-more\n").unwrap();
        let file = || with_secret(SecretSource::File(path.display().to_string()));
        assert!(given(file(), Written::File).unwrap().http.is_some());
        let refused = given(file(), Written::Order).unwrap_err();
        assert_eq!(refused.message, "the secret token names a file, which only files of the operator's may");
        let text = with_secret(SecretSource::Text(Secret::new("hunter2-and-more")));
        let granted = given(text, Written::Order).unwrap();
        assert!(granted.http.is_some() && !format!("{granted:?}").contains("hunter2"));
    }

    #[test]
    fn no_grant_is_named_that_would_be_refused_as_well() {
        let mut operators = Names::default();
        operators.describe(&Arc::from("own"), "own.load").unwrap();
        let operators = Arc::new(operators);
        let remedy = |meter: &str, granted: &[&str]| {
            let names = granted.iter().map(ToString::to_string).collect();
            let granted = Granted { names: Some(names), ..Granted::default() };
            let names = Names::beside(&operators);
            let meter = Meter { name: meter.to_owned(), unit: String::new(), kind: Kind::Gauge };
            may_give(&names, &granted, Written::Order, [&meter]).unwrap_err().remedy
        };
        let other = "No grant gives it away: have the module choose other names";
        for name in ["own.load", "disk.device.usage", "wasmeter.module.fuel", "cpu"] {
            assert_eq!((&*remedy(name, &[]), &*remedy(name, &["own.", "disk."])), (other, other), "{name}");
        }
        let granted = "Grant it, such as by `--grant name='disk.'`, or have the module choose other names";
        assert_eq!(remedy("disk.mine", &["own."]), granted);
        assert_eq!(remedy("load", &[]), "Have the module choose other names");
    }

    #[test]
    fn what_cannot_be_granted_says_which_key_it_is() {
        let http = |urls: &[&str]| Grants { http: urls.iter().map(ToString::to_string).collect(), ..Grants::default() };
        let secret = |text: &str| with_secret(SecretSource::Text(Secret::new(text)));
        let many: Vec<&str> = std::iter::repeat_n("http://a.example/", MOST_URLS + 1).collect();
        for (grants, key, words) in [
            (http(&["ftp://a.example/"]), "grants.http", "character 1: a URL begins with http://"),
            (http(&["http://127.0.0.1/"]), "grants.http", "127.0.0.1 is not a public address (loopback)"),
            (http(&many), "grants.http", "there are 101 entries, and at most 100 are taken"),
            (Grants::default(), "grants.http", "it imports wasmeter:plugin/http, which was not granted"),
            (secret("short"), "grants.secrets", "it has fewer than 8 bytes"),
            (secret("with\nan end of a line"), "grants.secrets", "it is not visible ASCII"),
            (
                Grants { addresses: vec!["all".to_owned()], ..http(&["http://a.example/"]) },
                "grants.addresses",
                "write an address or a network",
            ),
        ] {
            let refused = given(grants, Written::Order).unwrap_err();
            assert!(refused.key == key && refused.message.contains(words), "{refused:?}");
        }
        // What nobody checked is no more than may be, too.
        let requests = RequestLimits { body: Some(u64::MAX), time: Some(u64::MAX), per_minute: Some(u32::MAX) };
        let most = given(Grants { requests, ..http(&["http://a.example/"]) }, Written::Order).unwrap();
        assert_eq!(most.http.unwrap().permissions.limits().body, BODY_CEILING);
        let (requests, nobody) = (Requests::default(), BTreeSet::new());
        let idle = |grants| granted((&requests, &nobody), "acme/idle", &grants, Written::Order, None);
        let nothing = idle(Grants { clock: true, ..Grants::default() }).unwrap();
        assert!(nothing.http.is_none() && nothing.clock && !nothing.random);
        let refused = idle(Grants { addresses: vec!["::1".to_owned()], ..Grants::default() }).unwrap_err();
        assert!(refused.message.contains("nothing may be requested"), "{refused:?}");
    }
}
