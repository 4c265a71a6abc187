//! The terminal: keys as they are typed, a screen that is drawn, and all as before when it is over.

use std::{
    io::{self, Read, Write},
    thread,
};

use rustix::termios::{self, InputModes, LocalModes, OptionalActions, Termios};
use tokio::sync::mpsc;

/// Alternate screen, no cursor, and no line that runs on into the next.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// All as it was.
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A terminal that is drawn on until this is dropped, also by a panic.
pub(super) struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Takes the terminal over. Ctrl-C stays what it is.
    pub(super) fn take() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        // Ctrl-S would stop the picture, and the demo with it.
        keys.input_modes.remove(InputModes::IXON);
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        let terminal = Self { before };
        write(ENTER)?;
        Ok(terminal)
    }

    /// Returns columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        match termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// Draws lines from the top and clears the rest.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        // In one write, so that nobody sees half a picture. It is cleared before and not after: behind a full line
        // the cursor stands on its last letter.
        write(format!("\x1b[H\x1b[J{}", lines.join("\r\n")).as_bytes())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = write(LEAVE);
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Reads keys on a thread of its own, which ends with the program.
pub(super) fn keys() -> mpsc::Receiver<u8> {
    let (typed, keys) = mpsc::channel(16);
    thread::spawn(move || {
        let mut byte = [0];
        while io::stdin().lock().read_exact(&mut byte).is_ok() {
            if typed.blocking_send(byte[0]).is_err() {
                return;
            }
        }
    });
    keys
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
