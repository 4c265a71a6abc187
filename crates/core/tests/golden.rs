//! Every form that a session sends or the store keeps, made from fixed inputs and compared with a file.
//!
//! A change here means a new protocol or store version, and a line in the changelog; `CROSSHOME_BLESS=1` writes the
//! files anew for the one who decides that.

use std::{env, fs, path::Path};

use crosshome_core::{
    EntityKey, HomeId, Space,
    digest::Digest,
    dot::{Actor, Dot},
    epoch::Cursor,
    grant::{Right, Selector},
    hlc::Hlc,
    intent::{Intent, Kind, Outcome, Status, Timing, Wish},
    policy::{JointPolicy, Policy, Rule, Strategy},
    record,
    replica::{Options, Replica},
    session::{Introduction, Session},
    table::Class,
    update::Update,
    version::Cause,
    wire::{Ack, Forked, Gone, Hello, Message, Ping, Pong, Reason, Refused, Want, Why},
};

const VILLA: HomeId = HomeId([0x11; 32]);
const FLAT: HomeId = HomeId([0x22; 32]);
const NOW: u64 = 1_800_000_000_000;

fn dot() -> Dot {
    Dot { actor: Actor { home: VILLA, incarnation: 7 }, hlc: Hlc(Hlc::at(NOW).0 + 3) }
}

fn policy() -> JointPolicy {
    let rule = |pattern: &str, strategy, template: Option<&str>| Rule {
        pattern: pattern.into(),
        strategy,
        template: template.map(Into::into),
    };
    let rules = [
        rule("input_number.*", Strategy::Custom, Some("{{ local.state }}")),
        rule("*", Strategy::Merge, None),
    ];
    JointPolicy { policy: Policy::new(rules).unwrap(), dot: dot(), deliberate: true }
}

#[track_caller]
fn assert_golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("hex");
    let made: String = bytes.chunks(32).map(|line| hex::encode(line) + "\n").collect();
    if env::var_os("CROSSHOME_BLESS").is_some() {
        fs::write(&path, &made).expect("the golden folder is writable");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        made, golden,
        "{name} is not what other homes and older stores hold: that is a new protocol or store version"
    );
}

#[test]
fn messages_are_the_published_ones() {
    let trail = vec![(0xa1, 40), (0xa2, 60)];
    let hello = Hello {
        proto_low: 1,
        proto_high: 1,
        epoch: 0xe0,
        head: 1_000,
        clock: Hlc::at(NOW),
        cursor: Cursor { trail, mark: Hlc::at(NOW - 2), latest: Hlc::at(NOW - 1) },
        name: "Villa".into(),
        digest: Some(Digest(7)),
    };
    let ids = vec!["light.hall".into(), "sensor.roof".into()];
    let set = Wish::Set {
        state: Some("\"on\"".parse().unwrap()),
        attributes: r#"{"brightness":7}"#.parse().unwrap(),
    };
    let call = Wish::Call { service: "light.turn_on".into(), data: r#"{"brightness":7}"#.parse().unwrap() };
    let intent = |wish, kind, seen| Intent {
        id: dot(),
        entity: "light.hall".parse().unwrap(),
        wish,
        kind,
        seen,
        ttl_ms: 30_000,
    };
    let set = Box::new(intent(set, Kind::Set, [dot()].into_iter().collect()));
    let call = Box::new(intent(call, Kind::Pulse, Default::default()));
    let rejected = Outcome::because(dot(), Status::Rejected, "the bolt is stuck");
    let settled = Outcome { shown_by: Some(dot()), ..Outcome::plain(dot(), Status::Settled) };
    let clock = Hlc::at(NOW);
    let messages = [
        ("hello", Message::Hello(hello)),
        ("want", Message::Want(Want { numbers: vec![1, 300], ids: ids.clone(), after: Some(9) })),
        ("ack", Message::Ack(Ack { seq: 1_000 })),
        ("ping", Message::Ping(Ping { nonce: 5, clock, digest: Some(Digest(7)), joint: None })),
        ("pong", Message::Pong(Pong { nonce: 5, clock })),
        ("refused", Message::Refused(Refused { number: 4, why: Why::Quota, clock, up_to: dot().hlc })),
        ("intent-set", Message::Intent(set, Timing { mark: Some(5), since_ms: 9_000 })),
        ("intent-call", Message::Intent(call, Timing::default())),
        ("outcome", Message::Outcome(settled)),
        ("outcome-rejected", Message::Outcome(rejected)),
        ("rotation", Message::Rotation(vec![1, 2, 3])),
        ("bye", Message::Bye(Reason::Unpaired)),
        ("gone", Message::Gone(Gone { ids, numbers: vec![3] })),
        ("forked", Message::Forked(Forked { seq: 40 })),
        ("proof", Message::Proof([0x33; 32])),
        ("policy", Message::Policy(policy())),
        ("mark", Message::Mark(2)),
        ("marked", Message::Marked(2)),
    ];
    for (name, message) in messages {
        assert_golden(name, &message.encode());
        assert_eq!(Message::decode(&message.encode()).unwrap(), message);
    }
}

/// A home with a lamp, a note and something joint.
fn villa() -> Replica {
    let mut villa = Replica::new(VILLA, Options::default());
    villa.epochs.open(0xa1, 0);
    villa.set_policy(policy().policy);
    let lamp = villa.own("light.hall".parse().unwrap());
    let note = villa.own("input_text.note".parse().unwrap());
    let joint = EntityKey { space: Space::Joint, id: "input_text.j".parse().unwrap() };
    let on = Update::replace("on", r#"{"brightness":10,"hs_color":[1,2],"color_mode":"hs"}"#).unwrap();
    villa.update(&lamp, Class::Device, &on, Cause::Device, NOW).unwrap();
    for key in [note, joint] {
        villa.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW + 1).unwrap();
    }
    villa.grant(Some(FLAT), Selector::parse("*").unwrap(), Some(Right::Edit), &[FLAT]);
    villa
}

#[test]
fn conversation_is_the_published_one() {
    let (mut villa, mut flat) = (villa(), Replica::new(FLAT, Options::default()));
    flat.epochs.open(0xb2, 0);
    let me = |name| Introduction { name, proto_low: 1 };
    let mut to_flat = Session::open(FLAT, true, &me("Villa"), &villa, NOW);
    let mut to_villa = Session::open(VILLA, true, &me("Flat"), &flat, NOW);
    let hello = to_flat.offer(&villa).unwrap();
    to_flat.receive(&mut villa, &to_villa.offer(&flat).unwrap(), NOW).unwrap();
    to_villa.receive(&mut flat, &hello, NOW).unwrap();

    let whole = to_flat.offer(&villa).unwrap();
    assert_golden("offer-whole", &whole);
    to_villa.receive(&mut flat, &whole, NOW).unwrap();

    let lamp = villa.own("light.hall".parse().unwrap());
    villa.update(&lamp, Class::Device, &Update::state("off"), Cause::Person, NOW + 2).unwrap();
    let change = to_flat.offer(&villa).unwrap();
    assert_golden("offer-change", &change);
    to_villa.receive(&mut flat, &change, NOW).unwrap();

    let note = villa.own("input_text.note".parse().unwrap());
    flat.update(&note, Class::Document, &Update::state("b"), Cause::Person, NOW + 3).unwrap();
    assert_golden("offer-edit", &to_villa.offer(&flat).unwrap());
    assert_eq!(flat.find(&lamp).unwrap().siblings, villa.find(&lamp).unwrap().siblings);
}

#[test]
fn record_is_the_stored_one() {
    let mut villa = villa();
    let note = villa.own("input_text.note".parse().unwrap());
    let edited = {
        let mut flat = Replica::new(FLAT, Options::default());
        flat.put_back([villa.find(&note).unwrap().clone()]);
        let copy = EntityKey { space: Space::Joint, id: note.id.clone() };
        let mut entity = villa.find(&note).unwrap().clone();
        entity.key = copy.clone();
        flat.put_back([entity]);
        flat.update(&copy, Class::Document, &Update::state("b"), Cause::Person, NOW + 9).unwrap();
        flat.find(&copy).unwrap().siblings[0].clone()
    };
    villa.update(&note, Class::Document, &Update::state("c"), Cause::Automation, NOW + 8).unwrap();
    let mut entity = villa.find(&note).unwrap().clone();
    entity.siblings.insert(edited);
    assert_eq!(entity.siblings.len(), 2);
    assert_golden("record-siblings", &record::encode(&entity));
    villa.delete(&note, Cause::Person, NOW + 10).unwrap();
    assert_golden("record-deleted", &record::encode(villa.find(&note).unwrap()));
}
