"""`sharing.sync` as a story: programs in houses with networks of their own find each other by `connect()` alone."""

import pytest

from homes import KEY
from houses import Network
from programs import Program


def sharer(network: Network, house: int, name: str, key: str = KEY) -> Program:
    return Program("sharer.py", name, key, "8765", "", "0.0.0.0", inside=network.inside(house))


def connects(program: Program, seconds: float = 30) -> bool:
    program.tell(f"connect-all {seconds}")
    connected: bool = program.hears(lambda line: "connected" in line, "an answer", within=60)["connected"]
    return connected


def test_two_processes_with_one_key_find_each_other_and_converge() -> None:
    with Network(2) as network, sharer(network, 0, "villa") as villa, sharer(network, 1, "flat") as flat:
        villa.tell("set light.hall on")
        flat.tell("set light.attic off")
        assert connects(villa)
        assert connects(flat)
        villa.tell("sync")
        assert villa.hears(lambda line: "synced" in line, "the same on both sides")["synced"] == 2
        assert {"id": "light.attic", "state": "off"} in villa.told
        network.plug(1, False)
        villa.tell("set light.hall dim")
        flat.tell("set light.attic dim")
        network.plug(1, True)
        villa.hears(
            lambda line: line == {"id": "light.attic", "state": "dim"}, "the flat's change", within=90
        )
        flat.hears(lambda line: line == {"id": "light.hall", "state": "dim"}, "the villa's change", within=90)


def test_home_that_comes_later_is_joined_too() -> None:
    with Network(2) as network, sharer(network, 0, "villa") as villa:
        villa.tell("set light.hall on")
        assert not connects(villa, 0.5)
        with sharer(network, 1, "flat") as flat:
            flat.hears(lambda line: "port" in line, "the start")
            flat.hears(
                lambda line: line == {"id": "light.hall", "state": "on"}, "the villa's entity", within=60
            )


@pytest.mark.parametrize("key", ["a key of its own"])
def test_home_with_another_key_is_left_alone(key: str) -> None:
    with Network(2) as network, sharer(network, 0, "villa") as villa, sharer(network, 1, "flat", key) as flat:
        assert not connects(villa, 4)
        assert not connects(flat, 1)
