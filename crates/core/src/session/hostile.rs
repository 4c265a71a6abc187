//! A paired home that has been broken into says whatever is well-formed, and nothing bad comes of it.

use minicbor::{Decoder, Encoder};
use proptest::prelude::*;

use super::*;
use crate::{
    EntityId,
    body::{Body, certain},
    defaults::MAX_SKEW_MS,
    digest::Digest,
    dot::{Actor, Dot, VersionVector},
    epoch::Cursor,
    grant::{Right, Selector},
    replica::Options,
    siblings::Siblings,
    table::Class,
    update::Update,
    version::{Cause, Version},
    wire::{self, Actors, Forked, Gone, Refused, Why, decode_version, encode_version},
};

const NOW: u64 = 1_800_000_000_000;
const QUOTA: usize = 4;
/// Room for five versions or so.
const QUOTA_BYTES: usize = 1_000;
const VILLA: HomeId = HomeId([1; 32]);
const THIEF: HomeId = HomeId([2; 32]);
const FLAT: HomeId = HomeId([3; 32]);
const EPOCH: u64 = 99;

/// What the thief says.
#[derive(Clone, Debug)]
enum Said {
    Message(Message),
    Offer { items: Vec<Said1>, seq: Option<u64>, end: bool },
}

/// One item of an offer, as free as the wire allows.
#[derive(Clone, Debug)]
struct Said1 {
    number: u32,
    name: Option<(u8, EntityId)>,
    document: bool,
    right: Option<u8>,
    replace: bool,
    versions: Vec<Version>,
}

fn any_id() -> impl Strategy<Value = EntityId> {
    let ids = ["light.hall", "input_text.note", "input_text.secret", "input_text.x", "light.y", "sensor.z"];
    prop::sample::select(ids.to_vec()).prop_map(|id| id.parse().unwrap())
}

fn any_stamp() -> impl Strategy<Value = Hlc> {
    let ms = [0, NOW - 5_000, NOW, NOW + 30_000, NOW + 2 * MAX_SKEW_MS, u64::MAX >> 16];
    prop_oneof![
        (prop::sample::select(ms.to_vec()), 0..9u64).prop_map(|(ms, count)| Hlc(Hlc::at(ms).0 | count)),
        Just(Hlc(u64::MAX)),
        any::<u64>().prop_map(Hlc),
    ]
}

fn any_actor() -> impl Strategy<Value = Actor> {
    let homes = prop::sample::select(vec![VILLA, THIEF, FLAT, HomeId([9; 32])]);
    (homes, prop::sample::select(vec![0, EPOCH as u32, 7]))
        .prop_map(|(home, incarnation)| Actor { home, incarnation })
}

fn any_dot() -> impl Strategy<Value = Dot> {
    (any_actor(), any_stamp()).prop_map(|(actor, hlc)| Dot { actor, hlc })
}

fn any_version() -> impl Strategy<Value = Version> {
    let context = prop::collection::vec(any_dot(), 0..5);
    (any_dot(), context, any_dot(), "[a-z]{1,3}", any::<bool>(), any::<bool>()).prop_map(
        |(dot, context, old, state, deleted, timed)| {
            let body = Update::state(&state).apply("light", [], old).unwrap().unwrap();
            let body = Body::of(dot, body.groups(old));
            let others = context.into_iter().filter(|seen| seen.actor != dot.actor);
            let (context, cause): (VersionVector, _) = (others.collect(), Cause::Person);
            Version { dot, context, body, cause, deleted, timed, unknown: Box::default() }
        },
    )
}

fn any_item() -> impl Strategy<Value = Said1> {
    let name = prop::option::weighted(0.8, (0..3u8, any_id()));
    let versions = prop::collection::vec(any_version(), 1..4);
    (0..12u32, name, any::<bool>(), prop::option::of(0..5u8), any::<bool>(), versions).prop_map(
        |(number, name, document, right, replace, versions)| Said1 {
            number,
            name,
            document,
            right,
            replace,
            versions,
        },
    )
}

fn any_place() -> impl Strategy<Value = u64> {
    prop_oneof![0..20u64, Just(u64::MAX), any::<u64>()]
}

fn any_said() -> impl Strategy<Value = Said> {
    let ids = || prop::collection::vec(any_id().prop_map(|id| id.to_string()), 0..4);
    let numbers = || prop::collection::vec(0..12u32, 0..6);
    let why = prop::sample::select(vec![Why::Forbidden, Why::Quota, Why::Skew]);
    let offer = (prop::collection::vec(any_item(), 0..4), prop::option::of(any_place()), any::<bool>());
    prop_oneof![
        6 => offer.prop_map(|(items, seq, end)| Said::Offer { items, seq, end }),
        1 => (numbers(), ids(), prop::option::of(any_place()))
            .prop_map(|(numbers, ids, after)| Said::Message(Message::Want(Want { numbers, ids, after }))),
        1 => any_place().prop_map(|seq| Said::Message(Message::Ack(Ack { seq }))),
        1 => (any_stamp(), any::<Option<u128>>(), any::<Option<u128>>()).prop_map(|(clock, own, joint)| {
            let (digest, joint) = (own.map(Digest), joint.map(Digest));
            Said::Message(Message::Ping(Ping { nonce: 1, clock, digest, joint }))
        }),
        1 => (0..4u32, why, any_stamp(), any_stamp()).prop_map(|(number, why, clock, up_to)| {
            Said::Message(Message::Refused(Refused { number, why, clock, up_to }))
        }),
        1 => (ids(), numbers()).prop_map(|(ids, numbers)| Said::Message(Message::Gone(Gone { ids, numbers }))),
        1 => any_place().prop_map(|seq| Said::Message(Message::Forked(Forked { seq }))),
    ]
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let trail = prop::collection::vec((prop_oneof![Just(EPOCH), any::<u64>()], any_place()), 0..3);
    (trail, any_stamp(), any_stamp(), any_place(), any::<u64>(), any::<Option<u128>>()).prop_map(
        |(trail, mark, latest, head, epoch, digest)| {
            let cursor = Cursor { trail, mark, latest };
            Hello {
                proto_low: 1,
                proto_high: 1,
                epoch,
                head,
                clock: latest,
                cursor,
                name: "thief".into(),
                digest: digest.map(Digest),
            }
        },
    )
}

fn encode(said: &Said, before: &mut wire::Said) -> Vec<u8> {
    let (items, seq, end) = match said {
        Said::Message(message) => return message.encode(),
        Said::Offer { items, seq, end } => (items, seq, end),
    };
    let (clock, mut body) = (Hlc::at(NOW), Encoder::new(Vec::new()));
    items.iter().for_each(|item| encode_item(item, clock, &mut before.actors, &mut body));
    let mut out = Encoder::new(Vec::new());
    certain(out.array(2).and_then(|out| out.u8(OFFER)).and_then(|out| out.map(3 + u64::from(seq.is_some()))));
    certain(out.u8(0).and_then(|out| out.i64(before.clock_step(clock))).and_then(|out| out.u8(1)));
    before.actors.announce(&mut out);
    certain(out.u8(2).and_then(|out| out.array(items.len() as u64)));
    out.writer_mut().extend_from_slice(body.writer());
    if let Some(seq) = seq {
        let key = if *end { 4 } else { 3 };
        certain(out.u8(key).and_then(|out| out.i64(before.place_step(*seq))));
    }
    out.into_writer()
}

fn encode_item(item: &Said1, clock: Hlc, actors: &mut Actors, out: &mut Encoder<Vec<u8>>) {
    let keys = 4 + 2 * u64::from(item.name.is_some()) + u64::from(item.right.is_some());
    certain(out.map(keys).and_then(|out| out.u8(0)).and_then(|out| out.u32(item.number)));
    if let Some((space, id)) = &item.name {
        certain(out.u8(1).and_then(|out| out.str(id.as_str())));
        certain(out.u8(2).and_then(|out| out.u8(*space)));
    }
    certain(out.u8(3).and_then(|out| out.u8(u8::from(item.document))));
    if let Some(right) = item.right {
        certain(out.u8(4).and_then(|out| out.u8(right)));
    }
    certain(out.u8(5).and_then(|out| out.array(item.versions.len() as u64)));
    item.versions.iter().for_each(|version| encode_version(version, clock, actors, out));
    certain(out.u8(6).and_then(|out| out.bool(item.replace)));
}

/// A home with a device, a note that all may edit, and a secret that nobody sees.
fn villa() -> Replica {
    let mut villa =
        Replica::new(VILLA, Options { quota: QUOTA, quota_bytes: QUOTA_BYTES, ..Options::default() });
    villa.epochs.open(EPOCH, 0);
    for (id, class) in [
        ("light.hall", Class::Device),
        ("input_text.note", Class::Document),
        ("input_text.secret", Class::Document),
    ] {
        let key = villa.own(id.parse().unwrap());
        villa.update(&key, class, &Update::state("mine"), Cause::Person, NOW).unwrap();
    }
    for id in ["light.hall", "input_text.note"] {
        let selector = Selector::parse(id).unwrap();
        villa.grant(None, selector, Some(Right::Edit), &[THIEF, FLAT]);
    }
    villa
}

fn siblings(replica: &Replica, id: &str) -> Siblings {
    replica.find(&replica.own(id.parse().unwrap())).map(|entity| entity.siblings.clone()).unwrap_or_default()
}

/// Returns who says what of an entity; a lie about the past may make this home say it again under another dot.
fn said(replica: &Replica, id: &str) -> Vec<(HomeId, Vec<String>)> {
    let values =
        |version: &Version| version.fields().map(|(name, value)| format!("{name}={value}")).collect();
    siblings(replica, id).iter().map(|version| (version.dot.actor.home, values(version))).collect()
}

/// Lets two honest homes say all they have to say.
fn talk(a: &mut Replica, b: &mut Replica, joint: bool, now_ms: u64) {
    let me = Introduction { name: "", proto_low: 1 };
    let mut to_b = Session::open(b.actor().home, joint, &me, a, now_ms);
    let mut to_a = Session::open(a.actor().home, joint, &me, b, now_ms);
    for _ in 0..50 {
        while let Some(frame) = to_b.offer(a) {
            to_a.receive(b, &frame, now_ms).expect("a is honest");
        }
        while let Some(frame) = to_a.offer(b) {
            to_b.receive(a, &frame, now_ms).expect("b is honest");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_thief_says_hurts(
        hello in any_hello(),
        speech in prop::collection::vec(any_said(), 1..12),
        joint in any::<bool>(),
    ) {
        let mut villa = villa();
        let (device, secret) = (said(&villa, "light.hall"), said(&villa, "input_text.secret"));
        let me = Introduction { name: "villa", proto_low: 1 };
        let mut session = Session::open(THIEF, joint, &me, &villa, NOW);
        session.receive(&mut villa, &Message::Hello(hello).encode(), NOW).unwrap();
        let mut before = wire::Said::default();
        for said in &speech {
            if session.receive(&mut villa, &encode(said, &mut before), NOW).is_err() {
                break;
            }
            session.committed(&villa);
            prop_assert!(session.weight() < 200);
            while let Some(frame) = session.offer(&villa) {
                prop_assert!(frame.len() < 100_000);
            }
        }

        // T11, T5: the thief wrote nothing but the note, and created nothing here
        prop_assert_eq!(said(&villa, "light.hall"), device);
        prop_assert_eq!(said(&villa, "input_text.secret"), secret);
        prop_assert_eq!(villa.table().len(Space::Home(VILLA)), 3);
        // T17: and not more than its quota elsewhere, where deletions cost it nothing or count apart
        let (theirs, shared) = (villa.table().tally(Space::Home(THIEF)), villa.table().tally(Space::Joint));
        prop_assert!(theirs.live <= QUOTA && theirs.deleted == 0, "{theirs:?}");
        prop_assert!(theirs.bytes <= 2 * QUOTA_BYTES && shared.bytes <= 2 * QUOTA_BYTES);
        prop_assert!(shared.live + shared.deleted <= usize::from(joint) * 2 * QUOTA, "{shared:?}");
        // T5: nowhere but in its own space and the joint one
        prop_assert!(villa.table().spaces().all(|space| [Space::Home(VILLA), Space::Home(THIEF), Space::Joint].contains(&space)));
        // T13: the clock is where clocks can be
        prop_assert!(villa.clock().last().ms() <= NOW + MAX_SKEW_MS + 2);
        future_is_open(&mut villa)?;
    }
}

#[test]
fn version_that_claims_to_have_seen_its_own_future_is_refused() {
    let (dot, clock) = (Dot { actor: Actor::first(THIEF), hlc: Hlc::at(NOW) }, Hlc::at(NOW));
    let body = Update::state("x").apply("light", [], dot).unwrap().unwrap();
    let context = [Dot { hlc: Hlc(u64::MAX), ..dot }].into_iter().collect();
    let (cause, unknown) = (Cause::Person, Box::default());
    let version = Version { dot, context, body, cause, deleted: false, timed: true, unknown };
    let (mut actors, mut out) = (Actors::default(), Encoder::new(Vec::new()));
    encode_version(&version, clock, &mut actors, &mut out);
    assert!(decode_version(&mut Decoder::new(out.writer()), clock, &actors).is_err());
}

/// Checks that what this home writes from now on arrives at others, whatever was claimed to have been seen of it.
fn future_is_open(villa: &mut Replica) -> Result<(), TestCaseError> {
    let mut flat = Replica::new(FLAT, Options::default());
    talk(villa, &mut flat, false, NOW);
    for id in ["light.hall", "input_text.note"] {
        let key = villa.own(id.parse().unwrap());
        villa.update(&key, Class::Document, &Update::state("later"), Cause::Person, NOW + 1).unwrap();
        prop_assert_eq!(siblings(villa, id).len(), 1);
    }
    talk(villa, &mut flat, false, NOW + 2);
    let note = villa.own("input_text.note".parse().unwrap());
    flat.update(&note, Class::Document, &Update::state("from the flat"), Cause::Person, NOW + 3).unwrap();
    talk(villa, &mut flat, false, NOW + 4);
    let dots = |replica: &Replica| {
        replica.find(&note).unwrap().siblings.iter().map(|v| v.dot.actor.home).collect::<Vec<_>>()
    };
    prop_assert_eq!(dots(villa), [FLAT]);
    for id in ["light.hall", "input_text.note"] {
        let key = villa.own(id.parse().unwrap());
        prop_assert_eq!(&flat.find(&key).unwrap().siblings, &siblings(villa, id));
    }
    Ok(())
}
