//! `sharing._engine.Discovery`: homes on the local network, and the announcement of this one.
//!
//! The Python face is `sharing/discovery.py`. Looking and announcing are the node's own discovery, on a thread of its own
//! ([`search`]); what it sees is told on the event loop that called `start()` ([`observers`]). A home can
//! borrow it ([`Discovery::lend`]), and then it announces that home.
//!
//! What always holds: in a process that was forked from the one that made it nothing works and nothing is closed.

use std::{
    mem, process,
    sync::{Arc, Mutex, MutexGuard},
};

use crosshome_node::{
    config::InterfaceName,
    discovery::{Announcement, Settings},
    home::About,
};
use futures_util::stream::{self, StreamExt};
use pyo3::{
    exceptions::PyValueError,
    gc::{PyTraverseError, PyVisit},
    prelude::*,
    sync::{MutexExt, PyOnceLock},
    types::PyDict,
};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

mod info;
mod observers;
mod search;

pub(crate) use search::SearchError;

use self::{
    info::{LocalInfo, PeerInfo},
    observers::{Heard, Observers},
    search::Search,
};
use crate::{
    error::{self, ConfigError, NotRunning},
    executor::{listen, wait},
    registry::home_name,
};

/// Looks for homes, and announces one.
#[pyclass(frozen, weakref, module = "sharing._engine")]
pub(crate) struct Discovery {
    settings: Settings,
    /// What is announced while no home runs on this.
    alone: Announcement,
    /// The process that it was made in.
    process: u32,
    // Held for the few milliseconds of a start, else for a moment; never while Python code runs.
    life: Mutex<Life>,
    observers: Arc<Observers>,
}

#[derive(Default)]
struct Life {
    search: Option<Search>,
    ears: Option<Ears>,
    /// What is announced for the home that has borrowed this.
    home: Option<Announcement>,
}

/// The event loop that is told; dropping this ends it.
struct Ears {
    event_loop: Py<PyAny>,
    late: mpsc::Sender<()>,
    _open: oneshot::Sender<()>,
}

impl Discovery {
    /// Lends the running search to a home, which announces itself on it.
    ///
    /// # Errors
    ///
    /// `NotRunning` before `start()`, `ConfigError` when another home has it.
    pub(crate) fn lend(&self, py: Python<'_>) -> PyResult<crosshome_node::discovery::Discovery> {
        let life = self.life(py)?;
        if life.home.is_some() {
            return Err(ConfigError::new_err("another home is announced by this discovery service"));
        }
        Ok(running(&life)?.discovery().lend())
    }

    /// Notes the home that has borrowed the search.
    pub(crate) fn announce_as(&self, py: Python<'_>, home: &About) -> PyResult<()> {
        let port = home.sync_address.map_or(self.alone.port, |address| address.port());
        self.life(py)?.home = Some(Announcement::new(home.id.to_string(), &*home.name, port));
        Ok(())
    }

    /// Notes that the home has given the search back.
    pub(crate) fn take_back(&self, py: Python<'_>) -> PyResult<()> {
        self.life(py)?.home = None;
        Ok(())
    }

    fn life(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Life>> {
        if self.process != process::id() {
            return Err(NotRunning::new_err(
                "the discovery service stayed in the process that this one was forked from",
            ));
        }
        Ok(self.life.lock_py_attached(py).unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Tells the event loop of this thread, instead of any other, what the search sees.
    fn hear(&self, py: Python<'_>, life: &mut Life) -> PyResult<()> {
        let event_loop = current_loop(py)?;
        if life.ears.as_ref().is_some_and(|ears| ears.event_loop.bind(py).is(&event_loop)) {
            return Ok(());
        }
        let (late, mut latecomers) = mpsc::channel(1);
        let (open, closed) = oneshot::channel();
        life.ears = None;
        self.observers.forget();
        let mut homes = running(life)?.subscribe();
        let homes = stream::poll_fn(move |context| homes.poll_recv(context)).map(Heard::Home);
        let late_ones = stream::poll_fn(move |context| latecomers.poll_recv(context)).map(|()| Heard::Late);
        let observers = self.observers.clone();
        let heard = stream::select(homes, late_ones).take_until(closed);
        listen(py, heard, move |py, heard| observers.hear(py, heard))?;
        life.ears = Some(Ears { event_loop: event_loop.unbind(), late, _open: open });
        Ok(())
    }
}

#[pymethods]
impl Discovery {
    #[new]
    fn new(
        home_id: Option<&str>,
        instance_name: &str,
        mdns_port: u16,
        sync_port: u16,
        interfaces: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let home_name = home_name(home_id, "home_id")?;
        let alone = Announcement::new(id_of(&home_name), home_name, sync_port);
        let settings = Settings {
            mdns_port,
            interfaces: interfaces.unwrap_or_default().into_iter().map(interface).collect::<PyResult<_>>()?,
            instance_name: Some(instance_name.to_owned()),
        };
        settings.check().map_err(|error| error::of_discovery(&error.into()))?;
        Ok(Self {
            settings,
            alone,
            process: process::id(),
            life: Mutex::default(),
            observers: Arc::default(),
        })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let mut life = self.life(py)?;
        if life.search.is_none() {
            current_loop(py)?; // nothing begins where nobody could be told
            let settings = self.settings.clone();
            let search = py.detach(|| Search::start(settings)).map_err(|error| error::of_search(&error))?;
            life.search = Some(search);
            life.ears = None;
        }
        self.hear(py, &mut life)
    }

    fn stop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let search = self.end(py)?;
        wait(py, async {
            if let Some(search) = search {
                search.stop().await;
            }
            Ok(())
        })
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.process != process::id() {
            return Ok(()); // it is the other process's to say goodbye
        }
        let search = self.end(py)?;
        py.detach(|| search.map(Search::close));
        Ok(())
    }

    fn publish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let life = self.life(py)?;
        let discovery = running(&life)?.discovery().clone();
        let said = life.home.as_ref().unwrap_or(&self.alone).clone();
        drop(life);
        wait(py, async move { discovery.publish(said).await.map_err(|error| error::of_discovery(&error)) })
    }

    fn browse(&self, py: Python<'_>) -> PyResult<()> {
        let life = self.life(py)?;
        running(&life)?.discovery().browse().map_err(|error| error::of_discovery(&error))
    }

    fn peers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let life = self.life(py)?;
        let sightings = life.search.as_ref().map(|search| search.discovery().sightings()).unwrap_or_default();
        drop(life);
        let peers = PyDict::new(py);
        sightings.iter().try_for_each(|home| peers.set_item(&home.id, PeerInfo::of(home)))?;
        Ok(peers)
    }

    fn local(&self, py: Python<'_>) -> PyResult<LocalInfo> {
        let life = self.life(py)?;
        let announced = life.search.as_ref().and_then(|search| search.discovery().announced());
        let name = announced.or_else(|| self.settings.instance_name.clone()).unwrap_or_default();
        Ok(LocalInfo::of(life.home.as_ref().unwrap_or(&self.alone), name))
    }

    fn is_running(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.life(py)?.search.is_some())
    }

    fn on_discovered(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let life = self.life(py)?;
        let Some(ears) = &life.ears else { return self.observers.discovered.add(callback) };
        self.observers.late.add(callback)?;
        let _ = ears.late.try_send(()); // if it is full, they hear of it already
        Ok(())
    }

    fn on_updated(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.observers.updated.add(callback)
    }

    fn on_lost(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.observers.lost.add(callback)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(life) = self.life.try_lock()
            && let Some(ears) = &life.ears
        {
            visit.call(&ears.event_loop)?;
        }
        self.observers.traverse(&visit)
    }

    fn __clear__(&self) {
        let ears = self.life.try_lock().ok().and_then(|mut life| life.ears.take());
        drop(ears);
        self.observers.clear();
    }
}

impl Discovery {
    /// Ends what is told, and returns the search that is to be ended.
    fn end(&self, py: Python<'_>) -> PyResult<Option<Search>> {
        let mut life = self.life(py)?;
        let (search, ears) = (life.search.take(), life.ears.take());
        drop(life);
        drop(ears);
        self.observers.forget();
        Ok(search)
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        if self.process != process::id() {
            mem::forget(mem::take(&mut self.life)); // threads that a lock could wait for did not come along
        }
    }
}

fn running(life: &Life) -> PyResult<&Search> {
    life.search
        .as_ref()
        .ok_or_else(|| NotRunning::new_err("the discovery service is not started: await start() first"))
}

fn current_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    RUNNING.import(py, "asyncio", "get_running_loop")?.call0()
}

/// Returns the id that is announced while there is no home with a key.
fn id_of(home_name: &str) -> String {
    Sha256::digest(home_name).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn interface(name: String) -> PyResult<String> {
    match InterfaceName::of(&name) {
        Some(_) => Ok(name),
        None => Err(PyValueError::new_err(format!("interfaces: {name:?} is no name of a network interface"))),
    }
}
