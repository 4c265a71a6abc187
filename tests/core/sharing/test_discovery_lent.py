"""A `DiscoveryService` that a home has borrowed: it announces that home, and the home finds its peers through it."""

import pytest

import sharing
from homes import KEY, home
from sharing import DiscoveryService, SyncProtocol
from waiting import until


def service(name: str, mdns_port: int) -> DiscoveryService:
    return DiscoveryService(name, name, port=mdns_port, sync_port=1, interfaces=["lo"])


async def test_it_announces_the_home_while_that_runs_and_itself_afterwards(mdns_port: int) -> None:
    async with service("Watcher", mdns_port) as watcher, service("Alone", mdns_port) as lent:
        await lent.publish()
        await until(
            lambda: [peer["home_id"] for peer in watcher.get_peers().values()] == ["Alone"], "the service"
        )
        alone = lent.get_local_peer_info()

        async with home("Villa", discovery=lent) as villa:
            await until(lambda: villa.home_id in watcher.get_peers(), "the home")
            await lent.publish()  # still the home
            info, seen = lent.get_local_peer_info(), watcher.get_peers()[villa.home_id]
            assert (info["peer_id"], info["home_id"], info["port"]) == (
                villa.home_id,
                "Villa",
                villa.sync_port,
            )
            assert (seen["home_id"], seen["port"], seen["instance_name"]) == (
                "Villa",
                villa.sync_port,
                "Alone",
            )
            await until(lambda: list(watcher.get_peers()) == [villa.home_id], "the home alone")

        after = lent.get_local_peer_info()
        assert (after["peer_id"], after["home_id"], after["port"]) == (alone["peer_id"], "Alone", 1)
        await until(lambda: not watcher.get_peers(), "its goodbye")
        await lent.publish()
        await until(lambda: list(watcher.get_peers()) == [alone["peer_id"]], "the service again")


async def test_homes_find_each_other_through_it(mdns_port: int) -> None:
    async with (
        service("here", mdns_port) as here,
        service("there", mdns_port) as there,
        home("Villa", discovery=here) as villa,
        home("Chalet", discovery=there) as chalet,
    ):
        await villa.update_entity("light.hall", {"state": "on"})
        assert await chalet.connect(timeout=30)
        await chalet.sync_entities()
        entity = chalet.get_entity("light.hall")
        assert entity is not None
        assert entity["state"] == "on"
        assert chalet.get_synchronized_peers() == {"Villa"}


async def test_it_is_lent_to_one_home_at_a_time(mdns_port: int) -> None:
    async with service("lent", mdns_port) as lent:
        async with home("Villa", discovery=lent):
            with pytest.raises(sharing.ConfigError, match="another home"):
                await home("Chalet", discovery=lent).start()
        async with home("Chalet", discovery=lent) as chalet:
            assert lent.get_local_peer_info()["peer_id"] == chalet.home_id


async def test_home_needs_a_search_that_runs(mdns_port: int) -> None:
    lent = service("lent", mdns_port)
    villa = SyncProtocol("Villa", KEY, host="127.0.0.1", sync_port=0, discovery=lent)
    with pytest.raises(sharing.NotRunning, match="discovery service is not started"):
        await villa.start()
    async with lent:
        await villa.start()
        await villa.stop()


async def test_home_goes_on_when_the_search_is_stopped_under_it(mdns_port: int) -> None:
    async with service("lent", mdns_port) as lent, home("Villa", discovery=lent) as villa:
        await lent.stop()
        await villa.update_entity("light.hall", {"state": "on"})
        assert not await villa.connect(timeout=0.1)
        assert villa.get_all_entities().keys() == {"light.hall"}
