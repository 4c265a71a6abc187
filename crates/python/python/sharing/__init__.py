"""Homes that trust each other share chosen entities.

Four doors to one engine, which is compiled:

- :class:`sharing.discovery.DiscoveryService` finds homes on the local network and announces this one;
- :class:`sharing.sync.SyncProtocol` is a running home: encrypted links, conflict detection, and a store;
- :class:`sharing.registry.SharedRegistry` keeps which entities are shared, and with whom;
- :class:`sharing.conflict.ConflictResolver` settles what was changed in two homes at the same time.

Example:
    >>> import asyncio
    >>> from sharing import SyncProtocol
    >>> async def main():
    ...     async with SyncProtocol("villa", "a secret of both homes", sync_port=0) as villa:
    ...         await villa.update_entity("light.hall", {"state": "on"})
    ...         return villa.get_entity("light.hall")["state"]
    >>> asyncio.run(main())
    'on'
"""

from sharing._engine import __version__
from sharing._errors import (
    ConfigError,
    ConflictOpen,
    EntityNotFound,
    NotAllowed,
    NotRunning,
    PairingError,
    PeerUnreachable,
    SharingError,
    StorageError,
)
from sharing.conflict import Conflict, ConflictResolver, get_resolver
from sharing.discovery import DiscoveryService
from sharing.registry import SharedEntity, SharedRegistry, get_registry
from sharing.sync import SyncProtocol

__all__ = [
    "ConfigError",
    "Conflict",
    "ConflictOpen",
    "ConflictResolver",
    "DiscoveryService",
    "EntityNotFound",
    "NotAllowed",
    "NotRunning",
    "PairingError",
    "PeerUnreachable",
    "SharedEntity",
    "SharedRegistry",
    "SharingError",
    "StorageError",
    "SyncProtocol",
    "__version__",
    "get_registry",
    "get_resolver",
]
