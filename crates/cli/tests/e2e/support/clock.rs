//! Wrong clocks for processes, and what these leave behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Returns the environment that shifts a program's clock, or says that the library for it is missing.
///
/// The program `faketime` itself would stand between the test and the home's process.
pub(crate) fn faketime(shift: &str) -> Option<Vec<(String, String)>> {
    // it names a semaphore after its process, and fails where a process of that number has left one behind
    let shown = (0..5).find_map(|_| {
        let shown = std::process::Command::new("faketime").args(["-f", shift, "env"]).output();
        shown.ok().filter(|shown| shown.status.success())
    });
    let Some(shown) = shown else {
        crate::netns::skip("faketime is missing: apt-get install faketime");
        return None;
    };
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let wanted = ["LD_PRELOAD", "FAKETIME"];
    let set = text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| wanted.contains(name));
    let own = [("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    Some(set.chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Returns where a process with a shifted clock shares it with those that it starts.
pub(crate) fn traces(pid: u32) -> [PathBuf; 2] {
    [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")]
        .map(|name| Path::new("/dev/shm").join(name))
}

/// Removes what a process that has ended would have removed itself, had it not been killed.
pub(super) fn tidy(pid: u32) {
    traces(pid).iter().for_each(|trace| drop(fs::remove_file(trace)));
}
