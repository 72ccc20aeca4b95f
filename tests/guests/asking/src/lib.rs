//! A pollster that makes requests, looks at clocks and takes random numbers, and says what came of it.
//!
//! `asking.up` is 1 for each guest that it is handed, `asking.status` the status of the last answer. Everything else is
//! said in the log.

#![allow(clippy::disallowed_methods, reason = "whether clocks show the time is what it is for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmeter_sdk::config::{self, Deserialize, serde};
use wasmeter_sdk::http::{Header, Method, Request};
use wasmeter_sdk::{Call, Column, Declared, Failure, Level, Pollster, Samples, Wanted, gauge, register_pollster};

#[allow(unsafe_code, missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
mod wasi {
    wit_bindgen::generate!({
        inline: "
            package asking:guest;
            world asking { import wasi:random/random@0.2.0; }
            package wasi:random@0.2.0 {
                interface random {
                    get-random-bytes: func(len: u64) -> list<u8>;
                    get-random-u64: func() -> u64;
                }
            }
        ",
        world: "asking:guest/asking",
        generate_all,
    });
}

/// The pollster.
pub struct Asking;

#[derive(Deserialize, Default)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Config {
    /// What to request, in this order.
    requests: Vec<Wish>,
    /// Whether a request that is refused makes the call fail.
    strict: bool,
    /// Whether to fail after all requests.
    fail: bool,
    /// Whether to say what time it is, before and after sleeping so many milliseconds.
    sleep: Option<u64>,
    /// Whether to say a random number.
    random: bool,
}

#[derive(Deserialize, Default)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Wish {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    /// How often.
    times: Option<u32>,
}

impl Pollster for Asking {
    const METERS: &'static [Declared] = &[gauge("asking.up", ""), gauge("asking.status", "")];
    const READS: &'static [Wanted] = &[];
    const ATTRIBUTES: &'static [&'static str] = &["id"];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let config: Config = config::parse(call.config())?;
        let mut guests = call.attribute("id")?.resources;
        let parents = call.parents(&guests);
        let mut parents = parents.iter();
        guests.retain(|resource| parents.next() == Some(resource));
        let (mut status, mut said) = (None, String::new());
        let mut say = |words: String| {
            call.log(Level::Info, &words);
            said = words;
        };
        for wish in &config.requests {
            for _ in 0..wish.times.unwrap_or(1) {
                match call.send(&wish.request()) {
                    Ok(answer) => {
                        let headers: Vec<String> =
                            answer.headers.iter().map(|Header { name, value }| format!("{name}={value}")).collect();
                        let body = String::from_utf8_lossy(&answer.body);
                        say(format!("answered {} {} <{body}>", answer.status, headers.join(" ")));
                        status = Some(u64::from(answer.status));
                    }
                    Err(error) if config.strict => return Err(error.into()),
                    Err(error) => say(format!("not answered: {error:?}")),
                }
            }
        }
        if let Some(sleep) = config.sleep {
            let (began, before) = (Instant::now(), now());
            std::thread::sleep(Duration::from_millis(sleep));
            say(format!("slot {} clock {before} slept {}", call.read_at().wall, began.elapsed().as_millis()));
        }
        if config.random {
            say(format!("random {}", wasi::wasi::random::random::get_random_u64()));
        }
        if config.fail {
            return Err(format!("as it was told, after {said}").into());
        }
        let all = |value: u64| guests.iter().map(|guest| (*guest, value)).collect::<Column>();
        out.emit(0, all(1));
        if let Some(status) = status {
            out.emit(1, all(status));
        }
        Ok(())
    }
}

register_pollster!(Asking);

impl Wish {
    fn request(&self) -> Request {
        let method = match &*self.method {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "HEAD" => Method::Head,
            _ => Method::Get,
        };
        let request = Request { body: self.body.clone().into_bytes(), ..Request::new(method, &*self.url) };
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// Nanoseconds since 1970.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
