//! Three meters: bytes read, and how long a read and a write took on average since the slot before.

use wasmeter_sdk::*;

/// The pollster.
pub struct Latency;

impl Pollster for Latency {
    const METERS: &'static [Declared] = &[
        cumulative("disk.device.read.bytes", "B"),
        gauge("disk.device.read.latency", "ns"),
        gauge("disk.device.write.latency", "ns"),
    ];
    const READS: &'static [Wanted] = &[
        read("block.*.rd.bytes"),
        read("block.*.rd.reqs"),
        read("block.*.rd.times"),
        read("block.*.wr.reqs"),
        read("block.*.wr.times"),
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        out.emit(0, call.column("block.*.rd.bytes")?);
        for (meter, kind) in [(1, "rd"), (2, "wr")] {
            let (times, requests) = (grown(call, kind, "times")?, grown(call, kind, "reqs")?);
            out.emit(meter, times.join_map(&requests, |time, n| (n > 0.0).then(|| time / n)));
        }
        Ok(())
    }
}

fn grown(call: &Call<'_>, kind: &str, what: &str) -> Result<Column, Failure> {
    let key = format!("block.*.{kind}.{what}");
    let now = call.column(&key)?;
    let before = call.load(&key, &now.resources);
    call.save(&key, &now)?;
    now.join_counts(&before, u64::checked_sub)
}
register_pollster!(Latency);
