//! `pair`: show a code or type one, make a link or follow one.

use std::time::Duration;

use crosshome_node::views::{Invitation, PairedReply, PairingNews, ShownCode};
use hyper::Method;
use serde_json::json;

use crate::{args::Pair, client::Client, events::Events, failure::Failure, output::Screen, text::plain};

/// How much longer than the window the command waits for word of its end.
const WINDOW_SLACK: Duration = Duration::from_secs(5);

/// Pairs in the one way that was asked for.
pub(super) async fn run(args: &Pair, client: &Client, screen: &Screen) -> Result<(), Failure> {
    if args.show {
        return show(client, screen).await;
    }
    if args.cancel {
        let closed: serde_json::Value = client.order(Method::POST, "/pairing/cancel").await?;
        return screen.show(&closed, |_| "no code or link pairs with this home now".to_owned());
    }
    if args.invite {
        let invitation: Invitation = client.order(Method::POST, "/pairing/invite").await?;
        screen.note(&format!(
            "whoever opens this link within {} is paired; give it away in private",
            minutes(&invitation.expires_in_s)
        ));
        return screen.show(&invitation, |invitation| invitation.link.clone());
    }
    let body = match &args.accept {
        Some(link) => json!({"link": link}),
        None => json!({"code": args.code, "with": args.with}),
    };
    let reply: PairedReply = client.send(Method::POST, "/pairing/accept", &body).await?;
    screen.show(&reply, paired)
}

async fn show(client: &Client, screen: &Screen) -> Result<(), Failure> {
    // Before the code is shown, so that no word of it is missed.
    let mut events = Events::open(client, false, None).await?;
    let code: ShownCode = client.order(Method::POST, "/pairing/show").await?;
    screen.show(&code, text)?;
    let window = Duration::from_secs(code.expires_in_s) + WINDOW_SLACK;
    let reply = tokio::select! {
        ended = tokio::time::timeout(window, outcome(&mut events, screen)) => {
            ended.map_err(|_| Failure::NobodyTyped("nobody typed the code in time".into()))??
        }
        _ = tokio::signal::ctrl_c() => {
            let _: serde_json::Value = client.order(Method::POST, "/pairing/cancel").await?;
            return Err(Failure::Interrupted);
        }
    };
    screen.show(&reply, paired)
}

async fn outcome(events: &mut Events, screen: &Screen) -> Result<PairedReply, Failure> {
    let mut dead = false;
    loop {
        let event = events.next().await?;
        if event.name != "pairing" {
            continue;
        }
        let news = serde_json::from_str(&event.data).map_err(|error| Failure::Garbled(error.to_string()))?;
        match news {
            PairingNews::Paired(paired) => return Ok(PairedReply { paired }),
            PairingNews::Failed { reason, tries_left } => {
                let tries = if tries_left == 1 { "try" } else { "tries" };
                screen.note(&format!("somebody tried: {reason}; {tries_left} {tries} left"));
                dead = tries_left == 0;
            }
            PairingNews::Ended { reason } if dead => return Err(Failure::PairingEnded(reason)),
            PairingNews::Ended { reason } => return Err(Failure::NobodyTyped(reason)),
        }
    }
}

fn text(code: &ShownCode) -> String {
    let ShownCode { code, expires_in_s, invitation } = code;
    format!(
        "code  {code}\n\nType it on the other home within {}: crosshome pair {code}\nOr open there: {invitation}",
        minutes(expires_in_s)
    )
}

fn minutes(seconds: &u64) -> String {
    match seconds.div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn paired(reply: &PairedReply) -> String {
    let home = &reply.paired;
    let (name, words) = (plain(&home.name), plain(&home.words));
    format!(
        "paired with {name} ({})\nBoth homes show {words}. If they differ: crosshome unpair {name}\n\
         Nothing is shared yet: crosshome share ENTITY --with {name}",
        home.id
    )
}
