//! YAML with places: a small tree over the events of `granit-parser`.
//!
//! A typed deserializer stops at the first mistake; this tree keeps the place of
//! every key and value, so that all mistakes can be told at once. Tags are kept as
//! written and mean nothing yet. An alias is a second hold on the same node, so an
//! alias bomb costs nothing until somebody walks it, and nobody walks other blocks.

use std::{collections::HashMap, sync::Arc};

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, Span, Tag};
use zeroize::Zeroizing;

use super::{
    place::{Place, Source, visible},
    problem::{ConfigError, Problem},
};
use crate::defaults::CONFIG_DEPTH;

/// A value with its tag and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// A tag of Home Assistant's kind, such as `!secret`.
    pub(super) tag: Option<Box<Label>>,
    pub(super) place: Place,
}

/// A tag without its `!`, and its place.
#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) place: Place,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A text, plain or quoted.
    Scalar { text: Zeroizing<String>, plain: bool },
    /// A sequence.
    List(Vec<Arc<Node>>),
    /// A mapping in the order of the file, duplicates included.
    Map(Vec<(Arc<Node>, Arc<Node>)>),
    /// An alias to a node that contains it.
    Endless,
}

impl Node {
    /// Returns an untagged plain scalar.
    pub(super) fn plain(text: &str, place: Place) -> Self {
        let value = Value::Scalar { text: Zeroizing::new(text.to_owned()), plain: true };
        Self { value, tag: None, place }
    }

    /// Returns the text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns whether this is YAML's way to say nothing.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// Returns what an error calls this value.
    pub(super) fn called(&self) -> String {
        self.called_at(&self.place)
    }

    /// Returns the same, told at a place that may be a secret's.
    pub(super) fn called_at(&self, place: &Place) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::Scalar { text, .. } if place.is_hidden() => {
                format!("one of {} characters", text.chars().count())
            }
            Value::Scalar { text, .. } => format!("`{}`", short(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Endless => "an alias to itself".to_owned(),
        }
    }
}

fn short(text: &str) -> String {
    let mut start: String = text.chars().take(40).map(visible).collect();
    if text.chars().nth(40).is_some() {
        start.push('…');
    }
    start
}

/// Reads the one document of a source; an empty source is an empty scalar.
///
/// # Errors
///
/// What the parser cannot read, with its place; also a second document, and nesting beyond
/// [`CONFIG_DEPTH`].
pub(super) fn parse(source: &Arc<Source>) -> Result<Arc<Node>, ConfigError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = CONFIG_DEPTH;
    options.block_nesting_limit = CONFIG_DEPTH;
    let mut tree = Tree::new(source);
    for next in Parser::new_from_str_with_options(&source.text, options) {
        let (event, span) = next.map_err(|err| tree.syntax(&err))?;
        tree.grow(event, &span)?;
    }
    Ok(tree.root.unwrap_or_else(|| Arc::new(Node::plain("", Place::start(source)))))
}

/// A collection that is still open.
struct Open {
    anchor: usize,
    tag: Option<Box<Label>>,
    place: Place,
    map: bool,
    children: Vec<Arc<Node>>,
}

struct Tree<'a> {
    source: &'a Arc<Source>,
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<Arc<Node>>,
}

impl<'a> Tree<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        Self { source, open: Vec::new(), anchors: HashMap::new(), root: None }
    }

    fn grow(&mut self, event: Event<'_>, span: &Span) -> Result<(), ConfigError> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !tag.as_deref().is_some_and(says_text);
                let value = Value::Scalar { text: Zeroizing::new(text.into_owned()), plain };
                self.close(Node { value, tag: self.label(tag.as_deref(), span), place }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = self.label(tag.as_deref(), span);
                self.begin(Open { anchor, tag, place, map: false, children: Vec::new() })?;
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = self.label(tag.as_deref(), span);
                self.begin(Open { anchor, tag, place, map: true, children: Vec::new() })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::DocumentStart(..) if self.root.is_some() => {
                return Err(ConfigError::new(Problem::TwoDocuments, place));
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, open: Open) -> Result<(), ConfigError> {
        if self.open.len() >= CONFIG_DEPTH {
            return Err(ConfigError::new(Problem::TooDeep(CONFIG_DEPTH), open.place));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) {
        let Some(Open { anchor, tag, place, map, children }) = self.open.pop() else { return };
        let value = if map { Value::Map(pairs(children)) } else { Value::List(children) };
        self.close(Node { value, tag, place }, anchor);
    }

    fn close(&mut self, node: Node, anchor: usize) {
        let node = Arc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        self.attach(node);
    }

    fn alias(&mut self, anchor: usize, place: Place) {
        let node = match self.anchors.get(&anchor) {
            Some(node) => Arc::clone(node),
            None => Arc::new(Node { value: Value::Endless, tag: None, place }),
        };
        self.attach(node);
    }

    fn attach(&mut self, node: Arc<Node>) {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }

    fn place(&self, span: &Span) -> Place {
        let width = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col())
        } else {
            0
        };
        Place::at(self.source, span.start.line(), span.start.col() + 1, width)
    }

    /// Returns a tag such as `!secret`; YAML's own (`!!str`) say nothing about Home Assistant.
    fn label(&self, tag: Option<&Tag>, span: &Span) -> Option<Box<Label>> {
        let tag = tag.filter(|tag| tag.handle() == "!" && !tag.suffix().is_empty())?;
        let place = self.place(&span.tag_span().unwrap_or(*span));
        Some(Box::new(Label { name: tag.suffix().to_owned(), place }))
    }

    fn syntax(&self, err: &granit_parser::ScanError) -> ConfigError {
        let at = err.marker();
        let place = Place::at(self.source, at.line(), at.col() + 1, 0);
        match err.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart => ConfigError::new(Problem::Tab, at_tab(place)),
            ErrorKind::RecursionLimitExceeded => ConfigError::new(Problem::TooDeep(CONFIG_DEPTH), place),
            _ => ConfigError::new(Problem::Syntax(err.info()), place),
        }
    }
}

/// Goes back from where the parser noticed to the tab itself.
fn at_tab(place: Place) -> Place {
    let line = place.source.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let before: Vec<char> = line.chars().take(place.column).collect();
    let column = before.iter().rposition(|c| *c == '\t').map_or(place.column, |at| at + 1);
    Place { column, ..place }
}

fn pairs(children: Vec<Arc<Node>>) -> Vec<(Arc<Node>, Arc<Node>)> {
    let mut pairs = Vec::with_capacity(children.len() / 2);
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// Returns whether a tag makes a plain scalar a text: `!!str` and the bare `!`.
fn says_text(tag: &Tag) -> bool {
    tag.core_suffix() == Some("str") || (tag.handle().is_empty() && tag.suffix() == "!")
}

#[cfg(test)]
mod tests {
    use super::{super::place::SourceKind, *};

    fn tree(text: &str) -> Result<Arc<Node>, ConfigError> {
        parse(&Arc::new(Source {
            name: "test.yaml".into(),
            kind: SourceKind::Flag,
            text: Zeroizing::new(text.to_owned()),
        }))
    }

    #[test]
    fn alias_is_the_same_node_and_costs_nothing() {
        let root = tree("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n").expect("good YAML");
        let Value::Map(pairs) = &root.value else { panic!("a mapping") };
        let Value::List(twice) = &pairs[1].1.value else { panic!("a list") };
        assert!(Arc::ptr_eq(&twice[0], &twice[1]) && Arc::ptr_eq(&twice[0], &pairs[0].1));
    }

    #[test]
    fn alias_to_a_node_around_it_is_no_loop() {
        let root = tree("a: &a\n  b: *a\n").expect("other blocks may do that");
        let Value::Map(pairs) = &root.value else { panic!("a mapping") };
        let Value::Map(inner) = &pairs[0].1.value else { panic!("a mapping") };
        assert!(matches!(inner[0].1.value, Value::Endless));
    }

    #[test]
    fn key_and_value_know_their_places() {
        let root = tree("sync:\n  port: 8765 # here\n").expect("good YAML");
        let Value::Map(pairs) = &root.value else { panic!("a mapping") };
        let Value::Map(inner) = &pairs[0].1.value else { panic!("a mapping") };
        let (key, value) = &inner[0];
        assert_eq!((key.place.line, key.place.column, key.place.width), (2, 3, 4));
        assert_eq!((value.place.line, value.place.column, value.place.width), (2, 9, 4));
    }
}
