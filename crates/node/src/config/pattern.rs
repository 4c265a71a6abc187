//! Which entities a rule is about: an entity id, or one with `*` and `?`.
//!
//! ```
//! use crosshome_node::config::EntityPattern;
//! let lights: EntityPattern = "light.*".parse()?;
//! assert!(lights.matches("light.hall") && !lights.matches("lock.hall"));
//! # Ok::<(), crosshome_node::config::EntityPatternError>(())
//! ```

use std::{fmt, str::FromStr};

use serde_json::{Value as Json, json};

use super::setting::Scalar;
use crate::defaults::PATTERN_BYTES;

/// A pattern over entity ids: `*` stands for any characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntityPattern(String);

impl EntityPattern {
    /// Returns whether the pattern names this entity.
    pub fn matches(&self, entity_id: &str) -> bool {
        matches(self.0.as_bytes(), entity_id.as_bytes())
    }

    /// Returns whether the pattern is a plain entity id.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Walks both at once and comes back to the last star, so that time is bounded by the product of the lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

impl fmt::Display for EntityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntityPattern {
    type Err = EntityPatternError;

    fn from_str(text: &str) -> Result<Self, EntityPatternError> {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.*?".contains(&b);
        if text.is_empty() || text.len() > PATTERN_BYTES {
            Err(EntityPatternError::Length(text.len()))
        } else if !text.bytes().all(known) {
            Err(EntityPatternError::Characters)
        } else if !two_parts(text) {
            Err(EntityPatternError::Parts)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Returns whether there is a domain, a dot and a name; a star may stand for all three.
fn two_parts(text: &str) -> bool {
    match text.split_once('.') {
        Some((domain, name)) => !domain.is_empty() && !name.is_empty() && !name.contains('.'),
        None => text.contains('*'),
    }
}

/// Why a text is no pattern over entity ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntityPatternError {
    /// Empty or longer than any entity id.
    #[error("a pattern has 1 to {PATTERN_BYTES} characters, this one has {0}")]
    Length(usize),
    /// Not a character of an entity id.
    #[error("a pattern is made of small letters, digits, `_`, `.`, `*` and `?`")]
    Characters,
    /// No domain or no name.
    #[error("a pattern is a domain, a dot and a name")]
    Parts,
}

impl Scalar for EntityPattern {
    fn expected() -> String {
        "an entity id, or a pattern with `*` and `?` such as \"light.*\"".into()
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[a-z0-9_.*?]+$", "maxLength": PATTERN_BYTES})
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn suggestion(text: &str) -> Option<String> {
        let lower = text.trim().to_lowercase().replace([' ', '-'], "_");
        Self::parse(&lower).map(|pattern| pattern.0)
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> EntityPattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn star_takes_any_number_and_question_mark_takes_one() {
        assert!(pattern("*").matches("light.hall"));
        assert!(pattern("light.*_lamp").matches("light.a_lamp_lamp"));
        assert!(pattern("sensor.t?").matches("sensor.t1"));
        assert!(!pattern("sensor.t?").matches("sensor.t"));
        assert!(!pattern("light.hall").matches("light.hall_2"));
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product_of_lengths() {
        let hostile = pattern(&format!("a.{}b", "*a".repeat(120)));
        assert!(!hostile.matches(&format!("a.{}", "a".repeat(100_000))));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!("light".parse::<EntityPattern>(), Err(EntityPatternError::Parts));
        assert_eq!("light.".parse::<EntityPattern>(), Err(EntityPatternError::Parts));
        assert_eq!("Light.Hall".parse::<EntityPattern>(), Err(EntityPatternError::Characters));
        assert_eq!("light.[ab]".parse::<EntityPattern>(), Err(EntityPatternError::Characters));
        assert_eq!(EntityPattern::suggestion("Light.Living Room").as_deref(), Some("light.living_room"));
    }
}
