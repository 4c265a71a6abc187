//! Conflicts of a home, as `sharing.conflict.Conflict` shows them.

use crosshome_node::views::{ConflictStatus, ConflictView, VersionView};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{IntoPyDict, PyDict},
};

use crate::json;

/// Returns a conflict as Python's class shows it; `me` is the name of this home, `error` why its function failed.
pub(super) fn shown<'py>(
    py: Python<'py>,
    view: &ConflictView,
    me: &str,
    error: Option<String>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let (local, remote) = sides(&view.versions, me);
    let settled = view.status == ConflictStatus::Settled;
    let resolution = view.present.as_ref().filter(|_| settled);
    let values = PyDict::new(py);
    values.set_item("entity_id", &view.entity_id)?;
    values.set_item("local_version", version(py, local)?)?;
    values.set_item("remote_version", version(py, remote)?)?;
    values.set_item("strategy", &view.strategy)?;
    values.set_item("resolution", resolution.map(|present| version(py, Some(present))).transpose()?)?;
    values.set_item("resolved_by", resolution.map(|present| &present.home))?;
    values.set_item("detected_at", view.detected_at.to_string())?;
    values.set_item("resolved_at", resolution.map(|present| present.at.to_string()))?;
    values.set_item("error", error)?;
    CLASS.import(py, "sharing.conflict", "Conflict")?.call((), Some(&values))
}

/// Returns this home's version and the greatest other one; without one of its own, the second stands for this home's.
fn sides<'a>(versions: &'a [VersionView], me: &str) -> (Option<&'a VersionView>, Option<&'a VersionView>) {
    let local = versions.iter().find(|version| version.home == me).or(versions.get(1));
    let remote = versions.iter().find(|version| local.is_none_or(|local| !std::ptr::eq(*version, local)));
    (local, remote)
}

fn version<'py>(py: Python<'py>, version: Option<&VersionView>) -> PyResult<Bound<'py, PyDict>> {
    let Some(version) = version else { return Ok(PyDict::new(py)) };
    let at = version.at.to_string();
    let dict = [("last_updated", &at), ("home", &version.home), ("by", &version.by)].into_py_dict(py)?;
    dict.set_item("state", &version.state)?;
    dict.set_item("attributes", json::write(py, version.attributes.get())?)?;
    dict.set_item("deleted", version.deleted)?;
    Ok(dict)
}
