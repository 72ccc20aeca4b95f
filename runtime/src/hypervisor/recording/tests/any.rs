//! Recordings as anybody may write or damage them.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// A slot with one guest that has a network device.
static SLOT: LazyLock<Recorded> = LazyLock::new(|| {
    let mut slot = simulated(1).remove(0);
    slot.guests.retain(|guest| !guest.definition.nics.is_empty());
    slot.guests.truncate(1);
    slot
});

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(Value::Count),
        (i64::MIN..0).prop_map(Value::Integer),
        any::<i32>().prop_map(|real| Value::Real(f64::from(real) / 2.0)),
        any::<String>().prop_map(|text| Value::Text(text.into())),
    ]
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = open(&bytes);
    }

    #[test]
    fn any_damage_is_survived(at in 0_usize..4000, byte in any::<u8>(), length in 0_usize..9000) {
        let slot = SLOT.clone();
        let mut bytes = written(&[slot]);
        bytes.truncate(length);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Ok(recording) = open(&bytes) {
            recording.connect().unwrap().read(&all(every_group())).unwrap();
        }
    }

    #[test]
    fn any_statistics_and_names_come_back(
        values in proptest::collection::vec((0_usize..3, any::<u32>(), value()), 0..20),
        name in any::<String>(),
        target in any::<String>(),
    ) {
        let key = |at: usize| KeyId::of(["cpu.time", "net.*.name", "block.*.path"][at]).unwrap();
        let mut slot = SLOT.clone();
        let stat = |(at, number, value)| Stat { key: key(at), number, value };
        slot.guests[0].stats = values.into_iter().map(stat).collect();
        slot.guests[0].definition.name = name;
        if let Some(nic) = slot.guests[0].definition.nics.first_mut() {
            nic.target = target;
        }
        let read: Recorded = serde_json::from_slice(&written(&[slot.clone()])).unwrap();
        prop_assert_eq!(&read, &slot);
        // Whatever the names are, the shapes that they may have are no trouble.
        Mask::salted([1; 32]).apply(&mut slot);
    }
}
