"""Which entities are shared, and with whom."""


class SharedEntity:
    """An entity in a registry."""


class SharedRegistry:
    """Keeps which entities are shared, and with whom."""


def get_registry() -> SharedRegistry:
    """Returns the registry of this process."""
    return SharedRegistry()
