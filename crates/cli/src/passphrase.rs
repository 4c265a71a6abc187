//! Where a passphrase comes from: a file, the environment, or a person who types it unseen.

use std::{
    fs::File,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::Path,
};

use crosshome_node::{backup, node::Secret};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use crate::failure::Failure;

/// The variable that holds a passphrase.
pub(crate) const VARIABLE: &str = "CROSSHOME_PASSPHRASE";

/// Longest passphrase read from a file: more than anybody's.
const BYTES: u64 = 4096;

/// Returns the passphrase for a new backup; a person types it twice.
///
/// # Errors
///
/// There is none, it is too short, or both are not the same.
pub(crate) async fn chosen(file: Option<&Path>) -> Result<Secret, Failure> {
    let passphrase = match given(file)? {
        Some(given) => given,
        None => {
            let first = typed("Passphrase for the backup: ").await?;
            backup::check_passphrase(&first)?;
            match typed("Once more: ").await? {
                second if second.reveal() == first.reveal() => first,
                _ => return Err(Failure::Passphrase("both passphrases are not the same".to_owned())),
            }
        }
    };
    backup::check_passphrase(&passphrase)?;
    Ok(passphrase)
}

/// Returns the passphrase of a backup that is there.
///
/// # Errors
///
/// There is none.
pub(crate) async fn known(file: Option<&Path>) -> Result<Secret, Failure> {
    match given(file)? {
        Some(given) => Ok(given),
        None => typed("Passphrase of the backup: ").await,
    }
}

fn given(file: Option<&Path>) -> Result<Option<Secret>, Failure> {
    let Some(path) = file else {
        let set = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
        return Ok(set.map(Secret::new));
    };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(BYTES).read_to_string(&mut text));
    read.map_err(|source| Failure::File { path: path.to_owned(), source })?;
    let end = text.trim_end_matches('\n').trim_end_matches('\r').len();
    text.truncate(end);
    Ok(Some(Secret::new(text)))
}

/// Asks a person, and shows nothing of what is typed; an interrupt leaves the terminal as it was.
async fn typed(question: &str) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let ways = format!("no passphrase: give --passphrase-file FILE, or set {VARIABLE}");
        return Err(Failure::Passphrase(ways));
    }
    let _unseen = Unseen::begin()?;
    write!(io::stderr(), "{question}")?;
    let (typed, line) = tokio::sync::oneshot::channel();
    // A thread that nobody waits for: it reads on when a person has interrupted.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = typed.send(read.map(|_| line));
    });
    let line = tokio::select! {
        line = line => line.map_err(|_| Failure::Interrupted)??,
        _ = tokio::signal::ctrl_c() => return Err(Failure::Interrupted),
    };
    writeln!(io::stderr())?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &unseen)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(content: &[u8]) -> Result<String, Failure> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), content)?;
        Ok(given(Some(file.path()))?.expect("a file gives one").reveal().to_owned())
    }

    #[test]
    fn end_of_the_line_is_no_part_of_the_passphrase_and_blanks_are() {
        assert_eq!(of_file(b" correct horse \n").expect("text"), " correct horse ");
        assert_eq!(of_file(b"correct horse\r\n").expect("text"), "correct horse");
        assert_eq!(of_file(b"correct horse").expect("text"), "correct horse");
    }

    #[test]
    fn file_that_is_no_text_or_not_there_is_named() {
        assert!(matches!(of_file(&[0xff, 0xfe]), Err(Failure::File { .. })));
        assert!(matches!(given(Some(Path::new("/nowhere/passphrase"))), Err(Failure::File { .. })));
    }
}
