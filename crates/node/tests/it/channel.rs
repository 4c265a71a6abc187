//! The secured channel between two homes, and against everybody else.

mod handshake;
mod hostile;
mod link;
mod listener;
mod rogue;
mod wire;

use crosshome_node::{
    channel::{ChannelError, Door, Endpoint, LinkReader, LinkWriter, Pins, Secured, Target},
    identity::Identity,
};

const PIPE: usize = 64 * 1024;

/// A home that only has a channel.
struct Home {
    identity: Identity,
    pins: Pins,
    door: Door,
    endpoint: Endpoint,
}

impl Home {
    fn new() -> Self {
        let (identity, pins, door) = (Identity::generate(), Pins::default(), Door::default());
        let endpoint = Endpoint::new(identity.clone(), pins.clone(), door.clone());
        Self { identity, pins, door, endpoint }
    }

    fn sync(&self) -> Target {
        Target::Sync(self.identity.id())
    }
}

/// Two homes that pinned each other.
fn paired() -> (Home, Home) {
    let (villa, cabin) = (Home::new(), Home::new());
    villa.pins.insert(cabin.identity.key());
    cabin.pins.insert(villa.identity.key());
    (villa, cabin)
}

/// Lets `dialer` call `listener` over a pipe and returns what each side got.
async fn meet(
    dialer: &Home,
    target: Target,
    listener: &Home,
) -> (Result<Secured, ChannelError>, Result<Secured, ChannelError>) {
    let (near, far) = tokio::io::duplex(PIPE);
    tokio::join!(dialer.endpoint.dial_over(near, "villa:8765", target), listener.endpoint.accept(far))
}

/// A link between two paired homes, dialer first.
async fn linked() -> ((LinkReader, LinkWriter), (LinkReader, LinkWriter)) {
    let (villa, cabin) = paired();
    let (dialed, accepted) = meet(&cabin, villa.sync(), &villa).await;
    (dialed.unwrap().into_link(None), accepted.unwrap().into_link(None))
}
