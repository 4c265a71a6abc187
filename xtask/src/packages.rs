//! What the tests need from the system, and getting it on a Debian machine.
//!
//! Tests that start other people's programs, or give each home a network of its own, need
//! programs that a Rust toolchain does not bring. Root on Debian gets them installed;
//! everybody else is told what is missing and which tests are skipped for it.

use std::{ffi::OsString, process::Command};

use crate::{command, python};

/// A program that tests call.
struct Need {
    program: &'static str,
    package: &'static str,
    tests: &'static str,
    is_there: fn(&str) -> bool,
}

impl Need {
    const fn new(program: &'static str, package: &'static str, tests: &'static str) -> Self {
        Self { program, package, tests, is_there: has }
    }
}

const NEEDS: [Need; 8] = [
    Need::new("ip", "iproute2", "homes in network namespaces of their own"),
    Need::new("avahi-daemon", "avahi-daemon", "discovery beside Avahi"),
    Need::new("avahi-browse", "avahi-utils", "discovery beside Avahi"),
    Need::new("dbus-daemon", "dbus", "discovery beside Avahi"),
    Need::new("faketime", "faketime", "homes whose clocks are wrong"),
    Need::new("strace", "strace", "a disk that fails to sync"),
    Need::new("tcpdump", "tcpdump", "what somebody on the wire can read"),
    Need {
        // There may be an interpreter that is too old, or that cannot make environments.
        is_there: |_| python::interpreter().is_some(),
        ..Need::new("python3.11", "python3.11-venv", "all of Python")
    },
];

/// Places of programs that are not on everybody's `PATH`.
const MORE_PLACES: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Sees to it that the tests find what they need, and tells whether they may insist on it.
///
/// CI may not do without: there a test that lacks something fails.
pub(crate) fn provide() -> bool {
    let lacking = missing();
    if !lacking.is_empty() && is_root() && has("apt-get") {
        install(&lacking);
    }
    report();
    let complete = namespaces() && missing().is_empty();
    complete || (is_root() && std::env::var_os("CI").is_some())
}

fn install(lacking: &[&Need]) {
    let packages: Vec<_> = lacking.iter().map(|need| need.package).collect();
    eprintln!("installing {} with apt-get: tests need them", packages.join(", "));
    let quiet = |words: &str| {
        let mut command = Command::new("apt-get");
        command
            .args(words.split(' '))
            .envs([("DEBIAN_FRONTEND", "noninteractive"), ("DEBCONF_NOWARNINGS", "yes")])
            .stdout(std::process::Stdio::null());
        command
    };
    let install = |()| command::run(quiet("install -qq -y --no-install-recommends").args(&packages));
    if let Err(error) = command::run(&mut quiet("update -qq")).and_then(install) {
        eprintln!("warning: {error}");
    }
}

/// Says what is still missing, and what that costs.
fn report() {
    for need in missing() {
        eprintln!("missing: {} (Debian package {}); skipped: {}", need.program, need.package, need.tests);
    }
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.is_there)(need.program)).collect()
}

/// Tells whether this process may make network namespaces.
fn namespaces() -> bool {
    let name = format!("xh-probe-{}", std::process::id());
    let probe = |verb| Command::new("ip").args(["netns", verb, &name]).env("PATH", path()).output();
    let made = probe("add").is_ok_and(|output| output.status.success()) && probe("delete").is_ok();
    if !made {
        eprintln!(
            "network namespaces cannot be made here (that needs root and ip); skipped: {}",
            NEEDS[0].tests
        );
    }
    made
}

/// Returns the `PATH` on which the tests find what they need.
pub(crate) fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(MORE_PLACES);
    path
}

fn has(program: &str) -> bool {
    std::env::split_paths(&path()).any(|place| place.join(program).is_file())
}

fn is_root() -> bool {
    command::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_found_where_it_stands_and_only_there() {
        assert!(has("sh"));
        assert!(!has("crosshome-absent"));
    }
}
