//! What goes wrong in what is asked of the host.

use std::hint::black_box;

use wasmeter_sdk::bindings::pollster::wasmeter::plugin::{attributes, declare, state, stats, texts};
use wasmeter_sdk::{Call, Column, Failure};

use crate::{LONG, NOWHERE, meter, unknown};

pub fn ask(wrong: &str, call: &Call<'_>, times: &Column) -> Result<(), Failure> {
    let first = times.resources.first().copied().ok_or("there is no guest")?;
    let numbers = |most: u32| (0..most).map(|n| n.to_string()).collect::<Vec<_>>();
    match wrong {
        "read without end" => loop {
            drop(black_box(stats::read("cpu.time")));
        },
        "read attributes without end" => loop {
            drop(black_box(attributes::read("id")));
        },
        "read what is not declared" => drop(call.column("balloon.current")?),
        "read a long key that is not declared" => drop(call.column(&"x".repeat(LONG))?),
        "read an attribute that is not declared" => drop(call.attribute("project_id")?),
        "read what is not declared and do without" => drop(stats::read("balloon.current")),
        "the parent of nobody" => drop(call.parents(&[NOWHERE])),
        "the parent of the next" => {
            let last = call.attribute("id")?.resources.last().copied().unwrap_or_default();
            drop(call.parents(&[last + 1]));
        }
        "a text of nobody" => drop(call.resolve(&[NOWHERE])),
        "for a long text many times" => {
            let text = call.intern(&["x".repeat(LONG)])?;
            drop(black_box(call.resolve(&text.repeat(100_000))));
        }
        "remember for nobody" => call.save("cell", &Column::new(vec![NOWHERE], vec![1u64]))?,
        "remember for the last number" => call.save("cell", &Column::new(vec![u32::MAX], vec![1u64]))?,
        "remember for a part of its own" => {
            let parts = call.declare_parts(&[first], &call.intern(&["part".into()])?)?;
            call.save("cell", &Column::new(parts, vec![1u64]))?;
        }
        "recall for nobody" => drop(call.load("cell", &[NOWHERE])),
        "remember under no name" => call.save_bytes("", &[1])?,
        "remember texts" => call.save("cell", &call.attribute("id")?)?,
        "remember fewer values than resources" => {
            call.save("cell", &Column::new(times.resources.clone(), Vec::<u64>::new()))?;
        }
        "remember under many names" => numbers(20_000).iter().try_for_each(|name| call.save_bytes(name, &[1]))?,
        "remember much" => numbers(20).iter().try_for_each(|name| call.save_bytes(name, &vec![1; LONG]))?,
        "remember without end" => loop {
            drop(state::save_bytes("name", &[1]));
        },
        "intern what is no JSON" => drop(call.intern_json(&["{".into()])?),
        "intern deep JSON" => drop(call.intern_json(&["[".repeat(1_000)])?),
        "intern wide JSON" => drop(call.intern_json(&[format!("[{}0]", "0,".repeat(2 * LONG))])?),
        "intern many texts" => drop(call.intern(&numbers(100_000))?),
        "intern a long text" => drop(call.intern(&["x".repeat(5 * LONG)])?),
        "intern without end" => (0u64..).for_each(|n| drop(texts::intern(&[n.to_string()]))),
        "declare another's meter" => drop(call.declare_meters(&[meter("other.meter")])?),
        "declare a meter without a name" => drop(call.declare_meters(&[meter("")])?),
        "declare many meters" => {
            let meters: Vec<_> = (0..2_000).map(|n| meter(&format!("hostile.declared.{n}"))).collect();
            call.declare_meters(&meters)?;
        }
        "declare a meter often" => drop(call.declare_meters(&vec![meter("hostile.declared.same"); 10_000])?),
        "declare meters without end" => {
            (0u64..).for_each(|n| drop(declare::meters(&[meter(&format!("hostile.declared.{n}"))])));
        }
        "declare many parts" => {
            let suffixes = call.intern(&numbers(2_000))?;
            call.declare_parts(&vec![first; suffixes.len()], &suffixes)?;
        }
        "declare more than it may and do without" => {
            let suffixes = texts::intern(&numbers(65)).map_err(|_| "there is no room for texts")?;
            let meters: Vec<_> = (0..1_001).map(|n| meter(&format!("hostile.declared.{n}"))).collect();
            let (one, as_many_as_it_may) = meters.split_at(1);
            let parts = declare::parts(&vec![first; 65], &suffixes);
            let (first, too_many) = (declare::meters(one), declare::meters(as_many_as_it_may));
            if parts.is_ok() || first.is_err() || too_many.is_ok() {
                return Err("a limit was not kept".into());
            }
        }
        "declare parts without end" => loop {
            drop(declare::parts(&[first], &call.intern(&["part".into()])?));
        },
        "declare a part of great length" => {
            drop(call.declare_parts(&[first], &call.intern(&["x".repeat(300)])?)?);
        }
        "declare a part of nobody" => drop(call.declare_parts(&[NOWHERE], &call.intern(&["part".into()])?)?),
        "declare a part without a text" => drop(call.declare_parts(&[first], &[NOWHERE])?),
        "declare parts of fewer guests" => drop(call.declare_parts(&[], &call.intern(&["part".into()])?)?),
        "leave everything and panic" => {
            leave_everything(call, times)?;
            panic!("poll is told to panic");
        }
        "leave everything and fail" => {
            leave_everything(call, times)?;
            return Err("poll is told to fail".into());
        }
        "leave everything" => leave_everything(call, times)?,
        other => return Err(unknown(other)),
    }
    Ok(())
}

/// Everything that a call can leave behind.
pub fn leave_everything(call: &Call<'_>, times: &Column) -> Result<(), Failure> {
    call.save("cell", times)?;
    call.save_bytes("bytes", b"left behind")?;
    let left = call.intern(&["left behind".into()])?;
    call.declare_meters(&[meter("hostile.declared.left")])?;
    call.declare_parts(times.resources.get(..1).unwrap_or_default(), &left)?;
    Ok(())
}
