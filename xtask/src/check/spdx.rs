//! Licence expressions, as crates state them: names joined by AND and OR, with brackets.
//!
//! Old crates write `/` for OR. An exception behind WITH belongs to the name before it.

/// Tells whether an expression can be met with licences that `allows` admits; a malformed one cannot.
pub(super) fn is_met(expression: &str, allows: &impl Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    matches!(either(&words, allows), Some((met, [])) if met)
}

/// What an expression comes to, and the words behind it.
type Verdict<'a> = Option<(bool, &'a [&'a str])>;

fn either<'a>(words: &'a [&'a str], allows: &impl Fn(&str) -> bool) -> Verdict<'a> {
    let (mut met, mut rest) = both(words, allows)?;
    while let ["OR", more @ ..] = rest {
        let (also, left) = both(more, allows)?;
        (met, rest) = (met || also, left);
    }
    Some((met, rest))
}

fn both<'a>(words: &'a [&'a str], allows: &impl Fn(&str) -> bool) -> Verdict<'a> {
    let (mut met, mut rest) = one(words, allows)?;
    while let ["AND", more @ ..] = rest {
        let (also, left) = one(more, allows)?;
        (met, rest) = (met && also, left);
    }
    Some((met, rest))
}

fn one<'a>(words: &'a [&'a str], allows: &impl Fn(&str) -> bool) -> Verdict<'a> {
    match words {
        ["(", rest @ ..] => match either(rest, allows)? {
            (met, [")", left @ ..]) => Some((met, left)),
            _ => None,
        },
        [")" | "AND" | "OR" | "WITH", ..] | [] => None,
        [name, "WITH", exception, rest @ ..] => Some((allows(&format!("{name} WITH {exception}")), rest)),
        [name, rest @ ..] => Some((allows(name), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(expression: &str) -> bool {
        is_met(expression, &|name| matches!(name, "MIT" | "ISC" | "Apache-2.0"))
    }

    #[test]
    fn one_side_of_or_and_both_sides_of_and_have_to_be_allowed() {
        assert!(met("GPL-3.0 OR MIT"));
        assert!(met("MIT/GPL-3.0"));
        assert!(!met("GPL-3.0 AND MIT"));
        assert!(met("ISC AND (Apache-2.0 OR GPL-3.0)"));
        assert!(!met("ISC AND (GPL-3.0 OR AGPL-3.0)"));
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(met("MIT OR GPL-3.0 AND AGPL-3.0"));
        assert!(!met("(MIT OR GPL-3.0) AND AGPL-3.0"));
    }

    #[test]
    fn exception_is_part_of_the_name() {
        assert!(!met("Apache-2.0 WITH LLVM-exception"));
        assert!(met("Apache-2.0 WITH LLVM-exception OR MIT"));
    }

    #[test]
    fn malformed_expression_is_never_met() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND MIT"] {
            assert!(!met(expression), "{expression:?}");
        }
    }
}
