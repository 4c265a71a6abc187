//! Homes find each other on the local network, by multicast DNS (RFC 6762) and DNS-SD (RFC 6763).
//!
//! Stands before a link: a [`Sighting`] suggests addresses, TLS proves who answers there. What always holds: everything is keyed by the
//! `id=` of TXT, as names may be renamed; our own announcement is no sighting; all that strangers can make
//! grow is bounded (`defaults::discovery`); nothing said on the network changes what is known of a paired home
//! but for one more address at the end. docs/decisions/0003-discovery.md tells why it is built so.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use crosshome_node::discovery::{Announcement, Discovery, Settings};
//! # async fn example() -> Result<(), crosshome_node::discovery::DiscoveryError> {
//! let discovery = Discovery::start(Settings::default())?;
//! discovery.publish(Announcement::new("3fa9c1d27b0e4a55", "Villa", 8765)).await?;
//! for home in discovery.browse_for(Duration::from_secs(3)).await {
//!     tracing::info!(name = %home.home_name, "in sight");
//! }
//! discovery.stop().await;
//! # Ok(())
//! # }
//! ```

mod announcement;
mod gauge;
mod mdns;
mod sighting;
mod table;
mod watch;

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot, watch as change,
};

pub use self::{
    announcement::{Announcement, AnnouncementError, SERVICE_TYPE},
    sighting::{DiscoveryEvent, Sighting},
};
use self::{
    table::{Table, Told},
    watch::{Command, Watch},
};
use crate::defaults::discovery as limits;

/// Where to look for homes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// UDP port of multicast DNS; another than 5353 makes a world of its own, for tests.
    pub mdns_port: u16,
    /// Names of the network interfaces to use; empty for all that are up and multicast-capable.
    ///
    /// Loopback is used only when named here or when the port is not 5353.
    pub interfaces: Vec<String>,
    /// The instance name to ask for; the home's own name when absent.
    pub instance_name: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mdns_port: limits::MDNS_PORT, interfaces: Vec::new(), instance_name: None }
    }
}

impl Settings {
    /// Tells whether the instance name can be asked for.
    ///
    /// # Errors
    ///
    /// When it is empty, too long or holds a control character.
    pub fn check(&self) -> Result<(), AnnouncementError> {
        self.instance_name.as_deref().map_or(Ok(()), announcement::check_instance_name)
    }

    fn on_loopback(&self) -> bool {
        let named = self.interfaces.iter().any(|name| name == "lo" || name == "lo0");
        named || (self.interfaces.is_empty() && self.mdns_port != limits::MDNS_PORT)
    }
}

/// The running search for homes, and the announcement of this one.
///
/// Dropping it ends both, goodbye included if the runtime lives on; [`Discovery::stop`] waits for that.
#[derive(Debug)]
pub struct Discovery {
    commands: mpsc::Sender<Command>,
    changes: change::Receiver<u64>,
    shared: Arc<Shared>,
    /// Whether the search is another's, see [`Discovery::lend`].
    lent: bool,
}

/// What the task writes and everybody reads.
#[derive(Debug, Default)]
struct Shared {
    /// Guards the homes in sight; held for one lookup or change.
    table: Mutex<Table>,
    /// Guards our announced instance name.
    announced: Mutex<Option<String>>,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announced(&self) -> Option<String> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_announced(&self, name: Option<String>) {
        *self.announced.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

impl Discovery {
    /// Begins to look for homes; to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the mDNS port belongs to a program that does not share it, or the system gives no thread or socket.
    pub fn start(settings: Settings) -> Result<Self, DiscoveryError> {
        check_port(settings.mdns_port)?;
        settings.check()?;
        let (commands, inbox) = mpsc::channel(16);
        let (changed, changes) = change::channel(0);
        let shared = Arc::new(Shared::default());
        tokio::spawn(Watch::new(settings, shared.clone(), inbox, changed)?.run());
        Ok(Self { commands, changes, shared, lent: false })
    }

    /// Lends the search and the announcement to a home; looking ends with the last of both, or with
    /// [`Discovery::stop`] here.
    ///
    /// What the borrower stops is its own part: it says goodbye and names no paired homes any more.
    pub fn lend(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            changes: self.changes.clone(),
            shared: self.shared.clone(),
            lent: true,
        }
    }

    /// Announces this home, or changes what is announced.
    ///
    /// The name is asked for first, which takes about a second: see [`Discovery::announced`].
    ///
    /// # Errors
    ///
    /// When others would refuse the announcement, or discovery has been stopped.
    pub async fn publish(&self, announcement: Announcement) -> Result<(), DiscoveryError> {
        announcement.check()?;
        self.send(Command::Publish(announcement)).await
    }

    /// Says goodbye, and returns when that is out; looking goes on.
    ///
    /// # Errors
    ///
    /// When discovery has been stopped.
    pub async fn withdraw(&self) -> Result<(), DiscoveryError> {
        let (done, waiting) = oneshot::channel();
        self.send(Command::Withdraw(done)).await?;
        waiting.await.map_err(|_| DiscoveryError::Stopped)
    }

    /// Names the paired homes: no flood evicts them, and no record changes more than their last addresses.
    pub fn keep(&self, ids: impl IntoIterator<Item = String>) {
        self.shared.table().keep(BTreeSet::from_iter(ids));
    }

    /// Returns our instance name as the network knows it, once it has been announced.
    ///
    /// It is the one wished for, with a number when another home was first.
    pub fn announced(&self) -> Option<String> {
        self.shared.announced()
    }

    /// Returns the homes in sight.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.shared.table().sightings()
    }

    /// Asks the network anew; answers show in [`Discovery::sightings`] as they come.
    ///
    /// # Errors
    ///
    /// When discovery has been stopped.
    pub fn browse(&self) -> Result<(), DiscoveryError> {
        match self.commands.try_send(Command::Browse) {
            // Whatever waits there is done first, and a search that is busy looks around anyway.
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(DiscoveryError::Stopped),
        }
    }

    /// Asks the network anew, waits, and returns the homes in sight then.
    pub async fn browse_for(&self, duration: Duration) -> Vec<Sighting> {
        if self.send(Command::Browse).await.is_ok() {
            tokio::time::sleep(duration).await;
        }
        self.sightings()
    }

    /// Tells every home in sight and then every change, until discovery stops.
    ///
    /// A slow reader misses no home: what it has not read yet coalesces to the newest.
    pub fn subscribe(&self) -> mpsc::Receiver<DiscoveryEvent> {
        let (events, reader) = mpsc::channel(limits::EVENT_CAPACITY);
        tokio::spawn(tell(self.shared.clone(), self.changes.clone(), events));
        reader
    }

    /// Says goodbye, ends the search, and returns when both are done; later calls return at once.
    pub async fn stop(&self) {
        if self.lent {
            self.keep([]);
            return drop(self.withdraw().await);
        }
        let (done, waiting) = oneshot::channel();
        if self.send(Command::Stop(done)).await.is_ok() {
            let _ = waiting.await;
        }
    }

    /// Returns when the search is over, goodbye included: stopped, or dropped by all who had it.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.changes.clone();
        async move { while changes.changed().await.is_ok() {} }
    }

    async fn send(&self, command: Command) -> Result<(), DiscoveryError> {
        self.commands.send(command).await.map_err(|_| DiscoveryError::Stopped)
    }
}

/// Tells one reader the news, each when there is room for it.
async fn tell(shared: Arc<Shared>, mut changes: change::Receiver<u64>, events: mpsc::Sender<DiscoveryEvent>) {
    let mut told = Told::new();
    while let Ok(room) = events.reserve().await {
        let news = shared.table().news(&mut told);
        match news {
            Some(event) => room.send(event),
            None => {
                drop(room);
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = events.closed() => return,
                }
            }
        }
    }
}

/// mdns-sd hides that it could not bind; so it is tried here, sharing as mdns-sd shares.
fn check_port(port: u16) -> Result<(), DiscoveryError> {
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())
    };
    match bind() {
        Err(err) if matches!(err.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
            Err(DiscoveryError::Port(port, err))
        }
        _ => Ok(()),
    }
}

/// Why discovery does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Another program has the port, or this one may not use it.
    #[error("udp port {0} for mdns cannot be used: {1}")]
    Port(u16, #[source] io::Error),
    /// The home's own announcement is not fit to be sent.
    #[error("this home cannot be announced: {0}")]
    Announcement(#[from] AnnouncementError),
    /// The mDNS daemon refused.
    #[error("mdns: {0}")]
    Mdns(#[from] mdns_sd::Error),
    /// The system gave no random number.
    #[error("no random number: {0}")]
    Random(#[source] getrandom::Error),
    /// Discovery was stopped before.
    #[error("discovery is stopped")]
    Stopped,
}
