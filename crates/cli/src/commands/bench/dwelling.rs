//! A real home inside a worker, with a house that reports and an observer that listens.
//!
//! Both live on the home's own thread, as bridges do.

use std::{collections::HashMap, net::SocketAddr, path::Path, time::Duration};

use crosshome_core::{EntityId, json::Json, update::Update};
use crosshome_node::{
    config::{Config, Override, Sources},
    defaults::BURST,
    home::Home,
    node::{self, EntityRef, News, Node, NodeError, Report, Secret, Selection, ShareRequest},
    views::{EntityView, LinkState, PeerView, Right, Space},
};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::error::RecvError,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    orders::{Heard, Held, Load, Opened, Order, Pace, Sent},
    sample::{Sample, Shown, sent_ns},
    usage::now_ns,
    worker::Trouble,
};

/// Between two looks whether something has come.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Longest wait for anything: the largest measurement takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Entities beyond the quota of a usual home are part of the measurement.
const ENTITIES_PER_PEER: u32 = 1_000_000;

/// A home that is measured.
pub(super) struct Dwelling {
    home: Home,
    prepared: Vec<(EntityId, Shown)>,
    load: Option<Load>,
}

impl Dwelling {
    /// Opens a home.
    pub(super) fn open(dir: &Path, name: &str, peer: Option<SocketAddr>) -> Result<(Self, Opened), Trouble> {
        let home = Home::start(config(dir, name, peer)?)?;
        let address = home.about().sync_address.ok_or("the home does not listen")?;
        Ok((Self { home, prepared: Vec::new(), load: None }, Opened { address, ready_ns: now_ns() }))
    }

    /// Makes updates ready.
    pub(super) fn prepare(&mut self, load: Load) -> Result<(), Trouble> {
        let ready = |(entity, round)| Ok((Sample(entity).id().parse()?, Sample(entity).shown(round)));
        self.prepared = load.updates().map(ready).collect::<Result<_, Trouble>>()?;
        self.load = Some(load);
        Ok(())
    }

    /// Reports what was prepared, and flushes.
    pub(super) async fn send(&mut self) -> Result<Sent, Trouble> {
        let (prepared, node) = (std::mem::take(&mut self.prepared), self.home.node().clone());
        let load = self.load.take().ok_or("nothing is prepared")?;
        let reported = async move {
            let begun_ns = now_ns();
            match load.pace {
                Some(pace) => report_paced(&node, prepared, pace).await?,
                None => report_all(&node, prepared).await?,
            }
            flush(&node).await?;
            Ok::<_, Trouble>(Sent { begun_ns, durable_ns: now_ns() })
        };
        self.home.runtime().spawn(reported).await?
    }

    /// Notes when updates reach an observer.
    pub(super) fn listen(&self, updates: u32) -> Result<JoinHandle<Result<Heard, Trouble>>, Trouble> {
        let mut notices = self.home.node().subscribe()?;
        Ok(self.home.runtime().spawn(async move {
            let mut took_ns = Vec::with_capacity(updates as usize);
            while took_ns.len() < updates as usize {
                match notices.recv().await {
                    Ok(notice) => took_ns.extend(age_ns(&notice.news)),
                    Err(RecvError::Lagged(missed)) => {
                        return Err(format!("{missed} notices were missed").into());
                    }
                    Err(RecvError::Closed) => return Err("the home has stopped".into()),
                }
            }
            Ok(Heard::of(took_ns, now_ns()))
        }))
    }

    /// Carries out an order that only homes know.
    pub(super) async fn obey(&self, order: Order) -> Result<Value, Trouble> {
        let node = self.home.node().clone();
        Ok(match order {
            Order::Show => json!(node.pair_show().await?.code),
            Order::Join { code, address } => {
                node.pair_accept(Secret::new(code), Some(address.to_string())).await?;
                await_link(&node, true).await?;
                Value::Null
            }
            Order::AwaitLink { up } => {
                await_link(&node, up).await?;
                Value::Null
            }
            Order::Share { with } => {
                share(&node, with).await?;
                Value::Null
            }
            Order::AwaitValue { home, entity, round } => {
                json!(await_value(&node, &home, entity, round).await?)
            }
            Order::AwaitChanges { changes } => {
                json!(await_changes(&node, changes).await?)
            }
            Order::Check { home, load } => json!(count_wrong(&node, &home, load).await?),
            other => return Err(format!("no home knows {other:?}").into()),
        })
    }

    /// Returns how many changes were told since the home was opened.
    pub(super) fn changes(&self) -> u64 {
        self.home.node().head()
    }

    /// Stops the home properly.
    pub(super) async fn close(self) {
        self.home.stop().await;
    }
}

fn config(dir: &Path, name: &str, peer: Option<SocketAddr>) -> Result<Config, Trouble> {
    let values = [
        ("data_dir", dir.display().to_string()),
        ("home_name", name.into()),
        ("discovery.enabled", "false".into()),
        ("sync.bind", "127.0.0.1".into()),
        ("sync.port", "0".into()),
        ("sync.peers", peer.map(|peer| peer.to_string()).unwrap_or_default()),
        ("sync.max_entities_per_peer", ENTITIES_PER_PEER.to_string()),
        ("api.port", "0".into()),
    ];
    let overrides =
        values.map(|(key, value)| Override { key: key.into(), value, flag: format!("{key} of bench") });
    let loaded = Config::load(&Sources { overrides: overrides.into(), ..Sources::default() });
    Ok(loaded.map_err(|errors| errors.render(false))?.config)
}

async fn report_all(node: &Node, prepared: Vec<(EntityId, Shown)>) -> Result<(), Trouble> {
    for burst in prepared.chunks(BURST) {
        let reports = burst.iter().map(|(entity_id, shown)| report(entity_id, shown));
        node.report(reports.collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}

async fn report_paced(node: &Node, prepared: Vec<(EntityId, Shown)>, pace: Pace) -> Result<(), Trouble> {
    let mut beat = interval(pace.period());
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for burst in prepared.chunks(pace.burst as usize) {
        beat.tick().await;
        let reports = burst.iter().map(|(entity_id, shown)| match pace.stamped {
            true => report(entity_id, &shown.clone().stamped(now_ns())),
            false => report(entity_id, shown),
        });
        node.report(reports.collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}

fn report(entity_id: &EntityId, shown: &Shown) -> Result<Report, Trouble> {
    let update = Update::replace(&shown.state, &shown.attributes)?;
    Ok(Report { entity_id: entity_id.clone(), update, class: None })
}

/// Changes a document of this home's own, which is answered when it and all before it is durable.
async fn flush(node: &Node) -> Result<(), Trouble> {
    let document = format!("input_text.flush_{}", std::process::id()).parse()?;
    let update = node::Update { state: Some(now_ns().to_string()), ..node::Update::default() };
    node.update_entity(document, update).await?;
    Ok(())
}

async fn share(node: &Node, with: String) -> Result<(), Trouble> {
    let (patterns, with) = (vec!["*".into()], vec![with]);
    node.share(ShareRequest { patterns, with, right: Right::Read, preview: false, yes: true }).await?;
    Ok(())
}

async fn await_link(node: &Node, up: bool) -> Result<(), Trouble> {
    let online = |home: &PeerView| home.state == LinkState::Online;
    until(async || Ok(node.homes().await?.iter().any(online) == up)).await
}

async fn await_value(node: &Node, home: &str, entity: u32, round: u32) -> Result<Held, Trouble> {
    let name: EntityRef = format!("{home}/{}", Sample(entity).id()).parse()?;
    until(async || match node.entity(name.clone()).await {
        Ok(view) => shows(&view, round, entity),
        Err(NodeError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    })
    .await?;
    held(node).await
}

async fn await_changes(node: &Node, changes: u64) -> Result<Held, Trouble> {
    until(async || Ok(node.head() >= changes)).await?;
    held(node).await
}

async fn held(node: &Node) -> Result<Held, Trouble> {
    let held_ns = now_ns();
    flush(node).await?;
    Ok(Held { held_ns, durable_ns: now_ns() })
}

async fn until(done: impl AsyncFn() -> Result<bool, Trouble>) -> Result<(), Trouble> {
    let waited = async {
        while !done().await? {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, waited).await.map_err(|_| "what was waited for did not come")?
}

/// Counts the entities that do not show what they were last told to.
async fn count_wrong(node: &Node, home: &str, load: Load) -> Result<u32, Trouble> {
    let views = node.entities(Selection::All).await?;
    let received = views.iter().filter(|view| view.space == Space::Received && view.home == home);
    let known: HashMap<_, _> = received.map(|view| (view.entity_id.as_str(), view)).collect();
    let mut wrong = 0;
    for entity in 0..load.entities {
        let right = match known.get(Sample(entity).id().as_str()) {
            Some(view) => shows(view, load.end_of(entity), entity)?,
            None => false,
        };
        wrong += u32::from(!right);
    }
    Ok(wrong)
}

/// Tells whether a view shows what its entity has to show after a round, but for the time of sending.
fn shows(view: &EntityView, round: u32, entity: u32) -> Result<bool, Trouble> {
    let wanted = Sample(entity).shown(round);
    let canonical = wanted.attributes.parse::<Json>()?;
    let shown = view.attributes.get();
    let shown = match shown.find(r#","sent_ns":"#) {
        Some(at) => {
            shown[..at].to_owned() + shown[at + 1..].find(',').map_or("}", |end| &shown[at + 1 + end..])
        }
        None => shown.to_owned(),
    };
    Ok(view.state.as_deref() == Some(&wanted.state) && shown == canonical.as_str())
}

/// Returns how long ago an update was sent.
fn age_ns(news: &News) -> Option<u64> {
    let News::Entity(view) = news else { return None };
    Some(now_ns().saturating_sub(sent_ns(view.attributes.get())?))
}
