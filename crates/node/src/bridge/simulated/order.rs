//! What somebody wants of a device, read from a wish.

use crosshome_core::{
    intent::Wish,
    json::{Json, Members},
};
use serde_json::Value;

/// A wish in the words of a device: a state, attributes, or both.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) state: Option<Wanted>,
    pub(super) attributes: Vec<(String, Value)>,
}

/// The state that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This one.
    Be(String),
    /// Whichever it is not.
    Toggle,
}

impl Order {
    /// Reads a wish; a service is named as Home Assistant names it.
    pub(super) fn read(wish: &Wish) -> Result<Self, String> {
        match wish {
            Wish::Set { state, attributes } => Ok(Self {
                state: state.as_ref().map(|state| Wanted::Be(text(state))),
                attributes: wanted(attributes),
            }),
            Wish::Call { service, data } => Self::call(service, data),
        }
    }

    fn call(service: &str, data: &Json) -> Result<Self, String> {
        let (_, verb) = service.split_once('.').unwrap_or(("", service));
        let be = |state: &str| Some(Wanted::Be(state.to_owned()));
        let state = match verb {
            "turn_on" => be("on"),
            "turn_off" => be("off"),
            "toggle" => Some(Wanted::Toggle),
            "lock" => be("locked"),
            "unlock" => be("unlocked"),
            "open_cover" | "open_valve" => be("open"),
            "close_cover" | "close_valve" => be("closed"),
            "set_temperature" => None,
            _ => return Err(format!("this house knows no service {service}")),
        };
        let members = data.as_str().parse::<Members>().map_err(|error| error.to_string())?;
        Ok(Self { state, attributes: wanted(&members) })
    }
}

fn text(state: &Json) -> String {
    match parsed(state.as_str()) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn wanted(attributes: &Members) -> Vec<(String, Value)> {
    attributes.iter().map(|(name, value)| (name.to_owned(), parsed(value))).collect()
}

fn parsed(value: &str) -> Value {
    serde_json::from_str(value).expect("canonical JSON is JSON")
}
