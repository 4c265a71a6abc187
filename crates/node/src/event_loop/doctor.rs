//! What is wrong and how to mend it.

use std::time::Duration;

use super::{Loop, now_ms};
use crate::views::{Finding, Level, Restored};

impl Loop {
    /// Looks at everything that can be wrong, healthy things included.
    pub(super) fn doctor(&self) -> Vec<Finding> {
        let mut findings = vec![self.store_health(), self.clock_health(), self.network_health()];
        findings.extend(self.peers.paired().map(|(id, peer)| {
            let name = peer.name();
            match peer.online() {
                _ if peer.cloned.is_some() => Finding {
                    level: Level::Error,
                    what: format!("two running homes have the key of {name}, and both are shut out"),
                    remedy: Some(format!(
                        "find out which is the copy and stop it, then pair the other anew with crosshome pair; if the key was \
                         stolen, say crosshome unpair {name} and let it start with a new one"
                    )),
                },
                false if peer.accuses.is_some() => Finding {
                    level: Level::Error,
                    what: format!("{name} sees two running homes with this home's key, and has shut out both"),
                    remedy: Some(
                        "stop the copy of this home, wherever it runs, then pair this one anew with crosshome pair".into(),
                    ),
                },
                true if self.in_sync(id) => ok(format!("{name} is online and in sync")),
                true => ok(format!("{name} is online and catching up")),
                false if let Some(found) = peer.imposter => Finding {
                    level: Level::Error,
                    what: format!("another key answers in the place of {name}: that of {}", found.short()),
                    remedy: Some(
                        "if it is the same home with a new key, unpair it and pair it again; else somebody stands in for it"
                            .into(),
                    ),
                },
                false => warn(
                    format!("{name} is offline: {}", peer.reason.as_deref().unwrap_or("not tried yet")),
                    "check that it runs and that both are on one network, or give its address in sync.peers",
                ),
            }
        }));
        findings.extend(self.rotation_finding());
        findings.extend(self.peers.paired().filter_map(|(_, peer)| {
            let skew = peer.link.as_ref()?.session.skew_ms()?;
            let apart = Duration::from_millis(skew.unsigned_abs());
            (apart > Duration::from_secs(10)).then(|| {
                let direction = if skew > 0 { "ahead of" } else { "behind" };
                let level = if apart > Duration::from_secs(60) { Level::Error } else { Level::Warning };
                Finding {
                    level,
                    what: format!(
                        "the clock of {} is {} s {direction} this home's",
                        peer.name(),
                        apart.as_secs()
                    ),
                    remedy: Some(
                        "turn on time synchronisation (NTP) on the home whose clock is wrong".into(),
                    ),
                }
            })
        }));
        findings.extend(self.desk.misfits().map(|address| {
            warn(
                format!("the home at {address} has another shared key and was not joined"),
                "give both the same sync.encryption.shared_key, or pair them with a code",
            )
        }));
        findings.extend(self.restores());
        findings.extend(self.strategy_health());
        findings.extend(self.conflict_findings());
        if self.peers.paired().next().is_none() {
            findings.push(warn(
                "no home is paired yet".into(),
                "run crosshome pair --show here and crosshome pair CODE on the other home",
            ));
        }
        findings
    }

    /// Tells which homes came back from an earlier state, this one included.
    fn restores(&self) -> impl Iterator<Item = Finding> {
        let own = self.restored.map(|restored| {
            let Restored { at, backup_at } = restored;
            ok(format!("this home was restored at {at} from a backup of {backup_at}"))
        });
        let peers = self.peers.paired().filter_map(|(_, peer)| {
            let at = peer.went_back?;
            Some(ok(format!(
                "{} came back from an earlier state at {at}, and what it had lost was repaired",
                peer.name()
            )))
        });
        own.into_iter().chain(peers)
    }

    fn store_health(&self) -> Finding {
        match self.keeper.failure() {
            None => ok(format!("the store in {} takes changes", self.me.config.data_dir.display())),
            Some(error) => Finding {
                level: Level::Error,
                what: format!("the store takes no changes: {error}"),
                remedy: Some(
                    "free space on the disk or check it; the home goes on by itself afterwards".into(),
                ),
            },
        }
    }

    fn clock_health(&self) -> Finding {
        match self.replica.clock().trusts(now_ms()) {
            true => ok("the clock is plausible".into()),
            false => Finding {
                level: Level::Error,
                what: "this home's clock is behind what it has already seen".into(),
                remedy: Some("turn on time synchronisation (NTP); until then this home loses ties".into()),
            },
        }
    }

    fn network_health(&self) -> Finding {
        match (self.me.sync_port, &self.discovery) {
            (None, _) => warn(
                "sync is off in the configuration".into(),
                "set sync.enabled: true to connect to other homes",
            ),
            (Some(port), None) => warn(
                format!("listening on port {port}, but discovery is off"),
                "set discovery.enabled: true, or list addresses in sync.peers",
            ),
            (Some(port), Some(_)) => ok(format!("listening on port {port} and announced on the network")),
        }
    }
}

fn ok(what: String) -> Finding {
    Finding { level: Level::Ok, what, remedy: None }
}

fn warn(what: String, remedy: &str) -> Finding {
    Finding { level: Level::Warning, what, remedy: Some(remedy.into()) }
}
