//! `/sharing/strategy`: what settles conflicts.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use crate::{
    http::{
        App, Problem,
        extract::{Body, Params},
    },
    node::StrategyRequest,
    views::StrategyView,
};

/// A rule for some entities, or for all that no rule names.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStrategy {
    /// One of latest-wins, merge, user-choice, custom.
    strategy: String,
    /// Entity id or pattern; whatever no rule names when absent.
    #[serde(default, rename = "match")]
    pattern: Option<String>,
    /// For `custom`: a Jinja template; when absent the configured one.
    #[serde(default)]
    template: Option<String>,
}

impl TryFrom<NewStrategy> for StrategyRequest {
    type Error = Problem;

    fn try_from(new: NewStrategy) -> Result<Self, Problem> {
        let NewStrategy { strategy, pattern, template } = new;
        let unknown = |error: crosshome_core::policy::StrategyError| {
            Problem::refused(StatusCode::BAD_REQUEST, error.to_string())
        };
        Ok(Self { strategy: strategy.parse().map_err(unknown)?, pattern, template })
    }
}

/// Shows what settles conflicts, in this home's own space and in the joint one.
#[utoipa::path(get, path = "/api/v1/sharing/strategy", tag = "conflicts",
    responses((status = 200, body = StrategyView)))]
pub(crate) async fn strategy(State(app): State<App>) -> Answer<StrategyView> {
    Ok(Json(app.node.strategy().await?))
}

/// Chooses what settles the conflicts of some entities, in both spaces.
#[utoipa::path(put, path = "/api/v1/sharing/strategy", tag = "conflicts", request_body = NewStrategy,
    responses((status = 200, body = StrategyView)))]
pub(crate) async fn set(State(app): State<App>, Body(new): Body<NewStrategy>) -> Answer<StrategyView> {
    Ok(Json(app.node.set_strategy(new.try_into()?).await?))
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct Which {
    /// Only the rule of this pattern.
    #[serde(default, rename = "match")]
    pattern: Option<String>,
}

/// Goes back to what is configured: for one pattern, or altogether.
#[utoipa::path(delete, path = "/api/v1/sharing/strategy", tag = "conflicts", params(Which),
    responses((status = 200, body = StrategyView)))]
pub(crate) async fn reset(State(app): State<App>, Params(which): Params<Which>) -> Answer<StrategyView> {
    Ok(Json(app.node.reset_strategy(which.pattern).await?))
}

#[cfg(test)]
mod tests {
    use crosshome_core::policy::Strategy;

    use super::*;

    #[test]
    fn rule_is_named_by_its_words_and_unknown_ones_are_refused() {
        let read = |text: &str| {
            let new = serde_json::from_str::<NewStrategy>(text).map_err(|error| error.to_string());
            new.and_then(|new| StrategyRequest::try_from(new).map_err(|problem| problem.error))
        };
        let rule = read(r#"{"strategy": "merge", "match": "light.*"}"#).expect("well formed");
        assert_eq!((rule.strategy, rule.pattern.as_deref()), (Strategy::Merge, Some("light.*")));
        assert!(read(r#"{"strategy": "newest"}"#).expect_err("unknown").contains("latest-wins, merge"));
        assert!(read(r#"{"strategy": "merge", "pattern": "light.*"}"#).is_err());
    }
}
