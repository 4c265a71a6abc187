//! Two homes in conversation, without a network.

mod deleting;
mod marks;
mod settling;
mod sharing;
mod trouble;

use crosshome_core::{
    EntityKey, HomeId, Space,
    effect::{Durability, Effect, Incident},
    grant::{Right, Selector, Traits},
    replica::{Options, Replica},
    session::{Introduction, Session},
    table::Class,
    update::{Attributes, Update},
    version::Cause,
    wire::Message,
};

const NOW: u64 = 1_800_000_000_000;

struct Home {
    replica: Replica,
    session: Option<Session>,
    sent: usize,
    reports: Vec<Incident>,
    /// How far its wall clock is ahead.
    ahead: u64,
}

impl Home {
    fn new(id: u8) -> Self {
        let mut replica = Replica::new(HomeId([id; 32]), Options::default());
        replica.epochs.open(u64::from(id), 0);
        Self { replica, session: None, sent: 0, reports: Vec::new(), ahead: 0 }
    }

    fn id(&self) -> HomeId {
        self.replica.actor().home
    }

    fn set(&mut self, id: &str, state: &str, at: u64) {
        let key = self.replica.own(id.parse().unwrap());
        self.replica.update(&key, Class::Device, &Update::state(state), Cause::Device, NOW + at).unwrap();
    }

    fn grant(&mut self, peer: HomeId, selector: &str, right: Right) {
        self.replica.grant(Some(peer), Selector::parse(selector).unwrap(), Some(right), &[peer]);
        if let Some(session) = &mut self.session {
            session.regrant(&self.replica);
        }
    }

    fn revoke(&mut self, peer: HomeId, selector: &str) {
        self.replica.revoke(Some(peer), &Selector::parse(selector).unwrap(), &[peer]);
        if let Some(session) = &mut self.session {
            session.regrant(&self.replica);
        }
    }

    fn sees(&self, home: HomeId, id: &str) -> Option<String> {
        let key = EntityKey { space: Space::Home(home), id: id.parse().unwrap() };
        let view = self.replica.find(&key)?.view()?;
        let fields: Vec<_> =
            view.groups().flat_map(|g| g.fields()).map(|(n, v)| format!("{n}={v}")).collect();
        Some(fields.join(" "))
    }
}

fn connect(a: &mut Home, b: &mut Home) {
    open(a, b);
    talk(a, b);
}

/// Gives both a new session, in which nothing was said yet.
fn open(a: &mut Home, b: &mut Home) {
    let me = |name| Introduction { name, proto_low: 1 };
    a.session = Some(Session::open(b.id(), false, &me("villa"), &a.replica, NOW));
    b.session = Some(Session::open(a.id(), false, &me("flat"), &b.replica, NOW));
}

/// Carries frames both ways until nobody has anything to say.
fn talk(a: &mut Home, b: &mut Home) {
    for _ in 0..1_000 {
        let moved = carry(a, b) + carry(b, a);
        for home in [&mut *a, &mut *b] {
            home.session.as_mut().unwrap().committed(&home.replica);
        }
        if moved == 0 && carry(a, b) + carry(b, a) == 0 {
            return;
        }
    }
    panic!("the conversation does not come to an end");
}

fn carry(from: &mut Home, to: &mut Home) -> usize {
    let mut count = 0;
    while let Some(frame) = from.session.as_mut().unwrap().offer(&from.replica) {
        from.sent += frame.len();
        count += 1;
        let effects =
            to.session.as_mut().unwrap().receive(&mut to.replica, &frame, NOW + 10 + to.ahead).unwrap();
        to.reports.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Report { incident, .. } => Some(*incident),
            _ => None,
        }));
    }
    count
}

fn pair() -> (Home, Home) {
    (Home::new(1), Home::new(2))
}

/// Two homes that know a note of the first, which the second may edit.
fn sharing() -> (Home, Home, EntityKey) {
    let (mut villa, mut flat) = pair();
    let key = villa.replica.own("input_text.note".parse().unwrap());
    edits(&mut villa, &key, "a", 0);
    rule(&mut villa, flat.id(), "*", Some(Right::Edit));
    connect(&mut villa, &mut flat);
    (villa, flat, key)
}

fn edits(home: &mut Home, key: &EntityKey, state: &str, at: u64) {
    home.replica.update(key, Class::Document, &Update::state(state), Cause::Person, NOW + at).unwrap();
}

fn rule(home: &mut Home, peer: HomeId, selector: &str, right: Option<Right>) {
    home.replica.grant(Some(peer), Selector::parse(selector).unwrap(), right, &[peer]);
}
