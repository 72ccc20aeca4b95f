//! What Ceilometer says of guests. The files `*.samples` are its own words about the definitions beside them: for the
//! guest, its disks and its network devices a line with resource id, user, project and metadata.

use super::*;
use crate::discovery::guest::labels;
use crate::discovery::{Label, Owner, Rules};

/// The same words about a definition.
fn described(uuid: Uuid, text: &str) -> String {
    let definition = definition(uuid, text).unwrap();
    let rules = Rules { host: "compute-1".to_owned(), ..Rules::default() };
    let owner = Owner::of(&definition, &rules.guests).unwrap();
    let labels = labels(&definition, &owner, 1, &rules);
    let line = |label: &std::sync::Arc<Label>| {
        let (id, user, project) = (&label.id, label.user.as_deref().unwrap(), label.project.as_deref().unwrap());
        let mut line = format!("{id}\t{user}\t{project}\t");
        label.metadata.write(&mut line, "");
        line + "\n"
    };
    [&labels.guest].into_iter().chain(&labels.disks).chain(&labels.nics).map(line).collect()
}

#[test]
fn guests_are_described_in_ceilometers_words() {
    assert_eq!(described(GUEST, NOVA), include_str!("nova.samples"));
    let odd = Uuid::from_u128(0x0d0d0d0d_1d52_48f3_a516_782e98ab3fa0);
    assert_eq!(described(odd, include_str!("odd.xml")), include_str!("odd.samples"));
}
