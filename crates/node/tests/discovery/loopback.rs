//! Two homes on one computer.

use std::{net::IpAddr, time::Duration};

use crosshome_node::discovery::{
    Announcement, Discovery, DiscoveryError, DiscoveryEvent, Settings, Sighting,
};

use super::{announced, chalet, free_port, loses, on_loopback, sees, villa, wait_for};

#[tokio::test]
async fn two_homes_find_each_other_and_see_all_that_was_said() {
    let port = free_port();
    let (villa_side, chalet_side) = (on_loopback(port), on_loopback(port));
    villa_side.publish(villa()).await.expect("fit");
    chalet_side.publish(chalet()).await.expect("fit");

    let seen = sees(&villa_side, "id-of-chalet", |_| true).await;
    sees(&chalet_side, "id-of-villa", |_| true).await;

    let said = chalet();
    assert_eq!((&seen.home_name, seen.port, &seen.version), (&said.home_name, said.port, &said.version));
    assert_eq!((seen.proto, &seen.caps), (said.proto, &said.caps));
    assert_eq!(seen.instance_name, "Chalet");
    assert!(seen.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{seen:?}");
    assert_eq!(villa_side.sightings().len(), 1, "a home does not see itself");
    villa_side.stop().await;
    chalet_side.stop().await;
}

#[tokio::test]
async fn changes_are_updates_and_goodbye_is_a_loss() {
    let port = free_port();
    let (villa_side, chalet_side) = (on_loopback(port), on_loopback(port));
    let mut events = villa_side.subscribe();
    chalet_side.publish(chalet()).await.expect("fit");
    let Some(DiscoveryEvent::Found(found)) = events.recv().await else { panic!("not found") };
    assert_eq!(found.id, "id-of-chalet");
    announced(&chalet_side).await;

    chalet_side.publish(Announcement { version: "9.9.9".into(), ..chalet() }).await.expect("fit");
    sees(&villa_side, "id-of-chalet", |home| home.version == "9.9.9").await;
    chalet_side.publish(Announcement { port: 4711, ..chalet() }).await.expect("fit");
    sees(&villa_side, "id-of-chalet", |home| home.port == 4711 && home.version != "9.9.9").await;
    chalet_side.publish(Announcement { home_name: "Alm".into(), ..chalet() }).await.expect("fit");
    sees(&villa_side, "id-of-chalet", |home| home.instance_name == "Alm" && home.home_name == "Alm").await;
    assert_eq!(villa_side.sightings().len(), 1);

    chalet_side.stop().await;
    let mut told = Vec::new();
    while let Some(event) = events.recv().await {
        let lost = event == DiscoveryEvent::Lost { id: "id-of-chalet".into() };
        told.push(event);
        if lost {
            break;
        }
    }
    let updates = told.iter().filter(|event| matches!(event, DiscoveryEvent::Updated(_))).count();
    assert_eq!(updates, told.len() - 1, "from found to lost only updates: {told:?}");
    assert!(updates >= 3);
    villa_side.stop().await;
    assert_eq!(events.recv().await, None, "events end with discovery");
}

#[tokio::test]
async fn second_home_of_a_name_gets_a_number_and_its_id_tells_them_apart() {
    let port = free_port();
    let (first, second, third) = (on_loopback(port), on_loopback(port), on_loopback(port));
    first.publish(villa()).await.expect("fit");
    assert_eq!(announced(&first).await, "Villa");
    second.publish(Announcement { id: "id-of-other".into(), port: 1234, ..villa() }).await.expect("fit");

    wait_for(|| "the second name".into(), || (second.announced()? == "Villa (2)").then_some(())).await;
    let seen = sees(&third, "id-of-other", |home| home.instance_name == "Villa (2)").await;
    assert_eq!((seen.home_name.as_str(), seen.port), ("Villa", 1234));
    sees(&third, "id-of-villa", |home| home.instance_name == "Villa" && home.port == 8765).await;
    assert_eq!(third.sightings().len(), 2);
    assert_eq!(first.announced().as_deref(), Some("Villa"), "the first one keeps its name");
    for discovery in [first, second, third] {
        discovery.stop().await;
    }
}

#[tokio::test]
async fn withdrawn_home_goes_on_looking_and_can_come_back() {
    let port = free_port();
    let (villa_side, chalet_side) = (on_loopback(port), on_loopback(port));
    villa_side.publish(villa()).await.expect("fit");
    sees(&chalet_side, "id-of-villa", |_| true).await;
    villa_side.withdraw().await.expect("running");
    assert_eq!(villa_side.announced(), None);
    loses(&chalet_side, "id-of-villa").await;

    chalet_side.publish(chalet()).await.expect("fit");
    sees(&villa_side, "id-of-chalet", |_| true).await;
    villa_side.publish(villa()).await.expect("fit");
    sees(&chalet_side, "id-of-villa", |_| true).await;
    villa_side.stop().await;
    chalet_side.stop().await;
}

#[tokio::test]
async fn instance_name_may_be_another_than_the_home_is_called() {
    let port = free_port();
    let settings = |name: &str| Settings {
        mdns_port: port,
        interfaces: vec!["lo".into()],
        instance_name: Some(name.into()),
    };
    let villa_side = Discovery::start(settings("CoPilot")).expect("loopback works");
    let chalet_side = on_loopback(port);
    villa_side.publish(villa()).await.expect("fit");
    let named = |home: &Sighting| home.instance_name == "CoPilot" && home.home_name == "Villa";
    sees(&chalet_side, "id-of-villa", named).await;
    villa_side.publish(Announcement { home_name: "Alm".into(), ..villa() }).await.expect("fit");
    sees(&chalet_side, "id-of-villa", |home| home.instance_name == "CoPilot" && home.home_name == "Alm")
        .await;
    villa_side.stop().await;
    chalet_side.stop().await;
    for name in ["", "a\u{7}b"] {
        assert!(matches!(Discovery::start(settings(name)), Err(DiscoveryError::Announcement(_))), "{name:?}");
    }
}

#[tokio::test]
async fn borrower_stops_what_it_has_announced_and_looking_goes_on() {
    let port = free_port();
    let (villa_side, chalet_side) = (on_loopback(port), on_loopback(port));
    let borrowed = villa_side.lend();
    borrowed.publish(villa()).await.expect("fit");
    sees(&chalet_side, "id-of-villa", |_| true).await;
    borrowed.stop().await;
    loses(&chalet_side, "id-of-villa").await;
    chalet_side.publish(chalet()).await.expect("fit");
    sees(&villa_side, "id-of-chalet", |_| true).await;

    villa_side.stop().await;
    assert!(matches!(borrowed.publish(villa()).await, Err(DiscoveryError::Stopped)));
    chalet_side.stop().await;
}

#[tokio::test]
async fn names_with_dots_backslashes_and_umlauts_arrive_as_they_are() {
    let port = free_port();
    let (villa_side, chalet_side) = (on_loopback(port), on_loopback(port));
    let name = "St. Anton \\ Hütte 🏔";
    villa_side.publish(Announcement { home_name: name.into(), ..villa() }).await.expect("fit");
    sees(&chalet_side, "id-of-villa", |home| home.home_name == name).await;
    villa_side.stop().await;
    loses(&chalet_side, "id-of-villa").await;
    chalet_side.stop().await;
}

#[tokio::test]
async fn browsing_finds_who_was_there_before() {
    let port = free_port();
    let villa_side = on_loopback(port);
    villa_side.publish(villa()).await.expect("fit");
    announced(&villa_side).await;
    let late = on_loopback(port);
    let mut found = late.browse_for(Duration::from_secs(1)).await;
    for _ in 0..10 {
        if !found.is_empty() {
            break;
        }
        found = late.browse_for(Duration::from_secs(1)).await;
    }
    assert_eq!(found.iter().map(|home| home.id.as_str()).collect::<Vec<_>>(), ["id-of-villa"]);
    villa_side.stop().await;
    late.stop().await;
}

#[tokio::test]
async fn what_others_would_refuse_is_not_announced() {
    let discovery = on_loopback(free_port());
    let refused = discovery.publish(Announcement { home_name: "a\u{7}b".into(), ..villa() }).await;
    assert!(matches!(refused, Err(DiscoveryError::Announcement(_))), "{refused:?}");
    discovery.stop().await;
    discovery.stop().await;
    assert!(matches!(discovery.publish(villa()).await, Err(DiscoveryError::Stopped)));
}

#[tokio::test]
async fn port_of_a_program_that_does_not_share_is_an_error() {
    let alone = std::net::UdpSocket::bind("0.0.0.0:0").expect("a free port");
    let mdns_port = alone.local_addr().expect("bound").port();
    let refused =
        Discovery::start(Settings { mdns_port, interfaces: vec!["lo".into()], ..Settings::default() });
    assert!(matches!(refused, Err(DiscoveryError::Port(port, _)) if port == mdns_port));
}
