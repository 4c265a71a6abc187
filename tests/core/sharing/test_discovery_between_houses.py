"""`sharing.discovery` as a story: programs in houses with networks of their own, and multicast alone between them."""

from collections.abc import Iterator

import pytest

from houses import Network
from programs import Program


@pytest.fixture(scope="session")
def vanished() -> Iterator[Program]:
    """A program that has seen a chalet whose program was killed a moment ago."""
    with (
        Network(2) as network,
        Program("neighbour.py", "Villa", inside=network.inside(0)) as villa,
        Program("neighbour.py", "Chalet", inside=network.inside(1)) as chalet,
    ):
        villa.hears(lambda line: is_about(line, "discovered", "Chalet"), "the chalet")
        chalet.kill()
        yield villa


def is_about(line: list[object], what: str, name: str) -> bool:
    return line[0] == what and isinstance(line[1], dict) and line[1]["home_id"] == name


def test_homes_in_two_houses_find_each_other_and_say_goodbye(vanished: Program) -> None:
    with (
        Network(2) as network,
        Program("neighbour.py", "Villa", inside=network.inside(0)) as villa,
        Program("neighbour.py", "Chalet", "4711", inside=network.inside(1)) as chalet,
    ):
        _, peer = villa.hears(lambda line: is_about(line, "discovered", "Chalet"), "the chalet")
        assert (peer["addresses"][0], peer["port"], peer["instance_name"]) == (
            network.address(1),
            4711,
            "Chalet",
        )
        _, peer = chalet.hears(lambda line: is_about(line, "discovered", "Villa"), "the villa")
        assert peer["addresses"][0] == network.address(0)
        assert not any(address.startswith("127.") or address == "::1" for address in peer["addresses"])

        chalet.tell("stop")
        villa.hears(lambda line: is_about(line, "lost", "Chalet"), "the goodbye", within=20)
        chalet.tell("start")
        chalet.tell("publish")
        villa.hears(lambda line: is_about(line, "discovered", "Chalet"), "its return")
        chalet.hears(lambda line: is_about(line, "discovered", "Villa"), "the villa again")


def test_home_that_is_killed_and_started_elsewhere_is_the_same_home(vanished: Program) -> None:
    with Network(2) as network, Program("neighbour.py", "Villa", inside=network.inside(0)) as villa:
        with Program("neighbour.py", "Chalet", "1", inside=network.inside(1)) as chalet:
            _, before = villa.hears(lambda line: is_about(line, "discovered", "Chalet"), "the chalet")
            chalet.kill()
        with Program("neighbour.py", "Chalet", "2", inside=network.inside(1)):
            _, after = villa.hears(
                lambda line: is_about(line, "updated", "Chalet") and line[1]["port"] == 2, "it"
            )
    assert after["peer_id"] == before["peer_id"]
    assert all(what in ("published", "discovered", "updated") for what, _ in villa.told), villa.told


def test_homes_of_one_instance_name_end_with_two(vanished: Program) -> None:
    names: dict[str, str] = {}

    def has_both_names(line: list[object]) -> bool:
        if line[0] in ("discovered", "updated") and isinstance(line[1], dict):
            names[line[1]["home_id"]] = line[1]["instance_name"]
        return sorted(names.values()) == ["Villa", "Villa (2)"]

    with Network(3) as network:
        network.plug(1, False)
        with (
            Program("neighbour.py", "Alm", inside=network.inside(2)) as alm,
            Program("neighbour.py", "Villa", inside=network.inside(0)),
            Program("neighbour.py", "Chalet", "2", "Villa", inside=network.inside(1)) as chalet,
        ):
            alm.hears(lambda line: is_about(line, "discovered", "Villa"), "the villa")
            chalet.hears(lambda line: line[0] == "published", "the chalet, which nobody sees")
            network.plug(1, True)
            alm.hears(has_both_names, "two names")
    assert set(names) == {"Villa", "Chalet"}


@pytest.mark.last
def test_home_that_vanished_is_lost_in_the_end(vanished: Program) -> None:
    _, peer = vanished.hears(lambda line: is_about(line, "lost", "Chalet"), "the loss", within=150)
    assert peer["addresses"]
