//! From flags, environment, file and defaults to one configuration.
//!
//! The file is read first and what overrides it after it, so that a mistake is told
//! wherever it stands, overridden or not. Each value remembers where it came from.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{
    block::find_block,
    check,
    keys::{KEYS, Key, VARIABLE_PREFIX, read_block},
    nearest::nearest,
    place::{Origin, Place, Source, SourceKind},
    problem::{ConfigErrors, Problem},
    reader::Reader,
    setting::node_of_text,
    types::Config,
};

/// What a configuration is made of.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file named by `--config`; without one, the usual place is looked at.
    pub file: Option<PathBuf>,
    /// The environment; only `CROSSHOME__…`, `XDG_…`, `HOME` and what `!env_var` names are looked at.
    pub environment: Vec<(OsString, OsString)>,
    /// What flags say.
    pub overrides: Vec<Override>,
    /// The host's name, from which the home's comes when nobody says another.
    pub host_name: String,
}

/// One value that a flag gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    /// Dotted path of the key, such as `sync.port`.
    pub key: String,
    /// The value, written as in a variable.
    pub value: String,
    /// The flag as people type it, such as `--sync-port`.
    pub flag: String,
}

/// A configuration and how it came about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// What people should know, at every start.
    pub warnings: Vec<Warning>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

/// One line of `crosshome config show --origin`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Dotted path of the key.
    pub key: &'static str,
    /// The value; a secret only says that it is set.
    pub value: Json,
    /// Where it came from.
    pub origin: Origin,
}

/// What is allowed but worth saying at every start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The file has nothing for this program.
    #[error("{} has no block `copilot: sharing:`, so defaults apply{}", file.display(), meant(nearest.as_deref()))]
    NoBlock {
        /// The file.
        file: PathBuf,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// The last of two blocks counts, as in Home Assistant.
    #[error("`{key}` stands in line {first} and again in line {last}; the last counts")]
    TwoBlocks {
        /// The key.
        key: &'static str,
        /// The one that does not count.
        first: usize,
        /// The one that does.
        last: usize,
    },
    /// Encryption is off (T7).
    #[error(
        "`sync.encryption.enabled` is false: there is no unencrypted protocol, so this home keeps to this machine"
    )]
    Plain,
    /// The API can be reached from elsewhere and is not encrypted.
    #[error(
        "the API listens on {0} without encryption; anyone who can listen in on that network learns its token"
    )]
    ApiOnNetwork(IpAddr),
    /// The key is for a later version.
    #[error("`{key}` does nothing in this version: {instead}")]
    Ignored {
        /// The key.
        key: &'static str,
        /// What holds in its place.
        instead: &'static str,
    },
    /// No strategy is `custom`.
    #[error("`conflict_resolution.template` is set, but no strategy is `custom`")]
    TemplateUnused,
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}

impl Sources {
    /// Takes the environment and the host's name of this program.
    pub fn of_process(file: Option<PathBuf>, overrides: Vec<Override>) -> Self {
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { file, environment: std::env::vars_os().collect(), overrides, host_name }
    }
}

/// Values of variables and flags may be secrets: they are left out.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("overrides", &self.overrides)
            .field("host_name", &self.host_name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Override").field("key", &self.key).field("flag", &self.flag).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Returns where the value of a key came from; for a path that is no key, [`Origin::Default`].
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Returns every key with its value and origin, in the order of the documents.
    pub fn show(&self) -> Vec<Shown> {
        let mut config = self.config.clone();
        let shown = |key: &Key<Config>| Shown {
            key: key.path,
            value: key.show(&mut config),
            origin: self.origin(key.path),
        };
        KEYS.iter().map(shown).collect()
    }
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    ///
    /// Every mistake in every source, at once.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
        let variables = readable(&sources.environment);
        let mut loading = Loading::new(&variables);
        let file = sources.file.clone().or_else(|| usual_file(&variables));
        if let Some(file) = &file {
            loading.read_file(file);
        }
        loading.read_environment(&sources.environment);
        loading.read_overrides(&sources.overrides);
        loading.finish(sources, file)
    }
}

/// A configuration on its way.
pub(super) struct Loading<'a> {
    pub(super) config: Config,
    pub(super) reader: Reader<'a>,
    pub(super) warnings: Vec<Warning>,
    /// Where the value that counts stands, per key.
    pub(super) places: BTreeMap<&'static str, Place>,
    pub(super) variables: &'a HashMap<String, String>,
}

impl<'a> Loading<'a> {
    fn new(variables: &'a HashMap<String, String>) -> Self {
        let reader = Reader::new(variables);
        Self { config: Config::unsaid(), reader, warnings: Vec::new(), places: BTreeMap::new(), variables }
    }

    fn read_file(&mut self, file: &Path) {
        let Some(root) = self.reader.open(file) else { return };
        let Some(block) = find_block(&root, file, &mut self.reader, &mut self.warnings) else { return };
        self.places = read_block(&KEYS, &block, &mut self.config, &mut self.reader);
    }

    fn read_environment(&mut self, environment: &[(OsString, OsString)]) {
        let mut ours: Vec<_> = environment
            .iter()
            .filter(|(name, _)| name.to_string_lossy().starts_with(VARIABLE_PREFIX))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let name = name.to_string_lossy().into_owned();
            match (KEYS.iter().find(|key| key.variable() == name), value.to_str()) {
                (Some(key), Some(value)) => self.read_text(key, SourceKind::Environment, name, value),
                (Some(_), None) => self.refuse(SourceKind::Environment, &name, Problem::NotUtf8),
                (None, _) => {
                    let variables: Vec<_> = KEYS.iter().map(Key::variable).collect();
                    let nearest = nearest(&name, variables.iter().map(String::as_str)).map(str::to_owned);
                    let problem = Problem::UnknownVariable { name: name.clone(), nearest };
                    self.refuse(SourceKind::Environment, &name, problem);
                }
            }
        }
    }

    fn read_overrides(&mut self, overrides: &[Override]) {
        for Override { key: path, value, flag } in overrides {
            match KEYS.iter().find(|key| key.path == path) {
                Some(key) => self.read_text(key, SourceKind::Flag, flag.clone(), value),
                None => {
                    let nearest = nearest(path, KEYS.iter().map(|key| key.path)).into_iter().collect();
                    let problem = Problem::UnknownKey { key: path.clone(), nearest, known: Vec::new() };
                    self.refuse(SourceKind::Flag, flag, problem);
                }
            }
        }
    }

    fn read_text(&mut self, key: &Key<Config>, kind: SourceKind, name: String, value: &str) {
        let text = Zeroizing::new(value.to_owned());
        let start = Place::start(&Arc::new(Source { name, kind, text }));
        let node = node_of_text(key.notation, &start, &mut self.reader);
        let Some(node) = node.and_then(|node| self.reader.resolve(&node)) else { return };
        key.read(&mut self.config, &node, &mut self.reader);
        self.places.insert(key.path, start);
    }

    /// Reports a mistake without showing the value, which may be a secret under a wrong name.
    fn refuse(&mut self, kind: SourceKind, name: &str, problem: Problem) {
        let source = Source { name: name.to_owned(), kind, text: Zeroizing::default() };
        self.reader.report(&Place::start(&Arc::new(source)), problem);
    }

    fn finish(mut self, sources: &Sources, file: Option<PathBuf>) -> Result<Loaded, ConfigErrors> {
        check::complete(&mut self, &sources.host_name);
        check::cross(&mut self);
        if !self.reader.errors.is_empty() {
            let main = file.as_deref().map(|file| file.display().to_string()).unwrap_or_default();
            self.reader.errors.sort(&main);
            return Err(self.reader.errors);
        }
        let origins = self.places.iter().map(|(key, place)| (*key, place.origin())).collect();
        Ok(Loaded { config: self.config, warnings: self.warnings, file, origins })
    }
}

fn readable(environment: &[(OsString, OsString)]) -> HashMap<String, String> {
    let pair =
        |(name, value): &(OsString, OsString)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()));
    environment.iter().filter_map(pair).collect()
}

/// Returns the file that is read when none is named, if it is there.
fn usual_file(variables: &HashMap<String, String>) -> Option<PathBuf> {
    let file = check::base(variables, "XDG_CONFIG_HOME", ".config")?.join("crosshome/config.yaml");
    file.exists().then_some(file)
}
