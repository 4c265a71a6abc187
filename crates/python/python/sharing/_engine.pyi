"""The compiled part of the package; people import the modules beside it."""

from collections.abc import Sequence

__version__: str

def run_command(words: Sequence[str], itself: Sequence[str]) -> int: ...
