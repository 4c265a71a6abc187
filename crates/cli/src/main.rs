//! The `crosshome` command: arguments in, text out.
//!
//! [`args`] says what can be typed, [`commands`] has one file per verb, [`client`] talks to the running
//! home, [`output`] turns results into text and failures into a hint and an exit code. Data goes to
//! stdout, everything else to stderr.

mod args;
mod client;
mod commands;
mod events;
mod failure;
mod output;
mod passphrase;
mod text;

use std::process::ExitCode;

use clap::Parser;

use output::Screen;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let screen = Screen::new(cli.common.json, cli.common.color);
    match commands::run(cli, &screen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => screen.fail(&failure),
    }
}
