//! Three houses on one switch, and what can go wrong with them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crosshome_core::sim::history::From;
use serde_json::json;

use super::{
    dice::Dice,
    people::{DEVICES, DOCUMENTS, MORTAL},
    record::Record,
};
use crate::{
    netns::Network,
    support::{Home, faketime, within},
};

/// Longest wait for homes that were torn apart to agree again.
const HEALING: Duration = Duration::from_secs(120);
/// What the clocks of homes may show: right, a little off, and beyond what peers accept.
const CLOCKS: [Option<&str>; 6] = [None, None, Some("-20s"), Some("+20s"), Some("-1h"), Some("+10m")];
/// The files of a store.
const FILES: [&str; 3] = ["crosshome.db", "crosshome.db-wal", "crosshome.db-shm"];

/// One house and what is wrong with it.
pub(super) struct House {
    pub(super) home: Home,
    /// When a home that is down comes up again.
    down_until: Option<(Instant, From)>,
    unplugged_until: Option<Instant>,
    /// Which other houses its packets do not reach, and until when.
    deaf: Vec<(usize, Instant)>,
    /// When its store was copied.
    copied: Option<u64>,
}

/// All houses.
pub(super) struct World {
    pub(super) houses: Vec<House>,
    network: Network,
    record: Arc<Record>,
    dir: PathBuf,
    dice: Dice,
    /// Environments of clocks.
    clocks: Vec<Vec<(String, String)>>,
}

impl World {
    /// Builds the houses and waits until all homes have joined.
    pub(super) fn new(dir: &Path, record: &Arc<Record>, dice: Dice) -> Option<Self> {
        let network = Network::new(3)?;
        let houses = ["villa", "flat", "cabin"].into_iter().enumerate();
        let houses = houses.map(|(number, name)| house(name, number, &network, dir)).collect();
        let clocks = CLOCKS.iter().map(|clock| clock.and_then(faketime).unwrap_or_default()).collect();
        let (record, dir) = (record.clone(), dir.to_owned());
        let mut world = Self { houses, network, record, dir, dice, clocks };
        for number in 0..world.houses.len() {
            world.network.ip(number, "-6 addr flush dev eth0"); // what is cut must have no other way
            world.houses[number].home.start();
            world.record.started(&world.houses[number].home.name, From::Nothing);
        }
        world.agree();
        Some(world)
    }

    /// Registers devices and shares everything that is ever shared.
    pub(super) fn furnish(&self) {
        for house in &self.houses {
            for device in DEVICES {
                let body = json!({"entity_id": device, "class": "device", "shared": false});
                assert!(house.home.api("POST", "/entities", Some(&body)).ok(), "{device} was refused");
            }
            for peer in self.others(house) {
                for id in DOCUMENTS {
                    assert!(
                        house
                            .home
                            .put(&format!("{}%2F{id}", house.home.name), "first")
                            .expect("it runs")
                            .ok()
                    );
                    self.record.granted(&house.home.name, &peer, id, Some("edit"));
                }
                self.record.may_be_read(&house.home.name, std::slice::from_ref(&peer), DEVICES[0]);
                self.record.may_be_read(&house.home.name, std::slice::from_ref(&peer), DEVICES[1]);
                let share =
                    |what, right| house.home.json(&["share", what, "--with", &peer, "--grant", right]);
                share("input_text.*", "edit");
                share("input_boolean.*", "read");
                share("sensor.*", "read");
            }
        }
    }

    fn others(&self, house: &House) -> Vec<String> {
        let names = self.houses.iter().map(|other| other.home.name.clone());
        names.filter(|name| *name != house.home.name).collect()
    }

    /// Does one thing wrong.
    pub(super) fn trouble(&mut self) {
        let number = self.dice.below(3) as usize;
        let until = Instant::now() + Duration::from_millis(500 + self.dice.below(5_000));
        match self.dice.below(10) {
            0..2 => self.unplug(number, until),
            2..4 => self.deafen(number, until),
            4..7 => self.power_cut(number, until),
            7 => self.restart(number, until),
            _ => self.regrant(number),
        }
    }

    fn unplug(&mut self, number: usize, until: Instant) {
        if self.houses[number].unplugged_until.is_none() {
            self.network.plug(number, false);
            self.houses[number].unplugged_until = Some(until);
            self.record.fault("links cut");
        }
    }

    /// Sends what a house says to another into nowhere; the other way stays open.
    fn deafen(&mut self, number: usize, until: Instant) {
        let other = (number + 1 + self.dice.below(2) as usize) % 3;
        let address = self.network.address(other);
        self.network
            .ip(number, &format!("neigh replace {address} lladdr 02:00:00:00:00:01 dev eth0 nud permanent"));
        self.houses[number].deaf.push((other, until));
        self.record.fault("links cut one way");
    }

    fn power_cut(&mut self, number: usize, until: Instant) {
        if self.houses[number].down_until.is_some() {
            return;
        }
        self.houses[number].home.kill();
        self.record.fault("kill -9");
        self.houses[number].down_until = Some((until, From::Crash));
        match self.dice.below(8) {
            0..2 => self.copy(number),
            2 => self.go_back(number),
            _ => {}
        }
        self.wrong_clock(number);
    }

    fn restart(&mut self, number: usize, until: Instant) {
        if self.houses[number].down_until.is_none() {
            self.houses[number].home.stop();
            self.record.fault("restarts");
            self.houses[number].down_until = Some((until, From::Stop));
            self.wrong_clock(number);
        }
    }

    fn wrong_clock(&mut self, number: usize) {
        let which = self.dice.below(self.clocks.len() as u64) as usize;
        if !self.clocks[which].is_empty() {
            self.record.fault("wrong clocks");
        }
        self.houses[number].home.run_in(self.clocks[which].clone());
    }

    /// Keeps a copy of a store that is not in use.
    fn copy(&mut self, number: usize) {
        let (from, to) = (self.houses[number].home.data_dir(), self.copy_dir(number));
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).expect("own directory");
        for file in FILES.iter().filter(|file| from.join(file).exists()) {
            fs::copy(from.join(file), to.join(file)).expect("own files");
        }
        self.houses[number].copied = Some(self.record.now());
    }

    /// Puts an earlier copy in the place of a store.
    fn go_back(&mut self, number: usize) {
        let Some(copied) = self.houses[number].copied.take() else { return };
        let (from, to) = (self.copy_dir(number), self.houses[number].home.data_dir().to_owned());
        for file in FILES {
            let _ = fs::remove_file(to.join(file));
            if from.join(file).exists() {
                fs::copy(from.join(file), to.join(file)).expect("own files");
            }
        }
        self.record.restored(&self.houses[number].home.name, copied);
        self.record.fault("disks that went back in time");
        let down = &mut self.houses[number].down_until;
        *down = down.map(|(until, _)| (until, From::Backup));
    }

    fn copy_dir(&self, number: usize) -> PathBuf {
        self.dir.join(format!("copy-of-{number}"))
    }

    /// Takes the right to edit a document from a peer, or gives it again.
    fn regrant(&mut self, number: usize) {
        if self.houses[number].down_until.is_some() {
            return;
        }
        let (id, right) =
            (self.dice.one_of(&DOCUMENTS), self.dice.one_of(&[None, Some("read"), Some("edit")]));
        let other = (number + 1 + self.dice.below(2) as usize) % 3;
        self.grant(number, other, id, right);
        self.record.fault("grants that changed");
    }

    fn grant(&self, number: usize, other: usize, id: &str, right: Option<&str>) {
        let (home, peer) = (&self.houses[number].home, &self.houses[other].home.name);
        // a right is on record before it is given, and until it is certainly taken
        if right == Some("edit") {
            self.record.granted(&home.name, peer, id, right);
        }
        let ran = match right {
            Some(right) => home.cli(&["share", id, "--with", peer, "--grant", right]),
            None => home.cli(&["unshare", id, "--with", peer]),
        };
        // Its people may have deleted it meanwhile.
        assert!(ran.code == 0 || ran.err.contains("no entity is called"), "{} {id}: {ran:?}", home.name);
        if right != Some("edit") {
            self.record.granted(&home.name, peer, id, right);
        }
    }

    /// Mends what is due.
    pub(super) fn mend(&mut self) {
        let now = Instant::now();
        for number in 0..self.houses.len() {
            if self.houses[number].unplugged_until.is_some_and(|until| until <= now) {
                self.network.plug(number, true);
                self.houses[number].unplugged_until = None;
            }
            if let Some((_, from)) = self.houses[number].down_until.filter(|(until, _)| *until <= now) {
                self.start(number, from);
            }
            let (due, rest) = self.houses[number].deaf.iter().partition(|(_, until)| *until <= now);
            let due: Vec<(usize, Instant)> = due;
            self.houses[number].deaf = rest;
            let due: BTreeSet<_> = due.into_iter().map(|(other, _)| other).collect();
            due.into_iter().for_each(|other| self.hear(number, other));
        }
    }

    fn start(&mut self, number: usize, from: From) {
        let house = &mut self.houses[number];
        house.home.start();
        house.down_until = None;
        if from != From::Backup {
            self.record.started(&house.home.name, from); // an older disk is on record since it is there
        }
    }

    fn hear(&self, number: usize, other: usize) {
        let still = self.houses[number].deaf.iter().any(|(deaf_to, _)| *deaf_to == other);
        if !still {
            self.network.ip(number, &format!("neigh del {} dev eth0", self.network.address(other)));
        }
    }

    /// Mends everything, clocks and grants included, and waits until all agree.
    pub(super) fn heal(&mut self) {
        for house in &mut self.houses {
            house.unplugged_until = house.unplugged_until.map(|_| Instant::now());
            house.deaf.iter_mut().for_each(|(_, until)| *until = Instant::now());
            match &mut house.down_until {
                Some((until, _)) => *until = Instant::now(),
                None => {
                    house.home.stop();
                    house.down_until = Some((Instant::now(), From::Stop));
                }
            }
            house.home.run_in(Vec::new());
        }
        self.mend();
        for house in &self.houses {
            let made = house.home.state(&format!("{}/{}", house.home.name, MORTAL));
            if made.is_none() {
                assert!(
                    house
                        .home
                        .put(&format!("{}%2F{}", house.home.name, MORTAL), "made again")
                        .expect("it runs")
                        .ok()
                );
            }
        }
        for (number, other) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            DOCUMENTS.iter().for_each(|id| self.grant(number, other, id, Some("edit")));
        }
        self.agree();
    }

    /// Waits until every home is in sync with every other and shows the same.
    fn agree(&self) {
        for house in &self.houses {
            for other in self.others(house) {
                within(HEALING, &format!("{} in sync with {other}", house.home.name), || {
                    let peer = house.home.peer(&other)?;
                    (peer["state"] == "online" && peer["in_sync"] == true).then_some(())
                });
            }
        }
        within(HEALING, "the joint space to be the same everywhere", || {
            let views: Vec<_> = self.houses.iter().map(|house| house.home.entities_of("joint")).collect();
            let same = views.windows(2).all(|pair| pair[0] == pair[1]);
            thread::sleep(Duration::from_millis(if same { 0 } else { 200 }));
            same.then_some(())
        });
    }
}

fn house(name: &str, number: usize, network: &Network, dir: &Path) -> House {
    let mut home = Home::in_house(name, network, number);
    home.keep_data_in(&dir.join(name));
    home.log("info");
    home.set("/sync", json!({"encryption": {"shared_key": "a passphrase of one family"}}));
    let peers =
        (0..3).filter(|other| *other != number).map(|other| format!("{}:8765", network.address(other)));
    home.set("/sync/peers", peers.collect::<Vec<_>>());
    let rule = |glob: &str, strategy: &str| json!({"match": glob, "strategy": strategy});
    let rules = [rule("input_text.u*", "user-choice"), rule("input_text.m*", "merge")];
    home.set("/conflict_resolution", json!({"strategy": "latest-wins", "rules": rules}));
    House { home, down_until: None, unplugged_until: None, deaf: Vec::new(), copied: None }
}
