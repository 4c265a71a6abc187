//! What is counted, in OpenMetrics text.

use crosshome_core::effect::Incident;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::Loop;
use crate::node::NodeError;

/// What the loop counts.
#[derive(Default)]
pub(super) struct Metrics {
    pub(super) requests: u64,
    pub(super) changes: u64,
    pub(super) conflicts: u64,
    forbidden: u64,
    skewed: u64,
    refused: u64,
    repaired: u64,
}

impl Metrics {
    pub(super) fn incident(&mut self, incident: Incident) {
        match incident {
            Incident::Forbidden => self.forbidden += 1,
            Incident::ClockSkew => self.skewed += 1,
            Incident::Quota => self.refused += 1,
            Incident::WentBack => {} // counted by the home that has lost something
            _ => self.repaired += 1,
        }
    }
}

impl Loop {
    pub(super) fn metrics(&self) -> Result<String, NodeError> {
        let mut registry = Registry::with_prefix("crosshome");
        let (counts, metrics) = (self.counts(), &self.metrics);
        for (name, help, value) in [
            ("entities_own", "Entities of this home", counts.own),
            ("entities_shared", "Entities of this home that a peer may see", counts.shared),
            ("entities_received", "Entities of other homes", counts.received),
            ("peers_paired", "Paired homes", self.peers.paired().count() as u64),
            (
                "peers_online",
                "Paired homes with a live link",
                self.peers.paired().filter(|(_, peer)| peer.online()).count() as u64,
            ),
            ("conflicts_open", "Conflicts that await a person", self.conflicts_open()),
            ("store_healthy", "1 while the store takes changes", u64::from(self.keeper.failure().is_none())),
        ] {
            registry.register(name, help, ConstGauge::new(value as i64));
        }
        for (name, help, value) in [
            ("requests", "Requests of callers", metrics.requests),
            ("changes", "Changes of entities, own and received", metrics.changes),
            ("conflicts", "Conflicts found or grown, settled by themselves or not", metrics.conflicts),
            ("forbidden", "Writes and commands of peers without the right", metrics.forbidden),
            ("clock_skew", "Changes refused because clocks differ", metrics.skewed),
            ("quota", "Entities refused because a peer offers too many", metrics.refused),
            ("repairs", "Repairs of what a restored backup or a fault had left different", metrics.repaired),
        ] {
            registry.register(name, help, ConstCounter::new(value));
        }
        registry.register_with_unit(
            "uptime",
            "Time since start",
            Unit::Seconds,
            ConstGauge::new(self.me.started.elapsed().as_secs() as i64),
        );
        let mut text = String::new();
        encode(&mut text, &registry).map_err(|_| NodeError::Failed("metrics could not be written".into()))?;
        Ok(text)
    }
}
