//! Changes of a corpus that are the same in every run.

use crosshome_core::sim::Dice;

/// The longest input that a mutation makes.
const LONGEST: usize = 4_096;

/// Endless mutations of a corpus.
#[derive(Debug)]
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    dice: Dice,
}

impl<'a> Mutations<'a> {
    /// Returns the mutations of a corpus, which is not empty, in an order that the seed decides.
    pub fn new(corpus: &'a [Vec<u8>], seed: u64) -> Self {
        Self { corpus, dice: Dice::new(seed) }
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.dice.below(bytes.len() + 1);
        let length = self.dice.below(8).min(bytes.len() - at);
        match self.dice.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.dice.below(8),
            2 if at < bytes.len() => {
                bytes[at] = self.dice.pick(&[0, 0x1b, 0x5f, 0x7f, 0x9b, 0xbf, 0xfb, 0xff])
            }
            3 => bytes.insert(at, self.dice.number() as u8),
            4 => drop(bytes.drain(at..at + length)),
            5 => bytes.splice(at..at, bytes[at..at + length].to_vec()).for_each(drop),
            6 => bytes.truncate(at),
            _ => {
                let other = self.dice.pick(self.corpus);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.dice.below(other.len() + 1)..]);
            }
        }
        bytes.truncate(LONGEST);
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.dice.pick(self.corpus);
        (0..=self.dice.below(4)).for_each(|_| self.change(&mut bytes));
        Some(bytes)
    }
}
