"""`sharing.sync`, method by method."""

import asyncio
import logging
import threading
from typing import Any

import pytest

import sharing
from homes import KEY, home, join, joined, state
from sharing import ConfigError, NotRunning, PairingError, PeerUnreachable
from sharing.sync import SyncProtocol
from waiting import until

# Names and keys


def test_arguments_have_defaults() -> None:
    sync = SyncProtocol()
    assert sync.peer_id
    assert len(sync.get_encryption_key()) == 64
    assert sync.get_encryption_key() != SyncProtocol().get_encryption_key()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (KEY, KEY),
        (KEY.encode(), KEY),
        (f" {KEY}\n", KEY),
        (bytes(range(32)), bytes(range(32)).hex()),
        (b"\xff" * 32, "ff" * 32),
    ],
)
def test_key_is_told_as_str(given: str | bytes, told: str) -> None:
    assert SyncProtocol("villa", given).get_encryption_key() == told


async def test_raw_key_and_what_is_told_of_it_are_one_key() -> None:
    async with home("villa", b"\xff" * 32) as villa, home("flat", villa.get_encryption_key()) as flat:
        await join(villa, flat)
        assert villa.get_synchronized_peers() == {"flat"}


# Before the start


async def test_local_work_is_kept_and_handed_over_at_the_start() -> None:
    villa, heard = home("villa"), []
    villa.on_entity_updated(lambda entity_id, entity: heard.append((entity_id, entity["state"])))
    await villa.update_entity("light.hall", {"state": "on", "attributes": {"brightness": 7}})
    await villa.update_entity("light.hall", {"state": "off"})
    entity = villa.get_entity("light.hall")
    assert entity is not None
    assert (entity["state"], entity["attributes"], entity["last_updated_by"]) == (
        "off",
        {"brightness": 7},
        "villa",
    )
    assert list(villa.get_all_entities()) == ["light.hall"]
    assert (villa.get_synchronized_peers(), villa.get_conflicts(), villa.is_running) == (set(), [], False)
    async with villa:
        entity = villa.get_entity("light.hall")
        assert entity is not None
        assert (entity["state"], entity["attributes"]) == ("off", {"brightness": 7})
        await until(lambda: heard == [("light.hall", "off")], "the callback")


async def test_connect_and_sync_entities_start_the_home() -> None:
    villa, flat = home("villa"), home("flat")
    await villa.sync_entities()
    assert villa.is_running
    with pytest.raises(PeerUnreachable):
        await flat.connect("cabin", "127.0.0.1", 9)
    assert flat.is_running
    await villa.stop()
    await flat.stop()


# Start and stop


async def test_stopped_home_does_nothing_until_it_is_started_and_then_is_the_same() -> None:
    villa = home("villa")
    await villa.stop()
    await villa.start()
    await villa.start()
    await villa.update_entity("light.hall", {"state": "on"})
    identity = villa.home_id
    await villa.stop()
    await villa.stop()
    for call in (
        lambda: villa.connect(),
        lambda: villa.connect("flat"),
        lambda: villa.disconnect("flat"),
        lambda: villa.sync_entities(),
        lambda: villa.update_entity("light.hall", {"state": "off"}),
        lambda: villa.resolve_conflict("light.hall", take="villa"),
    ):
        with pytest.raises(NotRunning):
            await call()
    for look in (
        lambda: villa.get_entity("light.hall"),
        lambda: villa.get_all_entities(),
        lambda: villa.get_synchronized_peers(),
        lambda: villa.get_conflicts(),
        lambda: villa.sync_port,
        lambda: villa.home_id,
    ):
        with pytest.raises(NotRunning):
            look()
    await villa.start()
    assert villa.home_id == identity
    assert state(villa, "light.hall") == "on"
    await villa.stop()


async def test_starts_at_once_are_one_start() -> None:
    villa = home("villa")
    await asyncio.gather(villa.start(), villa.update_entity("light.hall", {"state": "on"}), villa.start())
    assert state(villa, "light.hall") == "on"
    await asyncio.gather(villa.stop(), villa.stop())
    assert not villa.is_running


async def test_port_that_is_taken_is_told_and_the_local_work_is_kept() -> None:
    async with home("villa") as villa:
        flat = home("flat", sync_port=villa.sync_port)
        await flat.update_entity("light.hall", {"state": "on"})
        with pytest.raises(ConfigError, match=str(villa.sync_port)):
            await flat.start()
        assert state(flat, "light.hall") == "on"


async def test_data_directory_keeps_home_and_entities(tmp_path: Any) -> None:
    async with home("villa", data_dir=tmp_path / "villa") as villa:
        identity = villa.home_id
        await villa.update_entity("light.hall", {"state": "on", "attributes": {"a": [1, {"b": None}]}})
        entity = villa.get_entity("light.hall")
    async with home("villa", data_dir=str(tmp_path / "villa")) as villa:
        assert villa.home_id == identity
        assert villa.get_entity("light.hall") == entity


async def test_data_directory_that_is_in_use_is_told(tmp_path: Any) -> None:
    async with home("villa", data_dir=tmp_path):
        with pytest.raises(sharing.StorageError):
            await home("flat", data_dir=tmp_path).start()


# Connecting


async def test_homes_connect_by_name_prefix_and_id() -> None:
    async with home("villa") as villa, home("holiday") as holiday:
        assert await villa.connect("holiday", "127.0.0.1", holiday.sync_port) is True
        assert await villa.connect("holiday") is True
        assert await villa.connect("holi") is True
        assert await villa.connect(holiday.home_id) is True
        assert await holiday.connect("villa") is True
        assert (villa.get_synchronized_peers(), holiday.get_synchronized_peers()) == ({"holiday"}, {"villa"})


async def test_another_key_is_refused_and_told() -> None:
    async with home("villa") as villa, home("flat", "a key of its own") as flat:
        with pytest.raises(PairingError):
            await villa.connect("flat", "127.0.0.1", flat.sync_port)
        with pytest.raises(PairingError):
            await flat.connect("villa", "127.0.0.1", villa.sync_port)
        assert villa.get_synchronized_peers() == set()


async def test_nobody_and_somebody_else_are_unreachable() -> None:
    async with home("villa") as villa, home("flat") as flat:
        with pytest.raises(PeerUnreachable):
            await villa.connect("cabin", "127.0.0.1", 9)
        with pytest.raises(PeerUnreachable, match="flat answers"):
            await villa.connect("cabin", "127.0.0.1", flat.sync_port)
        with pytest.raises(PeerUnreachable):
            await villa.connect("cabin", "no-such-host.invalid", 8765)
        with pytest.raises(PeerUnreachable, match="cabin"):
            await villa.connect("cabin", timeout=0.3)


async def test_without_anybody_around_connect_waits_and_says_no() -> None:
    async with home("a home that nobody else has", None) as alone:
        began = asyncio.get_running_loop().time()
        assert await alone.connect(timeout=0.2) is False
        assert asyncio.get_running_loop().time() - began < 5


async def test_connect_without_a_name_joins_known_homes_again() -> None:
    async with joined("villa", "flat") as (villa, flat):
        await villa.stop()
        await villa.start()
        assert villa.get_synchronized_peers() == set()
        assert await villa.connect() is True
        assert villa.get_synchronized_peers() == {"flat"}
        await until(lambda: flat.get_synchronized_peers() == {"villa"}, "the flat to notice")


async def test_disconnected_homes_stay_apart_until_the_next_connect() -> None:
    async with joined("villa", "flat") as (villa, flat):
        await villa.disconnect("flat")
        assert villa.get_synchronized_peers() == set()
        await until(lambda: flat.get_synchronized_peers() == set(), "the flat to notice")
        with pytest.raises(PeerUnreachable):
            await flat.connect("villa")
        await villa.update_entity("light.hall", {"state": "on"})
        await asyncio.sleep(1.5)  # longer than the first pause of a reconnect
        assert (flat.get_synchronized_peers(), flat.get_entity("light.hall")) == (set(), None)
        await villa.connect()
        await villa.sync_entities()
        assert state(flat, "light.hall") == "on"


async def test_home_that_nobody_knows_cannot_be_disconnected() -> None:
    async with home("villa") as villa:
        with pytest.raises(PeerUnreachable, match="no home is called flat"):
            await villa.disconnect("flat")


# Entities


async def test_update_replaces_what_it_names_and_keeps_the_rest() -> None:
    async with joined("villa", "flat") as (villa, flat):
        await villa.update_entity(
            "light.hall", {"state": "on", "attributes": {"brightness": 7, "effect": "rain"}}
        )
        await villa.update_entity("light.hall", {"state": "off"})
        await villa.update_entity("light.hall", {"attributes": {"brightness": 9}})
        await villa.sync_entities()
        for sync in (villa, flat):
            entity = sync.get_entity("light.hall")
            assert entity is not None
            assert (entity["state"], entity["attributes"]) == ("off", {"brightness": 9})
            assert (entity["last_updated_by"], entity["home"], entity["conflict"]) == (
                "villa",
                "joint",
                False,
            )
            assert entity["last_updated"].endswith("Z")


async def test_what_was_read_can_be_written_back() -> None:
    async with home("villa") as villa:
        await villa.update_entity("light.hall", {"state": "on", "attributes": {"a": 1}})
        entity = villa.get_entity("light.hall")
        assert entity is not None
        await villa.update_entity("light.hall", entity | {"state": "off"})
        assert state(villa, "light.hall") == "off"


async def test_values_come_back_as_they_were() -> None:
    attributes = {
        "text": 'ä "quoted" \\ \n\x00 🌍',
        "numbers": [0, -1, 2**53, 1.5, 1e300, 0.1],
        "others": [None, True, False, {}, [], {"": ""}],
        "tuple": (1, 2),
    }
    async with joined("villa", "flat") as (villa, flat):
        await villa.update_entity("sensor.odd", {"state": 21.0, "attributes": attributes})
        await villa.sync_entities()
        entity = flat.get_entity("sensor.odd")
        assert entity is not None
        assert entity["state"] == "21.0"
        assert entity["attributes"] == attributes | {"tuple": [1, 2]}


async def test_entities_are_dicts_of_their_own() -> None:
    async with home("villa") as villa:
        await villa.update_entity("light.hall", {"state": "on", "attributes": {"a": [1]}})
        entity = villa.get_entity("light.hall")
        assert entity is not None
        entity["attributes"]["a"].append(2)
        assert villa.get_all_entities()["light.hall"]["attributes"] == {"a": [1]}


# Callbacks


async def test_callbacks_plain_and_async_hear_own_and_other_changes_in_order() -> None:
    async with joined("villa", "flat") as (villa, flat):
        heard: dict[str, list[str]] = {"villa": [], "flat": [], "flat, async": []}

        async def later(entity_id: str, entity: dict[str, Any] | None) -> None:
            await asyncio.sleep(0)
            heard["flat, async"].append(entity["state"] if entity else "")

        villa.on_entity_updated(lambda entity_id, entity: heard["villa"].append(entity["state"]))
        flat.on_entity_updated(lambda entity_id, entity: heard["flat"].append(entity["state"]))
        flat.on_entity_updated(later)
        for number in range(20):
            await villa.update_entity("sensor.n", {"state": number})
            await villa.sync_entities()
        expected = [str(number) for number in range(20)]
        await until(lambda: all(states == expected for states in heard.values()), "all callbacks")


async def test_what_a_callback_raises_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with home("villa") as villa:
        heard = []

        def fails(entity_id: str, entity: object) -> None:
            raise RuntimeError("meant to happen")

        async def fails_later(entity_id: str, entity: object) -> None:
            await asyncio.sleep(0)
            raise RuntimeError("meant to happen later")

        villa.on_entity_updated(fails)
        villa.on_entity_updated(fails_later)
        villa.on_entity_updated(lambda entity_id, entity: heard.append(entity_id))
        with caplog.at_level(logging.ERROR, "sharing"):
            await villa.update_entity("light.hall", {"state": "on"})
            await until(lambda: len(caplog.records) == 2 and heard == ["light.hall"], "two records")
        assert "meant to happen" in caplog.text
        assert "meant to happen later" in caplog.text


async def test_sync_is_complete_once_all_callbacks_were_called() -> None:
    async with joined("villa", "flat") as (villa, flat):
        heard: list[str] = []
        villa.on_entity_updated(lambda entity_id, entity: heard.append(entity_id))
        villa.on_sync_complete(lambda: heard.append("complete"))
        for number in range(300):
            await flat.update_entity(f"sensor.n{number}", {"state": 1})
        await villa.sync_entities()
        assert (len(set(heard)), heard[-1]) == (301, "complete")


async def test_callbacks_run_on_the_event_loop_that_called_start() -> None:
    async with home("villa") as villa:
        heard: list[threading.Thread] = []
        villa.on_entity_updated(lambda entity_id, entity: heard.append(threading.current_thread()))

        async def elsewhere() -> None:
            await villa.update_entity("light.hall", {"state": "on"})
            await villa.sync_entities()

        await asyncio.to_thread(asyncio.run, elsewhere())
        await until(lambda: heard == [threading.current_thread()], "the callback")


# Texts


def test_help_reads_well() -> None:
    for name, member in vars(SyncProtocol).items():
        if not name.startswith("_"):
            text = member.__doc__ or ""
            assert "." in text.splitlines()[0], name
            assert isinstance(member, property) or "Example:" in text, name
    assert repr(SyncProtocol("villa")) == "SyncProtocol('villa')"
