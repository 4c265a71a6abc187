//! What the tests need from the system, and getting it on a Debian machine.
//!
//! Tests that start other people's programs, or give each home a network of its own, need
//! programs that a Rust toolchain does not bring. Root on Debian gets them installed;
//! everybody else is told what is missing and which tests are skipped for it.

use std::{ffi::OsString, process::Command};

use crate::command;

/// A program that tests call.
struct Need {
    program: &'static str,
    package: &'static str,
    tests: &'static str,
}

const NEEDS: [Need; 7] = [
    Need { program: "ip", package: "iproute2", tests: "homes in network namespaces of their own" },
    Need { program: "avahi-daemon", package: "avahi-daemon", tests: "discovery beside Avahi" },
    Need { program: "avahi-browse", package: "avahi-utils", tests: "discovery beside Avahi" },
    Need { program: "dbus-daemon", package: "dbus", tests: "discovery beside Avahi" },
    Need { program: "faketime", package: "faketime", tests: "homes whose clocks are wrong" },
    Need { program: "strace", package: "strace", tests: "a disk that fails to sync" },
    Need { program: "tcpdump", package: "tcpdump", tests: "what somebody on the wire can read" },
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
    NEEDS.iter().filter(|need| !has(need.program)).collect()
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
