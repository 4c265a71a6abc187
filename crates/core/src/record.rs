//! An entity as it is stored: a checksum, and one CBOR map per entity.
//!
//! The first eight bytes are the [`Place`] and the map under SipHash-1-3, little-endian. Map keys: 0 class,
//! 1 actors, 2 versions as on the wire, 3 the owner's place when it sent this, 4 right, 5 the code of the
//! strategy, 6 the stamp with which its life began. The place stands beside the record.
//!
//! What is written was checked when it came into this home. So a record whose checksum is right is what was
//! written there, and its values are not checked again: of the time of a start that would take the most.

use std::hash::Hasher;

use minicbor::{Decoder, Encoder, decode::Error};
use siphasher::sip::SipHasher13;

use crate::{
    EntityKey, Space,
    body::certain,
    defaults::MAX_SIBLINGS,
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    table::{Class, Entity},
    wire::{Actors, decode_trusted, encode_version},
};

/// The length of the checksum.
const CHECKSUM: usize = 8;

/// Where a record belongs: the columns of the store that its checksum covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The entity's name.
    pub key: EntityKey,
    /// Its birth.
    pub birth: u64,
    /// Its place in this home's change log.
    pub seq: u64,
}

impl Place {
    /// Returns the place of an entity as it is.
    pub fn of(entity: &Entity) -> Self {
        Self { key: entity.key.clone(), birth: entity.birth, seq: entity.seq }
    }
}

/// Encodes what the store keeps of an entity.
pub fn encode(entity: &Entity) -> Vec<u8> {
    let length: usize = entity.siblings.iter().map(|version| 128 + version.body.as_bytes().len()).sum();
    let mut out = Encoder::new(Vec::with_capacity(length));
    out.writer_mut().extend([0; CHECKSUM]);
    let class = u8::from(entity.class == Class::Document);
    certain(out.map(7).and_then(|out| out.u8(0)).and_then(|out| out.u8(class)).and_then(|out| out.u8(1)));
    let mut actors = Actors::default();
    for version in entity.siblings.iter() {
        actors.number(version.dot.actor);
        version.context.dots().for_each(|dot| _ = actors.number(dot.actor));
    }
    actors.announce(&mut out);
    certain(out.u8(2).and_then(|out| out.array(entity.siblings.len() as u64)));
    for version in entity.siblings.iter() {
        encode_version(version, Hlc::default(), &mut actors, &mut out);
    }
    certain(out.u8(3).and_then(|out| out.u64(entity.sent_at)));
    let right = entity.right.map_or(0, |right| right as u8 + 1);
    certain(out.u8(4).and_then(|out| out.u8(right)).and_then(|out| out.u8(5)));
    certain(out.u8(entity.strategy as u8).and_then(|out| out.u8(6)).and_then(|out| out.array(2)));
    certain(out.u32(entity.born.0).and_then(|out| out.u64(entity.born.1.0)));
    let mut record = out.into_writer();
    let checksum = checksum(&entity.key, entity.birth, entity.seq, &record[CHECKSUM..]);
    record[..CHECKSUM].copy_from_slice(&checksum);
    record
}

/// Decodes a stored entity.
///
/// # Errors
///
/// Tells that the record is damaged, or that of another place.
pub fn decode(place: Place, record: &[u8]) -> Result<Entity, Error> {
    let Place { key, birth, seq } = place;
    let (sum, map) = record.split_at_checked(CHECKSUM).ok_or_else(Error::end_of_input)?;
    if sum != checksum(&key, birth, seq, map) {
        return Err(Error::message("its checksum is wrong"));
    }
    let mut decoder = Decoder::new(map);
    let (mut actors, mut entity) = (Actors::default(), Entity::new(key, Class::Device));
    (entity.birth, entity.seq) = (birth, seq);
    for _ in 0..decoder.map()?.unwrap_or(0) {
        match decoder.u32()? {
            0 if decoder.u8()? == 1 => entity.class = Class::Document,
            0 => {}
            1 => actors.learn(&mut decoder)?,
            2 => {
                let count = decoder.array()?.unwrap_or(0).min(MAX_SIBLINGS as u64);
                for _ in 0..count {
                    entity.siblings.insert(decode_trusted(&mut decoder, Hlc::default(), &actors)?);
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
            6 => {
                decoder.array()?;
                entity.born = (decoder.u32()?, Hlc(decoder.u64()?));
            }
            _ => decoder.skip()?,
        }
    }
    Ok(entity)
}

fn checksum(key: &EntityKey, birth: u64, seq: u64, map: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = SipHasher13::new_with_key(b"crosshome record");
    match key.space {
        Space::Home(home) => hasher.write(&home.0),
        Space::Joint => hasher.write(b"joint"),
    }
    hasher.write(key.id.as_str().as_bytes());
    hasher.write(&[0xff]);
    hasher.write(&birth.to_le_bytes());
    hasher.write(&seq.to_le_bytes());
    hasher.write(map);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_of_another_place_and_with_any_wrong_bit_is_refused() {
        let key = EntityKey { space: Space::Joint, id: "light.hall".parse().expect("it is an id") };
        let entity = Entity { birth: 7, seq: 9, born: (3, Hlc::at(5)), ..Entity::new(key, Class::Document) };
        let (place, record) = (Place::of(&entity), encode(&entity));
        assert_eq!(decode(place.clone(), &record).expect("it is sound"), entity);
        let other = EntityKey { id: "light.h".parse().expect("it is an id"), ..place.key.clone() };
        for wrong in [
            Place { key: other, ..place.clone() },
            Place { birth: 8, ..place.clone() },
            Place { seq: 8, ..place.clone() },
        ] {
            assert!(decode(wrong, &record).is_err());
        }
        for bit in 0..8 * record.len() {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(place.clone(), &damaged).is_err());
        }
    }
}
