//! Asking before something is done that cannot be undone.

use std::io::{self, BufRead, IsTerminal};

use super::{Exit, print};

/// Asks, if there is somebody to ask. `would` says what happens then, and `not` what is so otherwise.
pub fn confirm(yes: bool, would: &str, not: &str) -> Result<(), Exit> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        print::error(format_args!("{would}. To have that, add --yes"));
        return Err(Exit::Usage);
    }
    eprint!("{}. Go on? [y/N] ", print::plain(would));
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
        _ => {
            print::error(not);
            Err(Exit::Failed)
        }
    }
}
