//! Bodies, queries and path parts as typed values; whatever is wrong with them is a [`Problem`].

use axum::{
    body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::{json_bounds, problem::Problem};
use crate::{
    defaults::{BODY_BYTES, BODY_WAIT},
    node::EntityRef,
};

/// A JSON body, bounded before it is parsed; an absent one reads as `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let reading = body::to_bytes(request.into_body(), BODY_BYTES);
        let bytes =
            tokio::time::timeout(BODY_WAIT, reading).await.map_err(|_| too_slow())?.map_err(unread)?;
        parse(if bytes.is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    json_bounds::check(text).map_err(bad_request)?;
    serde_json::from_slice(text).map_err(bad_request)
}

fn bad_request(error: impl ToString) -> Problem {
    Problem::refused(StatusCode::BAD_REQUEST, error.to_string())
}

fn too_slow() -> Problem {
    let limit = BODY_WAIT.as_secs();
    Problem::refused(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {limit} s"))
}

fn unread(error: axum::Error) -> Problem {
    if error.into_inner().is::<LengthLimitError>() {
        let limit = format!("the body is over the limit of {BODY_BYTES} bytes");
        return Problem::refused(StatusCode::PAYLOAD_TOO_LARGE, limit);
    }
    bad_request("the body broke off")
}

/// The query of a request.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) =
            Query::from_request_parts(parts, state).await.map_err(|error| bad_request(error.body_text()))?;
        Ok(Self(params))
    }
}

/// The parts of a path that stand for something.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) =
            Path::from_request_parts(parts, state).await.map_err(|error| bad_request(error.body_text()))?;
        Ok(Self(value))
    }
}

/// The entity that a path names, with or without its home.
pub(super) struct Entity(pub(super) EntityRef);

impl<S: Send + Sync> FromRequestParts<S> for Entity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let InPath(text) = InPath::<String>::from_request_parts(parts, state).await?;
        Ok(Self(text.parse()?))
    }
}

/// Checks an id of this home's own, where no home and no glob may stand.
pub(super) fn own_id(text: String) -> Result<String, Problem> {
    let entity: EntityRef = text.parse()?;
    match entity.home() {
        None => Ok(text),
        Some(home) => Err(bad_request(format!("only entities of this home can be registered, not {home}'s"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn bomb_is_refused_before_it_is_built() {
        let bomb = format!("[{}0]", "{\"\":0},".repeat(30_000));
        let problem = parse::<Value>(bomb.as_bytes()).expect_err("too wide");
        assert_eq!((problem.status, problem.error.as_str()), (400, "JSON has more than 4096 values"));
    }

    #[test]
    fn odd_json_is_refused() {
        for text in
            ["\u{feff}{}", "{\"a\":NaN}", "{\"a\":1e999}", "{\"a\":\"\\ud800\"}", "{} {}", "{\"a\":1,}"]
        {
            assert!(parse::<Value>(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
