//! Makes the dictionary that links ship with: `cargo run --release --example dictionary -- FILE`.
//!
//! It is trained on what homes send each other of a house as Home Assistant knows it: each frame of
//! two cores in conversation, for every domain with its usual attributes. The houses are made up
//! here and share nothing with the ones that `bench` measures but the names that Home Assistant gives.

#![allow(clippy::print_stderr, reason = "it talks to the person at the terminal")]

use std::{env, fs, process::ExitCode};

use crosshome_core::{
    HomeId,
    grant::{Right, Selector},
    replica::{Options, Replica},
    session::{Introduction, Session},
    table::Class,
    update::Update,
    version::Cause,
};

/// Larger ones save little more and cost every link memory.
const BYTES: usize = 16 * 1024;
/// The number of the dictionary; a new one is a new protocol version.
const VERSION: u32 = 1;
const NOW_MS: u64 = 1_800_000_000_000;
const ROUNDS: u32 = 40;
const PER_DOMAIN: u32 = 12;

const ROOMS: [&str; 16] = [
    "living_room",
    "kitchen",
    "bedroom",
    "bathroom",
    "hallway",
    "office",
    "garage",
    "garden",
    "guest_room",
    "dining_room",
    "basement",
    "attic",
    "front_door",
    "terrace",
    "kids_room",
    "laundry",
];

/// What entities of each domain show.
const HOUSE: &str = include_str!("../dictionary/house.tsv");

fn main() -> ExitCode {
    let Some(file) = env::args().nth(1) else {
        eprintln!("usage: dictionary FILE");
        return ExitCode::from(2);
    };
    let frames = frames();
    let total: usize = frames.iter().map(Vec::len).sum();
    let mut words = zstd::dict::from_samples(&frames, BYTES).expect("there are enough frames");
    // zstd takes a random number; a small one takes a single byte of every frame.
    words[4..8].copy_from_slice(&VERSION.to_le_bytes());
    fs::write(&file, &words).expect("the file can be written");
    eprintln!("{} bytes from {} frames of {total} bytes", words.len(), frames.len());
    ExitCode::SUCCESS
}

/// Returns what one home sends another of its whole life: first each entity, then what changes.
fn frames() -> Vec<Vec<u8>> {
    let (mut villa, flat) = (home(1), home(2));
    villa.grant(Some(flat.actor().home), Selector::Glob("*".into()), Some(Right::Read), &[flat.actor().home]);
    let (mut to_flat, mut to_villa) = (session(&villa, &flat), session(&flat, &villa));
    let mut flat = flat;
    let mut dice = Dice(1);
    let mut frames = Vec::new();
    let house: Vec<_> = HOUSE.lines().filter(|line| !line.starts_with(';')).map(thing).collect();
    for round in 0..ROUNDS {
        for (at, (domain, state, attributes)) in house.iter().enumerate() {
            for number in 0..PER_DOMAIN {
                if round > 0 && !dice.next().is_multiple_of(4) {
                    continue; // not everything changes all the time
                }
                report(&mut villa, (domain, at as u32 * PER_DOMAIN + number), (state, attributes), &mut dice);
                while let Some(frame) = to_flat.offer(&villa) {
                    let _ = to_villa.receive(&mut flat, &frame, NOW_MS).expect("an honest frame");
                    frames.push(frame);
                }
                while let Some(frame) = to_villa.offer(&flat) {
                    let _ = to_flat.receive(&mut villa, &frame, NOW_MS).expect("an honest frame");
                    frames.push(frame);
                }
            }
        }
    }
    frames
}

/// Reads a line of the house: domain, state, attributes.
fn thing(line: &str) -> (&str, &str, &str) {
    let (domain, shown) = line.split_once('\t').expect("a domain");
    let (state, attributes) = shown.split_once('\t').expect("a state");
    (domain, state, attributes)
}

fn home(id: u8) -> Replica {
    let mut replica = Replica::new(HomeId([id.wrapping_mul(97); 32]), Options::default());
    replica.epochs.open(u64::from(id), 0);
    replica
}

fn session(me: &Replica, peer: &Replica) -> Session {
    let introduction = Introduction { name: "home", proto_low: 1 };
    Session::open(peer.actor().home, false, &introduction, me, NOW_MS)
}

fn report(
    home: &mut Replica,
    (domain, number): (&str, u32),
    (state, attributes): (&str, &str),
    dice: &mut Dice,
) {
    // The room stays, the numbers change.
    let mut fixed = Dice(u64::from(number) + 7);
    let room = ROOMS[fixed.next() as usize % ROOMS.len()];
    let things = ["ceiling", "main", "temperature", "motion", "floor_lamp", "humidity", "power", "plug"];
    let thing = things[fixed.next() as usize % things.len()];
    let key = home.own(format!("{domain}.{room}_{thing}_{number}").parse().expect("an entity's id"));
    let update = Update::replace(&fill(state, room, dice), &fill(attributes, room, dice)).expect("JSON");
    let _ = home.update(&key, Class::Device, &update, Cause::Device, NOW_MS).expect("acceptable");
}

/// Fills in what a pattern leaves open.
fn fill(pattern: &str, room: &str, dice: &mut Dice) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '#' => out.push(char::from(b'1' + (dice.next() % 9) as u8)),
            '%' => out.push(char::from(b"0123456789abcdef"[(dice.next() % 16) as usize])),
            '~' => out.push_str(&room.replace('_', " ")),
            '<' => {
                let (choices, after) = rest.split_once('>').expect("choices end");
                let choices: Vec<_> = choices.split('|').collect();
                out.push_str(&fill(choices[dice.next() as usize % choices.len()], room, dice));
                rest = after;
            }
            other => out.push(other),
        }
    }
    out
}

/// Numbers without a pattern, the same every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
}
