//! Commands between two homes: every way in which one can end, cut links, and homes that die in between.

use std::time::Duration;

use crosshome_core::{intent::Wish, update};
use crosshome_node::{
    bridge::simulated,
    node::{Call, Command, News, NodeError, Report, Update},
    views::{EntityView, Right},
};
use tokio::sync::mpsc;

use crate::{
    homes::Way,
    houses::{House, eventually, named, online, pair, paired},
};

/// The devices of the simulated house that the flat may command.
const DEVICES: [&str; 4] = ["light.hall", "lock.cellar", "cover.awning", "valve.garden"];

/// A villa with the simulated house behind it, and a flat that may command it.
async fn scene() -> (House, House) {
    let (villa, flat) = paired().await;
    tokio::spawn(simulated::live(villa.node().clone(), simulated::House::new(1)));
    eventually("the house reports", async || villa.state("valve.garden").await.is_some()).await;
    share(&villa, &flat, &DEVICES).await;
    (villa, flat)
}

async fn share(villa: &House, flat: &House, ids: &[&str]) {
    for id in ids {
        villa.share(id, "flat", Right::Control).await;
        let there = async || flat.node().entity(named(id)).await.is_ok();
        eventually(&format!("{id} is shared"), there).await;
    }
}

/// Takes the place of the house: the test decides what becomes of each command.
async fn by_hand(villa: &House, flat: &House) -> mpsc::Receiver<Command> {
    report(villa, "light.hall", "off").await;
    let commands = villa.node().attach().await.expect("attached");
    share(villa, flat, &["light.hall"]).await;
    commands
}

async fn report(villa: &House, id: &str, state: &str) {
    let report = Report {
        entity_id: id.parse().expect("an entity id"),
        update: update::Update::state(state),
        class: Some(crosshome_core::table::Class::Device),
    };
    villa.node().report(vec![report]).await.expect("reported");
}

async fn asked(home: &House, id: &str, state: &str) -> EntityView {
    let update = Update { state: Some(state.into()), wait: false, ..Update::default() };
    home.node().update_entity(named(id), update).await.expect("it is on its way")
}

async fn next(commands: &mut mpsc::Receiver<Command>) -> Command {
    tokio::time::timeout(Duration::from_secs(20), commands.recv()).await.expect("in time").expect("open")
}

async fn status(home: &House, id: &str) -> Option<String> {
    Some(home.node().entity(named(id)).await.ok()?.pending?.status)
}

async fn becomes(home: &House, id: &str, wanted: Option<&str>) {
    let is = async || status(home, id).await.as_deref() == wanted;
    eventually(&format!("{id} is {wanted:?}"), is).await;
}

fn wanted(command: &Command) -> String {
    match &command.wish {
        Wish::Set { state: Some(state), .. } => state.as_str().to_owned(),
        Wish::Set { .. } => String::new(),
        Wish::Call { service, .. } => service.to_string(),
    }
}

#[tokio::test]
async fn simulated_house_shows_settled_rejected_and_expired() {
    let (_villa, flat) = scene().await;
    let lit = flat.set("light.hall", "off").await.expect("it obeys");
    assert_eq!((lit.state.as_deref(), lit.pending.is_none()), (Some("off"), true));
    let refused = flat.set("lock.cellar", "unlocked").await.expect_err("it is jammed");
    assert!(
        matches!(&refused, NodeError::Refused { reason, .. } if reason == "the bolt is jammed"),
        "{refused}"
    );
    let (silent, late) = tokio::join!(flat.set("cover.awning", "open"), flat.set("valve.garden", "open"));
    for over in [silent, late] {
        assert!(matches!(over, Err(NodeError::TimedOut { seconds: 10, .. })), "{over:?}");
    }
    assert_eq!(flat.state("valve.garden").await.as_deref(), Some("closed"), "what was hoped for is given up");
    flat.sees("valve.garden", Some("open")).await; // much too late
}

#[tokio::test]
async fn wanted_state_is_shown_at_once_and_older_reports_do_not_shine_through() {
    let (villa, flat) = paired().await;
    let mut house = by_hand(&villa, &flat).await;
    let mut heard = flat.node().subscribe().expect("it runs");
    let view = asked(&flat, "light.hall", "on").await;
    let pending = view.pending.expect("it is on its way");
    assert_eq!((view.state.as_deref(), pending.status.as_str()), (Some("on"), "sent"));
    assert_eq!(pending.wanted.get(), r#"{"state":"on","attributes":{}}"#);
    let command = next(&mut house).await;
    becomes(&flat, "light.hall", Some("accepted")).await;
    report(&villa, "light.hall", "dim").await;
    command.done.send(Ok(())).expect("the home listens");
    becomes(&flat, "light.hall", Some("applied")).await;
    report(&villa, "light.hall", "on").await;
    becomes(&flat, "light.hall", None).await;
    let mut seen = Vec::new();
    while let Ok(notice) = heard.try_recv() {
        if let News::Entity(view) = &notice.news {
            seen.push((
                view.state.clone().unwrap_or_default(),
                view.pending.as_ref().map(|p| p.status.clone()),
            ));
        }
    }
    assert!(seen.iter().all(|(state, _)| state == "on"), "{seen:?}");
    let mut statuses: Vec<_> = seen.iter().map(|(_, status)| status.as_deref().unwrap_or("shown")).collect();
    statuses.dedup();
    for status in ["sent", "accepted", "applied", "shown"] {
        assert!(statuses.contains(&status), "{statuses:?}");
    }
}

#[tokio::test]
async fn refused_command_gives_way_to_what_the_device_shows() {
    let (villa, flat) = paired().await;
    let mut house = by_hand(&villa, &flat).await;
    asked(&flat, "light.hall", "on").await;
    let command = next(&mut house).await;
    assert_eq!(flat.state("light.hall").await.as_deref(), Some("on"));
    command.done.send(Err("the bulb is broken".into())).expect("the home listens");
    flat.sees("light.hall", Some("off")).await;
    assert_eq!(status(&flat, "light.hall").await, None);
    for home in [&villa, &flat] {
        let on_record =
            async || outcomes(home).await.contains(&"command: rejected: the bulb is broken".into());
        eventually("the history has it", on_record).await;
    }
}

async fn outcomes(home: &House) -> Vec<String> {
    let history = home.node().history(named("light.hall")).await.expect("it is kept");
    history.versions.into_iter().map(|version| version.outcome.unwrap_or_default()).collect()
}

#[tokio::test]
async fn later_set_supersedes_and_pulses_all_count() {
    let (villa, flat) = paired().await;
    let mut house = by_hand(&villa, &flat).await;
    let call = || Call { service: "toggle".into(), data: Default::default(), wait: true };
    let (first, one, other, last) = tokio::join!(
        flat.set("light.hall", "on"),
        flat.node().call(named("light.hall"), call()),
        flat.node().call(named("light.hall"), call()),
        async {
            let (mut got, mut held) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                let command = next(&mut house).await;
                got.push(wanted(&command));
                match got.len() {
                    1 => held.push(command),
                    _ => command.done.send(Ok(())).expect("the home listens"),
                }
            }
            assert_eq!(got, [r#""on""#, "light.toggle", "light.toggle"]);
            asked(&flat, "light.hall", "dim").await;
            assert_eq!(wanted(&next(&mut house).await), r#""dim""#);
            report(&villa, "light.hall", "dim").await;
        }
    );
    assert!(matches!(first, Err(NodeError::Refused { .. })), "{first:?}");
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let () = last;
    becomes(&flat, "light.hall", None).await;
}

#[tokio::test]
async fn command_waits_for_its_home_and_one_that_is_repeated_is_done_once() {
    let (villa, flat) = (House::new("villa"), House::new("flat"));
    let way = Way::to(villa.address()).await;
    pair(&villa, &flat, way.address.clone()).await;
    let mut house = by_hand(&villa, &flat).await;
    let (done, ()) = tokio::join!(flat.set("light.hall", "on"), async {
        let command = next(&mut house).await;
        way.cut.send_modify(|count| *count += 1);
        command.done.send(Ok(())).expect("the home listens");
        report(&villa, "light.hall", "on").await;
    });
    assert_eq!(done.expect("told over the next link").state.as_deref(), Some("on"));
    assert!(house.try_recv().is_err(), "it came twice and was done once");
}

#[tokio::test]
async fn command_to_a_home_that_is_away_is_queued_and_carried_out_when_it_is_back() {
    let (mut villa, flat) = (House::new("villa"), House::new("flat"));
    let address = villa.address();
    pair(&villa, &flat, address).await;
    drop(by_hand(&villa, &flat).await);
    villa.stop().await;
    becomes(&flat, "light.hall", None).await;
    eventually("the villa is gone", async || !online(&flat).await).await;
    let view = asked(&flat, "light.hall", "on").await;
    assert_eq!(view.pending.map(|pending| pending.status).as_deref(), Some("queued"));
    villa.start();
    let mut house = villa.node().attach().await.expect("attached");
    // Its port is new: the villa is told where the flat is.
    let shown = flat.node().pair_show().await.expect("a code");
    let code = crosshome_node::node::Secret::new(shown.code);
    villa.node().pair_accept(code, Some(flat.address())).await.expect("paired again");
    assert_eq!(wanted(&next(&mut house).await), r#""on""#);
}

#[tokio::test]
async fn set_made_without_knowing_of_a_newer_report_is_stale() {
    let (villa, flat) = (House::new("villa"), House::new("flat"));
    let way = Way::to(villa.address()).await;
    pair(&villa, &flat, way.address.clone()).await;
    let mut house = by_hand(&villa, &flat).await;
    way.held_up.send_replace(true);
    way.cut.send_modify(|count| *count += 1);
    eventually("the link is lost", async || !online(&flat).await).await;
    let (stale, ()) = tokio::join!(flat.set("light.hall", "on"), async {
        becomes(&flat, "light.hall", Some("queued")).await;
        tokio::time::sleep(Duration::from_millis(5)).await; // what both do in one millisecond has no order
        report(&villa, "light.hall", "dim").await; // somebody is at the switch
        way.held_up.send_replace(false);
    });
    let stale = stale.expect_err("it was made in ignorance");
    assert!(
        matches!(&stale, NodeError::Refused { reason, .. } if reason.contains("changed since")),
        "{stale}"
    );
    flat.sees("light.hall", Some("dim")).await;
    assert!(house.try_recv().is_err());
}

#[tokio::test]
async fn command_to_a_home_that_stays_away_expires_and_leaves_no_trace_in_the_picture() {
    let (mut villa, flat) = paired().await;
    report(&villa, "cover.gate", "closed").await;
    share(&villa, &flat, &["cover.gate"]).await;
    villa.stop().await;
    let over = flat.set("cover.gate", "open").await;
    assert!(matches!(over, Err(NodeError::TimedOut { seconds: 10, .. })), "{over:?}");
    assert_eq!(flat.state("cover.gate").await.as_deref(), Some("closed"));
}

#[tokio::test]
async fn owner_that_is_restarted_does_not_carry_out_again_and_the_sender_is_told() {
    let (mut villa, flat) = (House::new("villa"), House::new("flat"));
    let address = villa.address();
    pair(&villa, &flat, address).await;
    let mut house = by_hand(&villa, &flat).await;
    let asking = flat.node().clone();
    let update = Update { state: Some("on".into()), ..Update::default() };
    let asked = tokio::spawn(async move { asking.update_entity(named("light.hall"), update).await });
    let _given = next(&mut house).await;
    villa.stop().await;
    villa.start();
    let mut house = villa.node().attach().await.expect("attached");
    let shown = flat.node().pair_show().await.expect("a code");
    let code = crosshome_node::node::Secret::new(shown.code);
    villa.node().pair_accept(code, Some(flat.address())).await.expect("paired again");
    let told = asked.await.expect("it ends").expect_err("nobody knows");
    assert!(matches!(&told, NodeError::Refused { reason, .. } if reason.contains("not known")), "{told}");
    assert!(house.try_recv().is_err(), "it was carried out again");
}

#[tokio::test]
async fn command_to_a_device_of_this_home_takes_the_same_way() {
    let (villa, flat) = paired().await;
    let mut house = by_hand(&villa, &flat).await;
    asked(&villa, "light.hall", "on").await;
    let command = next(&mut house).await;
    becomes(&villa, "light.hall", Some("accepted")).await;
    assert_eq!(flat.state("light.hall").await.as_deref(), Some("off"), "others see what the device reports");
    command.done.send(Ok(())).expect("the home listens");
    report(&villa, "light.hall", "on").await;
    becomes(&villa, "light.hall", None).await;
}
