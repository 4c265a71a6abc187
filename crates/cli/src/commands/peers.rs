//! `peers`: paired homes and the links to them.

use crosshome_node::views::{HomeList, HomeSeen, LinkState, PeerView};

use super::discover;
use crate::{
    args::Peers,
    client::Client,
    failure::Failure,
    output::Screen,
    text::{moment, or_dash, plain, yes_no},
};

/// Lists paired homes, or shows one.
pub(super) async fn run(args: &Peers, client: &Client, screen: &Screen) -> Result<(), Failure> {
    match args {
        Peers::List => list(client, screen).await,
        Peers::Show(home) => show(&home.home, client, screen).await,
    }
}

async fn list(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let mut homes: Vec<HomeSeen> = client.get("/discovery/homes").await?;
    homes.retain(|home| home.paired);
    screen.show(&homes, |homes| match homes.is_empty() {
        true => "no paired homes; pair one with crosshome pair --show".to_owned(),
        false => discover::table(homes, screen),
    })
}

async fn show(name: &str, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let list: HomeList = client.get("/homes").await?;
    let peer = named(name, list.homes)?;
    screen.show(&peer, text)
}

/// Finds the one peer of this name, id or prefix; an exact name or id comes before prefixes.
fn named(name: &str, peers: Vec<PeerView>) -> Result<PeerView, Failure> {
    let lower = name.to_lowercase();
    let exact = |peer: &PeerView| peer.name.to_lowercase() == lower || peer.id == lower;
    let begins =
        |peer: &PeerView| peer.name.to_lowercase().starts_with(&lower) || peer.id.starts_with(&lower);
    let (exact, others): (Vec<_>, Vec<_>) = peers.into_iter().partition(exact);
    let mut found = if exact.is_empty() { others.into_iter().filter(begins).collect() } else { exact };
    match (found.len(), found.pop()) {
        (1, Some(peer)) => Ok(peer),
        (_, None) => Err(Failure::NoPeer(name.to_owned())),
        (_, Some(last)) => {
            let candidates = found.into_iter().chain([last]).map(|peer| peer.name).collect();
            Err(Failure::Ambiguous { name: name.to_owned(), candidates })
        }
    }
}

fn text(peer: &PeerView) -> String {
    let rows = [
        ("name", peer.name.clone()),
        ("id", peer.id.clone()),
        ("state", state(peer.state).to_owned()),
        ("address", or_dash(peer.address.clone())),
        ("round trip", round_trip(peer)),
        ("in sync", yes_no(peer.in_sync)),
        ("last sync", moment(peer.last_sync)),
        ("reason", or_dash(peer.reason.clone())),
    ];
    let lines = rows.iter().map(|(what, value)| format!("{what:10}  {}", plain(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Lists peers with their links.
pub(super) fn links(peers: &[PeerView], screen: &Screen) -> String {
    let row = |peer: &PeerView| {
        vec![
            peer.name.clone(),
            state(peer.state).to_owned(),
            or_dash(peer.address.clone()),
            round_trip(peer),
            yes_no(peer.in_sync),
            moment(peer.last_sync),
            peer.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = peers.iter().map(row).collect();
    screen.table(&["PEER", "STATE", "ADDRESS", "RTT", "IN SYNC", "LAST SYNC", ""], &rows)
}

fn round_trip(peer: &PeerView) -> String {
    or_dash(peer.rtt_ms.map(|ms| format!("{ms:.1} ms")))
}

fn state(state: LinkState) -> &'static str {
    match state {
        LinkState::Online => "online",
        LinkState::Connecting => "connecting",
        LinkState::Offline => "offline",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> PeerView {
        PeerView {
            id: format!("xh1{name}"),
            name: name.into(),
            state: LinkState::Offline,
            address: None,
            via: None,
            rtt_ms: None,
            in_sync: false,
            last_sync: None,
            reason: None,
            cloned: None,
            went_back: None,
        }
    }

    #[test]
    fn whole_name_in_any_case_comes_before_names_that_begin_with_it() {
        let found = named("alp", vec![peer("Alps"), peer("Alp")]).expect("one is exact");
        assert_eq!(found.name, "Alp");
    }

    #[test]
    fn prefix_of_two_names_is_ambiguous() {
        let found = named("al", vec![peer("alps"), peer("alma"), peer("city")]);
        assert!(
            matches!(found, Err(Failure::Ambiguous { candidates, .. }) if candidates == ["alps", "alma"])
        );
    }
}
