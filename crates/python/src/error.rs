//! One exception tree: what went wrong in the engine, as Python hears of it.
//!
//! The classes are written in `sharing/_errors.py`, where one of them can be three things at once.
//! Wrong types are `TypeError`, wrong values `ValueError`; everything else is a `SharingError`.

use crosshome_node::{discovery::DiscoveryError, home::StartError, node::NodeError};
use pyo3::{PyErr, exceptions::PyValueError, import_exception};

use crate::discovery::SearchError;

import_exception!(sharing._errors, SharingError);
import_exception!(sharing._errors, PairingError);
import_exception!(sharing._errors, PeerUnreachable);
import_exception!(sharing._errors, NotAllowed);
import_exception!(sharing._errors, NotRunning);
import_exception!(sharing._errors, EntityNotFound);
import_exception!(sharing._errors, ConflictOpen);
import_exception!(sharing._errors, ConfigError);
import_exception!(sharing._errors, StorageError);

/// Returns the exception for what a running home has answered.
pub(crate) fn of_node(error: &NodeError) -> PyErr {
    let text = error.to_string();
    match error {
        NodeError::NotFound { what: "home", .. }
        | NodeError::Unreachable { .. }
        | NodeError::TimedOut { .. } => PeerUnreachable::new_err(text),
        NodeError::NotFound { .. } => EntityNotFound::new_err(text),
        NodeError::Ambiguous { .. } | NodeError::Invalid(_) => PyValueError::new_err(text),
        NodeError::NotAllowed { .. } | NodeError::Refused { .. } => NotAllowed::new_err(text),
        NodeError::NotPaired { .. }
        | NodeError::BadCode
        | NodeError::WrongCode
        | NodeError::PairingClosed => PairingError::new_err(text),
        NodeError::ConflictOpen { .. } | NodeError::Stale { .. } => ConflictOpen::new_err(text),
        NodeError::StorageFull => StorageError::new_err(text),
        NodeError::Stopped => NotRunning::new_err(text),
        _ => SharingError::new_err(text),
    }
}

/// Returns the exception for why a home does not start.
pub(crate) fn of_start(error: &StartError) -> PyErr {
    let text = error.to_string();
    match error {
        StartError::DataDir { .. }
        | StartError::Store(_)
        | StartError::Restore(_)
        | StartError::Identity(_) => StorageError::new_err(text),
        StartError::Listen(_) | StartError::Api(_) => ConfigError::new_err(text),
        _ => SharingError::new_err(text),
    }
}

/// Returns the exception for what discovery has refused.
pub(crate) fn of_discovery(error: &DiscoveryError) -> PyErr {
    let text = error.to_string();
    match error {
        DiscoveryError::Port(..) => ConfigError::new_err(text),
        DiscoveryError::Announcement(_) => PyValueError::new_err(text),
        DiscoveryError::Stopped => NotRunning::new_err(text),
        _ => SharingError::new_err(text),
    }
}

/// Returns the exception for why a search does not begin.
pub(crate) fn of_search(error: &SearchError) -> PyErr {
    match error {
        SearchError::Discovery(error) => of_discovery(error),
        SearchError::Thread(_) => SharingError::new_err(error.to_string()),
    }
}
