use super::*;

fn counts(cells: &[(u32, u64)]) -> Column {
    cells.iter().copied().collect()
}

fn reals(cells: &[(u32, f64)]) -> Column {
    cells.iter().copied().collect()
}

#[test]
fn joins_what_both_have() {
    let times = counts(&[(1, 10), (2, 20), (4, 40), (9, 90)]);
    let requests = counts(&[(0, 7), (2, 2), (3, 3), (4, 0), (9, 9)]);
    let each = times.join_map(&requests, |time, n| (n > 0.0).then(|| time / n));
    assert_eq!(each, reals(&[(2, 10.0), (9, 10.0)]));
    assert_eq!(times.join_map(&Column::default(), |a, _| Some(a)).len(), 0);
}

#[test]
fn counts_are_exact_to_the_last_bit() {
    let near = counts(&[(0, u64::MAX - 1), (1, u64::MAX)]);
    let one = counts(&[(0, 1), (1, 1)]);
    assert_eq!(near.join_counts(&one, u64::checked_add).unwrap(), counts(&[(0, u64::MAX)]));
    assert_eq!(near.minus(&counts(&[(0, u64::MAX), (1, u64::MAX - 3)])), [(0, -1_i64), (1, 3)].into_iter().collect());
    assert!(near.minus(&counts(&[(0, 0)])).is_empty(), "a difference that is no i64 is left out");
}

#[test]
fn counts_are_not_taken_for_reals() {
    let error = reals(&[(0, 1.5)]).join_counts(&counts(&[(0, 1)]), u64::checked_add).unwrap_err();
    assert!(format!("{error:?}").contains("a column holds reals, not counts"), "{error:?}");
    assert!(Column::new(vec![], Vec::<f64>::new()).counts().unwrap().is_empty(), "nothing is of every type");
}

#[test]
fn stands_in_where_there_is_nothing() {
    let mine = counts(&[(1, 1), (3, 3)]);
    let other = counts(&[(0, 10), (1, 11), (2, 12), (4, 14)]);
    assert_eq!(mine.clone().or(&other), counts(&[(0, 10), (1, 1), (2, 12), (3, 3), (4, 14)]));
    assert_eq!(mine.clone().or(&Column::default()), mine);
    assert_eq!(Column::default().or(&other), other);
    assert_eq!(mine.or(&reals(&[(2, 0.5)])), reals(&[(1, 1.0), (2, 0.5), (3, 3.0)]));
}

#[test]
fn sums_groups_in_any_order() {
    let parts = counts(&[(10, 1), (11, 2), (12, 4), (13, 8)]);
    assert_eq!(parts.sum_by(&[0, 0, 2, 2]), counts(&[(0, 3), (2, 12)]));
    assert_eq!(parts.sum_by(&[2, 0, 2, 0]), counts(&[(0, 10), (2, 5)]));
    assert_eq!(parts.count_by(&[2, 0, 2, 2]), counts(&[(0, 1), (2, 3)]));
}

#[test]
fn a_sum_that_does_not_fit_is_left_out() {
    let parts = counts(&[(10, u64::MAX), (11, 1), (12, 4)]);
    assert_eq!(parts.sum_by(&[0, 0, 2]), counts(&[(2, 4)]));
}

#[test]
fn filters_without_changing_values() {
    let column = counts(&[(0, u64::MAX), (1, 5), (2, 0)]);
    assert_eq!(column.filter(|_, v| v > 0.0), counts(&[(0, u64::MAX), (1, 5)]));
    assert_eq!(column.filter(|r, _| r != 0), counts(&[(1, 5), (2, 0)]));
}

#[test]
fn picks_resources() {
    let device: Column = [(0, 7_u32), (2, 8), (3, 9)].into_iter().collect();
    assert_eq!(device.at(&[1, 2, 3, 4]).texts().unwrap(), [8, 9]);
}
