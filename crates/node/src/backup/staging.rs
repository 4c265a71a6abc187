//! From a file to a home that is ready beside the one that is there.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use crosshome_core::HomeId;

use super::{
    About, BackupError, Done,
    envelope::Opener,
    members::{Member, unpack},
    swap,
};
use crate::{
    defaults::RESTORED,
    identity::{self, Identity},
    node::Secret,
    store::{Folder, MemoKey, StoreError, adopt},
    views::{Restored, Stamp},
};

/// A backup whose passphrase was right.
pub struct Opened<R>(Opener<R>);

impl<R: Read> Opened<R> {
    /// Tries a passphrase on a backup.
    ///
    /// # Errors
    ///
    /// Tells a wrong passphrase from a file that is something else, newer or damaged.
    pub fn new(file: R, passphrase: &Secret) -> Result<Self, BackupError> {
        Opener::begin(file, passphrase).map(Self)
    }

    /// Unpacks the backup beside the home in a data directory, which has to be stopped, and checks all of it.
    ///
    /// # Errors
    ///
    /// Tells what is wrong with the backup, the directory or the disk. Nothing has changed then.
    pub fn stage(self, data_dir: &Path, key_path: &Path) -> Result<Staged, BackupError> {
        let folder = Folder::claim(data_dir)?;
        swap::finish(folder.path(), key_path)?;
        identity::key_as_it_is(key_path)?; // what would be in the way later is told now
        let new = swap::open(folder.path())?;
        let mut staged = Staged { folder, key_path: key_path.into(), about: None, at: Stamp::now() };
        let (mut about, mut key) = (None, None);
        unpack(self.0, |member, from, _| match member {
            Member::About => {
                about = Some(About::read(&all(from)?)?);
                Ok(())
            }
            Member::Key => {
                let pem = zeroize::Zeroizing::new(all(from)?);
                key = Some(Identity::of_pem(&new.join(member.name()), &pem)?.id());
                swap::write(&new.join(member.name()), &pem)
            }
            Member::Token | Member::Store => swap::copy(&new.join(member.name()), from).map(drop),
        })?;
        let (about, key) = (about.expect("unpacked"), key.expect("unpacked"));
        staged.adopt_store(&new.join(Member::Store.name()), &about, key)?;
        staged.about = Some(about);
        Ok(staged)
    }
}

fn all(from: &mut dyn Read) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(BackupError::reading)?; // bounded by the member's limit
    Ok(bytes)
}

/// A backup that was checked and stands beside the home that it is to replace; dropped, it is thrown away.
#[derive(Debug)]
pub struct Staged {
    folder: Folder,
    key_path: PathBuf,
    about: Option<About>,
    at: Stamp,
}

impl Staged {
    /// Returns what the backup says of itself.
    pub fn about(&self) -> &About {
        self.about.as_ref().expect("set before anybody else sees it")
    }

    /// Tells whether there is a home to be replaced.
    pub fn replaces(&self) -> bool {
        self.folder.path().join(Member::Store.name()).exists() || self.key_path.exists()
    }

    /// Puts the restored home in place of the one that is there, which is kept.
    ///
    /// # Errors
    ///
    /// Tells which file could not be moved: the next start, or the next restore, goes on there.
    pub fn put_in_place(mut self) -> Result<Done, BackupError> {
        let kept = swap::go(self.folder.path(), &self.key_path, self.at)?;
        Ok(Done { about: self.about.take().expect("set before anybody else sees it"), kept })
    }

    fn adopt_store(&self, store: &Path, about: &About, key: HomeId) -> Result<(), BackupError> {
        let restored = Restored { at: self.at, backup_at: about.at };
        let note = serde_json::to_string(&restored).expect("times have a JSON form");
        let memo = MemoKey { kind: RESTORED.0.into(), name: RESTORED.1.into() };
        let home = adopt(store, &memo, &note).map_err(|error| match error {
            StoreError::Damaged { reason, .. } => BackupError::Damaged(format!("its store: {reason}")),
            other => other.into(),
        })?;
        if home != Some(key) || about.home.id.parse() != Ok(key) {
            return Err(BackupError::TwoHomes);
        }
        // what SQLite has changed is on the disk before anything depends on it
        fs::File::open(store).and_then(|file| file.sync_all()).map_err(BackupError::at(store))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        swap::give_up(self.folder.path());
    }
}
