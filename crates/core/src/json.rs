//! Values as text: JSON from outside becomes canonical, bounded [`Json`].
//!
//! Two homes can only agree that a value is the same when it is written one way.
//! The canonical form is that of RFC 8785: no white space, numbers as ECMAScript
//! prints a double, keys sorted (here by code point), the last of duplicate keys
//! kept. Nesting and size are bounded while parsing, before anything is built,
//! and the text stays text: nobody pays for a tree who does not ask for one.
//!
//! ```
//! # use crosshome_core::json::Json;
//! let value: Json = r#"{"b": 21.0, "a": [true, 1e2]}"#.parse().expect("valid JSON");
//! assert_eq!(value.as_str(), r#"{"a":[true,100],"b":21}"#);
//! ```

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::defaults::{MAX_DEPTH, MAX_ENTITY, MAX_NODES};

/// The largest integer that a double, and so ECMAScript, holds exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// One JSON value in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// Returns the canonical form of a string value.
    pub fn string(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 2);
        write_string(text, &mut out);
        Self(out.into())
    }

    /// Returns the canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Json {
    type Err = JsonError;

    fn from_str(text: &str) -> Result<Self, JsonError> {
        let mut out = String::with_capacity(text.len());
        parse(text, |deserializer, budget| {
            Canonical { out: &mut out, budget, depth: 0 }.deserialize(deserializer)
        })?;
        Ok(Self(out.into()))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a JSON object into its canonical members, sorted by name.
///
/// # Errors
///
/// Refuses what is no JSON object, or nests or counts beyond the bounds.
pub fn members(text: &str) -> Result<Vec<(Box<str>, Json)>, JsonError> {
    parse(text, |deserializer, budget| Members { budget, depth: 0 }.deserialize(deserializer))
}

/// Checks that a text is one canonical value within the bounds.
///
/// # Errors
///
/// As [`Json`]'s parsing, and for a text in another form than the canonical one.
pub fn check(text: &str) -> Result<(), JsonError> {
    match plain(text) || text.parse::<Json>()?.as_str() == text {
        true => Ok(()),
        false => Err(JsonError::Form("value is not in canonical form".into())),
    }
}

/// Tells at a glance that most values need no parser: short words, small integers, strings without escapes.
fn plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [b'"', inner @ .., b'"'] => inner.iter().all(|b| *b >= b' ' && *b != b'"' && *b != b'\\'),
        [b'1'..=b'9', rest @ ..] => rest.len() < 15 && rest.iter().all(u8::is_ascii_digit),
        _ => matches!(text, "null" | "true" | "false" | "0"),
    }
}

/// Why a text is not accepted as a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is longer than an entity may be.
    #[error("value of {0} bytes is over the limit of {MAX_ENTITY}")]
    TooLong(usize),
    /// The text is not JSON, or beyond a bound.
    #[error("{0}")]
    Form(String),
}

fn parse<'a, T>(
    text: &'a str,
    read: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::StrRead<'a>>,
        &mut Budget,
    ) -> serde_json::Result<T>,
) -> Result<T, JsonError> {
    if text.len() > MAX_ENTITY {
        return Err(JsonError::TooLong(text.len()));
    }
    let form = |error: serde_json::Error| JsonError::Form(error.to_string());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = read(&mut deserializer, &mut Budget { nodes: MAX_NODES }).map_err(form)?;
    deserializer.end().map_err(form)?;
    Ok(value)
}

/// What a value may still use.
struct Budget {
    nodes: usize,
}

impl Budget {
    fn spend<E: serde::de::Error>(&mut self, depth: usize) -> Result<(), E> {
        if depth > MAX_DEPTH {
            return Err(E::custom(format_args!("value nests deeper than {MAX_DEPTH}")));
        }
        self.nodes = self
            .nodes
            .checked_sub(1)
            .ok_or_else(|| E::custom(format_args!("more than {MAX_NODES} values")))?;
        Ok(())
    }
}

/// Writes one value canonically while it is parsed.
struct Canonical<'a> {
    out: &'a mut String,
    budget: &'a mut Budget,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Canonical<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.budget.spend(self.depth)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Canonical<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        if value > MAX_EXACT {
            return self.visit_f64(value as f64);
        }
        write_number(value, self.out);
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        if value.unsigned_abs() > MAX_EXACT {
            return self.visit_f64(value as f64);
        }
        write_number(value, self.out);
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("number is not finite"));
        }
        self.out.push_str(ryu_js::Buffer::new().format_finite(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        write_string(value, self.out);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { out, budget, depth } = self;
        out.push('[');
        let first = out.len();
        loop {
            let end = out.len();
            if end > first {
                out.push(',');
            }
            let item = Canonical { out: &mut *out, budget: &mut *budget, depth: depth + 1 };
            if items.next_element_seed(item)?.is_none() {
                out.truncate(end);
                out.push(']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let members = Members { budget: self.budget, depth: self.depth }.visit_map(map)?;
        write_object(members.iter().map(|(name, value)| (&**name, value.as_str())), self.out);
        Ok(())
    }
}

/// Collects the members of one object, each value canonical.
struct Members<'a> {
    budget: &'a mut Budget,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Vec<(Box<str>, Json)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<(Box<str>, Json)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut out) = (Vec::with_capacity(16), String::with_capacity(64));
        while let Some(name) = map.next_key_seed(Name)? {
            out.clear();
            map.next_value_seed(Canonical { out: &mut out, budget: self.budget, depth: self.depth + 1 })?;
            members.push((name, Json(out.as_str().into())));
        }
        // a stable sort leaves the last of duplicate names last, and the reversed one keeps just that
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members.reverse();
        members.dedup_by(|(again, _), (kept, _)| again == kept);
        members.reverse();
        Ok(members)
    }
}

/// Reads a member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Box<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Box<str>, E> {
        Ok(name.into())
    }
}

fn write_number(value: impl fmt::Display, out: &mut String) {
    // formatting into a text does not fail
    let _ = write!(out, "{value}");
}

/// Writes an object of canonical members that come sorted by name.
pub fn write_object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b < b' ' || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] as char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, JsonError> {
        text.parse::<Json>().map(|json| json.as_str().to_owned())
    }

    #[test]
    fn numbers_are_written_as_ecmascript_does() {
        let cases = [
            ("21.0", "21"),
            ("-0.0", "0"),
            ("1e21", "1e+21"),
            ("0.000001", "0.000001"),
            ("1e-7", "1e-7"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740993", "9007199254740992"),
            ("18446744073709551616", "18446744073709552000"),
            ("-9223372036854775809", "-9223372036854776000"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn odd_json_has_one_answer() {
        assert_eq!(canonical(r#"{"a":1,"b":2,"a":3}"#).as_deref(), Ok(r#"{"a":3,"b":2}"#));
        assert_eq!(canonical(r#" "\u0041\u0000\/" "#).as_deref(), Ok(r#""A\u0000/""#));
        for text in
            ["", "NaN", "1e999", "Infinity", r#""\ud800""#, "\u{feff}1", "1 2", "{1:2}", "'a'", "[1,]"]
        {
            assert!(canonical(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(canonical(&nested(MAX_DEPTH)).is_ok());
        assert!(canonical(&nested(MAX_DEPTH + 1)).is_err());
        assert!(canonical(&format!("[{}1]", "1,".repeat(MAX_NODES - 2))).is_ok());
        assert!(canonical(&format!("[{}1]", "1,".repeat(MAX_NODES - 1))).is_err());
        assert_eq!(canonical(&" ".repeat(MAX_ENTITY + 1)), Err(JsonError::TooLong(MAX_ENTITY + 1)));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(|f| serde_json::json!(f)),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(value in any_json()) {
            let once = canonical(&value.to_string()).expect("serde_json writes valid JSON");
            prop_assert_eq!(canonical(&once), Ok(once));
        }

        #[test]
        fn garbage_never_panics(text in any::<String>()) {
            let _ = canonical(&text);
            let _ = members(&text);
        }
    }
}
