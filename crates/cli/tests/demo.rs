//! The demo as a user starts it: the real binary, real homes, real mDNS on loopback.
#![cfg(target_os = "linux")] // children are found in /proc

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines, Read, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process, test_kill_process},
    pty::{self, OpenptFlags},
    termios::{self, LocalModes, Winsize},
};
use serde_json::Value;

/// Longest that the demo of two homes may take on a busy machine with two cores.
const PATIENCE: Duration = Duration::from_secs(60);

fn demo(line: &str, root: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosshome"));
    command.arg("demo").args(line.split_whitespace()).env("TMPDIR", root.path());
    // A home of the person's own must not show through.
    command.env("CROSSHOME__SYNC__PORT", "1").env("CROSSHOME__DATA_DIR", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn played(line: &str) -> Output {
    let root = temporary();
    let started = Instant::now();
    let output = demo(line, &root).output().expect("it starts");
    assert!(output.status.success(), "{line}: {output:?}");
    assert!(started.elapsed() < PATIENCE, "{line} took {:?}", started.elapsed());
    assert_eq!(left_behind(&root), Vec::<PathBuf>::new());
    output
}

fn left_behind(root: &tempfile::TempDir) -> Vec<PathBuf> {
    std::fs::read_dir(root.path())
        .expect("own directory")
        .map(|entry| entry.expect("readable").path())
        .collect()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn steps(story: &Value) -> Vec<&str> {
    let steps = story["steps"].as_array().expect("steps");
    steps.iter().map(|step| step["step"].as_str().expect("one word")).collect()
}

#[test]
fn story_shows_every_way_that_a_command_can_end() {
    let told = played("--once");
    let text = String::from_utf8(told.stdout).expect("text");
    for part in [
        "villa and flat see each other",
        "villa types it: paired",
        "villa shares three entities",
        "turns villa's light.living_room on, brightness 200: done",
        "setting it is not allowed",
        "the bolt is jammed",
        "cover.awning got no answer within 10 s",
        "flat no longer has it",
        "Done in",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn each_strategy_settles_the_same_changes_in_its_way_and_nothing_is_lost_unnoticed() {
    let story = json(&played("--once --conflict --json"));
    assert_eq!(
        steps(&story)[4..],
        ["lists", "cut", "apart", "heal", "latest-wins", "merge", "user-choice", "custom"]
    );
    assert_eq!((&story["ok"], &story["error"]), (&true.into(), &Value::Null));
    let told = |at: usize| story["steps"][at]["text"].as_str().expect("a sentence").to_owned();
    for (at, parts) in [
        (8, ["show \"milk\" (bakery, 4 bags)", "lost: villa's state \"milk and bread\", bags 2"]),
        (9, ["show \"milk and bread\" (bakery, 4 bags)", "lost: villa's bags 2"]),
        (10, ["ask for a choice", "takes villa's: both show \"milk and bread\" (market, 2 bags)"]),
        (11, ["show \"milk and bread\" (market or bakery, 4 bags)", "| tojson"]),
    ] {
        let text = told(at);
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.contains("on record in both homes"), "{text}");
    }
}

#[test]
fn five_homes_all_follow_the_villa() {
    let story = json(&played("--once --homes 5 --json"));
    assert_eq!(story["homes"].as_array().map(Vec::len), Some(5));
    let ids: std::collections::BTreeSet<_> =
        story["homes"].as_array().expect("homes").iter().map(|home| home["id"].as_str()).collect();
    assert_eq!(ids.len(), 5, "each has a key of its own");
    assert!(
        story["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .any(|step| { step["text"].as_str().is_some_and(|text| text.contains("3 others in ")) })
    );
}

#[test]
fn live_demo_without_a_terminal_says_what_to_do() {
    let output = demo("", &temporary()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("crosshome demo --once"), "{output:?}");
    let range = demo("--once --homes 51", &temporary()).output().expect("it starts");
    assert_eq!(range.status.code(), Some(2));
}

/// A terminal with a demo on it; what it shows is read as it comes.
struct OnTerminal {
    child: Child,
    keys: File,
    screen: File,
    shown: mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl OnTerminal {
    fn start(line: &str, root: &tempfile::TempDir) -> Self {
        let keys =
            pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        pty::grantpt(&keys).and_then(|()| pty::unlockpt(&keys)).expect("ours");
        let name = pty::ptsname(&keys, Vec::new()).expect("it has one").into_string().expect("text");
        let screen = File::options().read(true).write(true).open(name).expect("ours");
        termios::tcsetwinsize(&screen, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 })
            .expect("ours");
        let end = || Stdio::from(screen.try_clone().expect("ours"));
        let child = demo(line, root).stdin(end()).stdout(end()).spawn().expect("it starts");
        let (keys, (shows, shown)) = (File::from(keys), mpsc::channel());
        let mut reader = keys.try_clone().expect("ours");
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if shows.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, screen, shown, text: String::new() }
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).expect("it listens");
    }

    /// Waits until a text has been shown since the last time.
    fn shows(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text.contains(text) {
            let bytes = self.shown.recv_timeout(end.saturating_duration_since(Instant::now()));
            let bytes = bytes.unwrap_or_else(|_| panic!("no {text:?} in {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        self.text.clear();
    }

    fn echoes(&self) -> bool {
        termios::tcgetattr(&self.screen)
            .expect("ours")
            .local_modes
            .contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // A failed test must leave no homes either.
        let _ = self.child.kill();
    }
}

#[test]
fn live_demo_obeys_keys_on_both_sides_and_leaves_the_terminal_as_it_was() {
    let root = temporary();
    let mut live = OnTerminal::start("", &root);
    live.shows("villa sees");
    assert!(!live.echoes());
    live.press("l");
    live.shows("villa: light.living_room on: done");
    live.press("L");
    live.shows("flat: light.living_room off: done");
    live.press("x");
    live.shows("both are alone");
    live.press("x");
    live.shows("the cable is back in");
    live.press("q");
    live.shows("\x1b[?25h\x1b[?1049l");
    assert_eq!(live.child.wait().expect("it ends").code(), Some(0));
    assert!(live.echoes());
    assert_eq!(left_behind(&root), Vec::<PathBuf>::new());
}

/// A demo whose homes run.
struct UnderWay {
    child: Child,
    homes: Vec<Pid>,
    /// Kept: a demo whose reader is gone ends for that reason.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl UnderWay {
    /// Waits for its end, and returns the exit code and what it said of it.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        (self.child.wait().expect("it ends").code(), said)
    }
}

fn under_way(root: &tempfile::TempDir) -> UnderWay {
    let mut child = demo("--once", root).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let running = lines.next().expect("a line").expect("text");
    assert!(running.contains("villa and flat run"), "{running}");
    let homes = children(child.id());
    assert_eq!(homes.len(), 2);
    UnderWay { child, homes, _lines: lines }
}

fn children(parent: u32) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).expect("it runs");
    let listed = tasks.map(|task| std::fs::read_to_string(task.expect("readable").path().join("children")));
    let all: String = listed.map(|list| list.expect("readable")).collect();
    all.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().expect("a number"))).collect()
}

fn gone(homes: &[Pid]) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if homes.iter().all(|home| test_kill_process(*home).is_err()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("small")).expect("not zero")
}

#[test]
fn ctrl_c_and_sigterm_leave_no_home_and_no_file() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let root = temporary();
        let mut demo = under_way(&root);
        kill_process(pid(&demo.child), signal).expect("it runs");
        assert_eq!(demo.end(), (Some(1), "error: stopped\n".into()), "{signal:?}");
        assert!(demo.homes.iter().all(|home| test_kill_process(*home).is_err()), "{signal:?}");
        assert_eq!(left_behind(&root), Vec::<PathBuf>::new(), "{signal:?}");
    }
}

#[test]
fn homes_of_a_killed_demo_end_by_themselves() {
    let root = temporary();
    let mut demo = under_way(&root);
    demo.child.kill().expect("it runs");
    demo.child.wait().expect("it ends");
    assert!(gone(&demo.homes), "their standard input has ended");
}

#[test]
fn home_that_dies_ends_the_story_with_a_reason() {
    let root = temporary();
    let mut demo = under_way(&root);
    kill_process(demo.homes[1], Signal::KILL).expect("it runs");
    let (code, said) = demo.end();
    assert!(code.is_some_and(|code| code != 0) && said.starts_with("error: "), "{code:?} {said}");
    assert!(gone(&demo.homes));
    assert_eq!(left_behind(&root), Vec::<PathBuf>::new());
}
