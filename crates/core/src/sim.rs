//! Homes on a virtual network and clock: a run is a seed.
//!
//! Real replicas and sessions exchange real frames; only the network, the clocks
//! and the disks are made up, and they do what networks, clocks and disks do:
//! delay, stall, cut, jump, and forget what was not flushed. A [`Plan`] says what
//! may go wrong, [`run`] plays it, heals everything, and compares the homes. The
//! same plan gives the same run, so a failure is a seed.
//!
//! ```
//! use crosshome_core::sim::{Plan, run};
//! let report = run(&Plan::of(7)).unwrap();
//! assert!(report.frames > 0);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    EntityKey, HomeId, Space,
    replica::Replica,
    session::{Session, SessionError},
    wire::{self, Reason},
};

mod checks;
mod commands;
mod dice;
mod disk;
mod effects;
mod faults;
pub mod history;
mod home;
mod law;
mod network;
mod plan;
mod recorder;
mod reference;
mod settling;
mod trouble;

use checks::{Checked, Ledger};
pub use dice::Dice;
pub use disk::Disk;
pub use faults::{ALL, Fault};
use home::{Home, Running};
use network::Link;
pub use plan::{Failure, Plan, Report, run_all, shrink};
use recorder::Recorder;

/// Where every run begins, in milliseconds since 1970.
const START: u64 = 1_800_000_000_000;

/// Of so many runs one is written down, and its history checked.
const RECORDED: u64 = 4;

/// Most rounds of pump and deliver until a network without changes must be silent.
const SILENT_AFTER: usize = 3_000;

/// Plays a plan, heals, and compares the homes.
///
/// # Errors
///
/// Tells which invariant was broken.
///
/// Each fourth seed is written down too, and its history checked.
pub fn run(plan: &Plan) -> Result<Report, Failure> {
    let recorder = plan.seed.is_multiple_of(RECORDED).then(Recorder::default);
    let mut world = World::new(plan, recorder);
    let result = world.play().and_then(|()| world.history_holds());
    result.map(|()| world.report).map_err(|what| Failure { plan: plan.clone(), what, trace: world.trace })
}

/// Plays a plan with silent checks, and returns what happened: as far as the run came.
pub fn record(plan: &Plan) -> history::History {
    let mut world = World::new(plan, Some(Recorder::alone()));
    // how far it came is all that the history needs
    let _ = world.play();
    world.recorder.map(|recorder| recorder.history).unwrap_or_default()
}

/// Everything in a run.
#[derive(Debug)]
struct World {
    plan: Plan,
    dice: Dice,
    time: u64,
    homes: Vec<Home>,
    joint: BTreeSet<usize>,
    links: BTreeMap<(usize, usize), Link>,
    ledger: Ledger,
    past: Vec<faults::Past>,
    /// Whether what is carried out comes of an offer: then entities disappear because they were deleted.
    offered: bool,
    doubts: Vec<trouble::Doubt>,
    trace: Vec<String>,
    report: Report,
    commands: commands::Truths,
    recorder: Option<Recorder>,
}

impl World {
    fn new(plan: &Plan, recorder: Option<Recorder>) -> Self {
        let mut dice = Dice::new(plan.seed ^ 0x5eed);
        let drawn = 2 + dice.below(4);
        let count = plan.homes.map_or(drawn, usize::from);
        let mut homes: Vec<_> = (0..count).map(|at| Home::new(HomeId([at as u8 + 1; 32]))).collect();
        let impatient = plan.faults.contains(&Fault::Impatience);
        homes.iter_mut().for_each(|home| home.impatient = impatient);
        let mut links = BTreeMap::new();
        for a in 0..count {
            for b in a + 1..count {
                homes[a].paired.insert(b);
                homes[b].paired.insert(a);
                links.insert((a, b), Link::default());
            }
        }
        let joint = if plan.faults.contains(&Fault::Joint) {
            (0..count).filter(|_| dice.chance(70)).collect()
        } else {
            BTreeSet::new()
        };
        let mut world = Self {
            plan: plan.clone(),
            dice,
            time: START,
            homes,
            joint,
            links,
            ledger: Ledger::new(count),
            past: Vec::new(),
            offered: false,
            doubts: Vec::new(),
            trace: Vec::new(),
            report: Report::default(),
            commands: commands::Truths::new(),
            recorder,
        };
        (0..count).for_each(|at| world.start(at, false).expect("an empty disk holds nothing to lose"));
        world
    }

    fn play(&mut self) -> Checked {
        for step in 0..self.plan.steps {
            // dice of its own for every step, so that leaving one out changes no other
            self.dice = Dice::new(self.plan.seed.rotate_left(20) ^ step as u64);
            self.time += 1 + self.dice.below(300) as u64;
            if !self.plan.skipped.contains(&step) {
                self.act()?;
                self.dice = Dice::new(self.plan.seed.rotate_left(30) ^ step as u64);
                if self.plan.faults.contains(&Fault::Settling) && self.dice.chance(30) {
                    self.settle_something()?;
                }
                self.dice = Dice::new(self.plan.seed.rotate_left(50) ^ step as u64);
                if self.plan.faults.contains(&Fault::Commands) && self.dice.chance(30) {
                    self.command_something()?;
                }
                if self.dice.chance(25) {
                    self.trouble()?;
                }
            }
            self.dice = Dice::new(self.plan.seed.rotate_left(40) ^ step as u64);
            self.turn()?;
        }
        self.heal()?;
        self.record_rest();
        self.judged(self.settled())
    }

    /// Lets the checker read what was written down.
    fn history_holds(&self) -> Checked {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let findings = history::check(&recorder.history).findings;
        findings.first().map_or(Ok(()), |first| Err(format!("{first} (by the history)")))
    }

    /// Lets the network do what it does between two happenings.
    fn turn(&mut self) -> Checked {
        self.come_up()?;
        self.decide()?;
        self.commands_go_on()?;
        self.pump()?;
        self.deliver()?;
        for at in 0..self.homes.len() {
            if self.dice.chance(15) {
                self.homes[at].flush();
            }
        }
        Ok(())
    }

    /// Ends all faults, and waits until nobody has anything to say but that all is well.
    fn heal(&mut self) -> Checked {
        self.note(|_| "heal".into());
        self.end_faults()?;
        if !self.plan.faults.iter().any(|fault| fault.needs_heartbeats()) {
            // I11: without heartbeats and in one exchange
            self.silence()?;
            self.judged(self.settled().map_err(|what| format!("I11: {what}")))?;
        }
        for round in 0..16 {
            self.time += 15_000;
            self.commands_go_on()?;
            let before = self.report.frames;
            self.beat()?;
            self.silence()?;
            let most = 4 * self.links.len();
            if round > 12 && self.report.frames - before > most {
                let sent = self.report.frames - before;
                self.judged(Err(format!("no rest: {sent} frames in a round")))?;
            }
        }
        self.judged(self.deletions_are_forgotten())?;
        self.judged(self.commands_ended())
    }

    /// Carries frames until there are none.
    fn silence(&mut self) -> Checked {
        for _ in 0..SILENT_AFTER {
            self.time += 5;
            let before = self.report.frames;
            self.come_up()?;
            self.decide()?;
            self.pump()?;
            let empty = |link: &Link| link.up && link.wires.iter().all(|wire| wire.frames.is_empty());
            if self.report.frames == before && self.links.values().all(empty) {
                return Ok(());
            }
            self.deliver()?;
            self.homes.iter_mut().for_each(Home::flush);
        }
        Err("the network never falls silent".into())
    }

    /// Starts homes and links whose time has come.
    fn come_up(&mut self) -> Checked {
        for at in 0..self.homes.len() {
            if self.homes[at].running.is_none() && self.homes[at].start_at <= self.time {
                self.start(at, false)?;
            }
        }
        let ready: Vec<_> = self.links.iter().filter(|(_, l)| !l.up && l.retry_at <= self.time).collect();
        let ready: Vec<_> = ready.into_iter().map(|(pair, _)| *pair).collect();
        ready.into_iter().for_each(|pair| self.connect(pair));
        Ok(())
    }

    fn connect(&mut self, (a, b): (usize, usize)) {
        let (pair, joint) = ((a, b), self.joint.contains(&a) && self.joint.contains(&b));
        let paired = self.homes[a].paired.contains(&b) && self.homes[b].paired.contains(&a);
        let ids = [self.homes[a].id, self.homes[b].id];
        let time = self.time;
        let [Some(first), Some(second)] =
            self.homes.get_disjoint_mut([a, b]).expect("two homes").map(|home| {
                let now = home.now(time);
                home.running.as_mut().filter(|_| paired).map(|running| (running, now))
            })
        else {
            return;
        };
        first.0.open(b, ids[1], joint, (time, first.1));
        second.0.open(a, ids[0], joint, (time, second.1));
        let dice = &mut self.dice;
        let link = self.links.get_mut(&pair).expect("every pair has a link");
        link.up = true;
        for wire in &mut link.wires {
            wire.window = 1 + dice.below(8);
            wire.delay_ms = dice.below(60) as u64;
        }
        self.note(|_| format!("connect {a}-{b}"));
    }

    /// Lets every session say what there is room for.
    fn pump(&mut self) -> Checked {
        let pairs: Vec<_> = self.links.keys().copied().collect();
        for (a, b) in pairs {
            self.speak(a, b, 0)?;
            self.speak(b, a, 1)?;
        }
        Ok(())
    }

    fn speak(&mut self, from: usize, to: usize, wire: usize) -> Checked {
        let pair = (from.min(to), from.max(to));
        let (joint, sender, receiver) =
            (self.joint.contains(&from) && self.joint.contains(&to), self.homes[from].id, self.homes[to].id);
        loop {
            let link = self.links.get_mut(&pair).expect("every pair has a link");
            if !link.up || link.wires[wire].frames.len() >= link.wires[wire].window {
                return Ok(());
            }
            // what the peer has shared counts too: it may all have been refused here
            let shared =
                self.homes[to].running.as_ref().map_or(0, |peer| peer.replica.table().iter().count());
            let home = &mut self.homes[from];
            let now = home.now(self.time);
            let Some(running) = &mut home.running else { return Ok(()) };
            let Some(session) = running.sessions.get_mut(&to) else { return Ok(()) };
            if !home.full {
                home.disk.keep_clock(&running.replica, now);
            }
            let Some(frame) = session.offer(&running.replica) else { return Ok(()) };
            let (said, names) = link.wires[wire].read(&frame, sender, receiver);
            let names: Vec<_> = names.into_iter().map(|(space, id)| EntityKey { space, id }).collect();
            let may = names.iter().try_for_each(|key| may_leave(&running.replica, receiver, joint, key));
            let (weight, most) =
                (session.weight(), 16 + 4 * (running.replica.table().iter().count() + shared));
            if weight > most {
                return Err(format!("I12: the session of {from} with {to} remembers {weight} items"));
            }
            self.judged(may)?;
            names.iter().for_each(|key| self.record_sent(from, to, key));
            let Some(home) = self.homes.get_mut(from) else { return Ok(()) };
            let link = self.links.get_mut(&pair).expect("every pair has a link");
            self.report.weight = self.report.weight.max(weight);
            self.report.frames += 1;
            self.report.bytes += frame.len();
            let frame = if home.newer { trouble::as_newer(frame) } else { frame };
            link.wires[wire].put(frame, self.time);
            self.note(|_| format!("{from} to {to}: {said}"));
        }
    }

    /// Delivers what has arrived.
    fn deliver(&mut self) -> Checked {
        let pairs: Vec<_> = self.links.keys().copied().collect();
        for (a, b) in pairs {
            for (wire, from, to) in [(0, a, b), (1, b, a)] {
                while let Some(frame) = self.arrived((a, b), wire, to, from) {
                    self.hear(to, from, &frame)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the next frame that has arrived, unless its receiver has too much to answer already.
    fn arrived(&mut self, pair: (usize, usize), wire: usize, to: usize, from: usize) -> Option<Vec<u8>> {
        let running = self.homes[to].running.as_ref()?;
        if running.sessions.get(&from).is_some_and(Session::is_congested) {
            return None;
        }
        self.links.get_mut(&pair)?.wires[wire].take(self.time)
    }

    fn hear(&mut self, at: usize, from: usize, frame: &[u8]) -> Checked {
        let pair = (at.min(from), at.max(from));
        let home = &mut self.homes[at];
        let now = home.now(self.time);
        let Some(running) = &mut home.running else { return Ok(()) };
        let Some(session) = running.sessions.get_mut(&from) else { return Ok(()) };
        self.offered = wire::open(frame).is_ok_and(|(kind, _)| kind == wire::OFFER);
        let (was_greeted, trusted) = (session.greeting().is_some(), running.replica.clock().trusts(now));
        match session.receive(&mut running.replica, frame, now) {
            Ok(_) if trusted && !running.replica.clock().trusts(now) => {
                Err(format!("I5: {from} carried the clock of {at} into the future"))
            }
            Ok(effects) => {
                let met = !was_greeted && session.greeting().is_some();
                self.carry_out(at, Some(from), &effects)?;
                if met { self.greeted(at, from) } else { Ok(()) }
            }
            Err(SessionError::Bye(Reason::Unpaired)) => {
                self.note(|_| format!("{at} hears that {from} has forgotten it"));
                self.cut(pair);
                self.forget(at, from)
            }
            Err(error) => Err(format!("{at} ended its session with {from}: {error}")),
        }
    }

    fn start(&mut self, at: usize, from_backup: bool) -> Checked {
        let epoch = self.dice.number();
        self.commands_lost(at);
        self.homes[at].start(epoch, self.time);
        self.note(|_| format!("{at} starts"));
        let from_backup = std::mem::take(&mut self.homes[at].lost) || from_backup;
        let Some(Running { replica, .. }) = &self.homes[at].running else { return Ok(()) };
        let restarted = self.ledger.restarted(at, replica, from_backup);
        let from = match (from_backup, self.homes[at].crashes) {
            (true, _) => history::From::Backup,
            (false, 0) => history::From::Nothing,
            (false, _) => history::From::Crash,
        };
        self.record_start(at, from);
        self.judged(restarted)
    }

    /// Cuts a link, which comes up again after a while.
    fn cut(&mut self, pair: (usize, usize)) {
        let retry_at = self.time + 100 + self.dice.below(2_000) as u64;
        if let Some(link) = self.links.get_mut(&pair) {
            link.cut(retry_at);
        }
        for (at, other) in [pair, (pair.1, pair.0)] {
            let peer = self.homes[other].id;
            self.homes[at].running.iter_mut().for_each(|running| {
                running.sessions.remove(&other);
                running.commands.unlinked(peer);
            });
        }
        self.note(|_| format!("cut {pair:?}"));
    }

    /// Lets a home forget another.
    fn forget(&mut self, at: usize, other: usize) -> Checked {
        let peer = self.homes[other].id;
        (_, self.homes[at].fate) = (self.homes[at].paired.remove(&other), None);
        self.forget_commands(at, peer)?;
        let Some(running) = &mut self.homes[at].running else { return Ok(()) };
        let effects = running.replica.forget(peer);
        self.carry_out(at, None, &effects)
    }

    fn beat(&mut self) -> Checked {
        for at in 0..self.homes.len() {
            self.beat_of(at);
            self.purge(at)?;
        }
        Ok(())
    }

    /// Lets a home forget deletions, as a running one does with every beat.
    fn purge(&mut self, at: usize) -> Checked {
        let home = &self.homes[at];
        let peers: Vec<_> = home.paired.iter().map(|peer| self.homes[*peer].id).collect();
        let now = home.now(self.time);
        let Some(running) = &mut self.homes[at].running else { return Ok(()) };
        let effects = running.replica.purge(&peers, now);
        self.carry_out(at, None, &effects)
    }

    fn beat_of(&mut self, at: usize) {
        let ids: Vec<_> = self.homes.iter().map(|home| home.id).collect();
        let (nonce, time, home) = (self.dice.number(), self.time, &mut self.homes[at]);
        let now = home.now(time);
        if let Some(Running { replica, sessions, commands, .. }) = &mut home.running {
            sessions.keys().for_each(|other| commands.pings(ids[*other], nonce, time, now));
            sessions.values_mut().for_each(|session| session.beat(replica, nonce, now));
        }
    }

    fn replica(&self, at: usize) -> Option<&Replica> {
        self.homes[at].running.as_ref().map(|running| &running.replica)
    }

    fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.plan.traced {
            let line = format!("{:>8} {}", self.time - START, line(self));
            self.trace.push(line);
        }
    }
}

/// I7 and I8: checks that an entity that was just encoded may leave for a peer.
fn may_leave(replica: &Replica, peer: HomeId, joint: bool, key: &EntityKey) -> Checked {
    let me = replica.actor().home;
    let allowed = match key.space {
        Space::Joint => joint,
        Space::Home(home) if home == me => {
            replica.find(key).is_some() && law::right_of(&replica.grants, peer, &key.id).is_some()
        }
        Space::Home(home) => home == peer,
    };
    if allowed { Ok(()) } else { Err(format!("I7: {key:?} was encoded for {peer:?}")) }
}
