//! What nobody of us has written.

use super::*;

/// With version 2 current, version 1 to go back to, and version 3 on trial.
fn life() -> Life {
    let mut life = Life::new(1, "host 0", 0);
    life.try_out(2, true);
    let ran = Ran { trial: Some((StateId(1), Outcome::Good)), current: None };
    life.outcome(&ran, &Rules { trial_slots: 1, ..Rules::default() }, 0).unwrap();
    life.try_out(3, true);
    life
}

#[test]
fn what_breaks_a_rule_is_refused() {
    life().check(&[1, 2, 3]).unwrap();
    let refused = |change: &dyn Fn(&mut Life)| {
        let mut changed = life();
        change(&mut changed);
        changed.check(&[1, 2, 3]).unwrap_err()
    };
    let trial = |version, state| {
        let instance = Instance { version, state: StateId(state) };
        Some(Trial { instance, dry: version == 3, good: 0, failed: 0, untried: 0 })
    };
    assert_eq!(refused(&|it| it.current.version = 9), "it has no version 9, which is to run");
    assert_eq!(refused(&|it| it.trial = trial(9, 2)), "it has no version 9, which is on trial");
    assert_eq!(refused(&|it| it.trial = trial(2, 2)), "version 2 is on trial and ran already");
    assert_eq!(refused(&|it| it.trial = trial(1, 2)), "version 1 is on trial and ran already");
    assert_eq!(refused(&|it| it.trial = trial(3, 1)), "version 3 is on trial on the state of version 2");
    assert_eq!(refused(&|it| it.earlier.push(1)), "a version that ran before is named twice");
    assert_eq!(refused(&|it| it.earlier.push(2)), "a version that ran before is named twice");
    assert_eq!(refused(&|it| it.earlier.push(8)), "it has no version 8, which ran before");
    assert_eq!(refused(&|it| it.refused.extend([1, 9])), "it has no version 9, which could not run");
    for number in [2, 3] {
        let words = format!("version {number} could not run, and is current or on trial");
        assert_eq!(refused(&|it| it.refused.extend([number])), words);
    }
    assert_eq!(refused(&|it| it.trial = trial(3, 9)), "the number of its next state is given already");
    for next in [0, 2, u64::MAX] {
        assert_eq!(refused(&|it| it.next_state = next), "the number of its next state is given already");
    }
    let long = refused(&|it| it.host = "x".repeat(2_000));
    assert_eq!(long, "the version of the host has more than 1024 bytes");
}
