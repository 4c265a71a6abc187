//! The history checker: reads what homes did, and tells what that shows to be broken.
//!
//! It is written from the words of DESIGN.md over plain sets, and knows nothing of how the core merges, so it is a
//! second opinion on the same history. What each invariant needs of the lines:
//!
//! | invariant | what is checked | lines |
//! |---|---|---|
//! | I1 | equal versions and strategy show the same everywhere, and what the strategy has to show; at rest mirrors and members hold what the owner or the others hold | `holds`, `granted`, `started`, `rests` |
//! | I2 | at rest each acknowledged write is held, or behind what is held, or told to be lost, or gone with a disk that went back | `wrote`, `holds`, `lost`, `forgot`, `started`, `rests` |
//! | I3 | a version disappears only behind one whose author *had* had it, which says so; no context says more than was seen | `holds`, `had`, `wrote`, `lost` |
//! | I4 | what was replaced in a home is not held there again; a home has its own write | `holds`, `wrote` |
//! | I5 | a dot, and a group's dot, says one thing; nothing is held that nobody wrote | `holds` |
//! | I6 | devices are reported, and documents edited, by whom they may be | `holds`, `granted` |
//! | I7 | nothing is encoded for whom it is not granted | `sent`, `granted` |
//! | I8 | nothing is held that was never granted, or at rest is not granted any more | `holds`, `granted`, `started`, `rests` |
//! | I9 | commands are carried out once, in time, and end once and truly | `asked`, `performed`, `answered`, `wrote`, `rests` |
//! | I10 | a choice covers what was shown, and nothing else | `wrote` with `seen`, `holds` |
//! | I13 | what is deleted stays so | `holds`, `forgot`, `deleted`, `rests` |
//! | I14 | what was durable is there after a crash | `holds`, `started` |
//!
//! A history does not show round trips and digests (I11) or memory (I12): the simulator checks these while it plays, and so
//! it does that every conflict ends without writes (the rest of I10). Where lines are missing, as `sent` in a history
//! of daemons, their check is not made.
//!
//! ```
//! use crosshome_core::sim::history::{History, check};
//! let text = r#"{"at_ms":1,"home":"villa","what":"sent","entity":"villa/light.hall","peer":"flat"}"#;
//! let verdict = check(&History::parse(text).unwrap());
//! assert_eq!(verdict.findings[0].invariant, 7);
//! ```

use std::collections::BTreeMap;

use super::{
    DotName, From, History, Line, What, commands::Commands, dots::Dots, graph::Graph, house, house::House,
    lives::Lives, views::Views,
};

pub use super::tidings::Finding;
use super::tidings::{home_of, owner_of};

/// How long a store may go unread.
const READ_MS: u64 = 1_000;

/// What a history shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is broken.
    pub findings: Vec<Finding>,
    /// How many writes were acknowledged.
    pub writes: usize,
    /// How many versions there were.
    pub versions: usize,
    /// How often a home came to hold versions that did not know of each other.
    pub conflicts: usize,
    /// How many versions homes told to be lost, or let go for a reason that people know.
    pub told: usize,
    /// How many acknowledged writes ended how.
    pub fates: BTreeMap<&'static str, usize>,
}

/// Checks a history; what comes at its end is checked where all homes rest.
pub fn check(history: &History) -> Verdict {
    let mut reader = Reader::new(history);
    for (at, line) in history.lines().iter().enumerate() {
        reader.read(at, line);
    }
    reader.concludes(history.lines().len().saturating_sub(1));
    reader.verdict.versions = reader.graph.entities().map(|(_, family)| family.len()).sum();
    reader.verdict
}

/// An acknowledged write.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) at: usize,
    pub(super) at_ms: u64,
    pub(super) home: &'a str,
    pub(super) entity: &'a str,
    pub(super) content: &'a str,
    pub(super) dot: Option<&'a DotName>,
    pub(super) device: bool,
    /// Whether it went with a disk that went back in time, or with a crash before it had to be durable.
    pub(super) gone: bool,
}

/// Reads line by line.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) houses: BTreeMap<&'a str, House<'a>>,
    pub(super) writes: Vec<Write<'a>>,
    pub(super) lives: Lives<'a>,
    pub(super) verdict: Verdict,
    pub(super) commands: Commands<'a>,
    views: Views<'a>,
    /// Whether the recorder knows rights, and dots: then it knows refusals too.
    pub(super) has_rights: bool,
    pub(super) exact: bool,
}

impl<'a> Reader<'a> {
    fn new(history: &'a History) -> Self {
        let mut verdict = Verdict::default();
        let graph = Graph::of(history, &mut verdict.findings);
        let any = |wanted: fn(&What) -> bool| history.lines().iter().any(|line| wanted(&line.what));
        let exact = any(|what| matches!(what, What::Wrote { dot: Some(_), .. }));
        if exact {
            verdict.findings.extend(graph.unwritten());
        }
        Self {
            graph,
            houses: BTreeMap::new(),
            writes: Vec::new(),
            lives: Lives::default(),
            verdict,
            commands: Commands::default(),
            views: Views::default(),
            has_rights: any(|what| matches!(what, What::Granted { .. })),
            exact,
        }
    }

    fn read(&mut self, at: usize, line: &'a Line) {
        let home = line.home.as_str();
        match &line.what {
            What::Started { from, joint, copied_ms } => {
                self.goes_with_disk(home, *from, copied_ms.unwrap_or(0), line.at_ms);
                let exact = self.exact;
                let house = self.house(home);
                house.starts(*from, *joint, (copied_ms.unwrap_or(0), line.at_ms));
                if !exact {
                    house.unread.clear(); // daemons' stores are read where something has changed
                }
                self.lives.starts(home, *from, &self.houses[home]);
                self.commands.starts(home);
            }
            What::Granted { peer, entity, right } => {
                self.house(home).grants(at, peer, entity, right.as_deref());
            }
            What::Wrote { entity, content, durable, dot, .. } => {
                let (dot, device) = (dot.as_ref(), !durable);
                let at_ms = line.at_ms;
                self.writes.push(Write { at, at_ms, home, entity, content, dot, device, gone: false });
                self.verdict.writes += 1;
                self.reads_own(at, home, entity, dot);
            }
            What::Deleted { entity } => {
                if let Some(family) = self.graph.of_entity(entity) {
                    let held = self.houses.get(home).map(|house| house.dots(entity)).unwrap_or_default();
                    // a store is read a little later than what it says came to be
                    let settled = |number: &usize| family.made(*number).1 + READ_MS < line.at_ms;
                    let there = held.iter().filter(settled).collect();
                    self.lives.deleted(entity, family.behind(&there));
                }
            }
            What::Had { entity, dot, .. } => {
                let number = self.graph.of_entity(entity).and_then(|family| family.numbered(dot));
                let house = self.house(home);
                house.held.entry(entity).or_default().dots.extend(number);
            }
            What::Lost { entity, dot } => self.loses(home, entity, dot),
            What::Holds { entity, versions, strategy, shown, device } => {
                let dots = self.graph.of_entity(entity).map(|family| family.dots(versions));
                let (strategy, shown, device) = (strategy.as_str(), shown.as_deref(), *device);
                let now = house::Held { dots: dots.unwrap_or_default(), strategy, shown, device };
                self.holds(at, home, entity, now);
            }
            What::Forgot { entity } => self.forgets(at, home, entity),
            What::Sent { entity, peer } => self.sends(at, home, entity, peer),
            What::Asked { id, entity, until_ms, .. } => self.commands.asked(id, home, entity, *until_ms),
            What::Performed { id, clock_ms } => {
                let found = self.commands.performed(at, id, *clock_ms);
                self.verdict.findings.extend(found);
            }
            What::Answered { id, outcome } => {
                let found = self.commands.answered(at, id, outcome);
                self.verdict.findings.extend(found);
            }
            What::Rests => self.house(home).rests = true,
        }
    }

    fn house(&mut self, home: &'a str) -> &mut House<'a> {
        self.houses.entry(home).or_default()
    }

    pub(super) fn finds(&mut self, invariant: u8, at: usize, what: String) {
        self.verdict.findings.push(Finding::new(invariant, at, what));
    }

    /// What was not durable, or came after the copy of a disk, goes with it.
    fn goes_with_disk(&mut self, home: &str, from: From, copied_ms: u64, at_ms: u64) {
        let own = |entity: &str| owner_of(entity) == Some(home);
        for write in &mut self.writes {
            let lost = match from {
                From::Backup => {
                    (write.home == home || own(write.entity)) && (copied_ms..=at_ms).contains(&write.at_ms)
                }
                From::Crash => write.device && own(write.entity),
                From::Nothing | From::Stop => false,
            };
            write.gone |= lost;
        }
    }

    /// I4: a home has what it has written.
    fn reads_own(&mut self, at: usize, home: &str, entity: &str, dot: Option<&DotName>) {
        let Some(dot) = dot else { return };
        let held = self.houses.get(home).map(|house| house.dots(entity)).unwrap_or_default();
        let family = self.graph.of_entity(entity);
        let has = family.and_then(|family| Some(family.behind(&held).contains(family.numbered(dot)?)));
        if has != Some(true) {
            self.finds(
                4,
                at,
                format!("{home} does not have its own {}@{} of {entity}", dot.actor, dot.stamp),
            );
        }
    }

    fn loses(&mut self, home: &'a str, entity: &'a str, dot: &DotName) {
        let Some(family) = self.graph.of_entity(entity) else { return };
        let lost: Dots = family.numbered(dot).into_iter().collect();
        let behind = family.behind(&lost);
        self.verdict.told += 1;
        self.house(home).tells(entity, &behind);
    }

    fn forgets(&mut self, at: usize, home: &'a str, entity: &'a str) {
        let house = self.houses.entry(home).or_default();
        let Some(was) = house.held.remove(entity) else { return };
        let Some(family) = self.graph.of_entity(entity) else { return };
        let (unread, behind) = (house.unread.remove(entity), family.behind(&was.dots));
        // people there saw it go, and what they had made of it with it
        house.tells(entity, &behind);
        self.lives.forgot(home, entity, family, &was.dots);
        let lost = unread && !was.device && house.from == Some(From::Crash);
        if lost {
            self.finds(14, at, format!("{home} has lost {entity} in a crash"));
        }
    }

    /// I7.
    fn sends(&mut self, at: usize, home: &str, entity: &str, peer: &str) {
        let may = match owner_of(entity) {
            None => self.houses.get(home).is_some_and(|house| house.joint),
            Some(owner) if owner == home => {
                let right = self.houses.get(home).map_or(Some(None), |house| house.right(peer, entity));
                right.is_none_or(|right| right.is_some())
            }
            Some(owner) => owner == peer,
        };
        if !may {
            self.finds(7, at, format!("{home} has encoded {entity} for {peer}, which may not have it"));
        }
    }

    fn holds(&mut self, at: usize, home: &'a str, entity: &'a str, now: house::Held<'a>) {
        self.house(home);
        self.may_hold(at, home, entity, &now);
        self.shows(at, entity, &now);
        let house = &self.houses[home];
        let (was, unread) = (house.dots(entity), house.unread.contains(entity));
        let Some(family) = self.graph.of_entity(entity) else { return };
        if now.dots.len() > 1 && now.dots != was {
            self.verdict.conflicts += 1;
        }
        self.lives.holds(at, home, entity, family, &now.dots, &mut self.verdict.findings);
        if owner_of(entity) == Some(home) {
            self.commands.reported(entity);
        }
        let step = super::steps::Step { at, home, entity, was, now: &now.dots, device: now.device, unread };
        let gone = step.check(family, &self.houses, &self.lives, self.exact, &mut self.verdict.findings);
        self.verdict.told += gone.len();
        let behind = family.behind(&gone);
        let house = self.house(home);
        house.tells(entity, &behind);
        house.unread.remove(entity);
        house.held.insert(entity, now);
    }

    /// I1: what is shown follows from the versions and the strategy.
    fn shows(&mut self, at: usize, entity: &'a str, now: &house::Held<'a>) {
        let Some(family) = self.graph.of_entity(entity) else { return };
        let found = self.views.shows(at, entity, family, now);
        self.verdict.findings.extend(found);
    }

    /// I6 and I8: whose versions a home may hold.
    fn may_hold(&mut self, at: usize, home: &str, entity: &str, now: &house::Held<'a>) {
        let Some(family) = self.graph.of_entity(entity) else { return };
        let house = &self.houses[home];
        let (owner, mut found) = (owner_of(entity), Vec::new());
        let fresh = now.dots.without(&house.dots(entity));
        let author = |number: usize| home_of(&family.dot(number).actor);
        if let Some(owner) = owner.filter(|_| now.device) {
            let strange = fresh.iter().find(|number| author(*number) != owner);
            found.extend(strange.map(|number| (6, format!("{} reports {entity}", author(number)))));
        }
        if owner == Some(home) && self.has_rights && house.from != Some(From::Backup) {
            let may = |peer: &str| house.right(peer, entity).is_none_or(|right| right == Some("edit"));
            // what it had let go before it was there for good comes back after a crash
            let had = |number: &usize| house.told.get(entity).is_some_and(|told| told.contains(*number));
            let edits = fresh.iter().filter(|number| !had(number));
            let edits = edits.map(author).find(|peer| *peer != home && !may(peer));
            found.extend(edits.map(|peer| (6, format!("{home} has taken in an edit of {entity} by {peer}"))));
        }
        let admitted = match owner {
            Some(owner) if owner == home || !self.has_rights => true,
            Some(owner) => self.houses.get(owner).is_some_and(|owner| owner.ever_granted(home, entity)),
            None => house.joint || self.houses.values().all(|house| !house.joint),
        };
        if !admitted {
            found.push((8, format!("{home} holds {entity}, which nobody has given it")));
        }
        found.into_iter().for_each(|(invariant, what)| self.finds(invariant, at, what));
    }
}
