//! The side that dials and has the secret.

use crosshome_core::{
    HomeId,
    defaults::PAIRING_MESSAGE_MAX,
    pairing::{Binding, Paired, PairingError, Secret, Step, Typing},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{Event, names::invalid},
    News,
    conversation::{introduction, next, secret_random},
};
use crate::{
    channel::{ChannelError, Endpoint, LinkWriter, Secured, Target},
    defaults::EXPORTER_PAIRING,
    identity::PeerKey,
    node::{NodeError, Reply},
    views::PairedView,
};

/// A home that may have the secret's other half.
#[derive(Debug, Clone)]
pub(in super::super) struct Candidate {
    /// Who it must be; none takes whoever proves to know the secret.
    pub(in super::super) id: Option<HomeId>,
    /// Where it may be, best first.
    pub(in super::super) addresses: Vec<String>,
}

/// Somebody with a secret, on the way to the homes that may know it.
pub(super) struct Typist {
    pub(super) endpoint: Endpoint,
    pub(super) name: String,
    pub(super) me: HomeId,
    pub(super) secret: Secret,
    pub(super) post: mpsc::Sender<Event>,
}

impl Typist {
    /// Types a code at one home after the other, until one takes it.
    pub(super) async fn type_at(self, candidates: Vec<Candidate>, reply: Reply<PairedView>) {
        let mut failure = Failure(NodeError::PairingClosed);
        for candidate in candidates {
            match self.pair(&candidate).await {
                Ok(pairing) => return self.store(pairing, Some(reply)).await,
                Err(error) => failure = failure.or(error),
            }
        }
        let _ = reply.send(Err(failure.0));
    }

    /// Joins a home unattended and tells whether that is done.
    pub(super) async fn join(&self, candidate: &Candidate) -> bool {
        match self.pair(candidate).await {
            Ok(pairing) => {
                self.store(pairing, None).await;
                true
            }
            Err(failure) => {
                let (address, error) = (candidate.addresses.join(", "), failure.0);
                let _ = self.post.send(Event::Pairing(News::NotJoined { address, error })).await;
                false
            }
        }
    }

    /// Gives the pairing to the loop and keeps the channel until it is stored.
    async fn store(&self, pairing: Pairing, reply: Option<Reply<PairedView>>) {
        let Pairing { paired, key, address, writer } = pairing;
        let (stored, waits) = oneshot::channel();
        let news = News::Paired { paired, key, address: Some(address), stored, reply };
        let _ = self.post.send(Event::Pairing(news)).await;
        let _ = waits.await;
        writer.close().await;
    }

    async fn pair(&self, candidate: &Candidate) -> Result<Pairing, Failure> {
        let mut failure = Failure(NodeError::PairingClosed);
        for address in &candidate.addresses {
            match self.endpoint.dial(address, Target::Pair(candidate.id)).await {
                Ok(secured) => {
                    let key = secured.peer();
                    let (paired, writer) = self.converse(secured).await?;
                    return Ok(Pairing { paired, key, address: address.clone(), writer });
                }
                Err(error) => failure = Failure::dialing(address, &error),
            }
        }
        Err(failure)
    }

    async fn converse(&self, secured: Secured) -> Result<(Box<Paired>, LinkWriter), Failure> {
        let exporter = secured.exporter(EXPORTER_PAIRING).map_err(invalid)?;
        let binding = Binding { exporter, me: self.me, peer: secured.peer().id() };
        let me = introduction(&self.name)?;
        let (mut typing, mut message) = Typing::start(&self.secret, binding, me, &*secret_random()?)?;
        let (mut reader, mut writer) = secured.into_link(None);
        reader.set_limit(PAIRING_MESSAGE_MAX);
        loop {
            writer.send(&[message]).await.map_err(|_| NodeError::PairingClosed)?;
            let answer = next(&mut reader).await.ok_or(NodeError::PairingClosed)?;
            match typing.receive(&answer)? {
                Step::Send(next) => message = next,
                Step::Paired { paired, .. } => return Ok((paired, writer)),
            }
        }
    }
}

/// A conversation that has come to a good end.
struct Pairing {
    paired: Box<Paired>,
    key: PeerKey,
    address: String,
    writer: LinkWriter,
}

/// Why a home was not paired, for the one who typed.
struct Failure(NodeError);

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self(error)
    }
}

impl From<PairingError> for Failure {
    fn from(error: PairingError) -> Self {
        Self(match error {
            PairingError::WrongCode => NodeError::WrongCode,
            PairingError::Refused => NodeError::PairingClosed,
            other => invalid(other),
        })
    }
}

impl Failure {
    fn dialing(address: &str, error: &ChannelError) -> Self {
        Self(match error {
            ChannelError::NotAdmitted | ChannelError::PairingClosed => NodeError::PairingClosed,
            other => NodeError::Unreachable { home: address.into(), reason: other.to_string() },
        })
    }

    /// Returns the failure that tells more: a wrong code over an unreachable home over a closed window.
    fn or(self, later: Self) -> Self {
        let rank = |failure: &Self| match failure.0 {
            NodeError::PairingClosed => 0,
            NodeError::WrongCode => 2,
            _ => 1,
        };
        if rank(&later) > rank(&self) { later } else { self }
    }
}
