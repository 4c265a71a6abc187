"""A program that announces itself and tells of every home that it sees.

Called ``neighbour.py NAME [SYNC_PORT [INSTANCE_NAME]]`` it obeys ``publish``, ``stop`` and ``start``, and ends when its input
ends.
"""

import asyncio
import json
import sys

from sharing.discovery import DiscoveryService, PeerInfo


def tell(what: str, peer: PeerInfo | None = None) -> None:
    print(json.dumps([what, peer]), flush=True)


async def main(name: str, sync_port: str = "8765", instance_name: str = "") -> None:
    discovery = DiscoveryService(name, instance_name or name, sync_port=int(sync_port))
    discovery.on_peer_discovered(lambda peer: tell("discovered", peer))
    discovery.on_peer_updated(lambda peer: tell("updated", peer))
    discovery.on_peer_lost(lambda peer: tell("lost", peer))
    await discovery.start()
    await discovery.publish()
    tell("published")
    while line := await asyncio.to_thread(sys.stdin.readline):
        await {"publish": discovery.publish, "stop": discovery.stop, "start": discovery.start}[line.strip()]()
        tell("done")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
