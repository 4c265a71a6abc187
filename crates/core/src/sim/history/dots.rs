//! Sets of versions of one entity, by their numbers.

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dots(Vec<u64>);

impl Dots {
    /// Adds a number, and tells whether it is new.
    pub(super) fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub(super) fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Returns what is not in another set.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine &= !theirs);
        rest
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let bits = |(at, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| at * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

impl Extend<usize> for Dots {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|number| {
            self.insert(number);
        });
    }
}

impl FromIterator<usize> for Dots {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut dots = Self::default();
        dots.extend(numbers);
        dots
    }
}
