//! `status`: this home, its peers, links, open conflicts.

use crosshome_node::views::Status;

use super::{peers, strategy};
use crate::{args, client::Client, failure::Failure, output::Screen, text::plain};

/// Shows how the home is doing.
pub(super) async fn run(args: &args::Status, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let status: Status = client.get("/status").await?;
    screen.show(&status, |status| text(status, screen))?;
    match status.conflicts_open {
        open if open > 0 && args.fail_on_conflict => Err(Failure::ConflictsOpen(open)),
        _ => Ok(()),
    }
}

fn text(status: &Status, screen: &Screen) -> String {
    let Status { home, version, api, sync_port, loopback_only, entities, conflicts_open, .. } = status;
    let sync = match (sync_port, loopback_only) {
        (Some(port), false) => format!("port {port}, encrypted"),
        (Some(port), true) => format!("port {port}, on this machine only"),
        (None, _) => "off".to_owned(),
    };
    let api = api.as_deref().unwrap_or("unix socket only");
    let see = if *conflicts_open > 0 { ", see crosshome conflicts list" } else { "" };
    let mut lines = vec![
        format!("home       {} ({}), version {version}", plain(&home.name), home.id),
        format!("api        {api}"),
        format!("sync       {sync}"),
        format!(
            "entities   {} own, {} shared, {} received",
            entities.own, entities.shared, entities.received
        ),
        format!("conflicts  {conflicts_open} open{see}"),
    ];
    if let Some(joint) = &status.joint_strategy {
        lines.push(format!("joint      {}, {}", joint.strategy, strategy::why(joint)));
    }
    lines.push(String::new());
    lines.push(match status.peers.is_empty() {
        true => "no paired homes; pair one with crosshome pair --show".to_owned(),
        false => peers::links(&status.peers, screen),
    });
    lines.join("\n")
}
