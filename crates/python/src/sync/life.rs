//! From local to running to stopped, and back: which home stands behind a `SyncProtocol` at the moment.

use std::{
    mem,
    sync::{Arc, Mutex},
    thread,
};

use crosshome_node::{
    custom::Function,
    discovery::Discovery,
    home::{Home, StartError},
    node::{Node, NodeError},
};
use pyo3::{Py, PyErr};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    draft::Drafts,
    hearing::{Ear, Word},
    settings::Settings,
    sharing,
};
use crate::{
    error::{self, NotRunning, StorageError},
    kept::Listening,
    locks::locked,
    registry::{Registry, RegistryError},
};

/// The settings, and what lives by them.
pub(super) struct Life {
    pub(super) settings: Settings,
    // Held for a moment to look or to change; never while a home starts or stops, or Python code runs.
    stage: Mutex<Stage>,
}

/// Where a `SyncProtocol` stands.
pub(super) enum Stage {
    /// It was never started; what is done stays here.
    Local(Drafts),
    /// A thread is starting it; these wait.
    Starting(Vec<oneshot::Sender<Result<(), Failed>>>),
    /// It runs.
    Running(Box<Alive>),
    /// It was stopped.
    Stopped,
}

/// A running home, and the way to its event loop.
pub(super) struct Alive {
    home: Home,
    words: UnboundedSender<Word>,
    /// While it is there, the home follows the registry.
    listening: Option<Listening>,
}

/// Why a start failed, for everyone who waits for it.
#[derive(Clone)]
pub(super) enum Failed {
    Start(Arc<StartError>),
    Node(NodeError),
    Registry(Arc<RegistryError>),
}

/// What a start needs beside the settings.
pub(super) struct Start {
    pub(super) custom: Option<Function>,
    pub(super) discovery: Option<Discovery>,
    pub(super) registry: Option<Py<Registry>>,
    pub(super) ear: oneshot::Sender<Ear>,
    pub(super) words: UnboundedSender<Word>,
}

impl Life {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, stage: Mutex::new(Stage::Local(Drafts::default())) })
    }

    /// Looks at or changes the stage.
    pub(super) fn at<T>(&self, look: impl FnOnce(&mut Stage) -> T) -> T {
        look(&mut locked(&self.stage))
    }

    /// Starts the home on a thread of its own, unless it runs, and returns how to hear when it is done.
    ///
    /// `start` is only asked for what a start needs when there is one to make.
    pub(super) fn start(
        self: &Arc<Self>,
        start: impl FnOnce() -> Result<Start, PyErr>,
    ) -> Result<Option<oneshot::Receiver<Result<(), Failed>>>, PyErr> {
        let (done, started) = oneshot::channel();
        let drafts = match &mut *locked(&self.stage) {
            Stage::Running(_) => return Ok(None),
            Stage::Starting(waiting) => {
                waiting.push(done);
                return Ok(Some(started));
            }
            Stage::Local(drafts) => drafts.clone(),
            Stage::Stopped => Drafts::default(),
        };
        let start = start()?;
        let before = self.at(|stage| mem::replace(stage, Stage::Starting(vec![done])));
        let life = self.clone();
        let begun =
            thread::Builder::new().name("start".into()).spawn(move || life.begin(start, drafts, before));
        begun.map_err(|error| error::of_start(&StartError::Thread(error)))?;
        Ok(Some(started))
    }

    fn begin(&self, start: Start, drafts: Drafts, before: Stage) {
        let opened = self.open(start, drafts);
        let failed = opened.as_ref().err().cloned();
        let now = opened.map_or(before, |alive| Stage::Running(Box::new(alive)));
        let Stage::Starting(waiting) = self.at(|stage| mem::replace(stage, now)) else { return };
        for done in waiting {
            let _ = done.send(failed.clone().map_or(Ok(()), Err));
        }
    }

    fn open(&self, start: Start, drafts: Drafts) -> Result<Alive, Failed> {
        let Start { custom, discovery, registry, ear, words } = start;
        let (config, mut options) = self.settings.parts();
        (options.custom, options.discovery) = (custom, discovery);
        let registry = registry.as_ref().map(Py::get);
        options.audiences = registry.map(sharing::audiences).transpose()?;
        let home = Home::start_with(config, options).map_err(|error| Failed::Start(Arc::new(error)))?;
        let node = home.node().clone();
        let notices = node.subscribe().map_err(Failed::Node)?;
        let _ = ear.send(Ear { notices, node: node.clone() }); // its event loop may have ended
        let listening = registry.map(|registry| sharing::follow(registry, &node)).transpose()?;
        home.runtime().block_on(drafts.hand_over(&node)).map_err(Failed::Node)?;
        Ok(Alive { home, words, listening })
    }

    /// Returns the running home's node, once it has started if it is about to.
    pub(super) async fn node(self: Arc<Self>) -> Result<Node, PyErr> {
        if let Some(started) = self.about_to_start() {
            started.await.unwrap_or(Ok(())).map_err(|failed| failed.raised())?;
        }
        self.at(|stage| stage.alive().map(|alive| alive.home.node().clone()))
    }

    /// Returns the way to the event loop of the running home.
    pub(super) fn words(&self) -> Result<UnboundedSender<Word>, PyErr> {
        self.at(|stage| stage.alive().map(|alive| alive.words.clone()))
    }

    /// Stops the home, once it has started if it is about to; harmless when it does not run.
    pub(super) async fn stop(self: Arc<Self>) {
        if let Some(started) = self.about_to_start() {
            let _ = started.await;
        }
        if let Some(home) = self.take() {
            home.stop().await;
        }
    }

    /// Takes the home out, if one runs.
    pub(super) fn take(&self) -> Option<Home> {
        self.at(|stage| match mem::replace(stage, Stage::Stopped) {
            Stage::Running(alive) => {
                let Alive { home, listening, .. } = *alive;
                // A fork may hold the registry and wait for the interpreter: a thread lets go that is never in it.
                home.runtime().spawn(async move { drop(listening) });
                Some(home)
            }
            other => {
                *stage = other;
                None
            }
        })
    }

    fn about_to_start(&self) -> Option<oneshot::Receiver<Result<(), Failed>>> {
        self.at(|stage| {
            let Stage::Starting(waiting) = stage else { return None };
            let (done, started) = oneshot::channel();
            waiting.push(done);
            Some(started)
        })
    }
}

impl Stage {
    /// Returns the running home.
    pub(super) fn alive(&self) -> Result<&Alive, PyErr> {
        match self {
            Self::Running(alive) => Ok(alive),
            Self::Local(_) | Self::Starting(_) => Err(NotRunning::new_err("it has not been started")),
            Self::Stopped => Err(NotRunning::new_err("it has been stopped; start() starts it again")),
        }
    }
}

impl Alive {
    pub(super) fn home(&self) -> &Home {
        &self.home
    }
}

impl Failed {
    /// Returns the exception.
    pub(super) fn raised(&self) -> PyErr {
        match self {
            Self::Start(error) => error::of_start(error),
            Self::Node(error) => error::of_node(error),
            Self::Registry(error) => StorageError::new_err(error.to_string()),
        }
    }
}
