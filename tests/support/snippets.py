"""Runs the Python blocks of a page in their order, as they stand there: ``snippets.py PAGE [PEER_ID ENCRYPTION_KEY]``.

They share one namespace. If names are given, that is all that is there before, and afterwards the home that the blocks
have made takes an entity from each line of the standard input, and tells what it holds whenever that changes.
"""

import ast
import asyncio
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

# The blocks may print what they like.
_out, sys.stdout = sys.stdout, sys.stderr


def tell(what: str, value: object) -> None:
    """Prints a line for the test."""
    print(json.dumps([what, value]), file=_out, flush=True)


async def run(page: str, text: str, names: dict[str, Any]) -> None:
    """Runs every block, with ``await`` as in ``python -m asyncio``; errors name the line of the page."""
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for block in blocks:
        lines_before = "\n" * text.count("\n", 0, block.start(1))
        code = compile(lines_before + block.group(1), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if inspect.iscoroutine(running := eval(code, names)):
            await running
        tell("ran", block.group(1))


async def main(page: str, text: str, peer_id: str | None = None, encryption_key: str | None = None) -> None:
    if peer_id is None:
        await run(page, text, {})
        return
    names: dict[str, Any] = {"peer_id": peer_id, "encryption_key": encryption_key}
    await run(page, text, names)
    await live(names)


async def live(names: dict[str, Any]) -> None:
    """Uses what the blocks of README.md have made."""
    sync = names["sync"]
    tell("peers", sorted(sync.get_synchronized_peers()))

    def tell_all(*_: object) -> None:
        tell("holds", {id: entity["state"] for id, entity in sync.get_all_entities().items()})

    sync.on_entity_updated(tell_all)
    tell_all()
    while line := await asyncio.to_thread(sys.stdin.readline):
        entity_id, state = line.split()
        await sync.update_entity(entity_id, {"state": state})
    await sync.stop()
    await names["discovery"].stop()
    tell("shared", sorted(names["registry"].get_shared()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[1]).read_text(encoding="utf-8"), *sys.argv[2:]))
