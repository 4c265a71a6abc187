//! The conversation with one peer, from hello to goodbye.
//!
//! Both sides say hello at once: who they are and how far they have followed the
//! other. What the other lacks follows at once, so catching up takes one round
//! trip. From then on a session is woken, reads the change log from where it
//! stands, and offers the *present* of what has changed: a slow peer costs no
//! memory and a reconnect is nothing special. A reconnect with nothing to catch up
//! is two hellos: each says by a digest what the other should hold.
//!
//! Frames must come from an authenticated peer, in the order in which it sent them,
//! none twice and none left out, until the link ends: that is the channel's promise,
//! and a session does not check it again.
//!
//! Frames go out by [`Session::offer`] and come in by [`Session::receive`]. What
//! a peer may see is decided when bytes are encoded, what it may write when they
//! are merged. A session keeps per shared entity what the peer has of it, and
//! nothing that grows with rates or outages.

use subtle::ConstantTimeEq;

use crate::{
    HomeId, Space,
    bug::{self, Bug},
    defaults::{MAX_ANSWERS, MAX_HELLO, WANTED_AT_ONCE},
    dot::Dot,
    effect::{Effect, Incident},
    epoch::{Cursor, Resume},
    hlc::Hlc,
    intent::{Intent, Outcome, Timing},
    policy::JointPolicy,
    replica::Replica,
    wire::{Ack, Bodies, FrameError, Hello, Message, OFFER, PROTO, Ping, Pong, Reason, Want, open},
};

#[cfg(test)]
mod hostile;
mod incoming;
mod marks;
mod outgoing;

use incoming::Incoming;
use marks::Marks;
use outgoing::Outgoing;

/// The conversation with one peer on one link.
#[derive(Clone, Debug)]
pub struct Session {
    peer: HomeId,
    me: HomeId,
    joint: bool,
    /// The lowest version that this peer may speak.
    proto_low: u16,
    /// What a peer with the same shared key would say.
    proof: Option<[u8; 32]>,
    greeted: Option<Greeting>,
    outgoing: Outgoing,
    incoming: Incoming,
    marks: Marks,
    skew_ms: Option<i64>,
    /// Which policy of the joint space the peer knows from this session.
    policy: Option<Dot>,
    /// A policy from the future, to be taken once its time has come.
    early: Option<JointPolicy>,
}

/// One round of offers, in which nothing changes: what is put together for one peer is there for the next.
#[derive(Debug)]
pub struct Round<'a> {
    replica: &'a Replica,
    bodies: Bodies,
}

impl<'a> Round<'a> {
    /// Begins a round for one peer.
    pub fn alone(replica: &'a Replica) -> Self {
        Self { replica, bodies: Bodies::new(replica.options().seed, false) }
    }

    /// Begins a round for several peers.
    pub fn shared(replica: &'a Replica) -> Self {
        Self { replica, bodies: Bodies::new(replica.options().seed, true) }
    }
}

/// What the peer said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The protocol version that both speak.
    pub proto: u16,
    /// The epoch of its log: random per start.
    pub epoch: u64,
    /// Its name for itself.
    pub name: String,
}

/// How this home introduces itself.
#[derive(Clone, Debug)]
pub struct Introduction<'a> {
    /// The home's name.
    pub name: &'a str,
    /// The lowest protocol version this peer may speak: what it has spoken never falls.
    pub proto_low: u16,
}

impl Session {
    /// Opens the conversation; `joint` says that both homes have proven the same shared key.
    pub fn open(peer: HomeId, joint: bool, me: &Introduction<'_>, replica: &Replica, now_ms: u64) -> Self {
        let mut outgoing = Outgoing::default();
        let hello = Hello {
            proto_low: PROTO.0.max(me.proto_low),
            proto_high: PROTO.1,
            epoch: replica.epochs.present(),
            head: replica.table().head(),
            clock: Hlc::at(now_ms),
            cursor: replica.cursors.get(&peer).cloned().unwrap_or_default(),
            name: me.name.into(),
            digest: Some(outgoing.digest(replica, peer)),
        };
        outgoing.say(Message::Hello(hello));
        Self {
            peer,
            me: replica.actor().home,
            joint,
            proto_low: PROTO.0.max(me.proto_low),
            proof: None,
            greeted: None,
            outgoing,
            incoming: Incoming::new(replica.options().seed),
            marks: Marks::default(),
            skew_ms: None,
            policy: None,
            early: None,
        }
    }

    /// Offers the joint space: says `ours` ahead of the hello, and takes a peer that says `theirs` for a member.
    pub fn prove(&mut self, ours: [u8; 32], theirs: [u8; 32]) {
        self.outgoing.say_first(Message::Proof(ours));
        self.proof = Some(theirs);
    }

    /// Returns the next frame to send, or nothing while there is nothing to say.
    pub fn offer(&mut self, replica: &Replica) -> Option<Vec<u8>> {
        self.offer_in(&mut Round::alone(replica))
    }

    /// Returns the next frame to send, as one of several peers that hear the same.
    pub fn offer_in(&mut self, round: &mut Round<'_>) -> Option<Vec<u8>> {
        let replica = round.replica;
        // rules first: no offer may pass the place of a withdrawal that was not said
        if !bug::is(Bug::RulesWait) && !bug::is(Bug::FilterAtEnqueue) {
            self.regrant(replica);
        }
        self.say_policy(replica);
        if let Some(message) = self.outgoing.next_message(self.greeted.is_some()) {
            return Some(message.encode());
        }
        self.greeted.as_ref()?;
        self.outgoing.offer(round, self.peer, self.joint).or_else(|| self.say_marks(replica))
    }

    /// Takes in a frame from the peer.
    ///
    /// # Errors
    ///
    /// The session is over: the frame was malformed, came out of turn, or said goodbye.
    pub fn receive(
        &mut self,
        replica: &mut Replica,
        frame: &[u8],
        now_ms: u64,
    ) -> Result<Vec<Effect>, SessionError> {
        let (kind, _) = open(frame)?;
        if self.greeted.is_none() {
            return match Message::decode(frame)? {
                Message::Hello(_) if frame.len() > MAX_HELLO => {
                    Err(SessionError::Frame(FrameError::TooLong(frame.len())))
                }
                Message::Hello(hello) => self.greet(replica, hello, now_ms),
                Message::Bye(reason) => Err(SessionError::Bye(reason)),
                Message::Proof(proof) => {
                    self.joint |= self.proof.is_some_and(|expected| bool::from(expected.ct_eq(&proof)));
                    Ok(Vec::new())
                }
                _ => Err(SessionError::Frame(FrameError::Kind)),
            };
        }
        if self.outgoing.waiting() >= 8 * MAX_ANSWERS {
            return Err(SessionError::Unread);
        }
        let mut effects = if kind == OFFER {
            let taken = self.incoming.take(frame, replica, (self.peer, self.me, self.joint), now_ms)?;
            taken.replies.into_iter().for_each(|message| self.outgoing.say(message));
            taken.effects
        } else {
            match Message::decode_known(frame)? {
                Some(message) => self.hear(replica, message, now_ms)?,
                None => return Ok(Vec::new()),
            }
        };
        effects.extend(self.marks_reached());
        Ok(effects)
    }

    /// Tells the peer that what it sent is durable here.
    pub fn committed(&mut self, replica: &Replica) {
        if let Some(cursor) = replica.cursors.get(&self.peer) {
            self.stored(cursor);
        }
    }

    /// Tells the peer that what it sent is durable here up to where this cursor stood.
    pub fn stored(&mut self, cursor: &Cursor) {
        if let Some(seq) = self.incoming.acknowledge(cursor) {
            self.outgoing.say(Message::Ack(Ack { seq }));
        }
    }

    /// Asks for a sign of life, and asks again for what was refused while the clocks disagreed.
    pub fn beat(&mut self, replica: &Replica, nonce: u64, now_ms: u64) {
        if self.greeted.is_none() {
            return;
        }
        let caught_up = self.outgoing.caught_up(replica);
        let digest = caught_up.then(|| self.outgoing.digest(replica, self.peer));
        let joint = (caught_up && self.joint).then(|| replica.digest_of(Space::Joint));
        self.outgoing.say(Message::Ping(Ping { nonce, clock: Hlc::at(now_ms), digest, joint }));
        if let Some(want) = self.incoming.ask_again() {
            self.outgoing.say(Message::Want(want));
        }
    }

    /// Sets a mark: [`Effect::Marked`] follows once both sides hold what they hold now.
    pub fn mark(&mut self) -> u64 {
        self.marks.set()
    }

    /// Sends a command to a device of the peer.
    pub fn command(&mut self, intent: Box<Intent>, timing: Timing) {
        self.outgoing.say(Message::Intent(intent, timing));
    }

    /// Tells the peer what became of its command.
    pub fn answer(&mut self, outcome: Outcome) {
        self.outgoing.say(Message::Outcome(outcome));
    }

    /// Tells the peer that this home's key is replaced.
    pub fn rotate(&mut self, statement: Vec<u8>) {
        self.outgoing.say(Message::Rotation(statement));
    }

    /// Says goodbye; nothing is offered after it.
    pub fn close(&mut self, reason: Reason) {
        self.outgoing.close(reason);
    }

    /// Queues what rules have changed for the peer; [`Session::offer`] does so by itself.
    pub fn regrant(&mut self, replica: &Replica) {
        if self.greeted.is_some() {
            self.outgoing.regrant(replica, self.peer);
        }
    }

    /// Returns what the peer said of itself, once it has.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeted.as_ref()
    }

    /// Tells whether the peer has proven the shared key.
    pub fn joint(&self) -> bool {
        self.joint
    }

    /// Tells whether so many answers wait to be sent that the link should not be read for a while.
    pub fn is_congested(&self) -> bool {
        self.outgoing.waiting() >= MAX_ANSWERS
    }

    /// Tells whether nothing waits to be sent and the peer has said how far it got.
    pub fn in_sync(&self, replica: &Replica) -> bool {
        self.greeted.is_some() && self.outgoing.caught_up(replica) && self.incoming.caught_up()
    }

    /// Returns how many of this home's changes the peer has not made durable yet, counted in places of the log.
    pub fn lag(&self, replica: &Replica) -> u64 {
        self.outgoing.lag(replica)
    }

    /// Returns how far the peer's clock is ahead of this home's, as last seen.
    pub fn skew_ms(&self) -> Option<i64> {
        self.skew_ms
    }

    /// Returns how many items the session remembers: bounded by what is shared, whatever comes and however fast.
    #[cfg(feature = "sim")]
    pub fn weight(&self) -> usize {
        self.outgoing.weight() + self.incoming.weight()
    }

    fn say_marks(&mut self, replica: &Replica) -> Option<Vec<u8>> {
        let all_is_said = self.outgoing.caught_up(replica) && !self.outgoing.closed();
        let message = all_is_said.then(|| self.marks.next(self.incoming.waits())).flatten();
        message.map(|message| message.encode())
    }

    fn marks_reached(&mut self) -> Option<Effect> {
        let number = self.marks.reached(self.incoming.waits())?;
        Some(Effect::Marked { peer: self.peer, number })
    }

    /// Tells a member of the joint space which policy holds there, unless it said so itself.
    fn say_policy(&mut self, replica: &Replica) {
        let Some(joint) = replica.joint_policy().filter(|_| self.joint && self.greeted.is_some()) else {
            return;
        };
        if self.policy != Some(joint.dot) {
            self.policy = Some(joint.dot);
            self.outgoing.say(Message::Policy(joint.clone()));
        }
    }

    /// Takes the joint space's policy from the peer, or keeps it until its time has come.
    fn take_policy(&mut self, replica: &mut Replica, policy: JointPolicy, now_ms: u64) -> Vec<Effect> {
        match replica.adopt_joint_policy(&policy, now_ms) {
            Ok(effects) => effects,
            Err(_) => {
                self.early = Some(policy);
                vec![Effect::Report { peer: self.peer, incident: Incident::ClockSkew }]
            }
        }
    }

    /// Asks for entities of the peer's space in full, a bounded number at a time.
    fn ask_for(&mut self, ids: Vec<String>, after: Option<u64>) {
        self.incoming.ask(&ids);
        for chunk in ids.chunks(WANTED_AT_ONCE) {
            self.outgoing.say(Message::Want(Want { ids: chunk.to_vec(), ..Want::default() }));
        }
        if after.is_some() {
            self.outgoing.say(Message::Want(Want { after, ..Want::default() }));
        }
    }

    fn greet(
        &mut self,
        replica: &mut Replica,
        hello: Hello,
        now_ms: u64,
    ) -> Result<Vec<Effect>, SessionError> {
        let proto = hello.proto_high.min(PROTO.1);
        if proto < hello.proto_low || proto < self.proto_low {
            self.close(Reason::Version);
            return Err(SessionError::Version(hello.proto_low, hello.proto_high));
        }
        self.skew_ms = Some(hello.clock.ms() as i64 - now_ms as i64);
        let mut effects = replica.compare_clocks(hello.clock, now_ms);
        let mut resume = replica.epochs.resume(&hello.cursor, replica.table().head());
        if let Resume::From(seq) = resume {
            replica.prove(self.peer, seq);
        } else {
            effects.push(Effect::Report { peer: self.peer, incident: Incident::Fork });
            effects.extend(replica.reincarnate(now_ms));
            incoming::order(&mut effects);
        }
        let unknown = !replica.cursors.contains_key(&self.peer) && !bug::is(Bug::PairingForgotten);
        if unknown && !hello.cursor.trail.is_empty() {
            // the peer remembers a pairing that this home has forgotten, and all that it saw then
            resume = Resume::Fork(0);
        }
        self.outgoing.resume(replica, self.peer, self.joint, &hello.cursor, resume);
        replica.unsettle(self.peer, self.outgoing.durable());
        self.incoming.open(&hello, replica, self.peer, self.joint);
        self.greeted = Some(Greeting { proto, epoch: hello.epoch, name: hello.name });
        Ok(effects)
    }

    fn hear(
        &mut self,
        replica: &mut Replica,
        message: Message,
        now_ms: u64,
    ) -> Result<Vec<Effect>, SessionError> {
        let peer = self.peer;
        match message {
            Message::Want(want) => self.outgoing.resend(replica, (peer, self.joint), &want, now_ms),
            Message::Ack(ack) => {
                self.outgoing.acknowledged(ack.seq, replica);
                replica.acknowledge(peer, ack.seq);
            }
            Message::Ping(ping) => {
                self.skew_ms = Some(ping.clock.ms() as i64 - now_ms as i64);
                let mut effects = replica.compare_clocks(ping.clock, now_ms);
                self.outgoing.say(Message::Pong(Pong { nonce: ping.nonce, clock: Hlc::at(now_ms) }));
                if self.incoming.diverged(&ping, replica, peer, now_ms) {
                    let after = (!bug::is(Bug::JointUnasked)).then_some(0);
                    self.ask_for(incoming::held_after(replica, peer, 0), after);
                    effects.push(Effect::Report { peer, incident: Incident::Diverged });
                }
                if ping.digest.is_some() && self.incoming.agrees() {
                    // it has offered all, so what it wrote before it had our changes is here, and took what we wrote
                    replica.settle(peer, self.outgoing.durable());
                }
                if let Some(early) = self.early.take() {
                    effects.extend(self.take_policy(replica, early, now_ms));
                    incoming::order(&mut effects);
                }
                effects.push(Effect::Pinged { peer, nonce: ping.nonce });
                return Ok(effects);
            }
            Message::Pong(pong) => return Ok(vec![Effect::Echo { peer, nonce: pong.nonce }]),
            Message::Refused(refused) => {
                let (mut effects, again) = self.outgoing.refused(replica, peer, refused);
                self.ask_for(again, None);
                effects.extend(replica.compare_clocks(refused.clock, now_ms));
                incoming::order(&mut effects);
                return Ok(effects);
            }
            Message::Intent(intent, timing) => return Ok(vec![Effect::Perform { peer, intent, timing }]),
            Message::Outcome(outcome) => return Ok(vec![Effect::Settled { peer, outcome }]),
            Message::Rotation(statement) => return Ok(vec![Effect::Rotated { peer, statement }]),
            Message::Gone(gone) => return self.incoming.withdraw(replica, peer, &gone),
            Message::Forked(_) if bug::is(Bug::ForkForgiven) => {}
            Message::Forked(fork) => {
                self.incoming.forked();
                self.ask_for(incoming::held_after(replica, peer, fork.seq), None);
                // from the very beginning: a pairing that the peer had forgotten
                let went_back = Effect::Report { peer, incident: Incident::WentBack };
                return Ok((fork.seq > 0).then_some(went_back).into_iter().collect());
            }
            Message::Policy(policy) if self.joint => {
                let dot = policy.dot;
                let effects = self.take_policy(replica, policy, now_ms);
                let refused = self.early.as_ref().is_some_and(|early| early.dot == dot);
                // a peer with a policy from the future takes no other: ours is said once, and again under a new name
                self.policy = if refused { self.policy } else { Some(dot) };
                return Ok(effects);
            }
            Message::Policy(_) => return Ok(vec![Effect::Report { peer, incident: Incident::Forbidden }]),
            Message::Mark(number) => self.marks.owe(number),
            Message::Marked(number) => self.marks.answer(number),
            Message::Bye(reason) => return Err(SessionError::Bye(reason)),
            Message::Hello(_) | Message::Proof(_) => return Err(SessionError::Frame(FrameError::Kind)),
        }
        Ok(Vec::new())
    }
}

/// Tells whether a change was made by a home, in whatever incarnation.
fn made_by(dot: Dot, home: HomeId) -> bool {
    dot.actor.home == home
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer sent what no home sends.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Both speak different protocols.
    #[error("the peer speaks protocol {0} to {1}, this home {low} to {high}", low = PROTO.0, high = PROTO.1)]
    Version(u16, u16),
    /// The peer's clock or log moved further in one step than it can.
    #[error("the peer's log jumped by more than a session can hold")]
    Jump,
    /// The peer asks on and on and does not read the answers.
    #[error("the peer does not read what it asked for")]
    Unread,
    /// The peer said goodbye.
    #[error("the peer said goodbye: {0:?}")]
    Bye(Reason),
}
