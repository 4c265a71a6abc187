//! The door on the street: accepts connections and admits peers, under limits.
//!
//! One task accepts; each connection gets a task of its own for its handshakes, once it
//! has a seat among the half-open ones. Admitted peers come out as [`Arrival`]s, in a bounded channel.
//!
//! Always holds: a flood is refused at the cost of one `accept` and one `close` each; when
//! the system has no file descriptor to give, the loop pauses instead of spinning.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Endpoint, Secured,
    limits::{HalfOpen, Seat},
    secured::tune,
};
use crate::defaults::{ACCEPT_PAUSE, ARRIVALS, BACKLOG, HALF_OPEN, HALF_OPEN_PER_NETWORK};

/// A peer that was admitted.
#[derive(Debug)]
pub struct Arrival {
    /// The stream to it.
    pub secured: Secured,
    /// Where it came from.
    pub address: SocketAddr,
}

/// A home's open port; dropping it closes the port.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

impl Listener {
    /// Opens `bind` and admits whom `endpoint` admits. `::` means both IPv6 and IPv4, or IPv4 alone where
    /// the system has no IPv6; port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// When the port is taken or not allowed, or the address is not one of this machine.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open(
        bind: SocketAddr,
        endpoint: Endpoint,
    ) -> Result<(Self, mpsc::Receiver<Arrival>), ListenError> {
        let socket = open_socket(bind).map_err(|err| ListenError::of(bind, err))?;
        let address = socket.local_addr().map_err(|err| ListenError::of(bind, err))?;
        let (arrivals, admitted) = mpsc::channel(ARRIVALS);
        let shared = Arc::new(Shared { endpoint: Mutex::new(endpoint), refused: AtomicU64::new(0) });
        let stopping = CancellationToken::new();
        let street = Street { socket, shared: shared.clone(), arrivals, stopping: stopping.clone() };
        let task = tokio::spawn(street.accept_all());
        Ok((Self { address, shared, stopping, task }, admitted))
    }

    /// Checks that a home whose encryption is off can be reached from this machine only; called before it opens anything.
    ///
    /// # Errors
    ///
    /// [`ListenError::OpenWithoutEncryption`] when `bind` is anything but a loopback address.
    pub fn check_plain(bind: SocketAddr) -> Result<(), ListenError> {
        if bind.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(ListenError::OpenWithoutEncryption(bind.ip()))
    }

    /// Answers with another identity from the next connection on, as after a key rotation.
    pub fn answer_as(&self, endpoint: Endpoint) {
        *self.shared.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
    }

    /// Lets nobody in from now on, as at the beginning of a goodbye.
    pub fn close(&self) {
        self.stopping.cancel();
    }

    /// Closes the port and every connection that is not admitted yet.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        // A panic in the task has been reported by then; the port is closed either way.
        let _ = (&mut self.task).await;
    }

    /// Returns where this home listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections were turned away because too many were half open.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Relaxed)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// Why this home cannot listen; each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another program has the port.
    #[error(
        "port {0} is taken by another program, or another crosshome: stop it, or set sync.port to a free one"
    )]
    PortTaken(u16),
    /// Ports below 1024 need a privilege.
    #[error("port {0} is reserved for the system: set sync.port to 1024 or higher")]
    NotAllowed(u16),
    /// The address is not one of this machine.
    #[error("{0} is no address of this machine: set sync.bind to one that is, or to \"::\" for all")]
    NotOurs(IpAddr),
    /// Encryption is off, and the address could be reached from elsewhere.
    #[error(
        "sync.encryption.enabled is false, so this home may listen on 127.0.0.1 or ::1 only, not on {0}: \
         turn encryption on, or set sync.bind to 127.0.0.1"
    )]
    OpenWithoutEncryption(IpAddr),
    /// The operating system said no.
    #[error("cannot listen on {0}: {1}")]
    Io(SocketAddr, io::Error),
}

impl ListenError {
    fn of(bind: SocketAddr, err: io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken(bind.port()),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(bind.port()),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(bind.ip()),
            _ => Self::Io(bind, err),
        }
    }
}

#[derive(Debug)]
struct Shared {
    // Held to copy or replace the endpoint, never across a handshake.
    endpoint: Mutex<Endpoint>,
    refused: AtomicU64,
}

/// What the accepting task owns.
struct Street {
    socket: TcpListener,
    shared: Arc<Shared>,
    arrivals: mpsc::Sender<Arrival>,
    stopping: CancellationToken,
}

impl Street {
    async fn accept_all(self) {
        let seats = HalfOpen::new(HALF_OPEN, HALF_OPEN_PER_NETWORK);
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return, // dropping the set ends the handshakes
                Some(_) = handshakes.join_next() => {}
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(seat) = self.seat(&seats, address) {
                            handshakes.spawn(self.admit(stream, address, seat));
                        }
                    }
                    Err(err) => pause_after(err).await,
                }
            }
        }
    }

    fn seat(&self, seats: &HalfOpen, address: SocketAddr) -> Option<Seat> {
        let seat = seats.enter(address.ip());
        if seat.is_none() {
            self.shared.refused.fetch_add(1, Relaxed);
            tracing::debug!(%address, "connection refused, too many are half open");
        }
        seat
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, seat: Seat) -> impl Future<Output = ()> + use<> {
        let endpoint = self.shared.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let arrivals = self.arrivals.clone();
        async move {
            // Without these the link works, only slower.
            let _ = tune(&stream);
            match endpoint.accept(stream).await {
                // While the loop is busy the peer keeps its seat, so that waiting peers are bounded too.
                Ok(secured) => drop(arrivals.send(Arrival { secured, address }).await),
                Err(err) => tracing::debug!(%address, error = %err, "connection not admitted"),
            }
            drop(seat);
        }
    }
}

async fn pause_after(err: io::Error) {
    if err.kind() == io::ErrorKind::ConnectionAborted {
        return; // it hung up while waiting in line, which says nothing about the next one
    }
    tracing::warn!(error = %err, "cannot accept connections");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn open_socket(bind: SocketAddr) -> io::Result<TcpListener> {
    match open_exactly(bind) {
        Err(err) if bind.ip().is_unspecified() && bind.is_ipv6() && lacks_ipv6(&err) => {
            open_exactly((Ipv4Addr::UNSPECIFIED, bind.port()).into())
        }
        opened => opened,
    }
}

fn open_exactly(bind: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
    if bind.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?; // a restart must not wait for old connections to be forgotten
    socket.bind(&bind.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn lacks_ipv6(err: &io::Error) -> bool {
    use rustix::io::Errno;
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT];
    err.raw_os_error().is_some_and(|code| missing.iter().any(|errno| errno.raw_os_error() == code))
}
