use proptest::prelude::*;

use super::*;

fn filter(patterns: &[&str]) -> Result<MeterFilter, InvalidFilter> {
    MeterFilter::new(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}

#[test]
fn rules_look_at_first_characters_only() {
    for (patterns, verdict) in [
        (&["cpu"][..], Ok(())),
        (&["*"], Ok(())),
        (&["disk.*", "cpu"], Ok(())),
        (&["!cpu", "!disk.*"], Ok(())),
        (&["*", "!cpu"], Ok(())),
        (&["*.bytes", "!cpu"], Ok(())),
        (&["*", "*.bytes"], Ok(())),
        (&["*.bytes", "cpu"], Ok(())),
        (&[], Err(InvalidFilter::None)),
        (&["cpu", "", "!x"], Err(InvalidFilter::Empty { at: 1 })),
        (&["cpu", "memory", "!disk.*"], Err(InvalidFilter::Mixed { at: 2 })),
        (&["!disk.*", "disk.*"], Err(InvalidFilter::Mixed { at: 1 })),
        (&["cpu", "*"], Err(InvalidFilter::Wildcard { at: 1 })),
        (&["*", "disk.*"], Err(InvalidFilter::Wildcard { at: 0 })),
        (&["[!a]*", "*"], Err(InvalidFilter::Wildcard { at: 1 })),
        // Two faults: the one that Ceilometer looks for first.
        (&["*", "cpu", "!x"], Err(InvalidFilter::Mixed { at: 2 })),
    ] {
        assert_eq!(filter(patterns).map(|_| ()), verdict, "{patterns:?}");
    }
}

#[test]
fn denials_come_first_and_alone_allow_the_rest() {
    for (patterns, name, verdict) in [
        (&["cpu"][..], "cpu", true),
        (&["cpu"], "CPU", false),
        (&["cpu"], "cpu.util", false),
        (&["disk.*"], "disk.device.read.bytes", true),
        (&["disk.*"], "disk", false),
        (&["!disk.*"], "disk.root.size", false),
        (&["!disk.*"], "cpu", true),
        (&["*", "!cpu"], "cpu", false),
        (&["*", "!cpu"], "memory", true),
        // Not all entries are denials, so the rest is not meant.
        (&["*.bytes", "!cpu"], "memory", false),
        (&["*.bytes", "!*.read.*"], "disk.read.bytes", false),
        (&["*.bytes", "!*.read.*"], "disk.write.bytes", true),
    ] {
        assert_eq!(filter(patterns).unwrap().matches(name), verdict, "{patterns:?} {name}");
    }
}

#[test]
fn sets_are_read_as_python_reads_them() {
    for (pattern, fitting, others) in [
        ("[abc]", "a b c", "d - ab"),
        ("[a-c]", "a b c", "d -"),
        ("[!a-c]", "d -", "a b c"),
        ("[^a]", "^ a", "b"),
        ("[]a]", "] a", "b"),
        ("[!]a]", "b", "] a"),
        ("[-a]", "- a", "b"),
        ("[a-]", "- a", "b"),
        ("[a-c-e]", "a b c - e", "d"),
        ("[--0]", "- . / 0", "1 +"),
        ("[c-a]", "", "a b c -"),
        ("[!c-a]", "a b c -", "ab"),
        ("[a&&b]", "a & b", "c"),
        ("[a[:x]", "a [ : x", "b"),
        ("[\\d]", "\\ d", "1"),
        ("a[", "a[", "a"),
        ("[]", "[]", "]"),
        ("[!]", "[!]", "a"),
        ("a?c", "abc aéc", "ac abbc"),
        ("a.c", "a.c", "abc"),
        ("**", "a abc", ""),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for name in fitting.split_whitespace() {
            assert!(glob.matches(name), "{pattern} should fit {name}");
        }
        for name in others.split_whitespace() {
            assert!(!glob.matches(name), "{pattern} should not fit {name}");
        }
    }
    assert!(Glob::new("a*b").unwrap().matches("a\nb"), "any character is any character");
    assert_eq!(Glob::new(&"a".repeat(256)).unwrap_err(), InvalidGlob::TooLong);
    assert!(Glob::new(&"[!é]".repeat(63)).is_ok());
}

#[test]
fn what_is_compared_again_is_known_beforehand() {
    for (pattern, width) in [("cpu", 0), ("cpu.*", 0), ("*", 0), ("*.bytes", 6), ("a*bc**d", 4), ("*[*]", 3)] {
        assert_eq!(Glob::new(pattern).unwrap().width(), width, "{pattern}");
    }
    // Two hundred stars end as soon as one does.
    let (pattern, name) = ("*a".repeat(127) + "b", "a".repeat(255));
    assert!(!Glob::new(&pattern).unwrap().matches(&name));
}

/// `fnmatch` again, slowly and in another way.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        '*' => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        '?' => !name.is_empty() && fits(rest, &name[1..]),
        '[' => {
            let negated = rest.first() == Some(&'!');
            let body = &rest[usize::from(negated)..];
            // The first member may be a closing bracket.
            let Some(end) = (1..body.len()).find(|&at| body[at] == ']') else {
                return name.first() == Some(&'[') && fits(rest, &name[1..]);
            };
            let Some(&letter) = name.first() else { return false };
            member(&body[..end], letter) != negated && fits(&body[end + 1..], &name[1..])
        }
        _ => name.first() == Some(&first) && fits(rest, &name[1..]),
    }
}

fn member(set: &[char], letter: char) -> bool {
    match set {
        [] => false,
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&letter) || member(rest, letter),
        [one, rest @ ..] => *one == letter || member(rest, letter),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn globs_match_as_the_slow_matcher_does(
        pattern in r"[abc\-!\]\[*?^&~\\é\n]{0,9}",
        name in r"[abc\-!\]\[^&~\\é\n]{0,6}",
    ) {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(Glob::new(&pattern).unwrap().matches(&name), fits(&letters(&pattern), &letters(&name)));
    }

    #[test]
    fn a_pattern_takes_as_much_memory_as_its_text(pattern in r"[ab\[\]*?!-]{0,255}") {
        prop_assert!(Glob::new(&pattern).unwrap().text.len() <= 3 * pattern.len());
    }

    #[test]
    fn no_pattern_panics(pattern in any::<String>(), name in any::<String>()) {
        let _ = Glob::new(&pattern).map(|glob| glob.matches(&name));
        let _ = MeterFilter::new(vec![pattern]).map(|filter| filter.matches(&name));
    }
}
