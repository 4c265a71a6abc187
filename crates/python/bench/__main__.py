"""Measures the engine from Python, and beside it, in the same run, a plain WebSocket broadcast of the same JSON.

``python crates/python/bench [--quick] [--json]``; with the wheel as people get it: ``cargo xtask bench-python``.
Two processes on loopback, one that updates and one whose callback is told.
"""

import argparse
import asyncio
import json
import os
import platform

from measure import Figures, Plan, measure

FULL = Plan(entities=10_000, rounds=5, paced=5_000, rate=1_000)
QUICK = Plan(entities=500, rounds=2, paced=200, rate=400)

ROWS = {
    "latency_p50_us": "update to callback, p50 (µs)",
    "latency_p99_us": "update to callback, p99 (µs)",
    "updates_per_s": "updates/s through callbacks",
    "cpu_us_per_update": "CPU of both programs for each of them (µs)",
    "callbacks_per_update": "callbacks for each update of the burst",
    "call_us": "one awaited update, paced (µs)",
    "call_alone_us": "one awaited update, nobody connected (µs)",
    "first_sync_s": "first sync of {entities} entities (s)",
    "lost": "entities that did not show their newest value",
}


async def both(plan: Plan) -> dict[str, Figures]:
    """Measures both kinds, one after the other."""
    return {kind: await measure(kind, plan) for kind in ("plain", "homes")}


def table(figures: dict[str, Figures], plan: Plan) -> str:
    """Returns the figures for people, as Markdown."""
    homes, plain = figures["homes"].asdict(), figures["plain"].asdict()
    lines = ["| what | sharing | plain WebSocket | ratio |", "|---|---|---|---|"]
    for name, what in ROWS.items():
        ratio = f"{homes[name] / plain[name]:.2f}" if plain[name] else ""
        label = what.format(entities=f"{plan.entities:,}")
        lines.append(f"| {label} | {_shown(homes[name])} | {_shown(plain[name])} | {ratio} |")
    return "\n".join(lines)


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description="measures the engine from Python beside a plain WebSocket")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    plan = QUICK if asked.quick else FULL
    figures = asyncio.run(both(plan))
    if asked.json:
        print(json.dumps({kind: seen.asdict() for kind, seen in figures.items()}))
    else:
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
        print(table(figures, plan))


if __name__ == "__main__":
    main()
