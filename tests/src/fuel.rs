//! Fuel is the same for the same call, and never more than was granted.

use std::sync::Arc;

use wasmeter::sandbox::{Cause, Limits};

use crate::support::{Forge, Host, LIMITS, disk, hostile, module, poll, sandbox};

#[tokio::test]
async fn the_same_call_takes_the_same_fuel() {
    let input = Host::of(50).slot();
    for (name, bytes, config) in [
        ("disk", disk(), ""),
        ("hostile", hostile(), ""),
        // Hash tables, addresses and all that a module can see are the same each time, too.
        ("hostile", hostile(), "give: what can be seen"),
        ("hostile", hostile(), "ask: leave everything"),
        ("hostile", hostile(), "run: panic"),
        ("hostile", hostile(), "run: log"),
        ("forged", Forge::pollster().component(), ""),
    ] {
        let module = module(&bytes, config, LIMITS).await.unwrap();
        let first = poll(&module, &input).await;
        let second = poll(&module, &input).await;
        assert!(first.fuel > 0, "{name} {config}");
        assert_eq!(first.fuel, second.fuel, "{name} {config}");
        assert_eq!(format!("{:?}", first.result), format!("{:?}", second.result), "{name} {config}");
    }
}

/// Whatever is granted, a call stays within it, and what it would have taken is what it needs.
#[tokio::test]
async fn no_call_uses_more_than_it_was_granted() {
    let input = Host::of(50).slot();
    for (bytes, config) in [(disk(), ""), (hostile(), "ask: leave everything"), (hostile(), "run: log")] {
        let module = module(&bytes, config, LIMITS).await.unwrap();
        let needed = poll(&module, &input).await.fuel;
        for granted in (0..10).map(|tenth| needed * tenth / 10).chain([needed - 1]) {
            let called = sandbox().poll(&module, input.clone(), Arc::default(), granted).await;
            assert_eq!(called.result.unwrap_err().cause, Cause::OutOfFuel, "{config}: {granted} of {needed}");
            assert!(called.fuel <= granted, "{config}: {} used of {granted}", called.fuel);
        }
        let called = sandbox().poll(&module, input.clone(), Arc::default(), needed).await;
        assert!(called.result.is_ok(), "{config}: {:?}", called.result);
        assert_eq!(called.fuel, needed);
    }
}

#[tokio::test]
async fn more_guests_take_more_fuel() {
    let module = module(&disk(), "", LIMITS).await.unwrap();
    let (few, many) = (Host::of(10).slot(), Host::of(1_000).slot());
    let (few, many) = (poll(&module, &few).await.fuel, poll(&module, &many).await.fuel);
    assert!(many > 10 * (few / 10), "{few} for 10 guests, {many} for 1000");
    let granted = Limits::default().fuel(1_000);
    assert!(many < granted / 4, "an honest module takes {many} of {granted}");
}
