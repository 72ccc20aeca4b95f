//! What went wrong once.

use std::sync::mpsc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::model::{Delivered, Module, Program, Written};
use super::*;

/// However busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

const fn program(mark: u64, fails: (u64, u64)) -> Program {
    Program { module: Module::Remembering { file: 0, mark }, fails }
}

const NEVER: (u64, u64) = (0, 0);
const ALWAYS: (u64, u64) = (1, 0);

fn deploy(mark: u64) -> Meanwhile {
    Meanwhile::Order(0, Wish::Deploy(program(mark, NEVER)))
}

fn deploy_failing(mark: u64) -> Meanwhile {
    Meanwhile::Order(0, Wish::Deploy(program(mark, ALWAYS)))
}

fn write(mark: u64) -> Meanwhile {
    write_failing(mark, NEVER)
}

fn write_failing(mark: u64, fails: (u64, u64)) -> Meanwhile {
    Meanwhile::Reload(vec![(0, Some(Written::Program(program(mark, fails))), false)])
}

fn order(wish: Wish) -> Meanwhile {
    Meanwhile::Order(0, wish)
}

fn slot(meanwhile: Vec<Meanwhile>) -> Slot {
    Slot { meanwhile, kept: (true, true), checkpoint: false, killed: false }
}

fn slots(count: usize) -> impl Iterator<Item = Event> {
    (0..count).map(|_| Event::Slot(slot(Vec::new())))
}

#[test]
fn what_is_written_is_not_ordered_otherwise() {
    follow([write(1), deploy(2), order(Wish::Remove)].map(Event::Meanwhile).to_vec());
}

/// It runs beside the one before it, and nothing of it counts; then it goes on with what that one remembers.
#[test]
fn what_is_written_is_tried_out_first() {
    let first = [Event::Meanwhile(write(1))].into_iter().chain(slots(2));
    let second = [Event::Meanwhile(write(2))].into_iter().chain(slots(5));
    let failing = [Event::Meanwhile(write_failing(3, ALWAYS))].into_iter().chain(slots(2));
    follow(first.chain(second).chain(failing).collect());
}

/// It is compared with what was written before, and not with what came of that: it failed, or somebody went back.
#[test]
fn what_is_written_again_is_followed() {
    let back = [order(Wish::RollBack), write(1), write(2)].map(Event::Meanwhile);
    let good = [write(1), write(2)].into_iter().flat_map(|write| [Event::Meanwhile(write)].into_iter().chain(slots(5)));
    follow(good.chain(back).chain(slots(5)).collect());
    let failing = || write_failing(2, ALWAYS);
    let failed =
        [write(1), failing()].into_iter().flat_map(|write| [Event::Meanwhile(write)].into_iter().chain(slots(2)));
    let again = [failing(), write(1), failing()].map(Event::Meanwhile);
    runtime().block_on(async {
        let mut both = Both::new().await;
        for event in failed.chain(again) {
            both.happen(event).await;
        }
        let tried = |both: &Both| both.world.kept()[0].on_trial().map(|version| version.number);
        assert_eq!(
            tried(&both),
            Some(3),
            "what is the same as before is not tried again, and what is written again is"
        );
        both.happen(Event::Slot(slot(Vec::new()))).await;
        assert!(tried(&both).is_none() && both.world.kept()[0].differs_from_file());
    });
}

/// Whatever a file says still, somebody may have another version tried.
#[test]
fn a_file_that_says_what_it_said_ends_no_trial() {
    let both = [write(1), write(2)].into_iter().flat_map(|write| [Event::Meanwhile(write)].into_iter().chain(slots(5)));
    let back = [order(Wish::RollBack), write(1)].map(Event::Meanwhile);
    runtime().block_on(async {
        let mut world = Both::new().await;
        for event in both.chain(back) {
            world.happen(event).await;
        }
        let given = world.ready_for(key(0), Order::RollBackTo(2)).await;
        world.give(given).await;
        for event in [Event::Meanwhile(write(1)), Event::Restart(End::Clean)].into_iter().chain(slots(3)) {
            assert!(world.world.kept()[0].on_trial().is_some(), "{event:?}");
            world.happen(event).await;
        }
    });
}

/// Whatever becomes of the slot in which it is tried out.
#[test]
fn what_was_tried_out_remembers_what_is_there() {
    let dry = |slot: Slot| [Event::Meanwhile(write(2)), Event::Slot(slot)].into_iter();
    let lost = Slot { kept: (true, false), ..slot(Vec::new()) };
    let killed = Slot { killed: true, ..slot(Vec::new()) };
    let again = slot(vec![write(3)]);
    for dry in [dry(lost), dry(killed), dry(again)] {
        for then in [Event::Restart(End::Killed), Event::Restart(End::Behind), Event::Wait(1)] {
            let first = [Event::Meanwhile(write(1))].into_iter().chain(slots(2));
            follow(first.chain(dry.clone()).chain([then]).chain(slots(3)).collect());
        }
    }
}

/// Whatever came first: what is in a file ends with the file.
#[test]
fn what_was_ordered_and_is_then_written_ends_with_its_file() {
    let gone = Meanwhile::Reload(vec![(0, None, false)]);
    follow([deploy(1), write(1), gone].map(Event::Meanwhile).to_vec());
}

#[test]
fn a_file_may_be_renamed() {
    let written = |written, is_renamed| Meanwhile::Reload(vec![(0, Some(written), is_renamed)]);
    let renamed = written(Written::Program(program(1, NEVER)), true);
    follow([write(1), renamed, written(Written::Nonsense, false)].map(Event::Meanwhile).to_vec());
    // It names its deployment, which goes on, whatever keeps it from being followed.
    let changed = written(Written::Changed(program(2, NEVER)), true);
    follow([write(1), changed, Meanwhile::Reload(vec![(0, None, false)])].map(Event::Meanwhile).to_vec());
}

/// What is made ready takes a while, and is another version than what is next to go back to by then.
#[test]
fn what_was_made_ready_for_something_else_does_not_run() {
    let to_second = [Event::Meanwhile(deploy(1)), Event::Meanwhile(deploy(2))].into_iter().chain(slots(3));
    let third = [Event::Meanwhile(deploy(3))].into_iter().chain(slots(2));
    let late = [Event::Late(0, Wish::RollBack, slot(Vec::new()))].into_iter().chain(slots(1));
    follow(to_second.chain(third).chain(late).collect());
}

/// The state of a trial that was given up is not what the next one begins with, if nothing is known of its own.
#[test]
fn a_restart_begins_no_trial_on_what_another_one_left() {
    let restart = Event::Restart(End::Killed);
    let failing = Program { fails: (3, 2), ..program(2, NEVER) };
    let first = [Event::Meanwhile(deploy(1))].into_iter().chain(slots(3));
    let trial = [Event::Meanwhile(order(Wish::Deploy(failing)))].into_iter().chain(slots(3));
    let next = [Event::Meanwhile(deploy(3)), restart].into_iter().chain(slots(2));
    follow(first.chain(trial).chain(next).collect());
}

/// The trial passes, and only what the new version remembers is left, when the daemon ends and forgets that.
#[test]
fn a_version_that_runs_again_remembers_what_the_other_did() {
    let first = [Event::Meanwhile(deploy(1))].into_iter().chain(slots(2));
    let second = [Event::Meanwhile(deploy(2))].into_iter().chain(slots(2));
    let passes = Slot { checkpoint: true, killed: true, ..slot(Vec::new()) };
    let back = [Event::Slot(passes), Event::Meanwhile(order(Wish::RollBack))].into_iter().chain(slots(1));
    follow(first.chain(second).chain(back).collect());
}

/// Slots that come while a version is on trial, or tried out, wait, whether that was done or had no turn yet.
#[test]
fn a_trial_costs_no_slot() {
    for (second, done) in [(deploy(2), true), (deploy(2), false), (write(2), true), (write(2), false)] {
        runtime().block_on(async {
            let mut both = Both::new().await;
            let first = if matches!(second, Meanwhile::Reload(_)) { write(1) } else { deploy(1) };
            both.happen(Event::Meanwhile(first)).await;
            both.happen(Event::Meanwhile(second)).await;
            for waiting in 0..5 {
                both.happen(Event::Meanwhile(Meanwhile::Slot { done })).await;
                // Three wait at most, and what comes then is left out.
                let deployed = both.world.agent().tenants.all().next().unwrap();
                assert_eq!(deployed.skipped(), u64::from(waiting == 4));
            }
            let must = both.model.land(&both.rules);
            assert_eq!(must.len(), 4);
            let landed = both.world.land().await;
            assert_eq!(landed, must);
            both.check();
        });
    }
}

/// A transformer begins with a slot when what it waits for has landed, and slots that come until then wait.
#[test]
fn waiting_for_a_pollster_costs_no_slot() {
    let forgetful = Program { module: Module::Forgetful, fails: NEVER };
    let both = [order(Wish::Deploy(forgetful)), Meanwhile::Order(3, Wish::Deploy(program(1, NEVER)))];
    let more = |slots, meanwhile: &[Meanwhile]| {
        let slots = std::iter::repeat_n(Meanwhile::Slot { done: false }, slots).chain(meanwhile.iter().cloned());
        Event::Slot(slot(slots.collect()))
    };
    let both: Vec<Event> = both.into_iter().map(Event::Meanwhile).collect();
    for ends in [more(1, &[]), more(3, &[]), more(1, &[order(Wish::Remove)]), more(1, &[order(Wish::Pause)])] {
        follow(both.iter().cloned().chain([ends]).chain(slots(1)).collect());
    }
    // What it waits for waits itself, and is removed: then it begins at once, and its trial is done when the next one comes.
    let late = [deploy(2), Meanwhile::Slot { done: false }].map(Event::Meanwhile);
    let trial = Event::Meanwhile(Meanwhile::Order(3, Wish::Deploy(program(2, NEVER))));
    let gone = more(0, &[order(Wish::Remove), Meanwhile::Slot { done: true }]);
    follow([&both[..1], &late, &both[1..], &[trial, gone]].concat());
}

/// Nor does what takes the place of a deployment of its name.
#[test]
fn what_was_removed_is_not_remembered() {
    let first = [Event::Meanwhile(deploy(1))].into_iter().chain(slots(2));
    let anew = [order(Wish::Remove), deploy(2)].map(Event::Meanwhile);
    let then = [Event::Restart(End::Killed)].into_iter().chain(slots(1));
    follow(first.chain(anew).chain(then).collect());
}

#[test]
fn what_goes_back_during_a_slot_remembers_it() {
    let second = [Event::Meanwhile(deploy(1)), Event::Meanwhile(deploy(2))].into_iter().chain(slots(4));
    let back = [Event::Slot(slot(vec![order(Wish::RollBack)]))].into_iter().chain(slots(1));
    follow(second.chain(back).collect());
}

#[test]
fn what_is_deployed_while_another_one_fails_remembers_the_slot() {
    let first = [Event::Meanwhile(deploy(1))].into_iter().chain(slots(1));
    let failing = [Event::Meanwhile(deploy_failing(2)), Event::Slot(slot(vec![deploy(3)]))].into_iter();
    follow(first.chain(failing).chain(slots(1)).collect());
}

/// The trial of a version that may not run any more ends.
#[test]
fn what_cannot_run_after_a_restart_is_given_up() {
    let forgetful = Program { module: Module::Forgetful, fails: NEVER };
    runtime().block_on(async {
        let mut both = Both::new().await;
        for meanwhile in [deploy(1), order(Wish::Deploy(forgetful))] {
            both.happen(Event::Meanwhile(meanwhile)).await;
        }
        // From now on the name of its meter is the operator's.
        both.world.configure("modules: {theirs: {file: deployments.d/2.wasm}}");
        both.world.restart(End::Killed).await;
        assert!(both.world.kept()[0].on_trial().is_none());
        both.world.cycle().await;
        assert_eq!(both.world.land().await.len(), 1, "the version before it runs");
    });
}

/// Each version may give names of its own, and what it gave in a slot counts whatever may be given after it.
#[test]
fn what_goes_back_during_a_trial_loses_no_slot() {
    let order = |wish| Meanwhile::Order(3, wish);
    let deploy = |mark| Event::Meanwhile(order(Wish::Deploy(program(mark, NEVER))));
    let back = [Event::Slot(slot(vec![order(Wish::RollBack)]))].into_iter().chain(slots(1));
    follow([deploy(1)].into_iter().chain(slots(1)).chain([deploy(2)]).chain(back).collect());
}

/// Of a tenant whose transformer stands in a chain nothing else is delivered than what that gives.
#[test]
fn what_a_chain_gives_follows_whoever_stands_in_it() {
    let order = |wish| Meanwhile::Order(3, wish);
    let converted = Some(Delivered::Converted { mark: 1 });
    runtime().block_on(async {
        let mut both = Both::new().await;
        for (before, during, gives) in [
            (Meanwhile::Chain(1), None, None),
            (deploy(9), None, None),
            (order(Wish::Deploy(program(1, NEVER))), None, converted),
            (order(Wish::Pause), None, None),
            (order(Wish::Resume), None, converted),
            (Meanwhile::Chain(0), None, Some(Delivered::AsMeasured)),
            (Meanwhile::Chain(4), None, converted),
            // It fails on trial, and the version before it runs in its place.
            (order(Wish::Deploy(program(2, ALWAYS))), None, converted),
            (Meanwhile::Chain(3), Some(Meanwhile::Chain(4)), converted),
            (Meanwhile::Chain(3), Some(Meanwhile::Chain(2)), None),
            (Meanwhile::Chain(3), Some(order(Wish::Remove)), None),
        ] {
            both.happen(Event::Meanwhile(before.clone())).await;
            both.slot(slot(during.clone().into_iter().collect())).await;
            let of_acme = both.world.delivered.iter().find(|((_, tenant), _)| tenant == "acme");
            assert_eq!(of_acme.map(|(_, delivered)| *delivered), gives, "{before:?}, {during:?}");
            both.check();
        }
    });
}

/// Without a restart, and without an order.
#[test]
fn modules_that_no_deployment_names_any_more_go() {
    runtime().block_on(async {
        let mut both = Both::new().await;
        let modules = |both: &Both| std::fs::read_dir(both.world.path("deployed/modules")).unwrap().count();
        both.happen(Event::Meanwhile(write(1))).await;
        both.happen(Event::Meanwhile(Meanwhile::Order(1, Wish::Deploy(program(1, NEVER))))).await;
        assert_eq!(modules(&both), 1);
        both.happen(Event::Meanwhile(Meanwhile::Order(1, Wish::Remove))).await;
        both.happen(Event::Meanwhile(Meanwhile::Reload(vec![(0, None, false)]))).await;
        assert_eq!(modules(&both), 0);
    });
}

/// The one thread for the disk hangs. What is ordered is in force once it is kept, and slots go on meanwhile.
#[test]
fn an_order_keeps_no_slot_waiting() {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut both = Both::new().await;
        both.happen(Event::Meanwhile(deploy(1))).await;
        let Given { key, order, what, .. } = both.ready_for(key(0), Order::Pause).await;
        let (disk, hangs) = mpsc::channel::<()>();
        spawn_blocking(move || hangs.recv());
        let answer = timeout(PATIENCE, both.world.begin_order(&key, what)).await.expect("nobody waits for the disk");
        assert!(both.world.agent().is_following());
        both.cycle().await;
        both.keep(true);
        let landed = both.world.land().await;
        assert_eq!((landed.len(), &landed), (1, &both.model.land(&both.rules)));
        both.keep(true);
        assert!(both.world.agent().tenants.get(&key).unwrap().deployment.paused.is_none());
        drop(disk);
        assert_eq!(both.world.end_order(answer).await, both.model.order(&key, order, &[]));
        both.check();
    });
}

/// By the time that it is kept, what it was about has happened by itself, so that it comes to something else: what is in
/// force then, and in the store, is what was told.
#[test]
fn an_order_is_of_the_time_when_it_is_kept() {
    let slow = |wish| Event::Slow(0, wish, slot(Vec::new()));
    let on_trial = |mark| [order(Wish::Deploy(program(mark, NEVER)))].map(Event::Meanwhile);
    for (passed, wish) in [
        (2, Wish::RollBack),
        (2, Wish::Deploy(program(1, NEVER))),
        (2, Wish::Deploy(program(3, NEVER))),
        (2, Wish::Pause),
        (2, Wish::Remove),
        (1, Wish::RollBack),
    ] {
        let first = on_trial(1).into_iter().chain(slots(1));
        let second = on_trial(2).into_iter().chain(slots(passed)).chain([slow(wish)]);
        let after = slots(2).chain([Event::Restart(End::Killed)]).chain(slots(2));
        follow(first.chain(second).chain(after).collect());
    }
}

/// Modules that nobody names are removed whenever somebody removes a deployment, so also just now.
#[test]
fn what_is_read_just_now_is_not_removed() {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut both = Both::new().await;
        both.write(&key(0), Some(Written::Program(program(1, NEVER))), false);
        let config = both.world.config();
        both.world.agent().reconfigure(config).await.unwrap();
        // With one thread for the disk this comes before the deployment is kept.
        both.world.registry.as_ref().unwrap().collect().await.unwrap();
        both.world.save().await;
        both.model.reload();
        both.model.save();
        both.check();
    });
}
