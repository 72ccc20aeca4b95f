//! What a misspelt key was meant to be.

/// The candidate that is at most a slip or two away.
pub(crate) fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    const LONGEST: usize = 64; // bytes; nobody misspells a key of four words
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let near = candidates.iter().filter(|candidate| slips(&word, candidate) <= 2.min(candidate.len() / 3));
    near.min_by_key(|candidate| slips(&word, candidate)).copied()
}

/// The distance, but two letters that changed places are one slip.
fn slips(word: &str, candidate: &str) -> usize {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    match distance(word, candidate) {
        2 if sorted(word) == sorted(candidate) => 1,
        distance => distance,
    }
}

/// How many letters must be inserted, removed or replaced.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (number, letter) in from.chars().enumerate() {
        let (mut diagonal, mut left) = (number, number + 1);
        let mut next = vec![left];
        for (other, &above) in to.chars().zip(row.iter().skip(1)) {
            left = if letter == other { diagonal } else { 1 + diagonal.min(above).min(left) };
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let keys = ["name", "interval", "meters", "resources", "discovery"];
        for (word, meant) in [
            ("inteval", Some("interval")),
            ("metres", Some("meters")),
            ("Meters", Some("meters")),
            ("mame", Some("name")),
            ("nmae", Some("name")),
            ("anme", Some("name")),
            ("same-name", None),
            ("counters", None),
            ("", None),
        ] {
            assert_eq!(closest(word, &keys), meant, "{word}");
        }
    }
}
