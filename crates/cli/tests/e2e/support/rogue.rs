//! A home that has been broken into: its key and its trust are real, its program is not.

use std::fs;

use base64::Engine;
use crosshome_core::{
    HomeId,
    hlc::Hlc,
    wire::{Hello, Message, PROTO},
};
use crosshome_node::{
    channel::{Door, Endpoint, LinkReader, LinkWriter, Pins, Target},
    identity::{Expect, Identity, PeerKey},
};
use tokio::runtime::Runtime;

use super::{Home, pair};

/// The key of a paired home.
pub(crate) struct Rogue {
    identity: Identity,
    runtime: Runtime,
}

/// A link of a rogue; it stays open until it is dropped.
pub(crate) struct RogueLink {
    _ends: (LinkReader, LinkWriter),
}

impl Rogue {
    /// Pairs an honest home with `home` and takes its key.
    #[track_caller]
    pub(crate) fn paired_with(home: &mut Home) -> Self {
        let mut honest = Home::started("Rogue");
        pair(home, &mut honest);
        let key = home.data_dir().join("rogue_key");
        honest.stop_and_lend_key(&key);
        let identity = Identity::open(&key, Expect::Existing).expect("a key that was in use");
        fs::remove_file(key).expect("own files");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { identity, runtime: runtime.expect("a runtime") }
    }

    /// Connects, says hello as an honest home does, and never reads again.
    #[track_caller]
    pub(crate) fn say_hello(&self, home: &Home) -> RogueLink {
        let shown = home.json(&["key", "show"]);
        let spki =
            base64::engine::general_purpose::STANDARD.decode(shown["public_key"].as_str().expect("a key"));
        let peer = PeerKey::from_spki(&spki.expect("base64")).expect("a key");
        let pins = Pins::default();
        pins.insert(peer);
        let endpoint = Endpoint::new(self.identity.clone(), pins, Door::default());
        let (id, address): (HomeId, _) = (peer.id(), home.address());
        let ends = self.runtime.block_on(async {
            let secured = endpoint.dial(&address, Target::Sync(id)).await.expect("it is paired");
            let (reader, mut writer) = secured.into_link(None);
            writer.send(&[hello().encode()]).await.expect("it listens");
            (reader, writer)
        });
        RogueLink { _ends: ends }
    }
}

fn hello() -> Message {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Message::Hello(Hello {
        proto_low: PROTO.0,
        proto_high: PROTO.1,
        epoch: 7,
        head: 0,
        clock: Hlc::at(now.as_millis() as u64),
        cursor: Default::default(),
        name: "Rogue".into(),
        digest: None,
    })
}
