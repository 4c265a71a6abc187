//! Entities across the border: what Python wants of one becomes an update, and what the home shows becomes a dict.

use std::collections::BTreeMap;

use crosshome_core::{
    EntityId,
    update::{Attributes, Update},
};
use crosshome_node::{
    node::{self, Cause, EntityRef},
    views::EntityView,
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyString},
};
use serde_json::value::RawValue;

use crate::json::{self, kind};

/// What [`shown`] adds to state and attributes; an update may carry it, and it says nothing.
const SHOWN: [&str; 8] = [
    "entity_id",
    "home",
    "last_changed",
    "last_updated",
    "last_updated_by",
    "shared_with",
    "conflict",
    "deleted",
];

/// What is wanted of an entity: what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) state: Option<String>,
    pub(super) attributes: Option<BTreeMap<String, Box<RawValue>>>,
}

impl Wanted {
    /// Reads what Python wants.
    ///
    /// # Errors
    ///
    /// `TypeError` for what is no dict of JSON values, `ValueError` for what no entity can be.
    pub(super) fn read(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(data) = data.cast::<PyDict>() else {
            return Err(PyTypeError::new_err(format!("data must be a dict, not {}", kind(data))));
        };
        let mut wanted = Self::default();
        for (name, value) in data.iter() {
            let Ok(name) = name.cast::<PyString>() else {
                return Err(PyTypeError::new_err(format!("data: a key is {}, not str", kind(&name))));
            };
            match &*name.to_string_lossy() {
                "state" => wanted.state = Some(state(&value)?),
                "attributes" => wanted.attributes = Some(attributes(&value)?),
                shown if SHOWN.contains(&shown) => {}
                other => {
                    let text = format!("data: {other:?} is neither state nor attributes");
                    return Err(PyValueError::new_err(text));
                }
            }
        }
        if wanted.state.is_none() && wanted.attributes.is_none() {
            return Err(PyValueError::new_err("data names neither state nor attributes"));
        }
        Ok(wanted)
    }

    /// Takes over what a later update names.
    pub(super) fn then(&mut self, later: Self) {
        self.state = later.state.or(self.state.take());
        self.attributes = later.attributes.or(self.attributes.take());
    }

    /// Returns the update for a home.
    pub(super) fn update(self) -> node::Update {
        let Self { state, attributes } = self;
        // A program does it, on whoever's behalf.
        node::Update { state, attributes, cause: Cause::Automation, ..node::Update::default() }
    }
}

/// Reads the id of an entity, with its home where that is not this one.
///
/// # Errors
///
/// `TypeError` for anything but a str, `ValueError` for what is no `domain.object`.
pub(super) fn named(id: &Bound<'_, PyAny>) -> PyResult<EntityRef> {
    let Ok(text) = id.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!("entity_id must be a str, not {}", kind(id))));
    };
    let text = text.to_cow().map_err(|_| PyValueError::new_err("entity_id has half a character"))?;
    let entity: EntityRef = text.parse().map_err(wrong)?;
    entity.entity_id().parse::<EntityId>().map_err(wrong)?;
    Ok(entity)
}

/// Returns an entity as a dict of its own.
pub(super) fn shown<'py>(py: Python<'py>, view: &EntityView) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item(intern!(py, "entity_id"), &view.entity_id)?;
    dict.set_item(intern!(py, "state"), &view.state)?;
    dict.set_item(intern!(py, "attributes"), json::write(py, view.attributes.get())?)?;
    dict.set_item(intern!(py, "last_changed"), view.last_changed.to_string())?;
    dict.set_item(intern!(py, "last_updated"), view.last_updated.to_string())?;
    dict.set_item(intern!(py, "last_updated_by"), &view.updated_by)?;
    dict.set_item(intern!(py, "home"), &view.home)?;
    dict.set_item(intern!(py, "conflict"), view.conflict)?;
    Ok(dict)
}

/// A number is a state as Python prints it; a truth value might mean `on` or `True`, so it is none.
fn state(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if value.is_instance_of::<PyBool>() || !(number || value.is_instance_of::<PyString>()) {
        return Err(PyTypeError::new_err(format!("state must be a str or a number, not {}", kind(value))));
    }
    let json = json::read(value, "state")?;
    if number {
        return Ok(value.str()?.to_string());
    }
    Ok(serde_json::from_str(json.as_str()).expect("a canonical string is JSON"))
}

fn attributes(value: &Bound<'_, PyAny>) -> PyResult<BTreeMap<String, Box<RawValue>>> {
    let json = json::read_object(value, "attributes")?;
    let members = json.as_str().parse().map_err(wrong)?;
    let update = Update { state: None, attributes: Attributes::Replace(members) };
    update.check().map_err(wrong)?;
    Ok(serde_json::from_str(json.as_str()).expect("a canonical object is JSON"))
}

fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
