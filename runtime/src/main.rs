//! The program: reads the command line and hands over.

use wasmeter::cli::{Command, Line};

fn main() -> std::process::ExitCode {
    // What a module's compiler needs is not what the daemon needs; it starts before anything else does.
    if std::env::args_os().nth(1).is_some_and(|first| first == wasmeter::sandbox::compile::SUBCOMMAND) {
        return match wasmeter::sandbox::compile::run() {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                std::process::ExitCode::FAILURE
            }
        };
    }
    let line = match Line::read() {
        Ok(line) => line,
        Err(error) => return wasmeter::cli::exit::usage(&error).into(),
    };
    Command::run(line.command).into()
}
