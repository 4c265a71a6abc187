"""Homes of this process, on loopback."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sharing.sync import SyncProtocol

KEY = "our common secret"


def home(name: str, key: str | bytes | None = KEY, **options: Any) -> SyncProtocol:
    """A home that is not started, on a port of its own."""
    where: dict[str, Any] = {"sync_port": 0, "host": "127.0.0.1"}
    return SyncProtocol(name, key, **(where | options))


def free_port() -> int:
    """A TCP port that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def join(one: SyncProtocol, *others: SyncProtocol) -> None:
    """Connects a home to others."""
    for other in others:
        await one.connect(other.peer_id, "127.0.0.1", other.sync_port)


@asynccontextmanager
async def joined(*names: str, **options: Any) -> AsyncIterator[list[SyncProtocol]]:
    """Running homes, each connected to all others."""
    async with AsyncExitStack() as stack:
        homes = [await stack.enter_async_context(home(name, **options)) for name in names]
        for number, one in enumerate(homes):
            await join(one, *homes[number + 1 :])
        yield homes


def state(sync: SyncProtocol, entity_id: str) -> str | None:
    """What a home sees."""
    entity = sync.get_entity(entity_id)
    return None if entity is None else entity["state"]
