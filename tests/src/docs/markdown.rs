//! As much of Markdown as the documents use.
//!
//! A block ```` ```console ```` holds commands after `$ ` and below each what it prints. Any other block whose
//! paragraph ends by naming a file, such as "`src/lib.rs`:", holds that file.

/// Something that a reader does.
pub enum Step {
    /// Writes a file.
    File {
        /// Where.
        path: String,
        /// What is in it.
        text: String,
    },
    /// Runs a command.
    Command {
        /// The command.
        command: String,
        /// What it prints.
        shown: Vec<String>,
    },
}

/// Everything to do, in order, with the line where it stands.
pub fn steps(text: &str) -> Vec<(usize, Step)> {
    let mut steps = Vec::new();
    let mut before = "";
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            before = if line.is_empty() { before } else { line };
            continue;
        };
        let block: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
        match (language, named_file(before)) {
            ("console", _) => steps.extend(commands(&block)),
            (_, Some(path)) => {
                let text = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                steps.push((number, Step::File { path: path.to_owned(), text }));
            }
            _ => {}
        }
        before = "";
    }
    steps
}

fn commands(block: &[(usize, &str)]) -> Vec<(usize, Step)> {
    let mut commands: Vec<(usize, Step)> = Vec::new();
    for (number, line) in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => {
                let (command, shown) = (command.to_owned(), Vec::new());
                commands.push((*number, Step::Command { command, shown }));
            }
            (None, Some((_, Step::Command { shown, .. }))) => shown.push((*line).to_owned()),
            _ => panic!("line {number}: a console block begins with a command"),
        }
    }
    commands
}

/// The file that a line names at its end, in backticks and before a colon.
fn named_file(line: &str) -> Option<&str> {
    let (_, path) = line.strip_suffix("`:")?.rsplit_once('`')?;
    path.contains('.').then_some(path)
}

/// The keys of mappings in a line of YAML.
pub fn keys(line: &str) -> Vec<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before_colons = line.match_indices(':').filter(|(at, _)| {
        let after = line[at + 1..].chars().next();
        after.is_none_or(|c| c == ' ')
    });
    let key = |(at, _): (usize, &str)| {
        let start = line[..at].rfind(|c| !plain(c)).map_or(0, |before| before + 1);
        line.get(start..at).filter(|key| !key.is_empty())
    };
    before_colons.filter_map(key).collect()
}

/// Where links lead.
pub fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The blocks of a language, with the lines where they begin.
pub fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let (mut blocks, mut lines) = (Vec::new(), (1..).zip(text.lines()));
    while let Some((number, line)) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let block = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let block: String = block.flat_map(|line| [line, "\n"]).collect();
        if found == language {
            blocks.push((number, block));
        }
    }
    blocks
}

/// A section of a document, with those in it.
pub fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// What links to headings call them.
pub fn anchors(text: &str) -> Vec<String> {
    let (mut anchors, mut is_code) = (Vec::<String>::new(), false);
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        let (Some(title), false) = (title.strip_prefix(' '), is_code || title.len() == line.len()) else { continue };
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(numbered).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

/// Whether what was printed is what was shown. In what is shown, a line `...` stands for any lines, a word `...` for
/// any words, and a word with a digit for any one word: numbers are those of a moment.
pub fn is_shown(printed: &[&str], shown: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return printed.is_empty() };
    if first.trim() == "..." {
        return (0..=printed.len()).any(|skipped| is_shown(&printed[skipped..], rest));
    }
    let words = |line: &'_ str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    printed.split_first().is_some_and(|(line, after)| fits(&words(line), &words(first)) && is_shown(after, rest))
}

fn fits(printed: &[String], shown: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return printed.is_empty() };
    if first == "..." {
        return (0..=printed.len()).any(|skipped| fits(&printed[skipped..], rest));
    }
    let same = |word: &String| word == first || first.contains(|c: char| c.is_ascii_digit());
    printed.split_first().is_some_and(|(word, after)| same(word) && fits(after, rest))
}

#[test]
fn what_is_shown_stands_for_what_is_printed() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (printed, text, expected) in [
        ("a b", "a  b", true),
        ("a b", "a", false),
        ("took 17.5ms", "took 3ms", true),
        ("took long", "took", false),
        ("a\nb\nc", "...\nc", true),
        ("a\nb\nc", "a\n...", true),
        ("a\nb\nc", "a\nc", false),
        ("{\"a\": 1, \"b\": 2}", "{\"a\": 7, ... 2}", true),
        ("anything", "", false),
        ("", "", true),
    ] {
        assert_eq!(is_shown(&printed.lines().collect::<Vec<_>>(), &shown(text)), expected, "{printed:?} {text:?}");
    }
}

#[test]
fn blocks_are_files_and_commands() {
    let text =
        "Now `a.yaml`:\n\n```yaml\nx: 1\n```\n\n```rust\nfn no() {}\n```\n\n```console\n$ cat a.yaml\nx: 1\n```\n";
    let steps = steps(text);
    assert!(matches!(&steps[0], (3, Step::File { path, text }) if path == "a.yaml" && text == "x: 1\n"));
    assert!(
        matches!(&steps[1], (12, Step::Command { command, shown }) if command == "cat a.yaml" && shown == &["x: 1"])
    );
    assert_eq!(steps.len(), 2);
    assert_eq!(keys("  - {file: a:b, keep: 5}"), ["file", "keep"]);
}

#[test]
fn headings_have_anchors() {
    let text = "# The `x.yaml`\n\n```sh\n# no heading\n```\n## What's new, and when\n### the x-yaml\n### The x_yaml\n## The \
                xyaml\n#no\n";
    assert_eq!(anchors(text), ["the-xyaml", "whats-new-and-when", "the-x-yaml", "the-x_yaml", "the-xyaml-1"]);
}
