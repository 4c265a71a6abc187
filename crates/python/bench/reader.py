"""The other process of a measurement: connects, is told, and says what it has seen. ``reader.py homes|plain``.

It obeys lines: ``connect PORT`` connects, ``forget`` begins anew, ``await ROUND COUNT`` answers with what was seen when
that many entities are as they were made in that round, or later.
"""

import asyncio
import importlib
import json
import sys
import time
from typing import Any

#: Longest wait; what has not come then is lost.
PATIENCE_S = 60.0


class Seen:
    """What the callback was told."""

    def __init__(self) -> None:
        self._rounds: dict[str, int] = {}
        self._delays_ns: list[int] = []
        self._news = asyncio.Event()
        self._cpu_ns = time.process_time_ns()

    def told(self, entity_id: str, entity: dict[str, Any]) -> None:
        """Takes note; the callback of both kinds."""
        attributes = entity["attributes"]
        self._delays_ns.append(time.monotonic_ns() - int(attributes["sent_ns"]))
        self._rounds[entity_id] = attributes["round"]
        self._news.set()

    def forget(self) -> None:
        """Begins to measure anew."""
        self._delays_ns.clear()
        self._cpu_ns = time.process_time_ns()

    async def until(self, round: int, count: int) -> dict[str, Any]:
        """Waits until ``count`` entities are as in ``round``, and tells what was seen."""
        end = time.monotonic() + PATIENCE_S
        while (
            lost := count - sum(seen >= round for seen in self._rounds.values())
        ) > 0 and time.monotonic() < end:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), 1)
                await asyncio.sleep(0.001)
            except TimeoutError:
                continue
        return {
            "at_ns": time.monotonic_ns(),
            "cpu_ns": time.process_time_ns() - self._cpu_ns,
            "lost": max(lost, 0),
            "delays_ns": self._delays_ns,
        }


async def main(kind: str) -> None:
    seen = Seen()
    async with importlib.import_module(kind).Reader(seen.told) as reader:
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer: object = None
            match line.split():
                case ["connect", port]:
                    await reader.connect(int(port))
                case ["await", round, count]:
                    answer = await seen.until(int(round), int(count))
                case _:
                    seen.forget()
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
