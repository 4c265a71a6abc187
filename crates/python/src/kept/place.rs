//! Where a file stands and what it is for, judged by its beginning before SQLite may touch it.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crosshome_node::database::{self, Header};

use super::KeptError;

/// Home Assistant's folder for this program: who finds it runs there.
const HOME_ASSISTANT: &str = "/config/.copilot";

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// In the file, SQLite's application id.
    pub(crate) mark: u32,
    /// In words, for errors.
    pub(crate) what: &'static str,
}

/// Version of the files written here.
pub(super) const VERSION: u32 = 1;

/// Where a file stands, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) path: PathBuf,
    pub(super) form: Form,
}

impl Place {
    /// Finds the one name of a path, and makes the folder that it stands in.
    pub(super) fn find(path: &Path, form: Form) -> Result<Self, KeptError> {
        let name = path.file_name().ok_or_else(|| KeptError::NotAFile(path.into()))?;
        let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let system = |error| KeptError::of_system(parent, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(system)?;
        Ok(Self { path: parent.canonicalize().map_err(system)?.join(name), form })
    }

    /// Opens the file without following links, and makes it if it is not there.
    pub(super) fn open(&self) -> Result<File, KeptError> {
        let system = |error| KeptError::of_system(&self.path, &error);
        let opened = database::open(&self.path, OpenOptions::new().read(true).write(true).create(true));
        let file = opened.map_err(system)?;
        match file.metadata().map_err(system)?.is_file() {
            true => Ok(file),
            false => Err(KeptError::NotAFile(self.path.clone())),
        }
    }

    /// Judges an open file by its beginning; an empty one will do.
    pub(super) fn judge(&self, file: &File) -> Result<(), KeptError> {
        let corrupt = |reason: &str| Err(KeptError::Corrupt(reason.into()));
        let length = file.metadata().map_err(|error| KeptError::of_system(&self.path, &error))?.len();
        if length == 0 && !self.has_log() {
            return Ok(());
        }
        let Some(header) = Header::read(file) else { return corrupt("it is cut short") };
        if !header.is_of_database() {
            return corrupt("it is not a database");
        }
        // While a log waits to be copied in, the file itself may be shorter than it says.
        if !self.has_log() && header.length().is_some_and(|told| length < told) {
            return corrupt("it is cut short");
        }
        self.check_marks(header.mark(), header.version())
    }

    /// Checks what the file says it is.
    pub(super) fn check_marks(&self, mark: u32, version: u32) -> Result<(), KeptError> {
        let file = self.path.clone();
        match (mark, version) {
            (0, 0) => Ok(()), // made and not yet begun; or another program's, if there is anything in it
            (mark, found) if mark == self.form.mark && found > VERSION => {
                Err(KeptError::Newer { file, found, known: VERSION })
            }
            (mark, _) if mark == self.form.mark => Ok(()),
            _ => Err(KeptError::Foreign { file, what: self.form.what }),
        }
    }

    /// Gives a damaged file and what belongs to it another name, if it is still the one that was opened.
    pub(super) fn put_aside(&self, opened: (u64, u64), reason: String) -> KeptError {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let beside = |suffix: &str| {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let aside = beside(&format!(".damaged-{now}"));
        if self.identity() == Some(opened) {
            for rest in ["-wal", "-shm", "-journal"] {
                let _ = fs::rename(beside(rest), beside(&format!(".damaged-{now}{rest}")));
            }
            if let Err(error) = fs::rename(&self.path, &aside) {
                return KeptError::of_system(&self.path, &error);
            }
        }
        KeptError::Damaged { file: self.path.clone(), aside, reason }
    }

    /// Returns what tells the file at this path from any other.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        fs::symlink_metadata(&self.path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    fn has_log(&self) -> bool {
        database::log_of(&self.path).is_some()
    }
}

/// Returns the directory in which a home keeps what nobody has given a place.
pub(super) fn default_directory() -> PathBuf {
    let home_assistant = Path::new(HOME_ASSISTANT);
    if home_assistant.is_dir() {
        return home_assistant.into();
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from("/var/lib")).join("crosshome")
}

/// Returns what tells an open file from any other.
pub(super) fn identity_of(file: &File) -> Result<(u64, u64), std::io::Error> {
    let metadata = file.metadata()?;
    match metadata.nlink() {
        0 => Err(ErrorKind::NotFound.into()),
        _ => Ok((metadata.dev(), metadata.ino())),
    }
}
