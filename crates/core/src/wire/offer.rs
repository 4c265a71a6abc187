//! The message that carries entities.
//!
//! Body keys: 0 the sender's clock, 1 actors named for the first time, 2 items, 3 how far the
//! receiver has got in the sender's log once it has taken this in, 4 the same where that is the end of
//! the log, 5 how far beyond that the latest place of an item lies, 6 whether the numbers of actors
//! begin anew; 6 stands first. Clock and place count from those of the offer before. Item keys: 0 number, 1 id, 2 space (0 the sender's, 1 the receiver's, 2 joint),
//! 3 class, 4 right, 5 versions, 6 in full, 7 strategy. Id, space, class, right and strategy stand where
//! they are new to the session; without one, the strategy of a new id is `latest-wins`.

use minicbor::{Decoder, Encoder, decode};

use super::{
    Actors, Bodies, FrameError, Known,
    message::{OFFER, open},
    version::{Draft, decode_version, encode, length},
};
use crate::{
    EntityId, HomeId, Space,
    body::certain,
    defaults::MAX_SIBLINGS,
    grant::Right,
    hlc::Hlc,
    policy::Strategy,
    table::{Class, Entity},
};

/// Most items of one offer, and most versions in all: a chunk has room for half as many, and a decoded one is
/// many times longer than its shortest encoding.
const MAX_ITEMS: usize = 4096;

/// What one side of a session has said in its offers so far: the next one counts from it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The actors that it has named.
    pub(crate) actors: Actors,
    /// Its clock.
    pub(crate) clock: Hlc,
    /// How far the other side has got.
    pub(crate) place: u64,
}

impl Said {
    /// Returns what is sent of a clock, and takes note of it.
    pub(crate) fn clock_step(&mut self, clock: Hlc) -> i64 {
        clock.0.wrapping_sub(std::mem::replace(&mut self.clock, clock).0) as i64
    }

    /// Returns what is sent of a place, and takes note of it.
    pub(crate) fn place_step(&mut self, place: u64) -> i64 {
        place.wrapping_sub(std::mem::replace(&mut self.place, place)) as i64
    }

    fn step_clock(&mut self, step: i64) -> Hlc {
        self.clock = Hlc(self.clock.0.wrapping_add_signed(step));
        self.clock
    }

    fn step_place(&mut self, step: i64) -> u64 {
        self.place = self.place.wrapping_add_signed(step);
        self.place
    }
}

/// A decoded offer.
#[derive(Debug)]
pub struct Offer {
    /// The sender's clock.
    pub clock: Hlc,
    /// The entities.
    pub items: Vec<Item>,
    /// How far the receiver has got, where the sender can tell.
    pub seq: Option<u64>,
    /// Whether that is the end of the sender's log.
    pub end: bool,
    /// The latest place of an entity in this offer, where it lies beyond `seq`.
    pub place: u64,
}

/// One entity of an offer.
#[derive(Debug)]
pub struct Item {
    /// The sender's number for it.
    pub number: u32,
    /// Its name, where the number is new.
    pub name: Option<(Space, EntityId)>,
    /// Who may write it, where the number is new.
    pub class: Class,
    /// What the receiver may do with it, where that is new.
    pub right: Option<Right>,
    /// What settles its conflicts, where that is new.
    pub strategy: Option<Strategy>,
    /// Its versions.
    pub drafts: Vec<Draft>,
    /// Whether the owner's versions are all here, and others of the owner void.
    pub replace: bool,
}

impl Offer {
    /// Decodes an offer from a peer.
    ///
    /// # Errors
    ///
    /// Refuses what is malformed or beyond the bounds.
    pub fn decode(frame: &[u8], sender: HomeId, me: HomeId, said: &mut Said) -> Result<Self, FrameError> {
        let (OFFER, mut decoder) = open(frame)? else { return Err(FrameError::Kind) };
        let keys = length(decoder.map()?, 64)?;
        let mut offer = Self { clock: Hlc::default(), items: Vec::new(), seq: None, end: false, place: 0 };
        for _ in 0..keys {
            match decoder.u32()? {
                0 => offer.clock = said.step_clock(decoder.i64()?),
                1 => said.actors.learn(&mut decoder)?,
                2 => {
                    let count = length(decoder.array()?, MAX_ITEMS)?;
                    let mut versions = 0;
                    for _ in 0..count {
                        let item = Item::decode(&mut decoder, offer.clock, sender, me, &said.actors)?;
                        versions += item.drafts.len();
                        if item.drafts.is_empty() || versions > MAX_ITEMS {
                            return Err(FrameError::Kind);
                        }
                        offer.items.push(item);
                    }
                }
                key @ (3 | 4) => {
                    offer.seq = Some(said.step_place(decoder.i64()?));
                    offer.end = key == 4;
                }
                5 => offer.place = said.place.saturating_add(decoder.u64()?),
                6 if decoder.bool()? => said.actors.renew(),
                6 => {}
                _ => decoder.skip()?,
            }
        }
        Ok(offer)
    }
}

impl Item {
    fn decode(
        decoder: &mut Decoder<'_>,
        clock: Hlc,
        sender: HomeId,
        me: HomeId,
        actors: &Actors,
    ) -> Result<Self, decode::Error> {
        let keys = length(decoder.map()?, 64)?;
        let (mut id, mut space) = (None, Space::Home(sender));
        let mut item = Self {
            number: 0,
            name: None,
            class: Class::Device,
            right: None,
            strategy: None,
            drafts: Vec::new(),
            replace: false,
        };
        for _ in 0..keys {
            match decoder.u32()? {
                0 => item.number = decoder.u32()?,
                1 => id = Some(decoder.str()?.parse::<EntityId>().map_err(decode::Error::custom)?),
                2 => {
                    space = match decoder.u8()? {
                        0 => Space::Home(sender),
                        1 => Space::Home(me),
                        2 => Space::Joint,
                        _ => return Err(decode::Error::message("no such space")),
                    }
                }
                3 => item.class = if decoder.u8()? == 0 { Class::Device } else { Class::Document },
                4 => item.right = Some(right(decoder.u8()?)),
                5 => {
                    for _ in 0..length(decoder.array()?, MAX_SIBLINGS)? {
                        item.drafts.push(decode_version(decoder, clock, actors)?);
                    }
                }
                6 => item.replace = decoder.bool()?,
                7 => item.strategy = Some(Strategy::from_code(decoder.u8()?)),
                _ => decoder.skip()?,
            }
        }
        item.name = id.map(|id| (space, id));
        Ok(item)
    }
}

/// What an item says of its entity beyond the versions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heading {
    /// Whether id, space and class are said.
    pub(crate) name: bool,
    /// The right, where it is said.
    pub(crate) right: Option<Right>,
    /// The strategy, where it is said.
    pub(crate) strategy: Option<Strategy>,
    /// Whether the owner's versions are all here.
    pub(crate) replace: bool,
}

/// Puts an offer together item by item.
pub struct OfferBuilder {
    clock: Hlc,
    items: Encoder<Vec<u8>>,
    count: u64,
    place: u64,
}

impl OfferBuilder {
    /// Returns an offer without items.
    pub fn new(clock: Hlc, actors: &mut Actors) -> Self {
        if actors.is_crowded() {
            actors.renew();
        }
        Self { clock, items: Encoder::new(Vec::with_capacity(512)), count: 0, place: 0 }
    }

    /// Adds an entity without the groups that the receiver has.
    pub(crate) fn push(
        &mut self,
        number: u32,
        entity: &Entity,
        heading: Heading,
        known: &Known,
        bodies: &mut Bodies,
        actors: &mut Actors,
    ) {
        let space = match entity.key.space {
            Space::Home(home) if home == known.me.home => 0,
            Space::Home(home) if home == known.peer => 1,
            _ => 2,
        };
        let named = if heading.name {
            1 + u64::from(space != 0) + u64::from(entity.class == Class::Document)
        } else {
            0
        };
        let said = [heading.right.is_some(), heading.replace, heading.strategy.is_some()];
        let keys = 2 + named + said.into_iter().filter(|said| *said).count() as u64;
        let out = &mut self.items;
        certain(out.map(keys).and_then(|out| out.u8(0)).and_then(|out| out.u32(number)));
        if heading.name {
            certain(out.u8(1).and_then(|out| out.str(entity.key.id.as_str())));
            if space != 0 {
                certain(out.u8(2).and_then(|out| out.u8(space)));
            }
            if entity.class == Class::Document {
                certain(out.u8(3).and_then(|out| out.u8(1)));
            }
        }
        if let Some(right) = heading.right {
            certain(out.u8(4).and_then(|out| out.u8(right_code(right))));
        }
        certain(out.u8(5).and_then(|out| out.array(entity.siblings.len() as u64)));
        for version in entity.siblings.iter() {
            let (body, rest) = bodies.lacked(number, version, known);
            encode(version, body, rest, (self.clock, actors), out);
        }
        if heading.replace {
            certain(out.u8(6).and_then(|out| out.bool(true)));
        }
        if let Some(strategy) = heading.strategy {
            certain(out.u8(7).and_then(|out| out.u8(strategy as u8)));
        }
        self.count += 1;
        self.place = self.place.max(entity.seq);
    }

    /// Returns how long the items are so far, in bytes.
    pub fn len(&self) -> usize {
        self.items.writer().len()
    }

    /// Tells whether there is no item yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the frame.
    ///
    /// The end of the log is a place that can be told.
    pub(crate) fn finish(self, said: &mut Said, seq: Option<u64>, end: bool) -> Vec<u8> {
        let mut out = Encoder::new(Vec::with_capacity(self.len() + 64));
        let renewed = said.actors.was_renewed();
        let beyond = self.place.saturating_sub(seq.unwrap_or(said.place));
        let keys = [said.actors.has_news(), seq.is_some(), beyond > 0, renewed];
        let keys = 2 + keys.into_iter().filter(|said| *said).count() as u64;
        certain(out.array(2).and_then(|out| out.u8(OFFER)).and_then(|out| out.map(keys)));
        if renewed {
            certain(out.u8(6).and_then(|out| out.bool(true)));
        }
        certain(out.u8(0).and_then(|out| out.i64(said.clock_step(self.clock))));
        if said.actors.has_news() {
            certain(out.u8(1));
            said.actors.announce(&mut out);
        }
        certain(out.u8(2).and_then(|out| out.array(self.count)));
        out.writer_mut().extend_from_slice(self.items.writer());
        if let Some(seq) = seq {
            let key = if end { 4 } else { 3 };
            certain(out.u8(key).and_then(|out| out.i64(said.place_step(seq))));
        }
        if beyond > 0 {
            certain(out.u8(5).and_then(|out| out.u64(beyond)));
        }
        out.into_writer()
    }
}

fn right_code(right: Right) -> u8 {
    match right {
        Right::Read => 1,
        Right::Control => 2,
        Right::Edit => 3,
    }
}

/// Reads a right; one that a newer home knows counts as the least.
fn right(code: u8) -> Right {
    match code {
        2 => Right::Control,
        3 => Right::Edit,
        _ => Right::Read,
    }
}
