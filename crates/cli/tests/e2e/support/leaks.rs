//! What must never be in a log: codes, keys, tokens, shared keys (T37).

use std::{fs, path::Path};

/// Secrets of one home, as texts that a log must not hold.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    pub(crate) fn add(&mut self, what: &'static str, secret: &str) {
        if !secret.is_empty() && !self.0.iter().any(|(_, known)| known == secret) {
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
            let at = text.find(secret.as_str())?;
            let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let shown: String = text[line..].lines().next().unwrap_or_default().chars().take(400).collect();
            Some(format!("{what} in: {shown}"))
        })
    }
}
