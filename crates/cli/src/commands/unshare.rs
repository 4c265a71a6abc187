//! `unshare`: take entities back.

use crosshome_node::views::SharePlan;
use hyper::Method;
use serde_json::json;

use super::share;
use crate::{args::Unshare, client::Client, failure::Failure, output::Screen};

/// Stops sharing, or shows what would happen.
pub(super) async fn run(args: Unshare, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let Unshare { entities, with, preview } = args;
    let body = json!({"entities": entities, "with": with, "preview": preview});
    let plan: SharePlan = client.send(Method::DELETE, "/shares", &body).await?;
    screen.show(&plan, share::text)
}
