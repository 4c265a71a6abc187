//! Two running homes with one key: a stolen or copied disk, or a backup restored while its home still runs (T33).
//!
//! Every start of a home has an epoch of its own, which its hello says. A home that was restarted never comes back as
//! an earlier start, so two epochs that take turns are two homes. But messages of a dead process may be late, and
//! connections outlive it. Therefore a start counts only when it has *answered a ping*, and only this is a proof:
//! start A answered, then B did, then A answered a ping that was sent after B's answer. Between its two
//! answers A was alive, and within that time B was, whatever the network did meanwhile. A home that restarts, however
//! often and quickly, cannot give that proof, for its earlier start is dead.
//!
//! A link whose place another start takes is therefore kept for a moment and asked again once the newcomer has
//! answered; and a start that comes back later is asked at once. A peer that is proven to run twice is shut out, both
//! of it, until a person unpairs it or pairs it anew.

use std::{collections::VecDeque, time::Instant};

use crosshome_core::{
    HomeId,
    effect::{Durability, Effect},
    replica::Replica,
    session::{Introduction, Session},
    wire::Reason,
};

use super::{
    Loop,
    link::Link,
    now_ms,
    peers::{CLONED_REASON, Peer},
};
use crate::{
    channel::{Frame, Secured},
    defaults::{CLONED, RIVAL_TIME, STARTS_KEPT},
    store::{Batch, MemoKey},
    views::Stamp,
};

/// The starts of a peer that have answered, the present one and those whose place it has taken.
#[derive(Debug, Default)]
pub(super) struct Starts {
    present: Option<u64>,
    past: VecDeque<u64>,
}

impl Starts {
    /// Tells whether a start is the one that has answered last.
    pub(super) fn is_present(&self, epoch: u64) -> bool {
        self.present == Some(epoch)
    }

    /// Takes note that a start has answered a ping, sent after the last answer of the present one; tells whether
    /// that proves two homes.
    fn answered(&mut self, epoch: u64) -> bool {
        if self.past.contains(&epoch) {
            return true;
        }
        if let Some(before) = self.present.replace(epoch).filter(|before| *before != epoch) {
            self.past.push_back(before);
            let surplus = self.past.len().saturating_sub(STARTS_KEPT);
            self.past.drain(..surplus);
        }
        false
    }
}

/// A link whose place another start of the peer has taken.
pub(super) struct Rival {
    link: Link,
    since: Instant,
    /// Whether it was asked since the newcomer has answered.
    asked: bool,
}

impl Rival {
    fn ask(&mut self, replica: &Replica, now_ms: u64) {
        self.link.ping(replica, now_ms);
        self.link.last_words(replica);
        self.asked = true;
    }
}

impl Peer {
    /// Keeps a link that has lost its place, if its start has answered before.
    pub(super) fn keep_as_rival(&mut self, link: Link) {
        let epoch = link.session.greeting().map(|greeting| greeting.epoch);
        if epoch.is_some_and(|epoch| self.starts.is_present(epoch)) {
            self.rival = Some(Rival { link, since: Instant::now(), asked: false });
        }
    }

    /// Forgets a rival that is no other start, has ended, or had its time.
    fn drop_rival(&mut self, wanted: impl FnOnce(&Rival) -> bool) {
        self.rival.take_if(|rival| wanted(rival));
    }
}

impl Loop {
    /// Asks a start of the peer that has not answered yet whether it lives.
    pub(super) fn meet_start(&mut self, id: HomeId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(link) = &mut peer.link else { return };
        let Some(epoch) = link.session.greeting().map(|greeting| greeting.epoch) else { return };
        if !peer.starts.is_present(epoch) {
            self.commands.pings(id, link.ping(&self.replica, now_ms()));
        }
        peer.drop_rival(|rival| {
            rival.link.session.greeting().is_some_and(|greeting| greeting.epoch == epoch)
        });
    }

    /// Takes note that the peer has answered a ping on its link, and has the start before it asked as well.
    pub(super) fn start_answered(&mut self, id: HomeId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let greeting = peer.link.as_ref().and_then(|link| link.session.greeting());
        let Some(epoch) = greeting.map(|greeting| greeting.epoch) else { return };
        if peer.starts.answered(epoch) {
            return self.shut_out(id);
        }
        if let Some(rival) = peer.rival.as_mut().filter(|rival| !rival.asked) {
            rival.ask(&self.replica, now_ms());
        }
    }

    /// Takes in what comes from a start whose place another one has taken.
    pub(super) fn hear_rival(&mut self, id: HomeId, number: u64, frames: &[Frame]) {
        let now = now_ms();
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(rival) = peer.rival.as_mut().filter(|rival| rival.link.number == number) else { return };
        for frame in frames {
            let Ok(effects) = rival.link.session.receive(&mut self.replica, frame, now) else {
                peer.rival = None;
                return;
            };
            let answered = rival.asked && effects.iter().any(|effect| rival.link.is_answer(effect));
            // commands count from what was said on the present link
            let foreign = |effect: &Effect| matches!(effect, Effect::Perform { .. } | Effect::Pinged { .. });
            self.effects.extend(effects.into_iter().filter(|effect| !foreign(effect)));
            let epoch = rival.link.session.greeting().map(|greeting| greeting.epoch);
            if answered && epoch.is_some_and(|epoch| peer.starts.answered(epoch)) {
                return self.shut_out(id);
            }
        }
    }

    /// Forgets a rival whose link has ended.
    pub(super) fn rival_lost(&mut self, id: HomeId, number: u64) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.drop_rival(|rival| rival.link.number == number);
        }
    }

    /// Forgets rivals that have not answered: they are dead, as usual.
    pub(super) fn drop_dead_rivals(&mut self) {
        for (_, peer) in self.peers.paired_mut() {
            peer.drop_rival(|rival| rival.since.elapsed() >= RIVAL_TIME);
        }
    }

    /// Shuts out a peer that runs twice, says so to both, and remembers it.
    fn shut_out(&mut self, id: HomeId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let now = Stamp::now();
        tracing::error!(
            event = "home_cloned", peer = %id.short(), name = peer.name(),
            "two running homes have this peer's key: both are shut out until a person unpairs it or pairs it anew"
        );
        (peer.cloned, peer.reason) = (Some(now), Some(CLONED_REASON.into()));
        if let Some(Rival { mut link, .. }) = peer.rival.take() {
            link.session.close(Reason::Cloned);
            link.last_words(&self.replica);
        }
        self.drop_link(id, Reason::Cloned);
        self.commands.peer_lost(id);
        self.note_cloned(id, Some(now));
        self.tell_peer(id);
    }

    /// Says goodbye to a home that is shut out.
    pub(super) fn turn_away(&mut self, id: HomeId, secured: Secured, dialed: bool, reason: Reason) {
        let Some(peer) = self.peers.get(id) else { return };
        let introduction = Introduction { name: &self.me.name, proto_low: peer.row.proto_low };
        let mut session = Session::open(id, false, &introduction, &self.replica, now_ms());
        session.close(reason);
        let number = self.peers.next_link();
        Link::new(number, (id, session), secured, dialed, None, &self.post).last_words(&self.replica);
    }

    /// Takes note that a peer sees two homes with this home's key.
    pub(super) fn accused(&mut self, id: HomeId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.accuses.replace(Stamp::now()).is_none() {
            tracing::error!(
                event = "home_cloned", peer = %id.short(), name = peer.name(),
                "the peer sees another running home with this home's key: stop that one, and pair this one anew"
            );
        }
    }

    /// Trusts a peer again that was shut out: a person has decided so.
    pub(super) fn forgive(&mut self, id: HomeId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        (peer.starts, peer.rival) = Default::default();
        if peer.cloned.take().is_some() {
            self.note_cloned(id, None);
        }
    }

    fn note_cloned(&mut self, id: HomeId, since: Option<Stamp>) {
        let key = MemoKey { kind: CLONED.into(), name: id.to_string() };
        self.keeper
            .note(Batch { memos: vec![(key, since.map(|since| since.to_string()))], ..Batch::default() });
        self.effects.push(Effect::Commit(Durability::Now));
    }
}

/// Returns the peers that were shut out, and since when.
pub(crate) fn shut_out(memos: &[(MemoKey, String)]) -> Vec<(HomeId, Stamp)> {
    let ours = memos.iter().filter(|(key, _)| key.kind == CLONED);
    ours.filter_map(|(key, since)| Some((key.name.parse().ok()?, since.parse().unwrap_or(Stamp(0)))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether the last of these answers proves two homes.
    fn proves(answers: &[u64]) -> bool {
        let mut starts = Starts::default();
        answers.iter().fold(false, |_, epoch| starts.answered(*epoch))
    }

    #[test]
    fn start_that_comes_back_after_another_one_proves_two_homes() {
        assert!(proves(&[1, 2, 1]));
        assert!(proves(&[1, 2, 3, 2]));
    }

    #[test]
    fn restarts_prove_nothing_however_many_they_are() {
        assert!(!proves(&[1]));
        assert!(!proves(&[1, 1, 1, 2, 2]));
        assert!(!proves(&(0..1000).collect::<Vec<_>>()));
    }

    #[test]
    fn starts_remembered_are_few() {
        let mut starts = Starts::default();
        assert!((0..10_000).all(|epoch| !starts.answered(epoch)));
        assert_eq!(starts.past.len(), STARTS_KEPT);
    }

    #[test]
    fn who_is_shut_out_is_read_back_and_other_memos_are_not() {
        let memo =
            |kind: &str, name: String, text: &str| (MemoKey { kind: kind.into(), name }, text.to_owned());
        let peer = HomeId([7; 32]);
        let memos = [
            memo(CLONED, peer.to_string(), "2026-11-24T09:05:14.508Z"),
            memo(CLONED, "nobody".into(), ""),
            memo("conflict", peer.to_string(), ""),
        ];
        assert_eq!(shut_out(&memos), [(peer, "2026-11-24T09:05:14.508Z".parse().expect("a time"))]);
    }
}
