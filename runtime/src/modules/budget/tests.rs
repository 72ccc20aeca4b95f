//! What fits, and what is said of what does not.

use proptest::prelude::*;

use super::*;
use crate::config::share::Share;

fn demand(tenant: &str, module: &str, fuel: u64, seconds: u64) -> Demand {
    let interval = Duration::from_secs(seconds);
    Demand { tenant: tenant.into(), module: module.into(), calls: fuel, reads: 0, interval }
}

fn budget() -> Budget {
    let percent = |number| Share::percent(number).fuel();
    Budget { node: percent(10), tenant: percent(10), tenants: BTreeMap::from([("acme".into(), percent(6))]) }
}

fn there(budget: &Budget, existing: &[Demand]) -> Admitted {
    let mut admitted = Admitted::of(budget.clone());
    existing.iter().for_each(|demand| admitted.put(demand.clone()));
    admitted
}

fn refused(existing: &[Demand], wanted: &Demand) -> String {
    let refused = there(&budget(), existing).admit(wanted).unwrap_err();
    format!("{refused}. {}", refused.remedy())
}

#[test]
fn a_tenant_that_is_full_is_told_of_itself_only() {
    let existing = [
        demand("acme", "small", 50_000_000, 10),
        demand("acme", "large", 500_000_000, 1),
        demand("rival", "secret", 300_000_000, 1),
    ];
    let wanted = Demand { reads: 1_000_000, ..demand("acme", "new", 999_000_001, 10) };
    assert_eq!(
        refused(&existing, &wanted),
        "new of acme asks for 100,000,001 fuel a second (1,000,000,001 in 10s, of which 1,000,000 for what is read for \
         it), and of the 600,000,000 of acme (tenants.acme.budget: 6% of a core) 95,000,000 are free; acme has \
         505,000,000 (large 500,000,000, small 5,000,000). Ask for at most 950,000,000 fuel in 10s, such as by a smaller \
         fuel_base (--fuel), or for a longer interval, or raise tenants.acme.budget of the operator's configuration"
    );
    there(&budget(), &existing).admit(&demand("acme", "new", 950_000_000, 10)).unwrap();
}

#[test]
fn a_node_that_is_full_says_what_others_have_together() {
    let existing =
        [demand("acme", "m", 200_000_000, 1), demand("rival", "secret", 700_000_000, 1), demand("x", "y", 1, 1)];
    let text = refused(&existing, &demand("third", "new", 100_000_000, 1));
    assert_eq!(
        text,
        "new of third asks for 100,000,000 fuel a second (100,000,000 in 1s), and of the 1,000,000,000 of this node \
         (budget.node: 10% of a core) 99,999,999 are free; third has 0, others have 900,000,001. Ask for at most \
         99,999,999 fuel in 1s, such as by a smaller fuel_base (--fuel), or for a longer interval, or raise \
         budget.node of the operator's configuration"
    );
    let small = Budget { tenant: 10, ..budget() };
    assert_eq!(there(&small, &existing).admit(&demand("third", "new", 11, 1)).unwrap_err().key(), "budget.tenant");
}

#[test]
fn not_more_modules_are_named_than_anybody_reads() {
    let existing: Vec<_> = (0..14).map(|number| demand("acme", &format!("m{number:02}"), 40_000_000, 1)).collect();
    let text = refused(&existing, &demand("acme", "new", 50_000_000, 1));
    assert!(text.contains("acme has 560,000,000 (m00 40,000,000, m01"), "{text}");
    assert!(text.contains("m09 40,000,000, 4 more 160,000,000)"), "{text}");
}

#[test]
fn a_version_takes_the_place_of_the_one_before_and_may_always_be_smaller() {
    let there = there(&budget(), &[demand("acme", "m", 600_000_000, 1), demand("acme", "n", 100_000_000, 1)]);
    there.admit(&demand("acme", "m", 500_000_000, 1)).unwrap();
    there.admit(&demand("acme", "m", 600_000_000, 1)).unwrap();
    there.admit(&demand("acme", "m", 600_000_001, 1)).unwrap_err();
    there.admit(&demand("acme", "o", 1, 1)).unwrap_err();
    // Another tenant's of the same name is another one.
    there.admit(&demand("rival", "m", 400_000_000, 1)).unwrap_err();
    there.admit(&demand("rival", "m", 300_000_000, 1)).unwrap();
    // Also when there is less than there was.
    let less = there.under(Budget { node: 1, ..budget() });
    less.admit(&demand("acme", "m", 500_000_000, 1)).unwrap();
    less.admit(&demand("acme", "o", 1, 1)).unwrap_err();
}

#[test]
fn numbers_do_not_overflow() {
    let all = demand("acme", "m", u64::MAX, 0);
    assert_eq!(all.per_second(), u64::MAX);
    assert_eq!(demand("acme", "m", 1, u64::MAX).per_second(), 1, "nothing is for nothing");
    let node = Budget { node: u64::MAX, tenant: u64::MAX, tenants: BTreeMap::new() };
    let there = there(&node, std::slice::from_ref(&all));
    let refused = there.admit(&demand("acme", "n", u64::MAX, u64::MAX)).unwrap_err();
    assert!(refused.to_string().contains("0 are free"), "{refused}");
    assert!(!refused.remedy().is_empty());
}

#[test]
fn whoever_has_something_or_a_bound_of_its_own_is_listed() {
    let existing = [demand("rival", "m", 7, 1), demand("rival", "n", 2, 1)];
    let small = Budget { node: 8, ..budget() };
    assert_eq!(there(&small, &existing).by_tenant()["acme"], (0, 8), "nobody has more than the node");
    let listed = there(&budget(), &existing).by_tenant();
    assert_eq!(listed, BTreeMap::from([("acme".into(), (0, 600_000_000)), ("rival".into(), (9, 1_000_000_000))]));
}

#[test]
fn what_two_versions_need_is_what_either_needs() {
    let slow = Demand { reads: 5, ..demand("acme", "m", 10, 60) };
    let dear = Demand { reads: 9, ..demand("acme", "m", 7, 10) };
    assert_eq!(slow.or(&dear), Demand { reads: 9, ..demand("acme", "m", 10, 10) });
}

#[test]
fn what_was_admitted_for_a_long_interval_is_not_had_in_each_short_one() {
    let admitted = Demand { reads: 360, ..demand("acme", "m", 7_200, 3_600) };
    let now = Demand { reads: 360, ..demand("acme", "m", 7_200, 10) };
    assert_eq!(now.within(&admitted), Demand { reads: 1, ..demand("acme", "m", 20, 10) });
    // And no more than it needs.
    let seldom = demand("acme", "m", 7_201, 7_200);
    assert_eq!(seldom.within(&admitted), seldom);
}

/// A module of a day does not let its tenant save up a day.
#[test]
fn what_is_saved_up_is_for_some_seconds_and_for_what_is_needed_at_once() {
    let admitted = there(&budget(), &[demand("acme", "daily", 600, 86_400), demand("acme", "often", 30, 10)]);
    let [acme, other]: [Arc<str>; 2] = ["acme", "other"].map(Into::into);
    let (node, tenants) = admitted.flows([acme.clone(), other.clone()].into_iter());
    let flow = |rate: u64, more: u64| Flow { rate, most: 10 * rate + more };
    let Budget { node: all, .. } = budget();
    assert_eq!(node, flow(all, 600));
    let [of_acme, of_other] = [&acme, &other].map(|tenant| budget().for_tenant(tenant));
    assert_eq!(tenants, BTreeMap::from([(acme, flow(of_acme, 600)), (other, flow(of_other, 0))]));
}

fn demands() -> impl Strategy<Value = Vec<Demand>> {
    let one = (0..4_u8, 0..6_u8, 0..400_000_000_u64, 1..7_u64);
    let one = one.prop_map(|(tenant, module, fuel, interval)| {
        demand(&format!("t{tenant}"), &format!("m{module}"), fuel, interval)
    });
    prop::collection::vec(one, 0..40)
}

fn budgets() -> impl Strategy<Value = Budget> {
    (0..1_000_000_000_u64, prop::collection::btree_map(0..4_u8, 0..800_000_000_u64, 0..4), 0..800_000_000_u64).prop_map(
        |(node, tenants, tenant)| {
            let tenants = tenants.into_iter().map(|(tenant, fuel)| (format!("t{tenant}").into(), fuel)).collect();
            Budget { node, tenant, tenants }
        },
    )
}

/// Deploys in this order what fits.
fn deployed(budget: &Budget, wanted: &[Demand]) -> Admitted {
    let mut there = Admitted::of(budget.clone());
    for wanted in wanted {
        if there.admit(wanted).is_ok() {
            there.put(wanted.clone());
        }
    }
    there
}

/// What is burnt in so many seconds that every interval ends with them, if all of it is: nothing is rounded here.
fn burnt<'a>(demands: impl Iterator<Item = &'a Demand>) -> u128 {
    demands.map(|demand| u128::from(demand.fuel()) * u128::from(SECONDS / demand.interval.as_secs())).sum()
}

const SECONDS: u64 = 60;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_more_is_burnt_than_there_is(budget in budgets(), wanted in demands()) {
        let there = deployed(&budget, &wanted);
        prop_assert!(burnt(there.all()) <= u128::from(budget.node) * u128::from(SECONDS));
        for (tenant, (used, limit)) in there.by_tenant() {
            prop_assert!(used <= limit);
            let own = there.all().filter(|demand| demand.tenant == tenant);
            let limit = budget.tenants.get(&tenant).copied().unwrap_or(budget.tenant);
            prop_assert!(burnt(own) <= u128::from(limit) * u128::from(SECONDS));
        }
    }

    #[test]
    fn what_is_for_sure_is_no_more_than_was_admitted(
        (calls, reads, seconds) in (0..1_000_000_u64, 0..1_000_000_u64, 1..10_000_u64),
        (more, other, often) in (0..1_000_000_u64, 0..1_000_000_u64, 1..10_000_u64),
    ) {
        let admitted = Demand { reads, ..demand("acme", "m", calls, seconds) };
        let now = Demand { reads: other, ..demand("acme", "m", more, often) };
        let sure = now.within(&admitted);
        prop_assert!(sure.calls <= now.calls && sure.reads <= now.reads);
        prop_assert!(sure.per_second() <= admitted.per_second());
    }

    #[test]
    fn what_is_counted_is_what_is_there(budget in budgets(), wanted in demands(), gone in any::<prop::sample::Index>()) {
        let mut there = deployed(&budget, &wanted);
        let left: Vec<Demand> = there.all().cloned().collect();
        if !left.is_empty() {
            let gone = &left[gone.index(left.len())];
            there.remove(&gone.tenant, &gone.module);
        }
        let anew: Vec<Demand> = there.all().cloned().collect();
        let mut sums = Admitted::of(budget.clone());
        anew.into_iter().for_each(|demand| sums.put(demand));
        prop_assert_eq!(&sums, &there);
        there.retain(|_, _| false);
        prop_assert_eq!(there, Admitted::of(budget));
    }

    #[test]
    fn what_is_taken_away_is_free_again(
        budget in budgets(),
        wanted in demands(),
        which in any::<prop::sample::Index>(),
    ) {
        let mut there = deployed(&budget, &wanted);
        let all: Vec<Demand> = there.all().cloned().collect();
        prop_assume!(!all.is_empty());
        let before: Vec<u64> = (0..4).map(|tenant| there.free(&format!("t{tenant}"))).collect();
        let gone = &all[which.index(all.len())];
        there.remove(&gone.tenant, &gone.module);
        prop_assert_eq!(there.admit(gone), Ok(()));
        for (tenant, before) in before.into_iter().enumerate() {
            let after = there.free(&format!("t{tenant}"));
            prop_assert!(after >= before);
        }
        there.put(gone.clone());
        prop_assert_eq!(there.admit(gone), Ok(()), "again is no more than before");
    }

    #[test]
    fn what_fits_together_fits_in_any_order(
        budget in budgets(),
        (wanted, shuffled) in demands().prop_flat_map(|demands| (Just(demands.clone()), Just(demands).prop_shuffle())),
    ) {
        let fits = deployed(&budget, &wanted);
        let turned: Vec<_> = shuffled.into_iter().filter(|demand| fits.all().any(|there| there == demand)).collect();
        prop_assert_eq!(deployed(&budget, &turned), fits);
    }

    #[test]
    fn exactly_what_is_free_fits(budget in budgets(), wanted in demands(), tenant in 0..4_u8) {
        let there = deployed(&budget, &wanted);
        let tenant = format!("t{tenant}");
        let free = there.free(&tenant);
        prop_assert_eq!(there.admit(&demand(&tenant, "new", free, 1)), Ok(()));
        let refused = there.admit(&demand(&tenant, "new", free + 1, 1)).unwrap_err();
        prop_assert_eq!(refused.free, free);
        prop_assert!(there.admit(&demand(&tenant, "new", free * 7, 7)).is_ok());
    }
}
