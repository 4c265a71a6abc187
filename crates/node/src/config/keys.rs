//! The one table of keys: it drives parsing, suggestions, variables, flags, schema and documents.
//!
//! A [`Key`] names a field of a block by its dotted path and borrows all else from
//! the field's type. Sections are the beginnings of paths; nothing else knows them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde_json::Value as Json;

use super::{
    nearest::nearest,
    place::Place,
    problem::Problem,
    reader::Reader,
    setting::{Notation, Setting},
    types::Config,
    yaml::{Node, Value},
};

/// Beginning of the variables that stand for keys.
pub(super) const VARIABLE_PREFIX: &str = "CROSSHOME__";

type ReadField<B> = Box<dyn Fn(&mut B, &Arc<Node>, &mut Reader<'_>) + Send + Sync>;
type ShowField<B> = Box<dyn Fn(&mut B) -> Json + Send + Sync>;

/// One key of a block `B`.
pub(super) struct Key<B> {
    /// Dotted path within the block.
    pub(super) path: &'static str,
    /// What the key is for, in one sentence.
    pub(super) about: &'static str,
    /// The default in words, where it is worked out.
    pub(super) default: Option<&'static str>,
    /// Whether the block is nothing without it.
    pub(super) required: bool,
    pub(super) notation: Notation,
    pub(super) expected: fn() -> String,
    pub(super) schema: fn() -> Json,
    read: ReadField<B>,
    show: ShowField<B>,
}

impl<B: 'static> Key<B> {
    /// Names a field.
    pub(super) fn new<T: Setting + 'static>(
        path: &'static str,
        field: fn(&mut B) -> &mut T,
        about: &'static str,
    ) -> Self {
        let read = move |block: &mut B, node: &Arc<Node>, reader: &mut Reader<'_>| {
            if let Some(value) = T::read(node, reader) {
                *field(block) = value;
            }
        };
        Self {
            path,
            about,
            default: None,
            required: false,
            notation: T::NOTATION,
            expected: T::expected,
            schema: T::schema,
            read: Box::new(read),
            show: Box::new(move |block| field(block).show()),
        }
    }

    /// Says the default in words.
    pub(super) fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Makes the key one that must be there.
    pub(super) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Reads a resolved node into the field; a mistake is reported and leaves the field as it was.
    pub(super) fn read(&self, block: &mut B, node: &Arc<Node>, reader: &mut Reader<'_>) {
        (self.read)(block, node, reader);
    }

    /// Returns the field as it is shown.
    pub(super) fn show(&self, block: &mut B) -> Json {
        (self.show)(block)
    }

    /// Returns the environment variable for this key.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.path.to_uppercase().replace('.', "__"))
    }
}

/// Reads a mapping into a block, key by key; returns where each key's value stands.
pub(super) fn read_block<B: 'static>(
    keys: &[Key<B>],
    node: &Node,
    block: &mut B,
    reader: &mut Reader<'_>,
) -> BTreeMap<&'static str, Place> {
    let mut found = BTreeMap::new();
    read_section(keys, "", node, block, reader, &mut found);
    for key in keys.iter().filter(|key| key.required && !found.contains_key(key.path)) {
        reader.report(&node.place, Problem::MissingKey(key.path));
    }
    found
}

fn read_section<B: 'static>(
    keys: &[Key<B>],
    prefix: &str,
    node: &Node,
    block: &mut B,
    reader: &mut Reader<'_>,
    found: &mut BTreeMap<&'static str, Place>,
) {
    if node.is_null() {
        return;
    }
    if !matches!(node.value, Value::Map(_)) {
        reader.expected(node, format!("a mapping with the keys {}", children(keys, prefix).join(", ")));
        return;
    }
    for (name, value) in reader.entries(node) {
        let path = format!("{prefix}{}", name.text().unwrap_or_default());
        let section = format!("{path}.");
        let key = keys.iter().find(|key| key.path == path);
        if key.is_none() && !keys.iter().any(|key| key.path.starts_with(&section)) {
            reader.report(&name.place, unknown(keys, prefix, &name));
            continue;
        }
        let Some(value) = reader.resolve(&value) else {
            // Something is said here, only not well: the key is not missing.
            found.extend(key.map(|key| (key.path, name.place.clone())));
            continue;
        };
        match key {
            None => read_section(keys, &section, &value, block, reader, found),
            Some(key) if key.required && value.is_null() => {}
            Some(key) => {
                key.read(block, &value, reader);
                found.insert(key.path, value.place.clone());
            }
        }
    }
}

/// Returns the names directly below a prefix, each once, in the order of the table.
pub(super) fn children<B>(keys: &[Key<B>], prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for rest in keys.iter().filter_map(|key| key.path.strip_prefix(prefix)) {
        let name = rest.split('.').next().unwrap_or(rest);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Says what was probably meant: a near key of this section, or the same key of others.
fn unknown<B>(keys: &[Key<B>], prefix: &str, name: &Node) -> Problem {
    let key = name.text().unwrap_or_default();
    let known = children(keys, prefix);
    let nearest = match nearest(key, known.iter().copied()) {
        Some(near) => vec![near],
        None => keys.iter().map(|key| key.path).filter(|path| path.rsplit('.').next() == Some(key)).collect(),
    };
    Problem::UnknownKey { key: key.chars().take(64).collect(), nearest, known }
}

/// The keys of the block `copilot.sharing`, in the order of the documents.
pub(super) static KEYS: LazyLock<Vec<Key<Config>>> = LazyLock::new(|| {
    vec![
        Key::new("enabled", |c: &mut Config| &mut c.enabled, "Whether this home takes part at all."),
        Key::new(
            "home_name",
            |c: &mut Config| &mut c.home_name,
            "What other homes call this one; announced on the network.",
        )
        .or("the host name"),
        Key::new(
            "data_dir",
            |c: &mut Config| &mut c.data_dir,
            "Where the store, the keys and the API's socket are kept.",
        )
        .or("$XDG_DATA_HOME/crosshome, else ~/.local/share/crosshome"),
        Key::new(
            "discovery.enabled",
            |c: &mut Config| &mut c.discovery.enabled,
            "Whether to look for homes on the local network and be seen there.",
        ),
        Key::new(
            "discovery.port",
            |c: &mut Config| &mut c.discovery.port,
            "UDP port of multicast DNS; other homes use the same.",
        ),
        Key::new(
            "discovery.interfaces",
            |c: &mut Config| &mut c.discovery.interfaces,
            "Network interfaces to use.",
        )
        .or("all that are up and multicast-capable"),
        Key::new(
            "sync.enabled",
            |c: &mut Config| &mut c.sync.enabled,
            "Whether to connect to other homes and listen for them.",
        ),
        Key::new(
            "sync.port",
            |c: &mut Config| &mut c.sync.port,
            "TCP port on which other homes reach this one; 0 lets the system choose.",
        ),
        Key::new(
            "sync.bind",
            |c: &mut Config| &mut c.sync.bind,
            "Address to listen on; `::` is both IPv6 and IPv4 and falls back to 0.0.0.0.",
        ),
        Key::new(
            "sync.peers",
            |c: &mut Config| &mut c.sync.peers,
            "Addresses of homes that discovery cannot find; the port is 8765 unless given.",
        ),
        Key::new(
            "sync.encryption.enabled",
            |c: &mut Config| &mut c.sync.encryption.enabled,
            "Off only for tests on one machine: `sync.bind` must then be a loopback address.",
        ),
        Key::new(
            "sync.encryption.key_path",
            |c: &mut Config| &mut c.sync.encryption.key_path,
            "This home's identity key, made at first start with mode 0600.",
        )
        .or("<data_dir>/sharing_key"),
        Key::new(
            "sync.encryption.shared_key",
            |c: &mut Config| &mut c.sync.encryption.shared_key,
            "Homes with the same secret trust each other without pairing and have a joint space of entities.",
        ),
        Key::new(
            "sync.max_updates_per_s",
            |c: &mut Config| &mut c.sync.max_updates_per_s,
            "Most updates a second that one peer may send; unset, there is no fixed rate.",
        ),
        Key::new(
            "sync.max_entities_per_peer",
            |c: &mut Config| &mut c.sync.max_entities_per_peer,
            "Most entities that one peer may place here; beyond them new ones are refused and existing ones go on.",
        ),
        Key::new(
            "conflict_resolution.strategy",
            |c: &mut Config| &mut c.conflict_resolution.strategy,
            "What settles a conflict that no rule names. What is set at run time goes before this section; in a joint space one member's policy holds for all.",
        ),
        Key::new(
            "conflict_resolution.template",
            |c: &mut Config| &mut c.conflict_resolution.template,
            "Jinja template for `custom`, also for rules that have none; gives a state, or JSON with state and attributes.",
        ),
        Key::new(
            "conflict_resolution.rules",
            |c: &mut Config| &mut c.conflict_resolution.rules,
            "Strategies for single entities; an entity id goes before a pattern, then the first match wins.",
        ),
        Key::new(
            "share",
            |c: &mut Config| &mut c.share,
            "Standing rules for what other homes may see, steer or edit.",
        ),
        Key::new(
            "home_assistant.url",
            |c: &mut Config| &mut c.home_assistant.url,
            "WebSocket API of Home Assistant; unset, there is no bridge outside Home Assistant OS.",
        ),
        Key::new(
            "home_assistant.token",
            |c: &mut Config| &mut c.home_assistant.token,
            "Long-lived access token; on Home Assistant OS the Supervisor's is used without being typed.",
        ),
        Key::new("api.bind", |c: &mut Config| &mut c.api.bind, "Address of the HTTP API and the web page."),
        Key::new(
            "api.port",
            |c: &mut Config| &mut c.api.port,
            "Port of the HTTP API and the web page; 0 lets the system choose.",
        ),
        Key::new("log.level", |c: &mut Config| &mut c.log.level, "How much the log tells."),
        Key::new("log.format", |c: &mut Config| &mut c.log.format, "How the log is written."),
    ]
});
