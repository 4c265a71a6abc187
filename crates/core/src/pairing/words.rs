//! Four pictures that both homes show after pairing, for people who want to look.
//!
//! They come from the TLS session and both keys, so two people who see the same four have
//! the same session in front of them. The look is optional: the code has already proven it.
//! The order of the list is part of the protocol.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use super::{Binding, Role};

/// A picture and what it is called, in English; translations are the page's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The picture, one character.
    pub emoji: char,
    /// Its name.
    pub name: &'static str,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.emoji, self.name)
    }
}

/// The four words of a pairing.
///
/// ```
/// # use crosshome_core::{HomeId, pairing::{Binding, Role, Words}};
/// let (alps, city) = (HomeId([1; 32]), HomeId([2; 32]));
/// let here = Binding { exporter: [3; 32], me: alps, peer: city };
/// let there = Binding { exporter: [3; 32], me: city, peer: alps };
/// assert_eq!(Words::new(&here, Role::Typing), Words::new(&there, Role::Showing));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words(pub [Word; 4]);

impl Words {
    /// Derives the words of a session; both sides get the same.
    pub fn new(binding: &Binding, role: Role) -> Self {
        let [typing, showing] = binding.homes(role);
        let mut picks = [0; 4];
        Hkdf::<Sha256>::new(None, &binding.exporter)
            .expand_multi_info(&[b"crosshome words", &typing.0, &showing.0], &mut picks)
            .expect("HKDF gives up to 8,160 bytes");
        Self(picks.map(|pick| WORDS[usize::from(pick) % WORDS.len()]))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = &self.0;
        write!(f, "{a}, {b}, {c}, {d}")
    }
}

const fn word(emoji: char, name: &'static str) -> Word {
    Word { emoji, name }
}

/// Easy to tell apart on a small screen and to say over the telephone; no skin tones, flags or
/// faces.
pub(super) const WORDS: [Word; 64] = [
    word('🐶', "dog"),
    word('🐱', "cat"),
    word('🐭', "mouse"),
    word('🐰', "rabbit"),
    word('🦊', "fox"),
    word('🐻', "bear"),
    word('🐼', "panda"),
    word('🦁', "lion"),
    word('🐮', "cow"),
    word('🐷', "pig"),
    word('🐸', "frog"),
    word('🐵', "monkey"),
    word('🐔', "chicken"),
    word('🐧', "penguin"),
    word('🦉', "owl"),
    word('🐴', "horse"),
    word('🐝', "bee"),
    word('🦋', "butterfly"),
    word('🐌', "snail"),
    word('🐢', "turtle"),
    word('🐙', "octopus"),
    word('🐠', "fish"),
    word('🐳', "whale"),
    word('🐘', "elephant"),
    word('🌵', "cactus"),
    word('🌲', "tree"),
    word('🍀', "clover"),
    word('🍄', "mushroom"),
    word('🌻', "sunflower"),
    word('🌙', "moon"),
    word('⭐', "star"),
    word('🔥', "fire"),
    word('🌈', "rainbow"),
    word('🍎', "apple"),
    word('🍌', "banana"),
    word('🍇', "grapes"),
    word('🍓', "strawberry"),
    word('🍋', "lemon"),
    word('🌽', "corn"),
    word('🥕', "carrot"),
    word('🍕', "pizza"),
    word('🧀', "cheese"),
    word('🎂', "cake"),
    word('🎈', "balloon"),
    word('🎁', "gift"),
    word('🔑', "key"),
    word('🔔', "bell"),
    word('🔨', "hammer"),
    word('📚', "books"),
    word('🎸', "guitar"),
    word('🎺', "trumpet"),
    word('🥁', "drum"),
    word('⚽', "ball"),
    word('🏆', "trophy"),
    word('🚀', "rocket"),
    word('🚲', "bicycle"),
    word('🚂', "train"),
    word('⚓', "anchor"),
    word('🎩', "hat"),
    word('👑', "crown"),
    word('🤖', "robot"),
    word('⏰', "clock"),
    word('💡', "lamp"),
    word('🌍', "globe"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::HomeId;

    fn binding(exporter: u8, me: u8, peer: u8) -> Binding {
        Binding { exporter: [exporter; 32], me: HomeId([me; 32]), peer: HomeId([peer; 32]) }
    }

    #[test]
    fn no_picture_and_no_name_comes_twice() {
        assert_eq!(WORDS.iter().map(|word| word.emoji).collect::<HashSet<_>>().len(), 64);
        assert_eq!(WORDS.iter().map(|word| word.name).collect::<HashSet<_>>().len(), 64);
    }

    #[test]
    fn another_session_or_another_home_has_other_words() {
        let words = Words::new(&binding(3, 1, 2), Role::Typing);
        assert_ne!(words, Words::new(&binding(4, 1, 2), Role::Typing));
        assert_ne!(words, Words::new(&binding(3, 5, 2), Role::Typing));
        assert_ne!(words, Words::new(&binding(3, 1, 5), Role::Typing));
        assert_ne!(words, Words::new(&binding(3, 1, 2), Role::Showing));
    }

    #[test]
    fn words_are_shown_with_their_names() {
        assert_eq!(
            Words([WORDS[0], WORDS[45], WORDS[62], WORDS[63]]).to_string(),
            "🐶 dog, 🔑 key, 💡 lamp, 🌍 globe"
        );
    }
}
