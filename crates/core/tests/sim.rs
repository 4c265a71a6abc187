//! Many simulated runs, and every run that once failed.
//!
//! `CROSSHOME_SEEDS=N` plays N seeds, `CROSSHOME_SEED=S` plays one and tells what happens. Larger runs: `cargo xtask sim`.

use crosshome_core::sim::{self, Plan};

const RUNS: u64 = 500;

/// Runs of five homes to which five hundred things happen; `cargo xtask test` plays more.
const LARGE: u64 = 50;

fn play(plans: impl Iterator<Item = Plan> + Send) {
    let failures = sim::run_all(plans);
    let seeds: Vec<_> = failures.iter().map(|failure| failure.plan.seed).collect();
    if let Some(first) = failures.into_iter().min_by_key(|failure| failure.plan.steps) {
        panic!("{} seeds fail: {seeds:?}\n{}", seeds.len(), sim::shrink(first));
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn homes_agree_after_whatever_happened() {
    match number("CROSSHOME_SEED") {
        Some(seed) => play([seed].into_iter().map(Plan::of)),
        None => play((0..number("CROSSHOME_SEEDS").unwrap_or(RUNS)).map(Plan::of)),
    }
}

#[test]
fn homes_agree_before_the_first_heartbeat_where_nothing_needs_one() {
    play((0..number("CROSSHOME_SEEDS").unwrap_or(RUNS)).map(Plan::calm));
}

#[test]
fn five_homes_agree_after_much_has_happened() {
    play((0..number("CROSSHOME_LARGE").unwrap_or(LARGE)).map(|seed| Plan::sized(seed, 5, 500)));
}

#[test]
fn runs_that_once_failed_hold() {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let seeds = lines.map(|line| line.split_whitespace().next().expect("a seed"));
    play(seeds.map(|seed| match seed.strip_prefix('+') {
        None if seed.starts_with('~') => Plan::calm(seed[1..].parse().expect("a number")),
        Some(seed) => match seed.strip_suffix("/5") {
            Some(seed) => Plan::sized(seed.parse().expect("a number"), 5, 500),
            None => Plan::of(seed.parse().expect("a number")),
        },
        None => Plan::as_recorded(seed.parse().expect("a number")),
    }));
}

#[test]
fn commands_end_in_every_way_that_there_is() {
    let mut ended = [0; 5];
    for seed in 0..60 {
        let report = sim::run(&Plan::of(seed)).unwrap();
        ended.iter_mut().zip(report.ended).for_each(|(all, more)| *all += more);
    }
    assert!(ended.iter().all(|count| *count > 0), "settled, rejected, stale, superseded, expired: {ended:?}");
}

#[test]
fn same_seed_gives_the_same_run() {
    let report = |seed| sim::run(&Plan::of(seed)).map_err(|failure| failure.what);
    assert_eq!(report(1), report(1));
}
