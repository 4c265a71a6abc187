"""What was changed in two homes at the same time."""


class Conflict:
    """Two versions of an entity that did not know of each other."""


class ConflictResolver:
    """Settles conflicts."""


def get_resolver() -> ConflictResolver:
    """Returns the resolver of this process."""
    return ConflictResolver()
