"""Homes on the local network: who is there, and the announcement of this one.

Homes announce themselves by multicast DNS (service type ``_copilot._tcp``), so nothing has to be configured. What is seen is
a suggestion where to find a home; who answers there is proven when a :class:`~sharing.sync.SyncProtocol` connects.

Example:
    >>> import asyncio
    >>> from sharing.discovery import DiscoveryService
    >>> async def main():
    ...     async with DiscoveryService("Villa", port=15353, interfaces=["lo"]) as discovery:
    ...         await discovery.publish()
    ...         return await discovery.discover_peers_async(timeout=0.2)
    >>> asyncio.run(main())
    {}
"""

import asyncio
import atexit
import time
import weakref
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypedDict

from sharing import _arguments as arguments
from sharing import _engine

__all__ = ["DiscoveryService", "LocalPeerInfo", "PeerInfo"]


class PeerInfo(TypedDict):
    """Another home as it announces itself: nothing of it is proven."""

    peer_id: str
    """Its id; that of a running home is the hash of its key."""
    home_id: str
    """What it is called."""
    instance_name: str
    """Its DNS-SD name, which a collision may have given a number."""
    version: str
    """Version of its software; empty when it does not say."""
    capabilities: list[str]
    """What it can do, such as ``sync``."""
    addresses: list[str]
    """Its IP addresses, best first."""
    port: int
    """The TCP port on which it takes peers."""
    last_seen: str
    """When it was last heard of: ISO 8601 in UTC, to the millisecond."""


class LocalPeerInfo(TypedDict):
    """This home as it announces itself."""

    peer_id: str
    """Its id: that of the home that runs on the service, else the first 16 hex digits of SHA-256(home_id)."""
    home_id: str
    """What it is called."""
    instance_name: str
    """Its DNS-SD name, with a number if another home had it first."""
    version: str
    """Version of its software."""
    capabilities: list[str]
    """What it can do."""
    port: int
    """The TCP port on which it takes peers."""
    timestamp: str
    """The present moment: ISO 8601 in UTC, to the millisecond."""


class DiscoveryService:
    """Finds homes on the local network and announces this one.

    Alone it announces that a program is there that may be connected to at ``sync_port``. Given to a
    :class:`~sharing.sync.SyncProtocol`, it announces that home, and the home finds its peers through it.

    Args:
        home_id: Name of this home, 1 to 63 bytes; default: the name of this computer.
        instance_name: DNS-SD name to ask for; if another home has it, a number is added.
        port: UDP port of multicast DNS; any other than 5353 makes a world of its own, for tests.
        sync_port: TCP port that is announced while no home runs on the service.
        interfaces: Names of the network interfaces to use; default: all that are up and capable of multicast.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A name that cannot be announced, or a port that is none.

    Example:
        >>> from sharing.discovery import DiscoveryService
        >>> DiscoveryService("Villa").get_local_peer_info()["home_id"]
        'Villa'
    """

    def __init__(
        self,
        home_id: str | None = None,
        instance_name: str = "CoPilot",
        *,
        port: int = 5353,
        sync_port: int = 8765,
        interfaces: Sequence[str] | None = None,
    ) -> None:
        mdns_port, tcp_port = arguments.port(port, "port"), arguments.port(sync_port, "sync_port")
        self._engine = _engine.Discovery(home_id, instance_name, mdns_port, tcp_port, interfaces)
        _all.add(self._engine)

    async def start(self) -> None:
        """Begins to look for homes; callbacks run on the event loop that awaits this.

        On a service that runs already it only moves the callbacks to this event loop.

        Raises:
            ConfigError: Another program has the port and does not share it.
            SharingError: The system gives no thread or no socket.

        Example:
            >>> import asyncio
            >>> from sharing.discovery import DiscoveryService
            >>> async def main():
            ...     discovery = DiscoveryService("Villa", port=15353, interfaces=["lo"])
            ...     await discovery.start()
            ...     await discovery.stop()
            >>> asyncio.run(main())
        """
        self._engine.start()

    async def stop(self) -> None:
        """Says goodbye and ends the search; callbacks are kept for the next :meth:`start`.

        A service that does not run stays as it is. A home that was given this service is no longer announced and finds no new
        addresses until it is started anew.

        Example:
            >>> import asyncio
            >>> from sharing.discovery import DiscoveryService
            >>> asyncio.run(DiscoveryService().stop())
        """
        await self._engine.stop()

    async def publish(self) -> None:
        """Announces this home; others see it after about a second, as its name is asked for first.

        Raises:
            NotRunning: Before :meth:`start` or after :meth:`stop`.

        Example:
            >>> import asyncio
            >>> from sharing.discovery import DiscoveryService
            >>> async def main():
            ...     async with DiscoveryService("Villa", port=15353, interfaces=["lo"]) as discovery:
            ...         await discovery.publish()
            >>> asyncio.run(main())
        """
        await self._engine.publish()

    async def publish_self(self) -> None:
        """Does the same as :meth:`publish`."""
        await self.publish()

    def discover_peers(self, timeout: float = 3.0) -> dict[str, PeerInfo]:
        """Asks the network, waits for answers, and returns the homes in sight by ``peer_id``.

        It blocks its thread, and no other. In an ``async`` function await :meth:`discover_peers_async`
        instead: callbacks wait while this one waits.

        Args:
            timeout: How long to wait, in seconds.

        Raises:
            NotRunning: Before :meth:`start` or after :meth:`stop`.
            ValueError: A timeout that is negative or not finite.

        Example:
            >>> import asyncio
            >>> from sharing.discovery import DiscoveryService
            >>> async def main():
            ...     async with DiscoveryService("Villa", port=15353, interfaces=["lo"]) as discovery:
            ...         return discovery.discover_peers(timeout=0.1)
            >>> asyncio.run(main())
            {}
        """
        wait = arguments.seconds(timeout, "timeout")
        self._engine.browse()
        time.sleep(wait)
        return self._engine.peers()

    async def discover_peers_async(self, timeout: float = 3.0) -> dict[str, PeerInfo]:
        """Does the same as :meth:`discover_peers` without blocking anything.

        Args:
            timeout: How long to wait, in seconds.

        Raises:
            NotRunning: Before :meth:`start` or after :meth:`stop`.
            ValueError: A timeout that is negative or not finite.

        Example:
            >>> import asyncio
            >>> from sharing.discovery import DiscoveryService
            >>> async def main():
            ...     async with DiscoveryService("Villa", port=15353, interfaces=["lo"]) as discovery:
            ...         return await discovery.discover_peers_async(timeout=0.1)
            >>> asyncio.run(main())
            {}
        """
        wait = arguments.seconds(timeout, "timeout")
        self._engine.browse()
        await asyncio.sleep(wait)
        return self._engine.peers()

    def on_peer_discovered(self, callback: Callable[[PeerInfo], object]) -> None:
        """Has a function, plain or ``async``, called for every home that comes into sight.

        It hears of every home once: also of those that are in sight already, if the service runs.

        Raises:
            TypeError: The callback cannot be called.

        Example:
            >>> from sharing.discovery import DiscoveryService
            >>> DiscoveryService().on_peer_discovered(lambda peer: print(peer["home_id"], peer["addresses"]))
        """
        self._engine.on_discovered(callback)

    def on_peer_updated(self, callback: Callable[[PeerInfo], object]) -> None:
        """Has a function, plain or ``async``, called when a home in sight announces something else.

        Raises:
            TypeError: The callback cannot be called.

        Example:
            >>> from sharing.discovery import DiscoveryService
            >>> DiscoveryService().on_peer_updated(lambda peer: print(peer["instance_name"]))
        """
        self._engine.on_updated(callback)

    def on_peer_lost(self, callback: Callable[[PeerInfo], object]) -> None:
        """Has a function, plain or ``async``, called when a home has said goodbye or is not heard of any more.

        A home that just vanishes is lost after two minutes. The function is given what the home said last.

        Raises:
            TypeError: The callback cannot be called.

        Example:
            >>> from sharing.discovery import DiscoveryService
            >>> DiscoveryService().on_peer_lost(lambda peer: print(peer["home_id"], "is gone"))
        """
        self._engine.on_lost(callback)

    def get_peers(self) -> dict[str, PeerInfo]:
        """Returns the homes in sight by ``peer_id``, without asking the network; none while the service does not run.

        Example:
            >>> from sharing.discovery import DiscoveryService
            >>> DiscoveryService().get_peers()
            {}
        """
        return self._engine.peers()

    def get_local_peer_info(self) -> LocalPeerInfo:
        """Returns what this home announces of itself, whether or not it is announced at the moment.

        Example:
            >>> from sharing.discovery import DiscoveryService
            >>> DiscoveryService("Villa").get_local_peer_info()["peer_id"]
            'afad4c579e50189c'
        """
        return self._engine.local()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        info = self.get_local_peer_info()
        return f"<DiscoveryService {info['home_id']!r} ({'running' if self._engine.is_running() else 'stopped'})>"


_all: weakref.WeakSet[_engine.Discovery] = weakref.WeakSet()


@atexit.register
def _goodbye() -> None:
    """Says goodbye for those that were not stopped, so that nobody waits two minutes for them."""
    for discovery in list(_all):
        discovery.close()
