"""The `crosshome` command as the wheel brings it: all of it, in a process that is Python's."""

import json
import os
import pty
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import sharing
from waiting import wait

CROSSHOME = str(Path(sysconfig.get_path("scripts")) / "crosshome")


def crosshome(
    *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    words = (CROSSHOME, *words)
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=env, cwd=cwd)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A home that runs by the command, with everything in ``tmp_path``."""
    config = tmp_path / "home.yaml"
    config.write_text(
        f"copilot:\n  sharing:\n    home_name: Villa\n    data_dir: {tmp_path}\n"
        "    discovery: {enabled: false}\n    sync: {port: 0, bind: 127.0.0.1}\n    api: {port: 0}\n"
    )
    words = [CROSSHOME, "run", "--config", str(config)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["message"] == "started":
                break
        yield process
        process.kill()


def test_version_is_that_of_the_package() -> None:
    said = crosshome("--version")
    assert (said.stdout, said.stderr, said.returncode) == (f"crosshome {sharing.__version__}\n", "", 0)


def test_command_is_the_same_as_the_program() -> None:
    if (program := os.environ.get("CROSSHOME_BIN")) is None:
        pytest.skip("CROSSHOME_BIN names no crosshome to compare with")
    for words in (
        ["--help"],
        ["man"],
        ["completions", "bash"],
        ["config", "schema"],
        ["fly"],
        ["pair", "--help"],
    ):
        theirs = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        ours = crosshome(*words)
        assert (ours.returncode, ours.stdout, ours.stderr) == (
            theirs.returncode,
            theirs.stdout,
            theirs.stderr,
        )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["fly"], 2),
        (["run", "--config", "/nowhere/home.yaml"], 3),
        (["status"], 4),
        (["config", "schema"], 0),
    ],
)
def test_exit_code_says_what_went_wrong(words: list[str], code: int, tmp_path: Path) -> None:
    ended = crosshome("--data-dir", str(tmp_path / "nobody"), *words)
    assert ended.returncode == code, ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_home_runs_until_it_is_told_to_stop(
    home: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    status = crosshome("--data-dir", str(tmp_path), "status", "--json")
    assert json.loads(status.stdout)["home"]["name"] == "Villa"
    home.send_signal(number)
    _, log = home.communicate(timeout=20)
    assert (home.returncode, "Traceback" in log) == (0, False)
    assert json.loads(log.splitlines()[-1])["message"] == "stopping"


def test_interrupt_ends_a_verb_that_waits_as_it_ends_the_program(
    home: subprocess.Popen[str], tmp_path: Path
) -> None:
    words = [CROSSHOME, "--data-dir", str(tmp_path), "entity", "watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        crosshome("--data-dir", str(tmp_path), "entity", "set", "light.hall", "on")
        assert watching.stdout is not None
        assert "light.hall" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == -signal.SIGINT
        assert watching.stderr is not None
        assert watching.stderr.read() == ""


def test_demo_starts_its_homes_from_the_package(tmp_path: Path) -> None:
    played = crosshome(
        "demo", "--once", env={**os.environ, "TMPDIR": str(tmp_path)}, cwd=_folder_called_sharing(tmp_path)
    )
    assert played.returncode == 0, played.stderr
    assert "Done in" in played.stdout
    wait(lambda: not list(tmp_path.glob(".tmp*")), "its files are removed")


def _folder_called_sharing(tmp_path: Path) -> Path:
    """Returns a folder in which a package of the same name is in the way of whoever looks there."""
    (tmp_path / "sharing").mkdir()
    (tmp_path / "sharing" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    return tmp_path


def test_terminal_is_recognised() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([CROSSHOME, "--help"], stdout=theirs, env=_without_no_color()) as helping:
        os.close(theirs)
        assert helping.wait(timeout=20) == 0
    assert b"\x1b[" in os.read(ours, 4096)
    os.close(ours)
    assert "\x1b[" not in crosshome("--help").stdout


def _without_no_color() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "NO_COLOR"}


def test_reader_that_has_had_enough_is_no_error() -> None:
    with subprocess.Popen([CROSSHOME, "man"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as printing:
        assert printing.stdout is not None
        assert printing.stderr is not None
        printing.stdout.close()
        assert printing.wait(timeout=20) in (0, 1)
        assert printing.stderr.read() == b""
