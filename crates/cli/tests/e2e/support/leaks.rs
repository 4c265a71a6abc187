//! What must never be in a log: codes, keys, tokens, shared keys (T37).

use std::{fs, path::Path};

/// Secrets of one home, as texts that a log must not hold.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    pub(crate) fn add(&mut self, what: &'static str, secret: &str) {
        if secret.len() >= 8 && !self.0.iter().any(|(_, known)| known == secret) {
            self.0.push((what, secret.to_owned()));
        }
    }

    /// Adds what lies in a data directory: the key's lines and the API's token.
    pub(crate) fn add_files(&mut self, dir: &Path) {
        if let Ok(token) = fs::read_to_string(dir.join("api_token")) {
            self.add("API token", token.trim());
        }
        if let Ok(pem) = fs::read_to_string(dir.join("sharing_key")) {
            pem.lines().filter(|line| !line.starts_with('-')).for_each(|line| self.add("private key", line));
        }
    }

    /// Returns where the first secret stands in a text.
    pub(crate) fn found_in(&self, text: &str) -> Option<String> {
        self.0.iter().find_map(|(what, secret)| {
            let at = text
                .match_indices(secret.as_str())
                .map(|(at, _)| at)
                .find(|at| stands_alone(text, *at, secret))?;
            let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let shown: String = text[line..].lines().next().unwrap_or_default().chars().take(400).collect();
            Some(format!("{what} in: {shown}"))
        })
    }
}

/// Tells whether digits are a number of their own; part of a longer one is an address in memory or a time.
fn stands_alone(text: &str, at: usize, secret: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let within = is_digit(bytes[..at].last()) || is_digit(bytes.get(at + secret.len()));
    !within || !secret.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn code_is_found_but_not_within_an_address_in_memory() {
    let mut secrets = Secrets::default();
    secrets.add("code", "123456789");
    assert_eq!(secrets.found_in("token=Token(99123456789)"), None);
    assert!(secrets.found_in("first line\nTyped(123456789)").is_some_and(|found| found.contains("Typed(")));
}
