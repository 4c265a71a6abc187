//! What a `SyncProtocol` is made with, checked at once, as the configuration of a home.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use crosshome_core::{pairing::SharedKey, policy::Strategy};
use crosshome_node::{
    config::{Config, Override, Sources},
    home::Options,
    memory::Memory,
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};

use crate::{json::kind, registry::home_name};

/// The configuration of a home, and what goes with it.
pub(super) struct Settings {
    config: Config,
    /// The shared key, as text.
    pub(super) key: String,
    /// Where the home is kept when it has no data directory.
    memory: Option<Memory>,
}

impl Settings {
    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// `TypeError` and `ValueError` name the argument.
    pub(super) fn read(
        name: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        port: u16,
        host: &str,
        data_dir: Option<PathBuf>,
        strategy: &str,
    ) -> PyResult<Self> {
        let strategy = Strategy::ALL.into_iter().find(|known| known.name() == strategy);
        let strategy = strategy.ok_or_else(|| wrong("strategy: there is none of this name"))?;
        let key = key.map_or_else(random_key, key_text)?;
        SharedKey::parse(key.as_bytes()).map_err(|error| wrong(&format!("encryption_key: {error}")))?;
        let host: IpAddr = match host {
            "localhost" => [127, 0, 0, 1].into(),
            host => {
                host.parse().map_err(|_| wrong(&format!("host: {host:?} is no address of this machine")))?
            }
        };
        let port = port.to_string();
        let mut set = vec![
            ("sync.port", port),
            ("sync.bind", host.to_string()),
            ("sync.encryption.shared_key", key.clone()),
        ];
        let name = home_name(name, "peer_id")?;
        set.push(("home_name", name));
        let memory = data_dir.is_none().then(Memory::default);
        if let Some(data_dir) = data_dir {
            let text = data_dir.into_os_string().into_string();
            set.push(("data_dir", text.map_err(|_| wrong("data_dir: it is not valid UTF-8"))?));
        }
        let overrides =
            set.into_iter().map(|(key, value)| Override { key: key.into(), value, flag: flag(key).into() });
        let sources = Sources { overrides: overrides.collect(), ..Sources::default() };
        let mut config = Config::load(&sources).map_err(|errors| wrong(errors.to_string().trim()))?.config;
        // Python has the function, where a configuration would have a template.
        config.conflict_resolution.strategy = strategy;
        config.conflict_resolution.said = strategy != Strategy::default();
        Ok(Self { config, key, memory })
    }

    /// Returns what this home is called.
    pub(super) fn name(&self) -> &str {
        self.config.home_name.as_str()
    }

    /// Returns what a start of the home takes.
    pub(super) fn parts(&self) -> (Config, Options) {
        let options =
            Options { memory: self.memory.clone(), without_api: true, aloof: true, ..Options::default() };
        (self.config.clone(), options)
    }
}

/// Returns a time that an argument gives in seconds.
///
/// # Errors
///
/// `ValueError` for a negative or endless one.
pub(super) fn seconds(timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout).map_err(|_| wrong("timeout must be a number of seconds from 0 up"))
}

/// Returns what an argument is called, for errors of the configuration.
fn flag(key: &str) -> &'static str {
    match key {
        "home_name" => "peer_id",
        "sync.port" => "sync_port",
        "sync.bind" => "host",
        "sync.encryption.shared_key" => "encryption_key",
        _ => "data_dir",
    }
}

fn random_key() -> PyResult<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| wrong("the system gives no random numbers"))?;
    Ok(hex::encode(bytes))
}

/// Bytes that are no text are the key itself, and shown as hexadecimal: that is the same key.
fn key_text(key: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = key.cast::<PyString>() {
        return Ok(text.to_cow().map_err(|_| wrong("encryption_key has half a character"))?.trim().into());
    }
    let Ok(bytes) = key.cast::<PyBytes>() else {
        let text = format!("encryption_key must be str, bytes or None, not {}", kind(key));
        return Err(PyTypeError::new_err(text));
    };
    let text = str::from_utf8(bytes.as_bytes()).ok().filter(|text| !text.contains(char::is_control));
    Ok(text.map_or_else(|| hex::encode(bytes.as_bytes()), |text| text.trim().into()))
}

fn wrong(text: &str) -> PyErr {
    PyValueError::new_err(text.to_owned())
}
