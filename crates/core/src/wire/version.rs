//! One version on the wire, whole or without the groups that the receiver has.
//!
//! Map keys: 0 actor number, 1 stamp as distance back from the frame's clock, 2 context
//! as `[actor number, stamp, …]`, 3 groups (see [`Body`]), 4 check of the groups left out,
//! 5 flags. Higher keys are kept as they come.

use std::hash::Hasher;

use minicbor::{Decoder, Encoder, decode};
use siphasher::sip::SipHasher13;

use super::Actors;
use crate::{
    body::{Body, BodyBuilder, Group, certain},
    bug::{self, Bug},
    defaults::{MAX_ACTORS, MAX_ENTITY},
    dot::{Dot, VersionVector},
    hlc::Hlc,
    version::{Cause, Version},
    view,
};

const DELETED: u8 = 4;
const UNTIMED: u8 = 8;
/// The first key that this version of the protocol does not know.
const UNKNOWN: u32 = 6;

/// A hash over the keys and dots of the groups left out, by which the receiver knows that it has just those.
///
/// SipHash-1-3 of, for each group in order: its key, 0xff, and unless it is that of the group before, its dot as home,
/// incarnation and stamp, little-endian.
#[derive(Clone, Debug)]
pub struct Rest(SipHasher13, Option<Dot>);

impl Default for Rest {
    fn default() -> Self {
        Self(SipHasher13::new_with_key(b"crosshome groups"), None)
    }
}

impl Rest {
    /// Takes a group into account.
    pub fn add(&mut self, group: &Group<'_>) {
        self.0.write(group.key);
        self.0.write(&[0xff]);
        if self.1 == Some(group.dot) {
            return;
        }
        let mut dot = [0; 44];
        dot[..32].copy_from_slice(&group.dot.actor.home.0);
        dot[32..36].copy_from_slice(&group.dot.actor.incarnation.to_le_bytes());
        dot[36..].copy_from_slice(&group.dot.hlc.0.to_le_bytes());
        self.0.write(&dot);
        self.1 = Some(group.dot);
    }

    /// Returns the check, or nothing when no group was left out.
    pub fn check(&self) -> Option<u32> {
        self.1.map(|_| self.0.finish() as u32)
    }
}

/// A version as it arrived, perhaps without the groups that this home has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The version with the groups that came.
    pub version: Version,
    /// The check of the groups left out.
    pub rest: Option<u32>,
}

impl Draft {
    /// Completes the version with groups of a known one, or of all known ones merged, if these are just the ones
    /// left out.
    pub fn complete(self, known: &[Version]) -> Option<Version> {
        let Some(check) = self.rest else { return Some(self.version) };
        let alone = known.iter().find_map(|base| self.over(base.groups(), check));
        let body = alone.or_else(|| {
            let apart = known.len() > 1;
            apart.then(|| self.over(view::merged(known).0.into_iter(), check)).flatten()
        });
        body.map(|body| Version { body, ..self.version })
    }

    /// Lays the groups that came over known ones; both are sorted.
    fn over<'a>(&self, base: impl Iterator<Item = Group<'a>>, check: u32) -> Option<Body> {
        let capacity = 2 * self.version.body.as_bytes().len() + 256;
        let (mut out, mut rest) = (BodyBuilder::new(self.version.dot, capacity), Rest::default());
        let mut came = self.version.groups().peekable();
        for kept in base {
            while let Some(group) = came.next_if(|group| group.key < kept.key) {
                out.push(group);
            }
            if came.peek().is_none_or(|group| group.key != kept.key) {
                rest.add(&kept);
                out.push(kept);
            }
        }
        came.for_each(|group| out.push(group));
        let body = out.finish(); // what comes in parts is bounded like what comes whole
        let sound = rest.check() == Some(check) || bug::is(Bug::RestUnchecked);
        (sound && body.as_bytes().len() <= MAX_ENTITY).then_some(body)
    }
}

/// Encodes a whole version.
pub fn encode_version(version: &Version, clock: Hlc, actors: &mut Actors, out: &mut Encoder<Vec<u8>>) {
    encode(version, version.body.as_bytes(), None, (clock, actors), out);
}

/// Encodes a version without the groups for which `has` is true.
pub fn encode_version_without(
    version: &Version,
    has: impl Fn(&Group<'_>) -> bool,
    (clock, actors): (Hlc, &mut Actors),
    out: &mut Encoder<Vec<u8>>,
) {
    let mut body = Vec::new();
    let rest = strip(version, has, &mut body);
    encode(version, &body, rest, (clock, actors), out);
}

/// Appends the groups for which `has` is false, and returns the check of the others.
pub(super) fn strip(version: &Version, has: impl Fn(&Group<'_>) -> bool, out: &mut Vec<u8>) -> Option<u32> {
    let mut body = BodyBuilder::behind(version.dot, std::mem::take(out));
    let mut rest = Rest::default();
    version.groups().for_each(|group| if has(&group) { rest.add(&group) } else { body.push(group) });
    *out = body.into_bytes();
    rest.check()
}

/// Encodes a version with these groups, and the check of those left out.
pub(super) fn encode(
    version: &Version,
    body: &[u8],
    rest: Option<u32>,
    (clock, actors): (Hlc, &mut Actors),
    out: &mut Encoder<Vec<u8>>,
) {
    let flags = flags(version);
    let keys = 3 + u64::from(!version.context.is_empty()) + u64::from(rest.is_some()) + u64::from(flags != 0);
    let unknown = unknown_keys(version);
    certain(
        out.map(keys + unknown)
            .and_then(|out| out.u8(0))
            .and_then(|out| out.u32(actors.number(version.dot.actor))),
    );
    certain(out.u8(1).and_then(|out| out.i64(clock.0.wrapping_sub(version.dot.hlc.0) as i64)));
    if !version.context.is_empty() {
        certain(out.u8(2).and_then(|out| out.array(2 * version.context.len() as u64)));
        for dot in version.context.dots() {
            certain(out.u32(actors.number(dot.actor)).and_then(|out| out.u64(dot.hlc.0)));
        }
    }
    certain(out.u8(3).and_then(|out| out.bytes(body)));
    if let Some(check) = rest {
        certain(out.u8(4).and_then(|out| out.u32(check)));
    }
    if flags != 0 {
        certain(out.u8(5).and_then(|out| out.u8(flags)));
    }
    out.writer_mut().extend_from_slice(version.unknown.get(4..).unwrap_or_default());
}

/// Decodes a version.
///
/// # Errors
///
/// Refuses what is malformed or beyond the bounds.
pub fn decode_version(
    decoder: &mut Decoder<'_>,
    clock: Hlc,
    actors: &Actors,
) -> Result<Draft, decode::Error> {
    let (parts, body, rest) = decode_parts(decoder, clock, actors)?;
    let body = Body::parse(body, parts.dot).map_err(decode::Error::custom)?;
    Ok(Draft { version: Version { body, ..parts }, rest })
}

/// Decodes a version that this home has stored, and does not ask what its texts say.
pub(crate) fn recall_version(
    decoder: &mut Decoder<'_>,
    clock: Hlc,
    actors: &Actors,
) -> Result<Version, decode::Error> {
    let (parts, body, _) = decode_parts(decoder, clock, actors)?;
    Ok(Version { body: Body::recall(body, parts.dot).map_err(decode::Error::custom)?, ..parts })
}

/// Decodes a version whose body is still to be read, with the check of the groups left out.
fn decode_parts<'a>(
    decoder: &mut Decoder<'a>,
    clock: Hlc,
    actors: &Actors,
) -> Result<(Version, &'a [u8], Option<u32>), decode::Error> {
    let keys = length(decoder.map()?, 64)?;
    let (mut actor, mut hlc, mut context, mut body, mut rest, mut flags) = (None, None, None, None, None, 0);
    let (mut unknown, mut unknown_count) = (Vec::new(), 0u32);
    for _ in 0..keys {
        let start = decoder.position();
        match decoder.u32()? {
            0 => actor = Some(actors.actor(decoder.u32()?)?),
            1 => hlc = Some(Hlc(clock.0.wrapping_sub(decoder.i64()? as u64))),
            2 => context = Some(decode_context(decoder, actors)?),
            3 => body = Some(decoder.bytes()?),
            4 => rest = Some(decoder.u32()?),
            5 => flags = decoder.u8()?,
            UNKNOWN.. => {
                skip(decoder)?;
                unknown.extend_from_slice(&decoder.input()[start..decoder.position()]);
                unknown_count += 1;
            }
        }
    }
    let (Some(actor), Some(hlc), Some(body)) = (actor, hlc, body) else {
        return Err(decode::Error::message("a version names its actor, stamp and groups"));
    };
    let (dot, context) = (Dot { actor, hlc }, context.unwrap_or_default());
    // nobody could ever write a version that has seen this one, if it claimed to have seen its own future
    if context.dots().any(|seen| seen.actor == actor) {
        return Err(decode::Error::message("a context names others than the version's own actor"));
    }
    if unknown.len() > MAX_ENTITY {
        return Err(decode::Error::message("unknown keys are too long"));
    }
    let unknown = if unknown_count == 0 {
        Box::default()
    } else {
        [&unknown_count.to_be_bytes()[..], &unknown].concat().into()
    };
    let version = Version {
        dot,
        context,
        body: Body::default(),
        cause: cause(flags),
        deleted: flags & DELETED != 0,
        timed: flags & UNTIMED == 0,
        unknown,
    };
    Ok((version, body, rest))
}

fn decode_context(decoder: &mut Decoder<'_>, actors: &Actors) -> Result<VersionVector, decode::Error> {
    let items = length(decoder.array()?, 2 * MAX_ACTORS)?;
    let mut context = VersionVector::default();
    for _ in 0..items / 2 {
        let actor = actors.actor(decoder.u32()?)?;
        context.insert(Dot { actor, hlc: Hlc(decoder.u64()?) });
    }
    Ok(context)
}

/// Returns a definite length within its bound.
pub(super) fn length(length: Option<u64>, most: usize) -> Result<usize, decode::Error> {
    match length {
        Some(length) if length <= most as u64 => Ok(length as usize),
        _ => Err(decode::Error::message("length is indefinite or over its limit")),
    }
}

/// Skips one value without recursion, and refuses deep nesting.
pub(super) fn skip(decoder: &mut Decoder<'_>) -> Result<(), decode::Error> {
    decoder.skip()
}

/// How many unknown keys a version carries: counted in its first four bytes.
fn unknown_keys(version: &Version) -> u64 {
    version.unknown.first_chunk().map_or(0, |count| u64::from(u32::from_be_bytes(*count)))
}

fn flags(version: &Version) -> u8 {
    let cause = match version.cause {
        Cause::Device => 0,
        Cause::Person => 1,
        Cause::Automation => 2,
        Cause::Strategy => 3,
    };
    cause
        | if version.deleted && !bug::is(Bug::DeletionUnmarked) { DELETED } else { 0 }
        | if version.timed { 0 } else { UNTIMED }
}

fn cause(flags: u8) -> Cause {
    match flags & 3 {
        0 => Cause::Device,
        1 => Cause::Person,
        2 => Cause::Automation,
        _ => Cause::Strategy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HomeId, dot::Actor, update::Update};

    #[test]
    fn entity_that_comes_in_parts_is_no_longer_than_one_that_comes_whole() {
        let dot = |ms| Dot { actor: Actor::first(HomeId([1; 32])), hlc: Hlc::at(ms) };
        let version = |ms, name| {
            let attributes = format!(r#"{{"{name}":"{}"}}"#, "x".repeat(MAX_ENTITY / 2));
            let update = Update::replace("on", &attributes).expect("an object");
            let body = update.apply("note", [], dot(ms)).expect("short enough").expect("new");
            let context = VersionVector::default();
            let (cause, unknown) = (Cause::Person, Box::default());
            Version { dot: dot(ms), context, body, cause, deleted: false, timed: true, unknown }
        };
        let (known, came) = (version(1, "a"), version(2, "b"));
        let mut rest = Rest::default();
        rest.add(&known.group("a").expect("it has one"));
        let draft = Draft { version: came, rest: rest.check() };
        assert!(draft.version.body.as_bytes().len() < MAX_ENTITY);
        assert_eq!(draft.complete(std::slice::from_ref(&known)), None);
    }
}
