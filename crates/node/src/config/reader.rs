//! Reading our block: tags resolved, merges unfolded, mistakes collected.
//!
//! A [`Reader`] goes with the walk through the block. Whoever finds a mistake
//! reports it here and goes on, so that all of them are told at once. Work is
//! bounded: includes by depth and number, merges by the keys they may unfold into.

use std::{collections::HashMap, path::Path, sync::Arc};

use super::{
    files::Files,
    nearest::nearest,
    place::Place,
    problem::{ConfigError, ConfigErrors, Problem},
    yaml::{Label, Node, Value},
};
use crate::defaults::{CONFIG_INCLUDE_DEPTH, CONFIG_KEYS};

/// The tags that mean something inside our block.
const TAGS: [&str; 3] = ["secret", "include", "env_var"];

/// A key as written and its value.
pub(super) type Entry = (Arc<Node>, Arc<Node>);

/// What a walk through a block needs and gathers.
pub(super) struct Reader<'a> {
    files: Option<Files>,
    variables: &'a HashMap<String, String>,
    pub(super) errors: ConfigErrors,
    /// Rules with `custom` and no template, which need the section's.
    pub(super) wants_template: Vec<Place>,
    unfolded: usize,
}

impl<'a> Reader<'a> {
    /// Starts without a file: `!secret` and `!include` have nowhere to look.
    pub(super) fn new(variables: &'a HashMap<String, String>) -> Self {
        Self {
            files: None,
            variables,
            errors: ConfigErrors::default(),
            wants_template: Vec::new(),
            unfolded: 0,
        }
    }

    /// Reads the main file; a mistake is reported and gives `None`.
    pub(super) fn open(&mut self, main: &Path) -> Option<Arc<Node>> {
        let files = self.files.insert(Files::beside(main));
        let outcome = files.main(main);
        outcome.map_err(|err| self.errors.push(err)).ok()
    }

    /// Reports a mistake.
    pub(super) fn report(&mut self, place: &Place, problem: Problem) {
        self.errors.push(ConfigError::new(problem, place.clone()));
    }

    /// Reports that something else is expected here than stands here.
    pub(super) fn expected(&mut self, node: &Node, expected: impl Into<String>) {
        let problem = Problem::WrongValue { expected: expected.into(), found: node.called(), nearest: None };
        self.report(&node.place, problem);
    }

    /// Returns the node that a tag stands for, or the node itself; a mistake is reported and gives `None`.
    pub(super) fn resolve(&mut self, node: &Arc<Node>) -> Option<Arc<Node>> {
        let mut node = Arc::clone(node);
        for _ in 0..=CONFIG_INCLUDE_DEPTH {
            let Some(tag) = node.tag.clone() else { return Some(node) };
            match self.follow(&tag, &node) {
                Ok(next) => node = next,
                Err(err) => {
                    self.errors.push(err);
                    return None;
                }
            }
        }
        self.report(&node.place, Problem::IncludeDepth(CONFIG_INCLUDE_DEPTH));
        None
    }

    /// Returns the entries of a mapping, merges unfolded; duplicates and keys that are no words are reported.
    pub(super) fn entries(&mut self, node: &Node) -> Vec<Entry> {
        let Value::Map(pairs) = &node.value else { return Vec::new() };
        let (mut entries, mut merged, mut lines) = (Vec::new(), Vec::new(), HashMap::new());
        for (key, value) in pairs {
            match key.text() {
                Some("<<") => merged.push(value),
                Some(text) => match lines.get(text) {
                    Some(first) => self.duplicate(key, text, *first),
                    None => {
                        lines.insert(text.to_owned(), key.place.line);
                        entries.push((Arc::clone(key), Arc::clone(value)));
                    }
                },
                None => self.expected(key, "a word as key"),
            }
        }
        for (key, value) in merged.into_iter().flat_map(|value| self.merged(value)).collect::<Vec<_>>() {
            if let Some(text) = key.text().filter(|text| !lines.contains_key(*text)) {
                lines.insert(text.to_owned(), key.place.line);
                entries.push((key, value));
            }
        }
        entries
    }

    /// Returns the directory that relative paths of the file start from.
    pub(super) fn root(&self) -> Option<&Path> {
        self.files.as_ref().map(Files::root)
    }

    fn duplicate(&mut self, key: &Node, text: &str, first: usize) {
        self.report(&key.place, Problem::DuplicateKey { key: text.to_owned(), first });
    }

    /// Returns what `<<` brings: the entries of a mapping, or of each in a list, the first saying being the one that counts.
    fn merged(&mut self, value: &Arc<Node>) -> Vec<Entry> {
        let Some(value) = self.resolve(value) else { return Vec::new() };
        match &value.value {
            Value::List(items) => items.iter().flat_map(|item| self.unfold(item)).collect(),
            _ => self.unfold(&value),
        }
    }

    /// Returns the entries of one mapping to merge, within the budget of the whole walk.
    fn unfold(&mut self, node: &Arc<Node>) -> Vec<Entry> {
        if self.unfolded > CONFIG_KEYS {
            return Vec::new();
        }
        let Some(node) = self.resolve(node) else { return Vec::new() };
        if !matches!(node.value, Value::Map(_)) {
            self.expected(&node, "a mapping to merge");
        }
        let entries = self.entries(&node);
        let before = self.unfolded;
        self.unfolded += entries.len() + 1;
        if before <= CONFIG_KEYS && self.unfolded > CONFIG_KEYS {
            self.report(&node.place, Problem::TooMuch(CONFIG_KEYS));
        }
        entries
    }

    /// Takes one step from a tag to what it stands for.
    fn follow(&mut self, tag: &Label, node: &Arc<Node>) -> Result<Arc<Node>, ConfigError> {
        let refuse = |problem| Err(ConfigError::new(problem, node.place.clone()));
        let unknown = || Err(ConfigError::new(unknown_tag(&tag.name), tag.place.clone()));
        let Some(text) = node.text() else { return unknown() };
        match tag.name.as_str() {
            "env_var" => match self.variable(text) {
                Some(value) => Ok(Arc::new(Node::plain(&value, node.place.clone()))),
                None => refuse(Problem::VariableUnset(text.trim().to_owned())),
            },
            "include" => match &mut self.files {
                Some(files) => files.include(text, &node.place),
                None => unknown(),
            },
            "secret" => self.secret(text, node),
            _ => unknown(),
        }
    }

    /// Returns the value for `NAME` or `NAME default`.
    fn variable(&self, text: &str) -> Option<String> {
        let mut words = text.split_whitespace();
        let name = words.next()?;
        let default: Vec<&str> = words.collect();
        let default = (!default.is_empty()).then(|| default.join(" "));
        self.variables.get(name).cloned().or(default)
    }

    /// Looks for a secret beside the file of `node`, then in the directories above it, up to the root.
    fn secret(&mut self, name: &str, node: &Arc<Node>) -> Result<Arc<Node>, ConfigError> {
        let at = |problem| ConfigError::new(problem, node.place.clone());
        let Some(files) = &mut self.files else { return Err(at(unknown_tag("secret"))) };
        let folders = files.secret_folders(&node.place);
        let (mut names, mut found) = (Vec::new(), false);
        for folder in &folders {
            let Some(root) = files.secrets(folder, &node.place)? else { continue };
            found = true;
            let Value::Map(pairs) = &root.value else { continue };
            if let Some((_, value)) = pairs.iter().rfind(|(key, _)| key.text() == Some(name)) {
                return Ok(Arc::new(used_at(value, &node.place)));
            }
            names.extend(pairs.iter().filter_map(|(key, _)| key.text().map(str::to_owned)));
        }
        let name = name.to_owned();
        if found {
            let nearest = nearest(&name, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(at(Problem::UnknownSecret { name, nearest }));
        }
        let folder = folders.first().map_or_else(|| ".".into(), |dir| dir.display().to_string());
        Err(at(Problem::NoSecretsFile { name, folder }))
    }
}

/// A secret's value stands, for people, where it is used; it is not shown there either.
fn used_at(value: &Node, place: &Place) -> Node {
    Node { value: value.value.clone(), tag: value.tag.clone(), place: place.hidden() }
}

fn unknown_tag(tag: &str) -> Problem {
    let nearest = nearest(tag, TAGS.into_iter()).map(|near| format!("!{near}"));
    Problem::UnknownTag { tag: tag.to_owned(), nearest }
}
