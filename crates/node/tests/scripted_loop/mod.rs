//! Stands for the loop in tests of the faces: answers every request from a script, remembers nothing
//! but the states that were set, and tells the notices a test asks for.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{collections::BTreeMap, time::Duration};

use crosshome_node::{
    node::{EntityRef, Inbox, News, Node, NodeError, Request, Resolution, Settle, Update, Watch},
    views::{
        CallView, Class, ConflictStatus, ConflictView, EntityCounts, EntityView, Finding, HistoryView,
        HomeSeen, HomeView, Invitation, JointView, KeyView, Level, LinkState, LocalPeer, PairedView,
        PairingNews, PeerView, Pending, RegistryEntity, Right, RuleOrigin, RuleView, SharePlan, ShownCode,
        Space, Stamp, Status, StrategyView, VersionView, Via,
    },
};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc;

/// The moment at which everything in the script happens.
pub(crate) const NOW: Stamp = Stamp(1_700_000_000_123);

/// Starts the script; what is sent into the channel is told as a notice.
pub(crate) fn start() -> (Node, mpsc::UnboundedSender<News>) {
    let (node, mut inbox) = Node::open();
    let (tell, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut script = Script::default();
        loop {
            tokio::select! {
                Some(news) = told.recv() => inbox.notices.tell(|| news),
                Some(request) = inbox.requests.recv() => script.answer(request, &mut inbox),
                else => return,
            }
        }
    });
    (node, tell)
}

/// An entity of this home, called villa.
pub(crate) fn entity(entity_id: &str, state: &str) -> EntityView {
    EntityView {
        entity_id: entity_id.into(),
        home: "villa".into(),
        space: Space::Own,
        class: Class::Device,
        state: Some(state.into()),
        attributes: to_raw_value(&serde_json::json!({"brightness": 100})).expect("plain data"),
        last_changed: NOW,
        last_updated: NOW,
        updated_by: "villa".into(),
        shared_with: vec!["holiday".into()],
        conflict: false,
        pending: None,
    }
}

pub(crate) fn peer(state: LinkState) -> PeerView {
    let online = state == LinkState::Online;
    PeerView {
        id: "xh1holiday".into(),
        name: "holiday".into(),
        state,
        address: Some("192.0.2.7:8765".into()),
        via: online.then_some(Via::Direct),
        rtt_ms: online.then_some(1.5),
        in_sync: online,
        last_sync: Some(NOW),
        reason: (!online).then(|| "no answer from 192.0.2.7:8765".into()),
        cloned: None,
        went_back: None,
    }
}

pub(crate) fn conflict() -> ConflictView {
    let version = |home: &str, state: &str| VersionView {
        home: home.into(),
        state: Some(state.into()),
        attributes: raw("{}"),
        at: NOW,
        by: "person".into(),
        deleted: false,
        outcome: Some("awaits a choice".into()),
    };
    ConflictView {
        id: "1".into(),
        status: ConflictStatus::Open,
        entity_id: "climate.hall".into(),
        home: "villa".into(),
        detected_at: NOW,
        strategy: "user-choice".into(),
        token: "t1".into(),
        before: Some(VersionView { outcome: None, ..version("villa", "cool") }),
        versions: vec![version("villa", "heat"), version("holiday", "off")],
        present: Some(VersionView { outcome: None, ..version("villa", "heat") }),
        fields: vec!["state".into()],
        outcome: None,
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.into()).expect("JSON")
}

fn not_found(what: &'static str, name: impl Into<String>) -> NodeError {
    NodeError::NotFound { what, name: name.into() }
}

#[derive(Default)]
struct Script {
    states: BTreeMap<String, String>,
}

impl Script {
    fn answer(&mut self, request: Request, inbox: &mut Inbox) {
        match request {
            Request::Status { reply } => _ = reply.send(Ok(status())),
            Request::Ready { reply } => _ = reply.send(Ok(())),
            Request::Metrics { reply } => _ = reply.send(Ok("# EOF\n".into())),
            Request::Doctor { reply } => _ = reply.send(Ok(findings())),
            Request::Watch { reply } => {
                _ = reply.send(Ok(Watch { present: self.entities(), head: inbox.notices.head() }))
            }
            Request::Homes { reply } => _ = reply.send(Ok(vec![peer(LinkState::Online)])),
            Request::Discovered { wait, reply } => {
                tokio::spawn(async move {
                    tokio::time::sleep(wait.min(Duration::from_millis(50))).await;
                    _ = reply.send(Ok(vec![seen("holiday", true), seen("cabin", false)]));
                });
            }
            Request::LocalPeer { reply } => _ = reply.send(Ok(local_peer())),
            Request::KeyShow { reply } => _ = reply.send(Ok(key(None))),
            Request::RotateKey { reply } => _ = reply.send(Ok(key(Some("xh1before")))),
            Request::Entities { reply, .. } => _ = reply.send(Ok(self.entities())),
            Request::Entity { entity, reply } => _ = reply.send(self.entity(&entity)),
            Request::UpdateEntity { entity, update, reply } => {
                let updated = self.update(&entity, update);
                if let Ok(view) = &updated {
                    inbox.notices.tell(|| News::Entity(view.clone()));
                }
                _ = reply.send(updated);
            }
            Request::Call { entity, call, reply } => {
                let outcome = call.wait.then(|| "done".into());
                let called = CallView { ok: true, intent: "i1".into(), outcome };
                _ = reply.send(self.entity(&entity).map(|_| called));
            }
            Request::History { entity, reply } => _ = reply.send(self.entity(&entity).map(history)),
            Request::Conflicts { reply, .. } => _ = reply.send(Ok(vec![conflict()])),
            Request::Conflict { id, reply } if is_conflict(&id) => _ = reply.send(Ok(conflict())),
            Request::Resolve { resolution, reply } => _ = reply.send(resolve(&resolution)),
            Request::Conflict { id, reply } => _ = reply.send(Err(not_found("conflict", id))),
            Request::Strategy { reply } => _ = reply.send(Ok(strategy("merge"))),
            Request::SetStrategy { strategy: wanted, reply } => {
                _ = reply.send(match wanted.template.as_deref() {
                    Some(text) if text.contains("{{") => Ok(strategy("custom")),
                    Some(_) => Err(NodeError::Invalid("this is no Jinja template".into())),
                    None => Ok(strategy(wanted.strategy.name())),
                });
            }
            Request::ResetStrategy { pattern, reply } => {
                assert_ne!(pattern.as_deref(), Some(""));
                _ = reply.send(Ok(strategy("merge")));
            }
            Request::Registry { reply } => _ = reply.send(Ok(vec![registered("light.hall", true)])),
            Request::Registered { entity_id, reply } if entity_id == "light.hall" => {
                _ = reply.send(Ok(registered(&entity_id, true)))
            }
            Request::Registered { entity_id, reply } => _ = reply.send(Err(not_found("entity", entity_id))),
            Request::Register { register, reply } => {
                let entity = RegistryEntity {
                    metadata: register.metadata,
                    ..registered(&register.entity_id, register.shared)
                };
                _ = reply.send(Ok(entity));
            }
            Request::ChangeRegistered { entity_id, change, reply } => {
                let shared = change.shared.unwrap_or(true);
                let entity = RegistryEntity { metadata: change.metadata, ..registered(&entity_id, shared) };
                _ = reply.send(Ok(entity));
            }
            Request::Unregister { reply, .. } => _ = reply.send(Ok(())),
            Request::Share { share, reply } => {
                let known = share.with.iter().all(|home| "holiday".starts_with(home.as_str()));
                let unknown = share.with.first().cloned().unwrap_or_default();
                // As in a real home: who writes the exact id has chosen, whoever writes something wider may not know.
                let wide = |pattern: &&String| ["lock.*", "area:Hall"].contains(&pattern.as_str());
                let risky: Vec<String> =
                    share.patterns.iter().filter(wide).map(|_| "lock.door".into()).collect();
                let plan = SharePlan {
                    with: vec!["holiday".into()],
                    added: share.patterns,
                    removed: Vec::new(),
                    total: 1,
                    applied: !share.preview && (share.yes || risky.is_empty()) && share.right >= Right::Read,
                    risky,
                };
                _ = reply.send(if known { Ok(plan) } else { Err(not_found("home", unknown)) });
            }
            Request::Unshare { unshare, reply } => {
                let removed = unshare.patterns;
                let with = vec!["holiday".into()];
                _ = reply.send(Ok(SharePlan {
                    with,
                    removed,
                    applied: !unshare.preview,
                    ..SharePlan::default()
                }));
            }
            Request::PairShow { reply } => {
                let shown = ShownCode {
                    code: "123-456-784".into(),
                    expires_in_s: 300,
                    invitation: "crosshome:i".into(),
                };
                _ = reply.send(Ok(shown));
                let failed = PairingNews::Failed { reason: "wrong code".into(), tries_left: 2 };
                inbox.notices.tell(|| News::Pairing(failed));
                inbox.notices.tell(|| News::Pairing(PairingNews::Paired(paired())));
            }
            Request::PairAccept { code, reply, .. } => _ = reply.send(accept(code.reveal())),
            Request::AcceptLink { reply, .. } => _ = reply.send(Ok(paired())),
            Request::PairCancel { reply } => _ = reply.send(Ok(())),
            Request::Invite { reply } => {
                _ = reply.send(Ok(Invitation { link: "crosshome:i".into(), expires_in_s: 300 }))
            }
            Request::Unpair { home, reply } if home == "holiday" => {
                _ = reply.send(Ok(HomeView { id: "xh1holiday".into(), name: home }))
            }
            Request::Unpair { home, reply } => _ = reply.send(Err(not_found("home", home))),
            other => panic!("the script has no answer to {other:?}"),
        }
    }

    fn entities(&self) -> Vec<EntityView> {
        let mut states = self.states.clone();
        states.entry("light.hall".into()).or_insert_with(|| "on".into());
        states.iter().map(|(id, state)| entity(id, state)).collect()
    }

    fn entity(&self, wanted: &EntityRef) -> Result<EntityView, NodeError> {
        if wanted.entity_id() == "light.twice" && wanted.home().is_none() {
            let candidates = vec!["alps/light.twice".into(), "city/light.twice".into()];
            return Err(NodeError::Ambiguous { name: wanted.to_string(), candidates });
        }
        let found = self.entities().into_iter().find(|view| view.entity_id == wanted.entity_id());
        found.ok_or_else(|| not_found("entity", wanted.to_string()))
    }

    fn update(&mut self, wanted: &EntityRef, update: Update) -> Result<EntityView, NodeError> {
        match wanted.entity_id() {
            "climate.hall" => Err(NodeError::ConflictOpen {
                entity_id: wanted.to_string(),
                conflict: "climate.hall".into(),
            }),
            "lock.door" => {
                let reason = "lock.door is shared for reading only".into();
                Err(NodeError::NotAllowed { home: "holiday".into(), reason })
            }
            "light.slow" if update.wait => Err(NodeError::TimedOut { what: "holiday".into(), seconds: 30 }),
            id => {
                let mut view = entity(id, update.state.as_deref().unwrap_or("on"));
                view.pending = (!update.wait).then(|| Pending {
                    intent: "i1".into(),
                    status: "sent".into(),
                    wanted: RawValue::from_string(r#"{"state":"on","attributes":{}}"#.into()).expect("JSON"),
                    expires: NOW,
                });
                if !update.patch.is_empty() {
                    view.attributes = to_raw_value(&update.patch).expect("plain data");
                }
                self.states.insert(id.into(), view.state.clone().unwrap_or_default());
                Ok(view)
            }
        }
    }
}

fn status() -> Status {
    Status {
        home: HomeView { id: "xh1villa".into(), name: "villa".into() },
        version: "0.1.0".into(),
        api: Some("http://127.0.0.1:8766".into()),
        sync_port: Some(8765),
        loopback_only: false,
        discovery: true,
        peers: vec![peer(LinkState::Online)],
        entities: EntityCounts { own: 3, shared: 1, received: 2 },
        conflicts_open: 1,
        restored: None,
        joint_strategy: strategy("merge").joint,
    }
}

/// What settles conflicts: one rule for climates, and a default of this strategy in both spaces.
fn strategy(default: &str) -> StrategyView {
    let rule = |pattern: &str, strategy: &str, origin| RuleView {
        pattern: pattern.into(),
        strategy: strategy.into(),
        template: (strategy == "custom").then(|| "{{ remote.state }}".into()),
        origin,
    };
    StrategyView {
        own: vec![
            rule("climate.*", "user-choice", RuleOrigin::Configuration),
            rule("*", default, RuleOrigin::RunTime),
        ],
        joint: Some(JointView {
            rules: vec![rule("*", default, RuleOrigin::RunTime)],
            set_by: Some("holiday".into()),
            at: Some(NOW),
            deliberate: true,
            strategy: default.into(),
            configured: Some("latest-wins".into()),
            reason: "chosen by a person at holiday, to whom this home's configuration gives way".into(),
        }),
    }
}

fn findings() -> Vec<Finding> {
    let finding = |level, what: &str, remedy: Option<&str>| Finding {
        level,
        what: what.into(),
        remedy: remedy.map(Into::into),
    };
    vec![
        finding(Level::Ok, "the store is whole", None),
        finding(Level::Warning, "the clock was never set", Some("let the machine reach a time server")),
        finding(Level::Error, "port 8765 is taken", Some("set sync.port to a free one")),
    ]
}

fn seen(name: &str, paired: bool) -> HomeSeen {
    HomeSeen {
        id: format!("xh1{name}"),
        name: name.into(),
        addresses: vec!["192.0.2.7".into()],
        port: 8765,
        version: Some("0.1.0".into()),
        paired,
        online: paired,
        instance_name: name.into(),
        capabilities: vec!["sync".into()],
        last_seen: Some(NOW),
    }
}

fn local_peer() -> LocalPeer {
    LocalPeer {
        peer_id: "xh1villa".into(),
        home_id: "villa".into(),
        instance_name: "villa".into(),
        version: "0.1.0".into(),
        capabilities: vec!["sync".into()],
        port: 8765,
        timestamp: NOW,
    }
}

fn key(replaces: Option<&str>) -> KeyView {
    KeyView {
        id: "xh1villa".into(),
        grouped: "xh1vil-la".into(),
        short: "xh1villa".into(),
        public_key: "MCowBQYDK2VwAyEA".into(),
        key_path: Some("/config/.copilot/sharing_key".into()),
        replaces: replaces.map(Into::into),
    }
}

fn history(view: EntityView) -> HistoryView {
    let version = VersionView {
        home: view.home,
        state: view.state,
        attributes: view.attributes,
        at: NOW,
        by: "person".into(),
        deleted: false,
        outcome: Some("current".into()),
    };
    HistoryView { entity_id: view.entity_id, versions: vec![version] }
}

fn is_conflict(id: &str) -> bool {
    ["1", "climate.hall"].contains(&id)
}

fn resolve(resolution: &Resolution) -> Result<ConflictView, NodeError> {
    let Resolution { id, token, settle } = resolution;
    if !is_conflict(id) {
        return Err(not_found("conflict", id));
    }
    if *token != conflict().token {
        let present = Box::new(serde_json::to_value(conflict()).expect("plain data"));
        return Err(NodeError::Stale { entity_id: "climate.hall".into(), present });
    }
    let with = match settle {
        Settle::Take(home) if home == "lock" => {
            let reason = "climate.hall is not shared with edit".into();
            return Err(NodeError::NotAllowed { home: "holiday".into(), reason });
        }
        Settle::Take(home) => format!("the version of {home}"),
        Settle::Merge => "the versions merged".into(),
        Settle::Value(value) => format!("the value {}", value.state.clone().unwrap_or_default()),
    };
    let outcome = Some(format!("settled by villa (person) with {with}"));
    Ok(ConflictView { status: ConflictStatus::Settled, outcome, ..conflict() })
}

fn registered(entity_id: &str, shared: bool) -> RegistryEntity {
    RegistryEntity {
        entity_id: entity_id.into(),
        name: entity_id.into(),
        domain: entity_id.split('.').next().unwrap_or_default().into(),
        shared,
        last_updated: NOW,
        last_updated_by: "villa".into(),
        shared_with: if shared { vec!["holiday".into()] } else { Vec::new() },
        metadata: serde_json::Map::new(),
    }
}

fn paired() -> PairedView {
    PairedView { id: "xh1holiday".into(), name: "holiday".into(), words: "🐝 🌲 🚲 🧀".into() }
}

fn accept(code: &str) -> Result<PairedView, NodeError> {
    match code {
        "123-456-784" => Ok(paired()),
        "123-456-789" => Err(NodeError::BadCode),
        _ => Err(NodeError::WrongCode),
    }
}
