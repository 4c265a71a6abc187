"""`sharing.discovery`, method by method: services on loopback, each test on an mDNS port of its own."""

import asyncio
import functools
import gc
import hashlib
import inspect
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import sharing
from sharing.discovery import DiscoveryService, LocalPeerInfo, PeerInfo
from waiting import until, wait

Make = Callable[..., DiscoveryService]


@pytest.fixture
def service(mdns_port: int) -> Make:
    """Makes services that see each other."""

    def make(name: str, sync_port: int = 8765, instance_name: str | None = None) -> DiscoveryService:
        return DiscoveryService(
            name, instance_name or name, port=mdns_port, sync_port=sync_port, interfaces=["lo"]
        )

    return make


def id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


# What it says of itself


def test_service_without_arguments_is_called_after_this_computer() -> None:
    info = DiscoveryService().get_local_peer_info()
    name = socket.gethostname().split(".")[0]
    assert (info["home_id"], info["peer_id"]) == (name, id_of(name))
    assert (info["instance_name"], info["port"]) == ("CoPilot", 8765)


def test_local_info_has_the_agreed_fields() -> None:
    info = DiscoveryService("Villa", "Meine Villa", sync_port=4711).get_local_peer_info()
    assert set(info) == set(LocalPeerInfo.__annotations__)
    assert info["version"] == sharing.__version__
    assert info["capabilities"] == ["sync", "encryption", "shared_entities"]
    assert (info["instance_name"], info["port"]) == ("Meine Villa", 4711)
    moment = datetime.fromisoformat(info["timestamp"])
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 10


def test_service_shows_its_name_and_whether_it_runs() -> None:
    assert repr(DiscoveryService("Villa")) == "<DiscoveryService 'Villa' (stopped)>"


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        (("",), {}, ValueError),
        (("Vil\x07la",), {}, ValueError),
        (("ä" * 32,), {}, ValueError),
        (("joint",), {}, ValueError),
        ((b"Villa",), {}, TypeError),
        ((7,), {}, TypeError),
        (("Villa", ""), {}, ValueError),
        (("Villa", "a\nb"), {}, ValueError),
        (("Villa", "x" * 129), {}, ValueError),
        (("Villa", None), {}, TypeError),
        (("Villa",), {"port": 0}, ValueError),
        (("Villa",), {"port": -1}, ValueError),
        (("Villa",), {"port": 65_536}, ValueError),
        (("Villa",), {"port": 2**80}, ValueError),
        (("Villa",), {"port": "5353"}, TypeError),
        (("Villa",), {"port": True}, TypeError),
        (("Villa",), {"port": 5353.0}, TypeError),
        (("Villa",), {"sync_port": 0}, ValueError),
        (("Villa",), {"sync_port": None}, TypeError),
        (("Villa",), {"interfaces": "lo"}, TypeError),
        (("Villa",), {"interfaces": [""]}, ValueError),
        (("Villa",), {"interfaces": ["../lo"]}, ValueError),
        (("Villa",), {"interfaces": [1]}, TypeError),
        (("Villa", "CoPilot", 5353), {}, TypeError),
    ],
)
def test_wrong_arguments_are_named(
    arguments: tuple[object, ...], keywords: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        DiscoveryService(*arguments, **keywords)  # type: ignore[arg-type]


# Finding


async def test_homes_find_each_other_and_see_all_that_was_said(service: Make) -> None:
    async with service("Villa") as villa, service("Chalet", 4711, "CoPilot") as chalet:
        await villa.publish()
        await chalet.publish_self()
        await until(lambda: id_of("Chalet") in villa.get_peers(), "the chalet")
        peers = await villa.discover_peers_async(timeout=0.1)
        await until(lambda: id_of("Villa") in chalet.get_peers(), "the villa")

    assert list(peers) == [id_of("Chalet")]
    peer = peers[id_of("Chalet")]
    assert set(peer) == set(PeerInfo.__annotations__)
    assert (peer["peer_id"], peer["home_id"]) == (id_of("Chalet"), "Chalet")
    assert (peer["instance_name"], peer["port"], peer["version"]) == ("CoPilot", 4711, sharing.__version__)
    assert peer["capabilities"] == ["sync", "encryption", "shared_entities"]
    assert "127.0.0.1" in peer["addresses"]
    assert (datetime.now(UTC) - datetime.fromisoformat(peer["last_seen"])).total_seconds() < 60


async def test_home_that_is_not_published_looks_and_is_not_seen(service: Make) -> None:
    async with service("Villa") as villa, service("Chalet") as chalet:
        await villa.publish()
        await until(chalet.get_peers, "the villa")
        assert villa.get_peers() == {}


async def test_second_home_of_an_instance_name_gets_a_number(service: Make) -> None:
    async with service("Villa", 1, "CoPilot") as villa, service("Chalet", 2, "CoPilot") as chalet:
        await villa.publish()
        await until(chalet.get_peers, "the villa")
        await chalet.publish()
        await until(lambda: chalet.get_local_peer_info()["instance_name"] == "CoPilot (2)", "the other name")
        await until(
            lambda: [peer["instance_name"] for peer in villa.get_peers().values()] == ["CoPilot (2)"], "it"
        )
        assert villa.get_local_peer_info()["instance_name"] == "CoPilot"


async def test_blocking_search_lets_other_threads_run(service: Make) -> None:
    async with service("Villa") as villa:
        beats, over = 0, threading.Event()

        def beat() -> None:
            nonlocal beats
            while not over.wait(0.01):
                beats += 1

        thread = threading.Thread(target=beat)
        thread.start()
        villa.discover_peers(timeout=0.5)
        over.set()
        thread.join()
        assert beats > 10


async def test_search_from_several_threads_at_once(service: Make) -> None:
    async with service("Villa") as villa, service("Chalet") as chalet:
        await chalet.publish()
        await until(villa.get_peers, "the chalet")
        found = await asyncio.gather(*(asyncio.to_thread(villa.discover_peers, 0.2) for _ in range(16)))
        assert [list(peers) for peers in found] == [[id_of("Chalet")]] * 16


async def test_awaited_search_can_be_cancelled(service: Make) -> None:
    async with service("Villa") as villa:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(villa.discover_peers_async(timeout=60), 0.05)
        assert await villa.discover_peers_async(timeout=0) == {}


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ("3", TypeError),
        (None, TypeError),
    ],
)
async def test_timeout_is_a_time(service: Make, timeout: float, error: type[Exception]) -> None:
    async with service("Villa") as villa:
        with pytest.raises(error):
            villa.discover_peers(timeout)
        with pytest.raises(error):
            await villa.discover_peers_async(timeout)


# Callbacks


async def test_homes_that_come_change_and_go_are_told_on_the_event_loop(service: Make) -> None:
    told: list[tuple[str, str, int]] = []
    here = threading.get_ident()

    def note(what: str, peer: PeerInfo) -> None:
        assert threading.get_ident() == here
        told.append((what, peer["home_id"], peer["port"]))

    async def note_lost(peer: PeerInfo) -> None:
        await asyncio.sleep(0)
        note("lost", peer)

    villa = service("Villa")
    villa.on_peer_discovered(lambda peer: note("discovered", peer))
    villa.on_peer_updated(lambda peer: note("updated", peer))
    villa.on_peer_lost(note_lost)
    async with villa:
        async with service("Chalet", 1) as chalet:
            await chalet.publish()
            await until(lambda: ("discovered", "Chalet", 1) in told, "the chalet")
        # Back before the time of grace is over: the same home, elsewhere.
        async with service("Chalet", 2) as chalet:
            await chalet.publish()
            await until(lambda: ("updated", "Chalet", 2) in told, "its other port")
        await until(lambda: ("lost", "Chalet", 2) in told, "its loss")
    assert told[0] == ("discovered", "Chalet", 1)
    assert [what for what, _, _ in told].count("discovered") == 1
    assert told[-1] == ("lost", "Chalet", 2)


async def test_function_that_comes_late_hears_of_every_home_once(service: Make) -> None:
    early: list[str] = []
    late: list[str] = []
    async with service("Villa") as villa, service("Chalet") as chalet, service("Alm") as alm:
        villa.on_peer_discovered(lambda peer: early.append(peer["home_id"]))
        await chalet.publish()
        await until(lambda: early == ["Chalet"], "the chalet")
        villa.on_peer_discovered(lambda peer: late.append(peer["home_id"]))
        await until(lambda: late == ["Chalet"], "the chalet, late")
        await alm.publish()
        await until(lambda: "Alm" in late and "Alm" in early, "the alm")
    assert early == late == ["Chalet", "Alm"]


async def test_callback_that_fails_is_logged_and_harms_no_other(
    service: Make, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fails(peer: PeerInfo) -> None:
        raise RuntimeError("plain")

    async def fails_later(peer: PeerInfo) -> None:
        raise RuntimeError("async")

    async with service("Villa") as villa, service("Chalet") as chalet:
        villa.on_peer_discovered(fails)
        villa.on_peer_discovered(fails_later)
        villa.on_peer_discovered(lambda peer: told.append(peer["home_id"]))
        await chalet.publish()
        await until(lambda: told, "the third one")
        await until(lambda: len(caplog.records) >= 2, "both in the log")
    errors = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert sorted(errors) == ["async", "plain"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


@pytest.mark.parametrize("register", ["on_peer_discovered", "on_peer_updated", "on_peer_lost"])
def test_callback_has_to_be_callable(register: str) -> None:
    with pytest.raises(TypeError, match="callable, not int"):
        getattr(DiscoveryService(), register)(7)


async def test_callback_gets_a_dict_of_its_own(service: Make) -> None:
    told: list[PeerInfo] = []

    def spoil(peer: PeerInfo) -> None:
        peer["home_id"] = "spoilt"

    async with service("Villa") as villa, service("Chalet") as chalet:
        villa.on_peer_discovered(spoil)
        villa.on_peer_discovered(told.append)
        await chalet.publish()
        await until(lambda: told, "the chalet")
        assert told[0]["home_id"] == "Chalet"
        assert villa.get_peers()[id_of("Chalet")]["home_id"] == "Chalet"


# Life


async def test_what_needs_a_running_service_says_so(service: Make) -> None:
    villa = service("Villa")
    for _ in range(2):
        with pytest.raises(sharing.NotRunning):
            await villa.publish()
        with pytest.raises(sharing.NotRunning):
            await villa.publish_self()
        with pytest.raises(sharing.NotRunning):
            villa.discover_peers(timeout=0)
        with pytest.raises(sharing.NotRunning):
            await villa.discover_peers_async(timeout=0)
        assert villa.get_peers() == {}
        await villa.stop()
        await villa.start()
        await villa.stop()


def test_start_needs_an_event_loop(service: Make) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        service("Villa").start().send(None)


async def test_service_starts_and_stops_as_often_as_it_likes(service: Make) -> None:
    told: list[str] = []
    times = 0
    async with service("Chalet") as chalet:
        await chalet.publish()
        villa = service("Villa")
        villa.on_peer_discovered(lambda peer: told.append(peer["home_id"]))
        for _ in range(3):
            await villa.start()
            await villa.start()
            await until(lambda: "Chalet" in told, "the chalet")
            await villa.stop()
            await villa.stop()
            times += told.count("Chalet")
            told.clear()
    assert times == 3


def test_event_loop_that_ended_is_followed_by_the_next(service: Make) -> None:
    told: list[tuple[str, int]] = []
    villa = service("Villa")
    villa.on_peer_discovered(lambda peer: told.append((peer["home_id"], id(asyncio.get_running_loop()))))
    loops = []

    async def look() -> None:
        loops.append(asyncio.get_running_loop())
        await villa.start()
        async with service("Chalet") as chalet:
            await chalet.publish()
            await until(lambda: ("Chalet", id(loops[-1])) in told, "the chalet")

    asyncio.run(look())
    asyncio.run(look())
    asyncio.run(villa.stop())
    assert len(told) == 2


def test_many_loops_leave_no_descriptor_behind(service: Make) -> None:
    async def once() -> None:
        async with service("Villa") as villa:
            villa.get_peers()

    asyncio.run(once())
    wait(lambda: not searches(), "the end of the thread")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        asyncio.run(once())
    wait(lambda: not searches(), "the end of the threads")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 3


def forget(*_: object) -> None:
    """Does nothing, and keeps alive what it is given."""


async def test_running_service_that_nobody_has_any_more_ends(service: Make) -> None:
    async with service("Chalet") as chalet:
        villa = service("Villa")
        villa.on_peer_discovered(functools.partial(forget, villa))  # a cycle
        await villa.start()
        await villa.publish()
        await until(chalet.get_peers, "the villa")
        assert len(searches()) == 2
        del villa
        gc.collect()
        await until(lambda: not chalet.get_peers(), "its goodbye")
        await until(lambda: len(searches()) == 1, "the end of its thread")


async def test_port_of_a_program_that_does_not_share_is_an_error(mdns_port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("0.0.0.0", mdns_port))
        villa = DiscoveryService("Villa", port=mdns_port)
        with pytest.raises(sharing.ConfigError, match=f"udp port {mdns_port}"):
            await villa.start()
        with pytest.raises(sharing.NotRunning):
            await villa.publish()
    await villa.start()
    await villa.stop()


async def test_forked_process_says_that_the_service_stayed_behind(service: Make) -> None:
    async with service("Villa") as villa, service("Chalet") as chalet:
        await villa.publish()
        await until(chalet.get_peers, "the villa")
        if (child := os.fork()) == 0:
            try:
                villa.get_peers()
            except sharing.NotRunning:
                del villa
                gc.collect()
                os._exit(42)
            os._exit(1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 42
        assert await chalet.discover_peers_async(timeout=0.2)
        assert villa.get_local_peer_info()["home_id"] == "Villa"


async def test_program_that_ends_without_stopping_says_goodbye_and_ends(
    service: Make, mdns_port: int
) -> None:
    script = f"""
import asyncio, sharing
async def main():
    discovery = sharing.DiscoveryService("Chalet", port={mdns_port}, interfaces=["lo"])
    discovery.on_peer_discovered(lambda peer, itself=discovery: print("seen", flush=True))
    await discovery.start()
    await discovery.publish()
    await asyncio.to_thread(input)
    return discovery
left = asyncio.run(main())
"""
    async with service("Villa") as villa:
        await villa.publish()
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        await until(villa.get_peers, "the chalet")
        started = time.monotonic()
        out, _ = await program.communicate(b"\n")
        assert (out, program.returncode) == (b"seen\n", 0)
        assert time.monotonic() - started < 5
        await until(lambda: not villa.get_peers(), "its goodbye", within=10)


def searches() -> list[str]:
    """Returns the threads of running services."""
    names = [_text(task / "comm") for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if name == "discovery"]


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def test_every_public_method_is_documented_with_an_example_or_refers_to_one() -> None:
    methods = inspect.getmembers(DiscoveryService, inspect.isfunction)
    for name, method in methods:
        if not name.startswith("_") and name != "publish_self":
            assert "Example:" in (method.__doc__ or ""), name
