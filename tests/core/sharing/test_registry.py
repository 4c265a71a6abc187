"""`sharing.registry`, method by method: what it keeps, what it refuses, and whom it tells."""

import asyncio
import gc
import logging
import os
import pathlib
import pickle
import threading
import time
import weakref

import pytest

from sharing import EntityNotFound, SharingError
from sharing.registry import SharedEntity, SharedRegistry, get_registry


@pytest.fixture
def path(tmp_path):
    return tmp_path / "registry.db"


@pytest.fixture
def registry(path):
    return SharedRegistry(path, home_id="villa")


# ---- what it keeps ----


def test_registered_entity_has_every_field(registry):
    entity = registry.register("light.living_room", shared=True, name="Sofa", area="ground floor")
    assert (entity.entity_id, entity.name, entity.domain) == ("light.living_room", "Sofa", "light")
    assert entity.shared is True
    assert (entity.home_id, entity.last_updated_by, entity.shared_with) == ("villa", "villa", [])
    assert entity.metadata == {"name": "Sofa", "area": "ground floor"}
    assert entity.last_updated.endswith("Z")
    assert registry.get("light.living_room") == entity


def test_nothing_is_shared_unless_said(registry):
    assert registry.register("light.hall").shared is False
    assert registry.register("light.hall").name == "light.hall"
    assert not registry.is_shared("light.hall")
    assert registry.get_shared() == {}
    assert list(registry.get_all()) == ["light.hall"]
    assert "light.hall" in registry
    assert len(registry) == 1


def test_registering_again_says_anew_who_may_see_it_and_keeps_metadata(registry):
    registry.register("light.hall", shared=True, area="hall")
    registry.share_with("light.hall", "holiday")
    entity = registry.register("light.hall", shared=True, floor=1)
    assert entity.metadata == {"area": "hall", "floor": 1}
    assert entity.shared_with == ["holiday"]
    taken = registry.register("light.hall")
    assert (taken.shared, taken.shared_with) == (False, [])


def test_home_that_registers_is_named(registry):
    entity = registry.register("light.hall", home_id="annex")
    assert (entity.home_id, entity.last_updated_by) == ("annex", "annex")
    assert registry.update("light.hall", area="hall").last_updated_by == "villa"


def test_update_changes_what_it_names(registry):
    registry.register("light.hall", area="hall", floor=1)
    assert registry.update("light.hall", shared=True).metadata == {"area": "hall", "floor": 1}
    entity = registry.update("light.hall", floor=None, name="Lamp")
    assert (entity.shared, entity.name) == (True, "Lamp")
    assert entity.metadata == {"area": "hall", "name": "Lamp"}
    assert registry.update("light.hall", name=None).name == "light.hall"
    assert registry.update("light.hall", shared=False).shared is False


def test_asking_for_what_is_so_changes_nothing(registry):
    heard = []
    before = registry.register("light.hall", shared=True, area="hall")
    registry.on_entity_updated(lambda *heard_of: heard.append(heard_of))
    time.sleep(0.003)
    assert registry.register("light.hall", shared=True, area="hall") == before
    assert registry.update("light.hall", shared=True, area="hall") == before
    assert heard == []


def test_entity_is_shared_with_homes_by_name(registry):
    registry.register("light.hall")
    assert registry.share_with("light.hall", "holiday").shared is True
    registry.share_with("light.hall", "annex")
    registry.share_with("light.hall", "holiday")
    assert registry.get_shared_with("light.hall") == ["holiday", "annex"]
    assert list(registry.get_shared()) == ["light.hall"]
    assert registry.stop_sharing_with("light.hall", "holiday") is True
    assert registry.stop_sharing_with("light.hall", "holiday") is False
    registry.stop_sharing_with("light.hall", "annex")
    assert registry.is_shared("light.hall") is False


def test_one_home_is_left_out_of_all(registry):
    registry.register("light.hall", shared=True)
    assert registry.stop_sharing_with("light.hall", "holiday") is True
    assert registry.stop_sharing_with("light.hall", "holiday") is False
    assert registry.is_shared("light.hall")
    registry.share_with("light.hall", "holiday")
    assert registry.stop_sharing_with("light.hall", "holiday") is True


def test_unknown_id_is_an_error_where_something_was_to_change(registry):
    with pytest.raises(EntityNotFound) as raised:
        registry.update("light.nobody_has", shared=True)
    assert all(isinstance(raised.value, kind) for kind in (KeyError, ValueError, SharingError))
    assert "light.nobody_has" in str(raised.value)
    with pytest.raises(EntityNotFound):
        registry.share_with("light.nobody_has", "holiday")
    with pytest.raises(EntityNotFound):
        registry.update("not an id", shared=True)


def test_unknown_id_is_harmless_elsewhere(registry):
    for unknown in ("light.nobody_has", "not an id", ""):
        assert registry.unregister(unknown) is False
        assert registry.stop_sharing_with(unknown, "holiday") is False
        assert registry.get(unknown) is None
        assert registry.get_shared_with(unknown) == []
        assert registry.is_shared(unknown) is False
        assert unknown not in registry


def test_unregister_and_clear_forget(registry):
    registry.register("light.hall", shared=True)
    registry.register("light.roof")
    assert registry.unregister("light.hall") is True
    assert list(registry.get_all()) == ["light.roof"]
    registry.register("light.hall")
    assert registry.clear() == 2
    assert registry.get_all() == {}
    assert registry.clear() == 0


def test_entity_is_a_value(registry):
    entity = registry.register("light.hall", shared=True, nested={"a": [1, 2.5, None, True]})
    assert entity == registry.get("light.hall")
    assert entity is not registry.get("light.hall")
    assert repr(entity).startswith("SharedEntity(entity_id='light.hall', name='light.hall', domain='light'")
    assert pickle.loads(pickle.dumps(entity)) == entity
    assert SharedEntity(**entity.to_dict()) == entity
    with pytest.raises(AttributeError):
        entity.shared = False
    entity.metadata["nested"]["a"].clear()
    assert registry.get("light.hall").metadata == {"nested": {"a": [1, 2.5, None, True]}}


def test_path_may_be_text_or_path_and_its_folder_is_made(tmp_path):
    inside = tmp_path / "a" / "b" / "registry.db"
    SharedRegistry(str(inside)).register("light.hall")
    assert list(SharedRegistry(storage_path=pathlib.Path(inside)).get_all()) == ["light.hall"]
    assert inside.stat().st_mode & 0o077 == 0


def test_registry_without_a_path_stands_in_the_data_directory(tmp_path, monkeypatch):
    if pathlib.Path("/config/.copilot").is_dir():
        pytest.skip("this machine is a Home Assistant")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    SharedRegistry().register("light.hall")
    assert (tmp_path / "crosshome" / "registry.db").is_file()
    assert list(SharedRegistry().get_all()) == ["light.hall"]


def test_process_has_one_registry_per_file(path, tmp_path):
    registry = get_registry(path)
    assert get_registry(str(path)) is registry
    assert get_registry(tmp_path / "other.db") is not registry
    assert get_registry() is get_registry()


# ---- what it refuses ----

CYCLE: dict = {}
CYCLE["self"] = CYCLE
DEEP: dict = {}
for _ in range(100):
    DEEP = {"in": DEEP}

BAD_METADATA = {
    "NaN": (float("nan"), ValueError),
    "infinity": (float("inf"), ValueError),
    "bytes": (b"on", TypeError),
    "a set": ({1}, TypeError),
    "an object": (object(), TypeError),
    "a key that is no str": ({1: 2}, TypeError),
    "a cycle": (CYCLE, ValueError),
    "100 levels": (DEEP, ValueError),
    "10 MB": ("x" * 10_000_000, ValueError),
    "10 MB in many": (["x" * 1000] * 10_000, ValueError),
    "too many values": ([0] * 5000, ValueError),
    "an int beyond 2**53": (2**60, ValueError),
    "half a character": ("\ud800", ValueError),
}


@pytest.mark.parametrize("what", BAD_METADATA)
def test_metadata_that_are_no_json_are_refused_and_nothing_changes(registry, what):
    value, error = BAD_METADATA[what]
    before = registry.register("light.hall", area="hall")
    with pytest.raises(error):
        registry.register("light.hall", shared=True, bad=value)
    with pytest.raises(error):
        registry.update("light.hall", shared=True, bad=value)
    with pytest.raises(error):
        registry.register("light.roof", bad=value)
    assert registry.get_all() == {"light.hall": before}


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_name_of_metadata_has_1_to_256_bytes(registry, name):
    with pytest.raises(ValueError):
        registry.register("light.hall", **{name: 1})
    assert len(registry) == 0


def test_entity_grows_no_further_than_its_limit(registry):
    registry.register("light.hall", a="x" * 40_000)
    with pytest.raises(ValueError):
        registry.update("light.hall", b="x" * 40_000)
    with pytest.raises(ValueError):
        registry.register("light.roof", **{f"k{n}": n for n in range(600)})
    assert set(registry.get("light.hall").metadata) == {"a"}


BAD_IDS = [
    "",
    "light",
    "light.",
    ".hall",
    "a.b.c",
    "Light.Hall",
    "light.hä",
    "light hall",
    "light.<b>",
    "l.\0",
    "x." + "a" * 255,
]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_id_is_domain_and_object(registry, bad):
    with pytest.raises(ValueError, match="entity id"):
        registry.register(bad, shared=True)
    assert len(registry) == 0


def test_error_shows_what_was_given_but_not_ten_megabytes_of_it(registry):
    with pytest.raises(ValueError, match=r'entity_id "Light\.Hall": an entity id'):
        registry.register("Light.Hall")
    with pytest.raises(ValueError, match=r'home_id " villa": a home name'):
        registry.share_with(registry.register("light.hall").entity_id, " villa")
    with pytest.raises(ValueError) as raised:
        registry.register("x" * 10_000_000)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("bad", [None, 1, b"light.hall", ["light.hall"], object()])
def test_id_of_another_type_is_a_type_error_everywhere(registry, bad):
    calls = [
        lambda: registry.register(bad),
        lambda: registry.update(bad, shared=True),
        lambda: registry.unregister(bad),
        lambda: registry.get(bad),
        lambda: registry.is_shared(bad),
        lambda: registry.share_with(bad, "holiday"),
        lambda: registry.stop_sharing_with(bad, "holiday"),
        lambda: registry.get_shared_with(bad),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    assert len(registry) == 0


@pytest.mark.parametrize("bad", [1, "yes", None, 0.5])
def test_shared_is_true_or_false(registry, bad):
    with pytest.raises(TypeError):
        registry.register("light.hall", shared=bad)
    assert len(registry) == 0


BAD_HOMES = [
    ("", ValueError),
    (" x", ValueError),
    ("a\nb", ValueError),
    ("x" * 100, ValueError),
    ("joint", ValueError),
    (1, TypeError),
    (b"x", TypeError),
]


@pytest.mark.parametrize("bad, error", BAD_HOMES)
def test_home_has_a_name(registry, path, bad, error):
    before = registry.register("light.hall", shared=True)
    with pytest.raises(error):
        registry.share_with("light.hall", bad)
    with pytest.raises(error):
        registry.stop_sharing_with("light.hall", bad)
    with pytest.raises(error):
        registry.register("light.hall", home_id=bad)
    with pytest.raises(error):
        SharedRegistry(path, home_id=bad)
    assert registry.get("light.hall") == before


def test_entity_names_so_many_homes_and_no_more(registry):
    registry.register("light.hall")
    for number in range(256):
        registry.share_with("light.hall", f"home {number}")
    with pytest.raises(ValueError, match="everyone"):
        registry.share_with("light.hall", "one more")
    assert len(registry.get_shared_with("light.hall")) == 256


@pytest.mark.parametrize("bad", [1, b"registry.db", object()])
def test_path_of_another_type_is_a_type_error(bad):
    with pytest.raises(TypeError):
        SharedRegistry(bad)


def test_callback_that_cannot_be_called_is_refused_and_none_is_taken(registry):
    heard = []
    with pytest.raises(TypeError):
        registry.on_entity_updated("no function")
    with pytest.raises(TypeError):
        registry.register_callback(on_registered=heard.append, on_updated=3)
    registry.register("light.hall")
    assert heard == []


# ---- whom it tells ----


def test_callbacks_hear_what_comes_changes_and_goes(registry):
    heard = []
    registry.on_entity_updated(lambda entity_id, entity: heard.append(("updated", entity_id, entity.shared)))
    registry.register_callback(
        on_updated=lambda entity_id, entity, old: heard.append((entity_id, old.shared, entity.shared)),
        on_registered=lambda entity: heard.append(("registered", entity.entity_id)),
        on_unregistered=lambda entity_id: heard.append(("unregistered", entity_id)),
    )
    registry.register("light.hall")
    registry.update("light.hall", shared=True)
    registry.share_with("light.hall", "holiday")
    registry.unregister("light.hall")
    assert heard == [
        ("registered", "light.hall"),
        ("updated", "light.hall", True),
        ("light.hall", False, True),
        ("updated", "light.hall", True),
        ("light.hall", True, True),
        ("unregistered", "light.hall"),
    ]


def test_async_callback_is_awaited_with_and_without_a_loop(registry):
    heard = []

    async def hear(entity_id, entity):
        await asyncio.sleep(0)
        heard.append((entity_id, entity.metadata["n"]))

    registry.on_entity_updated(hear)
    registry.register("light.hall", n=0)
    registry.update("light.hall", n=1)
    assert heard == [("light.hall", 1)]

    async def on_a_loop():
        registry.update("light.hall", n=2)
        await asyncio.sleep(0.05)

    asyncio.run(on_a_loop())
    assert heard == [("light.hall", 1), ("light.hall", 2)]


def test_callback_is_called_on_the_loop_on_which_it_was_given(registry):
    registry.register("light.hall")

    async def story():
        loop, heard, done = asyncio.get_running_loop(), [], asyncio.Event()

        def hear(*_):
            heard.append((threading.current_thread(), asyncio.get_running_loop()))
            done.set()

        registry.on_entity_updated(hear)
        await asyncio.to_thread(registry.update, "light.hall", shared=True)
        await asyncio.wait_for(done.wait(), 5)
        assert heard == [(threading.current_thread(), loop)]

    asyncio.run(story())
    registry.update("light.hall", shared=False)  # the loop is gone: called at once


def test_callback_that_raises_is_logged_and_harms_nobody(registry, caplog):
    heard = []
    registry.register("light.hall")
    registry.on_entity_updated(lambda *_: 1 / 0)
    registry.on_entity_updated(lambda entity_id, _: heard.append(entity_id))
    with caplog.at_level(logging.ERROR, logger="sharing"):
        assert registry.update("light.hall", shared=True).shared
    assert heard == ["light.hall"]
    assert "ZeroDivisionError" in caplog.text


def test_keyboard_interrupt_comes_through(registry):
    def interrupt(*_):
        raise KeyboardInterrupt

    registry.register("light.hall")
    registry.on_entity_updated(interrupt)
    with pytest.raises(KeyboardInterrupt):
        registry.update("light.hall", shared=True)
    assert registry.is_shared("light.hall")


def test_callback_may_change_the_registry_and_order_stays(registry):
    heard = []

    def hear(entity_id, entity):
        heard.append(entity.metadata["n"])
        if entity.metadata["n"] < 5:
            registry.update(entity_id, n=entity.metadata["n"] + 1)

    registry.on_entity_updated(hear)
    registry.register("light.hall", n=0)
    registry.update("light.hall", n=1)
    assert heard == [1, 2, 3, 4, 5]


def test_registries_on_one_file_hear_of_each_other(registry, path):
    heard = []
    other = SharedRegistry(path)
    other.register_callback(on_registered=lambda entity: heard.append(entity.entity_id))
    registry.register("light.hall")
    assert heard == ["light.hall"]


def test_threads_share_a_registry(registry):
    heard = []
    registry.register_callback(on_registered=lambda entity: heard.append(entity.entity_id))
    registry.register("light.hall")

    def work(worker):
        for number in range(20):
            registry.register(f"light.w{worker}_{number}")
            registry.share_with("light.hall", f"home {worker} {number}")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry) == 81
    assert len(registry.get_shared_with("light.hall")) == 80
    assert sorted(heard) == sorted(registry.get_all())


def test_registry_that_nobody_holds_goes_although_a_callback_holds_it(path):
    def story():
        registry = SharedRegistry(path)
        registry.on_entity_updated(lambda *_: registry.get_all())
        registry.register("light.hall")
        return weakref.ref(registry)

    gone = story()
    gc.collect()
    assert gone() is None
    assert os.path.exists(path)
