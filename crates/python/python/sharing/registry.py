"""Which entities this home shares, and with whom.

A registry is a file, so it is there again after a restart and other processes can use it at the same time. A
:class:`~sharing.sync.SyncProtocol` that is given a registry shares what is registered as shared, and nothing else.

Example:
    >>> import tempfile
    >>> from sharing.registry import SharedRegistry
    >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
    >>> registry.register("light.living_room", shared=True).shared
    True
    >>> list(registry.get_shared())
    ['light.living_room']
"""

import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import sharing._files  # noqa: F401
from sharing import _engine
from sharing._arguments import path
from sharing._listeners import Listeners, check

__all__ = ["SharedEntity", "SharedRegistry", "get_registry"]

#: What a callback returns does not matter; what can be awaited is awaited.
_Answer = Awaitable[object] | object


@dataclass(frozen=True, slots=True)
class SharedEntity:
    """An entity as a registry knows it: what was so when it was asked, and equal to any other that says the same.

    Example:
        >>> from sharing.registry import SharedEntity
        >>> SharedEntity("light.hall", shared_with=["holiday"]).domain
        'light'
    """

    entity_id: str
    """The id, ``domain.object``."""
    name: str = ""
    """Name for people: the metadata's ``name``, else the id."""
    domain: str = ""
    """The part of the id before the dot."""
    shared: bool = False
    """Whether any other home may see it."""
    last_updated: str = ""
    """When it was last changed in the registry: ISO 8601 in UTC, to the millisecond."""
    last_updated_by: str = ""
    """Name of the home that changed it."""
    shared_with: list[str] = field(default_factory=list)
    """The homes with which it is shared by name, in the order in which they were named."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Whatever was given with it: JSON values by name."""
    home_id: str = ""
    """Name of the home that registered it."""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.entity_id)
        if not self.domain:
            object.__setattr__(self, "domain", self.entity_id.partition(".")[0])

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dict of its own.

        Example:
            >>> from sharing.registry import SharedEntity
            >>> SharedEntity("light.hall").to_dict()["name"]
            'light.hall'
        """
        return asdict(self)


class SharedRegistry:
    """Which entities are shared, and with whom, kept in a file.

    Whatever a method has confirmed is on the disk: it survives ``kill -9`` and power loss. Several registries, threads
    and processes may use one file at a time: each sees what the others have written, and nothing gets lost. All
    methods may be called from any thread.

    Args:
        storage_path: The file; its folder is made if it is not there. Default: ``registry.db`` in ``/config/.copilot``
            if that folder exists (Home Assistant), else in ``$XDG_DATA_HOME/crosshome``
            (``~/.local/share/crosshome``).
        home_id: Name of this home, 1 to 63 bytes. Default: the host's name.

    Raises:
        StorageError: The file cannot be read or written, has another purpose, or comes from a newer version: then it
            stays as it is. A damaged file is put aside under the name that the message says, and the next attempt
            begins with an empty one.
        TypeError: ``storage_path`` is no path, or ``home_id`` no ``str``.
        ValueError: No home can be called ``home_id``.

    Example:
        >>> import tempfile
        >>> from sharing.registry import SharedRegistry
        >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db", home_id="villa")
        >>> registry.register("light.hall", area="ground floor").metadata
        {'area': 'ground floor'}
        >>> registry.share_with("light.hall", "holiday").shared_with
        ['holiday']
    """

    def __init__(
        self, storage_path: str | os.PathLike[str] | None = None, *, home_id: str | None = None
    ) -> None:
        self._storage_path = path(storage_path, "storage_path")
        self._engine = _engine.Registry(self._storage_path, home_id)
        self._updated = Listeners()
        self._updated_from = Listeners()
        self._registered = Listeners()
        self._unregistered = Listeners()
        self._telling = threading.Lock()
        self._listens = False

    def register(
        self, entity_id: str, shared: bool = False, *, home_id: str | None = None, **metadata: Any
    ) -> SharedEntity:
        """Registers an entity, or says anew what is to hold of one.

        Args:
            entity_id: The id, ``domain.object``: lower-case letters, digits and underscores, at most 255 bytes.
            shared: Whether every trusted home may see it. ``False`` takes it back from all, also from those that
                :meth:`share_with` has named; ``True`` gives it also to those from which it was taken back.
            home_id: Name of the home that registers it. Default: that of the registry.
            **metadata: JSON values by name; what is already there is kept, and ``None`` removes a name. ``name`` is
                the name for people. At most 64 KiB, 511 names of 256 bytes, and 32 levels.

        Returns:
            The entity as it now is.

        Raises:
            TypeError: An argument has the wrong type, or metadata are no JSON values.
            ValueError: The id, a name or the metadata are beyond what is allowed.
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> registry.register("light.living_room", shared=True, name="Sofa").name
            'Sofa'
        """
        entity: SharedEntity = self._engine.register(entity_id, shared, home_id, metadata)
        self._tell()
        return entity

    def unregister(self, entity_id: str) -> bool:
        """Forgets an entity, and whom it was shared with; tells whether it was registered.

        Args:
            entity_id: The id; one that is not registered is no error.

        Raises:
            TypeError: The id is no ``str``.
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> SharedRegistry(tempfile.mkdtemp() + "/registry.db").unregister("light.nobody_has")
            False
        """
        known = self._engine.unregister(entity_id)
        self._tell()
        return known

    def update(self, entity_id: str, shared: bool | None = None, **metadata: Any) -> SharedEntity:
        """Changes what is said of a registered entity.

        Args:
            entity_id: The id.
            shared: As in :meth:`register`; ``None`` leaves it as it is.
            **metadata: As in :meth:`register`: what is not named is kept.

        Returns:
            The entity as it now is.

        Raises:
            EntityNotFound: It is not registered.
            TypeError: An argument has the wrong type, or metadata are no JSON values.
            ValueError: Metadata are beyond what is allowed.
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall", area="hall")
            >>> registry.update("light.hall", shared=True, floor=1).metadata
            {'area': 'hall', 'floor': 1}
        """
        entity: SharedEntity = self._engine.update(entity_id, shared, metadata)
        self._tell()
        return entity

    def get(self, entity_id: str) -> SharedEntity | None:
        """Returns an entity, or ``None`` if it is not registered.

        Args:
            entity_id: The id.

        Raises:
            TypeError: The id is no ``str``.
            StorageError: The file cannot be read.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> SharedRegistry(tempfile.mkdtemp() + "/registry.db").get("light.nobody_has") is None
            True
        """
        entity = self._engine.get(entity_id)
        self._tell()
        return entity

    def get_all(self) -> dict[str, SharedEntity]:
        """Returns every registered entity by its id, sorted.

        Raises:
            StorageError: The file cannot be read.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall")
            >>> list(registry.get_all())
            ['light.hall']
        """
        entities = self._engine.all(False)
        self._tell()
        return entities

    def get_shared(self) -> dict[str, SharedEntity]:
        """Returns the entities that any other home may see, by their id, sorted.

        Raises:
            StorageError: The file cannot be read.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall")
            >>> registry.get_shared()
            {}
        """
        entities = self._engine.all(True)
        self._tell()
        return entities

    def share_with(self, entity_id: str, home_id: str) -> SharedEntity:
        """Shares an entity with one home.

        Args:
            entity_id: The id.
            home_id: The home's name or id; it need not be known yet. An entity names at most 256 homes.

        Returns:
            The entity as it now is.

        Raises:
            EntityNotFound: It is not registered.
            TypeError: An argument is no ``str``.
            ValueError: No home can be called that, or the entity names too many.
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall")
            >>> registry.share_with("light.hall", "holiday").shared
            True
        """
        entity: SharedEntity = self._engine.share_with(entity_id, home_id)
        self._tell()
        return entity

    def stop_sharing_with(self, entity_id: str, home_id: str) -> bool:
        """Takes an entity back from one home, also if it is shared with all.

        What that home has already seen cannot be unseen.

        Args:
            entity_id: The id; one that is not registered is no error.
            home_id: The home's name or id, as it was given to :meth:`share_with`.

        Returns:
            Whether that home could see it before.

        Raises:
            TypeError: An argument is no ``str``.
            ValueError: No home can be called that.
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall", shared=True)
            >>> registry.stop_sharing_with("light.hall", "holiday")
            True
            >>> registry.stop_sharing_with("light.hall", "holiday")
            False
        """
        admitted = self._engine.stop_sharing_with(entity_id, home_id)
        self._tell()
        return admitted

    def get_shared_with(self, entity_id: str) -> list[str]:
        """Returns the homes with which an entity is shared by name; none if it is not registered.

        Args:
            entity_id: The id.

        Raises:
            TypeError: The id is no ``str``.
            StorageError: The file cannot be read.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall"), registry.share_with("light.hall", "holiday")
            >>> registry.get_shared_with("light.hall")
            ['holiday']
        """
        entity = self.get(entity_id)
        return [] if entity is None else entity.shared_with

    def is_shared(self, entity_id: str) -> bool:
        """Tells whether any other home may see an entity; one that is not registered is not shared.

        Args:
            entity_id: The id.

        Raises:
            TypeError: The id is no ``str``.
            StorageError: The file cannot be read.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> SharedRegistry(tempfile.mkdtemp() + "/registry.db").is_shared("light.nobody_has")
            False
        """
        entity = self.get(entity_id)
        return entity is not None and entity.shared

    def clear(self) -> int:
        """Forgets every entity, and returns how many there were.

        Raises:
            StorageError: The file does not take it; nothing has changed.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> _ = registry.register("light.hall")
            >>> registry.clear()
            1
        """
        count = self._engine.clear()
        self._tell()
        return count

    def on_entity_updated(self, callback: Callable[[str, SharedEntity], _Answer]) -> None:
        """Has a function called with id and entity whenever a registered entity changes.

        A function given on a running event loop is called there; any other at once, by the thread that makes the
        change. Changes that another process makes are noticed within a quarter of a second, or when this
        registry is next asked. A function may be ``async``. What it raises is logged to ``sharing`` and harms nobody.

        Args:
            callback: Gets ``(entity_id, entity)``.

        Raises:
            TypeError: It cannot be called.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> registry.on_entity_updated(lambda entity_id, entity: print(entity_id, entity.shared))
            >>> _ = registry.register("light.hall"), registry.update("light.hall", shared=True)
            light.hall True
        """
        self._updated.add(callback)
        self._listen()

    def register_callback(
        self,
        on_updated: Callable[[str, SharedEntity, SharedEntity], _Answer] | None = None,
        on_registered: Callable[[SharedEntity], _Answer] | None = None,
        on_unregistered: Callable[[str], _Answer] | None = None,
    ) -> None:
        """Has functions called when entities come, change and go; how, says :meth:`on_entity_updated`.

        Args:
            on_updated: Gets ``(entity_id, entity, old)`` when a registered entity changes.
            on_registered: Gets ``(entity)`` when an entity is registered that was not before.
            on_unregistered: Gets ``(entity_id)`` when an entity is forgotten.

        Raises:
            TypeError: One of them cannot be called; then none is taken.

        Example:
            >>> import tempfile
            >>> from sharing.registry import SharedRegistry
            >>> registry = SharedRegistry(tempfile.mkdtemp() + "/registry.db")
            >>> registry.register_callback(on_unregistered=print)
            >>> _ = registry.register("light.hall"), registry.unregister("light.hall")
            light.hall
        """
        all_given = (
            (self._updated_from, on_updated),
            (self._registered, on_registered),
            (self._unregistered, on_unregistered),
        )
        given = [(listeners, callback) for listeners, callback in all_given if callback is not None]
        for _, callback in given:
            check(callback)
        for listeners, callback in given:
            listeners.add(callback)
        self._listen()

    def __len__(self) -> int:
        return len(self.get_all())

    def __contains__(self, entity_id: object) -> bool:
        return isinstance(entity_id, str) and self.get(entity_id) is not None

    def __repr__(self) -> str:
        where = "" if self._storage_path is None else repr(self._storage_path)
        return f"SharedRegistry({where})"

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            self._engine.wake(weakref.WeakMethod(self._tell))

    def _tell(self) -> None:
        """Tells of all that has changed, in order: whoever is telling already tells of this too."""
        while self._listens and self._engine.has_news():
            if not self._telling.acquire(blocking=False):
                return
            try:
                while (change := self._engine.news()) is not None:
                    self._tell_of(*change)
            finally:
                self._telling.release()

    def _tell_of(self, entity_id: str, old: SharedEntity | None, new: SharedEntity | None) -> None:
        if new is None:
            self._unregistered.tell(entity_id)
        elif old is None:
            self._registered.tell(new)
        else:
            self._updated.tell(entity_id, new)
            self._updated_from.tell(entity_id, new, old)


_registries: dict[str | None, SharedRegistry] = {}
_making = threading.Lock()


def get_registry(storage_path: str | os.PathLike[str] | None = None) -> SharedRegistry:
    """Returns the registry of this process: one object per file, made when it is first asked for.

    Args:
        storage_path: The file. Default: that of whoever asked first, else that of :class:`SharedRegistry`.

    Raises:
        StorageError: As for :class:`SharedRegistry`.

    Example:
        >>> import tempfile
        >>> from sharing.registry import get_registry
        >>> path = tempfile.mkdtemp() + "/registry.db"
        >>> get_registry(path) is get_registry(path)
        True
    """
    file = path(storage_path, "storage_path")
    with _making:
        if file is None and _registries:
            return next(iter(_registries.values()))
        if file not in _registries:
            _registries[file] = SharedRegistry(file)
        return _registries[file]
