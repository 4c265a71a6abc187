//! Who may see and steer what: grants, and the right that follows from them.
//!
//! Nothing is shared until a grant says so. A rule for one entity beats a rule
//! for many, one for a certain peer beats one for all, and among equals the later
//! holds, or the one that was set after the other at the same place. A rule without right takes an entity out of a wider one. Each rule
//! carries the place in the change log where it was made, so that what it newly
//! admits is sent, and only that.
//!
//! ```
//! # use crosshome_core::{HomeId, grant::{Grants, Right, Selector, Traits}};
//! let (mut grants, flat) = (Grants::default(), HomeId([2; 32]));
//! grants.set(Some(flat), Selector::Glob("light.*".into()), Some(Right::Read), 1);
//! let admitted = grants.admits(flat, &"light.hall".parse().unwrap(), &Traits::default(), || false);
//! assert_eq!(admitted.map(|grant| grant.right), Some(Right::Read));
//! ```

use crate::{
    EntityId, HomeId,
    bug::{self, Bug},
};

/// What a peer may do with an entity; each right includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// See it.
    Read,
    /// See it and send commands to it.
    Control,
    /// See it, command it, and write it if it is a document.
    Edit,
}

/// Which entities a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// One entity.
    Entity(EntityId),
    /// Every id that matches a pattern of `*` (any text) and `?` (one character).
    Glob(String),
    /// Every entity in an area of the house.
    Area(String),
    /// Every entity with a label.
    Label(String),
}

/// Where an entity stands in its house, as far as selectors ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The area it is in.
    pub area: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The peer it speaks of; none means every paired home.
    pub peer: Option<HomeId>,
    /// The entities it speaks of.
    pub selector: Selector,
    /// The right it gives; none takes the entities out of wider rules.
    pub right: Option<Right>,
    /// Its place in the change log.
    pub seq: u64,
}

/// What the rules give a peer on one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The right.
    pub right: Right,
    /// Since when, as a place in the change log.
    pub seq: u64,
}

/// All rules of a home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Sets the rule for this peer and selector, in the place of an earlier one.
    pub fn set(&mut self, peer: Option<HomeId>, selector: Selector, right: Option<Right>, seq: u64) {
        self.clear(peer, &selector);
        self.0.push(Grant { peer, selector, right, seq });
    }

    /// Removes the rule for this peer and selector and tells whether there was one.
    pub fn clear(&mut self, peer: Option<HomeId>, selector: &Selector) -> bool {
        let before = self.0.len();
        self.0.retain(|grant| grant.peer != peer || grant.selector != *selector);
        self.0.len() < before
    }

    /// Removes every rule that speaks of this peer.
    pub fn forget(&mut self, peer: HomeId) {
        self.0.retain(|grant| grant.peer != Some(peer));
    }

    /// Lets every rule that speaks of `old` speak of `new`.
    pub fn rename(&mut self, old: HomeId, new: HomeId) {
        self.0.iter_mut().filter(|grant| grant.peer == Some(old)).for_each(|grant| grant.peer = Some(new));
    }

    /// Returns what the peer may do with the entity, if anything; what is risky is admitted by its exact id alone.
    pub fn admits(
        &self,
        peer: HomeId,
        id: &EntityId,
        traits: &Traits,
        risky: impl FnOnce() -> bool,
    ) -> Option<Admission> {
        let matching = self.0.iter().filter(|grant| grant.peer.is_none_or(|known| known == peer));
        let matching = matching.filter(|grant| grant.right.is_some() || !bug::is(Bug::DenialIgnored));
        let deciding = matching.filter(|grant| grant.selector.matches(id, traits)).max_by_key(|grant| {
            let exact = matches!(grant.selector, Selector::Entity(_)) && !bug::is(Bug::SpecificLoses);
            (exact, grant.peer.is_some(), grant.seq)
        })?;
        let admission = Admission { right: deciding.right?, seq: deciding.seq };
        let exact = matches!(deciding.selector, Selector::Entity(_));
        (exact || bug::is(Bug::RiskIgnored) || !risky()).then_some(admission)
    }

    /// Returns the place in the change log of the latest rule that speaks of the peer.
    pub fn latest(&self, peer: HomeId) -> u64 {
        let matching = self.0.iter().filter(|grant| grant.peer.is_none_or(|known| known == peer));
        matching.map(|grant| grant.seq).max().unwrap_or(0)
    }

    /// Returns all rules.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl Selector {
    /// Reads a selector as people type it: an entity id, a pattern, `area:Kitchen` or `label:guests`.
    ///
    /// # Errors
    ///
    /// Refuses empty text and patterns with characters that no entity id has.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if let Some(area) = text.strip_prefix("area:").filter(|area| !area.is_empty()) {
            return Ok(Self::Area(area.into()));
        }
        if let Some(label) = text.strip_prefix("label:").filter(|label| !label.is_empty()) {
            return Ok(Self::Label(label.into()));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Entity(id));
        }
        let pattern = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'*' | b'?');
        match text.contains(['*', '?']) && text.bytes().all(pattern) && text.len() <= 255 {
            true => Ok(Self::Glob(text.into())),
            false => Err(SelectorError(text.chars().take(80).collect())),
        }
    }

    /// Tells whether the rule speaks of this entity.
    pub fn matches(&self, id: &EntityId, traits: &Traits) -> bool {
        match self {
            Self::Entity(wanted) => wanted == id,
            Self::Glob(pattern) => glob(pattern.as_bytes(), id.as_str().as_bytes()),
            Self::Area(area) => traits.area.as_ref() == Some(area),
            Self::Label(label) => traits.labels.contains(label),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entity(id) => id.fmt(f),
            Self::Glob(pattern) => f.write_str(pattern),
            Self::Area(area) => write!(f, "area:{area}"),
            Self::Label(label) => write!(f, "label:{label}"),
        }
    }
}

/// A text selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither an entity id such as light.hall, a pattern such as light.*, area:NAME nor label:NAME"
)]
pub struct SelectorError(String);

/// Matches without recursion: a star is retried from the latest place where it stood, so a hostile
/// pattern costs at most the product of both lengths.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: HomeId = HomeId([2; 32]);

    fn admits(grants: &Grants, id: &str) -> Option<Right> {
        grants
            .admits(FLAT, &id.parse().unwrap(), &Traits::default(), || false)
            .map(|admission| admission.right)
    }

    #[test]
    fn nothing_is_shared_by_default_and_never_with_others() {
        let mut grants = Grants::default();
        assert_eq!(admits(&grants, "light.hall"), None);
        grants.set(Some(HomeId([3; 32])), Selector::Glob("*".into()), Some(Right::Edit), 1);
        assert_eq!(admits(&grants, "light.hall"), None);
    }

    #[test]
    fn rule_for_one_entity_beats_a_wider_and_later_one() {
        let mut grants = Grants::default();
        grants.set(Some(FLAT), Selector::parse("light.hall").unwrap(), None, 1);
        grants.set(Some(FLAT), Selector::parse("light.*").unwrap(), Some(Right::Control), 2);
        assert_eq!(admits(&grants, "light.hall"), None);
        assert_eq!(admits(&grants, "light.attic"), Some(Right::Control));
    }

    #[test]
    fn pattern_never_admits_what_is_risky() {
        let (mut grants, lock) = (Grants::default(), "lock.door".parse().unwrap());
        grants.set(Some(FLAT), Selector::Glob("*".into()), Some(Right::Control), 1);
        assert_eq!(grants.admits(FLAT, &lock, &Traits::default(), || true), None);
        grants.set(Some(FLAT), Selector::Entity(lock.clone()), Some(Right::Read), 2);
        let admitted = grants.admits(FLAT, &lock, &Traits::default(), || true);
        assert_eq!(admitted.map(|admission| admission.right), Some(Right::Read));
    }

    #[test]
    fn star_and_question_mark_match_as_people_expect() {
        for (pattern, text, expected) in [
            ("light.*", "light.hall", true),
            ("light.*", "lights.hall", false),
            ("*", "light.hall", true),
            ("*.h*l", "light.hall", true),
            ("light.hal?", "light.hall", true),
            ("light.hal?", "light.hal", false),
            ("*a*b*c", "xaxbxc.xc", true),
            ("*a*b*c", "xaxbxcx", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_pattern_is_cheap() {
        let (pattern, text) = ("*a".repeat(127), "a".repeat(254) + "b");
        assert!(!glob(pattern.as_bytes(), text.as_bytes()));
    }
}
