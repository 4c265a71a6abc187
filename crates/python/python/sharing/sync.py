"""A running home: what is changed in one is there in all that have the same key.

A :class:`SyncProtocol` is a whole home of this process: encrypted links to the other homes, a store, and a record of
what was changed in several homes at the same time. Homes with the same ``encryption_key`` trust each other
unattended and share one namespace of entities; homes with different keys refuse each other and say so.

Example:
    >>> import asyncio
    >>> from sharing.sync import SyncProtocol
    >>> async def main():
    ...     async with SyncProtocol("villa", "our common secret", host="127.0.0.1", sync_port=0) as villa:
    ...         async with SyncProtocol("holiday", "our common secret", host="127.0.0.1", sync_port=0) as holiday:
    ...             await holiday.connect("villa", "127.0.0.1", villa.sync_port)
    ...             await villa.update_entity("light.hall", {"state": "on", "attributes": {"brightness": 100}})
    ...             await villa.sync_entities()
    ...             return holiday.get_entity("light.hall")["attributes"]
    >>> asyncio.run(main())
    {'brightness': 100}
"""

import atexit
import os
import warnings
import weakref
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from sharing import _arguments as arguments
from sharing import _engine
from sharing._strategies import for_home
from sharing.conflict import Conflict, ConflictResolver
from sharing.discovery import DiscoveryService
from sharing.registry import SharedRegistry

__all__ = ["SyncProtocol"]

#: Where a home listens unless somebody says otherwise.
SYNC_PORT = 8765

#: What a callback returns does not matter; what can be awaited is awaited.
_Answer = Awaitable[object] | object

_running: weakref.WeakSet[_engine.Sync] = weakref.WeakSet()


class SyncProtocol:
    """A home that shares entities with the homes that have the same key.

    Before :meth:`start` everything local works: entities can be updated and read, and are handed over when the home
    starts. :meth:`connect` and :meth:`sync_entities` start it. After :meth:`stop` everything but the callbacks' methods
    raises :exc:`~sharing.NotRunning`, until :meth:`start` starts the same home again, with all that it had.

    Callbacks may be plain or ``async``. They run on the event loop that called :meth:`start`; what one raises is
    logged to ``sharing`` and harms nobody. Methods may be called from any thread and any event loop.

    Args:
        peer_id: Name of this home, 1 to 63 bytes, by which others see and connect to it. Default: the host's name.
        encryption_key: The secret of all homes that share: 32 bytes as ``bytes``, hexadecimal or base64, or a passphrase
            of at least 8 characters. Default: a random key, which :meth:`get_encryption_key` tells.
        sync_port: TCP port to listen on; 0 takes any that is free, see :attr:`sync_port`.
        host: Address to listen on, such as ``"127.0.0.1"``; the default is every IPv4 address of this machine.
        data_dir: Folder in which key and entities are kept. Default: nothing outlives the object.
        strategy: What settles a conflict: ``"latest-wins"``, ``"merge"``, ``"user-choice"``, ``"custom"`` or another name
            of a function of ``resolver``; or a function that gets ``(local, remote)`` or ``(local, remote, before)``, dicts
            with ``state``, ``attributes``, ``last_updated``, ``home`` and ``deleted`` (``before`` may be ``None``), and
            returns a dict with ``state``, ``attributes`` or both. One that raises or returns anything else is logged, and
            ``latest-wins`` settles the conflict. It runs on the event loop, and may take up to 10 seconds.
        resolver: Whose registered functions are this home's custom strategies.
        registry: If given, only what is registered there as shared is shared, from now on and as it changes. Everything
            else that this home updates stays with it, under its own name, also where another home has an entity of that id.
            What is shared with some homes only is an entity of this home that they may change.
        discovery: A started search that the home uses instead of one of its own; it then announces this home.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is beyond what is allowed; the message names it.

    Example:
        >>> from sharing.sync import SyncProtocol
        >>> sync = SyncProtocol("villa", "our common secret")
        >>> sync.peer_id
        'villa'
    """

    def __init__(
        self,
        peer_id: str | None = None,
        encryption_key: str | bytes | None = None,
        *,
        sync_port: int = SYNC_PORT,
        host: str = "0.0.0.0",
        data_dir: str | os.PathLike[str] | None = None,
        strategy: str | Callable[..., Mapping[str, Any]] = "latest-wins",
        resolver: ConflictResolver | None = None,
        registry: SharedRegistry | None = None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        resolver = arguments.instance(resolver, ConflictResolver, "resolver")
        registry = arguments.instance(registry, SharedRegistry, "registry")
        discovery = arguments.instance(discovery, DiscoveryService, "discovery")
        name, decide = for_home(strategy, None if resolver is None else resolver.strategy)
        self._engine = _engine.Sync(
            peer_id,
            encryption_key,
            port=arguments.port(sync_port, "sync_port", 0),
            host=host,
            data_dir=arguments.path(data_dir, "data_dir"),
            strategy=name,
            decide=decide,
            discovery=None if discovery is None else discovery._engine,
            registry=None if registry is None else registry._engine,
        )

    @property
    def peer_id(self) -> str:
        """Name of this home."""
        return self._engine.name

    @property
    def home_id(self) -> str:
        """Id of this home: what its key proves, while it runs."""
        return self._engine.id

    @property
    def sync_port(self) -> int:
        """TCP port on which the home listens, while it runs."""
        return self._engine.port

    @property
    def is_running(self) -> bool:
        """Whether the home runs."""
        return self._engine.is_running()

    async def start(self) -> None:
        """Starts the home: it listens, and takes in who connects. It reaches for nobody until :meth:`connect`.

        Starting what runs does nothing. The home runs until :meth:`stop`, also after the event loop has ended.

        Raises:
            ConfigError: The port is taken, or the address is none of this machine.
            StorageError: ``data_dir`` cannot be used.

        Example:
            >>> import asyncio
            >>> from sharing.sync import SyncProtocol
            >>> async def main():
            ...     sync = SyncProtocol("villa", host="127.0.0.1", sync_port=0)
            ...     await sync.start()
            ...     await sync.stop()
            ...     return sync.is_running
            >>> asyncio.run(main())
            False
        """
        starting = self._engine.start()
        if starting is not None:
            await starting
            self._engine.announce()
        _running.add(self._engine)

    async def stop(self) -> None:
        """Says goodbye to the peers and returns when the home has ended; stopping what does not run does nothing.

        Example:
            >>> import asyncio
            >>> from sharing.sync import SyncProtocol
            >>> asyncio.run(SyncProtocol("villa").stop())
        """
        await self._engine.stop()
        self._engine.withdraw()
        _running.discard(self._engine)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def connect(
        self,
        peer_id: str | None = None,
        host: str = "localhost",
        port: int | None = None,
        *,
        timeout: float = 10.0,
    ) -> bool:
        """Connects to one home, or to every home that is known or in sight on the local network.

        Without a name it waits until a home is connected, for at most ``timeout``, and goes on joining
        homes with the same key that come into sight later. It lifts what :meth:`disconnect` has said.

        Args:
            peer_id: The other home's name, its id, or a prefix that only it has.
            host: Where it is, as a name or an address.
            port: Its TCP port. Without one, a home that is known or in sight is reached where it is said to be, and any
                other at port 8765 of ``host``.
            timeout: How long to wait, in seconds.

        Returns:
            Whether a home is connected.

        Raises:
            PairingError: The home has another ``encryption_key``.
            PeerUnreachable: It does not answer, another home does, or it was not found in time.
            TypeError: An argument has the wrong type.
            ValueError: The port, the host or the timeout cannot be.

        Example:
            >>> import asyncio
            >>> from sharing.sync import SyncProtocol
            >>> async def main():
            ...     async with SyncProtocol("villa", host="127.0.0.1", sync_port=0) as sync:
            ...         return await sync.connect(timeout=0.1)
            >>> asyncio.run(main())
            False
        """
        timeout = arguments.seconds(timeout, "timeout")
        if peer_id is None:
            await self._begin()
            return await self._engine.connect_all(timeout)
        if not isinstance(peer_id, str) or not isinstance(host, str):
            raise TypeError("peer_id and host must be str")
        there = f"[{host}]" if ":" in host else host
        fallback = f"{there}:{SYNC_PORT if port is None else arguments.port(port, 'port')}"
        address = None if port is None and host == "localhost" else fallback
        await self._begin()
        await self._engine.connect(peer_id, address, fallback, timeout)
        return True

    async def disconnect(self, peer_id: str) -> None:
        """Ends the connection to a home; none is made, by either side, until the next :meth:`connect` of this one.

        Args:
            peer_id: The other home's name, its id, or a prefix that only it has.

        Raises:
            NotRunning: The home does not run.
            PeerUnreachable: No home of this name is known.

        Example:
            >>> import asyncio
            >>> from sharing import PeerUnreachable
            >>> from sharing.sync import SyncProtocol
            >>> async def main():
            ...     async with SyncProtocol("villa", host="127.0.0.1", sync_port=0) as sync:
            ...         try:
            ...             await sync.disconnect("holiday")
            ...         except PeerUnreachable as error:
            ...             return str(error)
            >>> asyncio.run(main())
            'no home is called holiday'
        """
        if not isinstance(peer_id, str):
            raise TypeError(f"peer_id must be a str, not {type(peer_id).__name__}")
        await self._engine.disconnect(peer_id)

    async def sync_entities(self) -> None:
        """Returns when every connected home holds what this one held at the call, and the other way round.

        The callbacks of :meth:`on_entity_updated` for what has come were called by then, and those of
        :meth:`on_sync_complete` too; of ``async`` ones only the beginning. With nobody connected it returns at once.

        Raises:
            NotRunning: The home was stopped.
            PeerUnreachable: A home went away before both sides held the same, or took more than a minute.

        Example:
            >>> import asyncio
            >>> from sharing.sync import SyncProtocol
            >>> async def main():
            ...     async with SyncProtocol("villa", host="127.0.0.1", sync_port=0) as sync:
            ...         sync.on_sync_complete(lambda: print("in sync"))
            ...         await sync.sync_entities()
            >>> asyncio.run(main())
            in sync
        """
        await self._begin()
        await self._engine.sync_entities()

    async def update_entity(self, entity_id: str, data: Mapping[str, Any]) -> None:
        """Changes an entity, or makes it: ``state`` and ``attributes`` are replaced if named, else kept.

        When it returns the home holds the change; with ``data_dir`` it is on the disk, and survives ``kill -9``.

        Args:
            entity_id: The id, ``domain.object``: lower-case letters, digits and underscores, at most 255 bytes.
            data: A dict with ``state`` (a ``str``, or a number), ``attributes`` (a dict of JSON values by name: at most
                64 KiB, 512 names and 32 levels) or both. What :meth:`get_entity` has added may be in it.

        Raises:
            TypeError: The id is no ``str``, or data hold what is no JSON value.
            ValueError: The id is no ``domain.object``, or data are beyond what is allowed; nothing has changed.
            ConflictOpen: Somebody has to choose first, see :meth:`resolve_conflict`.
            NotAllowed: Another home owns the entity and has not granted this.
            NotRunning: The home was stopped.
            StorageError: The disk takes nothing; nothing has changed.

        Example:
            >>> import asyncio
            >>> from sharing.sync import SyncProtocol
            >>> sync = SyncProtocol("villa")
            >>> asyncio.run(sync.update_entity("light.hall", {"state": "on", "attributes": {"brightness": 7}}))
            >>> asyncio.run(sync.update_entity("light.hall", {"state": "off"}))
            >>> sync.get_entity("light.hall")["attributes"]
            {'brightness': 7}
        """
        updating = self._engine.update_entity(entity_id, data)
        if updating is not None:
            await updating

    def get_entity(self, entity_id: str) -> dict[str, Any] | None:
        """Returns an entity as this home sees it, or ``None`` if there is none.

        Args:
            entity_id: The id; ``home/domain.object`` names one of another home.

        Returns:
            A dict of its own: ``entity_id``, ``state``, ``attributes``, ``last_changed`` (when the state was last changed)
            and ``last_updated`` (when anything was), both ISO 8601 in UTC, ``last_updated_by`` (the home that did it),
            ``home`` (``"joint"`` for what all homes share), and ``conflict`` (whether somebody has to choose).

        Raises:
            TypeError: The id is no ``str``.
            ValueError: It is no ``domain.object``, or several homes have such an entity.
            NotRunning: The home was stopped.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> SyncProtocol("villa").get_entity("light.hall") is None
            True
        """
        return self._engine.get_entity(entity_id)

    def get_all_entities(self) -> dict[str, dict[str, Any]]:
        """Returns every entity by its id, each as :meth:`get_entity` does.

        Raises:
            NotRunning: The home was stopped.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> SyncProtocol("villa").get_all_entities()
            {}
        """
        return self._engine.get_all_entities()

    def get_synchronized_peers(self) -> set[str]:
        """Returns the names of the homes that are connected, whose changes come in as they are made.

        Raises:
            NotRunning: The home was stopped.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> SyncProtocol("villa").get_synchronized_peers()
            set()
        """
        return self._engine.get_synchronized_peers()

    def get_encryption_key(self) -> str:
        """Returns the secret of all homes that share; whoever has it is one of them.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> key = SyncProtocol("villa").get_encryption_key()
            >>> SyncProtocol("holiday", key).get_encryption_key() == key
            True
        """
        return self._engine.key

    def get_conflicts(self) -> list[Conflict]:
        """Returns what was changed in several homes at the same time, the newest first, settled or not.

        Raises:
            NotRunning: The home was stopped.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> SyncProtocol("villa").get_conflicts()
            []
        """
        return self._engine.get_conflicts()

    async def resolve_conflict(
        self, entity_id: str, take: str | None = None, value: Mapping[str, Any] | None = None
    ) -> None:
        """Settles the conflict of an entity, or overrules the strategy that has settled it.

        Args:
            entity_id: The id.
            take: The home whose version is to hold.
            value: What is to hold instead, as for :meth:`update_entity`.

        Raises:
            EntityNotFound: The entity is in no conflict, or that home has no version of it.
            TypeError: An argument has the wrong type.
            ValueError: Neither or both of ``take`` and ``value`` are given, or the value is beyond what is allowed.
            ConflictOpen: Another home has changed it at this very moment: look again.
            NotRunning: The home does not run.

        Example:
            >>> import asyncio
            >>> from sharing import EntityNotFound
            >>> from sharing.sync import SyncProtocol
            >>> async def main():
            ...     async with SyncProtocol("villa", host="127.0.0.1", sync_port=0) as sync:
            ...         try:
            ...             await sync.resolve_conflict("light.hall", take="villa")
            ...         except EntityNotFound as error:
            ...             return str(error)
            >>> asyncio.run(main())
            'no conflict is called light.hall'
        """
        await self._engine.resolve_conflict(entity_id, take, value)

    def on_entity_updated(self, callback: Callable[[str, dict[str, Any] | None], _Answer]) -> None:
        """Has a function called with id and entity whenever an entity changes, here or in another home.

        Changes come in their order. A function that is slower than the changes misses values that were replaced
        meanwhile, never the newest.

        Args:
            callback: Gets ``(entity_id, entity)``, the entity as of :meth:`get_entity`, or ``None`` when it is gone.

        Raises:
            TypeError: It cannot be called.

        Example:
            >>> import asyncio
            >>> from sharing.sync import SyncProtocol
            >>> async def main():
            ...     async with SyncProtocol("villa", host="127.0.0.1", sync_port=0) as sync:
            ...         sync.on_entity_updated(lambda entity_id, entity: print(entity_id, entity["state"]))
            ...         await sync.update_entity("light.hall", {"state": "on"})
            ...         await sync.sync_entities()
            >>> asyncio.run(main())
            light.hall on
        """
        self._engine.on_entity_updated(callback)

    def on_sync_complete(self, callback: Callable[[], _Answer]) -> None:
        """Has a function called, without arguments, whenever :meth:`sync_entities` has come to its end.

        Args:
            callback: Gets nothing.

        Raises:
            TypeError: It cannot be called.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> SyncProtocol("villa").on_sync_complete(lambda: print("in sync"))
        """
        self._engine.on_sync_complete(callback)

    def on_conflict(self, callback: Callable[[Conflict], _Answer]) -> None:
        """Has a function called with each conflict: when it is found, when it grows, and when it is settled.

        Args:
            callback: Gets ``(conflict)``, a :class:`~sharing.conflict.Conflict`.

        Raises:
            TypeError: It cannot be called.

        Example:
            >>> from sharing.sync import SyncProtocol
            >>> SyncProtocol("villa").on_conflict(lambda conflict: print(conflict.entity_id))
        """
        self._engine.on_conflict(callback)

    async def _begin(self) -> None:
        """Starts the home, unless it was stopped."""
        self._engine.check_not_stopped()
        await self.start()

    def __repr__(self) -> str:
        return f"SyncProtocol({self.peer_id!r})"

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None and engine.is_running():
            warnings.warn(f"{self!r} was not stopped", ResourceWarning, source=self, stacklevel=1)


@atexit.register
def _stop_all() -> None:
    """Lets running homes say goodbye before the interpreter ends."""
    for engine in list(_running):
        engine.stop_now()
