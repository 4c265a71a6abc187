//! The task that owns mDNS: announces this home and follows the others.
//!
//! It alone writes the table; [`Discovery`](super::Discovery) sends it commands and reads the table. When mdns-sd
//! ends, closes our subscription or is flooded, the daemon is thrown away and opened again after a pause that doubles;
//! the table outlives it.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use mdns_sd::ResolvedService;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};

use super::{
    DiscoveryError, Settings, Shared,
    announcement::{Announcement, instance_name},
    gauge::Gauge,
    mdns::{self, Heard, Mdns},
};
use crate::defaults::discovery as limits;

/// What [`Discovery`](super::Discovery) asks for.
pub(super) enum Command {
    Publish(Announcement),
    Withdraw(oneshot::Sender<()>),
    Browse,
    Stop(oneshot::Sender<()>),
}

pub(super) struct Watch {
    settings: Settings,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    changes: watch::Sender<u64>,
    mdns: Option<Mdns>,
    gauge: Gauge,
    /// Target of our SRV record: random, so that it collides with nothing and says nothing.
    host: String,
    own: Own,
    reopen: Reopen,
    /// Instances found since the last beat.
    found: usize,
}

/// Our own announcement.
#[derive(Default)]
struct Own {
    wanted: Option<Announcement>,
    /// The how-manieth name is asked for; more than one after collisions.
    attempt: u32,
    /// When it was announced last, and how often it is to be announced still.
    last: Option<Instant>,
    due: u8,
    renamed: Option<Instant>,
    /// Every id ever announced from here, never a sighting.
    ids: BTreeSet<String>,
}

/// When mDNS is opened again.
#[derive(Default)]
struct Reopen {
    at: Option<Instant>,
    opened: Option<Instant>,
    failures: u32,
    /// Beats since the daemon last answered.
    silent: u32,
}

impl Watch {
    pub(super) fn new(
        settings: Settings,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        changes: watch::Sender<u64>,
    ) -> Result<Self, DiscoveryError> {
        let host = format!("crosshome-{:08x}.local.", getrandom::u32().map_err(DiscoveryError::Random)?);
        let mdns = Some(Mdns::open(&settings)?);
        let gauge = Gauge::open(settings.mdns_port);
        let reopen = Reopen { opened: Some(Instant::now()), ..Reopen::default() };
        Ok(Self {
            settings,
            shared,
            commands,
            changes,
            mdns,
            gauge,
            host,
            own: Own::default(),
            reopen,
            found: 0,
        })
    }

    pub(super) async fn run(mut self) {
        let mut beat = interval(limits::TICK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => {
                    let Some(command) = command else { break };
                    if self.obey(command).await.is_break() { return }
                }
                heard = hear(self.mdns.as_ref()) => self.take(heard).await,
                () = self.gauge.flooded() => self.flooded(),
                _ = beat.tick() => self.beat(Instant::now()),
            }
        }
        self.close().await;
    }

    async fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Publish(announcement) => self.publish(announcement).await,
            Command::Withdraw(done) => {
                self.withdraw().await;
                let _ = done.send(());
            }
            Command::Browse => {
                let asked = self.mdns.as_mut().map_or(Ok(()), Mdns::browse);
                self.note(asked);
            }
            Command::Stop(done) => {
                self.close().await;
                let _ = done.send(());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    async fn publish(&mut self, announcement: Announcement) {
        let renamed = self.own.wanted.as_ref().is_none_or(|old| self.wish(old) != self.wish(&announcement));
        self.own.ids.insert(announcement.id.clone());
        self.own.wanted = Some(announcement);
        if renamed {
            self.own.attempt = 1;
            self.rename().await;
        } else if self.shared.announced().is_none() {
            self.announce(true);
        } else {
            self.own.due = 2;
            self.announce_due(Instant::now());
        }
    }

    async fn withdraw(&mut self) {
        self.own.wanted = None;
        self.own.due = 0;
        self.shared.set_announced(None);
        if let Some(mdns) = &self.mdns {
            mdns.goodbye().await;
        }
    }

    /// Announces under a new name: in a new daemon if the present one has carried a name before.
    async fn rename(&mut self) {
        self.own.due = 0;
        self.shared.set_announced(None);
        if self.mdns.as_ref().is_some_and(|mdns| mdns.fullname().is_some()) {
            self.close().await;
            self.open();
        } else {
            self.announce(true);
        }
    }

    async fn close(&mut self) {
        self.shared.set_announced(None);
        if let Some(mdns) = self.mdns.take() {
            mdns.close().await;
        }
    }

    fn open(&mut self) {
        self.shared.table().unhear();
        self.reopen.at = None;
        self.reopen.silent = 0;
        self.found = 0;
        match Mdns::open(&self.settings) {
            Ok(mdns) => {
                self.mdns = Some(mdns);
                self.reopen.opened = Some(Instant::now());
                self.announce(true);
            }
            Err(err) => self.fail(&err.to_string(), limits::REOPEN),
        }
    }

    /// Announces what has changed or is to be said twice, not sooner than a second after the last time.
    ///
    /// Receivers drop the former record only when it is older than a second (RFC 6762 section 10.2).
    fn announce_due(&mut self, now: Instant) {
        let rested = self.own.last.is_none_or(|last| now.duration_since(last) >= limits::ANNOUNCE_AGAIN);
        if self.own.due > 0 && rested {
            self.own.due -= 1;
            self.own.last = Some(now);
            self.announce(false);
        }
    }

    fn announce(&mut self, probe: bool) {
        let Some(wanted) = &self.own.wanted else { return };
        let name = instance_name(self.wish(wanted), self.own.attempt);
        let Some(mdns) = &mut self.mdns else { return };
        let announced = mdns.announce(wanted, &name, &self.host, probe);
        self.note(announced);
    }

    async fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Instance => self.count_found(),
            Heard::Resolved(service) => self.resolved(&service).await,
            Heard::Removed(fullname) => self.shared.table().leaving(&fullname, Instant::now()),
            Heard::Announced(fullname) => self.announced(&fullname),
            Heard::Collided(fullname) if self.is_own(&fullname) => self.collided().await,
            Heard::Moved => self.moved(Instant::now()),
            Heard::Ended(reason) => self.fail(&reason, limits::REOPEN),
            Heard::Collided(_) | Heard::Other => {}
        }
    }

    async fn resolved(&mut self, service: &ResolvedService) {
        let record = match mdns::read(service, self.settings.on_loopback()) {
            Ok(record) => record,
            Err(err) => return tracing::debug!(error = %err, "announcement refused"),
        };
        if self.own.ids.contains(&record.announcement.id) {
            return;
        }
        let contested = self.is_own(&record.fullname) && self.yields_to(&record.announcement.id);
        match self.shared.table().record(record, Instant::now(), SystemTime::now()) {
            Ok(true) => self.changed(),
            Ok(false) => {}
            Err(refused) => tracing::debug!(reason = %refused, "sighting refused"),
        }
        if contested {
            self.collided().await;
        }
    }

    fn announced(&mut self, fullname: &str) {
        if !self.is_own(fullname) || self.own.wanted.is_none() || self.shared.announced().is_some() {
            return;
        }
        let name = mdns::instance_name(fullname);
        tracing::debug!(instance = %name, "home announced");
        self.shared.set_announced(Some(name));
        // mdns-sd finds no name with capitals when the second announcement is due, so it is ours to send.
        self.own.last = Some(Instant::now());
        self.own.due = 1;
    }

    /// Lets a flood pass with mDNS closed.
    fn flooded(&mut self) {
        if self.mdns.is_some() {
            self.fail("flooded with packets", limits::FLOOD_PAUSE);
        }
    }

    /// mdns-sd announces on new addresses by itself, but once; the others hear it twice this way.
    fn moved(&mut self, now: Instant) {
        self.gauge = Gauge::open(self.settings.mdns_port);
        if self.shared.announced().is_some() {
            self.own.due = 1;
            self.own.last = Some(now);
        }
    }

    /// Somebody else has our name: RFC 6762 section 9 asks for another one.
    async fn collided(&mut self) {
        self.own.attempt += 1;
        self.own.renamed = Some(Instant::now());
        tracing::info!(attempt = self.own.attempt, "instance name is taken, trying the next one");
        self.rename().await;
    }

    /// Tells whether we are the one to rename when two homes hold a name already (networks grown together).
    ///
    /// The greater id yields, and not in a hurry: a liar could keep us at it.
    fn yields_to(&self, id: &str) -> bool {
        let Some(wanted) = &self.own.wanted else { return false };
        let rested = self.own.renamed.is_none_or(|at| at.elapsed() >= limits::RENAME_PAUSE);
        rested && wanted.id.as_str() > id && self.shared.announced().is_some()
    }

    /// Returns the instance name that is wished for.
    fn wish<'a>(&'a self, announcement: &'a Announcement) -> &'a str {
        self.settings.instance_name.as_deref().unwrap_or(&announcement.home_name)
    }

    fn is_own(&self, fullname: &str) -> bool {
        let own = self.mdns.as_ref().and_then(Mdns::fullname);
        own.is_some_and(|own| own.eq_ignore_ascii_case(fullname))
    }

    fn beat(&mut self, now: Instant) {
        if self.shared.table().expire(now, SystemTime::now()) {
            self.changed();
        }
        if self.reopen.at.is_some_and(|at| at <= now) {
            self.open();
        }
        self.announce_due(now);
        self.confirm(now);
        self.guard();
    }

    fn confirm(&mut self, now: Instant) {
        let Some(mdns) = &self.mdns else { return };
        let due = self.shared.table().due(now);
        let asked = due.into_iter().try_for_each(|fullname| mdns.confirm(fullname));
        self.note(asked);
    }

    /// Gives up at once when more instances appear within a beat than a network has.
    fn count_found(&mut self) {
        self.found += 1;
        if self.found > limits::FLOOD_FOUND {
            self.found = 0;
            self.fail("flooded with instances", limits::FLOOD_PAUSE);
        }
    }

    /// Throws mdns-sd away before a flood of other records has filled the memory: its cache has no bound.
    fn guard(&mut self) {
        self.found = 0;
        let Some(mdns) = &mut self.mdns else { return };
        match mdns.cached() {
            Some(cached) if cached > limits::FLOOD_CACHED => {
                self.fail("flooded with records", limits::FLOOD_PAUSE)
            }
            Some(_) => self.reopen.silent = 0,
            None if self.reopen.silent > limits::SILENT_BEATS => {
                self.fail("no answer from the mdns thread", limits::FLOOD_PAUSE)
            }
            None => self.reopen.silent += 1,
        }
    }

    /// Gives mDNS up for a while: the first time for `first`, then twice as long each time.
    fn fail(&mut self, reason: &str, first: Duration) {
        let now = Instant::now();
        if self.reopen.opened.is_some_and(|at| now.duration_since(at) > limits::REOPEN_FORGIVEN) {
            self.reopen.failures = 0;
        }
        let pause = limits::REOPEN_LONGEST.min(first * 2u32.saturating_pow(self.reopen.failures));
        self.reopen.failures = self.reopen.failures.saturating_add(1).min(16);
        self.reopen.at = Some(now + pause);
        tracing::warn!(%reason, pause_ms = pause.as_millis(), "mdns interrupted");
        self.own.due = 0;
        self.shared.set_announced(None);
        if let Some(mdns) = self.mdns.take() {
            // A flooded mdns thread may never get to the command; nobody waits for it.
            tokio::spawn(mdns.close());
        }
    }

    fn note(&mut self, outcome: Result<(), DiscoveryError>) {
        if let Err(err) = outcome {
            self.fail(&err.to_string(), limits::REOPEN);
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// Waits for mdns-sd, for ever while there is none.
async fn hear(mdns: Option<&Mdns>) -> Heard {
    match mdns {
        Some(mdns) => mdns.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Discovery;

    fn on_loopback() -> Settings {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a free port");
        let mdns_port = socket.local_addr().expect("bound").port();
        Settings { mdns_port, interfaces: vec!["lo".into()], ..Settings::default() }
    }

    async fn until(what: &str, mut so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !so() {
            assert!(start.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn mdns_that_ends_is_opened_again_and_both_sides_hear_of_each_other() {
        let settings = on_loopback();
        let (commands, inbox) = mpsc::channel(4);
        let shared = Arc::new(Shared::default());
        let watch =
            Watch::new(settings.clone(), shared.clone(), inbox, watch::Sender::new(0)).expect("opens");
        let daemon = watch.mdns.as_ref().map(Mdns::daemon).expect("just opened");
        let task = tokio::spawn(watch.run());
        let villa = Announcement::new("id-of-villa", "Villa", 1);
        assert!(commands.send(Command::Publish(villa)).await.is_ok());
        until("announced", || shared.announced().is_some()).await;

        daemon.shutdown().expect("runs").recv_async().await.expect("ended");
        until("noticed", || shared.announced().is_none()).await;
        until("announced again", || shared.announced().is_some()).await;
        let other = Discovery::start(settings).expect("opens");
        other.publish(Announcement::new("id-of-chalet", "Chalet", 2)).await.expect("fit");
        until("seen by the other", || other.sightings().iter().any(|home| home.id == "id-of-villa")).await;
        until("other is seen", || shared.table().sightings().iter().any(|home| home.id == "id-of-chalet"))
            .await;
        other.stop().await;
        drop(commands);
        task.await.expect("ends with its last handle");
    }

    #[tokio::test]
    async fn pauses_double_and_end_at_the_longest() {
        let shared = Arc::new(Shared::default());
        let (_commands, inbox) = mpsc::channel(1);
        let mut watch = Watch::new(on_loopback(), shared, inbox, watch::Sender::new(0)).expect("opens");
        let mut pauses = Vec::new();
        for _ in 0..9 {
            watch.fail("test", limits::REOPEN);
            let at = watch.reopen.at.expect("set");
            pauses.push((at - Instant::now()).as_secs_f32().round() as u64);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
