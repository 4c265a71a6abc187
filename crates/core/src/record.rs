//! An entity as it is stored: one CBOR map per entity.
//!
//! Keys: 0 class, 1 actors, 2 versions as on the wire, 3 the owner's place when it sent this,
//! 4 right, 5 the code of the strategy. The name and the place in this home's own log stand beside the record.

use minicbor::{Decoder, Encoder};

use crate::{
    EntityKey,
    body::certain,
    defaults::MAX_SIBLINGS,
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    table::{Class, Entity},
    wire::{Actors, decode_version, encode_version},
};

/// Encodes what the store keeps of an entity.
pub fn encode(entity: &Entity) -> Vec<u8> {
    let (mut actors, mut versions) = (Actors::default(), Encoder::new(Vec::with_capacity(512)));
    certain(versions.array(entity.siblings.len() as u64));
    for version in entity.siblings.iter() {
        encode_version(version, Hlc::default(), &mut actors, &mut versions);
    }
    let mut out = Encoder::new(Vec::with_capacity(versions.writer().len() + 64));
    let class = u8::from(entity.class == Class::Document);
    certain(out.map(6).and_then(|out| out.u8(0)).and_then(|out| out.u8(class)).and_then(|out| out.u8(1)));
    actors.announce(&mut out);
    certain(out.u8(2));
    out.writer_mut().extend_from_slice(versions.writer());
    certain(out.u8(3).and_then(|out| out.u64(entity.sent_at)));
    let right = entity.right.map_or(0, |right| right as u8 + 1);
    certain(out.u8(4).and_then(|out| out.u8(right)).and_then(|out| out.u8(5)));
    certain(out.u8(entity.strategy as u8));
    out.into_writer()
}

/// Decodes a stored entity.
///
/// # Errors
///
/// Tells that the record is damaged.
pub fn decode(key: EntityKey, seq: u64, record: &[u8]) -> Result<Entity, minicbor::decode::Error> {
    let mut decoder = Decoder::new(record);
    let (mut actors, mut entity) = (Actors::default(), Entity { seq, ..Entity::new(key, Class::Device) });
    for _ in 0..decoder.map()?.unwrap_or(0) {
        match decoder.u32()? {
            0 if decoder.u8()? == 1 => entity.class = Class::Document,
            0 => {}
            1 => actors.learn(&mut decoder)?,
            2 => {
                let count = decoder.array()?.unwrap_or(0).min(MAX_SIBLINGS as u64);
                for _ in 0..count {
                    entity.siblings.insert(decode_version(&mut decoder, Hlc::default(), &actors)?.version);
                }
            }
            3 => entity.sent_at = decoder.u64()?,
            4 => {
                entity.right = [None, Some(Right::Read), Some(Right::Control), Some(Right::Edit)]
                    .get(usize::from(decoder.u8()?))
                    .copied()
                    .flatten()
            }
            5 => entity.strategy = Strategy::from_code(decoder.u8()?),
            _ => decoder.skip()?,
        }
    }
    Ok(entity)
}
