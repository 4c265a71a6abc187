//! What a type must know to be the value of a key.
//!
//! A [`Scalar`] reads itself from one text, the same in a file, a variable and a
//! flag. A [`Setting`] reads itself from a node and says what the schema and the
//! documents say of it. Lists take a single value too, as Home Assistant does.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use serde_json::{Value as Json, json};

use super::{
    nearest::nearest,
    place::Place,
    problem::Problem,
    reader::Reader,
    yaml::{Node, Value},
};
use crate::defaults::CONFIG_KEYS;

/// How the value of a variable or a flag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// As it is.
    One,
    /// Values separated by commas.
    Commas,
    /// YAML, such as `[{match: "light.*", with: [villa]}]`.
    Yaml,
}

/// The value of a key.
pub(super) trait Setting: Sized {
    /// How variables and flags write it.
    const NOTATION: Notation = Notation::One;

    /// Returns what may stand there, for messages and documents.
    fn expected() -> String;

    /// Returns the JSON Schema.
    fn schema() -> Json;

    /// Reads a resolved node; a mistake is reported and gives `None`.
    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Returns the value as it is shown; a secret only says that it is set.
    fn show(&self) -> Json;
}

/// A setting written as one text.
pub(super) trait Scalar: Sized {
    /// Whether errors must not repeat the text.
    const SECRET: bool = false;

    /// The only texts that are taken, where there are few.
    const CHOICES: &'static [&'static str] = &[];

    /// See [`Setting::expected`].
    fn expected() -> String;

    /// See [`Setting::schema`].
    fn schema() -> Json;

    /// Reads the text.
    fn parse(text: &str) -> Option<Self>;

    /// Returns what was probably meant by a text that cannot be taken.
    fn suggestion(text: &str) -> Option<String> {
        nearest(text, Self::CHOICES.iter().copied()).map(str::to_owned)
    }

    /// See [`Setting::show`].
    fn show(&self) -> Json;
}

impl<T: Scalar> Setting for T {
    fn expected() -> String {
        T::expected()
    }

    fn schema() -> Json {
        T::schema()
    }

    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = node.text().filter(|_| !node.is_null());
        let value = text.and_then(T::parse);
        if value.is_none() {
            let place = if T::SECRET { node.place.hidden() } else { node.place.clone() };
            let nearest = text.filter(|_| !place.is_hidden()).and_then(T::suggestion);
            let problem =
                Problem::WrongValue { expected: T::expected(), found: node.called_at(&place), nearest };
            reader.report(&place, problem);
        }
        value
    }

    fn show(&self) -> Json {
        T::show(self)
    }
}

/// A key that may stay unset: nothing, `null` and an empty variable mean that.
impl<T: Setting> Setting for Option<T> {
    const NOTATION: Notation = T::NOTATION;

    fn expected() -> String {
        T::expected()
    }

    fn schema() -> Json {
        T::schema()
    }

    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::read(node, reader).map(Some) }
    }

    fn show(&self) -> Json {
        self.as_ref().map_or(Json::Null, Setting::show)
    }
}

/// A type that comes in lists.
pub(super) trait Item: Setting {
    /// How a variable writes a list of it.
    const LIST: Notation;
}

impl<T: Scalar> Item for T {
    const LIST: Notation = Notation::Commas;
}

impl<T: Item> Setting for Vec<T> {
    const NOTATION: Notation = T::LIST;

    fn expected() -> String {
        format!("a list, each {}", T::expected())
    }

    fn schema() -> Json {
        json!({"type": "array", "items": T::schema()})
    }

    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.is_null() {
            return Some(Vec::new());
        }
        let Value::List(items) = &node.value else { return T::read(node, reader).map(|one| vec![one]) };
        if items.len() > CONFIG_KEYS {
            reader.report(&node.place, Problem::TooMuch(CONFIG_KEYS));
            return None;
        }
        // Every item is read before the first bad one makes the list bad, so that all mistakes are told.
        let items: Vec<Option<T>> =
            items.iter().map(|item| reader.resolve(item).and_then(|item| T::read(&item, reader))).collect();
        items.into_iter().collect()
    }

    fn show(&self) -> Json {
        self.iter().map(Setting::show).collect()
    }
}

impl Scalar for bool {
    const CHOICES: &'static [&'static str] = &["true", "false"];

    fn expected() -> String {
        "true or false".into()
    }

    fn schema() -> Json {
        json!({"type": "boolean"})
    }

    /// Takes what Home Assistant takes: YAML 1.1's words, `enable` and `disable`, 1 and 0, quoted or not.
    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "on" | "enable" | "1" => Some(true),
            "false" | "no" | "off" | "disable" | "0" => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

/// A port; 0 lets the system choose.
impl Scalar for u16 {
    fn expected() -> String {
        "a port from 0 to 65535".into()
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": 0, "maximum": 65535})
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text)?.parse().ok()
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

/// A port that other homes must know.
impl Scalar for std::num::NonZeroU16 {
    fn expected() -> String {
        "a port from 1 to 65535".into()
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": 1, "maximum": 65535})
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text)?.parse().ok()
    }

    fn show(&self) -> Json {
        json!(self.get())
    }
}

/// A count of at least one.
impl Scalar for std::num::NonZeroU32 {
    fn expected() -> String {
        "a whole number from 1 to 4294967295".into()
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": 1, "maximum": u32::MAX})
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text)?.parse().ok()
    }

    fn show(&self) -> Json {
        json!(self.get())
    }
}

fn digits(text: &str) -> Option<&str> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
}

impl Scalar for IpAddr {
    fn expected() -> String {
        "an IP address such as 127.0.0.1 or \"::\"".into()
    }

    fn schema() -> Json {
        json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"const": "localhost"}]})
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            text => text.trim_start_matches('[').trim_end_matches(']').parse().ok(),
        }
    }

    fn show(&self) -> Json {
        json!(self.to_string())
    }
}

/// Turns a variable's or a flag's text into the node that a file would have given; `None` when it is no YAML.
pub(super) fn node_of_text(notation: Notation, start: &Place, reader: &mut Reader<'_>) -> Option<Arc<Node>> {
    let text = &start.source.text;
    match notation {
        Notation::One => Some(Arc::new(Node::plain(text, whole(start)))),
        Notation::Commas => Some(Arc::new(items(text, start))),
        Notation::Yaml => super::yaml::parse(&start.source).map_err(|err| reader.errors.push(err)).ok(),
    }
}

fn whole(start: &Place) -> Place {
    Place { width: start.source.text.chars().count(), ..start.clone() }
}

fn items(text: &str, start: &Place) -> Node {
    let mut column = 1;
    let mut items = Vec::new();
    for piece in text.split(',') {
        let word = piece.trim();
        let indent = piece.chars().count() - piece.trim_start().chars().count();
        let place = Place { column: column + indent, width: word.chars().count(), ..start.clone() };
        if !word.is_empty() {
            items.push(Arc::new(Node::plain(word, place)));
        }
        column += piece.chars().count() + 1;
    }
    Node { value: Value::List(items), tag: None, place: whole(start) }
}
