//! Commands and their outcomes, as CBOR.

use minicbor::{Decoder, Encoder, data::Type, decode};

use super::{
    FrameError,
    message::{decode_dot, encode_dot},
    version::length,
};
use crate::{
    EntityId,
    body::certain,
    defaults::{MAX_ACTORS, MAX_ENTITY, MAX_FIELDS},
    dot::VersionVector,
    intent::{Explanation, Intent, Kind, Outcome, Status, Timing, Wish},
    json::{Json, Members},
};

/// Keys: 0 id, 1 entity, 2 time left in ms, 3 state, 4 attributes, 5 service, 6 data, 7 kind, 8 seen, 9 mark, 10 time
/// since the mark in ms.
pub(super) fn encode_intent(intent: &Intent, timing: Timing, out: &mut Encoder<Vec<u8>>) {
    let wish = match &intent.wish {
        Wish::Set { state, .. } => 1 + u64::from(state.is_some()),
        Wish::Call { .. } => 2,
    };
    let keys = 6 + wish + u64::from(timing.mark.is_some());
    certain(out.u8(7).and_then(|out| out.map(keys)).and_then(|out| out.u8(0)));
    encode_dot(intent.id, out);
    certain(out.u8(1).and_then(|out| out.str(intent.entity.as_str())));
    certain(out.u8(2).and_then(|out| out.u64(intent.ttl_ms)));
    encode_wish(&intent.wish, out);
    certain(out.u8(7).and_then(|out| out.u8(intent.kind as u8)));
    certain(out.u8(8).and_then(|out| out.array(intent.seen.len() as u64)));
    intent.seen.dots().for_each(|dot| encode_dot(dot, out));
    if let Some(mark) = timing.mark {
        certain(out.u8(9).and_then(|out| out.u64(mark)));
    }
    certain(out.u8(10).and_then(|out| out.u64(timing.since_ms)));
}

fn encode_wish(wish: &Wish, out: &mut Encoder<Vec<u8>>) {
    match wish {
        Wish::Set { state, attributes } => {
            if let Some(state) = state {
                certain(out.u8(3).and_then(|out| out.str(state.as_str())));
            }
            certain(out.u8(4).and_then(|out| out.map(attributes.len() as u64)));
            for (name, value) in attributes.iter() {
                certain(out.str(name).and_then(|out| out.str(value)));
            }
        }
        Wish::Call { service, data } => {
            certain(out.u8(5).and_then(|out| out.str(service)));
            certain(out.u8(6).and_then(|out| out.str(data.as_str())));
        }
    }
}

pub(super) fn decode_intent(decoder: &mut Decoder<'_>) -> Result<(Intent, Timing), FrameError> {
    let keys = length(decoder.map()?, 64)?;
    let (mut id, mut entity, mut state, mut service, mut data, mut kind) =
        (None, None, None, None, None, None);
    let (mut ttl_ms, mut attributes, mut seen) = (0, Members::default(), VersionVector::default());
    let mut timing = Timing::default();
    for _ in 0..keys {
        match decoder.u32()? {
            0 => id = Some(decode_dot(decoder)?),
            1 => entity = Some(decoder.str()?.parse::<EntityId>().map_err(decode::Error::custom)?),
            2 => ttl_ms = decoder.u64()?,
            3 => state = Some(json(decoder)?),
            4 => attributes = decode_attributes(decoder)?,
            5 => service = Some(decoder.str()?.into()),
            6 => data = Some(json(decoder)?),
            7 => kind = Some(decoder.u64()?),
            8 => seen = decode_seen(decoder)?,
            9 => timing.mark = Some(decoder.u64()?),
            10 => timing.since_ms = decoder.u64()?,
            _ => decoder.skip()?,
        }
    }
    let (Some(id), Some(entity)) = (id, entity) else { return Err(FrameError::Kind) };
    let wish = match (service, data) {
        (Some(service), Some(data)) => Wish::Call { service, data },
        _ => Wish::Set { state, attributes },
    };
    let kind = match (&wish, kind) {
        (Wish::Set { .. }, None | Some(0)) => Kind::Set,
        _ => Kind::Pulse,
    };
    Ok((Intent { id, entity, wish, kind, seen, ttl_ms }, timing))
}

fn decode_seen(decoder: &mut Decoder<'_>) -> Result<VersionVector, decode::Error> {
    let count = length(decoder.array()?, MAX_ACTORS)?;
    (0..count).map(|_| decode_dot(decoder)).collect()
}

fn decode_attributes(decoder: &mut Decoder<'_>) -> Result<Members, decode::Error> {
    let count = length(decoder.map()?, MAX_FIELDS)?;
    (0..count).map(|_| Ok((decoder.str()?, json(decoder)?))).collect()
}

fn json(decoder: &mut Decoder<'_>) -> Result<Json, decode::Error> {
    let text = decoder.str()?;
    if text.len() > MAX_ENTITY {
        return Err(decode::Error::message("value is too long"));
    }
    text.parse().map_err(decode::Error::custom)
}

/// Keys: 0 id, 1 status, 2 explanation, 3 the version that shows what was wanted.
pub(super) fn encode_outcome(outcome: &Outcome, out: &mut Encoder<Vec<u8>>) {
    let keys = 2 + u64::from(outcome.explanation.is_some()) + u64::from(outcome.shown_by.is_some());
    certain(out.u8(8).and_then(|out| out.map(keys)).and_then(|out| out.u8(0)));
    encode_dot(outcome.id, out);
    let status = match outcome.status {
        Status::Queued | Status::Sent | Status::Accepted => 0,
        Status::Settled => 1,
        Status::Rejected => 2,
        Status::Expired => 3,
        Status::Applied => 4,
        Status::Superseded => 5,
        Status::Stale => 6,
    };
    certain(out.u8(1).and_then(|out| out.u8(status)));
    if let Some(explanation) = &outcome.explanation {
        certain(out.u8(2).and_then(|out| out.str(explanation.as_str())));
    }
    if let Some(dot) = outcome.shown_by {
        certain(out.u8(3));
        encode_dot(dot, out);
    }
}

pub(super) fn decode_outcome(decoder: &mut Decoder<'_>) -> Result<Outcome, FrameError> {
    let keys = length(decoder.map()?, 64)?;
    let (mut id, mut status, mut explanation, mut shown_by) = (None, None, None, None);
    for _ in 0..keys {
        match decoder.u32()? {
            0 => id = Some(decode_dot(decoder)?),
            // An outcome counts without its words, so words that may not be shown are no reason to end a session.
            2 if decoder.datatype()? == Type::String => explanation = Explanation::parse(decoder.str()?),
            1 if decoder.datatype()? == Type::U8 => {
                status = Some(match decoder.u8()? {
                    0 => Status::Accepted,
                    1 => Status::Settled,
                    3 => Status::Expired,
                    4 => Status::Applied,
                    5 => Status::Superseded,
                    6 => Status::Stale,
                    _ => Status::Rejected,
                });
            }
            3 => shown_by = Some(decode_dot(decoder)?),
            _ => decoder.skip()?,
        }
    }
    match (id, status) {
        (Some(id), Some(status)) => Ok(Outcome { id, status, explanation, shown_by }),
        _ => Err(FrameError::Kind),
    }
}
