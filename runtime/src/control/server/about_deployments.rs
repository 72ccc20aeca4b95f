//! What is asked and ordered about deployments: from paths and bodies to the desk, and back.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use super::{json, line, not_allowed, read};
use crate::control::deployments::{Deploy, RollBack};
use crate::control::desk::{Desk, No};
use crate::http::{Method, Reply, Request, StatusCode};
use crate::modules::audit::Who;
use crate::modules::deployment::{Key, Name, Tenant};
use crate::sandbox::limits::FILE_BYTES;

/// The longest order: what is said of a module, and the module.
pub const BODY: usize = HEAD + FILE_BYTES;
/// What is said of a module: grants, a configuration, a signature, with every letter escaped.
const HEAD: usize = 2 << 20;
/// The longest that somebody waits for lines.
const LONGEST_WAIT: u64 = 60; // seconds

/// Whether it is waited for lines that are to come.
pub fn asks_for_lines(request: &Request) -> bool {
    request.uri().path().ends_with("/log") && asked(request, "wait").is_some_and(|seconds| seconds > 0)
}

/// Answers a request; `path` is what stands behind `/deployments`.
pub async fn answer(desk: &Desk, who: Who, path: &str, request: &Request) -> Reply {
    let method = request.method();
    let only = |allowed: Method| (*method != allowed).then(|| not_allowed(&allowed));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (key, what) = match *parts {
        [] => return only(Method::GET).unwrap_or_else(|| json(&desk.rows())),
        [tenant, name] => (key(tenant, name), None),
        [tenant, name, what] => (key(tenant, name), Some(what)),
        _ => return nothing_here(),
    };
    let key = match key {
        Ok(key) => key,
        Err(why) => return line(StatusCode::BAD_REQUEST, &why),
    };
    let allowed = match what {
        None | Some("log") => Method::GET,
        Some("deploy" | "rollback" | "pause" | "resume" | "remove") => Method::POST,
        Some(_) => return nothing_here(),
    };
    if let Some(refusal) = only(allowed) {
        return refusal;
    }
    match what {
        None => answered(desk.show(&key).await),
        Some("log") => {
            let asked = |name: &str| asked(request, name);
            let wait = Duration::from_secs(asked("wait").unwrap_or(0).min(LONGEST_WAIT));
            answered(desk.log(&key, asked("after").unwrap_or(0), wait).await)
        }
        Some("deploy") => match order(request.body()) {
            Ok((order, file)) => answered(desk.deploy(who, key, order, file).await),
            Err(why) => line(StatusCode::BAD_REQUEST, &why),
        },
        Some("rollback") => {
            let order = if request.body().is_empty() { Ok(RollBack::default()) } else { read(request) };
            match order {
                Ok(order) => answered(desk.roll_back(who, key, order).await),
                Err(error) => super::unreadable(&error),
            }
        }
        Some("pause") => answered(desk.pause(who, key).await),
        Some("resume") => answered(desk.resume(who, key).await),
        Some(_) => answered(desk.remove(who, key).await),
    }
}

fn key(tenant: &str, name: &str) -> Result<Key, String> {
    let tenant = Tenant::from_str(tenant).map_err(|error| error.to_string())?;
    Ok(Key::new(tenant, Name::from_str(name).map_err(|error| error.to_string())?))
}

/// What is said of a module on the first line, and the module behind it.
fn order(body: &Bytes) -> Result<(Deploy, Bytes), String> {
    let end = body.iter().take(HEAD).position(|byte| *byte == b'\n');
    let split = end.and_then(|end| body.split_at_checked(end));
    let (head, rest) = split.ok_or("This is no order: a line of JSON comes first, and then the module.")?;
    let order = serde_json::from_slice(head).map_err(|error| format!("This cannot be understood: {error}"))?;
    Ok((order, body.slice_ref(rest.get(1..).unwrap_or_default())))
}

/// A number in the query.
fn asked(request: &Request, name: &str) -> Option<u64> {
    let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name)?.1.parse().ok()
}

fn answered(answer: Result<impl serde::Serialize, No>) -> Reply {
    match answer {
        Ok(answer) => json(&answer),
        Err(No { status, tried: Some(tried), .. }) => {
            let mut reply = json(&tried);
            *reply.status_mut() = status;
            reply
        }
        Err(No { status, why, tried: None, .. }) => line(status, &why),
    }
}

fn nothing_here() -> Reply {
    let known = "There is nothing here. There are /deployments, /deployments/TENANT/NAME, and below that log, deploy, \
                 rollback, pause, resume and remove.";
    line(StatusCode::NOT_FOUND, known)
}
