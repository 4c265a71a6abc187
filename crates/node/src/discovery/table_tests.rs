use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn record(id: &str, name: &str, address: &str) -> Record {
    let announcement = Announcement::new(id, name, 8765);
    Record {
        fullname: format!("{name}._copilot._tcp.local."),
        instance_name: name.to_owned(),
        announcement,
        candidates: vec![SocketAddr::new(address.parse().expect("an address"), 8765)],
    }
}

fn fake(number: usize) -> Record {
    let address = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
    record(&format!("fake{number}"), &format!("Fake {number}"), &address)
}

/// A table with a clock of its own.
struct World {
    table: Table,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { table: Table::default(), now: Instant::now() }
    }

    fn hear(&mut self, record: Record) -> Result<bool, Refused> {
        self.table.record(record, self.now, SystemTime::UNIX_EPOCH)
    }

    fn pass(&mut self, time: Duration) -> bool {
        self.now += time;
        self.table.expire(self.now, SystemTime::UNIX_EPOCH)
    }

    fn only(&self) -> Sighting {
        let mut sightings = self.table.sightings();
        assert_eq!(sightings.len(), 1, "{sightings:?}");
        sightings.remove(0)
    }

    fn keep(&mut self, id: &str) {
        self.table.keep(BTreeSet::from([id.to_owned()]));
    }
}

fn ips(sighting: &Sighting) -> Vec<String> {
    sighting.addresses.iter().map(IpAddr::to_string).collect()
}

#[test]
fn ten_thousand_fakes_stay_within_every_limit() {
    let mut world = World::new();
    world.keep("friend");
    world.hear(record("friend", "Friend", "192.168.0.7")).expect("kept");
    for number in 0..10_000 {
        let _ = world.hear(fake(number));
    }
    let unpaired = world.table.entries.iter().filter(|(id, _)| id.as_str() != "friend");
    assert!(unpaired.clone().map(|(_, entry)| entry.bytes()).sum::<usize>() <= limits::MAX_TABLE_BYTES);
    assert_eq!(unpaired.count(), limits::MAX_UNPAIRED);
    assert!(world.table.sightings().iter().any(|home| home.id == "friend"));
}

#[test]
fn paired_home_is_heard_in_a_full_table() {
    let mut world = World::new();
    world.keep("friend");
    for number in 0..300 {
        let _ = world.hear(fake(number));
    }
    assert_eq!(world.hear(fake(999)), Err(Refused::Homes));
    assert_eq!(world.hear(record("friend", "Friend", "10.0.0.1")), Ok(true));
}

#[test]
fn ninth_home_of_one_address_is_refused() {
    let mut world = World::new();
    for number in 0..8 {
        world.hear(record(&format!("id{number}"), &format!("Home {number}"), "10.0.0.1")).expect("room");
    }
    assert_eq!(world.hear(record("ninth", "Ninth", "10.0.0.1")), Err(Refused::Address));
    assert_eq!(world.hear(record("ninth", "Ninth", "10.0.0.2")), Ok(true));
    assert_eq!(world.hear(record("ninth", "Ninth", "10.0.0.1")), Err(Refused::Address), "nor by a change");
    assert_eq!(ips(&world.table.sightings()[8]), ["10.0.0.2"]);
}

#[test]
fn long_texts_meet_the_limit_in_bytes() {
    let mut world = World::new();
    let refused = (0..limits::MAX_UNPAIRED).find_map(|number| {
        let mut long = fake(number);
        long.announcement.home_name = "x".repeat(128);
        long.announcement.version = "v".repeat(64);
        long.fullname = format!("{}{number}._copilot._tcp.local.", "x".repeat(60));
        world.hear(long).err()
    });
    assert_eq!(refused, Some(Refused::Bytes));
    let bytes: usize = world.table.entries.values().map(Entry::bytes).sum();
    assert!(bytes <= limits::MAX_TABLE_BYTES && bytes > limits::MAX_TABLE_BYTES - 512, "{bytes}");
}

#[test]
fn spoofed_record_only_adds_an_address_at_the_end_of_a_paired_home() {
    let mut world = World::new();
    world.keep("friend");
    world.hear(record("friend", "Friend", "192.168.0.7")).expect("kept");
    let before = world.only();
    let mut spoof = record("friend", "Friend", "10.6.6.6");
    spoof.announcement.home_name = "Evil".into();
    spoof.announcement.proto = (1, 99);
    spoof.announcement.caps.clear();
    spoof.announcement.port = 1;
    world.hear(spoof).expect("kept");
    let after = world.only();
    assert_eq!(ips(&after), ["192.168.0.7", "10.6.6.6"]);
    let rest =
        Sighting { addresses: before.addresses.clone(), candidates: before.candidates.clone(), ..after };
    assert_eq!(rest, before);
}

#[test]
fn addresses_of_a_paired_home_stay_first_through_goodbye_and_flood() {
    let mut world = World::new();
    world.keep("friend");
    world.hear(record("friend", "Friend", "192.168.0.7")).expect("kept");
    world.table.leaving("Friend._copilot._tcp.local.", world.now);
    world.pass(limits::GOODBYE_GRACE);
    assert_eq!(world.table.sightings(), []);
    for number in 0..100 {
        world.hear(record("friend", "Friend", &format!("10.6.6.{number}"))).expect("kept");
    }
    let home = world.only();
    assert_eq!(ips(&home)[..4], ["192.168.0.7", "10.6.6.0", "10.6.6.1", "10.6.6.2"]);
    assert_eq!(home.candidates.len(), limits::MAX_CANDIDATES);
    assert_eq!(ips(&home).last().map(String::as_str), Some("10.6.6.99"), "newest at the end");
}

#[test]
fn renamed_instance_updates_its_home() {
    let mut world = World::new();
    world.hear(record("a", "Villa", "10.0.0.1")).expect("room");
    world.table.leaving("Villa._copilot._tcp.local.", world.now);
    assert_eq!(world.hear(record("a", "Chalet", "10.0.0.1")), Ok(true));
    assert!(world.pass(limits::GOODBYE_GRACE));
    let home = world.only();
    assert_eq!((home.home_name.as_str(), home.instance_name.as_str()), ("Chalet", "Chalet"));
    assert_eq!(home.candidates.len(), 1);
}

#[test]
fn two_instances_of_one_id_are_two_ways_to_it() {
    let mut world = World::new();
    world.hear(record("a", "Villa", "10.0.0.1")).expect("room");
    world.hear(record("a", "Villa (2)", "10.0.0.2")).expect("room");
    assert_eq!(ips(&world.only()), ["10.0.0.1", "10.0.0.2"]);
    world.table.leaving("Villa._copilot._tcp.local.", world.now);
    world.pass(limits::GOODBYE_GRACE);
    assert_eq!(ips(&world.only()), ["10.0.0.2"]);
}

#[test]
fn fifth_instance_of_one_id_is_refused() {
    let mut world = World::new();
    for number in 0..4 {
        world.hear(record("a", &format!("Villa {number}"), "10.0.0.1")).expect("room");
    }
    assert_eq!(world.hear(record("a", "Villa 5", "10.0.0.9")), Err(Refused::Instances));
}

#[test]
fn instance_that_changes_its_id_is_one_home_not_two() {
    let mut world = World::new();
    world.hear(record("old", "Villa", "10.0.0.1")).expect("room");
    world.hear(record("new", "Villa", "10.0.0.1")).expect("room");
    assert_eq!(world.only().id, "new");
}

#[test]
fn instance_of_a_paired_home_cannot_be_taken_by_another_id() {
    let mut world = World::new();
    world.keep("friend");
    world.hear(record("friend", "Friend", "192.168.0.7")).expect("kept");
    world.hear(record("thief", "Friend", "10.6.6.6")).expect("room");
    let friend = world.table.sightings().into_iter().find(|home| home.id == "friend").expect("still there");
    assert_eq!(ips(&friend), ["192.168.0.7"]);
}

#[test]
fn sighting_that_nobody_confirms_ends_after_its_lifetime() {
    let mut world = World::new();
    world.hear(record("a", "Villa", "10.0.0.1")).expect("room");
    world.table.unhear();
    assert!(!world.pass(limits::LIFETIME - Duration::from_secs(1)));
    assert_eq!(world.table.due(world.now), Vec::<String>::new(), "a new daemon does not know it");
    assert!(world.pass(Duration::from_secs(1)));
    assert_eq!(world.table.sightings(), []);
}

#[test]
fn sighting_that_is_asked_for_and_not_reported_gone_lives_on() {
    let mut world = World::new();
    world.hear(record("a", "Villa", "10.0.0.1")).expect("room");
    for _ in 0..5 {
        world.pass(limits::CONFIRM_AFTER);
        assert_eq!(world.table.due(world.now), ["Villa._copilot._tcp.local."]);
        assert_eq!(world.table.due(world.now), Vec::<String>::new(), "asked once");
        assert!(!world.pass(limits::CONFIRM_WITHIN + 3 * limits::TICK));
    }
    world.only();
}

#[test]
fn sighting_that_does_not_answer_is_lost() {
    let mut world = World::new();
    world.hear(record("a", "Villa", "10.0.0.1")).expect("room");
    world.pass(limits::CONFIRM_AFTER);
    let due = world.table.due(world.now);
    world.pass(limits::CONFIRM_WITHIN);
    world.table.leaving(&due[0], world.now);
    assert!(world.pass(limits::GOODBYE_GRACE));
    assert_eq!(world.table.sightings(), []);
}

#[test]
fn news_of_one_home_coalesce_to_the_newest() {
    let mut world = World::new();
    let mut told = Told::new();
    for name in ["Villa", "Chalet", "Cabin"] {
        let mut changed = record("a", "x", "10.0.0.1");
        changed.announcement.home_name = name.into();
        world.hear(changed).expect("room");
    }
    let Some(DiscoveryEvent::Found(home)) = world.table.news(&mut told) else { panic!("not found") };
    assert_eq!(home.home_name, "Cabin");
    assert_eq!(world.table.news(&mut told), None);
    world.hear(record("a", "x", "10.0.0.1")).expect("room");
    assert!(matches!(world.table.news(&mut told), Some(DiscoveryEvent::Updated(_))));
    world.table.leaving("x._copilot._tcp.local.", world.now);
    world.pass(limits::GOODBYE_GRACE);
    assert_eq!(world.table.news(&mut told), Some(DiscoveryEvent::Lost { id: "a".into() }));
    assert_eq!(world.table.news(&mut told), None);
}

#[test]
fn same_record_again_is_no_news() {
    let mut world = World::new();
    assert_eq!(world.hear(record("a", "Villa", "10.0.0.1")), Ok(true));
    assert_eq!(world.hear(record("a", "Villa", "10.0.0.1")), Ok(false));
}

proptest! {
    #[test]
    fn limits_hold_whatever_is_heard(
        heard in prop::collection::vec((0..600usize, 0..600usize, 0..40u8, 0..3u8, 0..60u64), 1..600),
    ) {
        let mut world = World::new();
        world.table.keep((0..5).map(|id| format!("id{id}")).collect());
        for (id, name, address, what, seconds) in heard {
            let heard = record(&format!("id{id}"), &format!("Home {name}"), &format!("10.0.0.{address}"));
            match what {
                0 => world.table.leaving(&heard.fullname, world.now),
                1 => drop(world.pass(Duration::from_secs(seconds))),
                _ => drop(world.hear(heard)),
            }
            let unpaired =
                || world.table.entries.iter().filter(|(id, _)| !world.table.kept.contains(*id)).map(|(_, e)| e);
            prop_assert!(unpaired().count() <= limits::MAX_UNPAIRED);
            prop_assert!(unpaired().map(Entry::bytes).sum::<usize>() <= limits::MAX_TABLE_BYTES);
            let ip = format!("10.0.0.{address}:8765").parse().expect("an address");
            prop_assert!(unpaired().filter(|entry| entry.names(&ip)).count() <= limits::MAX_PER_ADDRESS);
            for entry in world.table.entries.values() {
                prop_assert!(entry.sighting.candidates.len() <= limits::MAX_CANDIDATES);
                prop_assert!(entry.instances.len() <= limits::MAX_INSTANCES);
            }
        }
    }
}
