//! Secrets of the configuration: wiped when dropped, never shown.

use std::fmt;

use serde_json::{Value as Json, json};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::setting::Scalar;
use crate::defaults::{SECRET_BYTES, SECRET_CHARS};

/// A text that only its user sees: `shared_key`, `token`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Returns the text itself; keep it out of logs, errors and copies.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl Scalar for Secret {
    const SECRET: bool = true;

    fn expected() -> String {
        format!("a secret of at least {SECRET_CHARS} characters and at most {SECRET_BYTES} bytes")
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": SECRET_CHARS, "maxLength": SECRET_BYTES, "writeOnly": true})
    }

    fn parse(text: &str) -> Option<Self> {
        let fits = text.chars().count() >= SECRET_CHARS && text.len() <= SECRET_BYTES;
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    fn show(&self) -> Json {
        json!("(set)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_never_shown() {
        let secret = Secret::parse("correct horse").expect("long enough");
        assert_eq!(
            format!("{secret:?} {:#?} {}", Some(&secret), Scalar::show(&secret)).matches("horse").count(),
            0
        );
        assert_eq!(secret.expose(), "correct horse");
    }

    #[test]
    fn seven_characters_are_too_few() {
        assert!(Secret::parse("1234567").is_none());
        assert!(Secret::parse("12345678").is_some());
    }
}
