"""A `SyncProtocol` with a registry, a resolver or a search of its own."""

import socket
from pathlib import Path

import pytest

from homes import home, join, state
from sharing import ConfigError, DiscoveryService, NotRunning, SharedRegistry
from waiting import until


@pytest.fixture
def registry(tmp_path: Path) -> SharedRegistry:
    """A registry in a file of its own."""
    return SharedRegistry(tmp_path / "registry.db", home_id="villa")


# Registry


async def test_only_what_is_registered_as_shared_is_shared(registry: SharedRegistry) -> None:
    registry.register("light.hall", shared=True)
    registry.register("light.attic")
    async with home("villa", registry=registry) as villa, home("flat") as flat:
        await join(villa, flat)
        for entity_id in ("light.hall", "light.attic", "light.cellar"):
            await villa.update_entity(entity_id, {"state": "on"})
        await villa.sync_entities()
        assert list(flat.get_all_entities()) == ["light.hall"]
        assert sorted(villa.get_all_entities()) == ["light.attic", "light.cellar", "light.hall"]


async def test_local_work_before_the_start_obeys_the_registry(registry: SharedRegistry) -> None:
    registry.register("light.hall", shared=True)
    villa = home("villa", registry=registry)
    await villa.update_entity("light.hall", {"state": "on"})
    await villa.update_entity("light.attic", {"state": "on"})
    async with villa, home("flat") as flat:
        await join(villa, flat)
        await villa.sync_entities()
        assert list(flat.get_all_entities()) == ["light.hall"]


async def test_entity_comes_and_goes_as_the_registry_says(registry: SharedRegistry) -> None:
    async with home("villa", registry=registry) as villa, home("flat") as flat:
        await join(villa, flat)
        await villa.update_entity("light.hall", {"state": "on", "attributes": {"brightness": 7}})
        registry.register("light.hall", shared=True)
        await villa.update_entity("light.hall", {"state": "dim"})
        await villa.sync_entities()
        entity = flat.get_entity("light.hall")
        assert entity is not None
        assert (entity["state"], entity["attributes"]) == ("dim", {"brightness": 7})
        for take_back in (
            lambda: registry.update("light.hall", shared=False),
            lambda: registry.unregister("light.hall"),
            lambda: registry.clear(),
        ):
            registry.register("light.hall", shared=True)
            await villa.sync_entities()
            assert state(flat, "light.hall") == "dim"
            take_back()
            await villa.update_entity("light.hall", {"state": "secret"})
            await villa.sync_entities()
            assert state(flat, "light.hall") is None
            assert state(villa, "light.hall") == "secret"
            await villa.update_entity("light.hall", {"state": "dim"})


async def test_one_home_may_see_and_change_what_another_may_not(registry: SharedRegistry) -> None:
    async with home("villa", registry=registry) as villa, home("flat") as flat, home("cabin") as cabin:
        await join(villa, flat, cabin)
        registry.register("light.hall")
        registry.share_with("light.hall", "flat")
        await villa.update_entity("light.hall", {"state": "on"})
        await villa.sync_entities()
        assert (state(flat, "light.hall"), state(cabin, "light.hall")) == ("on", None)
        await flat.update_entity("light.hall", {"state": "off"})
        await until(lambda: state(villa, "light.hall") == "off", "the change of the flat")
        registry.stop_sharing_with("light.hall", "flat")
        await villa.sync_entities()
        assert (state(flat, "light.hall"), state(cabin, "light.hall")) == (None, None)


async def test_change_of_another_process_counts(registry: SharedRegistry, tmp_path: Path) -> None:
    async with home("villa", registry=registry) as villa, home("flat") as flat:
        await join(villa, flat)
        await villa.update_entity("light.hall", {"state": "on"})
        SharedRegistry(tmp_path / "registry.db").register("light.hall", shared=True)
        await until(lambda: state(flat, "light.hall") == "on", "the entity")


async def test_what_was_taken_back_while_the_home_was_stopped_is_taken_back(registry: SharedRegistry) -> None:
    registry.register("light.hall", shared=True)
    villa = home("villa", registry=registry)
    async with home("flat") as flat:
        await villa.start()
        await join(villa, flat)
        await villa.update_entity("light.hall", {"state": "on"})
        await villa.sync_entities()
        assert state(flat, "light.hall") == "on"
        await villa.stop()
        registry.unregister("light.hall")
        await villa.start()
        assert await villa.connect()
        await villa.sync_entities()
        assert state(flat, "light.hall") is None
        await villa.stop()


# Discovery


@pytest.fixture
def discovery() -> DiscoveryService:
    """A search on loopback, on an mDNS port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("0.0.0.0", 0))
        return DiscoveryService("villa", "Villa", port=free.getsockname()[1], interfaces=["lo"])


async def test_home_announces_itself_on_the_search_that_it_is_given(discovery: DiscoveryService) -> None:
    villa = home("villa", discovery=discovery)
    with pytest.raises(NotRunning):
        await villa.start()
    await discovery.start()
    alone = discovery.get_local_peer_info()["peer_id"]
    async with villa:
        info = discovery.get_local_peer_info()
        assert (info["peer_id"], info["port"], info["home_id"]) == (villa.home_id, villa.sync_port, "villa")
        with pytest.raises(ConfigError):
            await home("flat", discovery=discovery).start()
    assert discovery.get_local_peer_info()["peer_id"] == alone
    async with home("flat", discovery=discovery) as flat:
        assert discovery.get_local_peer_info()["peer_id"] == flat.home_id
    await discovery.stop()
