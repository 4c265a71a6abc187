//! Both sides of a command, without a network between them.

use super::*;
use crate::{
    EntityKey, HomeId, Space,
    grant::{Right, Selector},
    replica::{Offered, Options, Replica},
    table::Class,
    update::Update,
    version::Cause,
};

const VILLA: HomeId = HomeId([1; 32]);
const ALPS: HomeId = HomeId([2; 32]);
const T: u64 = 1_800_000_000_000;

/// The villa has a light and a siren; the alps may control them.
struct Scene {
    villa: Replica,
    alps: Replica,
    owner: Owner,
    sender: Sender,
}

fn at(ms: u64) -> Elapsed {
    Elapsed { least_ms: ms, most_ms: ms }
}

fn id(text: &str) -> crate::EntityId {
    text.parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        let mut villa = Replica::new(VILLA, Options::default());
        villa.grant(Some(ALPS), Selector::parse("light.*").unwrap(), Some(Right::Control), &[ALPS]);
        let mut scene = Self {
            villa,
            alps: Replica::new(ALPS, Options::default()),
            owner: Owner::default(),
            sender: Sender::default(),
        };
        scene.report("off", T);
        scene.owner.opened(ALPS, at(0));
        scene
    }

    /// The light shows something, and both homes know.
    fn report(&mut self, state: &str, ms: u64) {
        let key = self.villa.own(id("light.hall"));
        self.villa.update(&key, Class::Device, &Update::state(state), Cause::Device, ms).unwrap();
        self.deliver(ms);
    }

    fn deliver(&mut self, ms: u64) {
        let key = self.villa.own(id("light.hall"));
        let entity = self.villa.find(&key).unwrap();
        let offered = Offered {
            key,
            class: Class::Device,
            versions: entity.siblings.clone(),
            sent_at: 1,
            strategy: entity.strategy,
            right: Some(Right::Control),
            replace: false,
        };
        self.alps.merge(VILLA, offered, ms).unwrap();
    }

    fn intent(&mut self, text: &str, wish: Wish, ms: u64) -> Intent {
        let entity = id(text);
        let key = EntityKey { space: Space::Home(VILLA), id: entity.clone() };
        let seen = self.alps.find(&key).map(|entity| entity.context()).unwrap_or_default();
        let (kind, ttl_ms) = (wish.kind(&entity), ttl_ms(&entity));
        Intent { id: self.alps.stamp(ms), entity, wish, kind, seen, ttl_ms }
    }

    fn set(&mut self, state: &str, ms: u64) -> Intent {
        self.intent("light.hall", on(state), ms)
    }

    fn judge(&mut self, intent: &Intent, now: u64) -> Judged {
        self.owner.judge(&self.villa, ALPS, intent, Timing::default(), at(now))
    }

    fn answer(&mut self, intent: &Intent, now: u64) -> Status {
        match self.judge(intent, now) {
            Judged::Taken(_) => Status::Accepted,
            Judged::Answered(answer) | Judged::Forbidden(answer) => answer.outcome.status,
        }
    }
}

fn on(state: &str) -> Wish {
    Wish::Set { state: Some(crate::json::Json::string(state)), attributes: Members::default() }
}

fn call() -> Wish {
    Wish::Call { service: "light.toggle".into(), data: "{}".parse().unwrap() }
}

fn ends(steps: &[Step]) -> Vec<Status> {
    let ended = |step: &Step| match step {
        Step::Ended(_, outcome) => Some(outcome.status),
        _ => None,
    };
    steps.iter().filter_map(ended).collect()
}

fn sent(steps: &[Step]) -> Vec<(Dot, u64, Timing)> {
    let sends = |step: &Step| match step {
        Step::Send { intent, timing, .. } => Some((intent.id, intent.ttl_ms, *timing)),
        _ => None,
    };
    steps.iter().filter_map(sends).collect()
}

#[test]
fn intent_is_taken_once_however_often_it_comes() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T + 5);
    assert_eq!(scene.judge(&intent, 5), Judged::Taken(Vec::new()));
    let Judged::Answered(again) = scene.judge(&intent, 6) else { panic!("taken twice") };
    assert_eq!(again.outcome.status, Status::Accepted);
    scene.owner.applied(intent.id, &scene.villa);
    assert_eq!(scene.answer(&intent, 7), Status::Applied);
}

#[test]
fn what_an_earlier_start_took_is_not_done_again_and_not_claimed() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T + 5);
    scene.owner.recall(intent.id, ALPS);
    let Judged::Answered(answer) = scene.judge(&intent, 5) else { panic!("taken twice") };
    assert_eq!(answer.outcome.status, Status::Rejected);
    assert!(answer.outcome.explanation.unwrap().as_str().contains("not known"));
}

#[test]
fn only_who_may_control_is_obeyed_and_only_in_its_own_name() {
    let mut scene = Scene::new();
    let intent = scene.intent("lock.door", on("unlocked"), T);
    assert_eq!(scene.answer(&intent, 1), Status::Rejected);
    let mut foreign = scene.set("on", T);
    foreign.id.actor.home = VILLA;
    assert_eq!(scene.answer(&foreign, 1), Status::Rejected);
}

#[test]
fn set_made_in_ignorance_of_a_newer_report_is_stale_and_a_pulse_is_not() {
    let mut scene = Scene::new();
    let (set, pulse) = (scene.set("on", T + 5), scene.intent("light.hall", call(), T + 5));
    scene.report("dim", T + 9);
    assert_eq!(scene.answer(&set, 10), Status::Stale);
    assert_eq!(scene.answer(&pulse, 10), Status::Accepted);
}

#[test]
fn report_that_its_sender_knew_or_that_is_older_makes_no_set_stale() {
    let mut scene = Scene::new();
    scene.report("dim", T + 40_000); // by a clock that is ahead
    let knew = scene.set("on", T + 5);
    assert_eq!(scene.answer(&knew, 10), Status::Accepted);
}

#[test]
fn device_that_is_so_already_makes_no_set_stale() {
    let mut scene = Scene::new();
    let set = scene.set("on", T + 5);
    scene.report("on", T + 9);
    assert_eq!(scene.answer(&set, 10), Status::Accepted);
}

#[test]
fn later_set_supersedes_what_it_covers_and_nothing_else() {
    let mut scene = Scene::new();
    let bright = Wish::Set { state: None, attributes: r#"{"brightness":9}"#.parse().unwrap() };
    let (first, pulse, other) = (
        scene.set("on", T + 1),
        scene.intent("light.hall", call(), T + 2),
        scene.intent("light.hall", bright, T + 3),
    );
    let last = scene.set("off", T + 4);
    for intent in [&first, &pulse, &other] {
        assert_eq!(scene.judge(intent, 5), Judged::Taken(Vec::new()));
    }
    let Judged::Taken(ended) = scene.judge(&last, 6) else { panic!("not taken") };
    let ended: Vec<_> = ended.into_iter().map(|answer| (answer.outcome.id, answer.outcome.status)).collect();
    assert_eq!(ended, [(first.id, Status::Superseded)]);
}

#[test]
fn set_that_arrives_after_its_successor_is_not_carried_out() {
    let mut scene = Scene::new();
    let (first, second) = (scene.set("on", T + 1), scene.set("off", T + 2));
    assert_eq!(scene.answer(&second, 5), Status::Accepted);
    assert_eq!(scene.answer(&first, 6), Status::Superseded);
}

#[test]
fn age_counts_from_the_mark_and_a_clock_put_forward_only_ends_it_early() {
    let mut scene = Scene::new();
    scene.owner.pings(ALPS, 7, at(100_000));
    let timing = Timing { mark: Some(7), since_ms: 1_000 };
    let intent = scene.set("on", T + 5);
    let mut judge = |most_ms, intent: &Intent| {
        let now = Elapsed { least_ms: 101_000, most_ms };
        matches!(scene.owner.judge(&scene.villa, ALPS, intent, timing, now), Judged::Taken(_))
    };
    assert!(!judge(131_000, &intent));
    assert!(judge(130_999, &intent));
}

#[test]
fn sender_that_claims_a_long_life_gets_the_usual_one() {
    let mut scene = Scene::new();
    let intent = Intent { ttl_ms: u64::MAX, ..scene.set("on", T + 5) };
    assert_eq!(scene.answer(&intent, INTENT), Status::Expired);
}

const INTENT: u64 = defaults::INTENT_TTL_MS;

#[test]
fn intent_that_counts_from_a_mark_of_another_link_is_too_old() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T + 5);
    let timing = Timing { mark: Some(99), since_ms: 0 };
    let judged = scene.owner.judge(&scene.villa, ALPS, &intent, timing, at(1));
    assert!(matches!(judged, Judged::Answered(answer) if answer.outcome.status == Status::Expired));
}

#[test]
fn intent_is_not_given_to_the_house_after_its_time() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T + 5);
    assert_eq!(scene.answer(&intent, 5), Status::Accepted);
    assert_eq!(scene.owner.give(intent.id, at(INTENT - 5)), Some(5));
    assert_eq!(scene.owner.give(intent.id, at(INTENT)), None);
    assert_eq!(scene.owner.expire(at(INTENT)).len(), 1);
    assert_eq!(scene.owner.applied(intent.id, &scene.villa), [], "it is over");
}

#[test]
fn id_is_remembered_while_anybody_could_repeat_it_whatever_the_wall_clock_does() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T + 5);
    assert_eq!(scene.answer(&intent, 5), Status::Accepted);
    let jumped = Elapsed { least_ms: 6, most_ms: 3_600_000 };
    scene.owner.expire(jumped);
    assert_eq!(scene.owner.tidy(jumped), []);
    assert_eq!(scene.owner.tidy(at(6 + INTENT)), [intent.id]);
}

#[test]
fn command_ends_when_its_sender_sees_the_report_and_not_before() {
    let mut scene = Scene::new();
    scene.sender.linked(VILLA, 1, at(0));
    let intent = scene.set("on", T + 5);
    assert_eq!(sent(&scene.sender.ask(VILLA, intent.clone(), at(5))).len(), 1);
    assert_eq!(scene.answer(&intent, 5), Status::Accepted);
    let key = scene.villa.own(id("light.hall"));
    scene.villa.update(&key, Class::Device, &Update::state("on"), Cause::Device, T + 7).unwrap();
    let settled = scene.owner.reported(scene.villa.find(&key).unwrap()).remove(0).outcome;
    let steps = scene.sender.heard(VILLA, settled, &scene.alps);
    assert_eq!(steps, [Step::Moved(key.clone())], "the old report would flicker");
    scene.deliver(T + 8);
    assert_eq!(ends(&scene.sender.reported(&key, &scene.alps)), [Status::Settled]);
    assert!(scene.sender.is_empty());
}

#[test]
fn command_waits_for_a_link_and_goes_again_over_the_next_to_the_same_start() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T);
    assert_eq!(scene.sender.ask(VILLA, intent.clone(), at(0)), []);
    let steps = scene.sender.linked(VILLA, 1, at(2_000));
    assert_eq!(sent(&steps), [(intent.id, INTENT - 2_000, Timing::default())]);
    scene.sender.unlinked(VILLA);
    assert_eq!(sent(&scene.sender.linked(VILLA, 1, at(3_000))).len(), 1);
    scene.sender.pinged(VILLA, 7, Elapsed { least_ms: 4_000, most_ms: 9_000 });
    let other = scene.set("off", T + 1);
    let steps = scene.sender.ask(VILLA, other.clone(), Elapsed { least_ms: 5_000, most_ms: 12_000 });
    assert_eq!(sent(&steps), [(other.id, INTENT, Timing { mark: Some(7), since_ms: 1_000 })]);
}

#[test]
fn command_is_not_sent_to_another_start_of_its_owner() {
    let mut scene = Scene::new();
    scene.sender.linked(VILLA, 1, at(0));
    let intent = scene.set("on", T);
    scene.sender.ask(VILLA, intent, at(0));
    scene.sender.unlinked(VILLA);
    let steps = scene.sender.linked(VILLA, 2, at(1));
    assert_eq!((ends(&steps), sent(&steps).len()), (vec![Status::Rejected], 0));
}

#[test]
fn queued_set_that_a_later_one_covers_is_never_sent() {
    let mut scene = Scene::new();
    let (first, pulse, last) =
        (scene.set("on", T), scene.intent("light.hall", call(), T), scene.set("off", T));
    scene.sender.ask(VILLA, first, at(0));
    scene.sender.ask(VILLA, pulse.clone(), at(0));
    assert_eq!(ends(&scene.sender.ask(VILLA, last.clone(), at(0))), [Status::Superseded]);
    let ids: Vec<_> = sent(&scene.sender.linked(VILLA, 1, at(1))).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, [pulse.id, last.id]);
}

#[test]
fn command_that_nobody_answers_expires_at_its_sender() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T);
    scene.sender.ask(VILLA, intent, at(0));
    assert_eq!(scene.sender.expire(at(INTENT - 1)), []);
    assert_eq!(ends(&scene.sender.expire(at(INTENT))), [Status::Expired]);
}

#[test]
fn outcome_from_a_home_that_was_not_asked_is_ignored() {
    let mut scene = Scene::new();
    let intent = scene.set("on", T);
    scene.sender.ask(VILLA, intent.clone(), at(0));
    let forged = Outcome::plain(intent.id, Status::Settled);
    assert_eq!(scene.sender.heard(HomeId([9; 32]), forged, &scene.alps), []);
}
