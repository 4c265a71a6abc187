//! Commands that were run to their end, and lines of one that still runs.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::PATIENCE;

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Runs a command to its end; one that does not end is killed and fails the test.
    pub(crate) fn to_end(command: &mut Command) -> Self {
        Self::to_end_within(command, Duration::from_secs(100))
    }

    pub(crate) fn to_end_within(command: &mut Command, limit: Duration) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let out = drain(child.stdout.take().expect("piped"));
        let err = drain(child.stderr.take().expect("piped"));
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("own child") {
                break status;
            }
            if start.elapsed() > limit {
                let _ = child.kill();
                let _ = child.wait();
                let (out, err) = (out.join().expect("read"), err.join().expect("read"));
                panic!("{command:?} did not end within {limit:?}: {out} {err}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        let (out, err) = (out.join().expect("read"), err.join().expect("read"));
        Self { code: status.code().unwrap_or(-1), out, err }
    }

    /// Returns the one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks exit code and that what went wrong is told in words.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &str) -> Self {
        let told = self.err.to_lowercase();
        assert!(
            self.code == code && told.contains(&words.to_lowercase()),
            "wanted {code} {words:?}: {self:?}"
        );
        self
    }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A command that goes on, and the JSON lines it prints.
pub(crate) struct Lines {
    child: Child,
    lines: Receiver<String>,
    err: Option<thread::JoinHandle<String>>,
}

impl Lines {
    pub(crate) fn of(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, lines, err: Some(drain(err)) }
    }

    /// Waits for the next line and reads it as JSON.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line =
            self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line: {}", self.last_words()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits for the line that `wanted` accepts.
    #[track_caller]
    pub(crate) fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.next();
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits for the end and returns the exit code and what went to stderr.
    pub(crate) fn end(mut self) -> Ran {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("own child") {
                let out = self.lines.iter().collect::<Vec<_>>().join("\n");
                let err = self.err.take().map(|err| err.join().expect("read")).unwrap_or_default();
                return Ran { code: status.code().unwrap_or(-1), out, err };
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the command goes on: {}", self.last_words());
    }

    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.err.take().map(|err| err.join().expect("read")).unwrap_or_default()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
