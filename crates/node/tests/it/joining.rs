//! Homes with one shared key: connecting and parting by name, holding the same, and keeping nothing on disk.

use std::time::Duration;

use crosshome_node::{
    config::{Config, Override, Sources},
    home::{Home, Options},
    memory::Memory,
    node::{NodeError, Update},
    views::LinkState,
};

use super::houses::{eventually, named};

const KEY: &str = "correct horse battery staple";

/// A home in memory with everybody's key.
pub(super) fn in_memory(name: &str, options: Options) -> Home {
    home_with(name, KEY, Options { memory: Some(Memory::default()), ..options })
}

fn home(name: &str, key: &str, memory: &Memory) -> Home {
    home_with(name, key, Options { memory: Some(memory.clone()), ..Options::default() })
}

/// A home to which no API is open.
fn home_with(name: &str, key: &str, options: Options) -> Home {
    let set =
        |key: &str, value: &str| Override { key: key.into(), value: value.into(), flag: "--test".into() };
    let overrides = vec![
        set("home_name", name),
        set("discovery.enabled", "false"),
        set("sync.port", "0"),
        set("sync.bind", "127.0.0.1"),
        set("sync.encryption.shared_key", key),
    ];
    let config = Config::load(&Sources { overrides, ..Sources::default() }).expect("it is valid").config;
    Home::start_with(config, Options { without_api: true, aloof: true, ..options }).expect("it starts")
}

fn villa() -> Home {
    home("villa", KEY, &Memory::default())
}

fn flat() -> Home {
    home("flat", KEY, &Memory::default())
}

pub(super) fn address(home: &Home) -> Option<String> {
    home.about().sync_address.map(|address| address.to_string())
}

pub(super) async fn set(home: &Home, entity: &str, state: &str) {
    let update = Update { state: Some(state.into()), ..Update::default() };
    home.node().update_entity(named(entity), update).await.expect("it is written");
}

pub(super) async fn state(home: &Home, entity: &str) -> Option<String> {
    home.node().entity(named(entity)).await.ok()?.state
}

async fn online(home: &Home) -> usize {
    let homes = home.node().homes().await.expect("it runs");
    homes.iter().filter(|peer| peer.state == LinkState::Online).count()
}

#[tokio::test]
async fn stranger_with_the_same_key_is_connected_by_its_address_and_then_by_its_name() {
    let (villa, flat) = (villa(), flat());
    let peer = villa.node().connect("flat".into(), address(&flat)).await.expect("it is there");
    assert_eq!((peer.name.as_str(), peer.state), ("flat", LinkState::Online));
    let again = villa.node().connect("fl".into(), None).await.expect("a prefix is enough");
    assert_eq!(again.id, peer.id);
    eventually("both are online", async || online(&flat).await == 1).await;
    flat.node().connect("villa".into(), None).await.expect("it knows who has come");
}

#[tokio::test]
async fn who_does_not_answer_or_answers_to_another_name_is_not_reached() {
    let (villa, flat) = (villa(), flat());
    let node = villa.node();
    assert!(matches!(node.connect("flat".into(), None).await, Err(NodeError::NotFound { .. })));
    let nobody = node.connect("flat".into(), Some("127.0.0.1:9".into())).await;
    assert!(matches!(nobody, Err(NodeError::Unreachable { .. })), "{nobody:?}");
    let another = node.connect("cabin".into(), address(&flat)).await;
    assert!(
        matches!(another, Err(NodeError::Unreachable { reason, .. }) if reason.starts_with("flat answers"))
    );
}

#[tokio::test]
async fn home_with_another_key_is_told_from_one_that_is_not_there() {
    let (villa, other) = (villa(), home("flat", "wrong horse battery staple", &Memory::default()));
    let refused = villa.node().connect("flat".into(), address(&other)).await;
    assert!(matches!(refused, Err(NodeError::WrongCode)), "{refused:?}");
    assert_eq!(villa.node().homes().await.expect("it runs").len(), 0);
}

#[tokio::test]
async fn both_sides_hold_the_same_once_the_answer_is_there() {
    let (villa, flat) = (villa(), flat());
    villa.node().synced().await.expect("alone there is nothing to wait for");
    villa.node().connect("flat".into(), address(&flat)).await.expect("it is there");
    for n in 0..300 {
        set(&villa, &format!("light.v{n}"), "on").await;
        set(&flat, &format!("light.f{n}"), "on").await;
    }
    villa.node().synced().await.expect("the flat is there");
    for n in 0..300 {
        assert_eq!(state(&villa, &format!("light.f{n}")).await.as_deref(), Some("on"), "{n}");
        assert_eq!(state(&flat, &format!("light.v{n}")).await.as_deref(), Some("on"), "{n}");
    }
}

#[tokio::test]
async fn peer_that_goes_away_meanwhile_is_told() {
    let (villa, flat) = (villa(), flat());
    villa.node().connect("flat".into(), address(&flat)).await.expect("it is there");
    flat.stop().await;
    eventually("the flat is gone", async || {
        // Either it was still online, and is told to be gone, or it is not waited for.
        let synced = villa.node().synced().await;
        assert!(matches!(synced, Ok(()) | Err(NodeError::Unreachable { .. })), "{synced:?}");
        online(&villa).await == 0
    })
    .await;
}

#[tokio::test]
async fn disconnected_homes_stay_apart_both_ways_until_the_one_connects_again() {
    let (villa, flat) = (villa(), flat());
    villa.node().connect("flat".into(), address(&flat)).await.expect("it is there");
    villa.node().disconnect("flat".into()).await.expect("it is known");
    eventually("the flat has heard", async || online(&flat).await == 0).await;
    let refused = flat.node().connect("villa".into(), address(&villa)).await;
    assert!(matches!(refused, Err(NodeError::Unreachable { .. })), "{refused:?}");
    tokio::time::sleep(Duration::from_millis(1500)).await; // longer than the first pause of a reconnect
    assert_eq!((online(&villa).await, online(&flat).await), (0, 0));
    set(&flat, "light.hall", "on").await;
    villa.node().connect("flat".into(), None).await.expect("it is wanted again");
    villa.node().synced().await.expect("it is there");
    assert_eq!(state(&villa, "light.hall").await.as_deref(), Some("on"));
}

#[tokio::test]
async fn home_in_memory_is_the_same_home_after_a_stop() {
    let (memory, flat) = (Memory::default(), flat());
    let villa = home("villa", KEY, &memory);
    let id = villa.about().id;
    set(&villa, "light.hall", "on").await;
    villa.node().connect("flat".into(), address(&flat)).await.expect("it is there");
    villa.node().synced().await.expect("the flat is there");
    villa.stop().await;
    set(&flat, "light.hall", "off").await;

    let villa = home("villa", KEY, &memory);
    assert_eq!(villa.about().id, id);
    assert_eq!(state(&villa, "light.hall").await.as_deref(), Some("on"));
    assert_eq!(online(&villa).await, 0, "it waits to be asked");
    villa.node().connect_all().await.expect("it runs");
    eventually("it has caught up", async || state(&villa, "light.hall").await.as_deref() == Some("off"))
        .await;
}

#[tokio::test]
async fn home_that_keeps_nothing_comes_again_under_its_name() {
    let (villa, first) = (villa(), flat());
    let before = villa.node().connect("flat".into(), address(&first)).await.expect("it is there");
    first.stop().await;
    let second = flat();
    let after = villa.node().connect("flat".into(), address(&second)).await.expect("it has come again");
    assert_ne!(before.id, after.id);
    let homes = villa.node().homes().await.expect("it runs");
    assert_eq!(homes.iter().map(|home| home.name.as_str()).collect::<Vec<_>>(), ["flat"]);
}
