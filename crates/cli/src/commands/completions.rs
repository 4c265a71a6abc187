//! `completions`: scripts for shells.

use clap::CommandFactory;

use crate::{
    args::{Cli, Completions, Shell},
    failure::Failure,
    output::Screen,
};

/// Prints the script of one shell.
pub(super) fn run(args: &Completions, screen: &Screen) -> Result<(), Failure> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "crosshome", &mut script);
    screen.write(&script)
}
