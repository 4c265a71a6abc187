//! The members of one JSON object, canonical and in one buffer.

use std::{fmt, str::FromStr};

use super::{Json, JsonError, canonical::Reader};

/// The members of a JSON object, sorted by name, each value canonical.
///
/// ```
/// # use crosshome_core::json::Members;
/// let members: Members = r#"{"b": 1e1, "a": null, "b": 2.0}"#.parse().expect("an object");
/// assert!(members.iter().eq([("a", "null"), ("b", "2")]));
/// ```
#[derive(Clone, Default)]
pub struct Members {
    /// Names and values, as they came.
    text: String,
    /// Where they stand in the text, sorted by name.
    places: Vec<Place>,
}

/// Where one member stands: its value follows its name.
#[derive(Clone, Copy)]
struct Place {
    name: usize,
    value: usize,
    end: usize,
}

impl Members {
    /// Returns names and canonical values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let Self { text, places } = self;
        places.iter().map(|at| (&text[at.name..at.value], &text[at.value..at.end]))
    }

    /// Returns how many members there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns an empty object with room for a text of so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), places: Vec::with_capacity(16) }
    }

    /// Adds a member whose value `write` appends to the text.
    pub(super) fn push(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut String) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        let start = self.text.len();
        self.text.push_str(name);
        let value = self.text.len();
        write(&mut self.text)?;
        self.places.push(Place { name: start, value, end: self.text.len() });
        Ok(())
    }

    /// Puts the members in order; of those with one name the last counts.
    pub(super) fn sorted(mut self) -> Self {
        let Self { text, places } = &mut self;
        let name = |at: &Place| &text[at.name..at.value];
        places.sort_by(|a, b| name(a).cmp(name(b)));
        places.dedup_by(|again, kept| {
            let same = name(again) == name(kept);
            if same {
                *kept = *again;
            }
            same
        });
        self
    }
}

impl FromStr for Members {
    type Err = JsonError;

    fn from_str(text: &str) -> Result<Self, JsonError> {
        let mut reader = Reader::new(text)?;
        let members = reader.members(0)?;
        reader.end()?;
        Ok(members)
    }
}

impl<N: AsRef<str>> FromIterator<(N, Json)> for Members {
    fn from_iter<I: IntoIterator<Item = (N, Json)>>(all: I) -> Self {
        let mut members = Self::default();
        for (name, value) in all {
            let added = members.push(name.as_ref(), |out| {
                out.push_str(value.as_str());
                Ok(())
            });
            added.expect("copying does not fail");
        }
        members.sorted()
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Members {}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
