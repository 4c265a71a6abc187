//! One mdns-sd daemon, the only place that knows that crate.
//!
//! A daemon carries at most one instance name for its life: its registry never forgets a name, and after a collision it
//! answers for the old name too when that has capitals. So a change of name is a new daemon, and what a stranger
//! stuffed into its unbounded cache goes with it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, SocketAddrV6},
};

use mdns_sd::{
    DaemonEvent, IfKind, Metrics, RRType, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent,
    ServiceInfo,
};
use tokio::time::{sleep, timeout};

use super::{
    DiscoveryError, Settings,
    announcement::{Announcement, AnnouncementError, SERVICE_TYPE},
    table::Record,
};
use crate::defaults::discovery as limits;

/// What mdns-sd reports.
pub(super) enum Heard {
    /// An instance exists, no more is known.
    Instance,
    /// All records of an instance are known.
    Resolved(Box<ResolvedService>),
    /// An instance said goodbye or ran out.
    Removed(String),
    /// Our own instance, by this full name, has been announced.
    Announced(String),
    /// Our instance of this full name lost a collision.
    Collided(String),
    /// This host has an address more or less.
    Moved,
    /// The daemon or our place in it has ended.
    Ended(String),
    /// Nothing of interest.
    Other,
}

pub(super) struct Mdns {
    daemon: ServiceDaemon,
    /// Absent once the daemon is being closed.
    found: Option<Receiver<ServiceEvent>>,
    monitor: Receiver<DaemonEvent>,
    /// The full name announced, once there is one.
    fullname: Option<String>,
    metrics: Option<Receiver<Metrics>>,
}

impl Mdns {
    /// Opens the sockets and begins to browse.
    pub(super) fn open(settings: &Settings) -> Result<Self, DiscoveryError> {
        let daemon = ServiceDaemon::new_with_port(settings.mdns_port)?;
        if settings.interfaces.is_empty() {
            if !settings.on_loopback() {
                daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
            }
        } else {
            daemon.disable_interface(IfKind::All)?;
            daemon.enable_interface(settings.interfaces.iter().collect::<Vec<_>>())?;
        }
        let monitor = daemon.monitor()?;
        let found = Some(daemon.browse(SERVICE_TYPE)?);
        Ok(Self { daemon, found, monitor, fullname: None, metrics: None })
    }

    /// Announces; with `probe` after asking whether the name is free, without it as a change of our own record.
    pub(super) fn announce(
        &mut self,
        announcement: &Announcement,
        instance_name: &str,
        host: &str,
        probe: bool,
    ) -> Result<(), DiscoveryError> {
        let txt = announcement.txt();
        let mut info =
            ServiceInfo::new(SERVICE_TYPE, instance_name, host, (), announcement.port, txt.as_slice())?
                .enable_addr_auto();
        info.set_requires_probe(probe);
        self.fullname = Some(info.get_fullname().to_owned());
        Ok(self.daemon.register(info)?)
    }

    /// Asks the network again.
    pub(super) fn browse(&mut self) -> Result<(), DiscoveryError> {
        self.found = Some(self.daemon.browse(SERVICE_TYPE)?);
        Ok(())
    }

    /// Asks whether an instance is still there; its end is reported if it does not answer.
    pub(super) fn confirm(&self, fullname: String) -> Result<(), DiscoveryError> {
        Ok(self.daemon.verify(fullname, limits::CONFIRM_WITHIN)?)
    }

    /// Returns how many records the daemon held at the last beat, if it has answered since, and asks again.
    pub(super) fn cached(&mut self) -> Option<i64> {
        let asked = match self.metrics.take() {
            Some(asked) => asked,
            None => self.daemon.get_metrics().ok()?,
        };
        match asked.try_recv() {
            Ok(metrics) => {
                self.metrics = self.daemon.get_metrics().ok();
                let cached = metrics.iter().filter(|(name, _)| name.starts_with("cached-"));
                Some(cached.map(|(_, count)| count).sum())
            }
            Err(_) => {
                self.metrics = Some(asked);
                None
            }
        }
    }

    /// Returns the full name this daemon announces or has announced.
    pub(super) fn fullname(&self) -> Option<&str> {
        self.fullname.as_deref()
    }

    /// Returns a way to end the daemon behind our back.
    #[cfg(test)]
    pub(super) fn daemon(&self) -> ServiceDaemon {
        self.daemon.clone()
    }

    /// Waits for the next report.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: reports wait in their channels.
    pub(super) async fn next(&self) -> Heard {
        let Some(found) = &self.found else { return ended("browsing") };
        tokio::select! {
            event = found.recv_async() => event.map_or_else(|_| ended("browsing"), service),
            event = self.monitor.recv_async() => event.map_or_else(|_| ended("the daemon"), daemon),
        }
    }

    /// Sends the goodbye of our record and waits until it is out, both times.
    pub(super) async fn goodbye(&self) {
        let Some(fullname) = &self.fullname else { return };
        if let Ok(status) = self.daemon.unregister(fullname) {
            let _ = timeout(limits::CLOSE_WITHIN, status.recv_async()).await;
            sleep(limits::GOODBYE_REPEAT).await;
        }
    }

    /// Says goodbye and ends the daemon.
    pub(super) async fn close(mut self) {
        // A flooded daemon finds nobody to report to, ends the subscription and caches no more of it.
        self.found = None;
        self.goodbye().await;
        match self.daemon.shutdown() {
            Ok(status) => drop(timeout(limits::CLOSE_WITHIN, status.recv_async()).await),
            Err(err) => tracing::debug!(error = %err, "mdns daemon had ended"),
        }
    }
}

fn ended(what: &str) -> Heard {
    Heard::Ended(format!("{what} ended"))
}

fn service(event: ServiceEvent) -> Heard {
    match event {
        ServiceEvent::ServiceFound(..) => Heard::Instance,
        ServiceEvent::ServiceResolved(service) => Heard::Resolved(service),
        ServiceEvent::ServiceRemoved(_, fullname) => Heard::Removed(fullname),
        ServiceEvent::SearchStopped(_) => ended("browsing"),
        _ => Heard::Other,
    }
}

fn daemon(event: DaemonEvent) -> Heard {
    match event {
        DaemonEvent::Announce(fullname, _) => Heard::Announced(fullname),
        DaemonEvent::NameChange(change) if matches!(change.rr_type, RRType::SRV | RRType::TXT) => {
            Heard::Collided(change.original)
        }
        DaemonEvent::IpAdd(_) | DaemonEvent::IpDel(_) => Heard::Moved,
        DaemonEvent::Error(err) => Heard::Ended(err.to_string()),
        _ => Heard::Other,
    }
}

/// Reads a resolved instance; `on_loopback` tells whether addresses of loopback mean this host.
pub(super) fn read(service: &ResolvedService, on_loopback: bool) -> Result<Record, AnnouncementError> {
    let instance_name = instance_name(&service.fullname);
    let pairs = service.txt_properties.iter().map(|property| (property.key(), property.val()));
    let announcement = Announcement::read(&instance_name, service.port, pairs)?;
    let candidates = candidates(&service.addresses, service.port, on_loopback);
    Ok(Record { fullname: service.fullname.clone(), instance_name, announcement, candidates })
}

/// Returns the instance's own label; what cannot be shown in it is left out.
pub(super) fn instance_name(fullname: &str) -> String {
    let cut = fullname.len().saturating_sub(SERVICE_TYPE.len() + 1);
    let label = fullname.get(..cut).unwrap_or_default();
    label.chars().filter(|c| !c.is_control()).collect()
}

/// Returns the usable addresses, IPv4 first, link-local IPv6 last and with its scope.
fn candidates<'a>(
    addresses: impl IntoIterator<Item = &'a ScopedIp>,
    port: u16,
    on_loopback: bool,
) -> Vec<SocketAddr> {
    let mut ranked = BTreeSet::new();
    for address in addresses {
        let ip = address.to_ip_addr();
        let local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !on_loopback) || broadcast(ip) {
            continue;
        }
        let candidate = match (address, ip) {
            (ScopedIp::V6(scoped), IpAddr::V6(v6)) if local => {
                SocketAddr::V6(SocketAddrV6::new(v6, port, 0, scoped.scope_id().index))
            }
            _ => SocketAddr::new(ip, port),
        };
        ranked.insert((local, candidate));
    }
    ranked.into_iter().take(limits::MAX_CANDIDATES).map(|(_, candidate)| candidate).collect()
}

fn broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(addresses: &[&str]) -> Vec<ScopedIp> {
        addresses.iter().map(|text| ScopedIp::from(text.parse::<IpAddr>().expect("an address"))).collect()
    }

    #[test]
    fn addresses_that_lead_nowhere_are_dropped() {
        let said =
            scoped(&["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.251", "ff02::fb", "255.255.255.255"]);
        assert_eq!(candidates(&said, 1, false), []);
        assert_eq!(candidates(&said, 1, true), ["127.0.0.1:1", "[::1]:1"].map(|a| a.parse().expect("one")));
    }

    #[test]
    fn link_local_comes_last() {
        let said = scoped(&["fe80::1", "fd00::1", "10.0.0.1"]);
        let order: Vec<_> = candidates(&said, 7, false).iter().map(SocketAddr::ip).collect();
        assert_eq!(order, ["10.0.0.1", "fd00::1", "fe80::1"].map(|a| a.parse::<IpAddr>().expect("one")));
    }

    #[test]
    fn instance_name_is_the_first_label_without_control_characters() {
        assert_eq!(instance_name("Villa (2)._copilot._tcp.local."), "Villa (2)");
        assert_eq!(instance_name("a\u{1b}b._copilot._tcp.local."), "ab");
        assert_eq!(instance_name("ä"), "");
    }
}
