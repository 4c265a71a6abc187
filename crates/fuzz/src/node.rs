//! The doors of the running home: discovery, the channel, the API, and its configuration.

use std::{cell::RefCell, fs};

use crosshome_node::{
    config::{Config, Sources},
    discovery::Announcement,
    fuzz,
};
use serde_json::Value;

/// A TXT record as a resolver hands it over: `key=value`, zero bytes between. What is read is announced as it was.
pub(crate) fn announcement(bytes: &[u8]) {
    let texts = bytes.split(|byte| *byte == 0).map(|text| {
        let mut parts = text.splitn(2, |byte| *byte == b'=');
        (String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned(), parts.next())
    });
    let texts: Vec<_> = texts.collect();
    let pairs = texts.iter().map(|(key, value)| (key.as_str(), *value));
    let Ok(read) = Announcement::read("Villa", 8765, pairs) else { return };
    let again = read.txt();
    let pairs = again.iter().map(|(key, value)| (*key, Some(value.as_bytes())));
    assert_eq!(Announcement::read("Villa", 8765, pairs), Ok(read));
}

/// What a link reads: frames never grow beyond what was announced.
pub(crate) fn frames(bytes: &[u8]) {
    assert!(fuzz::frames(bytes) <= 64 * 1024 * 1024);
}

/// What a stranger says to the listener before TLS begins.
pub(crate) fn upgrade(bytes: &[u8]) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime without anything");
    }
    RUNTIME.with(|runtime| runtime.block_on(fuzz::upgrade(bytes)));
}

/// A body of the API: what passes the count has no more values and levels than were counted.
pub(crate) fn body_json(bytes: &[u8]) {
    let passes = fuzz::json_is_bounded(bytes);
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let (values, depth) = size(&value);
    assert!(
        !passes || (values <= fuzz::JSON_NODES && depth <= fuzz::JSON_DEPTH),
        "{values} values, {depth} deep"
    );
}

/// A configuration file: read, or every mistake told in its place.
pub(crate) fn config(bytes: &[u8]) {
    thread_local! {
        static FOLDER: RefCell<tempfile::TempDir> =
            RefCell::new(tempfile::tempdir().expect("there is room for a file"));
    }
    FOLDER.with_borrow(|folder| {
        let file = folder.path().join("configuration.yaml");
        fs::write(&file, bytes).expect("there is room for a file");
        let sources = Sources { file: Some(file), host_name: "villa".into(), ..Sources::default() };
        match Config::load(&sources) {
            Ok(loaded) => drop(loaded.show()),
            Err(errors) => assert!(!errors.render(false).is_empty()),
        }
    });
}

/// Returns how many values there are, and how many objects and lists stand within each other.
fn size(value: &Value) -> (usize, usize) {
    let inner: Vec<_> = match value {
        Value::Array(list) => list.iter().map(size).collect(),
        Value::Object(map) => map.values().map(size).collect(),
        _ => return (1, 0),
    };
    let values = 1 + inner.iter().map(|(values, _)| values).sum::<usize>();
    (values, 1 + inner.iter().map(|(_, depth)| *depth).max().unwrap_or(0))
}
