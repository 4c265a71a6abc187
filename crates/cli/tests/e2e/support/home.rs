//! A home that runs as its own process.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Ran, Reply, api, clock, eventually, leaks::Secrets, ran::Lines};
use crate::netns::Network;

/// A home with a directory of its own; its process is killed with it.
pub(crate) struct Home {
    pub(crate) name: String,
    place: TempDir,
    data_dir: PathBuf,
    namespace: Option<String>,
    settings: Value,
    filter: &'static str,
    environment: Vec<(String, String)>,
    simulated: bool,
    process: Option<Child>,
    secrets: Secrets,
}

impl Home {
    /// Prepares a home on loopback: no discovery, ports chosen by the system.
    pub(crate) fn on_loopback(name: &str) -> Self {
        let settings = json!({
            "home_name": name,
            "discovery": {"enabled": false},
            "sync": {"bind": "127.0.0.1", "port": 0},
            "api": {"port": 0},
        });
        Self::new(name, settings, None)
    }

    /// Prepares a home in a house of its own, with nothing set but its name.
    pub(crate) fn in_house(name: &str, network: &Network, house: usize) -> Self {
        Self::new(name, json!({"home_name": name}), Some(network.name(house)))
    }

    /// Prepares a home on loopback and starts it.
    pub(crate) fn started(name: &str) -> Self {
        let mut home = Self::on_loopback(name);
        home.start();
        home
    }

    fn new(name: &str, settings: Value, namespace: Option<String>) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let data_dir = place.path().join("data");
        let name = name.to_owned();
        Self {
            name,
            place,
            data_dir,
            namespace,
            settings,
            filter: "trace",
            environment: Vec::new(),
            simulated: false,
            process: None,
            secrets: Secrets::default(),
        }
    }

    /// Sets something of the configuration, by a path such as `/sync/port`.
    pub(crate) fn set(&mut self, path: &str, value: impl Into<Value>) {
        let mut at = &mut self.settings;
        for key in path.trim_start_matches('/').split('/') {
            at = &mut at[key];
        }
        *at = value.into();
        let shared_key = self.settings.pointer("/sync/encryption/shared_key").and_then(Value::as_str);
        if let Some(key) = shared_key {
            self.secrets.add("shared key", key);
        }
    }

    /// Logs less than everything, where a test measures or moves much.
    pub(crate) fn log(&mut self, filter: &'static str) {
        self.filter = filter;
    }

    /// Keeps the data in another directory.
    pub(crate) fn keep_data_in(&mut self, dir: &Path) {
        self.data_dir = dir.to_owned();
    }

    /// Puts a simulated house behind the home.
    pub(crate) fn simulate(&mut self) {
        self.simulated = true;
    }

    /// Runs the home in this environment beside what it needs, such as that of another clock.
    pub(crate) fn run_in(&mut self, environment: Vec<(String, String)>) {
        self.environment = environment;
    }

    /// Starts the process and waits until it can be used.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.ready();
    }

    /// Waits until the home can be used.
    #[track_caller]
    pub(crate) fn ready(&mut self) {
        eventually(&format!("{} to be ready", self.name), || {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status}: {}", self.name, self.log_tail());
            }
            self.ask("GET", "/health/ready", None).is_ok_and(|reply| reply.ok()).then_some(())
        });
        self.settle_ports();
        self.secrets.add_files(&self.data_dir);
    }

    /// Starts the process without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let mut command = self.run_command();
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("own directory");
        let out: File = log.try_clone().expect("a file");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(log).spawn();
        self.process = Some(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
    }

    /// Runs the home where it is expected to end by itself.
    pub(crate) fn run_to_end(&self) -> Ran {
        Ran::to_end_within(&mut self.run_command(), Duration::from_secs(20))
    }

    fn run_command(&self) -> Command {
        let config = self.place.path().join("config.yaml");
        let block = json!({"copilot": {"sharing": self.settings}});
        fs::write(&config, block.to_string()).expect("own directory");
        let program = env!("CARGO_BIN_EXE_crosshome");
        let mut words: Vec<String> = Vec::new();
        words.extend(self.namespace.iter().flat_map(|name| ["ip", "netns", "exec", name].map(str::to_owned)));
        words.extend([program, "run", "--config"].map(str::to_owned));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(config).arg("--data-dir").arg(&self.data_dir);
        command.args(self.simulated.then_some("--simulate"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.place.path()).env("RUST_LOG", self.filter).env("RUST_BACKTRACE", "1");
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Ends the process as a supervisor does, and checks that it went well.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let status = self.wait_for_end(Duration::from_secs(20));
        assert!(status.success(), "{} ended with {status}: {}", self.name, self.log_tail());
    }

    /// Holds the process where it is: its system still answers for it, it does not.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen process go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "{} is gone", self.name);
    }

    /// Ends the home and leaves a copy of its key somewhere.
    pub(crate) fn stop_and_lend_key(mut self, to: &Path) {
        self.stop();
        fs::copy(self.data_dir.join("sharing_key"), to).expect("own files");
    }

    /// Ends the process as a power cut does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("own child");
        let status = process.wait().expect("own child");
        assert_eq!(status.signal(), Some(9), "{} was dead before: {}", self.name, self.log_tail());
        clock::tidy(process.id());
    }

    #[track_caller]
    fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.ended() {
                self.process = None;
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not end: {}", self.name, self.log_tail());
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().expect("it was started").try_wait().expect("own child")
    }

    /// Keeps the port that the system chose, so that peers find the home again after a restart.
    fn settle_ports(&mut self) {
        let port = self.status()["sync_port"].clone();
        if self.settings.pointer("/sync/port") == Some(&json!(0)) && !port.is_null() {
            self.set("/sync/port", port);
        }
    }

    /// Runs a command against the home.
    pub(crate) fn cli(&self, words: &[&str]) -> Ran {
        Ran::to_end(&mut self.command(words))
    }

    /// Runs a command that goes on for a while.
    pub(crate) fn lines(&self, words: &[&str]) -> Lines {
        Lines::of(&mut self.command(words))
    }

    /// Runs a command with `--json` that has to go well, and returns what it printed.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let ran = self.cli(&[&["--json"], words].concat());
        assert_eq!(ran.code, 0, "{} {words:?}: {ran:?}", self.name);
        ran.json()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosshome"));
        command.arg("--data-dir").arg(&self.data_dir).args(words).env_clear().env("HOME", self.place.path());
        command
    }

    /// Asks the API over the home's socket.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Reply> {
        api::ask(&self.socket(), method, path, body.map(ToString::to_string).as_deref())
    }

    /// Asks below `/api/v1/sharing`; the home has to answer.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let asked = self.ask(method, &format!("/api/v1/sharing{path}"), body);
        asked.unwrap_or_else(|error| panic!("{}: {error}: {}", self.name, self.log_tail()))
    }

    /// Sets a document entity's state, as a program does.
    pub(crate) fn put(&self, id: &str, state: &str) -> io::Result<Reply> {
        self.writer().put(id, state)
    }

    /// Returns a way to write from other threads, whether the home runs or not.
    pub(crate) fn writer(&self) -> Writer {
        Writer { socket: self.socket() }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.data_dir.join("api.sock")
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.api("GET", "/status", None).json()
    }

    /// Returns the home's full id.
    pub(crate) fn id(&self) -> String {
        self.status()["home"]["id"].as_str().expect("an id").to_owned()
    }

    /// Returns where peers reach it on loopback.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.status()["sync_port"])
    }

    /// Returns the state of an entity, unless nobody has it.
    pub(crate) fn state(&self, id: &str) -> Option<String> {
        let reply =
            self.api("GET", &format!("/sync/entities/{}", id.replace('/', "%2F").replace(' ', "%20")), None);
        reply.ok().then(|| reply.json()["state"].as_str().map(str::to_owned)).flatten()
    }

    /// Waits until an entity has a state.
    #[track_caller]
    pub(crate) fn sees(&self, id: &str, state: &str) {
        eventually(&format!("{} to see {id} {state}", self.name), || {
            (self.state(id).as_deref() == Some(state)).then_some(())
        });
    }

    /// Waits until an entity is gone.
    #[track_caller]
    pub(crate) fn misses(&self, id: &str) {
        eventually(&format!("{} to miss {id}", self.name), || self.state(id).is_none().then_some(()));
    }

    /// Returns what the status says of a peer.
    pub(crate) fn peer(&self, name: &str) -> Option<Value> {
        self.status()["peers"].as_array()?.iter().find(|peer| peer["name"] == name).cloned()
    }

    /// Waits until a peer's link is up, and both sides hold the same.
    #[track_caller]
    pub(crate) fn in_sync_with(&self, name: &str) {
        eventually(&format!("{} in sync with {name}", self.name), || {
            self.peer(name).filter(|peer| peer["state"] == "online" && peer["in_sync"] == true)
        });
    }

    /// Returns the entities of one home as this one shows them, without what differs by point of view.
    pub(crate) fn entities_of(&self, home: &str) -> Vec<Value> {
        let all = self.api("GET", "/sync/entities?all=true", None).json();
        let of_home = |view: &&Value| view["home"] == home;
        let mut views: Vec<_> =
            all["entities"].as_object().expect("by id").values().filter(of_home).cloned().collect();
        for view in &mut views {
            let view = view.as_object_mut().expect("an entity");
            ["space", "shared_with", "pending"].into_iter().for_each(|key| drop(view.remove(key)));
        }
        views.sort_by_key(|view| view["entity_id"].to_string());
        views
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Returns how much memory the home has in use, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("a number")
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn place(&self) -> &Path {
        self.place.path()
    }

    /// Notes a secret that must not reach this home's log.
    pub(crate) fn guard(&mut self, what: &'static str, secret: &str) {
        self.secrets.add(what, secret);
    }

    /// Returns everything the home has logged.
    pub(crate) fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.place.path().join("log")
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = self.log_text();
        let ours = |line: &&str| !line.contains("\"TRACE\"") && !line.contains("\"log.target\"");
        let told: Vec<_> = text.lines().filter(ours).collect();
        told[told.len().saturating_sub(30)..].join("\n")
    }
}

/// A way to write to a home.
pub(crate) struct Writer {
    socket: PathBuf,
}

impl Writer {
    /// Sets a document entity's state.
    pub(crate) fn put(&self, id: &str, state: &str) -> io::Result<Reply> {
        let body = json!({"state": state}).to_string();
        api::ask(&self.socket, "POST", &format!("/api/v1/sharing/entities/{id}/state"), Some(&body))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
            clock::tidy(process.id());
        }
        if thread::panicking() {
            return super::tell(&format!("--- end of the log of {}:\n{}", self.name, self.log_tail()));
        }
        self.secrets.add_files(&self.data_dir);
        if let Some(leak) = self.secrets.found_in(&self.log_text()) {
            panic!("{} logged a secret: {leak}", self.name);
        }
    }
}
