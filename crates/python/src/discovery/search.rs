//! The running search for homes, on a thread of its own that ends with it.

use std::{io, sync::Arc, sync::mpsc, thread, time::Duration};

use crosshome_node::discovery::{Discovery, DiscoveryError, DiscoveryEvent, Settings};
use tokio::{runtime, runtime::Handle};

/// Longest wait for the goodbye where nothing can be awaited: more than mDNS takes for it.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Looks for homes until it is stopped or dropped.
pub(super) struct Search {
    discovery: Arc<Discovery>,
    runtime: Handle,
}

impl Search {
    /// Begins to look.
    ///
    /// # Errors
    ///
    /// Those of [`Discovery::start`], and that the system gives no thread.
    pub(super) fn start(settings: Settings) -> Result<Self, SearchError> {
        let (ready, started) = mpsc::channel();
        let live = move || match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(look(settings, ready)),
            Err(error) => drop(ready.send(Err(error.into()))),
        };
        thread::Builder::new().name("discovery".into()).spawn(live)?;
        started.recv().map_err(|_| DiscoveryError::Stopped)?
    }

    /// Returns the search itself.
    pub(super) fn discovery(&self) -> &Arc<Discovery> {
        &self.discovery
    }

    /// Hears of every home in sight and then of every change.
    pub(super) fn subscribe(&self) -> tokio::sync::mpsc::Receiver<DiscoveryEvent> {
        let _here = self.runtime.enter();
        self.discovery.subscribe()
    }

    /// Says goodbye and returns when the search has ended.
    pub(super) async fn stop(self) {
        self.discovery.stop().await;
        self.discovery.ended().await;
    }

    /// As [`Search::stop`], on a thread that cannot await, and not for ever.
    pub(super) fn close(self) {
        let (done, ended) = mpsc::channel();
        self.runtime.clone().spawn(async move {
            self.discovery.stop().await;
            let _ = done.send(());
        });
        let _ = ended.recv_timeout(CLOSE_WITHIN);
    }
}

type Ready = mpsc::Sender<Result<Search, SearchError>>;

async fn look(settings: Settings, ready: Ready) {
    match Discovery::start(settings) {
        Ok(discovery) => {
            let ended = discovery.ended();
            let search = Search { discovery: Arc::new(discovery), runtime: Handle::current() };
            let _ = ready.send(Ok(search));
            ended.await;
        }
        Err(error) => drop(ready.send(Err(error.into()))),
    }
}

/// Why the search does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    /// It does not.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The system gives no thread.
    #[error("the system gives no thread to look for homes on: {0}")]
    Thread(#[from] io::Error),
}
