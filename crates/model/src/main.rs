//! `cargo xtask model [SCENARIO]`: the larger bounds, each to its fixpoint, or until memory ends.
//!
//! `--small` takes the bounds of the tests.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::process::ExitCode;

use crosshome_model::{explore, scenarios};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let large = !words.iter().any(|word| word == "--small");
    let names: Vec<_> = words.iter().filter(|word| *word != "--small").collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sound = true;
    for scenario in scenarios(large) {
        if !names.is_empty() && !names.iter().any(|name| *name == scenario.name) {
            continue;
        }
        let found = explore(scenario, threads);
        let (name, states, depth) = (found.scenario, found.states, found.depth);
        println!("{name:12} {states:>9} states {depth:>3} steps deep {:>7.1} s", found.time.as_secs_f32());
        if let Some(complaint) = found.complaint {
            eprintln!("{complaint}");
            sound = false;
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
