//! Plays any number of simulated runs; `cargo xtask sim` runs this.
//!
//! `--seeds N` runs, `--from S` begins with another seed than 0, `--homes M` and `--steps K` say how large each is;
//! without `--homes` a seed chooses both.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person at a terminal")]

use std::{process::ExitCode, time::Instant};

use crosshome_core::sim::{Plan, run_all, shrink};

/// What happens in a run of a given number of homes, if nobody says otherwise.
const STEPS: u64 = 500;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let Some(wish) = Wish::of(&words) else {
        eprintln!("error: usage: cargo xtask sim [--seeds N] [--from SEED] [--homes M] [--steps K]");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let failures = run_all((wish.from..wish.from + wish.seeds).map(|seed| wish.plan(seed)));
    let (took, failed) = (start.elapsed().as_secs_f64(), failures.len());
    let told: Vec<_> =
        failures.iter().map(|failure| format!("seed {}: {}", failure.plan.seed, failure.what)).collect();
    if let Some(first) = failures.into_iter().min_by_key(|failure| failure.plan.steps) {
        println!("{}\n{}", shrink(first), told.join("\n"));
    }
    println!("{} of {} runs hold, in {took:.1} s", wish.seeds - failed as u64, wish.seeds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What somebody wants played.
struct Wish {
    seeds: u64,
    from: u64,
    homes: Option<u64>,
    steps: u64,
}

impl Wish {
    fn of(words: &[String]) -> Option<Self> {
        let mut wish = Self { seeds: 1_000, from: 0, homes: None, steps: STEPS };
        for pair in words.chunks(2) {
            let [name, value] = pair else { return None };
            let value = value.parse().ok()?;
            match name.as_str() {
                "--seeds" if value > 0 => wish.seeds = value,
                "--from" => wish.from = value,
                "--homes" if (2..=64).contains(&value) => wish.homes = Some(value),
                "--steps" => wish.steps = value,
                _ => return None,
            }
        }
        Some(wish)
    }

    fn plan(&self, seed: u64) -> Plan {
        match self.homes {
            Some(homes) => Plan::sized(seed, homes as u8, self.steps as usize),
            None => Plan::of(seed),
        }
    }
}
