//! Backups of this home, made beside the loop once all that it knows is stored.

use crosshome_core::effect::{Durability, Effect};

use super::Loop;
use crate::{
    backup::{self, BackupStream},
    node::{Reply, Secret},
};

impl Loop {
    /// Stores what waits and has a thread make a backup of it.
    pub(super) fn backup(&mut self, passphrase: Secret, reply: Reply<BackupStream>) {
        let source = backup::Source {
            identity: self.endpoint.identity().clone(),
            name: self.me.name.clone(),
            data_dir: self.me.config.data_dir.clone(),
            passphrase,
        };
        self.effects.push(Effect::Commit(Durability::Now));
        self.answers.push(Box::new(move |committed| match committed {
            Ok(()) => drop(tokio::task::spawn_blocking(move || backup::make(source, reply))),
            Err(error) => drop(reply.send(Err(error))),
        }));
    }
}
