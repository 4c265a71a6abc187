"""Python programs that run beside a test and tell line by line what they see."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from waiting import PATIENCE

HERE = Path(__file__).parent


class Program:
    """A script of this folder in a process of its own; it prints JSON lines, and obeys lines on its standard input."""

    def __init__(self, script: str, *words: str, inside: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*inside, sys.executable, str(HERE / script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[Any] = queue.Queue()
        self.told: list[Any] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def tell(self, line: str) -> None:
        """Gives it a line to obey."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hears(self, wanted: Callable[[Any], object], what: str, within: float = PATIENCE) -> Any:
        """Returns the next line that is wanted; those before it are in ``told`` too."""
        end = time.monotonic() + within
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"waited in vain for {what}; told was {self.told}") from None
            self.told.append(line)
            if wanted(line):
                return line

    def end(self) -> None:
        """Closes its standard input, which is how it is asked to end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """Kills it, so that it says goodbye to nobody."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def ends(self, within: float = PATIENCE) -> int:
        """Waits for its end and returns the exit code."""
        return self._process.wait(timeout=within)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
