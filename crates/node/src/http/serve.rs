//! Opens the two doors of the API, and leaves word where they are.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{App, Events, Guard, Token, TokenError, behind_guard, behind_socket, door::keep_open};
use crate::node::Node;

/// Longest path of a unix socket, with its final zero.
const SOCKET_PATH_BYTES: usize = 108;

/// Where the API is to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directory of `api.sock`, `api_token` and `api.json`; must exist.
    pub data_dir: PathBuf,
    /// Address for TCP.
    pub bind: IpAddr,
    /// Port for TCP; 0 lets the system choose.
    pub port: u16,
    /// Host names under which people reach this home.
    pub names: Vec<String>,
}

impl Settings {
    /// Listens on loopback, port 8766, under no names but `localhost`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), bind: Ipv4Addr::LOCALHOST.into(), port: 8766, names: Vec::new() }
    }

    /// Where the unix socket stands.
    pub fn socket_path(data_dir: &Path) -> PathBuf {
        data_dir.join("api.sock")
    }

    /// Where the bearer token stands.
    pub fn token_path(data_dir: &Path) -> PathBuf {
        data_dir.join("api_token")
    }
}

/// Where a running API is found by TCP: the content of `api.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Such as `http://127.0.0.1:8766`.
    pub url: String,
    /// Process that serves it.
    pub pid: u32,
}

impl Found {
    /// Reads where the API of the home in this directory is.
    ///
    /// # Errors
    /// The file is not there, or is not what this program writes.
    pub fn load(data_dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(Self::path(data_dir))?)?)
    }

    fn keep(&self, data_dir: &Path) -> io::Result<()> {
        let path = Self::path(data_dir);
        let beside = path.with_extension(format!("new-{}", self.pid));
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(beside, path)
    }

    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("api.json")
    }
}

/// Both doors, open but not yet served.
#[derive(Debug)]
pub struct Api {
    tcp: TcpListener,
    unix: Option<UnixListener>,
    guard: Guard,
    node: Node,
    boot: u32,
    address: SocketAddr,
    url: String,
    data_dir: PathBuf,
}

impl Api {
    /// Opens both doors and writes `api.json`.
    ///
    /// # Errors
    /// The address is taken, another home runs in this directory, or the token is not to be had.
    pub async fn bind(settings: &Settings, node: Node) -> Result<Self, ApiError> {
        let Settings { data_dir, bind, port, names } = settings;
        let token = Token::load_or_make(&Settings::token_path(data_dir))?;
        let unix = open_socket(data_dir).await?;
        let wanted = SocketAddr::new(*bind, *port);
        let at = |source| ApiError::of(wanted, source);
        let tcp = TcpListener::bind(wanted).await.map_err(at)?;
        let address = tcp.local_addr().map_err(at)?;
        let url = format!("http://{}", reachable(address));
        let data = |source| ApiError::DataDir { path: data_dir.clone(), source };
        Found { url: url.clone(), pid: std::process::id() }.keep(data_dir).map_err(data)?;
        let boot = getrandom::u32().map_err(|_| TokenError::Randomness)?;
        let guard = Guard::new(token, names);
        Ok(Self { tcp, unix, guard, node, boot, address, url, data_dir: data_dir.clone() })
    }

    /// Returns the address that TCP listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns where a program on this machine reaches the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until told to stop, lets open answers end, and takes the socket and `api.json` away.
    pub async fn serve(self, stop: CancellationToken) {
        let events = Events::new(self.node.clone(), self.boot);
        let app = App { node: self.node, events, stop: stop.clone() };
        let (inner, outer) = (behind_socket(app.clone()), behind_guard(self.guard, app));
        let over_socket = async {
            if let Some(unix) = self.unix {
                keep_open(unix, inner, stop.clone()).await;
            }
        };
        tokio::join!(keep_open(self.tcp, outer, stop.clone()), over_socket);
        for path in [Settings::socket_path(&self.data_dir), Found::path(&self.data_dir)] {
            if let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, path = %path.display(), "not taken away");
            }
        }
    }
}

/// The address as this machine reaches it: what listens everywhere is reached by loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn open_socket(data_dir: &Path) -> Result<Option<UnixListener>, ApiError> {
    let path = Settings::socket_path(data_dir);
    // The room it is made in has a path as long as this, see `make_socket`.
    if path.as_os_str().len() + ROOM.len() + 1 >= SOCKET_PATH_BYTES {
        tracing::warn!(path = %path.display(), "path too long for a unix socket, only TCP is open");
        return Ok(None);
    }
    if UnixStream::connect(&path).await.is_ok() {
        return Err(ApiError::Running(data_dir.to_owned()));
    }
    make_socket(data_dir, &path).map(Some).map_err(|source| ApiError::Socket { path, source })
}

const ROOM: &str = ".api";

/// Makes the socket in a room nobody else can enter and moves it out when only its owner may use it:
/// a socket is born with the permissions of the umask.
fn make_socket(data_dir: &Path, path: &Path) -> io::Result<UnixListener> {
    let room = data_dir.join(ROOM);
    match fs::remove_dir_all(&room) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::DirBuilder::new().mode(0o700).create(&room)?,
    }
    let made = room.join("api.sock");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
    fs::rename(&made, path)?;
    fs::remove_dir(&room)?;
    Ok(listener)
}

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Another program listens there.
    #[error(
        "port {0} is taken by another program, or another crosshome: stop it, or set api.port to a free one"
    )]
    PortTaken(u16),
    /// The address is not one of this machine.
    #[error("{0} is no address of this machine: set api.bind to one that is")]
    NotOurs(IpAddr),
    /// The system refuses the address for another reason.
    #[error("the API cannot listen on {address} ({source}): choose another api.bind or api.port")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Something is in the socket's place, or its directory takes none.
    #[error("the socket {} cannot be made ({source}): move away what stands there", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A home already answers on the socket.
    #[error("a home is already running in {path}", path = .0.display())]
    Running(PathBuf),
    /// There is no token to check against.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The data directory takes no files.
    #[error("the data directory {path}: {source}", path = path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ApiError {
    fn of(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken(address.port()),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(address.ip()),
            _ => Self::Bind { address, source },
        }
    }
}
