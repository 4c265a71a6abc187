"""The laws of the strategies in `sharing.conflict`, by property: both homes resolve alike."""

import json
from datetime import datetime

import pytest

from sharing.conflict import ConflictResolver

pytest.importorskip("hypothesis", reason="it comes with `pip install crosshome[test]`")
from hypothesis import given, settings
from hypothesis import strategies as st

NOON = "2026-11-24T12:00:00Z"
LATER = "2026-11-24T12:00:01Z"

NAMES = st.sampled_from(["brightness", "hs_color", "color_mode", "a", "ä", "\u0000", "z" * 256])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TIMES = st.one_of(
    st.none(),
    st.sampled_from(["", NOON, "2026-11-24T13:00:00+01:00", "2026-11-24T12:00:00", LATER]),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(datetime.isoformat),
    st.integers(0, 4_000_000_000),
)
VERSIONS = st.fixed_dictionaries(
    {},
    optional={
        "state": st.one_of(st.none(), st.sampled_from(["on", "off"]), st.text(max_size=4)),
        "attributes": st.dictionaries(NAMES, VALUES, max_size=4),
        "last_updated": TIMES,
        "area": VALUES,
    },
)
MINE, THEIRS = ConflictResolver("villa"), ConflictResolver("holiday")


def canonical(value):
    return json.dumps(value, sort_keys=True)


@settings(max_examples=400, deadline=None)
@given(VERSIONS, VERSIONS, st.none() | VERSIONS)
def test_both_sides_resolve_to_the_same(one, other, before):
    for strategy in ("latest-wins", "merge"):
        here = MINE.resolve("light.hall", one, other, strategy, before=before)
        there = THEIRS.resolve("light.hall", other, one, strategy, before=before)
        assert here == there


@settings(max_examples=200, deadline=None)
@given(VERSIONS, VERSIONS)
def test_merge_has_every_key_of_either_and_invents_nothing(one, other):
    resolver = ConflictResolver("villa")
    merged = resolver.resolve("sensor.hall", one, other, "merge")
    if resolver.get_conflict("sensor.hall") is None:
        return  # they say the same
    for key in {*one, *other} - {"state", "attributes"}:
        assert merged[key] in [side[key] for side in (one, other) if key in side]
    ours, theirs = (side.get("attributes", {}) for side in (one, other))
    assert set(merged.get("attributes", {})) == {*ours, *theirs}
    for key, value in merged.get("attributes", {}).items():
        assert value in [side[key] for side in (ours, theirs) if key in side]


@settings(max_examples=200, deadline=None)
@given(VERSIONS, VERSIONS)
def test_merging_once_more_changes_nothing(one, other):
    # With equal times the greater JSON counts, and what has been merged is other JSON.
    one = {"attributes": {}} | one | {"state": "on", "last_updated": NOON}
    other = {"attributes": {}} | other | {"state": "off", "last_updated": LATER}
    merged = MINE.resolve("light.hall", one, other, "merge")
    assert MINE.resolve("light.hall", merged, one, "merge") == merged
    assert MINE.resolve("light.hall", merged, other, "merge") == merged


@settings(max_examples=200, deadline=None)
@given(st.lists(VERSIONS, min_size=3, max_size=3))
def test_latest_wins_orders_all_versions(versions):
    def winner(one, other):
        return canonical(MINE.resolve("light.hall", one, other))

    texts = [canonical(one) for one in versions]
    if len({canonical({**one, "last_updated": None}) for one in versions}) < 3:
        return  # versions that say the same but for the time are no conflict
    best = json.loads(winner(json.loads(winner(versions[0], versions[1])), versions[2]))
    other_way = json.loads(winner(versions[0], json.loads(winner(versions[1], versions[2]))))
    assert canonical(best) == canonical(other_way)
    assert canonical(best) in texts
