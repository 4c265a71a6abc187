"""The compiled part of the package; people import the modules beside it."""

__version__: str

class Executor:
    """Runs Rust futures on one asyncio event loop."""

    def run(self) -> None:
        """Delivers what has come; asyncio calls it when the descriptor is readable."""
