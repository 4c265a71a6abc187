//! What an update costs in the core: parsed, applied, offered, taken in.
//!
//! `cargo bench -p crosshome-core`; targets stand in DESIGN.md section 8 and the latest figures in
//! docs/verification.md.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use crosshome_core::{
    EntityKey, HomeId, Space,
    grant::{Right, Selector},
    json::{Json, Members},
    replica::{Offered, Options, Replica},
    session::{Introduction, Session},
    table::Class,
    update::{Attributes, Update},
    version::Cause,
};
use std::hint::black_box;

const NOW: u64 = 1_800_000_000_000;
const HOMES: [HomeId; 2] = [HomeId([1; 32]), HomeId([2; 32])];

/// 382 bytes, the average of what homes send each other.
const ATTRIBUTES: &str = r#"{"brightness":178,"color_mode":"color_temp","color_temp":366,"color_temp_kelvin":2732,"effect_list":["none","rainbow","candle"],"friendly_name":"Living roomxxxxxxxxxxxxxxxxxxxxxx","hs_color":[28.327,64.71],"max_color_temp_kelvin":6535,"min_color_temp_kelvin":2000,"rgb_color":[255,167,89],"supported_color_modes":["color_temp","hs"],"supported_features":44,"xy_color":[0.524,0.387]}"#;

fn update(n: u64) -> Update {
    Update { state: Some(Json::string(&n.to_string())), attributes: Attributes::Keep }
}

fn lamp() -> EntityKey {
    EntityKey { space: Space::Joint, id: "light.hall".parse().unwrap() }
}

/// A home with one joint lamp of so many siblings.
fn home(siblings: u8) -> Replica {
    let mut home = Replica::new(HOMES[0], Options::default());
    for n in 0..siblings {
        let peer = HomeId([n + 3; 32]);
        let mut other = Replica::new(peer, Options::default());
        let whole = Update::replace(&n.to_string(), ATTRIBUTES).unwrap();
        other.update(&lamp(), Class::Document, &whole, Cause::Person, NOW).unwrap();
        let entity = other.find(&lamp()).unwrap();
        let versions = entity.siblings.clone();
        let offered = Offered {
            key: lamp(),
            class: Class::Document,
            versions,
            sent_at: 0,
            strategy: Default::default(),
            right: None,
            replace: false,
        };
        home.merge(peer, offered, NOW).unwrap();
    }
    home
}

fn parsing(c: &mut Criterion) {
    assert_eq!(ATTRIBUTES.len(), 382);
    c.bench_function("json/members of 382 bytes", |b| {
        b.iter(|| black_box(ATTRIBUTES).parse::<Members>().unwrap())
    });
    c.bench_function("json/canonical text of 382 bytes", |b| {
        b.iter(|| black_box(ATTRIBUTES).parse::<Json>().unwrap())
    });
}

fn updating(c: &mut Criterion) {
    for siblings in [1, 2, 8] {
        let make = || home(siblings);
        c.bench_function(&format!("update/state, {siblings} siblings"), |b| {
            b.iter_batched_ref(
                make,
                |home| home.update(&lamp(), Class::Document, &update(77), Cause::Person, NOW).unwrap(),
                BatchSize::SmallInput,
            )
        });
    }
    let (mut home, mut n) = (home(1), 0);
    c.bench_function("update/382 bytes of JSON parsed, one group changes", |b| {
        b.iter(|| {
            n += 1;
            let update = Update::replace(&n.to_string(), ATTRIBUTES).unwrap();
            home.update(&lamp(), Class::Document, &update, Cause::Person, NOW).unwrap()
        })
    });
    let whole = Update::replace("0", ATTRIBUTES).unwrap();
    c.bench_function("update/382 bytes already parsed, one group changes", |b| {
        b.iter(|| {
            n += 1;
            let update = Update { state: update(n).state, attributes: whole.attributes.clone() };
            home.update(&lamp(), Class::Document, &update, Cause::Person, NOW).unwrap()
        })
    });
}

/// Two homes in conversation; the first has so many lamps and shares them all.
fn pair(lamps: usize) -> (Replica, Replica, Session, Session) {
    let mut homes = HOMES.map(|id| Replica::new(id, Options { quota: 1_000_000, ..Options::default() }));
    let [villa, flat] = &mut homes;
    villa.epochs.open(1, 0);
    flat.epochs.open(2, 0);
    villa.grant(Some(HOMES[1]), Selector::parse("*").unwrap(), Some(Right::Read), &[HOMES[1]]);
    for n in 0..lamps {
        let key = villa.own(format!("light.l{n}").parse().unwrap());
        let whole = Update::replace(&n.to_string(), ATTRIBUTES).unwrap();
        villa.update(&key, Class::Device, &whole, Cause::Device, NOW).unwrap();
    }
    let me = Introduction { name: "home", proto_low: 1 };
    let mut to_flat = Session::open(HOMES[1], false, &me, villa, NOW);
    let mut to_villa = Session::open(HOMES[0], false, &me, flat, NOW);
    let hello = to_villa.offer(flat).unwrap();
    to_villa.receive(flat, &to_flat.offer(villa).unwrap(), NOW).unwrap();
    to_flat.receive(villa, &hello, NOW).unwrap();
    let [villa, flat] = homes;
    (villa, flat, to_flat, to_villa)
}

fn syncing(c: &mut Criterion) {
    let (mut villa, mut flat, mut to_flat, mut to_villa) = pair(100);
    while let Some(frame) = to_flat.offer(&villa) {
        to_villa.receive(&mut flat, &frame, NOW).unwrap();
    }
    let keys: Vec<_> = (0..100).map(|n| villa.own(format!("light.l{n}").parse().unwrap())).collect();
    let mut n = 1_000;
    let mut touch = |villa: &mut Replica| {
        n += 1;
        villa.update(&keys[n as usize % 100], Class::Device, &update(n), Cause::Device, NOW).unwrap();
    };
    c.bench_function("sync/update, offer and take in one group", |b| {
        b.iter(|| {
            touch(&mut villa);
            let frame = to_flat.offer(&villa).unwrap();
            to_villa.receive(&mut flat, &frame, NOW).unwrap()
        })
    });
    c.bench_function("sync/update one group, 100 to an offer, per 100", |b| {
        b.iter(|| {
            (0..100).for_each(|_| touch(&mut villa));
            let frame = to_flat.offer(&villa).unwrap();
            to_villa.receive(&mut flat, &frame, NOW).unwrap()
        })
    });
    c.bench_function("sync/first offer of 1,000 lamps, per 1,000", |b| {
        b.iter_batched_ref(
            || pair(1_000),
            |(villa, flat, to_flat, to_villa)| {
                while let Some(frame) = to_flat.offer(villa) {
                    to_villa.receive(flat, &frame, NOW).unwrap();
                }
            },
            BatchSize::PerIteration,
        )
    });
}

criterion_group!(core, parsing, updating, syncing);
criterion_main!(core);
