//! Traffic of guests' network devices, and what was added since the slot before.

use wasmeter_sdk::{
    Call, Column, Declared, Failure, Pollster, Samples, Wanted, cumulative, delta, read, register_pollster,
};

/// The pollster.
pub struct Network;

impl Pollster for Network {
    const METERS: &'static [Declared] = &[
        cumulative("network.incoming.bytes", "B"),
        cumulative("network.incoming.packets", "packet"),
        cumulative("network.incoming.packets.error", "packet"),
        cumulative("network.incoming.packets.drop", "packet"),
        cumulative("network.outgoing.bytes", "B"),
        cumulative("network.outgoing.packets", "packet"),
        cumulative("network.outgoing.packets.error", "packet"),
        cumulative("network.outgoing.packets.drop", "packet"),
        delta("network.incoming.bytes.delta", "B"),
        delta("network.outgoing.bytes.delta", "B"),
    ];
    /// In the order of the counters above.
    const READS: &'static [Wanted] = &[
        read("net.*.rx.bytes"),
        read("net.*.rx.pkts"),
        read("net.*.rx.errs"),
        read("net.*.rx.drop"),
        read("net.*.tx.bytes"),
        read("net.*.tx.pkts"),
        read("net.*.tx.errs"),
        read("net.*.tx.drop"),
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        for (meter, wanted) in Self::READS.iter().enumerate() {
            let column = call.column_or_empty(wanted.key)?;
            match wanted.key {
                "net.*.rx.bytes" => out.emit(8, added(call, wanted.key, &column)?),
                "net.*.tx.bytes" => out.emit(9, added(call, wanted.key, &column)?),
                _ => {}
            }
            out.emit(meter, column);
        }
        Ok(())
    }
}

/// What was added since the slot before. A device seen for the first time starts with nothing; a counter that went
/// back was reset, and all that it counts was added since.
fn added(call: &Call<'_>, key: &str, now: &Column) -> Result<Column, Failure> {
    let before = call.load(key, &now.resources);
    if !now.is_empty() {
        call.save(key, now)?;
    }
    let added = now.join_counts(&before, |now, before| Some(now.checked_sub(before).unwrap_or(now)))?;
    Ok(added.or(&now.map_counts(|_| Some(0_u64))?))
}

register_pollster!(Network);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn every_counter_has_its_key() {
        let keys = Network::READS.iter().map(|wanted| wanted.key);
        let mut host = (1..).zip(keys).fold(Host::new(), |host, (value, key)| host.stat(key, [(3, value)]));
        let samples = host.poll::<Network>().unwrap();
        for (value, meter) in (1..).zip(&Network::METERS[..8]) {
            assert_eq!(samples.counts(meter.name), [(3, value)], "{}", meter.name);
        }
    }

    #[test]
    fn deltas_start_with_nothing_and_survive_a_reset() {
        let mut host = Host::new();
        for (counters, added) in [
            (vec![(0, 100), (1, u64::MAX - 5)], vec![(0, 0), (1, 0)]),
            (vec![(0, 130), (1, u64::MAX), (2, 7)], vec![(0, 30), (1, 5), (2, 0)]),
            (vec![(0, 20), (2, 7)], vec![(0, 20), (2, 0)]),
            (vec![], vec![]),
            (vec![(1, u64::MAX)], vec![(1, 0)]),
        ] {
            host = host.stat("net.*.tx.bytes", counters);
            let samples = host.poll::<Network>().unwrap();
            assert_eq!(samples.counts("network.outgoing.bytes.delta"), added);
            assert!(samples.counts("network.incoming.bytes.delta").is_empty());
        }
    }
}
