//! What is kept by id: a file of its own, or memory, and everybody who has to hear of changes.
//!
//! The registry of shared entities and the conflicts of a resolver are [`Kept`]: a JSON text by id. A file is
//! SQLite with a write-ahead log, because that was the cheapest way to be durable at each call: 0.3 ms on the disk where
//! a file written anew and renamed took 1.6 ms with ten entities and 22 ms with 10,000, and SQLite's rollback journal
//! 25 ms. Its locks also let several processes write to one file. Decision 15 has the whole story.
//!
//! What always holds: whatever a call has confirmed is on the disk; a change is made to what the file holds *now*, so two
//! processes lose nothing to each other; listeners hear of every change once and in the order of the file,
//! whoever made it; a file that is damaged is put aside, and one that is newer or another program's stays untouched. In one process
//! a file is open once, however many ask for it: to close a second descriptor would drop the locks of the first.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

mod disk;
mod error;
pub(crate) mod fork;
mod place;
pub(crate) mod watch;

use disk::Disk;
pub(crate) use error::KeptError;
pub(crate) use place::{Form, Place};

use crate::locks::locked;

/// All that is kept, by id: canonical JSON.
pub(crate) type Rows = BTreeMap<Arc<str>, Arc<str>>;

/// What is to stand under an id; nothing removes it.
pub(crate) type Write = (Arc<str>, Option<Arc<str>>);

/// What has become of one id.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) id: Arc<str>,
    pub(crate) before: Option<Arc<str>>,
    pub(crate) after: Option<Arc<str>>,
}

/// Who hears of changes.
pub(crate) trait Listener: Send + Sync {
    /// Notes a change; called under the lock, so it may neither wait nor ask for what is kept.
    fn changed(&self, change: &Change);

    /// Does what the noted changes ask for; called without a lock, and maybe without need.
    fn tell(&self) {}
}

/// What is kept by id.
pub(crate) struct Kept {
    place: Option<Place>,
    /// Guards the file and what is known of it.
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// The open file; nothing in memory, and after a fork until somebody asks.
    disk: Option<Disk>,
    rows: Rows,
    listeners: Vec<(u64, Arc<dyn Listener>)>,
    /// Why the file cannot be gone on with.
    broken: Option<KeptError>,
}

/// Every file that this process has open.
static OPEN: Mutex<Vec<Weak<Kept>>> = Mutex::new(Vec::new());

impl Kept {
    /// Keeps in memory alone.
    pub(crate) fn in_memory() -> Arc<Self> {
        Arc::new(Self { place: None, inside: Mutex::default() })
    }

    /// Opens a file, or makes it; if this process has it open already, that is what is returned.
    ///
    /// # Errors
    ///
    /// What is wrong with the file or its folder. A damaged file has been put aside: the next call begins with an empty one.
    pub(crate) fn open(path: &Path, form: Form) -> Result<Arc<Self>, KeptError> {
        let place = Place::find(path, form)?;
        let _gate = fork::gate();
        let mut open = locked(&OPEN);
        open.retain(|kept| kept.strong_count() > 0);
        if let Some(known) = open.iter().filter_map(Weak::upgrade).find(|kept| kept.is_at(&place)) {
            locked(&known.inside).examine(&place)?;
            return Ok(known);
        }
        let mut inside = Inside::default();
        inside.read_anew(&place)?;
        let kept = Arc::new(Self { place: Some(place), inside: Mutex::new(inside) });
        open.push(Arc::downgrade(&kept));
        Ok(kept)
    }

    /// Returns what stands under an id.
    pub(crate) fn get(&self, id: &str) -> Result<Option<Arc<str>>, KeptError> {
        self.with(|inside| Ok(inside.rows.get(id).cloned()))
    }

    /// Returns all that is kept, sorted by id.
    pub(crate) fn all(&self) -> Result<Rows, KeptError> {
        self.with(|inside| Ok(inside.rows.clone()))
    }

    /// Makes the changes that `change` derives from what is kept: all of them or none.
    ///
    /// # Errors
    ///
    /// Those of `change`, and what the disk says; nothing has changed then.
    pub(crate) fn change<E: From<KeptError>>(
        &self,
        change: impl FnOnce(&Rows) -> Result<Vec<Write>, E>,
    ) -> Result<(), E> {
        self.with(|inside| inside.change(change))
    }

    /// Has somebody hear of every change from now on, until what is returned is dropped.
    pub(crate) fn listen(self: &Arc<Self>, listener: Arc<dyn Listener>) -> Listening {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let _gate = fork::gate();
        locked(&self.inside).listeners.push((number, listener));
        Listening { kept: self.clone(), number, _watch: self.place.as_ref().map(|_| watch::begin()) }
    }

    /// Has the listeners do what noted changes ask for.
    pub(crate) fn tell(&self) {
        let listeners: Vec<_> = {
            let _gate = fork::gate();
            locked(&self.inside).listeners.iter().map(|(_, listener)| listener.clone()).collect()
        };
        listeners.iter().for_each(|listener| listener.tell());
    }

    /// Takes in what other processes have written.
    fn look(&self) -> Result<(), KeptError> {
        self.with(|_| Ok(()))
    }

    fn is_at(&self, place: &Place) -> bool {
        self.place.as_ref() == Some(place) && locked(&self.inside).broken.is_none()
    }

    fn with<T, E: From<KeptError>>(&self, work: impl FnOnce(&mut Inside) -> Result<T, E>) -> Result<T, E> {
        let _gate = fork::gate();
        let mut inside = locked(&self.inside);
        if let Some(place) = &self.place {
            inside.catch_up(place)?;
            if !inside.listeners.is_empty() {
                watch::run(); // a fork has ended it in this process
            }
        }
        work(&mut inside)
    }

    /// Closes the file, so that a child that is forked now does not inherit it.
    fn close(&self) {
        locked(&self.inside).disk = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _gate = fork::gate();
        locked(&self.inside).disk = None;
    }
}

impl Inside {
    /// Makes what is known what the file holds.
    fn catch_up(&mut self, place: &Place) -> Result<(), KeptError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let Some(disk) = self.disk.as_mut().filter(|disk| disk.is_still_at(place)) else {
            return self.read_anew(place);
        };
        let news = disk.news();
        let news = self.judged(news)?;
        self.take(news);
        Ok(())
    }

    /// Opens the file and takes over what it holds.
    fn read_anew(&mut self, place: &Place) -> Result<(), KeptError> {
        self.disk = None; // before it is opened again, or its locks would be lost
        let (disk, rows) = Disk::open(place)?;
        self.disk = Some(disk);
        let gone: Vec<_> = self.rows.keys().filter(|id| !rows.contains_key(*id)).cloned().collect();
        self.take(gone.into_iter().map(|id| (id, None)).collect());
        self.take(rows.into_iter().map(|(id, body)| (id, Some(body))).collect());
        Ok(())
    }

    /// Looks whether the file that is open has been damaged meanwhile, or another one stands in its place.
    fn examine(&mut self, place: &Place) -> Result<(), KeptError> {
        let judged = self.disk.as_ref().map_or(Ok(()), Disk::judge);
        self.judged(judged)?;
        self.catch_up(place)
    }

    fn change<E: From<KeptError>>(
        &mut self,
        change: impl FnOnce(&Rows) -> Result<Vec<Write>, E>,
    ) -> Result<(), E> {
        let Some(disk) = &mut self.disk else {
            let writes = change(&self.rows)?;
            self.take(writes);
            return Ok(());
        };
        // Nobody else writes between what is read here and what is written below.
        let news = disk.begin();
        let news = self.judged(news)?;
        self.take(news);
        let writes = change(&self.rows).and_then(|writes| {
            let disk = self.disk.as_mut().expect("it has begun");
            let written = disk.finish(&writes);
            self.judged(written)?;
            Ok(writes)
        });
        if let (Err(_), Some(disk)) = (&writes, &mut self.disk) {
            disk.give_up();
        }
        self.take(writes?);
        Ok(())
    }

    /// Notes what now stands in the file.
    fn take(&mut self, writes: Vec<Write>) {
        for (id, after) in writes {
            let before = match &after {
                Some(body) => self.rows.insert(id.clone(), body.clone()),
                None => self.rows.remove(&id),
            };
            if before != after {
                let change = Change { id, before, after };
                self.listeners.iter().for_each(|(_, listener)| listener.changed(&change));
            }
        }
    }

    /// Puts a file aside that turns out to be damaged; after any other failure it is opened and read anew.
    fn judged<T>(&mut self, result: Result<T, KeptError>) -> Result<T, KeptError> {
        result.map_err(|error| match (error, self.disk.take()) {
            (KeptError::Corrupt(reason), Some(disk)) => {
                let error = disk.put_aside(reason);
                self.broken = Some(error.clone());
                error
            }
            (error @ KeptError::Failed { .. }, _) => error,
            (error, disk) => {
                self.disk = disk;
                error
            }
        })
    }
}

/// Somebody who hears of changes until this is dropped.
pub(crate) struct Listening {
    kept: Arc<Kept>,
    number: u64,
    _watch: Option<watch::Wanted>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _gate = fork::gate();
        locked(&self.kept.inside).listeners.retain(|(number, _)| *number != self.number);
    }
}

/// Returns the files that this process has open.
fn open_files() -> Vec<Arc<Kept>> {
    locked(&OPEN).iter().filter_map(Weak::upgrade).collect()
}

/// Returns the directory in which a home keeps what nobody has given a place.
pub(crate) fn default_directory() -> PathBuf {
    place::default_directory()
}
