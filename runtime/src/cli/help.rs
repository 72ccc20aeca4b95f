//! What the help says behind the options: it is written in lines, and wrapped where it is shown.

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error};

/// A command and those below it, with a line for each paragraph.
pub fn flowing(command: Command) -> Command {
    let command = command.mut_subcommands(flowing);
    match command.get_after_help().map(ToString::to_string) {
        Some(text) => command.after_help(flow(&text)),
        None => command,
    }
}

/// The same error, with where a word has its place that is no subcommand here and one of another.
pub fn placed(mut error: Error, command: &Command) -> Error {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) {
        let groups = command.get_subcommands().filter(|group| group.find_subcommand(word).is_some());
        let places: Vec<String> = groups.map(|group| format!("{} {word}", group.get_name())).collect();
        if !places.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(places));
        }
    }
    error
}

/// Lines of a paragraph as one. What is indented stays as it is, and so does what ends with a full stop or a colon.
fn flow(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        flowing.push_str(line);
        let Some(next) = lines.peek() else { break };
        let is_apart = |line: &str| line.is_empty() || line.starts_with(' ');
        let ends = is_apart(line) || is_apart(next) || line.ends_with(['.', ':']);
        flowing.push(if ends { '\n' } else { ' ' });
    }
    flowing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_lines_and_examples_stay() {
        let kept = "Examples:\n  wasmeter run\n  wasmeter once   that\n\n";
        let text = format!("{kept}It measures,\nand goes on.\nIt ends:\n  1  so\n     far\n\nand\nmore");
        let flowing = format!("{kept}It measures, and goes on.\nIt ends:\n  1  so\n     far\n\nand more");
        assert_eq!(flow(&text), flowing);
        let command = Command::new("a").subcommand(Command::new("b").after_help("x\ny"));
        let command = super::flowing(command);
        assert_eq!(command.find_subcommand("b").unwrap().get_after_help().unwrap().to_string(), "x y");
    }
}
