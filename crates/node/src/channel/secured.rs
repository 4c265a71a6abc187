//! This home as others reach it, and a stream to a peer whose key is proven.
//!
//! [`Endpoint`] runs the two handshakes, WebSocket then TLS, each in its time and with a
//! bounded number of bytes. The side that dials says whom it expects; the side that
//! accepts learns it from TLS. A dialed stream is not yet an admitted one: the other
//! side judges last, so a peer counts as connected after its first frame.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use crosshome_core::HomeId;
use rustls::{
    CommonState, ServerConfig,
    server::{Acceptor, ClientHello},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use super::{ChannelError, Door, Phase, Pins, Traffic, metered::Metered, tls, websocket};
use crate::{
    defaults::{CONNECT_TIME, FAREWELL_TIME, HANDSHAKE_BYTES, HANDSHAKE_TIME, UPGRADE_BYTES, UPGRADE_TIME},
    identity::{Identity, PeerKey},
};

/// Anything bytes can go through; a carrier's stream.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What a channel is for; told in the handshake, before any application byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Synchronising with a paired home.
    Sync,
    /// Pairing, with a home not known yet.
    Pair,
}

/// Whom a dialer calls, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A paired home, to synchronise.
    Sync(HomeId),
    /// A home to pair with; an invitation names it, a typed code does not.
    Pair(Option<HomeId>),
}

impl Target {
    /// Returns what the call is for.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Sync(_) => Purpose::Sync,
            Self::Pair(_) => Purpose::Pair,
        }
    }
}

/// This home as others reach it: its key and whom it admits.
#[derive(Debug, Clone)]
pub struct Endpoint {
    identity: Identity,
    pins: Pins,
    sync: Arc<ServerConfig>,
    pair: Arc<ServerConfig>,
    loopback_only: bool,
}

impl Endpoint {
    /// Makes an endpoint that reads `pins` and `door` anew in every handshake.
    pub fn new(identity: Identity, pins: Pins, door: Door) -> Self {
        let sync = tls::server_config(&identity, Purpose::Sync, &pins, &door);
        let pair = tls::server_config(&identity, Purpose::Pair, &pins, &door);
        Self { identity, pins, sync, pair, loopback_only: false }
    }

    /// Returns the same home that dials nobody beyond this machine (T7).
    pub fn kept_to_loopback(self, loopback_only: bool) -> Self {
        Self { loopback_only, ..self }
    }

    /// Connects to `address` (`host:port`) and proves both keys.
    ///
    /// # Errors
    ///
    /// See [`ChannelError`]; [`ChannelError::NotAdmitted`] may also come later, as the link's first error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn dial(&self, address: &str, target: Target) -> Result<Secured, ChannelError> {
        self.dial_over(connect(address, self.loopback_only).await?, address, target).await
    }

    /// Tells whether a connection to `address` (`host:port`) can be made, and makes no use of it.
    pub async fn knock(&self, address: &str) -> bool {
        connect(address, self.loopback_only).await.is_ok()
    }

    /// As [`Endpoint::dial`], over a stream that leads to `authority` already.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::dial`].
    pub async fn dial_over<S>(
        &self,
        stream: S,
        authority: &str,
        target: Target,
    ) -> Result<Secured, ChannelError>
    where
        S: ByteStream + 'static,
    {
        let metered = Metered::new(stream, UPGRADE_BYTES);
        let (traffic, allowance) = (metered.traffic(), metered.allowance());
        let upgrade = websocket::dial(metered, authority);
        let socket = within(UPGRADE_TIME, Phase::Upgrading, upgrade).await?;
        allowance.set(HANDSHAKE_BYTES);
        let tls = Box::pin(self.prove_as_dialer(Box::new(socket), target)).await?;
        allowance.lift();
        Secured::new(tls, target.purpose(), traffic)
    }

    /// Answers whoever is at the other end of `stream`.
    ///
    /// # Errors
    ///
    /// See [`ChannelError`]. The other side cannot tell the refusals from each other.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn accept<S>(&self, stream: S) -> Result<Secured, ChannelError>
    where
        S: ByteStream + 'static,
    {
        let metered = Metered::new(stream, UPGRADE_BYTES);
        let (traffic, allowance) = (metered.traffic(), metered.allowance());
        let socket = within(UPGRADE_TIME, Phase::Upgrading, websocket::accept(metered)).await?;
        allowance.set(HANDSHAKE_BYTES);
        // Boxed, so that who never gets this far does not pay for the room.
        let (tls, purpose) = Box::pin(self.prove_as_listener(Box::new(socket))).await?;
        allowance.lift();
        Secured::new(tls, purpose, traffic)
    }

    /// Returns the identity others see here.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn prove_as_dialer(&self, io: Carried, target: Target) -> Result<TlsStream<Carried>, ChannelError> {
        let connector = TlsConnector::from(tls::client_config(&self.identity, target, &self.pins));
        let handshake = connector.connect(tls::unsent_name(), io).into_fallible();
        let handshake = async { Ok(handshake.await) };
        match within(HANDSHAKE_TIME, Phase::Proving, handshake).await? {
            Ok(tls) => Ok(tls.into()),
            Err((err, io)) => Err(refuse(io, ChannelError::of_tls(err)).await),
        }
    }

    async fn prove_as_listener(&self, io: Carried) -> Result<(TlsStream<Carried>, Purpose), ChannelError> {
        let handshake = async { Ok(self.answer_hello(io).await) };
        match within(HANDSHAKE_TIME, Phase::Proving, handshake).await? {
            Ok(proven) => Ok(proven),
            Err((err, Some(io))) => Err(refuse(io, err).await),
            Err((err, None)) => Err(err),
        }
    }

    /// Chooses by the client's ALPN who is admitted, then completes the handshake; gives the stream back on failure.
    async fn answer_hello(&self, io: Carried) -> Result<(TlsStream<Carried>, Purpose), Failed> {
        let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), io);
        let start = match (&mut acceptor).await {
            Ok(start) => start,
            Err(err) => return Err((ChannelError::of_tls(err), acceptor.take_io())),
        };
        let (config, purpose) = match purpose_of(&start.client_hello()) {
            Some(Purpose::Sync) => (&self.sync, Purpose::Sync),
            Some(Purpose::Pair) => (&self.pair, Purpose::Pair),
            None => return Err((ChannelError::NotCrosshome("no ALPN of ours".into()), Some(start.io))),
        };
        match start.into_stream(config.clone()).into_fallible().await {
            Ok(tls) => Ok((tls.into(), purpose)),
            Err((err, io)) => Err((ChannelError::of_tls(err), Some(io))),
        }
    }
}

type Carried = Box<dyn ByteStream>;
type Failed = (ChannelError, Option<Carried>);

/// A stream to a peer that proved its key.
pub struct Secured {
    pub(super) io: TlsStream<Carried>,
    pub(super) traffic: Arc<Traffic>,
    peer: PeerKey,
    purpose: Purpose,
}

impl Secured {
    /// Returns the key the peer proved, and so who it is.
    pub fn peer(&self) -> PeerKey {
        self.peer
    }

    /// Returns what the stream is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Returns the counters of this stream.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// Derives 32 bytes that only the two ends of this very session can know (RFC 8446 section 7.5).
    ///
    /// # Errors
    ///
    /// When the session is already broken.
    pub fn exporter(&self, label: &str) -> Result<[u8; 32], ChannelError> {
        let secret = match &self.io {
            TlsStream::Client(tls) => tls.get_ref().1.export_keying_material([0; 32], label.as_bytes(), None),
            TlsStream::Server(tls) => tls.get_ref().1.export_keying_material([0; 32], label.as_bytes(), None),
        };
        secret.map_err(ChannelError::Protocol)
    }

    fn new(io: TlsStream<Carried>, purpose: Purpose, traffic: Arc<Traffic>) -> Result<Self, ChannelError> {
        let peer = proven_key(io.get_ref().1, purpose)?;
        Ok(Self { io, traffic, peer, purpose })
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secured({:?}, {:?})", self.purpose, self.peer)
    }
}

/// Returns the peer's key; the other side may have ignored our ALPN, so that is looked at as well.
fn proven_key(session: &CommonState, purpose: Purpose) -> Result<PeerKey, ChannelError> {
    if session.alpn_protocol() != Some(purpose.alpn()) {
        return Err(ChannelError::NotCrosshome("no ALPN of ours".into()));
    }
    let key = session.peer_certificates().and_then(|keys| keys.first());
    key.and_then(|key| PeerKey::from_spki(key).ok())
        .ok_or_else(|| ChannelError::NotCrosshome("no key of ours".into()))
}

/// Returns what the dialer wants; exactly one purpose must be offered.
fn purpose_of(hello: &ClientHello<'_>) -> Option<Purpose> {
    let mut offered = hello.alpn()?;
    let first = offered.next()?;
    let purpose = [Purpose::Sync, Purpose::Pair].into_iter().find(|purpose| first == purpose.alpn());
    purpose.filter(|_| offered.next().is_none())
}

async fn within<T, F>(time: Duration, phase: Phase, work: F) -> Result<T, ChannelError>
where
    F: Future<Output = Result<T, ChannelError>>,
{
    timeout(time, work).await.unwrap_or(Err(ChannelError::TimedOut(phase)))
}

/// Sends the alert TLS left behind and lets the other side hang up first, because
/// closing over unread bytes would reset the connection and lose the alert.
async fn refuse(mut io: Carried, err: ChannelError) -> ChannelError {
    let farewell = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io, &mut tokio::io::sink()).await
    };
    // Whether it arrives is of no consequence to us.
    let _ = timeout(FAREWELL_TIME, farewell).await;
    err
}

/// Tries the addresses of a name one after the other and returns the first that answers.
async fn connect(address: &str, loopback_only: bool) -> Result<TcpStream, ChannelError> {
    let failed = |source| ChannelError::of_connect(address, source);
    let found = timeout(CONNECT_TIME, tokio::net::lookup_host(address)).await;
    let found = found.map_err(|_| ChannelError::TimedOut(Phase::Connecting))?.map_err(failed)?;
    let mut last = match loopback_only {
        true => ChannelError::LoopbackOnly,
        false => failed(io::ErrorKind::AddrNotAvailable.into()),
    };
    for candidate in found.filter(|found| !loopback_only || found.ip().to_canonical().is_loopback()) {
        match connect_one(candidate).await {
            Ok(stream) => return Ok(stream),
            Err(source) => last = failed(source),
        }
    }
    Err(last)
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_TIME, TcpStream::connect(address)).await??;
    tune(&stream)?;
    Ok(stream)
}

/// Makes the system send at once, and send lost packets again without waiting twice as long each time at first.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?; // a record is a whole burst already, waiting for more gains nothing
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_thin_linear_timeouts(stream, true)?;
    Ok(())
}
