//! A home whose program decides who sees what, beside homes with the same shared key.

use std::collections::BTreeMap;

use crosshome_node::{
    home::{Home, Options},
    node::Audience,
};

use super::{
    houses::eventually,
    joining::{address, in_memory, set, state},
};

fn everyone() -> Option<Audience> {
    Some(Audience { everyone: true, ..Audience::default() })
}

fn only(home: &str) -> Option<Audience> {
    Some(Audience { with: vec![home.into()], ..Audience::default() })
}

/// A home that shares what it is told to, with two that share everything.
async fn homes() -> (Home, Home, Home) {
    let choosy = Options { audiences: Some(BTreeMap::new()), ..Options::default() };
    let (villa, flat) = (in_memory("villa", choosy), in_memory("flat", Options::default()));
    let cabin = in_memory("cabin", Options::default());
    for (name, home) in [("flat", &flat), ("cabin", &cabin)] {
        villa.node().connect(name.into(), address(home)).await.expect("it is there");
    }
    (villa, flat, cabin)
}

async fn say(home: &Home, entity: &str, audience: Option<Audience>) {
    let (node, id) = (home.node().clone(), entity.parse().expect("an id"));
    tokio::task::spawn_blocking(move || node.set_audience(id, audience))
        .await
        .expect("no panic")
        .expect("it runs");
}

#[tokio::test]
async fn what_has_no_audience_stays_at_home() {
    let (villa, flat, _cabin) = homes().await;
    say(&villa, "light.hall", everyone()).await;
    set(&villa, "light.hall", "on").await;
    set(&villa, "light.attic", "on").await;
    villa.node().synced().await.expect("they are there");
    assert_eq!(state(&flat, "light.hall").await.as_deref(), Some("on"));
    assert_eq!(state(&flat, "light.attic").await, None);
    assert_eq!(state(&villa, "light.attic").await.as_deref(), Some("on"));
}

#[tokio::test]
async fn entity_comes_with_what_was_said_before_and_goes_when_it_is_taken_back() {
    let (villa, flat, _cabin) = homes().await;
    set(&villa, "light.hall", "on").await;
    say(&villa, "light.hall", everyone()).await;
    villa.node().synced().await.expect("they are there");
    assert_eq!(state(&flat, "light.hall").await.as_deref(), Some("on"));
    say(&villa, "light.hall", None).await;
    set(&villa, "light.hall", "off").await;
    villa.node().synced().await.expect("they are there");
    assert_eq!(state(&flat, "light.hall").await, None);
    assert_eq!(state(&villa, "light.hall").await.as_deref(), Some("off"));
}

#[tokio::test]
async fn what_another_home_has_written_since_stays_with_it() {
    let (villa, flat, _cabin) = homes().await;
    say(&villa, "light.hall", everyone()).await;
    set(&villa, "light.hall", "on").await;
    villa.node().synced().await.expect("they are there");
    set(&flat, "light.hall", "off").await;
    flat.node().synced().await.expect("it is there");
    say(&villa, "light.hall", None).await;
    villa.node().synced().await.expect("they are there");
    assert_eq!(state(&flat, "light.hall").await.as_deref(), Some("off"));
}

#[tokio::test]
async fn one_home_alone_may_see_and_edit() {
    let (villa, flat, cabin) = homes().await;
    set(&villa, "light.hall", "on").await;
    say(&villa, "light.hall", only("flat")).await;
    villa.node().synced().await.expect("they are there");
    assert_eq!(state(&flat, "light.hall").await.as_deref(), Some("on"));
    assert_eq!(state(&cabin, "light.hall").await, None);
    set(&flat, "light.hall", "off").await;
    eventually("it is off", async || state(&villa, "light.hall").await.as_deref() == Some("off")).await;
    say(&villa, "light.hall", only("cabin")).await;
    villa.node().synced().await.expect("they are there");
    assert_eq!(state(&flat, "light.hall").await, None);
    assert_eq!(state(&cabin, "light.hall").await.as_deref(), Some("off"));
}

#[tokio::test]
async fn home_that_comes_later_sees_what_it_may() {
    let choosy = Options { audiences: Some(BTreeMap::new()), ..Options::default() };
    let (villa, flat) = (in_memory("villa", choosy), in_memory("flat", Options::default()));
    set(&villa, "light.hall", "on").await;
    say(&villa, "light.hall", only("flat")).await;
    villa.node().connect("flat".into(), address(&flat)).await.expect("it is there");
    villa.node().synced().await.expect("it is there");
    assert_eq!(state(&flat, "light.hall").await.as_deref(), Some("on"));
}
