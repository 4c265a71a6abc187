//! The code that one person reads out and the other types.
//!
//! Eight random digits and a ninth that finds typing mistakes (Damm's algorithm: every
//! wrong digit and every swap of neighbours), so a slip of the finger is found before
//! anything is sent and costs no attempt. A code has no `Display`: it can be shown by
//! [`Code::shown`] but not logged by accident.
//!
//! ```
//! # use crosshome_core::pairing::{Code, CodeError};
//! let code = Code::new(&[7; 16]);
//! let typed = Code::parse(&code.shown().replace('-', " "))?;
//! assert_eq!(typed.shown(), code.shown());
//! assert_eq!(Code::parse("123-456-789").err(), Some(CodeError::CheckDigit));
//! # Ok::<(), CodeError>(())
//! ```

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Method, Secret};

const DIGITS: usize = 8;
const TYPED_MAX: usize = 64;

/// Damm's table: a quasigroup of order ten in which no swap of neighbours goes unseen.
const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// Eight random digits and their check digit.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Code([u8; DIGITS + 1]);

impl Code {
    /// Makes a code out of 16 random bytes; that many leave no digit likelier than another.
    pub fn new(random: &[u8; 16]) -> Self {
        let mut rest = u128::from_be_bytes(*random) % 10_u128.pow(DIGITS as u32);
        let mut digits = [0; DIGITS + 1];
        for digit in digits[..DIGITS].iter_mut().rev() {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        digits[DIGITS] = damm(&digits[..DIGITS]);
        Self(digits)
    }

    /// Reads a code as people type it: hyphens and spaces do not matter.
    ///
    /// # Errors
    ///
    /// Tells a typing mistake ([`CodeError::CheckDigit`]) from a text that is no code at all.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text.len() > TYPED_MAX {
            return Err(CodeError::Length);
        }
        let mut code = Self([0; DIGITS + 1]);
        let mut count = 0;
        for typed in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let digit = typed.to_digit(10).ok_or(CodeError::Character)?;
            *code.0.get_mut(count).ok_or(CodeError::Length)? = digit as u8;
            count += 1;
        }
        code.checked(count)
    }

    /// Returns the code as people read it: `123-456-789`.
    pub fn shown(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(DIGITS + 3);
        for (i, digit) in self.0.iter().enumerate() {
            if i > 0 && i % 3 == 0 {
                text.push('-');
            }
            text.push(char::from(b'0' + digit));
        }
        Zeroizing::new(text)
    }

    /// Returns what the exchange is made with: the nine digits as ASCII.
    pub fn secret(&self) -> Secret {
        let ascii = Zeroizing::new(self.0.map(|digit| b'0' + digit));
        Secret::new(Method::Code, ascii.as_slice(), None)
    }

    fn checked(self, count: usize) -> Result<Self, CodeError> {
        match count == self.0.len() {
            false => Err(CodeError::Length),
            true if damm(&self.0) != 0 => Err(CodeError::CheckDigit),
            true => Ok(self),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// Why a text is no pairing code. Nothing was sent, so no attempt is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The ninth digit does not fit the others.
    #[error("the code has a typing mistake")]
    CheckDigit,
    /// There are more or fewer than nine digits.
    #[error("a code has nine digits")]
    Length,
    /// Something stands in it that is no digit, hyphen or space.
    #[error("a code has digits only")]
    Character,
}

/// Returns the check digit of these digits; 0 when the check digit is among them and fits.
fn damm(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |interim, digit| DAMM[usize::from(interim)][usize::from(*digit)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(digits: [u8; 9]) -> String {
        digits.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    #[test]
    fn published_example_of_damm_holds() {
        assert_eq!(damm(&[5, 7, 2]), 4);
        assert_eq!(damm(&[5, 7, 2, 4]), 0);
    }

    #[test]
    fn every_pair_of_neighbours_in_the_table_betrays_its_swap() {
        for interim in 0..10 {
            for (a, b) in (0..10).flat_map(|a| (0..10).map(move |b| (a, b))).filter(|(a, b)| a != b) {
                let there = DAMM[usize::from(DAMM[interim][a])][b];
                let swapped = DAMM[usize::from(DAMM[interim][b])][a];
                assert_ne!(there, swapped, "{a}{b} after {interim}");
            }
        }
    }

    #[test]
    fn same_randomness_shows_the_same_code() {
        let code = Code::new(&1_234_567_u128.to_be_bytes());
        assert_eq!(*code.shown(), "012-345-671");
    }

    #[test]
    fn text_that_is_no_code_says_why() {
        for (text, error) in [
            ("", CodeError::Length),
            ("12345678", CodeError::Length),
            ("1234567890", CodeError::Length),
            ("12345678x", CodeError::Character),
            ("١٢٣٤٥٦٧٨٩", CodeError::Character),
        ] {
            assert_eq!(Code::parse(text).err(), Some(error), "{text}");
        }
        assert_eq!(Code::parse(&"1".repeat(1_000_000)).err(), Some(CodeError::Length));
    }

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Code::new(&[1; 16])), "Code(..)");
    }

    proptest! {
        #[test]
        fn shown_code_is_read_back(random: [u8; 16]) {
            let code = Code::new(&random);
            prop_assert_eq!(Code::parse(&code.shown()).expect("just made").0, code.0);
        }

        #[test]
        fn every_wrong_digit_is_found(random: [u8; 16]) {
            let code = Code::new(&random);
            for (place, wrong) in (0..9).flat_map(|place| (0..10).map(move |wrong| (place, wrong))) {
                let mut digits = code.0;
                digits[place] = wrong;
                let found = Code::parse(&typed(digits)).err();
                prop_assert_eq!(found, (digits != code.0).then_some(CodeError::CheckDigit));
            }
        }

        #[test]
        fn every_swap_of_neighbours_is_found(random: [u8; 16]) {
            let code = Code::new(&random);
            for place in 0..8 {
                let mut digits = code.0;
                digits.swap(place, place + 1);
                let found = Code::parse(&typed(digits)).err();
                prop_assert_eq!(found, (digits != code.0).then_some(CodeError::CheckDigit));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Code::parse(&text);
        }
    }
}
