//! What settling and catching up cost, counted over real sessions: `cargo bench -p crosshome-core --bench settling`.
//!
//! Homes with one joint space are linked each with each. All change one entity while they are apart; then everything
//! that they say is counted until they fall silent. A round is everything that is under way at once, so two rounds
//! are a round trip. What is counted is the same in every run; times are the least of many.

#![allow(clippy::print_stdout, reason = "a table for people")]

use std::{collections::BTreeMap, fs, hint::black_box, time::Instant};

use crosshome_core::{
    EntityKey, HomeId, Space,
    conflict::Token,
    policy::{Policy, Rule, Strategy},
    record,
    replica::{Choice, Options, Replica},
    session::{Introduction, Session},
    siblings::Siblings,
    table::Class,
    update::Update,
    version::Cause,
};

const NOW: u64 = 1_800_000_000_000;
const ATTRIBUTES: &str =
    r#"{"brightness":254,"color_mode":"hs","hs_color":[30.1,70.2],"friendly_name":"Hall"}"#;

fn main() {
    println!(
        "| homes | strategy | bytes | frames | rounds | writes | µs, all homes |\n|---|---|---|---|---|---|---|"
    );
    for homes in [2, 3, 5, 8] {
        for strategy in [Strategy::LatestWins, Strategy::Merge, Strategy::UserChoice, Strategy::Custom] {
            settle(homes, strategy);
        }
    }
    println!("\n| changed of 1,000 | resync, bytes | full dump, bytes |\n|---|---|---|");
    [0, 1, 10, 100, 1_000].into_iter().for_each(resync);
    println!("\n| siblings | an update, µs | record, bytes |\n|---|---|---|");
    [1, 2, 8].into_iter().for_each(update);
    println!("\n| entities | resident memory of each, bytes | record, bytes |\n|---|---|---|");
    memory(100_000);
}

/// Homes that hold each other's changes of a joint space.
struct Homes {
    replicas: Vec<Replica>,
    sessions: BTreeMap<(usize, usize), Session>,
}

/// What was said until all fell silent.
#[derive(Default)]
struct Said {
    bytes: usize,
    frames: usize,
    rounds: usize,
}

impl std::ops::AddAssign for Said {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.frames += more.frames;
        self.rounds += more.rounds;
    }
}

impl Homes {
    fn new(count: usize, strategy: Strategy) -> Self {
        let id = |at| HomeId([at as u8 + 1; 32]);
        let rule = Rule { pattern: "*".into(), strategy, template: None };
        let mut replicas: Vec<_> = (0..count).map(|at| Replica::new(id(at), Options::default())).collect();
        for (at, replica) in (1..).zip(&mut replicas) {
            replica.epochs.open(at, 0);
        }
        replicas[0].set_joint_policy(Policy::new([rule]).expect("one rule"), true, NOW);
        Self { replicas, sessions: BTreeMap::new() }
    }

    /// Links each with each.
    fn link(&mut self) {
        let me = Introduction { name: "home", proto_low: 1 };
        for a in 0..self.replicas.len() {
            for b in (0..self.replicas.len()).filter(|b| *b != a) {
                let peer = self.replicas[b].actor().home;
                self.sessions.insert((a, b), Session::open(peer, true, &me, &self.replicas[a], NOW));
            }
        }
    }

    fn silence(&mut self) -> Said {
        let mut said = Said::default();
        loop {
            let mut under_way = Vec::new();
            for (&(a, b), session) in &mut self.sessions {
                let frames = std::iter::from_fn(|| session.offer(&self.replicas[a]));
                under_way.extend(frames.map(|frame| (a, b, frame)));
            }
            if under_way.is_empty() {
                return said;
            }
            said.rounds += 1;
            for (a, b, frame) in under_way {
                (said.bytes, said.frames) = (said.bytes + frame.len(), said.frames + 1);
                let session = self.sessions.get_mut(&(b, a)).expect("links go both ways");
                session.receive(&mut self.replicas[b], &frame, NOW).expect("homes are honest");
            }
            self.sessions.iter_mut().for_each(|(&(a, _), session)| session.committed(&self.replicas[a]));
        }
    }

    fn write(&mut self, at: usize, key: &EntityKey, state: &str) {
        let update = Update::replace(state, ATTRIBUTES).expect("it is short");
        let written = self.replicas[at].update(key, Class::Document, &update, Cause::Person, NOW);
        written.expect("members may write");
    }

    fn resolve(&mut self, key: &EntityKey) {
        let (shown, choice) = (self.siblings(0, key), Choice::Value(Update::state("settled")));
        let token = Token::of(&shown);
        let written = self.replicas[0].resolve(key, token, &choice, Cause::Strategy, NOW);
        written.expect("it was shown all");
    }

    fn siblings(&self, at: usize, key: &EntityKey) -> Siblings {
        self.replicas[at].find(key).expect("it is there").siblings.clone()
    }
}

fn key(at: usize) -> EntityKey {
    EntityKey { space: Space::Joint, id: format!("light.number_{at}").parse().expect("it is an id") }
}

/// Lets all homes change one entity apart, and counts until they agree.
fn settle(count: usize, strategy: Strategy) {
    let mut least = f64::MAX;
    let mut last = None;
    for _ in 0..20 {
        let mut homes = Homes::new(count, strategy);
        homes.write(0, &key(0), "before");
        homes.link();
        homes.silence();
        (0..count).for_each(|at| homes.write(at, &key(0), &format!("by {at}")));
        let start = Instant::now();
        let mut said = homes.silence();
        let writes = usize::from(matches!(strategy, Strategy::UserChoice | Strategy::Custom));
        if writes > 0 {
            // a person who was shown all, or the function of the home that decides
            homes.resolve(&key(0));
            said += homes.silence();
        }
        least = least.min(start.elapsed().as_secs_f64() * 1e6);
        last = Some((homes, said, writes));
    }
    let (homes, said, writes) = last.expect("it ran");
    let all = homes.siblings(0, &key(0));
    assert!((0..count).all(|at| homes.siblings(at, &key(0)) == all), "homes that fell silent agree");
    assert_eq!(all.len(), if writes == 0 { count } else { 1 }, "one resolution replaces all");
    println!(
        "| {count} | {strategy} | {} | {} | {} | {writes} | {least:.0} |",
        said.bytes, said.frames, said.rounds
    );
}

/// Counts what a reconnect costs after some entities have changed on both sides of a partition.
fn resync(changed: usize) {
    let mut homes = Homes::new(2, Strategy::Merge);
    (0..1_000).for_each(|at| homes.write(0, &key(at), "before"));
    homes.link();
    let full = homes.silence().bytes;
    (0..changed).for_each(|at| homes.write(at % 2, &key(at), "after"));
    homes.link();
    println!("| {changed} | {} | {full} |", homes.silence().bytes);
}

/// Measures an update of an entity that has siblings, and what it then takes on disk.
fn update(siblings: usize) {
    let mut homes = Homes::new(siblings, Strategy::Merge);
    (0..siblings).for_each(|at| homes.write(at, &key(0), &format!("by {at}")));
    homes.link();
    homes.silence();
    let entity = homes.replicas[0].find(&key(0)).expect("it is there");
    assert_eq!(entity.siblings.len(), siblings);
    let (bytes, mut least) = (record::encode(entity).len(), f64::MAX);
    for round in 0..200 {
        let mut replica = homes.replicas[0].clone();
        let update = Update::state(&round.to_string());
        let start = Instant::now();
        let effects = replica.update(&key(0), Class::Document, &update, Cause::Person, NOW);
        least = least.min(start.elapsed().as_secs_f64() * 1e6);
        drop(black_box(effects));
    }
    println!("| {siblings} | {least:.1} | {bytes} |");
}

/// Measures what a home keeps in memory of each of many lights.
fn memory(count: usize) {
    let before = resident();
    let mut homes = Homes::new(1, Strategy::Merge);
    (0..count).for_each(|at| homes.write(0, &key(at), "on"));
    let each = (resident() - before) / count;
    let record = record::encode(homes.replicas[0].find(&key(0)).expect("it is there")).len();
    println!("| {count} | {each} | {record} |");
}

/// Returns the bytes of memory that this process has now.
fn resident() -> usize {
    let told = fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: usize =
        told.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * 4096
}
