//! A paired home that has been broken into: it says whatever frames can say, and nothing bad comes of it.

use crosshome_core::{
    EntityId, HomeId, Space,
    defaults::MAX_SKEW_MS,
    digest::Digest,
    dot::{Actor, Dot, VersionVector},
    epoch::Cursor,
    grant::{Right, Selector},
    hlc::Hlc,
    replica::{Options, Replica},
    session::{Introduction, Session},
    table::Class,
    update::Update,
    version::{Cause, Version},
    wire::{Ack, Actors, Forked, Gone, Hello, Message, Ping, Refused, Want, Why, encode_version},
};
use minicbor::Encoder;

use crate::bytes::Bytes;

const NOW: u64 = 1_800_000_000_000;
const VILLA: HomeId = HomeId([1; 32]);
const THIEF: HomeId = HomeId([2; 32]);
const FLAT: HomeId = HomeId([3; 32]);
const EPOCH: u64 = 99;
const QUOTA: usize = 4;
const IDS: [&str; 6] =
    ["light.hall", "input_text.note", "input_text.secret", "input_text.x", "light.y", "sensor.z"];

/// Raw frames after an honest hello: each has its length in front.
pub(crate) fn session(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let mut frames = vec![Message::Hello(plain_hello()).encode()];
    while !bytes.is_empty() {
        let length = (usize::from(bytes.byte()) << 8 | usize::from(bytes.byte())).min(bytes.0.len());
        frames.extend(bytes.0.split_off(..length).map(<[u8]>::to_vec));
    }
    hurts_nobody(frames, false);
}

/// Well-formed frames with anything in them.
pub(crate) fn peer(bytes: &[u8]) {
    let mut thief = Thief { bytes: Bytes(bytes), actors: Actors::default(), clock: 0, place: 0 };
    let joint = thief.bytes.flag();
    let mut frames = vec![Message::Hello(thief.hello()).encode()];
    while !thief.bytes.is_empty() && frames.len() < 40 {
        let frame = thief.frame();
        frames.push(frame);
    }
    hurts_nobody(frames, joint);
}

/// Says all frames to a home, and checks that they changed nothing but what was granted.
fn hurts_nobody(frames: Vec<Vec<u8>>, joint: bool) {
    let mut villa = villa();
    let before = [said(&villa, "light.hall"), said(&villa, "input_text.secret")];
    let me = Introduction { name: "villa", proto_low: 1 };
    let mut session = Session::open(THIEF, joint, &me, &villa, NOW);
    for frame in frames {
        if session.receive(&mut villa, &frame, NOW).is_err() {
            break;
        }
        session.committed(&villa);
        assert!(session.weight() < 300, "a session remembers {} items", session.weight());
        while session.offer(&villa).is_some() {}
    }
    assert_eq!([said(&villa, "light.hall"), said(&villa, "input_text.secret")], before);
    assert_eq!(villa.table().len(Space::Home(VILLA)), 3);
    assert!(villa.table().len(Space::Home(THIEF)) <= QUOTA);
    assert!(villa.table().len(Space::Joint) <= usize::from(joint) * QUOTA);
    let known = [Space::Home(VILLA), Space::Home(THIEF), Space::Joint];
    assert!(villa.table().spaces().all(|space| known.contains(&space)));
    assert!(villa.clock().last().ms() <= NOW + MAX_SKEW_MS + 2);
    future_is_open(&mut villa);
}

/// What this home writes from now on arrives at others, whatever was claimed to have been seen of it.
fn future_is_open(villa: &mut Replica) {
    let mut flat = Replica::new(FLAT, Options::default());
    talk(villa, &mut flat);
    let note = villa.own(id("input_text.note"));
    villa
        .update(&note, Class::Document, &Update::state("later"), Cause::Person, NOW + 1)
        .expect("it is ours");
    talk(villa, &mut flat);
    let dots = |replica: &Replica| {
        let entity = replica.find(&note).expect("it is shared");
        entity.siblings.iter().map(|version| version.dot).collect::<Vec<_>>()
    };
    assert_eq!(dots(villa).len(), 1);
    assert_eq!(dots(villa), dots(&flat));
}

fn talk(a: &mut Replica, b: &mut Replica) {
    let me = Introduction { name: "", proto_low: 1 };
    let mut to_b = Session::open(b.actor().home, false, &me, a, NOW);
    let mut to_a = Session::open(a.actor().home, false, &me, b, NOW);
    for _ in 0..8 {
        while let Some(frame) = to_b.offer(a) {
            to_a.receive(b, &frame, NOW).expect("a is honest");
        }
        while let Some(frame) = to_a.offer(b) {
            to_b.receive(a, &frame, NOW).expect("b is honest");
        }
    }
}

/// A home with a device, a note that all may edit, and a secret that nobody sees.
fn villa() -> Replica {
    let mut villa = Replica::new(VILLA, Options { quota: QUOTA, ..Options::default() });
    villa.epochs.open(EPOCH, 0);
    for (name, class) in IDS[..3].iter().zip([Class::Device, Class::Document, Class::Document]) {
        let key = villa.own(id(name));
        villa.update(&key, class, &Update::state("mine"), Cause::Person, NOW).expect("it is ours");
    }
    for name in &IDS[..2] {
        villa.grant(None, Selector::Entity(id(name)), Some(Right::Edit), &[THIEF, FLAT]);
    }
    villa
}

/// Returns who says what of an entity; a lie about the past may make this home say it again under another dot.
fn said(replica: &Replica, name: &str) -> Vec<(HomeId, Vec<String>)> {
    let entity = replica.find(&replica.own(id(name))).expect("it is there");
    let values =
        |version: &Version| version.fields().map(|(name, value)| format!("{name}={value}")).collect();
    entity.siblings.iter().map(|version| (version.dot.actor.home, values(version))).collect()
}

fn id(name: &str) -> EntityId {
    name.parse().expect("it is an id")
}

fn plain_hello() -> Hello {
    Hello {
        proto_low: 1,
        proto_high: 1,
        epoch: 7,
        head: 0,
        clock: Hlc::at(NOW),
        cursor: Cursor::default(),
        name: "thief".into(),
        digest: None,
    }
}

/// What the thief has said so far, and the bytes that decide what it says next.
struct Thief<'a> {
    bytes: Bytes<'a>,
    actors: Actors,
    clock: u64,
    place: u64,
}

impl Thief<'_> {
    fn hello(&mut self) -> Hello {
        let trail = (0..self.bytes.below(3)).map(|_| (self.epoch(), self.place())).collect();
        let (mark, latest, head) = (self.stamp(), self.stamp(), self.place());
        let digest = self.bytes.flag().then(|| Digest(self.bytes.number().into()));
        Hello { head, clock: latest, cursor: Cursor { trail, mark, latest }, digest, ..plain_hello() }
    }

    fn frame(&mut self) -> Vec<u8> {
        let message = match self.bytes.below(16) {
            0 => Message::Want(Want {
                numbers: self.numbers(),
                ids: self.ids(),
                after: self.bytes.flag().then(|| self.place()),
            }),
            1 => Message::Ack(Ack { seq: self.place() }),
            2 => {
                let mut digest = || self.bytes.flag().then(|| Digest(self.bytes.number().into()));
                let (digest, joint) = (digest(), digest());
                Message::Ping(Ping { nonce: 1, clock: self.stamp(), digest, joint })
            }
            3 => Message::Refused(Refused {
                number: self.bytes.below(4) as u32,
                why: self.bytes.pick(&[Why::Forbidden, Why::Quota, Why::Skew]),
                clock: self.stamp(),
                up_to: self.stamp(),
            }),
            4 => Message::Gone(Gone { ids: self.ids(), numbers: self.numbers() }),
            5 => Message::Forked(Forked { seq: self.place() }),
            _ => return self.offer(),
        };
        message.encode()
    }

    fn offer(&mut self) -> Vec<u8> {
        let (count, mut items) = (self.bytes.below(4), Encoder::new(Vec::new()));
        (0..count).for_each(|_| self.item(&mut items));
        let seq = self.bytes.flag().then(|| self.place());
        let (end, mut out) = (self.bytes.flag(), Encoder::new(Vec::new()));
        let step = Hlc::at(NOW).0.wrapping_sub(std::mem::replace(&mut self.clock, Hlc::at(NOW).0)) as i64;
        put(out.array(2).and_then(|out| out.u8(1)).and_then(|out| out.map(3 + u64::from(seq.is_some()))));
        put(out.u8(0).and_then(|out| out.i64(step)).and_then(|out| out.u8(1)));
        self.actors.announce(&mut out);
        put(out.u8(2).and_then(|out| out.array(count as u64)));
        out.writer_mut().extend_from_slice(items.writer());
        if let Some(seq) = seq {
            let step = seq.wrapping_sub(std::mem::replace(&mut self.place, seq)) as i64;
            put(out.u8(if end { 4 } else { 3 }).and_then(|out| out.i64(step)));
        }
        out.into_writer()
    }

    fn item(&mut self, out: &mut Encoder<Vec<u8>>) {
        let name = (self.bytes.below(5) > 0).then(|| (self.bytes.pick(&IDS), self.bytes.below(3) as u8));
        let right = self.bytes.flag().then(|| self.bytes.below(5) as u8);
        let keys = 4 + 2 * u64::from(name.is_some()) + u64::from(right.is_some());
        put(out.map(keys).and_then(|out| out.u8(0)).and_then(|out| out.u8(self.bytes.below(12) as u8)));
        if let Some((id, space)) = name {
            put(out
                .u8(1)
                .and_then(|out| out.str(id))
                .and_then(|out| out.u8(2))
                .and_then(|out| out.u8(space)));
        }
        put(out.u8(3).and_then(|out| out.u8(self.bytes.below(2) as u8)));
        if let Some(right) = right {
            put(out.u8(4).and_then(|out| out.u8(right)));
        }
        let count = 1 + self.bytes.below(3);
        put(out.u8(5).and_then(|out| out.array(count as u64)));
        for _ in 0..count {
            let version = self.version();
            encode_version(&version, Hlc::at(NOW), &mut self.actors, out);
        }
        put(out.u8(6).and_then(|out| out.bool(self.bytes.flag())));
    }

    fn version(&mut self) -> Version {
        let (dot, old) = (self.dot(), self.dot());
        let seen = (0..self.bytes.below(5)).map(|_| self.dot()).filter(|seen| seen.actor != dot.actor);
        let context: VersionVector = seen.collect();
        let state = self.bytes.pick(&["a", "b", "on"]);
        let body = Update::state(state).apply("light", [], old).expect("it is short").expect("it is new");
        let body = crosshome_core::body::Body::of(dot, body.groups(old));
        let (deleted, timed) = (self.bytes.flag(), self.bytes.flag());
        Version { dot, context, body, cause: Cause::Person, deleted, timed, unknown: Box::default() }
    }

    fn dot(&mut self) -> Dot {
        let home = self.bytes.pick(&[THIEF, VILLA, FLAT, HomeId([9; 32])]);
        let incarnation = self.bytes.pick(&[0, EPOCH as u32, 7]);
        Dot { actor: Actor { home, incarnation }, hlc: self.stamp() }
    }

    fn stamp(&mut self) -> Hlc {
        let stamps = [NOW, NOW - 5_000, 0, NOW + 30_000, NOW + 2 * MAX_SKEW_MS, u64::MAX >> 16];
        match self.bytes.below(8) {
            6 => Hlc(u64::MAX),
            7 => Hlc(self.bytes.number()),
            at => Hlc(Hlc::at(stamps[at]).0 | u64::from(self.bytes.byte() & 7)),
        }
    }

    fn place(&mut self) -> u64 {
        match self.bytes.below(8) {
            0 => u64::MAX,
            1 => self.bytes.number(),
            _ => self.bytes.below(20) as u64,
        }
    }

    fn epoch(&mut self) -> u64 {
        if self.bytes.flag() { EPOCH } else { self.bytes.number() }
    }

    fn ids(&mut self) -> Vec<String> {
        (0..self.bytes.below(4)).map(|_| self.bytes.pick(&IDS).to_owned()).collect()
    }

    fn numbers(&mut self) -> Vec<u32> {
        (0..self.bytes.below(6)).map(|_| self.bytes.below(12) as u32).collect()
    }
}

fn put<T, E: std::fmt::Debug>(written: Result<T, E>) {
    written.map(drop).expect("memory takes everything");
}
