//! Files of a configuration: bounded, UTF-8, and inside one directory.
//!
//! The directory of the main file is the root. Includes and `secrets.yaml` are
//! read only when they, links followed, lie below it (T39); each file is read once,
//! however often it is named.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{
    place::{Place, Source, SourceKind},
    problem::{ConfigError, Problem},
    yaml::{self, Node},
};
use crate::defaults::{CONFIG_BYTES, CONFIG_FILES};

/// The file that `!secret` looks into.
const SECRETS: &str = "secrets.yaml";

/// What reading one file gave.
type Outcome = Result<Arc<Node>, ConfigError>;

/// The files read so far, and the directory that they must not leave.
#[derive(Debug)]
pub(super) struct Files {
    /// The root as typed, for messages and relative paths.
    root: PathBuf,
    canonical_root: Option<PathBuf>,
    read: HashMap<PathBuf, Outcome>,
}

impl Files {
    /// Starts at the directory of the main file.
    pub(super) fn beside(main: &Path) -> Self {
        let root = match main.parent() {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_owned(),
            None => PathBuf::from("/"),
        };
        let canonical_root = root.canonicalize().ok();
        Self { root, canonical_root, read: HashMap::new() }
    }

    /// Reads the main file, which may be a link to anywhere.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is too large, is no text or no YAML.
    pub(super) fn main(&mut self, path: &Path) -> Outcome {
        load(path, path)
    }

    /// Reads the file that `name` means at `from`.
    ///
    /// # Errors
    ///
    /// As [`Files::main`], and for a path that leads out of the root.
    pub(super) fn include(&mut self, name: &str, from: &Place) -> Outcome {
        let path = folder(from).join(name);
        match self.inside(&path) {
            Ok(real) => self.once(&path, real).map_err(|err| at_use(err, from)),
            Err(problem) => Err(ConfigError::new(problem, from.clone())),
        }
    }

    /// Reads `secrets.yaml` in one directory; none there is `Ok(None)`.
    ///
    /// # Errors
    ///
    /// As [`Files::include`].
    pub(super) fn secrets(&mut self, folder: &Path, from: &Place) -> Result<Option<Arc<Node>>, ConfigError> {
        let path = if folder == Path::new(".") { PathBuf::from(SECRETS) } else { folder.join(SECRETS) };
        if !path.exists() {
            return Ok(None);
        }
        let real = self.inside(&path).map_err(|problem| ConfigError::new(problem, from.clone()))?;
        self.once(&path, real).map(Some).map_err(|err| at_use(err, from))
    }

    /// Returns the directories that may hold a secret used at `from`: its own, then those above up to the root.
    pub(super) fn secret_folders(&self, from: &Place) -> Vec<PathBuf> {
        let start = folder(from);
        let below = |dir: &&Path| match (dir.canonicalize(), &self.canonical_root) {
            (Ok(real), Some(root)) => real.starts_with(root),
            _ => false,
        };
        let own = if start.as_os_str().is_empty() { Path::new(".") } else { start };
        own.ancestors()
            .map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
            .take_while(below)
            .map(Path::to_owned)
            .collect()
    }

    /// Returns the directory of the main file, as typed.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn once(&mut self, path: &Path, real: PathBuf) -> Outcome {
        if self.read.len() >= CONFIG_FILES && !self.read.contains_key(&real) {
            let reason = format!("more than {CONFIG_FILES} files are included");
            let problem = Problem::Unreadable { path: path.display().to_string(), reason };
            return Err(ConfigError::new(problem, Place::start(&empty(path))));
        }
        self.read.entry(real).or_insert_with_key(|real| load(path, real)).clone()
    }

    /// Follows links and refuses what is not below the root.
    fn inside(&self, path: &Path) -> Result<PathBuf, Problem> {
        let real = path.canonicalize().map_err(|err| unreadable(path, &err))?;
        match &self.canonical_root {
            Some(root) if real.starts_with(root) => Ok(real),
            _ => Err(Problem::Outside {
                path: path.display().to_string(),
                root: self.root.display().to_string(),
            }),
        }
    }
}

/// Moves "cannot be read" to the tag that named the file; mistakes inside it stay where they are.
fn at_use(err: ConfigError, from: &Place) -> ConfigError {
    match err.problem() {
        Problem::Unreadable { .. } | Problem::NotAFile(_) | Problem::TooLarge { .. } => {
            ConfigError::new(err.problem().clone(), from.clone())
        }
        _ => err,
    }
}

/// Returns the directory of the file in which a place is.
fn folder(place: &Place) -> &Path {
    match &place.source.kind {
        SourceKind::File { path, .. } => path.parent().unwrap_or(Path::new("")),
        SourceKind::Environment | SourceKind::Flag => Path::new(""),
    }
}

fn load(name: &Path, path: &Path) -> Outcome {
    let bytes = read(name, path).map_err(|problem| ConfigError::new(problem, Place::start(&empty(name))))?;
    let secrets = path.file_name().is_some_and(|file| file == SECRETS);
    let kind = SourceKind::File { path: name.to_owned(), secrets };
    let display = name.display().to_string();
    match std::str::from_utf8(&bytes) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            yaml::parse(&Arc::new(Source { name: display, kind, text: Zeroizing::new(text.to_owned()) }))
        }
        Err(err) => {
            let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
            let before = &bytes[..err.valid_up_to()];
            Err(ConfigError::new(Problem::NotUtf8, end_of(before, Source { name: display, kind, text })))
        }
    }
}

/// Returns the place right behind `before`, which is the valid beginning of the source.
fn end_of(before: &[u8], source: Source) -> Place {
    let before = String::from_utf8_lossy(before);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place::at(&Arc::new(source), line, column, 1)
}

/// Reads a regular file of bounded size; anything else could block or never end.
fn read(name: &Path, path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let display = || name.display().to_string();
    let meta = path.metadata().map_err(|err| unreadable(name, &err))?;
    if !meta.is_file() {
        return Err(Problem::NotAFile(display()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(meta.len().min(CONFIG_BYTES) as usize + 1));
    let file = File::open(path).map_err(|err| unreadable(name, &err))?;
    file.take(CONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(|err| unreadable(name, &err))?;
    if bytes.len() as u64 > CONFIG_BYTES {
        return Err(Problem::TooLarge { path: display(), limit: CONFIG_BYTES });
    }
    Ok(bytes)
}

fn unreadable(path: &Path, err: &io::Error) -> Problem {
    let reason = match err.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => err.to_string(),
    };
    Problem::Unreadable { path: path.display().to_string(), reason }
}

fn empty(path: &Path) -> Arc<Source> {
    let kind = SourceKind::File { path: path.to_owned(), secrets: false };
    Arc::new(Source { name: path.display().to_string(), kind, text: Zeroizing::default() })
}
