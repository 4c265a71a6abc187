//! The short numbers that actors have in one direction of a session, or inside one stored record.

use minicbor::{Decoder, Encoder, decode};

use crate::{HomeId, body::certain, dot::Actor};

/// Most actors one direction of a session may name before it begins anew.
const MAX: usize = 8192;

/// From here on the next offer begins anew: the rest is more than one chunk and one entity can name.
const CROWDED: usize = MAX / 2;

/// Actors in the order in which they were first named.
#[derive(Clone, Debug, Default)]
pub struct Actors {
    known: Vec<Actor>,
    announced: usize,
    renewed: bool,
}

impl Actors {
    /// Returns the number of an actor, and gives it one if it has none.
    pub fn number(&mut self, actor: Actor) -> u32 {
        let at = self.known.iter().position(|known| *known == actor).unwrap_or_else(|| {
            self.known.push(actor);
            self.known.len() - 1
        });
        at as u32
    }

    /// Returns the actor of a number.
    ///
    /// # Errors
    ///
    /// Refuses a number that was never given.
    pub fn actor(&self, number: u32) -> Result<Actor, decode::Error> {
        self.known
            .get(number as usize)
            .copied()
            .ok_or_else(|| decode::Error::message("actor was never named"))
    }

    /// Encodes the actors that the other side has not been told of yet.
    pub fn announce(&mut self, out: &mut Encoder<Vec<u8>>) {
        let fresh = &self.known[self.announced..];
        certain(out.array(fresh.len() as u64));
        for actor in fresh {
            let parts = out.array(2).and_then(|out| out.bytes(&actor.home.0));
            certain(parts.and_then(|out| out.u32(actor.incarnation)));
        }
        self.announced = self.known.len();
    }

    /// Tells whether the next offer should begin anew.
    pub(crate) fn is_crowded(&self) -> bool {
        self.known.len() > CROWDED
    }

    /// Forgets all actors; the next offer says so.
    pub(crate) fn renew(&mut self) {
        *self = Self { renewed: true, ..Self::default() };
    }

    /// Tells once that all actors were forgotten.
    pub(crate) fn was_renewed(&mut self) -> bool {
        std::mem::take(&mut self.renewed)
    }

    /// Tells whether there is something to announce.
    pub fn has_news(&self) -> bool {
        self.announced < self.known.len()
    }

    /// Takes in what the other side announces.
    ///
    /// # Errors
    ///
    /// Refuses malformed input and more actors than there can be.
    pub fn learn(&mut self, decoder: &mut Decoder<'_>) -> Result<(), decode::Error> {
        let count = super::version::length(decoder.array()?, MAX)?;
        for _ in 0..count {
            decoder.array()?;
            let home =
                decoder.bytes()?.try_into().map_err(|_| decode::Error::message("a home id has 32 bytes"))?;
            self.known.push(Actor { home: HomeId(home), incarnation: decoder.u32()? });
        }
        if self.known.len() > MAX {
            return Err(decode::Error::message("too many actors"));
        }
        self.announced = self.known.len();
        Ok(())
    }
}
