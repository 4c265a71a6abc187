//! Running homes for tests: started, paired, cut off and linked again in one process.

use std::{net::Ipv4Addr, time::Duration};

use crosshome_node::{
    config::{Config, Override, Sources},
    home::Home,
    node::{EntityRef, Node, NodeError, Secret, ShareRequest, UnshareRequest, Update},
    views::{EntityView, Right, SharePlan},
};
use tempfile::TempDir;

/// A running home with a folder of its own.
pub(crate) struct House {
    home: Option<Home>,
    dir: TempDir,
    name: &'static str,
    strategy: &'static str,
}

impl House {
    pub(crate) fn new(name: &'static str) -> Self {
        Self::under(name, "latest-wins")
    }

    /// Returns a running home whose documents are under a strategy.
    pub(crate) fn under(name: &'static str, strategy: &'static str) -> Self {
        let mut house = Self { home: None, dir: TempDir::new().expect("a temporary folder"), name, strategy };
        house.start();
        house
    }

    pub(crate) fn start(&mut self) {
        self.start_linked(true);
    }

    fn start_linked(&mut self, linked: bool) {
        self.home = Some(Home::start(self.config(linked)).expect("the home starts"));
    }

    /// Cuts the home off: it runs on, and no other home reaches it.
    pub(crate) async fn cut(&mut self) {
        self.stop().await;
        self.start_linked(false);
    }

    /// Links the home again.
    pub(crate) async fn heal(&mut self) {
        self.stop().await;
        self.start();
    }

    fn config(&self, linked: bool) -> Config {
        let set =
            |key: &str, value: &str| Override { key: key.into(), value: value.into(), flag: "--test".into() };
        let overrides = vec![
            set("home_name", self.name),
            set("data_dir", &self.dir.path().join("data").display().to_string()),
            set("discovery.enabled", "false"),
            set("sync.enabled", &linked.to_string()),
            set("sync.port", "0"),
            set("sync.bind", &Ipv4Addr::LOCALHOST.to_string()),
            set("conflict_resolution.strategy", self.strategy),
            set("api.port", "0"),
        ];
        Config::load(&Sources { overrides, ..Sources::default() }).expect("it is valid").config
    }

    pub(crate) async fn stop(&mut self) {
        self.home.take().expect("it runs").stop().await;
    }

    pub(crate) fn node(&self) -> &Node {
        self.home.as_ref().expect("it runs").node()
    }

    pub(crate) fn address(&self) -> String {
        let address = self.home.as_ref().and_then(|home| home.about().sync_address).expect("sync is on");
        format!("127.0.0.1:{}", address.port())
    }

    pub(crate) async fn set(&self, entity: &str, state: &str) -> Result<EntityView, NodeError> {
        let update = Update { state: Some(state.into()), ..Update::default() };
        self.node().update_entity(named(entity), update).await
    }

    pub(crate) async fn state(&self, entity: &str) -> Option<String> {
        self.node().entity(named(entity)).await.ok()?.state
    }

    /// Waits until the home sees an entity in a state.
    pub(crate) async fn sees(&self, entity: &str, state: Option<&str>) {
        eventually(&format!("{} sees {entity} {state:?}", self.name), async || {
            self.state(entity).await.as_deref() == state
        })
        .await;
    }

    pub(crate) async fn share(&self, entity: &str, with: &str, right: Right) {
        let share = ShareRequest {
            patterns: vec![entity.into()],
            with: vec![with.into()],
            right,
            preview: false,
            yes: false,
        };
        assert!(self.node().share(share).await.expect("it can be shared").applied);
    }

    pub(crate) async fn unshare(&self, pattern: &str, with: &[&str]) -> SharePlan {
        let with = with.iter().map(|&name| name.into()).collect();
        let unshare = UnshareRequest { patterns: vec![pattern.into()], with, preview: false };
        self.node().unshare(unshare).await.expect("it can be taken back")
    }
}

pub(crate) fn named(entity: &str) -> EntityRef {
    entity.parse().expect("an entity id")
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Returns two homes that have paired by a code.
pub(crate) async fn paired() -> (House, House) {
    paired_under("latest-wins").await
}

/// Returns two homes that have paired by a code and whose documents are under a strategy.
pub(crate) async fn paired_under(strategy: &'static str) -> (House, House) {
    let (villa, flat) = (House::under("villa", strategy), House::under("flat", strategy));
    let address = villa.address();
    pair(&villa, &flat, address).await;
    (villa, flat)
}

/// Pairs two homes by a code that the villa shows and the flat types.
pub(crate) async fn pair(villa: &House, flat: &House, address: String) {
    let shown = villa.node().pair_show().await.expect("a code");
    let paired =
        flat.node().pair_accept(Secret::new(shown.code), Some(address)).await.expect("the code is right");
    assert_eq!(paired.name, "villa");
    eventually("both are online", async || online(villa).await && online(flat).await).await;
}

/// Tells whether the home is linked to another.
pub(crate) async fn online(house: &House) -> bool {
    let status = house.node().status().await.expect("it answers");
    status.peers.iter().any(|peer| peer.state == crosshome_node::views::LinkState::Online)
}
