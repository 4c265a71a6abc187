//! A running home: store, key, links, discovery and API around one loop, on a thread of its own.
//!
//! Everything of a home but the store's and mDNS's threads runs on one thread: what arrives is
//! decrypted, merged and told without a change of threads, and a home on a small board leaves the
//! other cores alone. Callers on any thread and any runtime hold a [`Node`].
//!
//! ```no_run
//! # use crosshome_node::{config::{Config, Sources}, home::Home};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = Config::load(&Sources::default()).map_err(|errors| errors.to_string())?;
//! let home = Home::start(loaded.config)?;
//! println!("{}", home.node().status().await?.home.name);
//! home.stop().await;
//! # Ok(())
//! # }
//! ```

use std::{
    collections::BTreeMap, fs, io, net::SocketAddr, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc,
    thread, time::Instant,
};

use crosshome_core::{
    EntityId, HomeId,
    dot::Actor,
    replica::{self, Replica},
    seed::Seed,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backup::{self, BackupError},
    channel::{self, Arrival, Door, Endpoint, ListenError, Listener, Pins},
    config::Config,
    custom::{Function, judge::Judge},
    defaults::{EVENTS_WAITING, RESTORED, RESTORED_LAST},
    discovery::{self, Announcement, Discovery},
    event_loop::{
        ConflictLog, Event, Loop, Me, Parts, Stores, now_ms, rename_stored, shut_out, taken_before,
    },
    http::{Api, ApiError, Settings},
    identity::{Expect, Identity, IdentityError},
    memory::Memory,
    node::{Audience, Node},
    policies::Policies,
    store::{Batch, Committer, Folder, MemoKey, Store, StoreError, Stored},
    views::Restored,
};

/// A home that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Home {
    node: Node,
    about: About,
    runtime: Handle,
    stop: CancellationToken,
    ended: Option<oneshot::Receiver<()>>,
}

/// What a home is given beside its configuration.
#[derive(Debug, Default)]
pub struct Options {
    /// The home's `custom` strategy where a rule has no template.
    pub custom: Option<Function>,
    /// A search that runs already, on which the home looks and is announced instead of on one of its own.
    pub discovery: Option<Discovery>,
    /// Where key and store are kept, instead of the data directory.
    pub memory: Option<Memory>,
    /// Whether there is no API: whoever holds the [`Node`] is the only caller.
    pub without_api: bool,
    /// Whether only those who come by themselves are let in, until [`Node::connect_all`].
    pub aloof: bool,
    /// Who may see what, if the program decides: then the home keeps all else to itself.
    pub audiences: Option<BTreeMap<EntityId, Audience>>,
}

/// Where a running home is found.
#[derive(Debug, Clone)]
pub struct About {
    /// Who it is.
    pub id: HomeId,
    /// What it is called.
    pub name: String,
    /// Where peers connect.
    pub sync_address: Option<SocketAddr>,
    /// Where programs on this machine reach the API.
    pub api_url: Option<String>,
    /// Where its data are, unless they are in memory.
    pub data_dir: PathBuf,
}

impl Home {
    /// Starts a home and returns when it can be used.
    ///
    /// # Errors
    ///
    /// Tells what is wrong with the store, the key or an address, and what to do about it.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Options::default())
    }

    /// As [`Home::start`], with what no configuration can say.
    ///
    /// # Errors
    ///
    /// As [`Home::start`].
    pub fn start_with(config: Config, mut options: Options) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let (ready, started) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel();
        let token = stop.clone();
        let judge = Judge::new(options.custom.take()).map_err(StartError::Thread)?;
        let engine = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                // As a task: to wake the future of `block_on` itself costs a call of the system every time.
                Ok(runtime) => {
                    drop(runtime.block_on(runtime.spawn(live(config, judge, options, ready, token))))
                }
                Err(error) => drop(ready.send(Err(StartError::Thread(error)))),
            }
            let _ = end.send(());
        };
        thread::Builder::new().name("home".into()).spawn(engine).map_err(StartError::Thread)?;
        let (node, about, runtime) = started.recv().map_err(|_| StartError::Died)??;
        Ok(Self { node, about, runtime, stop, ended: Some(ended) })
    }

    /// Returns the way to talk to the home.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns where it is found.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Returns the runtime of the home's own thread, where bridges live: what they report and hear changes no thread.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Waits until the home has ended by itself.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            let _ = ended.await;
        }
        self.ended = None;
    }

    /// Says goodbye to peers and network, stores what is left, and returns when all that is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.ended().await;
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

type Ready = std::sync::mpsc::Sender<Result<(Node, About, Handle), StartError>>;

async fn live(config: Config, judge: Judge, options: Options, ready: Ready, stop: CancellationToken) {
    match assemble(config, judge, options, &stop).await {
        Ok((parts, about, node, street)) => {
            let _ = ready.send(Ok((node, about, Handle::current())));
            Loop::new(parts).run(stop.clone()).await;
            stop.cancel();
            street.close().await;
        }
        Err(error) => drop(ready.send(Err(error))),
    }
}

/// What listens, to be closed after the loop has ended.
struct Street {
    listener: Option<Arc<Listener>>,
    api: Option<tokio::task::JoinHandle<()>>,
}

impl Street {
    async fn close(self) {
        if let Some(listener) = self.listener.and_then(Arc::into_inner) {
            listener.stop().await;
        }
        if let Some(api) = self.api {
            let _ = api.await;
        }
    }
}

async fn assemble(
    config: Config,
    judge: Judge,
    options: Options,
    stop: &CancellationToken,
) -> Result<(Parts, About, Node, Street), StartError> {
    let started = Instant::now();
    channel::warm_up();
    let data_dir = config.data_dir.clone();
    let Options { discovery: lent, memory, without_api, aloof, audiences, .. } = options;
    let in_memory = memory.is_some();
    let (mut store, stored, identity) = match memory {
        Some(memory) => remembered(&memory)?,
        None => on_disk(&config)?,
    };
    let (id, name) = (identity.id(), config.home_name.as_str().to_owned());
    let (stores, first) = recall(&mut store, stored, id, &config)?;
    store.commit(&first)?;
    let (pins, door) = (Pins::default(), Door::default());
    if config.sync.encryption.shared_key.is_some() {
        door.open();
    }
    let loopback_only = !config.sync.encryption.enabled;
    let endpoint = Endpoint::new(identity, pins.clone(), door.clone()).kept_to_loopback(loopback_only);
    let (post, events) = mpsc::channel(EVENTS_WAITING);
    let listener = listen(&config, &endpoint, &post)?.map(Arc::new);
    let sync_address = listener.as_ref().map(|listener| listener.address());
    let (node, inbox) = Node::open();
    let api = if without_api { None } else { Some(open_api(&config, node.clone()).await?) };
    let api_url = api.as_ref().map(|api| api.url().to_owned());
    let api = api.map(|api| tokio::spawn(api.serve(stop.clone())));
    let discovery = announce(&config, lent, id, &name, sync_address).await;
    let about = About { id, name: name.clone(), sync_address, api_url: api_url.clone(), data_dir };
    let me = Me {
        id,
        name,
        config,
        sync_port: sync_address.map(|address| address.port()),
        api: api_url,
        in_memory,
        started,
    };
    tracing::info!(
        home = %me.name, id = %id.short(), sync = sync_address.map(tracing::field::display), api = me.api.as_deref(),
        entities = stores.replica.table().iter().count(), took_ms = started.elapsed().as_millis() as u64, "started"
    );
    let committer = Committer::start(store);
    let parts = Parts {
        me,
        endpoint,
        pins,
        door,
        stores,
        committer,
        judge,
        aloof,
        audiences,
        discovery,
        listener: listener.clone(),
        inbox,
        events,
        post,
    };
    Ok((parts, about, node, Street { listener, api }))
}

/// Opens store and key in the data directory.
fn on_disk(config: &Config) -> Result<(Store, Stored, Identity), StartError> {
    make_dir(&config.data_dir)?;
    let folder = Folder::claim(&config.data_dir)?;
    backup::finish(folder.path(), &config.sync.encryption.key_path)?;
    let (store, stored) = Store::open_in(folder)?;
    let expect = if stored.actor.is_some() { Expect::Existing } else { Expect::First };
    let identity = Identity::open(&config.sync.encryption.key_path, expect)?;
    check_home(&stored, identity.id(), config)?;
    Ok((store, stored, identity))
}

/// Checks that the data are those of this key, or of the one before: a change of keys may have been cut off.
fn check_home(stored: &Stored, id: HomeId, config: &Config) -> Result<(), StartError> {
    let before = Identity::predecessor(&config.sync.encryption.key_path)?;
    match (stored.actor, before) {
        (Some(actor), Some(before)) if actor.home == before.id() => Ok(()),
        _ => Ok(stored.check_home(id)?),
    }
}

fn remembered(memory: &Memory) -> Result<(Store, Stored, Identity), StartError> {
    let ((store, stored), identity) = (memory.store()?, memory.identity());
    stored.check_home(identity.id())?;
    Ok((store, stored, identity))
}

/// Puts back what was stored, and opens a new epoch.
fn recall(
    store: &mut Store,
    stored: Stored,
    id: HomeId,
    config: &Config,
) -> Result<(Stores, Batch), StartError> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|_| StartError::Random)?;
    let actor = stored.actor.unwrap_or(Actor::first(id));
    let quota = config.sync.max_entities_per_peer.get() as usize;
    let options = replica::Options { seed: Seed::new(seed), quota, ..replica::Options::default() };
    let mut replica = Replica::restore(actor, stored.clock, stored.head, options);
    store.entities(|entities| replica.put_back(entities))?;
    let (policies, joint) = Policies::recall(&stored.memos);
    joint.into_iter().for_each(|joint| replica.put_back_joint_policy(joint));
    replica.grants = stored.grants.into_iter().collect();
    replica.epochs = stored.epochs;
    replica.cursors = stored.cursors.into_iter().collect();
    stored.gone.into_iter().for_each(|(peer, entity, seq)| replica.put_back_gone(peer, entity, seq));
    let registry: crate::event_loop::Registry = stored.registry.into_iter().collect();
    replica.traits = registry.iter().map(|(id, row)| (id.clone(), row.traits.clone())).collect();
    let mut conflicts = ConflictLog::recall(&stored.memos);
    let renamed = match actor.home == id {
        true => Batch::default(),
        false => rename_stored(&mut replica, &mut conflicts, actor.home, id),
    };
    let head = replica.table().head();
    replica.epochs.open(getrandom::u64().map_err(|_| StartError::Random)?, head);
    let (restored, memos) = after_restore(&stored.memos, &mut replica);
    let mut first = Batch {
        durable: true,
        head,
        actor: Some(replica.actor()),
        epochs: Some(replica.epochs.clone()),
        memos,
        ..Batch::default()
    };
    let (shut_out, taken) = (shut_out(&stored.memos), taken_before(&stored.memos));
    first.absorb(renamed);
    let (peers, stored) = (stored.peers, head);
    let stores = Stores { replica, peers, shut_out, taken, registry, policies, conflicts, stored, restored };
    Ok((stores, first))
}

/// Takes a new incarnation at the first start after a restore, and returns when the last one was.
///
/// Peers may know changes of this home that the backup does not have: nothing new may be taken for one of them.
fn after_restore(
    memos: &[(MemoKey, String)],
    replica: &mut Replica,
) -> (Option<Restored>, Vec<(MemoKey, Option<String>)>) {
    let key = |(kind, name): (&str, &str)| MemoKey { kind: kind.into(), name: name.into() };
    let (pending, last) = (key(RESTORED), key(RESTORED_LAST));
    let find = |key: &MemoKey| memos.iter().find(|(found, _)| found == key).map(|(_, text)| text);
    let read = |text: &String| serde_json::from_str(text).ok();
    let Some(note) = find(&pending) else { return (find(&last).and_then(read), Vec::new()) };
    replica.reincarnate(now_ms()); // nothing was said since the start that would have to be said again
    let restored: Option<Restored> = read(note);
    tracing::warn!(
        backup_at = restored.map(|restored| tracing::field::display(restored.backup_at)),
        incarnation = replica.actor().incarnation,
        "this home was restored from a backup; peers repair what it does not know"
    );
    (restored, vec![(last, Some(note.clone())), (pending, None)])
}

fn listen(
    config: &Config,
    endpoint: &Endpoint,
    post: &mpsc::Sender<Event>,
) -> Result<Option<Listener>, StartError> {
    if !config.sync.enabled {
        return Ok(None);
    }
    let bind = SocketAddr::new(config.sync.bind, config.sync.port);
    if !config.sync.encryption.enabled {
        Listener::check_plain(bind)?; // people are warned of it when the configuration is read
    }
    let (listener, arrivals) = Listener::open(bind, endpoint.clone())?;
    tokio::spawn(usher(arrivals, post.clone()));
    Ok(Some(listener))
}

/// Leads those who come in to the loop.
async fn usher(mut arrivals: mpsc::Receiver<Arrival>, post: mpsc::Sender<Event>) {
    while let Some(arrival) = arrivals.recv().await {
        if post.send(Event::Arrived(Box::new(arrival))).await.is_err() {
            return;
        }
    }
}

async fn open_api(config: &Config, node: Node) -> Result<Api, StartError> {
    let settings = Settings {
        data_dir: config.data_dir.clone(),
        bind: config.api.bind,
        port: config.api.port,
        names: Vec::new(),
    };
    Ok(Api::bind(&settings, node).await?)
}

/// Looks and is seen, if that is wanted and possible: a home without multicast still has its addresses.
async fn announce(
    config: &Config,
    lent: Option<Discovery>,
    id: HomeId,
    name: &str,
    sync: Option<SocketAddr>,
) -> Option<Arc<Discovery>> {
    let wanted = config.discovery.enabled || lent.is_some();
    let port = sync.filter(|_| wanted)?.port();
    let started = async {
        let discovery = lent.map_or_else(|| Discovery::start(looking(config)), Ok)?;
        discovery.publish(Announcement::new(id.to_string(), name, port)).await?;
        Ok::<_, discovery::DiscoveryError>(discovery)
    };
    match started.await {
        Ok(discovery) => Some(Arc::new(discovery)),
        Err(error) => {
            tracing::warn!(%error, "no discovery: other homes are reached by their addresses only");
            None
        }
    }
}

fn looking(config: &Config) -> discovery::Settings {
    discovery::Settings {
        mdns_port: config.discovery.port.get(),
        interfaces: config.discovery.interfaces.iter().map(|name| name.as_str().to_owned()).collect(),
        instance_name: None,
    }
}

fn make_dir(path: &std::path::Path) -> Result<(), StartError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => StartError::NotADir(path.into()),
        _ => StartError::DataDir { path: path.into(), source },
    })
}

/// Why a home does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("the data directory {} cannot be made ({source}): give this user the right to, or choose another", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else stands in the data directory's place.
    #[error("{} is no directory, or lies in none: choose another data directory (--data-dir)", .0.display())]
    NotADir(PathBuf),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A restore that was cut off cannot be finished.
    #[error("a restore that was cut off cannot be finished: {0}")]
    Restore(#[from] BackupError),
    /// The key is not to be had.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Peers cannot connect.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The API cannot be reached.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The system starts no thread.
    #[error("the system starts no thread: {0}")]
    Thread(io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The home ended before it was ready.
    #[error("the home ended while it was starting; its log says why")]
    Died,
}

impl StartError {
    /// Tells whether the configuration, or what it points to, has to be changed.
    pub fn is_configuration(&self) -> bool {
        let listening =
            matches!(self, Self::Listen(ListenError::OpenWithoutEncryption(_) | ListenError::NotOurs(_)));
        listening
            || matches!(
                self,
                Self::Identity(_)
                    | Self::DataDir { .. }
                    | Self::NotADir(_)
                    | Self::Store(StoreError::OtherHome { .. })
            )
    }
}
