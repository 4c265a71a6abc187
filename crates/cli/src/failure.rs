//! Why a command did not do what it was asked.

use std::{io, path::PathBuf};

use crosshome_node::{
    backup::BackupError,
    config::ConfigErrors,
    home::StartError,
    http::{Problem, TokenError},
};

/// Why a command failed; [`output`](crate::output) adds the hint and the exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nothing answers in the home's directory.
    #[error("no home is running in {}", .0.display())]
    NotRunning(PathBuf),
    /// Nothing answers at the address.
    #[error("no home answers at {url}: {reason}")]
    NoAnswer { url: String, reason: String },
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The home does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address is of another kind.
    #[error("{0} is no address such as http://127.0.0.1:8766")]
    BadUrl(String),
    /// The token is not to be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The home said no.
    #[error("{}", .0.error)]
    Refused(Box<Problem>),
    /// The home answered something that this version does not read.
    #[error("the home's answer is not understood: {0}")]
    Garbled(String),
    /// The connection broke off while the home was answering.
    #[error("the connection to the home broke off: {0}")]
    BrokeOff(String),
    /// Nothing came in time.
    #[error("{0}")]
    TimedOut(String),
    /// The code on show was of no use to anybody.
    #[error("pairing ended: {0}")]
    NobodyTyped(String),
    /// Risky entities were among those to share, and nobody said yes.
    #[error("nothing was shared, because these are risky: {}", .0.join(", "))]
    Risky(Vec<String>),
    /// Nobody of this name is paired.
    #[error("no paired home is called {0}")]
    NoPeer(String),
    /// Several paired homes have this name.
    #[error("{name} may be any of {}", candidates.join(", "))]
    Ambiguous { name: String, candidates: Vec<String> },
    /// All tries at the code on show were wrong.
    #[error("pairing ended: {0}")]
    PairingEnded(String),
    /// A person stopped it.
    #[error("stopped")]
    Interrupted,
    /// Conflicts are open, and the caller wanted to know.
    #[error("open conflicts: {0}")]
    ConflictsOpen(u64),
    /// The doctor found errors.
    #[error("errors found: {0}")]
    Sick(usize),
    /// A measurement did not come to its end.
    #[error("the measurement failed: {0}")]
    Bench(String),
    /// A home of the demo did not start, or died.
    #[error("{name} {what}")]
    DemoHome { name: String, what: String },
    /// The live demo draws on a terminal, and there is none.
    #[error("the live demo needs a terminal and draws no JSON")]
    NoTerminal,
    /// The demo's story took another turn.
    #[error("the story went wrong: {0}")]
    Story(String),
    /// There is no backup, or nothing is restored from it.
    #[error(transparent)]
    Backup(Box<BackupError>),
    /// There is no passphrase.
    #[error("{0}")]
    Passphrase(String),
    /// A file is in the way.
    #[error("{} exists and was left as it is", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A person did not say yes.
    #[error("{0}")]
    Declined(&'static str),
    /// Output could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::Backup(Box::new(error))
    }
}
