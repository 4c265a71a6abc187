//! Houses of their own for tests: network namespaces on one switch, as computers on one network.
//!
//! Each house has loopback and `eth0`, an address 10.77.0.(n+1) and the default route through it; nothing leads to the outside, and the houses
//! share no loopback, so multicast is the only way they can find each other. Everything goes with the [`Network`], processes left in it included.
//!
//! A test either runs whole programs ([`Network::command`]) or enters a house with a thread ([`Network::inside`]). Without root
//! or `ip` the test is skipped and says why; `CROSSHOME_REQUIRE_NETNS=1` makes that a failure.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::{
    fs::File,
    net::Ipv4Addr,
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Houses on one switch.
pub struct Network {
    tag: String,
    houses: usize,
}

impl Network {
    /// Builds the houses, or returns `None` and says why not.
    pub fn new(houses: usize) -> Option<Self> {
        match Self::build(houses) {
            Ok(network) => Some(network),
            Err(reason) => {
                skip(&format!("no network namespaces: {reason}"));
                None
            }
        }
    }

    fn build(houses: usize) -> Result<Self, String> {
        let tag = format!("xh{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let network = Self { tag, houses };
        let switch = network.switch();
        ip(&["netns", "add", &switch])?;
        in_namespace(&switch, "link add switch type bridge mcast_snooping 0")?;
        in_namespace(&switch, "link set switch up")?;
        for house in 0..houses {
            network.build_house(house)?;
        }
        Ok(network)
    }

    fn build_house(&self, house: usize) -> Result<(), String> {
        let (switch, name) = (self.switch(), self.name(house));
        ip(&["netns", "add", &name])?;
        in_namespace(&switch, &format!("link add port{house} type veth peer name eth0 netns {name}"))?;
        in_namespace(&switch, &format!("link set port{house} master switch up"))?;
        in_namespace(&name, "link set lo up")?;
        in_namespace(&name, &format!("addr add {}/24 dev eth0", self.address(house)))?;
        in_namespace(&name, "link set eth0 up")?;
        in_namespace(&name, "route add default dev eth0")
    }

    /// Returns the name of a house's namespace.
    pub fn name(&self, house: usize) -> String {
        format!("{}-{house}", self.tag)
    }

    /// Returns the address of a house on the switch.
    pub fn address(&self, house: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, house as u8 + 1)
    }

    /// Prepares a program to run in a house.
    pub fn command(&self, house: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(house)]).arg(program);
        command
    }

    /// Runs `ip` with these words in a house.
    pub fn ip(&self, house: usize, words: &str) {
        in_namespace(&self.name(house), words).expect("ip runs");
    }

    /// Lets the switch pass a house's packets or not; the house's own link stays up either way.
    pub fn plug(&self, house: usize, plugged: bool) {
        let state = if plugged { "master switch" } else { "nomaster" };
        in_namespace(&self.switch(), &format!("link set port{house} {state}")).expect("ip runs");
    }

    /// Runs `work` on a thread in a house; threads and sockets made there belong to the house.
    pub fn inside<T: Send + 'static>(
        &self,
        house: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name(house))).expect("namespace exists");
        thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter");
            work()
        })
    }

    fn switch(&self) -> String {
        format!("{}-s", self.tag)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in (0..self.houses).map(|house| self.name(house)).chain([self.switch()]) {
            if let Ok(output) = Command::new("ip").args(["netns", "pids", &name]).output() {
                let own = std::process::id().to_string();
                let pids = String::from_utf8_lossy(&output.stdout).into_owned();
                for pid in pids.split_whitespace().filter(|pid| *pid != own) {
                    let _ = Command::new("kill").args(["-9", pid]).status();
                }
            }
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

/// Says why a test does not run; fails it instead where `CROSSHOME_REQUIRE_NETNS=1` says that it must.
#[allow(clippy::print_stderr, reason = "a skipped test has no other way to say so")]
pub fn skip(reason: &str) {
    let required = std::env::var("CROSSHOME_REQUIRE_NETNS").is_ok_and(|value| value == "1");
    assert!(!required, "CROSSHOME_REQUIRE_NETNS=1, but {reason}");
    eprintln!("SKIPPED: {reason}");
}

/// A program that ends with the test.
pub struct Running(pub Child);

impl Running {
    /// Starts a program with nothing to read and its output dropped.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|err| panic!("{command:?}: {err}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn in_namespace(name: &str, words: &str) -> Result<(), String> {
    let words: Vec<&str> = ["-n", name].into_iter().chain(words.split(' ')).collect();
    ip(&words)
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output().map_err(|err| format!("ip: {err}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
