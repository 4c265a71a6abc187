//! What goes to the peer: first messages, then what is new in the log, then what it still lacks.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque, hash_map::Entry};

use super::{Round, made_by};
use crate::{
    EntityKey, HomeId, Space,
    bug::{self, Bug},
    defaults::{RESYNC_PAUSE_MS, WANTED_AT_ONCE},
    digest::Digest,
    dot::Actor,
    effect::{Durability, Effect, Incident},
    epoch::{Cursor, Resume},
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    replica::Replica,
    seed::Seed,
    siblings::Siblings,
    table::{Class, Entity, Number},
    wire::{Forked, Gone, Heading, Known, Message, OfferBuilder, Reason, Refused, Said, Want, Why},
};

/// What goes to the peer.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    messages: VecDeque<Message>,
    closed: bool,
    /// The place in the log up to which everything was offered or stands in the backlog.
    position: u64,
    /// What the peer lacks from before `position`, in the order of its rank.
    backlog: VecDeque<Due>,
    /// What stands in the backlog to be sent in full, by its key: it may be gone before its turn comes.
    full: BTreeMap<Number, EntityKey>,
    /// When everything was last sent in full because the peer asked.
    resent_ms: Option<u64>,
    /// What the peer has of each entity, as far as this session knows.
    sent: HashMap<Number, Sent, Seed>,
    /// Whose stamps the marks are: those of an earlier incarnation say nothing of this one.
    marked: Option<Actor>,
    /// The peer has every change of ours up to this stamp in entities it saw before `since`.
    mark: Hlc,
    since: u64,
    acknowledged: u64,
    told: u64,
    granted: u64,
    /// Whether the peer has been told that it stands at the end of the log; when nothing is due, the hello's digest tells.
    ended: bool,
    /// The latest digest, and the state of table and rules that it is of: at rest nothing is summed again.
    summed: Option<((u64, u64), Digest)>,
    said: Said,
}

/// Something that the peer lacks.
#[derive(Clone, Copy, Debug)]
struct Due {
    rank: u64,
    number: Number,
    full: bool,
}

/// What the peer has of one entity.
#[derive(Clone, Copy, Debug)]
struct Sent {
    birth: u64,
    seq: u64,
    mark: Hlc,
    right: Option<Right>,
    strategy: Strategy,
    refused: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            closed: false,
            position: 0,
            backlog: VecDeque::new(),
            full: BTreeMap::new(),
            resent_ms: None,
            sent: HashMap::with_hasher(Seed::new([0; 16])),
            marked: None,
            mark: Hlc::default(),
            since: 0,
            acknowledged: 0,
            told: 0,
            granted: 0,
            ended: false,
            summed: None,
            said: Said::default(),
        }
    }
}

impl Outgoing {
    /// Queues a message ahead of all offers.
    pub(super) fn say(&mut self, message: Message) {
        if !self.closed {
            self.messages.push_back(message);
        }
    }

    /// Queues a message ahead of those that wait.
    pub(super) fn say_first(&mut self, message: Message) {
        self.messages.push_front(message);
    }

    /// Queues the goodbye, after which nothing is said; a hello that was not said yet would only seem to open the session.
    pub(super) fn close(&mut self, reason: Reason) {
        self.messages.retain(|message| !matches!(message, Message::Hello(_) | Message::Proof(_)));
        self.say(Message::Bye(reason));
        self.closed = true;
    }

    /// Tells whether the goodbye was queued.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Returns the next message; before the peer's hello only those that open or end a session.
    pub(super) fn next_message(&mut self, greeted: bool) -> Option<Message> {
        let opens =
            |message: &Message| matches!(message, Message::Hello(_) | Message::Proof(_) | Message::Bye(_));
        self.messages.pop_front_if(|message| greeted || opens(message))
    }

    /// Starts from where the peer stands.
    pub(super) fn resume(
        &mut self,
        replica: &Replica,
        peer: HomeId,
        joint: bool,
        cursor: &Cursor,
        resume: Resume,
    ) {
        let (from, known) = match resume {
            Resume::From(seq) => (seq, true),
            Resume::Fork(seq) => (seq, false),
        };
        (self.mark, self.since) = if known { (cursor.mark, from) } else { Default::default() };
        self.position = replica.table().head();
        self.acknowledged = from;
        let changed =
            replica.table().since(from).filter(|(_, entity)| visible(replica, peer, joint, entity).is_some());
        let mut backlog: Vec<_> =
            changed.map(|(number, entity)| Due { rank: entity.seq, number, full: false }).collect();
        if replica.grants.latest(peer) > from {
            backlog.extend(
                newly_granted(replica, peer, from)
                    .filter(|due| replica.table().get(due.number).is_some_and(|entity| entity.seq <= from)),
            );
        }
        backlog.sort_by_key(|due| due.rank);
        self.backlog = backlog.into();
        self.granted = replica.ruled();
        if let Resume::Fork(seq) = resume {
            self.say(Message::Forked(Forked { seq }));
        }
        self.say_gone(replica, peer, from);
        self.ended = known
            && !joint
            && self.backlog.is_empty()
            && cursor.trail.last().is_some_and(|last| last.0 == replica.epochs.present())
            && replica.gone(peer).all(|(_, seq)| seq <= from);
    }

    /// Queues what rules newly admit or withdraw, if any have changed.
    pub(super) fn regrant(&mut self, replica: &Replica, peer: HomeId) {
        if replica.ruled() == self.granted {
            return;
        }
        let mut due: Vec<_> = newly_granted(replica, peer, self.granted).collect();
        due.sort_by_key(|due| due.rank);
        self.backlog.extend(due);
        self.say_gone(replica, peer, self.granted);
        self.granted = if bug::is(Bug::RulesRequeued) { self.granted } else { replica.ruled() };
        self.ended = false;
    }

    /// Names what was withdrawn from the peer after a place in the log.
    fn say_gone(&mut self, replica: &Replica, peer: HomeId, after: u64) {
        let gone: Vec<_> =
            replica.gone(peer).filter(|(_, seq)| *seq > after).map(|(id, _)| id.clone()).collect();
        for chunk in gone.chunks(WANTED_AT_ONCE) {
            let own = Space::Home(replica.actor().home);
            let numbers = chunk.iter().filter_map(|id| replica.table().find(own, id));
            numbers.for_each(|number| {
                self.sent.remove(&number);
            });
            let ids = chunk.iter().map(ToString::to_string).collect();
            self.say(Message::Gone(Gone { ids, ..Gone::default() }));
        }
    }

    /// Queues what the peer asks for, in full.
    pub(super) fn resend(
        &mut self,
        replica: &Replica,
        (peer, joint): (HomeId, bool),
        want: &Want,
        now_ms: u64,
    ) {
        let (table, own) = (replica.table(), Space::Home(replica.actor().home));
        let shown = |number: &Number| {
            table.get(*number).is_some_and(|entity| visible(replica, peer, joint, entity).is_some())
        };
        let find = |id: &String| table.find(own, &id.parse().ok()?).filter(shown);
        let (known, unknown): (Vec<_>, Vec<_>) = want.ids.iter().partition(|id| find(id).is_some());
        let numbers: Vec<_> = want.numbers.iter().copied().filter(|number| !shown(number)).collect();
        if !unknown.is_empty() || !numbers.is_empty() {
            self.say(Message::Gone(Gone { ids: unknown.into_iter().cloned().collect(), numbers }));
        }
        let rested = self.resent_ms.is_none_or(|at| now_ms.saturating_sub(at) >= RESYNC_PAUSE_MS / 2);
        let after = want.after.filter(|_| rested);
        if after.is_some() {
            self.resent_ms = Some(now_ms);
        }
        let after = after.into_iter().flat_map(|seq| table.since(seq)).map(|(number, _)| number);
        let wanted: BTreeSet<_> =
            known.into_iter().filter_map(find).chain(want.numbers.iter().copied()).chain(after).collect();
        for number in wanted.into_iter().filter(shown) {
            self.sent.remove(&number);
            let Some(entity) = table.get(number) else { continue };
            if self.full.insert(number, entity.key.clone()).is_none() {
                self.backlog.push_front(Due { rank: 0, number, full: true });
            }
        }
        self.ended = false;
    }

    /// Returns the next offer: first what is new, then what is due, as much as a chunk holds.
    pub(super) fn offer(&mut self, round: &mut Round<'_>, peer: HomeId, joint: bool) -> Option<Vec<u8>> {
        let replica = round.replica;
        if self.closed || (self.ended && self.caught_up(replica)) {
            return None;
        }
        if self.marked != Some(replica.actor()) {
            self.forget_marks(replica.actor());
        }
        let clock = replica.clock().last();
        let mut out = OfferBuilder::new(clock, &mut self.said.actors);
        let (table, chunk) = (replica.table(), replica.options().chunk);
        for (number, entity) in table.since(self.position) {
            if out.len() >= chunk {
                break;
            }
            self.push(round, (peer, joint), number, entity, false, &mut out);
            self.position = entity.seq;
        }
        if out.len() < chunk {
            self.position = table.head();
        }
        while out.len() < chunk {
            let Some(due) = self.backlog.pop_front() else { break };
            let wanted = if due.full { self.full.remove(&due.number) } else { None };
            let still = |entity: &&Entity| {
                wanted
                    .as_ref()
                    .is_none_or(|key| *key == entity.key && visible(replica, peer, joint, entity).is_some())
            };
            let Some(entity) = table.get(due.number).filter(still) else {
                self.messages.extend(wanted.map(|key| gone(replica, due.number, &key)));
                continue;
            };
            let fresh = !due.full
                && self
                    .sent
                    .get(&due.number)
                    .is_some_and(|sent| sent.seq >= entity.seq.max(due.rank) && sent.birth == entity.birth);
            if !fresh {
                self.push(round, (peer, joint), due.number, entity, due.full, &mut out);
            }
        }
        let end = self.caught_up(replica);
        let seq = self.reached();
        if out.is_empty() && (self.ended || !end) {
            return None;
        }
        self.ended = end;
        self.told = seq.unwrap_or(self.told);
        Some(out.finish(&mut self.said, seq, end))
    }

    /// Notes how far the peer has made our log durable.
    pub(super) fn acknowledged(&mut self, seq: u64, replica: &Replica) {
        self.acknowledged = self.acknowledged.max(seq.min(replica.table().head()));
    }

    /// Notes that the peer did not take an entity in, and returns what to ask for instead.
    pub(super) fn refused(
        &mut self,
        replica: &mut Replica,
        peer: HomeId,
        refused: Refused,
    ) -> (Vec<Effect>, Vec<String>) {
        let birth = replica.table().get(refused.number).map(|entity| entity.birth);
        let sent = self.sent.get_mut(&refused.number).filter(|sent| Some(sent.birth) == birth);
        let Some(sent) = sent else { return Default::default() }; // the number stands for something else by now
        sent.refused = true;
        self.summed = None;
        let incident = match refused.why {
            Why::Skew => Incident::ClockSkew,
            Why::Quota => Incident::Quota,
            Why::Forbidden => Incident::Forbidden,
        };
        let report = Effect::Report { peer, incident };
        let entity = replica.table().get(refused.number);
        let theirs = entity.filter(|entity| entity.key.space == Space::Home(peer));
        let Some(id) = theirs.map(|entity| entity.key.id.to_string()) else {
            return (vec![report], Vec::new());
        };
        if bug::is(Bug::RefusedStays)
            || refused.why == Why::Skew
            || !replica.take_back(refused.number, refused.up_to)
        {
            return (vec![report], Vec::new());
        }
        // what is left may be the owner's deletion alone
        let removed = replica.forget_deleted(refused.number, &Siblings::default());
        let changed = removed.unwrap_or(Effect::Changed(refused.number));
        (vec![Effect::Commit(Durability::Now), changed, report], vec![id])
    }

    /// Returns how far the peer has made our log durable.
    pub(super) fn durable(&self) -> u64 {
        self.acknowledged
    }

    /// Tells whether everything has been offered.
    pub(super) fn caught_up(&self, replica: &Replica) -> bool {
        self.backlog.is_empty() && self.position >= replica.table().head()
    }

    /// Returns how far the peer's durable place is behind the log.
    pub(super) fn lag(&self, replica: &Replica) -> u64 {
        self.told
            .max(if self.caught_up(replica) { 0 } else { replica.table().head() })
            .saturating_sub(self.acknowledged)
    }

    /// Returns what the peer should hold of this home's space.
    pub(super) fn digest(&mut self, replica: &Replica, peer: HomeId) -> Digest {
        let at = (replica.table().changes(), replica.ruled());
        match self.summed {
            Some((summed_at, digest)) if summed_at == at => digest,
            _ => self.summed.insert((at, self.sum(replica, peer))).1,
        }
    }

    fn sum(&self, replica: &Replica, peer: HomeId) -> Digest {
        let own = replica.table().in_space(Space::Home(replica.actor().home));
        let refused = |number| self.sent.get(&number).is_some_and(|sent| sent.refused);
        let held = own.filter(|(number, entity)| !entity.is_deleted() && !refused(*number));
        let digest = |entity: &Entity| {
            let terms = (replica.admits(peer, entity)?.right, entity.strategy);
            Some(Digest::of(&entity.key.id, Some(terms), &entity.siblings))
        };
        held.filter_map(|(_, entity)| digest(entity)).sum()
    }

    /// Returns how many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.messages.len()
    }

    #[cfg(feature = "sim")]
    pub(super) fn weight(&self) -> usize {
        self.messages.len() + self.backlog.len() + self.sent.len()
    }

    /// Sends every group again when its entity changes, for its stamps are of another incarnation.
    fn forget_marks(&mut self, actor: Actor) {
        if self.marked.replace(actor).is_some() {
            self.mark = Hlc::default();
            self.sent.values_mut().for_each(|sent| sent.mark = Hlc::default());
        }
    }

    fn push(
        &mut self,
        round: &mut Round<'_>,
        (peer, joint): (HomeId, bool),
        number: Number,
        entity: &Entity,
        full: bool,
        out: &mut OfferBuilder,
    ) {
        let replica = round.replica;
        let before = self.sent.get(&number).filter(|_| bug::is(Bug::FilterAtEnqueue));
        let before = before.map(|sent| Seen { right: sent.right, since: sent.seq });
        let Some(seen) = visible(replica, peer, joint, entity).or(before) else { return };
        let place = self.sent.entry(number);
        let known = match &place {
            Entry::Occupied(sent) => {
                Some(*sent.get()).filter(|sent| sent.birth == entity.birth || bug::is(Bug::BirthIgnored))
            }
            Entry::Vacant(_) => None,
        };
        let before = if seen.since <= self.since && !full { self.mark } else { Hlc::default() };
        let mark = known.map_or(before, |sent| sent.mark.max(before));
        let has = Known { me: replica.actor(), mark: (!full).then_some(mark), peer };
        let right = seen
            .right
            .filter(|_| known.is_none_or(|sent| sent.right != seen.right && !bug::is(Bug::RightUntold)));
        let told = known.map_or(Strategy::default(), |sent| sent.strategy);
        let strategy = (seen.right.is_some() && entity.strategy != told && !bug::is(Bug::StrategyUntold))
            .then_some(entity.strategy);
        let heading = Heading { name: known.is_none(), right, strategy, replace: full };
        out.push(number, entity, heading, &has, &mut round.bodies, &mut self.said.actors);
        let mark = replica.clock().last();
        let sent = Sent {
            birth: entity.birth,
            seq: entity.seq.max(seen.since),
            mark,
            right: seen.right,
            strategy: entity.strategy,
            refused: false,
        };
        place.insert_entry(sent);
        self.summed = None; // it may have been refused before
    }

    /// Returns the place that the peer has reached with what was offered so far.
    fn reached(&self) -> Option<u64> {
        match self.backlog.front().filter(|_| !bug::is(Bug::PlacePastBacklog)) {
            Some(due) if due.full => None,
            Some(due) => Some(due.rank.saturating_sub(1).min(self.position)),
            None => Some(self.position),
        }
    }
}

/// What a peer sees of an entity.
struct Seen {
    right: Option<Right>,
    since: u64,
}

/// Decides whether an entity goes to a peer, and since when.
///
/// A home passes on what belongs to its own space and to the joint one, and its own edits of the
/// peer's documents; never anything of a third home.
fn visible(replica: &Replica, peer: HomeId, joint: bool, entity: &Entity) -> Option<Seen> {
    let me = replica.actor().home;
    match entity.key.space {
        // nothing is known of it, until its owner is heard again
        _ if entity.siblings.is_empty() => None,
        Space::Home(home) if home == me => {
            let admission = replica.admits(peer, entity)?;
            Some(Seen { right: Some(admission.right), since: admission.seq })
        }
        Space::Home(home) if home == peer => {
            let edited = entity.class == Class::Document
                && entity.siblings.iter().any(|version| made_by(version.dot, me));
            edited.then_some(Seen { right: None, since: 0 })
        }
        Space::Home(_) => bug::is(Bug::MirrorExported).then_some(Seen { right: None, since: 0 }),
        Space::Joint => joint.then_some(Seen { right: None, since: 0 }),
    }
}

/// Returns what a peer is told that asked for something which is there no more: it may not know the number.
fn gone(replica: &Replica, number: Number, key: &EntityKey) -> Message {
    Message::Gone(match key.space == Space::Home(replica.actor().home) {
        true => Gone { ids: vec![key.id.to_string()], ..Gone::default() },
        false => Gone { numbers: vec![number], ..Gone::default() },
    })
}

/// Returns this home's entities that a rule made after a place has admitted.
fn newly_granted(replica: &Replica, peer: HomeId, after: u64) -> impl Iterator<Item = Due> {
    let own = replica.table().in_space(Space::Home(replica.actor().home));
    own.filter_map(move |(number, entity)| {
        let admission = replica.admits(peer, entity).filter(|admission| admission.seq > after)?;
        Some(Due { rank: admission.seq, number, full: false })
    })
}
