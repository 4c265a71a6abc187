//! Discovery for real: on loopback with an mDNS port of its own, between network namespaces, beside Avahi, under a flood.

#[path = "discovery/avahi.rs"]
mod avahi;
#[path = "discovery/flood.rs"]
mod flood;
#[path = "discovery/houses.rs"]
mod houses;
#[path = "discovery/loopback.rs"]
mod loopback;
#[path = "support/netns.rs"]
mod netns;

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use crosshome_node::discovery::{Announcement, Discovery, Settings, Sighting};

/// Longest wait for something that mDNS does within a second or two, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts discovery on loopback with an mDNS port that nobody else has.
fn on_loopback(mdns_port: u16) -> Discovery {
    Discovery::start(Settings { mdns_port, interfaces: vec!["lo".into()], ..Settings::default() })
        .expect("loopback works")
}

/// Starts discovery as a daemon does.
fn on_the_network() -> Discovery {
    Discovery::start(Settings::default()).expect("the namespace's port is free")
}

/// Asks the system for a free UDP port.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
    socket.local_addr().expect("bound").port()
}

fn villa() -> Announcement {
    Announcement::new("id-of-villa", "Villa", 8765)
}

fn chalet() -> Announcement {
    Announcement::new("id-of-chalet", "Chalet", 8766)
}

/// Waits until `look` returns something.
async fn wait_for<T>(what: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {}", what());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until `discovery` has this home in sight as `wanted` says.
async fn sees(discovery: &Discovery, id: &str, wanted: impl Fn(&Sighting) -> bool) -> Sighting {
    let what = || format!("{id} among {:#?}", discovery.sightings());
    wait_for(what, || discovery.sightings().into_iter().find(|home| home.id == id && wanted(home))).await
}

/// Waits until this home is out of sight.
async fn loses(discovery: &Discovery, id: &str) {
    wait_for(
        || format!("the loss of {id}"),
        || discovery.sightings().iter().all(|home| home.id != id).then_some(()),
    )
    .await;
}

/// Waits until our announcement is out and returns its instance name.
async fn announced(discovery: &Discovery) -> String {
    wait_for(|| "the announcement".into(), || discovery.announced()).await
}

/// Runs a test's async part on this thread alone, so that it stays in its namespace.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
