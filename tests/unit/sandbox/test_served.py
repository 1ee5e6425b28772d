"""The simulators' own server: what a client that keeps its connections may rely on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from signal import SIGCONT, SIGSTOP

import httpx
import pytest

from tests.conformance.served import free_port

_HELD_UP = 6.0
"""Longer than the five idle seconds a server allows by default."""


@pytest.fixture
def sandbox() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """All simulators in a process of their own; it is stopped by its own id."""
    port = free_port()
    command = [sys.executable, "-m", "deploy.sandbox", "--port", str(port)]
    process = subprocess.Popen(command)  # noqa: S603 - our own module
    try:
        yield process, f"http://127.0.0.1:{port}/healthz"
    finally:
        process.send_signal(SIGCONT)
        process.terminate()
        process.wait(timeout=20)


def test_a_server_that_was_held_up_answers_what_waits_on_a_kept_connection(
    sandbox: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, url = sandbox
    with httpx.Client(timeout=60, trust_env=False) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                client.get(url)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline, "the simulators do not answer"
                time.sleep(0.1)
        process.send_signal(SIGSTOP)
        going_on = threading.Timer(_HELD_UP, process.send_signal, (SIGCONT,))
        going_on.start()
        assert client.post(url, json={}).status_code < 500
        going_on.join()
