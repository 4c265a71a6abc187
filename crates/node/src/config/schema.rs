//! The table of keys as JSON Schema (2020-12) and as the page `docs/configuration.md`.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::{
    keys::{KEYS, Key, children},
    rules::{CONFLICT_KEYS, SHARE_KEYS},
    types::Config,
};

impl Config {
    /// Returns the JSON Schema of the block, for editors and for `crosshome config schema`.
    pub fn schema() -> Json {
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "crosshome: the block copilot.sharing",
        });
        let block = block_schema(&KEYS, Some(&mut Config::unsaid()));
        if let (Some(schema), Json::Object(block)) = (schema.as_object_mut(), block) {
            schema.extend(block);
        }
        schema
    }

    /// Returns the page `docs/configuration.md`.
    pub fn markdown() -> String {
        let mut page = String::from(INTRODUCTION);
        page.push_str(&table(&KEYS, |key| default_of(key, &mut Config::unsaid())));
        page.push_str("\n## A rule in `conflict_resolution.rules`\n\n");
        page.push_str(&table(&CONFLICT_KEYS, default_of_item));
        page.push_str("\n## A rule in `share`\n\n");
        page.push_str(&table(&SHARE_KEYS, default_of_item));
        page.push_str(STRATEGIES);
        page
    }
}

/// Returns the schema of a block; with its defaults where there are any.
pub(super) fn block_schema<B: 'static>(keys: &[Key<B>], defaults: Option<&mut B>) -> Json {
    section_schema(keys, "", &mut { defaults })
}

fn section_schema<B: 'static>(keys: &[Key<B>], prefix: &str, defaults: &mut Option<&mut B>) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for name in children(keys, prefix) {
        let path = format!("{prefix}{name}");
        let schema = match keys.iter().find(|key| key.path == path) {
            Some(key) => {
                required.extend(key.required.then_some(name));
                key_schema(key, defaults)
            }
            None => section_schema(keys, &format!("{path}."), defaults),
        };
        properties.insert(name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn key_schema<B: 'static>(key: &Key<B>, defaults: &mut Option<&mut B>) -> Json {
    let mut schema = (key.schema)();
    schema["description"] = json!(key.about);
    if let (Some(defaults), None) = (defaults, key.default) {
        let default = key.show(defaults);
        if !default.is_null() {
            schema["default"] = default;
        }
    }
    schema
}

fn table<B: 'static>(keys: &[Key<B>], mut default: impl FnMut(&Key<B>) -> String) -> String {
    let mut rows = String::from("| key | value | default | what it is for |\n|---|---|---|---|\n");
    for key in keys {
        let cells = [format!("`{}`", key.path), (key.expected)(), default(key), key.about.to_owned()];
        let _ = writeln!(rows, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    rows
}

fn default_of(key: &Key<Config>, unsaid: &mut Config) -> String {
    match (key.default, key.show(unsaid)) {
        (Some(words), _) => words.to_owned(),
        (None, Json::Null) => "unset".to_owned(),
        (None, Json::Array(_)) => "none".to_owned(),
        (None, Json::String(text)) => format!("`{text}`"),
        (None, value) => format!("`{value}`"),
    }
}

fn default_of_item<B>(key: &Key<B>) -> String {
    key.default.unwrap_or(if key.required { "must be given" } else { "unset" }).to_owned()
}

const STRATEGIES: &str = r#"
## Which rule holds

For an entity of this home: a rule with its exact id, else the first pattern that fits, of what was set at run time (`crosshome strategy set`), then of `rules`; else the default set at run
time, else `strategy`. There are at most 64 rules, the default included. Other homes hear of the strategy with the entity and apply the same one.

In a joint space one policy holds for all members. This section is written there the first time a home finds it in its configuration, and again when it has been changed; in between it gives way to what a person
chooses at any member. A configuration without the section says nothing there. `crosshome strategy show` says what holds and why.

## Templates

`custom` evaluates a Jinja template (minijinja) in the home that owns the entity, or in a joint space in one member. It sees `local`, the newest version that this home wrote itself, `remote`, another one, `before`, what both had seen
if that is known, else none, and `entity_id`. A version has `state`, `attributes`, `last_updated`, `home` and `deleted`. With more than two versions, what comes of the first pair is `local` against the next.

    template: "{{ [local.state | float, remote.state | float] | max }}"
    template: "{{ {'state': remote.state, 'attributes': dict(local.attributes, note='both')} | tojson }}"

What is rendered is a state, and the attributes stay those of the latest version; or it is JSON `{"state": …, "attributes": {…}}`, either of which may be left out. What is undefined is an error. A template works within bounds of time and memory, includes nothing and
reaches nothing outside. If it fails, the latest version wins, and `crosshome doctor` says why.
"#;

const INTRODUCTION: &str = r#"# Configuration

<!-- Written by the program from its table of keys; change crates/node/src/config/keys.rs, then run
     CROSSHOME_BLESS=1 cargo test -p crosshome-node config::tests::page -->

## Where it is read from

A value is taken from the first of these that has it; `crosshome config show --origin` says which one it was:

1. a flag of the command line;
2. an environment variable: the key in capitals, `CROSSHOME__` in front, `__` for each dot, so `CROSSHOME__SYNC__PORT=8765`.
   Lists are separated by commas; `share` and `conflict_resolution.rules` are written as YAML. An empty variable unsets a key that may be unset;
3. the file: `--config FILE`, else `$XDG_CONFIG_HOME/crosshome/config.yaml` (`~/.config/crosshome/config.yaml`) if it is there;
4. the default.

The file may be Home Assistant's `configuration.yaml` or one of its own. The block is the first of these that is there:
`copilot:` with `sharing:` in it, `sharing:` at the top, or, in a file that is not called `configuration.yaml`, the bare keys at the top.
Everything outside the block is left alone. If `copilot:` stands twice, the last counts, as in Home Assistant.

Home Assistant's tags parse anywhere. Inside the block `!secret`, `!include` and `!env_var NAME default` mean what they mean there:
a secret is looked for in `secrets.yaml` beside the file and then in the directories above it, up to that of the main file, and nothing
outside that directory is read, links followed. The block as a whole, or `copilot:`, may be an `!include` too.
Files have at most 1 MiB, nesting at most 64 levels, includes at most 8.

Unknown keys are errors. Truth values may be written true, yes, on, enable or 1 and false, no, off, disable or 0; a single value may stand for a
list of one. A relative path starts in the directory of the main file (in a variable or a flag: in the present directory), `~/` is the home directory, and
`..` is refused. Without `HOME` and `XDG_DATA_HOME` the data directory is `/var/lib/crosshome`.

## Keys

"#;
