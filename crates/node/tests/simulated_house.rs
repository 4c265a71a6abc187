//! A real home with the simulated house behind it.

use std::time::{Duration, Instant};

use crosshome_node::{
    bridge::simulated::{self, House},
    config::{Config, Override, Sources},
    home::Home,
    node::{Node, NodeError, Update},
    views::EntityView,
};

struct Scene {
    home: Home,
    _dir: tempfile::TempDir,
}

async fn scene() -> Scene {
    let dir = tempfile::tempdir().expect("a directory");
    let set = |key: &str, value: &str| Override { key: key.into(), value: value.into(), flag: "test".into() };
    let overrides = vec![
        set("data_dir", &dir.path().display().to_string()),
        set("discovery.enabled", "false"),
        set("sync.port", "0"),
        set("sync.bind", "127.0.0.1"),
        set("api.port", "0"),
    ];
    let sources = Sources { overrides, ..Sources::default() };
    let config = Config::load(&sources).map_err(|errors| errors.to_string()).expect("fine").config;
    let home = Home::start(config).expect("it starts");
    tokio::spawn(simulated::live(home.node().clone(), House::new(1)));
    while entity(home.node(), "cover.awning").await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Scene { home, _dir: dir }
}

async fn entity(node: &Node, id: &str) -> Result<EntityView, NodeError> {
    node.entity(id.parse().expect("an id")).await
}

async fn set(node: &Node, id: &str, state: &str) -> Result<EntityView, NodeError> {
    let update = Update { state: Some(state.into()), ..Update::default() };
    node.update_entity(id.parse().expect("an id"), update).await
}

#[tokio::test]
async fn setting_a_device_of_the_house_moves_the_device_and_not_only_its_picture() {
    let scene = scene().await;
    let node = scene.home.node();
    assert_eq!(set(node, "light.garden", "on").await.expect("done").state.as_deref(), Some("on"));
    assert_eq!(set(node, "light.garden", "off").await.expect("done").state.as_deref(), Some("off"));
    let jammed = set(node, "lock.cellar", "unlocked").await;
    assert!(matches!(jammed, Err(NodeError::Refused { .. })), "{jammed:?}");
    assert_eq!(entity(node, "lock.cellar").await.expect("there").state.as_deref(), Some("locked"));
    scene.home.stop().await;
}

#[tokio::test]
async fn document_beside_the_house_is_written_and_not_commanded() {
    let scene = scene().await;
    let note = set(scene.home.node(), "input_text.note", "milk").await.expect("written");
    assert_eq!(note.state.as_deref(), Some("milk"));
    scene.home.stop().await;
}

#[tokio::test]
async fn command_to_a_dead_device_is_given_up_when_its_time_is_over() {
    let scene = scene().await;
    let asked = Instant::now();
    let silent = set(scene.home.node(), "cover.awning", "open").await;
    assert!(matches!(silent, Err(NodeError::TimedOut { seconds: 10, .. })), "{silent:?}");
    let waited = asked.elapsed();
    assert!((10..13).contains(&waited.as_secs()), "{waited:?}");
    scene.home.stop().await;
}
