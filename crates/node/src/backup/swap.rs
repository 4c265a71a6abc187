//! Exchanges a home's files for restored ones, so that a crash at any moment harms nothing.
//!
//! What is to come is written to `restore.new` and checked there. Until that folder is renamed to `restore.ready`,
//! the old home is untouched and the folder is rubbish, which the next start removes. Afterwards the restore only
//! goes forward: every step can be repeated, the next start takes those that are missing, and what was there before is
//! moved to `before-restore-<time>`, which is a data directory of its own.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{BackupError, members::Member};
use crate::{identity, views::Stamp};

const NEW: &str = "restore.new";
const READY: &str = "restore.ready";
const PLAN: &str = "plan.json";
const KEPT: &str = "before-restore-";

/// What stands beside a store and is of no use to another one.
const BESIDE_THE_STORE: [&str; 2] = ["crosshome.db-wal", "crosshome.db-shm"];

/// What a restore is about to do, as the next start would have to know.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// The folder that the home from before is moved to.
    kept: String,
}

/// The steps from one home to the other, in their order.
const STEPS: [Step; 6] = [Step::KeepLog, Step::Key, Step::OldKeys, Step::Token, Step::Store, Step::Clear];

#[derive(Clone, Copy, Debug)]
enum Step {
    KeepLog,
    Key,
    OldKeys,
    Token,
    Store,
    Clear,
}

/// A restore that goes forward.
#[derive(Debug)]
struct Swap<'a> {
    dir: &'a Path,
    key_path: &'a Path,
    ready: PathBuf,
    kept: PathBuf,
}

/// Makes an empty folder for what is to come, in place of one that a crash has left.
pub(super) fn open(dir: &Path) -> Result<PathBuf, BackupError> {
    let new = dir.join(NEW);
    remove_dir(&new)?;
    make_dir(&new)?;
    Ok(new)
}

/// Throws away what was to come.
pub(super) fn give_up(dir: &Path) {
    if let Err(error) = remove_dir(&dir.join(NEW)) {
        tracing::error!(%error, "what was to be restored is still there");
    }
}

/// Puts what was written to the new folder in place, and returns where the home from before is.
pub(super) fn go(dir: &Path, key_path: &Path, at: Stamp) -> Result<Option<PathBuf>, BackupError> {
    let plan = Plan { kept: free_name(dir, at) };
    let (new, ready) = (dir.join(NEW), dir.join(READY));
    write(&new.join(PLAN), &serde_json::to_vec(&plan).expect("a name has a JSON form"))?;
    sync(&new)?;
    fs::rename(&new, &ready).map_err(BackupError::at(&ready))?;
    sync(dir)?;
    finish(dir, key_path)
}

/// Finishes or undoes a restore that was cut off, and returns where the home from before is, if one was finished.
///
/// The directory must belong to this process.
///
/// # Errors
///
/// Tells which file could not be moved; the next try goes on there.
pub(crate) fn finish(dir: &Path, key_path: &Path) -> Result<Option<PathBuf>, BackupError> {
    remove_dir(&dir.join(NEW))?;
    let Some(swap) = Swap::under_way(dir, key_path)? else { return Ok(None) };
    STEPS.iter().try_for_each(|step| swap.take(*step))?;
    tracing::info!(kept = %swap.kept.display(), "a backup was restored");
    Ok(swap.kept.exists().then_some(swap.kept))
}

impl<'a> Swap<'a> {
    fn under_way(dir: &'a Path, key_path: &'a Path) -> Result<Option<Self>, BackupError> {
        let ready = dir.join(READY);
        let text = match fs::read(ready.join(PLAN)) {
            Ok(text) => text,
            // nothing is left to be done but to remove the empty folder
            Err(error) if error.kind() == ErrorKind::NotFound => {
                remove_dir(&ready)?;
                return Ok(None);
            }
            Err(error) => return Err(BackupError::at(ready)(error)),
        };
        let plan: Plan =
            serde_json::from_slice(&text).map_err(|error| BackupError::at(ready.join(PLAN))(error.into()))?;
        let name = Path::new(&plan.kept).file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| name.starts_with(KEPT)) else {
            return Err(BackupError::at(ready.join(PLAN))(ErrorKind::InvalidData.into()));
        };
        Ok(Some(Self { dir, key_path, ready, kept: dir.join(name) }))
    }

    /// Takes a step, unless it has been taken.
    fn take(&self, step: Step) -> Result<(), BackupError> {
        match step {
            // Once the new store is in place, a log beside it is its own.
            Step::KeepLog if self.ready.join(Member::Store.name()).exists() => {
                BESIDE_THE_STORE.iter().try_for_each(|name| self.keep(name))
            }
            Step::KeepLog => Ok(()),
            Step::Key => self.exchange_key(),
            Step::OldKeys => self.keep_old_keys(),
            Step::Token => self.exchange(Member::Token.name()),
            Step::Store => self.exchange(Member::Store.name()),
            Step::Clear => self.clear(),
        }
    }

    fn exchange(&self, name: &str) -> Result<(), BackupError> {
        let fresh = self.ready.join(name);
        if !fresh.exists() {
            return Ok(());
        }
        self.keep(name)?;
        rename(&fresh, &self.dir.join(name))
    }

    /// Exchanges the key, which may lie on another disk: kept once, then replaced, then removed here.
    fn exchange_key(&self) -> Result<(), BackupError> {
        let name = Member::Key.name();
        let fresh = self.ready.join(name);
        if !fresh.exists() {
            return Ok(());
        }
        self.keep_key(self.key_path, name)?;
        let pem = zeroize::Zeroizing::new(fs::read(&fresh).map_err(BackupError::at(&fresh))?);
        identity::put_key(self.key_path, &pem)?;
        fs::remove_file(&fresh).map_err(BackupError::at(&fresh))
    }

    /// Moves what a change of key has left beside the key: it is of no use to another one.
    fn keep_old_keys(&self) -> Result<(), BackupError> {
        for suffix in [".next", ".previous"] {
            let mut path = self.key_path.as_os_str().to_owned();
            path.push(suffix);
            let path = PathBuf::from(path);
            if path.exists() {
                self.keep_key(&path, &format!("sharing_key{suffix}"))?;
                fs::remove_file(&path).map_err(BackupError::at(&path))?;
            }
        }
        Ok(())
    }

    fn keep_key(&self, path: &Path, name: &str) -> Result<(), BackupError> {
        let kept = self.kept.join(name);
        match identity::key_as_it_is(path)? {
            Some(pem) if !kept.exists() => {
                make_dir(&self.kept)?;
                Ok(identity::put_key(&kept, &pem)?)
            }
            _ => Ok(()),
        }
    }

    /// Moves a file of the home from before out of the way.
    fn keep(&self, name: &str) -> Result<(), BackupError> {
        let path = self.dir.join(name);
        if !path.exists() {
            return Ok(());
        }
        make_dir(&self.kept)?;
        rename(&path, &self.kept.join(name))
    }

    /// Removes the plan once all that it says has reached the disk.
    fn clear(&self) -> Result<(), BackupError> {
        if self.kept.exists() {
            sync(&self.kept)?;
        }
        sync(self.dir)?;
        let plan = self.ready.join(PLAN);
        fs::remove_file(&plan).map_err(BackupError::at(&plan))?;
        remove_dir(&self.ready)
    }
}

/// Returns a name that no folder has: two restores may come within a second.
fn free_name(dir: &Path, at: Stamp) -> String {
    let time: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let name = format!("{KEPT}{}Z", time.split('.').next().unwrap_or_default());
    let others = (2..).map(|n| format!("{name}-{n}"));
    std::iter::once(name.clone()).chain(others).find(|name| !dir.join(name).exists()).expect("they never end")
}

/// Writes a file that nobody else may read, and brings it to the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    copy(path, &mut &*bytes).map(drop)
}

/// Copies all that is read to a file that nobody else may read, brings it to the disk, and returns its length.
pub(super) fn copy(path: &Path, from: &mut dyn io::Read) -> Result<u64, BackupError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(BackupError::at(path))?;
    let (mut chunk, mut length) = (zeroize::Zeroizing::new(vec![0; 64 * 1024]), 0);
    loop {
        // told apart, because one is about the backup and the other about the disk
        let read = from.read(&mut chunk).map_err(BackupError::reading)?;
        if read == 0 {
            break;
        }
        file.write_all(&chunk[..read]).map_err(BackupError::at(path))?;
        length += read as u64;
    }
    file.sync_all().map_err(BackupError::at(path))?;
    Ok(length)
}

fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(BackupError::at(from))
}

fn make_dir(path: &Path) -> Result<(), BackupError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(BackupError::at(path)),
    }
}

fn remove_dir(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(BackupError::at(path)),
    }
}

fn sync(dir: &Path) -> Result<(), BackupError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(BackupError::at(dir))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const FILES: [&str; 3] = ["sharing_key", "api_token", "crosshome.db"];

    /// Returns a directory with an old home, and a new one that is ready.
    fn between(key_beside: bool) -> (TempDir, PathBuf, PathBuf) {
        let place = TempDir::new().expect("a folder");
        let dir = place.path().join("data");
        make_dir(&dir).expect("made");
        let key_path = if key_beside { place.path().join("keys/key") } else { dir.join("sharing_key") };
        identity::put_key(&key_path, b"old").expect("written");
        for name in ["api_token", "crosshome.db", "crosshome.db-wal"] {
            write(&dir.join(name), b"old").expect("written");
        }
        let new = open(&dir).expect("made");
        FILES.iter().for_each(|name| write(&new.join(name), b"new").expect("written"));
        write(&new.join(PLAN), br#"{"kept":"before-restore-x"}"#).expect("written");
        fs::rename(&new, dir.join(READY)).expect("renamed");
        (place, dir, key_path)
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    fn is_whole(dir: &Path, key_path: &Path) {
        let kept = dir.join("before-restore-x");
        assert_eq!((read(key_path), read(&kept.join("sharing_key"))), ("new".into(), "old".into()));
        for name in &FILES[1..] {
            assert_eq!(
                (read(&dir.join(name)), read(&kept.join(name))),
                ("new".into(), "old".into()),
                "{name}"
            );
        }
        assert_eq!(read(&kept.join("crosshome.db-wal")), "old");
        assert!(!dir.join("crosshome.db-wal").exists() && !dir.join(READY).exists());
    }

    #[test]
    fn restore_cut_off_after_any_step_is_finished_by_the_next_start() {
        for key_beside in [false, true] {
            for taken in 0..=STEPS.len() {
                let (_place, dir, key_path) = between(key_beside);
                let swap = Swap::under_way(&dir, &key_path).expect("readable").expect("ready");
                STEPS[..taken].iter().for_each(|step| swap.take(*step).expect("taken"));
                finish(&dir, &key_path).expect("finished");
                is_whole(&dir, &key_path);
            }
        }
    }

    #[test]
    fn key_that_was_exchanged_but_not_removed_is_not_kept_in_place_of_the_old_one() {
        let (_place, dir, key_path) = between(true);
        let swap = Swap::under_way(&dir, &key_path).expect("readable").expect("ready");
        swap.take(Step::Key).expect("taken");
        write(&dir.join(READY).join("sharing_key"), b"new").expect("written"); // as if it was cut off before the end
        finish(&dir, &key_path).expect("finished");
        is_whole(&dir, &key_path);
    }

    #[test]
    fn log_of_the_restored_store_stays_with_it() {
        let (_place, dir, key_path) = between(false);
        let swap = Swap::under_way(&dir, &key_path).expect("readable").expect("ready");
        STEPS[..5].iter().for_each(|step| swap.take(*step).expect("taken"));
        write(&dir.join("crosshome.db-wal"), b"new").expect("written");
        finish(&dir, &key_path).expect("finished");
        assert_eq!(read(&dir.join("crosshome.db-wal")), "new");
    }

    #[test]
    fn what_was_not_ready_is_thrown_away_and_the_old_home_stays() {
        let (_place, dir, key_path) = between(false);
        fs::rename(dir.join(READY), dir.join(NEW)).expect("renamed");
        assert_eq!(finish(&dir, &key_path).expect("undone"), None);
        assert_eq!((read(&key_path), read(&dir.join("crosshome.db"))), ("old".into(), "old".into()));
        assert!(!dir.join(NEW).exists());
    }

    #[test]
    fn plan_does_not_lead_out_of_the_directory() {
        let (_place, dir, key_path) = between(false);
        for kept in ["../elsewhere", "/tmp/elsewhere", "lock", ".."] {
            fs::write(dir.join(READY).join(PLAN), format!(r#"{{"kept":"{kept}"}}"#)).expect("own file");
            assert!(finish(&dir, &key_path).is_err(), "{kept}");
        }
        assert_eq!(read(&dir.join("crosshome.db")), "old");
    }

    #[test]
    fn second_restore_within_a_second_keeps_both_homes() {
        let dir = TempDir::new().expect("a folder");
        let first = free_name(dir.path(), Stamp(0));
        assert_eq!(first, "before-restore-19700101T000000Z");
        make_dir(&dir.path().join(&first)).expect("made");
        assert_eq!(free_name(dir.path(), Stamp(0)), "before-restore-19700101T000000Z-2");
    }
}
