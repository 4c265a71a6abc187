//! Where in which text a value stands, and where its value came from.
//!
//! Every text that can hold settings (a file, an environment variable, a flag) is
//! a [`Source`]; every node and every error carries a [`Place`] in one. A source
//! is wiped from memory when its last place is gone, because it may hold secrets,
//! and [`Place::excerpt`] never shows what looks like one.

use std::{fmt, path::PathBuf, sync::Arc};

use zeroize::Zeroizing;

/// Words that make a key's value unfit for showing.
const SECRET_WORDS: [&str; 6] = ["shared_key", "token", "password", "secret", "api_key", "passphrase"];
/// Tags behind which the name of a secret stands, and not itself.
const NAME_TAGS: [&str; 2] = ["!secret ", "!include "];
/// Longest line shown in an error, in characters.
const EXCERPT: usize = 160;

/// Which kind of text a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceKind {
    /// A file; nothing of `secrets.yaml` is ever shown.
    File { path: PathBuf, secrets: bool },
    /// An environment variable.
    Environment,
    /// A flag of the command line.
    Flag,
}

/// A text with settings in it.
pub(super) struct Source {
    /// The file as typed, the variable or the flag.
    pub(super) name: String,
    pub(super) kind: SourceKind,
    pub(super) text: Zeroizing<String>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A stretch of one line in a source.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
    /// Length in characters; at least one caret is shown.
    pub(super) width: usize,
    /// Whether what stands here is a secret, whatever its line looks like.
    pub(super) secret: bool,
}

impl Place {
    /// Returns a place where nothing secret stands.
    pub(super) fn at(source: &Arc<Source>, line: usize, column: usize, width: usize) -> Self {
        Self { source: Arc::clone(source), line, column, width, secret: false }
    }

    /// Returns the same place as one of a secret.
    pub(super) fn hidden(&self) -> Self {
        Self { secret: true, ..self.clone() }
    }

    /// Returns whether errors must not repeat what stands here.
    pub(super) fn is_hidden(&self) -> bool {
        self.secret || matches!(self.source.kind, SourceKind::File { secrets: true, .. })
    }

    /// Returns where this source stands among others: the main file, other files, variables, flags.
    pub(super) fn rank(&self, main: &str) -> u8 {
        match self.source.kind {
            SourceKind::File { .. } if self.source.name == main => 0,
            SourceKind::File { .. } => 1,
            SourceKind::Environment => 2,
            SourceKind::Flag => 3,
        }
    }

    /// Returns the place at the beginning of a source.
    pub(super) fn start(source: &Arc<Source>) -> Self {
        Self::at(source, 1, 1, 0)
    }

    /// Returns the origin of a value that stands here.
    pub(super) fn origin(&self) -> Origin {
        match &self.source.kind {
            SourceKind::File { .. } => {
                Origin::File { path: PathBuf::from(&self.source.name), line: self.line }
            }
            SourceKind::Environment => Origin::Environment { name: self.source.name.clone() },
            SourceKind::Flag => Origin::Flag { name: self.source.name.clone() },
        }
    }

    /// Returns whether the text is a file, so that line and column mean something to people.
    pub(super) fn in_file(&self) -> bool {
        matches!(self.source.kind, SourceKind::File { .. })
    }

    /// Returns the line as it may be shown: secrets masked, long lines cut, nothing for an empty source.
    pub(super) fn excerpt(&self) -> Option<String> {
        let line = self.source.text.lines().nth(self.line.checked_sub(1)?)?;
        let line: String = line.trim_end().chars().take(EXCERPT).map(visible).collect();
        if !self.in_file() {
            let shown = !self.secret && !is_secret_word(&self.source.name) && !line.is_empty();
            return shown.then_some(line);
        }
        let all = matches!(self.source.kind, SourceKind::File { secrets: true, .. });
        let masked = mask(&line, all);
        // A secret on a line without its key, such as the second line of a long one.
        Some(if self.secret && masked == line && !self.behind_name_tag(&line) {
            "***".to_owned()
        } else {
            masked
        })
    }

    /// Returns whether the place is right behind such a tag.
    fn behind_name_tag(&self, line: &str) -> bool {
        let before: String = line.chars().take(self.column - 1).collect();
        NAME_TAGS.iter().any(|tag| before.ends_with(tag))
    }
}

/// Replaces what would paint on the terminal or turn the direction of the text.
pub(super) fn visible(c: char) -> char {
    match c {
        '\t' => '\t',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn is_secret_word(word: &str) -> bool {
    let word = word.to_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|secret| word.contains(secret))
}

/// Returns whether a value only names where the secret is, or is a comment.
fn is_name(value: &str) -> bool {
    value.starts_with('#') || NAME_TAGS.iter().any(|tag| value.starts_with(tag))
}

/// Replaces what follows a secret's key by stars, unless it only names where the secret is.
fn mask(line: &str, all: bool) -> String {
    let mut from = 0;
    while let Some(colon) = line[from..].find(':').map(|at| from + at) {
        let value = line[colon + 1..].trim_start();
        let key = line[from..colon].rsplit([' ', '{', ',']).next().unwrap_or_default();
        if (all || is_secret_word(key)) && !value.is_empty() && !is_name(value) {
            return format!("{}: ***", &line[..colon]);
        }
        from = colon + 1;
    }
    if all && from == 0 && !line.trim_start().starts_with('#') { "***".to_owned() } else { line.to_owned() }
}

/// Where a value of the configuration came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file, named as it was typed or found.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable.
        name: String,
    },
    /// A flag of the command line.
    Flag {
        /// The flag.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { name } => write!(f, "environment {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_of_a_secret_is_masked_and_the_name_of_one_is_not() {
        assert_eq!(mask("  shared_key: hunter22", false), "  shared_key: ***");
        assert_eq!(
            mask("home_assistant: {url: x, token: abc}", false),
            "home_assistant: {url: x, token: ***"
        );
        assert_eq!(mask("shared_key: !secret name", false), "shared_key: !secret name");
        assert_eq!(mask("shared_key: !!str hunter22", false), "shared_key: ***");
        assert_eq!(mask("token: !env_var TOKEN hunter22", false), "token: ***");
        assert_eq!(mask("key_path: /config/key", false), "key_path: /config/key");
        assert_eq!(mask("wifi: hunter22", true), "wifi: ***");
        assert_eq!(mask("second line of a secret", true), "***");
    }
}
