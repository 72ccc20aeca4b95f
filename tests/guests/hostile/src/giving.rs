//! What goes wrong in what is answered.

use wasmeter_sdk::{Call, Column, Failure, Note, Samples, Values};

use crate::{NOWHERE, asking, see, unknown};

pub fn give(wrong: &str, call: &Call<'_>, times: Column, out: &mut Samples) -> Result<(), Failure> {
    let ones = |resources: Vec<u32>| Column::new(resources.clone(), vec![1u64; resources.len()]);
    let reals = |value: f64| Column::new(times.resources.clone(), vec![value; times.len()]);
    let note = |column: Column| call.note("key", column);
    let guests = times.resources.clone();
    match wrong {
        "a resource of nobody" => out.emit(0, ones(vec![NOWHERE])),
        "the last number" => out.emit(0, ones(vec![u32::MAX])),
        "the last number first" => out.emit(0, ones([vec![u32::MAX], guests].concat())),
        "all numbers up to its last" => out.emit(0, ones((0..=guests.last().copied().unwrap_or_default()).collect())),
        "the numbers that it was handed" => {
            let all = call.attribute("id")?.resources;
            let parents = call.parents(&all);
            let guests: Vec<u32> =
                all.iter().zip(parents).filter(|(own, of)| *own == of).map(|(own, _)| *own).collect();
            let said =
                |key: &str, count: usize| call.note(key, Column::new(guests.clone(), vec![count as u64; guests.len()]));
            let last = all.last().map_or(0, |last| *last as usize);
            let notes = vec![said("guests", guests.len())?, said("resources", all.len())?, said("last", last)?];
            let numbers = guests.iter().map(|number| u64::from(*number)).collect::<Vec<_>>();
            out.emit_with(0, Column::new(guests.clone(), numbers), notes);
        }
        "resources backwards" => out.emit(0, ones(guests.into_iter().rev().collect())),
        "a resource twice" => out.emit(0, ones([guests.clone(), guests].concat())),
        "a meter of nobody" => out.emit(1, times),
        "a meter twice" => {
            out.emit(0, times.clone());
            out.emit(0, times);
        }
        "a note of nobody" => out.emit_with(0, times, vec![Note { key: NOWHERE, column: Column::default() }]),
        "a note with a text of nobody" => out.emit_with(0, times, vec![note(Column::new(vec![0], vec![NOWHERE]))?]),
        "a note on nobody" => out.emit_with(0, times, vec![note(ones(vec![NOWHERE]))?]),
        "a note that is no number" => out.emit_with(0, times.clone(), vec![note(reals(f64::NAN))?]),
        "a note of the host's" => {
            let column = times.clone();
            out.emit_with(0, times, vec![call.note("instance_id", column)?]);
        }
        "a note twice" => out.emit_with(0, times.clone(), vec![note(times)?; 2]),
        "a long note" => {
            let texts = call.intern(&["x".repeat(5_000)])?;
            out.emit_with(0, times, vec![note(Column::new(vec![0], texts))?]);
        }
        "many notes" => out.emit_with(0, times.clone(), vec![note(times)?; 17]),
        "NaN" => out.emit(0, reals(f64::NAN)),
        "infinity" => out.emit(0, reals(f64::INFINITY)),
        "minus infinity" => out.emit(0, reals(f64::NEG_INFINITY)),
        "texts" => out.emit(0, call.attribute("id")?),
        "fewer values than resources" => out.emit(0, Column { resources: guests, values: Values::Counts(vec![1]) }),
        "many samples" => out.emit(0, ones((0..100_000).collect())),
        "more than can cross" => out.emit(0, ones(vec![0; 1_500_000])),
        "NaN and leave everything" => {
            asking::leave_everything(call, &times)?;
            out.emit(0, reals(f64::NAN));
        }
        "what was remembered" => {
            out.emit(0, call.load("cell", &guests));
            call.save("cell", &times)?;
        }
        "what can be seen" => out.emit(0, times.map(|_| Some(u64::from(see())))),
        other => return Err(unknown(other)),
    }
    Ok(())
}
