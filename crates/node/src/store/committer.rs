//! The thread that owns the store: commits in groups, off the path of the loop.
//!
//! Batches are not queued but merged: all that came in while one transaction was
//! written is the next one, in the order in which it came. So a slow disk costs
//! fewer and larger transactions, and what waits is bounded by what is known,
//! never by rates or outages. A batch that could not be stored stays and is tried
//! again, first; `Ok` for a batch covers everything that was given before it.
//!
//! ```
//! # use crosshome_node::store::{Batch, Committer, Store};
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (store, _) = Store::in_memory()?;
//! let committer = Committer::start(store);
//! drop(committer.commit(Batch { head: 1, ..Batch::default() })); // on its way; nobody waits
//! committer.commit(Batch { durable: true, head: 2, ..Batch::default() }).await?; // both are stored
//! committer.close().await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crosshome_core::EntityKey;
use tokio::sync::{oneshot, watch};

use super::{Batch, HistoryRow, Store, StoreError};
use crate::defaults::STORE_RETRY;

/// The way to the store, while a thread of its own writes.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    health: watch::Receiver<Health>,
}

/// How the store is.
#[derive(Clone, Debug, Default)]
pub enum Health {
    /// What is given is stored.
    #[default]
    Well,
    /// Nothing is stored at present, for this reason; it is tried again and again.
    Failing(StoreError),
}

#[derive(Debug, Default)]
struct Shared {
    /// Guards what has been given and not been taken by the thread.
    inbox: Mutex<Inbox>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    work: Work,
    /// Rows at which repeats are worth looking for.
    room: usize,
    /// Not before this the batch is tried again.
    not_before: Option<Instant>,
    /// Nothing comes in any more.
    closed: bool,
}

#[derive(Debug, Default)]
struct Work {
    batch: Option<Batch>,
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
    questions: Vec<Question>,
    /// The thread ends after this; whoever waits for it hears how it went.
    close: Option<Option<oneshot::Sender<Result<(), StoreError>>>>,
}

#[derive(Debug)]
struct Question {
    key: EntityKey,
    reply: oneshot::Sender<Result<Vec<HistoryRow>, StoreError>>,
}

impl Committer {
    /// Gives the store to a thread of its own.
    ///
    /// # Panics
    ///
    /// When the system cannot start another thread.
    pub fn start(store: Store) -> Self {
        let shared = Arc::new(Shared::default());
        let (health, watched) = watch::channel(Health::Well);
        let (worker, end) = (Worker { store, shared: shared.clone(), health }, End(shared.clone()));
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            let _end = end;
            worker.run();
        });
        thread.expect("the system can start a thread");
        Self { shared, health: watched }
    }

    /// Gives a batch to the store at once; the answer comes when it is committed or has failed.
    ///
    /// After a failure the batch is kept and tried again before anything later: give only what is new.
    ///
    /// # Errors
    ///
    /// Nothing may be acknowledged that this batch or one before it holds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the batch back.
    pub fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let answer = self.shared.give(|work, reply| {
            match &mut work.batch {
                Some(waiting) => waiting.absorb(batch),
                none => *none = Some(batch),
            }
            work.waiting.push(reply);
        });
        async { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Reads the versions kept of an entity, the newest first.
    ///
    /// # Errors
    ///
    /// Tells why the file cannot be read.
    pub fn history(
        &self,
        key: EntityKey,
    ) -> impl Future<Output = Result<Vec<HistoryRow>, StoreError>> + use<> {
        let answer = self.shared.give(|work, reply| work.questions.push(Question { key, reply }));
        async { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Returns how the store is, and every change of that.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Stores what waits, marks the store as properly closed, and frees the data directory.
    ///
    /// # Errors
    ///
    /// What was confirmed is safe even so; what waited is lost.
    pub fn close(self) -> impl Future<Output = Result<(), StoreError>> {
        let answer = self.shared.give(|work, reply| work.close = Some(Some(reply)));
        async move {
            let closed = answer.await.unwrap_or(Err(StoreError::Closed));
            drop(self);
            closed
        }
    }
}

impl Drop for Committer {
    /// Lets the thread store what waits and end.
    fn drop(&mut self) {
        let mut inbox = self.shared.lock();
        inbox.work.close.get_or_insert(None);
        inbox.closed = true;
        self.shared.bell.notify_one();
    }
}

impl Shared {
    /// Adds to the work, and returns where the answer comes; there is none once the thread has ended.
    fn give<T>(&self, add: impl FnOnce(&mut Work, oneshot::Sender<T>)) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        let mut inbox = self.lock();
        if !inbox.closed {
            add(&mut inbox.work, reply);
            inbox.compact();
            self.bell.notify_one();
        }
        answer
    }

    /// Waits for work and takes all of it.
    fn take(&self) -> Work {
        let mut inbox = self.lock();
        loop {
            let pause = inbox.pause();
            if let Some(work) = inbox.take(pause.is_some()) {
                return work;
            }
            inbox = match pause {
                Some(pause) => self.bell.wait_timeout(inbox, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.bell.wait(inbox).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Puts back what could not be stored, before all that came since.
    fn put_back(&self, mut batch: Batch) {
        let mut inbox = self.lock();
        inbox.work.batch.take().into_iter().for_each(|later| batch.absorb(later));
        inbox.work.batch = Some(batch);
        inbox.not_before = Some(Instant::now() + STORE_RETRY);
        inbox.compact();
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Returns how long the batch has to wait after a failure; not at all when everything is to end.
    fn pause(&self) -> Option<Duration> {
        let ends = self.not_before.filter(|_| self.work.close.is_none() && self.work.batch.is_some())?;
        ends.checked_duration_since(Instant::now()).filter(|pause| !pause.is_zero())
    }

    /// Takes what can be done now, if there is anything.
    fn take(&mut self, paused: bool) -> Option<Work> {
        let questions = mem::take(&mut self.work.questions);
        if paused {
            return (!questions.is_empty()).then(|| Work { questions, ..Work::default() });
        }
        self.closed |= self.work.close.is_some();
        let work = Work { questions, ..mem::take(&mut self.work) };
        let idle = work.batch.is_none() && work.questions.is_empty() && work.close.is_none();
        (!idle).then_some(work)
    }

    /// Drops repeated rows, once there are so many that looking for them costs little in comparison.
    fn compact(&mut self) {
        let Some(batch) = self.work.batch.as_mut().filter(|batch| batch.len() > self.room) else { return };
        batch.compact();
        self.room = batch.room();
    }
}

/// Leaves nobody waiting, however the thread ends.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let mut inbox = self.0.lock();
        (inbox.closed, inbox.work) = (true, Work::default());
    }
}

struct Worker {
    store: Store,
    shared: Arc<Shared>,
    health: watch::Sender<Health>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let Work { batch, waiting, questions, close } = self.shared.take();
            let stored = batch.map_or(Ok(()), |batch| self.store(batch));
            for reply in waiting {
                let _ = reply.send(stored.clone()); // nobody waits for a lazy batch
            }
            for Question { key, reply } in questions {
                let _ = reply.send(self.store.history(&key));
            }
            if let Some(reply) = close {
                return self.end(stored, reply);
            }
        }
    }

    fn store(&mut self, batch: Batch) -> Result<(), StoreError> {
        let stored = self.store.commit(&batch);
        self.report(&stored);
        if stored.is_err() {
            self.shared.put_back(batch);
        }
        stored
    }

    fn end(self, stored: Result<(), StoreError>, reply: Option<oneshot::Sender<Result<(), StoreError>>>) {
        let Self { store, .. } = self;
        let closed = stored.and_then(|()| store.close());
        if let Err(error) = &closed {
            tracing::error!(%error, "store was not closed properly");
        }
        reply.map(|reply| reply.send(closed));
    }

    /// Tells observers when the store begins to fail, fails otherwise, or is well again.
    fn report(&self, stored: &Result<(), StoreError>) {
        self.health.send_if_modified(|health| {
            let (before, now) = (health.to_string(), stored.as_ref().err().cloned());
            *health = now.map_or(Health::Well, Health::Failing);
            let changed = before != health.to_string();
            match health {
                Health::Failing(error) if changed => tracing::error!(%error, "store fails"),
                Health::Well if changed => tracing::info!("store is well again"),
                _ => {}
            }
            changed
        });
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Well => f.write_str("well"),
            Self::Failing(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_has_ended() {
        let committer = Committer::start(Store::in_memory().expect("it opens").0);
        let end = committer.shared.give(|work, reply| work.close = Some(Some(reply)));
        end.await.expect("the thread answers").expect("it closes");
        assert!(matches!(committer.commit(Batch::default()).await, Err(StoreError::Closed)));
        let shared = &committer.shared;
        shared.lock().closed = false; // as if it had not ended in order
        let waiting = committer.commit(Batch::default());
        drop(End(shared.clone()));
        assert!(matches!(waiting.await, Err(StoreError::Closed)));
    }
}
