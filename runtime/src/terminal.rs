//! What a terminal is shown of texts that anybody may have written: names that tenants chose, lines that modules logged,
//! words of the hypervisor. Letters stay. What moves a cursor, turns the direction of writing or cannot be seen stands
//! there as U+FFFD, so that no text passes for another one.
//!
//! Everything that is printed for people goes through here, once, where it is printed. JSON escapes the same characters
//! ([`crate::json::without_odd`]), and keeps them.

/// What is shown in the place of one.
const REPLACEMENT: &str = "\u{fffd}";

/// Whether a terminal obeys a character instead of showing it.
pub fn is_odd(c: char) -> bool {
    c.is_control() || is_unseen(c)
}

/// Whether a character only says how others are to be written, or is a line's end that is none to programs.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}'
        // Directions of writing.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Blanks without width, joiners, fillers and selectors.
        | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        // Ends of lines and paragraphs, annotations, shorthand and music, tags.
        | '\u{2028}' | '\u{2029}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A text on one line, whatever is in it.
pub fn line(text: &str) -> String {
    text.replace(is_odd, REPLACEMENT)
}

/// A text whose lines stay lines.
pub fn plain(text: &str) -> String {
    text.replace(|c| is_odd(c) && c != '\n', REPLACEMENT)
}

/// A text that has colours of ours in it, and in which others' control characters are escaped already.
pub fn without_unseen(text: &str) -> String {
    text.replace(is_unseen, REPLACEMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_a_terminal_or_hides_in_it() {
        for odd in [
            '\0',
            '\t',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{fff9}',
            '\u{e0001}',
            '\u{e0041}',
        ] {
            assert_eq!(plain(&format!("a{odd}b\nc")), "a\u{fffd}b\nc", "{}", odd.escape_unicode());
            assert_eq!(line(&format!("a{odd}b\nc")), "a\u{fffd}b\u{fffd}c", "{}", odd.escape_unicode());
        }
        for text in [
            "",
            "plain",
            "Gr\u{fc}\u{df}e",
            "\u{65e5}\u{672c}\u{8a9e}",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "\u{1f600}",
            "\u{a0}",
            "e\u{301}",
        ] {
            assert_eq!((line(text), without_unseen(text)), (text.to_owned(), text.to_owned()));
        }
        assert_eq!(without_unseen("\u{1b}[32mINFO\u{1b}[0m \u{202e}x"), "\u{1b}[32mINFO\u{1b}[0m \u{fffd}x");
    }
}
