//! A database file, looked at before SQLite may touch it.
//!
//! To open a database can already write to it, follow a link, or wait for a pipe's other end. So whoever keeps
//! something in a file of SQLite's opens it with [`open`], reads what its beginning says of it ([`Header`]), and only
//! then calls [`connect`]: the store of a home, and the registry of a Python program.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

const MAGIC: &[u8] = b"SQLite format 3\0";

/// The beginning of a database, as [SQLite's file format](https://sqlite.org/fileformat.html) lays it out.
#[derive(Debug)]
pub struct Header([u8; 100]);

impl Header {
    /// Reads it; nothing where the file is shorter.
    pub fn read(file: &File) -> Option<Self> {
        let mut bytes = [0; 100];
        file.read_exact_at(&mut bytes, 0).ok().map(|()| Self(bytes))
    }

    /// Tells whether this is a database at all.
    pub fn is_of_database(&self) -> bool {
        self.0.starts_with(MAGIC)
    }

    /// Returns whose database it is: SQLite's application id.
    pub fn mark(&self) -> u32 {
        self.word(68)
    }

    /// Returns the version of what is in it: SQLite's user version.
    pub fn version(&self) -> u32 {
        self.word(60)
    }

    /// Returns how long the file says it is, in bytes, when it says so.
    pub fn length(&self) -> Option<u64> {
        let page = match u64::from(self.word(14) & 0xffff) {
            1 => 65536,
            size => size,
        };
        (self.word(24) == self.word(92)).then(|| page * u64::from(self.word(28)))
    }

    fn word(&self, at: usize) -> u32 {
        let word = self.0[at..].first_chunk().expect("every field lies in the header");
        u32::from_be_bytes(*word)
    }
}

/// Opens a file for this user alone, and neither follows a link nor waits for a pipe.
///
/// # Errors
///
/// What the system says; a link at the end of the path is `ELOOP`.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without NONBLOCK a pipe in the file's place would wait for its other end for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits() as i32).open(path)
}

/// Opens the database that is there, without following links.
///
/// # Errors
///
/// What SQLite says, with extended codes.
pub fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    Connection::open_with_flags(file, flags)
}

/// Returns the path of the database's log if that holds anything: then the file itself may be shorter than it says.
pub fn log_of(file: &Path) -> Option<PathBuf> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0).then_some(log)
}
