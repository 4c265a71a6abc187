//! Beside Avahi, the mDNS of most Linux systems: both ways, and when both want one name.

use std::{
    fs, net::IpAddr, os::unix::fs::FileTypeExt, path::PathBuf, process::Command, sync::mpsc, time::Duration,
};

use tempfile::TempDir;

use super::{
    announced, block_on, loses,
    netns::{Network, Running, skip},
    on_the_network, sees, villa,
};

/// Avahi with a message bus of its own in a house.
struct Avahi<'a> {
    network: &'a Network,
    house: usize,
    directory: TempDir,
    programs: Vec<Running>,
}

impl<'a> Avahi<'a> {
    /// Starts it, or says why not: as with namespaces, `CROSSHOME_REQUIRE_NETNS=1` makes that a failure.
    fn start(network: &'a Network, house: usize) -> Option<Self> {
        let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if let Some(missing) =
            ["dbus-daemon", "avahi-daemon", "avahi-browse", "avahi-publish"].into_iter().find(|p| !there(p))
        {
            skip(&format!("{missing} is not installed"));
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let mut avahi = Self { network, house, directory, programs: Vec::new() };
        avahi.start_bus();
        avahi.start_daemon();
        Some(avahi)
    }

    fn bus(&self) -> PathBuf {
        self.directory.path().join("bus")
    }

    fn start_bus(&mut self) {
        let config = self.directory.path().join("bus.conf");
        let text = format!(
            "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>",
            self.bus().display()
        );
        fs::write(&config, text).expect("written");
        let mut command = self.command("dbus-daemon");
        self.programs.push(Running::start(command.arg("--nofork").arg("--config-file").arg(&config)));
        let ready = || fs::metadata(self.bus()).is_ok_and(|meta| meta.file_type().is_socket());
        wait("the message bus", ready);
    }

    fn start_daemon(&mut self) {
        let config = self.directory.path().join("avahi.conf");
        let text = "[server]\nhost-name=neighbour\nallow-interfaces=eth0\nuse-ipv6=no\n\
                    [publish]\npublish-workstation=no\n";
        fs::write(&config, text).expect("written");
        // Avahi's files have fixed places; a private /run keeps several apart.
        let script = "mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon \
                      --no-drop-root --no-chroot --no-rlimits --file \"$0\"";
        let mut command = self.command("sh");
        self.programs.push(Running::start(command.args(["-c", script]).arg(&config)));
        wait("avahi", || {
            self.command("avahi-browse").args(["-apt"]).output().is_ok_and(|out| out.status.success())
        });
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.network.command(self.house, program);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", self.bus().display()));
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Announces a home of this name; ends with the returned value.
    fn publish(&self, name: &str, port: u16, txt: &[&str]) -> Running {
        let mut command = self.command("avahi-publish");
        Running::start(command.args(["-s", name, "_copilot._tcp", &port.to_string()]).args(txt))
    }

    /// Returns what `avahi-browse` has resolved, one home a line.
    fn browse(&self) -> Vec<String> {
        let output = self.command("avahi-browse").args(["-rpt", "_copilot._tcp"]).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.starts_with('=')).map(str::to_owned).collect()
    }

    /// Browses until a line has all these parts.
    fn sees(&self, parts: &[&str]) -> String {
        let mut found = None;
        wait(&format!("{parts:?} in avahi-browse"), || {
            found = self.browse().into_iter().find(|line| parts.iter().all(|part| line.contains(part)));
            found.is_some()
        });
        found.expect("just found")
    }
}

impl Drop for Avahi<'_> {
    fn drop(&mut self) {
        while self.programs.pop().is_some() {} // the daemon before its bus
    }
}

fn wait(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..300 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited in vain for {what}");
}

/// Runs a home in house 0 that ends when the returned sender goes.
fn live(network: &Network) -> (mpsc::Sender<()>, mpsc::Receiver<String>, std::thread::JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel::<()>();
    let (name, names) = mpsc::channel();
    let home = network.inside(0, move || {
        block_on(async {
            let discovery = on_the_network();
            discovery.publish(villa()).await.expect("fit");
            name.send(announced(&discovery).await).expect("test waits");
            let _ = tokio::task::spawn_blocking(move || stopped.recv()).await;
            discovery.stop().await;
        })
    });
    (stop, names, home)
}

#[test]
fn avahi_sees_our_home_with_its_whole_txt_record_until_the_goodbye() {
    let Some(network) = Network::new(2) else { return };
    let Some(avahi) = Avahi::start(&network, 1) else { return };
    let (stop, names, home) = live(&network);
    assert_eq!(names.recv().expect("announced"), "Villa");
    let version = format!("\"version={}\"", env!("CARGO_PKG_VERSION"));
    avahi.sees(&[
        ";Villa;_copilot._tcp;local;",
        ";10.77.0.1;8765;",
        "\"txtvers=1\"",
        "\"id=id-of-villa\"",
        "\"home_id=Villa\"",
        &version,
        "\"proto=1-1\"",
        "\"caps=sync,encryption,shared_entities\"",
    ]);
    drop(stop);
    home.join().expect("home");
    wait("the goodbye", || avahi.browse().is_empty());
}

#[test]
fn home_announced_by_avahi_is_seen_until_it_ends() {
    let Some(network) = Network::new(2) else { return };
    let Some(avahi) = Avahi::start(&network, 1) else { return };
    let txt = ["txtvers=1", "id=0123456789abcdef", "home_id=Hütte", "version=2.0", "proto=1-3", "caps=sync"];
    let published = avahi.publish("Hütte", 4242, &txt);
    let (seen, is_seen) = mpsc::channel();
    let watcher = network.inside(0, move || {
        block_on(async {
            let discovery = on_the_network();
            let home = sees(&discovery, "0123456789abcdef", |_| true).await;
            seen.send(home).expect("test waits");
            loses(&discovery, "0123456789abcdef").await;
            discovery.stop().await;
        })
    });
    let home = is_seen.recv().expect("seen");
    assert_eq!((home.home_name.as_str(), home.instance_name.as_str()), ("Hütte", "Hütte"));
    assert_eq!((home.version.as_str(), home.proto, home.port), ("2.0", (1, 3), 4242));
    assert_eq!((home.caps, home.addresses), (vec!["sync".to_owned()], vec![IpAddr::from([10, 77, 0, 2])]));
    drop(published);
    watcher.join().expect("watcher");
}

#[test]
fn name_that_avahi_has_already_gets_a_number_from_us() {
    let Some(network) = Network::new(2) else { return };
    let Some(avahi) = Avahi::start(&network, 1) else { return };
    let _published = avahi.publish("Villa", 4242, &["id=of-avahi"]);
    avahi.sees(&[";Villa;", "id=of-avahi"]);
    let (stop, names, home) = live(&network);
    assert_eq!(names.recv().expect("announced"), "Villa (2)");
    avahi.sees(&[";Villa;", "\"id=of-avahi\"", ";4242;"]);
    avahi.sees(&[r";Villa\032\0402\041;", "\"id=id-of-villa\"", ";8765;"]);
    assert_eq!(avahi.browse().len(), 2);
    drop(stop);
    home.join().expect("home");
}

#[test]
fn name_that_we_have_already_gets_a_number_from_avahi() {
    let Some(network) = Network::new(2) else { return };
    let Some(avahi) = Avahi::start(&network, 1) else { return };
    let (stop, names, home) = live(&network);
    assert_eq!(names.recv().expect("announced"), "Villa");
    let _published = avahi.publish("Villa", 4242, &["id=of-avahi"]);
    avahi.sees(&[r";Villa\032\0352;", "\"id=of-avahi\"", ";4242;"]);
    avahi.sees(&[";Villa;", "\"id=id-of-villa\"", ";8765;"]);
    assert_eq!(avahi.browse().len(), 2);
    drop(stop);
    home.join().expect("home");
}
