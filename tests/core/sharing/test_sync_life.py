"""The life of a `SyncProtocol` beside that of event loops, threads, processes and the interpreter."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homes import KEY, home, join, joined, state
from sharing import NotRunning
from sharing.sync import SyncProtocol
from waiting import until, wait


def threads() -> int:
    """How many threads this process has, those of the engine too."""
    return len(os.listdir("/proc/self/task"))


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


# Event loops


def test_one_object_lives_through_several_event_loops() -> None:
    villa, heard = home("villa"), []
    villa.on_entity_updated(lambda entity_id, entity: heard.append(entity["state"]))

    async def run(number: int) -> None:
        async with villa:
            await villa.update_entity("light.hall", {"state": number})
            await villa.sync_entities()

    for number in range(3):
        asyncio.run(run(number))
    assert heard == ["0", "1", "2"]


def test_home_outlives_its_event_loop_and_is_stopped_from_another() -> None:
    villa = home("villa")

    async def begin() -> None:
        await villa.start()
        await villa.update_entity("light.hall", {"state": "on"})

    asyncio.run(begin())
    assert state(villa, "light.hall") == "on"

    async def go_on() -> None:
        await villa.update_entity("light.hall", {"state": "off"})
        await villa.sync_entities()

    asyncio.run(go_on())
    assert state(villa, "light.hall") == "off"
    asyncio.run(villa.stop())


def test_event_loops_leave_nothing_behind() -> None:
    async def story() -> None:
        async with joined("villa", "flat") as (villa, flat):
            await villa.update_entity("light.hall", {"state": "on"})
            await flat.sync_entities()

    asyncio.run(story())
    gc.collect()
    before = (threads(), descriptors())
    for _ in range(5):
        asyncio.run(story())
    gc.collect()
    wait(lambda: threads() <= before[0], "the threads to end")
    assert descriptors() <= before[1]


def test_sync_methods_need_no_event_loop() -> None:
    villa = home("villa")
    asyncio.run(villa.start())
    assert (villa.get_all_entities(), villa.get_entity("light.hall"), villa.get_conflicts()) == ({}, None, [])
    with pytest.raises(RuntimeError, match="event loop"):
        villa.update_entity("light.hall", {"state": "on"}).send(None)
    asyncio.run(villa.stop())


# Cancellation


async def test_cancelled_call_is_whole_or_not_there_and_harms_nothing() -> None:
    async with home("villa") as villa:
        for number in range(50):
            update = asyncio.ensure_future(villa.update_entity("light.hall", {"state": number}))
            await asyncio.sleep(0)
            update.cancel()
            with pytest.raises(asyncio.CancelledError):
                await update
        await villa.update_entity("light.hall", {"state": "last"})
        assert state(villa, "light.hall") == "last"


async def test_waiting_for_peers_can_be_cancelled() -> None:
    async with home("a home that nobody else has", None) as villa:
        for call in (lambda: villa.connect(timeout=60), lambda: villa.connect("nobody", timeout=60)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(), 0.1)
        assert state(villa, "light.hall") is None


async def test_start_that_is_cancelled_goes_on() -> None:
    villa = home("villa")
    starting = asyncio.ensure_future(villa.start())
    await asyncio.sleep(0)
    starting.cancel()
    await until(lambda: villa.is_running, "the start")
    await villa.stop()


# Threads


async def test_many_threads_use_one_home() -> None:
    async with home("villa") as villa:

        def work(number: int) -> None:
            async def all_of_it() -> None:
                for n in range(30):
                    await villa.update_entity(f"sensor.t{number}", {"state": n})
                    assert state(villa, f"sensor.t{number}") == str(n)

            asyncio.run(all_of_it())

        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(8)))
        assert {entity["state"] for entity in villa.get_all_entities().values()} == {"29"}


def test_callbacks_can_be_given_from_any_thread() -> None:
    villa, heard = home("villa"), []
    adding = threading.Thread(
        target=villa.on_entity_updated, args=(lambda entity_id, entity: heard.append(entity_id),)
    )
    adding.start()
    adding.join()

    async def story() -> None:
        async with villa:
            await villa.update_entity("light.hall", {"state": "on"})
            await villa.sync_entities()

    asyncio.run(story())
    assert heard == ["light.hall"]


# Garbage


def test_home_that_nobody_holds_is_stopped_with_a_warning() -> None:
    async def story() -> weakref.ref[SyncProtocol]:
        villa = home("villa")
        villa.on_entity_updated(lambda entity_id, entity: print(villa, entity_id))  # a cycle
        await villa.start()
        await villa.update_entity("light.hall", {"state": "on"})
        return weakref.ref(villa)

    before = threads()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        villa = asyncio.run(story())
        gc.collect()
    assert villa() is None
    assert any(issubclass(warning.category, ResourceWarning) for warning in caught)
    caught.clear()  # a warning holds what it warns of
    gc.collect()
    wait(lambda: threads() <= before, "the threads to end")


async def test_home_that_nobody_holds_says_goodbye() -> None:
    async with home("flat") as flat:
        villa = home("villa")
        await villa.start()
        await join(villa, flat)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del villa
            gc.collect()
        await until(lambda: not flat.get_synchronized_peers(), "the goodbye")


# Processes


def forked(call: Callable[[], object]) -> int:
    """Calls a function in a fork of this process and returns its exit code; a negative one means that it hung."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            call()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    watch = threading.Timer(30, os.kill, (child, signal.SIGKILL))
    watch.start()
    ended = os.waitpid(child, 0)[1]
    watch.cancel()
    return os.waitstatus_to_exitcode(ended)


async def test_fork_cannot_use_the_home_and_does_not_harm_it() -> None:
    async with joined("villa", "flat") as (villa, flat):

        def use() -> None:
            for look in (villa.get_all_entities, villa.get_synchronized_peers, villa.get_conflicts):
                with pytest.raises(NotRunning, match="forked"):
                    look()

            async def call() -> None:
                for waiting in (
                    villa.update_entity("light.hall", {"state": "on"}),
                    villa.stop(),
                    villa.sync_entities(),
                ):
                    with pytest.raises(NotRunning, match="forked"):
                        await waiting
                async with home("child") as child:
                    await child.update_entity("light.hall", {"state": "on"})

            asyncio.run(call())

        for _ in range(3):
            assert await asyncio.to_thread(forked, use) == 0
            await villa.update_entity("light.hall", {"state": "on"})
            await villa.sync_entities()
            assert state(flat, "light.hall") == "on"


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", script, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


EXITS = {
    "by its end": "",
    "by sys.exit": "sys.exit(0)",
    "by an exception": "raise KeyboardInterrupt",
    "by os._exit": "os._exit(0)",
}


@pytest.mark.parametrize("way", EXITS.values(), ids=EXITS)
@pytest.mark.parametrize("inside", [True, False], ids=["in the event loop", "after it"])
def test_interpreter_ends_while_homes_run(way: str, inside: bool, tmp_path: Path) -> None:
    script = f"""
import asyncio, os, sys, threading
from sharing.sync import SyncProtocol

def leave():
    {way or "pass"}

async def main():
    homes = [SyncProtocol(name, "{KEY}", sync_port=0, host="127.0.0.1", data_dir=data_dir)
             for name, data_dir in (("villa", sys.argv[1]), ("flat", None))]
    for sync in homes:
        sync.on_entity_updated(lambda entity_id, entity: None)
        await sync.start()
    await homes[0].connect("flat", "127.0.0.1", homes[1].sync_port)
    pending = [asyncio.ensure_future(homes[0].update_entity("light.l%d" % n, {{"state": n}})) for n in range(500)]
    await homes[0].update_entity("light.hall", {{"state": "on"}})
    print("here", flush=True)
    if {inside}:
        leave()
    return homes, pending

homes = asyncio.run(main())
leave()
"""
    ended = run(script, str(tmp_path / "villa"))
    assert ended.stdout == "here\n", ended.stderr
    assert ended.returncode in ((0,) if "raise" not in way else (1, 130, -2)), ended.stderr
    for word in ("panicked", "Fatal", "Segmentation"):
        assert word not in ended.stderr

    async def look() -> Any:
        async with home("villa", data_dir=tmp_path / "villa") as villa:
            return state(villa, "light.hall")

    assert asyncio.run(look()) == "on"


def test_home_that_runs_at_the_exit_says_goodbye(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from sharing.sync import SyncProtocol

async def main():
    villa = SyncProtocol("villa", "{KEY}", sync_port=0, host="127.0.0.1")
    await villa.connect("flat", "127.0.0.1", int(sys.argv[1]))
    return villa

villa = asyncio.run(main())
"""

    async def story() -> None:
        async with home("flat") as flat:
            ended = await asyncio.to_thread(run, script, str(flat.sync_port))
            assert ended.returncode == 0, ended.stderr
            await until(lambda: flat.get_synchronized_peers() == set(), "the goodbye")

    asyncio.run(story())
