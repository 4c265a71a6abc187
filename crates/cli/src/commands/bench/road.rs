//! A road between two homes that counts what passes, can be long, and can be cut.
//!
//! It counts the payload of TCP in both directions, which is what a household pays for, and knows
//! nothing of what it carries. Delay is made here, because not every kernel can make it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::usage::now_ns;

/// Chunks on the road at one time; more wait at its beginning.
const ON_THE_ROAD: usize = 1024;
const CHUNK: usize = 64 * 1024;

/// A road to one home.
#[derive(Debug)]
pub(super) struct Road {
    address: SocketAddr,
    open: watch::Sender<bool>,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    opened_ns: AtomicU64,
}

impl Road {
    /// Lays a road to an address; each byte takes `delay` from one end to the other.
    pub(super) async fn to(target: SocketAddr, delay: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, opened) = watch::channel(true);
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(admit(listener, target, delay, opened, shared.clone())).abort_handle();
        Ok(Self { address, open, shared, task })
    }

    /// Returns where the road begins.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many bytes have passed, both ways together.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// Ends all connections; new ones wait at the beginning.
    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections pass again.
    pub(super) fn heal(&self) {
        self.open.send_replace(true);
    }

    /// Returns when the last connection was let through.
    pub(super) fn opened_ns(&self) -> u64 {
        self.shared.opened_ns.load(Relaxed)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn admit(
    listener: TcpListener,
    target: SocketAddr,
    delay: Duration,
    open: watch::Receiver<bool>,
    shared: Arc<Shared>,
) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(carry(near, target, delay, open.clone(), shared.clone()));
    }
}

/// Carries one connection until it ends or the road is cut.
async fn carry(
    near: TcpStream,
    target: SocketAddr,
    delay: Duration,
    mut open: watch::Receiver<bool>,
    shared: Arc<Shared>,
) {
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    shared.opened_ns.store(now_ns(), Relaxed);
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        _ = lane(near_in, far_out, delay, &shared.bytes) => {}
        _ = lane(far_in, near_out, delay, &shared.bytes) => {}
        _ = open.wait_for(|open| !*open) => {}
    }
}

/// Carries one direction.
async fn lane(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, bytes: &AtomicU64) {
    let (enter, mut leave) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_ROAD);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            bytes.fetch_add(count as u64, Relaxed);
            if enter.send((Instant::now() + delay, buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = leave.recv().await {
            if !delay.is_zero() {
                sleep_until(due).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    // What is on the road when its beginning closes still arrives.
    tokio::join!(read, write);
}
