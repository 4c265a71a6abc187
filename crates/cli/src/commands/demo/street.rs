//! All homes of the demo, in one temporary directory.

use std::{io, net::UdpSocket};

use tempfile::TempDir;
use tokio::sync::Mutex;

use super::home::Home;

/// What the first homes are called; the others are numbered.
const NAMES: [&str; 12] = [
    "villa", "flat", "cabin", "barn", "studio", "office", "chalet", "boat", "lodge", "mill", "farm", "tower",
];

/// The homes: the villa with the simulated house first, then the flat, then the others.
pub(super) struct Street {
    homes: Vec<Home>,
    /// Removed with the street; the lock lets it go while others still look at the homes.
    root: Mutex<Option<TempDir>>,
}

impl Street {
    /// Furnishes so many homes; none runs yet.
    pub(super) fn build(count: usize) -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("crosshome-").tempdir()?;
        let port = free_port()?;
        let homes = (0..count).map(|place| Home::furnish(root.path(), &name(place), port, place == 0));
        Ok(Self { homes: homes.collect::<io::Result<_>>()?, root: Mutex::new(Some(root)) })
    }

    /// Returns the home with the house.
    pub(super) fn villa(&self) -> &Home {
        &self.homes[0]
    }

    /// Returns the home that is shared with.
    pub(super) fn flat(&self) -> &Home {
        &self.homes[1]
    }

    /// Returns the homes beyond these two.
    pub(super) fn others(&self) -> &[Home] {
        &self.homes[2..]
    }

    /// Returns all of them.
    pub(super) fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// Stops every home and removes every file.
    pub(super) async fn close(&self) {
        let mut stopping: Vec<_> = self.homes.iter().map(|home| Box::pin(home.stop())).collect();
        // All at once: each waits for its peers' goodbyes a little.
        std::future::poll_fn(|context| {
            stopping.retain_mut(|stop| stop.as_mut().poll(context).is_pending());
            if stopping.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        if let Some(root) = self.root.lock().await.take() {
            // What is left in the system's temporary directory hurts nobody.
            let _ = root.close();
        }
    }
}

fn name(place: usize) -> String {
    NAMES.get(place).map_or_else(|| format!("home {}", place + 1), |name| (*name).to_owned())
}

/// Returns a port for the homes' own mDNS, so that they meet no others, not even another demo's.
fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn fifty_homes_have_fifty_names_and_leave_nothing_behind() {
        let street = Street::build(50).expect("a directory");
        let names: BTreeSet<_> = street.homes().iter().map(Home::name).collect();
        assert_eq!(names.len(), 50);
        let dir = street.villa().dir().to_owned();
        assert!(dir.join("home.yaml").exists());
        street.close().await;
        assert!(!dir.exists());
    }
}
