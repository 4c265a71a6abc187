//! The two sides of a pairing as state machines: bytes in, bytes out.
//!
//! A machine is good for one conversation. Whatever goes wrong ends it for ever, so a peer
//! that sends twice, late or out of turn gains nothing. After an error send
//! [`REFUSAL`](super::REFUSAL), unless that is what was received, and close.

use std::{fmt, mem};

use zeroize::Zeroizing;

use super::{
    Binding, Introduction, Method, PairSecret, PairingError, ProtocolRange, Role, Secret, Windows, Words,
    binding::Keys,
    message::Message,
    spake2::{Agreement, Exchange, Share},
    window::Attempt,
};
use crate::HomeId;

/// What to do after a message.
#[derive(Debug)]
pub enum Step {
    /// Send this and wait for the answer.
    Send(Vec<u8>),
    /// Store the pairing durably, then send what is to be sent: the peer pins when it arrives.
    Paired {
        /// Who the peer is.
        paired: Box<Paired>,
        /// The last message, on the showing side.
        send: Option<Vec<u8>>,
    },
}

/// Two homes that know each other from now on. Nothing is shared by it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    /// The other home: the hash of the key that TLS proved.
    pub peer: HomeId,
    /// What it says about itself.
    pub introduction: Introduction,
    /// A secret that only the two homes have.
    pub pair_secret: PairSecret,
    /// Four pictures for people to compare, the same on both sides.
    pub words: Words,
    /// How the secret came from one home to the other.
    pub method: Method,
}

/// The side that dials and has the secret from the other home.
pub struct Typing {
    us: Us,
    method: Method,
    stage: TypingStage,
}

enum TypingStage {
    AwaitsShare { exchange: Exchange, start: Vec<u8> },
    AwaitsProof { agreement: Agreement, theirs: ProtocolRange },
    AwaitsIntroduction { keys: Keys, theirs: ProtocolRange },
    Over,
}

impl Typing {
    /// Begins a pairing and returns the first message; `random` is fresh and never used again.
    ///
    /// # Errors
    ///
    /// Refuses a peer that is this home, or another home than the one that invited.
    pub fn start(
        secret: &Secret,
        binding: Binding,
        me: Introduction,
        random: &[u8; 64],
    ) -> Result<(Self, Vec<u8>), PairingError> {
        secret.check_peer(binding.peer)?;
        let (us, method) = (Us::new(Role::Typing, binding, me)?, secret.method());
        let exchange = Exchange::new(us.role, secret.password(), random);
        let (protocols, share) = (us.me.protocols(), *exchange.share());
        let start = Message::Start { method, protocols, share }.encode();
        let stage = TypingStage::AwaitsShare { exchange, start: start.clone() };
        Ok((Self { us, method, stage }, start))
    }

    /// Takes a message of the showing side.
    ///
    /// # Errors
    ///
    /// Any error ends this pairing; [`PairingError::WrongCode`] is for people, the others say what
    /// the peer did.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Step, PairingError> {
        match (mem::replace(&mut self.stage, TypingStage::Over), Message::decode(bytes)?) {
            (TypingStage::Over, _) => Err(PairingError::Over),
            (TypingStage::AwaitsProof { .. }, Message::Refused) => Err(PairingError::WrongCode),
            (_, Message::Refused) => Err(PairingError::Refused),
            (TypingStage::AwaitsShare { exchange, start }, Message::Share { protocols, share }) => {
                self.prove(exchange, &start, bytes, protocols, &share)
            }
            (TypingStage::AwaitsProof { agreement, theirs }, Message::Proof(proof)) => {
                self.introduce(&agreement, theirs, &proof)
            }
            (TypingStage::AwaitsIntroduction { keys, theirs }, Message::Introduce { introduction, seal }) => {
                let paired = self.us.paired(&keys, theirs, self.method, &introduction, &seal)?;
                Ok(Step::Paired { paired: Box::new(paired), send: None })
            }
            (_, other) => Err(PairingError::OutOfTurn(other.kind())),
        }
    }

    fn prove(
        &mut self,
        exchange: Exchange,
        start: &[u8],
        answer: &[u8],
        theirs: ProtocolRange,
        share: &Share,
    ) -> Result<Step, PairingError> {
        self.us.check_common(theirs)?;
        let agreement = self.us.agree(exchange, share, start, answer)?;
        let proof = Message::Proof(*agreement.proof()).encode();
        self.stage = TypingStage::AwaitsProof { agreement, theirs };
        Ok(Step::Send(proof))
    }

    fn introduce(
        &mut self,
        agreement: &Agreement,
        theirs: ProtocolRange,
        proof: &[u8; 32],
    ) -> Result<Step, PairingError> {
        let keys = self.us.keys(agreement, proof)?;
        let introduction = self.us.introduction(&keys);
        self.stage = TypingStage::AwaitsIntroduction { keys, theirs };
        Ok(Step::Send(introduction))
    }
}

impl fmt::Debug for Typing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typing({:?})", self.us.binding)
    }
}

/// The side that was dialled and has shown, sent or configured the secret.
pub struct Showing {
    us: Us,
    stage: ShowingStage,
}

enum ShowingStage {
    AwaitsStart { random: Zeroizing<[u8; 64]> },
    AwaitsProof { agreement: Agreement, attempt: Attempt, theirs: ProtocolRange },
    AwaitsIntroduction { keys: Keys, method: Method, theirs: ProtocolRange },
    Over,
}

impl Showing {
    /// Waits for a stranger's first message; `random` is fresh and never used again.
    ///
    /// # Errors
    ///
    /// Refuses a peer that is this home.
    pub fn new(binding: Binding, me: Introduction, random: &[u8; 64]) -> Result<Self, PairingError> {
        let stage = ShowingStage::AwaitsStart { random: Zeroizing::new(*random) };
        Ok(Self { us: Us::new(Role::Showing, binding, me)?, stage })
    }

    /// Takes a message of the typing side; `windows` counts the attempt before anything is
    /// answered.
    ///
    /// # Errors
    ///
    /// Any error ends this pairing. The peer is told [`REFUSAL`](super::REFUSAL), whichever error
    /// it is.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        windows: &mut Windows,
        now_ms: u64,
    ) -> Result<Step, PairingError> {
        match (mem::replace(&mut self.stage, ShowingStage::Over), Message::decode(bytes)?) {
            (ShowingStage::Over, _) => Err(PairingError::Over),
            (ShowingStage::AwaitsProof { theirs, .. }, Message::Refused) => {
                Err(self.us.check_common(theirs).err().unwrap_or(PairingError::Refused))
            }
            (_, Message::Refused) => Err(PairingError::Refused),
            (ShowingStage::AwaitsStart { random }, Message::Start { method, protocols, share }) => {
                let attempt = windows.attempt(method, now_ms)?;
                self.answer(attempt, &random, bytes, protocols, &share)
            }
            (ShowingStage::AwaitsProof { agreement, attempt, theirs }, Message::Proof(proof)) => {
                let keys = self.us.keys(&agreement, &proof)?;
                let method = windows.settle(attempt, now_ms)?;
                self.us.check_common(theirs)?;
                self.stage = ShowingStage::AwaitsIntroduction { keys, method, theirs };
                Ok(Step::Send(Message::Proof(*agreement.proof()).encode()))
            }
            (
                ShowingStage::AwaitsIntroduction { keys, method, theirs },
                Message::Introduce { introduction, seal },
            ) => {
                let paired = self.us.paired(&keys, theirs, method, &introduction, &seal)?;
                Ok(Step::Paired { paired: Box::new(paired), send: Some(self.us.introduction(&keys)) })
            }
            (_, other) => Err(PairingError::OutOfTurn(other.kind())),
        }
    }

    fn answer(
        &mut self,
        attempt: Attempt,
        random: &[u8; 64],
        start: &[u8],
        theirs: ProtocolRange,
        share: &Share,
    ) -> Result<Step, PairingError> {
        let exchange = Exchange::new(self.us.role, attempt.password(), random);
        let answer = Message::Share { protocols: self.us.me.protocols(), share: *exchange.share() }.encode();
        let agreement = self.us.agree(exchange, share, start, &answer)?;
        self.stage = ShowingStage::AwaitsProof { agreement, attempt, theirs };
        Ok(Step::Send(answer))
    }
}

impl fmt::Debug for Showing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Showing({:?})", self.us.binding)
    }
}

/// What either side knows from the start and calculates with.
struct Us {
    role: Role,
    binding: Binding,
    me: Introduction,
}

impl Us {
    fn new(role: Role, binding: Binding, me: Introduction) -> Result<Self, PairingError> {
        match binding.me == binding.peer {
            true => Err(PairingError::Myself),
            false => Ok(Self { role, binding, me }),
        }
    }

    fn agree(
        &self,
        exchange: Exchange,
        share: &Share,
        start: &[u8],
        answer: &[u8],
    ) -> Result<Agreement, PairingError> {
        let [typing, showing] = self.binding.homes(self.role);
        let context = self.binding.context(start, answer);
        let agreement = exchange.finish(share, [&typing.0, &showing.0], &context);
        agreement.map_err(|_| PairingError::Malformed("the share is no point of the curve"))
    }

    fn keys(&self, agreement: &Agreement, proof: &[u8; 32]) -> Result<Keys, PairingError> {
        match agreement.is_proven_by(proof) {
            true => Ok(Keys::new(agreement, &self.binding, self.role)),
            false => Err(PairingError::WrongCode),
        }
    }

    fn check_common(&self, theirs: ProtocolRange) -> Result<(), PairingError> {
        let ours = self.me.protocols();
        ours.common(&theirs).map(|_| ()).ok_or(PairingError::NoCommonProtocol { ours, theirs })
    }

    fn introduction(&self, keys: &Keys) -> Vec<u8> {
        let introduction = self.me.encode();
        let seal = keys.seal(self.role, &introduction);
        Message::Introduce { introduction, seal }.encode()
    }

    /// Accepts the peer's introduction when its seal fits and it offers the versions that were
    /// confirmed.
    fn paired(
        &self,
        keys: &Keys,
        theirs: ProtocolRange,
        method: Method,
        introduction: &[u8],
        seal: &[u8; 32],
    ) -> Result<Paired, PairingError> {
        if !keys.is_sealed(self.role.other(), introduction, seal) {
            return Err(PairingError::Forged);
        }
        let introduction = Introduction::decode(introduction)?;
        if introduction.protocols() != theirs {
            return Err(PairingError::Malformed("the versions offered differ"));
        }
        let words = Words::new(&self.binding, self.role);
        Ok(Paired { peer: self.binding.peer, introduction, pair_secret: keys.pair_secret(), words, method })
    }
}

#[cfg(test)]
mod tests;
