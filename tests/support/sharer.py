"""A home in a process of its own: name, key, port, and optionally a data directory; obeys lines, tells JSON lines."""

import asyncio
import json
import sys
from typing import Any

from sharing.sync import SyncProtocol


def tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


async def obey(sync: SyncProtocol, word: str, *words: str) -> None:
    match word:
        case "set":
            entity_id, state = words
            await sync.update_entity(entity_id, {"state": state})
            tell(set=entity_id)
        case "fill":
            for number in range(int(words[0])):
                await sync.update_entity(f"sensor.n{number}", {"state": number, "attributes": {"unit": "W"}})
            tell(filled=words[0])
        case "connect":
            tell(connected=await sync.connect(words[0], "127.0.0.1", int(words[1])))
        case "connect-all":
            tell(connected=await sync.connect(timeout=float(words[0])))
        case "sync":
            await sync.sync_entities()
            tell(synced=len(sync.get_all_entities()))


async def main() -> None:
    name, key, port, *rest = sys.argv[1:]
    host = rest[1] if len(rest) > 1 else "127.0.0.1"
    sync = SyncProtocol(
        name, key, sync_port=int(port), host=host, data_dir=rest[0] if rest and rest[0] else None
    )
    sync.on_entity_updated(lambda entity_id, entity: tell(id=entity_id, state=entity and entity["state"]))
    await sync.start()
    tell(port=sync.sync_port)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while (line := (await lines.readline()).decode().split()) and line != ["stop"]:
        await obey(sync, *line)
    await sync.stop()
    tell(stopped=True)


asyncio.run(main())
