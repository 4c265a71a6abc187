//! The side that was dialled: a stranger tries here.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use crosshome_core::{
    HomeId,
    defaults::PAIRING_MESSAGE_MAX,
    pairing::{Binding, PairingError, REFUSAL, Showing, Step, Windows},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{Event, names::invalid},
    News,
    conversation::{introduction, next, secret_random},
};
use crate::{channel::Secured, defaults::EXPORTER_PAIRING, identity::PeerKey, node::NodeError};

/// One conversation with a stranger.
pub(super) struct Stranger {
    pub(super) me: HomeId,
    pub(super) name: String,
    pub(super) windows: Arc<Mutex<Windows>>,
    pub(super) started: Instant,
    pub(super) post: mpsc::Sender<Event>,
}

impl Stranger {
    /// Lets a stranger try, and tells the loop what came of it.
    pub(super) async fn admit(self, secured: Secured, address: SocketAddr) {
        tracing::debug!(%address, "a stranger tries to pair");
        if let Err(error) = self.converse(secured, address).await {
            tracing::debug!(%address, %error, "the stranger was not dealt with");
        }
    }

    async fn converse(&self, secured: Secured, address: SocketAddr) -> Result<(), NodeError> {
        let key = secured.peer();
        let exporter = secured.exporter(EXPORTER_PAIRING).map_err(invalid)?;
        let binding = Binding { exporter, me: self.me, peer: key.id() };
        let mut showing =
            Showing::new(binding, introduction(&self.name)?, &*secret_random()?).map_err(invalid)?;
        let (mut reader, mut writer) = secured.into_link(None);
        reader.set_limit(PAIRING_MESSAGE_MAX);
        while let Some(message) = next(&mut reader).await {
            let answer = match self.step(&mut showing, &message) {
                Ok(Step::Send(answer)) => answer,
                Ok(Step::Paired { paired, send }) => {
                    // The peer pins when the last message arrives, so it leaves when this home has stored its part.
                    if self.stored(paired, key).await {
                        let _ = writer.send(send.as_slice()).await;
                    }
                    break;
                }
                Err(error) => {
                    if !matches!(error, PairingError::Refused) {
                        let _ = writer.send(&[REFUSAL]).await;
                    }
                    let _ = self.post.send(Event::Pairing(News::Failed { address, error })).await;
                    break;
                }
            };
            if writer.send(&[answer]).await.is_err() {
                break;
            }
        }
        writer.close().await;
        Ok(())
    }

    fn step(&self, showing: &mut Showing, message: &[u8]) -> Result<Step, PairingError> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        showing.receive(message, &mut windows, self.started.elapsed().as_millis() as u64)
    }

    /// Gives the pairing to the loop and tells whether it is stored.
    async fn stored(&self, paired: Box<crosshome_core::pairing::Paired>, key: PeerKey) -> bool {
        let (stored, waits) = oneshot::channel();
        let news = News::Paired { paired, key, address: None, stored, reply: None };
        let _ = self.post.send(Event::Pairing(news)).await;
        waits.await.is_ok()
    }
}
