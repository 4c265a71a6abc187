//! Plays any number of simulated runs; `cargo xtask sim` runs this.
//!
//! `--seeds N` runs, `--from S` begins with another seed than 0, `--homes M` and `--steps K` say how large each is;
//! without `--homes` a seed chooses both. `--calm 1` leaves out what only heartbeats mend, so that one exchange has to do.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person at a terminal")]

use std::{process::ExitCode, time::Instant};

use crosshome_core::sim::{Plan, run_all, shrink};

/// What happens in a run of a given number of homes, if nobody says otherwise.
const STEPS: u64 = 500;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let Some(wish) = Wish::of(&words) else {
        eprintln!(
            "error: usage: cargo xtask sim [--seeds N] [--from SEED] [--homes M] [--steps K] [--calm 1]"
        );
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let failures = run_all((wish.from..wish.from + wish.seeds).map(|seed| wish.plan(seed)));
    let (took, failed) = (start.elapsed().as_secs_f64(), failures.len());
    let told: Vec<_> =
        failures.iter().map(|failure| format!("seed {}: {}", failure.plan.seed, failure.what)).collect();
    if let Some(first) = failures.into_iter().min_by_key(|failure| failure.plan.steps) {
        println!("{}\n{}\n{}", shrink(first), told.join("\n"), wish.on_record());
    }
    println!("{} of {} runs{} hold, in {took:.1} s", wish.seeds - failed as u64, wish.seeds, wish.size());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What somebody wants played.
struct Wish {
    seeds: u64,
    from: u64,
    homes: Option<u64>,
    steps: u64,
    /// Whether to leave out what only heartbeats mend.
    calm: bool,
}

impl Wish {
    fn of(words: &[String]) -> Option<Self> {
        let mut wish = Self { seeds: 1_000, from: 0, homes: None, steps: STEPS, calm: false };
        for pair in words.chunks(2) {
            let [name, value] = pair else { return None };
            let value = value.parse().ok()?;
            match name.as_str() {
                "--seeds" if value > 0 => wish.seeds = value,
                "--from" => wish.from = value,
                "--homes" if (2..=64).contains(&value) => wish.homes = Some(value),
                "--steps" => wish.steps = value,
                "--calm" => wish.calm = value > 0,
                _ => return None,
            }
        }
        Some(wish)
    }

    /// Says how a seed that failed joins those that every change has to pass.
    fn on_record(&self) -> &'static str {
        match (self.homes, self.steps) {
            _ if self.calm => {
                "to put a seed on record, add the line `~SEED what it showed` to crates/core/tests/seeds.txt"
            }
            (None, _) => {
                "to put a seed on record, add the line `+SEED what it showed` to crates/core/tests/seeds.txt"
            }
            (Some(5), STEPS) => {
                "to put a seed on record, add the line `+SEED/5 what it showed` to crates/core/tests/seeds.txt"
            }
            _ => "a run of this size has no place in crates/core/tests/seeds.txt: 5 homes and 500 steps have",
        }
    }

    /// Says how large each run is, if the seed does not.
    fn size(&self) -> String {
        self.homes
            .map_or_else(String::new, |homes| format!(" of {homes} homes and {} happenings", self.steps))
    }

    fn plan(&self, seed: u64) -> Plan {
        let plan = if self.calm { Plan::calm(seed) } else { Plan::of(seed) };
        match self.homes {
            Some(homes) => Plan { homes: Some(homes as u8), steps: self.steps as usize, ..plan },
            None => plan,
        }
    }
}
