"""Functions that people give to objects without a life of their own: the registry and the resolver."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from sharing._loops import failed, follow

_Loop = weakref.ref[asyncio.AbstractEventLoop]


class Listeners:
    """The functions to call when one kind of thing happens, in the order in which they were given.

    A function that was given on an event loop is called on that one as long as it runs; any other is called at once, by
    whoever tells. What one raises is logged and harms nobody.
    """

    def __init__(self) -> None:
        self._all: list[tuple[Callable[..., object], _Loop | None]] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, callback: Callable[..., object]) -> None:
        """Adds a function; anything else is a ``TypeError``."""
        check(callback)
        loop = _running()
        self._all.append((callback, None if loop is None else weakref.ref(loop)))

    def tell(self, *arguments: object) -> None:
        """Calls every function."""
        here = _running()
        for callback, given_on in list(self._all):
            loop = None if given_on is None else given_on()
            if loop is None or loop is here or not loop.is_running():
                _call(callback, arguments)
                continue
            try:
                loop.call_soon_threadsafe(_call, callback, arguments)
            except RuntimeError:  # closed since the line above
                _call(callback, arguments)


def check(callback: Callable[..., object]) -> None:
    """Raises ``TypeError`` for what cannot be called."""
    if not callable(callback):
        raise TypeError(f"a callback must be callable, not {type(callback).__name__}")


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _call(callback: Callable[..., object], arguments: tuple[object, ...]) -> None:
    try:
        answer = callback(*arguments)
        if isinstance(answer, Awaitable) and _running() is None:
            asyncio.run(_awaited(answer))
        else:
            follow(callback, answer)
    except Exception as error:
        failed(callback, error)


async def _awaited(answer: Awaitable[Any]) -> None:
    await answer
