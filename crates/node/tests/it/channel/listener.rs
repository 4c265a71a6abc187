//! The open port, peaceful and under siege.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crosshome_node::{
    channel::{Arrival, ChannelError, Door, Endpoint, ListenError, Listener, Pins, Target},
    defaults::HALF_OPEN_PER_NETWORK,
    identity::Identity,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::{Home, paired};

const ANY_LOOPBACK_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(10);

fn listen(home: &Home) -> (Listener, mpsc::Receiver<Arrival>) {
    Listener::open(ANY_LOOPBACK_PORT, home.endpoint.clone()).expect("a port is free")
}

/// Connects from another loopback address than everybody else in these tests.
async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Counts this machine's sockets with the local port `port` that are not listening; one that was closed shows no more.
fn open_at(port: u16) -> usize {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let wanted = format!(":{port:04X}");
    let open: HashSet<&str> = ["01", "08"].into(); // ESTABLISHED, and CLOSE_WAIT: the other side has gone, we have not
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let columns = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|columns| columns[1].ends_with(&wanted) && open.contains(columns[3])).count()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} did not come about"));
}

#[tokio::test]
async fn paired_home_arrives_over_tcp_and_talks() {
    let (villa, cabin) = paired();
    let (listener, mut arrivals) = listen(&villa);
    let dialed = cabin.endpoint.dial(&listener.address().to_string(), villa.sync()).await.unwrap();
    let arrival = arrivals.recv().await.unwrap();
    assert_eq!(arrival.secured.peer(), cabin.identity.key());
    assert!(arrival.address.ip().is_loopback());
    let ((mut from, _to), (_from, mut to)) = (dialed.into_link(None), arrival.secured.into_link(None));
    to.send(&[b"good evening"]).await.unwrap();
    assert_eq!(from.recv(1).await.unwrap(), [&b"good evening"[..]]);
    listener.stop().await;
}

#[test]
fn channel_works_on_one_thread_and_on_many() {
    let mut builders =
        [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()];
    for builder in &mut builders {
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let (villa, cabin) = paired();
            let (listener, mut arrivals) = listen(&villa);
            let (address, target) = (listener.address().to_string(), villa.sync());
            let dialing = tokio::spawn(async move { cabin.endpoint.dial(&address, target).await });
            assert!(arrivals.recv().await.is_some());
            assert!(dialing.await.unwrap().is_ok());
        });
    }
}

#[tokio::test]
async fn address_of_all_admits_ipv4_as_well() {
    let (villa, cabin) = paired();
    let all = (Ipv6Addr::UNSPECIFIED, 0).into();
    let (listener, mut arrivals) = Listener::open(all, villa.endpoint.clone()).unwrap();
    let address = format!("127.0.0.1:{}", listener.address().port());
    let (dialed, arrival) = tokio::join!(cabin.endpoint.dial(&address, villa.sync()), arrivals.recv());
    assert!(dialed.is_ok() && arrival.is_some());
}

#[tokio::test]
async fn taken_port_is_named_with_the_remedy() {
    let (villa, _cabin) = paired();
    let (listener, _arrivals) = listen(&villa);
    let err = Listener::open(listener.address(), villa.endpoint.clone()).unwrap_err();
    assert!(matches!(err, ListenError::PortTaken(port) if port == listener.address().port()));
    assert!(err.to_string().contains("sync.port"));
    let elsewhere = "192.0.2.1:0".parse().unwrap(); // reserved for documents, so never ours
    let err = Listener::open(elsewhere, villa.endpoint.clone()).unwrap_err();
    assert!(matches!(err, ListenError::NotOurs(_)), "{err}");
}

#[test]
fn home_without_encryption_listens_to_this_machine_only() {
    for inside in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(Listener::check_plain(inside.parse().unwrap()).is_ok(), "{inside}");
    }
    for outside in ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "[::ffff:192.168.1.2]:1"] {
        let err = Listener::check_plain(outside.parse().unwrap()).unwrap_err();
        assert!(err.to_string().contains("sync.encryption.enabled"), "{err}");
    }
}

#[tokio::test]
async fn flood_of_half_open_connections_keeps_no_paired_home_out() {
    let (villa, cabin) = paired();
    let (listener, mut arrivals) = listen(&villa);
    let (address, port) = (listener.address(), listener.address().port());
    let mut flood = Vec::new();
    for _ in 0..500 {
        flood.push(TcpStream::connect(address).await.unwrap());
    }
    let refused = 500 - HALF_OPEN_PER_NETWORK as u64;
    until("refusal of the newest", || listener.refused() == refused).await;
    until("end of what was refused", || open_at(port) == HALF_OPEN_PER_NETWORK).await;

    // From the flooded address the newest is refused, whoever it is; from any other one it gets in.
    let err = cabin.endpoint.dial(&address.to_string(), villa.sync()).await.unwrap_err();
    assert!(matches!(err, ChannelError::Busy), "{err}");
    let stream = connect_from(2, address).await;
    let dialed =
        timeout(PATIENCE, cabin.endpoint.dial_over(stream, "villa:8765", villa.sync())).await.unwrap();
    assert_eq!(arrivals.recv().await.unwrap().secured.peer(), cabin.identity.key());
    drop(dialed);

    drop(flood);
    until("end of all sockets", || open_at(port) == 0).await;
    assert!(
        cabin.endpoint.dial(&address.to_string(), villa.sync()).await.is_ok(),
        "and the seats are free again"
    );
}

#[tokio::test]
async fn loop_that_takes_no_arrivals_bounds_them() {
    let (villa, cabin) = paired();
    let (listener, arrivals) = listen(&villa);
    let mut dialed = Vec::new();
    let busy = loop {
        match cabin.endpoint.dial(&listener.address().to_string(), villa.sync()).await {
            Ok(secured) => dialed.push(secured),
            Err(err) => break err,
        }
        assert!(dialed.len() < 100, "nothing bounds them");
    };
    assert!(matches!(busy, ChannelError::Busy), "{busy}");
    drop(arrivals);
}

#[tokio::test]
async fn stopping_closes_the_port_and_whoever_is_half_in() {
    let (villa, cabin) = paired();
    let (listener, mut arrivals) = listen(&villa);
    let address = listener.address();
    let mut half_in = TcpStream::connect(address).await.unwrap();
    let dialed = cabin.endpoint.dial(&address.to_string(), villa.sync()).await.unwrap();
    let admitted = arrivals.recv().await.unwrap();
    timeout(PATIENCE, listener.stop()).await.expect("stops at once");
    assert_eq!(timeout(PATIENCE, half_in.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    assert!(arrivals.recv().await.is_none());
    let err = cabin.endpoint.dial(&address.to_string(), villa.sync()).await.unwrap_err();
    assert!(matches!(err, ChannelError::NobodyThere(_)), "{err}");

    let ((mut from, _to), (_from, mut to)) = (dialed.into_link(None), admitted.secured.into_link(None));
    to.send(&[b"still here"]).await.unwrap();
    assert_eq!(from.recv(1).await.unwrap(), [&b"still here"[..]], "links that stand are not touched");
}

#[tokio::test]
async fn rotated_identity_answers_from_the_next_connection_on() {
    let (villa, cabin) = paired();
    let (listener, _arrivals) = listen(&villa);
    let new = Identity::generate();
    listener.answer_as(Endpoint::new(new.clone(), Pins::default(), Door::default()));
    let address = listener.address().to_string();
    let err = cabin.endpoint.dial(&address, villa.sync()).await.unwrap_err();
    assert!(matches!(err, ChannelError::PeerKeyChanged { found, .. } if found == new.id()), "{err}");
    cabin.pins.insert(new.key());
    assert!(cabin.endpoint.dial(&address, Target::Sync(new.id())).await.is_ok());
}
