"""The exceptions of this package: one tree, raised by the engine and by the Python files alike."""

__all__ = [
    "ConfigError",
    "ConflictOpen",
    "EntityNotFound",
    "NotAllowed",
    "NotRunning",
    "PairingError",
    "PeerUnreachable",
    "SharingError",
    "StorageError",
]


class SharingError(Exception):
    """Something that this package could not do; all its other exceptions are kinds of this one."""


class PairingError(SharingError):
    """The peer has another key, or refuses to trust this home."""


class PeerUnreachable(SharingError):
    """No connection to the peer could be had."""


class NotAllowed(SharingError):
    """The home that owns the entity has not granted this."""


class NotRunning(SharingError):
    """The object has been stopped, was not started yet, or lives in the process that this one was forked from."""


class EntityNotFound(SharingError, KeyError, ValueError):
    """Nothing has this entity id."""

    # A KeyError prints the repr of its message.
    __str__ = Exception.__str__


class ConflictOpen(SharingError):
    """Somebody has to choose a version before the entity takes updates."""


class ConfigError(SharingError):
    """A port, an address or a setting that the home cannot start with."""


class StorageError(SharingError):
    """What is kept on disk cannot be read or written."""
