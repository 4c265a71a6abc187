//! Strategies between real homes: who decides, what is written, and whose policy holds in a joint space.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::Duration,
};

use crosshome_core::policy::Strategy;
use crosshome_node::{
    config::{Config, Override, Sources},
    custom::Function,
    home::{Home, Options},
    node::{EntityRef, News, Node, Secret, ShareRequest, StrategyRequest, Update},
    views::{JointView, LinkState, Right, RuleOrigin, StrategyView},
};
use serde_json::json;
use tempfile::TempDir;

use crate::houses::eventually;

const NOTE: &str = "input_text.note";
const LARGER: &str = "{{ [local.state | float, remote.state | float] | max }}";

/// A home that can be stopped and started with other settings, at one address.
struct House {
    home: Option<Home>,
    dir: TempDir,
    name: &'static str,
    port: u16,
    settings: Vec<(&'static str, String)>,
}

impl House {
    fn new(name: &'static str, settings: &[(&'static str, &str)]) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("bound").port();
        let settings = settings.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Self { home: None, dir: TempDir::new().expect("a temporary folder"), name, port, settings }
    }

    fn started(name: &'static str, settings: &[(&'static str, &str)]) -> Self {
        let mut house = Self::new(name, settings);
        house.start();
        house
    }

    fn config(&self, more: &[(&'static str, String)]) -> Config {
        let data_dir = self.dir.path().join("data").display().to_string();
        let mut settings = vec![
            ("home_name", self.name.to_owned()),
            ("data_dir", data_dir),
            ("discovery.enabled", "false".into()),
            ("sync.port", self.port.to_string()),
            ("sync.bind", Ipv4Addr::LOCALHOST.to_string()),
            ("api.port", "0".into()),
        ];
        settings.extend(self.settings.iter().chain(more).cloned());
        let set = |(key, value): (&str, String)| Override { key: key.into(), value, flag: "--test".into() };
        let overrides = settings.into_iter().map(set).collect();
        Config::load(&Sources { overrides, ..Sources::default() }).expect("it is valid").config
    }

    fn start(&mut self) {
        self.home = Some(Home::start(self.config(&[])).expect("the home starts"));
    }

    fn start_alone(&mut self) {
        let config = self.config(&[("sync.enabled", "false".into())]);
        self.home = Some(Home::start(config).expect("the home starts"));
    }

    fn start_with(&mut self, function: Function) {
        let mut config = self.config(&[]);
        (config.conflict_resolution.strategy, config.conflict_resolution.said) = (Strategy::Custom, true);
        let options = Options { custom: Some(function), ..Options::default() };
        self.home = Some(Home::start_with(config, options).expect("the home starts"));
    }

    async fn stop(&mut self) {
        self.home.take().expect("it runs").stop().await;
    }

    /// Starts anew, with one setting changed.
    async fn restart_with(&mut self, key: &'static str, value: &str) {
        self.stop().await;
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.into()));
        self.start();
    }

    fn node(&self) -> &Node {
        self.home.as_ref().expect("it runs").node()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn set(&self, state: &str, attributes: serde_json::Value) {
        let attributes = serde_json::from_value(attributes).expect("an object");
        let update = Update { state: Some(state.into()), attributes: Some(attributes), ..Update::default() };
        self.node().update_entity(note(), update).await.expect("set");
    }

    /// Returns what is shown of the note: state, attributes, and whether a decision is awaited.
    async fn shown(&self) -> Option<(String, serde_json::Value, bool)> {
        let view = self.node().entity(note()).await.ok()?;
        let attributes = serde_json::from_str(view.attributes.get()).expect("JSON");
        Some((view.state.unwrap_or_default(), attributes, view.conflict))
    }

    async fn sees(&self, state: &str) {
        eventually(&format!("{} sees {state}", self.name), async || {
            self.shown().await.is_some_and(|(shown, _, open)| shown == state && !open)
        })
        .await;
    }

    async fn online_with(&self, count: usize) {
        eventually(&format!("{} has {count} links", self.name), async || {
            let peers = self.node().status().await.expect("it answers").peers;
            peers.iter().filter(|peer| peer.state == LinkState::Online).count() == count
        })
        .await;
    }

    async fn choose(
        &self,
        strategy: Strategy,
        pattern: Option<&str>,
        template: Option<&str>,
    ) -> StrategyView {
        let request = StrategyRequest {
            strategy,
            pattern: pattern.map(Into::into),
            template: template.map(Into::into),
        };
        self.node().set_strategy(request).await.expect("set")
    }

    async fn joint(&self) -> JointView {
        self.node().strategy().await.expect("shown").joint.expect("it has a shared key")
    }

    async fn joint_is(&self, strategy: &str) {
        eventually(&format!("{} settles by {strategy}", self.name), async || {
            self.joint().await.strategy == strategy
        })
        .await;
    }

    async fn warnings(&self) -> String {
        let findings = self.node().doctor().await.expect("looked");
        findings.into_iter().map(|finding| finding.what + "\n").collect()
    }
}

fn note() -> EntityRef {
    NOTE.parse().expect("an entity id")
}

/// Pairs two homes; the flat may edit the villa's note, which says 1.
async fn pair(villa: &House, flat: &House) {
    let shown = villa.node().pair_show().await.expect("a code");
    flat.node().pair_accept(Secret::new(shown.code), Some(villa.address())).await.expect("paired");
    villa.set("1", json!({"of": "both"})).await;
    let share = ShareRequest {
        patterns: vec![NOTE.into()],
        with: vec!["flat".into()],
        right: Right::Edit,
        preview: false,
        yes: false,
    };
    villa.node().share(share).await.expect("shared");
    flat.sees("1").await;
}

/// Both change the note while the flat is alone, the flat later; then they meet again.
async fn change_apart(villa: &House, flat: &mut House) {
    flat.stop().await;
    flat.start_alone();
    villa.set("30", json!({"of": "villa"})).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    flat.set("7", json!({"of": "flat"})).await;
    flat.stop().await;
    flat.start();
    flat.online_with(1).await;
}

#[tokio::test]
async fn owner_s_template_decides_and_keeps_the_latest_attributes() {
    let rules = format!("[{{match: 'input_*', strategy: custom, template: '{LARGER}'}}]");
    let villa = House::started("villa", &[("conflict_resolution.rules", &rules)]);
    let mut flat = House::started("flat", &[]);
    pair(&villa, &flat).await;
    change_apart(&villa, &mut flat).await;
    for house in [&villa, &flat] {
        house.sees("30.0").await;
        assert_eq!(house.shown().await.expect("known").1, json!({"of": "flat"}), "{}", house.name);
    }
    assert!(!villa.warnings().await.contains("custom strategy"));
}

#[tokio::test]
async fn failing_template_lets_the_latest_win_and_everybody_says_so() {
    let villa = House::started("villa", &[]);
    let mut flat = House::started("flat", &[]);
    villa.choose(Strategy::Custom, None, Some("{{ remote.attributes.missing }}")).await;
    pair(&villa, &flat).await;
    let mut heard = villa.node().subscribe().expect("it runs");
    change_apart(&villa, &mut flat).await;
    villa.sees("7").await;
    flat.sees("7").await;
    let warnings = villa.warnings().await;
    assert!(
        warnings.contains("`remote.attributes.missing` is undefined (line 1 of the template)"),
        "{warnings}"
    );
    let mut told = std::iter::from_fn(|| heard.try_recv().ok());
    assert!(
        told.any(|notice| matches!(&notice.news, News::Fallback(fallback) if fallback.entity_id == NOTE))
    );
    villa.choose(Strategy::Merge, None, None).await;
    assert!(!villa.warnings().await.contains("custom strategy"), "another policy is in force");
}

#[tokio::test]
async fn function_of_the_program_decides() {
    let (mut villa, mut flat) = (House::new("villa", &[]), House::started("flat", &[]));
    villa.start_with(Function::new(|_, local, remote, before| {
        let text = |side: &serde_json::Value| side["state"].as_str().map(str::to_owned).ok_or("no state");
        let before = text(before.ok_or("no history")?)?;
        Ok(json!({"state": text(local)? + "+" + &text(remote)? + "-" + &before, "attributes": {"of": "both"}}))
    }));
    pair(&villa, &flat).await;
    change_apart(&villa, &mut flat).await;
    for house in [&villa, &flat] {
        house.sees("30+7-1").await;
        assert_eq!(house.shown().await.expect("known").1, json!({"of": "both"}), "{}", house.name);
    }
}

#[tokio::test]
async fn answer_of_a_function_is_dropped_when_the_conflict_is_over_meanwhile() {
    let (mut villa, mut flat) = (House::new("villa", &[]), House::started("flat", &[]));
    let (asked, questions) = mpsc::channel();
    let (answers, answer) = mpsc::channel::<&str>();
    let (asked, answer) = (Mutex::new(asked), Mutex::new(answer));
    villa.start_with(Function::new(move |entity_id, local, remote, before| {
        let question = format!("{entity_id} {} {} {}", local["state"], remote["state"], before.is_some());
        asked.lock().map_err(|_| "poisoned")?.send(question).map_err(|_| "gone")?;
        let state = answer.lock().map_err(|_| "poisoned")?.recv().map_err(|_| "gone")?;
        Ok(json!({"state": state, "attributes": {"of": "nobody"}}))
    }));
    pair(&villa, &flat).await;
    change_apart(&villa, &mut flat).await;
    let asked =
        |questions: &mpsc::Receiver<String>| questions.recv_timeout(Duration::from_secs(30)).expect("asked");
    let (first, questions) =
        tokio::task::spawn_blocking(move || (asked(&questions), questions)).await.expect("asked");
    assert_eq!(first, r#"input_text.note "30" "7" true"#);
    eventually("the flat knows of it", async || flat.shown().await.is_some_and(|shown| shown.2)).await;
    let update = Update { state: Some("31".into()), ..Update::default() };
    flat.node().update_entity(note(), update).await.expect("set");
    villa.sees("31").await;
    answers.send("stale").expect("it waits");
    let again = tokio::task::spawn_blocking(move || questions.recv_timeout(Duration::from_millis(500)));
    assert!(
        again.await.expect("no panic").is_err(),
        "the flat had seen both, so there is nothing left to decide"
    );
    villa.sees("31").await;
    flat.sees("31").await;
}

#[tokio::test]
async fn function_that_blocks_too_long_lets_the_latest_win() {
    let (mut villa, mut flat) = (House::new("villa", &[]), House::started("flat", &[]));
    let (let_go, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let function = Function::new(move |_, _, _, _| {
        let _ = blocked.lock().map_err(|_| "poisoned")?.recv();
        Ok(json!("late"))
    });
    villa.start_with(function.within(Duration::from_millis(100)));
    pair(&villa, &flat).await;
    change_apart(&villa, &mut flat).await;
    villa.sees("7").await;
    flat.sees("7").await;
    assert!(villa.warnings().await.contains("no answer within 0.1 s"));
    drop(let_go);
}

#[tokio::test]
async fn what_was_set_at_run_time_stands_in_front_and_is_there_after_a_restart() {
    let mut villa =
        House::started("villa", &[("conflict_resolution.rules", "[{match: 'light.*', strategy: merge}]")]);
    villa.set("1", json!({})).await;
    villa.choose(Strategy::UserChoice, Some("note.*"), None).await;
    let shown = villa.choose(Strategy::Merge, None, None).await;
    let text = |view: &StrategyView| -> Vec<String> {
        view.own.iter().map(|rule| format!("{} {} {:?}", rule.pattern, rule.strategy, rule.origin)).collect()
    };
    let wanted = ["note.* user-choice RunTime", "light.* merge Configuration", "* merge RunTime"];
    assert_eq!((text(&shown), shown.joint.is_none()), (wanted.map(Into::into).to_vec(), true));
    villa.stop().await;
    villa.start();
    assert_eq!(text(&villa.node().strategy().await.expect("shown")), wanted);
    let head = villa.node().watch().await.expect("answered").head;
    assert_eq!(head, 0, "the same policy touches no entity");
    let reset = villa.node().reset_strategy(None).await.expect("reset");
    assert_eq!(text(&reset), ["light.* merge Configuration", "* latest-wins Configuration"]);
}

#[tokio::test]
async fn wish_that_makes_no_sense_changes_nothing() {
    let villa = House::started("villa", &[]);
    for (strategy, pattern, template) in [
        (Strategy::Custom, None, None),
        (Strategy::Custom, None, Some("{{ local. }}")),
        (Strategy::Merge, None, Some("{{ 1 }}")),
        (Strategy::Merge, Some("Light.Hall"), None),
    ] {
        let request = StrategyRequest {
            strategy,
            pattern: pattern.map(Into::into),
            template: template.map(Into::into),
        };
        assert!(villa.node().set_strategy(request.clone()).await.is_err(), "{request:?}");
    }
    let own = villa.node().strategy().await.expect("shown").own;
    assert_eq!((own.len(), own[0].origin), (1, RuleOrigin::Default));
}

/// Returns the settings of a member of one family, which dials these addresses.
fn member(strategy: &'static str, peers: &str) -> Vec<(&'static str, String)> {
    let mut settings = vec![("sync.encryption.shared_key", "a passphrase of one family".to_owned())];
    settings.push(("sync.peers", peers.into()));
    if !strategy.is_empty() {
        settings.push(("conflict_resolution.strategy", strategy.into()));
    }
    settings
}

fn joined(name: &'static str, strategy: &'static str, peers: &[&House]) -> House {
    let peers: Vec<_> = peers.iter().map(|house| house.address()).collect();
    let mut house = House::new(name, &[]);
    house.settings = member(strategy, &peers.join(","));
    house.start();
    house
}

#[tokio::test]
async fn three_members_configured_differently_agree_and_a_newcomer_overrules_no_person() {
    let villa = joined("villa", "merge", &[]);
    villa.joint_is("merge").await;
    let flat = joined("flat", "user-choice", &[&villa]);
    for house in [&villa, &flat] {
        house.joint_is("user-choice").await;
    }
    let (why, own) = (villa.joint().await, flat.joint().await);
    assert_eq!((why.configured.as_deref(), why.set_by.as_deref()), (Some("merge"), Some("flat")));
    assert!(why.reason.contains("configured at flat, later than"), "{}", why.reason);
    assert_eq!((own.configured, own.reason.as_str()), (None, "configured at this home"));

    let chosen = villa.choose(Strategy::LatestWins, None, None).await.joint.expect("a joint space");
    assert!(chosen.deliberate);
    flat.joint_is("latest-wins").await;

    let hut = joined("hut", "user-choice", &[&villa, &flat]);
    for house in [&hut, &villa, &flat] {
        house.online_with(2).await;
        house.joint_is("latest-wins").await;
    }
    let why = hut.joint().await;
    assert!(why.reason.contains("chosen by a person at villa, to whom"), "{}", why.reason);
    let status = hut.node().status().await.expect("it answers");
    assert_eq!(status.joint_strategy, Some(why));
}

#[tokio::test]
async fn conflict_of_three_members_is_decided_by_one_and_all_show_it() {
    let villa = joined("villa", "", &[]);
    let mut flat = joined("flat", "", &[&villa]);
    let hut = joined("hut", "", &[&villa, &flat]);
    for house in [&villa, &flat, &hut] {
        house.online_with(2).await;
    }
    hut.choose(Strategy::Custom, Some("input_text.*"), Some(LARGER)).await;
    for house in [&villa, &flat, &hut] {
        eventually("the rule is known", async || house.joint().await.rules.len() == 2).await;
    }
    villa.set("1", json!({})).await;
    flat.sees("1").await;
    flat.stop().await;
    flat.start_alone();
    villa.set("30", json!({})).await;
    flat.set("7", json!({})).await;
    flat.stop().await;
    flat.start();
    for house in [&villa, &flat, &hut] {
        house.sees("30.0").await;
    }
    assert!(flat.joint().await.deliberate, "a restart with the same configuration changes nothing");
}

#[tokio::test]
async fn when_the_member_that_decides_is_gone_the_next_one_does() {
    let (let_go, held) = mpsc::channel::<()>();
    let (busy, held) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(held)));
    let function = |name: &'static str| {
        let (busy, held) = (busy.clone(), held.clone());
        Function::new(move |_, _, _, _| {
            if busy.get() == Some(&name) {
                let _ = held.lock().map_err(|_| "poisoned")?.recv();
            }
            Ok(json!({"state": format!("decided by {name}"), "attributes": {}}))
        })
    };
    let (mut villa, mut flat) = (House::new("villa", &[]), House::new("flat", &[]));
    villa.settings = member("", "");
    flat.settings = member("", &villa.address());
    villa.start_with(function("villa"));
    flat.start_with(function("flat"));
    flat.joint_is("custom").await;
    villa.online_with(1).await;
    let ids = [&villa, &flat].map(|house| house.home.as_ref().expect("it runs").about().id);
    busy.set(if ids[0] < ids[1] { "villa" } else { "flat" }).expect("once");
    villa.set("1", json!({})).await;
    flat.sees("1").await;
    flat.stop().await;
    flat.start_alone();
    villa.set("2", json!({})).await;
    flat.set("3", json!({})).await;
    flat.stop().await;
    flat.start_with(function("flat"));
    let (mut first, next) = if ids[0] < ids[1] { (villa, flat) } else { (flat, villa) };
    for house in [&first, &next] {
        eventually("the conflict is open", async || house.shown().await.is_some_and(|shown| shown.2)).await;
    }
    first.stop().await;
    next.sees(&format!("decided by {}", next.name)).await;
    drop(let_go);
}

#[tokio::test]
async fn configuration_that_somebody_has_changed_is_a_choice() {
    let mut villa = joined("villa", "merge", &[]);
    let flat = joined("flat", "", &[&villa]);
    flat.joint_is("merge").await;
    flat.choose(Strategy::UserChoice, None, None).await;
    villa.joint_is("user-choice").await;
    villa.stop().await;
    villa.start();
    villa.joint_is("user-choice").await;
    villa.restart_with("conflict_resolution.strategy", "latest-wins").await;
    assert_eq!(villa.joint().await.set_by.as_deref(), Some("villa"));
    flat.joint_is("latest-wins").await;
    assert!(flat.joint().await.deliberate);
}
