"""The engine: two homes, with encryption, conflict detection and all the rest."""

from collections.abc import Callable
from typing import Any, Self

from sharing import DiscoveryService, SyncProtocol

KEY = "the secret of both benches"


class Home:
    """A home that only looks for others on loopback, where none announces itself."""

    def __init__(self, name: str) -> None:
        # Nobody publishes on this port, and no other network hears of the bench.
        self._discovery = DiscoveryService(name, port=15_399, interfaces=["lo"])
        self._sync = SyncProtocol(name, KEY, host="127.0.0.1", sync_port=0, discovery=self._discovery)

    async def __aenter__(self) -> Self:
        await self._discovery.start()
        await self._sync.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sync.stop()
        await self._discovery.stop()


class Writer(Home):
    """The home in which entities are updated."""

    def __init__(self) -> None:
        super().__init__("writer")

    @property
    def port(self) -> int:
        """Where readers connect."""
        return self._sync.sync_port

    async def update(self, entity_id: str, data: dict[str, Any]) -> None:
        """Updates an entity."""
        await self._sync.update_entity(entity_id, data)


class Reader(Home):
    """The home that is told."""

    def __init__(self, told: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__("reader")
        self._sync.on_entity_updated(told)

    async def connect(self, port: int) -> None:
        """Connects to the writer."""
        await self._sync.connect("writer", "127.0.0.1", port)
