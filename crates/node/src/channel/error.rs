//! Why a channel did not come about, told so that it is clear who has to act.

use std::{fmt, io};

use crosshome_core::HomeId;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};
use tokio_tungstenite::tungstenite::{Error as WsError, error::ProtocolError};

use super::{tls::Refusal, websocket::NotBinary};

/// Why a channel did not come about.
///
/// To the other side all refusals look alike; these reasons stay on this side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The address cannot be one: whoever typed it.
    #[error("{0} is not an address of the form host:port")]
    BadAddress(String),
    /// The network does not lead there: the network, or a home that is off.
    #[error("{address} cannot be reached: {source}")]
    Unreachable {
        /// Where this home tried to connect.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// This home was told to keep to this machine: its configuration.
    #[error("sync.encryption.enabled is false in the configuration, so this home keeps to this machine")]
    LoopbackOnly,
    /// The machine is there, but no program listens on the port.
    #[error("nothing listens at {0}")]
    NobodyThere(String),
    /// The other side hung up at once, as it does when too many connections wait; trying later helps.
    #[error("the other side hung up before the handshake: it may have too many connections")]
    Busy,
    /// Another kind of program is at the other end.
    #[error("the other side is not crosshome: {0}")]
    NotCrosshome(String),
    /// The other side does not encrypt; that is refused, never negotiated.
    #[error("the other side speaks without encryption")]
    Plaintext,
    /// The other side proved another key than the home called has: an imposter, or a home that lost its key.
    #[error("expected the key of {}, but {} answered", expected.short(), found.short())]
    PeerKeyChanged {
        /// The home called.
        expected: HomeId,
        /// The home that answered.
        found: HomeId,
    },
    /// The other side proved a key that is not pinned here.
    #[error("{} is not paired with this home", .0.short())]
    NotPinned(HomeId),
    /// A stranger asked for pairing while it is closed.
    #[error("a stranger asked for pairing while it is closed")]
    PairingClosed,
    /// The other side does not admit this home: it has to pair, or to open its pairing.
    #[error("the other side does not admit this home")]
    NotAdmitted,
    /// The other side speaks TLS, but not the one crosshome speaks: an old version, or no crosshome.
    #[error("the handshake failed: {0}")]
    Protocol(TlsError),
    /// The other side was too slow, or needed more bytes than a handshake takes.
    #[error("no answer in time while {0}")]
    TimedOut(Phase),
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
}

/// Where in a connection's beginning something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reaching the address.
    Connecting,
    /// The HTTP upgrade to a WebSocket.
    Upgrading,
    /// The TLS handshake.
    Proving,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Upgrading => "upgrading to a websocket",
            Self::Proving => "proving keys",
        })
    }
}

impl ChannelError {
    pub(super) fn of_connect(address: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::NobodyThere(address.to_owned()),
            io::ErrorKind::InvalidInput => Self::BadAddress(address.to_owned()),
            _ => Self::Unreachable { address: address.to_owned(), source },
        }
    }

    pub(super) fn of_upgrade(err: WsError) -> Self {
        match err {
            WsError::Io(_) | WsError::Protocol(ProtocolError::HandshakeIncomplete) => Self::Busy,
            WsError::Http(response) => Self::NotCrosshome(format!("HTTP status {}", response.status())),
            other => Self::NotCrosshome(other.to_string()),
        }
    }

    pub(super) fn of_tls(err: io::Error) -> Self {
        if inner::<NotBinary>(&err).is_some() {
            return Self::Plaintext;
        }
        match inner::<TlsError>(&err) {
            Some(tls) => Self::of_rustls(tls),
            None => Self::Lost(err),
        }
    }

    fn of_rustls(err: &TlsError) -> Self {
        match err {
            TlsError::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref() {
                Some(refusal) => Self::of_refusal(*refusal),
                None => Self::Protocol(err.clone()),
            },
            TlsError::AlertReceived(AlertDescription::CertificateUnknown) => Self::NotAdmitted,
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Self::Plaintext,
            _ => Self::Protocol(err.clone()),
        }
    }

    fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongKey { expected, found } => Self::PeerKeyChanged { expected, found },
            Refusal::NotPinned(id) => Self::NotPinned(id),
            Refusal::DoorClosed => Self::PairingClosed,
        }
    }
}

/// Returns what an I/O error of the layers below carries, when it is an `E`.
pub(super) fn inner<E: std::error::Error + 'static>(err: &io::Error) -> Option<&E> {
    err.get_ref()?.downcast_ref()
}
