//! `unpair`: forget a home.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::{
    args::Home,
    client::{Client, part},
    failure::Failure,
    output::Screen,
    text::plain,
};

#[derive(Debug, Serialize, Deserialize)]
struct Unpaired {
    ok: bool,
    id: String,
    name: String,
}

/// Forgets a paired home.
pub(super) async fn run(args: &Home, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let path = format!("/homes/{}", part(&args.home));
    let gone: Unpaired = client.order(Method::DELETE, &path).await?;
    screen.show(&gone, |gone| format!("{} is no longer paired; its entities have left", plain(&gone.name)))
}
