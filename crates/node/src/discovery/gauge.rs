//! A gauge on the mDNS port that tells a flood from a busy evening.
//!
//! The thread of mdns-sd reads packets before commands and caches whatever looks like an answer, so once it falls behind it can
//! neither be asked nor stopped. These sockets see the same multicast packets, count them and speak up while it
//! still listens. They are bound to the group's address, so that unicast goes where it belongs, and join nothing: Linux delivers to them
//! what any socket of this host has joined. Elsewhere they may stay silent, and the count of cached records remains.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    sync::Arc,
};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::defaults::discovery as limits;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Counts multicast packets on one port until it is dropped.
pub(super) struct Gauge {
    flooded: Arc<Notify>,
    _counters: JoinSet<()>,
}

impl Gauge {
    /// Opens a socket for IPv4 and one for IPv6 on each interface, as far as there are any.
    pub(super) fn open(port: u16) -> Self {
        let flooded = Arc::new(Notify::new());
        let mut counters = JoinSet::new();
        for group in groups(port) {
            match bind(group) {
                Ok(socket) => drop(counters.spawn(count(socket, flooded.clone()))),
                Err(err) => tracing::debug!(%group, error = %err, "mdns packets are not counted"),
            }
        }
        Self { flooded, _counters: counters }
    }

    /// Waits for more packets than a network has; during a flood about once a second.
    ///
    /// # Cancel safety
    ///
    /// A flood that began meanwhile is told the next time.
    pub(super) async fn flooded(&self) {
        self.flooded.notified().await;
    }
}

fn groups(port: u16) -> Vec<SocketAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut indexes: Vec<u32> =
        interfaces.iter().filter(|one| one.ip().is_ipv6()).filter_map(|one| one.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let scoped = indexes.into_iter().map(|index| SocketAddrV6::new(GROUP_V6, port, 0, index).into());
    [SocketAddr::from((GROUP_V4, port))].into_iter().chain(scoped).collect()
}

fn bind(group: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&group.into())?;
    UdpSocket::from_std(socket.into())
}

async fn count(socket: UdpSocket, flooded: Arc<Notify>) {
    let (most, window) = limits::FLOOD_PACKETS;
    let (mut since, mut packets) = (Instant::now(), 0);
    while socket.recv(&mut [0]).await.is_ok() {
        if since.elapsed() > window {
            (since, packets) = (Instant::now(), 0);
        }
        packets += 1;
        if packets > most {
            flooded.notify_one();
            // What comes meanwhile fills the socket's buffer and then costs nothing.
            sleep(limits::FLOOD_REST).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Sends packets to the group on loopback, which somebody there has joined; tells whether that was a flood.
    async fn send(count: u32, pause_after: impl Fn(u32) -> bool) -> bool {
        let listener = std::net::UdpSocket::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let joined = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        joined.set_reuse_address(true).expect("set");
        joined.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).expect("bound");
        joined.join_multicast_v4(&GROUP_V4, &Ipv4Addr::LOCALHOST).expect("joined");
        joined.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("set");
        let gauge = Gauge::open(port);
        let flood = async {
            for number in 0..count {
                joined.send_to(b"x", &SocketAddr::from((GROUP_V4, port)).into()).expect("sent");
                if pause_after(number) {
                    sleep(limits::FLOOD_PACKETS.1 * 2).await;
                }
            }
            sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            () = gauge.flooded() => true,
            _ = timeout(Duration::from_secs(20), flood) => false,
        }
    }

    #[tokio::test]
    async fn flood_is_told() {
        assert!(send(limits::FLOOD_PACKETS.0 + 1, |_| false).await);
    }

    #[tokio::test]
    async fn busy_evening_is_no_flood() {
        assert!(!send(4 * limits::FLOOD_PACKETS.0, |number| number % 100 == 99).await);
    }
}
