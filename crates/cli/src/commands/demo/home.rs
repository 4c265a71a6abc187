//! One home of the demo: a `crosshome run` of its own, with its own directory, key and ports.
//!
//! The process is stopped with this value, and stops by itself when the demo is gone, however that
//! ended: its standard input is a pipe that only the demo holds.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use crosshome_node::{
    node::Code,
    views::{EntityView, HomeList, PeerView, Right, SharePlan, Status},
};
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

use super::wait::until;
use crate::{
    client::{Client, part},
    failure::Failure,
    program,
};

/// How long a home may take to say goodbye before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of its log shown when a home dies.
const LOG_SHOWN: usize = 2_000;

/// The name that the system's loopback interface has.
const LOOPBACK: &str = if cfg!(target_os = "linux") { "lo" } else { "lo0" };

/// A home and its process.
pub(super) struct Home {
    name: String,
    dir: PathBuf,
    simulated: bool,
    client: Client,
    /// Held while it is started or stopped.
    child: Mutex<Option<Child>>,
}

/// Whether a home takes part in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cable {
    In,
    /// Sync is off: no listener, no dialling, no mDNS.
    Pulled,
}

impl Home {
    /// Makes its directory and configuration.
    pub(super) fn furnish(root: &Path, name: &str, mdns_port: u16, simulated: bool) -> io::Result<Self> {
        let dir = root.join(name);
        fs::create_dir(&dir)?;
        fs::write(dir.join("home.yaml"), configuration(name, &dir, mdns_port))?;
        let client = Client::of_dir(dir.clone());
        Ok(Self { name: name.to_owned(), dir, simulated, client, child: Mutex::new(None) })
    }

    /// Starts its process; [`Home::ready`] waits for it.
    pub(super) async fn start(&self, cable: Cable) -> Result<(), Failure> {
        let log = fs::File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::from(program::anew()?);
        command.args(["run", "--until-eof", "--config"]).arg(self.dir.join("home.yaml"));
        if self.simulated {
            command.arg("--simulate");
        }
        for (name, _) in std::env::vars_os() {
            // What the person has set for their own home is not for these.
            if name.to_string_lossy().starts_with("CROSSHOME__") {
                command.env_remove(name);
            }
        }
        if cable == Cable::Pulled {
            command.env("CROSSHOME__SYNC__ENABLED", "false");
        }
        // A group of its own: Ctrl-C is for the demo, which says goodbye for all.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        *self.child.lock().await = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until it answers.
    pub(super) async fn ready(&self) -> Result<Status, Failure> {
        until(&format!("the start of {}", self.name), async || {
            let mut child = self.child.lock().await;
            let ended = child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if let Some(status) = ended {
                let what = format!("ended with {status}; its log ends with\n{}", self.log_end());
                return Err(Failure::DemoHome { name: self.name.clone(), what });
            }
            Ok(self.status().await.ok())
        })
        .await
    }

    /// Lets it say goodbye; kills it when that takes too long.
    pub(super) async fn stop(&self) {
        let Some(mut child) = self.child.lock().await.take() else { return };
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_WITHIN, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    /// Returns what it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its data directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the way to its API.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks how it is doing.
    pub(super) async fn status(&self) -> Result<Status, Failure> {
        self.client.get("/status").await
    }

    /// Asks for its link to another home, if they are paired.
    pub(super) async fn peer(&self, name: &str) -> Result<Option<PeerView>, Failure> {
        let homes: HomeList = self.client.get("/homes").await?;
        Ok(homes.homes.into_iter().find(|home| home.name == name))
    }

    /// Asks what it sees of an entity, if anything.
    pub(super) async fn entity(&self, id: &str) -> Result<Option<EntityView>, Failure> {
        match self.client.get(&format!("/sync/entities/{}", part(id))).await {
            Ok(view) => Ok(Some(view)),
            Err(Failure::Refused(problem)) if problem.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Sets an entity, and waits for the outcome if that is a command.
    pub(super) async fn set(&self, id: &str, body: &Value) -> Result<EntityView, Failure> {
        self.client.send(Method::POST, &format!("/entities/{}/state", part(id)), body).await
    }

    /// Lets another home see, steer or edit an entity.
    pub(super) async fn share(&self, id: &str, right: Right, with: &Home) -> Result<SharePlan, Failure> {
        let share = json!({"entities": [id], "with": [with.name], "grant": right, "yes": true});
        self.client.send(Method::POST, "/shares", &share).await
    }

    /// Takes an entity back.
    pub(super) async fn unshare(&self, id: &str, from: &Home) -> Result<SharePlan, Failure> {
        let unshare = json!({"entities": [id], "with": [from.name]});
        self.client.send(Method::DELETE, "/shares", &unshare).await
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn log_end(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let end = &log[log.len().saturating_sub(LOG_SHOWN)..];
        String::from_utf8_lossy(end).trim_end().to_owned()
    }
}

/// Writes a configuration as anybody would, with ports that the system chooses.
fn configuration(name: &str, dir: &Path, mdns_port: u16) -> String {
    // A JSON string is one of YAML's.
    let quoted = |text: &str| Value::from(text).to_string();
    let (name, dir) = (quoted(name), quoted(&dir.to_string_lossy()));
    format!(
        "copilot:\n  sharing:\n    home_name: {name}\n    data_dir: {dir}\n    discovery:\n      port: {mdns_port}\n      \
         interfaces: [{LOOPBACK}]\n    sync:\n      port: 0\n      bind: 127.0.0.1\n    api:\n      port: 0\n"
    )
}

#[cfg(test)]
mod tests {
    use crosshome_node::config::{Config, Sources};

    use super::*;

    #[test]
    fn configuration_is_read_as_it_is_meant() {
        let root = tempfile::Builder::new().prefix("it's \"odd\": ").tempdir().expect("a directory");
        let home = Home::furnish(root.path(), "villa", 4711, true).expect("fresh");
        let sources = Sources { file: Some(home.dir().join("home.yaml")), ..Sources::default() };
        let config = Config::load(&sources).map_err(|errors| errors.to_string()).expect("fine").config;
        assert_eq!((config.home_name.as_str(), config.data_dir.as_path()), ("villa", home.dir()));
        assert_eq!((config.discovery.port.get(), config.sync.port, config.api.port), (4711, 0, 0));
        assert_eq!(config.sync.bind, std::net::IpAddr::from([127, 0, 0, 1]));
    }
}
