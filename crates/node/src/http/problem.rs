//! The one place where errors become HTTP answers (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::node::{Code, EntityRefError, NodeError};

/// Why a call failed, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of error it is, in a few words.
    pub title: String,
    /// The HTTP status, again.
    pub status: u16,
    /// What happened, for people.
    pub error: String,
    /// What kind of error it is, for programs.
    pub code: Code,
    /// Names that would have been clear, when the one given was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// Id of the conflict that is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// The conflict as it is now, when what was shown of it is out of date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::views::ConflictView>)]
    pub present: Option<Box<serde_json::Value>>,
}

impl Problem {
    /// Makes the answer to a call that did not reach the home.
    pub(crate) fn refused(status: StatusCode, error: impl Into<String>) -> Self {
        let code = if status == StatusCode::BAD_REQUEST { Code::Invalid } else { Code::Http };
        Self::new(status, title(code, status), error.into(), code)
    }

    fn new(status: StatusCode, title: &str, error: String, code: Code) -> Self {
        let (candidates, conflict, present) = (Vec::new(), None, None);
        Self { title: title.to_owned(), status: status.as_u16(), error, code, candidates, conflict, present }
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::NotAllowed | Code::NotPaired | Code::WrongCode | Code::PairingClosed => StatusCode::FORBIDDEN,
        Code::BadCode | Code::Invalid => StatusCode::BAD_REQUEST,
        Code::Ambiguous | Code::ConflictOpen | Code::Stale | Code::Busy => StatusCode::CONFLICT,
        Code::Unreachable | Code::Refused => StatusCode::BAD_GATEWAY,
        Code::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Code::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        Code::Failed | Code::Http => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(code: Code, status: StatusCode) -> &'static str {
    match code {
        Code::NotFound => "Not found",
        Code::Ambiguous => "Ambiguous name",
        Code::NotAllowed => "Not allowed",
        Code::NotPaired => "Not paired",
        Code::BadCode => "Mistyped code",
        Code::WrongCode => "Wrong code",
        Code::PairingClosed => "No pairing under way",
        Code::Invalid => "Invalid request",
        Code::ConflictOpen => "Open conflict",
        Code::Stale => "Changed since it was shown",
        Code::Unreachable => "Home not reachable",
        Code::TimedOut => "Timed out",
        Code::Refused => "Refused by its home",
        Code::Busy => "Busy",
        Code::StorageFull => "Storage full",
        Code::Failed => "Home failed",
        Code::Stopped => "Home stopping",
        Code::Http => status.canonical_reason().unwrap_or("Refused"),
    }
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        let code = error.code();
        let status = status(code);
        let mut problem = Self::new(status, title(code, status), error.to_string(), code);
        match error {
            NodeError::Ambiguous { candidates, .. } => problem.candidates = candidates,
            NodeError::ConflictOpen { conflict, .. } => problem.conflict = Some(conflict),
            NodeError::Stale { present, .. } => problem.present = Some(present),
            _ => {}
        }
        problem
    }
}

impl From<EntityRefError> for Problem {
    fn from(error: EntityRefError) -> Self {
        NodeError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"crosshome\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_name_comes_with_its_candidates() {
        let candidates = vec!["alps/light.hall".to_owned(), "city/light.hall".to_owned()];
        let problem = Problem::from(NodeError::Ambiguous { name: "light.hall".into(), candidates });
        assert_eq!(
            serde_json::to_string(&problem).expect("plain data"),
            r#"{"title":"Ambiguous name","status":409,"error":"light.hall may be any of alps/light.hall, city/light.hall","code":"ambiguous","candidates":["alps/light.hall","city/light.hall"]}"#
        );
    }

    #[test]
    fn problem_without_extras_has_just_the_four_fields() {
        let problem =
            Problem::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
        assert_eq!(
            serde_json::to_string(&problem).expect("plain data"),
            r#"{"title":"Unsupported Media Type","status":415,"error":"the body must be application/json","code":"http"}"#
        );
    }
}
