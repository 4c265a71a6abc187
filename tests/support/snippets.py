"""Runs the Python blocks of README.md in their order, as they stand there: ``snippets.py README PEER_ID ENCRYPTION_KEY``.

They share one namespace, in which only ``peer_id`` and ``encryption_key`` are there before. Afterwards the home
that they have made takes an entity from each line of the standard input, and tells what it holds whenever that changes.
"""

import ast
import asyncio
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any


async def run(page: str, text: str, names: dict[str, Any]) -> None:
    """Runs every block, with ``await`` as in ``python -m asyncio``; errors name the line of the page."""
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for block in blocks:
        lines_before = "\n" * text.count("\n", 0, block.start(1))
        code = compile(lines_before + block.group(1), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if inspect.iscoroutine(running := eval(code, names)):
            await running
        print(json.dumps(["ran", block.group(1)]), flush=True)


async def main(page: str, text: str, peer_id: str, encryption_key: str) -> None:
    names: dict[str, Any] = {"peer_id": peer_id, "encryption_key": encryption_key}
    await run(page, text, names)
    sync = names["sync"]
    print(json.dumps(["peers", sorted(sync.get_synchronized_peers())]), flush=True)

    def tell(*_: object) -> None:
        held = {id: entity["state"] for id, entity in sync.get_all_entities().items()}
        print(json.dumps(["holds", held]), flush=True)

    sync.on_entity_updated(tell)
    tell()
    while line := await asyncio.to_thread(sys.stdin.readline):
        entity_id, state = line.split()
        await sync.update_entity(entity_id, {"state": state})
    await sync.stop()
    await names["discovery"].stop()
    print(json.dumps(["shared", sorted(names["registry"].get_shared())]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[1]).read_text(encoding="utf-8"), *sys.argv[2:]))
