//! Settings that are texts with a form of their own: paths, addresses of services, templates.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use axum::http::Uri;
use crosshome_core::defaults::MAX_TEMPLATE;
use serde_json::{Value as Json, json};

use super::{
    problem::Problem,
    reader::Reader,
    setting::{Scalar, Setting},
    yaml::Node,
};
use crate::{custom::template, defaults::PATH_BYTES};

/// A path that is absolute, begins with `~/` or lies below its base: `..` never climbs out of it (T39).
impl Scalar for PathBuf {
    fn expected() -> String {
        "a path without `..`".into()
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": PATH_BYTES})
    }

    fn parse(text: &str) -> Option<Self> {
        let clean = !text.is_empty() && text.len() <= PATH_BYTES && !text.chars().any(char::is_control);
        let climbs = || Path::new(text).components().any(|part| part == Component::ParentDir);
        (clean && !climbs()).then(|| PathBuf::from(text))
    }

    fn show(&self) -> Json {
        json!(self.display().to_string())
    }
}

/// The address of Home Assistant's WebSocket API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeUrl(String);

impl BridgeUrl {
    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for BridgeUrl {
    fn expected() -> String {
        "an address such as ws://homeassistant.local:8123/api/websocket".into()
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^wss?://[^@]+$"})
    }

    /// Names and passwords in the address are refused: it is shown in logs, and the token is the way in.
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let web_socket = matches!(uri.scheme_str(), Some("ws" | "wss"));
        let host = uri.authority().filter(|authority| !authority.as_str().contains('@'))?.host();
        (web_socket && !host.is_empty()).then(|| Self(text.to_owned()))
    }

    fn suggestion(text: &str) -> Option<String> {
        let meant = text.strip_prefix("http").map(|rest| format!("ws{rest}"))?;
        Self::parse(&meant)?;
        let bare = meant.trim_end_matches('/');
        let path = if bare.matches('/').count() == 2 { "/api/websocket" } else { "" };
        Some(format!("{bare}{path}"))
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

/// A Jinja template that settles conflicts; its syntax has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Returns the template's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Template {
    fn expected() -> String {
        format!("a Jinja template of at most {MAX_TEMPLATE} bytes")
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": MAX_TEMPLATE})
    }

    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self> {
        let fits = |text: &&str| !text.trim().is_empty() && text.len() <= MAX_TEMPLATE && !node.is_null();
        let Some(text) = node.text().filter(fits) else {
            reader.expected(node, Self::expected());
            return None;
        };
        match template::check(text) {
            Ok(()) => Some(Self(text.to_owned())),
            Err(error) => {
                reader.report(&node.place, Problem::Template(error.to_string()));
                None
            }
        }
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_does_not_climb() {
        assert!(<PathBuf as Scalar>::parse("/config/.copilot").is_some());
        assert!(<PathBuf as Scalar>::parse("keys/../../etc").is_none());
    }

    #[test]
    fn address_of_the_web_page_suggests_the_one_of_the_api() {
        assert!(BridgeUrl::parse("http://ha.local:8123").is_none());
        let meant = BridgeUrl::suggestion("http://ha.local:8123/");
        assert_eq!(meant.as_deref(), Some("ws://ha.local:8123/api/websocket"));
        assert!(BridgeUrl::parse("ws://me:word@ha.local/").is_none());
    }
}
