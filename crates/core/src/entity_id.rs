//! What an entity is called, and in whose namespace.
//!
//! Homes name their things alike (`light.living_room` stands in every second
//! one), so an [`EntityId`] means nothing without its [`Space`]: the home whose
//! namespace it is, or the joint space of homes that share one key.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{HomeId, defaults::MAX_ENTITY_ID};

/// A Home Assistant entity id, `domain.object`, of lower-case letters, digits and underscores.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(Arc<str>);

impl EntityId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before the dot.
    pub fn domain(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl FromStr for EntityId {
    type Err = EntityIdError;

    fn from_str(text: &str) -> Result<Self, EntityIdError> {
        if text.len() > MAX_ENTITY_ID {
            return Err(EntityIdError::TooLong(text.len()));
        }
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        match text.split_once('.') {
            Some((domain, object)) if word(domain) && word(object) => Ok(Self(text.into())),
            _ => Err(EntityIdError::Form),
        }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no entity id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntityIdError {
    /// The text is longer than any id.
    #[error("an entity id has at most {MAX_ENTITY_ID} bytes, this one has {0}")]
    TooLong(usize),
    /// The text has another form.
    #[error(
        "an entity id looks like light.living_room: lower-case letters, digits and underscores around one dot"
    )]
    Form,
}

/// A namespace of entities with one authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// The namespace of one home, which alone decides over it.
    Home(HomeId),
    /// The namespace that homes with one shared key have in common.
    Joint,
}

/// The full name of an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey {
    /// Whose namespace.
    pub space: Space,
    /// The name in it.
    pub id: EntityId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_ids_are_refused() {
        let long = format!("light.{}", "a".repeat(MAX_ENTITY_ID));
        for text in [
            "",
            ".",
            "light",
            "light.",
            ".hall",
            "light.hall.x",
            "Light.hall",
            "light.<b>",
            "light.h\u{0}",
            "li ght.hall",
            "light.hällo",
            "../etc.passwd",
            &long,
        ] {
            assert!(text.parse::<EntityId>().is_err(), "{text:?}");
        }
        assert_eq!("light.hall".parse::<EntityId>().map(|id| id.domain().to_owned()), Ok("light".to_owned()));
    }
}
