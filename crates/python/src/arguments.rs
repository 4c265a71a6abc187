//! Arguments of constructors: a wrong type is a `TypeError`, a wrong value a `ValueError` that names it.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyInt},
};

use crate::json::kind;

/// Returns a port, from `least` on.
///
/// # Errors
///
/// `TypeError` for anything but an int, `ValueError` for one that is no port.
pub(crate) fn port(value: &Bound<'_, PyAny>, what: &str, least: u16) -> PyResult<u16> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(format!("{what} must be an int, not {}", kind(value))));
    }
    let port = value.extract::<u16>().ok().filter(|port| *port >= least);
    port.ok_or_else(|| PyValueError::new_err(format!("{what} is from {least} to 65535, not {value}")))
}
