//! A running home's backup, as a stream.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    About, BackupError, check_passphrase,
    envelope::Sealer,
    members::{Contents, pack},
};
use crate::{
    defaults::BACKUP_CHUNKS,
    http::{Settings, Token},
    identity::Identity,
    node::{NodeError, Reply, Secret},
    store::{Copy, StoreError, copy},
    views::{HomeView, Stamp},
};

/// What a backup is made of.
pub(crate) struct Source {
    pub(crate) identity: Identity,
    pub(crate) name: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) passphrase: Secret,
}

/// A backup on its way, encrypted; without its last chunk it opens nowhere.
#[derive(Debug)]
pub struct BackupStream {
    /// What it says of itself.
    pub about: About,
    /// Its bytes; ends with an error when they cannot all be had.
    pub chunks: mpsc::Receiver<io::Result<Bytes>>,
}

/// Makes a backup on this thread: answers when the store was copied, then encrypts into the stream.
pub(crate) fn make(source: Source, reply: Reply<BackupStream>) {
    let prepared = prepare(&source);
    let (about, token, store) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return drop(reply.send(Err(error))),
    };
    let (sender, chunks) = mpsc::channel(BACKUP_CHUNKS);
    if reply.send(Ok(BackupStream { about: about.clone(), chunks })).is_err() {
        return; // nobody waits any more
    }
    let Source { identity, passphrase, .. } = source;
    let sealed = Sealer::begin(Outlet(sender.clone()), &passphrase).and_then(|sealer| {
        let key = identity.pem();
        let store = (store.file, store.bytes);
        pack(sealer, Contents { about: &about, key: key.as_bytes(), token: token.as_bytes(), store })?
            .finish()
    });
    match sealed {
        Ok(_) => tracing::info!("a backup was made"),
        Err(error) => {
            tracing::warn!(%error, "a backup was not finished");
            let _ = sender.blocking_send(Err(error));
        }
    }
}

fn prepare(source: &Source) -> Result<(About, zeroize::Zeroizing<String>, Copy), NodeError> {
    check_passphrase(&source.passphrase).map_err(|error| NodeError::Invalid(error.to_string()))?;
    let token = Token::load(&Settings::token_path(&source.data_dir))
        .map_err(|error| NodeError::Failed(error.to_string()))?;
    let store = copy(&source.data_dir).map_err(|error| match error {
        StoreError::StorageFull(_) | StoreError::ReadOnly(_) => NodeError::StorageFull,
        StoreError::Busy(_) => NodeError::Busy("another backup is being made".into()),
        other => NodeError::Failed(other.to_string()),
    })?;
    let id = source.identity.id();
    if store.home != Some(id) {
        return Err(NodeError::Busy(format!(
            "{}: the key is being replaced, try again",
            BackupError::TwoHomes
        )));
    }
    let home = HomeView { id: id.to_string(), name: source.name.clone() };
    Ok((About::of(home, Stamp::now()), zeroize::Zeroizing::new(format!("{}\n", token.reveal())), store))
}

/// Writes into a stream; whoever reads it sets the pace.
struct Outlet(mpsc::Sender<io::Result<Bytes>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
