"""`sharing.sync` as stories: homes that go apart and come together, in one process and in several."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homes import KEY, free_port, home, join, joined, state
from programs import Program
from sharing import PeerUnreachable
from sharing.conflict import Conflict, ConflictResolver
from sharing.sync import SyncProtocol
from waiting import until


async def apart(villa: SyncProtocol, flat: SyncProtocol, entity_id: str = "light.hall") -> None:
    """Has both homes change an entity that both know, while they are apart; the flat does so last."""
    await villa.update_entity(
        entity_id, {"state": "before", "attributes": {"brightness": 1, "effect": "none"}}
    )
    await villa.sync_entities()
    await villa.disconnect("flat")
    await until(lambda: not flat.get_synchronized_peers(), "the flat to be alone")
    await villa.update_entity(
        entity_id, {"state": "villa", "attributes": {"brightness": 50, "effect": "none"}}
    )
    await asyncio.sleep(0.01)
    await flat.update_entity(
        entity_id, {"state": "before", "attributes": {"brightness": 1, "effect": "rain"}}
    )
    await flat.update_entity(entity_id, {"state": "flat"})


async def heal(villa: SyncProtocol, flat: SyncProtocol) -> None:
    await villa.connect("flat")
    await villa.sync_entities()
    await flat.sync_entities()


def same(*homes: SyncProtocol) -> bool:
    views = [
        {key: (entity["state"], entity["attributes"]) for key, entity in one.get_all_entities().items()}
        for one in homes
    ]
    return all(view == views[0] for view in views)


# One change after the other


async def test_three_homes_hold_the_same() -> None:
    async with joined("villa", "flat", "cabin") as homes:
        for number, one in enumerate(homes * 20):
            await one.update_entity(f"light.l{number % 7}", {"state": number})
        for one in homes:
            await one.sync_entities()
        await until(lambda: same(*homes), "all to hold the same")
        assert homes[0].get_conflicts() == [] or all(
            conflict.resolution for conflict in homes[0].get_conflicts()
        )


async def test_change_that_has_seen_the_other_is_no_conflict() -> None:
    async with joined("villa", "flat") as (villa, flat):
        for number in range(5):
            await villa.update_entity("light.hall", {"state": f"villa {number}"})
            await villa.sync_entities()
            await flat.update_entity("light.hall", {"state": f"flat {number}"})
            await flat.sync_entities()
        assert state(villa, "light.hall") == "flat 4"
        assert villa.get_conflicts() == flat.get_conflicts() == []


async def test_what_was_done_while_apart_arrives() -> None:
    async with home("villa") as villa, home("flat", sync_port=free_port()) as flat:
        await join(flat, villa)
        await flat.stop()
        await until(lambda: not villa.get_synchronized_peers(), "the villa to notice")
        await villa.update_entity("light.hall", {"state": "on"})
        await flat.start()
        assert state(flat, "light.hall") is None
        assert await flat.connect()
        await flat.sync_entities()
        assert state(flat, "light.hall") == "on"


# Strategies


async def test_latest_wins_and_the_loser_is_on_record() -> None:
    async with joined("villa", "flat") as (villa, flat):
        heard: list[Conflict] = []
        villa.on_conflict(heard.append)
        await apart(villa, flat)
        await heal(villa, flat)
        assert state(villa, "light.hall") == state(flat, "light.hall") == "flat"
        await until(lambda: heard, "the conflict")
        for sync, mine, other in ((villa, "villa", "flat"), (flat, "flat", "villa")):
            [conflict] = sync.get_conflicts()
            assert (conflict.entity_id, conflict.strategy) == ("light.hall", "latest-wins")
            assert (conflict.local_version["state"], conflict.remote_version["state"]) == (mine, other)
            assert conflict.resolution is not None
            assert (conflict.resolution["state"], conflict.resolved_by) == ("flat", "flat")


async def test_merge_takes_from_both_sides() -> None:
    async with joined("villa", "flat", strategy="merge") as (villa, flat):
        await apart(villa, flat, "note.hall")
        await heal(villa, flat)
        for sync in (villa, flat):
            entity = sync.get_entity("note.hall")
            assert entity is not None
            assert (entity["state"], entity["attributes"]) == ("flat", {"brightness": 50, "effect": "rain"})


@pytest.mark.parametrize("choice", [{"take": "villa"}, {"take": "flat"}, {"value": {"state": "both"}}])
async def test_somebody_chooses(choice: dict[str, Any]) -> None:
    async with joined("villa", "flat", strategy="user-choice") as (villa, flat):
        await apart(villa, flat)
        await heal(villa, flat)
        await until(lambda: (villa.get_entity("light.hall") or {})["conflict"], "the conflict")
        [conflict] = villa.get_conflicts()
        assert conflict.resolution is None
        await villa.resolve_conflict("light.hall", **choice)
        await villa.sync_entities()
        expected = choice.get("take", "both")
        assert state(villa, "light.hall") == state(flat, "light.hall") == expected
        assert not (flat.get_entity("light.hall") or {})["conflict"]
        [conflict] = villa.get_conflicts()
        assert conflict.resolution is not None
        assert conflict.resolution["state"] == expected


async def test_open_conflict_takes_no_update() -> None:
    async with joined("villa", "flat", strategy="user-choice") as (villa, flat):
        await apart(villa, flat)
        await heal(villa, flat)
        with pytest.raises(Exception, match="open conflict"):
            await villa.update_entity("light.hall", {"state": "on"})


async def test_function_decides_with_what_was_before() -> None:
    seen: list[Any] = []

    def longer(
        local: dict[str, Any], remote: dict[str, Any], before: dict[str, Any] | None
    ) -> dict[str, Any]:
        seen.append(before)
        return max(local, remote, key=lambda side: len(side["state"]))

    async with joined("villa", "flat", strategy=longer) as (villa, flat):
        await apart(villa, flat)
        await heal(villa, flat)
        await until(
            lambda: state(villa, "light.hall") == state(flat, "light.hall") == "villa", "the longer one"
        )
        assert seen
        assert all(before is None or before["state"] == "before" for before in seen)


async def test_function_of_a_resolver_decides() -> None:
    resolver = ConflictResolver("villa")
    resolver.register_strategy(
        "shouting", lambda local, remote: {"state": (local["state"] + remote["state"]).upper()}
    )
    async with joined("villa", "flat", strategy="shouting", resolver=resolver) as (villa, flat):
        await apart(villa, flat)
        await heal(villa, flat)
        await until(lambda: state(villa, "light.hall") in ("VILLAFLAT", "FLATVILLA"), "the function's answer")
        await until(lambda: same(villa, flat), "both to hold it")


def raises(local: dict[str, Any], remote: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("meant to happen")


@pytest.mark.parametrize(
    "function",
    [raises, lambda local, remote: "on", lambda local, remote: None, lambda local, remote: {"state": b""}],
)
async def test_function_that_fails_falls_back_and_is_logged(
    function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "sharing"):
        async with joined("villa", "flat", strategy=function) as (villa, flat):
            await apart(villa, flat)
            await heal(villa, flat)
            await until(lambda: "latest-wins stands in" in caplog.text, "the log")
            await until(
                lambda: state(villa, "light.hall") == state(flat, "light.hall") == "flat", "the latest"
            )
            assert any(one.error for one in villa.get_conflicts() + flat.get_conflicts())


# Much


async def test_ten_thousand_entities() -> None:
    async with home("villa") as villa, home("flat") as flat:
        updates = (
            villa.update_entity(f"sensor.n{number}", {"state": number, "attributes": {"unit": "W"}})
            for number in range(10_000)
        )
        await asyncio.gather(*updates)
        heard = set()
        flat.on_entity_updated(lambda entity_id, entity: heard.add(entity_id))
        await join(villa, flat)
        await flat.sync_entities()
        assert len(heard) == 10_000
        entities = flat.get_all_entities()
        assert len(entities) == 10_000
        assert entities["sensor.n9999"]["state"] == "9999"


async def test_slow_callback_hears_the_newest_value_of_all() -> None:
    async with joined("villa", "flat") as (villa, flat):
        heard: dict[str, str] = {}

        def slow(entity_id: str, entity: dict[str, Any] | None) -> None:
            if not heard:
                import time

                time.sleep(0.5)  # the whole event loop stands still meanwhile
            heard[entity_id] = entity["state"] if entity else ""

        flat.on_entity_updated(slow)
        for chunk in range(6):
            await asyncio.gather(
                *(villa.update_entity(f"sensor.n{n}", {"state": chunk * 1000 + n}) for n in range(1000))
            )
        await until(
            lambda: heard == {f"sensor.n{n}": str(5000 + n) for n in range(1000)},
            "the newest value of every entity",
        )


# Several processes


async def test_two_processes_share() -> None:
    async with home("villa") as villa:
        with Program("sharer.py", "flat", KEY, "0") as flat:
            port = flat.hears(lambda line: "port" in line, "the port")["port"]
            await villa.connect("flat", "127.0.0.1", port)
            await villa.update_entity("light.hall", {"state": "on"})
            await asyncio.to_thread(
                flat.hears, lambda line: line == {"id": "light.hall", "state": "on"}, "the change"
            )
            flat.tell("set light.attic on")
            await until(lambda: state(villa, "light.attic") == "on", "the change of the flat")
            flat.tell("stop")
            assert await asyncio.to_thread(flat.ends) == 0
            await until(lambda: not villa.get_synchronized_peers(), "the goodbye")


async def test_peer_that_vanishes_while_it_sends_is_told_and_comes_again() -> None:
    async with home("villa") as villa:
        with Program("sharer.py", "flat", KEY, "0") as flat:
            port = flat.hears(lambda line: "port" in line, "the port")["port"]
            await villa.connect("flat", "127.0.0.1", port)
            flat.tell("fill 20000")
            await until(lambda: len(villa.get_all_entities()) > 100, "the first of them")
            syncing = asyncio.ensure_future(villa.sync_entities())
            await asyncio.sleep(0)
            flat.kill()
            try:
                await asyncio.wait_for(syncing, 30)
            except PeerUnreachable as error:
                assert "flat" in str(error)
            await until(lambda: not villa.get_synchronized_peers(), "the loss")
            await villa.update_entity("light.hall", {"state": "on"})
        with Program("sharer.py", "flat", KEY, "0") as flat:
            port = flat.hears(lambda line: "port" in line, "the port")["port"]
            await villa.connect("flat", "127.0.0.1", port)
            await villa.sync_entities()
            assert villa.get_synchronized_peers() == {"flat"}
            await asyncio.to_thread(flat.hears, lambda line: line.get("id") == "light.hall", "the change")


def crosshome() -> list[str]:
    """The command: a build of its own, or the one that the package brings."""
    return (
        [os.environ["CROSSHOME_BIN"]]
        if "CROSSHOME_BIN" in os.environ
        else [str(Path(sys.executable).parent / "crosshome")]
    )


async def test_home_of_python_beside_a_daemon(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"""
        home_name: Daemon
        data_dir: {tmp_path / "data"}
        discovery: {{enabled: false}}
        api: {{port: 0}}
        sync:
          bind: 127.0.0.1
          port: 0
          encryption: {{shared_key: {KEY}}}
        """
    )
    command = [*crosshome(), "--data-dir", str(tmp_path / "data")]
    words = [*crosshome(), "run", "--config", str(config)]
    daemon = await asyncio.to_thread(subprocess.Popen[str], words, stderr=subprocess.PIPE, text=True)

    def ask(*words: str) -> str:
        return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout

    def status() -> dict[str, Any] | None:
        asked = subprocess.run([*command, "status", "--json"], capture_output=True, text=True, check=False)
        import json

        return json.loads(asked.stdout) if asked.returncode == 0 else None

    try:
        port = (await until(status, "the daemon"))["sync_port"]
        async with home("villa") as villa:
            await villa.connect("Daemon", "127.0.0.1", port)
            await villa.update_entity("light.hall", {"state": "on", "attributes": {"brightness": 7}})
            await villa.sync_entities()
            assert '"brightness"' in await asyncio.to_thread(ask, "entity", "get", "light.hall", "--json")
            await asyncio.to_thread(ask, "entity", "set", "light.hall", "off")
            await until(lambda: state(villa, "light.hall") == "off", "the daemon's change")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=30)
        if daemon.stderr is not None:
            daemon.stderr.close()
