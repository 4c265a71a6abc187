use crosshome_core::{EntityId, intent::Wish, json::Json, update::Attributes};
use tokio::sync::mpsc;

use super::*;
use crate::node::{Report, Request};

const SECOND: Duration = Duration::from_secs(1);

fn id(text: &str) -> EntityId {
    text.parse().expect("well formed")
}

fn set(state: &str, attributes: &str) -> Wish {
    let attributes = attributes.parse().expect("an object");
    Wish::Set { state: Some(Json::string(state)).filter(|_| !state.is_empty()), attributes }
}

fn call(service: &str, data: &str) -> Wish {
    Wish::Call { service: service.into(), data: data.parse().expect("JSON") }
}

/// What a report says: entity, state, one attribute.
fn told(report: &Report, attribute: &str) -> (String, String, Option<String>) {
    let Attributes::Replace(all) = &report.update.attributes else { panic!("a report is whole") };
    let value = all.iter().find(|(name, _)| *name == attribute).map(|(_, value)| value.to_owned());
    let state = report.update.state.as_ref().expect("a report has a state");
    (report.entity_id.to_string(), state.as_str().to_owned(), value)
}

fn of<'a>(reports: &'a [Report], entity: &'a str) -> impl Iterator<Item = &'a Report> {
    reports.iter().filter(move |report| report.entity_id.as_str() == entity)
}

#[test]
fn same_seed_plays_the_same_day_however_it_is_cut_into_pieces() {
    let (mut one, mut other) = (House::new(3), House::new(3));
    let whole = one.advance(60 * SECOND);
    let pieces: Vec<_> =
        (1..=600).flat_map(|tenth| other.advance(tenth * Duration::from_millis(100))).collect();
    let text = |reports: &[Report]| reports.iter().map(|report| format!("{report:?}")).collect::<Vec<_>>();
    assert!(whole.len() > 30, "{} reports in a minute", whole.len());
    assert_eq!(text(&whole), text(&pieces));
    assert_ne!(text(&whole), text(&House::new(4).advance(60 * SECOND)));
}

#[test]
fn light_obeys_after_a_moment_and_reports_what_was_wanted() {
    let mut house = House::new(1);
    let wish = set("on", r#"{"brightness":77}"#);
    assert_eq!(house.command(&id("light.garden"), &wish, SECOND), Reaction::Taken);
    let reports = house.advance(SECOND + Duration::from_millis(39));
    assert_eq!(of(&reports, "light.garden").count(), 0);
    let reports = house.advance(SECOND + Duration::from_millis(180));
    let light: Vec<_> = of(&reports, "light.garden").map(|report| told(report, "brightness")).collect();
    assert_eq!(light, [("light.garden".into(), r#""on""#.into(), Some("77".into()))]);
}

#[test]
fn device_told_what_it_already_is_says_so_again() {
    let mut house = House::new(1);
    house.command(&id("light.garden"), &set("off", "{}"), Duration::ZERO);
    assert_eq!(of(&house.advance(SECOND), "light.garden").count(), 1);
}

#[test]
fn orders_are_carried_out_in_the_order_they_came() {
    let mut house = House::new(9);
    for round in 0..20 {
        let now = round * SECOND;
        house.command(&id("light.hall"), &set("off", "{}"), now);
        house.command(&id("light.hall"), &call("light.toggle", "{}"), now);
        let reports = house.advance(now + SECOND / 2);
        let states: Vec<_> = of(&reports, "light.hall").map(|report| told(report, "").1).collect();
        assert_eq!(states, [r#""off""#, r#""on""#]);
    }
}

#[test]
fn room_warms_slowly_to_the_set_point_and_rests_there() {
    let mut house = House::new(1);
    let wish = call("climate.set_temperature", r#"{"temperature":22}"#);
    assert_eq!(house.command(&id("climate.living_room"), &wish, Duration::ZERO), Reaction::Taken);
    let reports = house.advance(120 * SECOND);
    let room: Vec<_> = of(&reports, "climate.living_room")
        .filter_map(|report| told(report, "current_temperature").2)
        .collect();
    assert_eq!(
        (room.first().map(String::as_str), room.last().map(String::as_str)),
        (Some("20.3"), Some("22"))
    );
    let last = of(&reports, "climate.living_room").last().expect("it reported");
    assert_eq!(told(last, "temperature").2.as_deref(), Some("22"));
    assert_eq!(told(last, "hvac_action").2.as_deref(), Some(r#""idle""#));
}

#[test]
fn motion_comes_and_goes_and_the_thermometer_drifts_in_small_steps() {
    let reports = House::new(5).advance(300 * SECOND);
    let motion: Vec<_> = of(&reports, "binary_sensor.hall_motion").map(|report| told(report, "").1).collect();
    assert!(motion.len() > 20 && motion.windows(2).all(|two| two[0] != two[1]), "{motion:?}");
    let degrees: Vec<f64> = of(&reports, "sensor.garden_temperature")
        .map(|report| told(report, "").1.trim_matches('"').parse().expect("degrees"))
        .collect();
    assert!(degrees.windows(2).all(|two| ((two[0] - two[1]).abs() - 0.1).abs() < 1e-9), "{degrees:?}");
}

#[test]
fn nonsense_is_refused_with_the_reason_and_changes_nothing() {
    let mut house = House::new(1);
    for (entity, wish, reason) in [
        ("light.hall", set("purple", "{}"), "not purple"),
        ("light.hall", set("", r#"{"brightness":256}"#), "1 to 255"),
        ("light.hall", set("", r#"{"hs_color":[400,1]}"#), "hs_color"),
        ("light.hall", set("", r#"{"volume":1}"#), "no volume"),
        ("light.hall", call("light.explode", "{}"), "light.explode"),
        ("climate.living_room", set("", r#"{"temperature":99}"#), "7 to 30"),
        ("climate.living_room", set("", r#"{"temperature":21.25}"#), "tenths"),
        ("sensor.garden_temperature", set("30", "{}"), "only tells"),
        ("lock.cellar", set("unlocked", "{}"), "jammed"),
        ("light.nowhere", set("on", "{}"), "no light.nowhere"),
    ] {
        match house.command(&id(entity), &wish, Duration::ZERO) {
            Reaction::Refused(said) => assert!(said.contains(reason), "{entity}: {said}"),
            other => panic!("{entity} {wish:?}: {other:?}"),
        }
    }
    assert_eq!(of(&house.advance(SECOND), "light.hall").count(), 0);
}

/// A house behind the callers' end of a home; the test is the home.
struct Scene {
    commands: mpsc::Sender<Command>,
    reports: mpsc::UnboundedReceiver<Vec<Report>>,
    bridge: tokio::task::JoinHandle<Result<(), NodeError>>,
}

async fn scene() -> Scene {
    let (node, mut inbox) = Node::open();
    let bridge = tokio::spawn(live(node, House::new(1)));
    let (commands, receiver) = mpsc::channel(8);
    let Some(Request::Attach { reply }) = inbox.requests.recv().await else { panic!("it attaches first") };
    reply.send(Ok(receiver)).expect("it waits");
    let (heard, reports) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(request) = inbox.requests.recv().await {
            let Request::Report { reports, reply } = request else { panic!("a bridge only reports") };
            let _ = (heard.send(reports), reply.send(Ok(())));
        }
    });
    Scene { commands, reports, bridge }
}

impl Scene {
    async fn command(&self, entity: &str, wish: Wish) -> oneshot::Receiver<Result<(), String>> {
        let (done, answer) = oneshot::channel();
        let until = std::time::Instant::now() + 30 * SECOND;
        let command = Command { entity_id: id(entity), wish, until, done };
        self.commands.send(command).await.expect("the bridge listens");
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn bridge_tells_all_devices_first_and_then_what_changes() {
    let mut scene = scene().await;
    assert_eq!(scene.reports.recv().await.expect("present").len(), 9);
    let answer = scene.command("light.garden", set("on", "{}")).await;
    assert_eq!(answer.await, Ok(Ok(())));
    let light = async {
        loop {
            let reports = scene.reports.recv().await.expect("it goes on");
            if let Some(light) = of(&reports, "light.garden").next() {
                return told(light, "").1;
            }
        }
    };
    assert_eq!(tokio::time::timeout(SECOND, light).await.as_deref(), Ok(r#""on""#));
}

#[tokio::test(start_paused = true)]
async fn jammed_lock_refuses_and_dead_awning_never_answers() {
    let scene = scene().await;
    let refused = scene.command("lock.cellar", set("unlocked", "{}")).await;
    assert_eq!(refused.await, Ok(Err("the bolt is jammed".into())));
    let silent = scene.command("cover.awning", set("open", "{}")).await;
    assert!(tokio::time::timeout(30 * SECOND, silent).await.is_err(), "longer than any command lives");
}

#[tokio::test(start_paused = true)]
async fn bridge_ends_when_another_takes_its_place() {
    let scene = scene().await;
    drop(scene.commands);
    assert!(matches!(scene.bridge.await, Ok(Ok(()))));
}
