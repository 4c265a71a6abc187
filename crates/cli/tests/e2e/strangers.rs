//! Strangers at the door, and a paired home that misbehaves: who is well-behaved does not notice.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Home, Rogue, eventually, pair, tell, within};

/// What one more stranger or rogue may cost in all (T19, T21), with room for an allocator that keeps what it has.
const MEMORY_KIB: u64 = 24 * 1024;

/// How long a change may take to the next home meanwhile; on a quiet machine it takes a few milliseconds.
const LATENCY: Duration = Duration::from_secs(2);

/// Longest time until a peer that takes nothing is let go: 30 s without progress (T19), or three heartbeats and one more.
const GIVEN_UP: Duration = Duration::from_secs(75);

fn villa_and_flat() -> (Home, Home) {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::on_loopback("Flat"));
    for home in [&mut villa, &mut flat] {
        home.log("info");
        home.start();
    }
    pair(&mut villa, &mut flat);
    villa.json(&["entity", "set", "light.hall", "start"]);
    villa.json(&["share", "light.*", "--with", "Flat"]);
    flat.sees("light.hall", "start");
    (villa, flat)
}

/// Returns the longest of some ways from one home to the other.
#[track_caller]
fn slowest(villa: &Home, flat: &Home, rounds: usize) -> Duration {
    let way = |round: usize| {
        let (state, start) = (format!("round {round} {:?}", Instant::now()), Instant::now());
        assert!(villa.put("light.hall", &state).expect("it runs").ok());
        flat.sees("light.hall", &state);
        start.elapsed()
    };
    (0..rounds).map(way).max().unwrap_or_default()
}

fn open_files(home: &Home) -> usize {
    fs::read_dir(format!("/proc/{}/fd", home.pid())).expect("it runs").count()
}

#[test]
fn crowd_at_the_door_is_not_noticed_by_those_inside() {
    let (villa, flat) = villa_and_flat();
    let address = villa.address();
    let before = slowest(&villa, &flat, 5);
    let (memory, files) = (villa.resident_kib(), open_files(&villa));
    let crowd: Vec<_> = (0..500)
        .filter_map(|n| {
            let mut stream = TcpStream::connect(&address).ok()?;
            let begun =
                ["", "G", "GET /v1/peer HTTP/1.1\r\nHost: x\r\n", "\u{16}\u{3}\u{1}", "{\"hello\": 1}\n"]
                    [n % 5];
            let _ = stream.write_all(begun.as_bytes());
            Some(stream)
        })
        .collect();
    let opened = crowd.len();
    let dripping = thread::spawn(move || {
        for _ in 0..20 {
            crowd.iter().for_each(|mut stream| drop(stream.write(b"x")));
            thread::sleep(Duration::from_millis(100));
        }
    });
    let meanwhile = slowest(&villa, &flat, 20);
    let grown = villa.resident_kib().saturating_sub(memory);
    tell(&format!("{opened} strangers: slowest {meanwhile:?} against {before:?}, {grown} KiB more"));
    assert!(opened > 400 && meanwhile < LATENCY && grown < MEMORY_KIB, "{opened} {meanwhile:?} {grown}");
    dripping.join().expect("no panic");
    eventually("the strangers to be gone", || (open_files(&villa) <= files + 2).then_some(()));
    assert!(villa.peer("Flat").is_some_and(|peer| peer["state"] == "online"));
}

#[test]
fn paired_home_that_never_reads_costs_little_and_slows_nobody() {
    let (mut villa, flat) = villa_and_flat();
    let rogue = Rogue::paired_with(&mut villa);
    villa.json(&["share", "light.*", "--with", "Rogue"]);
    fill(&villa, 4_000);
    flat.sees("light.n3999", &noise(3_999));
    let (before, memory) = (slowest(&villa, &flat, 5), villa.resident_kib());
    let link = rogue.say_hello(&villa);
    eventually("the rogue to count as online", || {
        villa.peer("Rogue").filter(|peer| peer["state"] == "online")
    });
    for n in 0..2_000 {
        assert!(villa.put(&format!("light.n{n}"), &noise(n + 1)).expect("it runs").ok());
    }
    let meanwhile = slowest(&villa, &flat, 20);
    let grown = villa.resident_kib().saturating_sub(memory);
    tell(&format!("a rogue that never reads: slowest {meanwhile:?} against {before:?}, {grown} KiB more"));
    assert!(meanwhile < LATENCY && grown < MEMORY_KIB, "{meanwhile:?} {grown}");
    within(GIVEN_UP, "the rogue to be given up", || {
        villa.peer("Rogue").filter(|peer| peer["state"] != "online")
    });
    drop(link);
    flat.in_sync_with("Villa");
}

/// Gives many entities values that no compression makes small.
fn fill(home: &Home, count: usize) {
    thread::scope(|scope| {
        for part in 0..4 {
            let door = home.writer();
            scope.spawn(move || {
                for n in (part..count).step_by(4) {
                    let reply = door.put(&format!("light.n{n}"), &noise(n)).expect("it runs");
                    assert!(reply.ok(), "{reply:?}");
                }
            });
        }
    });
}

fn noise(seed: usize) -> String {
    let next =
        |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let numbers = std::iter::successors(Some(seed as u64), next).skip(1);
    numbers.take(1_500).map(|x| char::from(b'a' + ((x >> 33) % 26) as u8)).collect()
}

#[test]
fn who_speaks_without_encryption_is_turned_away() {
    let (mut villa, mut flat) = villa_and_flat();
    let upgrade = "GET /v1/peer HTTP/1.1\r\nHost: villa\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let protocol = "Sec-WebSocket-Protocol: crosshome.v1\r\n";
    for (request, upgraded) in [
        (format!("{upgrade}\r\n"), false),
        (format!("{upgrade}{protocol}Origin: http://villa\r\n\r\n"), false),
        (format!("{upgrade}{protocol}\r\n"), true),
        ("GET / HTTP/1.1\r\nHost: villa\r\n\r\n".to_owned(), false),
        ("{\"type\": \"hello\", \"home\": \"Flat\"}\n\n".to_owned(), false),
    ] {
        let mut stream = TcpStream::connect(villa.address()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).unwrap_or(0);
        answer.truncate(count);
        // A masked frame of text, as a plain WebSocket client would send: {"a":1} under a mask of zeros.
        let _ = stream.write_all(b"\x81\x87\0\0\0\0{\"a\":1}");
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(text.starts_with("HTTP/1.1 101"), upgraded, "{request:?}: {text}");
        assert!(!text.contains("Villa") && !text.contains("light"), "{text}");
    }
    assert_eq!(slowest(&villa, &flat, 1).as_secs(), 0);
    let port = villa.status()["sync_port"].clone();
    villa.stop();
    let plain = TcpListener::bind(format!("127.0.0.1:{port}")).expect("free again");
    thread::spawn(move || {
        for mut stream in plain.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"{\"type\": \"hello\", \"home\": \"Villa\"}\n");
            let _ = stream.read(&mut [0; 512]);
        }
    });
    eventually("Flat to say that it is no home", || {
        let reason = flat.peer("Villa")?["reason"].as_str()?.to_owned();
        reason.contains("not crosshome").then_some(())
    });
    flat.stop();
}

#[test]
fn peer_that_may_send_only_so_much_a_second_waits_and_is_not_cut_off() {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::on_loopback("Flat"));
    flat.set("/sync/max_updates_per_s", 400);
    for home in [&mut villa, &mut flat] {
        home.log("info");
        home.start();
    }
    let count = 4_000;
    fill(&villa, count);
    pair(&mut villa, &mut flat);
    let start = Instant::now();
    villa.json(&["share", "light.*", "--with", "Flat"]);
    eventually("everything to arrive", || (flat.status()["entities"]["received"] == count).then_some(()));
    let took = start.elapsed();
    assert!(took > Duration::from_secs(5), "{count} entities in {took:?} in spite of the limit");
    assert!(!flat.log_text().contains("peer offline"), "{}", flat.log_tail());
}
