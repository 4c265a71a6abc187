//! `sharing._engine.Versions` and `Conflicts`: two versions of an entity side by side, and what came of them.
//!
//! The Python face is `sharing/conflict.py`. Conflicts are kept as the registry is: in a file that survives
//! whatever happens, or in memory alone.

use std::{path::PathBuf, sync::Arc};

use crosshome_core::EntityId;
use crosshome_node::views::Stamp;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
};
use serde_json::{Value, json};

use crate::{
    defaults::CONFLICTS_MARK,
    json,
    kept::{Form, Kept, KeptError},
    registry::{RegistryError, entity_id, home_name},
};

mod versions;

use versions::{Side, Version, VersionError};

/// What marks the file of a resolver.
const FORM: Form = Form { mark: CONFLICTS_MARK, what: "conflicts" };

/// Two versions of one entity, and maybe what was before.
#[pyclass(frozen, module = "sharing._engine")]
pub(crate) struct Versions {
    id: EntityId,
    local: Version,
    remote: Version,
    before: Option<Version>,
}

#[pymethods]
impl Versions {
    #[new]
    fn new(
        id: &str,
        local: &Bound<'_, PyAny>,
        remote: &Bound<'_, PyAny>,
        before: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let id = entity_id(id)?;
        let (local, remote) = (version(local, "local")?, version(remote, "remote")?);
        let before = if before.is_none() { None } else { Some(version(before, "before")?) };
        Ok(Self { id, local, remote, before })
    }

    /// Tells whether both say the same.
    fn same(&self) -> bool {
        versions::same(&self.local, &self.remote)
    }

    /// Tells whether the local version is the later.
    fn local_is_later(&self) -> bool {
        versions::later(&self.local, &self.remote) == Side::Local
    }

    /// Returns what both make together.
    fn merged<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let merged = versions::merged(&self.id, &self.local, &self.remote, self.before.as_ref());
        json::write(py, &merged.to_string())
    }
}

/// What is kept of conflicts, by entity id.
#[pyclass(frozen, module = "sharing._engine")]
pub(crate) struct Conflicts {
    /// Taken when this goes.
    kept: Option<Arc<Kept>>,
    /// Name of this home.
    home: String,
}

#[pymethods]
impl Conflicts {
    #[new]
    fn new(py: Python<'_>, path: Option<PathBuf>, home: Option<&str>) -> PyResult<Self> {
        let home = home_name(home, "home_id")?;
        let kept = match path {
            None => Kept::in_memory(),
            Some(path) => py.detach(|| Kept::open(&path, FORM)).map_err(RegistryError::from)?,
        };
        Ok(Self { kept: Some(kept), home })
    }

    /// Name of this home.
    #[getter]
    fn home(&self) -> &str {
        &self.home
    }

    /// Keeps a conflict, with what settled it unless it is left open, and returns it.
    fn keep<'py>(
        &self,
        py: Python<'py>,
        versions: &Versions,
        strategy: &str,
        resolution: &Bound<'py, PyAny>,
        error: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let resolution = match resolution.is_none() {
            true => Value::Null,
            false => value(json::read_object(resolution, "resolution")?.as_str())?,
        };
        let (now, open) = (Stamp::now(), resolution.is_null());
        let record = json!({
            "entity_id": versions.id.as_str(),
            "local_version": value(versions.local.text())?,
            "remote_version": value(versions.remote.text())?,
            "strategy": strategy,
            "resolution": resolution,
            "resolved_by": (!open).then_some(&self.home),
            "detected_at": now,
            "resolved_at": (!open).then_some(now),
            "error": error,
        });
        let (id, body): (Arc<str>, Arc<str>) = (versions.id.as_str().into(), record.to_string().into());
        self.change(py, move |_| vec![(id, Some(body))])?;
        json::write(py, &record.to_string())
    }

    fn get<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let kept = self.kept();
        let body = py.detach(|| kept.get(id)).map_err(RegistryError::from)?;
        body.map(|body| json::write(py, &body)).transpose()
    }

    fn all<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let kept = self.kept();
        let rows = py.detach(|| kept.all()).map_err(RegistryError::from)?;
        rows.values().map(|body| json::write(py, body)).collect()
    }

    fn clear(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        let mut known = false;
        self.change(py, |rows| {
            let key = rows.get_key_value(id).map(|(key, _)| key.clone());
            known = key.is_some();
            key.map(|key| (key, None)).into_iter().collect()
        })?;
        Ok(known)
    }

    fn clear_all(&self, py: Python<'_>) -> PyResult<usize> {
        let mut count = 0;
        self.change(py, |rows| {
            count = rows.len();
            rows.keys().map(|id| (id.clone(), None)).collect()
        })?;
        Ok(count)
    }
}

impl Conflicts {
    fn kept(&self) -> &Arc<Kept> {
        self.kept.as_ref().expect("it is there until this is dropped")
    }

    fn change(
        &self,
        py: Python<'_>,
        change: impl FnOnce(&crate::kept::Rows) -> Vec<crate::kept::Write> + Send,
    ) -> PyResult<()> {
        let kept = self.kept();
        let changed = py.detach(|| kept.change(|rows| Ok::<_, KeptError>(change(rows))));
        Ok(changed.map_err(RegistryError::from)?)
    }
}

impl Drop for Conflicts {
    fn drop(&mut self) {
        let kept = self.kept.take();
        // To close a file takes as long as its disk does: others may have the interpreter meanwhile.
        let _ = Python::try_attach(move |py| py.detach(move || drop(kept)));
    }
}

/// Checks what a strategy has returned.
#[pyfunction]
pub(crate) fn check_version(version: &Bound<'_, PyAny>) -> PyResult<()> {
    self::version(version, "resolution").map(drop)
}

fn version(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Version> {
    let text = json::read_object(value, what)?;
    Version::read(text).map_err(|error| {
        let text = format!("{what}: {error}");
        match error {
            VersionError::Attributes => PyTypeError::new_err(text),
            _ => PyValueError::new_err(text),
        }
    })
}

fn value(text: &str) -> PyResult<Value> {
    serde_json::from_str(text).map_err(|error| PyValueError::new_err(error.to_string()))
}
