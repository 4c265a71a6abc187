//! Commands in a run: people ask for things, houses obey, refuse, are late or silent. I9 is checked here.

use std::collections::{BTreeMap, HashSet};

use super::{World, checks::Checked, home::Running, law, reference};
use crate::{
    EntityKey, HomeId, Space,
    dot::Dot,
    effect::Effect,
    grant::Right,
    intent::{
        Answer, Elapsed, Intent, Judged, Kind, Outcome, Owner, Sender, Status, Step, Stopwatch, Timing, Wish,
        ttl_ms,
    },
    json::{Json, Members},
    table::{Class, Entity},
    update::Update,
    version::Cause,
};

/// Most commands that one home has on their way at a time.
const AT_ONCE: usize = 6;

/// The commands of a home that is up.
#[derive(Debug)]
pub(super) struct Commands {
    sender: Sender,
    owner: Owner,
    watch: Stopwatch,
    /// What the house is busy with, and until when.
    busy: Vec<(u64, Intent)>,
    /// What has to be durable: the intents that were taken.
    pub(super) taken: Vec<Dot>,
    /// What was taken and waits until that is durable, with whoever asked for it.
    unkept: Vec<(HomeId, Intent)>,
    /// The wishes that were taken since the start, in their order.
    order: Vec<Intent>,
}

/// The truth about one command.
#[derive(Debug)]
pub(super) struct Truth {
    sender: usize,
    intent: Intent,
    /// What whoever asked had really seen of the device.
    seen: HashSet<Dot>,
    /// The moment after which nobody may carry it out.
    due: u64,
    given: usize,
    /// Whether it was held up by a full disk, so that the device may have come to show what is wanted before.
    held_up: bool,
    /// Whether the owner has told that it is settled, and the device showed it then.
    shown: bool,
    ended: Option<Status>,
}

impl Commands {
    /// Begins with what the disk says was taken.
    pub(super) fn new(taken: &[Dot], time: u64, wall: u64) -> Self {
        let mut owner = Owner::default();
        taken.iter().for_each(|id| owner.recall(*id, id.actor.home));
        let (sender, watch) = (Sender::default(), Stopwatch::start(time, wall));
        Self {
            sender,
            owner,
            watch,
            busy: Vec::new(),
            taken: taken.to_vec(),
            unkept: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Takes note of a new link, which says hello.
    pub(super) fn opened(&mut self, peer: HomeId, time: u64, wall: u64) {
        let now = self.watch.read(time, wall);
        self.sender.unlinked(peer);
        self.owner.opened(peer, now);
    }

    /// Takes note that a peer is asked for a sign of life.
    pub(super) fn pings(&mut self, peer: HomeId, nonce: u64, time: u64, wall: u64) {
        let now = self.watch.read(time, wall);
        self.owner.pings(peer, nonce, now);
    }

    pub(super) fn unlinked(&mut self, peer: HomeId) {
        self.sender.unlinked(peer);
    }
}

impl World {
    /// Lets somebody ask for something that another home has.
    pub(super) fn command_something(&mut self) -> Checked {
        let at = self.dice.below(self.homes.len());
        let me = Space::Home(self.homes[at].id);
        let Some(replica) = self.replica(at) else { return Ok(()) };
        let foreign = |entity: &Entity| {
            entity.class == Class::Device && ![me, Space::Joint].contains(&entity.key.space)
        };
        let all = replica.table().iter().filter(|(_, entity)| foreign(entity));
        let keys: Vec<_> = all.map(|(_, entity)| entity.key.clone()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let (key, wish) = (self.dice.pick(&keys), self.any_wish());
        self.ask(at, &key, wish)?;
        if self.dice.chance(10) {
            self.time += self.dice.below(25_000) as u64; // long enough for a command to grow old under way
        }
        Ok(())
    }

    /// Lets time pass for all commands: houses get done, what is too late ends.
    pub(super) fn commands_go_on(&mut self) -> Checked {
        for at in 0..self.homes.len() {
            self.house_works(at)?;
            let Some(now) = self.elapsed(at) else { continue };
            self.give_kept(at, now)?;
            let Some(Running { commands, .. }) = &mut self.homes[at].running else { continue };
            let (answers, steps) = (commands.owner.expire(now), commands.sender.expire(now));
            let forgotten = commands.owner.tidy(now);
            commands.taken.retain(|id| !forgotten.contains(id));
            self.answer_all(at, answers)?;
            self.take_steps(at, steps)?;
        }
        Ok(())
    }

    /// Carries out what an effect means for commands.
    pub(super) fn command_effect(&mut self, at: usize, effect: &Effect) -> Checked {
        let Some(now) = self.elapsed(at) else { return Ok(()) };
        let Some(Running { commands, replica, .. }) = &mut self.homes[at].running else { return Ok(()) };
        match effect {
            Effect::Perform { peer, intent, timing } => self.judge(at, *peer, intent, *timing, now),
            Effect::Settled { peer, outcome } => {
                let steps = commands.sender.heard(*peer, outcome.clone(), replica);
                self.take_steps(at, steps)
            }
            Effect::Pinged { peer, nonce } => {
                commands.sender.pinged(*peer, *nonce, now);
                Ok(())
            }
            Effect::Changed(number) => {
                let Some(entity) = replica.table().get(*number) else { return Ok(()) };
                let own = entity.key.space == Space::Home(replica.actor().home);
                let answers = if own { commands.owner.reported(entity) } else { Vec::new() };
                let steps = commands.sender.reported(&entity.key, replica);
                self.answer_all(at, answers)?;
                self.take_steps(at, steps)
            }
            _ => Ok(()),
        }
    }

    /// Takes note that a peer has said hello.
    pub(super) fn greeted(&mut self, at: usize, from: usize) -> Checked {
        let Some(now) = self.elapsed(at) else { return Ok(()) };
        let peer = self.homes[from].id;
        let Some(Running { commands, sessions, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let Some(greeting) = sessions.get(&from).and_then(|session| session.greeting()) else {
            return Ok(());
        };
        let steps = commands.sender.linked(peer, greeting.epoch, now);
        self.take_steps(at, steps)
    }

    /// Ends what was asked of a home that is forgotten.
    pub(super) fn forget_commands(&mut self, at: usize, peer: HomeId) -> Checked {
        let Some(Running { commands, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let steps = commands.sender.forget(peer);
        self.take_steps(at, steps)
    }

    /// Takes note that whoever waited in a home waits no more.
    pub(super) fn commands_lost(&mut self, at: usize) {
        self.commands.retain(|_, truth| truth.sender != at || truth.ended.is_some());
    }

    /// I9: every command has come to an end, and it was told truly.
    pub(super) fn commands_ended(&self) -> Checked {
        for (id, truth) in &self.commands {
            match truth.ended {
                None => return Err(format!("I9: nobody tells how {id:?} ended")),
                Some(Status::Settled) if truth.given == 0 && !truth.held_up => {
                    return Err(format!("I9: {id:?} was told to be settled and was never carried out"));
                }
                Some(Status::Stale) if truth.given > 0 => {
                    return Err(format!("I9: {id:?} was told to be stale and was carried out"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn any_wish(&mut self) -> Wish {
        let state = Json::string(self.dice.pick(&["on", "off", "dim"]));
        match self.dice.below(4) {
            0 => Wish::Call { service: "light.toggle".into(), data: "{}".parse().expect("an object") },
            1 => Wish::Set { state: None, attributes: [("brightness", state)].into_iter().collect() },
            _ => Wish::Set { state: Some(state), attributes: Members::default() },
        }
    }

    fn ask(&mut self, at: usize, key: &EntityKey, wish: Wish) -> Checked {
        let Space::Home(owner) = key.space else { return Ok(()) };
        let (time, wall) = (self.time, self.homes[at].now(self.time));
        let Some(now) = self.elapsed(at) else { return Ok(()) };
        let Some(Running { commands, replica, .. }) = &mut self.homes[at].running else { return Ok(()) };
        if commands.sender.len() >= AT_ONCE {
            return Ok(());
        }
        let id = replica.stamp(wall);
        let seen = replica.find(key).map(Entity::context).unwrap_or_default();
        let (kind, ttl_ms) = (wish.kind(&key.id), ttl_ms(&key.id));
        let intent = Intent { id, entity: key.id.clone(), wish, kind, seen, ttl_ms };
        let seen = self.ledger.seen_by(at, key);
        let (due, asked) = (time + ttl_ms, intent.clone());
        let truth = Truth {
            sender: at,
            intent: asked,
            seen,
            due,
            given: 0,
            held_up: false,
            shown: false,
            ended: None,
        };
        if self.commands.insert(id, truth).is_some() {
            return Err(format!("I5: {id:?} names two commands"));
        }
        let steps = commands.sender.ask(owner, intent, now);
        self.note(|_| format!("{at} asks for {key:?} by {id:?}"));
        self.record_asked(at, owner, key, id, due);
        self.take_steps(at, steps)
    }

    fn take_steps(&mut self, at: usize, steps: Vec<Step>) -> Checked {
        for step in steps {
            match step {
                Step::Send { peer, intent, timing } => {
                    self.say(at, peer, |session| session.command(intent, timing))
                }
                Step::Moved(_) => {}
                Step::Ended(_, Outcome { id, status, .. }) => {
                    self.note(|_| format!("{at} hears that {id:?} is {status:?}"));
                    self.record_answered(at, id, status);
                    let Some(truth) = self.commands.get_mut(&id) else { continue };
                    if !status.is_final() || truth.ended.replace(status).is_some() {
                        return Err(format!("I9: {id:?} ended twice, or not at all"));
                    }
                    self.report.ended[status as usize - Status::Settled as usize] += 1;
                }
            }
        }
        Ok(())
    }

    fn answer_all(&mut self, at: usize, answers: Vec<Answer>) -> Checked {
        for Answer { peer, outcome } in answers {
            self.is_settled(at, &outcome)?;
            self.say(at, peer, |session| session.answer(outcome));
        }
        Ok(())
    }

    fn say(&mut self, at: usize, peer: HomeId, words: impl FnOnce(&mut crate::session::Session)) {
        let Some(other) = self.homes.iter().position(|home| home.id == peer) else { return };
        let Some(Running { sessions, .. }) = &mut self.homes[at].running else { return };
        if let Some(session) = sessions.get_mut(&other) {
            words(session);
        }
    }

    fn judge(&mut self, at: usize, peer: HomeId, intent: &Intent, timing: Timing, now: Elapsed) -> Checked {
        let Some(Running { commands, replica, .. }) = &mut self.homes[at].running else { return Ok(()) };
        match commands.owner.judge(replica, peer, intent, timing, now) {
            Judged::Answered(answer) | Judged::Forbidden(answer) => self.answer_all(at, vec![answer]),
            Judged::Taken(ended) => {
                commands.taken.push(intent.id);
                commands.order.push(intent.clone());
                commands.unkept.push((peer, intent.clone()));
                let full = self.homes[at].full;
                self.commands.entry(intent.id).and_modify(|truth| truth.held_up |= full);
                self.may_take(at, peer, intent)?;
                self.answer_all(at, ended)?;
                self.give_kept(at, now)
            }
        }
    }

    /// I9: checks that whoever asked may, and that the device has not changed without their knowledge.
    fn may_take(&self, at: usize, peer: HomeId, intent: &Intent) -> Checked {
        let Some(replica) = self.replica(at) else { return Ok(()) };
        let right = law::right_of(&replica.grants, peer, &intent.entity);
        if right < Some(Right::Control) {
            return Err(format!("I9: {:?} was taken from a home with {right:?}", intent.id));
        }
        let entity = replica.find(&replica.own(intent.entity.clone()));
        let (shown, truth) =
            (entity.map(reference::fields).unwrap_or_default(), self.commands.get(&intent.id));
        let Some(truth) = truth.filter(|_| intent.kind == Kind::Set) else { return Ok(()) };
        let wanted = || intent.wish.fields().filter_map(|(name, value)| Some((value, shown.get(name)?)));
        let unknown = |dot: &Dot| !truth.seen.contains(dot) && dot.hlc > intent.id.hlc;
        let all = wanted().count() == intent.wish.fields().count();
        let so = all && wanted().all(|(value, (shown, _))| value == shown);
        match wanted().find(|(_, (_, dot))| unknown(dot)).filter(|_| !so) {
            Some((_, (_, dot))) => {
                Err(format!("I9: {:?} was taken although {dot:?} was not seen", intent.id))
            }
            None => Ok(()),
        }
    }

    /// I9: checks that the device shows what is told to be settled.
    fn is_settled(&mut self, at: usize, outcome: &Outcome) -> Checked {
        let truth = self.commands.get(&outcome.id).filter(|truth| !truth.shown);
        let set = |truth: &&Truth| truth.intent.kind == Kind::Set && outcome.status == Status::Settled;
        let (Some(truth), Some(replica)) = (truth.filter(set), self.replica(at)) else { return Ok(()) };
        let entity = replica.find(&replica.own(truth.intent.entity.clone()));
        let shown = entity.map(reference::fields).unwrap_or_default();
        let shows = |(name, value): (&str, &str)| shown.get(name).is_some_and(|(shown, _)| shown == value);
        if !truth.intent.wish.fields().all(shows) {
            return Err(format!(
                "I9: {:?} was told to be settled, and the device shows {shown:?}",
                outcome.id
            ));
        }
        self.commands.entry(outcome.id).and_modify(|truth| truth.shown = true);
        Ok(())
    }

    /// Gives the house what is durably taken: nothing while the disk is full.
    fn give_kept(&mut self, at: usize, now: Elapsed) -> Checked {
        let home = &mut self.homes[at];
        let Some(Running { commands, .. }) = home.running.as_mut().filter(|_| !home.full) else {
            return Ok(());
        };
        if commands.unkept.is_empty() {
            return Ok(());
        }
        let kept = std::mem::take(&mut commands.unkept);
        home.flush();
        kept.iter().try_for_each(|(peer, intent)| self.give(at, *peer, intent, now))
    }

    /// Gives an intent to the house, which obeys, refuses, or says nothing.
    fn give(&mut self, at: usize, peer: HomeId, intent: &Intent, now: Elapsed) -> Checked {
        let (obeys, delay) = (self.dice.below(10), self.dice.pick(&[0, 20, 500, 9_000, 40_000]));
        let done = self.time + delay;
        let Some(Running { commands, .. }) = &mut self.homes[at].running else { return Ok(()) };
        if commands.owner.give(intent.id, now).is_none() {
            return Ok(());
        }
        let later = commands.order.iter().skip_while(|taken| taken.id != intent.id).skip(1);
        if let Some(later) = later.clone().find(|later| leaves_nothing(later, intent)) {
            let what =
                format!("I9: {:?} was carried out although {:?} leaves nothing of it", intent.id, later.id);
            return self.judged(Err(what));
        }
        self.record_performed(at, intent.id);
        if let Some(truth) = self.commands.get_mut(&intent.id) {
            truth.given += 1;
            if truth.given > 1 || truth.due <= self.time {
                let what = format!("I9: {:?} was carried out again, or late: {truth:?}", intent.id);
                self.judged(Err(what))?;
            }
        }
        let Some(Running { commands, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let answer = match obeys {
            0 => commands.owner.refused(intent.id, "it is jammed"),
            1 => None,
            _ => {
                commands.busy.push((done, intent.clone()));
                Some(Answer { peer, outcome: Outcome::plain(intent.id, Status::Accepted) })
            }
        };
        self.answer_all(at, answer.into_iter().collect())
    }

    /// Lets the house finish what it is busy with: it says so, and the device shows it.
    fn house_works(&mut self, at: usize) -> Checked {
        let (time, wall) = (self.time, self.homes[at].now(self.time));
        let Some(Running { commands, replica, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let Some(next) = commands.busy.iter().position(|(due, _)| *due <= time) else { return Ok(()) };
        let (_, intent) = commands.busy.remove(next);
        let answers = commands.owner.applied(intent.id, replica);
        let key = replica.own(intent.entity.clone());
        let alive = replica.find(&key).and_then(Entity::view).is_some();
        let Wish::Set { state, attributes } = &intent.wish else { return self.answer_all(at, answers) };
        let patch = attributes.iter().map(|(name, value)| (name.into(), value.parse().ok())).collect();
        let update = Update { state: state.clone(), attributes: crate::update::Attributes::Patch(patch) };
        let written = alive.then(|| replica.update(&key, Class::Device, &update, Cause::Device, wall));
        let written = written.and_then(Result::ok).unwrap_or_default();
        let entity = replica.find(&key).cloned();
        self.answer_all(at, answers)?;
        if let Some(entity) = entity.filter(|_| !written.is_empty()) {
            let dot = self.ledger.wrote(at, &entity)?;
            self.carry_out(at, None, &written)?;
            self.record_write(at, &entity, dot, None);
        }
        Ok(())
    }

    fn elapsed(&mut self, at: usize) -> Option<Elapsed> {
        let (time, wall) = (self.time, self.homes[at].now(self.time));
        self.homes[at].running.as_mut().map(|running| running.commands.watch.read(time, wall))
    }
}

/// Tells whether a wish leaves nothing to be done of an earlier one.
fn leaves_nothing(later: &Intent, earlier: &Intent) -> bool {
    let sets = later.kind == Kind::Set && earlier.kind == Kind::Set && later.entity == earlier.entity;
    let wanted: HashSet<_> = later.wish.fields().map(|(name, _)| name).collect();
    sets && earlier.wish.fields().all(|(name, _)| wanted.contains(name))
}

/// The truth about every command of a run.
pub(super) type Truths = BTreeMap<Dot, Truth>;
