"""Houses with a network of their own: multicast over a switch is the only way between them.

A house is a network namespace; programs that run in it see its addresses only. That needs root and ``ip``: elsewhere the
tests are skipped with the reason, or fail where ``CROSSHOME_REQUIRE_NETNS=1`` says that they must run.
"""

import itertools
import os
import shutil
import signal
import subprocess
from types import TracebackType
from typing import Self

import pytest

_numbers = itertools.count()


class Network:
    """Houses on one switch, gone with everything that runs in them when it is left."""

    def __init__(self, houses: int) -> None:
        self._tag = f"xhp-{os.getpid()}-{next(_numbers)}"
        self._houses = houses

    def __enter__(self) -> Self:
        _require()
        try:
            self._build()
        except BaseException:
            self._raze()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raze()

    def name(self, house: int) -> str:
        """Returns the name of a house's namespace."""
        return f"{self._tag}-{house}"

    def address(self, house: int) -> str:
        """Returns the address of a house on the switch."""
        return f"10.78.0.{house + 1}"

    def inside(self, house: int, *words: str) -> list[str]:
        """Returns the words that run a program in a house."""
        return ["ip", "netns", "exec", self.name(house), *words]

    def plug(self, house: int, plugged: bool) -> None:
        """Lets the switch pass a house's packets or not; the house's own link stays up either way."""
        _ip(f"-n {self._switch} link set port{house} {'master switch' if plugged else 'nomaster'}")

    @property
    def _switch(self) -> str:
        return f"{self._tag}-s"

    def _build(self) -> None:
        _ip(f"netns add {self._switch}")
        _ip(f"-n {self._switch} link add switch type bridge mcast_snooping 0")
        _ip(f"-n {self._switch} link set switch up")
        for house in range(self._houses):
            name = self.name(house)
            _ip(f"netns add {name}")
            _ip(f"-n {self._switch} link add port{house} type veth peer name eth0 netns {name}")
            _ip(f"-n {self._switch} link set port{house} master switch up")
            _ip(f"-n {name} link set lo up")
            _ip(f"-n {name} addr add {self.address(house)}/24 dev eth0")
            _ip(f"-n {name} link set eth0 up")
            _ip(f"-n {name} route add default dev eth0")

    def _raze(self) -> None:
        for name in [*map(self.name, range(self._houses)), self._switch]:
            for pid in _ran(f"netns pids {name}").stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            _ran(f"netns delete {name}")


def _ran(words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)


def _ip(words: str) -> None:
    ran = _ran(words)
    assert ran.returncode == 0, f"ip {words}: {ran.stderr.strip()}"


def _require() -> None:
    if reason := _lacking():
        if os.environ.get("CROSSHOME_REQUIRE_NETNS") == "1":
            pytest.fail(f"CROSSHOME_REQUIRE_NETNS=1, but {reason}")
        pytest.skip(reason)


def _lacking() -> str | None:
    if shutil.which("ip") is None:
        return "no network namespaces: ip is not installed"
    probe = f"xhp-{os.getpid()}-probe"
    made = _ran(f"netns add {probe}")
    _ran(f"netns delete {probe}")
    return None if made.returncode == 0 else f"no network namespaces: {made.stderr.strip()}"
