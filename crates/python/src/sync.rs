//! `sharing._engine.Sync`: a running home of this process.
//!
//! The Python face is `sharing/sync.py`. A [`Life`] holds the home; methods that wait return an asyncio
//! future, those that only look ask the home's loop and wait for the microseconds that its answer takes.

use std::{
    collections::HashSet,
    path::PathBuf,
    process,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use crosshome_node::{
    node::{EntityRef, News, Node, NodeError, Resolution, Selection, Settle},
    views::{ConflictView, Entities, EntityView, LinkState},
};
use pyo3::{
    exceptions::PyValueError,
    gc::{PyTraverseError, PyVisit},
    prelude::*,
    types::{PyDict, PyList, PyWeakrefMethods, PyWeakrefReference},
};
use tokio::sync::oneshot;

use crate::{
    callbacks::Callbacks,
    discovery::Discovery,
    error::{self, NotRunning},
    executor::{listen, wait},
    registry::Registry,
};

mod conflict;
mod custom;
mod draft;
mod entity;
mod hearing;
mod joining;
mod life;
mod settings;
mod sharing;

use custom::Failures;
use entity::Wanted;
use hearing::{Heard, Word, hearing};
use joining::Place;
use life::{Life, Stage, Start};
use settings::{Settings, seconds};

/// How long the interpreter's exit waits for a home to say goodbye.
const EXIT_TIME: Duration = Duration::from_secs(2);

/// A home that runs in this process.
#[pyclass(frozen, weakref, module = "sharing._engine")]
pub(crate) struct Sync {
    life: Arc<Life>,
    updated: Callbacks,
    synced: Callbacks,
    conflicts: Callbacks,
    failures: Failures,
    /// What settles conflicts when the strategy is custom.
    decide: Option<Py<PyAny>>,
    /// The search that the home borrows instead of having one of its own.
    discovery: Option<Py<Discovery>>,
    /// What says which entities are shared, if that is not all.
    registry: Option<Py<Registry>>,
    /// The process that it was made in.
    process: u32,
}

#[pymethods]
impl Sync {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of the Python class")]
    #[pyo3(signature = (name, key, *, port, host, data_dir, strategy, decide, discovery, registry))]
    fn new(
        name: Option<&str>,
        key: Option<&Bound<'_, PyAny>>,
        port: u16,
        host: &str,
        data_dir: Option<PathBuf>,
        strategy: &str,
        decide: Option<Py<PyAny>>,
        discovery: Option<Py<Discovery>>,
        registry: Option<Py<Registry>>,
    ) -> PyResult<Self> {
        let settings = Settings::read(name, key, port, host, data_dir, strategy)?;
        Ok(Self {
            life: Life::new(settings),
            updated: Callbacks::default(),
            synced: Callbacks::default(),
            conflicts: Callbacks::default(),
            failures: Failures::default(),
            decide,
            discovery,
            registry,
            process: process::id(),
        })
    }

    fn start<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let life = slf.get().life()?;
        let started = life.start(|| Self::hear(slf))?;
        let waiting = started
            .map(|started| async move { started.await.unwrap_or(Ok(())).map_err(|failed| failed.raised()) });
        waiting.map(|waiting| wait(slf.py(), waiting)).transpose()
    }

    /// Has the borrowed search announce this home.
    fn announce(&self, py: Python<'_>) -> PyResult<()> {
        let Some(discovery) = &self.discovery else { return Ok(()) };
        let about = self.life()?.at(|stage| stage.alive().map(|alive| alive.home().about().clone()))?;
        discovery.get().announce_as(py, &about)
    }

    /// Gives the borrowed search back.
    fn withdraw(&self, py: Python<'_>) -> PyResult<()> {
        self.discovery.as_ref().map_or(Ok(()), |discovery| discovery.get().take_back(py))
    }

    fn stop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let life = self.life()?.clone();
        wait(py, async move {
            life.stop().await;
            Ok(())
        })
    }

    /// Stops the home and waits for it, but not for long: the interpreter is about to end.
    fn stop_now(&self, py: Python<'_>) {
        let Some(home) = self.life().ok().and_then(|life| life.take()) else { return };
        let (done, stopped) = mpsc::channel();
        let handle = home.runtime().clone();
        let stopping = move || {
            handle.block_on(home.stop());
            let _ = done.send(());
        };
        if thread::Builder::new().spawn(stopping).is_ok() {
            py.detach(move || stopped.recv_timeout(EXIT_TIME).ok());
        }
    }

    fn is_running(&self) -> bool {
        self.life().is_ok_and(|life| life.at(|stage| stage.alive().is_ok()))
    }

    /// Raises after a stop, where other methods would start the home.
    fn check_not_stopped(&self) -> PyResult<()> {
        self.life()?.at(|stage| match stage {
            Stage::Stopped => stage.alive().map(drop),
            _ => Ok(()),
        })
    }

    #[getter]
    fn name(&self) -> &str {
        self.life.settings.name()
    }

    #[getter]
    fn key(&self) -> &str {
        &self.life.settings.key
    }

    #[getter]
    fn port(&self) -> PyResult<u16> {
        let address =
            self.life()?.at(|stage| stage.alive().map(|alive| alive.home().about().sync_address))?;
        Ok(address.map_or(0, |address| address.port()))
    }

    #[getter]
    fn id(&self) -> PyResult<String> {
        self.life()?.at(|stage| stage.alive().map(|alive| alive.home().about().id.to_string()))
    }

    fn connect_all<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Bound<'py, PyAny>> {
        let within = seconds(timeout)?;
        self.beside(py, move |node| joining::all(node, within))
    }

    fn connect<'py>(
        &self,
        py: Python<'py>,
        home: String,
        address: Option<String>,
        fallback: String,
        timeout: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let within = seconds(timeout)?;
        if home.is_empty() || home.to_lowercase() == self.name().to_lowercase() {
            return Err(PyValueError::new_err("peer_id must be the name or id of another home"));
        }
        let place = Place { home, address, fallback };
        self.beside(py, move |node| joining::one(node, place, within))
    }

    fn disconnect<'py>(&self, py: Python<'py>, home: String) -> PyResult<Bound<'py, PyAny>> {
        self.on_node(py, |node| async move { node.disconnect(home).await.map(drop) })
    }

    fn sync_entities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let life = self.life()?.clone();
        wait(py, async move {
            let node = life.clone().node().await?;
            node.synced().await.map_err(|error| error::of_node(&error))?;
            let (told, heard) = oneshot::channel();
            // The home's event loop may have ended; then nobody is left to be told.
            if life.words()?.send(Word::Synced(told)).is_ok() {
                let _ = heard.await;
            }
            Ok(())
        })
    }

    fn update_entity<'py>(
        &self,
        py: Python<'py>,
        entity_id: &Bound<'py, PyAny>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (entity, wanted) = (entity::named(entity_id)?, Wanted::read(data)?);
        let rest = self.life()?.at(|stage| match stage {
            Stage::Local(drafts) => {
                drafts.update(entity, wanted);
                None
            }
            _ => Some((entity, wanted)),
        });
        let update = |(entity, wanted): (EntityRef, Wanted)| {
            self.on_node(
                py,
                |node| async move { node.update_entity(entity, wanted.update()).await.map(drop) },
            )
        };
        rest.map(update).transpose()
    }

    fn get_entity<'py>(
        &self,
        py: Python<'py>,
        entity_id: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let entity = entity::named(entity_id)?;
        let draft = self.draft(|drafts, me| drafts.shown(&entity, me))?;
        let view = match draft {
            Some(draft) => draft,
            None => match self.ask(py, |node| async move { node.entity(entity).await })? {
                Ok(view) => Some(view),
                Err(NodeError::NotFound { what: "entity", .. }) => None,
                Err(error) => return Err(error::of_node(&error)),
            },
        };
        view.map(|view| entity::shown(py, &view)).transpose()
    }

    fn get_all_entities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = match self.draft(|drafts, me| drafts.all(me))? {
            Some(drafts) => drafts,
            None => {
                let views = self.ask(py, |node| async move { node.entities(Selection::All).await })?;
                Entities::keyed(views.map_err(|error| error::of_node(&error))?).entities
            }
        };
        let dict = PyDict::new(py);
        for (id, view) in &all {
            dict.set_item(id, entity::shown(py, view)?)?;
        }
        Ok(dict)
    }

    fn get_synchronized_peers(&self, py: Python<'_>) -> PyResult<HashSet<String>> {
        if self.draft(|_, _| ())?.is_some() {
            return Ok(HashSet::new());
        }
        let homes = self.ask(py, |node| async move { node.homes().await })?;
        let homes = homes.map_err(|error| error::of_node(&error))?.into_iter();
        Ok(homes.filter(|home| home.state == LinkState::Online).map(|home| home.name).collect())
    }

    fn get_conflicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        if self.draft(|_, _| ())?.is_some() {
            return Ok(PyList::empty(py));
        }
        let conflicts = self.ask(py, |node| async move { node.conflicts(true).await })?;
        let conflicts = conflicts.map_err(|error| error::of_node(&error))?;
        let shown = conflicts.iter().map(|view| self.conflict(py, view));
        PyList::new(py, shown.collect::<PyResult<Vec<_>>>()?)
    }

    fn resolve_conflict<'py>(
        &self,
        py: Python<'py>,
        entity_id: &Bound<'py, PyAny>,
        take: Option<String>,
        value: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = entity::named(entity_id)?.to_string();
        let settle = match (take, value) {
            (Some(home), None) => Settle::Take(home),
            (None, Some(value)) => Settle::Value(Wanted::read(value)?.update()),
            _ => return Err(PyValueError::new_err("name either take or value")),
        };
        self.on_node(py, |node| async move {
            let conflict = node.conflict(id).await?;
            let resolution = Resolution { id: conflict.id, token: conflict.token, settle };
            node.resolve(resolution).await.map(drop)
        })
    }

    fn on_entity_updated(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.updated.add(callback)
    }

    fn on_sync_complete(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.synced.add(callback)
    }

    fn on_conflict(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.conflicts.add(callback)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.decide)?;
        visit.call(&self.discovery)?;
        visit.call(&self.registry)?;
        [&self.updated, &self.synced, &self.conflicts].into_iter().try_for_each(|all| all.traverse(&visit))
    }

    fn __clear__(&self) {
        [&self.updated, &self.synced, &self.conflicts].into_iter().for_each(Callbacks::clear);
    }
}

impl Sync {
    /// Returns the life of this object, unless it belongs to the process that this one was forked from.
    fn life(&self) -> PyResult<&Arc<Life>> {
        match self.process == process::id() {
            true => Ok(&self.life),
            false => Err(NotRunning::new_err("it belongs to the process that this one was forked from")),
        }
    }

    /// Lets the running event loop hear what the home will tell.
    fn hear(slf: &Bound<'_, Self>) -> PyResult<Start> {
        let this = slf.get();
        let borrowed = this.discovery.as_ref().map(|discovery| discovery.get().lend(slf.py())).transpose()?;
        let ((ear, heard), (words, said)) = (oneshot::channel(), tokio::sync::mpsc::unbounded_channel());
        let weak = PyWeakrefReference::new(slf)?.unbind();
        listen(slf.py(), hearing(heard, said), move |py, heard| {
            weak.bind(py).upgrade_as::<Self>()?.map_or(Ok(()), |sync| sync.get().deliver(py, heard))
        })?;
        let custom = this.decide.as_ref().map(|_| custom::function(words.clone()));
        let registry = this.registry.as_ref().map(|registry| registry.clone_ref(slf.py()));
        Ok(Start { custom, discovery: borrowed, registry, ear, words })
    }

    /// Calls callbacks and answers questions.
    fn deliver(&self, py: Python<'_>, heard: Heard) -> PyResult<()> {
        match heard {
            Heard::Notices(notices) => notices.iter().try_for_each(|notice| self.tell(py, &notice.news)),
            Heard::Anew(views) => views.iter().try_for_each(|view| self.tell_entity(py, view)),
            Heard::Word(Word::Question(question)) => {
                question.ask(py, self.decide.as_ref(), &self.failures);
                Ok(())
            }
            Heard::Word(Word::Synced(told)) => {
                let called = self.synced.call(py, || Ok(pyo3::types::PyTuple::empty(py)));
                let _ = told.send(()); // whoever waited has been cancelled
                called
            }
        }
    }

    fn tell(&self, py: Python<'_>, news: &News) -> PyResult<()> {
        match news {
            News::Entity(view) => self.tell_entity(py, view),
            News::EntityGone { entity_id, .. } => {
                self.updated.call(py, || (entity_id, py.None()).into_pyobject(py))
            }
            News::Conflict(view) if !self.conflicts.is_empty() => {
                self.conflicts.call(py, || (self.conflict(py, view)?,).into_pyobject(py))
            }
            _ => Ok(()),
        }
    }

    fn tell_entity(&self, py: Python<'_>, view: &EntityView) -> PyResult<()> {
        self.updated.call(py, || (&view.entity_id, entity::shown(py, view)?).into_pyobject(py))
    }

    fn conflict<'py>(&self, py: Python<'py>, view: &ConflictView) -> PyResult<Bound<'py, PyAny>> {
        conflict::shown(py, view, self.name(), self.failures.of(&view.entity_id))
    }

    /// Looks at the drafts, if there was no start yet.
    fn draft<T>(&self, look: impl FnOnce(&draft::Drafts, &str) -> T) -> PyResult<Option<T>> {
        Ok(self.life()?.at(|stage| match stage {
            Stage::Local(drafts) => Some(look(drafts, self.name())),
            _ => None,
        }))
    }

    /// Asks the running home and waits for its answer, while other threads may use the interpreter.
    fn ask<T: Send, F: Future<Output = T> + Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(Node) -> F + Send,
    ) -> PyResult<T> {
        let life = self.life()?.clone();
        py.detach(|| {
            let node = block_on(life.node())?;
            Ok(block_on(ask(node)))
        })
    }

    /// Returns the awaitable of what the running home answers.
    fn on_node<'py, F: Future<Output = Result<(), NodeError>> + Send + 'static>(
        &self,
        py: Python<'py>,
        ask: impl FnOnce(Node) -> F + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let life = self.life()?.clone();
        wait(py, async move {
            let node = life.node().await?;
            ask(node).await.map_err(|error| error::of_node(&error))
        })
    }

    /// The same for what needs timers: it runs beside the home's loop, on the home's thread.
    fn beside<'py, T, F>(
        &self,
        py: Python<'py>,
        ask: impl FnOnce(Node) -> F + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>>
    where
        T: for<'a> IntoPyObject<'a> + Send + 'static,
        F: Future<Output = Result<T, NodeError>> + Send + 'static,
    {
        let life = self.life()?.clone();
        let runtime = life.at(|stage| stage.alive().map(|alive| alive.home().runtime().clone()))?;
        wait(py, async move {
            let node = life.node().await?;
            let answered = runtime.spawn(ask(node)).await;
            answered.unwrap_or(Err(NodeError::Stopped)).map_err(|error| error::of_node(&error))
        })
    }
}

impl Drop for Sync {
    /// Stops the home without waiting for it; in a forked process it is not there, and its locks may be held for ever.
    fn drop(&mut self) {
        if self.process != process::id() {
            std::mem::forget(self.life.clone());
        } else {
            drop(self.life.take());
            let _ = Python::try_attach(|py| self.withdraw(py));
        }
    }
}

/// Waits for a future that waits on channels only.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures_util::pin_mut!(future);
    let waker = std::task::Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
