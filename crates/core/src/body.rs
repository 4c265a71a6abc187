//! What a version says: its field groups, kept as the bytes that are stored and sent.
//!
//! A [`Body`] is a sequence of CBOR items, one per group, sorted by key:
//! `[key, fields]` when the version itself last changed the group, else
//! `[key, fields, dot]`. `fields` is the canonical JSON text of the field named
//! like the group, or a map from field name to such texts. `dot` is the stamp's
//! distance from the version's, with the actor in front if it is another one.
//! Nothing is parsed into a tree, equal groups have equal bytes, and a group
//! travels by being copied.
//!
//! The form of a body always holds. What its texts say was checked when it came
//! into this home, and is not checked again when the home's own store is read:
//! one that is no UTF-8 there says nothing.

use std::fmt;

use minicbor::{Decoder, Encoder, decode};

use crate::{
    HomeId,
    bug::{self, Bug},
    defaults::{MAX_ENTITY, MAX_FIELD_NAME, MAX_FIELDS},
    dot::{Actor, Dot},
    groups::STATE,
    hlc::Hlc,
    update::Member,
};

/// What a group begins with: an array of key and fields, or of these and a dot.
const PARTS: u8 = 0x82;
const PARTS_AND_DOT: u8 = 0x83;

/// The field groups of one version.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Body(Box<[u8]>);

/// One field group, borrowed from a [`Body`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The bytes of the key: UTF-8, whose order is that of its bytes.
    pub(crate) key: &'a [u8],
    /// The change that last touched it.
    pub dot: Dot,
    fields: &'a [u8],
    /// Key and fields as they stand in the body.
    whole: &'a [u8],
}

impl Body {
    /// Returns the body of a version named `dot`, made of groups that come sorted by key.
    pub fn of<'a>(dot: Dot, groups: impl IntoIterator<Item = Group<'a>>) -> Self {
        let mut out = BodyBuilder::new(dot, 512);
        groups.into_iter().for_each(|group| out.push(group));
        out.finish()
    }

    /// Reads a body from outside.
    ///
    /// # Errors
    ///
    /// Refuses what is malformed, unsorted or beyond the bounds of an entity.
    pub fn parse(bytes: &[u8], version: Dot) -> Result<Self, BodyError> {
        if bytes.len() > MAX_ENTITY {
            return Err(BodyError::TooLong(bytes.len()));
        }
        let body = Self::recall(bytes, version)?;
        match body.check(version)? > MAX_FIELDS {
            true => Err(BodyError::Order),
            false => Ok(body),
        }
    }

    /// Reads a body that this home has stored itself, and does not ask what its texts say.
    ///
    /// # Errors
    ///
    /// Refuses groups that cannot be told apart, or are out of order.
    pub(crate) fn recall(bytes: &[u8], version: Dot) -> Result<Self, BodyError> {
        let (mut rest, mut last) = (bytes, None);
        while !rest.is_empty() {
            let group = Group::decode(&mut rest, version)?;
            if last.is_some_and(|last| last >= group.key) {
                return Err(BodyError::Order);
            }
            last = Some(group.key);
        }
        Ok(Self(bytes.into()))
    }

    /// Checks keys, names and values, and counts the fields.
    pub(crate) fn check(&self, version: Dot) -> Result<usize, BodyError> {
        self.groups(version).map(|group| check(&group)).sum()
    }

    /// Returns the groups, sorted by key; `version` is the dot of the version that this body belongs to.
    pub fn groups(&self, version: Dot) -> impl Iterator<Item = Group<'_>> + Clone {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            (!rest.is_empty())
                .then(|| Group::decode(&mut rest, version).expect("the form is checked when a body is made"))
        })
    }

    /// Returns the bytes as stored and sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Group<'a> {
    /// Returns the group's key.
    pub fn key(&self) -> &'a str {
        utf8(self.key).unwrap_or_default()
    }

    /// Returns the fields and their canonical JSON, sorted by name.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        fields(self.key(), self.fields).flatten()
    }

    /// Returns the same values under another dot.
    pub(crate) fn moved_to(self, dot: Dot) -> Self {
        Self { dot, ..self }
    }

    /// Returns the names of the fields, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.fields;
        let count = map_length(&mut rest);
        let alone = count.is_none().then(|| own_field(self.key()));
        let named = (0..count.unwrap_or(0)).map(move |_| {
            let name = read_text(&mut rest).and_then(utf8);
            let _value = read_text(&mut rest);
            name.unwrap_or_default()
        });
        alone.into_iter().chain(named)
    }

    /// Tells whether both groups hold the same values.
    pub fn same_values(&self, other: &Group<'_>) -> bool {
        self.has_values(other.fields)
    }

    /// Tells whether the values are those that these fields of the same group hold.
    fn has_values(&self, other: &[u8]) -> bool {
        self.fields == other || self.fields().eq(fields(self.key(), other).flatten())
    }

    /// Reads the next group, of which nothing but the form is checked.
    fn decode(rest: &mut &'a [u8], version: Dot) -> Result<Self, decode::Error> {
        let own = match rest.split_off_first() {
            Some(&PARTS) => true,
            Some(&PARTS_AND_DOT) => false,
            _ => return Err(decode::Error::message("a group has two or three parts")),
        };
        let whole = *rest;
        let key = read_text(rest)?;
        let fields = *rest;
        let texts = map_length(rest).map_or(1, |count| 2 * count);
        if texts > 2 * MAX_FIELDS {
            return Err(decode::Error::message("a group has too many fields"));
        }
        for _ in 0..texts {
            read_text(rest)?;
        }
        let (fields, whole) = (&fields[..fields.len() - rest.len()], &whole[..whole.len() - rest.len()]);
        let dot = if own { version } else { read_dot(rest, version)? };
        Ok(Self { key, dot, fields, whole })
    }
}

/// Puts a body together, group by group in the order of their keys.
pub struct BodyBuilder {
    dot: Dot,
    out: Encoder<Vec<u8>>,
}

impl BodyBuilder {
    /// Returns an empty body of the version named `dot`, with room for so many bytes.
    pub fn new(dot: Dot, capacity: usize) -> Self {
        Self::behind(dot, Vec::with_capacity(capacity))
    }

    /// Returns an empty body of the version named `dot` that is put behind other bytes.
    pub(crate) fn behind(dot: Dot, out: Vec<u8>) -> Self {
        Self { dot, out: Encoder::new(out) }
    }

    /// Adds a group as it is.
    pub fn push(&mut self, group: Group<'_>) {
        let same = group.dot == self.dot;
        let out = self.out.writer_mut();
        out.push(if same { PARTS } else { PARTS_AND_DOT });
        out.extend_from_slice(group.whole);
        if !same {
            encode_dot(&mut self.out, group.dot, self.dot);
        }
    }

    /// Adds a group of these fields, sorted by name, and tells whether they are those of the `known` group of
    /// this key; then it keeps that one's dot.
    pub(crate) fn push_fields(&mut self, fields: &[Member<'_>], known: Option<Group<'_>>) -> bool {
        let (key, head) = (fields.first().map_or("", |field| field.group), self.out.writer().len());
        self.out.writer_mut().push(PARTS);
        certain(self.out.str(key));
        let start = self.out.writer().len();
        self.encode_fields(key, fields);
        let written = &self.out.writer()[start..];
        let stays = |known: &Group<'_>| match known.has_values(written) {
            true => !bug::is(Bug::GroupDotTaken),
            false => bug::is(Bug::GroupDotKept),
        };
        let Some(known) = known.filter(stays) else { return false };
        if known.dot != self.dot {
            self.out.writer_mut()[head] = PARTS_AND_DOT;
            encode_dot(&mut self.out, known.dot, self.dot);
        }
        true
    }

    /// Encodes fields as a [`Group`] holds them.
    fn encode_fields(&mut self, key: &str, fields: &[Member<'_>]) {
        match fields {
            [only] if only.name == own_field(key) => certain(self.out.str(only.value)),
            _ => {
                certain(self.out.map(fields.len() as u64));
                for field in fields {
                    certain(self.out.str(field.name).and_then(|out| out.str(field.value)));
                }
            }
        }
    }

    /// Returns the body.
    pub fn finish(self) -> Body {
        Body(self.into_bytes().into())
    }

    /// Returns the bytes of the body, behind those that were there.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out.into_writer()
    }
}

/// The field that a group of this key holds when it holds just one.
fn own_field(key: &str) -> &str {
    if key == "state" { STATE } else { key }
}

fn fields<'a>(
    key: &'a str,
    mut rest: &'a [u8],
) -> impl Iterator<Item = Result<(&'a str, &'a str), decode::Error>> + use<'a> {
    let named = map_length(&mut rest);
    let mut left = named.unwrap_or(1);
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let name = named.map(|_| read_text(&mut rest));
        let value = read_text(&mut rest);
        let name = name.map_or(Ok(own_field(key)), |name| name.and_then(utf8));
        Some(name.and_then(|name| Ok((name, utf8(value?)?))))
    })
}

/// Checks key, names, order and values of one group from outside and counts its fields.
fn check(group: &Group<'_>) -> Result<usize, BodyError> {
    let key = utf8(group.key)?;
    let (mut last, mut count) = (None, 0);
    for field in fields(key, group.fields) {
        let (name, value) = field?;
        if name.len() > MAX_FIELD_NAME || last.is_some_and(|last| last >= name) {
            return Err(BodyError::Order);
        }
        crate::json::check(value).map_err(|_| BodyError::Value)?;
        (last, count) = (Some(name), count + 1);
    }
    if key.is_empty() || key.len() > MAX_FIELD_NAME || count == 0 {
        return Err(BodyError::Order);
    }
    Ok(count)
}

/// Reads how many fields a map has, if the fields of a group are one.
fn map_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, head) = match **rest {
        [short @ 0xa0..0xb8, ..] => (usize::from(short - 0xa0), 1),
        [0xb8, length, ..] => (usize::from(length), 2),
        [0xb9, a, b, ..] => (usize::from(u16::from_be_bytes([a, b])), 3),
        _ => return None,
    };
    *rest = &rest[head..];
    Some(length)
}

/// Reads a text as bytes; whether they are UTF-8 is asked once, when a body is checked.
fn read_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], decode::Error> {
    let (length, head) = match **rest {
        [short @ 0x60..0x78, ..] => (usize::from(short - 0x60), 1),
        [0x78, length, ..] => (usize::from(length), 2),
        [0x79, a, b, ..] => (usize::from(u16::from_be_bytes([a, b])), 3),
        [0x7a, a, b, c, d, ..] => (u32::from_be_bytes([a, b, c, d]) as usize, 5),
        _ => return Err(decode::Error::message("a field is a text")),
    };
    *rest = &rest[head..];
    rest.split_off(..length).ok_or_else(decode::Error::end_of_input)
}

fn utf8(bytes: &[u8]) -> Result<&str, decode::Error> {
    std::str::from_utf8(bytes).map_err(|_| decode::Error::message("a text is not UTF-8"))
}

fn read_dot(rest: &mut &[u8], version: Dot) -> Result<Dot, decode::Error> {
    let mut decoder = Decoder::new(rest);
    let dot = decode_dot(&mut decoder, version)?;
    *rest = &rest[decoder.position()..];
    Ok(dot)
}

fn encode_dot(out: &mut Encoder<Vec<u8>>, dot: Dot, version: Dot) {
    let distance = dot.hlc.0.wrapping_sub(version.hlc.0) as i64;
    if dot.actor == version.actor {
        certain(out.i64(distance));
    } else {
        let actor = out.array(3).and_then(|out| out.bytes(&dot.actor.home.0));
        certain(actor.and_then(|out| out.u32(dot.actor.incarnation)).and_then(|out| out.i64(distance)));
    }
}

fn decode_dot(decoder: &mut Decoder<'_>, version: Dot) -> Result<Dot, decode::Error> {
    let actor = match decoder.input().get(decoder.position()) {
        Some(0x80..=0x9f) => {
            if decoder.array()? != Some(3) {
                return Err(decode::Error::message("a stamp with its actor has three parts"));
            }
            let home =
                decoder.bytes()?.try_into().map_err(|_| decode::Error::message("a home id has 32 bytes"))?;
            Actor { home: HomeId(home), incarnation: decoder.u32()? }
        }
        _ => version.actor,
    };
    let hlc = Hlc(version.hlc.0.wrapping_add(decoder.i64()? as u64));
    Ok(Dot { actor, hlc })
}

/// Ends an encoding into memory, which cannot fail.
pub(crate) fn certain<T>(written: Result<T, minicbor::encode::Error<std::convert::Infallible>>) {
    let _ = written.expect("writing into memory does not fail");
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nobody = Dot { actor: Actor::first(HomeId([0; 32])), hlc: Hlc(0) };
        f.debug_map().entries(self.groups(nobody).map(|g| (g.key(), g.fields().collect::<Vec<_>>()))).finish()
    }
}

/// Why a body from outside is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// More bytes than an entity may have.
    #[error("entity of {0} bytes is over the limit of {MAX_ENTITY}")]
    TooLong(usize),
    /// Groups or fields out of order, repeated, without name, or too many.
    #[error("fields of an entity are out of order or too many")]
    Order,
    /// A value is no bounded JSON.
    #[error("a value of the entity is not acceptable JSON")]
    Value,
    /// No CBOR of the right shape.
    #[error("entity is malformed: {0}")]
    Form(#[from] decode::Error),
}
