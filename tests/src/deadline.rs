//! A deadline holds, whatever a module does meanwhile.

use std::time::{Duration, Instant};

use wasmeter::sandbox::{Cause, Limits};

use crate::support::{Forge, Host, LIMITS, hostile, kinds, module, poll};

/// So much fuel that only the clock can end a call.
const PATIENT: Limits =
    Limits { fuel_base: u64::MAX / 4, fuel_per_resource: 0, memory: 32 << 20, deadline: Duration::from_millis(50) };

/// Far more than a deadline should be missed by, for machines that are busy.
const LATE: Duration = Duration::from_secs(30);

/// Everything that goes on for ever as long as there is fuel, ends in time without it being used up.
#[tokio::test]
async fn what_never_ends_is_ended() {
    let input = Host::of(3).slot();
    for kind in kinds::all() {
        let late = match kind.ends {
            kinds::Ends::Polling(Cause::OutOfFuel) => kinds::Ends::Polling(Cause::Deadline),
            kinds::Ends::Configuring(Cause::OutOfFuel) => kinds::Ends::Configuring(Cause::Deadline),
            _ => continue,
        };
        let start = Instant::now();
        let (ends, failure) = kind.happen_within(&input, PATIENT).await;
        let took = start.elapsed();
        println!("{:50} {ends:?} after {} ms", kind.name, took.as_millis());
        if kind.name == "fill 1 GiB" {
            // Out of bounds, as only those learn who can pay for it.
            assert_eq!(ends, kinds::Ends::Polling(Cause::Trap));
            continue;
        }
        assert_eq!(ends, late, "{}: {failure:?}", kind.name);
        assert!(took < LATE, "{} took {took:?}", kind.name);
    }
}

#[tokio::test]
async fn a_deadline_says_how_long_it_was() {
    let input = Host::of(3).slot();
    let module = module(&hostile(), "run: loop", PATIENT).await.unwrap();
    let called = poll(&module, &input).await;
    let failure = called.result.unwrap_err();
    assert_eq!(failure.to_string(), "deadline: it took more than 50 ms");
    assert!(failure.fuel_used > 0 && failure.fuel_used == called.fuel);
}

/// One that only sleeps on the host's side would use no fuel.
#[tokio::test]
async fn after_its_deadline_others_go_on() {
    let input = Host::of(3).slot();
    let forever = module(&hostile(), "run: loop", PATIENT).await.unwrap();
    let honest = module(&Forge::pollster().component(), "", LIMITS).await.unwrap();
    // More than there are slots for instances.
    for _ in 0..20 {
        let (late, honest) = tokio::join!(poll(&forever, &input), poll(&honest, &input));
        assert_eq!(late.result.unwrap_err().cause, Cause::Deadline);
        assert!(honest.result.is_ok(), "{:?}", honest.result);
    }
}
