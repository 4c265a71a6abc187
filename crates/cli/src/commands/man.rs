//! `man`: the manual page.

use clap::CommandFactory;

use crate::{args::Cli, failure::Failure, output::Screen};

/// Prints the page as roff, for `man -l -`.
pub(super) fn run(screen: &Screen) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    screen.write(&page)
}
