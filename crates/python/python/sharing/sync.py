"""A running home."""


class SyncProtocol:
    """A home that shares entities with the homes that have the same key."""
