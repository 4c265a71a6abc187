//! Power cuts: what was acknowledged is there afterwards, on both homes, and both go on as if nothing had been.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::support::{Home, Writer, eventually, pair, tell};

/// Cuts of the writing home's power.
const CUTS: u64 = 30;

/// People who write at the same time, each an entity of its own.
const WRITERS: usize = 4;

/// What one writer knows of its entity: the last value tried, and the last one that was acknowledged.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    tried: u64,
    acknowledged: u64,
}

/// People who count up, whether the home is there or not.
struct Counting {
    counts: Arc<Mutex<[Count; WRITERS]>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Counting {
    fn start(home: &Home) -> Self {
        let (counts, stop) = (Arc::<Mutex<[Count; WRITERS]>>::default(), Arc::<AtomicBool>::default());
        let write = |writer: usize| {
            let (counts, stop, door) = (counts.clone(), stop.clone(), home.writer());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    count_once(&door, writer, &counts);
                }
            })
        };
        let threads = (0..WRITERS).map(write).collect();
        Self { counts, stop, threads }
    }

    fn counts(&self) -> [Count; WRITERS] {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(self) -> [Count; WRITERS] {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.counts.clone();
        self.threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts
    }
}

fn count_once(door: &Writer, writer: usize, counts: &Mutex<[Count; WRITERS]>) {
    let lock = || counts.lock().unwrap_or_else(PoisonError::into_inner);
    let next = lock()[writer].tried + 1;
    lock()[writer].tried = next;
    match door.put(&format!("counter.of_{writer}"), &next.to_string()) {
        Ok(reply) if reply.ok() => lock()[writer].acknowledged = next,
        Ok(reply) => assert!(reply.status >= 500, "{reply:?}"),
        Err(_) => thread::sleep(Duration::from_millis(5)), // the power is off
    }
}

/// Checks that each entity holds what was acknowledged before, or something tried after it.
fn nothing_lost(home: &Home, known: &[Count; WRITERS], now: impl Fn() -> [Count; WRITERS]) {
    for (writer, known) in known.iter().enumerate() {
        let state = home.state(&format!("counter.of_{writer}"));
        let value = state.as_ref().map_or(0, |state| state.parse::<u64>().expect("a number"));
        let range = known.acknowledged..=now()[writer].tried;
        assert!(range.contains(&value), "{} has {value} of {writer}, not in {range:?}", home.name);
    }
}

fn repairs(home: &Home) -> String {
    let metrics = home.ask("GET", "/metrics", None).expect("it runs").body;
    metrics.lines().filter(|line| line.starts_with("crosshome_repairs_total")).collect()
}

#[test]
fn acknowledged_writes_survive_thirty_power_cuts() {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::on_loopback("Flat"));
    villa.log("debug");
    villa.start();
    flat.start();
    pair(&mut villa, &mut flat);
    villa.set("/sync/peers", serde_json::json!([flat.address()]));
    villa.json(&["share", "counter.*", "--with", "Flat"]);
    let counting = Counting::start(&villa);
    let mut random = 0x9e37_79b9_u64;
    for cut in 0..CUTS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(cut | 1);
        thread::sleep(Duration::from_millis(20 + (random >> 33) % 180));
        villa.kill();
        let known = counting.counts();
        villa.start();
        nothing_lost(&villa, &known, || counting.counts());
        if cut % 10 == 9 {
            flat.kill();
            flat.start();
        }
    }
    let counts = counting.end();
    tell(&format!("{CUTS} cuts: {counts:?}"));
    nothing_lost(&villa, &counts, || counts);
    villa.in_sync_with("Flat");
    flat.in_sync_with("Villa");
    eventually("both to show the same", || {
        (villa.entities_of("Villa") == flat.entities_of("Villa")).then_some(())
    });
    villa.json(&["entity", "set", "counter.of_0", "-1"]);
    flat.sees("counter.of_0", "-1");
    assert_eq!(
        (repairs(&villa), repairs(&flat)),
        ("crosshome_repairs_total 0".into(), "crosshome_repairs_total 0".into())
    );
}

#[test]
fn first_sync_that_is_cut_again_and_again_ends_whole() {
    let count = 3_000;
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::on_loopback("Flat"));
    for home in [&mut villa, &mut flat] {
        home.log("debug");
        home.start();
    }
    fill(&villa, count);
    pair(&mut villa, &mut flat);
    villa.json(&["share", "input_number.*", "--with", "Flat"]);
    for cut in 0..6 {
        eventually("something to arrive", || (flat.status()["entities"]["received"] != 0).then_some(()));
        thread::sleep(Duration::from_millis(15 * cut));
        flat.kill();
        flat.start();
    }
    eventually("everything to arrive", || (flat.status()["entities"]["received"] == count).then_some(()));
    flat.in_sync_with("Villa");
    assert!(villa.entities_of("Villa") == flat.entities_of("Villa"), "both show different things");
    assert_eq!(
        (repairs(&villa), repairs(&flat)),
        ("crosshome_repairs_total 0".into(), "crosshome_repairs_total 0".into())
    );
}

/// Makes many entities at once, as four people at four tablets.
fn fill(home: &Home, count: usize) {
    thread::scope(|scope| {
        for part in 0..4 {
            let door = home.writer();
            scope.spawn(move || {
                for n in (part..count).step_by(4) {
                    assert!(door.put(&format!("input_number.n{n}"), &n.to_string()).expect("it runs").ok());
                }
            });
        }
    });
}
