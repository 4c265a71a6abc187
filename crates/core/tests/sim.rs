//! Many simulated runs, and every run that once failed.
//!
//! `CROSSHOME_SEEDS=N` plays N seeds, `CROSSHOME_SEED=S` plays one and tells what happens.

use crosshome_core::sim::{self, Plan};

const RUNS: u64 = 500;

fn play(seeds: impl IntoIterator<Item = u64>) {
    let failures: Vec<_> = seeds.into_iter().filter_map(|seed| sim::run(&Plan::of(seed)).err()).collect();
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
        Some(seed) => play([seed]),
        None => play(0..number("CROSSHOME_SEEDS").unwrap_or(RUNS)),
    }
}

#[test]
fn runs_that_once_failed_hold() {
    let seeds = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    play(seeds.map(|line| line.split_whitespace().next().expect("a seed").parse().expect("a number")));
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
