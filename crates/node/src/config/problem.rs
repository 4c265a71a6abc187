//! What can be wrong with a configuration, and all of it at once.
//!
//! A [`ConfigError`] is one [`Problem`] at one place. [`ConfigErrors`] is what
//! loading returns: every mistake that was found, in the order of the text.

use std::path::PathBuf;

use super::place::{Origin, Place};
use crate::defaults::CONFIG_ERRORS;

/// One kind of mistake, told to the person who can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No such file, or it may not be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file as typed.
        path: String,
        /// What the operating system says.
        reason: String,
    },
    /// A directory, device or pipe where a file is wanted.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// The file is longer than any configuration.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The parser cannot go on here.
    #[error("bad YAML: {0}")]
    Syntax(String),
    /// A tab where YAML wants spaces.
    #[error("YAML does not allow a tab here")]
    Tab,
    /// Nested deeper than any configuration.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// A second document after `---`.
    #[error("a second document begins here, and a configuration is one")]
    TwoDocuments,
    /// More items or merged keys than any configuration has.
    #[error("more than {0} items or merged keys")]
    TooMuch(usize),
    /// A key that this block does not have.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The keys that were probably meant: one that is near, or the same in other sections.
        nearest: Vec<&'static str>,
        /// All keys of that section.
        known: Vec<&'static str>,
    },
    /// The same key twice in one mapping of this block.
    #[error("`{key}` stands here a second time; the first is in line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it stood first.
        first: usize,
    },
    /// A list item without a key that it needs.
    #[error("`{0}` is missing here")]
    MissingKey(&'static str),
    /// A value of the wrong kind or out of its range.
    #[error("expected {expected}, found {found}")]
    WrongValue {
        /// What may stand here.
        expected: String,
        /// What stands here; for secrets only its shape.
        found: String,
        /// The value that was probably meant.
        nearest: Option<String>,
    },
    /// A tag that has no meaning in this block.
    #[error("the tag `!{tag}` cannot be used in this block")]
    UnknownTag {
        /// The tag without its sign.
        tag: String,
        /// The tag that was probably meant.
        nearest: Option<String>,
    },
    /// `!secret` without any `secrets.yaml`.
    #[error("there is no secrets.yaml for `!secret {name}` in {folder} or the directories above it")]
    NoSecretsFile {
        /// The secret.
        name: String,
        /// Where the search began.
        folder: String,
    },
    /// `!secret` with a name that no `secrets.yaml` has.
    #[error("no secret is called `{name}`")]
    UnknownSecret {
        /// The secret.
        name: String,
        /// The secret that was probably meant.
        nearest: Option<String>,
    },
    /// `!env_var` without default for a variable that is not set.
    #[error("the environment variable `{0}` is not set and has no default here")]
    VariableUnset(String),
    /// An include that leads out of the configuration's directory.
    #[error("{path} lies outside {root}")]
    Outside {
        /// The file.
        path: String,
        /// The directory of the configuration.
        root: String,
    },
    /// Includes within includes without end.
    #[error("includes are nested deeper than {0}")]
    IncludeDepth(usize),
    /// An environment variable with our prefix that stands for no key.
    #[error("the environment variable `{name}` stands for no key")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that was probably meant.
        nearest: Option<String>,
    },
    /// Unencrypted, but listening for others (T7).
    #[error("encryption is off, but {0} can be reached from other machines")]
    PlainOnNetwork(String),
    /// A template that cannot be read.
    #[error("this is no Jinja template: {0}")]
    Template(String),
    /// `strategy: custom` without any template.
    #[error("the strategy `custom` needs a `template`")]
    TemplateMissing,
    /// Credentials for the bridge without the address.
    #[error("`home_assistant.token` is set, but `home_assistant.url` is not")]
    TokenWithoutUrl,
}

impl Problem {
    /// Returns the stable name of the kind of mistake, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::NotAFile(_) => "not_a_file",
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::Syntax(_) => "syntax",
            Self::Tab => "tab",
            Self::TooDeep(_) => "too_deep",
            Self::TwoDocuments => "two_documents",
            Self::TooMuch(_) => "too_much",
            Self::UnknownKey { .. } => "unknown_key",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::MissingKey(_) => "missing_key",
            Self::WrongValue { .. } => "wrong_value",
            Self::UnknownTag { .. } => "unknown_tag",
            Self::NoSecretsFile { .. } => "no_secrets_file",
            Self::UnknownSecret { .. } => "unknown_secret",
            Self::VariableUnset(_) => "variable_unset",
            Self::Outside { .. } => "outside",
            Self::IncludeDepth(_) => "include_depth",
            Self::UnknownVariable { .. } => "unknown_variable",
            Self::PlainOnNetwork(_) => "plain_on_network",
            Self::Template(_) => "template",
            Self::TemplateMissing => "template_missing",
            Self::TokenWithoutUrl => "token_without_url",
        }
    }

    /// Returns what to do about it, where that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, .. } if !nearest.is_empty() => {
                Some(format!("did you mean `{}`?", nearest.join("` or `")))
            }
            Self::UnknownKey { known, .. } if known.is_empty() => None,
            Self::UnknownKey { known, .. } => Some(format!("the keys here are {}", known.join(", "))),
            Self::UnknownSecret { name, nearest: None } => {
                Some(format!("add a line `{name}: …` to secrets.yaml"))
            }
            Self::WrongValue { nearest, .. }
            | Self::UnknownTag { nearest, .. }
            | Self::UnknownSecret { nearest, .. }
            | Self::UnknownVariable { nearest, .. } => {
                nearest.as_ref().map(|n| format!("did you mean `{n}`?"))
            }
            Self::NotUtf8 => Some("write it as UTF-8".into()),
            Self::Tab => Some("replace it by spaces".into()),
            Self::DuplicateKey { .. } => Some("keep one of the two".into()),
            Self::NoSecretsFile { name, .. } => Some(format!("make secrets.yaml with a line `{name}: …`")),
            Self::VariableUnset(name) => Some(format!("set it, or write `!env_var {name} default`")),
            Self::Outside { .. } => Some("move the file into that directory".into()),
            Self::PlainOnNetwork(_) => {
                Some("set `sync.bind: 127.0.0.1`, or remove `encryption.enabled: false`".into())
            }
            Self::TemplateMissing => Some("add `template: \"{{ … }}\"` beside it".into()),
            Self::TokenWithoutUrl => Some("add `url: ws://homeassistant.local:8123/api/websocket`".into()),
            _ => None,
        }
    }
}

/// One mistake and where it is.
#[derive(Debug, Clone)]
pub struct ConfigError {
    problem: Problem,
    place: Place,
}

impl ConfigError {
    pub(super) fn new(problem: Problem, place: Place) -> Self {
        Self { problem, place }
    }

    /// Returns what is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Returns the file and line, the variable or the flag.
    pub fn origin(&self) -> Origin {
        self.place.origin()
    }

    /// Returns the file, where it is one.
    pub fn file(&self) -> Option<PathBuf> {
        self.place.in_file().then(|| PathBuf::from(&self.place.source.name))
    }

    /// Returns line and column, both from 1 and counted in characters.
    pub fn position(&self) -> (usize, usize) {
        (self.place.line, self.place.column)
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

/// Every mistake of a configuration: at least one.
#[derive(Debug, Clone, Default)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    /// How many more there were than are kept.
    more: usize,
}

impl ConfigErrors {
    pub(super) fn push(&mut self, error: ConfigError) {
        if self.errors.len() < CONFIG_ERRORS {
            self.errors.push(error);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Puts the mistakes into the order of their texts, the main file first.
    pub(super) fn sort(&mut self, main: &str) {
        self.errors.sort_by(|a, b| {
            let (a, b) = (&a.place, &b.place);
            let text = a.rank(main).cmp(&b.rank(main)).then_with(|| a.source.name.cmp(&b.source.name));
            text.then_with(|| (a.line, a.column).cmp(&(b.line, b.column)))
        });
    }

    /// Returns the mistakes in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// Returns how many mistakes there are, those not kept included.
    pub fn count(&self) -> usize {
        self.errors.len() + self.more
    }
}

impl std::error::Error for ConfigErrors {}
