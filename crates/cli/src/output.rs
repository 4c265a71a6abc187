//! The one place where results become text, and failures a hint and an exit code.

use std::io::{self, BufRead, IsTerminal, Write};

use crosshome_node::{backup::BackupError, http::Problem, node::Code, store::StoreError};
use serde::Serialize;

use crate::{
    args::Color,
    failure::Failure,
    text::{plain, table},
};

/// Where output goes and what it looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
    /// Whether stdout is coloured.
    color: bool,
    /// Whether stderr is.
    error_color: bool,
}

impl Screen {
    /// Prints JSON or text, coloured or not.
    pub(crate) fn new(json: bool, color: Color) -> Self {
        Self { json, color: color.wanted(&io::stdout()), error_color: color.wanted(&io::stderr()) }
    }

    /// Tells whether stdout is coloured.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// Tells whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a value: as one line of JSON, or as whatever text `text` makes of it.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub(crate) fn show<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let line = if self.json { json(value)? } else { text(value) };
        self.data(&line)
    }

    /// Prints text that only people read; with `--json` nothing.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.data(text) }
    }

    /// Prints a table under headings.
    pub(crate) fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> String {
        let bold = |line: &str| if self.color { format!("\x1b[1m{line}\x1b[0m") } else { line.to_owned() };
        let lines = table(headings, rows);
        let mut lines = lines.lines();
        let first = lines.next().map(bold).unwrap_or_default();
        lines.fold(first, |all, line| all + "\n" + line)
    }

    /// Says something beside the data.
    pub(crate) fn note(&self, text: &str) {
        // Nobody can be told that stderr is closed.
        _ = writeln!(io::stderr(), "{}", plain(text));
    }

    /// Asks a person, if one is there; nobody there means no.
    pub(crate) fn confirms(&self, question: &str) -> bool {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return false;
        }
        _ = write!(io::stderr(), "{} [y/N] ", plain(question));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    /// Says what happened and what to do next, and returns the exit code for it.
    pub(crate) fn fail(&self, failure: &Failure) -> Exit {
        if let Failure::Config(errors) = failure {
            // They bring their own colours, lines and carets, and have made hostile text harmless.
            let text = if self.json { errors.to_json().to_string() } else { errors.render(self.error_color) };
            _ = writeln!(io::stderr(), "{}", text.trim_end());
        } else if !closed(failure) {
            self.note(&format!("error: {failure}"));
            if let Some(hint) = hint(failure) {
                self.note(&format!("hint: {hint}"));
            }
        }
        exit(failure)
    }

    /// Prints bytes that are whole by themselves.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    fn data(&self, text: &str) -> Result<(), Failure> {
        self.write(format!("{text}\n").as_bytes())
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Garbled(error.to_string()))
}

/// Whoever read our output has had enough, as `head` does; that needs no words.
fn closed(failure: &Failure) -> bool {
    matches!(failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
}

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Failure = 1,
    Usage = 2,
    Config = 3,
    Unreachable = 4,
    NotAllowed = 5,
    ConflictsOpen = 6,
    TimedOut = 7,
    Sick = 8,
}

fn exit(failure: &Failure) -> Exit {
    match failure {
        Failure::Refused(problem) => exit_of(problem),
        Failure::NotRunning(_) | Failure::NoAnswer { .. } | Failure::BrokeOff(_) => Exit::Unreachable,
        Failure::BadUrl(_) | Failure::Ambiguous { .. } | Failure::NoTerminal => Exit::Usage,
        Failure::Config(_) => Exit::Config,
        Failure::Start(error) if error.is_configuration() => Exit::Config,
        Failure::Start(_) => Exit::Failure,
        Failure::Token(_) | Failure::PairingEnded(_) => Exit::NotAllowed,
        Failure::TimedOut(_) | Failure::NobodyTyped(_) => Exit::TimedOut,
        Failure::ConflictsOpen(_) => Exit::ConflictsOpen,
        Failure::Sick(_) => Exit::Sick,
        Failure::Backup(error) => exit_of_backup(error),
        Failure::Passphrase(_) => Exit::Usage,
        Failure::Exists(_) | Failure::File { .. } | Failure::Declined(_) => Exit::Failure,
        Failure::Garbled(_) | Failure::Risky(_) | Failure::NoPeer(_) | Failure::Interrupted => Exit::Failure,
        Failure::DemoHome { .. } | Failure::Story(_) => Exit::Failure,
        Failure::Bench(_) | Failure::Output(_) => Exit::Failure,
    }
}

fn exit_of_backup(error: &BackupError) -> Exit {
    match error {
        BackupError::ShortPassphrase(_) => Exit::Usage,
        BackupError::WrongPassphrase => Exit::NotAllowed,
        _ => Exit::Failure,
    }
}

fn exit_of(problem: &Problem) -> Exit {
    match problem.code {
        Code::Ambiguous | Code::BadCode | Code::Invalid => Exit::Usage,
        Code::Unreachable | Code::Stopped => Exit::Unreachable,
        Code::NotAllowed | Code::NotPaired | Code::WrongCode | Code::PairingClosed => Exit::NotAllowed,
        Code::ConflictOpen => Exit::ConflictsOpen,
        Code::TimedOut => Exit::TimedOut,
        Code::Http if matches!(problem.status, 401 | 403 | 421) => Exit::NotAllowed,
        _ => Exit::Failure,
    }
}

fn hint(failure: &Failure) -> Option<String> {
    let hint = match failure {
        Failure::Refused(problem) => return hint_of(problem),
        Failure::NotRunning(_) => {
            "start it with crosshome run, or name another with --data-dir DIR or --api URL --token FILE"
        }
        Failure::NoAnswer { .. } => "check the address, and that the home is running there",
        Failure::Token(_) => "use the api_token of the home's data directory: --token FILE",
        Failure::BrokeOff(_) => "see whether the home is still running with crosshome status",
        Failure::Garbled(_) => "use the crosshome of the same version as the home",
        Failure::TimedOut(_) => "see which homes are online with crosshome status, then try again",
        Failure::Risky(_) => "look with --preview, then share them with --yes",
        Failure::NoPeer(_) => "see who is paired with crosshome peers list",
        Failure::PairingEnded(_) | Failure::NobodyTyped(_) => "show a new code with crosshome pair --show",
        Failure::ConflictsOpen(_) => "see them with crosshome conflicts list",
        Failure::NoTerminal => "play the story to its end without one: crosshome demo --once",
        Failure::Exists(_) => "choose another name, or replace it with --yes",
        Failure::Declined(_) => "answer the question with --yes",
        Failure::Backup(error) => return hint_of_backup(error).map(str::to_owned),
        Failure::Sick(_) => "follow the remedies above",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn hint_of_backup(error: &BackupError) -> Option<&'static str> {
    Some(match error {
        BackupError::WrongPassphrase => "type it again; nothing was changed",
        BackupError::Damaged(_) | BackupError::TwoHomes => {
            "take another copy of the file; nothing was changed"
        }
        BackupError::Store(StoreError::InUse(_)) => {
            "stop the home first; a backup replaces what it works with"
        }
        _ => return None,
    })
}

fn hint_of(problem: &Problem) -> Option<String> {
    let hint = match problem.code {
        Code::NotFound => "see what there is with crosshome entity list, peers list or conflicts list --all",
        Code::Ambiguous => return Some(format!("write one of: {}", problem.candidates.join(", "))),
        Code::NotPaired => "pair with it first: crosshome pair --show there, crosshome pair CODE here",
        Code::BadCode => "read the code again; a typing mistake costs no try",
        Code::WrongCode => "read the code again, or show a new one with crosshome pair --show",
        Code::PairingClosed => "show a code on the other home with crosshome pair --show, then type it here",
        Code::ConflictOpen => {
            let id = problem.conflict.as_deref().unwrap_or("ID");
            return Some(format!("choose a version with crosshome conflicts resolve {id} --take HOME"));
        }
        Code::Stale => "look again with crosshome conflicts show ID, then settle what is there now",
        Code::Unreachable | Code::TimedOut => {
            "see which homes are online with crosshome status, then try again"
        }
        Code::StorageFull => "make room on the disk; the home goes on by itself",
        Code::Failed => "see what is wrong with crosshome doctor",
        Code::Stopped => "start it again with crosshome run",
        Code::Http if problem.status == 401 => "use the api_token of the home's data directory: --token FILE",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use crosshome_node::node::NodeError;

    use super::*;

    fn of(error: NodeError) -> Exit {
        exit(&Problem::from(error).into())
    }

    #[test]
    fn exit_codes_are_the_agreed_ones() {
        let text = String::new;
        assert_eq!(of(NodeError::NotFound { what: "entity", name: text() }) as u8, 1);
        assert_eq!(of(NodeError::Ambiguous { name: text(), candidates: Vec::new() }) as u8, 2);
        assert_eq!(of(NodeError::BadCode) as u8, 2);
        assert_eq!(of(NodeError::Unreachable { home: text(), reason: text() }) as u8, 4);
        assert_eq!(of(NodeError::WrongCode) as u8, 5);
        assert_eq!(of(NodeError::NotAllowed { home: text(), reason: text() }) as u8, 5);
        assert_eq!(of(NodeError::NotPaired { home: text() }) as u8, 5);
        assert_eq!(of(NodeError::ConflictOpen { entity_id: text(), conflict: text() }) as u8, 6);
        assert_eq!(of(NodeError::Stale { entity_id: text(), present: Box::default() }) as u8, 1);
        assert_eq!(of(NodeError::TimedOut { what: text(), seconds: 1 }) as u8, 7);
        assert_eq!(exit(&Failure::Sick(1)) as u8, 8);
    }

    #[test]
    fn open_conflict_names_the_command_that_settles_it() {
        let error = NodeError::ConflictOpen { entity_id: "climate.hall".into(), conflict: "7".into() };
        let hint = hint(&Problem::from(error).into()).expect("one");
        assert_eq!(hint, "choose a version with crosshome conflicts resolve 7 --take HOME");
    }

    #[test]
    fn headings_are_bold_only_in_colour() {
        let rows = [vec!["a".to_owned()]];
        assert_eq!(Screen::new(false, Color::Never).table(&["NAME"], &rows), "NAME\na");
        assert_eq!(Screen::new(false, Color::Always).table(&["NAME"], &rows), "\x1b[1mNAME\x1b[0m\na");
    }
}
