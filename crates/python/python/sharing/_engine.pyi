"""The compiled part of the package; people import the modules beside it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import final

from sharing.discovery import LocalPeerInfo, PeerInfo

__version__: str

@final
class Discovery:
    """Looks for homes, and announces one."""

    def __new__(
        cls,
        home_id: str | None,
        instance_name: str,
        mdns_port: int,
        sync_port: int,
        interfaces: Sequence[str] | None,
    ) -> Discovery: ...
    def start(self) -> None: ...
    def stop(self) -> Awaitable[None]: ...
    def close(self) -> None: ...
    def publish(self) -> Awaitable[None]: ...
    def browse(self) -> None: ...
    def peers(self) -> dict[str, PeerInfo]: ...
    def local(self) -> LocalPeerInfo: ...
    def is_running(self) -> bool: ...
    def on_discovered(self, callback: Callable[[PeerInfo], object]) -> None: ...
    def on_updated(self, callback: Callable[[PeerInfo], object]) -> None: ...
    def on_lost(self, callback: Callable[[PeerInfo], object]) -> None: ...


class Executor:
    """Runs Rust futures on one asyncio event loop."""

    def run(self) -> None:
        """Delivers what has come; asyncio calls it when the descriptor is readable."""

def run_command(words: Sequence[str], itself: Sequence[str]) -> int:
    """Does what was typed and returns the exit code; `itself` starts the command anew."""
