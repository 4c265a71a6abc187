"""Arguments of methods: a wrong type is a TypeError, a wrong value a ValueError that names it."""

import os
from typing import TypeVar

T = TypeVar("T")


def seconds(value: float, what: str) -> float:
    """Returns a time in seconds: zero or more, and at most some thirty years."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number of seconds, not {type(value).__name__}")
    if not 0 <= value <= 1e9:
        raise ValueError(f"{what} is a number of seconds from 0 on, not {value}")
    return float(value)


def port(value: int, what: str, lowest: int = 1) -> int:
    """Returns a port."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not lowest <= value <= 65535:
        raise ValueError(f"{what} is from {lowest} to 65535, not {value}")
    return value


def path(value: str | os.PathLike[str] | None, what: str) -> str | None:
    """Returns a path as text, or nothing where none is given."""
    text = None if value is None else os.fspath(value)
    if isinstance(text, bytes):
        raise TypeError(f"{what} must be a str or a path of str, not bytes")
    return text


def instance(value: T | None, kind: type[T], what: str) -> T | None:
    """Returns an object of this kind, or nothing where none is given."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{what} must be a {kind.__name__}, not {type(value).__name__}")
    return value
