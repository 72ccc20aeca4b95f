//! What deployments have for sure of a budget, whatever becomes of them.

use wasmeter::digest::Digest;

use super::world::World;
use super::*;
use crate::support::resources;

/// Most of what a tenant has if it is burnt every second.
const FUEL: u64 = 1_200_000_000;

async fn world() -> World {
    let mut world = World::new().await;
    world.budget = "{tenant: 20%}";
    world.configure("");
    // How many guests there are shows with the first slot.
    slot(&mut world).await;
    world
}

/// Writes a deployment that burns so much in each interval, and has it followed.
async fn write(world: &mut World, name: &str, interval: u64) {
    let digest = Digest::of(&std::fs::read(world.path("deployments.d/0.wasm")).unwrap());
    let text = format!(
        "tenant: acme\nname: {name}\nfile: 0.wasm\ndigest: {digest}\ninterval: {interval}\nconfig: 1 0 0\n\
         fuel_base: {FUEL}\ngrants: {{names: [remembering.], groups: [cpu]}}\n"
    );
    std::fs::write(world.path(&format!("deployments.d/{name}.yaml")), text).unwrap();
    world.reload().await;
}

async fn slot(world: &mut World) {
    world.cycle().await;
    world.keep(true);
    world.land().await;
    world.keep(true);
    world.save().await;
}

fn key(name: &str) -> Key {
    Key::new("acme".parse().unwrap(), name.parse().unwrap())
}

/// What a version on trial at a longer interval leaves is not given away: whoever goes back has it again.
#[test]
fn what_goes_back_to_a_shorter_interval_has_what_it_had() {
    runtime().block_on(async {
        let mut world = world().await;
        write(&mut world, "one", 1).await;
        slot(&mut world).await;
        let before = world.agent().tenants.admitted().used();
        for tries in [0, 1] {
            // What was left is not tried again.
            write(&mut world, "one", 3_600 + tries).await;
            // It is tried out, and on trial then.
            slot(&mut world).await;
            let one = &world.agent().tenants.get(&key("one")).unwrap().deployment;
            assert!(one.life.trial().is_some_and(|trial| !trial.dry), "{tries}: {one:?}");
            write(&mut world, "two", 1).await;
            assert!(world.agent().tenants.get(&key("two")).is_none(), "{tries}");
            write(&mut world, "one", 1).await;
            slot(&mut world).await;
            let tenants = &world.agent().tenants;
            assert_eq!(tenants.get(&key("one")).unwrap().short(), None, "{tries}");
            assert_eq!((tenants.admitted().used(), tenants.get(&key("two")).is_none()), (before, true), "{tries}");
        }
    });
}

/// What can be read for the version before it is, if what a new one reads on top of that cannot be paid for.
#[test]
fn a_version_that_cannot_be_paid_for_loses_no_slot() {
    runtime().block_on(async {
        let mut world = World::new().await;
        std::fs::copy(resources(), world.path("deployments.d/resources.wasm")).unwrap();
        for (file, name) in [("resources.wasm", "probe."), ("2.wasm", "hostile.")] {
            let digest = Digest::of(&std::fs::read(world.path("deployments.d").join(file)).unwrap());
            let text = format!(
                "tenant: acme\nname: one\nfile: {file}\ndigest: {digest}\ninterval: 1\nfuel_base: 500_000\n\
                 fuel_per_resource: 1_000\ngrants: {{names: [{name}], groups: [cpu]}}\n"
            );
            std::fs::write(world.path("deployments.d/one.yaml"), text).unwrap();
            world.reload().await;
            if name == "probe." {
                slot(&mut world).await;
            }
        }
        // Nobody saves up what one read of a guest costs.
        world.budget = "{tenant: 0.01%}";
        world.configure("");
        world.restart(End::Clean).await;
        let trial = |world: &mut World| {
            let life = &world.agent().tenants.get(&key("one")).unwrap().deployment.life;
            life.trial().map(|trial| trial.dry)
        };
        assert_eq!(trial(&mut world), Some(true));
        for slots in 0..22 {
            let second = world.cycle().await;
            let landed = world.land().await;
            assert!(landed.contains_key(&(key("one"), second)), "{slots}: {landed:?}");
            world.keep(true);
        }
        assert_eq!((trial(&mut world), world.agent().tenants.get(&key("one")).unwrap().short()), (None, None));
    });
}

/// Whoever comes after a restart is not given what is needed in slots that are far off.
#[test]
fn what_is_far_off_counts_from_the_first_slot_on() {
    runtime().block_on(async {
        let mut world = world().await;
        write(&mut world, "one", 3_600).await;
        let before = world.agent().tenants.admitted().used();
        world.restart(End::Clean).await;
        assert_ne!(world.agent().tenants.admitted().used(), before, "nobody knows how many guests there are");
        world.cycle().await;
        assert_eq!(world.agent().tenants.admitted().used(), before);
    });
}
