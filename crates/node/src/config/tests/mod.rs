//! The configuration from outside: files on disk in, values or rendered mistakes out.

mod blocks;
mod hostile;
mod mistakes;
mod page;
mod sources;
mod tags;

use std::{ffi::OsString, fs, path::PathBuf};

use tempfile::TempDir;

use super::{Config, ConfigErrors, Loaded, Override, Sources};

/// A configuration directory of its own, and what else is said.
struct Folder {
    dir: TempDir,
    main: &'static str,
    sources: Sources,
}

impl Folder {
    /// Makes a directory with one main file.
    fn with(main: &'static str, text: impl AsRef<[u8]>) -> Self {
        let folder = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            main,
            sources: Sources::default(),
        };
        folder.and(main, text)
    }

    /// Makes a directory with a Home Assistant configuration.
    fn home_assistant(text: impl AsRef<[u8]>) -> Self {
        Self::with("configuration.yaml", text)
    }

    /// Makes a directory with a file of bare keys.
    fn bare(text: impl AsRef<[u8]>) -> Self {
        Self::with("config.yaml", text)
    }

    fn and(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below the directory")).expect("directories");
        fs::write(path, text).expect("a file");
        self
    }

    fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        let given = Override { key: key.into(), value: value.into(), flag: flag.into() };
        self.sources.overrides.push(given);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn outcome(&self) -> Result<Loaded, ConfigErrors> {
        Config::load(&Sources { file: Some(self.path(self.main)), ..self.sources.clone() })
    }

    fn load(&self) -> Loaded {
        self.outcome().unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn config(&self) -> Config {
        self.load().config
    }

    fn errors(&self) -> ConfigErrors {
        self.outcome().expect_err("a mistake")
    }

    /// Returns the mistakes as people read them, with the temporary directory called `/config`.
    fn rendered(&self) -> String {
        self.errors().render(false).replace(&self.dir.path().display().to_string(), "/config")
    }

    /// Returns the kinds of mistakes in order.
    fn codes(&self) -> Vec<&'static str> {
        self.errors().iter().map(|error| error.problem().code()).collect()
    }
}
