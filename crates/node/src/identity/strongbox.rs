//! A folder only this user may enter, and one file in it.
//!
//! Works on an open folder, so that what was checked is what is used, and never follows
//! a link in the last step. New content comes to its name whole: written beside it,
//! brought to the disk, renamed, and the folder brought to the disk.

use std::{
    ffi::{OsStr, OsString},
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};
use zeroize::Zeroizing;

use super::IdentityError;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// A key in PEM form takes 119 bytes; what is longer than a page is something else.
const LONGEST: u64 = 4096;

/// One file in a folder that nobody else may enter.
pub(super) struct Strongbox {
    folder: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Strongbox {
    /// Opens the folder of `path`; with `make`, makes it or closes it to others while the file is not there yet.
    pub(super) fn open(path: &Path, make: bool) -> Result<Self, IdentityError> {
        let name = path.file_name().ok_or_else(|| IdentityError::NotAFile(path.to_owned()))?.to_owned();
        let parent = folder_of(path);
        if make {
            let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(parent);
            made.map_err(|source| IdentityError::Io { path: parent.to_owned(), source })?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match rustix::fs::openat(CWD, parent, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Err(IdentityError::Missing(path.to_owned())),
            opened => opened.map_err(|err| failed(parent, err))?,
        };
        let place = Self { folder, name, path: path.to_owned() };
        place.check_folder(parent, make)?;
        Ok(place)
    }

    /// Returns the content, or `None` when the file is missing.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
        // NONBLOCK: a pipe put in place of the key must not hold up the start.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.folder, &self.name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(IdentityError::NotAFile(self.path.clone())),
            opened => opened.map_err(|err| failed(&self.path, err))?,
        };
        let stat = rustix::fs::fstat(&file).map_err(|err| failed(&self.path, err))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(IdentityError::NotAFile(self.path.clone()));
        }
        check_closed(&self.path, &stat, FILE_MODE)?;
        let mut content = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
        let read = File::from(file).take(LONGEST).read_to_end(&mut content);
        read.map_err(|source| IdentityError::Io { path: self.path.clone(), source })?;
        Ok(Some(content))
    }

    /// Writes the file; returns false when somebody else has made it meanwhile.
    pub(super) fn write_new(&self, content: &[u8]) -> Result<bool, IdentityError> {
        let fresh = self.write_beside(content)?;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.folder, &fresh, &self.folder, &self.name, flags) {
            Err(Errno::EXIST) => return self.remove(&fresh).map(|()| false),
            // Some network file systems cannot refuse to replace; there two first starts at once are not expected.
            Err(Errno::INVAL | Errno::NOSYS) => self.rename_here(&fresh)?,
            renamed => renamed.map_err(|err| failed(&self.path, err))?,
        }
        self.sync_folder().map(|()| true)
    }

    /// Writes the file over the one that may be there.
    pub(super) fn replace(&self, content: &[u8]) -> Result<(), IdentityError> {
        let fresh = self.write_beside(content)?;
        self.rename_here(&fresh)
    }

    /// Gives the file at `other`, in the same folder, this name.
    pub(super) fn take_over(&self, other: &Path) -> Result<(), IdentityError> {
        let name = other.file_name().ok_or_else(|| IdentityError::NotAFile(other.to_owned()))?;
        self.rename_here(name)
    }

    fn check_folder(&self, parent: &Path, make: bool) -> Result<(), IdentityError> {
        let stat = rustix::fs::fstat(&self.folder).map_err(|err| failed(parent, err))?;
        let refused = check_closed(parent, &stat, FOLDER_MODE);
        // Others may look into it but not write: closed by us as long as no key lies in it. Later, somebody opened it.
        let closable = refused.is_err() && stat.st_uid == us() && stat.st_mode & 0o022 == 0;
        if make && closable && !self.exists()? {
            let mode = Mode::from_raw_mode(FOLDER_MODE);
            return rustix::fs::fchmod(&self.folder, mode).map_err(|err| failed(parent, err));
        }
        refused
    }

    fn exists(&self) -> Result<bool, IdentityError> {
        match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(err) => Err(failed(&self.path, err)),
        }
    }

    /// Writes a file of a name nobody else uses and returns that name.
    fn write_beside(&self, content: &[u8]) -> Result<OsString, IdentityError> {
        let lot = getrandom::u64()
            .map_err(|err| IdentityError::Io { path: self.path.clone(), source: err.into() })?;
        let mut fresh = self.name.clone();
        fresh.push(format!(".{lot:016x}"));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, &fresh, flags, Mode::from_raw_mode(FILE_MODE));
        let mut file = File::from(file.map_err(|err| failed(&self.path, err))?);
        let written = file.write_all(content).and_then(|()| file.sync_all());
        if let Err(source) = written {
            self.remove(&fresh)?;
            return Err(IdentityError::Io { path: self.path.clone(), source });
        }
        Ok(fresh)
    }

    fn rename_here(&self, from: &OsStr) -> Result<(), IdentityError> {
        rustix::fs::renameat(&self.folder, from, &self.folder, &self.name)
            .map_err(|err| failed(&self.path, err))?;
        self.sync_folder()
    }

    fn remove(&self, name: &OsStr) -> Result<(), IdentityError> {
        rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()).map_err(|err| failed(&self.path, err))
    }

    fn sync_folder(&self) -> Result<(), IdentityError> {
        rustix::fs::fsync(&self.folder).map_err(|err| failed(&self.path, err))
    }
}

fn check_closed(path: &Path, stat: &Stat, want: u32) -> Result<(), IdentityError> {
    if stat.st_uid != us() {
        return Err(IdentityError::NotOurs { path: path.to_owned(), owner: stat.st_uid });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::TooOpen { path: path.to_owned(), mode, want });
    }
    Ok(())
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn failed(path: &Path, err: Errno) -> IdentityError {
    IdentityError::Io { path: path.to_owned(), source: io::Error::from(err) }
}
