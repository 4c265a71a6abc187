"""Tests may be coroutines: each has an event loop of its own."""

import asyncio
import inspect
import socket

import pytest

#: Longest time of one test: what hangs is told, with the place.
LONGEST = 180.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(
        asyncio.wait_for(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}), LONGEST)
    )
    return True


def pytest_configure(config: pytest.Config) -> None:
    """Explains the marker."""
    config.addinivalue_line("markers", "last: what has been waited for meanwhile is looked at in the end")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts those that wait for long to the end, when most of the time has passed."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture
def mdns_port() -> int:
    """A UDP port that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("0.0.0.0", 0))
        port: int = free.getsockname()[1]
        return port
