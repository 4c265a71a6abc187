"""The compiled part of the package; people import the modules beside it."""

from collections.abc import Sequence

__version__: str

class Executor:
    """Runs Rust futures on one asyncio event loop."""

    def run(self) -> None:
        """Delivers what has come; asyncio calls it when the descriptor is readable."""

def run_command(words: Sequence[str], itself: Sequence[str]) -> int: ...
