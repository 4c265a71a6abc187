"""`sharing.conflict`, method by method: the strategies and their laws, what is kept, what is refused."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest

from sharing import StorageError
from sharing.conflict import Conflict, ConflictResolver, get_resolver

NOON = "2026-11-24T12:00:00Z"
LATER = "2026-11-24T12:00:01Z"


@pytest.fixture
def resolver():
    return ConflictResolver("villa")


def version(state="on", at=NOON, **attributes):
    return {"state": state, "attributes": attributes, "last_updated": at}


def latest(resolver, local, remote):
    return resolver.resolve("light.hall", local, remote)


# ---- latest-wins ----


def test_later_version_wins_as_a_whole(resolver):
    old, new = version("on", NOON, brightness=1), version("off", LATER, effect="rain")
    assert latest(resolver, old, new) == new
    assert latest(resolver, new, old) == new
    assert resolver.resolve("light.hall", old, new, "latest-wins") == new


@pytest.mark.parametrize(
    "earlier, later",
    [
        ("2026-11-24T13:00:00+01:00", "2026-11-24T12:00:01Z"),  # as texts they stand the other way round
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:00.000001+00:00"),
        ("2026-11-24T11:59:59", "2026-11-24T13:00:00+01:00"),  # without offset it is UTC
        ("2026-11-24T12:00:00z", "2026-11-24 12:00:01"),
        ("2026-11-24T23:30:00-01:00", "2026-11-25T00:30:01Z"),
        ("2026-11-24", "2026-11-24T00:00:00.5"),
        (1_764_000_000, 1_764_000_000.5),
        ("1970-01-01T00:00:00Z", 1),
        (datetime(2026, 11, 24, 12), datetime(2026, 11, 24, 14, 0, 1, tzinfo=timezone(timedelta(hours=2)))),
        (None, "1970-01-01T00:00:00Z"),
        ("", "1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_compared_as_instants(resolver, earlier, later):
    old, new = version("zz", earlier), version("aa", later)
    assert latest(resolver, old, new) == new
    assert latest(resolver, new, old) == new


def test_version_with_a_time_beats_one_without(resolver):
    timed, timeless = version("a"), {"state": "z", "attributes": {}}
    assert latest(resolver, timed, timeless) == timed
    assert latest(resolver, timeless, timed) == timed


@pytest.mark.parametrize(
    "stateless", [{"attributes": {"a": 1}, "last_updated": LATER}, {"state": None, "last_updated": LATER}]
)
def test_version_without_a_state_loses(resolver, stateless):
    assert latest(resolver, version("a"), stateless) == version("a")
    assert latest(resolver, stateless, version("a")) == version("a")


def test_tie_goes_to_the_greater_canonical_json_on_either_side(resolver):
    low, high = version("off"), version("on")
    assert latest(resolver, low, high) == high
    assert latest(resolver, high, low) == high


# ---- merge ----


def test_merge_keeps_the_keys_of_either_side_and_the_later_wins(resolver):
    old = {
        "state": "on",
        "attributes": {"brightness": 1, "effect": "rain"},
        "last_updated": NOON,
        "area": "hall",
    }
    new = {"state": "off", "attributes": {"brightness": 2, "color": "red"}, "last_updated": LATER, "floor": 1}
    both = {
        "state": "off",
        "attributes": {"brightness": 2, "effect": "rain", "color": "red"},
        "last_updated": LATER,
        "area": "hall",
        "floor": 1,
    }
    assert resolver.resolve("light.hall", old, new, "merge") == both
    assert resolver.resolve("light.hall", new, old, "merge") == both


def test_merge_takes_nested_objects_and_lists_as_values(resolver):
    old, new = version(at=NOON, a={"x": 1}, b=[1]), version(at=LATER, a={"y": 2}, b=[2, 3])
    assert resolver.resolve("light.hall", old, new, "merge")["attributes"] == {"a": {"y": 2}, "b": [2, 3]}


def test_merge_with_attributes_on_one_side(resolver):
    merged = resolver.resolve(
        "light.hall", {"state": "on"}, {"state": "off", "attributes": {"a": 1}}, "merge"
    )
    assert merged["attributes"] == {"a": 1}
    assert "attributes" not in resolver.resolve("light.hall", {"state": "on"}, {"state": "off"}, "merge")


def test_merge_with_before_takes_what_only_one_side_has_changed(resolver):
    before = version("on", "2026-11-24T11:00:00Z", brightness=1, effect="none", note="x")
    old = version("off", NOON, brightness=2, effect="none", note="x")  # state and brightness
    new = version("on", LATER, brightness=3, effect="rain")  # brightness and effect, and the note is gone
    for local, remote in ((old, new), (new, old)):
        merged = resolver.resolve("light.hall", local, remote, "merge", before=before)
        assert merged == version("off", LATER, brightness=3, effect="rain")


def test_merge_with_before_keeps_together_what_depends_on_each_other(resolver):
    before = version("on", "2026-11-24T11:00:00Z", color_mode="hs", hs_color=[1, 1])
    old = version("on", NOON, color_mode="color_temp", hs_color=[1, 1])
    new = version("on", LATER, color_mode="hs", hs_color=[9, 9])
    merged = resolver.resolve("light.hall", old, new, "merge", before=before)
    assert merged["attributes"] == {"color_mode": "hs", "hs_color": [9, 9]}


def test_change_beats_a_removal(resolver):
    before = version("on", "2026-11-24T11:00:00Z", note="x")
    old, new = version("on", NOON, note="y"), version("on", LATER)
    assert resolver.resolve("note.milk", old, new, "merge", before=before)["attributes"] == {"note": "y"}


# ---- the other strategies ----


def test_user_choice_returns_local_and_leaves_it_open(resolver):
    old, new = version("on"), version("off", LATER)
    assert resolver.resolve("light.hall", old, new, "user-choice") == old
    conflict = resolver.get_conflict("light.hall")
    assert (conflict.resolution, conflict.resolved_by, conflict.resolved_at) == (None, None, None)
    assert (conflict.local_version, conflict.remote_version, conflict.strategy) == (old, new, "user-choice")
    assert conflict.detected_at


def test_either_side_can_be_said_to_win(resolver):
    assert resolver.resolve("light.hall", version("a"), version("b"), "local-wins") == version("a")
    assert resolver.resolve("light.hall", version("a"), version("b"), "remote-wins") == version("b")


def test_function_settles_with_and_without_before(resolver):
    seen = []
    resolver.register_strategy("custom", lambda local, remote: {"state": local["state"] + remote["state"]})
    resolver.register_strategy("third", lambda local, remote, before: seen.append(before) or remote)
    resolver.register_strategy("maybe", lambda local, remote, before=None: seen.append(before) or remote)
    resolver.register_strategy("any", lambda *versions: seen.append(len(versions)) or versions[0])
    assert resolver.resolve("light.hall", version("a"), version("b"), "custom") == {"state": "ab"}
    resolver.resolve("light.hall", version("a"), version("b"), "third", before=version("c"))
    resolver.resolve("light.hall", version("a"), version("b"), "third")
    resolver.resolve("light.hall", version("a"), version("b"), "maybe", before=version("c"))
    resolver.resolve("light.hall", version("a"), version("b"), "any")
    assert seen == [version("c"), None, version("c"), 3]


def test_function_may_be_a_method_a_class_or_be_handed_over_directly(resolver):
    class Taste:
        def settle(self, local, remote, before):
            return remote

        def __call__(self, local, remote):
            return local

    resolver.register_strategy("method", Taste().settle)
    resolver.register_strategy("object", Taste())
    assert resolver.resolve("light.hall", version("a"), version("b"), "method") == version("b")
    assert resolver.resolve("light.hall", version("a"), version("b"), "object") == version("a")
    assert resolver.resolve(
        "light.hall", version("a"), version("b"), lambda local, remote: remote
    ) == version("b")
    assert resolver.get_conflict("light.hall").strategy == "custom"


@pytest.mark.parametrize(
    "broken",
    [
        lambda local, remote: 1 / 0,
        lambda local, remote: None,
        lambda local, remote: "on",
        lambda local, remote: [local],
        lambda local, remote: {"state": float("nan")},
        lambda local, remote: {"state": b"on"},
        lambda local, remote: {1: 2},
        lambda local, remote: {"attributes": ["x"]},
        lambda local, remote: {"state": "x" * 10_000_000},
    ],
)
def test_function_that_fails_falls_back_to_latest_wins_and_says_so(resolver, caplog, broken):
    resolver.register_strategy("custom", broken)
    with caplog.at_level(logging.ERROR, logger="sharing"):
        assert resolver.resolve("light.hall", version("on"), version("off", LATER), "custom") == version(
            "off", LATER
        )
    conflict = resolver.get_conflict("light.hall")
    assert (conflict.resolution, conflict.strategy) == (version("off", LATER), "custom")
    assert conflict.error
    assert "latest-wins" in caplog.text


def test_function_cannot_change_what_it_was_given(resolver):
    def greedy(local, remote):
        local["attributes"].clear()
        remote["state"] = "mine"
        return remote

    old, new = version("on", NOON, a=1), version("off", LATER, b=[1])
    resolver.register_strategy("custom", greedy)
    result = resolver.resolve("light.hall", old, new, "custom")
    result["attributes"]["b"].append(2)
    assert (old, new) == (version("on", NOON, a=1), version("off", LATER, b=[1]))
    conflict = resolver.get_conflict("light.hall")
    assert (conflict.local_version, conflict.remote_version) == (old, new)
    assert conflict.resolution["attributes"] == {"b": [1]}


@pytest.mark.parametrize("strategy", ["latest-wins", "merge", "user-choice", "local-wins", "remote-wins"])
def test_what_is_returned_is_a_dict_of_its_own(resolver, strategy):
    old, new = version("on", NOON, a=[1]), version("off", LATER, a=[1])
    resolver.resolve("light.hall", old, new, strategy)["attributes"]["a"].append(2)
    assert old["attributes"] == new["attributes"] == {"a": [1]}


# ---- what is kept ----


@pytest.mark.parametrize(
    "one, other",
    [
        (version(), version()),
        (version(at=NOON), version(at="2026-11-24T13:00:00+01:00")),
        ({"state": "on", "attributes": {"a": 1, "b": 2}}, {"attributes": {"b": 2.0, "a": 1}, "state": "on"}),
        ({"state": "on", "last_updated_by": "villa"}, {"state": "on", "last_updated_by": "holiday"}),
    ],
)
def test_versions_that_say_the_same_are_no_conflict(resolver, one, other):
    heard = []
    resolver.register_conflict_callback(heard.append)
    for strategy in ("latest-wins", "merge", "user-choice", "remote-wins"):
        assert resolver.resolve("light.hall", one, other, strategy)["state"] == "on"
    assert resolver.get_conflict("light.hall") is None
    assert resolver.get_active_conflicts() == []
    assert heard == []


def test_conflict_has_every_field(resolver):
    old, new = version("on"), version("off", LATER)
    resolver.resolve("light.hall", old, new)
    conflict = resolver.get_conflict("light.hall")
    assert isinstance(conflict, Conflict)
    assert (conflict.entity_id, conflict.strategy, conflict.resolved_by) == (
        "light.hall",
        "latest-wins",
        "villa",
    )
    assert (conflict.local_version, conflict.remote_version, conflict.resolution) == (old, new, new)
    assert conflict.detected_at.endswith("Z")
    assert conflict.resolved_at >= conflict.detected_at
    assert conflict.error is None
    assert Conflict(**conflict.to_dict()) == conflict
    assert repr(conflict).startswith("Conflict(entity_id='light.hall'")


def test_conflicts_are_kept_by_entity_until_cleared(resolver):
    for entity_id in ("light.b", "light.a"):
        resolver.resolve(entity_id, version("on"), version("off"))
    resolver.resolve("light.a", version("on"), version("off"), "user-choice")
    assert [conflict.entity_id for conflict in resolver.get_active_conflicts()] == ["light.a", "light.b"]
    assert resolver.get_conflict("light.a").strategy == "user-choice"
    assert resolver.clear_conflict("light.a") is True
    assert resolver.clear_conflict("light.a") is False
    assert resolver.clear_conflict("not an id") is False
    assert resolver.get_conflict("light.a") is None
    assert resolver.clear_all_conflicts() == 1
    assert resolver.get_active_conflicts() == []


def test_resolvers_in_memory_know_nothing_of_each_other(resolver):
    resolver.resolve("light.hall", version("on"), version("off"))
    assert ConflictResolver("villa").get_active_conflicts() == []


def test_conflicts_survive_in_a_file(tmp_path):
    path = tmp_path / "conflicts.db"
    ConflictResolver("villa", storage_path=path).resolve(
        "light.hall", version("on"), version("off"), "user-choice"
    )
    code = """
import sys
from sharing.conflict import ConflictResolver
print(*[conflict.entity_id for conflict in ConflictResolver(storage_path=sys.argv[1]).get_active_conflicts()])
"""
    out = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    ).stdout
    assert out.split() == ["light.hall"]
    path.write_bytes(b"garbage")
    with pytest.raises(StorageError, match="damaged"):
        ConflictResolver("villa", storage_path=path)
    assert [
        name for name in os.listdir(tmp_path) if ".damaged-" in name and name.endswith(tuple("0123456789"))
    ]
    assert ConflictResolver("villa", storage_path=path).get_active_conflicts() == []


def test_file_of_a_registry_holds_no_conflicts(tmp_path):
    from sharing.registry import SharedRegistry

    path = tmp_path / "registry.db"
    registry = SharedRegistry(path)
    registry.register("light.hall")
    with pytest.raises(StorageError, match="conflicts"):
        ConflictResolver("villa", storage_path=path)
    assert list(registry.get_all()) == ["light.hall"]


def test_resolver_of_the_process_is_one():
    assert get_resolver() is get_resolver("villa")
    assert ConflictResolver().home_id


# ---- whom it tells ----


def test_callbacks_hear_of_each_conflict(resolver, caplog):
    heard = []
    resolver.register_conflict_callback(lambda conflict: 1 / 0)
    resolver.register_conflict_callback(heard.append)

    async def hear(conflict):
        await asyncio.sleep(0)
        heard.append(conflict.entity_id)

    resolver.register_conflict_callback(hear)
    resolver.resolve("light.hall", version("on"), version("off"))
    assert heard == [resolver.get_conflict("light.hall"), "light.hall"]
    assert "ZeroDivisionError" in caplog.text


def test_threads_share_a_resolver(resolver):
    def work(worker):
        for number in range(50):
            resolver.resolve(f"light.w{worker}_{number}", version("on"), version("off"), "merge")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(resolver.get_active_conflicts()) == 200


# ---- what is refused ----

CYCLE: dict = {"state": "on"}
CYCLE["attributes"] = CYCLE
DEEP: dict = {}
for _ in range(100):
    DEEP = {"in": DEEP}

BAD_VERSIONS = {
    "None": (None, TypeError),
    "a str": ("on", TypeError),
    "a list of pairs": ([("state", "on")], TypeError),
    "NaN": ({"state": float("nan")}, ValueError),
    "bytes": ({"state": b"on"}, TypeError),
    "a key that is no str": ({"state": "on", 1: 2}, TypeError),
    "an attribute that is no str": (version(a=1) | {"attributes": {1: 2}}, TypeError),
    "attributes that are no dict": ({"attributes": [1]}, TypeError),
    "a cycle": (CYCLE, ValueError),
    "100 levels": ({"attributes": DEEP}, ValueError),
    "10 MB": ({"attributes": {"a": "x" * 10_000_000}}, ValueError),
    "600 attributes": ({"attributes": {f"k{n}": n for n in range(600)}}, ValueError),
    "a name of 257 bytes": ({"attributes": {"k" * 257: 1}}, ValueError),
    "an attribute without a name": ({"attributes": {"": 1}}, ValueError),
    "no time": ({"state": "on", "last_updated": "yesterday"}, ValueError),
    "a time that is not": ({"state": "on", "last_updated": "2026-02-30T12:00:00Z"}, ValueError),
    "a time beyond all": ({"state": "on", "last_updated": 1e300}, ValueError),
    "a time of another type": ({"state": "on", "last_updated": [1]}, (TypeError, ValueError)),
    "half a character": ({"state": "\ud800"}, ValueError),
}


@pytest.mark.parametrize("what", BAD_VERSIONS)
def test_bad_version_is_refused_on_either_side_and_nothing_is_kept(resolver, what):
    bad, error = BAD_VERSIONS[what]
    for strategy in ("latest-wins", "merge", "user-choice", "local-wins"):
        with pytest.raises(error):
            resolver.resolve("light.hall", bad, version(), strategy)
        with pytest.raises(error):
            resolver.resolve("light.hall", version(), bad, strategy)
        if bad is not None:
            with pytest.raises(error):
                resolver.resolve("light.hall", version("a"), version("b"), strategy, before=bad)
    assert resolver.get_active_conflicts() == []


@pytest.mark.parametrize(
    "bad, error",
    [
        ("Light.Hall", ValueError),
        ("light", ValueError),
        ("", ValueError),
        (None, TypeError),
        (b"light.hall", TypeError),
    ],
)
def test_bad_id_is_refused(resolver, bad, error):
    with pytest.raises(error):
        resolver.resolve(bad, version("a"), version("b"))
    assert resolver.get_active_conflicts() == []


@pytest.mark.parametrize(
    "bad, error",
    [("newest", ValueError), ("", ValueError), ("custom", ValueError), (None, TypeError), (3, TypeError)],
)
def test_unknown_strategy_is_refused(resolver, bad, error):
    with pytest.raises(error):
        resolver.resolve("light.hall", version("a"), version("b"), bad)
    assert resolver.get_active_conflicts() == []


async def settle_later(local, remote):
    return local


@pytest.mark.parametrize(
    "name, fn, error",
    [
        ("latest-wins", lambda local, remote: local, ValueError),
        ("", lambda local, remote: local, ValueError),
        (1, lambda local, remote: local, TypeError),
        ("custom", "no function", TypeError),
        ("custom", lambda: None, TypeError),
        ("custom", lambda one: one, TypeError),
        ("custom", lambda one, two, three, four: one, TypeError),
        ("custom", settle_later, TypeError),
    ],
)
def test_what_is_no_strategy_is_refused(resolver, name, fn, error):
    with pytest.raises(error):
        resolver.register_strategy(name, fn)
    with pytest.raises(ValueError):
        resolver.resolve("light.hall", version("a"), version("b"), "custom")


@pytest.mark.parametrize(
    "bad, error",
    [("", ValueError), ("a\nb", ValueError), ("x" * 100, ValueError), (1, TypeError), (b"villa", TypeError)],
)
def test_home_has_a_name(bad, error):
    with pytest.raises(error):
        ConflictResolver(bad)


def test_wrong_types_elsewhere(resolver):
    with pytest.raises(TypeError):
        resolver.register_conflict_callback(None)
    with pytest.raises(TypeError):
        resolver.get_conflict(1)
    with pytest.raises(TypeError):
        resolver.clear_conflict(None)
    with pytest.raises(TypeError):
        ConflictResolver("villa", storage_path=b"conflicts.db")
