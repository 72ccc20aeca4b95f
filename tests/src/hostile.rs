//! Each kind of hostile module ends in its own cause, and costs the others nothing.

use crate::support::{Host, kinds};

#[tokio::test]
async fn each_kind_ends_in_its_own_cause() {
    let input = Host::of(3).slot();
    let mut wrong = Vec::new();
    for kind in kinds::all() {
        let (ends, failure) = kind.happen(&input).await;
        let words = failure.map_or_else(String::new, |failure| failure.to_string());
        println!("{:60} {ends:?}  {}", kind.name, words.chars().take(300).collect::<String>());
        if ends != kind.ends {
            wrong.push(format!("{}: {ends:?} instead of {:?}: {words}", kind.name, kind.ends));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
