"""What was changed in two homes at the same time, and what comes of it.

A version is a dict as :meth:`~sharing.sync.SyncProtocol.get_entity` returns it: ``state``, ``attributes``,
``last_updated`` and whatever else. The strategies:

- ``latest-wins`` takes the version with the later ``last_updated``: an ISO 8601 time with or without offset (without
  one it is UTC), a ``datetime``, or seconds since 1970. A version with a time beats one without, one without a
  state loses, and a tie goes to the greater canonical JSON, whichever side it stands on.
- ``merge`` keeps what either side has, attributes too; where both differ, the later counts. With ``before`` it also
  sees which side has changed what: only what both have changed goes to the later then.
- ``user-choice`` returns the local version and leaves the conflict open.
- ``custom``, or any name of your own, calls the function that :meth:`ConflictResolver.register_strategy` was given.
- ``local-wins`` and ``remote-wins`` take that side.

All but the last one and ``user-choice`` give the same on both sides.

Example:
    >>> from sharing.conflict import ConflictResolver
    >>> resolver = ConflictResolver("villa")
    >>> resolver.resolve(
    ...     "light.hall",
    ...     {"state": "on", "last_updated": "2026-11-24T13:00:00+01:00"},
    ...     {"state": "off", "last_updated": "2026-11-24T12:30:00Z"},
    ... )["state"]
    'off'
    >>> resolver.get_conflict("light.hall").resolved_by
    'villa'
"""

import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sharing._files  # noqa: F401
from sharing import _engine
from sharing._arguments import path
from sharing._listeners import Listeners
from sharing._strategies import Strategy, Version, ask, log, takes_before

__all__ = ["Conflict", "ConflictResolver", "get_resolver"]

BUILT_IN = frozenset({"latest-wins", "merge", "user-choice", "local-wins", "remote-wins"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two versions of an entity that did not know of each other, and what came of them.

    Example:
        >>> from sharing.conflict import ConflictResolver
        >>> resolver = ConflictResolver("villa")
        >>> _ = resolver.resolve("light.hall", {"state": "on"}, {"state": "off"}, "user-choice")
        >>> resolver.get_conflict("light.hall").resolution is None
        True
    """

    entity_id: str
    """The entity."""
    local_version: Version
    """The version of this home, as JSON has it."""
    remote_version: Version
    """The version of the other home."""
    strategy: str
    """Name of the strategy that was asked for."""
    resolution: Version | None = None
    """What came of it; ``None`` while somebody has to choose."""
    resolved_by: str | None = None
    """Name of the home that settled it."""
    detected_at: str = ""
    """When it was found: ISO 8601 in UTC, to the millisecond."""
    resolved_at: str | None = None
    """When it was settled."""
    error: str | None = None
    """Why the function failed, if ``latest-wins`` had to stand in for it."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dict of its own.

        Example:
            >>> from sharing.conflict import Conflict
            >>> Conflict("light.hall", {}, {}, "merge").to_dict()["strategy"]
            'merge'
        """
        return asdict(self)


class ConflictResolver:
    """Settles conflicts by strategies, and keeps what they were.

    Handed to a :class:`~sharing.sync.SyncProtocol` as ``resolver``, its functions are that home's custom strategies.
    All methods may be called from any thread.

    Args:
        home_id: Name of this home, 1 to 63 bytes. Default: the host's name.
        storage_path: A file in which conflicts survive restarts; its folder is made if it is not there. Default: none,
            they are kept in memory.

    Raises:
        StorageError: As for :class:`~sharing.registry.SharedRegistry`.
        TypeError: ``home_id`` is no ``str``, or ``storage_path`` no path.
        ValueError: No home can be called ``home_id``.

    Example:
        >>> from sharing.conflict import ConflictResolver
        >>> resolver = ConflictResolver("villa")
        >>> resolver.register_strategy("brighter", lambda local, remote: max(local, remote, key=lambda one: one["state"]))
        >>> resolver.resolve("number.light", {"state": 10}, {"state": 70}, "brighter")
        {'state': 70}
    """

    def __init__(
        self, home_id: str | None = None, storage_path: str | os.PathLike[str] | None = None
    ) -> None:
        self._kept = _engine.Conflicts(path(storage_path, "storage_path"), home_id)
        self._functions: dict[str, Strategy] = {}
        self._callbacks = Listeners()

    @property
    def home_id(self) -> str:
        """Name of this home."""
        return self._kept.home

    def resolve(
        self,
        entity_id: str,
        local: Mapping[str, Any],
        remote: Mapping[str, Any],
        strategy: str | Strategy = "latest-wins",
        *,
        before: Mapping[str, Any] | None = None,
    ) -> Version:
        """Settles two versions of an entity.

        Versions that say the same are no conflict: the later one is returned, and nothing is kept. Otherwise the conflict
        takes the place of an earlier one of this entity, and the callbacks are called.

        A function that raises, or returns anything but a dict of JSON values, is logged, and ``latest-wins`` stands
        in for it.

        Args:
            entity_id: The id, ``domain.object``.
            local: This home's version, of JSON values; at most 64 KiB and 32 levels. It stays as it is.
            remote: The other home's.
            strategy: A name, as the module says, or a function as for :meth:`register_strategy`.
            before: The last version that both homes knew, if there is one.

        Returns:
            The version that counts, as a dict of its own.

        Raises:
            TypeError: An argument has the wrong type, or a version holds what is no JSON value.
            ValueError: The strategy is unknown, the id or a version is beyond what is allowed, or ``last_updated`` is
                no time.
            StorageError: The conflict cannot be kept; nothing has changed.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> ConflictResolver("villa").resolve(
            ...     "light.hall",
            ...     {"state": "on", "attributes": {"brightness": 10}, "last_updated": "2026-11-24T12:00:00Z"},
            ...     {"state": "on", "attributes": {"effect": "rain"}, "last_updated": "2026-11-24T12:00:01Z"},
            ...     "merge",
            ... )["attributes"]
            {'brightness': 10, 'effect': 'rain'}
        """
        name, function = self._strategy(strategy)
        shown = None if before is None else _json(before, "before")
        versions = _engine.Versions(entity_id, _json(local, "local"), _json(remote, "remote"), shown)
        ours, theirs = _copy(local), _copy(remote)
        if versions.same():
            return _built_in("latest-wins", versions, ours, theirs)
        error = None
        if function is None:
            resolution = _built_in(name, versions, ours, theirs)
        else:
            known = None if before is None else _copy(before)
            resolution, error = _custom(function, versions, ours, theirs, known)
        self._keep(versions, name, None if name == "user-choice" else resolution, error)
        return resolution

    def register_strategy(self, name: str, fn: Strategy) -> None:
        """Gives a name to a function that settles conflicts.

        Args:
            name: ``custom``, or any other name; those of the built-in strategies are taken.
            fn: Gets ``(local, remote)``, or ``(local, remote, before)`` if it takes a third argument: copies that it
                may change. It returns the version that counts.

        Raises:
            TypeError: The name is no ``str``, or the function cannot be called so or is ``async``.
            ValueError: The name is empty or taken by a built-in strategy.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> resolver = ConflictResolver("villa")
            >>> resolver.register_strategy("custom", lambda local, remote, before: before or local)
            >>> resolver.resolve("light.hall", {"state": "on"}, {"state": "off"}, "custom", before={"state": "dim"})
            {'state': 'dim'}
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        if not name or name in BUILT_IN:
            raise ValueError(f"a strategy of your own cannot be called {name!r}")
        takes_before(fn)
        self._functions[name] = fn

    def get_conflict(self, entity_id: str) -> Conflict | None:
        """Returns the last conflict of an entity, open or settled, or ``None``.

        Args:
            entity_id: The id.

        Raises:
            TypeError: The id is no ``str``.
            StorageError: The file cannot be read.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> ConflictResolver("villa").get_conflict("light.hall") is None
            True
        """
        record = self._kept.get(entity_id)
        return None if record is None else Conflict(**record)

    def get_active_conflicts(self) -> list[Conflict]:
        """Returns the conflicts that nobody has cleared, the settled ones too, sorted by entity id.

        Those that await a choice have no ``resolution``.

        Raises:
            StorageError: The file cannot be read.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> resolver = ConflictResolver("villa")
            >>> _ = resolver.resolve("light.hall", {"state": "on"}, {"state": "off"}, "user-choice")
            >>> [conflict.entity_id for conflict in resolver.get_active_conflicts() if conflict.resolution is None]
            ['light.hall']
        """
        return [Conflict(**record) for record in self._kept.all()]

    def clear_conflict(self, entity_id: str) -> bool:
        """Forgets the conflict of an entity.

        Args:
            entity_id: The id; one without a conflict is no error.

        Returns:
            Whether there was one.

        Raises:
            TypeError: The id is no ``str``.
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> ConflictResolver("villa").clear_conflict("light.hall")
            False
        """
        return self._kept.clear(entity_id)

    def clear_all_conflicts(self) -> int:
        """Forgets every conflict.

        Returns:
            How many there were.

        Raises:
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> ConflictResolver("villa").clear_all_conflicts()
            0
        """
        return self._kept.clear_all()

    def register_conflict_callback(self, callback: Callable[[Conflict], Awaitable[object] | object]) -> None:
        """Has a function called with each conflict, once it is settled or left open.

        A function given on a running event loop is called there; any other at once, by the thread that resolves. It
        may be ``async``. What it raises is logged to ``sharing`` and harms nobody.

        Args:
            callback: Gets ``(conflict)``.

        Raises:
            TypeError: It cannot be called.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> resolver = ConflictResolver("villa")
            >>> resolver.register_conflict_callback(lambda conflict: print(conflict.strategy))
            >>> resolver.resolve("light.hall", {"state": "on"}, {"state": "off"}, "local-wins")
            local-wins
            {'state': 'on'}
        """
        self._callbacks.add(callback)

    def __repr__(self) -> str:
        return f"ConflictResolver({self.home_id!r})"

    def strategy(self, name: str) -> Strategy:
        """Returns the function that is registered under a name.

        Args:
            name: The name.

        Raises:
            ValueError: None is.

        Example:
            >>> from sharing.conflict import ConflictResolver
            >>> resolver = ConflictResolver("villa")
            >>> resolver.register_strategy("mine", lambda local, remote: local)
            >>> resolver.strategy("mine")({"state": "on"}, {"state": "off"})
            {'state': 'on'}
        """
        if name not in self._functions:
            raise ValueError(f"no function is registered as {name!r}")
        return self._functions[name]

    def _strategy(self, strategy: str | Strategy) -> tuple[str, Strategy | None]:
        """Returns the name of a strategy, and its function unless it is built in."""
        if callable(strategy):
            takes_before(strategy)
            return "custom", strategy
        if not isinstance(strategy, str):
            raise TypeError(f"strategy must be a str or a function, not {type(strategy).__name__}")
        function = self._functions.get(strategy)
        if function is None and strategy not in BUILT_IN:
            known = ", ".join(sorted(BUILT_IN | self._functions.keys()))
            raise ValueError(f"no strategy is called {strategy!r}; there are {known}")
        return strategy, function

    def _keep(
        self, versions: _engine.Versions, name: str, resolution: Version | None, error: str | None
    ) -> None:
        kept = None if resolution is None else _json(resolution, "resolution")
        conflict = Conflict(**self._kept.keep(versions, name, kept, error))
        self._callbacks.tell(conflict)


def _built_in(name: str, versions: _engine.Versions, local: Version, remote: Version) -> Version:
    if name == "merge":
        return versions.merged()
    if name in ("local-wins", "user-choice"):
        return local
    if name == "remote-wins":
        return remote
    return local if versions.local_is_later() else remote


def _custom(
    function: Strategy, versions: _engine.Versions, local: Version, remote: Version, before: Version | None
) -> tuple[Version, str | None]:
    """Returns what a function makes of a conflict, or what stands in for it and why."""
    try:
        answer = ask(function, _copy(local), _copy(remote), before)
        _engine.check_version(_json(answer, "resolution"))
    except Exception as error:
        log.error("strategy %r failed, latest-wins stands in for it", function, exc_info=error)
        return _built_in("latest-wins", versions, local, remote), f"{type(error).__name__}: {error}"
    return answer, None


def _copy(version: Mapping[str, Any]) -> Version:
    return deepcopy(dict(version))


def _json(version: Mapping[str, Any], what: str) -> Version:
    """Returns a version as a dict whose time is JSON."""
    if not isinstance(version, Mapping):
        raise TypeError(f"{what} must be a dict, not {type(version).__name__}")
    version = dict(version)
    if isinstance(version.get("last_updated"), datetime):
        version["last_updated"] = version["last_updated"].isoformat()
    return version


_resolvers: list[ConflictResolver] = []
_making = threading.Lock()


def get_resolver(
    home_id: str | None = None, storage_path: str | os.PathLike[str] | None = None
) -> ConflictResolver:
    """Returns the resolver of this process, which is made by the first call and its arguments.

    Args:
        home_id: As for :class:`ConflictResolver`.
        storage_path: As for :class:`ConflictResolver`.

    Raises:
        StorageError: As for :class:`ConflictResolver`.

    Example:
        >>> from sharing.conflict import get_resolver
        >>> get_resolver() is get_resolver()
        True
    """
    with _making:
        if not _resolvers:
            _resolvers.append(ConflictResolver(home_id, storage_path))
        return _resolvers[0]
