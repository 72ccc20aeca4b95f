//! Cases that are data: a text, a line `----`, and what is said about it; a line `====` before the next.

/// Checks every case of a file.
pub(super) fn check(cases: &str, said: impl Fn(&str) -> String) {
    let mut wrong = String::new();
    for case in cases.split("====\n").filter(|case| !case.is_empty()) {
        let (text, expected) = case.split_once("----\n").expect("a line of dashes");
        let said = said(text);
        if said.trim_end() != expected.trim_end() {
            wrong += &format!("====\n{text}----\n{said}\n");
        }
    }
    assert!(wrong.is_empty(), "what is said instead:\n{wrong}");
}
