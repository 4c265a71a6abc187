//! `key`: who this home is.

use crosshome_node::views::KeyView;
use hyper::Method;

use crate::{args::Key, client::Client, failure::Failure, output::Screen};

/// Shows the key, or replaces it.
pub(super) async fn run(args: &Key, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let key: KeyView = match args {
        Key::Show => client.get("/key").await?,
        Key::Rotate => client.order(Method::POST, "/key/rotate").await?,
    };
    screen.show(&key, text)
}

fn text(key: &KeyView) -> String {
    let mut lines = vec![
        format!("id          {}", key.grouped),
        format!("short       {}", key.short),
        format!("public key  {}", key.public_key),
    ];
    lines.extend(key.key_path.as_ref().map(|path| format!("kept in     {path}")));
    lines.extend(key.replaces.as_ref().map(|before| format!("replaces    {before}")));
    lines.join("\n")
}
