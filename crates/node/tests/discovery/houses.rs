//! Homes in network namespaces: multicast over a switch is the only way between them.

use std::{net::IpAddr, sync::mpsc, time::Duration};

use crosshome_node::discovery::Announcement;

use super::{announced, block_on, chalet, loses, netns::Network, on_the_network, sees, villa, wait_for};

#[test]
fn homes_in_two_houses_find_each_other_by_mdns_alone() {
    let Some(network) = Network::new(2) else { return };
    let there = IpAddr::from(network.address(1));
    let (stop, stopped) = mpsc::channel::<()>();
    let other = network.inside(1, move || {
        block_on(async {
            let discovery = on_the_network();
            discovery.publish(chalet()).await.expect("fit");
            let seen = sees(&discovery, "id-of-villa", |_| true).await;
            tokio::task::spawn_blocking(move || stopped.recv()).await.expect("joined").expect("told");
            discovery.stop().await;
            seen
        })
    });
    let own = network.inside(0, move || {
        block_on(async {
            let discovery = on_the_network();
            discovery.publish(villa()).await.expect("fit");
            let seen = sees(&discovery, "id-of-chalet", |_| true).await;
            assert_eq!((seen.addresses[0], seen.port), (there, 8766));
            assert!(seen.addresses.iter().all(|address| !address.is_loopback()));
            stop.send(()).expect("other side waits");
            loses(&discovery, "id-of-chalet").await;
            discovery.stop().await;
        })
    });
    own.join().expect("own side");
    let seen = other.join().expect("other side");
    assert_eq!(seen.addresses[0], IpAddr::from(network.address(0)));
}

#[test]
fn home_that_moves_to_another_address_is_followed() {
    let Some(network) = Network::new(2) else { return };
    let (moved, has_moved) = mpsc::channel::<()>();
    let (here, is_here) = mpsc::channel::<()>();
    let (done, is_done) = mpsc::channel::<()>();
    let mover = network.inside(1, move || {
        block_on(async {
            let discovery = on_the_network();
            discovery.publish(chalet()).await.expect("fit");
            announced(&discovery).await;
            here.send(()).expect("test waits");
            tokio::task::spawn_blocking(move || is_done.recv()).await.expect("joined").expect("told");
            discovery.stop().await;
        })
    });
    let watcher = network.inside(0, move || {
        block_on(async {
            let discovery = on_the_network();
            let before = sees(&discovery, "id-of-chalet", |_| true).await;
            assert_eq!(before.addresses[0], IpAddr::from([10, 77, 0, 2]));
            // An address heard within the last second is not dropped for a new one (RFC 6762 section 10.2).
            tokio::time::sleep(Duration::from_secs(3)).await;
            moved.send(()).expect("test waits");
            let new = IpAddr::from([10, 77, 0, 99]);
            sees(&discovery, "id-of-chalet", |home| home.addresses == [new]).await;
            discovery.stop().await;
        })
    });
    is_here.recv_timeout(Duration::from_secs(20)).expect("announced");
    has_moved.recv_timeout(Duration::from_secs(20)).expect("seen");
    network.ip(1, "addr del 10.77.0.2/24 dev eth0");
    network.ip(1, "addr add 10.77.0.99/24 dev eth0");
    network.ip(1, "route replace default dev eth0");
    watcher.join().expect("watcher");
    done.send(()).expect("mover waits");
    mover.join().expect("mover");
}

#[test]
fn homes_of_one_name_on_networks_grown_together_end_with_two_names() {
    let Some(network) = Network::new(2) else { return };
    network.plug(1, false);
    let live = |announcement: Announcement, other: &'static str, up: mpsc::Sender<()>| {
        move || {
            block_on(async {
                let discovery = on_the_network();
                discovery.publish(announcement).await.expect("fit");
                assert_eq!(announced(&discovery).await, "Villa");
                up.send(()).expect("test waits");
                let names = wait_for(
                    || format!("two names, {:?} and {:?}", discovery.announced(), discovery.sightings()),
                    || {
                        let own = discovery.announced()?;
                        let seen = discovery.sightings().into_iter().find(|home| home.id == other)?;
                        (seen.instance_name != own).then_some((own, seen.instance_name))
                    },
                )
                .await;
                tokio::time::sleep(Duration::from_secs(5)).await; // the other side has to see it as well
                discovery.stop().await;
                names
            })
        }
    };
    let (up, is_up) = mpsc::channel();
    let first = network.inside(0, live(villa(), "id-of-other", up.clone()));
    let second = Announcement { id: "id-of-other".into(), port: 99, ..villa() };
    let second = network.inside(1, live(second, "id-of-villa", up));
    for _ in 0..2 {
        is_up.recv_timeout(Duration::from_secs(20)).expect("both announced");
    }
    network.plug(1, true);
    let (first, second) = (first.join().expect("first"), second.join().expect("second"));
    assert_eq!(first, ("Villa (2)".into(), "Villa".into()), "the greater id yields");
    assert_eq!(second, ("Villa".into(), "Villa (2)".into()));
}
