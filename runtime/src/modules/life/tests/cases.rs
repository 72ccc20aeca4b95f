//! One thing each.

use std::time::Duration;

use super::world::World;
use super::*;
use crate::modules::deployment::tests::{HOST_VERSION, version};

const TRAP: Outcome = Outcome::Failed(Cause::Trap);
const HOST: Outcome = Outcome::Failed(Cause::Host);

fn partly(failed: u32) -> Outcome {
    Outcome::Partly { failed, cause: Cause::Trap }
}

/// A slot in which whatever runs has this outcome, and what ran then landed.
fn slot(world: &mut World, trial: Outcome, current: Outcome) -> Vec<u64> {
    let slot = world.slot(trial, current, |_| ());
    slot.landed.iter().map(|instance| instance.version).collect()
}

/// Slots, one second each, until nothing runs any more.
fn fail(world: &mut World) {
    for _ in 0..world.rules.failing_slots {
        slot(world, TRAP, TRAP);
    }
}

fn idle(world: &World) -> Option<i64> {
    match world.it.plan(&world.rules, world.now) {
        Run::Nothing(Idle::Quarantined { until, .. }) => Some((until - world.now) / SECOND),
        Run::Nothing(Idle::Paused) => Some(i64::MAX),
        _ => None,
    }
}

#[test]
fn a_trial_that_is_good_for_some_slots_takes_over_with_its_state() {
    let mut world = World::new(Rules::default());
    slot(&mut world, Outcome::Good, Outcome::Good);
    world.deploy();
    for _ in 0..3 {
        assert_eq!(slot(&mut world, Outcome::Good, TRAP), [2]);
    }
    assert_eq!(world.said(), ["version 2 is on trial", "version 2 has passed its trial and takes the place of 1"]);
    assert_eq!(world.current(), 2);
    assert_eq!(
        world.states.into_values().collect::<Vec<_>>(),
        [[0, 1, 1, 1].map(StateId)],
        "what version 1 kept goes on"
    );
}

#[test]
fn what_does_well_in_a_dry_run_is_on_trial_with_what_is_remembered_after_it() {
    let mut world = World::new(Rules::default());
    slot(&mut world, TRAP, Outcome::Good);
    world.write();
    assert_eq!(world.states.len(), 1, "it has no state yet");
    assert_eq!(slot(&mut world, Outcome::Good, Outcome::Good), [1], "nothing of it counts");
    let states: Vec<_> = world.states.values().cloned().collect();
    assert_eq!(states, [[0, 0].map(StateId), [0, 0].map(StateId)], "the trial begins with a copy of what is there now");
    for left in (0..3).rev() {
        assert_eq!(slot(&mut world, Outcome::Good, TRAP), [2]);
        assert_eq!(world.trial().is_some(), left > 0, "the dry run was none of its good slots");
    }
    let said = [
        "version 2 is tried out beside 1, and nothing of it counts",
        "version 2 did well when it was tried out, and is on trial",
        "version 2 has passed its trial and takes the place of 1",
    ];
    assert_eq!(world.said(), said);
    assert_eq!(world.states.into_values().collect::<Vec<_>>(), [[0, 0, 1, 1, 1].map(StateId)]);
}

#[test]
fn what_fails_in_a_dry_run_is_given_up_at_once() {
    let mut world = World::new(Rules { trial_failures: 3, ..Rules::default() });
    world.write();
    assert_eq!(slot(&mut world, TRAP, Outcome::Good), [1]);
    let given_up = "version 2 is given up, and 1 goes on: it failed with trap when it was tried out";
    assert_eq!(world.said(), ["version 2 is tried out beside 1, and nothing of it counts", given_up]);
    assert_eq!(world.states.values().collect::<Vec<_>>(), [&[StateId(0)]]);
    // Nor does it help that the one before it fails.
    world.write();
    slot(&mut world, TRAP, TRAP);
    assert_eq!((world.trial(), world.current()), (None, 1));
}

#[test]
fn what_could_not_be_tried_out_is_in_the_next_slot() {
    let mut world = World::new(Rules::default());
    world.write();
    for _ in 0..100 {
        assert!(slot(&mut world, Outcome::NotRun, Outcome::NotRun).is_empty());
        assert!(slot(&mut world, HOST, HOST).is_empty());
    }
    for _ in 0..19 {
        assert_eq!(slot(&mut world, HOST, Outcome::Good), [1]);
    }
    world.restart();
    assert!(world.it.life.trial().unwrap().dry);
    assert_eq!(slot(&mut world, Outcome::Good, Outcome::Good), [1]);
    assert_eq!(world.said().len(), 2);
    for _ in 0..19 {
        assert_eq!(slot(&mut world, HOST, Outcome::Good), [1], "it is counted anew");
    }
    assert_eq!(slot(&mut world, Outcome::Good, TRAP), [2]);
    // What only happens with one version is not the host's doing.
    world.write();
    for _ in 0..20 {
        assert!(world.trial().is_some());
        slot(&mut world, HOST, TRAP);
    }
    assert_eq!(world.said()[2], "version 3 is given up, and 1 goes on: the host could not run it");
}

#[test]
fn a_dry_run_is_held_against_the_version_before_it_in_the_same_slot() {
    for (tried, current, passes) in [(2, 2, true), (3, 2, false), (1, 0, false)] {
        let mut world = World::new(Rules::default());
        slot(&mut world, TRAP, partly(1));
        world.write();
        assert_eq!(slot(&mut world, partly(tried), partly(current)), [1]);
        assert_eq!(world.trial().is_some(), passes, "{tried} beside {current}");
    }
}

#[test]
fn a_trial_that_was_kept_before_there_were_dry_runs_goes_on() {
    let mut world = World::new(Rules::default());
    world.deploy();
    let text = serde_json::to_string(&world.it.life).unwrap();
    let before = text.replace("\"dry\":false,", "");
    assert_ne!(text, before);
    assert_eq!(serde_json::from_str::<Life>(&before).unwrap(), world.it.life);
}

#[test]
fn a_trial_that_fails_loses_no_slot_and_leaves_nothing() {
    let mut world = World::new(Rules::default());
    slot(&mut world, Outcome::Good, Outcome::Good);
    world.deploy();
    assert_eq!(slot(&mut world, Outcome::Good, TRAP), [2]);
    assert_eq!(slot(&mut world, TRAP, Outcome::Good), [1], "in the same slot");
    assert_eq!(slot(&mut world, TRAP, Outcome::Good), [1]);
    assert_eq!(world.said(), ["version 2 is on trial", "version 2 is given up, and 1 goes on: it failed with trap"]);
    assert_eq!(world.states.into_values().collect::<Vec<_>>(), [[0, 0, 0].map(StateId)]);
}

#[test]
fn a_trial_may_fail_as_often_as_the_rules_say() {
    let mut world = World::new(Rules { trial_failures: 2, ..Rules::default() });
    world.deploy();
    for (trial, lands) in [(Outcome::Good, 2), (Outcome::Good, 2), (TRAP, 1), (Outcome::Good, 2)] {
        assert_eq!(slot(&mut world, trial, Outcome::Good), [lands]);
    }
    assert!(world.trial().is_some(), "three good ones in a row are wanted");
    slot(&mut world, TRAP, Outcome::Good);
    assert!(world.trial().is_none());
}

#[test]
fn what_is_the_hosts_doing_counts_for_nothing_and_loses_no_slot() {
    let mut world = World::new(Rules::default());
    world.deploy();
    for _ in 0..1000 {
        assert!(slot(&mut world, HOST, HOST).is_empty());
        assert!(slot(&mut world, Outcome::NotRun, Outcome::NotRun).is_empty());
    }
    assert_eq!(slot(&mut world, HOST, Outcome::Good), [1]);
    assert_eq!(world.said(), ["version 2 is on trial"]);
    world.roll_back();
    for _ in 0..1000 {
        slot(&mut world, HOST, HOST);
    }
    assert_eq!(idle(&world), None);
}

#[test]
fn what_the_host_cannot_run_of_one_version_only_is_given_up() {
    for beside in [Outcome::Good, TRAP] {
        let mut world = World::new(Rules::default());
        world.deploy();
        for _ in 0..20 {
            assert!(world.trial().is_some());
            slot(&mut world, HOST, beside);
        }
        assert_eq!(world.said()[1], "version 2 is given up, and 1 goes on: the host could not run it");
    }
}

#[test]
fn what_is_not_called_loses_no_slot_and_is_given_up() {
    for (written, beside) in [(false, Outcome::Good), (false, partly(1)), (true, Outcome::Good)] {
        let mut world = World::new(Rules::default());
        if written {
            world.write()
        } else {
            world.deploy()
        }
        for _ in 0..100 {
            assert!(slot(&mut world, Outcome::NotRun, Outcome::NotRun).is_empty(), "nothing is for either");
        }
        for _ in 0..20 {
            assert!(world.trial().is_some());
            assert_eq!(slot(&mut world, Outcome::NotRun, beside), [1]);
        }
        let given_up = "version 2 is given up, and 1 goes on: nothing came that it is for, and the version before it was \
                        called";
        assert_eq!(world.said()[1], given_up);
    }
    // Every now and then is enough.
    let mut world = World::new(Rules::default());
    world.deploy();
    for _ in 0..3 {
        for _ in 0..19 {
            assert_eq!(slot(&mut world, Outcome::NotRun, Outcome::Good), [1]);
        }
        assert_eq!(slot(&mut world, Outcome::Good, Outcome::Good), [2]);
    }
    assert_eq!(world.current(), 2);
}

#[test]
fn a_guest_that_no_version_can_read_does_not_keep_a_new_one_from_taking_over() {
    let mut world = World::new(Rules::default());
    slot(&mut world, TRAP, partly(2));
    assert_eq!(world.it.life.failing(), Some((2, Cause::Trap)));
    world.deploy();
    for _ in 0..3 {
        assert_eq!(slot(&mut world, partly(2), TRAP), [2]);
    }
    assert_eq!(world.current(), 2);
    world.deploy();
    assert_eq!(slot(&mut world, partly(2), TRAP), [3], "what version 2 could not read on trial counts");
    assert_eq!(slot(&mut world, partly(3), partly(2)), [2], "one more is one too many");
    assert!(world.trial().is_none());
}

#[test]
fn whoever_fails_partly_is_never_paused() {
    let mut world = World::new(Rules::default());
    for _ in 0..100 {
        assert_eq!(slot(&mut world, TRAP, partly(999)), [1]);
    }
    assert!(world.log.is_empty());
}

#[test]
fn pauses_grow_and_are_told_once() {
    let mut world = World::new(Rules::default());
    slot(&mut world, TRAP, TRAP);
    slot(&mut world, TRAP, Outcome::Failed(Cause::OutOfFuel));
    assert_eq!(idle(&world), None);
    slot(&mut world, TRAP, TRAP);
    for pause in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] {
        assert_eq!(idle(&world), Some(pause));
        world.now += pause * SECOND - 1;
        assert!(idle(&world).is_some());
        world.restart();
        world.now += 1;
        assert_eq!(idle(&world), None);
        // One try, and another cause changes nothing.
        slot(&mut world, TRAP, Outcome::Failed(Cause::Memory));
    }
    assert_eq!(
        world.said(),
        ["it is in quarantine after 3 failing slots in a row, the last with trap; it is tried again in 30 s, and \
             less and less often if it goes on failing"]
    );
    world.now += 3600 * SECOND;
    assert_eq!(slot(&mut world, TRAP, partly(1)), [1]);
    assert_eq!(world.said(), ["it is no longer in quarantine: it works again"]);
}

#[test]
fn pauses_are_remembered_for_a_hundred_slots() {
    let mut world = World::new(Rules::default());
    for (good, pause) in [(0, 30), (99, 60), (50, 120), (100, 30)] {
        for _ in 0..good {
            slot(&mut world, TRAP, Outcome::Good);
        }
        fail(&mut world);
        assert_eq!(idle(&world), Some(pause));
        world.now += pause * SECOND;
        // The try is a good slot, too.
        if good == 0 {
            slot(&mut world, TRAP, Outcome::NotRun);
            assert_eq!(idle(&world), None, "what was not tried is tried in the next slot");
        }
    }
}

#[test]
fn another_version_a_word_or_another_host_end_a_quarantine_at_once() {
    let ends = [
        (|it| it.deployed(version(b"module")).unwrap()) as fn(&Deployment) -> (Deployment, Vec<Change>),
        |it| it.rolled_back().unwrap(),
        Deployment::resumed,
        |it| it.on_host("host 1"),
    ];
    let another = "there is another version of it";
    let why = [another, another, "it was resumed", "there is another version of wasmeter"];
    for (end, why) in ends.into_iter().zip(why) {
        let mut world = World::new(Rules { trial_slots: 1, ..Rules::default() });
        world.deploy();
        slot(&mut world, Outcome::Good, TRAP);
        fail(&mut world);
        world.said();
        assert_eq!(world.it.on_host(HOST_VERSION), (world.it.clone(), vec![]));
        assert_eq!(idle(&world), Some(30));
        world.keep(end(&world.it));
        assert_eq!(world.said()[0], format!("it is no longer in quarantine: {why}"));
        assert_eq!(idle(&world), None);
        if world.trial().is_some() {
            world.roll_back();
        }
        fail(&mut world);
        assert_eq!(idle(&world), Some(30), "what was before is forgotten");
    }
}

#[test]
fn no_clock_makes_a_pause_last() {
    for (began, then) in [(0, i64::MIN), (i64::MAX, 0), (i64::MAX, i64::MIN), (0, i64::MAX), (i64::MIN, 0)] {
        let mut world = World::new(Rules::default());
        world.now = began;
        fail(&mut world);
        world.now = then;
        assert_eq!(idle(&world), None, "{began} {then}");
        slot(&mut world, TRAP, TRAP);
        world.now = then.saturating_add(60 * SECOND);
        if world.now < i64::MAX {
            assert_eq!(idle(&world), None);
        }
    }
    // Back, but not before it began: as long as the pause is, and no longer.
    let mut world = World::new(Rules::default());
    fail(&mut world);
    world.now += 29 * SECOND;
    world.now -= 28 * SECOND;
    assert_eq!(idle(&world), Some(29));
}

#[test]
fn a_pause_holds_until_it_is_ended_and_a_trial_goes_on_after_it() {
    let mut world = World::new(Rules::default());
    world.deploy();
    slot(&mut world, Outcome::Good, TRAP);
    world.keep(world.it.paused(0, "me"));
    assert!(world.it.paused(0, "you").1.is_empty());
    world.restart();
    assert!(slot(&mut world, Outcome::Good, Outcome::Good).is_empty());
    world.deploy();
    assert!(slot(&mut world, Outcome::Good, Outcome::Good).is_empty(), "whoever paused it did not mean version 2 only");
    world.keep(world.it.resumed());
    assert!(world.it.resumed().1.is_empty());
    assert_eq!(slot(&mut world, Outcome::Good, Outcome::Good), [3]);
    assert_eq!(
        world.said(),
        [
            "version 2 is on trial",
            "it is paused",
            "version 2 is given up, and 1 goes on: another one takes its place",
            "version 3 is on trial",
            "it is resumed"
        ]
    );
}

#[test]
fn going_back_is_at_once_and_takes_the_state_along() {
    let mut world = World::new(Rules::default());
    slot(&mut world, TRAP, Outcome::Good);
    world.deploy();
    slot(&mut world, Outcome::Good, TRAP);
    world.roll_back();
    assert_eq!(slot(&mut world, TRAP, Outcome::Good), [1], "a trial is over");
    world.deploy();
    for _ in 0..3 {
        slot(&mut world, Outcome::Good, TRAP);
    }
    world.roll_back();
    assert_eq!((slot(&mut world, TRAP, Outcome::Good), world.trial()), (vec![1], None));
    assert_eq!(world.states.into_values().collect::<Vec<_>>(), [[0, 0, 2, 2, 2, 3].map(StateId)]);
}

#[test]
fn what_ends_after_going_back_is_of_no_consequence() {
    let mut world = World::new(Rules { trial_slots: 1, failing_slots: 1, ..Rules::default() });
    world.deploy();
    slot(&mut world, Outcome::Good, TRAP);
    world.slot(TRAP, TRAP, World::roll_back);
    assert_eq!((idle(&world), world.it.life.failing()), (None, None));
    let writers: Vec<_> = world.states.values().flatten().copied().collect();
    assert_eq!(writers, [StateId(1)], "what the slot gave is not in the state that goes on");
}

#[test]
fn slots_that_change_nothing_are_not_saved() {
    let mut world = World::new(Rules::default());
    for number in 0..1000 {
        slot(&mut world, TRAP, if number % 3 == 0 { TRAP } else { partly(number) });
    }
    assert_eq!(world.saves, 0);
    world.deploy();
    slot(&mut world, Outcome::Good, TRAP);
    slot(&mut world, HOST, Outcome::Good);
    assert_eq!(world.saves, 1);
    slot(&mut world, Outcome::Good, TRAP);
    slot(&mut world, Outcome::Good, TRAP);
    assert_eq!((world.saves, world.trial()), (2, None));
}

#[test]
fn what_ends_after_a_deployment_that_came_meanwhile_is_of_no_consequence() {
    let mut world = World::new(Rules::default());
    world.deploy();
    world.slot(TRAP, Outcome::Good, World::deploy);
    assert_eq!((world.trial(), world.it.life.trial().unwrap().failed), (Some(3), 0));
    world.rules.trial_slots = 1;
    world.slot(Outcome::Good, TRAP, World::deploy);
    assert_eq!(world.current(), 1);
}

#[test]
fn an_outcome_of_whoever_is_gone_is_nobodys() {
    let mut world = World::new(Rules { failing_slots: 1, trial_slots: 1, ..Rules::default() });
    let gone = world.it.life.current().state;
    world.deploy();
    slot(&mut world, Outcome::Good, TRAP);
    let late = Ran { trial: None, current: Some((gone, TRAP)) };
    world.land(&late);
    assert_eq!((idle(&world), world.it.life.failing()), (None, None));
}

#[test]
fn what_a_module_has_no_hand_in_does_not_count() {
    for cause in [Cause::Host, Cause::Unreadable, Cause::NotGranted] {
        assert!(!is_its_own(cause), "{cause}");
    }
    for cause in [Cause::AbiMismatch, Cause::Compile, Cause::OutOfFuel, Cause::Deadline, Cause::ModuleError] {
        assert!(is_its_own(cause), "{cause}");
    }
}

#[test]
fn what_is_kept_may_be_of_anybody() {
    let mut rules = Rules { first_pause: Duration::MAX, longest_pause: Duration::MAX, ..Rules::default() };
    let mut world = World::new(rules);
    fail(&mut world);
    assert!(idle(&world).is_some());
    // The rules are not kept: a pause that is too long ends when they change.
    rules = Rules::default();
    world.rules = rules;
    world.now += 30 * SECOND;
    assert_eq!(idle(&world), None);
    let text = serde_json::to_string(&world.it.life).unwrap().replace("\"pauses\":1", "\"pauses\":4294967295");
    world.it.life = serde_json::from_str(&text).unwrap();
    assert_eq!(idle(&world), Some(3570));
}
