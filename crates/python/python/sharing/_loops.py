"""Where the engine meets asyncio: event loops and their executors, and callbacks that can be awaited."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from sharing._engine import Executor

log = logging.getLogger("sharing")

#: The executor of each event loop that has awaited the engine.
executors: WeakKeyDictionary[asyncio.AbstractEventLoop, Executor] = WeakKeyDictionary()

# An event loop keeps no task alive by itself.
_following: set[asyncio.Future[Any]] = set()


def attach(
    loop: asyncio.AbstractEventLoop, descriptor: int, run: Callable[[], None], executor: Executor
) -> None:
    """Lets an event loop call its executor, and forgets those of loops that are closed."""
    for closed in [known for known in list(executors) if known.is_closed()]:
        executors.pop(closed, None)
    loop.add_reader(descriptor, run)
    executors[loop] = executor


def follow(callback: Callable[..., object], answer: object) -> None:
    """Runs what a callback has returned as a task, if it can be awaited."""
    if not inspect.isawaitable(answer):
        return
    try:
        task = asyncio.ensure_future(answer)
    except RuntimeError as error:  # no event loop is running on this thread
        if inspect.iscoroutine(answer):
            answer.close()
        failed(callback, error)
        return

    def ended(task: asyncio.Future[Any]) -> None:
        _following.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failed(callback, error)

    _following.add(task)
    task.add_done_callback(ended)


def failed(callback: Callable[..., object], error: BaseException) -> None:
    """Logs what a callback has raised."""
    log.error("callback %r failed", callback, exc_info=error)
