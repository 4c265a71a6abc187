//! Under a flood of fake homes (SECURITY T1): memory stays, the paired home stays, and what was real is seen afterwards.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use super::{announced, block_on, chalet, netns::Network, on_the_network, sees};

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(10);
/// Growth that SECURITY T1 allows.
const MAX_GROWTH: usize = 16 << 20;

/// Held by the flood that runs: they measure the memory of one process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn flood_of_fake_homes_costs_bounded_memory_and_hides_no_paired_home() {
    withstands(fake_home);
}

#[test]
fn flood_of_records_that_nobody_asked_for_costs_bounded_memory_and_hides_no_paired_home() {
    withstands(fake_host);
}

/// Floods a home that knows a paired one, with what `fake` makes of a number.
fn withstands(fake: fn(u32) -> Vec<u8>) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(network) = Network::new(3) else { return };
    wire_flooder(&network);
    let flooded = Arc::new(AtomicBool::new(false));
    let (seen, is_seen) = mpsc::channel::<()>();
    let (stop, stopped) = mpsc::channel::<()>();
    let friend = network.inside(1, move || {
        block_on(async {
            let discovery = on_the_network();
            discovery.publish(chalet()).await.expect("fit");
            announced(&discovery).await;
            let _ = tokio::task::spawn_blocking(move || stopped.recv()).await;
            discovery.stop().await;
        })
    });
    let over = flooded.clone();
    let watcher = network.inside(0, move || {
        block_on(async {
            let discovery = on_the_network();
            discovery.keep(["id-of-chalet".to_owned()]);
            sees(&discovery, "id-of-chalet", |_| true).await;
            let before = resident();
            let mut most = 0;
            seen.send(()).expect("test waits");
            while !over.load(Ordering::Relaxed) {
                assert!(discovery.sightings().len() <= 257);
                assert!(
                    discovery.sightings().iter().any(|home| home.id == "id-of-chalet"),
                    "the friend is lost"
                );
                most = most.max(resident());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let last = Instant::now();
            sees(&discovery, "id-of-chalet", |home| {
                home.last_seen.elapsed().is_ok_and(|age| age < last.elapsed())
            })
            .await;
            discovery.stop().await;
            most.saturating_sub(before)
        })
    });
    is_seen.recv_timeout(Duration::from_secs(30)).expect("friend seen");
    let sent = network.inside(2, move || flood(fake)).join().expect("flooder");
    flooded.store(true, Ordering::Relaxed);
    let growth = watcher.join().expect("watcher");
    drop(stop);
    friend.join().expect("friend");
    assert!(sent > 10_000, "{sent} are no flood");
    assert!(growth <= MAX_GROWTH, "{sent} fakes cost {} KiB", growth >> 10);
}

/// Gives house 2 a cable of its own to house 0, so that of the two homes in this process one is flooded.
fn wire_flooder(network: &Network) {
    network.plug(2, false);
    network.ip(0, &format!("link add eth1 type veth peer name eth1 netns {}", network.name(2)));
    for (house, address) in [(0, "10.78.0.1/24"), (2, "10.78.0.2/24")] {
        network.ip(house, &format!("addr add {address} dev eth1"));
        network.ip(house, "link set eth1 up");
    }
    network.ip(2, "route replace default dev eth1");
}

/// Bytes this process holds.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("resident pages") * 4096
}

/// Sends as many fakes as it can, at most ten thousand a second; returns how many.
fn flood(fake: fn(u32) -> Vec<u8>) -> usize {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < FLOOD {
        let due = start.elapsed().as_millis() as usize * 10;
        while sent < due {
            let _ = socket.send_to(&fake(sent as u32), (Ipv4Addr::new(224, 0, 0, 251), 5353));
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}

/// Returns a response with the PTR, SRV, TXT and A records of one fake home.
fn fake_home(number: u32) -> Vec<u8> {
    let instance: &[&str] = &[&format!("fake {number}"), "_copilot", "_tcp", "local"];
    let host: &[&str] = &[&format!("fake-{number}"), "local"];
    let mut srv = vec![0, 0, 0, 0, 0x22, 0x3d];
    srv.extend(name(host));
    let txt: Vec<u8> = [format!("id=fake{number}"), format!("home_id=Fake {number}")]
        .iter()
        .flat_map(|text| [&[text.len() as u8], text.as_bytes()].concat())
        .collect();
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    packet.extend(answer(&instance[1..], 12, &name(instance)));
    packet.extend(answer(instance, 33, &srv));
    packet.extend(answer(instance, 16, &txt));
    packet.extend(answer(host, 1, &(0x0b00_0000 + number).to_be_bytes()));
    packet
}

/// Returns a response with SRV and A records of a service that is not ours, and no PTR that leads there.
fn fake_host(number: u32) -> Vec<u8> {
    let instance: &[&str] = &[&format!("fake {number}"), "_other", "_tcp", "local"];
    let host: &[&str] = &[&format!("fake-{number}"), "local"];
    let mut srv = vec![0, 0, 0, 0, 0x22, 0x3d];
    srv.extend(name(host));
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0];
    packet.extend(answer(instance, 33, &srv));
    packet.extend(answer(host, 1, &(0x0b00_0000 + number).to_be_bytes()));
    packet
}

fn answer(owner: &[&str], kind: u8, data: &[u8]) -> Vec<u8> {
    let mut record = name(owner);
    record.extend([0, kind, 0, 1, 0, 0, 0x11, 0x94, 0, data.len() as u8]);
    record.extend(data);
    record
}

fn name(labels: &[&str]) -> Vec<u8> {
    let mut name: Vec<u8> =
        labels.iter().flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    name.push(0);
    name
}
