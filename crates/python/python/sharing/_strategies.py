"""Functions that settle conflicts, for a resolver and for a home: what counts as one, and how it is asked."""

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from sharing import _engine

log = logging.getLogger("sharing")

#: A version of an entity.
Version = dict[str, Any]
#: ``fn(local, remote)`` or ``fn(local, remote, before)``; ``before`` may be ``None``.
Strategy = Callable[..., Version]


def takes_before(fn: Callable[..., object]) -> bool:
    """Tells whether a strategy takes ``before`` as its third argument; raises ``TypeError`` for what is none."""
    if not callable(fn):
        raise TypeError(f"a strategy must be callable, not {type(fn).__name__}")
    if inspect.iscoroutinefunction(fn):
        raise TypeError("a strategy cannot be async: a conflict is settled at once")
    try:
        signature = inspect.signature(fn)
    except ValueError:  # some functions written in C do not tell
        return False
    for arguments in ((None, None, None), (None, None)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(arguments) == 3
    raise TypeError(f"a strategy takes (local, remote) or (local, remote, before), not {signature}")


def ask(
    function: Callable[..., Mapping[str, Any]], local: Version, remote: Version, before: Version | None
) -> Version:
    """Returns what a function makes of two versions; raises what it raises, and ``TypeError`` if that is no dict."""
    answer = function(local, remote, before) if takes_before(function) else function(local, remote)
    if not isinstance(answer, dict):
        raise TypeError(f"it returned {type(answer).__name__}, not a dict")
    return answer


def for_home(
    strategy: str | Callable[..., Mapping[str, Any]], registered: Callable[[str], Strategy] | None
) -> tuple[str, Strategy | None]:
    """Returns the name by which a home knows a strategy, and what it asks if that is a function.

    ``registered`` finds the functions of a resolver, each time anew.
    """
    if callable(strategy):
        takes_before(strategy)
        given = strategy
        return "custom", lambda *case: _settled(given, *case)
    if not isinstance(strategy, str):
        raise TypeError(f"strategy must be a str or a function, not {type(strategy).__name__}")
    if strategy in _OF_A_HOME:
        return strategy, None
    if registered is None:
        known = ", ".join(_OF_A_HOME)
        raise ValueError(
            f"strategy: {strategy!r} is none of {known}, nor a function; a resolver may have more"
        )
    find, name = registered, strategy
    return "custom", lambda *case: _settled(find(name), *case)


#: The strategies of a home that need no function.
_OF_A_HOME = ("latest-wins", "merge", "user-choice")


def _settled(
    function: Callable[..., Mapping[str, Any]],
    entity_id: str,
    local: Version,
    remote: Version,
    before: Version | None,
) -> Version:
    """Returns what a function makes of a home's conflict; what goes wrong is logged, and the home falls back."""
    try:
        answer = ask(function, local, remote, before)
        _engine.check_version(answer)
    except Exception as error:
        log.error(
            "strategy %r failed on %s: latest-wins stands in for it", function, entity_id, exc_info=error
        )
        raise
    return answer
