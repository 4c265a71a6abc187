//! What comes from the peer: offers are completed, merged, and counted into the cursor.

use std::collections::{BTreeSet, HashMap};

use crate::{
    EntityId, EntityKey, HomeId, Space,
    bug::{self, Bug},
    defaults::{MAX_JUMP, RESYNC_PAUSE_MS, WANTED_AT_ONCE},
    digest::Digest,
    effect::{Durability, Effect, Incident},
    epoch::Cursor,
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    replica::{Offered, Refusal, Replica},
    seed::Seed,
    siblings::Siblings,
    table::Class,
    wire::{Draft, FrameError, Gone, Hello, Item, Message, Offer, Ping, Refused, Said, Want, Why},
};

use super::SessionError;

/// What comes from the peer.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    epoch: u64,
    head: u64,
    /// What the peer has said so far.
    said: Said,
    names: HashMap<u32, Named, Seed>,
    /// Whether the peer has named more than it may, and what followed was refused.
    crowded: bool,
    /// The place in the peer's log that holds once nothing is awaited.
    reached: Option<(u64, bool)>,
    latest: Hlc,
    /// Numbers that were asked for in full.
    awaited: BTreeSet<u32>,
    /// Ids of the peer's space that were asked for in full.
    asked: BTreeSet<EntityId>,
    /// Numbers refused because of their stamps.
    skewed: BTreeSet<u32>,
    ended: bool,
    acknowledged: u64,
    /// Up to where all of the peer's log had come when the session began; nothing once the log is another one.
    base: Option<u64>,
    mismatch: Option<(Digest, Digest)>,
    /// The latest digest of what this home holds of the peer's space, and the state of the table that it is of.
    summed: Option<(u64, Digest)>,
    resynced_ms: Option<u64>,
}

/// What a number of the peer stands for.
#[derive(Clone, Debug)]
struct Named {
    key: EntityKey,
    class: Class,
    right: Option<Right>,
    strategy: Strategy,
}

/// What an offer leads to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) effects: Vec<Effect>,
    pub(super) replies: Vec<Message>,
}

impl Incoming {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            epoch: 0,
            head: 0,
            said: Said::default(),
            names: HashMap::with_hasher(seed),
            crowded: false,
            reached: None,
            latest: Hlc::default(),
            awaited: BTreeSet::new(),
            asked: BTreeSet::new(),
            skewed: BTreeSet::new(),
            ended: false,
            acknowledged: 0,
            base: None,
            mismatch: None,
            summed: None,
            resynced_ms: None,
        }
    }

    /// Begins where the peer's log stands; a digest like ours says that there is nothing to wait for.
    ///
    /// Of the joint space the hello says nothing, for it comes before the proofs.
    pub(super) fn open(&mut self, hello: &Hello, replica: &Replica, peer: HomeId, joint: bool) {
        (self.epoch, self.head) = (hello.epoch, hello.head);
        self.base = Some(replica.cursors.get(&peer).map_or(0, Cursor::seq));
        self.mismatch = self.mismatch_of(hello.digest, replica, peer);
        self.ended = hello.digest.is_some() && self.mismatch.is_none() && !joint;
    }

    /// Takes in an offer.
    pub(super) fn take(
        &mut self,
        frame: &[u8],
        replica: &mut Replica,
        (peer, me, joint): (HomeId, HomeId, bool),
        now_ms: u64,
    ) -> Result<Taken, SessionError> {
        let offer = Offer::decode(frame, peer, me, &mut self.said)?;
        let mut taken = Taken::default();
        let mut want = Want::default();
        let sent_at = offer.seq.map_or(u64::MAX, |seq| seq.max(offer.place));
        for item in offer.items {
            let number = item.number;
            let Some(named) = self.name(&item, replica)? else {
                self.refuse(Refusal::Quota, (number, Hlc::default()), peer, now_ms, &mut taken);
                continue;
            };
            if named.key.space == Space::Joint && !joint {
                self.refuse(Refusal::Forbidden, (number, Hlc::default()), peer, now_ms, &mut taken);
                continue;
            }
            match complete(item.drafts, replica, &named.key) {
                None if bug::is(Bug::IncompleteDropped) => {}
                None => want.numbers.push(number),
                Some(versions) => {
                    self.awaited.remove(&number);
                    self.skewed.remove(&number);
                    if item.replace && named.key.space == Space::Home(peer) {
                        self.asked.remove(&named.key.id);
                    }
                    let Named { key, class, right, strategy } = named;
                    let theirs =
                        versions.iter().map(|version| version.dot).filter(|dot| dot.actor.home == peer);
                    let up_to = theirs.map(|dot| dot.hlc).max().unwrap_or_default();
                    let offered =
                        Offered { key, class, versions, sent_at, right, strategy, replace: item.replace };
                    match replica.merge(peer, offered, now_ms) {
                        Ok(effects) => taken.effects.extend(effects),
                        Err(refusal) => self.refuse(refusal, (number, up_to), peer, now_ms, &mut taken),
                    }
                }
            }
        }
        self.awaited.extend(want.numbers.iter().copied());
        let wants = want.numbers.chunks(WANTED_AT_ONCE);
        taken.replies.extend(
            wants.map(|numbers| Message::Want(Want { numbers: numbers.to_vec(), ..Want::default() })),
        );
        if replica.clock().admits(offer.clock, now_ms).is_ok() {
            self.latest = offer.clock;
        }
        self.reached = offer.seq.map(|seq| (seq, offer.end)).or(self.reached);
        self.ended = offer.end;
        self.follow(replica, peer, &mut taken.effects)?;
        self.glimpse(replica, peer, offer.seq.map_or(offer.place, |seq| seq.max(offer.place)));
        order(&mut taken.effects);
        Ok(taken)
    }

    /// Forgets what the peer has withdrawn.
    pub(super) fn withdraw(
        &mut self,
        replica: &mut Replica,
        peer: HomeId,
        gone: &Gone,
    ) -> Result<Vec<Effect>, SessionError> {
        let ids: BTreeSet<EntityId> = gone.ids.iter().filter_map(|id| id.parse().ok()).collect();
        let mut effects: Vec<_> = ids.iter().flat_map(|id| replica.withdraw(peer, id)).collect();
        self.asked.retain(|id| !ids.contains(id));
        let withdrawn = |named: &Named| named.key.space == Space::Home(peer) && ids.contains(&named.key.id);
        for waiting in [&mut self.awaited, &mut self.skewed] {
            waiting.retain(|number| {
                !gone.numbers.contains(number) && !self.names.get(number).is_some_and(withdrawn)
            });
        }
        self.follow(replica, peer, &mut effects)?;
        order(&mut effects);
        Ok(effects)
    }

    /// Takes note of ids that the peer is asked for; its place does not count before it has answered.
    pub(super) fn ask(&mut self, ids: &[String]) {
        self.asked.extend(ids.iter().filter_map(|id| id.parse().ok()));
    }

    /// Returns the place to acknowledge, if it is a new one of the log that the peer has now.
    pub(super) fn acknowledge(&mut self, cursor: &Cursor) -> Option<u64> {
        let (&(epoch, _), seq) = (cursor.trail.last()?, cursor.seq());
        let news = epoch == self.epoch && seq != self.acknowledged;
        news.then(|| {
            self.acknowledged = seq;
            seq
        })
    }

    /// Returns what to ask for again because its stamps were from the future, a bounded number at a time.
    pub(super) fn ask_again(&self) -> Option<Want> {
        let numbers: Vec<_> = self.skewed.iter().copied().take(WANTED_AT_ONCE).collect();
        (!numbers.is_empty()).then(|| Want { numbers, ..Want::default() })
    }

    /// Tells whether both sides, at rest, hold different things: the same mismatch twice running, in hello or ping.
    pub(super) fn diverged(&mut self, ping: &Ping, replica: &Replica, peer: HomeId, now_ms: u64) -> bool {
        let pair = |theirs: Option<Digest>, space| theirs.map(|theirs| (theirs, replica.digest_of(space)));
        let own = self.mismatch_of(ping.digest, replica, peer);
        let now = own.or_else(|| pair(ping.joint, Space::Joint).filter(|(theirs, ours)| theirs != ours));
        let again = now.is_some() && now == self.mismatch && !self.waits();
        self.mismatch = now;
        let rested = self.resynced_ms.is_none_or(|at| now_ms.saturating_sub(at) >= RESYNC_PAUSE_MS);
        if again && rested {
            self.resynced_ms = Some(now_ms);
        }
        again && rested && !bug::is(Bug::DigestUnread)
    }

    /// Returns both digests of the peer's space if they differ.
    fn mismatch_of(
        &mut self,
        theirs: Option<Digest>,
        replica: &Replica,
        peer: HomeId,
    ) -> Option<(Digest, Digest)> {
        theirs.map(|theirs| (theirs, self.held(replica, peer))).filter(|(theirs, ours)| theirs != ours)
    }

    /// Returns the digest of what this home holds of the peer's space; at rest nothing is summed again.
    fn held(&mut self, replica: &Replica, peer: HomeId) -> Digest {
        let at = replica.table().changes();
        match self.summed {
            Some((summed_at, digest)) if summed_at == at => digest,
            _ => self.summed.insert((at, replica.digest_of(Space::Home(peer)))).1,
        }
    }

    /// Tells whether the peer has said that it has nothing more, and nothing is awaited.
    pub(super) fn caught_up(&self) -> bool {
        self.ended && !self.waits()
    }

    /// Tells whether all has come that was offered, and the peer's latest digests were those of what is held of it.
    pub(super) fn agrees(&self) -> bool {
        self.mismatch.is_none() && !self.waits()
    }

    /// Tells whether something that the peer's place stands for has not arrived yet.
    pub(super) fn waits(&self) -> bool {
        !(self.awaited.is_empty() && self.skewed.is_empty() && self.asked.is_empty())
    }

    #[cfg(feature = "sim")]
    pub(super) fn weight(&self) -> usize {
        self.names.len() + self.awaited.len() + self.skewed.len() + self.asked.len()
    }

    /// Returns what an item's number stands for; nothing when the peer has named more than it may.
    fn name(&mut self, item: &Item, replica: &Replica) -> Result<Option<Named>, FrameError> {
        if let Some((space, id)) = &item.name {
            let own = replica.table().len(Space::Home(replica.actor().home));
            if self.names.len() >= own + 2 * replica.options().quota && !self.names.contains_key(&item.number)
            {
                self.crowded = true;
                return Ok(None);
            }
            let key = EntityKey { space: *space, id: id.clone() };
            let strategy = item.strategy.unwrap_or_default();
            self.names.insert(item.number, Named { key, class: item.class, right: item.right, strategy });
        }
        match self.names.get_mut(&item.number) {
            Some(named) => {
                named.right = item.right.or(named.right);
                named.strategy = item.strategy.unwrap_or(named.strategy);
                Ok(Some(named.clone()))
            }
            None if self.crowded => Ok(None),
            None => Err(FrameError::Kind),
        }
    }

    fn refuse(
        &mut self,
        refusal: Refusal,
        (number, up_to): (u32, Hlc),
        peer: HomeId,
        now_ms: u64,
        taken: &mut Taken,
    ) {
        let (why, incident) = match refusal {
            Refusal::Forbidden => (Why::Forbidden, Incident::Forbidden),
            Refusal::Quota => (Why::Quota, Incident::Quota),
            Refusal::Skew(_) => (Why::Skew, Incident::ClockSkew),
        };
        if why == Why::Skew && !bug::is(Bug::SkewForgotten) {
            self.skewed.insert(number);
        }
        let clock = Hlc::at(now_ms);
        taken.replies.push(Message::Refused(Refused { number, why, clock, up_to }));
        taken.effects.push(Effect::Report { peer, incident });
    }

    /// Takes note that the peer's log is not the one that has been followed: its epoch counts once all is repaired.
    pub(super) fn forked(&mut self) {
        self.base = None;
    }

    /// Takes note of how far the peer's log went that something has come of, whatever is awaited.
    fn glimpse(&self, replica: &mut Replica, peer: HomeId, seen: u64) {
        let cursor = replica.cursors.entry(peer).or_default();
        let here = cursor.trail.last().filter(|last| last.0 == self.epoch).map(|_| cursor.seq());
        if let Some(base) = here.or(self.base).filter(|_| seen <= self.head.saturating_add(MAX_JUMP)) {
            cursor.glimpse(self.epoch, base, seen);
        }
    }

    /// Moves the cursor, unless something up to there is still awaited.
    fn follow(
        &mut self,
        replica: &mut Replica,
        peer: HomeId,
        effects: &mut Vec<Effect>,
    ) -> Result<(), SessionError> {
        let cursor = replica.cursors.entry(peer).or_default();
        cursor.latest = cursor.latest.max(self.latest);
        let waits = self.waits() && !bug::is(Bug::CursorBeforeData);
        let Some((seq, end)) = self.reached.take_if(|_| !waits) else {
            return Ok(());
        };
        let known = cursor.trail.last().is_some_and(|last| last.0 == self.epoch);
        let last = if known { cursor.seq() } else { self.head };
        if seq > last.saturating_add(MAX_JUMP) {
            return Err(SessionError::Jump);
        }
        let mark = if end { self.latest } else { cursor.mark };
        cursor.advance(self.epoch, seq, mark);
        effects.push(Effect::Commit(Durability::Lazy));
        Ok(())
    }
}

/// Returns the ids of a peer's entities that this home holds and that the peer sent after a place in its log.
pub(super) fn held_after(replica: &Replica, peer: HomeId, seq: u64) -> Vec<String> {
    let held =
        replica.table().in_space(Space::Home(peer)).filter(|(_, entity)| seq == 0 || entity.sent_at > seq);
    held.map(|(_, entity)| entity.key.id.to_string()).collect()
}

/// Completes all versions of an item, or none.
fn complete(drafts: Vec<Draft>, replica: &Replica, key: &EntityKey) -> Option<Siblings> {
    let partial = drafts.iter().any(|draft| draft.rest.is_some());
    let known =
        partial.then(|| replica.find(key)).flatten().map(|entity| &entity.siblings[..]).unwrap_or_default();
    drafts.into_iter().map(|draft| draft.complete(known)).collect()
}

/// Puts one commit, as urgent as the most urgent, in front.
pub(super) fn order(effects: &mut Vec<Effect>) {
    let commits = effects.iter().filter_map(|effect| match effect {
        Effect::Commit(durability) => Some(*durability),
        _ => None,
    });
    let Some(most) = commits.max().filter(|_| !bug::is(Bug::CommitLast)) else { return };
    effects.retain(|effect| !matches!(effect, Effect::Commit(_)));
    effects.insert(0, Effect::Commit(most));
}
