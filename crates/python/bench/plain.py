"""The yardstick: a plain WebSocket broadcast of the same JSON.

What a program does that does it by itself: a dict on each side, every update one message to whoever is connected, and
everything to whoever comes. No encryption, no store, no acknowledgement, no conflict detection, no compression.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve


class Writer:
    """The server, where entities are updated."""

    def __init__(self) -> None:
        self._entities: dict[str, dict[str, Any]] = {}
        self._readers: set[ServerConnection] = set()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._greet, "127.0.0.1", 0, compression=None, max_queue=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where readers connect."""
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def update(self, entity_id: str, data: dict[str, Any]) -> None:
        """Updates an entity."""
        self._entities[entity_id] = data
        broadcast(self._readers, json.dumps({"entity_id": entity_id, **data}))

    async def _greet(self, reader: ServerConnection) -> None:
        for entity_id, data in list(self._entities.items()):
            await reader.send(json.dumps({"entity_id": entity_id, **data}))
        self._readers.add(reader)
        try:
            await reader.wait_closed()
        finally:
            self._readers.discard(reader)


class Reader:
    """The client, which is told."""

    def __init__(self, told: Callable[[str, dict[str, Any]], None]) -> None:
        self._told = told
        self._entities: dict[str, dict[str, Any]] = {}
        self._connection: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None and self._reading is not None:
            await self._connection.close()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def connect(self, port: int) -> None:
        """Connects to the writer."""
        self._connection = await connect(f"ws://127.0.0.1:{port}", compression=None)
        self._reading = asyncio.create_task(self._read(self._connection))

    async def _read(self, connection: ClientConnection) -> None:
        async for message in connection:
            entity = json.loads(message)
            self._entities[entity["entity_id"]] = entity
            self._told(entity["entity_id"], entity)
