"""Homes on the local network."""


class DiscoveryService:
    """Finds homes on the local network and announces this one."""
