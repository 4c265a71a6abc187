"""What `sharing.sync` refuses, and that nothing has changed then."""

import math
from pathlib import Path
from typing import Any

import pytest

from homes import home, state
from sharing.conflict import ConflictResolver
from sharing.sync import SyncProtocol

CYCLE: dict[str, Any] = {}
CYCLE["itself"] = CYCLE
DEEP: Any = 1
for _ in range(100):
    DEEP = [DEEP]

DATA = {
    "no dict": (["state", "on"], TypeError),
    "nothing": ({}, ValueError),
    "None": (None, TypeError),
    "another name": ({"state": "on", "brightness": 7}, ValueError),
    "a key that is no str": ({1: "on"}, TypeError),
    "a state that is None": ({"state": None}, TypeError),
    "a state that is a truth value": ({"state": True}, TypeError),
    "a state that is bytes": ({"state": b"on"}, TypeError),
    "a state that is a list": ({"state": ["on"]}, TypeError),
    "a state that is NaN": ({"state": math.nan}, ValueError),
    "a state of 10 MB": ({"state": "x" * 10_000_000}, ValueError),
    "half a character": ({"state": "\ud800"}, ValueError),
    "attributes that are a list": ({"attributes": []}, TypeError),
    "attributes that are None": ({"attributes": None}, TypeError),
    "an attribute's key that is no str": ({"attributes": {"a": {2: 3}}}, TypeError),
    "an attribute's key that is half a character": ({"attributes": {"\udfff": 1}}, ValueError),
    "NaN": ({"attributes": {"a": math.nan}}, ValueError),
    "infinity": ({"attributes": {"a": [math.inf]}}, ValueError),
    "bytes": ({"attributes": {"a": b"1"}}, TypeError),
    "a set": ({"attributes": {"a": {1}}}, TypeError),
    "an object": ({"attributes": {"a": object()}}, TypeError),
    "a path": ({"attributes": {"a": Path("/")}}, TypeError),
    "an int beyond 2**53": ({"attributes": {"a": 2**53 + 1}}, ValueError),
    "a huge int": ({"attributes": {"a": 10**400}}, ValueError),
    "a cycle": ({"attributes": CYCLE}, ValueError),
    "100 levels": ({"attributes": {"a": DEEP}}, ValueError),
    "10 MB": ({"attributes": {"a": "x" * 10_000_000}}, ValueError),
    "70 kB in pieces": ({"attributes": {f"a{n}": "x" * 1000 for n in range(70)}}, ValueError),
    "too many values": ({"attributes": {"a": list(range(5000))}}, ValueError),
    "too many attributes": ({"attributes": {f"a{n}": 1 for n in range(513)}}, ValueError),
    "a long name": ({"attributes": {"a" * 257: 1}}, ValueError),
}

IDS = {
    "nothing": ("", ValueError),
    "no dot": ("light", ValueError),
    "two dots": ("light.hall.left", ValueError),
    "no object": ("light.", ValueError),
    "no domain": (".hall", ValueError),
    "upper case": ("Light.hall", ValueError),
    "a blank": ("light.the hall", ValueError),
    "a wildcard": ("light.*", ValueError),
    "a control character": ("light.hall\n", ValueError),
    "half a character": ("light.\ud800", ValueError),
    "a long one": ("light." + "x" * 300, ValueError),
    "None": (None, TypeError),
    "bytes": (b"light.hall", TypeError),
    "an int": (7, TypeError),
}


@pytest.mark.parametrize("running", [False, True], ids=["before the start", "running"])
@pytest.mark.parametrize(("data", "error"), DATA.values(), ids=DATA)
async def test_data_that_no_entity_can_have(data: Any, error: type[Exception], running: bool) -> None:
    sync = home("villa")
    if running:
        await sync.start()
    await sync.update_entity("light.hall", {"state": "before", "attributes": {"a": 1}})
    before = sync.get_all_entities()
    with pytest.raises(error):
        await sync.update_entity("light.hall", data)
    with pytest.raises(error):
        await sync.update_entity("light.attic", data)
    assert sync.get_all_entities() == before
    await sync.stop()


@pytest.mark.parametrize(("entity_id", "error"), IDS.values(), ids=IDS)
async def test_ids_that_are_none(entity_id: Any, error: type[Exception]) -> None:
    for running in (False, True):
        sync = home("villa")
        if running:
            await sync.start()
        with pytest.raises(error):
            await sync.update_entity(entity_id, {"state": "on"})
        with pytest.raises(error):
            sync.get_entity(entity_id)
        assert sync.get_all_entities() == {}
        await sync.stop()


ARGUMENTS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a name that is no str": ({"peer_id": 7}, TypeError),
    "an empty name": ({"peer_id": ""}, ValueError),
    "a long name": ({"peer_id": "x" * 64}, ValueError),
    "a name with a control character": ({"peer_id": "vil\nla"}, ValueError),
    "a short key": ({"encryption_key": "short"}, ValueError),
    "an empty key": ({"encryption_key": b""}, ValueError),
    "a key that is an int": ({"encryption_key": 12345678}, TypeError),
    "a port that is a str": ({"sync_port": "8765"}, TypeError),
    "a port that is a truth value": ({"sync_port": True}, TypeError),
    "a negative port": ({"sync_port": -1}, ValueError),
    "a port beyond 65535": ({"sync_port": 65536}, ValueError),
    "a host that is none": ({"host": "no address"}, ValueError),
    "a host that is no str": ({"host": None}, TypeError),
    "a directory that is bytes": ({"data_dir": b"/tmp"}, TypeError),
    "a directory that is an int": ({"data_dir": 7}, TypeError),
    "an unknown strategy": ({"strategy": "oldest-wins"}, ValueError),
    "custom without a function": ({"strategy": "custom"}, ValueError),
    "a strategy that is none": ({"strategy": 7}, TypeError),
    "a strategy that is async": ({"strategy": test_ids_that_are_none}, TypeError),
    "a strategy of one argument": ({"strategy": lambda local: local}, TypeError),
    "a resolver that is none": ({"resolver": object()}, TypeError),
    "a registry that is none": ({"registry": object()}, TypeError),
    "a discovery that is none": ({"discovery": object()}, TypeError),
}


@pytest.mark.parametrize(("arguments", "error"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_cannot_be(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        SyncProtocol(**({"peer_id": "villa", "encryption_key": "a good passphrase"} | arguments))


def test_error_names_the_argument() -> None:
    with pytest.raises(ValueError, match="encryption_key"):
        SyncProtocol("villa", "short")
    with pytest.raises(ValueError, match="peer_id"):
        SyncProtocol("x" * 64)


def test_error_does_not_tell_the_key() -> None:
    with pytest.raises(ValueError) as caught:
        SyncProtocol("villa", "sekret")
    assert "sekret" not in str(caught.value)


async def test_calls_that_cannot_be() -> None:
    sync = home("villa")
    for arguments, named, error in [
        ((7,), {}, TypeError),
        (("",), {}, ValueError),
        (("villa",), {}, ValueError),
        (("flat", 7), {}, TypeError),
        (("flat", "127.0.0.1", "8765"), {}, TypeError),
        (("flat", "127.0.0.1", 0), {}, ValueError),
        (("flat", "127.0.0.1", 65536), {}, ValueError),
        (("flat",), {"timeout": -1}, ValueError),
        ((), {"timeout": -0.1}, ValueError),
        ((), {"timeout": math.nan}, ValueError),
        ((), {"timeout": "10"}, TypeError),
    ]:
        with pytest.raises(error):
            await sync.connect(*arguments, **named)
    with pytest.raises(TypeError):
        await sync.disconnect(7)  # type: ignore[arg-type]
    for register in (sync.on_entity_updated, sync.on_sync_complete, sync.on_conflict):
        with pytest.raises(TypeError):
            register("no function")  # type: ignore[arg-type]
    for arguments in [(), ("villa", {"state": "on"})]:
        with pytest.raises(ValueError):
            await sync.resolve_conflict("light.hall", *arguments)
    await sync.stop()


async def test_resolver_without_the_function_is_asked_when_it_is_needed() -> None:
    resolver = ConflictResolver("villa")
    async with home("villa", strategy="mine", resolver=resolver) as villa:
        await villa.update_entity("light.hall", {"state": "on"})
        assert state(villa, "light.hall") == "on"
