//! The committer: order, groups, failures and the end.

use std::{fs, time::Duration};

use tokio::time::timeout;

use super::scenes::{Disk, Scene, fill, key, past, states};
use crate::store::{Batch, Committer, Health, Store, StoreError};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn commits_given_at_once_are_stored_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let committer = Committer::start(Store::open(dir.path()).unwrap().0);
    let mut scene = Scene::new();
    let waiting: Vec<_> =
        (0..5_000u64).map(|n| committer.commit(scene.change(n % 7, &n.to_string(), n % 100 == 0))).collect();
    for stored in waiting {
        stored.await.unwrap();
    }
    committer.close().await.unwrap();
    let (mut store, stored) = Store::open(dir.path()).unwrap();
    assert!(stored.clean && stored.head == 5_000);
    assert!(stored.commits < 5_000, "what waits is committed together");
    let newest: Vec<_> = states(&mut store).into_iter().map(|(_, state)| state).collect();
    assert_eq!(newest, ["4998", "4999", "4993", "4994", "4995", "4996", "4997"]);
}

#[tokio::test]
async fn batch_nobody_waits_for_is_stored_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let committer = Committer::start(Store::open(dir.path()).unwrap().0);
    let mut scene = Scene::new();
    drop(committer.commit(scene.change(1, "on", false)));
    committer.close().await.unwrap();
    assert_eq!(states(&mut Store::open(dir.path()).unwrap().0), [("sensor.n1".into(), "on".into())]);
}

#[tokio::test]
async fn history_is_read_behind_what_was_given_before() {
    let committer = Committer::start(Store::in_memory().unwrap().0);
    drop(committer.commit(Batch { history: vec![past(1, 5)], ..Batch::default() }));
    assert_eq!(committer.history(key(1)).await.unwrap(), [past(1, 5)]);
    committer.close().await.unwrap();
}

#[tokio::test]
async fn full_disk_fails_commits_and_all_of_them_are_stored_when_there_is_room_again() {
    let Some(disk) = Disk::new("1m") else { return }; // only root can make a small disk
    let (store, mut scene) = fill(disk.path());
    let committer = Committer::start(store);
    let mut health = committer.health();
    let ballast = disk.fill_up();
    for round in 0..2 {
        (0..300).for_each(|number| scene.set(number, &round.to_string()));
        let error = committer.commit(scene.batch(true)).await.expect_err("there is no room");
        assert!(matches!(error, StoreError::StorageFull(_)), "{error}");
    }
    let failing = |health: &Health| matches!(health, Health::Failing(StoreError::StorageFull(_)));
    timeout(PATIENCE, health.wait_for(failing)).await.unwrap().unwrap();
    assert_eq!(committer.history(key(1)).await.unwrap(), [], "reading goes on");

    fs::remove_file(ballast).unwrap();
    let recovered = timeout(Duration::from_secs(5), health.wait_for(|health| matches!(health, Health::Well)));
    recovered.await.expect("it recovers by itself within 5 s").unwrap();
    committer.close().await.unwrap();
    let found = states(&mut Store::open(disk.path()).unwrap().0);
    assert!(found.len() == 300 && found.iter().all(|(_, state)| state == "1"), "{found:?}");
}

#[tokio::test]
async fn dropping_the_committer_stores_what_waits_and_frees_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let committer = Committer::start(Store::open(dir.path()).unwrap().0);
    let stored = committer.commit(Scene::new().change(1, "on", true));
    drop(committer);
    stored.await.unwrap();
    let opened = async {
        loop {
            match Store::open(dir.path()) {
                Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                opened => break opened,
            }
        }
    };
    let (mut store, stored) = timeout(PATIENCE, opened).await.unwrap().unwrap();
    assert!(stored.clean && states(&mut store).len() == 1);
}
