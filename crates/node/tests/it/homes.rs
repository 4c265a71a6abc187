//! Two homes in one process: found, paired, shared, steered, withdrawn.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use crosshome_core::{intent::Wish, update};
use crosshome_node::{
    node::{
        News, NodeError, Register, RegisterChange, Report, Secret, Selection, ShareRequest, UnshareRequest,
    },
    views::{Class, Right},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::houses::{House, eventually, online, pair, paired};

/// A way to a home that can be cut, when what was on it is lost at once, and held up, when it waits.
pub(crate) struct Way {
    pub(crate) address: String,
    pub(crate) cut: tokio::sync::watch::Sender<u32>,
    pub(crate) held_up: tokio::sync::watch::Sender<bool>,
}

impl Way {
    pub(crate) async fn to(address: String) -> Self {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own = format!("127.0.0.1:{}", door.local_addr().expect("bound").port());
        let cut = tokio::sync::watch::Sender::new(0);
        let held_up = tokio::sync::watch::Sender::new(false);
        let (cuts, holds) = (cut.clone(), held_up.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = door.accept().await {
                let Ok(far) = TcpStream::connect(&address).await else { continue };
                let (mut cut, held_up) = (cuts.subscribe(), holds.subscribe());
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = carry(near_in, far_out, held_up.clone()) => {}
                        _ = carry(far_in, near_out, held_up) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address: own, cut, held_up }
    }
}

/// Carries what comes, and holds on to it while the way is held up.
async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut held_up: tokio::sync::watch::Receiver<bool>,
) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if held_up.wait_for(|held_up| !held_up).await.is_err()
            || to.write_all(&chunk[..length]).await.is_err()
        {
            return;
        }
    }
}

/// Becomes the bridge of a house with one lamp that obeys and a lock that does not.
async fn furnish(house: &House) {
    let report = |id: &str, state: &str| Report {
        entity_id: id.parse().expect("an entity id"),
        update: update::Update::state(state),
        class: Some(crosshome_core::table::Class::Device),
    };
    house
        .node()
        .report(vec![report("light.hall", "off"), report("lock.door", "locked")])
        .await
        .expect("reported");
    let mut wishes = house.node().attach().await.expect("attached");
    let node = house.node().clone();
    tokio::spawn(async move {
        while let Some(command) = wishes.recv().await {
            if command.entity_id.domain() == "lock" {
                let _ = command.done.send(Err("jammed".into()));
                continue;
            }
            let Wish::Set { state: Some(state), .. } = command.wish else { continue };
            let _ = command.done.send(Ok(()));
            let update = update::Update { state: Some(state), ..update::Update::default() };
            let report = Report { entity_id: command.entity_id, update, class: None };
            node.report(vec![report]).await.expect("reported");
        }
    });
}

#[tokio::test]
async fn document_is_shared_edited_and_withdrawn() {
    let (villa, flat) = paired().await;
    villa.set("input_text.note", "milk").await.expect("set");
    assert_eq!(flat.state("input_text.note").await, None, "nothing is shared by default");
    villa.share("input_text.note", "flat", Right::Edit).await;
    flat.sees("villa/input_text.note", Some("milk")).await;
    flat.set("input_text.note", "bread").await.expect("edit is granted");
    villa.sees("input_text.note", Some("bread")).await;
    let unshare =
        UnshareRequest { patterns: vec!["input_text.note".into()], with: Vec::new(), preview: false };
    assert_eq!(villa.node().unshare(unshare).await.expect("unshared").removed, ["input_text.note"]);
    flat.sees("villa/input_text.note", None).await;
}

#[tokio::test]
async fn device_obeys_a_command_and_only_with_the_right() {
    let (villa, flat) = paired().await;
    furnish(&villa).await;
    villa.share("light.hall", "flat", Right::Read).await;
    flat.sees("light.hall", Some("off")).await;
    assert!(matches!(flat.set("light.hall", "on").await, Err(NodeError::NotAllowed { .. })));
    villa.share("light.hall", "flat", Right::Control).await;
    eventually("the right has come", async || flat.set("light.hall", "on").await.is_ok()).await;
    assert_eq!(villa.state("light.hall").await.as_deref(), Some("on"));
    villa.share("lock.door", "flat", Right::Control).await;
    flat.sees("lock.door", Some("locked")).await;
    let refused = flat.set("lock.door", "unlocked").await.expect_err("it is jammed");
    assert_eq!(refused, NodeError::Refused { home: "villa".into(), reason: "jammed".into() });
    assert_eq!(villa.state("lock.door").await.as_deref(), Some("locked"));
}

#[tokio::test]
async fn both_change_while_apart_and_agree_afterwards() {
    let (mut villa, mut flat) = paired().await;
    villa.set("input_text.note", "milk").await.expect("set");
    villa.share("input_text.note", "flat", Right::Edit).await;
    flat.sees("input_text.note", Some("milk")).await;
    villa.stop().await;
    flat.set("input_text.note", "bread").await.expect("it is kept for later");
    flat.stop().await;
    villa.start();
    assert_eq!(villa.state("input_text.note").await.as_deref(), Some("milk"));
    villa.set("input_text.note", "eggs").await.expect("set");
    flat.start();
    // Ports are new, and nothing but the memory of the old one leads there: pair by address anew.
    let shown = villa.node().pair_show().await.expect("a code");
    flat.node().pair_accept(Secret::new(shown.code), Some(villa.address())).await.expect("paired again");
    villa.sees("input_text.note", Some("eggs")).await;
    flat.sees("villa/input_text.note", Some("eggs")).await;
    eventually("both know of the conflict", async || conflicted(&villa).await && conflicted(&flat).await)
        .await;
}

async fn conflicted(house: &House) -> bool {
    house.node().conflict("input_text.note".into()).await.is_ok_and(|conflict| conflict.versions.len() == 2)
}

#[tokio::test]
async fn what_is_acknowledged_is_there_after_a_restart() {
    let mut villa = House::new("villa");
    for n in 0..20 {
        villa.set(&format!("input_number.n{n}"), &n.to_string()).await.expect("set");
    }
    villa.stop().await;
    villa.start();
    let entities = villa.node().entities(Selection::All).await.expect("listed");
    assert_eq!(entities.len(), 20);
    assert_eq!(villa.state("input_number.n7").await.as_deref(), Some("7"));
}

#[tokio::test]
async fn wrong_code_is_refused_three_times_and_then_dead() {
    let (villa, flat) = (House::new("villa"), House::new("flat"));
    let right = villa.node().pair_show().await.expect("a code").code;
    let wrong = crosshome_core::pairing::Code::new(&[9; 16]).shown().to_string();
    for _ in 0..3 {
        let typed = flat.node().pair_accept(Secret::new(wrong.clone()), Some(villa.address())).await;
        assert_eq!(typed, Err(NodeError::WrongCode));
    }
    let late = flat.node().pair_accept(Secret::new(right), Some(villa.address())).await;
    assert_eq!(late, Err(NodeError::PairingClosed));
    assert!(villa.node().homes().await.expect("listed").is_empty());
}

#[tokio::test]
async fn unpaired_home_is_shut_out_and_its_entities_leave() {
    let (villa, flat) = paired().await;
    villa.set("input_text.note", "milk").await.expect("set");
    villa.share("input_text.note", "flat", Right::Read).await;
    flat.sees("input_text.note", Some("milk")).await;
    flat.node().unpair("villa".into()).await.expect("unpaired");
    flat.sees("input_text.note", None).await;
    eventually("the villa knows", async || !online(&villa).await).await;
    let homes = villa.node().homes().await.expect("listed");
    assert!(homes[0].reason.as_deref().is_some_and(|reason| reason.contains("unpaired")), "{homes:?}");
}

#[tokio::test]
async fn key_is_replaced_and_the_peer_follows() {
    let (villa, flat) = paired().await;
    villa.set("input_text.note", "milk").await.expect("set");
    villa.share("input_text.note", "flat", Right::Edit).await;
    flat.sees("input_text.note", Some("milk")).await;
    let before = villa.node().key_show().await.expect("shown").id;
    let mut heard = flat.node().subscribe().expect("it runs");
    let after = villa.node().rotate_key().await.expect("rotated");
    assert_eq!(after.replaces.as_deref(), Some(&*before));
    eventually("the flat knows the new key", async || {
        flat.node().homes().await.is_ok_and(|homes| homes.len() == 1 && homes[0].id == after.id)
    })
    .await;
    eventually("both are online again", async || online(&villa).await && online(&flat).await).await;
    let gone = async {
        loop {
            match &heard.recv().await.expect("it runs").news {
                News::PeerGone(home) => break home.id.clone(),
                _ => continue,
            }
        }
    };
    let gone =
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("observers hear of the old id");
    assert_eq!(gone, before);
    flat.set("villa/input_text.note", "bread").await.expect("edit is still granted");
    villa.sees("input_text.note", Some("bread")).await;
}

#[tokio::test]
async fn observers_hear_own_and_received_changes_in_order() {
    let (villa, flat) = paired().await;
    let mut heard = flat.node().subscribe().expect("it runs");
    villa.set("input_number.n", "0").await.expect("set");
    villa.share("input_number.n", "flat", Right::Read).await;
    flat.sees("input_number.n", Some("0")).await;
    for n in 1..=50 {
        villa.set("input_number.n", &n.to_string()).await.expect("set");
    }
    flat.sees("input_number.n", Some("50")).await;
    let mut states = Vec::new();
    while let Ok(notice) = heard.try_recv() {
        if let News::Entity(view) = &notice.news {
            states.push(view.state.as_deref().and_then(|state| state.parse::<u32>().ok()).expect("a number"));
        }
    }
    assert!(states.is_sorted() && states.last() == Some(&50), "{states:?}");
}

#[tokio::test]
async fn area_decides_who_sees_what_stands_in_it() {
    let (villa, flat) = paired().await;
    let place = |area: &str| Register {
        entity_id: "light.spot".into(),
        shared: false,
        home: None,
        metadata: serde_json::from_value(serde_json::json!({"area": area})).expect("an object"),
        class: Some(Class::Document),
    };
    villa.node().register(place("Kitchen")).await.expect("registered");
    villa.set("light.spot", "on").await.expect("set");
    villa.share("area:Kitchen", "flat", Right::Read).await;
    flat.sees("villa/light.spot", Some("on")).await;
    villa.node().register(place("Attic")).await.expect("moved");
    flat.sees("villa/light.spot", None).await;
}

#[tokio::test]
async fn pattern_takes_back_whatever_it_covers() {
    let (villa, flat) = paired().await;
    for entity in ["light.hall", "light.attic", "switch.pump"] {
        villa.set(entity, "on").await.expect("set");
    }
    villa.share("light.hall", "flat", Right::Read).await;
    villa.share("*", "flat", Right::Read).await;
    flat.sees("light.attic", Some("on")).await;
    let plan = villa.unshare("light.*", &["flat"]).await;
    assert_eq!(plan.removed, ["light.attic", "light.hall"]);
    flat.sees("light.hall", None).await;
    // What comes later is no longer covered either, though the wider rule stands.
    villa.set("light.later", "on").await.expect("set");
    villa.set("switch.later", "on").await.expect("set");
    flat.sees("switch.later", Some("on")).await;
    assert_eq!((flat.state("light.later").await, flat.state("light.attic").await), (None, None));
    // And shared again it is all there, nothing was set apart.
    villa.share("light.*", "flat", Right::Read).await;
    flat.sees("light.hall", Some("on")).await;
    flat.sees("light.later", Some("on")).await;
}

#[tokio::test]
async fn risky_entities_go_with_the_pattern_that_brought_them() {
    let (villa, flat) = paired().await;
    villa.set("lock.door", "locked").await.expect("set");
    let locks = ShareRequest {
        patterns: vec!["lock.*".into()],
        with: vec!["flat".into()],
        right: Right::Control,
        preview: false,
        yes: true,
    };
    villa.node().share(locks).await.expect("shared");
    flat.sees("lock.door", Some("locked")).await;
    assert_eq!(villa.unshare("lock.*", &[]).await.removed, ["lock.door"]);
    flat.sees("lock.door", None).await;
}

#[tokio::test]
async fn pattern_does_not_share_a_lock_by_the_way() {
    let (villa, flat) = paired().await;
    villa.share("*", "flat", Right::Read).await;
    villa.set("lock.door", "locked").await.expect("set");
    villa.set("light.hall", "on").await.expect("set");
    flat.sees("light.hall", Some("on")).await;
    assert_eq!(flat.state("villa/lock.door").await, None);
    let all = ShareRequest {
        patterns: vec!["*".into()],
        with: vec!["flat".into()],
        right: Right::Read,
        preview: false,
        yes: false,
    };
    let asked = villa.node().share(all.clone()).await.expect("planned");
    assert_eq!((asked.applied, asked.risky), (false, vec!["lock.door".to_owned()]));
    assert!(villa.node().share(ShareRequest { yes: true, ..all }).await.expect("shared").applied);
    flat.sees("lock.door", Some("locked")).await;
}

#[tokio::test]
async fn entity_that_nobody_registered_is_in_the_registry_all_the_same() {
    let (villa, flat) = paired().await;
    for entity in ["light.hall", "light.attic", "lock.door"] {
        villa.set(entity, "on").await.expect("set");
    }
    villa.share("light.hall", "flat", Right::Read).await;
    let all = villa.node().registry().await.expect("it answers");
    let shared: Vec<_> = all.iter().map(|entity| (entity.entity_id.as_str(), entity.shared)).collect();
    assert_eq!(shared, [("light.attic", false), ("light.hall", true), ("lock.door", false)]);

    villa.share("light.*", "flat", Right::Read).await;
    villa.unshare("light.attic", &[]).await;
    let shared = async |id: &str| villa.node().registered(id.into()).await.expect("known").shared;
    assert!(!shared("light.attic").await, "taken out of the pattern");
    let all = RegisterChange { shared: Some(true), ..RegisterChange::default() };
    villa.node().change_registered("light.attic".into(), all).await.expect("changed");
    assert!(shared("light.attic").await);
    flat.sees("light.attic", Some("on")).await;
}

#[tokio::test]
async fn loose_cable_does_not_make_homes_wait_longer_and_longer() {
    let (villa, flat) = (House::new("villa"), House::new("flat"));
    let way = Way::to(villa.address()).await;
    pair(&villa, &flat, way.address.clone()).await;
    let begun = Instant::now();
    for _ in 0..5 {
        way.cut.send_modify(|cuts| *cuts += 1);
        eventually("the cut is noticed", async || !online(&flat).await || !online(&villa).await).await;
        eventually("both are back", async || online(&flat).await && online(&villa).await).await;
    }
    // With pauses that double it would be half a minute.
    assert!(begun.elapsed() < Duration::from_secs(15), "all back after {:?}", begun.elapsed());
}

#[tokio::test]
async fn time_that_a_question_waited_for_the_network_is_no_round_trip() {
    let (villa, flat) = (House::new("villa"), House::new("flat"));
    let way = Way::to(villa.address()).await;
    pair(&villa, &flat, way.address.clone()).await;
    let round_trip = async || flat.node().status().await.expect("it answers").peers[0].rtt_ms;
    flat.set("input_text.note", "milk").await.expect("set");
    flat.share("input_text.note", "villa", Right::Edit).await;
    villa.sees("input_text.note", Some("milk")).await;
    way.held_up.send_replace(true);
    flat.set("input_text.note", "bread").await.expect("set");
    tokio::time::sleep(Duration::from_millis(5_000)).await; // the answer is overdue, and asked for
    way.held_up.send_replace(false);
    villa.sees("input_text.note", Some("bread")).await;
    for _ in 0..100 {
        assert!(round_trip().await.is_none_or(|ms| ms < 900.0), "{:?} ms", round_trip().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn paired_home_is_paired_anew_by_its_name_alone_where_its_address_is_known() {
    let (villa, flat) = paired().await; // the flat has come to the villa
    let shown = flat.node().pair_show().await.expect("a code");
    let refused = villa.node().pair_accept(Secret::new(shown.code), Some("flat".into())).await;
    assert!(
        matches!(&refused, Err(NodeError::Unreachable { home, reason }) if home == "flat" && reason.contains("address")),
        "{refused:?}"
    );
    for with in [Some("villa".to_owned()), None] {
        villa.node().unpair("flat".into()).await.expect("it was paired");
        eventually("the flat has heard", async || !online(&flat).await).await;
        let shown = villa.node().pair_show().await.expect("a code");
        let paired = flat.node().pair_accept(Secret::new(shown.code), with).await;
        assert_eq!(paired.expect("the flat knows the way").name, "villa");
        eventually("both are online", async || online(&villa).await && online(&flat).await).await;
    }
}
