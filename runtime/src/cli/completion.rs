//! `wasmeter completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Exit, Line};

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
        clap_complete::generate(self.shell, &mut Line::command(), "wasmeter", &mut std::io::stdout());
        Exit::Done
    }
}
