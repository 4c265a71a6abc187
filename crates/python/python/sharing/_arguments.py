"""Arguments of methods: a wrong type is a TypeError, a wrong value a ValueError that names it."""

import math


def seconds(value: float, what: str) -> float:
    """Returns a time in seconds: zero or more, and finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number of seconds, not {type(value).__name__}")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{what} is a number of seconds from 0 on, not {value}")
    return float(value)
