"""One run of every measurement, for one kind of writer and reader."""

import asyncio
import importlib
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from payload import entity_id, update

#: Updates that are begun before any of them is awaited, when it is to go fast.
AT_ONCE = 256


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    entities: int
    rounds: int
    paced: int
    rate: int


@dataclass(frozen=True)
class Figures:
    """What one kind has shown."""

    first_sync_s: float
    latency_p50_us: float
    latency_p99_us: float
    updates_per_s: float
    cpu_us_per_update: float
    callbacks_per_update: float
    call_us: float
    call_alone_us: float
    lost: int

    def asdict(self) -> dict[str, float]:
        """Returns the figures by name."""
        return asdict(self)


class Crew:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, kind: str) -> Self:
        """Starts it."""
        script = str(Path(__file__).with_name("reader.py"))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, kind, stdin=pipe, stdout=pipe, limit=1 << 28
        )
        return cls(process)

    async def ask(self, line: str) -> Any:
        """Has it obey, and returns what it says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        return json.loads(await self._process.stdout.readline())

    async def end(self) -> None:
        """Lets it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def measure(kind: str, plan: Plan) -> Figures:
    """Measures ``homes`` or ``plain``."""
    async with importlib.import_module(kind).Writer() as writer:
        call_alone = await _each(writer, plan.entities)
        crew = await Crew.start(kind)
        try:
            await crew.ask("forget")  # it has started
            began = time.monotonic_ns()
            await crew.ask(f"connect {writer.port}")
            synced = await crew.ask(f"await 0 {plan.entities}")
            first_sync_s = (synced["at_ns"] - began) / 1e9

            await crew.ask("forget")
            call = await _paced(writer, plan)
            paced = await crew.ask(f"await 1 {plan.paced}")

            await crew.ask("forget")
            began, cpu_began_ns = time.monotonic_ns(), time.process_time_ns()
            for round in range(2, plan.rounds + 2):
                await _burst(writer, plan.entities, round)
            burst = await crew.ask(f"await {plan.rounds + 1} {plan.entities}")
            cpu_ns = time.process_time_ns() - cpu_began_ns + burst["cpu_ns"]
        finally:
            await crew.end()
    updates = plan.entities * plan.rounds
    delays_us = [delay / 1e3 for delay in paced["delays_ns"]]
    return Figures(
        first_sync_s=first_sync_s,
        latency_p50_us=statistics.median(delays_us),
        latency_p99_us=statistics.quantiles(delays_us, n=100)[98],
        updates_per_s=updates / ((burst["at_ns"] - began) / 1e9),
        cpu_us_per_update=cpu_ns / updates / 1e3,
        callbacks_per_update=len(burst["delays_ns"]) / updates,
        call_us=call,
        call_alone_us=call_alone,
        lost=synced["lost"] + paced["lost"] + burst["lost"],
    )


async def _each(writer: Any, entities: int) -> float:
    """Makes every entity, one after the other, and returns the time of a call in microseconds."""
    began = time.monotonic_ns()
    for number in range(entities):
        await writer.update(entity_id(number), update(number, 0))
    return (time.monotonic_ns() - began) / entities / 1e3


async def _paced(writer: Any, plan: Plan) -> float:
    """Makes so many updates a second, and returns the median time of a call in microseconds."""
    calls_ns, began = [], time.monotonic()
    for number in range(plan.paced):
        await asyncio.sleep(began + number / plan.rate - time.monotonic())
        data = update(number, 1)
        called = time.monotonic_ns()
        await writer.update(entity_id(number), data)
        calls_ns.append(time.monotonic_ns() - called)
    return statistics.median(calls_ns) / 1e3


async def _burst(writer: Any, entities: int, round: int) -> None:
    """Updates every entity as fast as it goes."""
    for first in range(0, entities, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, entities))
        await asyncio.gather(*(writer.update(entity_id(number), update(number, round)) for number in numbers))
