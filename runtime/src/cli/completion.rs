//! `wasmeter completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Exit, Line, print};

const EXAMPLES: &str = "\
Examples:
  wasmeter completion bash > /etc/bash_completion.d/wasmeter
  wasmeter completion zsh > ~/.zfunc/_wasmeter";

/// Print a script that completes this command line in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which shell.
    shell: Shell,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        // Made as a whole first: the generator panics if it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Line::command(), "wasmeter", &mut script);
        print::as_it_is(&String::from_utf8_lossy(&script)).map_or_else(|exit| exit, |()| Exit::Done)
    }
}
