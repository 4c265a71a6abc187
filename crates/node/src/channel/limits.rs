//! How many strangers may stand at the door at one time.
//!
//! A [`Seat`] is taken before anything is read from a connection and given back when it is
//! admitted or gone. The newest is refused, so that a flood cannot push out who is
//! halfway in. What counts as one network is what one attacker gets for nothing: an
//! IPv4 address, or the /64 of an IPv6 address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The seats for connections whose peer is not known yet; cloning gives another handle to the same seats.
#[derive(Debug, Clone)]
pub(super) struct HalfOpen {
    total: usize,
    per_network: usize,
    // Held for one addition or subtraction; has at most `total` entries.
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl HalfOpen {
    pub(super) fn new(total: usize, per_network: usize) -> Self {
        Self { total, per_network, taken: Arc::default() }
    }

    /// Takes a seat for a connection from `address`, or tells that there is none.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Seat> {
        let network = network_of(address);
        let mut taken = self.lock();
        let here = taken.get(&network).copied().unwrap_or(0);
        if here >= self.per_network || taken.values().sum::<usize>() >= self.total {
            return None;
        }
        taken.insert(network, here + 1);
        Some(Seat { of: self.clone(), network })
    }

    fn leave(&self, network: IpAddr) {
        let mut taken = self.lock();
        match taken.get(&network) {
            Some(&here) if here > 1 => taken.insert(network, here - 1),
            _ => taken.remove(&network),
        };
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Every change is one step, so the counts are sound even after a panic elsewhere.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the half-open connections; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    of: HalfOpen,
    network: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.of.leave(self.network);
    }
}

/// A dual-stack socket shows IPv4 addresses inside IPv6 ones; these are IPv4 addresses all the same.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(whole) => IpAddr::V4(whole),
        IpAddr::V6(whole) => IpAddr::V6((u128::from(whole) & (u128::MAX << 64)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn newest_of_one_network_is_refused_until_one_leaves() {
        let door = HalfOpen::new(10, 2);
        let (first, _second) = (door.enter(ip("10.0.0.1")).unwrap(), door.enter(ip("10.0.0.1")).unwrap());
        assert!(door.enter(ip("10.0.0.1")).is_none());
        assert!(door.enter(ip("10.0.0.2")).is_some());
        drop(first);
        assert!(door.enter(ip("10.0.0.1")).is_some());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share_their_seats() {
        let door = HalfOpen::new(10, 1);
        let _seat = door.enter(ip("2001:db8::1")).unwrap();
        assert!(door.enter(ip("2001:db8::ffff:2")).is_none());
        assert!(door.enter(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn ipv4_inside_ipv6_counts_by_itself() {
        let door = HalfOpen::new(10, 1);
        let _seat = door.enter(ip("::ffff:10.0.0.1")).unwrap();
        assert!(door.enter(ip("10.0.0.1")).is_none());
        assert!(door.enter(ip("::ffff:10.0.0.2")).is_some());
    }

    #[test]
    fn all_networks_together_have_a_limit_and_leave_nothing_behind() {
        let door = HalfOpen::new(3, 2);
        let seats: Vec<_> = (1..=5).filter_map(|i| door.enter(ip(&format!("10.0.0.{i}")))).collect();
        assert_eq!(seats.len(), 3);
        drop(seats);
        assert!(door.lock().is_empty());
    }
}
