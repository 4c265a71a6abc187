//! The `crosshome` command: arguments in, text out.
//!
//! `args` says what can be typed, `commands` has one file per verb, `client` talks to the running
//! home, `output` turns results into text and failures into a hint and an exit code. Data goes to
//! stdout, everything else to stderr.
//!
//! [`run`] is the whole command. The binary of the same name calls it, and so does the one that comes with the
//! Python package, whose process is Python's own: so nothing here reads the arguments of the process, ends it, or
//! takes its executable for the command.
//!
//! ```
//! let itself = crosshome_cli::Program::current();
//! assert_eq!(crosshome_cli::run(["crosshome", "--version"], itself), 0);
//! ```

mod args;
mod client;
mod commands;
mod events;
mod failure;
mod output;
mod passphrase;
mod program;
mod text;

use std::{
    ffi::OsString,
    io::{self, Write},
};

use clap::Parser;

use output::{Exit, Screen};
pub use program::Program;

/// Does what was typed, the command's own name first, and returns the exit code.
///
/// `itself` starts this command anew where a verb needs processes of its own; the first one given holds for the
/// process. The verbs that wait for SIGINT, SIGTERM or SIGHUP listen themselves; what the process does on a signal otherwise is
/// the caller's business.
pub fn run<T: Into<OsString> + Clone>(words: impl IntoIterator<Item = T>, itself: Program) -> u8 {
    program::remember(itself);
    let code = match args::Cli::try_parse_from(words) {
        Ok(cli) => carry_out(cli),
        Err(shown) => {
            // Nobody can be told that stdout or stderr is closed.
            _ = shown.print();
            u8::try_from(shown.exit_code()).unwrap_or(Exit::Usage as u8)
        }
    };
    // A process that is not Rust's own does not flush at its end.
    _ = io::stdout().flush();
    code
}

#[tokio::main(flavor = "current_thread")]
async fn carry_out(cli: args::Cli) -> u8 {
    let screen = Screen::new(cli.common.json, cli.common.color);
    match commands::run(cli, &screen).await {
        Ok(()) => 0,
        Err(failure) => screen.fail(&failure) as u8,
    }
}
