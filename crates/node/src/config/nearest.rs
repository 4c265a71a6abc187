//! Which known word was probably meant.

/// Returns the known word nearest to `word`, when it is near enough to be meant.
///
/// Letters wrong, missing, too many or swapped count one each; a third of the word may be
/// wrong. Case, `-` and `_` do not count.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let even = |text: &str| text.chars().take(64).collect::<String>().to_lowercase().replace('-', "_");
    let word = even(word);
    let allowed = (word.chars().count() / 3).max(1);
    known
        .map(|candidate| (strsim::damerau_levenshtein(&word, &even(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_mistake_is_near_and_another_word_is_not() {
        let known = || ["port", "bind", "peers"].into_iter();
        assert_eq!(nearest("prot", known()), Some("port"));
        assert_eq!(nearest("Peer", known()), Some("peers"));
        assert_eq!(nearest("colour", known()), None);
    }
}
