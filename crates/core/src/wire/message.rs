//! Every message but the offer, which needs the session's tables.

use minicbor::{Decode, Decoder, Encode, Encoder, decode};

use super::{
    Hello,
    intent::{decode_intent, decode_outcome, encode_intent, encode_outcome},
    version::length,
};
use crate::{
    HomeId,
    body::certain,
    defaults::{MAX_FRAME, MAX_RULES, WANTED_AT_ONCE},
    digest::Digest,
    dot::{Actor, Dot},
    hlc::Hlc,
    intent::{Intent, Outcome, Timing},
    policy::{JointPolicy, Policy, Rule},
};

/// The kind of a frame that carries an offer.
pub(crate) const OFFER: u8 = 1;

/// One message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Opens the session.
    Hello(Hello),
    /// Asks for entities in full.
    Want(Want),
    /// Says how far the other's log has been made durable here.
    Ack(Ack),
    /// Asks for a sign of life and tells what the other side should hold.
    Ping(Ping),
    /// Answers a ping.
    Pong(Pong),
    /// Says that an offered entity was not taken in.
    Refused(Refused),
    /// A command to a device of the receiver.
    Intent(Box<Intent>, Timing),
    /// What became of a command.
    Outcome(Outcome),
    /// A statement that the sender's key is replaced, signed by both keys.
    Rotation(Vec<u8>),
    /// Ends the session.
    Bye(Reason),
    /// Entities that the sender has withdrawn, or that are not (any more) in its space.
    Gone(Gone),
    /// The receiver has seen a future of the sender's log that the sender has lost; both agree up to this place.
    Forked(Forked),
    /// Proves, ahead of the hello, that the sender has the shared key.
    Proof([u8; 32]),
    /// The policy of the joint space, as the sender has it.
    Policy(JointPolicy),
    /// Asks to be told when the receiver has offered all that it has now; the sender has done so.
    Mark(u64),
    /// Answers a mark.
    Marked(u64),
}

/// Asks for entities in full: by the other's number, by id in the other's space, or all after a place in its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Want {
    /// Numbers that the other side has given in this session.
    #[cbor(n(0), decode_with = "few")]
    pub numbers: Vec<u32>,
    /// Ids in the other side's space.
    #[cbor(n(1), decode_with = "few")]
    pub ids: Vec<String>,
    /// Everything after this place.
    #[n(2)]
    pub after: Option<u64>,
}

/// Names entities of the sender that the receiver shall forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Gone {
    /// Their ids.
    #[cbor(n(0), decode_with = "few")]
    pub ids: Vec<String>,
    /// Numbers of this session that were asked for and stand for nothing that the receiver may have.
    #[cbor(n(1), decode_with = "few")]
    pub numbers: Vec<u32>,
}

/// Says where the sender's log forks from what the receiver has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Forked {
    /// The last common place.
    #[n(0)]
    pub seq: u64,
}

/// Acknowledges what is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ack {
    /// The place in the receiver's log.
    #[n(0)]
    pub seq: u64,
}

/// A sign of life, sent when caught up with what the other side should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ping {
    /// Comes back in the answer.
    #[n(0)]
    pub nonce: u64,
    /// The sender's wall clock.
    #[n(1)]
    pub clock: Hlc,
    /// What the receiver should hold of the sender's space.
    #[n(2)]
    pub digest: Option<Digest>,
    /// What the sender holds of the joint space.
    #[n(3)]
    pub joint: Option<Digest>,
}

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pong {
    /// The ping's nonce.
    #[n(0)]
    pub nonce: u64,
    /// The sender's wall clock.
    #[n(1)]
    pub clock: Hlc,
}

/// Says that an offered entity was not taken in, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// The number that the other side has given.
    #[n(0)]
    pub number: u32,
    /// Why.
    #[n(1)]
    pub why: Why,
    /// The sender's wall clock.
    #[n(2)]
    pub clock: Hlc,
    /// The latest stamp of the other side's own versions among what was refused.
    #[n(3)]
    pub up_to: Hlc,
}

/// Why an offered entity was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Why {
    /// No right to write it.
    #[n(0)]
    Forbidden,
    /// More than the receiver takes.
    #[n(1)]
    Quota,
    /// A stamp from the receiver's future; it is asked for again when the clocks agree.
    #[n(2)]
    Skew,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Reason {
    /// The home stops.
    #[n(0)]
    Stopping,
    /// The sender has forgotten the receiver.
    #[n(1)]
    Unpaired,
    /// No protocol version in common.
    #[n(2)]
    Version,
    /// A message was not understood.
    #[n(3)]
    Protocol,
    /// Two live homes use one key.
    #[n(4)]
    Cloned,
    /// Another link to the same home is used.
    #[n(5)]
    Superseded,
    /// Somebody wants the two homes apart, until the sender connects again.
    #[n(6)]
    Apart,
}

impl Message {
    /// Returns the message as a frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(Vec::with_capacity(64));
        certain(out.array(2));
        match self {
            Self::Hello(body) => certain(out.u8(0).and_then(|out| out.encode(body))),
            Self::Want(body) => certain(out.u8(2).and_then(|out| out.encode(body))),
            Self::Ack(body) => certain(out.u8(3).and_then(|out| out.encode(body))),
            Self::Ping(body) => certain(out.u8(4).and_then(|out| out.encode(body))),
            Self::Pong(body) => certain(out.u8(5).and_then(|out| out.encode(body))),
            Self::Refused(body) => certain(out.u8(6).and_then(|out| out.encode(body))),
            Self::Intent(intent, timing) => encode_intent(intent, *timing, &mut out),
            Self::Outcome(outcome) => encode_outcome(outcome, &mut out),
            Self::Rotation(statement) => certain(out.u8(9).and_then(|out| out.bytes(statement))),
            Self::Bye(reason) => certain(out.u8(10).and_then(|out| out.encode(reason))),
            Self::Gone(body) => certain(out.u8(11).and_then(|out| out.encode(body))),
            Self::Forked(body) => certain(out.u8(12).and_then(|out| out.encode(body))),
            Self::Proof(proof) => certain(out.u8(13).and_then(|out| out.bytes(proof))),
            Self::Policy(policy) => encode_policy(policy, &mut out),
            Self::Mark(number) => certain(out.u8(15).and_then(|out| out.u64(*number))),
            Self::Marked(number) => certain(out.u8(16).and_then(|out| out.u64(*number))),
        }
        out.into_writer()
    }

    /// Reads a frame; nothing is returned for a kind that this version does not know.
    ///
    /// # Errors
    ///
    /// Refuses what is malformed or beyond the bounds.
    pub fn decode_known(frame: &[u8]) -> Result<Option<Self>, FrameError> {
        let (kind, mut decoder) = open(frame)?;
        let message = match kind {
            0 => Self::Hello(decoder.decode()?),
            2 => Self::Want(decoder.decode()?),
            3 => Self::Ack(decoder.decode()?),
            4 => Self::Ping(decoder.decode()?),
            5 => Self::Pong(decoder.decode()?),
            6 => Self::Refused(decoder.decode()?),
            7 => {
                let (intent, timing) = decode_intent(&mut decoder)?;
                Self::Intent(Box::new(intent), timing)
            }
            8 => Self::Outcome(decode_outcome(&mut decoder)?),
            9 => Self::Rotation(decoder.bytes()?.to_vec()),
            10 => Self::Bye(decoder.decode()?),
            11 => Self::Gone(decoder.decode()?),
            12 => Self::Forked(decoder.decode()?),
            13 => Self::Proof(decoder.bytes()?.try_into().map_err(|_| FrameError::Kind)?),
            14 => Self::Policy(decode_policy(&mut decoder)?),
            15 => Self::Mark(decoder.u64()?),
            16 => Self::Marked(decoder.u64()?),
            _ => return Ok(None),
        };
        Ok(Some(message))
    }

    /// Reads a frame that must be of a known kind.
    ///
    /// # Errors
    ///
    /// As [`Message::decode_known`], and [`FrameError::Kind`].
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        Self::decode_known(frame)?.ok_or(FrameError::Kind)
    }
}

/// Opens a frame: its kind, and a decoder that stands before the body.
pub(crate) fn open(frame: &[u8]) -> Result<(u8, Decoder<'_>), FrameError> {
    if frame.len() > MAX_FRAME {
        return Err(FrameError::TooLong(frame.len()));
    }
    let mut decoder = Decoder::new(frame);
    match decoder.array()? {
        Some(2) => Ok((decoder.u8()?, decoder)),
        _ => Err(FrameError::Kind),
    }
}

/// Reads a list of bounded length.
fn few<'b, C, T: Decode<'b, C>>(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Vec<T>, decode::Error> {
    let count = length(decoder.array()?, WANTED_AT_ONCE)?;
    (0..count).map(|_| T::decode(decoder, context)).collect()
}

pub(super) fn encode_dot(dot: Dot, out: &mut Encoder<Vec<u8>>) {
    let parts = out.array(3).and_then(|out| out.bytes(&dot.actor.home.0));
    certain(parts.and_then(|out| out.u32(dot.actor.incarnation)).and_then(|out| out.u64(dot.hlc.0)));
}

pub(super) fn decode_dot(decoder: &mut Decoder<'_>) -> Result<Dot, decode::Error> {
    decoder.array()?;
    let home = decoder.bytes()?.try_into().map_err(|_| decode::Error::message("a home id has 32 bytes"))?;
    let actor = Actor { home: HomeId(home), incarnation: decoder.u32()? };
    Ok(Dot { actor, hlc: Hlc(decoder.u64()?) })
}

/// Keys: 0 dot, 1 whether a person set it, 2 rules as `[pattern, strategy, template]`.
fn encode_policy(joint: &JointPolicy, out: &mut Encoder<Vec<u8>>) {
    certain(out.u8(14).and_then(|out| out.map(3)).and_then(|out| out.u8(0)));
    encode_dot(joint.dot, out);
    certain(out.u8(1).and_then(|out| out.bool(joint.deliberate)).and_then(|out| out.u8(2)));
    certain(out.encode(joint.policy.rules()));
}

fn decode_policy(decoder: &mut Decoder<'_>) -> Result<JointPolicy, FrameError> {
    let keys = length(decoder.map()?, 64)?;
    let (mut dot, mut deliberate, mut policy) = (None, false, Policy::default());
    for _ in 0..keys {
        match decoder.u32()? {
            0 => dot = Some(decode_dot(decoder)?),
            1 => deliberate = decoder.bool()?,
            2 => {
                let count = length(decoder.array()?, MAX_RULES)?;
                let rules: Vec<Rule> = (0..count).map(|_| decoder.decode()).collect::<Result<_, _>>()?;
                policy = Policy::new(rules).map_err(decode::Error::custom)?;
            }
            _ => decoder.skip()?,
        }
    }
    dot.map(|dot| JointPolicy { policy, dot, deliberate }).ok_or(FrameError::Kind)
}

/// Why a frame from a peer was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is longer than this home accepts.
    #[error("frame of {0} bytes is over the limit")]
    TooLong(usize),
    /// The frame is no message, or not one that may come now.
    #[error("frame is no message that may come now")]
    Kind,
    /// The message is malformed.
    #[error("message is malformed: {0}")]
    Form(#[from] decode::Error),
}
