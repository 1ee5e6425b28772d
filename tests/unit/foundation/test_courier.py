"""The courier: what goes to one name's connection stays with that name."""

from __future__ import annotations

import asyncio

from shared.outbound.courier import Courier
from shared.outbound.guarded import AddressRules
from tests.factories.little_server import listening


async def test_names_that_share_a_machine_never_share_a_connection() -> None:
    asked: list[list[str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hosts: list[str] = []
        asked.append(hosts)
        while line := await reader.readline():
            if line.lower().startswith(b"host:"):
                hosts.append(line.split()[1].decode())
            if line == b"\r\n":
                await reader.readexactly(2)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    courier = Courier(AddressRules(allows_loopback=True))
    async with listening(serve) as port:
        try:
            names = [f"127.0.0.1:{port}", f"localhost:{port}", f"127.0.0.1:{port}"]
            for name in names:
                assert (await courier.post(f"http://{name}/hook", b"{}", {})).status == 204
            assert asked == [[name] for name in names]
        finally:
            await courier.aclose()
