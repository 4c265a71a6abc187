//! The border that values cross: Python values become canonical, bounded JSON, and JSON becomes Python values.
//!
//! What comes from Python is checked while it is read, before anything is built that could be large:
//! nesting, number of values and bytes have the limits of every other door ([`MAX_DEPTH`], [`MAX_NODES`],
//! [`MAX_ENTITY`]), so a value that contains itself is found as one that nests too deep. What JSON cannot
//! say exactly is refused and not bent: NaN and infinities, whole numbers beyond 2^53, lone surrogates.

use crosshome_core::{
    defaults::{MAX_DEPTH, MAX_ENTITY, MAX_NODES},
    json::Json,
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};

/// The largest whole number that JSON readers agree on.
const MAX_EXACT: i64 = 1 << 53;

/// Returns a Python value as canonical JSON.
///
/// `what` names it in errors, such as `attributes`.
///
/// # Errors
///
/// `TypeError` for what is no JSON value, `ValueError` for one beyond the limits.
pub(crate) fn read(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Json> {
    let mut writer = Writer { out: String::with_capacity(256), nodes: MAX_NODES, what };
    writer.value(value, 0)?;
    writer.out.parse().map_err(|error| PyValueError::new_err(format!("{what}: {error}")))
}

/// Returns a Python dict with string keys as canonical JSON.
///
/// # Errors
///
/// As [`read`], and `TypeError` for anything but a dict.
pub(crate) fn read_object(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Json> {
    if !value.is_instance_of::<PyDict>() {
        return Err(PyTypeError::new_err(format!("{what} must be a dict, not {}", kind(value))));
    }
    read(value, what)
}

/// Returns the Python value that a JSON text means.
///
/// # Errors
///
/// None for what the engine has written.
pub(crate) fn write<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static WHOLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.import(py, "json", "loads")?;
    if !has_long_number(text) {
        return loads.call1((text,));
    }
    let whole =
        WHOLE.get_or_try_init(py, || Ok::<_, PyErr>(wrap_pyfunction!(whole, py)?.into_any().unbind()))?;
    let options = PyDict::new(py);
    options.set_item("parse_int", whole)?;
    loads.call((text,), Some(&options))
}

/// Tells whether there may be a whole number beyond [`MAX_EXACT`], which has 16 digits.
fn has_long_number(text: &str) -> bool {
    text.as_bytes().split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() >= 16)
}

/// Reads a whole number: beyond [`MAX_EXACT`] as the double that it is, because JSON writes only as many of its
/// digits as tell it from others, and an int would be another number.
#[pyfunction]
fn whole<'py>(py: Python<'py>, digits: &str) -> PyResult<Bound<'py, PyAny>> {
    match digits.parse::<i64>().ok().filter(|exact| (-MAX_EXACT..=MAX_EXACT).contains(exact)) {
        Some(exact) => Ok(exact.into_pyobject(py)?.into_any()),
        None => Ok(digits.parse::<f64>()?.into_pyobject(py)?.into_any()),
    }
}

/// Returns the name of a value's type, for errors.
pub(crate) fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "something else".into(), |name| name.to_string())
}

/// Writes a value while it checks it.
struct Writer<'a> {
    out: String,
    /// How many values there may still be.
    nodes: usize,
    what: &'a str,
}

impl Writer<'_> {
    fn value(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        self.spend(depth)?;
        if let Ok(text) = value.cast::<PyString>() {
            self.string(text)
        } else if value.is_none() {
            self.push("null")
        } else if let Ok(truth) = value.cast::<PyBool>() {
            self.push(if truth.is_true() { "true" } else { "false" })
        } else if let Ok(whole) = value.cast::<PyInt>() {
            self.whole(whole)
        } else if let Ok(float) = value.cast::<PyFloat>() {
            self.float(float.value())
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.object(dict, depth)
        } else if let Ok(list) = value.cast::<PyList>() {
            self.array(list.iter(), depth)
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.array(tuple.iter(), depth)
        } else {
            Err(PyTypeError::new_err(format!("{}: {} is no JSON value", self.what, kind(value))))
        }
    }

    fn object(&mut self, dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<()> {
        self.push("{")?;
        for (at, (name, value)) in dict.iter().enumerate() {
            if at > 0 {
                self.push(",")?;
            }
            let Ok(name) = name.cast::<PyString>() else {
                return Err(PyTypeError::new_err(format!(
                    "{}: a key is {}, not str",
                    self.what,
                    kind(&name)
                )));
            };
            self.string(name)?;
            self.push(":")?;
            self.value(&value, depth + 1)?;
        }
        self.push("}")
    }

    fn array<'py>(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>, depth: usize) -> PyResult<()> {
        self.push("[")?;
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.push(",")?;
            }
            self.value(&item, depth + 1)?;
        }
        self.push("]")
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        // Measured before it is copied: a str of 10 MB is refused for the price of its length.
        self.room_for(text.len()?)?;
        let text = text.to_cow().map_err(|_| self.wrong("a str has half a character (a lone surrogate)"))?;
        let json = Json::string(&text);
        self.push(json.as_str())
    }

    fn whole(&mut self, value: &Bound<'_, PyInt>) -> PyResult<()> {
        let exact = value.extract::<i64>().ok().filter(|exact| (-MAX_EXACT..=MAX_EXACT).contains(exact));
        let exact =
            exact.ok_or_else(|| self.wrong("an int beyond 2**53 cannot be kept exactly; give it as str"))?;
        self.push(&exact.to_string())
    }

    fn float(&mut self, value: f64) -> PyResult<()> {
        if !value.is_finite() {
            return Err(self.wrong("NaN and infinities are no JSON values"));
        }
        self.push(&value.to_string())
    }

    fn push(&mut self, text: &str) -> PyResult<()> {
        self.room_for(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn room_for(&self, bytes: usize) -> PyResult<()> {
        match self.out.len() + bytes > MAX_ENTITY {
            true => Err(self.wrong(&format!("more than {MAX_ENTITY} bytes"))),
            false => Ok(()),
        }
    }

    fn spend(&mut self, depth: usize) -> PyResult<()> {
        if depth > MAX_DEPTH {
            return Err(self.wrong(&format!("nests deeper than {MAX_DEPTH}, or contains itself")));
        }
        self.nodes =
            self.nodes.checked_sub(1).ok_or_else(|| self.wrong(&format!("more than {MAX_NODES} values")))?;
        Ok(())
    }

    fn wrong(&self, text: &str) -> PyErr {
        PyValueError::new_err(format!("{}: {text}", self.what))
    }
}
