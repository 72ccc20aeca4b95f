//! What a side declared in its virtual host.

use std::error::Error;

use serde_json::Value;
use wasmeter_rig::Vhost;

/// What is compared: all that RabbitMQ keeps of them.
const KINDS: [&str; 3] = ["exchanges", "queues", "bindings"];

/// Exchanges, queues and bindings with all their properties, sorted.
pub fn declared(vhost: &Vhost<'_>) -> Result<Vec<String>, Box<dyn Error>> {
    let all: Value = serde_json::from_str(&vhost.rabbit().ctl(&["export_definitions", "-", "--format", "json"])?)?;
    let mut found = Vec::new();
    for kind in KINDS {
        let list = all.get(kind).and_then(Value::as_array).ok_or_else(|| format!("RabbitMQ tells of no {kind}"))?;
        for one in list.iter().filter(|one| one.get("vhost").and_then(Value::as_str) == Some(vhost.name())) {
            let mut one = one.clone();
            if let Some(one) = one.as_object_mut() {
                one.remove("vhost");
                one.sort_keys();
            }
            found.push(format!("{kind}: {one}"));
        }
        if !found.last().is_some_and(|last| last.starts_with(kind)) {
            return Err(format!("none of the {kind} was declared").into());
        }
    }
    found.sort();
    Ok(found)
}
