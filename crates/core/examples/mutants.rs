//! Plays the simulator against every bug on purpose, and tells which one it finds after how many seeds.
//!
//! `cargo xtask mutants [NAME...]` runs this; the last line says how many were killed.

#![allow(clippy::print_stdout, reason = "an example talks to a person at a terminal")]

use std::{
    panic::catch_unwind,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crosshome_core::{
    bug::{Bug, plant},
    sim::{self, Plan},
};

/// Seeds after which a bug counts as one that the simulator cannot find.
const SEEDS: u64 = 3_000;

/// How the simulator found a bug.
#[derive(Clone, Debug)]
struct Kill {
    seeds: u64,
    by: String,
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| ())); // a bug may break an assertion: that is a kill, and no news
    let named: Vec<_> = std::env::args().skip(1).collect();
    let chosen = |bug: &Bug| named.is_empty() || named.contains(&format!("{bug:?}"));
    let bugs: Vec<_> = Bug::ALL.iter().copied().filter(chosen).collect();
    let kills = on_all_cores(&bugs);
    println!("{:18} {:>5}  {:12} what is wrong", "bug", "seeds", "found by");
    for (bug, kill) in &kills {
        let name = format!("{bug:?}");
        match kill {
            Some(Kill { seeds, by }) => println!("{name:18} {seeds:>5}  {by:12} {}", bug.does()),
            None => println!("{name:18} {:>5}  {:12} {}", "-", "SURVIVES", bug.does()),
        }
    }
    let killed = kills.iter().filter(|(_, kill)| kill.is_some()).count();
    println!("{killed} of {} seeded bugs killed", kills.len());
    if killed == kills.len() && killed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes one bug after the other on every core, and returns what was found in the order of the bugs.
fn on_all_cores(bugs: &[Bug]) -> Vec<(Bug, Option<Kill>)> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(&bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let kill = hunt(bug);
                    found.lock().expect("no thread panics while it holds this").push((bug, kill));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no thread panics while it holds this");
    found.sort_by_key(|(bug, _)| *bug);
    found
}

/// Plays seeds until one finds the bug.
fn hunt(bug: Bug) -> Option<Kill> {
    plant(Some(bug));
    let kill = (0..SEEDS).find_map(|seed| {
        let by = match catch_unwind(|| sim::run(&plan(seed))) {
            Ok(Ok(_)) => return None,
            Ok(Err(failure)) => invariant(&failure.what),
            Err(_) => "assertion".into(),
        };
        // a run that fails by itself says nothing of the bug
        plant(None);
        let holds = sim::run(&plan(seed)).is_ok();
        plant(Some(bug));
        holds.then_some(Kill { seeds: seed + 1, by })
    });
    plant(None);
    kill
}

/// Returns what is played: of eight runs two without what was not known at first, two without what would let a bug pass
/// for a loss that was told, and one of five homes to which much happens.
fn plan(seed: u64) -> Plan {
    match seed % 8 {
        7 => Plan::sized(seed / 8, 5, 500),
        1 | 5 => Plan::as_recorded(seed / 2),
        3 => Plan::calm(seed / 2),
        6 => Plan { homes: Some(5), steps: 300, ..Plan::calm(seed / 2) },
        _ => Plan::of(seed / 2),
    }
}

/// Returns the invariants that a failure names, or in short what it says.
fn invariant(what: &str) -> String {
    let short = [
        ("no rest", "no rest"),
        ("the network never", "no silence"),
        ("effects are out", "order of effects"),
    ];
    let short = short.into_iter().find(|(words, _)| what.starts_with(words));
    if let Some((_, name)) = short {
        return name.to_owned();
    }
    let named = |word: &&str| {
        let number = word.trim_end_matches([':', ',']).strip_prefix('I');
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    };
    let names: Vec<_> = what.split_whitespace().take_while(named).collect();
    let words = if names.is_empty() { what.split_whitespace().take(3).collect() } else { names };
    words.join(" ").trim_end_matches(':').to_owned()
}
