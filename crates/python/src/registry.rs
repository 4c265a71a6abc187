//! `sharing._engine.Registry`: which entities are shared, and with whom, kept in a file.
//!
//! The Python face is `sharing/registry.py`; it asks through [`Registry`]. A running home asks in Rust, by
//! [`Registry::sharing`] for what is shared with whom, and by [`Registry::listen`] to hear of every change, also of
//! those that another process has made to the file.
//!
//! What always holds: entries are only written as a whole, within the bounds that attributes have; asking for what is
//! already so writes nothing and tells nobody.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use crosshome_core::{EntityId, entity_id::EntityIdError};
use crosshome_node::{config::HomeNameError, views::Stamp};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList},
};
use serde_json::{Map, Value};

use crate::{
    defaults::REGISTRY_MARK,
    error::{EntityNotFound, StorageError},
    json,
    kept::{self, Change, Form, Kept, KeptError, Listener, Listening},
    locks::locked,
};

mod entry;
mod names;
mod news;

pub(crate) use entry::{Entry, Sharing};
pub(crate) use names::{entity_id, home_name};
use news::News;

/// What marks the file of a registry.
const FORM: Form = Form { mark: REGISTRY_MARK, what: "shared entities" };

/// Which entities are shared, and with whom.
#[pyclass(frozen, module = "sharing._engine")]
pub(crate) struct Registry {
    /// Taken when this goes.
    kept: Option<Arc<Kept>>,
    /// Name of this home.
    home: String,
    news: Arc<News>,
    listening: Mutex<Option<Listening>>,
}

/// Who may see an entity has changed; nothing when it is no longer registered.
pub(crate) type Heard = dyn Fn(EntityId, Option<Sharing>) + Send + Sync;

impl Registry {
    /// Returns every registered entity and who may see it.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub(crate) fn sharing(&self) -> Result<BTreeMap<EntityId, Sharing>, RegistryError> {
        let all = self.kept().all()?;
        all.iter().map(|(id, body)| Ok((names::entity_id(id)?, Entry::read(id, body)?.sharing))).collect()
    }

    /// Has `heard` hear of every change from now on, until what is returned is dropped.
    ///
    /// It is called within the change, in order, on whatever thread makes or notices it, without the interpreter: it may
    /// only pass on what it hears.
    pub(crate) fn listen(&self, heard: Box<Heard>) -> Listening {
        self.kept().listen(Arc::new(Ear(heard)))
    }

    fn kept(&self) -> &Arc<Kept> {
        self.kept.as_ref().expect("it is there until this is dropped")
    }

    /// Tells everybody but this registry's own callbacks, which are told once Python has the answer.
    fn tell_others(&self) {
        let _held = self.news.hold();
        self.kept().tell();
    }

    /// Changes one entry, and returns it as it now is.
    ///
    /// `edit` gets what is registered, and returns what is to be, or nothing to remove it.
    fn edit(
        &self,
        py: Python<'_>,
        id: &EntityId,
        edit: impl FnOnce(Option<&Entry>) -> Result<Option<Entry>, RegistryError> + Send,
    ) -> Result<Option<Entry>, RegistryError> {
        let kept = self.kept();
        py.detach(|| {
            let mut now = None;
            let changed = kept.change(|rows| {
                let known = rows.get(id.as_str()).map(|body| Entry::read(id.as_str(), body)).transpose()?;
                now = edit(known.as_ref())?;
                Ok(match now == known {
                    true => Vec::new(),
                    false => vec![(id.as_str().into(), now.as_ref().map(|entry| entry.write().into()))],
                })
            });
            self.tell_others();
            changed.map(|()| now)
        })
    }

    /// As [`Registry::edit`], of an entity that has to be registered.
    fn edit_known(
        &self,
        py: Python<'_>,
        id: &str,
        edit: impl FnOnce(&mut Entry) -> Result<(), RegistryError> + Send,
    ) -> Result<Entry, RegistryError> {
        let unknown = || RegistryError::Unknown(id.into());
        let id: EntityId = id.parse().map_err(|_| unknown())?;
        let entry = self.edit(py, &id, |known| {
            let known = known.ok_or_else(unknown)?;
            let mut entry = known.clone();
            edit(&mut entry)?;
            if entry != *known {
                entry.last_updated = Stamp::now();
                entry.last_updated_by.clone_from(&self.home);
            }
            Ok(Some(entry))
        })?;
        entry.ok_or_else(unknown)
    }
}

#[pymethods]
impl Registry {
    #[new]
    fn new(py: Python<'_>, path: Option<PathBuf>, home: Option<&str>) -> PyResult<Self> {
        let home = home_name(home, "home_id")?;
        let path = path.unwrap_or_else(|| kept::default_directory().join("registry.db"));
        let kept = py.detach(|| Kept::open(&path, FORM)).map_err(RegistryError::from)?;
        Ok(Self { kept: Some(kept), home, news: Arc::default(), listening: Mutex::default() })
    }

    fn register<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        shared: bool,
        home: Option<&str>,
        metadata: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = names::entity_id(id)?;
        let home = home.unwrap_or(&self.home);
        names::home(home, "home_id")?;
        let metadata = members(metadata)?;
        let entry = self.edit(py, &id, |known| {
            let mut entry = known.cloned().unwrap_or_else(|| Entry::new(&id, home));
            entry.describe(&id, &metadata)?;
            entry.sharing.set_everyone(shared);
            entry.home_id = home.into();
            if known.is_some_and(|known| *known != entry) {
                entry.last_updated = Stamp::now();
                entry.last_updated_by = home.into();
            }
            Ok(Some(entry))
        })?;
        entity(py, id.as_str(), &entry.expect("it was registered"))
    }

    fn unregister(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        let Ok(id) = id.parse::<EntityId>() else { return Ok(false) };
        let mut known = false;
        self.edit(py, &id, |entry| {
            known = entry.is_some();
            Ok(None)
        })?;
        Ok(known)
    }

    fn update<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        shared: Option<bool>,
        metadata: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let metadata = members(metadata)?;
        let entry = self.edit_known(py, id, |entry| {
            entry.describe(&names::entity_id(id)?, &metadata)?;
            if let Some(shared) = shared {
                entry.sharing.set_everyone(shared);
            }
            Ok(())
        })?;
        entity(py, id, &entry)
    }

    fn share_with<'py>(&self, py: Python<'py>, id: &str, home: &str) -> PyResult<Bound<'py, PyAny>> {
        names::check_home(home)?;
        entity(py, id, &self.edit_known(py, id, |entry| entry.sharing.add(home))?)
    }

    fn stop_sharing_with(&self, py: Python<'_>, id: &str, home: &str) -> PyResult<bool> {
        names::check_home(home)?;
        let mut admitted = false;
        let stopped = self.edit_known(py, id, |entry| {
            admitted = entry.sharing.admits(&[home]);
            entry.sharing.remove(home)
        });
        match stopped {
            Err(RegistryError::Unknown(_)) => Ok(false),
            stopped => Ok(stopped.map(|_| admitted)?),
        }
    }

    fn clear(&self, py: Python<'_>) -> PyResult<usize> {
        let kept = self.kept();
        let cleared = py.detach(|| {
            let mut count = 0;
            let cleared = kept.change(|rows| {
                count = rows.len();
                Ok::<_, KeptError>(rows.keys().map(|id| (id.clone(), None)).collect())
            });
            self.tell_others();
            cleared.map(|()| count)
        });
        Ok(cleared.map_err(RegistryError::from)?)
    }

    fn get<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let kept = self.kept();
        let body = py.detach(|| kept.get(id)).map_err(RegistryError::from)?;
        body.map(|body| entity(py, id, &Entry::read(id, &body)?)).transpose()
    }

    /// Returns the entities by id; only the shared ones, if that is what is asked for.
    fn all<'py>(&self, py: Python<'py>, only_shared: bool) -> PyResult<Bound<'py, PyDict>> {
        let kept = self.kept();
        let rows = py.detach(|| kept.all()).map_err(RegistryError::from)?;
        let found = PyDict::new(py);
        for (id, body) in &rows {
            let entry = Entry::read(id, body)?;
            if !only_shared || entry.sharing.is_shared() {
                found.set_item(&**id, entity(py, id, &entry)?)?;
            }
        }
        Ok(found)
    }

    /// Has `wake`, a weak reference to a function, called whenever there is news.
    fn wake(&self, py: Python<'_>, wake: Py<PyAny>) {
        self.news.wake_by(wake);
        let kept = self.kept();
        let listening = py.detach(|| kept.listen(self.news.clone()));
        let before = locked(&self.listening).replace(listening);
        py.detach(|| drop(before));
    }

    /// Tells whether there is news.
    fn has_news(&self) -> bool {
        self.news.is_there()
    }

    /// Returns the next change as id, old and new entity, or nothing.
    fn news<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(Change { id, before, after }) = self.news.next() else { return Ok(None) };
        let shown =
            |body: Option<Arc<str>>| body.map(|body| entity(py, &id, &Entry::read(&id, &body)?)).transpose();
        Ok(Some((&*id, shown(before)?, shown(after)?).into_pyobject(py)?.into_any()))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let listening = self.listening.get_mut().ok().and_then(Option::take);
        let kept = self.kept.take();
        // To close a file takes as long as its disk does: others may have the interpreter meanwhile.
        let _ = Python::try_attach(move |py| py.detach(move || drop((listening, kept))));
    }
}

struct Ear(Box<Heard>);

impl Listener for Ear {
    fn changed(&self, change: &Change) {
        let Ok(id) = change.id.parse() else { return };
        let sharing = change.after.as_ref().and_then(|body| Entry::read(&change.id, body).ok());
        (self.0)(id, sharing.map(|entry| entry.sharing));
    }
}

/// Returns an entry as Python sees it.
fn entity<'py>(py: Python<'py>, id: &str, entry: &Entry) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "sharing.registry", "SharedEntity")?;
    let domain = id.split('.').next().unwrap_or_default();
    let metadata = json::write(py, &Value::Object(entry.metadata.clone()).to_string())?;
    class.call1((
        id,
        &entry.name,
        domain,
        entry.sharing.is_shared(),
        entry.last_updated.to_string(),
        &entry.last_updated_by,
        PyList::new(py, &entry.sharing.with)?,
        metadata,
        &entry.home_id,
    ))
}

/// Reads metadata.
fn members(metadata: &Bound<'_, PyAny>) -> PyResult<Map<String, Value>> {
    let text = json::read_object(metadata, "metadata")?;
    serde_json::from_str(text.as_str()).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Why the registry does not do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// The file.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// No entity can be called that.
    #[error("entity_id {given:?}: {source}")]
    Id {
        /// The beginning of what was given.
        given: String,
        /// What is wrong with it.
        source: EntityIdError,
    },
    /// No home can be called that.
    #[error("{argument} {given:?}: {source}")]
    Home {
        /// Where it was given.
        argument: &'static str,
        /// The beginning of what was given.
        given: String,
        /// What is wrong with it.
        source: HomeNameError,
    },
    /// Beyond what attributes may be.
    #[error("metadata: {0}")]
    Metadata(String),
    /// More homes than one entity names.
    #[error(
        "an entity is shared with at most {} homes by name: share it with everyone",
        crate::defaults::HOMES_NAMED
    )]
    Homes,
    /// Nobody has registered it.
    #[error("{0} is not registered")]
    Unknown(String),
    /// The file holds something else than an entry.
    #[error("the entry of {0} cannot be read: {1}")]
    Unreadable(String, String),
}

impl From<RegistryError> for PyErr {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        match error {
            RegistryError::Unknown(_) => EntityNotFound::new_err(text),
            RegistryError::Kept(_) | RegistryError::Unreadable(..) => StorageError::new_err(text),
            _ => PyValueError::new_err(text),
        }
    }
}
