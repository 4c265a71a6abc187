//! Python's tools in an environment of their own, and the wheel in it.
//!
//! The environment is `target/python`, with the versions of `tests/requirements.txt`; it is made when it is needed and
//! made anew when those change. Nothing outside of `target/` is installed or changed.

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    command::{self, CommandError},
    packages,
};

/// Where the environment is.
const HOME: &str = "target/python";
/// Where wheels are put.
const WHEELS: &str = "target/wheels";
/// What is installed.
const REQUIREMENTS: &str = "tests/requirements.txt";
/// Interpreters to try, the oldest supported first.
const INTERPRETERS: [&str; 2] = ["python3.11", "python3"];

/// An environment with all tools.
pub(crate) struct Environment {
    programs: PathBuf,
}

impl Environment {
    /// Makes the environment, unless it is there as it should be.
    ///
    /// # Errors
    ///
    /// Tells that there is no Python 3.11 or later, or what it could not install.
    pub(crate) fn provide() -> Result<Self, CommandError> {
        let home = std::path::absolute(HOME).unwrap_or_else(|_| HOME.into());
        let environment = Self { programs: home.join("bin") };
        let wanted = fs::read_to_string(REQUIREMENTS).unwrap_or_default();
        let note = home.join("installed.txt");
        if fs::read_to_string(&note).is_ok_and(|installed| installed == wanted) {
            return Ok(environment);
        }
        eprintln!("making {HOME} with what {REQUIREMENTS} lists");
        let interpreter = interpreter().unwrap_or(INTERPRETERS[0]);
        command::run(Command::new(interpreter).args(["-m", "venv", "--clear", HOME]))?;
        command::run(&mut environment.pip(&["install", "--requirement", REQUIREMENTS]))?;
        // Without the note everything is merely done once more.
        let _ = fs::write(note, wanted);
        Ok(environment)
    }

    /// Builds the wheel with a profile of cargo, and installs it.
    ///
    /// # Errors
    ///
    /// Tells which program failed.
    pub(crate) fn install_wheel(&self, profile: &str) -> Result<(), CommandError> {
        let _ = fs::remove_dir_all(WHEELS); // so that one is there, and of this version
        command::run(self.tool("maturin").args([
            "build",
            "--profile",
            profile,
            "--locked",
            "--out",
            WHEELS,
        ]))?;
        let wheels = fs::read_dir(WHEELS).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut install = self.pip(&["install", "--force-reinstall", "--no-deps"]);
        command::run(install.args(wheels))
    }

    /// Prepares a program of the environment; what it starts finds the others too.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        let mut path = OsString::from(&self.programs);
        path.push(":");
        path.push(packages::path());
        command.env("PATH", path);
        command
    }

    fn pip(&self, words: &[&str]) -> Command {
        let mut pip = self.tool("python");
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]).args(words);
        pip
    }
}

/// Returns the interpreter to use, if one is recent enough and can make environments.
pub(crate) fn interpreter() -> Option<&'static str> {
    let suits = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";
    INTERPRETERS.into_iter().find(|name| {
        let asked = Command::new(name).args(["-c", suits]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    })
}
