//! What happens in a run: people and devices write, rules change, and things go wrong.

use super::{World, checks::Checked, disk::Disk, home::Running, reference, settling};
use crate::{
    EntityId, EntityKey, Space,
    grant::{Right, Selector},
    json::Json,
    replica::Offered,
    table::Class,
    update::{Attributes, Update},
    version::Cause,
    wire::Reason,
};

/// Most offers remembered to be repeated.
const PAST: usize = 200;

/// Something that may go wrong, or that makes a run harder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Some homes have a joint space.
    Joint,
    /// Links are cut and lose all that is under way.
    Cuts,
    /// One direction of a link stands still.
    Stalls,
    /// Homes lose power.
    Crashes,
    /// Wall clocks are off and jump.
    Skew,
    /// Offers reach the merge again and out of order.
    Repeats,
    /// Somebody on the network loses, repeats or swaps bytes: what came before arrives, and the channel ends there.
    Tampering,
    /// Homes forget each other and pair again.
    Unpairing,
    /// A home comes back from a backup.
    Backups,
    /// Strategies change, people choose, and the house reports while they do.
    Settling,
    /// Deletions are forgotten within seconds, as if those who are away were away for months.
    Impatience,
    /// People ask for things that other homes have.
    Commands,
    /// Homes lose power just before or just after a commit.
    Commits,
    /// Disks are full for a while, and nothing is durable until they are not.
    FullDisks,
    /// Wall clocks are off by a day, or stand in 1970.
    Days,
    /// Any earlier disk comes back, any number of times, and disks take turns as clones do.
    Archives,
    /// People choose from what they were shown some time ago.
    Doubts,
    /// Some homes speak the next version of the protocol.
    Versions,
}

/// Everything that may go wrong.
pub const ALL: [Fault; 18] = [
    Fault::Joint,
    Fault::Cuts,
    Fault::Stalls,
    Fault::Crashes,
    Fault::Skew,
    Fault::Repeats,
    Fault::Tampering,
    Fault::Unpairing,
    Fault::Backups,
    Fault::Settling,
    Fault::Impatience,
    Fault::Commands,
    Fault::Commits,
    Fault::FullDisks,
    Fault::Days,
    Fault::Archives,
    Fault::Doubts,
    Fault::Versions,
];

/// Those that came later, with dice of their own.
pub(super) const FURTHER: [Fault; 6] =
    [Fault::Commits, Fault::FullDisks, Fault::Days, Fault::Archives, Fault::Doubts, Fault::Versions];

impl Fault {
    /// Tells whether a home may find that it has lost a part of its past, or that its clock was wrong: then
    /// heartbeats mend what one exchange cannot.
    pub(super) fn needs_heartbeats(self) -> bool {
        use Fault::{Archives, Backups, Days, FullDisks, Impatience, Skew};
        matches!(self, Backups | Skew | FullDisks | Days | Archives | Impatience)
    }
}

/// What a home once knew, to be offered again.
#[derive(Clone, Debug)]
pub(super) struct Past {
    from: usize,
    key: EntityKey,
    offered: Offered,
}

impl Past {
    pub(super) fn is_of(&self, home: usize, key: &EntityKey) -> bool {
        self.from == home && self.key == *key
    }
}

impl World {
    /// Lets one thing happen.
    pub(super) fn act(&mut self) -> Checked {
        let at = self.dice.below(self.homes.len());
        match self.dice.below(100) {
            0..25 => self.device_reports(at),
            25..40 => self.document_changes(at),
            40..52 => self.peers_document_changes(at),
            52..62 => self.joint_changes(at),
            62..76 => self.rules_change(at),
            76..80 => {
                self.beat_of(at);
                self.purge(at)
            }
            _ => self.go_wrong(at),
        }
    }

    fn go_wrong(&mut self, at: usize) -> Checked {
        let fault = self.dice.pick(&ALL[..9]); // settling and commands happen beside everything else
        if !self.plan.faults.contains(&fault) {
            return Ok(());
        }
        match fault {
            Fault::Cuts | Fault::Joint | Fault::Settling | Fault::Impatience | Fault::Commands => {
                let pair = self.any_pair();
                self.cut(pair);
            }
            Fault::Stalls => self.stall(),
            Fault::Crashes => self.crash(at),
            Fault::Skew => self.skew(at),
            Fault::Repeats => return self.repeat(),
            Fault::Tampering => return self.tamper(),
            Fault::Unpairing => return self.unpair_or_pair(at),
            Fault::Backups => return self.backup(at),
            _ => {} // these have dice of their own
        }
        Ok(())
    }

    /// Ends everything that is wrong; what wrong clocks have left behind stays for the homes to mend.
    pub(super) fn end_faults(&mut self) -> Checked {
        self.homes.iter_mut().for_each(|home| {
            (home.offset_ms, home.start_at, home.full, home.fate) = (0, 0, false, None);
        });
        self.time += 1_000;
        for link in self.links.values_mut() {
            link.retry_at = 0;
            link.wires.iter_mut().for_each(|wire| (wire.stalled, wire.window) = (false, 8));
        }
        for a in 0..self.homes.len() {
            for b in 0..self.homes.len() {
                if a != b && !self.homes[a].paired.contains(&b) {
                    self.pair(a, b)?;
                }
            }
        }
        Ok(())
    }

    fn device_reports(&mut self, at: usize) -> Checked {
        let id = self.dice.pick(&["light.hall", "light.attic", "sensor.roof", "lock.door"]);
        let key = EntityKey { space: Space::Home(self.homes[at].id), id: parsed(id) };
        self.write(at, &key, Class::Device, Cause::Device)
    }

    fn document_changes(&mut self, at: usize) -> Checked {
        let id = self.dice.pick(&["input_text.note", "input_text.list", "input_text.plan"]);
        let key = EntityKey { space: Space::Home(self.homes[at].id), id: parsed(id) };
        self.write(at, &key, Class::Document, Cause::Person)
    }

    fn peers_document_changes(&mut self, at: usize) -> Checked {
        let me = Space::Home(self.homes[at].id);
        let Some(replica) = self.replica(at) else { return Ok(()) };
        let foreign = |key: &EntityKey| key.space != Space::Joint && key.space != me;
        let mut keys: Vec<_> = replica.table().iter().map(|(_, entity)| entity.key.clone()).collect();
        keys.retain(|key| foreign(key) && key.id.domain() == "input_text");
        if keys.is_empty() {
            return Ok(());
        }
        let key = self.dice.pick(&keys);
        self.write(at, &key, Class::Document, Cause::Person)
    }

    fn joint_changes(&mut self, at: usize) -> Checked {
        if !self.joint.contains(&at) {
            return Ok(());
        }
        let key =
            EntityKey { space: Space::Joint, id: parsed(self.dice.pick(&["light.hall", "input_text.j"])) };
        self.write(at, &key, Class::Document, Cause::Automation)
    }

    /// Writes, and takes note of what was acknowledged.
    pub(super) fn write(&mut self, at: usize, key: &EntityKey, class: Class, cause: Cause) -> Checked {
        let (update, deletes) = (self.any_update(), self.dice.chance(8));
        let home = &mut self.homes[at];
        let now = home.now(self.time);
        let Some(Running { replica, .. }) = &mut home.running else { return Ok(()) };
        let before = replica.find(key).cloned();
        let written = match deletes {
            true => replica.delete(key, cause, now),
            false => replica.update(key, class, &update, cause, now),
        };
        let Ok(effects) = written else { return Ok(()) };
        if effects.is_empty() {
            return Ok(());
        }
        let entity = replica.find(key).ok_or("an entity that was written is not there")?.clone();
        self.report.writes += 1;
        settling::leaves_open(before.as_ref(), &entity, cause)?;
        let dot = self.ledger.wrote(at, &entity)?;
        let version = entity.siblings.iter().find(|version| version.dot == dot);
        let stamped = version.map_or(Ok(()), |version| reference::check_write(before.as_ref(), version));
        self.judged(stamped)?;
        self.remember(at, key);
        self.note(|_| format!("{at} writes {key:?}"));
        self.carry_out(at, None, &effects)?;
        self.record_write(at, &entity, dot, None);
        Ok(())
    }

    fn any_update(&mut self) -> Update {
        let mut number = || Json::string(&self.dice.below(4).to_string());
        let (first, second) = (number(), number());
        let attributes = match self.dice.below(4) {
            0 => Attributes::Keep,
            1 => Attributes::Replace([("brightness", first), ("hs_color", second)].into_iter().collect()),
            2 => Attributes::Patch(vec![("brightness".into(), Some(first)), ("effect".into(), Some(second))]),
            _ => Attributes::Patch(vec![("effect".into(), None), ("hs_color".into(), Some(second))]),
        };
        let state = self.dice.chance(60).then(|| Json::string(self.dice.pick(&["on", "off", "dim"])));
        Update { state, attributes }
    }

    fn rules_change(&mut self, at: usize) -> Checked {
        let peers: Vec<_> = self.homes[at].paired.iter().copied().collect();
        let ids: Vec<_> = peers.iter().map(|peer| self.homes[*peer].id).collect();
        let peer = (!ids.is_empty() && self.dice.chance(80)).then(|| self.dice.pick(&ids));
        let text = [
            "*",
            "light.*",
            "input_text.*",
            "light.hall",
            "input_text.note",
            "input_text.list",
            "sensor.roof",
        ];
        let selector = Selector::parse(self.dice.pick(&text)).expect("a selector");
        let right = [Some(Right::Read), Some(Right::Control), Some(Right::Edit), Some(Right::Edit), None];
        let right = self.dice.pick(&right);
        let (revokes, which, tells) = (self.dice.chance(35), self.dice.number(), self.dice.chance(70));
        let Some(Running { replica, sessions, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let rules: Vec<_> = replica.grants.iter().map(|rule| (rule.peer, rule.selector.clone())).collect();
        let (what, effect) = if revokes && !rules.is_empty() {
            let (peer, selector) = rules[which as usize % rules.len()].clone();
            (format!("revokes {selector} from {peer:?}"), replica.revoke(peer, &selector, &ids))
        } else {
            let what = format!("grants {right:?} on {selector} to {peer:?}");
            (what, replica.grant(peer, selector, right, &ids))
        };
        if tells {
            sessions.values_mut().for_each(|session| session.regrant(replica));
        }
        self.note(|_| format!("{at} {what}"));
        self.carry_out(at, None, &[effect])
    }

    fn stall(&mut self) {
        let (pair, wire) = (self.any_pair(), self.dice.below(2));
        let (stalls, window) = (self.dice.chance(60), 1 + self.dice.below(4));
        if let Some(link) = self.links.get_mut(&pair) {
            (link.wires[wire].stalled, link.wires[wire].window) = (stalls, window);
        }
    }

    pub(super) fn crash(&mut self, at: usize) {
        let start_at = self.time + self.dice.below(3_000) as u64;
        self.note(|_| format!("{at} crashes"));
        self.homes[at].crash(start_at);
        self.cut_all(at);
    }

    fn skew(&mut self, at: usize) {
        const HOUR: i64 = 3_600_000;
        let offset = self.dice.pick(&[0, 0, 2 * HOUR, -3 * HOUR, 30_000, -30_000, 90_000]);
        self.homes[at].offset_ms = offset;
        self.note(|_| format!("the clock of {at} is off by {offset} ms"));
    }

    fn repeat(&mut self) -> Checked {
        if self.past.is_empty() {
            return Ok(());
        }
        let (past, to) = (self.dice.pick(&self.past), self.dice.below(self.homes.len()));
        let (peer, joint) = (self.homes[past.from].id, past.key.space == Space::Joint);
        let home = &mut self.homes[to];
        let now = home.now(self.time);
        let Some(Running { replica, .. }) = &mut home.running else { return Ok(()) };
        // a repetition never brings what was withdrawn or is of an earlier life, and never an old right
        let Some(entity) = replica.find(&past.key) else { return Ok(()) };
        if self.ledger.is_buried(&past.key, &past.offered.versions) {
            return Ok(());
        }
        let foreign = entity.key.space == Space::Home(peer) || (joint && self.joint.contains(&to));
        if to == past.from || !foreign {
            return Ok(());
        }
        let offered = Offered {
            right: entity.right,
            strategy: entity.strategy,
            sent_at: entity.sent_at,
            ..past.offered.clone()
        };
        let effects = replica.merge(peer, offered, now).unwrap_or_default();
        self.note(|_| format!("{to} hears again of {:?}", past.key));
        self.carry_out(to, Some(past.from), &effects)
    }

    fn remember(&mut self, at: usize, key: &EntityKey) {
        let Some(entity) = self.replica(at).and_then(|replica| replica.find(key)) else { return };
        let offered = Offered {
            key: key.clone(),
            class: entity.class,
            versions: entity.siblings.clone(),
            sent_at: 0,
            strategy: entity.strategy,
            right: None,
            replace: false,
        };
        if self.past.len() < PAST {
            self.past.push(Past { from: at, key: key.clone(), offered });
        }
    }

    fn tamper(&mut self) -> Checked {
        let (pair, wire, which) = (self.any_pair(), self.dice.below(2), self.dice.number());
        let Some(link) = self.links.get(&pair).filter(|link| link.up) else { return Ok(()) };
        let arriving = which as usize % (link.wires[wire].frames.len() + 1);
        self.note(|_| format!("somebody tampers with {pair:?} after {arriving} frames"));
        for _ in 0..arriving {
            let (at, from) = if wire == 0 { (pair.1, pair.0) } else { pair };
            let frame = self.links.get_mut(&pair).and_then(|link| link.wires[wire].frames.pop_front());
            frame.map_or(Ok(()), |(_, frame)| self.hear(at, from, &frame))?;
        }
        self.cut(pair);
        Ok(())
    }

    fn unpair_or_pair(&mut self, at: usize) -> Checked {
        let other = self.dice.below(self.homes.len());
        let joint = self.joint.contains(&at) && self.joint.contains(&other);
        if other == at || joint || self.homes[at].running.is_none() || self.homes[other].running.is_none() {
            return Ok(());
        }
        if !self.homes[at].paired.contains(&other) {
            return self.pair(at, other);
        }
        self.note(|_| format!("{at} unpairs {other}"));
        let pair = (at.min(other), at.max(other));
        if self.dice.chance(60) && self.links[&pair].up {
            self.say_goodbye(at, other)?;
        }
        self.cut(pair);
        self.forget(at, other)
    }

    /// Lets a home end a session in good order, after everything under way.
    fn say_goodbye(&mut self, at: usize, other: usize) -> Checked {
        let (pair, wire) = ((at.min(other), at.max(other)), usize::from(at > other));
        while let Some((_, frame)) = self.links.get_mut(&pair).and_then(|l| l.wires[wire].frames.pop_front())
        {
            self.hear(other, at, &frame)?;
        }
        let Some(Running { replica, sessions, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let Some(session) = sessions.get_mut(&other) else { return Ok(()) };
        session.close(Reason::Unpaired);
        let frames: Vec<_> = std::iter::from_fn(|| session.offer(replica)).collect();
        frames.iter().try_for_each(|frame| self.hear(other, at, frame))
    }

    /// Pairs two homes again; one that has not forgotten the other still has what it knew.
    fn pair(&mut self, at: usize, other: usize) -> Checked {
        self.homes[at].paired.insert(other);
        self.homes[other].paired.insert(at);
        self.note(|_| format!("{at} and {other} pair"));
        Ok(())
    }

    fn backup(&mut self, at: usize) -> Checked {
        let home = &mut self.homes[at];
        // the joint space is not restored: its members would take the past for news
        if self.joint.contains(&at) || home.running.is_none() {
            return Ok(());
        }
        let Some(backup) = home.backup.take() else {
            home.flush();
            home.backup = Some(home.disk.clone());
            return Ok(());
        };
        self.comes_back_from(at, backup)
    }

    /// Lets a home go on from another disk.
    pub(super) fn comes_back_from(&mut self, at: usize, disk: Disk) -> Checked {
        let home = &mut self.homes[at];
        home.disk = disk;
        home.crash(0);
        home.restores += 1;
        self.note(|_| format!("{at} comes back from a backup"));
        self.cut_all(at);
        self.start(at, true)
    }

    fn cut_all(&mut self, at: usize) {
        let pairs: Vec<_> = self.links.keys().copied().filter(|(a, b)| *a == at || *b == at).collect();
        pairs.into_iter().for_each(|pair| self.cut(pair));
    }

    fn any_pair(&mut self) -> (usize, usize) {
        let pairs: Vec<_> = self.links.keys().copied().collect();
        self.dice.pick(&pairs)
    }
}

pub(super) fn parsed(id: &str) -> EntityId {
    id.parse().expect("an entity id")
}
