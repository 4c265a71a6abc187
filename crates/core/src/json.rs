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

use crate::defaults::MAX_ENTITY;

mod canonical;
mod members;

use canonical::Reader;
pub use members::Members;

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
        let (mut reader, mut out) = (Reader::new(text)?, String::with_capacity(text.len()));
        reader.value(0, &mut out)?;
        reader.end()?;
        Ok(Self(out.into()))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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

/// Tells at a glance that most values need no parser: words, short numbers, strings without escapes.
fn plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [b'"', inner @ .., b'"'] => inner.iter().all(|b| *b >= b' ' && *b != b'"' && *b != b'\\'),
        [b'-' | b'0'..=b'9', ..] => canonical::is_plain_number(text),
        _ => matches!(text, "null" | "true" | "false"),
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
    use crate::defaults::{MAX_DEPTH, MAX_NODES};

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

    /// Returns the value with each number as a double.
    fn doubles(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Number(number) => Value::from(number.as_f64()),
            Value::Array(items) => items.into_iter().map(doubles).collect(),
            Value::Object(map) => map.into_iter().map(|(name, value)| (name, doubles(value))).collect(),
            other => other,
        }
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
            let _ = text.parse::<Members>();
        }

        #[test]
        fn reader_takes_and_refuses_what_serde_json_does(
            value in any_json(),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
        ) {
            let mut text = serde_json::to_string_pretty(&value).expect("a value has a JSON form");
            for (at, byte) in cuts {
                let odd = ['"', '\\', ',', ':', '0', '-', '.', 'e', ']', '}', '\u{1}', ' ', 'n', '[', '{', 'ä', 'u'];
                let at = (0..=at.index(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).expect("0 is one");
                match byte.index(2 * odd.len()) {
                    insert if insert < odd.len() => text.insert(at, odd[insert]),
                    _ if at < text.len() => drop(text.remove(at)),
                    _ => {}
                }
            }
            let expected = serde_json::from_str::<serde_json::Value>(&text).map(doubles);
            let read = canonical(&text).map(|canonical| {
                doubles(serde_json::from_str(&canonical).expect("canonical JSON is JSON"))
            });
            prop_assert_eq!(read.ok(), expected.ok(), "{}", text);
        }

        #[test]
        fn short_numbers_are_copied_only_where_that_is_their_form(digits in "-?[0-9]{1,8}(\\.[0-9]{1,8})?") {
            let double = digits.parse::<f64>().expect("digits");
            if canonical::is_plain_number(&digits) {
                prop_assert_eq!(ryu_js::Buffer::new().format_finite(double).to_owned(), digits);
            }
        }
    }
}
