//! Changes made apart, between running homes: on record in both, shown, settled by people, overruled.

use crosshome_node::{
    node::{News, NodeError, Report, Resolution, Settle, Update},
    views::{ConflictStatus, ConflictView, Right},
};

use crate::houses::{House, eventually, named, online, paired_under};

const NOTE: &str = "input_text.note";

/// Two homes that have changed a note apart and are linked again: the villa to bread, then the flat to cake.
struct Apart {
    villa: House,
    flat: House,
}

impl Apart {
    async fn under(strategy: &'static str) -> Self {
        let (villa, mut flat) = paired_under(strategy).await;
        villa.set(NOTE, "milk").await.expect("set");
        villa.share(NOTE, "flat", Right::Edit).await;
        flat.sees(NOTE, Some("milk")).await;
        flat.cut().await;
        villa.set(NOTE, "bread").await.expect("set");
        flat.set(NOTE, "cake").await.expect("kept for later");
        flat.heal().await;
        let apart = Self { villa, flat };
        eventually("both have it on record", async || {
            conflict(&apart.villa).await.is_some() && conflict(&apart.flat).await.is_some()
        })
        .await;
        apart
    }
}

/// Returns the newest conflict of the note.
async fn conflict(house: &House) -> Option<ConflictView> {
    house.node().conflict(NOTE.into()).await.ok()
}

async fn token(house: &House) -> String {
    conflict(house).await.expect("on record").token
}

async fn resolve(house: &House, token: &str, settle: Settle) -> Result<ConflictView, NodeError> {
    house.node().resolve(Resolution { id: NOTE.into(), token: token.into(), settle }).await
}

fn take(home: &str) -> Settle {
    Settle::Take(home.into())
}

fn value(state: &str) -> Settle {
    Settle::Value(Update { state: Some(state.into()), ..Update::default() })
}

fn sides(conflict: &ConflictView) -> Vec<(String, String, String)> {
    let side = |version: &crosshome_node::views::VersionView| {
        let outcome = version.outcome.clone().unwrap_or_default();
        (version.home.clone(), version.state.clone().unwrap_or_default(), outcome)
    };
    conflict.versions.iter().map(side).collect()
}

fn side(home: &str, state: &str, outcome: &str) -> (String, String, String) {
    (home.into(), state.into(), outcome.into())
}

async fn past(house: &House) -> Vec<(String, String)> {
    let history = house.node().history(named(NOTE)).await.expect("it has one");
    history
        .versions
        .into_iter()
        .map(|version| (version.state.unwrap_or_default(), version.outcome.unwrap_or_default()))
        .collect()
}

fn seen(state: &str, outcome: &str) -> (String, String) {
    (state.into(), outcome.into())
}

#[tokio::test]
async fn loser_to_latest_wins_is_on_record_in_both_homes_and_can_be_brought_back() {
    let Apart { villa, flat } = Apart::under("latest-wins").await;
    for house in [&villa, &flat] {
        let found = conflict(house).await.expect("on record");
        assert_eq!(
            sides(&found),
            [side("flat", "cake", "shown"), side("villa", "bread", "lost to latest-wins")]
        );
        assert_eq!((found.status, &*found.strategy), (ConflictStatus::Settled, "latest-wins"));
        assert_eq!(
            (found.fields.as_slice(), found.versions[0].by.as_str()),
            (&["state".into()][..], "person")
        );
        assert_eq!(found.outcome.as_deref(), Some("latest-wins took the version of flat"));
        assert_eq!(found.before.and_then(|before| before.state).as_deref(), Some("milk"));
        let listed = async |all| house.node().conflicts(all).await.expect("listed").len();
        assert_eq!((listed(false).await, listed(true).await), (0, 1));
    }
    assert_eq!(
        past(&villa).await,
        [seen("cake", "current"), seen("bread", "lost to latest-wins"), seen("milk", "replaced")]
    );
    resolve(&flat, &token(&flat).await, take("villa")).await.expect("overruled");
    villa.sees(NOTE, Some("bread")).await;
    assert_eq!(past(&villa).await[1], seen("cake", "shown"));
}

#[tokio::test]
async fn strategy_is_overruled_on_top_of_what_came_later_and_of_nothing_unseen() {
    let Apart { villa, flat } = Apart::under("latest-wins").await;
    let before = token(&villa).await;
    villa.set(NOTE, "eggs").await.expect("it has seen both");
    let stale = resolve(&villa, &before, take("villa")).await.expect_err("the eggs were not shown");
    assert!(matches!(stale, NodeError::Stale { .. }), "{stale:?}");
    let shown = conflict(&villa).await.expect("still on record");
    assert_eq!(shown.present.as_ref().and_then(|present| present.state.as_deref()), Some("eggs"));
    let settled = resolve(&villa, &shown.token, take("villa")).await.expect("the eggs were shown");
    let outcome = settled.outcome.expect("settled");
    assert!(outcome.ends_with("villa (person) with the version of villa"), "{outcome}");
    flat.sees(NOTE, Some("bread")).await;
    assert_eq!(conflict(&flat).await.expect("on record").status, ConflictStatus::Settled);
}

#[tokio::test]
async fn merge_names_the_field_in_which_a_side_has_lost() {
    let Apart { villa, .. } = Apart::under("merge").await;
    let found = conflict(&villa).await.expect("on record");
    assert_eq!(
        sides(&found),
        [side("flat", "cake", "merged"), side("villa", "bread", "lost to merge in state")]
    );
}

#[tokio::test]
async fn choice_of_a_peer_with_the_right_to_edit_settles_it_for_the_owner() {
    let Apart { villa, flat } = Apart::under("user-choice").await;
    for house in [&villa, &flat] {
        assert_eq!(house.node().status().await.expect("it answers").conflicts_open, 1);
        assert!(house.node().entity(named(NOTE)).await.expect("shown").conflict);
        let refused = house.set(NOTE, "eggs").await.expect_err("a choice is awaited");
        assert_eq!(refused, NodeError::ConflictOpen { entity_id: NOTE.into(), conflict: NOTE.into() });
        let found = &house.node().conflicts(false).await.expect("listed")[0];
        assert_eq!((found.status, found.outcome.as_deref()), (ConflictStatus::Open, None));
        assert_eq!(found.before.as_ref().and_then(|before| before.state.as_deref()), Some("milk"));
    }
    let doctor = villa.node().doctor().await.expect("it looks");
    assert!(doctor.iter().any(|finding| finding.what.contains(NOTE)), "{doctor:?}");
    let mut heard = villa.node().subscribe().expect("it runs");
    let settled = resolve(&flat, &token(&flat).await, take("villa")).await.expect("it may edit");
    assert_eq!(settled.outcome.as_deref(), Some("settled by flat (person) with the version of villa"));
    villa.sees(NOTE, Some("bread")).await;
    for house in [&villa, &flat] {
        assert_eq!(house.node().status().await.expect("it answers").conflicts_open, 0);
        let found = conflict(house).await.expect("on record");
        assert_eq!(found.outcome, settled.outcome);
        assert_eq!(sides(&found), [side("flat", "cake", "not chosen"), side("villa", "bread", "chosen")]);
        house.set(NOTE, "eggs").await.expect("it takes updates again");
        flat.sees(NOTE, Some("eggs")).await;
    }
    let mut told = Vec::new();
    while let Ok(notice) = heard.try_recv() {
        if let News::Conflict(view) = &notice.news {
            told.push(view.status);
        }
    }
    assert_eq!(told, [ConflictStatus::Settled]);
}

#[tokio::test]
async fn second_of_two_people_in_one_home_is_shown_what_the_first_has_chosen() {
    let Apart { villa, .. } = Apart::under("user-choice").await;
    let shown = token(&villa).await;
    let (first, second) =
        tokio::join!(resolve(&villa, &shown, take("villa")), resolve(&villa, &shown, take("flat")));
    let (won, lost) = match (first, second) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("exactly one settles it: {both:?}"),
    };
    let NodeError::Stale { entity_id, present } = lost else { panic!("{lost:?}") };
    assert_eq!((entity_id.as_str(), present["status"].as_str()), (NOTE, Some("settled")));
    assert_eq!(present["token"].as_str(), Some(won.token.as_str()));
}

#[tokio::test]
async fn choices_made_apart_are_a_new_conflict_with_a_record_of_its_own() {
    let Apart { villa, mut flat } = Apart::under("user-choice").await;
    flat.cut().await;
    resolve(&villa, &token(&villa).await, take("villa")).await.expect("chosen");
    resolve(&flat, &token(&flat).await, value("eggs")).await.expect("chosen");
    flat.heal().await;
    for house in [&villa, &flat] {
        eventually("the choices differ", async || {
            house.node().conflicts(true).await.is_ok_and(|all| all.len() == 2)
        })
        .await;
        let all = house.node().conflicts(true).await.expect("listed");
        assert_eq!((all[0].status, all[1].status), (ConflictStatus::Open, ConflictStatus::Settled));
        assert_eq!(house.node().status().await.expect("it answers").conflicts_open, 1);
    }
}

#[tokio::test]
async fn nobody_settles_what_they_may_only_read() {
    let Apart { villa, flat } = Apart::under("user-choice").await;
    villa.share(NOTE, "flat", Right::Read).await;
    let shown = token(&flat).await;
    eventually("the flat has heard of it", async || {
        matches!(resolve(&flat, &shown, take("flat")).await, Err(NodeError::NotAllowed { .. }))
    })
    .await;
    assert_eq!(villa.node().status().await.expect("it answers").conflicts_open, 1);
}

#[tokio::test]
async fn record_outlives_a_restart_and_leaves_with_what_is_withdrawn() {
    let Apart { mut villa, flat } = Apart::under("user-choice").await;
    let before = conflict(&villa).await.expect("on record");
    villa.stop().await;
    villa.start();
    let after = conflict(&villa).await.expect("on record");
    assert_eq!((&after.id, &after.token, sides(&after)), (&before.id, &before.token, sides(&before)));
    assert_eq!(after.before.and_then(|before| before.state).as_deref(), Some("milk"));
    resolve(&villa, &after.token, Settle::Merge).await.expect("chosen");
    // The flat knows an address that is gone, so the villa comes to it.
    flat.node().unpair("villa".into()).await.expect("unpaired");
    assert!(!online(&flat).await);
    assert!(flat.node().conflicts(true).await.expect("listed").is_empty());
}

#[tokio::test]
async fn choice_names_a_side_and_a_token_that_exist() {
    let Apart { villa, .. } = Apart::under("user-choice").await;
    let shown = token(&villa).await;
    assert!(matches!(resolve(&villa, &shown, take("cabin")).await, Err(NodeError::Invalid(_))));
    assert!(matches!(resolve(&villa, "nonsense", take("villa")).await, Err(NodeError::Invalid(_))));
    let unknown = villa.node().conflict("input_text.other".into()).await;
    assert!(matches!(unknown, Err(NodeError::NotFound { what: "conflict", .. })), "{unknown:?}");
    let by_id = conflict(&villa).await.expect("on record").id;
    assert_eq!(villa.node().conflict(by_id).await.expect("found").entity_id, NOTE);
}

#[tokio::test]
async fn reports_of_a_device_leave_no_history_and_writes_of_a_document_do() {
    let villa = House::under("villa", "latest-wins");
    for n in 0..1_000 {
        let report = Report {
            entity_id: "sensor.power".parse().expect("an id"),
            update: crosshome_core::update::Update::state(&n.to_string()),
            class: None,
        };
        villa.node().report(vec![report]).await.expect("reported");
    }
    for n in 0..30 {
        villa.set(NOTE, &n.to_string()).await.expect("set");
    }
    let history = villa.node().history(named("sensor.power")).await.expect("it is there");
    let states: Vec<_> = history.versions.iter().filter_map(|version| version.state.as_deref()).collect();
    assert_eq!(states, ["999"], "a device shows what it is");
    let expected: Vec<_> = (10..30).rev().map(|n| n.to_string()).collect();
    assert!(past(&villa).await.iter().map(|(state, _)| state).eq(&expected), "a document the newest twenty");
}

#[tokio::test]
async fn history_tells_which_version_deleted_the_note_and_which_said_something() {
    let villa = House::under("villa", "latest-wins");
    villa.set(NOTE, "milk").await.expect("set");
    villa.node().unregister(NOTE.into()).await.expect("deleted");
    let deleted = async || {
        let history = villa.node().history(named(NOTE)).await.expect("it was there");
        history.versions.iter().map(|version| version.deleted).collect::<Vec<_>>()
    };
    assert_eq!(deleted().await, [true, false]);
    villa.set(NOTE, "bread").await.expect("set");
    assert_eq!(deleted().await, [false, true, false]);
}
