//! Counts a JSON text before anything is built from it.
//!
//! A mebibyte of `{"":0}` objects takes 98 MiB as a tree, so depth and number of values are checked on
//! the bytes. Whether the text is JSON at all is the parser's business: this only has to count at least
//! as much as a parser could build.

use crate::defaults::{JSON_DEPTH, JSON_NODES};

/// Why a JSON text is not parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BoundsError {
    /// Objects and lists within each other.
    #[error("JSON is nested deeper than {JSON_DEPTH} levels")]
    Deep,
    /// Values in all.
    #[error("JSON has more than {JSON_NODES} values")]
    Wide,
}

/// Checks that a text has no more levels and values than allowed.
pub(crate) fn check(text: &[u8]) -> Result<(), BoundsError> {
    let (mut depth, mut nodes) = (0_usize, 1_usize);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => {
                depth += 1;
                nodes += usize::from(!closes_at_once(bytes.as_slice()));
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            _ => {}
        }
        if depth > JSON_DEPTH {
            return Err(BoundsError::Deep);
        }
        if nodes > JSON_NODES {
            return Err(BoundsError::Wide);
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'"' => return,
            _ => {}
        }
    }
}

fn closes_at_once(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start().first(), Some(b'}' | b']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn nodes(value: &Value) -> usize {
        1 + match value {
            Value::Array(list) => list.iter().map(nodes).sum(),
            Value::Object(map) => map.values().map(nodes).sum(),
            _ => 0,
        }
    }

    #[test]
    fn thirty_two_levels_pass_and_one_more_does_not() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check(nested(JSON_DEPTH).as_bytes()), Ok(()));
        assert_eq!(check(nested(JSON_DEPTH + 1).as_bytes()), Err(BoundsError::Deep));
    }

    #[test]
    fn as_many_values_as_allowed_pass_and_one_more_does_not() {
        let list = |elements: usize| format!("[{}]", vec!["0"; elements].join(","));
        assert_eq!(check(list(JSON_NODES - 1).as_bytes()), Ok(()));
        assert_eq!(check(list(JSON_NODES).as_bytes()), Err(BoundsError::Wide));
    }

    #[test]
    fn brackets_and_commas_within_strings_do_not_count() {
        let text = serde_json::to_string(&"[{,\"\\".repeat(JSON_NODES)).expect("a string");
        assert_eq!(check(text.as_bytes()), Ok(()));
    }

    proptest! {
        #[test]
        fn no_tree_larger_than_allowed_passes(widths in proptest::collection::vec(0_usize..200, 0..60)) {
            let list: Vec<Value> = widths.iter().map(|width| Value::from(vec![0; *width])).collect();
            let tree = Value::Array(list);
            let text = serde_json::to_vec_pretty(&tree).expect("plain data");
            prop_assert_eq!(check(&text).is_ok(), nodes(&tree) <= JSON_NODES);
        }
    }
}
