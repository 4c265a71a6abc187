//! Chaos: three real homes under everything that can go wrong, and a record of it that is judged afterwards.
//!
//! People of all three write documents and report devices through the API while links are cut (one way too), homes are
//! killed and start again, clocks are off, disks go back in time and grants come and go. What was acknowledged, and
//! every version that a store ever had, is recorded. Then all is healed, the homes must agree, and [`verdict`] looks
//! for what was lost (I2), came back (I13) or went where no grant leads (I8).
//!
//! `cargo xtask chaos --minutes N --seed S` runs it for longer. A seed gives the same people and the same troubles, not
//! the same run: real processes and real disks take their own time.

mod agreement;
pub(crate) mod dice;
mod people;
mod record;
mod store;
mod verdict;
mod world;

use std::{
    env, fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crosshome_core::sim::history;
use serde_json::Value;

use crate::support::tell;
use agreement::Agreement;
use dice::Dice;
use people::{DEVICES, People};
use record::Record;
use store::Names;
use verdict::Verdict;
use world::World;

/// How long trouble lasts when nobody says otherwise; healing comes after it.
const SECONDS: u64 = 25;

/// Time in which heartbeats repair what a heal has left.
const REPAIR: Duration = Duration::from_secs(150);

/// Where a run keeps its record and its homes; stays when the run fails.
struct Place(tempfile::TempDir, u64);

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.disable_cleanup(true);
            tell(&format!("seed {}; the record and the homes are in {}", self.1, self.0.path().display()));
        }
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn homes_under_everything_that_can_go_wrong_lose_nothing_and_agree_afterwards() {
    let seed = number("CROSSHOME_SEED").unwrap_or(1);
    let trouble = Duration::from_secs(number("CROSSHOME_CHAOS_SECONDS").unwrap_or(SECONDS));
    let place = Place(tempfile::tempdir().expect("a directory"), seed);
    let record = Arc::new(Record::new(place.0.path()));
    let Some(mut world) = World::new(place.0.path(), &record, Dice::new(seed)) else { return };
    let names = names(&world);
    record.known().ids.clone_from(&names);
    world.furnish();
    play(&mut world, &record, &names, seed, trouble);
    world.heal();
    settle(&world);
    let verdict = conclude(&world, &record, &names);
    keep_logs(&world, place.0.path(), &verdict);
    told(&record, &verdict, seed, trouble);
    assert!(verdict.findings.is_empty(), "{} findings: {:#?}", verdict.findings.len(), verdict.findings);
}

fn names(world: &World) -> Names {
    let named = |house: &world::House| (house.home.id().parse().expect("an id"), house.home.name.clone());
    world.houses.iter().map(named).collect()
}

/// Lets people write and trouble come, for a while.
fn play(world: &mut World, record: &Arc<Record>, names: &Names, seed: u64, lasts: Duration) {
    let (stop, start) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let all: Vec<_> =
        world.houses.iter().map(|house| (house.home.name.clone(), house.home.socket())).collect();
    let mut threads = Vec::new();
    for (number, (name, socket)) in all.iter().enumerate() {
        let others = all.iter().map(|(other, _)| other.clone()).filter(|other| other != name).collect();
        let dice = Dice::new(seed.wrapping_mul(31).wrapping_add(number as u64 + 1));
        let people = People::new(name, others, socket.clone(), record.clone(), dice);
        threads.push(people.start(stop.clone()));
    }
    let mut pause = Dice::new(seed ^ 0x5eed);
    let mut next = start;
    while start.elapsed() < lasts {
        look(world, record, names);
        world.mend();
        if next <= Instant::now() {
            world.trouble();
            next = Instant::now() + Duration::from_millis(200 + pause.below(1_500));
        }
        thread::sleep(Duration::from_millis(100));
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    look(world, record, names);
}

/// Reads what is new in every store, and who is on record as a loser.
fn look(world: &World, record: &Record, names: &Names) {
    for house in &world.houses {
        record.look(&house.home.name, house.home.data_dir(), names);
        let asked = house.home.ask("GET", "/api/v1/sharing/conflicts?all=true", None);
        if let Some(all) = asked.ok().filter(|reply| reply.ok()).map(|reply| reply.json()) {
            note_losers(record, &house.home.name, &all, names);
        }
    }
}

fn note_losers(record: &Record, home: &str, all: &Value, names: &Names) {
    for conflict in all["conflicts"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = text(&conflict["entity_id"]);
        let entity = format!("{}/{}", text(&conflict["home"]), id.rsplit('/').next().unwrap_or_default());
        for side in conflict["versions"].as_array().into_iter().flatten() {
            let fate = text(&side["outcome"]);
            if fate.starts_with("lost to ") || fate == "not chosen" {
                record.lost(home, &entity, &text(&side["state"]), names);
            }
        }
    }
}

/// After all, every home can still say something that all others see.
fn settle(world: &World) {
    for house in &world.houses {
        for device in DEVICES {
            assert!(house.home.put(device, "last").expect("it runs").ok());
            let seen_by = world.houses.iter().map(|other| &other.home);
            seen_by.for_each(|other| other.sees(&format!("{}/{device}", house.home.name), "last"));
        }
    }
}

/// Reads the last state of all homes, and judges.
fn conclude(world: &World, record: &Record, names: &Names) -> Verdict {
    thread::sleep(Duration::from_secs(2)); // what is flushed lazily is flushed
    let (healed, mut agreement) = (Instant::now(), Agreement::read(world, names));
    // what wrong clocks and old disks leave behind is found by the digests of heartbeats
    while !agreement.findings(record).is_empty() && healed.elapsed() < REPAIR {
        thread::sleep(Duration::from_secs(1));
        agreement = Agreement::read(world, names);
    }
    tell(&format!("homes agree, or never will, after {} s", healed.elapsed().as_secs()));
    look(world, record, names);
    world.houses.iter().for_each(|house| record.rests(&house.home.name));
    let mut verdict = verdict::judge(&record.known(), &agreement.last());
    verdict.findings.extend(agreement.findings(record));
    let history = by_history(record);
    let found = history.findings.iter().map(|finding| format!("{finding} (by the history)"));
    verdict.findings.extend(found);
    verdict
}

/// Lets the checker of histories read the record.
fn by_history(record: &Record) -> history::Verdict {
    let lines = fs::read_to_string(&record.path).expect("own file");
    let history = history::History::parse(&lines).expect("the written form");
    let verdict = history::check(&history);
    let history::Verdict { writes, versions, conflicts, told, fates, .. } = &verdict;
    tell(&format!(
        "{}: {} lines; {writes} writes, {versions} versions, {conflicts} conflicts, {told} losses told; {fates:?}",
        record.path.display(),
        history.lines().len()
    ));
    verdict
}

fn keep_logs(world: &World, dir: &Path, verdict: &Verdict) {
    if !verdict.findings.is_empty() {
        for house in &world.houses {
            fs::write(dir.join(format!("{}.log", house.home.name)), house.home.log_text())
                .expect("own directory");
        }
    }
}

fn told(record: &Record, verdict: &Verdict, seed: u64, lasted: Duration) {
    let (known, writes) = (record.known(), verdict.fates.values().sum::<usize>());
    tell(&format!(
        "chaos, seed {seed}, {} s: {writes} acknowledged writes: {:?}; {:?}",
        lasted.as_secs(),
        verdict.fates,
        known.faults
    ));
}
