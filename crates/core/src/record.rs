//! An entity as it is stored: a checksum, and one CBOR map per entity.
//!
//! The first eight bytes are the [`Place`] and the map under SipHash-1-3, little-endian. Map keys: 0 class,
//! 1 actors, 2 versions as on the wire, 3 the owner's place when it sent this, 4 right, 5 the code of the
//! strategy, 6 the incarnation and the stamp with which its life began. The place stands beside the record.
//!
//! What is written was checked when it came into this home, and the checksum keeps it from damage, not from a forger.
//! So [`recall`], for a home's own store, checks the form and leaves out what texts say: that would take most of the
//! time of a start. [`decode`], for what others may have made, checks it all. Neither lets in what would do harm later.

use std::hash::Hasher;

use minicbor::{Decoder, Encoder, decode::Error};
use siphasher::sip::SipHasher13;

use crate::{
    EntityKey, Space,
    body::certain,
    defaults::{LAST_PLACE, MAX_SIBLINGS},
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    table::{Class, Entity},
    wire::{Actors, encode_version, recall_version},
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

/// Decodes an entity that others may have stored.
///
/// # Errors
///
/// Tells that the record is damaged, that of another place, or none that a home writes.
pub fn decode(place: Place, record: &[u8]) -> Result<Entity, Error> {
    let entity = recall(place, record)?;
    for version in entity.siblings.iter() {
        version.body.check(version.dot).map_err(Error::custom)?;
    }
    Ok(entity)
}

/// Decodes an entity that this home has stored.
///
/// # Errors
///
/// As [`decode`], but for what texts say.
pub fn recall(place: Place, record: &[u8]) -> Result<Entity, Error> {
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
                let count = decoder.array()?.unwrap_or(0);
                if count > MAX_SIBLINGS as u64 {
                    return Err(Error::message("an entity has too many versions"));
                }
                for _ in 0..count {
                    entity.siblings.insert(recall_version(&mut decoder, Hlc::default(), &actors)?);
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
                if decoder.array()? != Some(2) {
                    return Err(Error::message("an entity's beginning has two parts"));
                }
                entity.born = (decoder.u32()?, Hlc(decoder.u64()?));
            }
            _ => decoder.skip()?,
        }
    }
    // after these a home could count no further
    let stamps = entity.siblings.iter().map(|version| version.dot.hlc).chain([entity.born.1]);
    match birth.max(seq) <= LAST_PLACE && stamps.into_iter().all(Hlc::is_possible) {
        true => Ok(entity),
        false => Err(Error::message("its place or a stamp is beyond what a home can reach")),
    }
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
    use crate::{
        HomeId,
        dot::Dot,
        replica::{Options, Replica},
        update::Update,
        version::{Cause, Version},
    };

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

    /// Puts the checksum of a record right.
    fn forged(place: &Place, mut record: Vec<u8>) -> Vec<u8> {
        let sum = checksum(&place.key, place.birth, place.seq, &record[CHECKSUM..]);
        record[..CHECKSUM].copy_from_slice(&sum);
        record
    }

    fn lamp() -> Entity {
        let mut villa = Replica::new(HomeId([1; 32]), Options::default());
        let key = villa.own("light.hall".parse().expect("it is an id"));
        let attributes = r#"{"brightness":7,"effect":"none","hs_color":[28,10]}"#;
        let update = Update::replace("on", attributes).expect("an object");
        villa.update(&key, Class::Document, &update, Cause::Person, 1_000).expect("its own");
        villa.find(&key).expect("it was made").clone()
    }

    #[test]
    fn forged_record_is_refused_or_can_be_shown_whatever_stands_in_it() {
        let lamp = lamp();
        let (place, sound) = (Place::of(&lamp), encode(&lamp));
        let (mut refused, mut shown) = (0, 0);
        for at in CHECKSUM..sound.len() {
            for byte in 0..=255 {
                let mut record = sound.clone();
                record[at] = byte;
                let record = forged(&place, record);
                let whole = decode(place.clone(), &record);
                let Ok(entity) = recall(place.clone(), &record) else {
                    assert!(whole.is_err());
                    refused += 1;
                    continue;
                };
                shown += 1;
                entity.siblings.iter().flat_map(|version| version.fields()).for_each(drop);
                let _ = (entity.view(), entity.conflict(), entity.is_open(), encode(&entity));
            }
        }
        assert!(refused > 1_000 && shown > 1_000, "{refused} {shown}");
    }

    #[test]
    fn place_birth_and_stamp_at_the_end_of_all_numbers_are_refused() {
        let lamp = lamp();
        for entity in [
            Entity { seq: u64::MAX, ..lamp.clone() },
            Entity { birth: u64::MAX, ..lamp.clone() },
            Entity { born: (0, Hlc(u64::MAX)), ..lamp.clone() },
            Entity {
                siblings: lamp
                    .siblings
                    .iter()
                    .cloned()
                    .map(|v| Version { dot: Dot { hlc: Hlc(u64::MAX), ..v.dot }, ..v })
                    .collect(),
                ..lamp.clone()
            },
        ] {
            assert!(recall(Place::of(&entity), &encode(&entity)).is_err());
        }
    }
}
